"""Rules that write objects, names in the schema's order and those that it does not know behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from maze.grammar.cfg.model import Literal, Nonterminal, Pattern, Production
from maze.grammar.pattern.tree import Node, cat, literal
from maze.grammar.schema.conditions import ALWAYS, NEVER, Condition, TooManyError
from maze.grammar.schema.objects import Name, Objects, OtherNames
from maze.grammar.schema.rules import RulesOfValues
from maze.grammar.schema.strings import quoted, quoted_language

MAX_STATES = 2_000
"""Most states of the rules of one object."""
_RUN = 8
"""Names that one rule lists at least: chains of rules are as much shorter, and the grammar is hardly longer."""
_RUNS = 200
"""About as long a chain of rules of one object may become."""


NAME = "name"
"""The name of a terminal for names that are not spoken of, each with its colon.

Two conditions on one object may each know a name or not. A lexer that takes the longest match reads it as both only if
both end in the same place.
"""


def _property(name: str, value: Nonterminal) -> Production:
    return (Literal(f"{quoted(name)}:"), value)


def _other(names: Node, value: Nonterminal) -> Production:
    return (Pattern(NAME, cat(quoted_language(names), literal(":"))), value)


class FreeObject:
    """An object whose properties come or do not come without regard to each other."""

    def __init__(self, objects: Objects, rules: RulesOfValues) -> None:
        self._names = [name for name in objects.names if name.condition != NEVER]
        self._others = [names for names in objects.others if names.condition != NEVER]
        self._run = max(_RUN, len(self._names) // _RUNS)
        self._rules = rules

    def productions(self) -> tuple[Production, ...]:
        """What stands for an object."""
        others = self._with_others()
        # Behind each name: what may follow it, from the last to the first.
        following: list[Production] = [others]
        for index in range(len(self._names) - 1, 0, -1):
            name = self._names[index]
            item = (Literal(","), *self._property(name))
            behind = following[-1]
            if index % self._run == 0 and len(behind) > 1:
                behind = (self._rules.write((behind,)),)
            following.append((*(item if name.required else (self._rules.write(((), item)),)), *behind))
        following.reverse()
        return ((Literal("{"), self._first(following), Literal("}")),)

    def _first(self, following: Sequence[Production]) -> Nonterminal:
        """The properties, of which the first has no comma before it."""
        productions: list[Production] = []
        required = next((index for index, name in enumerate(self._names) if name.required), None)
        if required is None:
            productions.append(())
            productions.extend((*self._other(names), *self._with_others()) for names in self._others)
        for index in reversed(range(len(self._names) if required is None else required + 1)):
            behind = following[index]
            if len(behind) > 1:
                behind = (self._rules.write((behind,)),)
            productions.append((*self._property(self._names[index]), *behind))
            if len(productions) > self._run:
                productions = [(self._rules.write(productions),)]
        return self._rules.write(productions[::-1])

    def _with_others(self) -> Production:
        """Properties of names that the schema does not know, each after a comma."""
        if not self._others:
            return ()
        if self._tail is None:
            self._tail = self._rules.name_one()
            self._rules.by_name[self._tail.name] = (
                (),
                *((Literal(","), *self._other(names), self._tail) for names in self._others),
            )
        return (self._tail,)

    _tail: Nonterminal | None = None

    def _property(self, name: Name) -> Production:
        return _property(name.text, self._rules.value(name.condition))

    def _other(self, names: OtherNames) -> Production:
        return _other(names.language, self._rules.value(names.condition))


class ObjectRules:
    """Writes the rules of one condition on objects."""

    def __init__(self, objects: Objects, rules: RulesOfValues) -> None:
        self._objects = objects
        self._rules = rules
        self._states: dict[tuple[int, bool, Condition], Nonterminal] = {}
        self._pending: list[tuple[int, bool, Condition]] = []

    def productions(self) -> tuple[Production, ...]:
        """What stands for an object. Raises TooManyError."""
        objects = self._objects
        if any(name.required and name.condition == NEVER for name in objects.names):
            return ()
        if objects.formula == ALWAYS:
            return FreeObject(objects, self._rules).productions()
        inner = self._state(0, any_yet=False, formula=objects.formula)
        while self._pending:
            if len(self._states) > MAX_STATES:
                raise TooManyError
            self._objects.spend(4)
            key = self._pending.pop()
            self._rules.by_name[self._states[key].name] = tuple(self._after(*key))
        return ((Literal("{"), inner, Literal("}")),)

    def _state(self, index: int, *, any_yet: bool, formula: Condition) -> Nonterminal:
        key = (index, any_yet, formula)
        if key not in self._states:
            self._states[key] = self._rules.name_one()
            self._pending.append(key)
        return self._states[key]

    def _after(self, index: int, any_yet: bool, formula: Condition) -> Iterator[Production]:
        """Ways to go on before the name of that index: to write it, or to leave it out."""
        comma: Production = (Literal(","),) if any_yet else ()
        objects = self._objects
        if index < len(objects.names):
            name = objects.names[index]
            for way in objects.ways(name, formula):
                behind = self._state(index + 1, any_yet=True, formula=way.rest)
                yield (*comma, *_property(name.text, self._rules.value(way.condition)), behind)
            if not name.required and (left := objects.without(name, formula)) != NEVER:
                yield (self._state(index + 1, any_yet=any_yet, formula=left),)
            return
        if objects.may_end(formula):
            yield ()
        for names in objects.others:
            for way in objects.ways(names, formula):
                objects.note_count(formula)
                behind = self._state(index, any_yet=True, formula=way.rest)
                yield (*comma, *_other(names.language, self._rules.value(way.condition)), behind)
