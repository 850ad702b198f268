"""Regular languages in their other forms: the smallest automaton, and from any back to a plain expression."""

from __future__ import annotations

from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.pattern.automaton import Alphabet, Dfa, make_dfa, smallest, without_intersections
from maze.grammar.pattern.tree import Machine, Node, height_of, is_plain

_MAX_STEPS_BACK = 100_000
"""Most steps on the way back to an expression; about 0.1 s."""
MAX_EXPRESSION_HEIGHT = 120
"""Deepest nesting of an expression that an automaton is turned back into; llguidance refuses 250 groups."""


def as_machine(language: Node, budget: Construction) -> Machine:
    """The smallest automaton of a language, its states numbered in the order they are met. Raises OverBudgetError."""
    alphabet = Alphabet([language], budget)
    dfa = smallest(make_dfa(language, alphabet, budget), budget)
    return machine_of(dfa, alphabet, budget)


def machine_of(dfa: Dfa, alphabet: Alphabet, budget: Construction) -> Machine:
    """An automaton as a tree. Raises OverBudgetError."""
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
        expression = without_intersections(language, budget, _MAX_STEPS_BACK)
    except OverBudgetError:
        return None
    return expression if height_of(expression) <= MAX_EXPRESSION_HEIGHT else None
