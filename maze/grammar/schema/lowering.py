"""A schema to the rules of a grammar whose texts are the JSON texts that satisfy it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production
from maze.grammar.pattern.automaton import OverBudgetError
from maze.grammar.pattern.tree import ANYTHING, NOTHING, Node, alt, both
from maze.grammar.schema import arrays, numbers, objects
from maze.grammar.schema.conditions import (
    ALWAYS,
    NEVER,
    Atom,
    Condition,
    Conditions,
    Every,
    IsKind,
    Item,
    Kind,
    Matching,
    Meaning,
    Member,
    OneOf,
    Size,
    Some,
    Text,
    Unsure,
    atoms_in_order,
)
from maze.grammar.schema.meaning import Meanings
from maze.grammar.schema.objects import TooManyError
from maze.grammar.schema.references import References
from maze.grammar.pattern.lazy import is_nothing
from maze.grammar.schema.strings import quoted_language

MAX_TERMS = 400
"""Most ways to satisfy a condition that are told apart."""
MAX_EMPTINESS_DEPTH = 6

_SCALARS = {Kind.NULL: "null", Kind.TRUE: "true", Kind.FALSE: "false"}


@dataclass(frozen=True, slots=True)
class Lowered:
    cfg: Cfg
    notes: tuple[int, ...]
    meanings: Meanings


def lower(references: References) -> Lowered:
    return _Lowering(references).run()


class _Lowering:
    def __init__(self, references: References) -> None:
        self._conditions = Conditions()
        self._meanings = Meanings(references, self._conditions)
        self._meanings.names_of = self._names_of
        self._restricted: dict[tuple[Condition, Kind], Condition] = {}
        self._empty: dict[tuple[Condition, Kind], bool] = {}
        self._rules: dict[str, tuple[Production, ...]] = {}
        self._values: dict[Condition, Nonterminal] = {}
        self._pending: list[Condition] = []
        self._notes: dict[int, None] = {}
        self._count = 0

    def run(self) -> Lowered:
        start = self._value(self._meanings.root())
        while self._pending:
            condition = self._pending.pop()
            self._rules[self._values[condition].name] = self._productions(condition)
        return Lowered(Cfg(start.name, self._rules), tuple(sorted(self._notes)), self._meanings)

    def _new_rule(self) -> str:
        self._count += 1
        return f"r{self._count}"

    def _value(self, condition: Condition) -> Nonterminal:
        while isinstance(meaning := self._conditions[condition], Meaning):
            condition = self._meanings.meant(meaning)
        if condition not in self._values:
            self._values[condition] = Nonterminal(self._new_rule())
            self._pending.append(condition)
        return self._values[condition]

    def _productions(self, condition: Condition) -> tuple[Production, ...]:
        productions: list[Production] = []
        for kind in Kind:
            of_kind = self._of_kind(condition, kind)
            if of_kind == NEVER:
                continue
            try:
                productions.extend(self._productions_of(of_kind, kind))
            except (TooManyError, OverBudgetError):
                productions.extend(self._relaxed(of_kind, kind))
        return tuple(productions)

    def _relaxed(self, condition: Condition, kind: Kind) -> tuple[Production, ...]:
        """Something wider, where what a condition says takes too much."""
        wider = self._widened(condition)
        try:
            return self._productions_of(wider, kind)
        except (TooManyError, OverBudgetError):
            self._notes[self._meanings.note("schema", "all but its type", "?")] = None
            return self._productions_of(ALWAYS, kind)

    def _widened(self, condition: Condition) -> Condition:
        formula = self._conditions[condition]
        match formula:
            case Every(conditions):
                return self._conditions.every(map(self._widened, conditions))
            case Some(conditions):
                return self._conditions.some(map(self._widened, conditions))
            case OneOf(conditions, note):
                self._notes[note] = None
                return self._conditions.some(map(self._widened, conditions))
        return condition

    # ------------------------------------------------------------------------------------------- by kind

    def _of_kind(self, condition: Condition, kind: Kind) -> Condition:
        """What a condition says of the values of one kind: a formula of atoms."""
        key = (condition, kind)
        found = self._restricted.get(key)
        if found is None:
            found = self._restricted[key] = self._restriction(condition, kind)
        return found

    def _restriction(self, condition: Condition, kind: Kind) -> Condition:
        formula = self._conditions[condition]
        match formula:
            case Every(conditions):
                return self._conditions.every(self._of_kind(each, kind) for each in conditions)
            case Some(conditions):
                return self._conditions.some(self._of_kind(each, kind) for each in conditions)
            case Meaning():
                return self._of_kind(self._meanings.meant(formula), kind)
            case OneOf(conditions, note):
                of_kind = [each for each in (self._of_kind(each, kind) for each in conditions) if each != NEVER]
                if len(of_kind) < 2:
                    return of_kind[0] if of_kind else NEVER
                if of_kind.count(ALWAYS) == 1:
                    return self._conditions.every(
                        self._of_kind(self._conditions.negated(each), kind) for each in of_kind if each != ALWAYS
                    )
                if of_kind.count(ALWAYS) > 1:
                    return NEVER
                return self._conditions.of(OneOf(tuple(of_kind), note))
            case IsKind(wanted):
                return ALWAYS if wanted is kind else NEVER
            case Unsure(wanted) | Text(wanted) | Size(wanted):
                return condition if wanted is kind else NEVER
            case Member():
                return condition if kind is Kind.OBJECT else NEVER
            case Item() | Matching():
                return condition if kind is Kind.ARRAY else NEVER
        raise AssertionError(formula)

    def _productions_of(self, condition: Condition, kind: Kind) -> tuple[Production, ...]:
        if kind in _SCALARS:
            return ((Literal(_SCALARS[kind]),),)
        if kind in (Kind.NUMBER, Kind.STRING):
            language = self._language(condition, kind, self._notes)
            if is_nothing(language):
                return ()
            if kind is Kind.NUMBER:
                return ((Pattern("number", both(numbers.ALL_NUMBERS, language)),),)
            return ((Pattern("string", quoted_language(language)),),)
        terms = self._terms(condition, kind)
        if kind is Kind.OBJECT:
            names = objects.names_in_order(atoms_in_order(self._conditions, condition))
            shapes = [shape for term in terms if (shape := objects.shape_of(term, names, self._conditions)) is not None]
            for shape in shapes:
                self._note(shape.notes)
                if shape.is_inexact:
                    self._notes[self._meanings.note("minProperties", "the number of properties", "?")] = None
            if not shapes:
                return ()
            return objects.ObjectRules(
                names, shapes, self._conditions, self._value, self._new_rule, self._rules
            ).productions()
        productions: list[Production] = []
        for term in terms:
            array = arrays.shape_of(term, self._conditions)
            if array is not None:
                self._note(array.notes)
                productions.extend(
                    arrays.ArrayRules(
                        array, self._conditions, self._value, self._new_rule, self._rules
                    ).productions()
                )
        return tuple(productions)

    def _note(self, notes: Iterable[int]) -> None:
        self._notes.update(dict.fromkeys(notes))

    # ------------------------------------------------------------------------------------------- regular kinds

    def _language(self, condition: Condition, kind: Kind, notes: dict[int, None]) -> Node:
        formula = self._conditions[condition]
        match formula:
            case Every(conditions):
                return both(*(self._language(each, kind, notes) for each in conditions))
            case Some(conditions):
                return alt(*(self._language(each, kind, notes) for each in conditions))
            case Text(_, language):
                return language
            case Unsure(_, note):
                notes[note] = None
                return ANYTHING
            case OneOf(conditions):
                return self._language(self._exactly_one(conditions, kind), kind, notes)
        raise AssertionError(formula)

    def _names_of(self, condition: Condition) -> Node | None:
        notes: dict[int, None] = {}
        language = self._language(self._of_kind(condition, Kind.STRING), Kind.STRING, notes)
        return None if notes else language

    # ------------------------------------------------------------------------------------------- alternatives

    def _exactly_one(self, conditions: tuple[Condition, ...], kind: Kind) -> Condition:
        """One of the conditions, each with the contrary of those that some value satisfies together with it."""
        every, some = self._conditions.every, self._conditions.some
        meet: dict[int, list[int]] = {index: [] for index in range(len(conditions))}
        for left in range(len(conditions)):
            for right in range(left + 1, len(conditions)):
                if not self._is_empty(every((conditions[left], conditions[right])), kind, 0):
                    meet[left].append(right)
                    meet[right].append(left)
        return some(
            every(
                (
                    condition,
                    *(self._of_kind(self._conditions.negated(conditions[other]), kind) for other in meet[index]),
                )
            )
            for index, condition in enumerate(conditions)
        )

    def _terms(self, condition: Condition, kind: Kind) -> list[tuple[Atom, ...]]:
        """The ways to satisfy a formula of atoms: one of the sets of atoms, wholly."""
        formula = self._conditions[condition]
        match formula:
            case Every(conditions):
                terms: list[dict[Atom, None]] = [{}]
                # What has one way only goes first, to see early what cannot be.
                for each in sorted(conditions, key=lambda c: isinstance(self._conditions[c], Some | OneOf)):
                    ways = self._terms(each, kind)
                    joined = []
                    for term in terms:
                        for way in ways:
                            both_terms = {**term, **dict.fromkeys(way)}
                            if not self._contradicts(both_terms):
                                joined.append(both_terms)
                        if len(joined) > MAX_TERMS:
                            raise TooManyError
                    terms = joined
                return [tuple(term) for term in terms]
            case Some(conditions):
                found = dict.fromkeys(term for each in conditions for term in self._terms(each, kind))
                if len(found) > MAX_TERMS:
                    raise TooManyError
                return list(found)
            case OneOf(conditions):
                return self._terms(self._exactly_one(conditions, kind), kind)
            case Meaning():
                raise AssertionError(formula)
        return [(formula,)]

    def _contradicts(self, atoms: Iterable[Atom]) -> bool:
        """Whether a set of atoms plainly cannot hold: a name that must be there and must not."""
        present: set[str] = set()
        absent: set[str] = set()
        for atom in atoms:
            if isinstance(atom, Member) and atom.name is not None:
                if atom.some:
                    present.add(atom.name)
                if atom.condition == NEVER:
                    absent.add(atom.name)
        return bool(present & absent)

    # ------------------------------------------------------------------------------------------- emptiness

    def _is_empty(self, condition: Condition, kind: Kind, depth: int) -> bool:
        """Whether it can be told that no value of the kind satisfies a formula."""
        if condition in (ALWAYS, NEVER):
            return condition == NEVER
        key = (condition, kind)
        if key in self._empty:
            return self._empty[key]
        if depth > MAX_EMPTINESS_DEPTH:
            return False
        self._empty[key] = False
        try:
            self._empty[key] = self._emptiness(condition, kind, depth)
        except (TooManyError, OverBudgetError):
            pass
        return self._empty[key]

    def _emptiness(self, condition: Condition, kind: Kind, depth: int) -> bool:
        if kind in _SCALARS:
            return False
        if kind in (Kind.NUMBER, Kind.STRING):
            language = self._language(condition, kind, {})
            return is_nothing(both(numbers.ALL_NUMBERS, language) if kind is Kind.NUMBER else language)
        terms = self._terms(condition, kind)
        if kind is Kind.OBJECT:
            names = objects.names_in_order(atoms_in_order(self._conditions, condition))
            for term in terms:
                shape = objects.shape_of(term, names, self._conditions)
                if shape is not None and not any(
                    named.required and self._has_no_value(named.condition, depth + 1) for named in shape.named
                ):
                    return False
            return True
        for term in terms:
            array = arrays.shape_of(term, self._conditions)
            if array is None:
                continue
            needed = [*array.prefix, *([array.rest] * (array.low > len(array.prefix)))][: array.low]
            if not any(self._has_no_value(each, depth + 1) for each in needed):
                return False
        return True

    def _has_no_value(self, condition: Condition, depth: int) -> bool:
        return all(self._is_empty(self._of_kind(condition, kind), kind, depth) for kind in Kind)
