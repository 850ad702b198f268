"""Regular languages in their other forms: the smallest automaton, and from any back to a plain expression."""

from __future__ import annotations

from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.pattern.automaton import Alphabet, make_dfa, smallest, without_intersections
from maze.grammar.pattern.code_points import ANY
from maze.grammar.pattern.tree import (
    ANYTHING,
    Alt,
    Both,
    Cat,
    Chars,
    Machine,
    Node,
    Not,
    Repeat,
    alt,
    both,
    cat,
    is_plain,
    negation,
    positions_of,
    repeat,
    text_of,
)

_MAX_STEPS_BACK = 100_000
"""Most steps on the way back to an expression; about 0.1 s."""
_MAX_ITEM_POSITIONS = 20
"""Most positions of what is repeated and stays an expression."""
FEW_POSITIONS = 300
"""Most positions of an expression that an automaton is soon made of."""
_MAX_COUNT = 8
"""Repetitions of any more are without end in one that does not."""


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


def outlines(language: Node, budget: Construction) -> tuple[Node, Node, Node]:
    """Expressions of ever fewer positions for all texts of a language, the first of them for no others.

    The second counts less far; the third knows little more than how the texts begin and end. Raises OverBudgetError.
    """
    small = with_small_items(language, budget)
    items = language.items if isinstance(language, Cat) and len(language.items) > 1 else (ANYTHING,)
    first, last = ([item] if text_of(item) else [] for item in (items[0], items[-1]))
    rough = cat(*first, repeat(Chars(ANY), 0 if first or last else 1, None), *last)
    return small, _without_counts(small), rough


def with_small_items(language: Node, budget: Construction) -> Node:
    """The same language with automata for what is repeated and large, as the ways to write a character of JSON are."""
    known: dict[Node, Node] = {}

    def small(node: Node) -> Node:
        match node:
            case Repeat(item, low, high) if positions_of(item) > _MAX_ITEM_POSITIONS:
                if item not in known:
                    machine = as_machine(item, budget)
                    known[item] = machine if positions_of(machine) < positions_of(item) else item
                return repeat(known[item], low, high)
            case Cat(items):
                return cat(*map(small, items))
            case Alt(items):
                return alt(*map(small, items))
            case Both(items):
                return both(*map(small, items))
            case Not(item):
                return negation(small(item))
        return node

    return small(language)


def _without_counts(node: Node) -> Node:
    """All texts of a language, and those that it would have if its repetitions counted less."""
    match node:
        case Repeat(item, low, high) if max(low, high or 0) > _MAX_COUNT:
            return repeat(_without_counts(item), min(low, 1), None)
        case Repeat(item, low, high):
            return repeat(_without_counts(item), low, high)
        case Cat(items):
            return cat(*map(_without_counts, items))
        case Alt(items):
            return alt(*map(_without_counts, items))
        case Both(items):
            return both(*map(_without_counts, items))
        case Not(item):
            return node if positions_of(item) <= FEW_POSITIONS else ANYTHING
    return node


def plain_expression(language: Node, budget: Budget) -> Node | None:
    """An equal expression without intersections, complements and automata; None if it would be large."""
    if is_plain(language):
        return language
    try:
        return without_intersections(language, budget, _MAX_STEPS_BACK)
    except OverBudgetError:
        return None
