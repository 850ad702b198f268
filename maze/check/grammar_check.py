"""Checks texts against grammars: llguidance decides byte by byte, and says what it would have taken."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from maze.check import Finding
from maze.check.expectation import END_OF_TEXT
from maze.compiled import EngineGrammar
from maze.errors import LimitExceededError
from maze.grammar.llguidance import GuidanceError, Matcher
from maze.json_text import shown
from maze.store import BoundedStore
from maze.threads import run_with_big_stack

_log = logging.getLogger(__name__)

MAX_PROTOTYPE_BYTES = 64 * 1024 * 1024
"""Memory for llguidance matchers that are kept for the next text."""

_SHOWN_ALTERNATIVES = 8
_FIRST_STEP = 256
"""Bytes that llguidance is given at once before it is known how long it takes for them: a step cannot be stopped."""

_prototypes: BoundedStore[Matcher] = BoundedStore(MAX_PROTOTYPE_BYTES)


def grammar_violation(text: bytes, grammar: EngineGrammar, path: str, in_time: Callable[[str], None]) -> Finding | None:
    """Where the text breaks the grammar at `path`; `in_time` is asked now and then, and raises when the time is up.

    Raises LimitExceededError where llguidance gives up.
    """
    matcher = _copy_of_prototype(grammar, path)
    if len(text) <= _FIRST_STEP and matcher.accepts(text):
        return None
    try:
        return _walk(matcher, text, path, in_time)
    except GuidanceError:
        # Copies share their lexer, so the error may be that of another text: a matcher of our own decides.
        _prototypes.drop(grammar)
    try:
        return _walk(_make_matcher(grammar, path), text, path, in_time)
    except GuidanceError as error:
        _log.debug("llguidance about a text for %s: %s", path, error)
        raise LimitExceededError(
            f"checking the text against {path} is too much work for llguidance; simplify the constraint"
        ) from None


def bytes_after(
    text: bytes, grammar: EngineGrammar, path: str, in_time: Callable[[str], None], *, is_whole: bool = True
) -> frozenset[int] | None:
    """The bytes that may follow a text of the grammar at `path`; None if it is none. Raises as grammar_violation().

    With `is_whole=False` the text may be the beginning of one.
    """
    matcher = _copy_of_prototype(grammar, path)
    try:
        found = _walk(matcher, text, path, in_time)
        follows = found is None or (not is_whole and found.offset == len(text))
        return frozenset(matcher.next_bytes()) if follows else None
    except GuidanceError as error:
        _prototypes.drop(grammar)
        raise error.for_caller(f"what may follow the text by {path}", LimitExceededError) from None


def _copy_of_prototype(grammar: EngineGrammar, path: str) -> Matcher:
    # Measured: matchers take 106 KB, 415 KB and 2.1 MB for schemas of 1, 10 and 100 KB.
    size = 100_000 + 25 * len(grammar.rules)
    return _prototypes.get_or_make(grammar, lambda: _make_matcher(grammar, path), size).copy()


def _make_matcher(grammar: EngineGrammar, path: str) -> Matcher:
    try:
        return run_with_big_stack(lambda: Matcher(grammar))
    except GuidanceError as error:
        raise error.for_caller(f"the check of {path}", LimitExceededError) from None


def _walk(matcher: Matcher, text: bytes, path: str, in_time: Callable[[str], None]) -> Finding | None:
    offset, size = 0, _FIRST_STEP
    while offset < len(text):
        in_time(path)
        piece = text[offset : offset + size]
        started = time.monotonic()
        consumed = matcher.consume(piece)
        took = time.monotonic() - started
        offset += consumed
        if consumed < len(piece):
            return Finding(offset, _standing_at(text, offset), _expected_by(matcher))
        if took < 0.02:
            size = min(size * 2, 65_536)
        elif took > 0.1:
            size = max(size // 4, 1)
    if matcher.can_end():
        return None
    expected = _expected_by(matcher)
    return Finding(offset, END_OF_TEXT, f"more text, beginning with {expected}")


def _standing_at(text: bytes, offset: int) -> str:
    """The character that the byte at an offset is of, or the byte alone."""
    start = offset
    while start and 0x80 <= text[start] < 0xC0:
        start -= 1
    character = text[start : start + 4].decode(errors="ignore")[:1]
    if character and start + len(character.encode()) > offset and ord(character) >= 0x80:
        return shown(character)
    return _shown_byte(text[offset])


def _expected_by(matcher: Matcher) -> str:
    """What the matcher would take next. Also finds out whether a rejection was a verdict or exhaustion."""
    can_end = matcher.can_end()
    return _shown_bytes(matcher.next_bytes(), can_end=can_end)


def _shown_bytes(taken: list[int], *, can_end: bool) -> str:
    """Bytes as a person reads them: ranges of letters and digits, names for white space."""
    ranges: list[tuple[int, int]] = []
    for byte in taken:
        if byte >= 0x80:
            continue
        if ranges and ranges[-1][1] == byte - 1 and _class_of(ranges[-1][1]) == _class_of(byte) != "other":
            ranges[-1] = (ranges[-1][0], byte)
        else:
            ranges.append((byte, byte))
    shown = [
        _shown_byte(first) if first == last else f"{_shown_byte(first)} to {_shown_byte(last)}"
        for first, last in ranges
    ]
    if taken and taken[-1] >= 0x80:
        shown.append("a character outside ASCII")
    if can_end:
        shown.insert(0, END_OF_TEXT)
    if len(shown) > _SHOWN_ALTERNATIVES:
        shown[_SHOWN_ALTERNATIVES - 1 :] = [f"{len(shown) - _SHOWN_ALTERNATIVES + 1} other characters"]
    return " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1]])) if shown else "nothing that could follow"


def _class_of(byte: int) -> str:
    character = chr(byte)
    if character.isdigit():
        return "digit"
    if character.isalpha():
        return "upper" if character.isupper() else "lower"
    return "control" if byte < 0x20 and character not in "\t\n\r" else "other"


def _shown_byte(byte: int) -> str:
    names = {0x09: "a tab", 0x0A: "a line break", 0x0D: "a carriage return", 0x20: "a space"}
    return names.get(byte) or (f"'{chr(byte)}'" if 0x20 < byte < 0x7F else f"byte 0x{byte:02x}")
