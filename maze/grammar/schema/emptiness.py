"""Whether a language has any text: asked of our automata, and of llguidance where they are too large."""

from __future__ import annotations

from maze.grammar.llguidance import GuidanceError, Outcome, check_grammar
from maze.grammar.pattern.automaton import OverBudgetError
from maze.grammar.pattern.lazy import is_nothing
from maze.grammar.pattern.printer import to_terminal
from maze.grammar.pattern.tree import Node
from maze.types import EngineGrammar


def has_no_text(language: Node) -> bool:
    """Whether no text is in a language. Raises OverBudgetError where neither we nor llguidance find out."""
    nothing = is_nothing(language)
    if nothing is None:
        try:
            check_grammar(EngineGrammar(f"start: TEXT\nTEXT: {to_terminal(language)}\n"))
        except GuidanceError as error:
            if error.outcome is not Outcome.EMPTY:
                raise OverBudgetError from None
            return True
    return bool(nothing)
