"""The JSON of services: read fast, and no deeper than whoever works with it can go."""

from __future__ import annotations

import json
import re
from typing import NoReturn

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
    _check_depth(content, value)
    return value


def read_json_with_halves(content: bytes) -> object:
    """The same, where a text may hold half of a surrogate pair, as an escape that orjson refuses.

    It is for texts that come in pieces; see maze.backends.halves.
    """
    try:
        return read_json(content)
    except orjson.JSONDecodeError as error:
        if _HALF.search(content) is None:
            raise
        no_json = error
    try:
        value: object = json.loads(content.decode(), parse_constant=_refuse)
    except RecursionError:
        raise TooDeepError(f"nested over {MAX_ANSWER_DEPTH} deep") from None
    except ValueError:
        raise no_json from None
    _check_depth(content, value)
    return value


_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def _refuse(constant: str) -> NoReturn:
    """NaN and infinities are no JSON."""
    raise ValueError(constant)


def _check_depth(content: bytes, value: object) -> None:
    # The brackets are an upper bound that costs little.
    if content.count(b"{") + content.count(b"[") > MAX_ANSWER_DEPTH and depth_of(value) > MAX_ANSWER_DEPTH:
        raise TooDeepError(f"nested over {MAX_ANSWER_DEPTH} deep")
