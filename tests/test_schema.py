"""JSON Schema lowered: what is read, what is refused and why, what the grammar accepts."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from llguidance import LLMatcher, LLTokenizer
from schema_walks import checked_by_us, independent_value, mutations, random_text

from maze.errors import (
    ContradictionError,
    InvalidConstraintError,
    LimitExceededError,
    MazeError,
    UnsupportedConstraintError,
)
from maze.grammar.budget import Budget
from maze.grammar.schema.enforceable import (
    MAX_ENUM_VALUES,
    MAX_OPTIONAL_PROPERTIES,
    MAX_PATTERN_PROPERTIES,
    MAX_REFERENCE_CHAIN,
)
from maze.grammar.schema.lower import LoweredSchema, combine_schemas, lower_schema, schema_to_lark
from maze.grammar.schema.reading import MAX_DEPTH, MAX_SCHEMA_BYTES
from maze.json_text import JsonValue

BRAID = Path(__file__).parent / "data" / "braid"
PATH = "constraints[2].json_schema"
ENDLESS = {"type": "object", "properties": {"x": {"$ref": "#/$defs/endless"}}, "required": ["x"]}
HARD_TEXT = "%json {\n\"}' /* // # */ é 😀 \\"
"""What could end the JSON inside a Lark grammar early."""


def lowered(schema: JsonValue, path: str = PATH) -> LoweredSchema:
    return lower_schema(json.dumps(schema), path, Budget())


def accepts(schema: LoweredSchema, text: str) -> bool:
    matcher = LLMatcher(LLTokenizer("byte"), "%llguidance {}\nstart: " + schema_to_lark(schema), log_level=0)
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
        ('{"ä":1,}', r"at byte 8 \(line 1, column 8\)"),
        ('{\n "minimum": NaN}', r"NaN is not JSON at byte 14 \(line 2, column 13\)"),
        ('{"type":"object","type":"array"}', 'the name "type" twice at byte 17'),
        ('{"const":"\\ud800"}', "half of a surrogate pair at byte 9"),
        ("[]", "must be an object, true or false"),
        ('{"type":"any"}', "not a valid JSON Schema at #/type"),
        ('{"properties":{"a/b":{"minLength":-1}}}', "at #/properties/a~1b/minLength"),
        ('{"pattern":"("}', "at #/pattern"),
        ('{"$ref":"#/$defs/x"}', '"#/\\$defs/x", which is not there'),
        ('{"$ref":"#"}', "leads back to itself"),
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
    with pytest.raises(UnsupportedConstraintError, match="cannot be checked: jsonschema_rs fails on it"):
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
    ],
)
def test_what_llguidance_can_enforce_is_enforced_in_full(schema: JsonValue, right: str, wrong: str) -> None:
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
        ("not", {"not": {"type": "string"}}, '"x"'),
        ("if", {"if": {"type": "string"}, "then": {"minLength": 2}}, '"x"'),
        ("contains", {"contains": {"const": 1}}, "[2]"),
        ("propertyNames", {"propertyNames": {"maxLength": 1}}, '{"ab":1}'),
        ("dependentRequired", {"dependentRequired": {"a": ["b"]}}, '{"a":1}'),
        ("unevaluatedProperties", {"unevaluatedProperties": False}, '{"a":1}'),
        ("oneOf", {"oneOf": [{"type": "string"}, {"maxLength": 1}]}, '"x"'),
        ("pattern", {"type": "string", "pattern": "^(?!x)"}, '"x"'),
        ("pattern", {"type": "string", "pattern": '^[^"]+$'}, '"\\""'),
        ("pattern", {"type": "string", "pattern": "^(a|^b)$"}, '"c"'),
        ("format", {"type": "string", "format": "uri"}, '"x y"'),
        ("minProperties", {"properties": {"a": {}}, "minProperties": 1}, "{}"),
        ("maxItems", {"maxItems": 20_000}, "[" + "1," * 20_000 + "1]"),
        ("patternProperties", {"patternProperties": {"a": {"type": "null"}, "b": {}}}, '{"a":1}'),
    ],
)
def test_what_llguidance_cannot_enforce_is_named_and_decided_by_the_check(
    keyword: str, schema: JsonValue, refused: str
) -> None:
    result = lowered({"properties": {"p": schema}, "required": ["p"], "type": "object"})
    assert not result.fully_enforced
    assert any(f"{keyword} at #/properties/p/" in reason for reason in result.reasons), result.reasons
    assert accepts(result, f'{{"p":{refused}}}')
    assert not checked_by_us(f'{{"p":{refused}}}', result)


@pytest.mark.parametrize(
    "schema",
    [False, {"enum": []}, {"type": "string", "const": 1}, {"not": {}}, {"type": "integer", "minimum": 2, "maximum": 1}],
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
    matcher = LLMatcher(LLTokenizer("byte"), "%llguidance {}\nstart: " + schema_to_lark(schema), log_level=0)
    assert matcher.try_consume_tokens(list(b'{"a"')) < 4


def test_the_callers_own_x_guidance_cannot_loosen_the_grammar() -> None:
    schema = lowered({"x-guidance": {"lenient": True, "whitespace_flexible": True}, "type": "array"})
    assert not accepts(schema, "[ ]")


def test_the_expression_is_one_line_of_ascii() -> None:
    text = schema_to_lark(lowered({"enum": ["é\n%", "\u2028"], "description": "x\ny"}))
    assert text.isascii()
    assert "\n" not in text
    assert text.startswith("%json {")


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
    assert schema_to_lark(combine_schemas([two, one, two], Budget())) == schema_to_lark(both)
    assert combine_schemas([one, one], Budget()).grammar_schema == one.grammar_schema


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
        (json.dumps(chain(3_000)), MAX_REFERENCE_CHAIN),
        (json.dumps(doubling(60, "allOf")), 10_000_000),
        (json.dumps(doubling(60, "anyOf")), 10_000_000),
    ],
)
def test_what_is_over_a_limit_is_refused_with_the_limit(text: str, limit: int) -> None:
    with pytest.raises(LimitExceededError, match=rf"\b{limit}\b"):
        lower_schema(text, PATH, Budget())


def test_products_of_alternatives_end_in_an_error_and_not_in_hours() -> None:
    branches = [
        {"anyOf": [{"properties": {f"p{i}": {"type": "string"}}}, {"properties": {f"q{i}": {}}}]} for i in range(15)
    ]
    with pytest.raises(LimitExceededError, match="too large a grammar"):
        lowered({"allOf": branches})


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
        except ValueError:
            breaks = True
        if breaks:
            assert not checked_by_us(mutated, result), mutated


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
    with pytest.raises(LimitExceededError, match="30 patterns for one value"):
        combine_schemas(several, Budget())


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
