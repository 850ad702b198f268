"""The short ones among the endings of a text: what a model is left to choose from when it must end in time.

Rules keep the alternatives that lead to their shortest texts, so that nothing optional is begun; terminals keep their
texts that are little longer than their shortest, so that a string or a name that is to be written need not be empty,
and what has been begun can be brought to its end in words. All is less than the grammar allows, and never more.
"""

from __future__ import annotations

from dataclasses import dataclass

from maze.grammar.budget import Construction
from maze.grammar.cfg.analysis import circles, pruned
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Symbol, Terminal, references_of
from maze.grammar.cfg.shortest import ShortestTexts
from maze.grammar.cfg.terminal_states import is_rest
from maze.grammar.pattern.code_points import ANY, Ranges
from maze.grammar.pattern.shortest import least_length
from maze.grammar.pattern.tree import (
    Alt,
    Cat,
    Chars,
    Node,
    Repeat,
    alt,
    both,
    cat,
    greatest_length,
    is_plain,
    literal,
    repeat,
)

_ROOMS = (256, 128, 64, 32, 16, 8, 4, 2, 1, 0)
"""Characters that a terminal may have beyond its shortest text, tried from the most on."""
CHARACTERS_PER_TOKEN = 2
"""Of fixed texts in ASCII, such as keywords and the names of properties. What terminals leave open is counted one by
one, as a token has one digit. Of other characters a token may have one byte alone: of emoji, models have few whole."""


def short_endings(rest: Cfg, begun: frozenset[str], tokens: int, shortest: ShortestTexts, budget: Construction) -> Cfg:
    """Those texts of `rest` that, by their length, take a model no more than so many tokens, or just the shortest.

    `begun` are the rules of a left quotient that are parts of others, and `shortest` the texts of `rest`. Raises
    OverBudgetError.
    """
    lengths = shortest.lengths()
    for room in _ROOMS:
        if room > tokens:
            continue  # a character that a terminal leaves open counts as a token
        shortened = _Shortened(rest, begun, room, shortest, lengths, budget)
        if room == 0 or shortened.most_tokens() < tokens:  # one is what ends the text
            return pruned(shortened.cfg)
    raise AssertionError(_ROOMS)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A production on its way into the grammar of short endings, and by how much it misses its rule's shortest text."""

    production: Production
    slack: int


class _Shortened:
    """The grammar with so much room for each terminal."""

    def __init__(
        self,
        rest: Cfg,
        begun: frozenset[str],
        room: int,
        shortest: ShortestTexts,
        lengths: dict[str, int],
        budget: Construction,
    ) -> None:
        self._begun = begun
        self._room = room
        self._shortest = shortest
        self._lengths = lengths
        self._budget = budget
        self._terminals: dict[Terminal, Terminal] = {}
        kept = {name: self._kept(name, productions) for name, productions in rest.rules.items() if name in lengths}
        self._drop_returns(kept)
        self.cfg = Cfg(
            rest.start,
            {name: tuple(self._production(each.production) for each in some) for name, some in kept.items()},
        )

    def most_tokens(self) -> float:
        """About how many tokens its texts have at most."""
        most: dict[str, float] = {}
        for circle in circles(self.cfg.rules):
            # What returns to a rule adds no character, or it would not lead to the shortest texts.
            longest = max(
                (
                    sum(self._most(symbol, most) for symbol in production)
                    for name in circle
                    for production in self.cfg.rules[name]
                ),
                default=0.0,
            )
            most.update(dict.fromkeys(circle, longest))
        return most[self.cfg.start]

    def _most(self, symbol: Symbol, most: dict[str, float]) -> float:
        if isinstance(symbol, Nonterminal):
            return most.get(symbol.name, 0.0)
        if isinstance(symbol, Literal):
            return most_tokens(symbol.text)
        return greatest_length(symbol.language, most_tokens, _most_tokens_of_one)

    def _kept(self, name: str, productions: tuple[Production, ...]) -> list[_Kept]:
        """The productions that lead to the shortest texts, and those that go on with what has been begun."""
        found = []
        for production in productions:
            self._budget.spend(1 + len(production))
            length = self._length(production)
            if length is None:
                continue
            slack = length - self._lengths[name]
            if slack == 0 or (slack <= self._room and name in self._begun and self._goes_on(production[0])):
                found.append(_Kept(production, slack))
        return found

    def _goes_on(self, symbol: Symbol) -> bool:
        return symbol.name in self._begun if isinstance(symbol, Nonterminal) else is_rest(symbol)

    def _length(self, production: Production) -> int | None:
        """The characters of its shortest text; None if it has none."""
        total = 0
        for symbol in production:
            if isinstance(symbol, Nonterminal):
                length = self._lengths.get(symbol.name)
            else:
                text = self._shortest.of_terminal(symbol)
                length = None if text is None else len(text)
            if length is None:
                return None
            total += length
        return total

    def _drop_returns(self, kept: dict[str, list[_Kept]]) -> None:
        """Leave out what would go on with what has been begun again and again, as a sum does with a further summand."""
        firsts = {
            name: [each.production[:1] for each in some if each.production and self._goes_on(each.production[0])]
            for name, some in kept.items()
        }
        for circle in map(frozenset, circles(firsts)):
            for name in circle:
                kept[name] = [
                    each
                    for each in kept[name]
                    if not each.slack or circle.isdisjoint(references_of([each.production[:1]]))
                ]

    def _production(self, production: Production) -> Production:
        return tuple(symbol if isinstance(symbol, Nonterminal) else self._terminal(symbol) for symbol in production)

    def _terminal(self, terminal: Terminal) -> Terminal:
        if isinstance(terminal, Literal):
            return terminal
        if terminal not in self._terminals:
            self._budget.spend(10)
            language = terminal.language
            if is_plain(language):
                language = shortened(language, self._room)
            else:
                least = self._shortest.of_terminal(terminal) or ""
                room = repeat(Chars(ANY), 0, len(least) + self._room)
                language = both(language, room) if self._room else literal(least)
            self._terminals[terminal] = Pattern(terminal.name, language)
        return self._terminals[terminal]


def most_tokens(text: str) -> float:
    """About how many tokens a text has at most."""
    size = len(text.encode())
    of_ascii = sum(map(str.isascii, text))
    return of_ascii / CHARACTERS_PER_TOKEN + (size - of_ascii)


def _most_tokens_of_one(ranges: Ranges) -> float:
    """Of a character that is left open: of these, models write the first ones most, and ASCII where they may."""
    return len(chr(ranges[0][0]).encode(errors="surrogatepass"))


def shortened(node: Node, room: int) -> Node:
    """Texts of a plain expression that have, about, up to `room` characters more than its shortest; not all of them."""
    match node:
        case Cat(items):
            share = room // (sum(not isinstance(item, Chars) for item in items) or 1)
            return cat(*(shortened(item, share) for item in items))
        case Alt(items):
            spare = {item: room + least_length(node) - least_length(item) for item in items}
            return alt(*(shortened(item, left) for item, left in spare.items() if left >= 0))
        case Repeat(item, low, high):
            count = low + room // max(1, least_length(item))
            # One more than needed in each, so that a string keeps its short escapes.
            return repeat(shortened(item, min(room, 1)), low, count if high is None else min(count, high))
    return node
