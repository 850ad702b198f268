"""Anchors, word boundaries and look-around: a tree with them to one without, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import NoReturn

from maze.grammar.budget import Budget
from maze.grammar.pattern.code_points import ANY, Ranges, complement, contains, intersection
from maze.grammar.pattern.source import Source
from maze.grammar.pattern.tree import (
    ANYTHING,
    EMPTY,
    NOTHING,
    Alt,
    Boundary,
    Cat,
    Chars,
    Literal,
    Lookaround,
    Neighbour,
    Node,
    Repeat,
    alt,
    both,
    cat,
    children,
    negation,
    nullable,
    repeat,
)

MAX_PATHS = 256
"""Most ways through a pattern with assertions (`\\b`, look-around, inner anchors); each is resolved alone."""
MAX_RESOLVING_STEPS = 100_000
"""Most steps of resolving the assertions of one pattern; about 0.5 s."""


def resolve(tree: Node, source: Source, budget: Budget, *, left_open: bool, right_open: bool) -> Node:
    """The texts that a tree with assertions describes, as a tree without; on an open side anything may stand beside it.

    Raises UnsupportedConstraintError for what cannot be resolved exactly, LimitExceededError where there are too many
    assertions.
    """
    return _Resolver(source, budget, left_open=left_open, right_open=right_open).resolve(tree)


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition at one position: on the text before it or on the text after it."""

    ahead: bool
    side: Neighbour | None
    """Condition on the one character beside the position, or None: `language` must accept the whole text there."""
    language: Node
    position: int


_Step = Node | _Condition
_ANYTHING_BESIDE = Neighbour(ANY, end=True)


def _has_assertions(node: Node) -> bool:
    return isinstance(node, Boundary | Lookaround) or any(map(_has_assertions, children(node)))


