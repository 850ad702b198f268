"""JSON Schema -> llguidance.

Three readings of one schema meet here. `schema` is what the caller means, in plain JSON Schema. `check_schema` is its
text for jsonschema_rs, which decides about finished texts. `grammar_schema` is what llguidance gets to enforce while
decoding: where llguidance cannot enforce a keyword it is left out, the grammar accepts too much, and `reasons` says so;
the check closes the gap.

Every reference is resolved here and moved into `$defs`, so the grammar schema stands on its own: no `$id`, `$anchor`,
draft or annotation is left that an older llguidance could read differently.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import jsonschema_rs

from maze.check.formats import is_date, is_date_time, is_time
from maze.errors import (
    InvalidConstraintError,
    LimitExceededError,
    UnsupportedConstraintError,
)
from maze.grammar.llguidance import GuidanceError, Outcome, check_grammar
from maze.grammar.pattern.regex import MAX_CONJUNCTS
from maze.grammar.schema.pattern_count import most_patterns_on_one_value
from maze.grammar.schema.references import Place, References, draft_of, shown, subschemas, with_exact_uris
from maze.json_text import JsonTextError, JsonValue, TooDeepError, depth, parse
from maze.threads import run_with_big_stack
from maze.types import EngineGrammar

MAX_SCHEMA_BYTES = 2 * 1024 * 1024
"""Longest schema text; 2 MiB take about a second to compile."""
MAX_DEPTH = 64
"""Deepest nesting of objects and arrays in a schema; vLLM refuses more, and deeper ones overflow small stacks."""
MAX_REFERENCE_CHAIN = 128
"""Most references that llguidance follows one inside the other; 700 overflow the 8 MiB stack of an engine."""
MAX_ENUM_VALUES = 50_000
"""Most values of one enum; llguidance takes 65,000 and calls 100,000 too big."""
MAX_OPTIONAL_PROPERTIES = 2_000
"""Most properties of one object that are not required; 2,000 compile in 0.7 s, 10,000 in over a minute."""
MAX_PATTERN_PROPERTIES = 64
"""Most patternProperties of one object; 256 compile in 5 s."""
MAX_COUNTED_ITEMS = 10_000
"""minItems and maxItems of all arrays together that are enforced while decoding; llguidance before 1.9 writes out each
item and dies at 65,535 symbols. Larger bounds are checked on the finished text."""
MAX_BACKTRACKING = 50_000
"""Steps back that a pattern with look-around or backreferences may take on one text: about 2 ms."""
MAX_EXACT_INTEGER = 2**53
"""llguidance holds bounds as 64-bit floats."""

_GUESSED_DRAFTS = ("http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-04/schema#")
"""Tried in this order for a schema without `$schema` that is no valid 2020-12 schema."""

_ENFORCED_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"},
)
"""Formats that llguidance 1.0.1 (llama.cpp), 1.7 (vLLM) and 1.9 all know; 1.0.1 lacks uri."""
_CHECKED_FORMATS = {
    "uri": 4,
    "regex": 4,
    "uri-reference": 6,
    "json-pointer": 6,
    "uri-template": 6,
    "idn-email": 7,
    "idn-hostname": 7,
    "iri": 7,
    "iri-reference": 7,
    "relative-json-pointer": 7,
}
"""Further formats that jsonschema_rs asserts, and since which draft; by the standard any other says nothing."""


_NO_LEAP_SECOND = ":[0-5][0-9]:[0-5][0-9]"


@dataclass(frozen=True, slots=True)
class LoweredSchema:
    """One schema, or several that all hold, ready to be enforced and checked."""

    paths: tuple[str, ...]
    """Where the caller finds the schemas that went into it: `constraints[0].json_schema`."""
    schema: JsonValue
    """Plain JSON Schema with the meaning that the caller gave it."""
    check_schema: str
    """The same as JSON text, for the check of finished texts."""
    grammar_schema: JsonValue
    """What llguidance enforces: accepts every text that satisfies `schema`, in the order of its properties, without
    white space."""
    vacuous: bool = False
    """It says nothing; only a schema in Braid's shape can be vacuous."""
    fully_enforced: bool = True
    """No text of the grammar breaks `schema`. If False the check has to decide."""
    reasons: tuple[str, ...] = ()
    """Why it is not fully enforced: keywords with their JSON pointers."""
    warnings: tuple[str, ...] = ()
    """What a caller should know though it is no error."""


def lower_schema(text: str, path: str) -> LoweredSchema:
    """Read one schema, plain or in Braid's shape; `path` is what errors call it.

    Raises InvalidConstraintError for text that is not JSON or not a schema, UnsupportedConstraintError for what can be
    neither enforced nor checked (references that lead outside, an unknown `$schema`), ContradictionError for a schema
    that no text satisfies, LimitExceededError.
    """
    return run_with_big_stack(lambda: _lower(text, path))


