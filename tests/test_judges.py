"""The judges of generations tell right from wrong, and the sets they judge are of all kinds and can be compiled."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from grammar_texts import JSON_GBNF

from benchmarks.grammar_judges import braid_judge, gbnf_judge, lark_judge, syntax_judge
from benchmarks.judged_generations import sets
from benchmarks.judges import Judge, pattern_judge, python_pattern, readings, schema_judge
from maze.grammar import compile_constraints
from maze.outcome import Handling

SUM = 'root ::= term ([-+] term){0,2} # a sum\nterm ::= "0" | [1-9] [0-9]*\n'
LARK = '%llguidance {}\nstart: NAME ("," NAME)* ";"\nNAME: /[a-z]+/\n%ignore / /\n'
ASSIGNMENT = json.dumps(
    {
        "start_symbol": "program",
        "rules": [
            {"lhs": "program", "rhs": ["statement"]},
            {"lhs": "statement", "rhs": ["assignment", "call"]},
            {"lhs": "assignment", "rhs": ["IDENTIFIER", "EQUALS", "NUMBER", "SEMICOLON"]},
            {"lhs": "call", "rhs": ["IDENTIFIER", "LPAREN", "STRING", "RPAREN", "SEMICOLON"]},
        ],
    }
)
BRACKETS = json.dumps(
    {"start_symbol": "b", "rules": [{"lhs": "b", "rhs": ["(", "b", ")"]}, {"lhs": "b", "rhs": ["x"]}]}
)


@pytest.mark.parametrize(
    ("judge", "right", "wrong"),
    [
        (gbnf_judge(SUM), ("0", "12+3", "1-2+0"), ("", "01", "1+", "1+2+3+4", "1 + 2")),
        (gbnf_judge(JSON_GBNF), ('{"a": [1.5e2, "\\n"]}', "{}"), ("1", '{"a":}', '{"a": "\n"}')),
        (lark_judge(LARK), ("a;", "a, b,c ;"), ("", "a", "a,;", "A;")),
        (braid_judge(ASSIGNMENT), ("x = 1;", 'f("a") /* c */;'), ("x = 1", "x = y;", "1 = 1;", 'x = 1; f("a");')),
        (braid_judge(ASSIGNMENT, "[a-z]{1,3}"), ("abc = 1;",), ("abcd = 1;", "A = 1;")),
        (braid_judge(BRACKETS), ("x", "((x))"), ("(x", "( x )", "")),
        (syntax_judge("typescript"), ("let x: number = 1;",), ("let x = ;",)),
        (syntax_judge("python"), ("x = 1",), ("x =", "def f(:")),
        (syntax_judge("go", "package p\nfunc f() {\n", "\n}"), ("x = 1",), ("x = ",)),
        (pattern_judge(r"^\d{2}$"), ("12",), ("12\n", "1", "\u0661\u0662")),
        (pattern_judge(r"a\.$"), ("a.", "xa."), ("ab", "a.\n")),
        (schema_judge({"const": 2**53 + 1}), (str(2**53 + 1), f"{2**53 + 1}.0"), (str(2**53), f"{2**53 + 1}.1")),
        (schema_judge({"multipleOf": 0.01}), ("0.07", "1234567890123456.78"), ("0.075", "0.070000000000000000001")),
        (
            schema_judge({"properties": {"a": {"type": "integer"}}}),
            ('{"a":1}',),
            ('{"a":1,"a":"x"}', '{"a":"x","a":1}'),
        ),
        (schema_judge({"format": "date"}), ('"2024-02-29"',), ('"2023-02-29"',)),
        (schema_judge({"format": "time"}), ('"12:00:00Z"',), ('"12:00:00"',)),
        (schema_judge({"patternProperties": {r"^\w$": False}}), ('{"é":1}',), ('{"e":1}',)),
        (schema_judge({}), ("1", " [] "), ("", "NaN", "[1,]", "Infinity")),
    ],
)
def test_a_judge_takes_what_is_right_and_says_what_is_wrong(
    judge: Judge, right: tuple[str, ...], wrong: tuple[str, ...]
) -> None:
    for text in right:
        assert judge(text) is None, text
    for text in wrong:
        assert judge(text) is not None, text


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("a$", "a\\Z"),
        (r"\$[.$]", r"\$[.$]"),
        (r"[\d-]\d", "[0-9-][0-9]"),
        ("(?<n>a)(?<!b)(?<=c)", "(?P<n>a)(?<!b)(?<=c)"),
        ("[]|[^]", r"(?!)|[\s\S]"),
        (r"\u{1F600}\cA\/", "\U0001f600\x01/"),
    ],
)
def test_patterns_of_schemas_are_written_for_python_as_ecmascript_means_them(pattern: str, meant: str) -> None:
    assert python_pattern(pattern) == meant


def test_an_object_with_a_name_twice_has_two_readings() -> None:
    assert list(readings('{"a":1,"a":2}')) == [{"a": 2}, {"a": 1}]
    assert list(readings('[{"a":1}]')) == [[{"a": 1}]]


def test_there_are_sets_of_all_kinds_and_each_is_judged_and_can_be_compiled() -> None:
    made = list(sets())
    kinds = Counter(each.kind for each in made)
    assert kinds.total() >= 50
    assert kinds.keys() == {
        "schema", "real schema", "union", "pattern", "GBNF", "Lark", "Braid", "language", "token mask", "pair",
        "checked",
    }  # fmt: skip
    for each in made:
        assert each.judges, each.name
        compiled = compile_constraints(each.constraints, each.intent.language)
        if each.kind == "checked":
            assert Handling.CHECKED in {part.handling for part in compiled.parts}, each.name
