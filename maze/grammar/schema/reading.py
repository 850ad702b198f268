"""The text of a schema, plain or in Braid's shape, read: a valid schema of a draft, whose references lead somewhere."""

from __future__ import annotations

from collections.abc import Sequence

import jsonschema_rs

from maze.errors import InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.schema.drafts import draft_of, guessed_drafts, is_silent, name_of, spell_uris
from maze.grammar.schema.keyword_values import what_to_write
from maze.grammar.schema.keywords import KNOWN_KEYWORDS, Subschema, subschemas
from maze.grammar.schema.references import References
from maze.grammar.schema.regex_cost import regex_steps
from maze.grammar.schema.validator import make_validator
from maze.json_text import JsonTextError, JsonValue, TooDeepError, dump, escaped, listed, parse, shown

MAX_SCHEMA_BYTES = 2 * 1024 * 1024
"""Longest schema text; 2 MiB take about a second to compile."""
MAX_POINTER_CHARACTERS = 30_000_000
"""Most characters of the JSON pointers to all keywords together: jsonschema_rs keeps each, twice; a name of 1 MB above
30,000 others would take 60 GB."""
MAX_DEPTH = 64
"""Deepest nesting of objects and arrays in a schema; vLLM refuses more, and deeper ones overflow small stacks."""
MAX_ENUM_VALUES = 50_000
"""Most values of one enum; llguidance takes 65,000 in one terminal and calls 100,000 too big."""
MAX_OPTIONAL_PROPERTIES = 2_000
"""Most properties of one object that are not required."""
MAX_PATTERN_PROPERTIES = 64
"""Most patternProperties of one object: how they overlap is looked at pair by pair."""


def parse_schema(text: str, path: str) -> tuple[JsonValue, str, bool]:
    """The plain schema that `text` holds, its text, and whether it came in Braid's shape.

    Raises InvalidConstraintError, LimitExceededError.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidConstraintError(f"{path} holds half of a surrogate pair, which is no character") from None
    if size > MAX_SCHEMA_BYTES:
        raise LimitExceededError(f"{path} has {size} bytes; a schema may have {MAX_SCHEMA_BYTES}")
    try:
        schema = parse(text, MAX_DEPTH)
    except TooDeepError as error:
        raise LimitExceededError(f"{path} is {error}; a schema may be nested {MAX_DEPTH} deep") from None
    except JsonTextError as error:
        raise InvalidConstraintError(f"{path} is not JSON: {error}") from None
    if isinstance(schema, dict) and ("schema_type" in schema or "additional_properties" in schema):
        schema = _plain_from_braid(schema, path)
        return schema, dump(schema), True
    if not isinstance(schema, dict | bool):
        raise InvalidConstraintError(f"{path} is not a JSON Schema: it must be an object, true or false")
    return schema, text, False


def _plain_from_braid(schema: dict[str, JsonValue], path: str) -> dict[str, JsonValue]:
    """Braid spells two keywords of the top level its own way, and writes null for what it does not know."""
    plain: dict[str, JsonValue] = {}
    for braid_name, value in schema.items():
        name = {"schema_type": "type", "additional_properties": "additionalProperties"}.get(braid_name, braid_name)
        if value is None and name in ("type", "properties", "required", "additionalProperties"):
            continue
        if name in plain and plain[name] != value:
            raise InvalidConstraintError(f"{path} gives {name!r} twice, in Braid's spelling and in JSON Schema's")
        plain[name] = value
    return plain


def is_vacuous(schema: JsonValue) -> bool:
    """Whether it is what Braid adds to every source file that it read: any object, which would refuse every program."""
    return (
        isinstance(schema, dict)
        and schema.get("type") == "object"
        and not schema.get("properties")
        and not schema.get("required")
        and schema.get("additionalProperties", True) is True
        and schema.keys() <= {"type", "properties", "required", "additionalProperties"}
    )


def unknown_keywords(root: JsonValue, parts: Sequence[Subschema], path: str) -> tuple[str, ...]:
    """A warning about keywords that no draft knows: misspelt, or of another dialect such as OpenAPI's."""
    unknown = [
        f"{part.pointer}/{escaped(keyword)}"
        for part in parts
        for keyword in part.schema
        if keyword not in KNOWN_KEYWORDS and not keyword.startswith("x-")
    ]
    if isinstance(root, dict) and root and len(root) == sum(pointer.count("/") == 1 for pointer in unknown):
        wrapped = "; pass what stands under `schema` itself" if isinstance(root.get("schema"), dict) else ""
        raise InvalidConstraintError(
            f"{path} has no keyword of JSON Schema, so it says nothing: {listed(unknown)}{wrapped}"
        )
    return (f"{path} has keywords that are not JSON Schema's and say nothing: {listed(unknown)}",) if unknown else ()


