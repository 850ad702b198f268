"""The JSON of services: read fast, and no deeper than whoever works with it can go."""

from __future__ import annotations

import orjson

from maze.json_text import TooDeepError, depth_of
from maze.native_json import loads

MAX_ANSWER_DEPTH = 500
"""Deepest nesting of objects and arrays in what a service says; what engines say is nested less than 10 deep."""


def read_json(content: bytes) -> object:
    """The value that a service sent. Raises orjson.JSONDecodeError for what is not JSON, and TooDeepError."""
    try:
        value: object = loads(content)
    except orjson.JSONDecodeError as error:
        if "limit" in str(error):  # of its own, which it names differently from version to version
            raise TooDeepError(f"nested over {MAX_ANSWER_DEPTH} deep") from None
        raise
    # The brackets are an upper bound that costs little.
    if content.count(b"{") + content.count(b"[") > MAX_ANSWER_DEPTH and depth_of(value) > MAX_ANSWER_DEPTH:
        raise TooDeepError(f"nested over {MAX_ANSWER_DEPTH} deep")
    return value
