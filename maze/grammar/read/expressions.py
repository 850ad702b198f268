"""Rules made of regular operators, and the way from them to a context-free grammar over terminals.

The fewer and longer the terminals, the faster an engine decodes; but its lexer takes the longest match and never goes
back. So each part of an expression that refers to no recursive rule becomes one terminal, if it can be told that the
longest match is always the right one, and is taken apart if not, down to single characters, which never go wrong.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import or_
from typing import TypeAlias

from maze.grammar.cfg.analysis import following_masks
from maze.grammar.cfg.literals import split_literals
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Terminal, escaped

_MAX_POSITIONS = 300
"""Characters and classes in one terminal, repetitions written out; what is longer is taken apart."""
_MAX_ROUNDS = 40
_MAX_TERMINALS = 150
_MAX_GROUPS = 2_000
_MAX_STEPS = 1_000_000
"""Rounds, terminals, groups of characters and steps of comparing terminals; grammars that need more are taken apart
into texts and single classes at once."""
_SURROGATES = (0xD800, 0xDFFF)
_LAST_CHARACTER = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Text:
    """Exactly this text, which is not empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Letters:
    """One character out of sorted, separate ranges."""

    ranges: tuple[tuple[int, int], ...]

    @staticmethod
    def of(ranges: Iterable[tuple[int, int]]) -> Letters:
        """The characters in any of the ranges; surrogates, which are no characters, are left out."""
        cut: list[tuple[int, int]] = []
        for first, last in ranges:
            cut += [(first, min(last, _SURROGATES[0] - 1)), (max(first, _SURROGATES[1] + 1), last)]
        merged: list[tuple[int, int]] = []
        for first, last in sorted((first, last) for first, last in cut if first <= last):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        return Letters(tuple(merged))

    def others(self) -> Letters:
        """All characters but these."""
        gaps = []
        begin = 0
        for first, last in self.ranges:
            gaps.append((begin, first - 1))
            begin = last + 1
        return Letters.of([*gaps, (begin, _LAST_CHARACTER)])


