"""Which parts of a value the keywords of a schema look at, which is what `unevaluatedProperties` and its like go by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

from maze.grammar.pattern.tree import ANYTHING, NOTHING, Node, alt, literal
from maze.grammar.schema.conditions import ALWAYS, NEVER, Condition, Conditions, Kind, Member
from maze.grammar.schema.references import Place, References
from maze.json_text import JsonValue


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked at if a condition holds."""

    condition: Condition
    names: Node = NOTHING
    """Properties of these names."""
    items: float = 0
    """Items before this index."""
    matching: Condition = NEVER
    """Items that satisfy this."""


class _UnknownError(Exception):
    """Some keyword looks at parts that cannot be told."""


class Evaluation:
    """Goes through the schemas that apply to one value."""

    def __init__(
        self,
        conditions: Conditions,
        references: References,
        condition_of: Callable[[Place], Condition],
        pattern_language: Callable[[str], Node | None],
    ) -> None:
        self._conditions = conditions
        self._references = references
        self._condition_of = condition_of
        self._pattern_language = pattern_language

    def looks_of(self, place: Place, kind: Kind) -> list[Look] | None:
        """What the schema at a place looks at, its `unevaluated...` left aside; None if that cannot be told."""
        try:
            return list(self._looks(place, kind, outermost=True))
        except _UnknownError:
            return None

    def _looks(self, place: Place, kind: Kind, *, outermost: bool = False) -> Iterator[Look]:
        schema = place.schema
        self._conditions.budget.spend(10)
        if not isinstance(schema, dict):
            return
        unevaluated = "unevaluatedProperties" if kind is Kind.OBJECT else "unevaluatedItems"
        if unevaluated in schema and not outermost:
            yield Look(ALWAYS, names=ANYTHING, items=inf)
        yield from self._of_properties(schema) if kind is Kind.OBJECT else self._of_items(place)
        yield from self._in_place(place, kind)

    def _of_properties(self, schema: dict[str, JsonValue]) -> Iterator[Look]:
        if "additionalProperties" in schema:
            yield Look(ALWAYS, names=ANYTHING)
            return
        patterns = [self._pattern_language(pattern) for pattern in schema.get("patternProperties", {})]
        if None in patterns:
            raise _UnknownError
        names = alt(*map(literal, schema.get("properties", {})), *(each for each in patterns if each is not None))
        if names != NOTHING:
            yield Look(ALWAYS, names=names)

    def _of_items(self, place: Place) -> Iterator[Look]:
        schema, draft = place.schema, place.draft
        if draft < 2020 and isinstance(schema.get("items"), list):
            yield Look(ALWAYS, items=inf if "additionalItems" in schema else len(schema["items"]))
        elif "items" in schema:
            yield Look(ALWAYS, items=inf)
        elif draft >= 2020 and "prefixItems" in schema:
            yield Look(ALWAYS, items=len(schema["prefixItems"]))
        if draft >= 2020 and "contains" in schema:
            yield Look(ALWAYS, matching=self._condition_of(self._references.inside(schema["contains"], place)))

    def _in_place(self, place: Place, kind: Kind) -> Iterator[Look]:
        schema, references = place.schema, self._references

        def inside(child: JsonValue) -> Place:
            return references.inside(child, place)

        if "$ref" in schema:
            yield from self._looks(references.target(place), kind)
        if "$dynamicRef" in schema or "$recursiveRef" in schema:
            yield from self._looks(references.dynamic_target(place), kind)
        for child in schema.get("allOf", ()):
            yield from self._looks(inside(child), kind)
        for keyword in ("anyOf", "oneOf"):
            for child in schema.get(keyword, ()):
                yield from self._if(self._condition_of(inside(child)), inside(child), kind)
        for name, child in schema.get("dependentSchemas", {}).items():
            present = self._conditions.of(Member(name, literal(name), ALWAYS, some=True))
            yield from self._if(present, inside(child), kind)
        if "if" in schema:
            holds = self._condition_of(inside(schema["if"]))
            yield from self._if(holds, inside(schema["if"]), kind)
            for keyword, condition in (("then", holds), ("else", self._conditions.negated(holds))):
                if keyword in schema:
                    yield from self._if(condition, inside(schema[keyword]), kind)

    def _if(self, condition: Condition, place: Place, kind: Kind) -> Iterator[Look]:
        """What a schema looks at that applies where a condition holds."""
        for look in self._looks(place, kind):
            yield Look(self._conditions.every((condition, look.condition)), look.names, look.items, look.matching)
