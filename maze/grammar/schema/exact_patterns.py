r"""Patterns written so that jsonschema_rs reads them as ECMAScript does.

Its `.` leaves out the line feed alone; beside look-around its `\d`, `\w`, `\s` and `\b` are those of Unicode; and it
refuses `[^]`, `\0`, `[\b]` and surrogate pairs.
"""

from __future__ import annotations

import re

from maze.grammar.pattern.code_points import LAST_CODE_POINT, Ranges, complement
from maze.grammar.pattern.ecmascript import CLASS_ESCAPES, LINE_TERMINATORS
from maze.json_text import dump, parse


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
    "[]": "(?!)",
    "[^]": f"[{_members(((0, LAST_CODE_POINT),))}]",
}
_IN_SETS = {**{f"\\{letter}": members for letter, members in _SETS.items()}, **_EVERYWHERE, r"\b": r"\x08"}

_PAIR = r"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}"
_IN_SET = re.compile(rf"{_PAIR}|\\0(?!\d)|\\.", re.DOTALL)
_OUTSIDE_OF_SET = re.compile(rf"{_PAIR}|\\0(?!\d)|\\.|\[\^?\]|(?P<set>\[(?:\\.|[^\\\]])*\])|\.", re.DOTALL)
_FLAGS = re.compile(r"\(\?[a-z]")
"""They are none of ECMAScript's; what a pattern with them means is left to jsonschema_rs."""


def exact_pattern(regex: str) -> str:
    """The pattern as jsonschema_rs must be given it."""

    def in_set(found: re.Match[str]) -> str:
        return _IN_SETS.get(found[0]) or _pair(found[0])

    def outside_of_set(found: re.Match[str]) -> str:
        if found["set"]:
            return _IN_SET.sub(in_set, found[0])
        return _OUTSIDE_OF_SETS.get(found[0]) or _pair(found[0])

    return regex if _FLAGS.search(regex) else _OUTSIDE_OF_SET.sub(outside_of_set, regex)


def _pair(escape: str) -> str:
    """Two surrogates as the character that they stand for; any other escape as it is."""
    if len(escape) != 12:
        return escape
    high, low = int(escape[2:6], 16), int(escape[8:], 16)
    return f"\\u{{{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00:x}}}"


_DATA = frozenset(("const", "default", "enum", "examples"))
_NAMED = frozenset(("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"))


def with_exact_patterns(schema: str) -> str:
    """A schema with all of its patterns so written."""
    if "pattern" not in schema:
        return schema
    root = parse(schema)
    pending = [root]
    while pending:
        each = pending.pop()
        if isinstance(each, list):
            pending += each
        if not isinstance(each, dict):
            continue
        if isinstance(pattern := each.get("pattern"), str):
            each["pattern"] = exact_pattern(pattern)
        if isinstance(patterns := each.get("patternProperties"), dict):
            exact = {exact_pattern(pattern): child for pattern, child in patterns.items()}
            if len(exact) == len(patterns):
                each["patternProperties"] = exact
        for keyword, value in each.items():
            if keyword in _NAMED and isinstance(value, dict):
                pending += value.values()
            elif keyword not in _DATA:
                pending.append(value)
    return dump(root)
