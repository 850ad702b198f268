"""Regular languages in their other forms: the smallest automaton, and from any back to a plain expression."""

from __future__ import annotations

from maze.grammar.pattern.automaton import (
    DEAD,
    Alphabet,
    Budget,
    OverBudgetError,
    make_dfa,
    smallest,
    without_intersections,
)
from maze.grammar.pattern.tree import Machine, Node, is_plain

_MAX_STEPS_BACK = 100_000
"""Most steps on the way back to an expression; about 0.1 s."""


def as_machine(language: Node) -> Machine:
    """The smallest automaton of a language, its states numbered in the order they are met. Raises OverBudgetError."""
    alphabet, budget = Alphabet([language]), Budget()
    dfa = smallest(make_dfa(language, alphabet, budget), budget)
    edges = []
    for row in dfa.next:
        masks: dict[int, int] = {}
        for group, target in enumerate(row):
            if target != DEAD:
                masks[target] = masks.get(target, 0) | 1 << group
        edges.append(tuple((alphabet.ranges_of(mask), target) for target, mask in masks.items()))
    return Machine(tuple(edges), dfa.accepting)


def plain_expression(language: Node) -> Node | None:
    """An equal expression without intersections, complements and automata; None if it would be large."""
    if is_plain(language):
        return language
    try:
        return without_intersections(language, Budget(_MAX_STEPS_BACK))
    except OverBudgetError:
        return None
