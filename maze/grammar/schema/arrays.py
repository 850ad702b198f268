"""Arrays: from what their items must be to rules that write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb
from typing import TypeAlias

from maze.grammar.cfg.model import Literal, Nonterminal, Production
from maze.grammar.schema.conditions import (
    NEVER,
    Atom,
    Condition,
    Conditions,
    Item,
    Matching,
    Size,
    TooManyError,
    Unique,
    Unsure,
)
from maze.grammar.schema.rules import RulesOfValues

MAX_DISTINCT = 512
"""Most sets of values that the items so far may be where no two may be equal: there is a rule for each."""
MAX_CHOICES = 64
"""Most ways in which one item may satisfy some of the conditions that are counted."""
MAX_PREFIX = 300
"""Most items that have a condition of their own, and most that are counted one by one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """At least `low` and at most `high` of the items from index `first` on satisfy a condition."""

    first: int
    end: int | None
    condition: Condition
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Distinct:
    """Few values, of which no two items may be the same."""

    values: tuple[Condition, ...]
    prefix: tuple[tuple[int, ...], ...]
    """For each index, which of the values may stand there."""
    rest: tuple[int, ...]
    """And behind these."""


def most_distinct(high: int | None) -> int:
    """How many values there may be for at most `high` items, two or more, no two the same, to be written."""
    values = 1
    while _sets(values + 1, values + 1 if high is None else min(high, values + 1)) <= MAX_DISTINCT:
        values += 1
    return values


def _sets(values: int, most: int) -> int:
    """Sets of fewer than `most` of them: which come last makes no difference to what is behind."""
    return sum(comb(values, count) for count in range(most))


@dataclass(frozen=True, slots=True)
class Shape:
    """One way in which an array may satisfy a condition."""

    prefix: tuple[Condition, ...]
    rest: Condition
    low: int
    high: int | None
    wanted: tuple[Wanted, ...]
    unique: Unique | None
    notes: frozenset[int]

    @property
    def needed(self) -> list[Condition]:
        """What the items satisfy that must be there."""
        return [*self.prefix[: self.low], *([self.rest] if self.low > len(self.prefix) else [])]


def shape_of(atoms: Sequence[Atom], conditions: Conditions) -> Shape | None:
    """The atoms, which hold together, as one shape; None if no array satisfies them as far as lengths tell."""
    low, high = 0, None
    all_of: list[Item] = []
    wanted = []
    unique: Unique | None = None
    notes = set()
    for atom in atoms:
        match atom:
            case Unsure(_, note) | Unique(False, note):
                notes.add(note)
            case Unique(True):
                unique = atom
            case Size(_, least, most):
                low = max(low, least)
                high = most if high is None else high if most is None else min(high, most)
            case Item(first, end, condition, True):
                wanted.append(Wanted(first, end, condition, 1, None))
                low = max(low, first + 1)
            case Item():
                all_of.append(atom)
            case Matching(condition, least, most):
                wanted.append(Wanted(0, None, condition, least, most))
                low = max(low, least)
    if any(item.first > MAX_PREFIX or (item.end or 0) > MAX_PREFIX for item in all_of):
        raise TooManyError
    length = max((item.first if item.end is None else item.end for item in all_of), default=0)
    prefix = []
    for index in range(length):
        conditions.budget.spend(len(all_of))
        here = [item.condition for item in all_of if item.first <= index and (item.end is None or index < item.end)]
        condition = conditions.every(here)
        if condition == NEVER:
            high = index if high is None else min(high, index)
        prefix.append(condition)
    rest = conditions.every(item.condition for item in all_of if item.end is None)
    if rest == NEVER:
        high = length if high is None else min(high, length)
    if high is not None:
        prefix = prefix[:high]
        if low > high:
            return None
    while prefix and prefix[-1] == rest:
        prefix.pop()
    return Shape(tuple(prefix), rest, low, high, tuple(wanted), unique, frozenset(notes))


_Left: TypeAlias = tuple[tuple[int, int | None], ...]
"""For each of the conditions that are counted, how many items must and may still satisfy it."""
_State: TypeAlias = tuple[int, _Left, int]
"""The index of the next item, what is left to count, and which of the distinct values have come, a bit for each."""


