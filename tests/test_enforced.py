"""What is called enforced is: no text of the grammar breaks the schema, and whatever satisfies it can be written.

Random schemas of every class of keywords are probed at their boundaries and walked at random. jsonschema, with exact
numbers, judges beside the check.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schema_probes import probes, respelled
from schema_walks import checked_by_us

from benchmarks.hostile_walks import WAYS, End, walk
from benchmarks.judges import schema_judge
from benchmarks.schema_texts import can_write, plain_text
from maze.errors import ContradictionError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.llguidance import Matcher
from maze.grammar.schema.lower import LoweredSchema, lower_schema
from maze.json_text import JsonValue


class Held:
    """A schema, its grammar, and what decides about texts without it."""

    def __init__(self, schema: JsonValue) -> None:
        self.schema = schema
        self._judge = schema_judge(schema)
        self._has_formats = '"format"' in json.dumps(schema)
        self.lowered: LoweredSchema | None = None
        with contextlib.suppress(ContradictionError):
            self.lowered = lower_schema(json.dumps(schema), "s", Budget())

    @cached_property
    def matcher(self) -> Matcher | None:
        """At the beginning of the grammar; None where no text satisfies the schema."""
        if self.lowered is None or self.lowered.cfg is None:
            return None
        return Matcher(cfg_to_lark(self.lowered.cfg, Budget()))

    def is_valid(self, text: str) -> bool:
        """What the check and the judge say. Formats are each one's own, and jsonschema_rs rounds some long decimals."""
        problem = self._judge(text)
        if self.lowered is None:
            return problem is None
        checked = checked_by_us(text, self.lowered)
        assert self._has_formats or checked is (problem is None) or _LONG_DECIMAL.search(text), (text, problem)
        return checked if self._has_formats else problem is None

    def hold_value(self, value: JsonValue) -> None:
        """Whatever satisfies the schema can be written; what does not cannot, where all is enforced."""
        text = plain_text(value)
        if self.is_valid(text):
            assert self.matcher is not None, f"{text} is right, but the schema is called a contradiction"
            assert can_write(self.matcher, value), f"{text} is right, but out of reach"
        elif self.lowered is not None and self.lowered.fully_enforced:
            assert self.matcher is not None
            assert not can_write(self.matcher, value), f"{text} is wrong, but the grammar has it"

    def hold_text(self, text: str) -> None:
        """What the grammar has satisfies the schema, and is spelt in the one way that it spells values."""
        if self.matcher is None or self.lowered is None or not self.matcher.accepts(text.encode(errors="replace")):
            return
        assert is_spelt_shortly(text), f"{text} is another spelling"
        assert self.is_valid(text) or not self.lowered.fully_enforced, f"{text} is wrong, but the grammar has it"

    def hold(self, seed: int) -> None:
        """Probe it at its boundaries, and walk through it in every way."""
        chance = random.Random(seed)
        for value in probes(self.schema, chance):
            self.hold_value(value)
            for text in respelled(plain_text(value), chance):
                self.hold_text(text)
        for way in WAYS if self.matcher is not None else ():
            assert self.matcher is not None
            assert self.lowered is not None
            walked = walk(self.matcher, chance, way, 80)
            assert walked.end is not End.STUCK, (way.__name__, walked)
            if walked.end is End.DONE and self.lowered.fully_enforced:
                assert self.is_valid(walked.text.decode()), (way.__name__, walked.text)


def is_spelt_shortly(text: str) -> bool:
    """Whether strings are as short as they can be, and the rest has no white space, exponents or needless signs."""
    strings = _STRING.findall(text)
    rest = _STRING.sub("", text)
    return all(json.dumps(json.loads(each), ensure_ascii=False) == each for each in strings) and not _ODD.search(rest)


_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_LONG_DECIMAL = re.compile(r"\d(?=[\d.]{15})\d*\.\d")
_ODD = re.compile(r"\s|\d[eE]|-0(?!\.)|(?<![\d.])0\d|\+")


# ------------------------------------------------------------------------------------------------ boundaries by hand


@dataclass(frozen=True)
class Boundary:
    """A schema with texts on either side of what it says."""

    schema: dict[str, JsonValue]
    right: tuple[str, ...]
    wrong: tuple[str, ...]


DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
LONGEST_HOST = ".".join(("a" * 63, "b" * 63, "c" * 63, "d" * 61))


def of_format(name: str, right: Iterable[str], wrong: Iterable[str], draft: str | None = None) -> Boundary:
    schema: dict[str, JsonValue] = {"type": "string", "format": name, **({"$schema": draft} if draft else {})}
    return Boundary(schema, tuple(map(json.dumps, right)), tuple(map(json.dumps, wrong)))


def an_integer(name: str, keyword: str = "properties") -> Boundary:
    """One name, whose other spellings hold no text either."""
    schema: dict[str, JsonValue] = {"type": "object", keyword: {name: {"type": "integer"}}}
    letter = name.strip("^$")
    escaped = "".join(f"\\u{ord(each):04x}" for each in letter)
    return Boundary(schema, (f'{{"{letter}":1}}',), (f'{{"{letter}":"x"}}', f'{{"{escaped}":"x"}}'))


BOUNDARIES = {
    "a name has one spelling": [
        an_integer("a"),
        an_integer("é"),
        an_integer("ab"),
        an_integer("^x", "patternProperties"),
        Boundary({"required": ["a"], "properties": {"a": {"const": 1}}}, ('{"a":1}',), ('{"\\u0061":2,"a":1}',)),
        Boundary({"additionalProperties": False, "properties": {"a": {}}}, ('{"a":0}',), ('{"\\u0062":0}',)),
        Boundary({"not": {"required": ["a"]}, "type": "object"}, ('{"b":0}',), ('{"\\u0061":0}',)),
        Boundary(
            {"const": "a\U0001f600"}, ('"a\U0001f600"',), ('"\\u0061\U0001f600"', '"a\\ud83d\\ude00"', '"a\\ud83d"')
        ),
        Boundary(
            {"type": "string", "maxLength": 1}, ('"\U0001f600"', '"\\n"'), ('"\\ud83d\\ude00"', '"\\u000a"', '"ab"')
        ),
    ],
    "numbers are exact": [
        Boundary({"const": 2**53 + 1}, (str(2**53 + 1),), (str(2**53), str(2**53 + 2))),
        Boundary({"const": 123456789012345678}, ("123456789012345678",), ("123456789012345680", "123456789012345677")),
        Boundary({"enum": [2**63]}, (str(2**63),), (str(2**63 + 1), str(2**63 - 1))),
        Boundary({"type": "integer", "minimum": 2**53 + 1}, (str(2**53 + 1),), (str(2**53),)),
        Boundary(
            {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, ("0.5", "0.001", "0.5000"), ("0", "0.51", "0.0")
        ),
        Boundary(
            {"type": "number", "minimum": 0, "maximum": 9.99}, ("0", "9.9", "9.99", "9.989999"), ("9.991", "10", "-0.1")
        ),
        Boundary(
            {"type": "number", "minimum": -9.99, "maximum": -0.5}, ("-9.9", "-0.5", "-0.51"), ("-9.991", "-0.49", "0")
        ),
        Boundary({"type": "number", "multipleOf": 0.01}, ("0.01", "9.99", "1234567.89", "-3"), ("0.011", "0.005")),
        Boundary(
            {"type": "integer", "multipleOf": 7}, ("7", "-14", "0", "9007199254740995"), ("1", "9007199254740992")
        ),
    ],
    "formats are exact": [
        of_format("date", ["2024-02-29", "2000-02-29"], ["2023-02-29", "1900-02-29", "2024-02-30", "2024-04-31"]),
        of_format("date-time", ["2024-02-29T00:00:00Z"], ["2023-02-29T00:00:00Z", "2024-01-01T24:00:00Z"]),
        of_format("email", ["a" * 64 + "@b.c"], ["a" * 65 + "@b.c", "a..b@c"]),
        of_format("hostname", [LONGEST_HOST, "a" * 63], [f"{LONGEST_HOST}d", "a" * 64, "ab--cd", "xn--X", "-a"]),
        of_format(
            "uuid", ["00000000-0000-0000-0000-00000000000a"], ["x", "0000000-0000-0000-0000-00000000000a"], DRAFT_7
        ),
        of_format("duration", ["P1Y", "PT1S"], ["P", "x", "P1W1D"], DRAFT_7),
        of_format("uuid", ["00000000-0000-0000-0000-00000000000a"], ["x"], DRAFT_4),
    ],
    "a schema means what its draft says": [
        Boundary({"$schema": DRAFT_7, "dependentRequired": {"a": ["b"]}}, ('{"a":1}',), ()),
        Boundary({"$schema": DRAFT_7, "prefixItems": [{"type": "null"}]}, ("[1]",), ()),
        Boundary({"$schema": DRAFT_7, "type": "object", "unevaluatedProperties": False}, ('{"a":1}',), ()),
        Boundary({"$schema": DRAFT_4, "const": 1}, ("2", '"x"'), ()),
        Boundary(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$defs": {"old": {"$id": "http://x.test/old", "$schema": DRAFT_7, "items": [{"type": "integer"}]}},
                "$ref": "http://x.test/old",
            },
            ('[1,"a"]',),
            ('["a"]',),
        ),
    ],
    "a name comes once": [
        Boundary(
            {"minProperties": 2, "type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": False},
            ('{"a":1,"b":1}',),
            ('{"a":1,"a":1}', '{"a":1}'),
        ),
        Boundary({"properties": {"a": {"type": "integer"}}}, ('{"a":1}',), ('{"a":1,"a":"x"}', '{"a":1,"a":2}')),
    ],
}


