"""The part of a schema that llguidance can enforce, as a schema for it, and what is left to the check."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from maze.errors import LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.llguidance import Outcome
from maze.grammar.pattern.parser import MAX_CONJUNCTS
from maze.grammar.schema.definitions import endless_definitions, longest_chain, reference_to, with_references
from maze.grammar.schema.formats import ENFORCED_FORMATS, enforced_format, is_checked
from maze.grammar.schema.pattern_count import most_patterns_on_one_value
from maze.grammar.schema.patterns import pattern_for_llguidance
from maze.grammar.schema.references import Place, References
from maze.grammar.schema.trial import as_object, compile_failure
from maze.json_text import JsonValue, dump, escaped, is_double, listed, shown

MAX_REFERENCE_CHAIN = 128
"""Most references that llguidance follows one inside the other; 700 overflow the 8 MiB stack of an engine."""
MAX_SCHEMA_CHAIN = 500
"""Most schemas that llguidance gets into one inside the other, references followed; 1,400 overflow that stack."""
MAX_ENUM_VALUES = 50_000
"""Most values of one enum; llguidance takes 65,000 and calls 100,000 too big."""
MAX_OPTIONAL_PROPERTIES = 2_000
"""Most properties of one object that are not required; 2,000 compile in 0.7 s, 10,000 in over a minute."""
MAX_PATTERN_PROPERTIES = 64
"""Most patternProperties of one object; 256 compile in 5 s."""
MAX_COUNTED_ITEMS = 10_000
"""minItems and maxItems of all arrays together that are enforced while decoding; llguidance before 1.9 writes out each
item and dies at 65,535 symbols. Larger bounds are checked on the finished text."""
MAX_EXACT_INTEGER = 2**53
"""llguidance holds bounds as 64-bit floats."""


def enforceable(references: References, budget: Budget) -> tuple[JsonValue, tuple[str, ...], tuple[str, ...]]:
    """The grammar schema, why it accepts too much, and warnings."""
    lowering = _Lowering(references, frozenset(), budget)
    grammar_schema = lowering.run()
    chain = longest_chain(grammar_schema)
    what = f"{references.path} has a chain of {chain.references} references, each inside what the one before leads to"
    _limit(chain.references, MAX_REFERENCE_CHAIN, what)
    what = f"{references.path} has {chain.schemas} schemas one inside the other, references followed"
    _limit(chain.schemas, MAX_SCHEMA_CHAIN, what)
    if most_patterns_on_one_value(grammar_schema, budget) > MAX_CONJUNCTS:
        lowering = _Lowering(references, frozenset(), budget, without_patterns=True)
        grammar_schema = lowering.run()
    failure = compile_failure(grammar_schema, budget)
    if failure and failure.outcome is not Outcome.EMPTY:
        refused = frozenset(
            text
            for text, probe in lowering.probes.items()
            if (reason := compile_failure(probe, budget)) and reason.outcome is not Outcome.EMPTY
        )
        lowering = _Lowering(references, refused, budget, without_patterns=lowering.without_patterns)
        grammar_schema = lowering.run()
        failure = compile_failure(grammar_schema, budget)
    if failure:
        error = failure.for_caller(references.path, UnsupportedConstraintError)
        if not isinstance(error, UnsupportedConstraintError):
            raise error
        kind = {"type": root["type"]} if isinstance(root := references.root.schema, dict) and "type" in root else {}
        return kind, (f"all but its type is checked on the finished text only: {failure.message}",), ()
    if lowering.one_of_pointers and compile_failure(grammar_schema, budget, coerce_one_of=False):
        for pointer in lowering.one_of_pointers:
            lowering.note("oneOf", "that exactly one branch fits", pointer)
    formats = [shown(name) for name in lowering.unknown_formats]
    warning = f"{references.path} has formats that its draft does not know and that say nothing: {listed(formats)}"
    return grammar_schema, lowering.reasons(), (warning,) if formats else ()


class _Lowering:
    """One pass over a schema that builds the grammar schema.

    `refused` holds texts of probes that llguidance cannot compile; what they stand for is left to the check.
    """

    def __init__(
        self, references: References, refused: frozenset[str], budget: Budget, *, without_patterns: bool = False
    ) -> None:
        self._budget = budget
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
        endless = endless_definitions(self._definitions, self._budget)
        if kept := {name: schema for name, schema in self._definitions.items() if name not in endless}:
            grammar_schema = {**as_object(grammar_schema), "$defs": kept}
        if endless:
            return with_references(grammar_schema, lambda name: None if name in endless else name)
        return grammar_schema

    def note(self, keyword: str, what: str, pointer: str) -> None:
        self._notes.setdefault((keyword, what), []).append(pointer)

    def reasons(self) -> tuple[str, ...]:
        return tuple(
            f"{what} is checked on the finished text only: {keyword} at {listed(pointers)}"
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
        self._budget.spend(5 + len(schema))
        result: dict[str, JsonValue] = {}
        if "$ref" in schema:
            result["$ref"] = self._reference(place)
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
        for keyword, says_something in CHECKED_KEYWORDS.items():
            if keyword in schema and says_something(schema, schema[keyword]):
                self.note(keyword, f"`{keyword}`", f"{pointer}/{keyword}")
        return result

    def _reference(self, place: Place) -> str:
        target = self._references.target(place)
        name = self._names.get(id(target.schema))
        if name is None:
            name = self._names[id(target.schema)] = str(len(self._names))
            if not isinstance(target.schema, dict):
                # true and false are the same object wherever they stand, which does no harm
                self._definitions[name] = target.schema is not False
            else:
                self._pending.append((name, target, place.schema["$ref"][:200]))
        return reference_to(name)

    def _children(self, schemas: list[JsonValue], place: Place, pointer: str) -> list[JsonValue]:
        return [self._child(child, place, f"{pointer}/{index}") for index, child in enumerate(schemas)]

    def _child(self, child: JsonValue, place: Place, pointer: str) -> JsonValue:
        return self._schema(self._references.inside(child, place), pointer)

    def _values(self, schema: dict[str, JsonValue], pointer: str, result: dict[str, JsonValue]) -> None:
        if "enum" in schema:
            values = schema["enum"]
            what = f"{self._path} has an enum of {len(values)} values at {pointer}/enum"
            _limit(len(values), MAX_ENUM_VALUES, what)
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
            if not math.isfinite(float(Decimal(value))):
                self.note(name, "a bound beyond 64-bit floats", f"{pointer}/{name}")
                continue
            if abs(value) > MAX_EXACT_INTEGER or not is_double(value):
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
        if self.without_patterns and (schema.get("format") in ENFORCED_FORMATS or "pattern" in schema):
            self.note("pattern or format", f"what is one of over {MAX_CONJUNCTS} patterns for one value", pointer)
            result.update(facets)
            return
        if "format" in schema:
            facet, beside = enforced_format(schema["format"])
            facets.update(facet)
            if beside:
                result.setdefault("allOf", []).extend(beside)
            if not facet and _may_be(schema, "string"):
                if is_checked(schema["format"], self._draft):
                    self.note("format", f"format {shown(schema['format'])}", f"{pointer}/format")
                else:
                    self.unknown_formats[schema["format"]] = None
        if "pattern" in schema:
            pattern, is_exact = pattern_for_llguidance(schema["pattern"])
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
        what = f"{self._path} has {optional} properties that are not required at {pointer}/properties"
        _limit(optional, MAX_OPTIONAL_PROPERTIES, what)
        what = f"{self._path} has {len(patterns)} patternProperties at {pointer}/patternProperties"
        _limit(len(patterns), MAX_PATTERN_PROPERTIES, what)
        if properties:
            result["properties"] = {
                name: self._child(child, place, f"{pointer}/properties/{escaped(name)}")
                for name, child in properties.items()
            }
        if required:
            result["required"] = required
        others_are_enforced = True
        if patterns:
            spelled = {pattern: pattern_for_llguidance(pattern) for pattern in patterns}
            names = [text for text, _ in spelled.values() if text is not None]
            if len(set(names)) < len(patterns) or self._is_refused(
                {"type": "object", "patternProperties": dict.fromkeys(names, True)}
            ):
                self.note("patternProperties", "names by pattern", f"{pointer}/patternProperties")
                others_are_enforced = False
            else:
                result["patternProperties"] = {
                    name: self._child(child, place, f"{pointer}/patternProperties/{escaped(pattern)}")
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


CHECKED_KEYWORDS: dict[str, Callable[[dict[str, JsonValue], JsonValue], bool]] = {
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


def _limit(number: int, most: int, what: str) -> None:
    if number > most:
        raise LimitExceededError(f"{what}; {most} are allowed")


def _restricts(schema: JsonValue) -> bool:
    return schema is not True and schema != {}


def _may_be(schema: dict[str, JsonValue], kind: str) -> bool:
    types = schema.get("type", kind)
    return kind in ([types] if isinstance(types, str) else types)


def _survives_as_json(value: JsonValue) -> bool:
    """Whether every number in a value is kept by a reader that has 64-bit integers and floats."""
    if isinstance(value, dict | list):
        return all(map(_survives_as_json, value.values() if isinstance(value, dict) else value))
    if isinstance(value, Decimal):
        return is_double(value)
    return not isinstance(value, int) or -(2**63) <= value < 2**64
