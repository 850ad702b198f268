"""What llguidance can be asked about without a limit on its time."""

from __future__ import annotations

from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.pattern.automaton import is_empty
from maze.grammar.pattern.tree import MAX_CONJUNCTS, Both, Node, both, conjuncts, is_length, is_plain, positions_of

MAX_INTERSECTED_POSITIONS = 400
"""Most positions of languages that llguidance intersects though an automaton of them is over our budget."""


def is_bearable_for_llguidance(language: Node, budget: Budget) -> bool:
    """Whether llguidance can be asked about a language: it may never come back from a large intersection.

    Nothing stops it there. What our own automata, which are bounded, can be made of is safe, and so is what is small.
    Bounds on the length alone make it no harder, though an automaton with them is large.
    """
    if isinstance(language, Both):
        others = [item for item in language.items if not is_length(item)]
        if len(others) < len(language.items):
            return conjuncts(language) <= MAX_CONJUNCTS and is_bearable_for_llguidance(both(*others), budget)
    if is_plain(language) or positions_of(language) <= MAX_INTERSECTED_POSITIONS:
        return conjuncts(language) <= MAX_CONJUNCTS
    try:
        is_empty(language, budget)
    except OverBudgetError:
        return False
    return conjuncts(language) <= MAX_CONJUNCTS