class _Resolver:
    """Turns a tree with assertions into one without, exactly.

    The tree is taken apart into its ways through: sequences of assertion-free segments with conditions between them.
    A condition on one neighbouring character is moved into the segment that this character belongs to (a segment that
    can be empty is tried empty and not empty). What remains are look-arounds over several characters: those that look
    back are nested to the left, those that look ahead to the right, which is exact as long as none looks back over the
    place of one that looks ahead.
    """

    def __init__(self, source: Source, budget: Budget, *, left_open: bool, right_open: bool) -> None:
        self._source = source
        self._budget = budget
        self._left_open = left_open
        self._right_open = right_open
        self._paths = 0
        self._steps = 0

    def resolve(self, tree: Node) -> Node:
        ways = []
        for way in self._ways(tree):
            runs: list[list[Node]] = [[ANYTHING if self._left_open else EMPTY]]
            conditions: list[tuple[_Condition, ...]] = []
            for step in (*way, ANYTHING if self._right_open else EMPTY):
                if not isinstance(step, _Condition):
                    runs[-1].append(step)
                elif conditions and not runs[-1]:
                    conditions[-1] = (*conditions[-1], step)
                else:
                    conditions.append((step,))
                    runs.append([])
            segments = [cat(*run) for run in runs]
            ways.append(self._solve(segments, conditions))
        return alt(*ways)

    def _count(self) -> None:
        self._paths += 1
        self._budget.spend(20)
        if self._paths > MAX_PATHS:
            self._source.too_large(
                f"anchors, \\b and look-around make over {MAX_PATHS} cases of the pattern {self._source.shown}; "
                "use fewer of them"
            )

    def _refuse(self, what: str, position: int) -> NoReturn:
        self._source.unsupported(what, position, "cannot be enforced exactly")

    def _ways(self, node: Node) -> list[list[_Step]]:
        if not _has_assertions(node):
            return [[node]]
        match node:
            case Boundary(ways, position):
                return [self._edge(before, after, position) for before, after in ways]
            case Lookaround():
                return [[self._look(node)]]
            case Alt(items):
                found: list[list[_Step]] = []
                for item in items:
                    found.extend(self._ways(item))
                    self._count()
                return found
            case Cat(items):
                product: list[list[_Step]] = [[]]
                self._budget.spend(len(items))
                for has_assertions, run in groupby(items, _has_assertions):
                    for item_ways in map(self._ways, run if has_assertions else (cat(*run),)):
                        product = [[*way, *item_way] for way in product for item_way in item_ways]
                        if len(product) > MAX_PATHS:
                            self._paths = MAX_PATHS
                            self._count()
                return product
            case Repeat(item, low, 1):
                return ([[]] if low == 0 else []) + self._ways(item)
            case Repeat(item, _, _):
                self._refuse("a repeated group with an anchor, \\b or look-around", _position(item))
        raise AssertionError(node)

    @staticmethod
    def _edge(before: Neighbour, after: Neighbour, position: int) -> list[_Step]:
        return [
            _Condition(ahead, side, ANYTHING, position)
            for ahead, side in ((False, before), (True, after))
            if side != _ANYTHING_BESIDE
        ]

    def _look(self, look: Lookaround) -> _Condition:
        if isinstance(look.item, Chars):
            side = Neighbour(look.item.ranges, end=False)
            if look.negated:
                side = Neighbour(complement(look.item.ranges), end=True)
            return _Condition(look.ahead, side, ANYTHING, look.position)
        language = resolve(look.item, self._source, self._budget, left_open=not look.ahead, right_open=look.ahead)
        return _Condition(look.ahead, None, negation(language) if look.negated else language, look.position)

    def _solve(self, segments: list[Node], conditions: list[tuple[_Condition, ...]]) -> Node:
        """Texts that are the segments in a row and meet the conditions; `conditions[i]` stands after `segments[i]`."""
        solutions = []
        pending = [(segments, conditions)]
        while pending:
            segments, conditions = pending.pop()
            found = next(
                (
                    (place, condition, condition.side)
                    for place, there in enumerate(conditions)
                    for condition in there
                    if condition.side is not None
                ),
                None,
            )
            if found is None:
                solutions.append(self._solve_languages(segments, conditions))
            else:
                pending += reversed(self._cases(segments, conditions, *found))
        return alt(*solutions)

    def _cases(
        self,
        segments: list[Node],
        conditions: list[tuple[_Condition, ...]],
        place: int,
        condition: _Condition,
        side: Neighbour,
    ) -> list[tuple[list[Node], list[tuple[_Condition, ...]]]]:
        """The ways to meet a condition on one character, as segments and the conditions that are left."""
        rest = conditions.copy()
        rest[place] = tuple(other for other in rest[place] if other is not condition)
        beside = place + 1 if condition.ahead else place
        segment = segments[beside]
        cases = []

        filled = self._restricted(segment, side.chars, last=not condition.ahead)
        if filled != NOTHING:
            self._count()
            cases.append(([*segments[:beside], filled, *segments[beside + 1 :]], rest))

        if nullable(segment):
            self._count()
            edge = len(segments) - 1 if condition.ahead else 0
            if beside == edge:
                known = self._right_open if condition.ahead else self._left_open
                if not known:
                    self._refuse("an assertion that looks out of the look-around it stands in", condition.position)
                if side.end:
                    cases.append(([*segments[:beside], EMPTY, *segments[beside + 1 :]], rest))
            else:
                # The segment is empty, so its two places are one, and the condition meets the next segment.
                first = min(place, place + 1 if condition.ahead else place - 1)
                joined = (*conditions[first], *conditions[first + 1])
                cases.append(
                    (
                        [*segments[:beside], *segments[beside + 1 :]],
                        [*conditions[:first], joined, *conditions[first + 2 :]],
                    )
                )
        return cases

    def _restricted(self, node: Node, chars: Ranges, *, last: bool) -> Node:
        """Non-empty texts of an assertion-free tree whose last (or first) character is in the set."""

        def joined(rest: Node, item: Node) -> Node:
            return cat(rest, item) if last else cat(item, rest)

        match node:
            case Chars(ranges):
                return Chars(intersection(ranges, chars))
            case Literal(text):
                return node if contains(chars, ord(text[-1 if last else 0])) else NOTHING
            case Cat(items):
                solutions = []
                ordered = list(items if last else reversed(items))
                while ordered:
                    self._steps += len(ordered)
                    self._budget.spend(5 * len(ordered))
                    if self._steps > MAX_RESOLVING_STEPS:
                        self._source.too_large(
                            f"the pattern {self._source.shown} is too large for its anchors, \\b and look-around; "
                            "make it smaller or leave them out"
                        )
                    item = ordered.pop()
                    rest = cat(*(ordered if last else reversed(ordered)))
                    solutions.append(joined(rest, self._restricted(item, chars, last=last)))
                    if not nullable(item):
                        break
                return alt(*solutions)
            case Alt(items):
                return alt(*(self._restricted(item, chars, last=last) for item in items))
            case Repeat(item, low, high):
                rest = repeat(item, max(low - 1, 0), None if high is None else high - 1)
                return joined(rest, self._restricted(item, chars, last=last))
        edge = cat(ANYTHING, Chars(chars)) if last else cat(Chars(chars), ANYTHING)
        return both(node, edge)

    def _solve_languages(self, segments: list[Node], conditions: list[tuple[_Condition, ...]]) -> Node:
        behind = [place for place, there in enumerate(conditions) if any(not c.ahead for c in there)]
        ahead = [place for place, there in enumerate(conditions) if any(c.ahead for c in there)]
        turn = max(behind, default=-1)
        if ahead and min(ahead) < turn:
            position = next(c.position for c in conditions[turn] if not c.ahead)
            self._refuse("look-behind over the place of a look-ahead", position)

        left: Node = EMPTY
        for place in range(turn + 1):
            before = cat(left, segments[place])
            left = both(before, *(c.language for c in conditions[place] if not c.ahead))
        right: Node = EMPTY
        for place in range(len(segments) - 1, turn, -1):
            after = cat(segments[place], right)
            wanted = [c.language for c in conditions[place - 1] if c.ahead] if place > 0 else []
            right = both(after, *wanted)
        return cat(left, right)


def _position(node: Node) -> int:
    """Where the first assertion of a tree stands."""
    match node:
        case Boundary() | Lookaround():
            return node.position
        case Cat(items) | Alt(items):
            return min(_position(item) for item in items if _has_assertions(item))
        case Repeat(item, _, _):
            return _position(item)
    raise AssertionError(node)


# ------------------------------------------------------------------------------------------------ printing