class ArrayRules:
    """Writes the rules of one shape."""

    def __init__(self, shape: Shape, distinct: Distinct | None, conditions: Conditions, rules: RulesOfValues) -> None:
        self._shape = shape
        self._distinct = distinct
        self._conditions = conditions
        self._rules = rules
        self._repeated: dict[tuple[Condition, int, int | None], Nonterminal] = {}
        self._states: dict[_State, Nonterminal] = {}
        self._pending: list[_State] = []

    def productions(self) -> tuple[Production, ...]:
        shape = self._shape
        if shape.wanted or self._distinct is not None:
            return self._in_states()
        productions: list[Production] = []
        if shape.low == 0:
            productions.append((Literal("["), Literal("]")))
        if shape.high == 0:
            return tuple(productions)
        first = shape.prefix[0] if shape.prefix else shape.rest
        productions.append((Literal("["), self._rules.value(first), *self._from(1), Literal("]")))
        return tuple(productions)

    def _from(self, index: int) -> Production:
        """The items from an index on, each after its comma."""
        shape = self._shape
        if index < len(shape.prefix):
            item: Production = (Literal(","), self._rules.value(shape.prefix[index]), *self._from(index + 1))
            if index < shape.low:
                return item
            return (self._rules.write([(), item]),)
        low = max(0, shape.low - index)
        high = None if shape.high is None else shape.high - index
        return () if high == 0 else (self._times(shape.rest, low, high),)

    def _times(self, condition: Condition, low: int, high: int | None) -> Nonterminal:
        """So many items, each after a comma. Halved, so that rules are few and each number is read in one way."""
        key = (condition, low, high)
        if key in self._repeated:
            return self._repeated[key]
        rule = self._repeated[key] = self._rules.name_one()
        item: Production = (Literal(","), self._rules.value(condition))
        productions: list[Production]
        if high is None:
            productions = (
                [(), (*item, rule)] if low == 0 else [(*self._exactly(condition, low), self._times(condition, 0, None))]
            )
        elif low == high:
            productions = [self._halves(condition, low, item)]
        elif low == 0:
            half = (high + 1) // 2
            productions = (
                [(), item]
                if high == 1
                else [
                    (self._times(condition, 0, half - 1),),
                    (*self._exactly(condition, half), self._times(condition, 0, high - half)),
                ]
            )
        else:
            productions = [(*self._exactly(condition, low), self._times(condition, 0, high - low))]
        self._rules.by_name[rule.name] = tuple(productions)
        return rule

    def _exactly(self, condition: Condition, count: int) -> Production:
        return () if count == 0 else (self._times(condition, count, count),)

    def _halves(self, condition: Condition, count: int, item: Production) -> Production:
        if count <= 1:
            return item if count else ()
        half = count // 2
        return (*self._exactly(condition, half), *self._exactly(condition, count - half))

    # -------------------------------------------------------------------------------------------- what items leave over

    def _in_states(self) -> tuple[Production, ...]:
        start = tuple((wanted.low, wanted.high) for wanted in self._shape.wanted)
        inner = self._state(0, start, 0)
        while self._pending:
            if len(self._states) > MAX_PREFIX + (0 if self._distinct is None else MAX_DISTINCT):
                raise TooManyError
            key = self._pending.pop()
            self._rules.by_name[self._states[key].name] = tuple(dict.fromkeys(self._after(*key)))
        return ((Literal("["), inner, Literal("]")),)

    def _state(self, index: int, left: _Left, used: int) -> Nonterminal:
        shape = self._shape
        if shape.high is None and self._distinct is None:
            # Behind the prefix, the least length and every place that counts, one item is like another.
            places = [len(shape.prefix), shape.low, 1]
            places += [wanted.first for wanted in shape.wanted] + [wanted.end or 0 for wanted in shape.wanted]
            index = min(index, max(places))
        key = (index, left, used)
        if key not in self._states:
            self._states[key] = self._rules.name_one()
            self._pending.append(key)
        return self._states[key]

    def _after(self, index: int, left: _Left, used: int) -> Iterator[Production]:
        shape = self._shape
        if index >= shape.low and all(low == 0 for low, _ in left):
            yield ()
        if index == shape.high:
            return
        comma: Production = (Literal(","),) if index else ()
        for condition, used_then in self._items(index, used):
            for way, left_then in self._ways(index, condition, left):
                yield (*comma, self._rules.value(way), self._state(index + 1, left_then, used_then))

    def _items(self, index: int, used: int) -> list[tuple[Condition, int]]:
        """What the item of an index may be, and which of the distinct values have come with it."""
        shape, distinct = self._shape, self._distinct
        if distinct is None:
            return [(shape.prefix[index] if index < len(shape.prefix) else shape.rest, 0)]
        here = distinct.prefix[index] if index < len(distinct.prefix) else distinct.rest
        free = [value for value in here if not used >> value & 1]
        if index + 1 == shape.high:  # which of them comes makes no difference to what is behind it
            last = self._conditions.some(distinct.values[value] for value in free)
            return [(last, 0)] if free else []
        return [(distinct.values[value], used | 1 << value) for value in free]

    def _ways(self, index: int, condition: Condition, left: _Left) -> Iterator[tuple[Condition, _Left]]:
        """Ways for an item to count or not, and what is then left to count."""
        ways: list[tuple[Condition, _Left]] = [(condition, ())]
        for wanted, (low, high) in zip(self._shape.wanted, left, strict=True):
            counts = index >= wanted.first and (wanted.end is None or index < wanted.end)
            split = []
            for so_far, counted in ways:
                if not counts:
                    split.append((so_far, (*counted, (low, high))))
                    continue
                if high != 0:
                    fits = self._conditions.every((so_far, wanted.condition))
                    split.append((fits, (*counted, (max(0, low - 1), None if high is None else high - 1))))
                # Where there is no upper bound, one that fits may as well go uncounted.
                fails = (
                    so_far
                    if high is None
                    else self._conditions.every((so_far, self._conditions.negated(wanted.condition)))
                )
                split.append((fails, (*counted, (low, high))))
            ways = split
            self._conditions.spend(len(ways))
            if len(ways) > MAX_CHOICES:
                raise TooManyError
        return ((way, counted) for way, counted in ways if way != NEVER)
