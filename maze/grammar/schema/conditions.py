"""Conditions on a JSON value, as formulas whose negation and conjunction are formulas again.

A condition is a number: each is kept once, so that equal ones are the same number. What stands in a formula is an atom,
which is true of values of one kind only; what a schema says of the parts of a value are conditions in its atoms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from maze.grammar.budget import Budget
from maze.grammar.pattern.tree import Node, negation

MAX_ATTEMPT_STEPS = 250_000
"""Most steps of an attempt to write one kind of values exactly; about 0.5 s."""

MAX_NEGATED_BRANCHES = 100
"""Most branches of a `oneOf` whose contrary is told: any two of them may hold together."""


class TooManyError(Exception):
    """A condition has too many ways to be satisfied; the caller gives something up."""


class Kind(Enum):
    """Kinds of values, as finely as they are written differently."""

    NULL = "null"
    TRUE = "true"
    FALSE = "false"
    NUMBER = "number"
    STRING = "string"
    ARRAY = "array"
    OBJECT = "object"

    __hash__ = object.__hash__  # that of Enum is slow, and kinds are in the keys of large tables


Condition = int
ALWAYS: Condition = 0
NEVER: Condition = 1


@dataclass(frozen=True, slots=True)
class IsKind:
    """Any value of a kind."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Text:
    """A number, as it is written, or a string, by its characters, of a regular language."""

    kind: Kind
    language: Node
    contrary: Node | None = None
    """The texts of all other numbers or strings, where they are not simply those outside of the language."""


@dataclass(frozen=True, slots=True)
class Member:
    """Every property whose name is in a language satisfies a condition; or, if `some`, one at least does."""

    name: str | None
    """The one name of the language, or None."""
    names: Node
    condition: Condition
    some: bool


@dataclass(frozen=True, slots=True)
class PropertyNames:
    """Every name of an object satisfies a condition on strings; or, if `some`, one at least does."""

    condition: Condition
    some: bool


@dataclass(frozen=True, slots=True)
class Size:
    """An object or array with at least `low` and at most `high` properties or items."""

    kind: Kind
    low: int
    high: int | None
    note: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Item:
    """Every item from index `first` to before `end` satisfies a condition; or, if `some`, one at least does."""

    first: int
    end: int | None
    condition: Condition
    some: bool


@dataclass(frozen=True, slots=True)
class Matching:
    """At least `low` and at most `high` items of an array satisfy a condition."""

    condition: Condition
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Unique:
    """No two items of an array are equal; or, if not `holds`, some are."""

    holds: bool
    note: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the schema of that number says, or its contrary."""

    schema: int
    negated: bool


@dataclass(frozen=True, slots=True)
class Unsure:
    """What only the check decides, by the number of its note. It stays what it is when it is negated."""

    kind: Kind
    note: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """Exactly one of some conditions, as the schema at a place wants it."""

    conditions: tuple[Condition, ...]
    note: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Unless:
    """A condition on the values of one kind; all others satisfy it."""

    kind: Kind
    condition: Condition


@dataclass(frozen=True, slots=True)
class Every:
    """All of some conditions."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of some conditions."""

    conditions: tuple[Condition, ...]


Atom = IsKind | Text | Member | PropertyNames | Size | Item | Matching | Unique | Unsure
Formula = Atom | Meaning | OneOf | Unless | Every | Some