@dataclass(frozen=True, slots=True)
class Reference:
    """What the rule of that name describes."""

    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of them."""

    options: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repetition:
    """From `least` to `most` times; None is without end."""

    item: Expression
    least: int
    most: int | None


Expression: TypeAlias = Text | Letters | Reference | Sequence | Choice | Repetition


def repetition(item: Expression, least: int, most: int | None) -> Expression:
    """The item that many times."""
    return item if (least, most) == (1, 1) else Repetition(item, least, most)


def to_cfg(start: str, rules: Mapping[str, Expression]) -> Cfg:
    """A grammar with the language of the rules, safe for a lexer that takes the longest match."""
    facts = _Facts(rules)
    taken_apart: set[Expression] = set()
    for _ in range(_MAX_ROUNDS):
        builder = _Builder(facts, taken_apart)
        cfg = builder.build(start)
        unsafe = _unsafe(cfg, builder.terminals, facts)
        if unsafe is None:
            break
        if not unsafe:
            return cfg
        taken_apart |= unsafe
    return _by_characters(start, facts)


def parts_of(*expressions: Expression) -> Iterator[Expression]:
    """The expressions and all expressions in them."""
    todo = list(expressions)
    while todo:
        expression = todo.pop()
        yield expression
        match expression:
            case Sequence(parts) | Choice(parts):
                todo += parts
            case Repetition(item):
                todo.append(item)


class _Facts:
    """What the builder asks about expressions: can they be one terminal, how long would it be, can it be empty."""

    def __init__(self, rules: Mapping[str, Expression]) -> None:
        self.rules = rules
        self.alphabet = _Alphabet(rules)
        self._positions: dict[str, int] = {}
        self._empty: dict[str, bool] = {}
        waiting: dict[str, list[str]] = {}
        missing: dict[str, int] = {}
        for name, expression in rules.items():
            needed = {part.name for part in parts_of(expression) if isinstance(part, Reference)}
            missing[name] = len(needed)
            for other in needed:
                waiting.setdefault(other, []).append(name)
        todo = [name for name, count in missing.items() if count == 0]
        while todo:
            name = todo.pop()
            self._positions[name] = self.positions(rules[name])
            self._empty[name] = self.can_be_empty(rules[name])
            for user in waiting.get(name, ()):
                missing[user] -= 1
                if missing[user] == 0:
                    todo.append(user)

    def positions(self, expression: Expression) -> int:
        """Characters and classes of the expression written out; over the limit also if it cannot be written out."""
        too_many = _MAX_POSITIONS + 1
        match expression:
            case Text(text):
                count = len(text)
            case Letters(ranges):
                count = 1 if ranges else too_many
            case Reference(name):
                count = self._positions.get(name, too_many)
            case Sequence(parts) | Choice(parts):
                count = sum(map(self.positions, parts))
            case Repetition(item, least, most):
                count = self.positions(item) * max(least, most or 1, 1)
        return min(count, too_many)

    def can_be_empty(self, expression: Expression) -> bool:
        """Whether the empty text is among its texts; asked of expressions without recursive rules only."""
        match expression:
            case Text() | Letters():
                return False
            case Reference(name):
                return self._empty[name]
            case Sequence(items):
                return all(map(self.can_be_empty, items))
            case Choice(options):
                return any(map(self.can_be_empty, options))
            case Repetition(item, least, most):
                return least == 0 or most == 0 or self.can_be_empty(item)

    def is_terminal(self, expression: Expression) -> bool:
        """Whether the expression can be one terminal of bearable length with at least one character."""
        return 1 <= self.positions(expression) <= _MAX_POSITIONS and not self.can_be_empty(expression)

    def regex(self, expression: Expression) -> str:
        """A regular expression, in parentheses where something may follow or precede it."""
        match expression:
            case Text(text):
                return escaped(text) if len(text) == 1 else f"({escaped(text)})"
            case Letters(ranges):
                return f"[{''.join(map(_range, ranges))}]"
            case Reference(name):
                return self.regex(self.rules[name])
            case Sequence(items):
                return f"({''.join(map(self.regex, items))})"
            case Choice(options):
                return f"({'|'.join(map(self.regex, options))})"
            case Repetition(item, least, most):
                return f"({self.regex(item)}{_count(least, most)})"


def _range(ends: tuple[int, int]) -> str:
    first, last = map(escaped, map(chr, ends))
    return first if first == last else f"{first}-{last}"


def _count(least: int, most: int | None) -> str:
    if most is None and least < 2:
        return "+" if least else "*"
    return f"{{{least},{'' if most is None else most}}}"


class _Builder:
    """Builds a grammar in which every expression is one terminal that can be one and is not to be taken apart."""

    def __init__(self, facts: _Facts, taken_apart: Collection[Expression], *, characters: bool = False) -> None:
        self._facts = facts
        self._taken_apart = taken_apart
        self._characters = characters
        self._rules: dict[str, tuple[Production, ...]] = {}
        self._helpers: dict[Expression, Nonterminal] = {}
        self._todo: list[str] = []
        self._name = ""
        self._parts = 0
        self.terminals: dict[Terminal, list[Expression]] = {}
        """Terminals that stand for more than one character class, with the expressions they stand for."""

    def build(self, start: str) -> Cfg:
        self._reference(start)
        while self._todo:
            self._name = self._todo.pop()
            self._parts = 0
            self._rules[self._name] = tuple(self._productions(self._facts.rules[self._name]))
        return Cfg(start, self._rules)

    def _reference(self, name: str) -> Nonterminal:
        if name not in self._rules:
            self._rules[name] = ()
            self._todo.append(name)
        return Nonterminal(name)

    def _is_terminal(self, expression: Expression) -> bool:
        if isinstance(expression, Letters):
            return bool(expression.ranges)
        if isinstance(expression, Text):
            return len(expression.text) == 1 or expression not in self._taken_apart
        return not self._characters and expression not in self._taken_apart and self._facts.is_terminal(expression)

    def _terminal(self, expression: Expression) -> Terminal:
        terminal: Terminal
        if isinstance(expression, Text):
            terminal = Literal(expression.text)
        else:
            name = "characters" if isinstance(expression, Letters) else self._name
            terminal = Pattern(name, (self._facts.regex(expression),))
        known = self.terminals.setdefault(terminal, [])
        if expression not in known:
            known.append(expression)
        return terminal

    def _productions(self, expression: Expression) -> list[Production]:
        """Productions that together describe the expression."""
        if self._is_terminal(expression):
            return [(self._terminal(expression),)]
        match expression:
            case Choice(options):
                return [production for option in options for production in self._productions(option)]
            case Repetition():
                return self._repetition(expression)
            case Letters():
                return []
            case Text(text):
                return [tuple(self._terminal(Text(character)) for character in text)]
            case Reference(name):
                return [(self._reference(name),)]
            case Sequence(items):
                return [tuple(symbol for run in self._runs(items) for symbol in self._symbols(run))]

    def _runs(self, items: tuple[Expression, ...]) -> list[Expression]:
        """The items, those put together that can be one terminal together."""
        runs: list[Expression] = []
        run: list[Expression] = []

        def finish() -> None:
            together = Sequence(tuple(run))
            runs.extend([together] if len(run) > 1 and self._is_terminal(together) else run)
            run.clear()

        for item in items:
            if self._facts.positions(item) > _MAX_POSITIONS:
                finish()
                runs.append(item)
            else:
                run.append(item)
        if len(run) == len(items):
            return run  # the sequence as a whole is no terminal, or it would not have been taken apart
        finish()
        return runs

    def _symbols(self, expression: Expression) -> Production:
        """The expression as symbols, with a rule of its own where it has alternatives."""
        if self._is_terminal(expression) or isinstance(expression, Text | Reference | Sequence):
            (production,) = self._productions(expression)
            return production
        if expression not in self._helpers:
            self._parts += 1
            helper = Nonterminal(f"{self._name} [part {self._parts}]")
            self._helpers[expression] = helper
            self._rules[helper.name] = tuple(self._productions(expression))
        return (self._helpers[expression],)

    def _repetition(self, expression: Repetition) -> list[Production]:
        item, least, most = expression.item, expression.least, expression.most
        if most == 0:
            return [()]
        if least == 0:
            at_least_once = repetition(item, 1, most)
            if most is None or most == 1 or self._is_terminal(at_least_once):
                return [(), self._symbols(at_least_once)]
            # Fewer than half of them or at least half: short chains of rules, and one way only to read each number.
            half = (most + 1) // 2
            return [
                self._symbols(repetition(item, 0, half - 1)),
                (*self._symbols(repetition(item, half, half)), *self._symbols(repetition(item, 0, most - half))),
            ]
        if least == most:
            half = least // 2
            return [
                (
                    *self._symbols(repetition(item, half, half)),
                    *self._symbols(repetition(item, least - half, least - half)),
                )
            ]
        if most is None and least == 1:
            self._parts += 1
            more = Nonterminal(f"{self._name} [part {self._parts}]")
            once = self._symbols(item)
            self._rules[more.name] = ((*once, more), ())
            return [(*once, more)]
        rest = repetition(item, 0, None if most is None else most - least)
        return [(*self._symbols(repetition(item, least, least)), *self._symbols(rest))]


def _by_characters(start: str, facts: _Facts) -> Cfg:
    """A grammar of texts and single classes of characters, where nothing is left to chance."""
    parts = set(parts_of(*facts.rules.values()))
    letters = [part for part in parts if isinstance(part, Letters)]
    ranges = Letters.of(ends for found in letters for ends in found.ranges).ranges
    texts = [part for part in parts if isinstance(part, Text)]
    apart = {part for part in texts if any(_within(character, ranges) for character in part.text)}
    return split_literals(_Builder(facts, apart, characters=True).build(start))


def _within(character: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    index = bisect_right(ranges, (ord(character), _LAST_CHARACTER))
    return index > 0 and ranges[index - 1][1] >= ord(character)


# ------------------------------------------------------------------------------------------------ the longest match


@dataclass(slots=True)
class _Automaton:
    """The positions of an expression (Glushkov's automaton): masks of characters, and which position follows which."""

    masks: list[int]
    following: list[set[int]]
    first: set[int]
    last: set[int]


def _unsafe(cfg: Cfg, terminals: Mapping[Terminal, list[Expression]], facts: _Facts) -> set[Expression] | None:
    """The expressions whose terminals can go on where another should end; None if it takes too long to tell."""
    if len(terminals) > _MAX_TERMINALS or len(facts.alphabet) > _MAX_GROUPS:
        return None
    automata = {terminal: _automaton(expressions[0], facts) for terminal, expressions in terminals.items()}
    beginnings = {
        terminal: reduce(or_, (automaton.masks[place] for place in automaton.first), 0)
        for terminal, automaton in automata.items()
    }
    after = following_masks(cfg, beginnings)
    steps = 0
    unsafe: set[Expression] = set()
    for ending, left in automata.items():
        for going_on, right in automata.items():
            if not after[ending] or not any(right.following):
                continue
            todo = [(i, j) for i in left.first for j in right.first if left.masks[i] & right.masks[j]]
            seen = set(todo)
            while todo:
                i, j = todo.pop()
                steps += 1 + len(left.following[i]) * len(right.following[j])
                if i in left.last and any(right.masks[k] & after[ending] for k in right.following[j]):
                    unsafe.update(terminals[going_on])
                    break
                for pair in product(left.following[i], right.following[j]):
                    if pair not in seen and left.masks[pair[0]] & right.masks[pair[1]]:
                        seen.add(pair)
                        todo.append(pair)
            if steps > _MAX_STEPS:
                return None
    return unsafe


class _Alphabet:
    """Characters in groups that no text or class of the rules tells apart; a mask is a set of groups as bits."""

    def __init__(self, rules: Mapping[str, Expression]) -> None:
        borders = {0}
        for expression in parts_of(*rules.values()):
            match expression:
                case Text(text):
                    borders.update(border for code in map(ord, set(text)) for border in (code, code + 1))
                case Letters(ranges):
                    borders.update(border for first, last in ranges for border in (first, last + 1))
        self._borders = sorted(borders)

    def __len__(self) -> int:
        return len(self._borders)

    def mask(self, first: int, last: int) -> int:
        low = bisect_right(self._borders, first) - 1
        high = bisect_right(self._borders, last) - 1
        return (1 << (high + 1)) - (1 << low)


_Ends: TypeAlias = tuple[bool, set[int], set[int]]
"""Whether a part can be empty, and the positions with which it can begin and end."""


def _automaton(expression: Expression, facts: _Facts) -> _Automaton:
    """Glushkov's automaton; the expression can be a terminal, so its size is bounded."""
    automaton = _Automaton([], [], set(), set())

    def add(mask: int) -> _Ends:
        automaton.masks.append(mask)
        automaton.following.append(set())
        position = {len(automaton.masks) - 1}
        return False, position, position

    def join(lasts: set[int], firsts: set[int]) -> None:
        for position in lasts:
            automaton.following[position] |= firsts

    def row(parts: Iterable[_Ends]) -> _Ends:
        empty, firsts, lasts = True, set[int](), set[int]()
        for part_empty, part_firsts, part_lasts in parts:
            join(lasts, part_firsts)
            firsts = firsts | part_firsts if empty else firsts
            lasts = lasts | part_lasts if part_empty else part_lasts
            empty = empty and part_empty
        return empty, firsts, lasts

    def visit(expression: Expression) -> _Ends:
        match expression:
            case Text(text):
                return row(add(facts.alphabet.mask(code, code)) for code in map(ord, text))
            case Letters(ranges):
                return add(sum(facts.alphabet.mask(*ends) for ends in ranges))
            case Reference(name):
                return visit(facts.rules[name])
            case Sequence(items):
                return row(map(visit, items))
            case Choice(options):
                found = list(map(visit, options))
                return (
                    any(empty for empty, _, _ in found),
                    set[int]().union(*(firsts for _, firsts, _ in found)),
                    set[int]().union(*(lasts for _, _, lasts in found)),
                )
            case Repetition(item, least, most):
                copies = [visit(item) for _ in range(max(least, most or 1, 1))]
                if most is None:
                    join(copies[-1][2], copies[-1][1])
                if most == 0:
                    return True, set(), set()
                # The last copies as (X(X(X)?)?)?, so that each position is followed by few.
                rest: _Ends = (True, set(), set())
                while len(copies) > least:
                    _, firsts, lasts = row((copies.pop(), rest))
                    rest = (True, firsts, lasts)
                return row((*copies, rest))

    _, automaton.first, automaton.last = visit(expression)
    return automaton
