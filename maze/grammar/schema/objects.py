"""What a condition on objects wants, name by name: of each value, and of the names behind it.

What is wanted of one name alone is kept apart. The rest, where it depends on one name what another must be, is a
formula that each name makes smaller: what is left of it behind a name is a state, and equal ones are the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from maze.grammar.pattern.machine import without_complements
from maze.grammar.pattern.tree import ANYTHING, Node, alt, both, literal, negation
from maze.grammar.schema.conditions import (
    ALWAYS,
    NEVER,
    Atom,
    Condition,
    Every,
    Member,
    OneOf,
    PropertyNames,
    Size,
    Some,
    TooManyError,
    Unsure,
    atoms_in_order,
)
from maze.grammar.schema.emptiness import has_no_text
from maze.grammar.schema.meaning import Meanings

MAX_LISTED_NAMES = 32
"""Most names of a pattern that are written one by one where it matters that no name comes twice."""
MAX_CELLS = 64
"""Most ways in which patterns of names overlap in one object."""
MAX_WAYS_OF_PROPERTY = 16
"""Most ways in which one value may satisfy some of the conditions that are about it: engines try all at once."""
MAX_NAMES = 4_000
"""Most names that one object is written with."""
MAX_OPTIONAL_NAMES = 800
"""Most of them that may be left out: any may come next, and llguidance breaks off over 2,000 items at one place."""
MAX_DEPENDENT_NAMES = 250
"""Most names, and most properties that are counted, of an object in which one depends on another: each takes a rule
that leads to the next, and engines refuse long chains of them."""


@dataclass(frozen=True, slots=True)
class Name:
    """One name that the condition speaks of."""

    text: str
    required: bool
    condition: Condition
    """On its value whatever the others are; NEVER if the name must not be there."""


@dataclass(frozen=True, slots=True)
class OtherNames:
    """Names that the condition does not speak of one by one, and that are alike to it."""

    language: Node
    condition: Condition


@dataclass(frozen=True, slots=True)
class Way:
    """One way for a property to be there: what its value satisfies, and what is then left of the formula."""

    condition: Condition
    rest: Condition


def _is_of_some_name(atom: Atom) -> TypeGuard[Member]:
    return isinstance(atom, Member) and atom.name is None and atom.some and atom.condition != ALWAYS


class Objects:
    """One condition on objects."""

    def __init__(
        self,
        condition: Condition,
        meanings: Meanings,
        strings: Callable[[Condition], tuple[Node, tuple[int, ...]]],
        has_no_value: Callable[[Condition], bool],
    ) -> None:
        """`condition` is a formula of atoms on objects; `strings` gives the strings of a condition, with notes.

        Raises TooManyError, OverBudgetError.
        """
        self._conditions = conditions = meanings.conditions
        self._questions = meanings.questions
        self._strings = strings
        self._has_no_value = has_no_value
        self.notes: set[int] = set()
        """Of what is left to the check."""
        self._counting_notes: set[int] = set()
        prepared = self._prepared(condition)
        formula = conditions[prepared]
        parts = formula.conditions if isinstance(formula, Every) else (prepared,)
        alone: dict[str, list[Condition]] = {}
        required: set[str] = set()
        general: list[Member] = []
        together: list[Condition] = []
        for part in parts:
            match conditions[part]:
                case Member(str() as name, _, inner, some):
                    alone.setdefault(name, []).append(inner)
                    if some:
                        required.add(name)
                case Member(None, _, _, False) as member:
                    general.append(member)
                case _:
                    together.append(part)
        self.formula = conditions.every(together)
        """What depends on several names; ALWAYS if nothing does."""
        names = dict.fromkeys(
            atom.name
            for atom in atoms_in_order(conditions, prepared)
            if isinstance(atom, Member) and atom.name is not None
        )
        most = MAX_NAMES if self.formula == ALWAYS else MAX_DEPENDENT_NAMES
        if len(names) > most or len(names) - len(required) > MAX_OPTIONAL_NAMES:
            raise TooManyError
        self.names = [
            Name(
                name,
                name in required,
                conditions.every(
                    (
                        *alone.get(name, ()),
                        *(each.condition for each in general if self._questions.accepts(each.names, name)),
                    )
                ),
            )
            for name in names
        ]
        self.others = self._cells(general)
        self._about: dict[tuple[int, Name | OtherNames], bool] = {}
        of_some_name = [atom for atom in atoms_in_order(conditions, self.formula) if _is_of_some_name(atom)]
        if of_some_name or self._wants_several(self.formula):
            self._list_names()
        self.repetition_matters = any(
            names.condition != NEVER and self._is_about(atom, names) for atom in of_some_name for names in self.others
        )
        """Whether another property of the same name, which holds instead for some readers, may undo what one does."""
        self._steps: dict[tuple[Condition, object], Condition] = {}

    def spend(self, steps: int) -> None:
        """Count steps. Raises TooManyError."""
        self._conditions.spend(steps)

    def _prepared(self, condition: Condition) -> Condition:
        """The formula without what a grammar cannot tell, and with conditions on names as languages."""
        conditions = self._conditions
        match conditions[condition]:
            case Every(parts):
                return conditions.every(map(self._prepared, parts))
            case Some(parts):
                return conditions.some(map(self._prepared, parts))
            case Unsure(_, note):
                self.notes.add(note)
                return ALWAYS
            case Size(_, low, high, note):
                if max(low, high or 0) > MAX_DEPENDENT_NAMES:
                    raise TooManyError
                self._counting_notes.add(note)
            case PropertyNames(inner, some):
                language, notes = self._strings(inner)
                self.notes.update(notes)
                if some:
                    return conditions.of(Member(None, language, ALWAYS, some=True))
                return conditions.of(Member(None, negation(language), NEVER, some=False))
            case OneOf():
                raise AssertionError(condition)  # has been written as alternatives that exclude each other
        return condition

    def _cells(self, general: Sequence[Member]) -> list[OtherNames]:
        """The names that are not spoken of, by the conditions that are about them."""
        known = alt(*(literal(name.text) for name in self.names))
        cells = [OtherNames(negation(known) if self.names else ANYTHING, ALWAYS)]
        somewhere = [
            atom
            for atom in atoms_in_order(self._conditions, self.formula)
            if isinstance(atom, Member) and atom.name is None
        ]
        for member in (*general, *somewhere):
            split = []
            is_general = member in general
            if is_general and member.condition == ALWAYS:
                continue
            for cell in cells:
                self._conditions.spend(10)
                condition = self._conditions.every((cell.condition, member.condition)) if is_general else cell.condition
                if condition != NEVER and not self._has_no_text(within := both(cell.language, member.names)):
                    split.append(OtherNames(within, condition))
                if not self._has_no_text(outside := both(cell.language, negation(member.names))):
                    split.append(OtherNames(outside, cell.condition))
            cells = split
            if len(cells) > MAX_CELLS:
                raise TooManyError
        budget = self._conditions.budget
        return [OtherNames(without_complements(cell.language, budget), cell.condition) for cell in cells]

    def _list_names(self) -> None:
        """Write names of which there are few one by one, each of which then comes once only."""
        others = []
        for names in self.others:
            texts = None if names.condition == NEVER else self._questions.texts_of(names.language, MAX_LISTED_NAMES)
            if texts is None:
                others.append(names)
            else:
                self.names.extend(Name(text, required=False, condition=names.condition) for text in texts)
        self.others = others

    def _has_no_text(self, language: Node) -> bool:
        return has_no_text(language, self._questions, self._conditions.budget)

    # ------------------------------------------------------------------------------------------- steps

    def without(self, name: Name, formula: Condition) -> Condition:
        """What is left of the formula where a name is not there."""

        def become(atom: Member | Size) -> Condition:
            if isinstance(atom, Member) and atom.name == name.text:
                return NEVER if atom.some else ALWAYS
            return self._conditions.of(atom)

        return self._step(formula, (name.text, None), become)

    def ways(self, which: Name | OtherNames, formula: Condition) -> Iterator[Way]:
        """How a property may be there, or any of some names."""
        if which.condition == NEVER:
            return
        about = [
            atom
            for atom in dict.fromkeys(atoms_in_order(self._conditions, formula))
            if isinstance(atom, Member) and self._is_about(atom, which)
        ]
        found: dict[Condition, list[Condition]] = {}
        for condition, holding in self._choices(which.condition, about):

            def become(atom: Member | Size, holding: frozenset[Member] = holding) -> Condition:
                return self._behind(atom, which, holding)

            rest = self._step(formula, (which, holding), become)
            if rest != NEVER:
                found.setdefault(rest, []).append(condition)
        for rest, ways in found.items():
            yield Way(self._conditions.some(ways), rest)

    def _is_about(self, atom: Member, which: Name | OtherNames) -> bool:
        if atom.name is not None:
            return isinstance(which, Name) and atom.name == which.text
        key = (id(atom.names), which)
        found = self._about.get(key)
        if found is None:
            if isinstance(which, Name):
                found = self._questions.accepts(atom.names, which.text)
            else:  # which lies within or outside of every language
                found = not self._has_no_text(both(which.language, atom.names))
            self._about[key] = found
        return found

    def _choices(self, condition: Condition, about: Sequence[Member]) -> list[tuple[Condition, frozenset[Member]]]:
        """Which of the atoms a value may satisfy together, and the condition for that."""
        choices: list[tuple[Condition, frozenset[Member]]] = [(condition, frozenset())]
        passed: list[Member] = []
        for atom in about:
            if atom.condition == NEVER:
                continue
            longer = []
            for so_far, holding in choices:
                self._conditions.spend(2)
                met = self._conditions.every((so_far, atom.condition))
                if met == so_far:
                    longer.append((so_far, holding | {atom}))
                    continue
                longer.append((so_far, holding))
                if met != NEVER and not (self._has_no_value(met)):
                    longer.append((met, holding | {atom}))
            choices = longer
            passed.append(atom)
            if len(choices) > MAX_WAYS_OF_PROPERTY:
                choices = [
                    (so_far, holding)
                    for so_far, holding in choices
                    if not self._always_holds_more(so_far, [each for each in passed if each not in holding])
                ]
                if len(choices) > MAX_WAYS_OF_PROPERTY:
                    raise TooManyError
        return choices

    def _always_holds_more(self, condition: Condition, atoms: Sequence[Member]) -> bool:
        """Whether each value that satisfies a condition satisfies some atom as well, which is a choice of its own."""
        contrary = (self._conditions.negated(atom.condition) for atom in atoms)
        return self._has_no_value(self._conditions.every((condition, *contrary)))

    def _behind(self, atom: Member | Size, which: Name | OtherNames, holding: frozenset[Member]) -> Condition:
        if isinstance(atom, Size):
            if atom.high == 0:
                return NEVER
            return self._size(atom, max(0, atom.low - 1), None if atom.high is None else atom.high - 1)
        if atom.name is None:
            if not self._is_about(atom, which):
                return self._conditions.of(atom)
            if atom.some:
                return ALWAYS if atom in holding else self._conditions.of(atom)
            return self._conditions.of(atom) if atom in holding else NEVER
        if isinstance(which, Name) and atom.name == which.text:
            return ALWAYS if atom in holding else NEVER
        return self._conditions.of(atom)

    def _size(self, size: Size, low: int, high: int | None) -> Condition:
        if low == 0 and high is None:
            return ALWAYS
        return self._conditions.of(Size(size.kind, low, high, size.note))

    def _step(self, formula: Condition, key: object, become: Callable[[Member | Size], Condition]) -> Condition:
        conditions = self._conditions
        conditions.budget.spend(1)
        match conditions[formula]:
            case Every(parts):
                found = self._steps.get((formula, key))
                if found is None:
                    found = conditions.every(self._step(part, key, become) for part in parts)
                    self._steps[formula, key] = found
                return found
            case Some(parts):
                found = self._steps.get((formula, key))
                if found is None:
                    found = conditions.some(self._step(part, key, become) for part in parts)
                    self._steps[formula, key] = found
                return found
            case Member() | Size() as atom:
                return become(atom)
        raise AssertionError(formula)

    def may_end(self, formula: Condition) -> bool:
        """Whether the formula holds if there are no more properties."""

        def become(atom: Member | Size) -> Condition:
            if isinstance(atom, Size):
                return ALWAYS if atom.low == 0 else NEVER
            return NEVER if atom.some else ALWAYS

        return self._step(formula, None, become) == ALWAYS

    def note_count(self, formula: Condition) -> None:
        """Note that names which the condition does not speak of may be the same, where two or more are wanted."""
        if self._wants_several(formula):
            self.notes |= self._counting_notes

    def _wants_several(self, formula: Condition) -> bool:
        return any(isinstance(atom, Size) and atom.low > 1 for atom in atoms_in_order(self._conditions, formula))
