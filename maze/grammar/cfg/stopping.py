"""Where a lexer that takes the longest match can stop: with which characters the next terminal can begin.

Beside `inner join` a lexer that has read the name `inner` cannot stop at a space, but it can once it has read `inners`.
"""

from __future__ import annotations

from collections.abc import Sequence

from maze.grammar.budget import Construction
from maze.grammar.pattern.automaton import DEAD, Alphabet, Dfa, make_dfa
from maze.grammar.pattern.tree import Alt, Node


def stops_of(trees: Sequence[Node], among: Sequence[Node], alphabet: Alphabet, budget: Construction) -> list[int]:
    """For each terminal the characters, as groups, before which a lexer can stop whatever it has read of it so far.

    When it stops it has read all of the terminal, and no text of `among` goes on. Raises OverBudgetError.
    """
    every = make_dfa(Alt(tuple(among)), alphabet, budget)
    ends = [sum(1 << group for group, target in enumerate(row) if target == DEAD) for row in every.next]
    return [_stops(make_dfa(tree, alphabet, budget), every, ends, budget) for tree in trees]


def _stops(terminal: Dfa, every: Dfa, ends: Sequence[int], budget: Construction) -> int:
    states = [(0, 0)]
    numbers = {(0, 0): 0}
    sources: list[list[int]] = [[]]
    for number, (own, other) in enumerate(states):
        budget.spend(len(terminal.next[own]))
        for pair in zip(terminal.next[own], every.next[other], strict=True):
            if DEAD in pair:
                continue
            if pair not in numbers:
                numbers[pair] = len(states)
                states.append(pair)
                sources.append([])
            sources[numbers[pair]].append(number)
    found = [ends[other] if own in terminal.accepting else 0 for own, other in states]
    todo = list(range(len(states)))
    while todo:
        number = todo.pop()
        for source in sources[number]:
            budget.spend(1)
            if found[number] & ~found[source]:
                found[source] |= found[number]
                todo.append(source)
    stops = -1
    for each in found:
        stops &= each
    return stops
