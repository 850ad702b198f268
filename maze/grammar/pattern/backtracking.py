"""Atomic groups and possessive quantifiers: parts that a matcher does not go back into once they have matched."""

from __future__ import annotations

from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.pattern.automaton import DEAD, Alphabet, make_dfa
from maze.grammar.pattern.tree import (
    EMPTY,
    Alt,
    Backreference,
    Boundary,
    Capture,
    Cat,
    Lookaround,
    Node,
    Repeat,
    alt,
    cat,
    children,
    nullable,
    repeat,
)


def atomic(tree: Node, budget: Budget, *, greedy: bool) -> Node | None:
    """The tree as one that is not gone back into; None if what it takes depends on the order in which it tries.

    `greedy` is whether all repetitions in it take as much as they can.
    """
    if _has_reference(tree):
        return None
    if _is_prefix_free(tree, budget):
        return tree
    *before, last = tree.items if isinstance(tree, Cat) else (tree,)
    if greedy and isinstance(last, Repeat) and _is_prefix_free(cat(*before), budget):
        taken = possessive(last.item, last.low, last.high, budget)
        return None if taken is None else cat(*before, taken)
    return None


def possessive(item: Node, low: int, high: int | None, budget: Budget) -> Node | None:
    """As many repetitions as can be, up to `high`; None if they can be made in several ways.

    Where no text of the item begins another, there is one way only: no further one may come.
    """
    if _has_reference(item) or not _is_prefix_free(item, budget):
        return None
    if _without_assertions(item) == EMPTY:
        return repeat(item, low, high)
    no_more = Lookaround(True, True, item, 0)
    if high is None:
        return cat(repeat(item, low, None), no_more)
    all_of_them = repeat(item, high, high)
    return all_of_them if low == high else alt(all_of_them, cat(repeat(item, low, high - 1), no_more))


def _is_prefix_free(tree: Node, budget: Budget) -> bool:
    """Whether no text of the tree is the beginning of another; not told of those with large automata."""
    language = _without_assertions(tree)
    if language == EMPTY:
        return True
    if nullable(language):
        return False
    try:
        construction = budget.construction()
        dfa = make_dfa(language, Alphabet([language], construction), construction)
    except OverBudgetError:
        return False
    return all(target == DEAD for state in dfa.accepting for target in dfa.next[state])


def _has_reference(tree: Node) -> bool:
    return isinstance(tree, Backreference) or any(map(_has_reference, children(tree)))


def _without_assertions(tree: Node) -> Node:
    """All texts that the tree describes where its assertions hold."""
    match tree:
        case Boundary() | Lookaround():
            return EMPTY
        case Capture(_, item):
            return _without_assertions(item)
        case Cat(items):
            return cat(*map(_without_assertions, items))
        case Alt(items):
            return alt(*map(_without_assertions, items))
        case Repeat(item, low, high):
            return repeat(_without_assertions(item), low, high)
    return tree
