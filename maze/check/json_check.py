"""Checks JSON texts against schemas: jsonschema_rs decides on the parsed text.

So the order of properties and white space do not matter. An object that has a name twice must satisfy the schema
whichever of the two a parser takes.
"""

from __future__ import annotations

from functools import cached_property

import jsonschema_rs

from maze.check import Finding
from maze.check.explanation import explain
from maze.check.format_assertion import ASSERTED_FORMATS
from maze.errors import InternalError, LimitExceededError
from maze.grammar.schema.validator import make_validator
from maze.json_text import JsonTextError, JsonValue, TooDeepError, offsets_of, pointer_of, readings, shown
from maze.memory import memory_for
from maze.store import BoundedStore
from maze.threads import run_with_big_stack

MAX_TEXT_DEPTH = 500
"""Deepest nesting of objects and arrays in a JSON text."""
MAX_VALIDATOR_BYTES = 32 * 1024 * 1024
"""Memory for jsonschema_rs validators that are kept for the next text."""
CHECK_FACTOR = 80
"""Bytes that parsing and checking take for each byte of a text; empty objects that break a schema take 75."""

_SHALLOW = 32
"""Nesting that every host thread has stack enough for."""

_validators: BoundedStore[jsonschema_rs.Validator] = BoundedStore(MAX_VALIDATOR_BYTES)


class JsonCheck:
    """One text, parsed when it is first needed."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    @cached_property
    def _parsed(self) -> tuple[str, list[JsonValue]] | Finding:
        try:
            decoded = self._text.decode()
        except UnicodeDecodeError as error:
            return Finding(error.start, f"byte 0x{self._text[error.start]:02x}", "valid UTF-8")
        try:
            return decoded, readings(decoded, MAX_TEXT_DEPTH)
        except JsonTextError as error:
            at = decoded[error.offset : error.offset + 1]
            return Finding(error.byte, shown(at) if at else "the end of the text", f"JSON ({error.problem})")
        except TooDeepError as error:
            raise LimitExceededError(f"the text is {error}; texts nested {MAX_TEXT_DEPTH} deep are checked") from None

    def findings(self, schema: str, path: str) -> list[Finding]:
        """Where the text breaks the schema at `path`. Raises LimitExceededError for what is too deep or too hard."""
        # An upper bound of the nesting that costs nothing; small stacks are no place for deep texts.
        with memory_for(CHECK_FACTOR * len(self._text)):
            if self._text.count(b"{") + self._text.count(b"[") <= _SHALLOW:
                return self._findings_here(schema, path)
            return run_with_big_stack(lambda: self._findings_here(schema, path))

    def _findings_here(self, schema: str, path: str) -> list[Finding]:
        if isinstance(self._parsed, Finding):
            return [self._parsed]
        text, values = self._parsed
        # Measured: about 20 bytes a character.
        validator = _validators.get_or_make(schema, lambda: _make_validator(schema, path), 4_000 + 20 * len(schema))
        for value in values:
            if not _is_valid(validator, value, path):
                return _explained(schema, value, text)
        return []


def _explained(schema: str, value: JsonValue, text: str) -> list[Finding]:
    broken = explain(schema, value)
    places = zip(offsets_of(text, [each.where for each in broken]), broken, strict=True)
    findings = []
    characters = size = 0
    for offset, each in sorted(places, key=lambda place: place[0]):
        size += len(text[characters:offset].encode())
        characters = offset
        findings.append(Finding(size, each.found, each.expected, pointer_of(each.where), each.keyword))
    return findings


def _is_valid(validator: jsonschema_rs.Validator, value: JsonValue, path: str) -> bool:
    """is_valid() remembers what it has decided; validate() builds a tree of errors that can fill the memory."""
    try:
        return validator.is_valid(value)
    except ValueError as error:
        raise LimitExceededError(f"the text cannot be checked against {path}: {error}") from None


def _make_validator(schema: str, path: str) -> jsonschema_rs.Validator:
    try:
        return run_with_big_stack(lambda: make_validator(schema, ASSERTED_FORMATS))
    except ValueError as error:
        raise InternalError(f"the check of {path} is no JSON Schema: {error}") from None