def combine_schemas(schemas: Sequence[LoweredSchema]) -> LoweredSchema:
    """One schema that holds where all of `schemas` hold; their order and duplicates change nothing.

    Raises ContradictionError naming the paths if no text can satisfy them together, UnsupportedConstraintError or
    LimitExceededError if llguidance cannot intersect them: each can then still be enforced alone.
    """
    return run_with_big_stack(lambda: _combine(schemas))


def schema_to_lark(lowered: LoweredSchema) -> str:
    """The `%json` expression that stands for the schema in a Lark grammar: one line of ASCII."""
    guidance = {"whitespace_flexible": False, "coerce_one_of": True}
    return "%json " + dump({**_as_object(lowered.grammar_schema), "x-guidance": guidance})


# ------------------------------------------------------------------------------------------------ reading


def _lower(text: str, path: str) -> LoweredSchema:
    schema = _parsed(text, path)
    if isinstance(schema, dict) and ("schema_type" in schema or "additional_properties" in schema):
        schema = _plain_from_braid(schema, path)
        text = dump(schema)
        if _is_vacuous(schema):
            return LoweredSchema((path,), schema, text, True, vacuous=True)
    if not isinstance(schema, dict | bool):
        raise InvalidConstraintError(f"{path} is not a JSON Schema: it must be an object, true or false")

    unknown = tuple(_unknown_keywords(schema))
    if isinstance(schema, dict) and schema and len(schema) == sum(pointer.count("/") == 1 for pointer in unknown):
        wrapped = "; pass what stands under `schema` itself" if isinstance(schema.get("schema"), dict) else ""
        raise InvalidConstraintError(
            f"{path} has no keyword of JSON Schema, so it says nothing: {_listed(unknown)}{wrapped}"
        )
    exact = with_exact_uris(copy.deepcopy(schema), path)
    if exact != schema:
        schema = exact
        text = dump(schema)
    draft_uri, warnings = _valid_draft(schema, text, path)
    if isinstance(schema, dict) and "$schema" not in schema and draft_uri is not None:
        schema = {"$schema": draft_uri, **schema}
        text = dump(schema)
    grammar_schema, reasons, more_warnings = _enforceable(References(schema, draft_of(schema, path), path))
    return LoweredSchema(
        paths=(path,),
        schema=schema,
        check_schema=text,
        grammar_schema=grammar_schema,
        fully_enforced=not reasons,
        reasons=reasons,
        warnings=warnings + more_warnings + _warnings_of(unknown, path),
    )


# fmt: off
_KNOWN_KEYWORDS = frozenset((
    "$anchor", "$comment", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef",
    "$ref", "$schema", "$vocabulary", "additionalItems", "additionalProperties", "allOf", "anyOf", "const",
    "contains", "contentEncoding", "contentMediaType", "contentSchema", "default", "definitions", "dependencies",
    "dependentRequired", "dependentSchemas", "deprecated", "description", "else", "enum", "examples",
    "exclusiveMaximum", "exclusiveMinimum", "format", "id", "if", "items", "maxContains", "maxItems", "maxLength",
    "maxProperties", "maximum", "minContains", "minItems", "minLength", "minProperties", "minimum", "multipleOf",
    "not", "oneOf", "pattern", "patternProperties", "prefixItems", "properties", "propertyNames", "readOnly",
    "required", "then", "title", "type", "unevaluatedItems", "unevaluatedProperties", "uniqueItems", "writeOnly",
))
# fmt: on
"""Keywords of draft-04 to 2020-12. Others, and those that begin with `x-`, say nothing by the standard."""


def _unknown_keywords(root: JsonValue) -> Iterator[str]:
    """JSON pointers of keywords that no draft knows: misspelt, or of another dialect such as OpenAPI's."""
    pending = [(root, "#")]
    while pending:
        schema, pointer = pending.pop()
        if not isinstance(schema, dict):
            continue
        yield from (
            f"{pointer}/{_escaped(keyword)}"
            for keyword in schema
            if keyword not in _KNOWN_KEYWORDS and not keyword.startswith("x-")
        )
        pending.extend((child, "/".join((pointer, *map(_escaped, way)))) for way, child in subschemas(schema))


_SINCE_DRAFT = {
    **dict.fromkeys(("const", "contains", "propertyNames"), 6),
    **dict.fromkeys(("if", "then", "else"), 7),
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "maxContains", "minContains"), 2019),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties", "$recursiveRef"), 2019),
    **dict.fromkeys(("$dynamicRef", "prefixItems"), 2020),
}
"""Keywords that restrict, and the draft that brought them; to an older one they say nothing."""
_SAYS_NOTHING_BESIDE_REF = frozenset(
    ("$comment", "$defs", "$id", "$schema", "default", "definitions", "description", "examples", "id", "title")
)


