"""What the keywords of JSON Schema take, as a person says it who has written something else."""

from __future__ import annotations

from collections.abc import Sequence

_SCHEMA = "a schema, which is an object, true or false"
_SCHEMAS = "an array of schemas, one at least"
_BY_NAME = "an object of schemas by name"
_COUNT = "a whole number from 0"
_NAMES = "an array of names, each once"
_TEXT = "a string"
_FLAG = "true or false"
_REFERENCE = 'a reference such as "#/$defs/name"'

_TAKES = {
    "type": '"array", "boolean", "integer", "null", "number", "object" or "string", or an array of these, each once',
    "enum": "an array of values, each once",
    "multipleOf": "a number over 0",
    "pattern": "a regular expression of ECMAScript, its backslashes written twice",
    "patternProperties": "an object of schemas by regular expressions of ECMAScript",
    "items": f"{_SCHEMA}, or before 2020-12 an array of schemas, one at least",
    "exclusiveMaximum": "a number, or in draft-04 true or false",
    "exclusiveMinimum": "a number, or in draft-04 true or false",
    "required": f"{_NAMES}, and in draft-04 one at least",
    "dependentRequired": "an object of arrays of names by name",
    "dependencies": "an object of schemas or arrays of names, by name",
    **dict.fromkeys(("maximum", "minimum"), "a number"),
    **dict.fromkeys(
        ("maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength"), _COUNT
    ),
    "minProperties": _COUNT,
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _SCHEMAS),
    **dict.fromkeys(("additionalItems", "additionalProperties", "contains", "else", "if", "not"), _SCHEMA),
    **dict.fromkeys(("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"), _SCHEMA),
    **dict.fromkeys(("$defs", "definitions", "dependentSchemas", "properties"), _BY_NAME),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _FLAG),
    **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef"), _REFERENCE),
    **dict.fromkeys(("$comment", "$id", "$schema", "description", "format", "id", "title"), _TEXT),
    **dict.fromkeys(("$anchor", "$dynamicAnchor"), "a name of letters, digits and underscores"),
    "examples": "an array of values",
}


def what_to_write(way: Sequence[str | int]) -> str:
    """What is right at a place in a schema, given by the steps to it."""
    if way and isinstance(way[-1], str) and way[-1] in _TAKES:
        return _TAKES[way[-1]]
    above = next((step for step in reversed(way[:-1]) if isinstance(step, str) and step in _TAKES), None)
    if above is None:
        return _SCHEMA
    return _SCHEMA if "schema" in _TAKES[above] and above != "dependencies" else f"within {above}, {_TAKES[above]}"
