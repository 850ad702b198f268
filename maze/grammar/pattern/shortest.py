"""The shortest text of a regular expression: always the same one, in printable characters where there is a choice."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from maze.grammar.budget import Construction, OverBudgetError
from maze.grammar.pattern.automaton import DEAD, Alphabet, Dfa, make_dfa
from maze.grammar.pattern.code_points import Ranges, intersection
from maze.grammar.pattern.derivative import Derivatives, first_characters
from maze.grammar.pattern.machine import FEW_POSITIONS, with_small_items
from maze.grammar.pattern.recogniser import Recogniser
from maze.grammar.pattern.tree import (
    NOTHING,
    Alt,
    Both,
    Cat,
    Chars,
    Literal,
    Node,
    Repeat,
    is_plain,
    nullable,
    positions_of,
    size_of,
)

Cost: TypeAlias = tuple[int, int]
"""Characters, and how many of them cannot be printed."""

_PREFERRED: tuple[Ranges, ...] = (
    ((0x61, 0x7A),),
    ((0x41, 0x5A),),
    ((0x30, 0x39),),
    ((0x21, 0x7E),),
    ((0x20, 0x7E),),
)


_MAX_REMEMBERED_POSITIONS = 2_000
"""Of expressions whose texts are remembered: those of whole languages have up to 800."""


def cost_of(text: str) -> Cost:
    """What a text is compared by."""
    return len(text), sum(not character.isprintable() for character in text)


def shortest_of(node: Node, budget: Construction) -> str | None:
    """The shortest text of an expression; None if it has none. Raises OverBudgetError."""
    match node:
        case Chars(ranges):
            return _preferred(ranges) if ranges else None
        case Literal(text):
            budget.spend(len(text))
            return text
        case _ if not is_plain(node):
            wanted = _Wanted(node, budget)
            return _remembered(wanted) if positions_of(node) <= _MAX_REMEMBERED_POSITIONS else _searched(wanted)
        case Cat(items):
            parts = [shortest_of(item, budget) for item in items]
            return None if None in parts else "".join(part or "" for part in parts)
        case Alt(items):
            ways = [way for item in items if (way := shortest_of(item, budget)) is not None]
            return min(ways, key=cost_of, default=None)
        case Repeat(item, low, _):
            once = shortest_of(item, budget) if low else ""
            budget.spend(low * len(once or ""))
            return None if once is None else once * low
    raise AssertionError(node)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An expression whose shortest text is searched for. The same expression has the same text, whoever asks."""

    node: Node
    budget: Construction = field(compare=False)


def _searched(wanted: _Wanted) -> str | None:
    found = _small_automaton(wanted.node, wanted.budget)
    return _by_derivatives(wanted.node, wanted.budget) if found is None else _by_automaton(*found, wanted.budget)


_remembered = lru_cache(maxsize=256)(_searched)
"""For each text that is continued or ended the terminals of its grammar are asked for again."""


def has_text(node: Node, budget: Construction) -> bool:
    """Whether any text is in a language. Raises OverBudgetError."""
    return shortest_of(node, budget) is not None


def first_characters_by_trial(node: Node, derivatives: Derivatives, budget: Construction) -> Ranges:
    """What the texts of any expression begin with. Raises OverBudgetError."""
    match node:
        case Cat((first, *others)) if is_plain(first) and not nullable(first):
            if all(is_plain(each) or nullable(each) for each in others):  # so that others take some text
                return first_characters(first)
    found = _small_automaton(node, budget)
    if found is not None:
        alphabet, dfa = found
        return alphabet.ranges_of(sum(1 << group for group, to in enumerate(dfa.next[0]) if to != DEAD), budget)
    try:
        return Recogniser(node, budget).first_characters(budget)
    except OverBudgetError:
        # It has automata for what is within an expression, which can be too large where derivatives are not.
        alphabet = Alphabet([node], budget)
        characters = _representatives(alphabet, budget)
        firsts = [group for group, each in characters.items() if has_text(derivatives.of(node, each), budget)]
        return alphabet.ranges_of(sum(1 << group for group in firsts), budget)


def _small_automaton(node: Node, budget: Construction) -> tuple[Alphabet, Dfa] | None:
    """An automaton with its alphabet, if it is soon made."""
    small = with_small_items(node, budget)
    if positions_of(small) > FEW_POSITIONS:
        return None
    alphabet = Alphabet([small], budget)
    try:
        return alphabet, make_dfa(small, alphabet, budget)
    except OverBudgetError:
        return None


def _by_automaton(alphabet: Alphabet, dfa: Dfa, budget: Construction) -> str | None:
    """Dijkstra's algorithm over a finished automaton."""
    characters = _representatives(alphabet, budget)
    heap: list[tuple[Cost, int, str]] = [((0, 0), 0, "")]
    settled: set[int] = set()
    while heap:
        _, state, text = heapq.heappop(heap)
        if state in dfa.accepting:
            return text
        if state in settled:
            continue
        settled.add(state)
        for group, character in characters.items():
            target = dfa.next[state][group]
            if target != DEAD and target not in settled:
                budget.spend(1 + len(text))
                heapq.heappush(heap, (cost_of(text + character), target, text + character))
    return None


def _by_derivatives(node: Node, budget: Construction) -> str | None:
    """A* over the derivatives, of which a long counted repetition has too many to make them all."""
    derivatives = Derivatives(budget)
    characters = list(_representatives(Alphabet([node], budget), budget).values())
    heap: list[tuple[Cost, int, int, str, Node]] = [((least_length(node), 0), 0, 0, "", node)]
    settled: set[Node] = set()
    number = 0
    while heap:
        _, _, _, text, rest = heapq.heappop(heap)
        if nullable(rest):
            return text
        if rest in settled:
            continue
        settled.add(rest)
        for character in characters:
            after = derivatives.of(rest, character)
            budget.spend(len(text) + size_of(after))
            if after == NOTHING or after in settled:
                continue
            number += 1
            length, unprintable = cost_of(text + character)
            heapq.heappush(
                heap, ((length + least_length(after), unprintable), -length, number, text + character, after)
            )
    return None


def least_length(node: Node) -> int:
    """No text of the expression has fewer characters."""
    match node:
        case Chars():
            return 1
        case Literal(text):
            return len(text)
        case Cat(items):
            return sum(map(least_length, items))
        case Alt(items):
            return min(map(least_length, items))
        case Both(items):
            return max(map(least_length, items))
        case Repeat(item, low, _):
            return low and low * least_length(item)
    return 0


def _representatives(alphabet: Alphabet, budget: Construction) -> dict[int, str]:
    """A character of each group that has one."""
    sets = {group: alphabet.ranges_of(1 << group, budget) for group in range(alphabet.size)}
    return {group: _preferred(ranges) for group, ranges in sets.items() if ranges}


def _preferred(ranges: Ranges) -> str:
    """The character of a set that is written where any would do."""
    for wanted in _PREFERRED:
        if found := intersection(ranges, wanted):
            return chr(found[0][0])
    firsts = [chr(low) for low, _ in ranges]
    return next((character for character in firsts if character.isprintable()), firsts[0])
