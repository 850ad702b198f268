"""How many patterns of a schema one string may have to match at once.

Their intersection is made by llguidance, which no limit stops: 12 take 0.1 s, 20 take 9 s, 30 take hours.
"""

from __future__ import annotations

from collections import Counter

from maze.grammar.budget import Budget
from maze.grammar.schema.definitions import definitions_of, referred
from maze.grammar.schema.keywords import DEFINITIONS, IN_PLACE, subschemas
from maze.json_text import JsonValue

_Counts = Counter[str]
"""Patterns by the place of the value: "" is the value itself, `.name` a member or `_ANY_MEMBER`."""
_ANY_MEMBER = "*"


def most_patterns_on_one_value(grammar_schema: JsonValue, budget: Budget) -> int:
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
        counts = _Counts()
        if not isinstance(schema, dict):
            return counts
        if own := ("pattern" in schema) + ("format" in schema):
            counts[""] = own
        if (name := referred(schema)) is not None:
            budget.spend(1 + len(known.get(name, ())))
            counts += of_reference(name)
        # Of branches one applies at a time; members with the same name are in one place anyway.
        choices: dict[str, _Counts] = {}
        for (keyword, *step), child in subschemas(schema):
            inner = count(child) if keyword not in DEFINITIONS else None
            budget.spend(1)
            if not inner:
                continue
            budget.spend(len(counts) + len(inner))
            if keyword == "allOf":
                counts += inner
            elif keyword in IN_PLACE:
                choices[keyword] = choices.get(keyword, _Counts()) | inner
            else:
                member = f".{step[0]}" if keyword == "properties" else _ANY_MEMBER
                found = _Counts({**inner, "": 0}) | _Counts({member: inner[""]})
                choices["members"] = choices.get("members", _Counts()) | found
        return sum(choices.values(), counts)

    counts = count(grammar_schema)
    return max(counts.values(), default=0) + counts[_ANY_MEMBER]
