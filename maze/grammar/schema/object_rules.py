"""Rules that write objects, names in the schema's order and those that it does not know behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from maze.grammar.cfg.model import Literal, Nonterminal, Pattern, Production
from maze.grammar.pattern.lazy import accepts
from maze.grammar.pattern.tree import Node, both, negation
from maze.grammar.schema.conditions import NEVER, Condition, Conditions, TooManyError
from maze.grammar.schema.emptiness import has_no_text
from maze.grammar.schema.objects import Named, Shape, Wanted
from maze.grammar.schema.strings import quoted, quoted_language

MAX_WANTED = 6
"""Most conditions of which one property or another must satisfy each."""
MAX_STATES = 4_000
"""Most states of the rules of one object."""
_RUN = 8
"""Names that one rule lists: chains of rules are as much shorter, and the grammar is hardly longer."""


class _FreeObject:
    """An object whose properties come or do not come without regard to each other."""

    def __init__(
        self,
        names: Sequence[str],
        shape: Shape,
        value: Callable[[Condition], Nonterminal],
        new_rule: Callable[[], str],
        rules: dict[str, tuple[Production, ...]],
    ) -> None:
        self._named = [
            (name, named) for name, named in zip(names, shape.named, strict=True) if named.condition != NEVER
        ]
        self._others = shape.others
        self._value = value
        self._new_rule = new_rule
        self._rules = rules

    def productions(self) -> tuple[Production, ...]:
        """What stands for an object."""
        others = self._with_others()
        # Behind each name: what may follow it, from the last to the first.
        following: list[Production] = [others]
        for index in range(len(self._named) - 1, 0, -1):
            name, named = self._named[index]
            item = (Literal(","), *self._property(name, named.condition))
            behind = following[-1]
            if index % _RUN == 0 and len(behind) > 1:
                behind = (self._rule((behind,)),)
            following.append((*(item if named.required else (self._rule(((), item)),)), *behind))
        following.reverse()
        return ((Literal("{"), self._first(following), Literal("}")),)

    def _first(self, following: Sequence[Production]) -> Nonterminal:
        """The properties, of which the first has no comma before it."""
        productions: list[Production] = []
        required = next((index for index, (_, named) in enumerate(self._named) if named.required), None)
        if required is None:
            productions.append(())
            for names, condition in self._others:
                productions.append((*self._other(names, condition), *self._with_others()))
        for index in reversed(range(len(self._named) if required is None else required + 1)):
            name, named = self._named[index]
            behind = following[index]
            if len(behind) > 1:
                behind = (self._rule((behind,)),)
            productions.append((*self._property(name, named.condition), *behind))
            if len(productions) > _RUN:
                productions = [(self._rule(productions),)]
        return self._rule(productions[::-1])

    def _with_others(self) -> Production:
        """Properties of names that the schema does not know, each after a comma."""
        if not self._others:
            return ()
        if self._tail is None:
            self._tail = Nonterminal(self._new_rule())
            self._rules[self._tail.name] = (
                (),
                *((Literal(","), *self._other(names, condition), self._tail) for names, condition in self._others),
            )
        return (self._tail,)

    _tail: Nonterminal | None = None

    def _property(self, name: str, condition: Condition) -> Production:
        return (Literal(f"{quoted(name)}:"), self._value(condition))

    def _other(self, names: Node, condition: Condition) -> Production:
        return (Pattern("name", quoted_language(names)), Literal(":"), self._value(condition))

    def _rule(self, productions: Sequence[Production]) -> Nonterminal:
        rule = Nonterminal(self._new_rule())
        self._rules[rule.name] = tuple(productions)
        return rule


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is left of a shape behind some of the names."""

    named: int
    """Number of the list of what becomes of the names to come."""
    others: int
    wanted: tuple[Wanted, ...]
    low: int
    high: int | None


def _overlaps(cell: Node, wanted: Sequence[Wanted]) -> list[tuple[Node, list[Wanted]]]:
    """Names of the cell, with those of the wanted that they may meet."""
    parts: list[tuple[Node, list[Wanted]]] = [(cell, [])]
    for each in wanted:
        parts = [
            part
            for names, fitting in parts
            for part in (
                (both(names, each.names), [*fitting, each]),
                (both(names, negation(each.names)), fitting),
            )
            if not has_no_text(part[0])
        ]
    return parts


