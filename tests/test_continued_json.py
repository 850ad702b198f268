"""JSON texts to be continued, however they are spelled and wherever they end."""

from __future__ import annotations

import json

import pytest

from maze.check.grammar_check import grammar_violation
from maze.check.validation import validate
from maze.compiled import CompiledConstraints, EngineGrammar
from maze.errors import ContradictionError
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.continuation import after, rest_after
from maze.types import ConstraintIR

TEXT = '{"type":"string"}'
SHORT = '{"type":"string","minLength":1,"maxLength":2}'
FACES = '{"type":"string","pattern":"^\U0001f600+$"}'
EITHER = '{"enum":["\U0001f600x","\U0001f601y","ab"]}'
NESTED = '{"properties":{"a b":{"type":"string"}},"required":["a b"],"additionalProperties":false,"type":"object"}'


def compiled(schema: str) -> CompiledConstraints:
    return compile_constraints((ConstraintIR(json_schema=schema),))


def breaks(text: str, grammar: EngineGrammar) -> bool:
    return grammar_violation(text.encode(), grammar, "the rest", lambda _: None) is not None


@pytest.mark.parametrize(
    ("schema", "begun", "ending"),
    [
        (TEXT, r'"\ud83d', r'\ude00"'),
        (TEXT, r'"\uD83D\ ', ""),
        (TEXT, '"\\ud83d\\', r'ude00 and more"'),
        (TEXT, r'"\ud83d\u', r'de00"'),
        (TEXT, r'"\ud83d\ude', r'00"'),
        (TEXT, r'"\ud83d\ude0', r'0"'),
        (TEXT, r'"\ud83d\ude00', r'\n"'),
        (TEXT, r'"\u006', r'1b"'),
        (TEXT, r'"\u00', r'0b"'),
        (TEXT, r'"\u003', r'c"'),
        (TEXT, r'"a\/b\u0041\u0022\u000aA', r'"'),
        (TEXT, r'"\\ud83d', r'x"'),
        (TEXT, r'"\\\ud83d', r'\ude00"'),
        (SHORT, r'"\ud83d\ude00\ud83d', r'\ude00"'),
        (FACES, r'"\ud83d', r'\ude00"'),
        (FACES, r'"\ud83d\ude00', '\U0001f600"'),
        (EITHER, r'"\ud83d\ude00', 'x"'),
        (EITHER, r'"\u0061', 'b"'),
        (EITHER, r'"\u006', '1b"'),
        (NESTED, r' { "a\u0020b" : "\ud83d', r'\ude00"}'),
        (NESTED, r'{"a\u0020', r'b":""}'),
    ],
)
def test_a_text_may_spell_characters_with_escapes_and_end_within_one(schema: str, begun: str, ending: str) -> None:
    constraints = compiled(schema)
    if not ending:
        with pytest.raises(ContradictionError):
            after(constraints, begun)
        return
    rest = rest_after(constraints, begun, Budget())
    assert rest is not None
    for text in (begun + ending, begun + rest.shortest):
        json.loads(text)
        assert validate(text.encode(), constraints).all_satisfied
    grammar = after(constraints, begun).grammar
    assert grammar is not None
    assert not breaks(ending, grammar)


@pytest.mark.parametrize(
    "begun", [r'"\ude00', r'"\ud83dx', r'"\ud83d\n', r'"\ud83d\ud83d', r'"\x', r'"\ud83d\u0041', r'"\uz']
)
def test_what_is_no_beginning_of_a_json_text_is_refused(begun: str) -> None:
    for schema in (TEXT, FACES):
        with pytest.raises(ContradictionError, match="begins with the text to continue"):
            after(compiled(schema), begun)


@pytest.mark.parametrize("schema", [FACES, EITHER, SHORT])
def test_what_is_left_after_half_a_character_makes_texts_of_the_schema_alone(schema: str) -> None:
    rest = after(compiled(schema), r'"\ud83d').grammar
    assert rest is not None
    for wrong in (r'\ude02"' if schema != SHORT else r'\ude00xyz"', r'\u0041"', "x", '"'):
        assert breaks(wrong, rest)
