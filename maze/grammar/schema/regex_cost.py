"""What the regular expressions of a schema cost jsonschema_rs, which compiles each and cannot be stopped.

It refuses an expression whose automaton takes more than some megabytes, so that none takes longer than 0.1 s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from maze.json_text import JsonValue

_MOST_STEPS = 110_000
"""Of the most expensive expression."""
_PIECE = re.compile(r"\\[pP]\{[^}]*\}|\\.|\[\^?\]?|\{\d+(?:,\d*)?\}|.", re.DOTALL)
_WEIGHTS = {"\\p": 450, "\\P": 450, "\\w": 2, "\\W": 9, "\\D": 9, "\\S": 9, ".": 6, "[^": 9}
"""Steps of a place in an expression for what is more than a character or two; sets beyond ASCII are large."""


def regex_steps(schemas: Iterable[dict[str, JsonValue]]) -> int:
    """Steps that compiling all patterns of some schemas takes at most."""
    return sum(
        _steps_of(pattern)
        for each in schemas
        for pattern in (each.get("pattern"), *_keys(each.get("patternProperties")))
        if isinstance(pattern, str)
    )


def _keys(value: JsonValue) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, dict) else ()


def _steps_of(pattern: str) -> int:
    groups: list[int] = []
    """Steps before each of the groups that are open."""
    steps = last = 0
    in_class = False
    for piece in _PIECE.findall(pattern):
        if in_class:
            in_class = piece != "]"
            last += _WEIGHTS.get(piece[:2], 0)
        elif piece == "(":
            groups.append(steps)
            steps = last = 0
            continue
        elif piece == ")" and groups:
            last = steps
            steps = groups.pop()
        elif piece[0] == "{" and len(piece) > 1:
            last *= max(map(int, filter(None, re.findall(r"\d{1,9}", piece))))
        else:
            steps += last
            last = _WEIGHTS.get(piece[:2], 1)
            in_class = piece[0] == "["
        if steps + last > _MOST_STEPS:
            return _MOST_STEPS
    return min(steps + last + sum(groups), _MOST_STEPS) + 20
