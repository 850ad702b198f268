"""JSON Schema lowered: what is read, what is refused and why, what the grammar accepts."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
from decimal import DecimalException
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from llguidance import LLMatcher, LLTokenizer
from schema_walks import checked_by_us, grammar_text, independent_value, mutations, random_text

from benchmarks.schema_texts import can_write
from maze.compiled import EngineGrammar
from maze.errors import (
    ContradictionError,
    InvalidConstraintError,
    LimitExceededError,
    MazeError,
    UnsupportedConstraintError,
)
from maze.grammar.budget import MAX_OPTIONAL_STEPS, Budget
from maze.grammar.llguidance import Matcher
from maze.grammar.schema.lower import CombinedSchemas, LoweredSchema, combine_schemas, lower_schema
from maze.grammar.schema.reading import (
    MAX_DEPTH,
    MAX_ENUM_VALUES,
    MAX_OPTIONAL_PROPERTIES,
    MAX_PATTERN_PROPERTIES,
    MAX_SCHEMA_BYTES,
)
from maze.grammar.schema.references import MAX_SCHEMA_CHAIN
from maze.grammar.schema.validator import make_validator
from maze.json_text import JsonValue

BRAID = Path(__file__).parent / "data" / "braid"
PATH = "constraints[2].json_schema"
ENDLESS = {"type": "object", "properties": {"x": {"$ref": "#/$defs/endless"}}, "required": ["x"]}
HARD_TEXT = "%json {\n\"}' /* // # */ é 😀 \\"
"""What could end the JSON inside a Lark grammar early."""


def lowered(schema: JsonValue, path: str = PATH) -> LoweredSchema:
    return lower_schema(json.dumps(schema), path, Budget())


def accepts(schema: LoweredSchema | CombinedSchemas, text: str) -> bool:
    matcher = LLMatcher(LLTokenizer("byte"), grammar_text(schema), log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    content = list(text.encode())
    return matcher.try_consume_tokens(content) == len(content) and matcher.is_accepting()


# ------------------------------------------------------------------------------------------------ Braid's shape


def braid_schemas() -> list[tuple[str, str]]:
    found = [(file.stem, json.loads(file.read_text())) for file in sorted(BRAID.glob("*.json"))]
    return [(name, sample["json_schema"]) for name, sample in found if sample["json_schema"]]


@pytest.mark.parametrize(("name", "text"), braid_schemas())
def test_every_schema_that_braid_sent_is_read_or_refused_for_its_broken_json(name: str, text: str) -> None:
    if name == "c09_types_quote_in_required":
        with pytest.raises(
            InvalidConstraintError, match=r"json_schema is not JSON: .* at byte 54 \(line 1, column 55\)"
        ):
            lower_schema(text, PATH, Budget())
        return
    schema = lower_schema(text, PATH, Budget())
    says_nothing = {"schema_type": "object", "additional_properties": True}
    assert schema.vacuous == (json.loads(text) == says_nothing)
    assert schema.schema["type"] == json.loads(text)["schema_type"]


def test_braids_spelling_is_understood_at_the_top_level_only() -> None:
    schema = lowered(
        {
            "schema_type": "object",
            "properties": {"schema_type": {"type": "integer"}, "x": {"additional_properties": False}},
            "required": ["schema_type"],
            "additional_properties": False,
        }
    )
    assert accepts(schema, '{"schema_type":1}')
    assert not accepts(schema, '{"schema_type":1,"y":2}')
    assert accepts(schema, '{"schema_type":1,"x":{"y":2}}')


def test_a_plain_schema_that_allows_every_object_is_not_vacuous() -> None:
    schema = lowered({"type": "object"})
    assert not schema.vacuous
    assert not accepts(schema, "1")


def test_two_spellings_that_disagree_are_refused() -> None:
    with pytest.raises(InvalidConstraintError, match="'type' twice"):
        lowered({"schema_type": "object", "type": "array"})


# ------------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "at byte 0"),
        ('{"type":}', "at byte 8"),
        ('{"ä":1,}', r"at byte 7 \(line 1, column 7\); leave it out"),
        ('{\n "minimum": NaN}', r"NaN is not JSON at byte 14 \(line 2, column 13\)"),
        ('{"type":"object","type":"array"}', 'the name "type" twice at byte 17'),
        ('{"const":"\\ud800"}', "half of a surrogate pair at byte 9"),
        ("[]", "must be an object, true or false"),
        ('{"type":"any"}', "not a valid JSON Schema at #/type"),
        ('{"properties":{"a/b":{"minLength":-1}}}', "at #/properties/a~1b/minLength"),
        ('{"pattern":"("}', "at #/pattern"),
        ('{"$ref":"#/$defs/x"}', '"#/\\$defs/x", which is not there'),
        ('{"$ref":"#"}', "leads back to itself"),
        ('{"$dynamicRef":"#"}', "leads back to itself"),
        ('{"anyOf":[{"$dynamicRef":"#"}]}', "leads back to itself"),
        ('{"properties":{"p":{"$anchor":"x","$dynamicRef":"#x"}}}', "leads back to itself"),
        ('{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveRef":"#"}', "leads back to itself"),
        ('{"$dynamicRef":"#/$defs/x"}', '"#/\\$defs/x", which is not there'),
        ('{"allOf":[{"anyOf":[{"$ref":"#"}]}]}', "leads back to itself"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(InvalidConstraintError, match=reason) as raised:
        lower_schema(text, PATH, Budget())
    assert PATH in str(raised.value)


@pytest.mark.parametrize("reference", ["https://example.com/a", "file:///etc/passwd", "other.json", "//host/x"])
def test_a_reference_out_of_the_schema_is_never_followed(reference: str) -> None:
    with pytest.raises(UnsupportedConstraintError, match="nothing is fetched"):
        lowered({"properties": {"a": {"$ref": reference}}})


def test_an_unknown_draft_is_refused() -> None:
    with pytest.raises(UnsupportedConstraintError, match="at #/\\$schema"):
        lowered({"$schema": "http://json-schema.org/draft-03/schema#"})


def test_an_older_draft_is_recognised_by_what_only_it_allows() -> None:
    schema = lowered({"type": "integer", "minimum": 3, "exclusiveMinimum": True})
    assert not accepts(schema, "3")
    assert accepts(schema, "4")
    assert "draft-04" in schema.warnings[0]


@pytest.mark.parametrize(
    "schema",
    [
        {"$id": "https://x/root", "$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
        {"$ref": "#a", "$defs": {"b": {"$anchor": "a", "type": "string"}}},
        {"$ref": "#/$defs/a%20b~1c", "$defs": {"a b/c": {"type": "string"}}},
        {
            "$id": "https://x/r",
            "$ref": "inner",
            "$defs": {"i": {"$id": "inner", "$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}},
        },
        {"$ref": "#/prefixItems/0", "prefixItems": [{"type": "string"}]},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/a",
            "type": "integer",
            "definitions": {"a": {"type": "string"}},
        },
    ],
)
def test_references_of_every_kind_lead_to_their_schema(schema: JsonValue) -> None:
    assert accepts(lowered(schema), '"x"')
    assert not accepts(lowered(schema), "1")


@pytest.mark.parametrize(
    "reference", ["#/allOf/-1", "#/allOf/x", "#/required/0/0", "#/minimum/x", "#/title/0", "#/$defs", "#b", "#a/b"]
)
def test_a_reference_to_what_is_no_part_of_the_schema_is_refused(reference: str) -> None:
    schema = {"allOf": [{"$ref": reference}], "required": ["r"], "minimum": 1, "title": "t", "$anchor": "a"}
    with pytest.raises(InvalidConstraintError, match="which is not there"):
        lowered(schema)


@pytest.mark.parametrize("dialect", ["http://json-schema.org/draft-04/schema#", 5])
def test_a_draft_named_inside_a_schema_does_not_decide_how_its_references_are_read(dialect: JsonValue) -> None:
    inner = {"$schema": dialect, "$id": "https://x/inner", "items": {"$ref": "#/$defs/a"}, "properties": 5}
    with pytest.raises(InvalidConstraintError, match=r'"#/\$defs/a", which is not there'):
        lowered({"$ref": "inner", "$id": "https://x/root", "$defs": {"i": inner, "a": True}})


def test_identifiers_that_make_the_validator_panic_are_an_error_of_ours() -> None:
    twice = {
        "$id": "https://x/root",
        "allOf": [{"$id": "/sub", "dependencies": {"p": {"$ref": "https://x/root#/$defs/a"}}}],
        "$defs": {
            "a": {
                "prefixItems": [{"$ref": "/root#a", "patternProperties": {"^x": {"$dynamicAnchor": "a"}}}],
                "dependentSchemas": {"p": {"$id": "/sub", "unevaluatedProperties": {"$dynamicAnchor": "a"}}},
            }
        },
    }
    with pytest.raises(ValueError, match="jsonschema_rs fails on it"):
        make_validator(json.dumps(twice))
    with pytest.raises(InvalidConstraintError, match='gives the name "/sub" to two schemas'):
        lowered(twice)


# ------------------------------------------------------------------------------------------------ meaning


@pytest.mark.parametrize(
    "schema",
    [
        '{"schema_type":"number","minimum":0.1000000000000000000001}',
        '{"$schema":"https://json-schema.org/draft-07/schema","minimum":0.1000000000000000000001}',
        '{"minimum":0.1000000000000000000001,"items":{"minimum":1,"exclusiveMinimum":true}}',
    ],
)
def test_no_digit_of_a_number_is_lost_where_the_schema_is_written_anew(schema: str) -> None:
    assert not checked_by_us("0.1", lower_schema(schema, PATH, Budget()))


@pytest.mark.parametrize(("keyword", "wrong"), [("maximum", "1e401"), ("multipleOf", "1")])
@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e400"])
def test_numbers_beyond_every_float_are_left_to_the_check(keyword: str, wrong: str, number: str) -> None:
    schema = lower_schema(f'{{"type":"number","{keyword}":{number}}}', PATH, Budget())
    assert not schema.fully_enforced
    assert checked_by_us("0", schema)
    assert not checked_by_us(wrong, schema)


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "array", "uniqueItems": False}, "[1,1]", "1"),
        ({"enum": [{"a": 1}, "x"]}, '{"a":1}', '"y"'),
        ({"anyOf": [{"type": "integer"}, {"const": "x"}]}, '"x"', '"y"'),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, "1", "true"),
        ({"allOf": [{"minimum": 3}, {"type": "integer", "maximum": 5}]}, "4", "6"),
        ({"type": "string", "format": "date"}, '"2026-11-23"', '"2026-11-32"'),
        ({"type": "string", "pattern": "^\\s\\S$"}, '" x"', '"xx"'),
        ({"type": "object", "required": ["a"], "additionalProperties": {"type": "null"}}, '{"a":null}', "{}"),
        ({"type": "object", "properties": {"a": {"not": {}}}}, "{}", '{"a":1}'),
        (
            {"type": "object", "patternProperties": {"^x": {"type": "null"}}, "additionalProperties": False},
            '{"xa":null}',
            '{"a":null}',
        ),
        ({"const": HARD_TEXT}, json.dumps(HARD_TEXT, ensure_ascii=False), '"x"'),
        ({"not": {"type": "string"}}, "1", '"x"'),
        ({"not": {"required": ["a"]}}, '{"b":1}', '{"a":1}'),
        ({"not": {"anyOf": [{"const": 1}, {"type": "string", "minLength": 2}]}}, '"x"', '"xy"'),
        ({"if": {"type": "string"}, "then": {"minLength": 2}}, '"xy"', '"x"'),
        ({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}}, '{"a":2}', '{"a":1}'),
        ({"if": {"required": ["a"]}, "else": {"required": ["b"]}}, '{"b":1}', "{}"),
        ({"contains": {"const": 1}}, "[2,1]", "[2]"),
        ({"contains": {"const": 1}, "maxContains": 1}, "[1,2]", "[1,1]"),
        ({"propertyNames": {"maxLength": 1}}, '{"a":1}', '{"ab":1}'),
        ({"propertyNames": {"not": {"pattern": "^x"}}}, '{"a":1}', '{"xa":1}'),
        ({"dependentRequired": {"a": ["b"]}}, '{"a":1,"b":1}', '{"a":1}'),
        ({"dependentSchemas": {"a": {"maxProperties": 1}}}, '{"a":1}', '{"a":1,"b":1}'),
        ({"properties": {"b": {}}, "unevaluatedProperties": False}, '{"b":1}', '{"a":1}'),
        ({"prefixItems": [{}], "unevaluatedItems": False}, "[1]", "[1,2]"),
        ({"oneOf": [{"type": "string"}, {"maxLength": 1}]}, '"xy"', '"x"'),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, '{"a":1}', '{"a":1,"b":1}'),
        ({"oneOf": [{"dependentRequired": {"b": ["c"]}}, {"not": {"const": 1}}]}, '{"b":1}', '{"b":1,"c":1}'),
        ({"oneOf": [{}, {"properties": {"a": {"type": "null"}}}]}, '{"a":1}', '{"a":null}'),
        ({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, "4", "6"),
        ({"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True}, "[2,1]", "[2,2]"),
        ({"type": "string", "pattern": "^(?!x)"}, '"y"', '"x"'),
        ({"minLength": 3, "maxLength": 2}, "1", '"xyz"'),
        ({"enum": list(range(-500, 1500))}, "-500", "1500"),
        (
            {
                "anyOf": [{"properties": {f"p{number}": {"const": number}}} for number in range(9)],
                "unevaluatedProperties": False,
            },
            '{"p8":8}',
            '{"q":1}',
        ),
        ({"enum": [number / 8 for number in range(2000)], "not": {"const": 0.125}}, "0.25", "0.125"),
        ({"enum": [f"v{number}" for number in range(2000)], "not": {"enum": ["v3", "x"]}}, '"v4"', '"v3"'),
        ({"enum": [f"v{number}" for number in range(2000)], "pattern": "^.*7$"}, '"v1997"', '"v3"'),
        ({"type": "string", "pattern": '^[^"]+$'}, '"y"', '"\\""'),
        ({"type": "string", "pattern": "^(a|^b)$"}, '"b"', '"c"'),
        ({"type": "string", "format": "uri"}, '"x:y"', '"x y"'),
        ({"properties": {"a": {}}, "minProperties": 1}, '{"a":1}', "{}"),
        ({"properties": {"a": {}, "b": {}, "c": {}}, "maxProperties": 2}, '{"a":1,"c":1}', '{"a":1,"b":1,"c":1}'),
        ({"items": {"type": "null"}, "minItems": 100, "maxItems": 20_000}, f"[{'null,' * 99}null]", "[null]"),
        ({"patternProperties": {"a": {"type": "null"}, "b": {}}}, '{"a":null}', '{"a":1}'),
        ({"const": 9007199254740993}, "9007199254740993", "9007199254740992"),
        ({"exclusiveMinimum": 0, "maximum": 0.5}, "0.5", "0"),
        ({"minimum": 0, "maximum": 9.99}, "9.9", "9.991"),
        ({"type": "number", "multipleOf": 365}, "73000", "73001"),
        ({"anyOf": [{"type": "number", "multipleOf": 365}, {"const": 1.5}]}, "1.5", "2.5"),
    ],
)
def test_what_is_enforced_is_enforced_in_full(schema: JsonValue, right: str, wrong: str) -> None:
    result = lowered(schema)
    assert result.fully_enforced, result.reasons
    assert accepts(result, right)
    assert not accepts(result, wrong)
    assert checked_by_us(right, result)
    assert not checked_by_us(wrong, result)


@pytest.mark.parametrize(
    ("keyword", "schema", "refused"),
    [
        ("uniqueItems", {"uniqueItems": True}, "[1,1]"),
        ("format", {"type": "string", "format": "regex"}, r'"\\1"'),
        ("pattern", {"type": "string", "pattern": "^(a*)b\\1$"}, '"ab"'),
        ("multipleOf", {"type": "number", "multipleOf": 1237}, "5"),
        ("minProperties", {"minProperties": 2}, '{"a":1,"a":1}'),
    ],
)
def test_what_no_grammar_enforces_is_named_and_decided_by_the_check(
    keyword: str, schema: JsonValue, refused: str
) -> None:
    result = lowered({"properties": {"p": schema}, "required": ["p"], "type": "object"})
    assert not result.fully_enforced
    assert any(f"{keyword} at #/properties/p/" in reason for reason in result.reasons), result.reasons
    assert accepts(result, f'{{"p":{refused}}}')
    assert not checked_by_us(f'{{"p":{refused}}}', result)


def test_a_name_that_comes_twice_does_not_undo_what_is_said_to_be_enforced() -> None:
    one_of_many = {"type": "object", "not": {"additionalProperties": {"type": "string"}}}
    result = lowered({"type": "array", "items": one_of_many})
    assert result.reasons == ("that no name comes twice is checked on the finished text only: schema at #/items",)
    assert accepts(result, '[{"a":1,"a":"x"}]')
    assert not checked_by_us('[{"a":1,"a":"x"}]', result)
    assert lowered({"type": "object", "not": {"properties": {"a": {"type": "string"}}}}).fully_enforced
    assert lowered({"type": "object", "not": {"propertyNames": {"maxLength": 1}}}).fully_enforced


FEW_NAMES = {"type": "object", "patternProperties": {"^[a-d]$": {"type": "integer"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    "schema",
    [
        {**FEW_NAMES, "minProperties": 2},
        {**FEW_NAMES, "minProperties": 3, "maxProperties": 3},
        {**FEW_NAMES, "minProperties": 2, "required": ["b"]},
        {**FEW_NAMES, "minProperties": 2, "dependentRequired": {"a": ["c"]}},
        {**FEW_NAMES, "not": {"maxProperties": 1}},
        {**FEW_NAMES, "not": {"patternProperties": {"^[ab]$": {"minimum": 2}}}},
        {"type": "object", "propertyNames": {"enum": ["a", "b", "c"]}, "minProperties": 2},
        {"type": "object", "oneOf": [{**FEW_NAMES, "minProperties": 2}, {"required": ["a"], "maxProperties": 1}]},
    ],
)
def test_few_names_of_a_pattern_differ_where_it_matters(schema: JsonValue) -> None:
    result = lowered(schema)
    assert result.fully_enforced, result.reasons
    matcher, judge = Matcher(EngineGrammar(grammar_text(result))), Draft202012Validator(schema)
    for count in range(4):
        for names in itertools.combinations("abcdx", count):
            for values in itertools.product((1, 2, "s"), repeat=count):
                value = dict(zip(names, values, strict=True))
                assert can_write(matcher, value) is judge.is_valid(value), value
    for text in ('{"a":1,"a":1}', '{"b":1,"b":2,"c":1}', '{"a":1,"b":1,"a":1}', '{"a":1,"a":2}'):
        assert not matcher.accepts(text.encode())


@pytest.mark.parametrize(
    "schema",
    [
        {
            "oneOf": [
                {"properties": {"t": {"const": kind}, "v": {"type": of}}, "additionalProperties": False}
                for kind, of in (("a", "number"), ("b", "string"), ("c", "integer"), ("d", "string"), ("e", "boolean"))
            ]
        },
        {
            "anyOf": [
                {"properties": {"v": {"$ref": "#/$defs/v"}, name: {}}, "additionalProperties": False}
                for name in "abcdefgh"
            ],
            "$defs": {"v": {"type": "string", "minLength": 2}},
        },
    ],
)
def test_alternatives_that_share_what_they_say_of_a_property_are_enforced(schema: dict[str, JsonValue]) -> None:
    result = lowered({"type": "object", **schema})
    assert result.fully_enforced, result.reasons
    matcher, judge = Matcher(EngineGrammar(grammar_text(result))), Draft202012Validator({"type": "object", **schema})
    members: dict[str, list[JsonValue]] = {
        "t": ["a", "c", "d", "x"],
        "v": [1, 1.5, "s", "text", True, None],
        "a": [0],
        "c": [0],
    }
    for count in range(4):
        for names in itertools.combinations(members, count):
            for values in itertools.product(*(members[name] for name in names)):
                value = dict(zip(names, values, strict=True))
                assert can_write(matcher, value) is judge.is_valid(value), value


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"enum": []},
        {"type": "string", "const": 1},
        {"not": {}},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "string", "minLength": 1, "maxLength": 0},
        {"type": "string", "minLength": 3, "maxLength": 2},
    ],
)
def test_a_schema_that_no_text_satisfies_is_a_contradiction(schema: JsonValue) -> None:
    with pytest.raises(ContradictionError, match=r"constraints\[2\].json_schema: no text satisfies"):
        lowered(schema)


def test_a_value_that_never_ends_is_not_begun() -> None:
    with pytest.raises(ContradictionError):
        lowered({"$ref": "#/$defs/endless", "$defs": {"endless": ENDLESS}})
    schema = lowered(
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/endless"}}, "$defs": {"endless": ENDLESS}}
    )
    assert accepts(schema, "{}")
    matcher = LLMatcher(LLTokenizer("byte"), grammar_text(schema), log_level=0)
    assert matcher.try_consume_tokens(list(b'{"a"')) < 4


def test_a_schema_that_is_nothing_but_its_own_root_again_may_stand_anywhere_below_it() -> None:
    for again in ({"allOf": [{"$ref": "#"}]}, {"anyOf": [{"$ref": "#"}]}, {"oneOf": [{"$ref": "#"}]}):
        schema = lowered({"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": again})
        assert accepts(schema, '{"a":null,"b":{"b":{}}}')
        assert not accepts(schema, '{"b":{"a":1}}')


def test_the_callers_own_x_guidance_cannot_loosen_the_grammar() -> None:
    schema = lowered({"x-guidance": {"lenient": True, "whitespace_flexible": True}, "type": "array"})
    assert not accepts(schema, "[ ]")


def test_a_schema_is_given_to_engines_as_rules_only() -> None:
    text = grammar_text(lowered({"enum": ["é\n%", "\u2028"], "description": "%json {}"}))
    assert "%json" not in text


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"properties": {"a": {"type": "integer"}}}, '{"a":1}', '{"\\u0061":"x"}'),
        ({"properties": {"é": {"type": "integer"}}}, '{"é":1}', '{"\\u00e9":1}'),
        ({"const": "/\n\u0001"}, '"/\\n\\u0001"', '"\\/\\n\\u0001"'),
        ({"const": "é"}, '"é"', '"\\u00e9"'),
        ({"enum": [10]}, "10", "1e1"),
    ],
)
def test_what_engines_write_has_one_spelling(schema: JsonValue, right: str, wrong: str) -> None:
    result = lowered(schema)
    assert accepts(result, right)
    assert not accepts(result, wrong)


# ------------------------------------------------------------------------------------------------ several


def test_schemas_hold_together_whatever_their_order_and_however_often_they_come() -> None:
    one = lowered(
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/x"}},
            "required": ["a"],
            "$defs": {"x": {"type": "integer"}},
        }
    )
    two = lowered(
        {"properties": {"a": {"$ref": "#/$defs/x"}, "$ref": {"type": "null"}}, "$defs": {"x": {"minimum": 3}}}
    )
    both = combine_schemas([one, two], Budget())
    assert accepts(both, '{"a":3}')
    assert not accepts(both, '{"a":2}')
    assert not accepts(both, '{"a":"x"}')
    assert combine_schemas([two, one, two], Budget()).cfg == both.cfg
    assert combine_schemas([one, one], Budget()).cfg == one.cfg


def test_schemas_that_exclude_each_other_are_a_contradiction_that_names_both() -> None:
    with pytest.raises(ContradictionError, match=r"\[0\].json_schema and constraints\[1\].json_schema"):
        combine_schemas(
            [
                lowered({"type": "string"}, "constraints[0].json_schema"),
                lowered({"type": "integer"}, "constraints[1].json_schema"),
            ],
            Budget(),
        )


# ------------------------------------------------------------------------------------------------ hostile


def chain(length: int) -> JsonValue:
    links: dict[str, JsonValue] = {f"a{i}": {"properties": {"x": {"$ref": f"#/$defs/a{i + 1}"}}} for i in range(length)}
    return {"$ref": "#/$defs/a0", "$defs": {**links, f"a{length}": {"type": "string"}}}


def doubling(length: int, keyword: str) -> JsonValue:
    links: dict[str, JsonValue] = {f"a{i}": {keyword: [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(length)}
    return {"$ref": "#/$defs/a0", "$defs": {**links, f"a{length}": {"type": "string"}}}


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (" " * MAX_SCHEMA_BYTES + "{}", MAX_SCHEMA_BYTES),
        ('{"items":' * 65 + "{}" + "}" * 65, MAX_DEPTH),
        ("[" * 10_000, MAX_DEPTH),
        (json.dumps({"enum": list(range(100_000))}), MAX_ENUM_VALUES),
        (json.dumps({"properties": {f"p{i}": {} for i in range(10_000)}}), MAX_OPTIONAL_PROPERTIES),
        (json.dumps({"patternProperties": {f"^p{i}$": {} for i in range(256)}}), MAX_PATTERN_PROPERTIES),
        (json.dumps(chain(3_000)), MAX_SCHEMA_CHAIN),
        (json.dumps(doubling(60, "allOf")), 10_000_000),
        (json.dumps(doubling(60, "anyOf")), 10_000_000),
    ],
)
def test_what_is_over_a_limit_is_refused_with_the_limit(text: str, limit: int) -> None:
    with pytest.raises(LimitExceededError, match=rf"\b{limit}\b"):
        lower_schema(text, PATH, Budget())


def _alternatives(number: int) -> list[JsonValue]:
    return [
        {"anyOf": [{"properties": {f"p{i}": {"type": "string"}}}, {"properties": {f"q{i}": {"type": "null"}}}]}
        for i in range(number)
    ]


def test_products_of_alternatives_are_followed_where_each_is_decided_soon() -> None:
    result = lowered({"allOf": _alternatives(15)})
    assert result.fully_enforced
    assert accepts(result, '{"p3":"x","q3":1}')
    assert not accepts(result, '{"p3":1,"q3":1}')


def test_products_of_alternatives_that_stay_open_are_left_to_the_check_before_they_take_hours() -> None:
    budget = Budget()
    in_order: JsonValue = {"properties": {f"{letter}{i}": {} for letter in "pq" for i in range(15)}}
    result = lower_schema(json.dumps({"allOf": [in_order, *_alternatives(15)]}), PATH, budget)
    assert budget.spent < MAX_OPTIONAL_STEPS
    assert not result.fully_enforced
    assert accepts(result, '{"p3":"x","q3":1}')
    assert not checked_by_us('{"p3":1,"q3":1}', result)


def test_what_is_at_the_limits_still_compiles() -> None:
    assert accepts(lowered({"enum": [f"value {i}" for i in range(10_000)]}), '"value 9999"')
    assert accepts(lowered(chain(100)), "{}")


# ------------------------------------------------------------------------------------------------ any schema

formats = st.sampled_from(["date", "date-time", "time", "email", "hostname", "ipv4", "ipv6", "uuid", "duration"])
patterns = st.sampled_from(["^a+$", "b", "^[^c]*$", "\\d{2}", "^\\S+$", '^[^"]*$'])
scalars = (
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=3).filter(lambda text: text.isprintable())
)
simple = st.one_of(
    st.builds(lambda kind: {"type": kind}, st.sampled_from(["null", "boolean", "integer", "number", "string"])),
    st.builds(lambda values: {"enum": values}, st.lists(scalars, min_size=1, max_size=4)),
    st.builds(
        lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size},
        st.integers(-50, 50),
        st.integers(0, 60),
    ),
    st.builds(
        lambda low, size: {"type": "string", "minLength": low, "maxLength": low + size},
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    st.builds(lambda pattern: {"type": "string", "pattern": pattern}, patterns),
    st.builds(lambda name: {"type": "string", "format": name}, formats),
    st.builds(lambda factor: {"type": "integer", "multipleOf": factor}, st.integers(1, 9)),
)
schemas = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda items, most: {"type": "array", "items": items, "maxItems": most}, inner, st.integers(0, 3)),
        st.builds(
            lambda properties, required, closed: {
                "type": "object",
                "properties": properties,
                "required": sorted(required & properties.keys()),
                "additionalProperties": not closed,
            },
            st.dictionaries(st.sampled_from(["a", "b", "é", '"', "$ref"]), inner, max_size=3),
            st.sets(st.sampled_from(["a", "b", "é"])),
            st.booleans(),
        ),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda branches: {"oneOf": branches}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda first, second: {"allOf": [first, second]}, inner, inner),
        st.builds(lambda schema: {"not": schema}, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(schema=schemas, seed=st.integers(0, 2**32))
def test_texts_of_the_grammar_satisfy_the_schema_and_what_breaks_it_is_refused(schema: JsonValue, seed: int) -> None:
    chance = random.Random(seed)
    try:
        result = lowered(schema)
    except (ContradictionError, LimitExceededError):
        return
    independent = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    text = random_text(result, chance, most_bytes=60)
    if text is None:
        return
    if result.fully_enforced:
        assert checked_by_us(text, result), text
        with contextlib.suppress(OverflowError):
            assert independent.is_valid(independent_value(text)), text
    for mutated in mutations(text, chance, 8):
        try:
            breaks = not independent.is_valid(independent_value(mutated))
        except OverflowError:
            continue
        except (ValueError, DecimalException):  # isoduration takes `91e37847910` for a number
            breaks = True
        if breaks:
            assert not checked_by_us(mutated, result), mutated


few_names = st.sampled_from(["a", "b", "c"])
few = st.sampled_from(
    [
        {},
        {"type": "string"},
        {"type": "integer"},
        {"type": "null"},
        {"const": 1},
        {"enum": ["x", 2]},
        {"minimum": 1},
        {"type": "number", "multipleOf": 1.5},
        {"maxLength": 1},
        {"type": "string", "pattern": "^x"},
    ]
)
"""Few, so that they overlap in every way."""


def _keywords(inner: st.SearchStrategy[JsonValue]) -> st.SearchStrategy[JsonValue]:
    pair = st.lists(inner, min_size=2, max_size=3)
    named = st.dictionaries(few_names, inner, min_size=1, max_size=2)
    name_patterns = st.sampled_from(["^a", "b$", "^.$"])
    objects = {
        "properties": named,
        "required": st.lists(few_names, min_size=1, max_size=2, unique=True),
        "additionalProperties": inner,
        "patternProperties": st.dictionaries(name_patterns, inner, min_size=1, max_size=1),
        "propertyNames": st.builds(lambda pattern: {"pattern": pattern}, name_patterns),
        "dependentRequired": st.dictionaries(few_names, st.lists(few_names, max_size=1), max_size=1),
        "dependentSchemas": st.dictionaries(few_names, inner, max_size=1),
        "minProperties": st.integers(0, 2),
        "maxProperties": st.integers(1, 3),
        "unevaluatedProperties": st.just(False) | few,
    }
    arrays = {
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "items": inner,
        "contains": inner,
        "maxContains": st.integers(1, 2),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(2, 3),
        "uniqueItems": st.booleans(),
        "unevaluatedItems": st.just(False) | few,
    }

    def some_of(kind: str, keywords: dict[str, st.SearchStrategy[JsonValue]]) -> st.SearchStrategy[JsonValue]:
        chosen = st.lists(st.sampled_from(sorted(keywords)), min_size=1, max_size=3, unique=True)
        given_ = chosen.flatmap(lambda names: st.fixed_dictionaries({name: keywords[name] for name in names}))
        return given_ | given_.map(lambda schema: {"type": kind, **schema})

    return st.one_of(
        some_of("object", objects),
        some_of("array", arrays),
        st.builds(lambda schema: {"not": schema}, inner),
        st.builds(lambda keyword, branches: {keyword: branches}, st.sampled_from(["allOf", "anyOf", "oneOf"]), pair),
        st.fixed_dictionaries({"if": inner, "then": inner}, optional={"else": inner}),
    )


combined_schemas = st.recursive(few, _keywords, max_leaves=6)
small_values = st.recursive(
    st.sampled_from([None, True, 0, 1, 2, 3, -1, 1.5, 4.5, "", "x", "xy", "ab"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(few_names | st.sampled_from(["ab", "zz"]), inner, max_size=3)
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schema=combined_schemas, values=st.lists(small_values, min_size=12, max_size=12), seed=st.integers(0, 2**32))
def test_a_grammar_has_all_values_that_the_check_takes_and_no_other_where_all_is_enforced(
    schema: JsonValue, values: list[JsonValue], seed: int
) -> None:
    independent = Draft202012Validator(schema)
    try:
        result = lowered(schema)
    except ContradictionError:
        assert not [value for value in values if independent.is_valid(value)]
        return
    matcher = Matcher(EngineGrammar(grammar_text(result).partition("\n")[2]))
    for value in values:
        is_valid = checked_by_us(json.dumps(value), result)
        is_written = can_write(matcher, value)
        assert is_valid is independent.is_valid(value), value
        assert is_written or not is_valid, value
        assert is_valid or not is_written or not result.fully_enforced, value
    text = random_text(result, random.Random(seed), most_bytes=60)
    if text is not None and result.fully_enforced:
        assert checked_by_us(text, result), text


def test_keywords_that_no_draft_knows_are_named_with_their_pointers() -> None:
    text = '{"type":"object","properties":{"a":{"schema_type":"string","x-note":1}},"propertys":{},"title":"t"}'
    (warning,) = lower_schema(text, "s", Budget()).warnings
    assert "#/propertys, #/properties/a/schema_type" in warning
    assert "x-note" not in warning


@pytest.mark.parametrize("text", ['{"tpye":"string"}', '{"name":"n","strict":true,"schema":{"type":"object"}}'])
def test_an_object_without_any_keyword_is_no_schema(text: str) -> None:
    with pytest.raises(InvalidConstraintError, match="no keyword of JSON Schema"):
        lower_schema(text, "s", Budget())


def test_a_wrapped_schema_is_to_be_unwrapped() -> None:
    with pytest.raises(InvalidConstraintError, match="pass what stands under `schema`"):
        lower_schema('{"name":"n","schema":{"type":"object"}}', "s", Budget())


def test_lengths_may_be_written_as_floats() -> None:
    assert lower_schema('{"type":"string","minLength":1.0,"maxLength":2e0}', "s", Budget()).fully_enforced


def test_patterns_that_one_value_must_match_are_bounded() -> None:
    def lowered(number: int, branch: str) -> LoweredSchema:
        branches = ",".join(branch.replace("N", str(n)) for n in range(number))
        return lower_schema('{"allOf":[' + branches + "]}", "s", Budget())

    for branch in (
        '{"type":"string","pattern":"aN.*bN"}',
        '{"properties":{"a":{"pattern":"aN.*bN"}}}',
        '{"additionalProperties":{"items":{"pattern":"aN.*bN"}}}',
        '{"anyOf":[{"pattern":"aN.*bN"},{"const":1}]}',
    ):
        # More of them would take hours, and nothing stops llguidance.
        assert "one of over 12 patterns" in " ".join(lowered(40, branch).reasons)
    assert lowered(40, '{"properties":{"aN":{"pattern":"aN.*bN"}}}').fully_enforced

    several = [lower_schema(f'{{"type":"string","pattern":"a{n}.*b{n}"}}', f"s{n}", Budget()) for n in range(30)]
    assert "one of over 12 patterns" in " ".join(combine_schemas(several, Budget()).reasons)


KEYWORDS = [
    "$anchor",
    "$defs",
    "$dynamicRef",
    "$id",
    "$ref",
    "$schema",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentMediaType",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "description",
    "else",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "required",
    "then",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "x-guidance",
    "schema_type",
    "additional_properties",
]


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_of_any_type_is_taken_or_refused_with_an_error_of_ours(keyword: str) -> None:
    values: list[JsonValue] = [
        True,
        False,
        None,
        0,
        -1,
        1.5,
        "",
        "#",
        "a",
        [],
        [1],
        ["a"],
        [{}],
        {},
        {"a": 1},
        {"a": {}},
    ]
    for value in values:
        for schema in ({keyword: value}, {"properties": {"p": {keyword: value}}}, {"type": "object", keyword: value}):
            with contextlib.suppress(MazeError):
                lower_schema(json.dumps(schema), PATH, Budget())


@pytest.mark.parametrize(
    "schema",
    [
        '{"contentMediaType": 5, "properties": {"k": {"const": 5}}}',
        '{"dependentRequired": {"a": "b"}}',
        '{"prefixItems": {"type": "string"}}',
        '{"if": "x", "then": {"required": ["k"]}}',
        '{"properties": {"k": {"const": 5}, "n": {"minimum": 0, "exclusiveMinimum": false}}}',
        '{"$defs": {"a": {}}, "items": {"$ref": "#/$defs/a", "minLength": 3}, "exclusiveMinimum": true}',
        '{"format": "json-pointer", "exclusiveMinimum": true}',
    ],
)
def test_a_mistake_in_one_keyword_does_not_lead_to_a_draft_in_which_others_say_nothing(schema: str) -> None:
    with pytest.raises(InvalidConstraintError, match="not a valid JSON Schema at #/"):
        lower_schema(schema, "s", Budget())
