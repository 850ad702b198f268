"""Regular languages in their other forms: the smallest automaton, and from any back to a plain expression."""

from __future__ import annotations

from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.pattern.automaton import Alphabet, Dfa, make_dfa, smallest, without_intersections
from maze.grammar.pattern.code_points import ANY
from maze.grammar.pattern.tree import (
    ANYTHING,
    MAX_CONJUNCTS,
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
    children,
    height_of,
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
_MAX_COMPLEMENT_STEPS = 20_000
"""The same where an expression with a complement will do."""
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


def plain_expression(language: Node, budget: Budget, steps: int = _MAX_STEPS_BACK) -> Node | None:
    """An equal expression without intersections, complements and automata; None if it would be large."""
    if is_plain(language):
        return language
    try:
        expression = without_intersections(language, budget, steps)
    except OverBudgetError:
        return None
    return expression if height_of(expression) <= MAX_EXPRESSION_HEIGHT else None


def without_complements(language: Node, budget: Budget) -> Node:
    """The same texts, complements written as plain expressions where these are not large.

    At each token that leads out of a complement, llguidance has to prove that nothing of an intersection is left. Of a
    few with texts of any length it cannot within what it allows itself, and lets a model of llama.cpp write anything.
    """
    if is_plain(language):
        return language
    match language:
        case Both(items):
            return both(*(without_complements(item, budget) for item in items))
        case Alt(items):
            return alt(*(without_complements(item, budget) for item in items))
        case Cat(items):
            return cat(*(without_complements(item, budget) for item in items))
        case Not(item) if _has_endless(item):
            plain = plain_expression(language, budget, _MAX_COMPLEMENT_STEPS)
            choices = _choices(item)
            if plain is None and 1 < len(choices) <= MAX_CONJUNCTS:
                return both(*(without_complements(negation(choice), budget) for choice in choices))
            return plain or language
    return language


def _choices(language: Node) -> tuple[Node, ...]:
    """What a language is the union of, by the first alternatives in it."""
    if isinstance(language, Cat):
        for place, item in enumerate(language.items):
            if isinstance(item, Alt):
                before, after = language.items[:place], language.items[place + 1 :]
                return tuple(cat(*before, each, *after) for each in item.items)
    return language.items if isinstance(language, Alt) else (language,)


def _has_endless(language: Node) -> bool:
    is_endless = isinstance(language, Machine) or (isinstance(language, Repeat) and language.high is None)
    return is_endless or any(map(_has_endless, children(language)))
