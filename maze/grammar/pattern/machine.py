"""Regular languages in their other forms: the smallest automaton, and from any back to a plain expression."""

from __future__ import annotations

from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.pattern.automaton import Alphabet, make_dfa, smallest, without_intersections
from maze.grammar.pattern.tree import Machine, Node, is_plain

_MAX_STEPS_BACK = 100_000
"""Most steps on the way back to an expression; about 0.1 s."""


def as_machine(language: Node, budget: Construction) -> Machine:
    """The smallest automaton of a language, its states numbered in the order they are met. Raises OverBudgetError."""
    alphabet = Alphabet([language], budget)
    dfa = smallest(make_dfa(language, alphabet, budget), budget)
    return Machine(
        tuple(
            tuple((alphabet.ranges_of(mask, budget), target) for target, mask in targets.items())
            for targets in dfa.moves()
        ),
        dfa.accepting,
    )


def plain_expression(language: Node, budget: Budget) -> Node | None:
    """An equal expression without intersections, complements and automata; None if it would be large."""
    if is_plain(language):
        return language
    try:
        return without_intersections(language, budget, _MAX_STEPS_BACK)
    except OverBudgetError:
        return None