@pytest.mark.parametrize(
    "boundary", [each for some in BOUNDARIES.values() for each in some], ids=lambda each: json.dumps(each.schema)[:80]
)
def test_nothing_on_the_wrong_side_of_a_boundary_is_in_the_grammar_and_all_on_the_right_side(
    boundary: Boundary,
) -> None:
    held = Held(boundary.schema)
    assert held.matcher is not None
    assert held.lowered is not None
    for text in boundary.right:
        assert held.matcher.accepts(text.encode()), text
        assert checked_by_us(text, held.lowered), text
    for text in boundary.wrong:
        assert not held.matcher.accepts(text.encode()), text
    assert held.lowered.fully_enforced
    held.hold(0)


def test_that_open_names_differ_is_not_said_to_be_enforced() -> None:
    lowered = Held({"minProperties": 2}).lowered
    assert lowered is not None
    assert not lowered.fully_enforced
    assert not checked_by_us('{"q":1,"q":1}', lowered)


@pytest.mark.parametrize(
    "boundary", BOUNDARIES["a schema means what its draft says"][:4], ids=lambda each: json.dumps(each.schema)
)
def test_what_a_draft_does_not_know_is_named_in_a_warning(boundary: Boundary) -> None:
    lowered = Held(boundary.schema).lowered
    assert lowered is not None
    keyword = list(boundary.schema)[-1]
    assert any(keyword in warning and re.search("draft-0[47]", warning) for warning in lowered.warnings), (
        lowered.warnings
    )


# ------------------------------------------------------------------------------------------------ random schemas

