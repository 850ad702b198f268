"""Lazy quantifiers: a repetition that ends as soon as what stands behind it in its terminal can follow.

`X*?R` is what a search would take: it takes another X only where R cannot follow, so it is `(?:(?!R)X)*R`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from maze.grammar.pattern.tree import (
    EMPTY,
    Alt,
    Cat,
    Lazy,
    Lookaround,
    Node,
    Repeat,
    alt,
    cat,
    children,
    repeat,
)

MAX_WRITTEN_OUT = 20
"""Most repetitions of a group with lazy quantifiers, as each must be written out."""


def without_laziness(tree: Node, refuse: Callable[[], NoReturn]) -> Node:
    """The texts that a search would take of a terminal, as a tree with look-arounds in the place of lazy quantifiers.

    `refuse` is called where a group with lazy quantifiers is repeated too often.
    """
    return _Decided(refuse).of(tree, EMPTY)


def _has_lazy(node: Node) -> bool:
    return isinstance(node, Lazy) or any(map(_has_lazy, children(node)))


def greedy(node: Node) -> Node:
    """The same with greedy quantifiers: whether something can follow does not depend on how much it would take."""
    if not _has_lazy(node):
        return node
    match node:
        case Cat(items):
            return cat(*map(greedy, items))
        case Alt(items):
            return alt(*map(greedy, items))
        case Repeat(item, low, high) | Lazy(item, low, high):
            return repeat(greedy(item), low, high)
        case Lookaround(ahead, negated, item, position):
            return Lookaround(ahead, negated, greedy(item), position)
    raise AssertionError(node)


class _Decided:
    def __init__(self, refuse: Callable[[], NoReturn]) -> None:
        self._refuse = refuse

    def of(self, node: Node, behind: Node) -> Node:
        """The node without laziness where `behind` comes after it in the terminal."""
        if not _has_lazy(node):
            return node
        match node:
            case Cat(items):
                decided: list[Node] = []
                for item in reversed(items):
                    decided.append(self.of(item, behind))
                    behind = cat(greedy(item), behind)
                return cat(*reversed(decided))
            case Alt(items):
                return alt(*(self.of(item, behind) for item in items))
            case Lookaround(ahead, negated, item, position):
                return Lookaround(ahead, negated, greedy(item), position)
            case Repeat(item, low, high):
                return self._repeated(item, low, high, behind)
            case Lazy(item, low, high):
                # What begins another round comes where nothing behind can follow.
                again = Lookaround(ahead=True, negated=True, item=_beginning(behind), position=0)
                if again.item == EMPTY:
                    high = low
                least = self._repeated(item, low, low, cat(repeat(greedy(item), 0, _less(high, low)), behind))
                if high == low:
                    return least
                if not _has_lazy(item):
                    return cat(least, repeat(cat(again, item), 0, _less(high, low)))
                more = self.of(item, cat(repeat(greedy(item), 0, _less(high, low + 1)), behind))
                if high is not None and high - low > 1:
                    self._refuse()
                return cat(least, repeat(cat(again, more), 0, _less(high, low)))
        raise AssertionError(node)

    def _repeated(self, item: Node, low: int, high: int | None, behind: Node) -> Node:
        """`low` to `high` times `item`, each time decided by what then comes after it."""
        if not _has_lazy(item):
            return repeat(item, low, high)
        if max(low, high or 0) > MAX_WRITTEN_OUT:
            self._refuse()
        rest = greedy(item)
        copies = [
            self.of(item, cat(repeat(rest, low - number - 1, _less(high, number + 1)), behind)) for number in range(low)
        ]
        if high is None:
            return cat(*copies, repeat(self.of(item, cat(repeat(rest, 0, None), behind)), 0, None))
        tail: Node = EMPTY
        for left in range(high - low):
            tail = repeat(cat(self.of(item, cat(repeat(rest, 0, left), behind)), tail), 0, 1)
        return cat(*copies, tail)


def _beginning(node: Node) -> Node:
    """Without what may be empty at the end: where the rest can follow, the whole can."""
    items = list(node.items) if isinstance(node, Cat) else [node]
    while items and isinstance(items[-1], Repeat) and items[-1].low == 0:
        items.pop()
    return cat(*items)


def _less(high: int | None, number: int) -> int | None:
    return None if high is None else high - number
