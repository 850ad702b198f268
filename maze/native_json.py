"""orjson, which ends the process where memory is refused: asked for first."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import orjson

from maze.memory import is_limited, memory_for

WRITING_FACTOR = 18
"""Bytes taken for each byte of texts that are written: orjson makes room for 8 and doubles what it has."""
READING_FACTOR = 40
"""Bytes taken for each byte of JSON that is read: an empty object takes 3."""
_VALUE_BYTES = 24
"""What a value takes that is no text, as JSON."""


def loads(data: bytes) -> Any:  # noqa: ANN401 - any JSON
    """The value of a JSON text. Raises orjson.JSONDecodeError, OutOfMemoryError."""
    with memory_for(READING_FACTOR * len(data)):
        return orjson.loads(data)


def dumps(value: object) -> bytes:
    """Compact JSON. Raises orjson.JSONEncodeError, OutOfMemoryError."""
    with memory_for(WRITING_FACTOR * _text_bytes(value) if is_limited() else 0):
        return orjson.dumps(value)


def _text_bytes(value: object) -> int:
    """An upper bound of the bytes of all texts in a value, and of what stands between them."""
    total = 0
    pending: list[Any] = [value]
    while pending:
        item = pending.pop()
        total += _VALUE_BYTES
        if isinstance(item, str):
            total += len(item) if item.isascii() else 4 * len(item)
        elif isinstance(item, dict):
            pending += item
            pending += item.values()
        elif isinstance(item, list | tuple):
            pending += item
        elif is_dataclass(item):
            pending += [getattr(item, field.name) for field in fields(item)]
    return total
