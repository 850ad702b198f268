"""Everything that is wrong with a text: where, by which keyword, what stands there and what was expected."""

from __future__ import annotations

import json
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maze.check.explanation import MAX_FINDINGS, Broken, explain
from maze.check.json_check import JsonCheck
from maze.check.part_validators import PartValidators
from maze.grammar.schema.validator import make_validator
from maze.json_text import JsonValue, dump, parse, pointer_of

DRAFT_04 = "http://json-schema.org/draft-04/schema#"


def told(schema: JsonValue, text: str) -> list[tuple[str, str, str, str]]:
    found = explain(dump(schema), parse(text))
    return [(pointer_of(each.where), each.keyword, each.found, each.expected) for each in found]


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"type": "integer"}, '"x"', ("", "#/type", '"x"', "an integer")),
        ({"type": ["null", "string"]}, "[1]", ("", "#/type", "an array of 1 item", "null or a string")),
        ({"enum": [1, 2]}, "3", ("", "#/enum", "3", "one of 1 or 2")),
        ({"const": {"a": 1}}, "{}", ("", "#/const", "an empty object", '{"a": 1}')),
        ({"minimum": 0}, "-1", ("", "#/minimum", "-1", "at least 0")),
        ({"exclusiveMaximum": 0.5}, "0.5", ("", "#/exclusiveMaximum", "0.5", "less than 0.5")),
        (
            {"$schema": DRAFT_04, "minimum": 3, "exclusiveMinimum": True},
            "3",
            ("", "#/minimum", "3", "more than 3"),
        ),
        ({"type": "null"}, "0.12345678901234567890", ("", "#/type", "0.12345678901234567890", "null")),
        ({"multipleOf": 0.1}, "0.35", ("", "#/multipleOf", "0.35", "a multiple of 0.1")),
        ({"minLength": 2}, '"é"', ("", "#/minLength", '"\\u00e9" (1 character)', "at least 2 characters")),
        ({"pattern": "^a.c$"}, '"x"', ("", "#/pattern", '"x"', "a text that matches ^a.c$")),
        ({"format": "date"}, '"2023-02-29"', ("", "#/format", '"2023-02-29"', "a text of the format date")),
        ({"maxItems": 1}, "[1,2]", ("", "#/maxItems", "2 items", "at most 1 item")),
        (
            {"uniqueItems": True},
            "[1,true,1.0]",
            ("", "#/uniqueItems", "the items 0 and 2 are equal", "items that all differ"),
        ),
        ({"minProperties": 2}, "{}", ("", "#/minProperties", "0 properties", "at least 2 properties")),
        ({"required": ["a"]}, "{}", ("", "#/required", "no such name", 'the name "a", which is required')),
        (
            {"dependentRequired": {"a": ["b"]}},
            '{"a":1}',
            ("", "#/dependentRequired/a", "no such name", 'the name "b", which is required beside "a"'),
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            '{"b":1}',
            ("/b", "#/additionalProperties", 'the name "b"', 'one of the names "a"'),
        ),
        (
            {"patternProperties": {"^a.$": {"type": "null"}}},
            '{"ab":1}',
            ("/ab", "#/patternProperties/^a.$/type", "1", "null"),
        ),
        (
            {"propertyNames": {"maxLength": 1}},
            '{"ab":1}',
            ("/ab", "#/propertyNames/maxLength", 'the name "ab"', "as a name at most 1 character"),
        ),
        ({"properties": {"a/~": False}}, '{"a/~":1}', ("/a~1~0", "#/properties/a~1~0", "1", "nothing there")),
        ({"prefixItems": [True], "items": {"type": "null"}}, "[1,2]", ("/1", "#/items/type", "2", "null")),
        ({"contains": {"type": "null"}}, "[1]", ("", "#/contains", "0 items for which contains holds", "at least 1")),
        (
            {"not": {"type": "null"}},
            "null",
            ("", "#/not", "null", 'what does not satisfy the schema {"type": "null"}, which not excludes'),
        ),
        (
            {"oneOf": [{"type": "integer"}, {"minimum": 2}]},
            "3",
            ("", "#/oneOf", "what satisfies the alternatives 0 and 1 of oneOf", "what satisfies exactly one of them"),
        ),
        (
            {"if": {"type": "object"}, "then": {"required": ["x"]}},
            "{}",
            ("", "#/then/required", "no such name", 'the name "x", which is required'),
        ),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}, "1", ("", "#/$defs/x/type", "1", "null")),
        (
            {"anyOf": [{"type": "null"}, {"properties": {"n": {"type": "null"}}, "type": "object"}]},
            '{"n":1}',
            ("/n", "#/anyOf/1/properties/n/type", "1", "null"),
        ),
        (
            {
                "oneOf": [
                    {"properties": {"k": {"const": k}, "v": {"type": t}}} for k, t in (("a", "null"), ("b", "array"))
                ]
            },
            '{"k":"b","v":1}',
            ("/v", "#/oneOf/1/properties/v/type", "1", "an array"),
        ),
        (
            {"properties": {"a": True}, "unevaluatedProperties": False},
            '{"b":2}',
            (
                "",
                "#/unevaluatedProperties",
                "an object with 1 property",
                "that unevaluatedProperties is satisfied by what no other keyword looks at",
            ),
        ),
        (False, "1", ("", "#", "1", "no value at all, as the schema is false")),
    ],
    ids=str,
)
def test_a_broken_keyword_is_told_with_its_place_and_the_right_way_round(
    schema: JsonValue, text: str, expected: tuple[str, str, str, str]
) -> None:
    assert told(schema, text) == [expected]


