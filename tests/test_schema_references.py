"""What references of schemas lead to: the schemas of the drafts, and dynamic ones on every way to them."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from schema_walks import checked_by_us

from benchmarks.schema_texts import can_write
from maze.errors import InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.llguidance import Matcher
from maze.grammar.schema.lower import LoweredSchema, lower_schema
from maze.grammar.schema.metaschemas import metaschemas
from maze.json_text import JsonValue

DRAFTS = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]
SCHEMAS: list[JsonValue] = [
    {},
    True,
    3,
    "x",
    {"minLength": 1},
    {"minLength": -1},
    {"type": "object", "properties": {"a": {"type": "integer"}}},
    {"type": "object", "properties": {"a": {"type": "whole"}}},
    {"items": [{"type": "string"}]},
    {"items": {"items": {"not": {"const": 1}}}},
    {"items": {"items": {"not": {"minimum": "1"}}}},
    {"anyOf": [{}, {"allOf": []}]},
    {"required": ["a", "b"]},
    {"minimum": 1, "exclusiveMinimum": True},
    {"definitions": {"a": {"maxItems": 1}}, "dependencies": {"a": ["b"]}},
    {"definitions": {"a": {"maxItems": 0.5}}},
    {"$defs": {"a": {"$defs": 1}}},
    {"const": {"b": [1]}},
]


def lowered(schema: JsonValue) -> LoweredSchema:
    return lower_schema(json.dumps(schema), "s", Budget())


def matcher_of(schema: LoweredSchema) -> Matcher:
    assert schema.cfg is not None
    return Matcher(cfg_to_lark(schema.cfg, Budget()))


@pytest.mark.parametrize("around", [None, *DRAFTS])
@pytest.mark.parametrize("draft", DRAFTS)
def test_the_schema_of_a_draft_may_be_referred_to_from_any_draft(draft: str, around: str | None) -> None:
    schema = {"$ref": draft} if around is None else {"$schema": around, "$ref": draft}
    result = lowered(schema)
    matcher = matcher_of(result)
    judge = jsonschema.validators.validator_for({"$schema": draft})
    for value in SCHEMAS:
        is_one = judge(judge.META_SCHEMA).is_valid(value)
        assert can_write(matcher, value) is is_one, value
        assert checked_by_us(json.dumps(value), result) is is_one, value


def test_a_part_of_the_schema_of_a_draft_may_be_referred_to() -> None:
    result = lowered({"items": {"$ref": "http://json-schema.org/draft-07/schema#/definitions/nonNegativeInteger"}})
    assert result.fully_enforced
    for value, right in (([1], True), ([-1], False), (["x"], False), ({"a": 1}, True)):
        assert can_write(matcher_of(result), value) is right
        assert checked_by_us(json.dumps(value), result) is right


@pytest.mark.parametrize(
    "reference",
    [
        "http://json-schema.org/draft-03/schema#",
        "http://json-schema.org/draft-07/hyper-schema#",
        "https://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-07/schema#/definitions/none",
    ],
)
def test_what_is_not_bundled_is_not_fetched(reference: str) -> None:
    with pytest.raises(Exception, match=r"which is not (part of it|there)") as raised:
        lowered({"$ref": reference})
    assert isinstance(raised.value, UnsupportedConstraintError) or "is not there" in str(raised.value)


def test_nobody_changes_the_schemas_of_the_drafts() -> None:
    before = json.dumps(metaschemas(), sort_keys=True)
    for draft in DRAFTS:
        lowered({"allOf": [{"$ref": draft}, {"properties": {"type": {"const": "object"}}}]})
    assert json.dumps(metaschemas(), sort_keys=True) == before


# ------------------------------------------------------------------------------------------------ dynamic references

TREE = {
    "$id": "https://x/tree",
    "$dynamicAnchor": "node",
    "type": "object",
    "properties": {"data": True, "children": {"type": "array", "items": {"$dynamicRef": "#node"}}},
}
STRICT_TREE = {
    "$id": "https://x/strict-tree",
    "$dynamicAnchor": "node",
    "$ref": "tree",
    "unevaluatedProperties": False,
    "$defs": {"tree": TREE},
}
GENERIC_LIST = {
    "$id": "https://x/list",
    "type": "array",
    "items": {"$dynamicRef": "#T"},
    "$defs": {"T": {"$dynamicAnchor": "T", "not": {}}},
}
TWO_LISTS = {
    "$id": "https://x/two",
    "properties": {"texts": {"$ref": "texts"}, "numbers": {"$ref": "numbers"}, "none": {"$ref": "list"}},
    "$defs": {
        "list": GENERIC_LIST,
        "texts": {"$id": "texts", "$ref": "list", "$defs": {"T": {"$dynamicAnchor": "T", "type": "string"}}},
        "numbers": {"$id": "numbers", "$ref": "list", "$defs": {"T": {"$dynamicAnchor": "T", "type": "number"}}},
    },
}
LISTS_OF_LISTS = {
    "$id": "https://x/of",
    "$ref": "list",
    "$defs": {
        "list": GENERIC_LIST,
        "T": {"$dynamicAnchor": "T", "anyOf": [{"type": "null"}, {"$ref": "list"}]},
    },
}
NO_ANCHOR = {
    "$id": "https://x/static",
    "$ref": "inner",
    "$defs": {
        "T": {"$dynamicAnchor": "T", "type": "number"},
        "inner": {"$id": "inner", "items": {"$dynamicRef": "#T"}, "$defs": {"T": {"$anchor": "T", "type": "string"}}},
    },
}
RECURSIVE = {
    "$schema": "https://json-schema.org/draft/2019-09/schema",
    "$id": "https://x/strict",
    "$recursiveAnchor": True,
    "$ref": "loose",
    "unevaluatedProperties": False,
    "$defs": {
        "loose": {
            "$id": "loose",
            "$recursiveAnchor": True,
            "properties": {"a": {"$recursiveRef": "#"}, "b": {"type": "integer"}},
        }
    },
}
NOT_RECURSIVE = {
    **RECURSIVE,
    "$recursiveAnchor": False,
    "$defs": {"loose": {**RECURSIVE["$defs"]["loose"], "$recursiveAnchor": True}},  # type: ignore[index]
}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        (TREE, [{"children": [{"x": 1}]}], [{"children": [1]}]),
        (
            STRICT_TREE,
            [{"data": 1}, {"children": [{"children": [], "data": 2}]}],
            [{"daat": 1}, {"children": [{"daat": 1}]}, {"children": [{"children": [{"x": 1}]}]}],
        ),
        (
            TWO_LISTS,
            [{"texts": ["a"], "numbers": [1], "none": []}],
            [{"texts": [1]}, {"numbers": ["a"]}, {"none": [1]}, {"none": ["a"]}],
        ),
        (LISTS_OF_LISTS, [[None, [None, []]]], [[1], [[1]], [None, [None, ["x"]]]]),
        (NO_ANCHOR, [["a"]], [[1]]),
        (RECURSIVE, [{"b": 1}, {"a": {"a": {"b": 1}}}], [{"c": 1}, {"a": {"c": 1}}, {"a": {"a": {"c": 1}}}]),
        (NOT_RECURSIVE, [{"a": {"c": 1}}, {"a": {"a": {"c": 1}}}], [{"c": 1}, {"a": {"b": "x"}}]),
    ],
)
def test_a_dynamic_reference_leads_where_the_way_to_it_says(
    schema: dict[str, JsonValue], right: list[JsonValue], wrong: list[JsonValue]
) -> None:
    result = lowered(schema)
    assert result.fully_enforced, result.reasons
    matcher = matcher_of(result)
    for values, expected in ((right, True), (wrong, False)):
        for value in values:
            assert can_write(matcher, value) is expected, value
            assert checked_by_us(json.dumps(value), result) is expected, value
            assert independent(schema, value) is expected, value


def independent(schema: dict[str, JsonValue], value: JsonValue) -> bool:
    registry: Registry[Any] = Registry().with_resource("", Resource.from_contents(schema, _default()))
    return jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)(
        schema, registry=registry
    ).is_valid(value)


def _default() -> Any:  # noqa: ANN401 - has no public name
    return Resource.from_contents({"$schema": DRAFTS[-1]})._specification


def resources_that_all_refer_to_each_other(count: int) -> JsonValue:
    resources = {
        f"r{number}": {
            "$id": f"https://x/r{number}",
            "properties": {f"p{other}": {"$ref": f"https://x/r{other}"} for other in range(count)},
            "$defs": {f"a{number % 4}": {"$dynamicAnchor": f"a{number % 4}"}},
            "items": {"$dynamicRef": f"#a{number % 4}"},
        }
        for number in range(count)
    }
    return {"$id": "https://x/root", "$ref": "r0", "$defs": resources}


@pytest.mark.parametrize(
    ("a", "b", "reference", "named"),
    [
        ({"$id": "http://h/x"}, {"$id": "http://h/x"}, "http://h/x", "http://h/x"),
        ({"$id": "x"}, {"$id": "x"}, "x", "x"),
        ({"$anchor": "x"}, {"$anchor": "x"}, "#x", "x"),
        ({"$anchor": "x"}, {"$dynamicAnchor": "x"}, "#x", "x"),
        ({"$anchor": "x"}, {"$anchor": "x"}, "#/$defs/c", "x"),
    ],
)
def test_a_name_of_two_schemas_is_refused_unless_they_are_equal(
    a: dict[str, Any], b: dict[str, Any], reference: str, named: str
) -> None:
    definitions = {"a": {**a, "type": "string"}, "b": {**b, "type": "integer"}, "c": {}}
    with pytest.raises(InvalidConstraintError, match=f'"{named}" to two schemas, at #/\\$defs/a and at #/\\$defs/b;'):
        lowered({"$defs": definitions, "$ref": reference})
    lowered({"$defs": {**definitions, "b": definitions["a"]}, "$ref": reference})
    lowered({"$defs": {**definitions, "b": {**definitions["b"], "$id": "http://elsewhere/"}}, "$ref": "#/$defs/c"})


def test_resources_with_too_many_ways_through_them_are_refused_before_they_take_hours() -> None:
    assert lowered(resources_that_all_refer_to_each_other(5)).fully_enforced
    with pytest.raises(LimitExceededError, match="offers over 20,000 ways through its parts"):
        lowered(resources_that_all_refer_to_each_other(12))
