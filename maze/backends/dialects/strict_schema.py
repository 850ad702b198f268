"""JSON Schemas for services that promise to hold to a small part of JSON Schema, and refuse the rest.

The part is what OpenAI (`strict: true`) and Anthropic documented in November 2026. What they cannot say is left out, so
that a text of the service may still break the schema: the check decides. Where leaving something out would change what
the model can say at all, such as properties that may be absent, there is no strict schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from maze.grammar.schema.keywords import DEFINITIONS, walk
from maze.json_text import JsonValue

MAX_NESTING = 10
MAX_PROPERTIES = 5000
MAX_NAME_CHARACTERS = 120_000
"""Of all names of properties and definitions, and values of enum and const, together."""
MAX_ENUM_VALUES = 1000
MAX_LONG_ENUM_VALUES = 250
MAX_LONG_ENUM_CHARACTERS = 15_000
"""Of one enum of more than MAX_LONG_ENUM_VALUES texts."""

_ALWAYS = frozenset(("description", "title"))
_BOUNDS = frozenset(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"))
_FORMATS = frozenset(("date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"))
_UNUSUAL = re.compile(r"\(\?|\\[^dsw./\\-]")
"""In a pattern what the services may not know."""
_LEFT_TO_THE_CHECK = frozenset((
    "$anchor", "$comment", "$id", "$schema", "contains", "contentEncoding", "contentMediaType", "default", "deprecated",
    "examples", "exclusiveMaximum", "exclusiveMinimum", "format", "id", "maxContains", "maxItems", "maxLength",
    "maxProperties", "maximum", "minContains", "minItems", "minLength", "minProperties", "minimum", "multipleOf",
    "pattern", "propertyNames", "readOnly", "uniqueItems", "writeOnly",
))  # fmt: skip
"""Keywords whose absence only lets more through; others that are not known are a reason to give up."""


@dataclass(frozen=True, slots=True)
class StrictRules:
    """What a service takes in strict schemas."""

    keywords: frozenset[str]
    """Of those that may be left out."""
    refers_to_itself: bool
    """Whether a schema may contain itself."""


OPENAI_RULES = StrictRules(_BOUNDS | {"format", "maxItems", "minItems", "pattern"}, refers_to_itself=True)
ANTHROPIC_RULES = StrictRules(frozenset(("format",)), refers_to_itself=False)


class _NotStrictError(Exception):
    """The schema has no strict form."""


def strict_schema(schema: JsonValue, rules: StrictRules) -> dict[str, JsonValue] | None:
    """The strict form of a schema; None where it has none."""
    try:
        root = _root(schema)
        written = _Writer(rules).written(root)
    except (_NotStrictError, RecursionError):
        return None
    if written.get("type") != "object" or not _is_small(written):
        return None
    if not rules.refers_to_itself and _refers_to_itself(written):
        return None
    return written


def may_be_object(schema: JsonValue) -> bool:
    """Whether objects, and nothing else, can satisfy a schema, as far as it says so at its top."""
    try:
        return _root(schema).get("type") == "object"
    except _NotStrictError:
        return False


def _root(schema: JsonValue) -> dict[str, JsonValue]:
    """The schema of the whole text, which must stand at the top: not behind a reference, nor one of several."""
    if not isinstance(schema, dict):
        raise _NotStrictError
    reference = schema.get("$ref")
    if reference is None:
        return schema if "type" in schema or "properties" not in schema else {"type": "object", **schema}
    steps = str(reference).split("/")
    definitions = schema.get(steps[1]) if len(steps) == 3 and steps[1] in DEFINITIONS else None
    target = definitions.get(steps[2]) if isinstance(definitions, dict) else None
    if not isinstance(target, dict) or "$ref" in target:
        raise _NotStrictError
    return {**target, steps[1]: definitions}


class _Writer:
    def __init__(self, rules: StrictRules) -> None:
        self._rules = rules

    def written(self, schema: JsonValue) -> dict[str, JsonValue]:
        if not isinstance(schema, dict):
            raise _NotStrictError
        definitions: dict[str, JsonValue] = {
            keyword: {name: self.written(each) for name, each in _mapping(schema[keyword]).items()}
            for keyword in DEFINITIONS & schema.keys()
        }
        if "$ref" in schema:
            # Nothing may stand beside a reference.
            reference = schema["$ref"]
            if not isinstance(reference, str) or not (
                reference == "#" or (reference.count("/") == 2 and reference.split("/")[1] in DEFINITIONS)
            ):
                raise _NotStrictError
            return {"$ref": reference, **definitions}
        one = schema.get("allOf")
        if isinstance(one, list) and len(one) == 1 and schema.keys() <= {"allOf", *_ALWAYS, "default"}:
            return self.written(one[0])  # as Pydantic writes a reference with a description
        kept: dict[str, JsonValue] = {
            keyword: value for keyword, value in schema.items() if keyword in _ALWAYS or self._keeps(keyword, value)
        }
        known = _LEFT_TO_THE_CHECK | _ALWAYS | DEFINITIONS
        rest = {keyword: value for keyword, value in schema.items() if keyword not in known}
        kept |= self._shape(rest)
        return kept | definitions

    def _keeps(self, keyword: str, value: JsonValue) -> bool:
        if keyword not in self._rules.keywords:
            return False
        if keyword == "format":
            return value in _FORMATS
        if keyword == "pattern":
            return isinstance(value, str) and not _UNUSUAL.search(value)
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    def _shape(self, rest: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """The keywords that say what kind of value it is."""
        choices = rest.pop("anyOf", None) or rest.pop("oneOf", None)
        if choices is not None:
            # What stands beside the choices would have to be multiplied into them.
            if rest.keys() - {"type"} or not isinstance(choices, list):
                raise _NotStrictError
            return {"anyOf": [self.written(each) for each in choices]}
        if "const" in rest:
            rest["enum"] = [rest.pop("const")]
        kind = rest.pop("type", None) or _implied_type(rest)
        if "enum" in rest:
            values = rest.pop("enum")
            if rest or not isinstance(values, list) or any(isinstance(value, (dict, list)) for value in values):
                raise _NotStrictError
            return {"type": kind, "enum": values}
        kinds = kind if isinstance(kind, list) else [kind]
        shape: dict[str, JsonValue] = {"type": kind}
        if "object" in kinds:
            shape |= self._object(rest)
        if "array" in kinds:
            shape["items"] = self.written(rest.pop("items", None))
        if rest:
            raise _NotStrictError
        return shape

    def _object(self, rest: dict[str, JsonValue]) -> dict[str, JsonValue]:
        properties = _mapping(rest.pop("properties", {}))
        required = rest.pop("required", [])
        others = rest.pop("additionalProperties", None)
        # One that does not say whether others may come is understood by what it names.
        if others is not False and not (others is None and properties):
            raise _NotStrictError
        if not isinstance(required, list) or set(map(str, required)) != properties.keys():
            raise _NotStrictError
        return {
            "properties": {name: self.written(each) for name, each in properties.items()},
            "required": list(properties),
            "additionalProperties": False,
        }


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    if not isinstance(value, dict):
        raise _NotStrictError
    return value


def _implied_type(rest: dict[str, JsonValue]) -> JsonValue:
    """The type of a schema that does not name it."""
    if "properties" in rest:
        return "object"
    if "items" in rest:
        return "array"
    values = rest.get("enum")
    kinds = sorted({_type_of(value) for value in values}) if isinstance(values, list) else []
    if not kinds:
        raise _NotStrictError
    return kinds[0] if len(kinds) == 1 else list(kinds)


def _type_of(value: JsonValue) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _is_small(schema: dict[str, JsonValue]) -> bool:
    """Whether it is within the limits of size."""
    properties = values = characters = 0
    for part in walk(schema):
        if sum(step in ("properties", "items") for step in part.steps) > MAX_NESTING:
            return False
        names = [name for keyword in ("properties", *DEFINITIONS) for name in _names(part.schema.get(keyword))]
        properties += len(list(_names(part.schema.get("properties"))))
        texts = list(map(str, _items(part.schema.get("enum"))))
        values += len(texts)
        length = sum(map(len, texts))
        if len(texts) > MAX_LONG_ENUM_VALUES and length > MAX_LONG_ENUM_CHARACTERS:
            return False
        characters += length + sum(map(len, names))
    return properties <= MAX_PROPERTIES and values <= MAX_ENUM_VALUES and characters <= MAX_NAME_CHARACTERS


def _names(value: JsonValue) -> Iterable[str]:
    return value if isinstance(value, dict) else ()


def _items(value: JsonValue) -> Iterable[JsonValue]:
    return value if isinstance(value, list) else ()


def _refers_to_itself(schema: dict[str, JsonValue]) -> bool:
    """Whether a reference leads to what is around it, by any way."""
    leads_to: dict[str, set[str]] = {}
    for part in walk(schema):
        if isinstance(reference := part.schema.get("$ref"), str):
            steps = part.steps
            owner = "/".join(["#", *steps[:2]]) if len(steps) > 1 and steps[0] in DEFINITIONS else "#"
            leads_to.setdefault(owner, set()).add(reference)

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        pending = [start]
        while pending:
            new = leads_to.get(pending.pop(), set()) - seen
            seen |= new
            pending += new
        return seen

    return any(name in reachable(name) for name in leads_to)