def _unheeded(root: JsonValue, draft: int) -> bool:
    """Whether something in a schema restricts by 2020-12 and says nothing in an older draft."""
    pending = [root]
    while pending:
        schema = pending.pop()
        if not isinstance(schema, dict):
            continue
        if any(_SINCE_DRAFT.get(keyword, 0) > draft for keyword in schema):
            return True
        if draft <= 7 and "$ref" in schema and not schema.keys() - {"$ref"} <= _SAYS_NOTHING_BESIDE_REF:
            return True
        if isinstance(schema.get("format"), str) and draft < _CHECKED_FORMATS.get(schema["format"], 0):
            return True
        pending.extend(child for _, child in subschemas(schema))
    return False


def _warnings_of(unknown: Sequence[str], path: str) -> tuple[str, ...]:
    if not unknown:
        return ()
    return (f"{path} has keywords that are not JSON Schema's and say nothing: {_listed(unknown)}",)


def _parsed(text: str, path: str) -> JsonValue:
    size = len(text.encode())
    if size > MAX_SCHEMA_BYTES:
        raise LimitExceededError(f"{path} has {size} bytes; a schema may have {MAX_SCHEMA_BYTES}")
    try:
        schema = parse(text)
    except TooDeepError:
        raise LimitExceededError(f"{path} is nested over 900 deep; a schema may be nested {MAX_DEPTH} deep") from None
    except JsonTextError as error:
        before = text[: error.offset]
        line, column = before.count("\n") + 1, error.offset - before.rfind("\n")
        raise InvalidConstraintError(
            f"{path} is not JSON: {error.message} at byte {len(before.encode())} (line {line}, column {column}); "
            "are quotes and backslashes in names and texts escaped?"
        ) from None
    if (nesting := depth(schema)) > MAX_DEPTH:
        raise LimitExceededError(f"{path} is nested {nesting} deep; a schema may be nested {MAX_DEPTH} deep")
    return schema


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


def _is_vacuous(schema: dict[str, JsonValue]) -> bool:
    """What Braid adds to every source file that it read: any object, which would refuse every program."""
    return (
        schema.get("type") == "object"
        and not schema.get("properties")
        and not schema.get("required")
        and schema.get("additionalProperties", True) is True
        and schema.keys() <= {"type", "properties", "required", "additionalProperties"}
    )


def _valid_draft(schema: JsonValue, text: str, path: str) -> tuple[str | None, tuple[str, ...]]:
    """The draft to read a schema in: its own, or an older one if it names none and is valid, and heeded, only there."""
    References(schema, draft_of(schema, path), path).check()
    try:
        make_validator(text)
    except jsonschema_rs.ValidationError as error:
        failure = error
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise UnsupportedConstraintError(f"{path} cannot be checked: {_first_line(error)}") from None
    else:
        return None, ()
    if isinstance(schema, dict) and "$schema" not in schema:
        for uri in _GUESSED_DRAFTS:
            if _unheeded(schema, draft_of({"$schema": uri}, path)):
                continue  # a mistake in the value of one keyword must not silence others
            try:
                make_validator(dump({"$schema": uri, **schema}))
            except ValueError:
                continue
            return uri, (f"{path} is no valid 2020-12 schema; it is read as {uri}. Give it a $schema",)
    pointer = "#" + "".join(f"/{_escaped(str(step))}" for step in failure.instance_path)
    raise InvalidConstraintError(f"{path} is not a valid JSON Schema at {pointer}: {_first_line(failure)}")


def make_validator(check_schema: str) -> jsonschema_rs.Validator:
    """What decides about finished texts: formats are asserted, and nothing is fetched from the network or a file.

    Raises ValueError (jsonschema_rs.ValidationError) for what is no schema. Call it with a big stack.
    """
    return jsonschema_rs.validator_for(
        check_schema,
        validate_formats=True,
        formats={"date": is_date, "time": is_time, "date-time": is_date_time},
        offline=True,
        # Patterns with look-around or backreferences. Over the limit the value is refused, below `not` as well.
        pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKING),
    )


# ------------------------------------------------------------------------------------------------ what can be enforced


