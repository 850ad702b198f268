"""Trees as the right-hand sides of llguidance's terminals."""

from __future__ import annotations

from functools import lru_cache

from maze.grammar.pattern.code_points import ANY, NOT_LINE_FEED, Ranges, complement, is_single
from maze.grammar.pattern.tree import (
    EMPTY,
    Alt,
    Both,
    Cat,
    Chars,
    Literal,
    Node,
    Not,
    Repeat,
    cat,
    is_plain,
)


def to_terminal(node: Node) -> str:
    """The tree as the right-hand side of an llguidance terminal. The caller sees to it that it is not empty."""
    return _terminal(node, nested=False)


def _terminal(node: Node, *, nested: bool) -> str:
    if node == EMPTY:
        return '""'
    if is_plain(node):
        return f"/{_regex(node)}/"
    match node:
        case Cat(items):
            parts: list[str] = []
            run: list[Node] = []
            for item in (*items, None):
                if item is not None and is_plain(item):
                    run.append(item)
                    continue
                if run:
                    parts.append(_terminal(cat(*run), nested=True))
                    run = []
                if item is not None:
                    parts.append(_terminal(item, nested=True))
            text = " ".join(parts)
        case Alt(items):
            text = " | ".join([_terminal(item, nested=True) for item in items])
        case Both(items):
            accepted = [_terminal(item, nested=True) for item in items if not isinstance(item, Not)]
            refused = [f"~{_terminal(item.item, nested=True)}" for item in items if isinstance(item, Not)]
            text = " & ".join([*(accepted or [_ANY_TEXT]), *refused])
        case Not(item):
            text = f"{_ANY_TEXT} & ~{_terminal(item, nested=True)}"
        case _:
            raise AssertionError(node)
    return f"({text})" if nested else text


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
