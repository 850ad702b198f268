"""A schema's `pattern`, which is ECMAScript's, as a language."""

from __future__ import annotations

from functools import lru_cache

from maze.errors import MazeError
from maze.grammar.pattern.parser import parse_ecmascript
from maze.grammar.pattern.tree import Node


@lru_cache(maxsize=1024)
def pattern_language(pattern: str) -> Node | None:
    """The texts in which the pattern is found; None where no automaton decides that, or it is too large."""
    try:
        return parse_ecmascript(pattern, "the pattern")
    except MazeError:
        return None
