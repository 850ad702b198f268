"""Finite automata over sets of characters: what the product with a grammar and questions of emptiness are made with.

Made here and not by `interegular`, which has no bound on the work of a construction, no Unicode and no intersection
inside an expression. Work is counted in steps, not in time, so that the same constraints are always handled alike.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_

from maze.grammar.budget import MAX_CONSTRUCTION_STEPS, Budget, Construction, OverBudgetError
from maze.grammar.pattern.code_points import ANY, LAST_CODE_POINT, Ranges, intersection, single, union
from maze.grammar.pattern.elimination import Ways, expression_of
from maze.grammar.pattern.tree import (
    NOTHING,
    Alt,
    Both,
    Cat,
    Chars,
    Literal,
    Machine,
    Node,
    Not,
    Repeat,
    children,
)

MAX_STATES = 2_000
"""Most states of an automaton."""

DEAD = -1


class Alphabet:
    """The characters in as few groups as a number of expressions can tell apart, in a fixed order."""

    def __init__(self, nodes: Iterable[Node], budget: Construction) -> None:
        """Raises OverBudgetError."""
        sets: dict[Ranges, int] = {}
        pending = list(nodes)
        while pending:
            budget.spend(1)
            match node := pending.pop():
                case Chars(ranges):
                    sets.setdefault(ranges, len(sets))
                case Literal(text):
                    budget.spend(len(text))
                    for character in text:
                        sets.setdefault(single(ord(character)), len(sets))
                case Machine(edges, _):
                    for row in edges:
                        budget.spend(len(row))
                        for ranges, _ in row:
                            sets.setdefault(ranges, len(sets))
                case _:
                    pending.extend(children(node))
        toggles: dict[int, int] = {}
        words = 1 + len(sets) // 64  # in each of the numbers whose bits stand for the sets
        for ranges, number in sets.items():
            budget.spend(len(ranges) * words)
            for low, high in ranges:
                toggles[low] = toggles.get(low, 0) ^ (1 << number)
                toggles[high + 1] = toggles.get(high + 1, 0) ^ (1 << number)
        toggles.setdefault(0, 0)
        self._starts = sorted(toggles)
        members = 0
        groups: dict[int, int] = {}
        self._groups = [groups.setdefault(members := members ^ toggles[start], len(groups)) for start in self._starts]
        self.size = len(groups)
        budget.spend(len(self._starts) * words + len(sets) * len(groups) // 8)
        self._ranges: dict[int, Ranges] = {}
        self._masks = {
            ranges: sum(1 << group for signature, group in groups.items() if signature >> number & 1)
            for ranges, number in sets.items()
        }

    @cached_property
    def beyond(self) -> frozenset[int]:
        """Groups without any character: of halves of surrogate pairs, which are in no set."""
        ends = [*self._starts[1:], LAST_CODE_POINT + 1]
        runs = zip(self._starts, ends, self._groups, strict=True)
        inside = {group for start, end, group in runs if start < end and intersection(((start, end - 1),), ANY)}
        return frozenset(range(self.size)) - inside

    def group_of(self, character: str) -> int:
        """Number of the group that a character is in."""
        return self._groups[bisect_right(self._starts, ord(character)) - 1]

    def mask_of(self, ranges: Ranges) -> int:
        """The groups that make up a set of one of the expressions, as bits."""
        return self._masks[ranges]

    def ranges_of(self, mask: int, budget: Construction) -> Ranges:
        """The characters of the groups in `mask`."""
        if mask not in self._ranges:
            budget.spend(len(self._starts))
            ends = [*self._starts[1:], LAST_CODE_POINT + 1]
            found = union(
                tuple(
                    (start, end - 1)
                    for start, end, group in zip(self._starts, ends, self._groups, strict=True)
                    if mask >> group & 1 and start < end
                )
            )
            self._ranges[mask] = intersection(found, ANY)
        return self._ranges[mask]


@dataclass(frozen=True, slots=True)
class Dfa:
    """A deterministic automaton; it starts in state 0. Every state can be reached and leads to an accepting one.

    An automaton that accepts nothing has the one state 0, not accepting.
    """

    next: tuple[tuple[int, ...], ...]
    """By state and group of the alphabet: the next state, or DEAD."""
    accepting: frozenset[int]

    @property
    def is_empty(self) -> bool:
        return not self.accepting

    def moves(self) -> list[dict[int, int]]:
        """By state: the next states, and for each the groups of characters that lead there, as bits."""
        found: list[dict[int, int]] = []
        for row in self.next:
            targets: dict[int, int] = {}
            for group, target in enumerate(row):
                if target != DEAD:
                    targets[target] = targets.get(target, 0) | 1 << group
            found.append(targets)
        return found


def make_dfa(node: Node, alphabet: Alphabet, budget: Construction) -> Dfa:
    """An automaton for an expression; the expression must be one of those that the alphabet was made for.

    Raises OverBudgetError.
    """
    match node:
        case Both(items):
            dfas = sorted((make_dfa(item, alphabet, budget) for item in items), key=lambda dfa: len(dfa.next))
            return reduce(lambda left, right: _intersection(left, right, budget), dfas)
        case Not(item):
            return _complement(make_dfa(item, alphabet, budget), alphabet, budget)
        case Machine():
            return _of_machine(node, alphabet, budget)
    return Positions(node, alphabet, budget).determinise()


def smallest(dfa: Dfa, budget: Construction) -> Dfa:
    """The automaton with the fewest states for the same texts, by Hopcroft's algorithm. Raises OverBudgetError."""
    size, groups = len(dfa.next), len(dfa.next[0])
    budget.spend(size * groups)
    dead = size
    sources: list[list[list[int]]] = [[[] for _ in range(groups)] for _ in range(size + 1)]
    for state, row in enumerate([*dfa.next, (DEAD,) * groups]):
        for group, target in enumerate(row):
            sources[dead if target == DEAD else target][group].append(state)

    blocks = [block for block in (set(dfa.accepting), set(range(size + 1)) - dfa.accepting) if block]
    block_of = [0] * (size + 1)
    for number, block in enumerate(blocks):
        for state in block:
            block_of[state] = number
    work = {(number, group) for number in range(len(blocks)) for group in range(groups)}
    while work:
        number, group = work.pop()
        touched: dict[int, set[int]] = {}
        for state in blocks[number]:
            budget.spend(1 + len(sources[state][group]))
            for source in sources[state][group]:
                touched.setdefault(block_of[source], set()).add(source)
        for split, members in touched.items():
            if len(members) == len(blocks[split]):
                continue
            rest = blocks[split] - members
            small, blocks[split] = (members, rest) if len(members) <= len(rest) else (rest, members)
            for state in small:
                block_of[state] = len(blocks)
            work.update((len(blocks), other) for other in range(groups))
            blocks.append(small)

    table = [[DEAD if target == DEAD else block_of[target] for target in row] for row in dfa.next]
    merged: list[list[int]] = [[]] * len(blocks)
    for state, merged_row in enumerate(table):
        merged[block_of[state]] = merged_row
    merged[block_of[dead]] = merged[block_of[dead]] or [DEAD] * groups
    return trimmed(merged, {block_of[state] for state in dfa.accepting}, budget, start=block_of[0])


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an expression: whether it can be empty, and the positions it can begin and end with, as bits."""

    nullable: bool
    first: int
    last: int


_EMPTY_PART = _Part(True, 0, 0)


class Positions:
    """Glushkov's construction: an automaton whose states are the places in the expression where a character stands.

    Sets of positions are bits. Raises OverBudgetError when it is made.
    """

    def __init__(self, node: Node, alphabet: Alphabet, budget: Construction, most: int = MAX_STATES) -> None:
        self._most = most
        self._alphabet = alphabet
        self._budget = budget
        self.groups: list[int] = []
        """By position: the groups of characters that can stand there, as bits."""
        self.follow: list[int] = []
        """By position: the positions that can come after it."""
        whole = self._part(node)
        self.nullable = whole.nullable
        self.first = whole.first
        self.last = whole.last

    def determinise(self) -> Dfa:
        """The automaton whose states are sets of positions that the last character may have stood at."""
        by_group = [0] * self._alphabet.size
        for position, mask in enumerate(self.groups):
            for group in bits(mask):
                by_group[group] |= 1 << position

        # State 0 is the start, after which the first positions come.
        numbers: dict[int, int] = {}
        table: list[list[int]] = []
        accepting = {0} if self.nullable else set()
        pending: list[int] = []

        def row_after(following: int) -> list[int]:
            self._budget.spend(self._alphabet.size)
            row = []
            for positions in by_group:
                reached = following & positions
                if not reached:
                    row.append(DEAD)
                    continue
                if reached not in numbers:
                    numbers[reached] = len(numbers) + 1
                    if len(numbers) > MAX_STATES:
                        raise OverBudgetError
                    if reached & self.last:
                        accepting.add(numbers[reached])
                    pending.append(reached)
                row.append(numbers[reached])
            return row

        table.append(row_after(self.first))
        done = 0
        while done < len(pending):
            following = 0
            for position in bits(pending[done]):
                self._budget.spend(1)
                following |= self.follow[position]
            done += 1
            table.append(row_after(following))
        return trimmed(table, accepting, self._budget)

    def _add(self, mask: int) -> _Part:
        if not mask:
            return _Part(False, 0, 0)
        if len(self.groups) >= self._most:
            raise OverBudgetError
        self._budget.spend(1)
        self.groups.append(mask)
        self.follow.append(0)
        position = 1 << (len(self.groups) - 1)
        return _Part(False, position, position)

    def _join(self, left: _Part, right: _Part) -> _Part:
        if right.first:
            for position in bits(left.last):
                self._budget.spend(4)
                self.follow[position] |= right.first
        return _Part(
            left.nullable and right.nullable,
            left.first | (right.first if left.nullable else 0),
            right.last | (left.last if right.nullable else 0),
        )

    def _part(self, node: Node) -> _Part:
        match node:
            case Chars(ranges):
                return self._add(self._alphabet.mask_of(ranges))
            case Literal(text):
                return reduce(self._join, (self._add(1 << self._alphabet.group_of(character)) for character in text))
            case Cat(items):
                return reduce(self._join, map(self._part, items), _EMPTY_PART)
            case Alt(items):
                parts = [self._part(item) for item in items]
                return _Part(
                    any(part.nullable for part in parts),
                    reduce(or_, (part.first for part in parts)),
                    reduce(or_, (part.last for part in parts)),
                )
            case Repeat(item, low, None):
                before = reduce(self._join, (self._part(item) for _ in range(low - 1)), _EMPTY_PART)
                loop = self._part(item)
                self._join(loop, loop)
                return self._join(before, _Part(loop.nullable or low == 0, loop.first, loop.last))
            case Repeat(item, low, high):
                # X{2,4} as XX(X(X)?)?: far fewer followers than XXX?X?
                tail = _EMPTY_PART
                for _ in range((high or 0) - low):
                    longer = self._join(self._part(item), tail)
                    tail = _Part(True, longer.first, longer.last)
                return self._join(reduce(self._join, (self._part(item) for _ in range(low)), _EMPTY_PART), tail)
            case Both() | Not() | Machine():
                return self._embedded(make_dfa(node, self._alphabet, self._budget))
        raise AssertionError(node)

    def _embedded(self, dfa: Dfa) -> _Part:
        """A finished automaton as positions: one for each pair of states with a way between them."""
        leaving: list[int] = []
        entering: dict[int, int] = {}
        self._budget.spend(len(dfa.next) * self._alphabet.size)
        for masks in dfa.moves():
            out = 0
            for target, mask in masks.items():
                position = self._add(mask).first
                entering[target] = entering.get(target, 0) | position
                out |= position
            leaving.append(out)
        for target, positions in entering.items():
            for position in bits(positions):
                self.follow[position] = leaving[target]
        last = reduce(or_, (entering.get(state, 0) for state in dfa.accepting), 0)
        return _Part(0 in dfa.accepting, leaving[0], last)


def bits(mask: int) -> Iterable[int]:
    """The numbers of the bits that are set, from the lowest on."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _intersection(left: Dfa, right: Dfa, budget: Construction) -> Dfa:
    """An automaton for the texts that both accept."""
    numbers = {(0, 0): 0}
    pending = [(0, 0)]
    table: list[list[int]] = []
    accepting: set[int] = set()
    done = 0
    while done < len(pending):
        pair = pending[done]
        if pair[0] in left.accepting and pair[1] in right.accepting:
            accepting.add(done)
        done += 1
        row = []
        budget.spend(len(left.next[pair[0]]))
        for reached in zip(left.next[pair[0]], right.next[pair[1]], strict=True):
            if DEAD in reached:
                row.append(DEAD)
                continue
            if reached not in numbers:
                numbers[reached] = len(numbers)
                if len(numbers) > MAX_STATES:
                    raise OverBudgetError
                pending.append(reached)
            row.append(numbers[reached])
        table.append(row)
    return trimmed(table, accepting, budget)


