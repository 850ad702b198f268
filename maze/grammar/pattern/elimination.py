"""From automata whose edges are expressions back to one expression, by state elimination."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

from maze.grammar.budget import Construction, OverBudgetError
from maze.grammar.pattern.tree import EMPTY, NOTHING, Node, alt, cat, repeat, size_of

MAX_EXPRESSION_SIZE = 1_000
"""Largest expression that an automaton is turned back into, as size_of() counts."""

Ways: TypeAlias = dict[int, dict[int, Node]]
"""By source and target, which are not negative: the texts that lead from the one to the other."""

_Way = TypeVar("_Way")


def expression_of(
    ways: Ways, start: int, ends: Iterable[int], budget: Construction, most: int = MAX_EXPRESSION_SIZE
) -> Node:
    """The texts that lead from `start` to one of `ends`. The ways are used up.

    Raises OverBudgetError, also for an expression larger than `most`.
    """

    def join(beside: Node | None, before: Node, loop: Node | None, after: Node) -> Node:
        again = EMPTY if loop is None else repeat(loop, 0, None)
        joined = alt(NOTHING if beside is None else beside, cat(before, again, after))
        size = size_of(joined)
        budget.spend(size)
        if size > most:
            raise OverBudgetError
        return joined

    found = eliminate(ways, start, ends, EMPTY, join, budget.spend)
    return NOTHING if found is None else found


def eliminate(
    ways: dict[int, dict[int, _Way]],
    start: int,
    ends: Iterable[int],
    empty: _Way,
    join: Callable[[_Way | None, _Way, _Way | None, _Way], _Way],
    spend: Callable[[int], None],
) -> _Way | None:
    """The way from `start` to one of `ends`; None if there is none. The ways are used up.

    `join` makes of a way, if there is one, and of one before, around (if there is one) and after a state the way beside
    that state and through it.
    """
    first, last = -1, -2
    ways[first] = {start: empty}
    for end in ends:
        ways.setdefault(end, {})[last] = empty
    into: dict[int, set[int]] = {}
    for source, targets in ways.items():
        for target in targets:
            into.setdefault(target, set()).add(source)
    states = (set(ways) | set(into)) - {first, last}
    while states:
        # The state with the fewest ways through it goes first; ties by number, so that the outcome is always the same.
        spend(len(states))
        state = min(states, key=lambda number: (len(into.get(number, ())) * len(ways.get(number, ())), number))
        states.remove(state)
        leaving = ways.pop(state, {})
        loop = leaving.pop(state, None)
        for target in leaving:
            into[target].discard(state)
        for source in sorted(into.pop(state, set()) - {state}):
            before = ways[source].pop(state)
            for target, after in leaving.items():
                ways[source][target] = join(ways[source].get(target), before, loop, after)
                into[target].add(source)
    return ways[first].get(last)
