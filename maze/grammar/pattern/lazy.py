"""Questions about a regular language, answered by walking its automaton without building it first.

A language of many conditions has an automaton of many states, of which a question meets few.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property, lru_cache
from typing import Any, Protocol, TypeAlias

from maze.grammar.pattern.automaton import (
    DEAD,
    Alphabet,
    Budget,
    Dfa,
    OverBudgetError,
    Positions,
    bits,
    make_dfa,
)
from maze.grammar.pattern.code_points import contains
from maze.grammar.pattern.tree import (
    ANYTHING,
    NOTHING,
    Alt,
    Both,
    Cat,
    Chars,
    Literal,
    Node,
    Not,
    Repeat,
    alt,
    is_plain,
    negation,
    text_of,
)

MAX_LISTING_STEPS = 20_000
"""Most steps in the search for all texts of a language."""
MAX_SEARCH_STEPS = 60_000
"""Most steps in the search for a text."""


def is_nothing(language: Node) -> bool | None:
    """Whether no text is in a language; None where that is too much work to find out."""
    if is_plain(language):
        return language == NOTHING  # the functions that make nodes leave out what has no text
    if isinstance(language, Both):
        for item in language.items:
            if negation(item) in language.items:
                return True
            if (texts := _only_texts(item)) is not None:
                return not any(accepts(language, text) for text in texts)
    try:
        return not any(accepts(language, text) for text in _samples(language)) and _Questions.of(language).is_nothing
    except OverBudgetError:
        return None


def _only_texts(node: Node) -> list[str] | None:
    """The texts of a language that is a list of them."""
    texts = [text_of(item) for item in (node.items if isinstance(node, Alt) else (node,))]
    return [text for text in texts if text is not None] if None not in texts else None


_ODD_TEXTS = ("a", "Zq7", "\x01 \ufdd0", "", "0", "1", "12", "-7", "0.5", "-q_Z.7/x")
"""Texts that what leaves something out mostly does not leave out."""
_MAX_SAMPLES = 12


def _samples(language: Node) -> list[str]:
    """Some texts that may well be in a language, if any are."""
    match language:
        case Both(items):
            wanted = [item for item in items if not isinstance(item, Not)]
            found = [text for item in wanted for text in _samples(item)]
            return [*found, *_ODD_TEXTS]
        case Not():
            return list(_ODD_TEXTS)
    return _texts(language)


def _texts(node: Node) -> list[str]:
    match node:
        case Chars(ranges):
            likely = [character for character in "a0Z_ " if contains(ranges, ord(character))]
            return (likely or [chr(low) for low, _ in ranges])[:3]
        case Literal(text):
            return [text]
        case Alt(items):
            return [text for item in items[:_MAX_SAMPLES] for text in _texts(item)[:2]][:_MAX_SAMPLES]
        case Repeat(item, low, high):
            once = _texts(item)[:2]
            longer = low + 1 if high is None or high > low else low
            return [text * count for text in once for count in (low, longer)]
        case Cat(items):
            found = [""]
            for item in items:
                choices = _texts(item)
                found = (
                    [before + choices[index % len(choices)] for index, before in enumerate(found)]
                    + [found[0] + choice for choice in choices[1:]]
                    if choices
                    else []
                )
            return found[:_MAX_SAMPLES]
    return _samples(node) if isinstance(node, Both | Not) else []


def accepts(language: Node, text: str) -> bool:
    """Whether a text is in a language. Raises OverBudgetError."""
    if language == ANYTHING:
        return True
    match language:
        case Literal(only):
            return only == text
        case Chars(ranges):
            return len(text) == 1 and contains(ranges, ord(text))
        case Alt(items):
            return any(accepts(item, text) for item in items)
        case Both(items):
            return all(accepts(item, text) for item in items)
        case Not(item):
            return not accepts(item, text)
    return _Questions.of(language).accepts(text)


_State: TypeAlias = Any
"""Each kind of automaton has its own; it can be hashed."""


class _Walker(Protocol):
    """An automaton whose states are made as they are reached; None is the state that no text leads out of."""

    start: _State

    def step(self, state: _State, group: int) -> _State | None: ...

    def accepting(self, state: _State) -> bool: ...


def texts_of(language: Node, most: int) -> list[str] | None:
    """All texts of a language, if they are `most` at most and quickly found; None otherwise."""
    if (texts := _only_texts(language)) is not None:
        return texts if len(texts) <= most else None
    alphabet, budget = Alphabet([language]), Budget(MAX_LISTING_STEPS)
    try:
        automaton = make_dfa(language, alphabet, budget)
        return _listed(automaton, alphabet, budget, most)
    except OverBudgetError:
        return None


def _listed(automaton: Dfa, alphabet: Alphabet, budget: Budget, most: int) -> list[str] | None:
    """All its texts; each state leads to one, so that more than `most` show soon."""
    pending = deque([("", 0)])
    found: list[str] = []
    while pending and len(found) + len(pending) <= most:
        text, state = pending.popleft()
        if state in automaton.accepting:
            found.append(text)
        budget.spend(alphabet.size)
        for group, following in enumerate(automaton.next[state]):
            if following != DEAD:
                ranges = alphabet.ranges_of(1 << group)
                if sum(high - low + 1 for low, high in ranges) > most:
                    return None
                pending.extend((text + chr(point), following) for low, high in ranges for point in range(low, high + 1))
    return None if pending else found


class _Questions:
    def __init__(self, language: Node) -> None:
        self._alphabet = Alphabet([language])
        self._walker = _walker(language, self._alphabet, Budget())

    @staticmethod
    @lru_cache(maxsize=2048)
    def of(language: Node) -> _Questions:
        return _Questions(language)

    @cached_property
    def is_nothing(self) -> bool | None:
        try:
            return self._search(Budget(MAX_SEARCH_STEPS))
        except OverBudgetError:
            return None

    def _search(self, budget: Budget) -> bool:
        walker = self._walker
        pending = deque([walker.start])
        seen = {walker.start}
        while pending:
            state = pending.popleft()
            if walker.accepting(state):
                return False
            budget.spend(self._alphabet.size)
            for group in range(self._alphabet.size):
                following = walker.step(state, group)
                if following is not None and following not in seen:
                    seen.add(following)
                    pending.append(following)
        return True

    def accepts(self, text: str) -> bool:
        state: _State | None = self._walker.start
        for character in text:
            state = self._walker.step(state, self._alphabet.group_of(character))
            if state is None:
                return False
        return self._walker.accepting(state)


def _walker(node: Node, alphabet: Alphabet, budget: Budget) -> _Walker:
    match node:
        case Both(items):
            return _All([_walker(item, alphabet, budget) for item in items])
        case Not(item):
            return _Contrary(_walker(item, alphabet, budget))
        case Alt(items):
            texts = [text for item in items if (text := text_of(item)) is not None]
            others = [item for item in items if text_of(item) is None]
            if is_plain(node):
                others = [alt(*others)] if others else []
            walkers = [_walker(item, alphabet, budget) for item in others] if texts or not is_plain(node) else []
            if texts:
                walkers.append(_Texts(texts, alphabet))
            if walkers:
                return walkers[0] if len(walkers) == 1 else _Any(walkers)
    return _Places(Positions(node, alphabet, budget), alphabet.size)


class _Places:
    """A plain expression: a state is the set of places that the last character may have stood at, as bits."""

    start: _State = -1

    def __init__(self, positions: Positions, groups: int) -> None:
        self._positions = positions
        self._by_group = [0] * groups
        for position, mask in enumerate(positions.groups):
            for group in bits(mask):
                self._by_group[group] |= 1 << position
        self._following: dict[int, int] = {self.start: positions.first}

    def step(self, state: int, group: int) -> int | None:
        following = self._following.get(state)
        if following is None:
            following = 0
            for position in bits(state):
                following |= self._positions.follow[position]
            self._following[state] = following
        return following & self._by_group[group] or None

    def accepting(self, state: int) -> bool:
        return self._positions.nullable if state == self.start else bool(state & self._positions.last)


class _Texts:
    """Some texts, as a tree of their beginnings."""

    start: _State = 0

    def __init__(self, texts: list[str], alphabet: Alphabet) -> None:
        self._next: list[dict[int, int]] = [{}]
        self._ends: set[int] = set()
        for text in texts:
            state = 0
            for character in text:
                group = alphabet.group_of(character)
                if group not in self._next[state]:
                    self._next[state][group] = len(self._next)
                    self._next.append({})
                state = self._next[state][group]
            self._ends.add(state)

    def step(self, state: int, group: int) -> int | None:
        return self._next[state].get(group)

    def accepting(self, state: int) -> bool:
        return state in self._ends


class _All:
    def __init__(self, walkers: list[_Walker]) -> None:
        self._walkers = walkers
        self.start: _State = tuple(walker.start for walker in walkers)

    def step(self, state: _State, group: int) -> _State | None:
        reached = []
        for walker, each in zip(self._walkers, state, strict=True):
            following = walker.step(each, group)
            if following is None:
                return None
            reached.append(following)
        return tuple(reached)

    def accepting(self, state: _State) -> bool:
        return all(walker.accepting(each) for walker, each in zip(self._walkers, state, strict=True))


class _Any:
    def __init__(self, walkers: list[_Walker]) -> None:
        self._walkers = walkers
        self.start: _State = tuple(walker.start for walker in walkers)

    def step(self, state: _State, group: int) -> _State | None:
        reached = tuple(
            None if each is None else walker.step(each, group)
            for walker, each in zip(self._walkers, state, strict=True)
        )
        return None if all(each is None for each in reached) else reached

    def accepting(self, state: _State) -> bool:
        return any(
            each is not None and walker.accepting(each) for walker, each in zip(self._walkers, state, strict=True)
        )


class _Contrary:
    """Every text that another refuses. "out" is where it has refused for good."""

    def __init__(self, walker: _Walker) -> None:
        self._walker = walker
        self.start: _State = walker.start

    def step(self, state: _State, group: int) -> _State | None:
        following = None if state == "out" else self._walker.step(state, group)
        return "out" if following is None else following

    def accepting(self, state: _State) -> bool:
        return state == "out" or not self._walker.accepting(state)