def _enforceable(references: References) -> tuple[JsonValue, tuple[str, ...], tuple[str, ...]]:
    """The grammar schema, why it accepts too much, and warnings."""
    lowering = _Lowering(references, frozenset())
    grammar_schema = lowering.run()
    if (chain := _longest_chain(grammar_schema)) > MAX_REFERENCE_CHAIN:
        raise LimitExceededError(
            f"{references.path} has a chain of {chain} references, each inside what the one before leads to; "
            f"{MAX_REFERENCE_CHAIN} are allowed"
        )
    if most_patterns_on_one_value(grammar_schema) > MAX_CONJUNCTS:
        lowering = _Lowering(references, frozenset(), without_patterns=True)
        grammar_schema = lowering.run()
    failure = _compile_failure(grammar_schema)
    if failure and failure.outcome is not Outcome.EMPTY:
        refused = frozenset(
            text
            for text, probe in lowering.probes.items()
            if (reason := _compile_failure(probe)) and reason.outcome is not Outcome.EMPTY
        )
        lowering = _Lowering(references, refused, without_patterns=lowering.without_patterns)
        grammar_schema = lowering.run()
        failure = _compile_failure(grammar_schema)
    if failure:
        error = failure.for_caller(references.path, UnsupportedConstraintError)
        if not isinstance(error, UnsupportedConstraintError):
            raise error
        kind = {"type": root["type"]} if isinstance(root := references.root.schema, dict) and "type" in root else {}
        return kind, (f"all but its type is checked on the finished text only: {failure.message}",), ()
    if lowering.one_of_pointers and _compile_failure(grammar_schema, coerce_one_of=False):
        for pointer in lowering.one_of_pointers:
            lowering.note("oneOf", "that exactly one branch fits", pointer)
    warnings: tuple[str, ...] = ()
    if formats := [shown(name) for name in lowering.unknown_formats]:
        warnings = (
            f"{references.path} has formats that its draft does not know and that say nothing: {_listed(formats)}",
        )
    return grammar_schema, lowering.reasons(), warnings


def _ending(definitions: dict[str, JsonValue]) -> set[str]:
    """Names of the definitions that some finite value can satisfy, as far as references decide it."""
    ending: set[str] = set()
    while True:
        more = {name for name, schema in definitions.items() if name not in ending and _can_end(schema, ending)}
        if not more:
            return ending
        ending |= more


def _can_end(schema: JsonValue, ending: set[str]) -> bool:
    if not isinstance(schema, dict):
        return bool(schema)
    if "$ref" in schema and schema["$ref"].removeprefix("#/$defs/") not in ending:
        return False
    if not all(_can_end(branch, ending) for branch in schema.get("allOf", [])):
        return False
    if not all(
        any(_can_end(branch, ending) for branch in schema[name]) for name in ("anyOf", "oneOf") if name in schema
    ):
        return False
    if schema.get("type") in ("object", ["object"]):
        properties = schema.get("properties", {})
        return all(_can_end(properties.get(name, True), ending) for name in schema.get("required", []))
    if schema.get("type") in ("array", ["array"]) and schema.get("minItems", 0) > 0:
        first = [*schema.get("prefixItems", []), schema.get("items", True)]
        return all(_can_end(item, ending) for item in first[: schema["minItems"]])
    return True