def silent_keywords(references: References, parts: Sequence[Subschema], path: str) -> tuple[str, ...]:
    """Warnings about keywords that restrict in other drafts, and say nothing in the one that a schema is written in."""
    silent: dict[int, list[str]] = {}
    for part in parts:
        draft = references.draft_at(part.schema)
        for keyword in part.schema:
            if is_silent(keyword, draft):
                silent.setdefault(draft, []).append(f"{part.pointer}/{escaped(keyword)}")
    return tuple(
        f"{path} has keywords that {name_of(draft)} does not know and that say nothing: {listed(pointers)}"
        for draft, pointers in silent.items()
    )


def check_sizes(parts: Sequence[Subschema], path: str) -> None:
    """Raise LimitExceededError for what would take too long to compile."""
    for part in parts:
        schema = part.schema
        optional = _named(schema, "properties").keys() - set(_listed(schema, "required"))
        for number, keyword, what, most in (
            (len(_listed(schema, "enum")), "enum", "values", MAX_ENUM_VALUES),
            (len(optional), "properties", "properties that are not required", MAX_OPTIONAL_PROPERTIES),
            (
                len(_named(schema, "patternProperties")),
                "patternProperties",
                "patterns of names",
                MAX_PATTERN_PROPERTIES,
            ),
        ):
            if number > most:
                raise LimitExceededError(f"{path} has {number} {what} at {part.pointer}/{keyword}; {most} are allowed")


def _named(schema: dict[str, JsonValue], keyword: str) -> dict[str, JsonValue]:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def _listed(schema: dict[str, JsonValue], keyword: str) -> list[JsonValue]:
    value = schema.get(keyword)
    return [item for item in value if isinstance(item, str) or keyword == "enum"] if isinstance(value, list) else []


def in_its_draft(
    schema: JsonValue, parts: Sequence[Subschema], text: str, path: str, budget: Budget
) -> tuple[str, References, tuple[str, ...]]:
    """The text, references and warnings of a schema, read in its own draft or in an older one.

    It is an older one if the schema names none and is valid, and heeded, only there. URIs in `schema` are spelled as
    they should be. Raises UnsupportedConstraintError for a draft or references that cannot be, InvalidConstraintError.
    """
    if spell_uris(schema, parts, path):
        text = dump(schema)
    references = References(schema, draft_of(schema, path), path)
    references.check(budget)
    try:
        _try(schema, parts, text, path, budget)
    except jsonschema_rs.ValidationError as error:
        failure = error
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise UnsupportedConstraintError(f"{path} cannot be checked: {_first_line(error)}") from None
    else:
        return text, references, ()
    for uri in guessed_drafts(schema, parts):
        older = {"$schema": uri, **schema}
        try:
            _try(older, parts, dump(older), path, budget)
        except ValueError:
            continue
        warning = f"{path} is no valid 2020-12 schema; it is read as {uri}. Give it a $schema"
        return dump(older), References(older, draft_of(older, path), path), (warning,)
    pointer = "#" + "".join(f"/{escaped(str(step))}" for step in failure.instance_path)
    kind = failure.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):  # only draft-04's metaschema asks for any
        right = f"{kind.property!r} beside exclusive{kind.property.capitalize()}, as draft-04 has them"
    else:
        right = what_to_write(failure.instance_path)
    raise InvalidConstraintError(
        f"{path} is not a valid JSON Schema at {pointer}: found {shown(failure.instance)}, expected {right}"
    )


def _try(schema: JsonValue, parts: Sequence[Subschema], text: str, path: str, budget: Budget) -> None:
    """Make a validator; raises what make_validator() does."""
    # There are fewer keywords than characters, and each has a pointer that is shorter than the text.
    if len(text) ** 2 > MAX_POINTER_CHARACTERS and (characters := _pointer_characters(schema)) > MAX_POINTER_CHARACTERS:
        raise LimitExceededError(
            f"{path}: the JSON pointers to its keywords have {characters:,} characters together; at most "
            f"{MAX_POINTER_CHARACTERS:,} are taken. Give shorter names to what holds much"
        )
    with budget.native(len(text) // 4 + regex_steps(part.schema for part in parts)):
        make_validator(text)


def _pointer_characters(root: JsonValue) -> int:
    total = 0
    pending = [(0, root)]
    while pending:
        length, schema = pending.pop()
        total += length * len(schema) if isinstance(schema, dict) else 0
        pending += [(length + sum(1 + len(step) for step in way), child) for way, child in subschemas(schema)]
    return total


def _first_line(error: Exception) -> str:
    line = str(error).split("\n")[0]
    return line if len(line) <= 300 else f"{line[:300]}..."
