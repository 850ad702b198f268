"""The validator that decides about finished texts, and before that whether a schema is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jsonschema_rs

from maze.memory import memory_for

MAX_BACKTRACKING = 50_000
"""Steps back that a pattern with look-around or backreferences may take on one text: about 2 ms."""
VALIDATOR_FACTOR = 256
"""Bytes that a validator takes for each character of its schema; many small patterns take 230."""


def make_validator(schema: str, formats: Mapping[str, Callable[[str], bool]] | None = None) -> jsonschema_rs.Validator:
    """A validator that asserts formats, of which `formats` are ours, and fetches nothing from the network or a file.

    Raises ValueError (jsonschema_rs.ValidationError) for what is no schema. Call it with a big stack.
    """
    try:
        with memory_for(VALIDATOR_FACTOR * len(schema)):
            return jsonschema_rs.validator_for(
                schema,
                validate_formats=True,
                formats=dict(formats or {}),
                offline=True,
                # Patterns with look-around or backreferences. Over the limit the value is refused, below `not` as well.
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKING),
            )
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # which has no name to import, and is no Exception
            raise
        raise ValueError(f"jsonschema_rs fails on it: {error}") from None
