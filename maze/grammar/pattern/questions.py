"""Questions about regular languages, each of which is answered once in one compilation."""

from __future__ import annotations

from collections import deque

from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.pattern.automaton import DEAD, Alphabet, make_dfa
from maze.grammar.pattern.code_points import contains
from maze.grammar.pattern.recogniser import Recogniser
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
    both,
    is_plain,
    literal,
    text_of,
)

MAX_LISTING_STEPS = 20_000
"""Most steps in the search for all texts of a language."""
MAX_SEARCH_STEPS = 100_000
"""Most steps in the search for a text."""


class Questions:
    """Those of one compilation."""

    def __init__(self, budget: Budget, search_steps: int = MAX_SEARCH_STEPS) -> None:
        self._budget = budget
        self._search_steps = search_steps
        self._recognisers: dict[Node, Recogniser] = {}
        self._nothing: dict[Node, bool | None] = {}
        self._texts: dict[int, tuple[Alt, frozenset[str] | None]] = {}
        """By identity, as looking up many texts costs as much as making a set of them; the first keeps it valid."""

    def is_nothing(self, language: Node) -> bool | None:
        """Whether no text is in a language; None where that is too much work to find out."""
        if is_plain(language):
            return language == NOTHING  # the functions that make nodes leave out what has no text
        if language not in self._nothing:
            try:
                self._nothing[language] = self._is_nothing(language)
            except OverBudgetError:
                self._nothing[language] = None
        return self._nothing[language]

    def _is_nothing(self, language: Node) -> bool:
        if isinstance(language, Both):
            excluded = {each for item in language.items if isinstance(item, Not) for each in _alternatives(item.item)}
            for item in language.items:
                if excluded.issuperset(_alternatives(item)):
                    return True
                if (texts := listed_texts(item)) is not None:
                    return not any(self.accepts(language, text) for text in texts)
        if self.has_a_sample(language):
            return False
        return self._recogniser(language).shortest(self._budget.construction(self._search_steps)) is None

    def has_a_sample(self, language: Node) -> bool:
        """Whether one of a few texts that may well be in a language is. Raises OverBudgetError."""
        return any(self.accepts(language, text) for text in _samples(language))

    def accepts(self, language: Node, text: str) -> bool:
        """Whether a text is in a language. Raises OverBudgetError."""
        self._budget.spend(1)
        if language == ANYTHING:
            return True
        match language:
            case Literal(only):
                return only == text
            case Chars(ranges):
                return len(text) == 1 and contains(ranges, ord(text))
            case Alt(items):
                if (texts := self._texts_in(language)) is not None:
                    return text in texts
                return any(self.accepts(item, text) for item in items)
            case Both(items):
                return all(self.accepts(item, text) for item in items)
            case Not(item):
                return not self.accepts(item, text)
            case Repeat(Chars(ranges), low, high):
                self._budget.spend(len(text))
                is_long_enough = low <= len(text) and (high is None or len(text) <= high)
                return is_long_enough and all(contains(ranges, ord(character)) for character in text)
        self._budget.spend(len(text))
        return self._recogniser(language).accepts(text)

    def _texts_in(self, language: Alt) -> frozenset[str] | None:
        """The texts of a language that is a list of them."""
        if id(language) not in self._texts:
            self._budget.spend(len(language.items))
            texts = listed_texts(language)
            self._texts[id(language)] = language, None if texts is None else frozenset(texts)
        return self._texts[id(language)][1]

    def meet(self, *languages: Node) -> Node:
        """The intersection; of a list of texts with anything, a shorter list."""
        found = both(*languages)
        if isinstance(found, Both):
            for item in found.items:
                if (texts := listed_texts(item)) is not None:
                    others = [other for other in found.items if other != item]
                    try:
                        return alt(
                            *(literal(text) for text in texts if all(self.accepts(other, text) for other in others))
                        )
                    except OverBudgetError:
                        return found
        return found

    def texts_of(self, language: Node, most: int) -> list[str] | None:
        """All texts of a language, if they are `most` at most and quickly found; None otherwise."""
        if (texts := listed_texts(language)) is not None:
            return texts if len(texts) <= most else None
        try:
            return self._listed(language, most)
        except OverBudgetError:
            return None

    def _listed(self, language: Node, most: int) -> list[str] | None:
        """Each state leads to a text, so that more than `most` show soon."""
        budget = self._budget.construction(MAX_LISTING_STEPS)
        alphabet = Alphabet([language], budget)
        automaton = make_dfa(language, alphabet, budget)
        pending = deque([("", 0)])
        found: list[str] = []
        while pending and len(found) + len(pending) <= most:
            text, state = pending.popleft()
            if state in automaton.accepting:
                found.append(text)
            budget.spend(alphabet.size)
            for group, following in enumerate(automaton.next[state]):
                if following != DEAD:
                    ranges = alphabet.ranges_of(1 << group, budget)
                    if sum(high - low + 1 for low, high in ranges) > most:
                        return None
                    pending.extend(
                        (text + chr(point), following) for low, high in ranges for point in range(low, high + 1)
                    )
        return None if pending else found

    def _recogniser(self, language: Node) -> Recogniser:
        if language not in self._recognisers:
            self._recognisers[language] = Recogniser(language, self._budget.construction())
        return self._recognisers[language]


def _alternatives(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Alt) else (node,)


def listed_texts(node: Node) -> list[str] | None:
    """The texts of a language that is a list of them."""
    found: list[str] = []
    for item in node.items if isinstance(node, Alt) else (node,):
        if isinstance(item, Chars) and sum(high - low + 1 for low, high in item.ranges) <= _MAX_LISTED_CHARACTERS:
            found.extend(chr(point) for low, high in item.ranges for point in range(low, high + 1))
        elif (text := text_of(item)) is not None:
            found.append(text)
        else:
            return None
    return found


_MAX_LISTED_CHARACTERS = 100
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
