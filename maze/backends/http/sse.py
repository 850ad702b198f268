"""Server-sent events: the pieces of a stream in, the data of its events out, read as the HTML standard says (9.2.6).

Where we differ, nothing is lost in silence: a line that is no field is an error, `error` is a field (of llama.cpp), and
at the end of a stream an event that is complete counts also without the blank line after it.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import orjson

from maze.backends.dialects.base import Event, MalformedError
from maze.backends.http.answer_json import read_json_with_halves
from maze.json_text import TooDeepError

DONE = b"[DONE]"
"""The data that ends a stream."""


class ServerSentEvent(NamedTuple):
    """The data of an event, and whether it tells of an error; one that does may have no data."""

    data: bytes
    is_error: bool


def events(pieces: Iterable[bytes]) -> Iterator[ServerSentEvent]:
    """The events of a stream, each as soon as it is complete. Raises MalformedError."""
    data: list[bytes] = []
    is_error = False
    ended = True
    for lines, ended in _lines(pieces):
        for line in lines:
            if not line:
                if any(data) or is_error:
                    yield ServerSentEvent(b"\n".join(data), is_error)
                data, is_error = [], False
                continue
            field, colon, value = line.partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"event":
                is_error = value.removeprefix(b" ") == b"error"
            elif field == b"error":
                data.append(value.removeprefix(b" "))
                is_error = True
            elif ended and not colon and field not in (b"id", b"retry"):
                raise MalformedError("it has a line that is no server-sent event: {}", line.decode(errors="replace"))
    last = b"\n".join(data)
    if is_error or (last and (last.strip() == DONE or _is_json(last))):
        yield ServerSentEvent(last, is_error)
    elif last or not ended:
        raise MalformedError("it was cut off within an event")


def _lines(pieces: Iterable[bytes]) -> Iterator[tuple[list[bytes], bool]]:
    """The lines, some at once, and whether they have ended (by CR LF, LF or CR), as the very last one may not have."""
    begun: list[bytes] = []
    """The pieces of a line that has not ended."""
    byte_order_mark = BOM_UTF8
    after_cr = False
    for piece in pieces:
        if not piece:
            continue
        if after_cr:
            piece = piece.removeprefix(b"\n")
        after_cr = piece.endswith(b"\r")
        if b"\r" in piece:
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        begun.append(piece)
        if b"\n" not in piece:
            continue
        lines = b"".join(begun).split(b"\n")
        begun = [lines.pop()]
        if byte_order_mark:
            lines[0] = lines[0].removeprefix(byte_order_mark)
            byte_order_mark = b""
        yield lines, True
    if rest := b"".join(begun).removeprefix(byte_order_mark):
        yield [rest], False


def parsed(data: bytes) -> Event:
    """The JSON object of an event, or of a whole answer."""
    try:
        event = read_json_with_halves(data)
    except orjson.JSONDecodeError:
        pass
    except TooDeepError as error:
        raise MalformedError(f"an event of it is {error}") from None
    else:
        if not isinstance(event, dict):
            raise MalformedError("an event of it is JSON, but not an object")
        return event
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"it is not UTF-8: {error.reason} at byte {error.start} of an event") from None
    if text.lstrip().startswith("<"):
        raise MalformedError("it is an HTML page")
    raise MalformedError("an event of it is not JSON: {}", text)


def _is_json(data: bytes) -> bool:
    try:
        read_json_with_halves(data)
    except orjson.JSONDecodeError:
        return False
    except TooDeepError:
        return True
    return True
