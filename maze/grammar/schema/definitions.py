"""What the definitions of a grammar schema are to each other. All its references lead to `#/$defs/<name>`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from maze.grammar.budget import Budget
from maze.grammar.schema.keywords import DEFINITIONS, subschemas, walk, with_subschemas
from maze.json_text import JsonValue

_PREFIX = "#/$defs/"


def reference_to(name: str) -> str:
    """The `$ref` to a definition."""
    return _PREFIX + name


def referred(schema: JsonValue) -> str | None:
    """The name of the definition that the `$ref` of a grammar schema leads to; None if it has none."""
    return schema["$ref"].removeprefix(_PREFIX) if isinstance(schema, dict) and "$ref" in schema else None


def definitions_of(grammar_schema: JsonValue) -> dict[str, JsonValue]:
    """The definitions of a grammar schema by name."""
    return grammar_schema.get("$defs", {}) if isinstance(grammar_schema, dict) else {}


def endless_definitions(definitions: dict[str, JsonValue], budget: Budget) -> set[str]:
    """Names of the definitions that no finite value can satisfy, as far as references decide it."""
    users: dict[str, dict[str, None]] = {}
    sizes: dict[str, int] = {}
    for name, schema in definitions.items():
        inside = [each for _, each in walk(schema)]
        sizes[name] = 1 + len(inside)
        budget.spend(3 * sizes[name])
        for each in inside:
            if (other := referred(each)) is not None:
                users.setdefault(other, {})[name] = None
    endless = set(definitions)
    doubtful = dict.fromkeys(reversed(definitions))  # those that others refer to come later
    while doubtful:
        found = []
        for name in doubtful:
            budget.spend(sizes[name])
            if name in endless and _can_end(definitions[name], endless):
                endless.discard(name)
                found.append(name)
        doubtful = {user: None for name in found for user in users.get(name, ()) if user in endless}
    return endless


def _can_end(schema: JsonValue, endless: set[str]) -> bool:
    if not isinstance(schema, dict):
        return bool(schema)
    if referred(schema) in endless:
        return False
    if not all(_can_end(branch, endless) for branch in schema.get("allOf", [])):
        return False
    if not all(
        any(_can_end(branch, endless) for branch in schema[name]) for name in ("anyOf", "oneOf") if name in schema
    ):
        return False
    if schema.get("type") in ("object", ["object"]):
        properties = schema.get("properties", {})
        return all(_can_end(properties.get(name, True), endless) for name in schema.get("required", []))
    if schema.get("type") in ("array", ["array"]) and schema.get("minItems", 0) > 0:
        first = [*schema.get("prefixItems", []), schema.get("items", True)]
        return all(_can_end(item, endless) for item in first[: schema["minItems"]])
    return True


def with_references(schema: JsonValue, rename: Callable[[str], str | None]) -> JsonValue:
    """The schema with every reference renamed, and with `false` for one whose new name is None."""
    if not isinstance(schema, dict):
        return schema
    result = with_subschemas(schema, lambda child: with_references(child, rename))
    if (name := referred(schema)) is not None:
        new_name = rename(name)
        if new_name is None:
            return False
        result["$ref"] = reference_to(new_name)
    return result


class Chain(NamedTuple):
    """How deep llguidance gets, which follows each reference the first time it meets it."""

    references: int
    """Most references, each inside what the one before leads to."""
    schemas: int
    """Most schemas one inside the other, references followed."""


def longest_chain(grammar_schema: JsonValue) -> Chain:
    """The longest ways through a grammar schema."""
    definitions = definitions_of(grammar_schema)
    met: set[str] = set()
    under_way = [(_references_in(grammar_schema), 0)]
    references, schemas = 0, 0
    while under_way:
        inside, above = under_way[-1]
        name, depth = next(inside, (None, 0))
        if name is None:
            under_way.pop()
        elif name not in met:
            met.add(name)
            under_way.append((_references_in(definitions[name]), above + depth))
            references, schemas = max(references, len(under_way) - 1), max(schemas, above + depth)
    return Chain(references, schemas)


def _references_in(schema: JsonValue) -> Iterator[tuple[str, int]]:
    """Names of the definitions that a grammar schema refers to, in order, its own definitions left aside.

    With each, how many schemas are around the reference, that which it stands in included.
    """
    if isinstance(schema, dict):
        schema = {keyword: value for keyword, value in schema.items() if keyword not in DEFINITIONS}
    pending = [(schema, 1)]
    while pending:
        each, depth = pending.pop()
        if (name := referred(each)) is not None:
            yield name, depth
        pending += [(child, depth + 1) for _, child in subschemas(each)][::-1]
