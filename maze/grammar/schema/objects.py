"""The shapes of objects: what becomes of each name, where several conditions hold together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from maze.grammar.pattern.lazy import accepts
from maze.grammar.pattern.tree import ANYTHING, Node, alt, both, literal, negation
from maze.grammar.schema.conditions import (
    ALWAYS,
    NEVER,
    Atom,
    Condition,
    Conditions,
    Member,
    Names,
    Size,
    TooManyError,
    Unsure,
)
from maze.grammar.schema.emptiness import has_no_text

MAX_CELLS = 64
"""Most ways in which patterns of names overlap in one object."""


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
    def is_free(self) -> bool:
        """Whether it makes no difference to a name which others there are."""
        return not self.wanted and self.low == 0 and self.high is None

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
        condition = found[0] if len(found) == 1 else conditions.every(found)
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


def _cells(
    general: Sequence[Member], names: Sequence[str], conditions: Conditions
) -> tuple[tuple[Node, Condition], ...]:
    cells: list[tuple[Node, Condition]] = [(negation(alt(*map(literal, names))) if names else ANYTHING, ALWAYS)]
    for member in general:
        if member.condition == ALWAYS:
            continue
        split = []
        for cell, condition in cells:
            inside = conditions.every((condition, member.condition))
            if inside != NEVER and not has_no_text(within := both(cell, member.names)):
                split.append((within, inside))
            if not has_no_text(outside := both(cell, negation(member.names))):
                split.append((outside, condition))
        cells = split
        if len(cells) > MAX_CELLS:
            raise TooManyError
    return tuple(cells)
