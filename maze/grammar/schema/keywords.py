"""The keywords of JSON Schema, draft-04 to 2020-12: which hold schemas, and the one walk over these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from maze.json_text import JsonValue, escaped

# fmt: off
_ONE_SCHEMA = frozenset((
    "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
))
_LIST_OF_SCHEMAS = frozenset(("allOf", "anyOf", "items", "oneOf", "prefixItems"))
_MAP_OF_SCHEMAS = frozenset(
    ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")
)

DEFINITIONS = frozenset(("$defs", "definitions"))
"""Keywords whose schemas apply to nothing until they are referred to."""
IN_PLACE = frozenset(("allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if", "not", "oneOf", "then"))
"""Keywords whose schemas apply to the same value, so that a circle of them never ends."""

KNOWN_KEYWORDS = _ONE_SCHEMA | _LIST_OF_SCHEMAS | _MAP_OF_SCHEMAS | frozenset((
    "$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef", "$ref",
    "$schema", "$vocabulary", "const", "contentEncoding", "contentMediaType", "default", "dependentRequired",
    "deprecated", "description", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "format", "id",
    "maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains", "minItems", "minLength",
    "minProperties", "minimum", "multipleOf", "pattern", "readOnly", "required", "title", "type", "uniqueItems",
    "writeOnly",
))
# fmt: on
"""Of any draft. Others, and those that begin with `x-`, say nothing by the standard."""

SINCE_DRAFT = {
    **dict.fromkeys(("const", "contains", "propertyNames"), 6),
    **dict.fromkeys(("if", "then", "else"), 7),
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "maxContains", "minContains"), 2019),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties", "$recursiveRef"), 2019),
    **dict.fromkeys(("$dynamicRef", "prefixItems"), 2020),
}
"""Keywords that restrict, and the draft that brought them; to an older one they say nothing."""
UNTIL_DRAFT = dict.fromkeys(("additionalItems", "$recursiveRef"), 2019)
"""Keywords that restrict, and the last draft that has them."""


def subschemas(schema: JsonValue) -> Iterator[tuple[tuple[str, ...], dict[str, JsonValue]]]:
    """The way (its keyword, and a name or number if there are several) to every schema object directly inside.

    Keywords of all drafts are followed: what an older one does not know is walked in vain, and does no harm.
    """
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        if isinstance(value, dict):
            if keyword in _ONE_SCHEMA:
                yield (keyword,), value
            elif keyword in _MAP_OF_SCHEMAS:
                yield from (((keyword, name), item) for name, item in value.items() if isinstance(item, dict))
        elif isinstance(value, list) and keyword in _LIST_OF_SCHEMAS:
            yield from (((keyword, str(index)), item) for index, item in enumerate(value) if isinstance(item, dict))


class Subschema(NamedTuple):
    """A schema object inside of a document."""

    schema: dict[str, JsonValue]
    way: tuple[str, ...]
    """From the one around it, as subschemas() tells."""
    around: Subschema | None

    @property
    def steps(self) -> list[str]:
        """The way from the document."""
        steps: list[str] = []
        part: Subschema | None = self
        while part is not None:
            steps += reversed(part.way)
            part = part.around
        return steps[::-1]

    @property
    def pointer(self) -> str:
        """The JSON pointer to it, for an error text."""
        return "/".join(("#", *map(escaped, self.steps)))


def walk(root: JsonValue) -> Iterator[Subschema]:
    """Every schema object in `root`: itself first, then in the order of the text."""
    pending = [Subschema(root, (), None)] if isinstance(root, dict) else []
    while pending:
        part = pending.pop()
        yield part
        pending += [Subschema(child, way, part) for way, child in subschemas(part.schema)][::-1]
