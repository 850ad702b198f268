"""Objects: from what their properties must be to rules that write them, names in the schema's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from maze.grammar.cfg.model import Literal, Nonterminal, Pattern, Production
from maze.grammar.pattern.tree import ANYTHING, Node, alt, both, literal, negation
from maze.grammar.schema.conditions import ALWAYS, NEVER, Atom, Condition, Conditions, Member, Names, Size, TooManyError, Unsure
from maze.grammar.pattern.lazy import accepts, is_nothing
from maze.grammar.schema.strings import quoted, quoted_language

MAX_CELLS = 64
"""Most ways in which patterns of names overlap in one object."""
MAX_WANTED = 6
"""Most conditions of which one property or another must satisfy each."""
MAX_STATES = 4_000
"""Most states of the rules of one object."""


@dataclass(frozen=True, slots=True)
class Named:
    """What becomes of one name: `required` or not, and the condition on its value, NEVER if it must not be there."""

    required: bool
    condition: Condition


@dataclass(frozen=True, slots=True)
class Wanted:
    """One property at least must be of some names and satisfy a condition."""

    names: Node
    condition: Condition


@dataclass(frozen=True, slots=True)
class Shape:
    """One way in which an object may satisfy a condition."""

    named: tuple[Named, ...]
    """For each of the names that count, in order."""
    others: tuple[tuple[Node, Condition], ...]
    """The names that may stand behind them, disjoint, with what their values satisfy."""
    wanted: tuple[Wanted, ...]
    low: int
    high: int | None
    notes: frozenset[int]
    counting_notes: frozenset[int]
    """Those of the numbers of properties that the shape must have."""

    @property
    def needed(self) -> list[Condition]:
        """What the values of the properties satisfy that must be there."""
        return [named.condition for named in self.named if named.required]

    @property
    def uncounted(self) -> frozenset[int]:
        """Notes on numbers that a grammar cannot hold exactly: it cannot tell more than two open names apart."""
        required = sum(named.required for named in self.named)
        return self.counting_notes if self.others and self.low > required + 1 else frozenset()


def names_in_order(atoms: Iterable[Atom]) -> list[str]:
    """The names that the atoms speak of one by one."""
    return list(dict.fromkeys(atom.name for atom in atoms if isinstance(atom, Member) and atom.name is not None))


def shape_of(
    atoms: Sequence[Atom],
    names: Sequence[str],
    conditions: Conditions,
    strings: Callable[[Condition], tuple[Node, tuple[int, ...]]],
) -> Shape | None:
    """The atoms, which hold together, as one shape; None if no object satisfies them as far as names tell.

    `strings` gives the strings that satisfy a condition, and the notes on what is wider there.
    """
    of_name: dict[str, list[Condition]] = {name: [] for name in names}
    present: set[str] = set()
    general: list[Member] = []
    wanted: list[Wanted] = []
    low, high = 0, None
    notes = set()
    counting = set()
    for atom in atoms:
        match atom:
            case Unsure(_, note):
                notes.add(note)
            case Size(_, least, most, note):
                counting.add(note)
                low = max(low, least)
                high = most if high is None else high if most is None else min(high, most)
            case Member(str() as name, _, condition, False):
                of_name[name].append(condition)
            case Member(str() as name, _, condition, True):
                present.add(name)
                of_name[name].append(condition)
            case Names(condition, some):
                language, wider = strings(condition)
                notes.update(wider)
                if some:
                    wanted.append(Wanted(language, ALWAYS))
                else:
                    general.append(Member(None, negation(language), NEVER, some=False))
            case Member(None, _, _, False):
                general.append(atom)
            case Member(None, languages, condition, True):
                wanted.append(Wanted(languages, condition))
    named = []
    for name in names:
        found = of_name[name] + [each.condition for each in general if accepts(each.names, name)]
        condition = conditions.every(found)
        if name in present and condition == NEVER:
            return None
        named.append(Named(name in present, condition))
    required = len(present)
    if high is not None and (required > high or low > high):
        return None
    others = _cells(general, names, conditions)
    if low > sum(each.condition != NEVER for each in named) and not others:
        return None
    low = 0 if low <= required else low
    if high is not None and not others and high >= sum(each.condition != NEVER for each in named):
        high = None
    return Shape(tuple(named), others, tuple(wanted), low, high, frozenset(notes), frozenset(counting))


def _cells(general: Sequence[Member], names: Sequence[str], conditions: Conditions) -> tuple[tuple[Node, Condition], ...]:
    cells: list[tuple[Node, Condition]] = [(negation(alt(*map(literal, names))) if names else ANYTHING, ALWAYS)]
    for member in general:
        if member.condition == ALWAYS:
            continue
        split = []
        for cell, condition in cells:
            inside = conditions.every((condition, member.condition))
            if inside != NEVER and not is_nothing(within := both(cell, member.names)):
                split.append((within, inside))
            if not is_nothing(outside := both(cell, negation(member.names))):
                split.append((outside, condition))
        cells = split
        if len(cells) > MAX_CELLS:
            raise TooManyError
    return tuple(cells)


# ------------------------------------------------------------------------------------------------ rules


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
            if not is_nothing(part[0])
        ]
    return parts


class ObjectRules:
    """Writes the rules of one condition on objects."""

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
        self._lists: dict[tuple[Named, int] | tuple[()], int] = {(): 0}
        self._list: list[tuple[Named, int] | tuple[()]] = [()]
        self._others: dict[tuple[tuple[Node, Condition], ...], int] = {}
        self._tails: list[tuple[tuple[Node, Condition], ...]] = []
        self._states: dict[tuple[int, bool, frozenset[_Rest]], Nonterminal] = {}
        self._pending: list[tuple[int, bool, frozenset[_Rest]]] = []
        self._start = frozenset(map(self._rest_of, shapes))

    def productions(self) -> tuple[Production, ...]:
        """What stands for an object."""
        inner = self._state(0, False, self._start)
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
            assert item
            named, following = item
            if not named.required:
                absent.add(_Rest(following, rest.others, rest.wanted, rest.low, rest.high))
            if named.condition == NEVER or rest.high == 0:
                continue
            low, high = max(0, rest.low - 1), None if rest.high is None else rest.high - 1
            fitting = [wanted for wanted in rest.wanted if accepts(wanted.names, self._names[index])]
            for condition, left in self._met(named.condition, rest.wanted, fitting):
                present.setdefault(condition, set()).add(_Rest(following, rest.others, left, low, high))
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
                        productions.append((*comma, *self._other(names, met), following))
        return productions

    def _met(
        self, condition: Condition, wanted: Sequence[Wanted], fitting: Sequence[Wanted]
    ) -> Iterator[tuple[Condition, tuple[Wanted, ...]]]:
        """What a value may satisfy of what is wanted somewhere, besides its condition, and what is then still wanted."""
        if len(fitting) > MAX_WANTED:
            raise TooManyError
        for count in range(len(fitting) + 1):
            for some in combinations(fitting, count):
                met = self._conditions.every((condition, *(each.condition for each in some)))
                if met != NEVER:
                    yield met, tuple(each for each in wanted if each not in some)

    def _other(self, names: Node, condition: Condition) -> Production:
        return (Pattern("name", quoted_language(names)), Literal(":"), self._value(condition))
