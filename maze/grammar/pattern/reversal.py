"""Regular expressions read from the end to the beginning."""

from __future__ import annotations

from functools import reduce
from operator import or_

from maze.grammar.budget import Construction
from maze.grammar.pattern.automaton import Alphabet, bits
from maze.grammar.pattern.code_points import Ranges
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
    alt,
    both,
    cat,
    literal,
    negation,
    repeat,
)


def reversed_expression(node: Node, budget: Construction) -> Node:
    """The texts of the expression, each written backwards. Raises OverBudgetError."""
    match node:
        case Chars():
            return node
        case Literal(text):
            return literal(text[::-1])
        case Cat(items):
            return cat(*(reversed_expression(item, budget) for item in reversed(items)))
        case Alt(items):
            return alt(*(reversed_expression(item, budget) for item in items))
        case Repeat(item, low, high):
            return repeat(reversed_expression(item, budget), low, high)
        case Both(items):
            return both(*(reversed_expression(item, budget) for item in items))
        case Not(item):
            return negation(reversed_expression(item, budget))
        case Machine():
            return _reversed_machine(node, budget)
    raise AssertionError(node)


def _reversed_machine(machine: Machine, budget: Construction) -> Node:
    """All edges turned round, and made deterministic: a state is the set of states it may be read from, as bits."""
    alphabet = Alphabet([machine], budget)
    sources: list[list[int]] = [[0] * alphabet.size for _ in machine.edges]
    for source, row in enumerate(machine.edges):
        for ranges, target in row:
            budget.spend(alphabet.size)
            for group in bits(alphabet.mask_of(ranges)):
                sources[target][group] |= 1 << source
    start = reduce(or_, (1 << state for state in machine.accepting), 0)
    if not start:
        return NOTHING
    numbers = {start: 0}
    order = [start]
    rows: list[tuple[tuple[Ranges, int], ...]] = []
    while len(rows) < len(order):
        groups_to: dict[int, int] = {}
        members = list(bits(order[len(rows)]))
        budget.spend(alphabet.size * (1 + len(members)))
        for group in range(alphabet.size):
            reached = reduce(or_, (sources[member][group] for member in members), 0)
            if not reached:
                continue
            if reached not in numbers:
                numbers[reached] = len(order)
                order.append(reached)
            groups_to[numbers[reached]] = groups_to.get(numbers[reached], 0) | 1 << group
        rows.append(tuple((alphabet.ranges_of(mask, budget), target) for target, mask in groups_to.items()))
    return Machine(tuple(rows), frozenset(number for states, number in numbers.items() if states & 1))
