"""Automata whose states are made when a text comes to them: for languages whose whole automaton is too large to make.

An intersection is followed in all of its parts at once, so that `hostname & .{1,253}` costs what a text meets of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from maze.grammar.budget import Construction
from maze.grammar.pattern.automaton import DEAD, Alphabet, Dfa, Positions, bits, make_dfa
from maze.grammar.pattern.code_points import Ranges
from maze.grammar.pattern.tree import Alt, Both, Machine, Node, Not, alt, is_plain, text_of

_MAX_KEPT_STATES = 2_000
"""Most states that are kept for the next text, at most some megabytes; beyond it all are forgotten at once."""
_MAX_POSITIONS = 10_000
"""Most positions of one expression."""

_Places = tuple[int, ...]
"""By part of the language: where in it the last character may have stood, 0 if nowhere."""
_Question = Callable[[_Places], bool]


@dataclass(slots=True, eq=False)
class _State:
    places: _Places
    is_accepting: bool
    next: dict[str, _State | None] = field(default_factory=dict)
    """By character, as far as it has been met; None where no text of the language goes on with it."""


class _ExpressionPart:
    """A part of the language that is one expression: an automaton whose last position is the start."""

    def __init__(self, node: Node, alphabet: Alphabet, budget: Construction) -> None:
        positions = Positions(node, alphabet, budget, _MAX_POSITIONS)
        self._follow = [*positions.follow, positions.first]
        self.start = 1 << len(positions.follow)
        self._last = positions.last | (self.start if positions.nullable else 0)
        self._by_group = [0] * alphabet.size
        for position, mask in enumerate(positions.groups):
            budget.spend(mask.bit_count())
            for group in bits(mask):
                self._by_group[group] |= 1 << position

    def after(self, places: int, group: int) -> int:
        following = 0
        for position in bits(places):
            following |= self._follow[position]
        return following & self._by_group[group]

    def ends(self, places: int) -> bool:
        return bool(places & self._last)


class _MachinePart:
    """A part of the language that is a finished automaton; a place is the number of a state, from 1 on."""

    start = 1

    def __init__(self, dfa: Dfa) -> None:
        self._next = dfa.next
        self._accepting = dfa.accepting

    def after(self, places: int, group: int) -> int:
        target = self._next[places - 1][group] if places else DEAD
        return 0 if target == DEAD else target + 1

    def ends(self, places: int) -> bool:
        return places - 1 in self._accepting


class _TextsPart:
    """Some texts, as a tree of their beginnings; a place is the number of one, from 1 on."""

    start = 1

    def __init__(self, texts: list[str], alphabet: Alphabet, budget: Construction) -> None:
        self._next: list[dict[int, int]] = [{}, {}]
        self._ends: set[int] = set()
        for text in texts:
            budget.spend(1 + len(text))
            place = self.start
            for character in text:
                group = alphabet.group_of(character)
                if group not in self._next[place]:
                    self._next[place][group] = len(self._next)
                    self._next.append({})
                place = self._next[place][group]
            self._ends.add(place)

    def after(self, places: int, group: int) -> int:
        return self._next[places].get(group, 0)

    def ends(self, places: int) -> bool:
        return places in self._ends


_Part = _ExpressionPart | _MachinePart | _TextsPart


def _joined(
    questions: list[tuple[_Question, _Question]], join: Callable[[Iterable[bool]], bool]
) -> tuple[_Question, _Question]:
    if len(questions) == 1:
        return questions[0]
    return (
        lambda places: join(ends(places) for ends, _ in questions),
        lambda places: join(goes_on(places) for _, goes_on in questions),
    )


class Recogniser:
    """Tells the texts of a language from all others, in time linear in the text. Threads may share one."""

    def __init__(self, language: Node, budget: Construction) -> None:
        """Raises OverBudgetError, for an expression with very many positions too."""
        self._alphabet = Alphabet([language], budget)
        groups = (self._alphabet.ranges_of(1 << group, budget) for group in range(self._alphabet.size))
        self._examples = [chr(ranges[0][0]) for ranges in groups if ranges]
        self._parts: list[_Part] = []
        self._accepting, self._alive = self._questions(language, budget)
        places = tuple(part.start for part in self._parts)
        self._start = _State(places, self._accepting(places))
        self._states: dict[_Places, _State] = {}

    def _questions(self, node: Node, budget: Construction) -> tuple[_Question, _Question]:
        """Whether a text may end at some places, and whether it may perhaps go on from there or end."""
        match node:
            case Not(item):
                inner, _ = self._questions(item, budget)
                return lambda places: not inner(places), lambda _: True
            case Both(items):
                return _joined([self._questions(item, budget) for item in items], all)
            case Machine():
                return self._of_part(_MachinePart(make_dfa(node, self._alphabet, budget)))
            case Alt(items):
                budget.spend(len(items))
                texts = [text for item in items if (text := text_of(item)) is not None]
                others = [item for item in items if text_of(item) is None]
                plain = [item for item in others if is_plain(item)]
                found = [self._questions(item, budget) for item in others if not is_plain(item)]
                if plain:
                    found.append(self._of_part(_ExpressionPart(alt(*plain), self._alphabet, budget)))
                if texts:
                    found.append(self._of_part(_TextsPart(texts, self._alphabet, budget)))
                return _joined(found, any)
        return self._of_part(_ExpressionPart(node, self._alphabet, budget))

    def _of_part(self, part: _Part) -> tuple[_Question, _Question]:
        number = len(self._parts)
        self._parts.append(part)
        return lambda places: part.ends(places[number]), lambda places: bool(places[number])

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

    def shortest(self, budget: Construction) -> str | None:
        """A shortest text of the language; None if there is none at all. Raises OverBudgetError."""
        return self._shortest_from(self._start, budget)

    def first_characters(self, budget: Construction) -> Ranges:
        """What the texts of the language begin with. Raises OverBudgetError."""
        groups = [
            self._alphabet.group_of(character)
            for character, following in self._steps(self._start, budget)
            if self._shortest_from(following, budget) is not None
        ]
        return self._alphabet.ranges_of(sum(1 << group for group in groups), budget)

    def _shortest_from(self, start: _State, budget: Construction) -> str | None:
        pending = [("", start)]
        met = {start.places}
        for text, state in pending:
            if state.is_accepting:
                return text
            for character, following in self._steps(state, budget):
                if following.places not in met:
                    met.add(following.places)
                    pending.append((text + character, following))
        return None

    def _steps(self, state: _State, budget: Construction) -> Iterator[tuple[str, _State]]:
        budget.spend(len(self._examples) * (len(self._parts) + sum(map(int.bit_count, state.places)) // 8))
        for character in self._examples:
            following = self._next(state, character)
            if following is not None:
                yield character, following

    def _next(self, state: _State, character: str) -> _State | None:
        group = self._alphabet.group_of(character)
        places = tuple([part.after(before, group) for part, before in zip(self._parts, state.places, strict=True)])
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