def _of_machine(machine: Machine, alphabet: Alphabet, budget: Construction) -> Dfa:
    table = []
    for row in machine.edges:
        budget.spend(alphabet.size)
        targets = [DEAD] * alphabet.size
        for ranges, target in row:
            for group in bits(alphabet.mask_of(ranges)):
                targets[group] = target
        table.append(targets)
    return trimmed(table, set(machine.accepting), budget)


def _complement(dfa: Dfa, alphabet: Alphabet, budget: Construction) -> Dfa:
    everything = len(dfa.next)
    budget.spend(len(dfa.next) * alphabet.size)
    otherwise = [DEAD if group in alphabet.beyond else everything for group in range(alphabet.size)]
    table = [
        [other if target == DEAD else target for target, other in zip(row, otherwise, strict=True)] for row in dfa.next
    ]
    table.append(otherwise)
    return trimmed(table, set(range(len(table))) - dfa.accepting, budget)


def trimmed(table: list[list[int]], accepting: set[int], budget: Construction, *, start: int = 0) -> Dfa:
    """The automaton of a table, without the states that lead to no text; numbered in the order they are met."""
    groups = len(table[0])
    budget.spend(len(table) * groups)
    sources: list[list[int]] = [[] for _ in table]
    for state, row in enumerate(table):
        for target in set(row) - {DEAD}:
            sources[target].append(state)
    alive = set(accepting)
    pending = list(accepting)
    while pending:
        for source in sources[pending.pop()]:
            if source not in alive:
                alive.add(source)
                pending.append(source)
    if start not in alive:
        return Dfa(((DEAD,) * groups,), frozenset())

    numbers = {start: 0}
    order = [start]
    rows: list[tuple[int, ...]] = []
    while len(rows) < len(order):
        row = table[order[len(rows)]]
        for target in row:
            if target in alive and target not in numbers:
                numbers[target] = len(numbers)
                order.append(target)
        rows.append(tuple([numbers[target] if target in alive else DEAD for target in row]))
    return Dfa(tuple(rows), frozenset(numbers[state] for state in accepting if state in numbers))