class Conditions:
    """All conditions of one compilation."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._gives_up_at = 0
        self._formulas: list[Formula] = [Every(()), Some(())]
        self._numbers: dict[Formula, Condition] = {Every(()): ALWAYS, Some(()): NEVER}
        self._negated: dict[Condition, Condition] = {ALWAYS: NEVER, NEVER: ALWAYS}

    def begin_attempt(self) -> None:
        """From now on take MAX_ATTEMPT_STEPS at most to take a condition apart."""
        self._gives_up_at = self.budget.spent + MAX_ATTEMPT_STEPS

    def spend(self, steps: int) -> None:
        """Count steps of an attempt, which can be done without. Raises TooManyError where none are left."""
        self.budget.spend(steps)
        if self.budget.spent > self._gives_up_at or not self.budget.has_optional_steps:
            raise TooManyError

    def __getitem__(self, condition: Condition) -> Formula:
        return self._formulas[condition]

    def of(self, formula: Formula) -> Condition:
        """The number of an atom or a meaning."""
        number = self._numbers.get(formula)
        if number is None:
            number = self._numbers[formula] = len(self._formulas)
            self._formulas.append(formula)
        return number

    def every(self, conditions: Iterable[Condition]) -> Condition:
        """All of the conditions."""
        return self._joined(conditions, Every, ALWAYS, NEVER)

    def some(self, conditions: Iterable[Condition]) -> Condition:
        """At least one of the conditions."""
        return self._joined(conditions, Some, NEVER, ALWAYS)

    def _joined(
        self, conditions: Iterable[Condition], join: type[Every | Some], neutral: Condition, absorbing: Condition
    ) -> Condition:
        """Flat, in the order given, without duplicates."""
        flat: dict[Condition, None] = {}
        steps = 0
        for condition in conditions:
            steps += 1
            if condition == absorbing:
                flat = {absorbing: None}
                break
            formula = self._formulas[condition]
            if isinstance(formula, join):
                steps += len(formula.conditions)
                flat.update(dict.fromkeys(formula.conditions))
            elif condition != neutral:
                flat[condition] = None
        self.budget.spend(steps)
        if len(flat) < 2:
            return next(iter(flat), neutral)
        return self.of(join(tuple(flat)))

    def is_kind(self, *kinds: Kind) -> Condition:
        """Any value of one of the kinds."""
        return self.some(self.of(IsKind(kind)) for kind in kinds)

    def unless(self, kind: Kind, condition: Condition) -> Condition:
        """A condition on the values of one kind; all others satisfy it."""
        return ALWAYS if condition == ALWAYS else self.of(Unless(kind, condition))

    def negated(self, condition: Condition) -> Condition:
        """The contrary."""
        found = self._negated.get(condition)
        if found is None:
            found = self._negation(condition)
            self._negated[condition] = found
            self._negated.setdefault(found, condition)
        return found

    def _negation(self, condition: Condition) -> Condition:
        formula = self._formulas[condition]
        self.budget.spend(2)
        match formula:
            case IsKind(kind):
                return self.is_kind(*(other for other in Kind if other is not kind))
            case Meaning(schema, negated):
                return self.of(Meaning(schema, not negated))
            case Unless(kind, inner):
                return self.every((self.of(IsKind(kind)), self.negated(inner)))
            case Every(conditions):
                return self.some(map(self.negated, conditions))
            case Some(conditions):
                return self.every(map(self.negated, conditions))
            case OneOf(conditions, note) if len(conditions) > MAX_NEGATED_BRANCHES:
                return self.some(self.of(Unsure(kind, note)) for kind in Kind)
            case OneOf(conditions):
                contrary = [self.negated(each) for each in conditions]
                self.budget.spend(len(conditions) ** 2)
                pairs = [
                    self.every((left, right))
                    for index, left in enumerate(conditions)
                    for right in conditions[index + 1 :]
                ]
                return self.some((self.every(contrary), *pairs))
            case Unsure(kind):
                return self.unless(kind, condition)
            case Text(kind, language, contrary):
                others = negation(language) if contrary is None else contrary
                return self.unless(kind, self.of(Text(kind, others, None if contrary is None else language)))
            case Member(name, names, inner, some):
                return self.unless(Kind.OBJECT, self.of(Member(name, names, self.negated(inner), not some)))
            case PropertyNames(inner, some):
                return self.unless(Kind.OBJECT, self.of(PropertyNames(self.negated(inner), not some)))
            case Item(first, end, inner, some):
                return self.unless(Kind.ARRAY, self.of(Item(first, end, self.negated(inner), not some)))
            case Unique(holds, note):
                return self.unless(Kind.ARRAY, self.of(Unique(not holds, note)))
            case Size(kind, low, high, note):
                outside = [self.of(Size(kind, 0, low - 1, note))] if low > 0 else []
                outside += [self.of(Size(kind, high + 1, None, note))] if high is not None else []
                return self.unless(kind, self.some(outside))
            case Matching(inner, low, high):
                fewer = [self.of(Matching(inner, 0, low - 1))] if low > 0 else []
                fewer += [self.of(Matching(inner, high + 1, None))] if high is not None else []
                return self.unless(Kind.ARRAY, self.some(fewer))
        raise AssertionError(formula)


def atoms_in_order(conditions: Conditions, condition: Condition) -> Iterator[Atom]:
    """The atoms of a condition without meanings, in the order of the schema."""
    pending = [condition]
    while pending:
        conditions.budget.spend(1)
        formula = conditions[pending.pop()]
        if isinstance(formula, Every | Some | OneOf):
            pending.extend(reversed(formula.conditions))
        elif not isinstance(formula, Meaning | Unless):
            yield formula
