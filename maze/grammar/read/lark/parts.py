"""The parts of an expression of Lark text, and other names in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from maze.grammar.read.lark.syntax import (
    Choice,
    Conjunction,
    Expression,
    Negation,
    Reference,
    Repetition,
    Sequence,
)

SHOWN_NAMES = 20
"""Most names in a message."""


def parts_of(expression: Expression) -> Iterator[Expression]:
    """An expression and all in it."""
    todo = [expression]
    while todo:
        part = todo.pop()
        yield part
        todo += reversed(list(_children(part)))


def is_deeper(expressions: Iterable[Expression], limit: int) -> bool:
    """Whether expressions are nested deeper than a limit."""
    level = list(expressions)
    for _ in range(limit):
        level = [child for each in level for child in _children(each)]
    return bool(level)


def _children(expression: Expression) -> Iterable[Expression]:
    match expression:
        case Sequence(items) | Choice(items) | Conjunction(items, _):
            return items
        case Negation(item, _) | Repetition(item, _, _, _):
            return (item,)
        case Reference(_, arguments, _):
            return arguments or ()
    return ()


def with_names(expression: Expression, meanings: Mapping[str, Expression]) -> Expression:
    """The expression with some names replaced; one with arguments only by another name."""
    if not meanings:
        return expression

    def replaced(part: Expression) -> Expression:
        match part:
            case Reference(name, None, _):
                return meanings.get(name, part)
            case Reference(name, arguments, place):
                known = meanings.get(name)
                if isinstance(known, Reference) and known.arguments is None:
                    name = known.name
                return Reference(name, tuple(map(replaced, arguments or ())), place)
            case Sequence(items):
                return Sequence(tuple(map(replaced, items)))
            case Choice(options):
                return Choice(tuple(map(replaced, options)))
            case Conjunction(items, place):
                return Conjunction(tuple(map(replaced, items)), place)
            case Negation(item, place):
                return Negation(replaced(item), place)
            case Repetition(item, low, high, place):
                return Repetition(replaced(item), low, high, place)
        return part

    return replaced(expression)


def shown_names(names: Iterable[str]) -> str:
    """Names for a message, the first of them if they are many."""
    found = [name for name in names if " " not in name]
    more = f" and {len(found) - SHOWN_NAMES:,} more" if len(found) > SHOWN_NAMES else ""
    return f"{', '.join(found[:SHOWN_NAMES])}{more}"
