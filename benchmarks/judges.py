"""Judges of texts that share nothing with libmaze: jsonschema, lark, regex and tree-sitter.

Each is made from what a caller would send as a constraint, and says what is wrong with a text, or None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext

import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import validator_for

from maze.json_text import JsonValue

Judge = Callable[[str], str | None]
"""What is wrong with a text; None if nothing is."""

_UNREAD = {"const", "enum", "default", "examples"}
_PIECE = re.compile(r"\\u\{([0-9a-fA-F]+)\}|\\c([A-Za-z])|\\(?:u....|x..|.)|\(\?<(?![=!])|\[\^?\]?|[\].$]", re.DOTALL)
"""What ECMAScript and Python read differently, and where classes begin and end."""
_SPACES = r"\t\n\v\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_CLASSES = {"\\d": "0-9", "\\w": "A-Za-z0-9_", "\\s": _SPACES}
_OUTSIDE = {
    "\\D": "[^0-9]",
    "\\W": "[^A-Za-z0-9_]",
    "\\S": f"[^{_SPACES}]",
    "$": r"\Z",
    ".": "[^\n\r\u2028\u2029]",
    "(?<": "(?P<",
}


def python_pattern(pattern: str) -> str:
    """An ECMAScript pattern as Python reads it; in classes, what is no digit, word or space stays that of Unicode."""
    inside = False

    def piece(match: re.Match[str]) -> str:
        nonlocal inside
        text = match[0]
        if match[1] or match[2]:
            return re.escape(chr(int(match[1], 16) if match[1] else ord(match[2]) % 32))
        if text[0] == "[" and not inside:
            inside = not text.endswith("]")
            return {"[]": "(?!)", "[^]": r"[\s\S]"}.get(text, text)
        if text == "]":
            inside = False
            return text
        if text in _CLASSES:
            return _CLASSES[text] if inside else f"[{_CLASSES[text]}]"
        if text == "\\/":
            return "/"
        return text.replace("[", "\\[") if inside else _OUTSIDE.get(text, text)

    return _PIECE.sub(piece, pattern)


def for_python(schema: JsonValue) -> JsonValue:
    """A schema with its patterns as Python reads them."""
    if isinstance(schema, list):
        return [for_python(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, JsonValue] = {}
    for keyword, value in schema.items():
        if keyword in _UNREAD:
            made[keyword] = value
        elif keyword == "pattern" and isinstance(value, str):
            made[keyword] = python_pattern(value)
        elif keyword == "patternProperties" and isinstance(value, dict):
            made[keyword] = {python_pattern(name): for_python(each) for name, each in value.items()}
        else:
            made[keyword] = for_python(value)
    return made


def _number(digits: str) -> int | Decimal:
    number = Decimal(digits)
    return int(number) if number == number.to_integral_value() else number


def readings(text: str) -> Iterator[JsonValue]:
    """What a JSON text says, numbers exactly; twice where a name comes twice, once with the first value of each.

    Raises ValueError for what is no JSON.
    """
    repeated = False

    def first_of_each(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        nonlocal repeated
        found = dict(reversed(pairs))
        repeated = repeated or len(found) < len(pairs)
        return found

    def constant(name: str) -> JsonValue:
        raise ValueError(f"{name} is no JSON")

    # Decimal is a number for jsonschema, and compares and divides exactly.
    first = json.loads(text, parse_float=_number, parse_constant=constant, object_pairs_hook=first_of_each)
    if repeated:
        yield json.loads(text, parse_float=_number, parse_constant=constant)
    yield first


def schema_judge(schema: JsonValue) -> Judge:
    """Asks jsonschema, formats asserted, with exact numbers and patterns of ECMAScript."""
    exact = json.loads(json.dumps(for_python(schema)), parse_float=_number)
    kind = validator_for(exact, default=Draft202012Validator)
    # Formats are the same in every draft; FormatChecker() would take `time` for that of draft-03.
    validator = kind(exact, format_checker=Draft202012Validator.FORMAT_CHECKER)

    def judge(text: str) -> str | None:
        try:
            values = list(readings(text))
        except ValueError as error:
            return str(error)
        with localcontext() as context:
            context.prec = 1_000
            for value in values:
                problem: ValidationError | None = next(validator.iter_errors(value), None)
                if problem is not None:
                    return f"{problem.json_path}: {problem.message[:200]} ({problem.validator})"
        return None

    return judge


def pattern_judge(pattern: str) -> Judge:
    """Asks the regex package whether a text contains what a pattern describes."""
    expression = regex.compile(python_pattern(pattern))

    def judge(text: str) -> str | None:
        return None if expression.search(text) else f"it does not match {pattern}"

    return judge
