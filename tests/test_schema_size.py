"""Schemas with very many parts: what is given up is the smallest part around them, and found out in few steps."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest
from llguidance import LLMatcher, LLTokenizer
from schema_walks import grammar_text

from maze.errors import LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.llguidance import check_grammar
from maze.grammar.schema.lower import LoweredSchema, lower_schema
from maze.json_text import JsonValue
from maze.threads import run_with_big_stack

MOST_STEPS = 2_000_000
"""About 2 s."""

STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def names(count: int, schema_of: Callable[[int], JsonValue] = lambda _: STRING) -> dict[str, JsonValue]:
    return {f"p{n}": schema_of(n) for n in range(count)}


def object_with(name: str, schema: JsonValue) -> JsonValue:
    return {"type": "object", "properties": {name: schema}, "required": [name]}


SHAPES: dict[str, tuple[int, Callable[[int], JsonValue]]] = {
    "an object of alternatives": (
        900,
        lambda n: {"type": "object", "properties": names(n, lambda i: {"anyOf": [{"maxLength": i}, INTEGER]})},
    ),
    "an object of objects": (
        900,
        lambda n: {
            "type": "object",
            "properties": names(n, lambda i: {"anyOf": [object_with(f"x{i}", STRING), object_with(f"y{i}", INTEGER)]}),
        },
    ),
    "a closed object": (1_999, lambda n: {"type": "object", "properties": names(n), "additionalProperties": False}),
    "an open object": (1_999, lambda n: {"type": "object", "properties": names(n), "additionalProperties": INTEGER}),
    "required names": (5_000, lambda n: {"type": "object", "required": [f"q{i}" for i in range(n)]}),
    "required names beside others": (
        2_000,
        lambda n: {"type": "object", "properties": names(n // 2), "required": [f"q{i}" for i in range(n)]},
    ),
    "many names by allOf": (
        5_000,
        lambda n: {"type": "object", "allOf": [{"properties": {f"p{i}": STRING}} for i in range(n)]},
    ),
    "an enum of objects": (4_000, lambda n: {"enum": [{"a": i, "b": {"c": str(i)}} for i in range(n)]}),
    "an enum of arrays": (4_000, lambda n: {"enum": [[i, str(i)] for i in range(n)]}),
    "a oneOf of constants": (4_000, lambda n: {"oneOf": [{"const": i} for i in range(n)]}),
    "a oneOf of names": (4_000, lambda n: {"oneOf": [{"required": [f"p{i}"]} for i in range(n)]}),
    "a oneOf of tagged objects": (
        1_000,
        lambda n: {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"tag": {"const": f"t{i}"}, f"v{i}": STRING},
                    "required": ["tag", f"v{i}"],
                }
                for i in range(n)
            ]
        },
    ),
    "an anyOf of objects": (4_000, lambda n: {"anyOf": [object_with(f"p{i}", INTEGER) for i in range(n)]}),
    "not of a oneOf": (4_000, lambda n: {"not": {"oneOf": [{"const": i} for i in range(n)]}}),
    "not of a oneOf of names": (4_000, lambda n: {"not": {"oneOf": [{"required": [f"p{i}"]} for i in range(n)]}}),
    "contains": (40, lambda n: {"type": "array", "allOf": [{"contains": {"const": i}} for i in range(n)]}),
    "minContains": (5_000, lambda n: {"type": "array", "contains": INTEGER, "minContains": n}),
    "minItems": (5_000, lambda n: {"type": "array", "items": STRING, "minItems": n}),
    "prefixItems": (5_000, lambda n: {"type": "array", "prefixItems": [{"const": i} for i in range(n)]}),
    "all of prefixItems": (
        5_000,
        lambda n: {"type": "array", "prefixItems": [{"const": i} for i in range(n)], "minItems": n, "items": False},
    ),
    "minProperties": (5_000, lambda n: {"type": "object", "minProperties": n}),
    "some of many names": (400, lambda n: {"type": "object", "properties": names(n), "minProperties": n // 3}),
    "dependent names": (
        300,
        lambda n: {
            "type": "object",
            "properties": names(n),
            "dependentRequired": {f"p{i}": [f"p{n - 1 - i}"] for i in range(n // 2)},
        },
    ),
    "names by pattern": (
        60,
        lambda n: {
            "type": "object",
            "patternProperties": {f"x{i}": {"type": "integer", "minimum": i} for i in range(n)},
        },
    ),
    "depth": (
        30,
        lambda n: {"type": "array", "items": n and json.loads('{"type":"array","items":' * n + "{}" + "}" * n)},
    ),
}


def lowered(schema: JsonValue) -> tuple[LoweredSchema, int]:
    """What becomes of a schema, and in how many steps it is lowered and written; engines take it."""

    def lower() -> tuple[LoweredSchema, int]:
        budget = Budget()
        result = lower_schema(json.dumps(schema), "s", budget)
        assert result.cfg is not None
        grammar = cfg_to_lark(result.cfg, budget)
        spent = budget.spent
        check_grammar(grammar, budget)
        return result, spent

    return run_with_big_stack(lower)


def accepts(result: LoweredSchema, value: str) -> bool:
    matcher = LLMatcher(LLTokenizer("byte"), grammar_text(result), log_level=0)
    content = list(value.encode())
    return matcher.try_consume_tokens(content) == len(content) and matcher.is_accepting()


@pytest.mark.parametrize("share", [0.02, 0.3, 1])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_part_of_any_size_leaves_what_is_around_it_enforced(shape: str, share: float) -> None:
    most, schema_of = SHAPES[shape]
    count = max(1, int(most * share) - random.Random(shape).randrange(1 + int(most * share) // 10))
    around = {
        "type": "object",
        "properties": {"id": INTEGER, "part": schema_of(count)},
        "required": ["id"],
        "additionalProperties": False,
    }
    result, spent = lowered(around)
    assert spent < MOST_STEPS
    assert accepts(result, '{"id":7}')
    assert not accepts(result, '{"id":"7"}')
    assert not accepts(result, '{"id":7,"other":1}')
    assert all("at #/properties/part" in reason for reason in result.reasons), result.reasons


def test_more_properties_than_are_taken_are_refused_in_few_steps() -> None:
    budget = Budget()
    with pytest.raises(LimitExceededError, match="110000 properties that are not required at #/properties"):
        lower_schema(json.dumps({"properties": dict.fromkeys(map(str, range(110_000)), True)}), "s", budget)
    assert budget.spent < MOST_STEPS


# ------------------------------------------------------------------------------------------------ exact all the same


def test_an_enum_of_more_than_64_objects_is_exact() -> None:
    result, spent = lowered({"enum": [{"a": n, "b": {"c": str(n)}} for n in range(150)]})
    assert result.fully_enforced
    assert spent < 400_000
    assert accepts(result, '{"a":149,"b":{"c":"149"}}')
    assert not accepts(result, '{"a":149,"b":{"c":"148"}}')


def test_objects_that_are_told_apart_by_a_tag_are_exact_in_any_number_that_engines_bear() -> None:
    branches = [
        {"type": "object", "properties": {"tag": {"const": f"t{n}"}, f"v{n}": STRING}, "required": ["tag", f"v{n}"]}
        for n in range(300)
    ]
    result, spent = lowered({"oneOf": branches})
    assert result.fully_enforced
    assert spent < 800_000
    assert accepts(result, '{"tag":"t299","v299":"x"}')
    assert not accepts(result, '{"tag":"t299","v298":"x"}')


def test_alternatives_with_the_same_names_are_written_each_for_itself_where_together_they_are_too_many() -> None:
    branches = [
        {
            "type": "object",
            "properties": {
                "kind": {"const": n},
                "p0": {"enum": [n, "x"]},
                **{f"p{i}": {"type": "string", "minLength": n} for i in range(1, 9)},
            },
        }
        for n in range(7)
    ]
    result, _ = lowered({"anyOf": branches})
    assert result.fully_enforced
    assert accepts(result, '{"kind":3,"p0":3,"p1":"abc"}')
    assert accepts(result, '{"kind":0,"p0":"x","p1":""}')
    assert not accepts(result, '{"kind":3,"p0":"x","p1":"ab"}')
    assert not accepts(result, '{"kind":3,"p0":4}')


def test_two_thousand_names_are_exact_if_no_more_than_800_may_be_left_out() -> None:
    closed = {"type": "object", "properties": names(2_000), "additionalProperties": False}
    result, spent = lowered({**closed, "required": [f"p{n}" for n in range(800, 2_000)]})
    assert result.fully_enforced
    assert spent < 1_500_000
    wanted = ",".join(f'"p{n}":""' for n in range(800, 2_000))
    assert accepts(result, f'{{"p0":"x","p799":"",{wanted}}}')
    assert not accepts(result, '{"p0":""}')
    assert not accepts(result, f'{{{wanted},"p2000":""}}')
    wider, _ = lowered({**closed, "required": [f"p{n}" for n in range(801, 2_000)]})
    assert not wider.fully_enforced
    behind = wanted.removeprefix('"p800":"",')
    assert accepts(wider, f'{{"p0":"x","p800":"",{behind}}}')
