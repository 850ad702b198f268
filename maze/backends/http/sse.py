"""Server-sent events: the pieces of a stream in, the JSON objects of its events out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from maze.backends.dialects.base import Event, MalformedError
from maze.native_json import loads


def events(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The data of server-sent events: all that JSON services use of that format."""
    data: list[bytes] = []
    begun: list[bytes] = []
    """The pieces of a line that has not ended."""
    for piece in pieces:
        begun.append(piece)
        if b"\n" not in piece:
            continue
        *lines, rest = b"".join(begun).split(b"\n")
        begun = [rest]
        for line in lines:
            field, _, value = line.removesuffix(b"\r").partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"error":  # llama.cpp
                yield b'{"error":' + value + b"}"
            elif not field and not value:
                if data:
                    yield b"\n".join(data)
                    data = []
            elif field not in (b"", b"event", b"id", b"retry"):
                raise MalformedError(f"it has a line that is no server-sent event: {line[:60]!r}")
    if any(begun):
        raise MalformedError("it was cut off within an event")
    if data:
        yield b"\n".join(data)


def parsed(data: bytes) -> Event:
    """The JSON object of an event, or of a whole answer."""
    try:
        event = loads(data)
    except orjson.JSONDecodeError:
        pass
    else:
        if type(event) is not dict:
            raise MalformedError("an event of it is JSON, but not an object")
        return event
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        problem = f"it is not UTF-8: {error.reason} at byte {error.start} of an event"
    else:
        problem = (
            "it is an HTML page" if text.lstrip().startswith("<") else f"an event of it is not JSON: {text[:60]!r}"
        )
    raise MalformedError(problem)
