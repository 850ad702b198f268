"""Whether a language has any text: asked of our automata, and of llguidance where they are too large."""

from __future__ import annotations

from maze.compiled import EngineGrammar
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.llguidance import CAREFUL_LIMITS, GuidanceError, Outcome, check_grammar
from maze.grammar.pattern.bearable import is_bearable_for_llguidance
from maze.grammar.pattern.printer import needs_parts, to_terminal
from maze.grammar.pattern.questions import Questions
from maze.grammar.pattern.tree import Node


def has_no_text(language: Node, questions: Questions, budget: Budget) -> bool:
    """Whether no text is in a language. Raises OverBudgetError where neither we nor llguidance find out."""
    nothing = questions.is_nothing(language)
    if nothing is not None:
        return nothing
    if not budget.has_optional_steps or needs_parts(language) or not is_bearable_for_llguidance(language, budget):
        raise OverBudgetError
    try:
        check_grammar(EngineGrammar(f"start: TEXT\nTEXT: {to_terminal(language)}\n"), budget, CAREFUL_LIMITS)
    except GuidanceError as error:
        if error.outcome is not Outcome.EMPTY:
            raise OverBudgetError from None
        return True
    return False
