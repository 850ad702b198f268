"""Where and why a JSON value breaks a schema, at a bounded cost.

jsonschema_rs decides fast, but its error for nested alternatives holds the errors of every branch in every branch: two
alternatives that lead to themselves and a value nested 16 deep take 9 s, 20 deep all memory. So the reason is sought in
weaker schemas: without alternatives first, then with alternatives whose branches have none. What breaks a weaker schema
breaks the schema.
"""

from __future__ import annotations

import jsonschema_rs

from maze.check.format_assertion import ASSERTED_FORMATS
from maze.grammar.schema.definitions import reference_to
from maze.grammar.schema.drafts import draft_of
from maze.grammar.schema.keywords import DEFINITIONS, IN_PLACE, with_subschemas
from maze.grammar.schema.references import Place, References
from maze.grammar.schema.validator import make_validator
from maze.json_text import JsonValue, dump, parse

_MAX_MESSAGE = 300


def diagnose(check_schema: str, value: JsonValue) -> tuple[list[str | int], str]:
    """Path to the part of `value` that breaks the schema, and what was expected there; for a value that breaks it."""
    schema = parse(check_schema)
    for with_alternatives in (False, True):
        try:
            weaker = dump(_Weakening(schema).run(with_alternatives))
            make_validator(weaker, ASSERTED_FORMATS).validate(value)
        except jsonschema_rs.ValidationError as error:
            best = _most_telling(error)
            return best.instance_path, _message(best)
        except ValueError:
            break
    return [], "a value that satisfies the schema (see its `oneOf`, `not`, `if` and the like)"


def _most_telling(error: jsonschema_rs.ValidationError) -> jsonschema_rs.ValidationError:
    """Of the reasons why no alternative fits, the one deepest in the value, if there is only one such."""
    kind = error.kind
    if not isinstance(kind, jsonschema_rs.ValidationErrorKind.AnyOf):
        return error
    reasons = [reason for branch in kind.context for reason in branch[:1]]
    deepest = max((len(reason.instance_path) for reason in reasons), default=0)
    best = [reason for reason in reasons if len(reason.instance_path) == deepest]
    return best[0] if len(best) == 1 and deepest > len(error.instance_path) else error


def _message(error: jsonschema_rs.ValidationError) -> str:
    message = error.message.split("\n")[0].removesuffix(" was expected")  # whoever tells it says so
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}..."


# fmt: off
_DROPPED = IN_PLACE - {"allOf"} | DEFINITIONS | {
    "$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef", "$schema", "$vocabulary",
    "contains", "default", "examples", "id", "maxContains", "minContains", "unevaluatedItems", "unevaluatedProperties",
}
# fmt: on
"""Keywords that a weaker schema does without, or that are gone once references are resolved."""


class _Weakening:
    """Makes a weaker schema that stands on its own; every reference leads into its `$defs`."""

    def __init__(self, schema: JsonValue) -> None:
        self._root = schema
        self._references = References(schema, draft_of(schema, "the schema"), "the schema")
        self._definitions: dict[str, JsonValue] = {}
        self._pending: list[tuple[str, Place, bool]] = []

    def run(self, with_alternatives: bool) -> JsonValue:
        weaker = self._schema(self._references.root, with_alternatives)
        while self._pending:
            name, place, alternatives = self._pending.pop()
            self._definitions[name] = self._schema(place, alternatives)
        if not isinstance(weaker, dict):
            return weaker
        draft = {"$schema": self._root["$schema"]} if "$schema" in self._root else {}
        # Wrapped, as older drafts look at nothing beside a reference.
        return {**draft, "allOf": [weaker], "$defs": self._definitions}

    def _schema(self, place: Place, alternatives: bool) -> JsonValue:
        schema = place.schema
        if not isinstance(schema, dict):
            return schema
        reference = {}
        if isinstance(schema.get("$ref"), str):
            reference = {"$ref": self._reference(place, alternatives)}
            if self._references.draft <= 7:
                return reference

        def child(schema: JsonValue, alternatives: bool = alternatives) -> JsonValue:
            return self._schema(self._references.inside(schema, place), alternatives)

        kept = {keyword: value for keyword, value in schema.items() if keyword not in _DROPPED}
        weaker = with_subschemas(kept, child)
        choices = [
            {"anyOf": [child(branch, False) for branch in schema[keyword]]}
            for keyword in ("anyOf", "oneOf")
            if alternatives and keyword in schema
        ]
        if choices:
            weaker["allOf"] = weaker.get("allOf", []) + choices
        return {**weaker, **reference}

    def _reference(self, place: Place, alternatives: bool) -> str:
        target = self._references.target(place)
        name = f"{'with' if alternatives else 'without'}-{id(target.schema)}"
        if name not in self._definitions:
            self._definitions[name] = True  # until its turn comes
            self._pending.append((name, target, alternatives))
        return reference_to(name)
