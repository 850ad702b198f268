"""Trees as the right-hand sides of llguidance's terminals."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from maze.grammar.pattern.code_points import ANY, NOT_LINE_FEED, Ranges, complement, is_single, union
from maze.grammar.pattern.elimination import eliminate
from maze.grammar.pattern.tree import (
    EMPTY,
    Alt,
    Both,
    Cat,
    Chars,
    Literal,
    Machine,
    Node,
    Not,
    Repeat,
    cat,
    has_machine,
    height_of,
    is_plain,
)

MAX_REGEX_HEIGHT = 100
"""Deepest nesting of a tree that is written as one regular expression; each node of it can be two of the 250 levels
that llguidance reads."""

Define: TypeAlias = Callable[[str], str]
"""Writes a further terminal with a right-hand side, and returns its name."""


def to_terminal(node: Node, define: Define | None = None) -> str:
    """The tree as the right-hand side of an llguidance terminal. The caller sees to it that it is not empty.

    One that needs parts must be given `define`.
    """
    return _terminal(node, define, nested=False)


def needs_parts(node: Node) -> bool:
    """Whether it takes further terminals to write the tree.

    Parts of an automaton would otherwise come many times in it, and what is nested too deep would not be read.
    """
    return has_machine(node) or height_of(node) > MAX_REGEX_HEIGHT


def _terminal(node: Node, define: Define | None, *, nested: bool) -> str:
    if node == EMPTY:
        return _NO_TEXT
    if _is_regex(node):
        return f"/{_regex(node)}/"
    if nested and define is not None and height_of(node) > MAX_REGEX_HEIGHT:
        return define(_terminal(node, define, nested=False))
    match node:
        case Cat(items):
            parts: list[str] = []
            run: list[Node] = []
            for item in (*items, None):
                if item is not None and _is_regex(item):
                    run.append(item)
                    continue
                if run:
                    together = cat(*run)
                    items_of_run = [together] if _is_regex(together) else run
                    parts += [_terminal(each, define, nested=True) for each in items_of_run]
                    run = []
                if item is not None:
                    parts.append(_terminal(item, define, nested=True))
            text = " ".join(parts)
        case Alt(items):
            text = " | ".join([_terminal(item, define, nested=True) for item in items])
        case Both(items):
            accepted = [_terminal(item, define, nested=True) for item in items if not isinstance(item, Not)]
            refused = [f"~{_terminal(item.item, define, nested=True)}" for item in items if isinstance(item, Not)]
            text = " & ".join([*(accepted or [_ANY_TEXT]), *refused])
        case Not(item):
            text = f"{_ANY_TEXT} & ~{_terminal(item, define, nested=True)}"
        case Repeat(item, low, high):
            text = _terminal(item, define, nested=True) + _count_text(low, high)
        case Machine() if define is not None:
            return _of_machine(node, define)
        case _:
            raise AssertionError(node)
    return f"({text})" if nested else text


def _is_regex(node: Node) -> bool:
    return is_plain(node) and height_of(node) <= MAX_REGEX_HEIGHT


def _of_machine(machine: Machine, define: Define) -> str:
    """The name of a terminal for an automaton, whose parts are terminals of their own."""

    def join(beside: str | None, before: str, loop: str | None, after: str) -> str:
        again = "" if loop is None else f"({loop})*"
        through = " ".join(part for part in (before, again, after) if part) or _NO_TEXT
        return define(through if beside is None else f"{beside or _NO_TEXT} | {through}")

    steps: dict[int, dict[int, str]] = {}
    for state, row in enumerate(machine.edges):
        targets: dict[int, Ranges] = {}
        for ranges, target in row:
            targets[target] = union(targets.get(target, ()), ranges)
        steps[state] = {target: f"/{_class_text(ranges)}/" for target, ranges in targets.items()}
    return eliminate(steps, 0, sorted(machine.accepting), "", join, lambda _: None) or _NO_TEXT


_NO_TEXT = '""'
_ANY_TEXT = "/(?s:.*)/"
"""A bare ~ would also accept bytes that are no UTF-8."""


def _regex(node: Node) -> str:
    match node:
        case Chars(ranges):
            return _class_text(ranges)
        case Literal(text):
            return text.translate(_SPELLING)
        case Cat(items):
            return "".join([f"(?:{_regex(item)})" if isinstance(item, Alt) else _regex(item) for item in items])
        case Alt(items):
            return "|".join(map(_regex, items))
        case Repeat(item, low, high):
            if item == Chars(ANY):
                return f"(?s:.{_count_text(low, high)})"
            inner = _regex(item) if isinstance(item, Chars) else f"(?:{_regex(item)})"
            return inner + _count_text(low, high)
    raise AssertionError(node)


def _count_text(low: int, high: int | None) -> str:
    match (low, high):
        case (0, None):
            return "*"
        case (1, None):
            return "+"
        case (0, 1):
            return "?"
        case (_, None):
            return f"{{{low},}}"
    return f"{{{low}}}" if low == high else f"{{{low},{high}}}"


@lru_cache(maxsize=1024)
def _class_text(ranges: Ranges) -> str:
    if ranges == ANY:
        return "(?s:.)"
    if ranges == NOT_LINE_FEED:
        return "."
    if not ranges:
        return r"[^\s\S]"
    if is_single(ranges):
        return _SPELLING[ranges[0][0]]
    others = complement(ranges)
    listed, sign = (others, "^") if len(others) < len(ranges) else (ranges, "")
    members = [
        _SPELLING[low] + ("" if low == high else f"{'-' if high > low + 1 else ''}{_SPELLING[high]}")
        for low, high in listed
    ]
    return f"[{sign}{''.join(members)}]"


class _Spelling(dict[int, str]):
    """How each character is written, worked out when it is first met."""

    def __missing__(self, code_point: int) -> str:
        character = chr(code_point)
        if (character.isascii() and character.isalnum()) or character in " _\"'<>=,;:!@%`":
            spelled = character
        elif " " < character < "\x7f":
            spelled = "\\" + character
        else:
            # By number: no reader of the grammar can then take it for layout.
            spelled = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}.get(character, f"\\u{{{code_point:x}}}")
        if code_point < _KEPT:
            self[code_point] = spelled
        return spelled


_KEPT = 0x300
_SPELLING = _Spelling()