class ObjectRules:
    """Writes the rules of one condition on objects.

    Behind each name the rules know which shapes are still possible, and what those then want: a state.
    """

    _NOTHING_YET = False

    def __init__(
        self,
        names: Sequence[str],
        shapes: Sequence[Shape],
        conditions: Conditions,
        value: Callable[[Condition], Nonterminal],
        new_rule: Callable[[], str],
        rules: dict[str, tuple[Production, ...]],
    ) -> None:
        self._names = names
        self._conditions = conditions
        self._value = value
        self._new_rule = new_rule
        self._rules = rules
        self._shapes = shapes
        self._lists: dict[tuple[Named, int] | tuple[()], int] = {(): 0}
        self._list: list[tuple[Named, int] | tuple[()]] = [()]
        self._others: dict[tuple[tuple[Node, Condition], ...], int] = {}
        self._tails: list[tuple[tuple[Node, Condition], ...]] = []
        self._states: dict[tuple[int, bool, frozenset[_Rest]], Nonterminal] = {}
        self._pending: list[tuple[int, bool, frozenset[_Rest]]] = []

    def productions(self) -> tuple[Production, ...]:
        """What stands for an object."""
        if len(self._shapes) == 1 and self._shapes[0].is_free:
            return _FreeObject(self._names, self._shapes[0], self._value, self._new_rule, self._rules).productions()
        inner = self._state(0, self._NOTHING_YET, frozenset(map(self._rest_of, self._shapes)))
        while self._pending:
            if len(self._states) > MAX_STATES:
                raise TooManyError
            key = self._pending.pop()
            self._rules[self._states[key].name] = tuple(dict.fromkeys(self._after(*key)))
        return ((Literal("{"), inner, Literal("}")),)

    def _rest_of(self, shape: Shape) -> _Rest:
        number = 0
        for named in reversed(shape.named):
            number = self._numbered((named, number))
        if shape.others not in self._others:
            self._others[shape.others] = len(self._tails)
            self._tails.append(shape.others)
        return _Rest(number, self._others[shape.others], shape.wanted, shape.low, shape.high)

    def _numbered(self, item: tuple[Named, int]) -> int:
        if item not in self._lists:
            self._lists[item] = len(self._list)
            self._list.append(item)
        return self._lists[item]

    def _state(self, index: int, any_yet: bool, rests: frozenset[_Rest]) -> Nonterminal:
        key = (index, any_yet, rests)
        if key not in self._states:
            self._states[key] = Nonterminal(self._new_rule())
            self._pending.append(key)
        return self._states[key]

    def _after(self, index: int, any_yet: bool, rests: frozenset[_Rest]) -> list[Production]:
        """Ways to go on before the name of that index: to write it, or to leave it out."""
        if index == len(self._names):
            return self._tail(any_yet, rests)
        comma: Production = (Literal(","),) if any_yet else ()
        productions: list[Production] = []
        absent = set()
        present: dict[Condition, set[_Rest]] = {}
        for rest in rests:
            item = self._list[rest.named]
            if not item:
                raise AssertionError(rest)
            named, behind = item
            if not named.required:
                absent.add(_Rest(behind, rest.others, rest.wanted, rest.low, rest.high))
            if named.condition == NEVER or rest.high == 0:
                continue
            low, high = max(0, rest.low - 1), None if rest.high is None else rest.high - 1
            fitting = [wanted for wanted in rest.wanted if accepts(wanted.names, self._names[index])]
            for condition, left in self._met(named.condition, rest.wanted, fitting):
                present.setdefault(condition, set()).add(_Rest(behind, rest.others, left, low, high))
        for condition, ways in present.items():
            name = Literal(f"{quoted(self._names[index])}:")
            following = self._state(index + 1, True, frozenset(ways))
            productions.append((*comma, name, self._value(condition), following))
        if absent:
            productions.append((self._state(index + 1, any_yet, frozenset(absent)),))
        return productions

    def _tail(self, any_yet: bool, rests: frozenset[_Rest]) -> list[Production]:
        """Ways to go on behind all names."""
        productions: list[Production] = []
        comma: Production = (Literal(","),) if any_yet else ()
        for rest in rests:
            if rest.low == 0 and not rest.wanted:
                productions.append(())
            if rest.high == 0:
                continue
            low, high = max(0, rest.low - 1), None if rest.high is None else rest.high - 1
            for cell, condition in self._tails[rest.others]:
                for names, fitting in _overlaps(cell, rest.wanted):
                    for met, left in self._met(condition, rest.wanted, fitting):
                        following = self._state(
                            len(self._names), True, frozenset((_Rest(0, rest.others, left, low, high),))
                        )
                        productions.append(
                            (*comma, Pattern("name", quoted_language(names)), Literal(":"), self._value(met), following)
                        )
        return productions

    def _met(
        self, condition: Condition, wanted: Sequence[Wanted], fitting: Sequence[Wanted]
    ) -> Iterator[tuple[Condition, tuple[Wanted, ...]]]:
        """What a value may satisfy of what is wanted somewhere, besides its condition, and what is then still wanted."""
        if not fitting:
            yield condition, tuple(wanted)
            return
        if len(fitting) > MAX_WANTED:
            raise TooManyError
        for count in range(len(fitting) + 1):
            for some in combinations(fitting, count):
                met = self._conditions.every((condition, *(each.condition for each in some)))
                if met != NEVER:
                    yield met, tuple(each for each in wanted if each not in some)