def _without(schema: JsonValue, endless: set[str]) -> JsonValue:
    """The schema with `false` for every reference to one of the definitions."""
    if isinstance(schema, list):
        return [_without(item, endless) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("$ref", "").removeprefix("#/$defs/") in endless:
        return False
    result: dict[str, JsonValue] = {}
    for keyword, value in schema.items():
        if keyword in ("properties", "patternProperties"):
            result[keyword] = {name: _without(child, endless) for name, child in value.items()}
        else:
            result[keyword] = value if keyword in ("enum", "const", "required") else _without(value, endless)
    return result


def _longest_chain(grammar_schema: JsonValue) -> int:
    """How many references deep llguidance gets, which follows each the first time it meets it."""
    definitions = grammar_schema.get("$defs", {}) if isinstance(grammar_schema, dict) else {}
    root = {keyword: value for keyword, value in _as_object(grammar_schema).items() if keyword != "$defs"}
    met: set[str] = set()
    under_way = [_references_in(root)]
    longest = 0
    while under_way:
        reference = next(under_way[-1], None)
        if reference is None:
            under_way.pop()
        elif reference not in met:
            met.add(reference)
            under_way.append(_references_in(definitions[reference]))
            longest = max(longest, len(under_way) - 1)
    return longest


def _references_in(schema: JsonValue) -> Iterator[str]:
    """Names of the definitions that a grammar schema refers to, in order."""
    if isinstance(schema, list):
        for item in schema:
            yield from _references_in(item)
    elif isinstance(schema, dict):
        for keyword, value in schema.items():
            if keyword == "$ref":
                yield value.removeprefix("#/$defs/")
            elif keyword in ("properties", "patternProperties"):
                yield from _references_in(list(value.values()))
            elif keyword not in ("enum", "const", "required"):
                yield from _references_in(value)


class _Lowering:
    """One pass over a schema that builds the grammar schema.

    `refused` holds texts of probes that llguidance cannot compile; what they stand for is left to the check.
    """

    def __init__(self, references: References, refused: frozenset[str], *, without_patterns: bool = False) -> None:
        self.without_patterns = without_patterns
        self._references = references
        self._draft = references.draft
        self._path = references.path
        self._refused = refused
        self._notes: dict[tuple[str, str], list[str]] = {}
        self._definitions: dict[str, JsonValue] = {}
        self._names: dict[int, str] = {}
        self._pending: list[tuple[str, Place, str]] = []
        self._counted_items = 0
        self.probes: dict[str, JsonValue] = {}
        self.one_of_pointers: list[str] = []
        self.unknown_formats: dict[str, None] = {}

    def run(self) -> JsonValue:
        root = self._references.root
        grammar_schema = self._schema(root, "#")
        while self._pending:
            name, place, pointer = self._pending.pop()
            self._definitions[name] = self._schema(place, pointer)
        # A value that must hold a value of its own kind never ends: a model that begins one is trapped.
        if endless := self._definitions.keys() - _ending(self._definitions):
            grammar_schema = _without(grammar_schema, endless)
            self._definitions = {
                name: _without(schema, endless) for name, schema in self._definitions.items() if name not in endless
            }
        if not self._definitions:
            return grammar_schema
        return {**_as_object(grammar_schema), "$defs": self._definitions}

    def note(self, keyword: str, what: str, pointer: str) -> None:
        self._notes.setdefault((keyword, what), []).append(pointer)

    def reasons(self) -> tuple[str, ...]:
        return tuple(
            f"{what} is checked on the finished text only: {keyword} at {_listed(pointers)}"
            for (keyword, what), pointers in self._notes.items()
        )

    def _is_refused(self, probe: JsonValue) -> bool:
        text = dump(probe)
        self.probes[text] = probe
        return text in self._refused

    def _schema(self, place: Place, pointer: str) -> JsonValue:
        schema = place.schema
        if not isinstance(schema, dict):
            return schema is not False
        result: dict[str, JsonValue] = {}
        if "$ref" in schema:
            result["$ref"] = self._reference(schema["$ref"], place.base)
            if self._draft <= 7:
                return result
        if "type" in schema:
            result["type"] = schema["type"]
        self._values(schema, pointer, result)
        self._combinations(place, pointer, result)
        self._numbers(schema, pointer, result)
        self._strings(schema, pointer, result)
        self._arrays(place, pointer, result)
        self._objects(place, pointer, result)
        self._note_unenforced(schema, pointer)
        return result

    def _reference(self, reference: str, base: str) -> str:
        target = self._references.resolve(reference, base)
        name = self._names.get(id(target.schema))
        if name is None:
            name = self._names[id(target.schema)] = str(len(self._names))
            if not isinstance(target.schema, dict):
                # true and false are the same object wherever they stand, which does no harm
                self._definitions[name] = target.schema is not False
            else:
                self._pending.append((name, target, reference))
        return f"#/$defs/{name}"

    def _children(self, schemas: list[JsonValue], place: Place, pointer: str) -> list[JsonValue]:
        return [self._child(child, place, f"{pointer}/{index}") for index, child in enumerate(schemas)]

    def _child(self, child: JsonValue, place: Place, pointer: str) -> JsonValue:
        return self._schema(self._references.inside(child, place.base), pointer)

    def _values(self, schema: dict[str, JsonValue], pointer: str, result: dict[str, JsonValue]) -> None:
        if "enum" in schema:
            values = schema["enum"]
            if len(values) > MAX_ENUM_VALUES:
                raise LimitExceededError(
                    f"{self._path} has an enum of {len(values)} values at {pointer}/enum; {MAX_ENUM_VALUES} are allowed"
                )
            result["enum"] = values
        if "const" in schema and self._draft >= 6:
            result["const"] = schema["const"]
        if any(not _survives_as_json(result[keyword]) for keyword in ("enum", "const") if keyword in result):
            self.note("enum or const", "a number that 64 bits cannot hold", pointer)
            result.pop("enum", None)
            result.pop("const", None)

    def _combinations(self, place: Place, pointer: str, result: dict[str, JsonValue]) -> None:
        for keyword in ("allOf", "anyOf", "oneOf"):
            if keyword in place.schema:
                branches = place.schema[keyword]
                result[keyword] = self._children(branches, place, f"{pointer}/{keyword}")
                if keyword == "oneOf" and len(branches) > 1:
                    self.one_of_pointers.append(f"{pointer}/oneOf")
        if place.schema.get("not") in (True, {}) and "not" in place.schema:
            result.setdefault("allOf", []).append(False)

    def _numbers(self, schema: dict[str, JsonValue], pointer: str, result: dict[str, JsonValue]) -> None:
        bounds: dict[str, JsonValue] = {
            name: schema[name]
            for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
            if name in schema
        }
        for inclusive, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if isinstance(bounds.get(exclusive), bool) and bounds.pop(exclusive) and inclusive in bounds:
                bounds[exclusive] = bounds.pop(inclusive)
        for name, value in bounds.items():
            number = float(value)
            if not math.isfinite(number):
                self.note(name, "a bound beyond 64-bit floats", f"{pointer}/{name}")
                continue
            if abs(value) > MAX_EXACT_INTEGER or Decimal(repr(number)) != value:
                self.note(name, "the last digits of a bound", f"{pointer}/{name}")
            result[name] = value
        if "multipleOf" in schema:
            if self._is_refused({"type": "number", "multipleOf": schema["multipleOf"]}):
                self.note("multipleOf", "a multiple", f"{pointer}/multipleOf")
            else:
                result["multipleOf"] = schema["multipleOf"]

    def _strings(self, schema: dict[str, JsonValue], pointer: str, result: dict[str, JsonValue]) -> None:
        facets: dict[str, JsonValue] = {
            name: int(schema[name]) for name in ("minLength", "maxLength") if name in schema
        }
        if self.without_patterns and (schema.get("format") in _ENFORCED_FORMATS or "pattern" in schema):
            self.note("pattern or format", f"what is one of over {MAX_CONJUNCTS} patterns for one value", pointer)
            result.update(facets)
            return
        if schema.get("format") in _ENFORCED_FORMATS:
            facets["format"] = schema["format"]
            if schema["format"] in ("time", "date-time"):
                # llguidance allows a leap second in every minute, the standard at the end of a day only.
                result.setdefault("allOf", []).append({"pattern": _NO_LEAP_SECOND})
        elif "format" in schema and _may_be(schema, "string"):
            if self._draft >= _CHECKED_FORMATS.get(schema["format"], math.inf):
                self.note("format", f"format {shown(schema['format'])}", f"{pointer}/format")
            else:
                self.unknown_formats[schema["format"]] = None
        if "pattern" in schema:
            pattern, is_exact = _pattern_for_llguidance(schema["pattern"])
            if pattern is None or self._is_refused({"type": "string", "pattern": pattern}):
                self.note("pattern", "a pattern that no automaton decides", f"{pointer}/pattern")
            else:
                facets["pattern"] = pattern
                if not is_exact:
                    self.note("pattern", "an escaped character in a pattern", f"{pointer}/pattern")
        if len(facets) > 1 and self._is_refused({"type": "string", **facets}):
            for name in ("pattern", "format"):
                if facets.pop(name, None) is not None:
                    self.note(name, "a combination of pattern, format and length", f"{pointer}/{name}")
        result.update(facets)

    def _arrays(self, place: Place, pointer: str, result: dict[str, JsonValue]) -> None:
        schema = place.schema
        if self._draft < 2020 and isinstance(schema.get("items"), list):
            result["prefixItems"] = self._children(schema["items"], place, f"{pointer}/items")
            rest = "additionalItems"
        else:
            if "prefixItems" in schema and self._draft >= 2020:
                result["prefixItems"] = self._children(schema["prefixItems"], place, f"{pointer}/prefixItems")
            rest = "items"
        if rest in schema:
            result["items"] = self._child(schema[rest], place, f"{pointer}/{rest}")
        counts = {name: int(schema[name]) for name in ("minItems", "maxItems") if name in schema}
        if counts:
            most = max(counts.values())
            if self._counted_items + most > MAX_COUNTED_ITEMS:
                for name in counts:
                    self.note(name, "a large number of items", f"{pointer}/{name}")
            else:
                self._counted_items += most
                result.update(counts)

    def _objects(self, place: Place, pointer: str, result: dict[str, JsonValue]) -> None:
        schema = place.schema
        properties = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        required = schema.get("required", [])
        optional = len(properties.keys() - set(required))
        if optional > MAX_OPTIONAL_PROPERTIES:
            raise LimitExceededError(
                f"{self._path} has {optional} properties that are not required at {pointer}/properties; "
                f"{MAX_OPTIONAL_PROPERTIES} are allowed"
            )
        if len(patterns) > MAX_PATTERN_PROPERTIES:
            raise LimitExceededError(
                f"{self._path} has {len(patterns)} patternProperties at {pointer}/patternProperties; "
                f"{MAX_PATTERN_PROPERTIES} are allowed"
            )
        if properties:
            result["properties"] = {
                name: self._child(child, place, f"{pointer}/properties/{_escaped(name)}")
                for name, child in properties.items()
            }
        if required:
            result["required"] = required
        others_are_enforced = True
        if patterns:
            spelled = {pattern: _pattern_for_llguidance(pattern) for pattern in patterns}
            names = [text for text, _ in spelled.values() if text is not None]
            if len(set(names)) < len(patterns) or self._is_refused(
                {"type": "object", "patternProperties": dict.fromkeys(names, True)}
            ):
                self.note("patternProperties", "names by pattern", f"{pointer}/patternProperties")
                others_are_enforced = False
            else:
                result["patternProperties"] = {
                    name: self._child(child, place, f"{pointer}/patternProperties/{_escaped(pattern)}")
                    for name, (pattern, child) in zip(names, patterns.items(), strict=True)
                }
                if not all(is_exact for _, is_exact in spelled.values()):
                    self.note("patternProperties", "an escaped character in a name", f"{pointer}/patternProperties")
        if "additionalProperties" in schema:
            if others_are_enforced:
                child = schema["additionalProperties"]
                result["additionalProperties"] = self._child(child, place, f"{pointer}/additionalProperties")
            else:
                self.note("additionalProperties", "other names", f"{pointer}/additionalProperties")
        self._property_counts(schema, pointer, result)

    def _property_counts(self, schema: dict[str, JsonValue], pointer: str, result: dict[str, JsonValue]) -> None:
        properties, required = schema.get("properties", {}), set(schema.get("required", []))
        closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
        for name in ("minProperties", "maxProperties"):
            if name not in schema:
                continue
            count = int(schema[name])
            implied = count <= len(required) if name == "minProperties" else closed and count >= len(properties)
            if implied:
                continue
            if (
                properties.keys() <= required
                and not schema.get("patternProperties")
                and count <= MAX_PATTERN_PROPERTIES
            ):
                result[name] = count
            else:
                self.note(name, "the number of properties", f"{pointer}/{name}")

    def _note_unenforced(self, schema: dict[str, JsonValue], pointer: str) -> None:
        for keyword, says_something in _CHECKED_KEYWORDS.items():
            if keyword in schema and says_something(schema, schema[keyword]):
                self.note(keyword, f"`{keyword}`", f"{pointer}/{keyword}")


_CHECKED_KEYWORDS: dict[str, Callable[[dict[str, JsonValue], JsonValue], bool]] = {
    "$dynamicRef": lambda _schema, _value: True,
    "$recursiveRef": lambda _schema, _value: True,
    "contains": lambda schema, _value: schema.get("minContains") != 0 or "maxContains" in schema,
    "dependencies": lambda _schema, value: bool(value),
    # Older drafts do not know these two, so they may be of any type there.
    "dependentRequired": lambda _schema, value: isinstance(value, dict) and any(value.values()),
    "dependentSchemas": lambda _schema, value: isinstance(value, dict) and any(map(_restricts, value.values())),
    "if": lambda schema, _value: _restricts(schema.get("then", True)) or _restricts(schema.get("else", True)),
    "not": lambda _schema, value: value is not False and _restricts(value),
    "propertyNames": lambda _schema, value: _restricts(value),
    "unevaluatedItems": lambda _schema, value: _restricts(value),
    "unevaluatedProperties": lambda _schema, value: _restricts(value),
    "uniqueItems": lambda _schema, value: value is True,
}
"""Keywords that llguidance cannot enforce, with the test whether they say anything; jsonschema_rs checks them all."""


def _restricts(schema: JsonValue) -> bool:
    return schema is not True and schema != {}


def _may_be(schema: dict[str, JsonValue], kind: str) -> bool:
    types = schema.get("type", kind)
    return kind in ([types] if isinstance(types, str) else types)


_WHITE_SPACE = " \t\n\x0b\x0c\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What ECMAScript takes for white space, as members of a class; llguidance's own `\\s` has other members."""
_ESCAPE_OR_CHARACTER = re.compile(r"\\[pP]\{[^}]*\}|\\.|.", re.DOTALL)


def _pattern_for_llguidance(pattern: str) -> tuple[str | None, bool]:
    """The pattern with ECMAScript's white space spelled out, and whether llguidance enforces it to the letter.

    It does not where a negated class leaves out the quote or the backslash: `^[^"]+$` takes an escaped quote. There is
    no pattern for anchors inside a group, which llguidance before 1.9 refuses.
    """
    groups = 0
    result: list[str] = []
    members: list[str] | None = None
    is_exact = True
    for piece in _ESCAPE_OR_CHARACTER.findall(pattern):
        if members is None:
            groups += {"(": 1, ")": -1}.get(piece, 0)
            if piece in ("^", "$") and groups:
                return None, False
            if piece == "[":
                members = []
            elif piece.startswith("\\P"):
                is_exact = False
            result.append({"\\s": f"[{_WHITE_SPACE}]", "\\S": f"[^{_WHITE_SPACE}]"}.get(piece, piece))
            continue
        if piece == "]" and members:
            is_negated = members[0] == "^"
            if "\\S" in members or (is_negated and _may_leave_out_quotes(members[1:])):
                is_exact = False
            members = None
        else:
            members.append(piece)
        result.append(_WHITE_SPACE if piece == "\\s" else piece)
    return "".join(result), is_exact


def _may_leave_out_quotes(members: Sequence[str]) -> bool:
    """Whether a class may hold the quote or the backslash; a range that is not of letters or digits counts as one."""
    for index, member in enumerate(members):
        if member in ('"', "\\\\", "\\D", "\\S", "\\W") or member[:2] in ("\\p", "\\P", "\\x", "\\u"):
            return True
        if member == "-" and 0 < index < len(members) - 1:
            first, last = members[index - 1], members[index + 1]
            if not (
                first.isalnum()
                and last.isalnum()
                and first.isupper() == last.isupper()
                and first.isdigit() == last.isdigit()
            ):
                return True
    return False


# ------------------------------------------------------------------------------------------------ several schemas


def _combine(schemas: Sequence[LoweredSchema]) -> LoweredSchema:
    by_text = {
        dump(lowered.grammar_schema) + lowered.check_schema: lowered for lowered in schemas if not lowered.vacuous
    }
    paths = tuple(path for lowered in schemas for path in lowered.paths)
    distinct = [by_text[text] for text in sorted(by_text)]
    if not distinct:
        return LoweredSchema(paths, True, "true", True, vacuous=True)
    grammar_parts = {dump(lowered.grammar_schema): lowered.grammar_schema for lowered in distinct}
    if len(grammar_parts) == 1:
        grammar_schema = next(iter(grammar_parts.values()))
    else:
        definitions: dict[str, JsonValue] = {}
        branches = []
        for index, part in enumerate(grammar_parts.values()):
            branch = _as_object(part)
            own = branch.pop("$defs", {})
            definitions.update({f"{index}.{name}": _rebased(value, index) for name, value in own.items()})
            branches.append(_rebased(branch, index))
        grammar_schema = {"allOf": branches, **({"$defs": definitions} if definitions else {})}
        if (most := most_patterns_on_one_value(grammar_schema)) > MAX_CONJUNCTS:
            raise LimitExceededError(
                f"{' and '.join(paths)} have {most} patterns for one value; at most {MAX_CONJUNCTS} are intersected"
            )
        if failure := _compile_failure(grammar_schema):
            raise failure.for_caller(" and ".join(paths), UnsupportedConstraintError)
    return LoweredSchema(
        paths=paths,
        schema={"allOf": [lowered.schema for lowered in distinct]} if len(distinct) > 1 else distinct[0].schema,
        check_schema="",
        grammar_schema=grammar_schema,
        fully_enforced=all(lowered.fully_enforced for lowered in distinct),
        reasons=tuple(dict.fromkeys(reason for lowered in distinct for reason in lowered.reasons)),
        warnings=tuple(dict.fromkeys(warning for lowered in distinct for warning in lowered.warnings)),
    )


def _rebased(schema: JsonValue, index: int) -> JsonValue:
    """Point the references of a grammar schema to where its definitions are in the combination."""
    if isinstance(schema, list):
        return [_rebased(item, index) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, JsonValue] = {}
    for keyword, value in schema.items():
        if keyword == "$ref":
            result[keyword] = value.replace("#/$defs/", f"#/$defs/{index}.", 1)
        elif keyword in ("properties", "patternProperties"):  # a property may be called $ref
            result[keyword] = {name: _rebased(child, index) for name, child in value.items()}
        else:
            result[keyword] = value if keyword in ("enum", "const", "required") else _rebased(value, index)
    return result


# ------------------------------------------------------------------------------------------------ llguidance


def _compile_failure(grammar_schema: JsonValue, *, coerce_one_of: bool = True) -> GuidanceError | None:
    """What llguidance, with the limits that engines use, says against a grammar schema."""
    guidance = {"whitespace_flexible": False, "coerce_one_of": coerce_one_of}
    text = dump({**_as_object(grammar_schema), "x-guidance": guidance})
    try:
        check_grammar(EngineGrammar(f"start: %json {text}\n"))
    except GuidanceError as error:
        return error
    return None


# ------------------------------------------------------------------------------------------------ texts


def _as_object(schema: JsonValue) -> dict[str, JsonValue]:
    if isinstance(schema, dict):
        return dict(schema)
    return {} if schema else {"enum": []}


def dump(value: JsonValue) -> str:
    """Compact JSON in ASCII, in the order of the keys; numbers as they were written, up to the digits of a float."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=_number, allow_nan=False)


def _number(value: object) -> float:
    if not isinstance(value, Decimal):
        raise TypeError(type(value))
    return float(value)


def _survives_as_json(value: JsonValue) -> bool:
    """Whether every number in a value is kept by a reader that has 64-bit integers and floats."""
    if isinstance(value, dict | list):
        return all(map(_survives_as_json, value.values() if isinstance(value, dict) else value))
    if isinstance(value, Decimal):
        return math.isfinite(float(value)) and Decimal(repr(float(value))) == value
    return not isinstance(value, int) or -(2**63) <= value < 2**64


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _listed(pointers: Sequence[str]) -> str:
    shown = ", ".join(pointers[:3])
    return shown if len(pointers) <= 3 else f"{shown} and {len(pointers) - 3} more"


def _first_line(error: Exception) -> str:
    line = str(error).split("\n")[0]
    return line if len(line) <= 300 else f"{line[:300]}..."
