r"""Patterns written so that jsonschema_rs reads them as ECMAScript does.

Its `.` leaves out the line feed alone; beside look-around its `\d`, `\w`, `\s` and `\b` are those of Unicode; it
refuses `[^]`, `\0`, `[\b]`, surrogate pairs and a brace that is no count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from maze.grammar.pattern.code_points import LAST_CODE_POINT, LINE_TERMINATORS, Ranges, complement
from maze.grammar.pattern.ecmascript import CLASS_ESCAPES
from maze.json_text import JsonValue, dump, parse


def _members(ranges: Ranges) -> str:
    return "".join(f"\\u{{{low:x}}}-\\u{{{high:x}}}" for low, high in ranges)


_WORD = f"[{_members(CLASS_ESCAPES['w'])}]"
_SETS = {letter: _members(ranges) for letter, ranges in CLASS_ESCAPES.items()}
_SETS |= {letter.upper(): _members(complement(ranges)) for letter, ranges in CLASS_ESCAPES.items()}
_EVERYWHERE = {r"\0": r"\x00"}
_OUTSIDE_OF_SETS = {
    **{f"\\{letter}": f"[{members}]" for letter, members in _SETS.items()},
    **_EVERYWHERE,
    r"\b": f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))",
    r"\B": f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))",
    ".": f"[{_members(complement(LINE_TERMINATORS))}]",
    "{": r"\{",
    "[]": "(?!)",
    "[^]": f"[{_members(((0, LAST_CODE_POINT),))}]",
}
_IN_SETS = {**{f"\\{letter}": members for letter, members in _SETS.items()}, **_EVERYWHERE, r"\b": r"\x08"}

_PAIR = r"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}"
_BRACE = r"(?<!\\u)(?<!\\[pP])\{(?!\d+(?:,\d*)?\})"
_IN_SET = re.compile(rf"{_PAIR}|\\0(?!\d)|\\.", re.DOTALL)
_OUTSIDE_OF_SET = re.compile(rf"{_PAIR}|\\0(?!\d)|\\.|\[\^?\]|(?P<set>\[(?:\\.|[^\\\]])*\])|\.|{_BRACE}", re.DOTALL)
_FLAGS = re.compile(r"\(\?[a-z]")
"""They are none of ECMAScript's; what a pattern with them means is left to jsonschema_rs."""
_LOOKS = re.compile(r"\(\?<?[=!]|\\[1-9k]")
_PLUS = re.compile(r"\\.|\[(?:\\.|[^\\\]])*\]|(?<![+*?}])(?P<plus>\+|\{1,\})(?![?+])", re.DOTALL)


def needs_backtracking(regex: str) -> bool:
    """Whether the pattern has look-around or a backreference, which the faster of two engines does not take."""
    return _LOOKS.search(_OUTSIDE_OF_SET.sub(_outside_of_set, regex)) is not None


def exact_pattern(regex: str, *, backtracking: bool) -> str:
    """The pattern as jsonschema_rs must be given it for one of its engines."""
    if _FLAGS.search(regex):
        return regex
    exact = _OUTSIDE_OF_SET.sub(_outside_of_set, regex)
    # An assertion that always holds, or it takes `c` for `^[a-z]+-?[a-z]+$`.
    return _PLUS.sub(lambda found: f"{found[0]}(?=)" if found["plus"] else found[0], exact) if backtracking else exact


def _in_set(found: re.Match[str]) -> str:
    return _IN_SETS.get(found[0]) or _pair(found[0])


def _outside_of_set(found: re.Match[str]) -> str:
    if found["set"]:
        return _IN_SET.sub(_in_set, found[0])
    return _OUTSIDE_OF_SETS.get(found[0]) or _pair(found[0])


def _pair(escape: str) -> str:
    """Two surrogates as the character that they stand for; any other escape as it is."""
    if len(escape) != 12:
        return escape
    high, low = int(escape[2:6], 16), int(escape[8:], 16)
    return f"\\u{{{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00:x}}}"


_DATA = frozenset(("const", "default", "enum", "examples"))
_NAMED = frozenset(("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"))


def with_exact_patterns(schema: str) -> tuple[str, bool]:
    """A schema with all of its patterns so written, and whether one of them needs backtracking."""
    if "pattern" not in schema:
        return schema, False
    root = parse(schema)
    places = list(_with_patterns(root))
    backtracking = any(
        needs_backtracking(pattern)
        for place in places
        for pattern in (place.get("pattern", ""), *place.get("patternProperties", ()))
    )
    for place in places:
        if "pattern" in place:
            place["pattern"] = exact_pattern(place["pattern"], backtracking=backtracking)
        if "patternProperties" in place:
            patterns = place["patternProperties"]
            exact = {exact_pattern(each, backtracking=backtracking): child for each, child in patterns.items()}
            if len(exact) == len(patterns):
                place["patternProperties"] = exact
    return dump(root), backtracking


def as_written(message: str, schema: str) -> str:
    """A message about a schema with its patterns as they stand in it."""
    for place in _with_patterns(parse(schema)):
        for pattern in (place.get("pattern", ""), *place.get("patternProperties", ())):
            for backtracking in (True, False):
                exact = exact_pattern(pattern, backtracking=backtracking)
                if exact != pattern:
                    message = message.replace(exact, pattern)
    return message


def _with_patterns(root: JsonValue) -> Iterator[dict[str, JsonValue]]:
    """Every object in a schema that may be a schema with patterns, also where no keyword holds it."""
    pending = [root]
    while pending:
        each = pending.pop()
        if isinstance(each, list):
            pending += each
        if not isinstance(each, dict):
            continue
        if isinstance(each.get("pattern", ""), str) and isinstance(each.get("patternProperties", {}), dict):
            yield each
        for keyword, value in each.items():
            if keyword in _NAMED and isinstance(value, dict):
                pending += value.values()
            elif keyword not in _DATA:
                pending.append(value)
