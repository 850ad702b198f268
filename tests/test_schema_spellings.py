from __future__ import annotations

import json
import random
import re
from typing import Any

import jsonschema
import pytest
from grammar_texts import accepts, random_text
from hypothesis import given, settings
from hypothesis import strategies as st

from maze.errors import ContradictionError
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg
from maze.grammar.schema.lower import lower_schema
from maze.grammar.schema.spellings import every_spelling, with_space
from maze.types import ConstraintIR

_SCHEMAS: list[tuple[dict[str, Any], list[Any]]] = [
    (
        {
            "type": "object",
            "properties": {
                "id": {"type": "integer", "minimum": 10},
                "né": {"type": "string", "maxLength": 4},
                "kind": {"enum": ["a/b", 'q"\\', "\n\x1f", 12, {"k": [1, 2]}]},
            },
            "required": ["id", "kind"],
            "additionalProperties": False,
        },
        [
            {"id": 10, "kind": "a/b"},
            {"kind": 'q"\\', "id": 1000, "né": "é😀\t"},
            {"né": "", "kind": {"k": [1, 2]}, "id": 77},
            {"id": 100, "kind": "\n\x1f"},
        ],
    ),
    (
        {"type": "array", "items": {"type": "number", "multipleOf": 0.5}, "minItems": 1},
        [[1, 2.5], [1e3], [0.0, -0.5, 10]],
    ),
    (
        {"type": "object", "additionalProperties": {"type": ["boolean", "null"]}, "minProperties": 2},
        [{"b": True, "a": None}, {"\u2028": False, '"': None, "x": None}],
    ),
    ({"const": {"b": [True, "\u00e9"], "a": 1}}, [{"b": [True, "\u00e9"], "a": 1}, {"a": 1, "b": [True, "é"]}]),
    (
        {"type": "object", "properties": {"x": {"type": "string", "pattern": "^[A-Z]{2}[0-9]*$"}}, "required": ["x"]},
        [{"x": "AB12"}, {"more": {"x": 1, "y": [None]}, "x": "ZZ"}],
    ),
    ({"anyOf": [{"type": "string", "format": "date"}, {"type": "integer", "maximum": -1}]}, ["2024-02-29", -5]),
]


def _cfg(schema: dict[str, Any]) -> Cfg:
    cfg = lower_schema(json.dumps(schema), "s", Budget()).cfg
    assert cfg is not None
    return cfg


def _spelled(value: Any, chance: random.Random) -> str:  # noqa: ANN401 - JSON
    """A JSON text of a value, in any spelling."""

    def space() -> str:
        return "".join(chance.choices(" \t\n\r", k=chance.choice((0, 0, 0, 1, 2))))

    def string(contents: str) -> str:
        return '"' + "".join(map(character, contents)) + '"'

    def character(each: str) -> str:
        usual = json.dumps(each, ensure_ascii=False)[1:-1]
        escape = json.dumps(each)[1:-1] if ord(each) > 0x7E else f"\\u{ord(each):04x}"
        upper = re.sub("[a-f]", lambda found: found[0].upper(), escape) if escape.startswith("\\u") else escape
        return chance.choice((usual, usual, escape, upper, "\\/" if each == "/" else usual))

    def number(of: float) -> str:
        texts = [json.dumps(of), f"{of}E0", f"{of / 10}e+1", f"{of}.00" if isinstance(of, int) else f"{of}0"]
        return chance.choice([each for each in texts if json.loads(each) == of])

    def written(of: Any) -> str:  # noqa: ANN401 - JSON
        match of:
            case dict():
                members = [f"{space()}{string(name)}{space()}:{written(item)}" for name, item in of.items()]
                inner = "{" + (",".join(members) or space()) + "}"
            case list():
                inner = "[" + (",".join(map(written, of)) or space()) + "]"
            case str():
                inner = string(of)
            case bool() | None:
                inner = json.dumps(of)
            case _:
                inner = number(of)
        return f"{space()}{inner}{space()}"

    return written(value)


_VALUES = st.sampled_from([(schema, value) for schema, values in _SCHEMAS for value in values])


@settings(max_examples=150)
@given(_VALUES, st.randoms(use_true_random=False))
def test_every_text_of_a_value_is_among_every_spelling(case: tuple[Any, Any], chance: random.Random) -> None:
    schema, value = case
    text = _spelled(value, chance)
    assert json.loads(text) == value
    wide = every_spelling(_cfg(schema))
    assert wide is not None
    assert accepts(cfg_to_lark(wide, Budget()), text), text


@settings(max_examples=100)
@given(_VALUES, st.randoms(use_true_random=False))
def test_a_text_with_space_is_one_of_a_value_that_satisfies_the_schema(
    case: tuple[Any, Any], chance: random.Random
) -> None:
    grammar = cfg_to_lark(with_space(_cfg(case[0])), Budget())
    text = random_text(grammar, chance, 200)
    if text is not None:
        jsonschema.validate(json.loads(text), case[0], format_checker=jsonschema.FormatChecker())


@settings(max_examples=100)
@given(_VALUES, st.randoms(use_true_random=False))
def test_no_spelling_of_a_value_contradicts_its_schema(case: tuple[Any, Any], chance: random.Random) -> None:
    schema, value = case
    text = _spelled(value, chance)
    gbnf = "".join(f"\\u{ord(each):04x}" if ord(each) < 0x10000 else f"\\U{ord(each):08x}" for each in text)
    pattern = "".join(each if each.isalnum() and each.isascii() else f"\\u{{{ord(each):x}}}" for each in text)
    for beside in (ConstraintIR(grammar=f'root ::= "{gbnf}"'), ConstraintIR(regex_patterns=(f"^{pattern}$",))):
        result = compile_constraints([ConstraintIR(json_schema=json.dumps(schema)), beside])
        assert result.grammar is not None


@pytest.mark.parametrize(
    ("schema", "beside"),
    [
        ({"const": "red"}, ConstraintIR(regex_patterns=("blue",))),
        ({"type": "integer", "minimum": 10}, ConstraintIR(regex_patterns=("^[0-9]$",))),
        ({"type": "array", "items": {"const": "x"}}, ConstraintIR(regex_patterns=("[y-z]",))),
        (_SCHEMAS[0][0], ConstraintIR(regex_patterns=(r'^\{"id":\d+\}$',))),
        (_SCHEMAS[0][0], ConstraintIR(grammar='root ::= "{" [a-z0-9":]* "}"')),
        (_SCHEMAS[4][0], ConstraintIR(grammar='root ::= "{\\"" [^x"\\\\]+ "\\":\\"" [A-Z0-9]+ "\\"}"')),
    ],
)
def test_what_no_spelling_can_satisfy_is_a_contradiction_that_names_both(
    schema: Any,  # noqa: ANN401 - JSON
    beside: ConstraintIR,
) -> None:
    with pytest.raises(ContradictionError, match=r"constraints\[0\].json_schema and constraints\[1\]"):
        compile_constraints([ConstraintIR(json_schema=json.dumps(schema)), beside])
