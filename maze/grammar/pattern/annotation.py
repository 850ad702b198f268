"""Assertions in loops and across each other, by automata: positions of a text are annotated with what holds there.

Whether a look-ahead holds at a position depends on the text after it, so an automaton that reads the text backwards
knows it; whether a look-behind holds is known to one that reads it forwards. One after the other, those inside of
others first, the assertions are multiplied into an automaton of all texts, whose states then tell what holds at a
position. At last the pattern itself is followed in it, with each assertion a step that can be taken where it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from maze.grammar.budget import Construction, OverBudgetError
from maze.grammar.pattern.automaton import (
    DEAD,
    MAX_STATES,
    Alphabet,
    Dfa,
    bits,
    make_dfa,
    smallest,
    trimmed,
)
from maze.grammar.pattern.code_points import ANY, complement
from maze.grammar.pattern.machine import machine_of
from maze.grammar.pattern.tree import (
    Alt,
    Boundary,
    Cat,
    Chars,
    Literal,
    Lookaround,
    Machine,
    Neighbour,
    Node,
    Repeat,
    literal,
)

_MAX_NODES = 10_000
"""Most nodes of the graph of one pattern."""


def machine_by_annotation(tree: Node, budget: Construction) -> Machine:
    """The texts of a tree with assertions, outside of which nothing stands. Raises OverBudgetError."""
    compiler = _Compiler(tree, budget)
    start, end = compiler.graph.node(), compiler.graph.node()
    compiler.build(tree, start, end)
    annotated = _Annotated.of_all_texts(compiler.alphabet)
    for number, look in enumerate(compiler.looks):
        annotated = annotated.with_look(look, number, compiler.graph, budget)
    dfa = smallest(annotated.followed(compiler.graph, start, end, compiler.alphabet, budget), budget)
    return machine_of(dfa, compiler.alphabet, budget)


@dataclass(frozen=True, slots=True)
class _Look:
    """An assertion: whether a way leads from `start` to `end` over the text after a position, or that before it."""

    ahead: bool
    negated: bool
    start: int
    end: int


@dataclass(slots=True)
class _Graph:
    """Steps between nodes: over one character of some groups, or over none, where an assertion may have to hold."""

    over_characters: list[list[tuple[int, int]]] = field(default_factory=list)
    """By node: groups of characters, as bits, and the nodes that they lead to."""
    over_nothing: list[list[tuple[int | None, int]]] = field(default_factory=list)
    """By node: numbers of assertions, and the nodes that can be gone on from where they hold."""

    def node(self) -> int:
        if len(self.over_nothing) >= _MAX_NODES:
            raise OverBudgetError
        self.over_characters.append([])
        self.over_nothing.append([])
        return len(self.over_nothing) - 1

    def reversed(self) -> _Graph:
        turned = _Graph([[] for _ in self.over_characters], [[] for _ in self.over_nothing])
        for node, steps in enumerate(self.over_characters):
            for groups, target in steps:
                turned.over_characters[target].append((groups, node))
        for node, free_steps in enumerate(self.over_nothing):
            for look, target in free_steps:
                turned.over_nothing[target].append((look, node))
        return turned

    def closed(self, nodes: Iterable[int], holding: int, budget: Construction) -> frozenset[int]:
        """The nodes, and those that can be gone on from where the assertions in `holding`, as bits, hold."""
        found = set(nodes)
        pending = list(found)
        while pending:
            for look, target in self.over_nothing[pending.pop()]:
                budget.spend(1)
                if target not in found and (look is None or holding >> look & 1):
                    found.add(target)
                    pending.append(target)
        return frozenset(found)

    def after(self, nodes: Iterable[int], group: int) -> set[int]:
        return {target for node in nodes for groups, target in self.over_characters[node] if groups >> group & 1}


class _Compiler:
    """Builds the graph of a tree, and those of the assertions in it, which come in the order they must be known in."""

    def __init__(self, tree: Node, budget: Construction) -> None:
        self._budget = budget
        self.alphabet = Alphabet([_without_assertions(tree)], budget)
        self.graph = _Graph()
        self.looks: list[_Look] = []
        self._known: dict[tuple[bool, Neighbour], int] = {}

    def build(self, tree: Node, start: int, end: int) -> None:
        """Ways from `start` to `end` over the texts of the tree."""
        self._budget.spend(5)
        graph = self.graph
        match tree:
            case Chars(ranges):
                graph.over_characters[start].append((self.alphabet.mask_of(ranges), end))
            case Literal(text):
                self.build(Cat(tuple(map(literal, text))), start, end)
            case Cat(items):
                for item in items:
                    middle = graph.node()
                    self.build(item, start, middle)
                    start = middle
                graph.over_nothing[start].append((None, end))
            case Alt(items):
                for item in items:
                    self.build(item, start, end)
            case Repeat(item, low, high):
                for _ in range(low):
                    middle = graph.node()
                    self.build(item, start, middle)
                    start = middle
                if high is None:
                    loop = graph.node()
                    graph.over_nothing[start].append((None, loop))
                    graph.over_nothing[loop].append((None, end))
                    self.build(item, loop, loop)
                    return
                for _ in range(high - low):
                    middle = graph.node()
                    graph.over_nothing[start].append((None, end))
                    self.build(item, start, middle)
                    start = middle
                graph.over_nothing[start].append((None, end))
            case Lookaround(ahead, negated, item, _):
                number = self._look(ahead, negated, item)
                graph.over_nothing[start].append((number, end))
            case Boundary(ways, _):
                for before, after in ways:
                    middle = graph.node()
                    graph.over_nothing[start].append((self._beside(False, before), middle))
                    graph.over_nothing[middle].append((self._beside(True, after), end))
            case _:
                self._embed(make_dfa(tree, self.alphabet, self._budget), start, end)

    def _embed(self, dfa: Dfa, start: int, end: int) -> None:
        nodes = [self.graph.node() for _ in dfa.next]
        self.graph.over_nothing[start].append((None, nodes[0]))
        for node, targets in zip(nodes, dfa.moves(), strict=True):
            self.graph.over_characters[node] += [(groups, nodes[target]) for target, groups in targets.items()]
        for state in dfa.accepting:
            self.graph.over_nothing[nodes[state]].append((None, end))

    def _look(self, ahead: bool, negated: bool, item: Node) -> int:
        start, end = self.graph.node(), self.graph.node()
        self.build(item, start, end)
        self.looks.append(_Look(ahead, negated, start, end))
        return len(self.looks) - 1

    def _beside(self, ahead: bool, side: Neighbour) -> int | None:
        if side.end and side.chars == ANY:
            return None
        if (ahead, side) not in self._known:
            others = Chars(complement(side.chars) if side.end else side.chars)
            self._known[ahead, side] = self._look(ahead, side.end, others)
        return self._known[ahead, side]


def _without_assertions(tree: Node) -> Node:
    """A tree with the same sets of characters, also those that assertions look for; what it describes says nothing."""
    match tree:
        case Boundary(ways, _):
            sides = [side for way in ways for side in way]
            return Cat(tuple(Chars(each) for side in sides for each in (side.chars, complement(side.chars))))
        case Lookaround(_, _, item, _):
            return _without_assertions(item)
        case Cat(items) | Alt(items):
            return Cat(tuple(map(_without_assertions, items)))
        case Repeat(item, _, _):
            return _without_assertions(item)
    return tree


@dataclass(slots=True)
class _Annotated:
    """An automaton of all texts whose states tell which assertions hold where it is in them, as bits."""

    holding: list[int]
    steps: list[tuple[int, int, int]]
    """State, groups of characters as bits, next state."""
    starts: set[int]
    ends: set[int]

    @classmethod
    def of_all_texts(cls, alphabet: Alphabet) -> _Annotated:
        return cls([0], [(0, (1 << alphabet.size) - 1, 0)], {0}, {0})

    def reversed(self) -> _Annotated:
        return _Annotated(
            self.holding, [(target, groups, state) for state, groups, target in self.steps], self.ends, self.starts
        )

    def with_look(self, look: _Look, number: int, graph: _Graph, budget: Construction) -> _Annotated:
        """The automaton that knows of one more assertion; those inside of it are known."""
        if look.ahead:
            turned = _Look(False, look.negated, look.end, look.start)
            return self.reversed().with_look(turned, number, graph.reversed(), budget).reversed()
        # A state goes with the nodes that the text so far leads to; a way may begin at each position.
        numbers: dict[tuple[int, frozenset[int]], int] = {}
        pending: list[tuple[int, frozenset[int]]] = []
        holding: list[int] = []
        steps: list[tuple[int, int, int]] = []
        leaving = _by_state(self.steps)

        def state_of(state: int, nodes: set[int]) -> int:
            known = self.holding[state]
            key = (state, graph.closed({*nodes, look.start}, known, budget))
            if key not in numbers:
                _check(len(numbers))
                numbers[key] = len(numbers)
                pending.append(key)
                holding.append(known | ((look.end in key[1]) != look.negated) << number)
            return numbers[key]

        starts = {state_of(state, set()) for state in sorted(self.starts)}
        for here, (state, nodes) in enumerate(pending):
            for groups, target in leaving.get(state, ()):
                reached: dict[int, int] = {}
                for group in bits(groups):
                    budget.spend(2 + len(nodes))
                    following = state_of(target, graph.after(nodes, group))
                    reached[following] = reached.get(following, 0) | 1 << group
                steps += [(here, those, following) for following, those in reached.items()]
        ends = {here for (state, _), here in numbers.items() if state in self.ends}
        return _Annotated(holding, steps, starts, ends)

    def followed(self, graph: _Graph, start: int, end: int, alphabet: Alphabet, budget: Construction) -> Dfa:
        """The texts over which a way leads from one node of the graph to another, with what holds in between."""
        useful = self._leading_to_an_end()
        leaving: dict[tuple[int, int], list[int]] = {}
        for state, groups, target in self.steps:
            if target in useful:
                for group in bits(groups):
                    budget.spend(1)
                    leaving.setdefault((state, group), []).append(target)

        def places(state: int, nodes: Iterable[int]) -> Iterator[tuple[int, int]]:
            """Those at which a character can be read or the way ends, with what can be gone on to over nothing."""
            for node in graph.closed(nodes, self.holding[state], budget):
                if node == end or graph.over_characters[node]:
                    yield state, node

        def after(place: tuple[int, int], group: int) -> frozenset[tuple[int, int]]:
            state, node = place
            following = graph.after((node,), group)
            targets = leaving.get((state, group), ()) if following else ()
            return frozenset(reached for target in targets for reached in places(target, following))

        first = frozenset(place for state in self.starts & useful for place in places(state, (start,)))
        numbers = {first: 0}
        pending = [first]
        table: list[list[int]] = []
        known: dict[tuple[tuple[int, int], int], frozenset[tuple[int, int]]] = {}
        for here in pending:
            row = []
            for group in range(alphabet.size):
                budget.spend(1 + len(here))
                following: set[tuple[int, int]] = set()
                for place in here:
                    if (place, group) not in known:
                        known[place, group] = after(place, group)
                    following |= known[place, group]
                if not following:
                    row.append(DEAD)
                    continue
                key = frozenset(following)
                if key not in numbers:
                    _check(len(numbers))
                    numbers[key] = len(numbers)
                    pending.append(key)
                row.append(numbers[key])
            table.append(row)
        accepting = {
            number
            for reached, number in numbers.items()
            if any(node == end and state in self.ends for state, node in reached)
        }
        return trimmed(table, accepting, budget)

    def _leading_to_an_end(self) -> set[int]:
        sources = _by_state(self.reversed().steps)
        useful = set(self.ends)
        pending = list(useful)
        while pending:
            for _, state in sources.get(pending.pop(), ()):
                if state not in useful:
                    useful.add(state)
                    pending.append(state)
        return useful


def _by_state(steps: Iterable[tuple[int, int, int]]) -> dict[int, list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {}
    for state, groups, target in steps:
        found.setdefault(state, []).append((groups, target))
    return found


def _check(number: int) -> None:
    if number >= MAX_STATES:
        raise OverBudgetError
