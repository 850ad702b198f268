"""How many patterns of a schema one string may have to match at once.

Their intersection is made by llguidance, which no limit stops: 12 take 0.1 s, 20 take 9 s, 30 take hours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import reduce
from operator import or_

from maze.grammar.schema.definitions import definitions_of, referred
from maze.grammar.schema.keywords import DEFINITIONS, IN_PLACE, subschemas
from maze.json_text import JsonValue

_Counts = Counter[str]
"""Patterns by the place of the value: "" is the value itself, `.name` a member or `_ANY_MEMBER`."""
_ANY_MEMBER = "*"


def most_patterns_on_one_value(grammar_schema: JsonValue) -> int:
    """The most patterns and formats on one value, never too few but for values inside of recursive definitions.

    Values in different places count as one where their members have the same name. `grammar_schema` has all its
    references lead to `#/$defs/<name>`. To be called on a big stack.
    """
    definitions = definitions_of(grammar_schema)
    known: dict[str, _Counts] = {}

    def of_reference(name: str) -> _Counts:
        if name not in known:
            known[name] = _Counts()  # met again inside of itself
            known[name] = count(definitions.get(name))
        return known[name]

    def count(schema: JsonValue) -> _Counts:
        if not isinstance(schema, dict):
            return _Counts()
        parts = [_Counts({"": ("pattern" in schema) + ("format" in schema)})]
        if (name := referred(schema)) is not None:
            parts.append(of_reference(name))
        # Of branches one applies at a time; members with the same name are in one place anyway.
        choices: dict[str, list[_Counts]] = {}
        for (keyword, *step), child in subschemas(schema):
            if keyword == "allOf":
                parts.append(count(child))
            elif keyword in IN_PLACE:
                choices.setdefault(keyword, []).append(count(child))
            elif keyword not in DEFINITIONS:
                member = step[0] if keyword == "properties" else _ANY_MEMBER
                choices.setdefault("members", []).append(_inside(member, count(child)))
        return sum([*parts, *map(_largest, choices.values())], _Counts())

    counts = count(grammar_schema)
    return max(counts.values(), default=0) + counts[_ANY_MEMBER]


def _inside(name: str, counts: _Counts) -> _Counts:
    key = f".{name}" if name != _ANY_MEMBER else name
    return (counts - _Counts({"": counts[""]})) | _Counts({key: counts[""]})


def _largest(parts: Iterable[_Counts]) -> _Counts:
    return reduce(or_, parts, _Counts())
