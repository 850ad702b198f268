"""Whether a regular language has a text, found out with a few characters where no automaton has to be made for it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from maze.grammar.pattern.code_points import ANY, Ranges, contains, intersection, union
from maze.grammar.pattern.derivative import Derivatives
from maze.grammar.pattern.tree import (
    NOTHING,
    Alt,
    Both,
    Cat,
    Chars,
    Literal,
    Machine,
    Node,
    Not,
    Repeat,
    nullable,
)

_MAX_TRIALS = 400
"""Most beginnings that are tried."""
_MAX_ALL = 16
"""Most characters that are all tried where a text may begin with any of them."""
_LIKELY = "zaA_0 \"<'`./"
"""What is tried of more characters."""


def has_text_by_trial(node: Node, derivatives: Derivatives) -> bool | None:
    """Whether any text is in a language; None where a few trials do not tell. Raises OverBudgetError."""
    if nullable(node):
        return True
    seen = {node}
    untried = [_tried(node)]
    are_all_tried = True
    for _ in range(_MAX_TRIALS):
        if not untried:
            return False if are_all_tried else None
        rest, characters, are_all = untried[-1]
        are_all_tried = are_all_tried and are_all
        character = next(characters, None)
        if character is None:
            untried.pop()
            continue
        after = derivatives.of(rest, character)
        if nullable(after):
            return True
        if after != NOTHING and after not in seen:
            seen.add(after)
            untried.append(_tried(after))
    return None


def _tried(node: Node) -> tuple[Node, Iterator[str], bool]:
    """What is tried of the characters that a text may begin with, and whether that is all."""
    firsts = _possible_firsts(node)
    if sum(high - low + 1 for low, high in firsts) <= _MAX_ALL:
        return node, (chr(point) for low, high in firsts for point in range(low, high + 1)), True
    likely = [each for each in _LIKELY if contains(firsts, ord(each))]
    return node, iter(likely or [chr(firsts[0][0])]), False


def _possible_firsts(node: Node) -> Ranges:
    """No text of a language begins with another character."""
    match node:
        case Chars(ranges):
            return ranges
        case Literal(text):
            return ((ord(text[0]), ord(text[0])),)
        case Cat(items):
            firsts: list[Ranges] = []
            for item in items:
                firsts.append(_possible_firsts(item))
                if not nullable(item):
                    break
            return union(*firsts)
        case Alt(items):
            return union(*map(_possible_firsts, items))
        case Repeat(item, _, _):
            return _possible_firsts(item)
        case Both(items):
            return reduce(intersection, map(_possible_firsts, items))
        case Machine(edges, _):
            return union(*(ranges for ranges, _ in edges[0]))
        case Not():
            return ANY
    raise AssertionError(node)
