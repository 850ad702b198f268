"""Conditions that one value alone satisfies, and those on one property of an object that they are made of."""

from __future__ import annotations

from decimal import Decimal

from maze.grammar.pattern.tree import alt, literal, negation
from maze.grammar.schema import numbers
from maze.grammar.schema.conditions import ALWAYS, NEVER, Condition, Conditions, IsKind, Item, Kind, Member, Size, Text
from maze.json_text import JsonValue


def constant(conditions: Conditions, value: JsonValue) -> Condition:
    """Values equal to this one."""
    of = conditions.of
    match value:
        case None:
            return of(IsKind(Kind.NULL))
        case True:
            return of(IsKind(Kind.TRUE))
        case False:
            return of(IsKind(Kind.FALSE))
        case str():
            return of(Text(Kind.STRING, literal(value)))
        case int() | Decimal():
            return of(Text(Kind.NUMBER, numbers.shortest(Decimal(value)), negation(numbers.equal_to(Decimal(value)))))
        case list():
            items = [
                of(Item(index, index + 1, constant(conditions, item), some=False)) for index, item in enumerate(value)
            ]
            return conditions.every((of(Size(Kind.ARRAY, len(value), len(value), 0)), *items))
        case dict():
            members = [property_of(conditions, name, constant(conditions, item)) for name, item in value.items()]
            required = [present(conditions, name) for name in value]
            rest = of(Member(None, negation(alt(*map(literal, value))), NEVER, some=False))
            return conditions.every((*members, *required, rest))
    raise AssertionError(value)


def property_of(conditions: Conditions, name: str, condition: Condition) -> Condition:
    """Objects whose property of that name, where they have it, satisfies a condition."""
    return conditions.of(Member(name, literal(name), condition, some=False))


def present(conditions: Conditions, name: str) -> Condition:
    """Objects that have a property of that name."""
    return conditions.of(Member(name, literal(name), ALWAYS, some=True))
