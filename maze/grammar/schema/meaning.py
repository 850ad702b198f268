"""What the keywords of a schema say, in each draft: one schema to the condition that it puts on a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.pattern.code_points import ANY
from maze.grammar.pattern.questions import Questions
from maze.grammar.pattern.tree import NOTHING, Chars, Node, alt, literal, negation, repeat
from maze.grammar.pattern.tree import conditions as parts_of
from maze.grammar.schema import numbers
from maze.grammar.schema.conditions import (
    ALWAYS,
    NEVER,
    Condition,
    Conditions,
    Item,
    Kind,
    Matching,
    Meaning,
    Member,
    OneOf,
    PropertyNames,
    Size,
    Text,
    TooManyError,
    Unique,
    Unsure,
)
from maze.grammar.schema.constants import constant, present, property_of
from maze.grammar.schema.drafts import is_reference_only
from maze.grammar.schema.evaluation import Evaluation, UnknownLookError, items_left_over, properties_left_over
from maze.grammar.schema.format_languages import ENCODINGS, is_known, language_of_format
from maze.grammar.schema.necessary_languages import necessary_for_format, necessary_for_json
from maze.grammar.schema.patterns import pattern_language
from maze.grammar.schema.references import Place, References, Scope
from maze.json_text import JsonValue, escaped

_KINDS = {
    "null": (Kind.NULL,),
    "boolean": (Kind.TRUE, Kind.FALSE),
    "number": (Kind.NUMBER,),
    "string": (Kind.STRING,),
    "array": (Kind.ARRAY,),
    "object": (Kind.OBJECT,),
}


_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


@dataclass(frozen=True, slots=True)
class CheckNote:
    """Something that is left to the check."""

    keyword: str
    what: str
    pointer: str


class Meanings:
    """The conditions of the schemas of some documents, each made when it is first asked for."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.questions = Questions(budget)
        self.conditions = Conditions(budget)
        self.notes: list[CheckNote] = []
        self._numbers: dict[tuple[int, Scope], int] = {}
        self._schemas: list[_Schema] = []
        self._made: dict[int, Condition] = {}
        self._notes_on: dict[tuple[Condition, str], int] = {}
        self._pointers: dict[Condition, str] = {}
        self.parts_of_formats: set[Node] = set()
        """What the languages of formats that were met are intersections of."""
        self.unknown_formats: dict[str, None] = {}
        """Names of formats that say nothing."""
        self._patterns: dict[str, Node | None] = {}
        self._multiples: dict[Decimal, Node | None] = {}

    def of_document(self, references: References) -> Condition:
        """What the root of a document says."""
        return self._of_place(references, references.root, "#")

    def resolved(self, condition: Condition) -> Condition:
        """The condition itself, or what the schema says that it stands for."""
        while isinstance(meaning := self.conditions[condition], Meaning):
            found = self.read(meaning)
            condition = self.conditions.negated(found) if meaning.negated else found
        return condition

    def read(self, meaning: Meaning) -> Condition:
        """What the keywords of the schema say; it may be what another one says, which is then left as it is."""
        found = self._made.get(meaning.schema)
        if found is None:
            schema = self._schemas[meaning.schema]
            found = self._made[meaning.schema] = schema.condition()
            self._pointers.setdefault(found, schema.pointer)
        return found

    def pattern_language(self, pattern: str) -> Node | None:
        """The texts in which a pattern is found; None where no automaton decides that, or it is too large."""
        if pattern not in self._patterns:
            self._patterns[pattern] = pattern_language(pattern, self.budget)
        return self._patterns[pattern]

    def multiples_of(self, divisor: Decimal) -> Node | None:
        """The texts of the numbers that a positive divisor divides; None if it has too many remainders or digits."""
        if divisor not in self._multiples:
            self._multiples[divisor] = numbers.multiples_of(divisor, self.budget)
        return self._multiples[divisor]

    def _of_place(self, references: References, place: Place, pointer: str) -> Condition:
        self.budget.spend(10)
        # So that all references to one schema are one condition.
        while is_reference_only(place.schema, place.draft):
            place, pointer = references.target(place), place.schema["$ref"]
        schema = place.schema
        if not isinstance(schema, dict):
            return NEVER if schema is False else ALWAYS
        if not schema:
            return ALWAYS
        number = self._numbers.get(place.key)
        if number is None:
            number = self._numbers[place.key] = len(self._schemas)
            self._schemas.append(_Schema(self, references, place, pointer))
        return self.conditions.of(Meaning(number, negated=False))

    def note(self, keyword: str, what: str, pointer: str) -> int:
        self.notes.append(CheckNote(keyword, what, pointer))
        return len(self.notes) - 1

    def note_on(self, condition: Condition, what: str) -> int:
        """A note on something that a condition says."""
        key = (condition, what)
        if key not in self._notes_on:
            self._notes_on[key] = self.note("schema", what, self._pointers.get(condition, "#"))
        return self._notes_on[key]


