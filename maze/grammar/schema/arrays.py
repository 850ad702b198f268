"""Arrays: from what their items must be to rules that write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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

MAX_DISTINCT = 8
"""Most values that are told apart where no two items may be equal: there is a rule for each set of them."""
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
    def is_uniform(self) -> bool:
        """Whether all items satisfy the same, and no number of them anything else."""
        return not self.prefix and not self.wanted

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


class ArrayRules:
    """Writes the rules of one shape."""

    def __init__(
        self,
        shape: Shape,
        distinct: list[Condition] | None,
        conditions: Conditions,
        value: Callable[[Condition], Nonterminal],
        new_rule: Callable[[], str],
        rules: dict[str, tuple[Production, ...]],
    ) -> None:
        self._shape = shape
        self._distinct = distinct
        self._conditions = conditions
        self._value = value
        self._new_rule = new_rule
        self._rules = rules
        self._repeated: dict[tuple[Condition, int, int | None], Nonterminal] = {}
        self._states: dict[tuple[int, tuple[tuple[int, int | None], ...]], Nonterminal] = {}
        self._pending: list[tuple[int, tuple[tuple[int, int | None], ...]]] = []

    def productions(self) -> tuple[Production, ...]:
        shape = self._shape
        if self._distinct is not None:
            return self._with_distinct(self._distinct)
        if shape.wanted:
            return self._with_wanted()
        productions: list[Production] = []
        if shape.low == 0:
            productions.append((Literal("["), Literal("]")))
        if shape.high == 0:
            return tuple(productions)
        first = shape.prefix[0] if shape.prefix else shape.rest
        productions.append((Literal("["), self._value(first), *self._from(1), Literal("]")))
        return tuple(productions)

    def _from(self, index: int) -> Production:
        """The items from an index on, each after its comma."""
        shape = self._shape
        if index < len(shape.prefix):
            item: Production = (Literal(","), self._value(shape.prefix[index]), *self._from(index + 1))
            if index < shape.low:
                return item
            return (self._rule([(), item]),)
        low = max(0, shape.low - index)
        high = None if shape.high is None else shape.high - index
        return () if high == 0 else (self._times(shape.rest, low, high),)

    def _rule(self, productions: Sequence[Production]) -> Nonterminal:
        rule = Nonterminal(self._new_rule())
        self._rules[rule.name] = tuple(productions)
        return rule

    def _times(self, condition: Condition, low: int, high: int | None) -> Nonterminal:
        """So many items, each after a comma. Halved, so that rules are few and each number is read in one way."""
        key = (condition, low, high)
        if key in self._repeated:
            return self._repeated[key]
        rule = self._repeated[key] = Nonterminal(self._new_rule())
        item: Production = (Literal(","), self._value(condition))
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
        self._rules[rule.name] = tuple(productions)
        return rule

    def _exactly(self, condition: Condition, count: int) -> Production:
        return () if count == 0 else (self._times(condition, count, count),)

    def _halves(self, condition: Condition, count: int, item: Production) -> Production:
        if count <= 1:
            return item if count else ()
        half = count // 2
        return (*self._exactly(condition, half), *self._exactly(condition, count - half))

    # -------------------------------------------------------------------------------------------- distinct items

    def _with_distinct(self, values: list[Condition]) -> tuple[Production, ...]:
        """Each of a few values once at most, in any order."""
        states: dict[int, Nonterminal] = {}

        def state(used: int) -> Nonterminal:
            if used not in states:
                states[used] = rule = Nonterminal(self._new_rule())
                count = used.bit_count()
                productions: list[Production] = [()] if count >= self._shape.low else []
                if self._shape.high is None or count < self._shape.high:
                    comma: Production = (Literal(","),) if count else ()
                    productions.extend(
                        (*comma, self._value(value), state(used | 1 << index))
                        for index, value in enumerate(values)
                        if not used >> index & 1
                    )
                self._rules[rule.name] = tuple(productions)
            return states[used]

        return ((Literal("["), state(0), Literal("]")),)

    # -------------------------------------------------------------------------------------------- counted conditions

    def _with_wanted(self) -> tuple[Production, ...]:
        shape = self._shape
        start = tuple((wanted.low, wanted.high) for wanted in shape.wanted)
        inner = self._state(0, start)
        while self._pending:
            if len(self._states) > MAX_PREFIX:
                raise TooManyError
            key = self._pending.pop()
            self._rules[self._states[key].name] = tuple(dict.fromkeys(self._after(*key)))
        return ((Literal("["), inner, Literal("]")),)

    def _state(self, index: int, left: tuple[tuple[int, int | None], ...]) -> Nonterminal:
        shape = self._shape
        if shape.high is None:
            # Behind the prefix, the least length and every place that counts, one item is like another.
            places = [len(shape.prefix), shape.low, 1]
            places += [wanted.first for wanted in shape.wanted] + [wanted.end or 0 for wanted in shape.wanted]
            index = min(index, max(places))
        key = (index, left)
        if key not in self._states:
            self._states[key] = Nonterminal(self._new_rule())
            self._pending.append(key)
        return self._states[key]

    def _after(self, index: int, left: tuple[tuple[int, int | None], ...]) -> list[Production]:
        shape = self._shape
        productions: list[Production] = []
        if index >= shape.low and all(low == 0 for low, _ in left):
            productions.append(())
        if index == shape.high:
            return productions
        condition = shape.prefix[index] if index < len(shape.prefix) else shape.rest
        comma: Production = (Literal(","),) if index else ()
        ways: list[tuple[Condition, tuple[tuple[int, int | None], ...]]] = [(condition, ())]
        for wanted, (low, high) in zip(shape.wanted, left, strict=True):
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
        for way, counted in ways:
            if way != NEVER:
                productions.append((*comma, self._value(way), self._state(index + 1, counted)))
        return productions
