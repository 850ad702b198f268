"""Automata whose states are made when a text comes to them: for languages whose whole automaton is too large to make.

An intersection is followed in all of its parts at once, so that `hostname & .{1,253}` costs what a text meets of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from maze.grammar.pattern.automaton import DEAD, Alphabet, Budget, Dfa, Positions, bits, make_dfa
from maze.grammar.pattern.tree import Alt, Both, Machine, Node, Not, alt, is_plain

_MAX_KEPT_STATES = 2_000
"""Most states that are kept for the next text, at most some megabytes; beyond it all are forgotten at once."""
_MAX_POSITIONS = 10_000
"""Most positions of one expression."""

_Places = tuple[int, ...]
"""By part of the language: the positions that the last character may have stood at, as bits."""
_Question = Callable[[_Places], bool]


@dataclass(slots=True, eq=False)
class _State:
    places: _Places
    is_accepting: bool
    next: dict[str, _State | None] = field(default_factory=dict)
    """By character, as far as it has been met; None where no text of the language goes on with it."""


class _ExpressionPart:
    """A part of the language that is one expression: an automaton whose last position is the start."""

    def __init__(self, node: Node, alphabet: Alphabet, budget: Budget) -> None:
        positions = Positions(node, alphabet, budget, _MAX_POSITIONS)
        self._follow = [*positions.follow, positions.first]
        self.start = 1 << len(positions.follow)
        self.last = positions.last | (self.start if positions.nullable else 0)
        self._by_group = [0] * alphabet.size
        for position, mask in enumerate(positions.groups):
            for group in bits(mask):
                self._by_group[group] |= 1 << position

    def after(self, places: int, group: int) -> int:
        following = 0
        for position in bits(places):
            following |= self._follow[position]
        return following & self._by_group[group]


class _MachinePart:
    """A part of the language that is a finished automaton; its places are its states."""

    start = 1

    def __init__(self, dfa: Dfa) -> None:
        self._next = dfa.next
        self.last = sum(1 << state for state in dfa.accepting)

    def after(self, places: int, group: int) -> int:
        target = self._next[places.bit_length() - 1][group] if places else DEAD
        return 0 if target == DEAD else 1 << target


def _joined(
    questions: list[tuple[_Question, _Question]], join: Callable[[Iterable[bool]], bool]
) -> tuple[_Question, _Question]:
    return (
        lambda places: join(ends(places) for ends, _ in questions),
        lambda places: join(goes_on(places) for _, goes_on in questions),
    )


class Recogniser:
    """Tells the texts of a language from all others, in time linear in the text. Threads may share one."""

    def __init__(self, language: Node) -> None:
        """Raises OverBudgetError for an expression with very many positions."""
        self._alphabet = Alphabet([language])
        groups = (self._alphabet.ranges_of(1 << group) for group in range(self._alphabet.size))
        self._examples = [chr(ranges[0][0]) for ranges in groups if ranges]
        self._parts: list[_ExpressionPart | _MachinePart] = []
        self._accepting, self._alive = self._questions(language, Budget())
        places = tuple(part.start for part in self._parts)
        self._start = _State(places, self._accepting(places))
        self._states: dict[_Places, _State] = {}

    def _questions(self, node: Node, budget: Budget) -> tuple[_Question, _Question]:
        """Whether a text may end at some places, and whether it may perhaps go on from there or end."""
        if isinstance(node, Not):
            inner, _ = self._questions(node.item, budget)
            return lambda places: not inner(places), lambda _: True
        if isinstance(node, Both):
            return _joined([self._questions(item, budget) for item in node.items], all)
        if isinstance(node, Alt) and not is_plain(node):
            plain = [item for item in node.items if is_plain(item)]
            others = [item for item in node.items if not is_plain(item)]
            items = [*others, alt(*plain)] if plain else others
            return _joined([self._questions(item, budget) for item in items], any)
        number = len(self._parts)
        part = (
            _MachinePart(make_dfa(node, self._alphabet, budget))
            if isinstance(node, Machine)
            else _ExpressionPart(node, self._alphabet, budget)
        )
        self._parts.append(part)
        return lambda places: bool(places[number] & part.last), lambda places: bool(places[number])

    def accepts(self, text: str) -> bool:
        """Whether a text is in the language."""
        state = self._start
        for character in text:
            try:
                following = state.next[character]
            except KeyError:
                following = self._next(state, character)
            if following is None:
                return False
            state = following
        return state.is_accepting

    def shortest(self, budget: Budget) -> str | None:
        """A shortest text of the language; None if there is none at all. Raises OverBudgetError."""
        pending = [("", self._start)]
        met = {self._start.places}
        for text, state in pending:
            if state.is_accepting:
                return text
            budget.spend(len(self._examples) * sum(places.bit_count() for places in state.places))
            for character in self._examples:
                following = self._next(state, character)
                if following is not None and following.places not in met:
                    met.add(following.places)
                    pending.append((text + character, following))
        return None

    def _next(self, state: _State, character: str) -> _State | None:
        group = self._alphabet.group_of(character)
        places = tuple(part.after(before, group) for part, before in zip(self._parts, state.places, strict=True))
        following: _State | None = None
        if self._alive(places):
            following = self._states.get(places)
            if following is None:
                if len(self._states) >= _MAX_KEPT_STATES:
                    self._states = {}
                    self._start = _State(self._start.places, self._start.is_accepting)
                following = self._states[places] = _State(places, self._accepting(places))
        state.next[character] = following
        return following
