"""Validators of the schemas inside of a schema, each with what its references lead to, and of single keywords."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

import jsonschema_rs

from maze.grammar.schema.drafts import uri_of
from maze.grammar.schema.exact_patterns import with_exact_patterns
from maze.grammar.schema.keywords import walk
from maze.grammar.schema.validator import VALIDATOR_FACTOR, build_validator, documents_beside, make_validator
from maze.json_text import JsonValue, dump, parse, pointer_of
from maze.memory import memory_for

_DOCUMENT = "maze:///schema"
"""Hierarchical, as identifiers in the document may be relative to it."""


class PartValidators:
    """The validators for one schema, made when they are first needed."""

    def __init__(self, text: str, root: JsonValue, formats: Mapping[str, Callable[[str], bool]]) -> None:
        """`root` is what parse() makes of the text; the schemas inside are told by identity."""
        exact, self._backtracking = with_exact_patterns(text)
        exact_root = parse(exact)
        self._formats = formats
        self._pointers: dict[int, str] = {}
        self._exact_pointers: dict[int, str] = {}
        for part, exact_part in zip(walk(root), walk(exact_root), strict=True):
            self._pointers[id(part.schema)] = f"#{pointer_of(part.steps)}"
            self._exact_pointers[id(part.schema)] = pointer_of(exact_part.steps)
        with memory_for(VALIDATOR_FACTOR * len(text)):
            self._registry = jsonschema_rs.Registry([(_DOCUMENT, exact_root), *documents_beside(text)])
        self._validators: dict[int | str, jsonschema_rs.Validator] = {}

    def pointer(self, schema: JsonValue) -> str | None:
        """The JSON pointer of a schema, with `#`; None if it is none of the document's."""
        return self._pointers.get(id(schema))

    def holds(self, schema: JsonValue, draft: int, value: JsonValue) -> bool:
        """Whether a value satisfies a schema of the document; true also where that is too much work to find out."""
        if id(schema) not in self._validators:
            reference = f"{_DOCUMENT}#{quote(self._exact_pointers[id(schema)], safe='/~')}"
            alone = dump({"$schema": uri_of(draft), "allOf": [{"$ref": reference}]})
            self._validators[id(schema)] = build_validator(
                alone, self._formats, backtracking=self._backtracking, registry=self._registry
            )
        return _is_valid(self._validators[id(schema)], value)

    def keywords_hold(self, keywords: dict[str, JsonValue], draft: int, value: JsonValue) -> bool:
        """The same for keywords that need nothing around them."""
        alone = dump({"$schema": uri_of(draft), **keywords})
        if alone not in self._validators:
            self._validators[alone] = make_validator(alone, self._formats)
        return _is_valid(self._validators[alone], value)


def _is_valid(validator: jsonschema_rs.Validator, value: JsonValue) -> bool:
    try:
        return validator.is_valid(value)
    except ValueError:
        return True
