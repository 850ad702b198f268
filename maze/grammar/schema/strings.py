"""Strings of JSON as texts: every string is written in one way, its shortest."""

from __future__ import annotations

from functools import lru_cache

from maze.grammar.pattern.code_points import Ranges, complement, intersection, single, union
from maze.grammar.pattern.tree import (
    ANYTHING,
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

_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = union(((0x00, 0x1F),), single(ord('"')), single(ord("\\")))
_UNESCAPED = complement(_ESCAPED)


def spelled(text: str) -> str:
    """What stands between the quotes of a string."""
    return "".join(
        _SHORT_ESCAPES.get(character) or (f"\\u{ord(character):04x}" if character < " " else character)
        for character in text
    )


def quoted(text: str) -> str:
    """A string as it is written."""
    return f'"{spelled(text)}"'


@lru_cache(maxsize=256)
def quoted_language(contents: Node) -> Node:
    """How the strings of a language are written."""
    return cat(literal('"'), spelled_language(contents), literal('"'))


@lru_cache(maxsize=256)
def spelled_language(contents: Node) -> Node:
    """What stands between the quotes of the strings of a language.

    No spelling of a character begins another's, so that the image of an intersection is that of its parts' images.
    """
    match contents:
        case Chars(ranges):
            return _spelled_characters(ranges)
        case Literal(text):
            return literal(spelled(text))
        case Cat(items):
            return cat(*map(spelled_language, items))
        case Alt(items):
            return alt(*map(spelled_language, items))
        case Repeat(item, low, high):
            return repeat(spelled_language(item), low, high)
        case Both(items):
            return both(*map(spelled_language, items))
        case Not(item):
            return both(spelled_language(ANYTHING), negation(spelled_language(item)))
        case Machine():
            return _spelled_machine(contents)
    raise AssertionError(contents)


def _spelled_machine(machine: Machine) -> Machine:
    """Between states that an escape leads from and to stand the states within it."""
    edges = [dict[Ranges, int]() for _ in machine.edges]
    for state, row in enumerate(machine.edges):
        within: dict[tuple[int, str], int] = {(state, ""): state}
        for ranges, target in row:
            if plain := intersection(ranges, _UNESCAPED):
                edges[state][plain] = target
            for low, high in intersection(ranges, _ESCAPED):
                for code_point in range(low, high + 1):
                    escape = spelled(chr(code_point))
                    for length, character in enumerate(escape[:-1]):
                        here = within[state, escape[:length]]
                        following = (state, escape[: length + 1])
                        if following not in within:
                            within[following] = len(edges)
                            edges.append({})
                        edges[here][single(ord(character))] = within[following]
                    edges[within[state, escape[:-1]]][single(ord(escape[-1]))] = target
    return Machine(tuple(tuple(row.items()) for row in edges), machine.accepting)


def _spelled_characters(ranges: Ranges) -> Node:
    """Characters as they stand in a string; the escapes that differ in their last character only as one."""
    if not ranges:
        return NOTHING
    plain = intersection(ranges, _UNESCAPED)
    last: dict[str, list[Ranges]] = {}
    for low, high in intersection(ranges, _ESCAPED):
        for code_point in range(low, high + 1):
            escape = spelled(chr(code_point))
            last.setdefault(escape[:-1], []).append(single(ord(escape[-1])))
    escaped = [cat(literal(before), Chars(union(*ends))) for before, ends in last.items()]
    return alt(*([Chars(plain)] if plain else []), *escaped)
