"""Arrays of JSON Schema: no two items equal, held against an independent validator with all short arrays."""

from __future__ import annotations

import itertools
import json

import pytest
from jsonschema import Draft202012Validator

from benchmarks.schema_texts import can_write
from maze.errors import ContradictionError
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.llguidance import Matcher
from maze.grammar.schema.arrays import most_distinct
from maze.grammar.schema.lower import LoweredSchema, lower_schema
from maze.json_text import JsonValue
from maze.outcome import Handling
from maze.types import ConstraintIR

ITEMS: list[JsonValue] = [
    0,
    1,
    -1,
    1.5,
    "a",
    "b",
    "c",
    True,
    False,
    None,
    [],
    [0],
    [True],
    {},
    {"a": 1},
    {"b": 1, "a": 1},
]
TEXTS = {"enum": ["a", "b", "c", 0]}
BITS = {"type": "boolean"}
OBJECTS = {"type": "object", "properties": {"a": {"enum": [1, 2]}, "b": {"const": 1}}, "additionalProperties": False}


def lowered(schema: JsonValue) -> LoweredSchema:
    return lower_schema(json.dumps(schema), "s", Budget())


def matcher_of(schema: LoweredSchema) -> Matcher:
    assert schema.cfg is not None
    return Matcher(cfg_to_lark(schema.cfg, Budget()))


@pytest.mark.parametrize(
    "schema",
    [
        {"items": TEXTS},
        {"items": TEXTS, "minItems": 2, "maxItems": 3},
        {"items": TEXTS, "contains": {"const": "b"}},
        {"items": TEXTS, "contains": {"type": "string"}, "minContains": 2, "maxContains": 2},
        {"items": {"enum": [1, 1.0, "a", [0], {"a": 1}, {"b": 1, "a": 1}]}},
        {"items": BITS, "minItems": 1},
        {"items": BITS, "maxItems": 0},
        {"items": BITS, "maxItems": 1_000_000},
        {"prefixItems": [BITS, BITS], "items": False},
        {"prefixItems": [BITS, {"enum": [True, "a"]}], "items": {"enum": ["a", "b"]}},
        {"prefixItems": [{"type": "string"}, {"type": "number"}, {"type": "object"}], "items": False},
        {"items": {"type": "array", "items": BITS, "maxItems": 1}},
        {"items": {"$ref": "#/$defs/o"}, "$defs": {"o": OBJECTS}},
        {"items": {"type": "integer", "minimum": -1, "maximum": 20}, "maxItems": 2},
        {"items": {"anyOf": [{"const": 1}, {"type": "null"}]}, "minItems": 2},
        {"items": {"oneOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}},
        {"items": {"type": "string", "pattern": "^[ab]$"}},
        {"items": {"$ref": "#/$defs/c"}, "$defs": {"c": {"enum": ["a", "c"]}}},
        {"allOf": [{"items": TEXTS}, {"items": {"type": "string"}}]},
    ],
)
def test_few_values_come_once_each_in_any_order(schema: dict[str, JsonValue]) -> None:
    result = lowered({**schema, "type": "array", "uniqueItems": True})
    assert result.fully_enforced, result.reasons
    matcher = matcher_of(result)
    judge = Draft202012Validator({**schema, "type": "array", "uniqueItems": True})
    for length in range(3):
        for items in itertools.product(ITEMS, repeat=length):
            assert can_write(matcher, list(items)) is judge.is_valid(list(items)), items
    assert not can_write(matcher, ["a", "b", "a"])
    assert not can_write(matcher, [True, False, True])


@pytest.mark.parametrize(("high", "count"), [(None, 9), (2, 511), (3, 31)])
def test_so_many_values_come_once_each_and_more_are_left_to_the_check(high: int | None, count: int) -> None:
    assert most_distinct(high) == count
    bounds = {} if high is None else {"maxItems": high}
    few, more = (
        lowered({"type": "array", "uniqueItems": True, "items": {"enum": list(range(number))}, **bounds})
        for number in (count, count + 1)
    )
    assert few.fully_enforced
    assert more.reasons == ("`uniqueItems` is checked on the finished text only: uniqueItems at #/uniqueItems",)
    matcher = matcher_of(few)
    assert can_write(matcher, [count - 1, 0])
    assert not can_write(matcher, [0, 0])


def test_more_items_than_values_are_a_contradiction() -> None:
    with pytest.raises(ContradictionError):
        lowered({"type": "array", "items": BITS, "uniqueItems": True, "minItems": 3})


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "array", "contains": {"properties": {"a": {"const": 1}}, "required": ["a"]}}, '[{"a":2},{"a":1}]'),
        ({"not": {"const": [{"a": 1}]}}, '[{"a":1},2]'),
        ({"anyOf": [{"items": {"properties": {"a": {"type": "string"}}}}, {"minItems": 1}]}, '[{"a":1}]'),
        (
            {"anyOf": [{"not": {"const": {"k": {"a": 1}}}}, {"additionalProperties": {"type": "object"}}]},
            '{"k":{"a":1}}',
        ),
    ],
)
def test_a_name_that_one_alternative_knows_and_another_does_not_is_read_as_both(schema: JsonValue, text: str) -> None:
    (compiled,) = [compile_constraints([ConstraintIR(json_schema=json.dumps(schema))])]
    assert compiled.parts[0].handling is Handling.ENFORCED
    assert compiled.grammar is not None
    assert Matcher(compiled.grammar).accepts(text.encode())
