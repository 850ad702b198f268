"""Which parts of a value the keywords of a schema look at, which is what `unevaluatedProperties` and its like go by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import inf

from maze.grammar.pattern.questions import Questions
from maze.grammar.pattern.tree import ANYTHING, NOTHING, Node, alt, literal, negation
from maze.grammar.schema.conditions import ALWAYS, NEVER, Condition, Conditions, Item, Kind, Member, TooManyError
from maze.grammar.schema.constants import present, property_of
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


MAX_LOOKED_AT = 200
"""Most sets of names of which each is looked at under conditions of its own, for `unevaluatedProperties`."""
MAX_EVALUATING = 6
"""Most alternatives with `contains` on which it depends what `unevaluatedItems` is about."""


class UnknownLookError(Exception):
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

    def looks_of(self, place: Place, kind: Kind) -> list[Look]:
        """What the schema at a place looks at, its `unevaluated...` left aside. Raises UnknownLookError."""
        return list(self._looks(place, kind, outermost=True))

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
            raise UnknownLookError
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
            yield from self._if(present(self._conditions, name), inside(child), kind)
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


def properties_left_over(
    looks: Sequence[Look], condition: Condition, conditions: Conditions, questions: Questions
) -> Condition:
    """Each property satisfies the condition, or something holds that looks at it. Raises TooManyError."""
    cells: list[tuple[Node, tuple[Condition, ...]]] = [(ANYTHING, ())]
    for look in looks:
        split = []
        for names, looked_at in cells:
            conditions.budget.spend(10)
            within, outside = questions.meet(names, look.names), questions.meet(names, negation(look.names))
            if look.condition != ALWAYS and questions.is_nothing(within) is not True:
                split.append((within, (*looked_at, look.condition)))
            if questions.is_nothing(outside) is not True:
                split.append((outside, looked_at))
        cells = split
        if len(cells) > MAX_LOOKED_AT:
            raise TooManyError
    return conditions.every(
        conditions.some((_all_of(names, condition, conditions, questions), *looked_at)) for names, looked_at in cells
    )


def _all_of(names: Node, condition: Condition, conditions: Conditions, questions: Questions) -> Condition:
    texts = questions.texts_of(names, MAX_LOOKED_AT)
    if texts is None:
        return conditions.of(Member(None, names, condition, some=False))
    return conditions.every(property_of(conditions, text, condition) for text in texts)


def items_left_over(looks: Sequence[Look], condition: Condition, conditions: Conditions) -> Condition:
    """Each item satisfies the condition, or something holds that looks at it. Raises TooManyError.

    Of what looks at the items that match, some set holds: with all that hold the least is left over.
    """
    optional = [look for look in looks if look.matching != NEVER and look.condition != ALWAYS]
    if len(optional) > MAX_EVALUATING:
        raise TooManyError
    ways = []
    for count in range(len(optional) + 1):
        for holding in combinations(optional, count):
            matching = [look.matching for look in looks if look.condition == ALWAYS] + [
                look.matching for look in holding
            ]
            enough = conditions.some((condition, *matching))
            ways.append(conditions.every((*(look.condition for look in holding), _items(looks, enough, conditions))))
    return conditions.some(ways)


def _items(looks: Sequence[Look], condition: Condition, conditions: Conditions) -> Condition:
    ends = sorted({0.0, inf, *(look.items for look in looks)})
    return conditions.every(
        conditions.some(
            (
                conditions.of(Item(int(first), None if end == inf else int(end), condition, some=False)),
                *(look.condition for look in looks if look.items >= end),
            )
        )
        for first, end in pairwise(ends)
    )
