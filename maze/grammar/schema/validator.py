"""The validator that decides about finished texts, and before that whether a schema is one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

import jsonschema_rs

from maze.grammar.schema.exact_patterns import with_exact_patterns
from maze.grammar.schema.metaschemas import metaschemas
from maze.json_text import JsonValue
from maze.memory import memory_for

MAX_BACKTRACKING = 50_000
"""Steps back that a pattern with look-around or backreferences may take on one text: about 2 ms."""
VALIDATOR_FACTOR = 256
"""Bytes that a validator takes for each character of its schema; many small patterns take 230."""


def make_validator(schema: str, formats: Mapping[str, Callable[[str], bool]] | None = None) -> jsonschema_rs.Validator:
    """A validator that asserts formats, of which `formats` are ours, and fetches nothing from the network or a file.

    Raises ValueError (jsonschema_rs.ValidationError) for what is no schema. Call it with a big stack.
    """
    exact, backtracking = with_exact_patterns(schema)
    try:
        return build_validator(exact, formats or {}, backtracking=backtracking)
    except jsonschema_rs.ValidationError:
        # With a pattern that is none of ECMAScript's, or it is no schema, which the error says in its own words.
        return build_validator(schema, formats or {}, backtracking=True)


_LINEAR = jsonschema_rs.RegexOptions()
_BACKTRACKING = jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKING)
"""Over the limit the value is refused, below `not` as well."""


_MAY_REFER = re.compile(r'"\$?(?:ref|dynamicRef|id)"\s*:\s*"[^"]*json-schema\.org')
"""Few schemas do, and reading what they may refer to takes as long as compiling most."""


def documents_beside(schema: str) -> list[tuple[str, JsonValue]]:
    """What the text of a schema may refer to beside itself, by URI."""
    return list(metaschemas().items()) if _MAY_REFER.search(schema) else []


@cache
def _registry_of_metaschemas() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry(list(metaschemas().items()))


def build_validator(
    schema: str,
    formats: Mapping[str, Callable[[str], bool]],
    *,
    backtracking: bool,
    registry: jsonschema_rs.Registry | None = None,
) -> jsonschema_rs.Validator:
    """A validator of a schema whose patterns, and those of the documents in `registry`, are exact already."""
    try:
        with memory_for(VALIDATOR_FACTOR * len(schema)):
            return jsonschema_rs.validator_for(
                schema,
                validate_formats=True,
                formats=dict(formats),
                offline=True,
                pattern_options=_BACKTRACKING if backtracking else _LINEAR,
                registry=registry or (_registry_of_metaschemas() if _MAY_REFER.search(schema) else None),
            )
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # which has no name to import, and is no Exception
            raise
        raise ValueError(f"jsonschema_rs fails on it: {error}") from None