class _Schema:
    """Reads the keywords of one schema."""

    def __init__(self, meanings: Meanings, references: References, place: Place, pointer: str) -> None:
        self._meanings = meanings
        self.conditions = meanings.conditions
        self._references = references
        self._draft = place.draft
        self._place = place
        self.pointer = pointer

    def condition(self) -> Condition:
        return self._read(self._place, self.pointer)

    def _of_place(self, place: Place, pointer: str) -> Condition:
        return self._meanings._of_place(self._references, place, pointer)

    def _child(self, child: JsonValue, place: Place, pointer: str) -> Condition:
        """What a part of the schema says.

        Only references can lead in circles. All else is read at once, so that schemas that say the same are one
        condition.
        """
        condition = self._of_place(self._references.inside(child, place), pointer)
        meaning = self.conditions[condition]
        is_reference = isinstance(child, dict) and not child.keys().isdisjoint(_REFERENCES)
        return self._meanings.read(meaning) if isinstance(meaning, Meaning) and not is_reference else condition

    def _unsure(self, kind: Kind, keyword: str, what: str, pointer: str) -> Condition:
        return self.conditions.of(Unsure(kind, self.note(keyword, what, pointer)))

    def note(self, keyword: str, what: str, pointer: str) -> int:
        return self._meanings.note(keyword, what, pointer)

    # ------------------------------------------------------------------------------------------- one schema

    def _read(self, place: Place, pointer: str) -> Condition:
        schema, conditions = place.schema, self.conditions
        parts: list[Condition] = []
        if "$ref" in schema:
            target = self._references.target(place)
            parts.append(self._of_place(target, schema["$ref"]))
            if self._draft <= 7:
                return parts[0]
        if "type" in schema:
            types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            parts.append(conditions.some(map(self._of_type, types)))
        if "enum" in schema:
            parts.append(self._one_of_values(schema["enum"]))
        if "const" in schema and self._draft >= 6:
            parts.append(constant(conditions, schema["const"]))
        for kind, of_kind in (
            (Kind.NUMBER, self._numbers_of),
            (Kind.STRING, self._strings_of),
            (Kind.ARRAY, self._arrays_of),
            (Kind.OBJECT, self._objects_of),
        ):
            found = conditions.every(of_kind(place, pointer))
            if found != ALWAYS:
                parts.append(conditions.unless(kind, found))
        parts.extend(self._combinations(place, pointer))
        return conditions.every(parts)

    def _of_type(self, name: str) -> Condition:
        if name == "integer":
            return self.conditions.of(Text(Kind.NUMBER, numbers.INTEGERS, numbers.NOT_INTEGERS))
        return self.conditions.is_kind(*_KINDS[name])

    def _one_of_values(self, values: list[JsonValue]) -> Condition:
        self._meanings.budget.spend(10 * len(values))
        texts = [literal(value) for value in values if isinstance(value, str)]
        others = [constant(self.conditions, value) for value in values if not isinstance(value, str)]
        found = self.conditions.some(others)
        if texts:
            found = self.conditions.some((self.conditions.of(Text(Kind.STRING, alt(*texts))), found))
        return found

    # ------------------------------------------------------------------------------------------- by kind

    def _numbers_of(self, place: Place, pointer: str) -> Iterator[Condition]:
        schema = place.schema
        bounds: list[tuple[str, Callable[[Decimal], Node]]] = [
            ("minimum", numbers.above if schema.get("exclusiveMinimum") is True else numbers.at_least),
            ("maximum", numbers.below if schema.get("exclusiveMaximum") is True else numbers.at_most),
        ]
        if self._draft >= 6:
            bounds += [("exclusiveMinimum", numbers.above), ("exclusiveMaximum", numbers.below)]
        for keyword, language in bounds:
            if keyword in schema and not isinstance(schema[keyword], bool):
                value = Decimal(schema[keyword])
                if numbers.is_bearable(value):
                    yield self.conditions.of(Text(Kind.NUMBER, language(value)))
                else:
                    yield self._unsure(Kind.NUMBER, keyword, "a bound of many digits", f"{pointer}/{keyword}")
        if "multipleOf" in schema:
            divisor = Decimal(schema["multipleOf"])
            multiples = self._meanings.multiples_of(divisor) or self._few_multiples(schema, divisor)
            if multiples is None:
                yield self._unsure(Kind.NUMBER, "multipleOf", "a multiple", f"{pointer}/multipleOf")
            else:
                yield self.conditions.of(Text(Kind.NUMBER, multiples))

    def _few_multiples(self, schema: dict[str, JsonValue], divisor: Decimal) -> Node | None:
        """The multiples that the bounds of the same schema leave, if they are few."""
        bounds = {
            keyword: Decimal(value)
            for keyword in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
            if (value := schema.get(keyword)) is not None and not isinstance(value, bool)
        }
        lowest = [bound for keyword, bound in bounds.items() if keyword in ("minimum", "exclusiveMinimum")]
        highest = [bound for keyword, bound in bounds.items() if keyword in ("maximum", "exclusiveMaximum")]
        if not lowest or not highest:
            return None
        return numbers.multiples_between(divisor, max(lowest), min(highest), self._meanings.budget)

    def _strings_of(self, place: Place, pointer: str) -> Iterator[Condition]:
        schema = place.schema
        low, high = int(schema.get("minLength", 0)), schema.get("maxLength")
        if low or high is not None:
            lengths = NOTHING if high is not None and low > high else repeat(Chars(ANY), low, high and int(high))
            yield self.conditions.of(Text(Kind.STRING, lengths))
        if "pattern" in schema:
            language = self._meanings.pattern_language(schema["pattern"])
            if language is None:
                yield self._unsure(Kind.STRING, "pattern", "a pattern that no automaton decides", f"{pointer}/pattern")
                if (wider := pattern_language(schema["pattern"], self._meanings.budget, wider=True)) is not None:
                    yield self.conditions.of(Text(Kind.STRING, wider))
            else:
                yield self.conditions.of(Text(Kind.STRING, language))
        if "format" in schema:
            name = schema["format"]
            found = language_of_format(name, self._draft)
            if not is_known(name):
                self._meanings.unknown_formats[name] = None
            elif found is None:
                yield self._unsure(Kind.STRING, "format", f"format {name}", f"{pointer}/format")
                if (necessary := necessary_for_format(name)) is not None:
                    yield self.conditions.of(Text(Kind.STRING, necessary))
            else:
                self._meanings.parts_of_formats.update(parts_of(found.offered) + parts_of(found.outside))
                yield self.conditions.of(Text(Kind.STRING, found.offered, found.outside))
        # Annotations elsewhere; the check asserts them in these drafts.
        if self._draft in (6, 7):
            if (encoding := schema.get("contentEncoding")) in ENCODINGS:
                yield self.conditions.of(Text(Kind.STRING, ENCODINGS[encoding]))
            if schema.get("contentMediaType") == "application/json":
                yield self._unsure(Kind.STRING, "contentMediaType", "JSON in a string", f"{pointer}/contentMediaType")
                if "contentEncoding" not in schema:
                    yield self.conditions.of(Text(Kind.STRING, necessary_for_json()))

    def _arrays_of(self, place: Place, pointer: str) -> Iterator[Condition]:
        schema, of = place.schema, self.conditions.of
        prefix: list[JsonValue] = []
        rest, keyword = "items", "prefixItems"
        if self._draft < 2020 and isinstance(schema.get("items"), list):
            prefix, rest, keyword = schema["items"], "additionalItems", "items"
        elif self._draft >= 2020:
            prefix = schema.get("prefixItems", [])
        for index, child in enumerate(prefix):
            condition = self._child(child, place, f"{pointer}/{keyword}/{index}")
            if condition != ALWAYS:
                yield of(Item(index, index + 1, condition, some=False))
        if rest in schema:
            condition = self._child(schema[rest], place, f"{pointer}/{rest}")
            if condition == NEVER:
                yield of(Size(Kind.ARRAY, 0, len(prefix), 0))
            elif condition != ALWAYS:
                yield of(Item(len(prefix), None, condition, some=False))
        low, high = int(schema.get("minItems", 0)), schema.get("maxItems")
        if low or high is not None:
            yield of(Size(Kind.ARRAY, low, None if high is None else int(high), 0))
        if "contains" in schema and self._draft >= 6:
            least = int(schema.get("minContains", 1)) if self._draft >= 2019 else 1
            most = schema.get("maxContains") if self._draft >= 2019 else None
            if least or most is not None:
                inner = self._child(schema["contains"], place, f"{pointer}/contains")
                yield of(Matching(inner, least, None if most is None else int(most)))
        if schema.get("uniqueItems") is True and not (high is not None and high <= 1):
            yield of(Unique(holds=True, note=self.note("uniqueItems", "`uniqueItems`", f"{pointer}/uniqueItems")))
        if "unevaluatedItems" in schema and self._draft >= 2019:
            yield self._unevaluated(Kind.ARRAY, "unevaluatedItems", place, pointer)

    def _objects_of(self, place: Place, pointer: str) -> Iterator[Condition]:
        schema, of = place.schema, self.conditions.of
        properties = schema.get("properties", {})
        for name, child in properties.items():
            yield property_of(self.conditions, name, self._child(child, place, f"{pointer}/properties/{escaped(name)}"))
        for name in schema.get("required", []) if isinstance(schema.get("required"), list) else []:
            yield present(self.conditions, name)
        known: Node | None = alt(*map(literal, properties))
        for pattern, child in schema.get("patternProperties", {}).items():
            language = self._meanings.pattern_language(pattern)
            where = f"{pointer}/patternProperties/{escaped(pattern)}"
            if language is None:
                known = None
                yield self._unsure(Kind.OBJECT, "patternProperties", "names by pattern", where)
            else:
                known = known and alt(known, language)
                yield of(Member(None, language, self._child(child, place, where), some=False))
        if "additionalProperties" in schema:
            where = f"{pointer}/additionalProperties"
            condition = self._child(schema["additionalProperties"], place, where)
            if known is None:
                yield self._unsure(Kind.OBJECT, "additionalProperties", "other names", where)
            elif condition != ALWAYS:
                yield of(Member(None, negation(known), condition, some=False))
        if "propertyNames" in schema and self._draft >= 6:
            names = self._child(schema["propertyNames"], place, f"{pointer}/propertyNames")
            if names != ALWAYS:
                yield of(PropertyNames(names, some=False))
        low, high = int(schema.get("minProperties", 0)), schema.get("maxProperties")
        if low or high is not None:
            note = self.note("minProperties", "the number of properties", f"{pointer}/minProperties")
            yield of(Size(Kind.OBJECT, low, None if high is None else int(high), note))
        yield from self._dependencies(place, pointer)
        if "unevaluatedProperties" in schema and self._draft >= 2019:
            yield self._unevaluated(Kind.OBJECT, "unevaluatedProperties", place, pointer)

    def _unevaluated(self, kind: Kind, keyword: str, place: Place, pointer: str) -> Condition:
        """What no other keyword looks at satisfies a condition."""
        condition = self._child(place.schema[keyword], place, f"{pointer}/{keyword}")
        if condition == ALWAYS:
            return ALWAYS
        evaluation = Evaluation(
            self.conditions,
            self._references,
            lambda inner: self._of_place(inner, pointer),
            self._meanings.pattern_language,
        )
        try:
            looks = evaluation.looks_of(place, kind)
            if kind is Kind.OBJECT:
                return properties_left_over(looks, condition, self.conditions, self._meanings.questions)
            return items_left_over(looks, condition, self.conditions)
        except (UnknownLookError, TooManyError, OverBudgetError):
            return self._unsure(kind, keyword, f"`{keyword}`", f"{pointer}/{keyword}")

    def _dependencies(self, place: Place, pointer: str) -> Iterator[Condition]:
        schema, conditions = place.schema, self.conditions
        keywords = ("dependencies",) if self._draft <= 7 else ("dependentRequired", "dependentSchemas", "dependencies")
        for keyword in keywords:
            for name, needed in schema.get(keyword, {}).items():
                absent = property_of(conditions, name, NEVER)
                if isinstance(needed, list):
                    wanted = conditions.every(present(conditions, each) for each in needed)
                else:
                    wanted = self._child(needed, place, f"{pointer}/{keyword}/{escaped(name)}")
                yield conditions.some((absent, wanted))

    # ------------------------------------------------------------------------------------------- combinations

    def _combinations(self, place: Place, pointer: str) -> Iterator[Condition]:
        schema, conditions = place.schema, self.conditions

        def branches(keyword: str) -> list[Condition]:
            return [
                self._child(child, place, f"{pointer}/{keyword}/{index}") for index, child in enumerate(schema[keyword])
            ]

        if "allOf" in schema:
            yield conditions.every(branches("allOf"))
        if "anyOf" in schema:
            yield conditions.some(branches("anyOf"))
        if "oneOf" in schema:
            found = branches("oneOf")
            note = self.note("oneOf", "that exactly one branch fits", f"{pointer}/oneOf")
            yield found[0] if len(found) == 1 else conditions.of(OneOf(tuple(found), note))
        if "not" in schema:
            yield conditions.negated(self._child(schema["not"], place, f"{pointer}/not"))
        if "if" in schema and self._draft >= 7:
            condition = self._child(schema["if"], place, f"{pointer}/if")
            for keyword, reverse in (("then", True), ("else", False)):
                if keyword in schema:
                    wanted = self._child(schema[keyword], place, f"{pointer}/{keyword}")
                    guard = conditions.negated(condition) if reverse else condition
                    yield conditions.some((guard, wanted))
        for keyword, draft in (("$dynamicRef", 2020), ("$recursiveRef", 2019)):
            if keyword in schema and self._draft == draft:
                yield self._of_place(self._references.dynamic_target(place), schema[keyword])