def test_everything_that_is_wrong_is_told_in_the_order_of_the_text() -> None:
    schema = {
        "properties": {"a": {"minimum": 0}, "b": {"items": {"type": "string"}}},
        "required": ["c"],
        "additionalProperties": False,
    }
    text = '{"é":0, "b":["x", 1, null], "a":-1}'
    findings = JsonCheck(text.encode()).findings(json.dumps(schema), "constraints[0].json_schema")
    assert [(each.pointer, text.encode()[each.offset :][:2]) for each in findings] == [
        ("", b'{"'),
        ("/é", b"0,"),
        ("/b/1", b"1,"),
        ("/b/2", b"nu"),
        ("/a", b"-1"),
    ]


def test_a_name_that_comes_twice_is_told_at_its_last_place() -> None:
    (finding,) = JsonCheck(b'{"a":1,"a":""}').findings('{"properties":{"a":{"type":"integer"}}}', "s")
    assert (finding.offset, finding.found) == (11, '""')


def test_a_resource_of_its_own_draft_is_told_by_that_draft() -> None:
    inner = {"$id": "urn:x", "$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "null"}]}
    assert told({"properties": {"a": inner}}, '{"a":[1]}') == [("/a/0", "#/properties/a/items/0/type", "1", "null")]


def test_the_list_of_what_is_wrong_ends_somewhere() -> None:
    text = f"[{','.join(['1'] * (2 * MAX_FINDINGS))}]"
    assert len(told({"items": {"type": "null"}}, text)) == MAX_FINDINGS + 1


_CIRCLE = {"anyOf": [{"items": {"$ref": "#"}, "type": "array", "minItems": number} for number in (0, 1)]}
"""Two alternatives that lead to themselves."""
_CHAIN = {"items": {"$ref": "#"}, "type": ["array", "integer"]}


@pytest.mark.parametrize(
    ("schema", "text", "most"),
    [
        (_CIRCLE, "[" * 60 + "1" + "]" * 60, 500),
        # much below each of many schemas
        (_CHAIN, "[" * 400 + "1," * 50_000 + '"x"' + "]" * 400, 100),
    ],
    ids=["circle", "deep"],
)
def test_explaining_takes_bounded_work(
    schema: JsonValue, text: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    holds = PartValidators.holds

    def counted(validators: PartValidators, part: JsonValue, draft: int, value: JsonValue) -> bool:
        looks.append(draft)
        return holds(validators, part, draft, value)

    monkeypatch.setattr(PartValidators, "holds", counted)
    assert JsonCheck(text.encode()).findings(dump(schema), "s")
    assert len(looks) < most


@pytest.mark.parametrize("depth", [50, 150, 490])
def test_a_violation_deep_inside_is_told_without_running_out_of_stack(depth: int) -> None:
    text = "[" * depth + "1" + "]" * depth
    assert JsonCheck(text.encode()).findings(dump({"type": "array", "items": {"$ref": "#"}}), "s")


_SCALARS = st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a", "ab", "2024-02-30"])
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab/~"), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from("ab/~")


def _schemas(inner: st.SearchStrategy[JsonValue]) -> st.SearchStrategy[JsonValue]:
    some = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["null", "integer", "string", "array", "object"]),
            "const": _SCALARS,
            "minimum": st.integers(-1, 1),
            "maxLength": st.integers(0, 1),
            "format": st.just("date"),
            "pattern": st.sampled_from(["^a", "b$", "^(?!a)"]),
            "properties": st.dictionaries(_NAMES, inner, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "~"]), inner, max_size=2),
            "additionalProperties": inner,
            "propertyNames": inner,
            "required": st.lists(_NAMES, max_size=2, unique=True),
            "dependentSchemas": st.dictionaries(_NAMES, inner, max_size=1),
            "unevaluatedProperties": inner,
            "prefixItems": some,
            "items": inner,
            "contains": inner,
            "uniqueItems": st.booleans(),
            "allOf": some,
            "anyOf": some,
            "oneOf": some,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "$ref": st.just("#/$defs/x"),
        },
    )


_SCHEMAS = st.recursive(st.booleans() | st.just({"type": "null"}), _schemas, max_leaves=6)


@settings(max_examples=500)
@given(_SCHEMAS, _VALUES)
def test_what_is_told_stands_in_the_schema_and_in_the_value(schema: JsonValue, value: JsonValue) -> None:
    if isinstance(schema, dict):
        schema = {"$defs": {"x": {"type": ["array", "object", "integer"]}}, **schema}
    if make_validator(dump(schema)).is_valid(value):
        return
    broken = explain(dump(schema), value)
    assert broken
    for each in broken:
        assert each.found
        assert each.expected
        _step_through(schema, each)
        reduce(lambda part, step: part[step], each.where, value)


def _step_through(schema: JsonValue, broken: Broken) -> None:
    part = schema
    for step in broken.keyword.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        part = part[int(name)] if isinstance(part, list) else part[name]
