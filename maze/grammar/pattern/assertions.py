"""Anchors, word boundaries and look-around: a tree with them to one without, exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.pattern.annotation import machine_by_annotation
from maze.grammar.pattern.code_points import ANY, Ranges, complement, contains, intersection, union
from maze.grammar.pattern.elimination import Ways, expression_of
from maze.grammar.pattern.machine import MAX_EXPRESSION_HEIGHT, plain_expression
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
    height_of,
    negation,
    nullable,
    repeat,
    size_of,
)

MAX_RESOLVING_STEPS = 400_000
"""Most steps of resolving the assertions of one pattern in one way; about 0.5 s."""
_MAX_GROWTH = 20
"""An expression that is this many times as large as the pattern with assertions is not what anyone wants to print."""


def resolve(tree: Node, source: Source, budget: Budget, *, left_open: bool, right_open: bool) -> Node:
    """The texts that a tree with assertions describes, as a tree without; on an open side anything may stand beside it.

    On a side that is not open the text ends, which is what assertions see there. Raises LimitExceededError where the
    automaton that they need is too large.
    """
    if left_open:
        begins, tree = _after_beginning(tree)
        left_open = not begins
    whole = cat(ANYTHING if left_open else EMPTY, tree, ANYTHING if right_open else EMPTY)
    if not has_assertions(tree):
        return whole
    try:
        construction = budget.construction(MAX_RESOLVING_STEPS)
        return _Resolver(construction, 1_000 + _MAX_GROWTH * size_of(tree)).resolve(whole)
    except (_LooksOutError, OverBudgetError):
        pass
    try:
        machine = machine_by_annotation(whole, budget.construction(MAX_RESOLVING_STEPS))
    except OverBudgetError:
        source.too_large(
            f"the pattern {source.shown} is too large for its anchors, \\b and look-around; make it smaller or leave "
            "them out"
        )
    return plain_expression(machine, budget) or machine


def has_assertions(node: Node) -> bool:
    """Whether the tree must be resolved."""
    return isinstance(node, Boundary | Lookaround) or any(map(has_assertions, children(node)))


class _LooksOutError(Exception):
    """What stands beside a part decides about its texts, or look-around in it cannot be told part by part."""


@dataclass(frozen=True, slots=True)
class _Beside:
    """A condition on the one character beside a position."""

    ahead: bool
    side: Neighbour


@dataclass(frozen=True, slots=True)
class _Texts:
    """A condition on the whole text before or after a position."""

    ahead: bool
    language: Node


_Label: TypeAlias = Node | _Beside | _Texts
_Edge: TypeAlias = tuple[int, _Label, int]
_START, _END = 0, 1
_ANYTHING_BESIDE = Neighbour(ANY, end=True)


def _after_beginning(tree: Node) -> tuple[bool, Node]:
    """Whether the texts begin with the beginning of the whole text, and the tree without saying so."""
    beginning, rest = _split(tree, ahead=True)
    return (True, rest) if beginning == Neighbour((), end=True) else (False, tree)


def _opposite(side: Neighbour) -> Neighbour:
    return Neighbour(complement(side.chars), end=not side.end)


def _neighbour(item: Node, *, ahead: bool) -> Neighbour | None:
    """What look-around looks for, if that is one character or the end of the text; None if it is more."""
    match item:
        case Chars(ranges):
            return Neighbour(ranges, end=False)
        case Boundary(((before, after),), _) if (before if ahead else after) == _ANYTHING_BESIDE:
            return after if ahead else before
        case Alt(items):
            sides = [_neighbour(each, ahead=ahead) for each in items]
            found = [side for side in sides if side is not None]
            if len(found) == len(sides):
                return Neighbour(union(*(side.chars for side in found)), end=any(side.end for side in found))
    return None


def _split(item: Node, *, ahead: bool) -> tuple[Neighbour | None, Node]:
    """What look-around looks for behind itself, such as the beginning of the text in `(?=^a)`, and the rest of it."""
    items = item.items if isinstance(item, Cat) else (item,)
    match (items[0] if ahead else items[-1]) if items else None:
        case Boundary(((before, after),), _) if (after if ahead else before) == _ANYTHING_BESIDE:
            return (before if ahead else after), cat(*(items[1:] if ahead else items[:-1]))
    return None, item


class _Resolver:
    """Turns a tree with assertions into one without, exactly, and much like it.

    The tree becomes a graph whose edges are its parts without assertions and the conditions between them. A condition
    on one neighbouring character is moved along the edges into the parts that this character belongs to (a part that
    can be empty is tried empty and not empty). Look-around over several characters is intersected with all that comes
    after it, or before it. That is exact unless it stands in a loop, or one looks back over the place of one that looks
    ahead: then _LooksOutError is raised.
    """

    def __init__(
        self,
        budget: Construction,
        most: int,
        repeated: dict[Node, Node | None] | None = None,
        *,
        left_known: bool = True,
        right_known: bool = True,
    ) -> None:
        """Nothing stands beside a side that is known; beside one that is not may stand what decides.

        `repeated` is what is known of repeated parts: what they are alone, or None if that depends on what stands
        beside them.
        """
        self._budget = budget
        self._most = most
        self._left_known = left_known
        self._right_known = right_known
        self._edges: list[_Edge] = []
        self._nodes = 2
        self._repeated = {} if repeated is None else repeated
        self._at_beginning = {_START} if left_known else set()
        """Nodes before which nothing stands."""

    def resolve(self, tree: Node) -> Node:
        self._build(tree, _START, _END)
        edges = self._edges
        for ahead in (False, True):
            edges = self._without_conditions_beside(edges, ahead=ahead)
        edges = self._without_conditions_on_texts(edges)
        language = self._expression(edges, _START, _END)
        if height_of(language) > MAX_EXPRESSION_HEIGHT:
            raise OverBudgetError
        return language

    def _alone(self, tree: Node, *, left_known: bool, right_known: bool) -> Node:
        if not has_assertions(tree):
            return tree
        inner = _Resolver(self._budget, self._most, self._repeated, left_known=left_known, right_known=right_known)
        return inner.resolve(tree)

    # -- the graph

    def _node(self) -> int:
        self._nodes += 1
        return self._nodes - 1

    def _build(self, tree: Node, start: int, end: int) -> None:
        self._budget.spend(5)
        if not has_assertions(tree):
            self._edges.append((start, tree, end))
            return
        match tree:
            case Boundary(ways, _):
                for before, after in ways:
                    middle = self._node()
                    self._edges += (start, _Beside(False, before), middle), (middle, _Beside(True, after), end)
            case Lookaround(ahead, negated, item, _):
                outside, inside = _split(item, ahead=ahead)
                if outside is None:
                    self._edges.append((start, self._condition(tree, inside, start), end))
                elif negated:
                    self._edges.append((start, _Beside(not ahead, _opposite(outside)), end))
                    self._edges.append((start, self._condition(tree, inside, start), end))
                else:
                    middle = self._node()
                    self._edges.append((start, _Beside(not ahead, outside), middle))
                    self._edges.append((middle, self._condition(tree, inside, start), end))
            case Alt(items):
                for item in items:
                    self._build(item, start, end)
            case Cat(items):
                for item in items[:-1]:
                    middle = self._node()
                    self._build(item, start, middle)
                    if start in self._at_beginning and isinstance(item, Boundary | Lookaround):
                        self._at_beginning.add(middle)
                    start = middle
                self._build(items[-1], start, end)
            case Repeat(item, low, high):
                self._build_repetition(item, low, high, start, end)
            case _:
                raise _LooksOutError

    def _build_repetition(self, item: Node, low: int, high: int | None, start: int, end: int) -> None:
        if item not in self._repeated:
            try:
                self._repeated[item] = self._alone(item, left_known=False, right_known=False)
            except _LooksOutError:
                self._repeated[item] = None
        alone = self._repeated[item]
        if alone is not None:
            self._edges.append((start, repeat(alone, low, high), end))
            return
        for _ in range(low):
            middle = self._node()
            self._build(item, start, middle)
            start = middle
        if high is None:
            loop = self._node()
            self._edges += (start, EMPTY, loop), (loop, EMPTY, end)
            self._build(item, loop, loop)
            return
        self._edges.append((start, EMPTY, end))
        for _ in range(high - low):
            middle = self._node()
            self._build(item, start, middle)
            self._edges.append((middle, EMPTY, end))
            start = middle

    def _condition(self, look: Lookaround, item: Node, node: int) -> _Beside | _Texts:
        side = _neighbour(item, ahead=look.ahead)
        if side is not None:
            return _Beside(look.ahead, _opposite(side) if look.negated else side)
        if look.ahead:
            at_beginning = node in self._at_beginning
            language = self._alone(cat(item, ANYTHING), left_known=at_beginning, right_known=self._right_known)
        else:
            language = self._alone(cat(ANYTHING, item), left_known=self._left_known, right_known=False)
        return _Texts(look.ahead, negation(language) if look.negated else language)

    # -- conditions on one character

    def _without_conditions_beside(self, edges: list[_Edge], *, ahead: bool) -> list[_Edge]:
        """The graph without those on the character after a position (or before), walking towards this character."""
        near, far = (_START, _END) if ahead else (_END, _START)
        onwards: dict[int, list[tuple[_Label, int]]] = {}
        for left, label, right in edges:
            here, there = (left, right) if ahead else (right, left)
            onwards.setdefault(here, []).append((label, there))

        numbers = {(near, _ANYTHING_BESIDE): near}
        pending = [*numbers]
        moved: list[_Edge] = []

        def connect(here: int, label: _Label, there: int, side: Neighbour) -> None:
            self._budget.spend(5)
            number = far if there == far and side == _ANYTHING_BESIDE else numbers.get((there, side), -1)
            if number < 0:
                number = numbers[there, side] = self._node()
                pending.append((there, side))
            moved.append((here, label, number) if ahead else (number, label, here))

        for at, side in pending:
            here = numbers[at, side]
            if at == far:
                if not (self._right_known if ahead else self._left_known):
                    raise _LooksOutError
                if side.end:
                    moved.append((here, EMPTY, far) if ahead else (far, EMPTY, here))
            for label, there in onwards.get(at, ()):
                if isinstance(label, _Beside) and label.ahead == ahead:
                    both_sides = Neighbour(intersection(side.chars, label.side.chars), end=side.end and label.side.end)
                    if both_sides.chars or both_sides.end:
                        connect(here, EMPTY, there, both_sides)
                elif isinstance(label, _Beside | _Texts) or side == _ANYTHING_BESIDE:
                    connect(here, label, there, side)
                else:
                    filled = self._restricted(label, side.chars, last=not ahead)
                    if filled != NOTHING:
                        connect(here, filled, there, _ANYTHING_BESIDE)
                    if nullable(label):
                        connect(here, EMPTY, there, side)
        return moved

    def _restricted(self, node: Node, chars: Ranges, *, last: bool) -> Node:
        """Non-empty texts of a tree without assertions whose last (or first) character is in the set."""

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
                    self._budget.spend(5 * len(ordered))
                    item = ordered.pop()
                    rest = cat(*(ordered if last else reversed(ordered)))
                    solutions.append(joined(rest, self._restricted(item, chars, last=last)))
                    if not nullable(item):
                        break
                return alt(*solutions)
            case Alt(items):
                self._budget.spend(len(items))
                return alt(*(self._restricted(item, chars, last=last) for item in items))
            case Repeat(item, low, high):
                rest = repeat(item, max(low - 1, 0), None if high is None else high - 1)
                return joined(rest, self._restricted(item, chars, last=last))
        edge = cat(ANYTHING, Chars(chars)) if last else cat(Chars(chars), ANYTHING)
        return both(node, edge)

    # -- conditions on texts

    def _without_conditions_on_texts(self, edges: list[_Edge]) -> list[_Edge]:
        """The graph in which a part meets them that leads from the start to a position, or from it to the end."""
        while looks := [(left, label, right) for left, label, right in edges if isinstance(label, _Texts)]:
            for left, label, right in looks:
                if not (self._right_known if label.ahead else self._left_known):
                    raise _LooksOutError
                beyond = _reached(edges, right if label.ahead else left, ahead=label.ahead, budget=self._budget)
                if any((look[0] if label.ahead else look[2]) in beyond for look in looks):
                    continue  # it is in a loop, or another one comes first
                edges.remove((left, label, right))
                if label.ahead:
                    rest = self._expression(edges, right, _END)
                    edges.append((left, both(rest, label.language), _END))
                else:
                    rest = self._expression(edges, _START, left)
                    edges.append((_START, both(rest, label.language), right))
                break
            else:
                raise _LooksOutError
        return edges

    def _expression(self, edges: list[_Edge], start: int, end: int) -> Node:
        """The texts on the way from one node to another; no condition is on it."""
        within = _reached(edges, start, ahead=True, budget=self._budget)
        within &= _reached(edges, end, ahead=False, budget=self._budget)
        ways: Ways = {}
        for left, label, right in edges:
            if left in within and right in within:
                if isinstance(label, _Beside | _Texts):
                    raise AssertionError(label)
                targets = ways.setdefault(left, {})
                targets[right] = alt(targets.get(right, NOTHING), label)
        return expression_of(ways, start, (end,), self._budget, self._most) if start in within else NOTHING


def _reached(edges: Iterable[_Edge], node: int, *, ahead: bool, budget: Construction) -> set[int]:
    """The nodes that can be reached from a node, or from which it can be; it is one of them."""
    onwards: dict[int, list[int]] = {}
    for left, label, right in edges:
        budget.spend(1)
        if label != NOTHING:
            here, there = (left, right) if ahead else (right, left)
            onwards.setdefault(here, []).append(there)
    found = {node}
    pending = [node]
    while pending:
        for there in onwards.get(pending.pop(), ()):
            if there not in found:
                found.add(there)
                pending.append(there)
    return found
