"""Lark text of callers, checked and passed through."""

from __future__ import annotations

import llguidance

from maze.errors import InvalidConstraintError
from maze.grammar.symbols import LoweredGrammar


def lower_lark(text: str, path: str) -> LoweredGrammar:
    """Check Lark text for llguidance."""
    lark = text if text.startswith("%llguidance") else "%llguidance {}\n" + text
    error = llguidance.LLMatcher.validate_grammar(lark)
    if error:
        raise InvalidConstraintError(f"{path} was taken for Lark text: {error}")
    return LoweredGrammar(None, lark=lark)