# ------------------------------------------------------------------------------------------------ questions, ways back


def is_empty(node: Node, budget: Budget) -> bool:
    """Whether no text is accepted. Raises OverBudgetError."""
    construction = budget.construction()
    return make_dfa(node, Alphabet([node], construction), construction).is_empty


def beginnings(node: Node, ending: Node, budget: Construction) -> Node:
    """The texts that make one of `node` with one of `ending` behind them. Raises OverBudgetError."""
    alphabet = Alphabet([node, ending], budget)
    whole, tail = make_dfa(node, alphabet, budget), make_dfa(ending, alphabet, budget)
    accepting = {state for state in range(len(whole.next)) if _can_end(whole, state, tail, budget)}
    if not accepting:
        return NOTHING
    dfa = trimmed([list(row) for row in whole.next], accepting, budget)
    return ways_between(0, dfa.accepting, dict(enumerate(dfa.moves())), alphabet, budget)


def _can_end(whole: Dfa, state: int, tail: Dfa, budget: Construction) -> bool:
    """Whether some text of `tail` leads from a state of `whole` to its end."""
    pending = [(state, 0)]
    seen = set(pending)
    while pending:
        here, there = pending.pop()
        if here in whole.accepting and there in tail.accepting:
            return True
        budget.spend(len(whole.next[here]))
        moves = zip(whole.next[here], tail.next[there], strict=True)
        new = {each for each in moves if DEAD not in each} - seen
        seen |= new
        pending += new
    return False


def without_intersections(node: Node, budget: Budget, steps: int = MAX_CONSTRUCTION_STEPS) -> Node:
    """An equal expression without Both, Not and Machine. Raises OverBudgetError."""
    construction = budget.construction(steps)
    alphabet = Alphabet([node], construction)
    dfa = smallest(make_dfa(node, alphabet, construction), construction)
    return ways_between(0, dfa.accepting, dict(enumerate(dfa.moves())), alphabet, construction)


def ways_between(
    start: int, ends: Iterable[int], edges: dict[int, dict[int, int]], alphabet: Alphabet, budget: Construction
) -> Node:
    """The texts that lead from `start` to one of `ends` over `edges` (source, target, groups).

    Raises OverBudgetError.
    """
    ways: Ways = {
        source: {target: Chars(alphabet.ranges_of(mask, budget)) for target, mask in targets.items()}
        for source, targets in edges.items()
    }
    return expression_of(ways, start, ends, budget)
