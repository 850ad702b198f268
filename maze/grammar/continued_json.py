"""A JSON text to be continued, read as the enforced grammar spells it: without space, and with few escapes.

A text may end within an escape, also between the two of a pair that stands for one character: then the rest of the
escape comes first.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise

from maze.grammar.budget import Construction
from maze.grammar.cfg.model import Cfg, Nonterminal, one_of
from maze.grammar.cfg.quotient import CannotFollowError, left_quotient
from maze.grammar.pattern.tree import Chars, Literal, Machine, children

MAX_WAYS_TO_END_ESCAPE = 16
"""Most kinds of characters of which it is found out whether one may stand where a text ends within an escape."""

_STRING_OR_SPACE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[ \t\n\r]+', re.DOTALL)
_WHOLE_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf'{_HIGH}{_LOW}|\\u[0-9a-fA-F]{{4}}|\\["\\/bfnrt]')
_UNFINISHED = re.compile(
    rf"(?<!\\)(?:\\\\)*(?P<escape>\\u[0-9a-fA-F]{{1,3}}|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)\Z"
)


def rest_of_json(cfg: Cfg, text: str, work: Construction) -> Cfg:
    """What may come after the beginning of a JSON text. Raises CannotFollowError and OverBudgetError."""
    spaceless = _STRING_OR_SPACE.sub(lambda found: found[0] if found[0].startswith('"') else "", text)
    unfinished = _UNFINISHED.search(spaceless) if _is_within_string(spaceless) else None
    if unfinished is None:
        return left_quotient(cfg, _respelled(spaceless), work)
    begun, escape = spaceless[: unfinished.start("escape")], unfinished["escape"]
    return _after_escape(cfg, _respelled(begun), escape, work)


def _is_within_string(text: str) -> bool:
    """Whether a text without space between its values ends before a string does."""
    return '"' in _WHOLE_STRING.sub("", text)


def _respelled(text: str) -> str:
    """With each escape as the grammar has it: of a control character, a quotation mark or a backslash, or of none."""
    return _ESCAPE.sub(lambda found: _spelled(json.loads(f'"{found[0]}"')), text)


def _spelled(character: str) -> str:
    return json.dumps(character, ensure_ascii=False)[1:-1]


def _escape_of(code_point: int) -> str:
    return json.dumps(chr(code_point))[1:-1] if code_point > 0xFFFF else f"\\u{code_point:04x}"


# ------------------------------------------------------------------------------------------------ within an escape


def _after_escape(cfg: Cfg, begun: str, escape: str, work: Construction) -> Cfg:
    """What may come after `begun` and the beginning of an escape: the rest of it, and what follows its character.

    Of the characters that it may be, those are taken after which most is the same, so that not all need be.
    """
    ways: list[tuple[Cfg, list[int]]] = []
    for kind in _kinds(cfg, _characters_of(escape), work)[:MAX_WAYS_TO_END_ESCAPE]:
        try:
            rest = left_quotient(cfg, begun + _spelled(chr(kind[0])), work)
        except CannotFollowError:
            continue
        same = next((characters for other, characters in ways if other == rest), None)
        if same is None:
            ways.append((rest, [*kind]))
        else:
            same += kind
    if not ways:
        raise CannotFollowError(len(begun))
    rest, characters = max(ways, key=lambda way: len(way[1]))
    ending = one_of(_escape_of(character)[len(escape) :] for character in characters)
    start = f"{rest.start}\\"
    while start in rest.rules:
        start += "\\"
    return Cfg(start, {start: ((ending, Nonterminal(rest.start)),), **rest.rules})


def _characters_of(escape: str) -> range:
    """The characters whose escape may begin so: those of one page, or of one half of a pair."""
    digits = escape[2:6]
    first, count = int(digits.ljust(4, "0"), 16), 16 ** (4 - len(digits))
    if 0xDC00 <= first <= 0xDFFF:
        return range(0)  # the second half of a pair, with no first
    if 0xD800 <= first <= 0xDBFF:
        first = 0x10000 + ((first - 0xD800) << 10)
        low = escape[8:]
        known = int(low.ljust(4, "0"), 16) - 0xDC00 if len(low) > 1 else 0
        return range(first + known, first + known + (1024 if len(low) < 2 else 16 ** (4 - len(low))))
    return range(first, min(first + count, 0xD800) if first < 0xD800 else first + count)


def _kinds(cfg: Cfg, characters: range, work: Construction) -> list[range]:
    """The characters in runs of which the grammar tells none from another."""
    edges = {characters.start, characters.stop}

    def tell_apart(first: int, last: int) -> None:
        edges.update(edge for edge in (first, last + 1) if edge in characters)

    for special in '"\\\x7f':
        tell_apart(ord(special), ord(special))
    tell_apart(0, 0x1F)
    for terminal in cfg.terminals():
        todo: list[object] = [terminal if isinstance(terminal, Literal) else terminal.language]
        while todo:
            node = todo.pop()
            work.spend(1)
            match node:
                case Chars(ranges):
                    for run in ranges:
                        tell_apart(*run)
                case Literal(text):
                    for character in set(text):
                        tell_apart(ord(character), ord(character))
                case Machine(rows, _):
                    for row in rows:
                        work.spend(len(row))
                        for ranges, _ in row:
                            for run in ranges:
                                tell_apart(*run)
                case _:
                    todo += children(node)
    runs = sorted(edges)
    return [range(first, last) for first, last in pairwise(runs) if first < last]