numbers = st.sampled_from([
    0, 1, -1, 9, 10, -10, 99, 100, 0.5, -0.5, 0.05, 9.99, -9.99, 0.001, 2147483647, 2**53 - 1, 2**53, 2**53 + 1,
    -(2**53) - 1, 2**64 - 1, 123456789012345678,
])  # fmt: skip
lengths = st.integers(0, 4)
few_names = st.sampled_from(["a", "b", "é", 'a"', "zz"])
name_patterns = st.sampled_from(["^x", "b$", "^.$", "^[a-c]+$", "1"])
patterns = st.sampled_from(
    ["^a*$", "b", "^(a|b)0?$", "(^x|0$)", "^.$", "^[^a]+$", "^(?!ab)[ab]{1,3}$", "^\\S{2}$", "a$", "^\\w\\.\\d$"]
)
formats = st.sampled_from(
    ["date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "json-pointer"]
)


def some_of(
    keywords: dict[str, st.SearchStrategy[JsonValue]], *types: str, least: int = 1
) -> st.SearchStrategy[JsonValue]:
    """A few of the keywords, with or without a type."""
    chosen = st.lists(st.sampled_from(sorted(keywords)), min_size=least, max_size=4, unique=True)
    given_ = chosen.flatmap(lambda names: st.fixed_dictionaries({name: keywords[name] for name in names}))
    return st.builds(
        lambda schema, kind: {"type": kind, **schema} if kind else schema, given_, st.sampled_from([*types, None])
    )


number_schemas = some_of(
    {
        "minimum": numbers,
        "maximum": numbers,
        "exclusiveMinimum": numbers,
        "exclusiveMaximum": numbers,
        "multipleOf": st.sampled_from([1, 2, 3, 7, 10, 1000, 0.5, 0.01, 2.5]),
    },
    "integer",
    "number",
)
several_numbers = st.builds(lambda parts: {"allOf": parts}, st.lists(number_schemas, min_size=2, max_size=3))
string_schemas = some_of({"minLength": lengths, "maxLength": lengths, "pattern": patterns}, "string", "string")
format_schemas = some_of({"format": formats, "maxLength": st.sampled_from([10, 300])}, "string", "string")
constants = st.one_of(
    st.builds(lambda value: {"const": value}, numbers | st.sampled_from(["", "a", 'é"\n', None, True, [], {"a": 1}])),
    st.builds(lambda values: {"enum": values}, st.lists(numbers | st.sampled_from(["a", "b", None]), min_size=1)),
)
leaves = st.one_of(number_schemas, number_schemas, string_schemas, format_schemas, constants, st.just({}))


def larger(inner: st.SearchStrategy[JsonValue]) -> st.SearchStrategy[JsonValue]:
    """Objects, arrays and logic of what is given."""
    some_names = st.lists(few_names, min_size=1, max_size=2, unique=True)
    objects = some_of(
        {
            "properties": st.dictionaries(few_names, inner, min_size=1, max_size=3),
            "required": some_names,
            "additionalProperties": inner | st.booleans(),
            "patternProperties": st.dictionaries(name_patterns, inner, min_size=1, max_size=2),
            "propertyNames": st.builds(lambda pattern: {"pattern": pattern}, name_patterns),
            "dependentRequired": st.dictionaries(few_names, some_names, max_size=2),
            "dependentSchemas": st.dictionaries(few_names, inner, max_size=1),
            "minProperties": st.integers(0, 3),
            "maxProperties": st.integers(0, 3),
            "unevaluatedProperties": st.just(False) | inner,
        },
        "object",
        "object",
    )
    arrays = some_of(
        {
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "items": inner | st.just(False),
            "contains": inner,
            "minContains": st.integers(0, 2),
            "maxContains": st.integers(0, 2),
            "minItems": st.integers(0, 3),
            "maxItems": st.integers(0, 3),
            "uniqueItems": st.booleans(),
            "unevaluatedItems": st.just(False) | inner,
        },
        "array",
        "array",
    )
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        objects,
        objects,
        arrays,
        st.builds(lambda keyword, parts: {keyword: parts}, st.sampled_from(["allOf", "anyOf", "oneOf"]), several),
        st.builds(lambda schema: {"not": schema}, inner),
        st.fixed_dictionaries({"if": inner, "then": inner}, optional={"else": inner}),
    )


QUICK = settings(
    max_examples=100, suppress_health_check=[HealthCheck.too_slow], phases=(Phase.explicit, Phase.reuse, Phase.generate)
)


@QUICK
@given(schema=number_schemas | several_numbers, seed=st.integers(0, 2**32))
def test_numbers_are_enforced_to_their_last_digit(schema: JsonValue, seed: int) -> None:
    Held(schema).hold(seed)


@QUICK
@given(schema=string_schemas | format_schemas, seed=st.integers(0, 2**32))
def test_texts_are_enforced_to_their_last_character(schema: JsonValue, seed: int) -> None:
    Held(schema).hold(seed)


@QUICK
@given(schema=st.recursive(leaves, larger, max_leaves=5), seed=st.integers(0, 2**32))
def test_schemas_of_all_keywords_are_enforced_at_their_boundaries(schema: JsonValue, seed: int) -> None:
    Held(schema).hold(seed)
