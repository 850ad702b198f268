"""GBNF, the grammars of llama.cpp."""

from __future__ import annotations

from maze.errors import UnsupportedConstraintError
from maze.grammar.symbols import LoweredGrammar


def lower_gbnf(text: str, path: str) -> LoweredGrammar:
    """Lower GBNF text."""
    raise UnsupportedConstraintError(f"{path} was taken for GBNF, which is not translated yet ({len(text)} characters)")
