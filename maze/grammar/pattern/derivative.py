"""What is left of a regular expression once its texts have begun with a character: Brzozowski's derivatives.

They keep the form of the expression, so that a counted repetition stays counted and an intersection an intersection.
"""

from __future__ import annotations

from maze.grammar.budget import Construction
from maze.grammar.pattern.code_points import Ranges, contains, single, union
from maze.grammar.pattern.tree import (
    EMPTY,
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
    alt,
    both,
    cat,
    literal,
    negation,
    nullable,
    repeat,
)


class Derivatives:
    """Derivatives of expressions that share parts; what is known of a part is not worked out again.

    The methods raise OverBudgetError.
    """

    def __init__(self, budget: Construction) -> None:
        self._budget = budget
        self._known: dict[tuple[int, str], tuple[Node, Node]] = {}
        """By identity, as looking up a large expression costs as much as deriving it; the first node keeps it valid."""

    def of(self, node: Node, character: str) -> Node:
        """The texts that make a text of the expression when they come after the character."""
        match node:
            case Chars(ranges):
                return EMPTY if contains(ranges, ord(character)) else NOTHING
            case Literal(text):
                return literal(text[1:]) if text[0] == character else NOTHING
        key = (id(node), character)
        if key not in self._known:
            self._budget.spend(1)
            self._known[key] = (node, self._derived(node, character))
        return self._known[key][1]

    def _derived(self, node: Node, character: str) -> Node:
        match node:
            case Cat(items):
                ways = []
                for place, item in enumerate(items):
                    self._budget.spend(len(items) - place)
                    if (after := self.of(item, character)) != NOTHING:
                        ways.append(cat(after, *items[place + 1 :]))
                    if not nullable(item):
                        break
                return _alt(ways)
            case Alt(items):
                self._budget.spend(len(items))
                return _alt([after for item in items if (after := self.of(item, character)) != NOTHING])
            case Repeat(item, low, high):
                again = (low, high) == (0, None)
                rest = node if again else repeat(item, max(low - 1, 0), None if high is None else high - 1)
                return cat(self.of(item, character), rest)
            case Both(items):
                return both(*(self.of(item, character) for item in items))
            case Not(item):
                return negation(self.of(item, character))
            case Machine(edges, _):
                target = next((state for ranges, state in edges[0] if contains(ranges, ord(character))), None)
                return NOTHING if target is None else self._from_state(node, target)
        raise AssertionError(node)

    def _from_state(self, machine: Machine, state: int) -> Node:
        """The automaton started in another state, without the states that this one does not lead to."""
        numbers = {state: 0}
        order = [state]
        rows: list[tuple[tuple[Ranges, int], ...]] = []
        while len(rows) < len(order):
            row = machine.edges[order[len(rows)]]
            self._budget.spend(1 + len(row))
            for _, target in row:
                if target not in numbers:
                    numbers[target] = len(order)
                    order.append(target)
            rows.append(tuple([(ranges, numbers[target]) for ranges, target in row]))
        accepting = frozenset(numbers[each] for each in machine.accepting if each in numbers)
        if not accepting:
            return NOTHING
        return EMPTY if rows == [()] else Machine(tuple(rows), accepting)


def _alt(ways: list[Node]) -> Node:
    """Alternation, without those that another one accepts when it leaves out what it may leave out at its beginning.

    Of `x*yz`, `yz` and `z` the second goes. Sequences that can be empty at the beginning leave many such behind.
    """
    if len(ways) == 1:
        return ways[0]
    joined = alt(*ways)
    if not isinstance(joined, Alt):
        return joined
    covered = set()
    for item in joined.items:
        if isinstance(item, Cat):
            for place, head in enumerate(item.items, 1):
                if not nullable(head):
                    break
                covered.add(cat(*item.items[place:]))
    return alt(*(item for item in joined.items if item not in covered)) if covered else joined


def without_empty(node: Node) -> Node:
    """The texts of the expression but the empty one."""
    if not nullable(node):
        return node
    match node:
        case Cat(items):
            return alt(*(cat(without_empty(item), *items[place + 1 :]) for place, item in enumerate(items)))
        case Alt(items):
            return alt(*map(without_empty, items))
        case Repeat(item, _, high):
            if nullable(item):
                item = without_empty(item)
            return repeat(item, 1, high)
        case Both((first, *others)):
            return both(without_empty(first), *others)
        case Not(item):
            return negation(alt(item, EMPTY))
        case Machine(edges, accepting):
            # State 0 may be come back to, where it accepts: the start becomes a copy of it that nothing leads to.
            moved = [tuple([(ranges, target + 1) for ranges, target in row]) for row in edges]
            return Machine((moved[0], *moved), frozenset(state + 1 for state in accepting))
    raise AssertionError(node)


def first_characters(node: Node) -> Ranges:
    """What the texts of an expression without Both, Not and Machine begin with."""
    match node:
        case Chars(ranges):
            return ranges
        case Literal(text):
            return single(ord(text[0]))
        case Cat(items):
            firsts = []
            for item in items:
                firsts.append(first_characters(item))
                if not nullable(item):
                    break
            return union(*firsts)
        case Alt(items):
            return union(*map(first_characters, items))
        case Repeat(item, _, _):
            return first_characters(item)
    raise AssertionError(node)
