"""Conditions taken apart: what they say of each kind of values, in how many ways, and what no value satisfies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from maze.grammar.budget import OverBudgetError
from maze.grammar.pattern.questions import listed_texts
from maze.grammar.pattern.tree import ANYTHING, Node, alt
from maze.grammar.schema import arrays, numbers
from maze.grammar.schema.conditions import (
    ALWAYS,
    MAX_ATTEMPT_STEPS,
    NEVER,
    Atom,
    Condition,
    Every,
    IsKind,
    Item,
    Kind,
    Matching,
    Meaning,
    Member,
    OneOf,
    PropertyNames,
    Size,
    Some,
    Text,
    TooManyError,
    Unique,
    Unless,
    Unsure,
)
from maze.grammar.schema.meaning import Meanings
from maze.grammar.schema.objects import Objects

MAX_TERMS = 400
"""Most ways to satisfy a condition that are told apart in one place."""
MAX_STATES_FOR_EMPTINESS = 1_000
"""Most states of the names of objects that are gone through in search of one."""
MAX_EMPTINESS_DEPTH = 6
"""How deep into a value it is looked whether any value satisfies a condition; deeper ones may satisfy it."""

WORDS = {Kind.NULL: "null", Kind.TRUE: "true", Kind.FALSE: "false"}
"""The kinds of one value each, as it is written."""

Term: TypeAlias = tuple[Atom, ...]
"""Atoms that hold together: one way to satisfy a condition."""


class Satisfiable:
    """Takes conditions apart by kinds of values, and tells what no value satisfies."""

    def __init__(self, meanings: Meanings) -> None:
        self._meanings = meanings
        self._conditions = meanings.conditions
        self._meet = meanings.questions.meet
        self._of_kinds: dict[tuple[Condition, Kind], Condition] = {}
        self._empty: dict[tuple[Condition, Kind], bool] = {}

    # ------------------------------------------------------------------------------------------- by kind

    def of_kind(self, condition: Condition, kind: Kind) -> Condition:
        """What a condition says of the values of one kind: a formula of atoms."""
        key = (condition, kind)
        found = self._of_kinds.get(key)
        if found is None:
            found = self._of_kinds[key] = self._restriction(self._meanings.resolved(condition), kind)
        return found

    def _restriction(self, condition: Condition, kind: Kind) -> Condition:
        formula = self._conditions[condition]
        self._conditions.budget.spend(3)
        match formula:
            case Every(conditions):
                return self._conditions.every(self.of_kind(each, kind) for each in conditions)
            case Some(conditions):
                return self._conditions.some(self.of_kind(each, kind) for each in conditions)
            case OneOf(conditions, note):
                return self._one_of([self.of_kind(each, kind) for each in conditions], kind, note)
            case Unless(wanted, inner):
                return self.of_kind(inner, kind) if wanted is kind else ALWAYS
            case IsKind(wanted):
                return ALWAYS if wanted is kind else NEVER
            case Unsure(wanted) | Text(wanted) | Size(wanted):
                return condition if wanted is kind else NEVER
            case Member() | PropertyNames():
                return condition if kind is Kind.OBJECT else NEVER
            case Item() | Matching() | Unique():
                return condition if kind is Kind.ARRAY else NEVER
        raise AssertionError(formula)

    def _one_of(self, conditions: Sequence[Condition], kind: Kind, note: int) -> Condition:
        possible = [condition for condition in conditions if condition != NEVER]
        if len(possible) < 2:
            return possible[0] if possible else NEVER
        always = possible.count(ALWAYS)
        if always > 1:
            return NEVER
        if always:
            return self._conditions.every(
                self.of_kind(self._conditions.negated(condition), kind) for condition in possible if condition != ALWAYS
            )
        return self._conditions.of(OneOf(tuple(possible), note))

    # ------------------------------------------------------------------------------------------- numbers, strings

    def language(self, condition: Condition, kind: Kind) -> tuple[Node, tuple[int, ...]]:
        """The texts of numbers, or the contents of strings, that satisfy a formula; and the notes on what is wider."""
        notes: dict[int, None] = {}
        found = self._language(condition, kind, notes)
        if kind is Kind.NUMBER and not numbers.are_only_numbers(found):
            found = self._meet(numbers.ALL_NUMBERS, found)
        return found, tuple(notes)

    def _language(self, condition: Condition, kind: Kind, notes: dict[int, None]) -> Node:
        formula = self._conditions[condition]
        match formula:
            case Every(conditions):
                return self._meet(*(self._language(each, kind, notes) for each in conditions))
            case Some(conditions):
                return alt(*(self._language(each, kind, notes) for each in conditions))
            case Text(_, language):
                return language
            case Unsure(_, note):
                notes[note] = None
                return ANYTHING
            case OneOf(conditions):
                return self._language(self._exactly_one(conditions, kind), kind, notes)
            case IsKind() | Meaning() | Unless():  # what is left of a negation, which speaks of other kinds too
                return self._language(self.of_kind(condition, kind), kind, notes)
        raise AssertionError(formula)

    # ------------------------------------------------------------------------------------------- alternatives

    def _exactly_one(self, conditions: Sequence[Condition], kind: Kind) -> Condition:
        """One of the conditions, each with the contrary of those that some value satisfies together with it."""
        every, negated = self._conditions.every, self._conditions.negated
        meeting: list[list[Condition]] = [[] for _ in conditions]
        marks = [self._marks(condition, kind) for condition in conditions]
        if (pairs := len(conditions) ** 2 // 2) > MAX_ATTEMPT_STEPS:
            raise TooManyError
        self._conditions.spend(pairs)
        for left, first in enumerate(conditions):
            for right, second in enumerate(conditions[:left]):
                if _are_apart(marks[left], marks[right]) or self._is_empty(every((second, first)), kind, 0):
                    continue
                meeting[left].append(second)
                meeting[right].append(first)
        return self._conditions.some(
            every((condition, *(self.of_kind(negated(other), kind) for other in others)))
            for condition, others in zip(conditions, meeting, strict=True)
        )

    def _marks(self, condition: Condition, kind: Kind) -> dict[str, frozenset[str]]:
        """The few strings that some properties must be, by name, where they must be there."""
        formula = self._conditions[condition]
        if kind is not Kind.OBJECT or not isinstance(formula, Every):
            return {}
        parts = [self._conditions[part] for part in formula.conditions]
        members = [part for part in parts if isinstance(part, Member) and part.name is not None]
        required = {member.name for member in members if member.some}
        return {
            str(member.name): texts
            for member in members
            if member.name in required and not member.some and (texts := self._only_strings(member.condition))
        }

    def _only_strings(self, condition: Condition) -> frozenset[str] | None:
        """The strings that satisfy a condition, if nothing else does, and they are listed in it."""
        if any(self.of_kind(condition, kind) != NEVER for kind in Kind if kind is not Kind.STRING):
            return None
        formula = self._conditions[self.of_kind(condition, Kind.STRING)]
        return frozenset(listed_texts(formula.language) or ()) if isinstance(formula, Text) else None

    def terms(self, condition: Condition, kind: Kind) -> list[Term]:
        """The ways to satisfy a formula on arrays. Raises TooManyError."""
        formula = self._conditions[condition]
        match formula:
            case Every(conditions):
                return self._joined_terms(conditions, kind)
            case Some(conditions):
                found: dict[Term, None] = {}
                for each in conditions:
                    found.update(dict.fromkeys(self.terms(each, kind)))
                    if len(found) > MAX_TERMS:
                        raise TooManyError
                return list(found)
            case OneOf(conditions):
                return self.terms(self._exactly_one(conditions, kind), kind)
            case IsKind() | Meaning() | Unless():
                return self.terms(self.of_kind(condition, kind), kind)
        return [(formula,)]

    def _joined_terms(self, conditions: Sequence[Condition], kind: Kind) -> list[Term]:
        terms: list[dict[Atom, None]] = [{}]
        # What has one way only goes first, to see early what cannot be.
        for each in sorted(conditions, key=lambda part: isinstance(self._conditions[part], Some | OneOf)):
            ways = self.terms(each, kind)
            if len(ways) == 1:
                self._conditions.spend(len(terms) * len(ways[0]))
                for term in terms:
                    term.update(dict.fromkeys(ways[0]))
                continue
            joined: list[dict[Atom, None]] = []
            for term in terms:
                self._conditions.spend(sum(1 + len(term) + len(way) for way in ways))
                joined.extend({**term, **dict.fromkeys(way)} for way in ways)
                if len(joined) > MAX_TERMS:
                    raise TooManyError
            terms = joined
        return list(dict.fromkeys(map(tuple, terms)))

    def alternatives(self, condition: Condition, kind: Kind) -> list[Condition]:
        """Formulas of which one at least holds where a formula does, taken from the widest choice in it.

        Raises TooManyError, also where there is no choice.
        """
        formula = self._conditions[condition]
        match formula:
            case Some(conditions) if len(conditions) <= MAX_TERMS:
                return list(conditions)
            case OneOf(conditions):
                return self.alternatives(self._exactly_one(conditions, kind), kind)
            case Every(conditions):
                widest = max(conditions, key=self._choices)
                rest = [each for each in conditions if each != widest]
                return [self._conditions.every((*rest, each)) for each in self.alternatives(widest, kind)]
        raise TooManyError

    def _choices(self, condition: Condition) -> int:
        formula = self._conditions[condition]
        return len(formula.conditions) if isinstance(formula, Some | OneOf) else 0

    def objects(self, condition: Condition) -> Objects:
        """A formula on objects, name by name. Raises TooManyError, OverBudgetError."""
        formula = self._without_one_of(condition, Kind.OBJECT)
        return Objects(formula, self._meanings, self._strings, lambda each: self._has_no_value(each, 1))

    def _without_one_of(self, condition: Condition, kind: Kind) -> Condition:
        """The same formula, with alternatives that exclude each other."""
        formula = self._conditions[condition]
        match formula:
            case Every(conditions):
                return self._conditions.every(self._without_one_of(each, kind) for each in conditions)
            case Some(conditions):
                return self._conditions.some(self._without_one_of(each, kind) for each in conditions)
            case OneOf(conditions):
                return self._without_one_of(self._exactly_one(conditions, kind), kind)
        return condition

    def _strings(self, condition: Condition) -> tuple[Node, tuple[int, ...]]:
        return self.language(self.of_kind(condition, Kind.STRING), Kind.STRING)

    # ------------------------------------------------------------------------------------------- emptiness

    def exclude_each_other(self, left: Condition, right: Condition) -> bool:
        """Whether it can be told that no value satisfies both conditions."""
        return self._has_no_value(self._conditions.every((left, right)), 0)

    def _is_empty(self, condition: Condition, kind: Kind, depth: int) -> bool:
        """Whether it can be told that no value of the kind satisfies a formula."""
        if condition in (ALWAYS, NEVER):
            return condition == NEVER
        key = (condition, kind)
        if key not in self._empty:
            if depth > MAX_EMPTINESS_DEPTH:
                return False
            self._empty[key] = False  # within itself: a value that holds one of its own kind may well end
            try:
                self._empty[key] = self._emptiness(condition, kind, depth)
            except (TooManyError, OverBudgetError):
                return False
        return self._empty[key]

    def _emptiness(self, condition: Condition, kind: Kind, depth: int) -> bool:
        if kind in WORDS:
            return False
        if kind in (Kind.NUMBER, Kind.STRING):
            return self._meanings.questions.is_nothing(self.language(condition, kind)[0]) is True
        if kind is Kind.OBJECT:
            return self._no_object(self.objects(condition), depth + 1)
        for term in self.terms(condition, kind):
            shape = arrays.shape_of(term, self._conditions)
            if shape is not None and not any(self._has_no_value(each, depth + 1) for each in shape.needed):
                return False
        return True

    def _no_object(self, objects: Objects, depth: int) -> bool:
        """Whether no object is found, whichever names it has."""
        if any(name.required and self._has_no_value(name.condition, depth) for name in objects.names):
            return True
        pending = [(0, objects.formula)]
        seen = set(pending)
        while pending:
            index, formula = pending.pop()
            self._conditions.spend(1)
            reached: list[tuple[int, Condition]] = []
            if index < len(objects.names):
                name = objects.names[index]
                ways = objects.ways(name, formula)
                if not name.required:
                    reached.append((index + 1, objects.without(name, formula)))
            else:
                if objects.may_end(formula):
                    return False
                ways = (way for names in objects.others for way in objects.ways(names, formula))
            reached += [
                (min(index + 1, len(objects.names)), way.rest)
                for way in ways
                if not self._has_no_value(way.condition, depth)
            ]
            for state in reached:
                if state[1] != NEVER and state not in seen:
                    seen.add(state)
                    pending.append(state)
            if len(seen) > MAX_STATES_FOR_EMPTINESS:
                raise TooManyError
        return True

    def _has_no_value(self, condition: Condition, depth: int) -> bool:
        return all(self._is_empty(self.of_kind(condition, kind), kind, depth) for kind in Kind)


def _are_apart(left: dict[str, frozenset[str]], right: dict[str, frozenset[str]]) -> bool:
    """Whether some property must be one of these strings here, and one of others there."""
    return any(texts.isdisjoint(right[name]) for name, texts in left.items() if name in right)
