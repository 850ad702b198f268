from __future__ import annotations

import json
import random
import re
from pathlib import Path

import jsonschema
import orjson
import pytest
from grammar_texts import accepts, random_text
from hypothesis import given, settings
from hypothesis import strategies as st

from maze.compiled import CompiledConstraints, EngineGrammar
from maze.errors import (
    ContradictionError,
    InvalidArgumentError,
    InvalidConstraintError,
    LimitExceededError,
    UnsupportedConstraintError,
)
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.compose.reading import MAX_PARTS, MAX_PATTERN_CHARACTERS_TOGETHER
from maze.options import ConstraintOptions, OnUnenforceable
from maze.outcome import Handling
from maze.types import ConstraintIR, TokenMaskRules

IR = ConstraintIR
REPORT = ConstraintOptions(on_unenforceable=OnUnenforceable.REPORT)
PROGRAM = json.loads((Path(__file__).parent / "data" / "braid" / "e02_typescript.json").read_text())["grammar"]
BINARY = 'root ::= ("0" | "1")+'


def compiled(*constraints: ConstraintIR, language: str = "typescript") -> CompiledConstraints:
    return compile_constraints(constraints, language)


def handlings(result: CompiledConstraints) -> dict[str, str]:
    return {part.path: part.handling.value for part in result.parts}


def grammar_of(result: CompiledConstraints) -> EngineGrammar:
    assert result.grammar is not None
    return result.grammar


# ------------------------------------------------------------------------------------------------ nothing, one thing


@pytest.mark.parametrize("constraints", [(), (IR(),), (IR(), IR(token_masks=TokenMaskRules()))])
def test_nothing_constrains_nothing(constraints: tuple[ConstraintIR, ...]) -> None:
    result = compile_constraints(constraints)
    assert result.grammar is None
    assert result.token_mask is None
    assert result.digest == compile_constraints(()).digest


def test_the_report_says_what_became_of_each_part() -> None:
    result = compiled(IR(regex_patterns=("^a+$",), token_masks=TokenMaskRules(forbidden=(3,)), priority=7, name="ir"))
    report = orjson.loads(result.report_json)
    assert report["token_mask"] == {"allowed": None, "forbidden": [3]}
    assert report["digest"] == result.digest
    assert result.digest.startswith("sha256:")
    assert [(part["path"], part["kind"], part["handling"]) for part in report["constraints"]] == [
        ("constraints[0].regex_patterns[0]", "regex_patterns", "enforced"),
        ("constraints[0].token_masks", "token_masks", "enforced"),
    ]
    assert {(part["name"], part["priority"]) for part in report["constraints"]} == {("ir", 7)}


def test_parts_come_in_the_order_of_the_caller_with_their_index() -> None:
    result = compiled(IR(grammar=BINARY, regex_patterns=("0", "1"), name="x"), IR(regex_patterns=("0",), name="x"))
    assert [part.path for part in result.parts] == [
        "constraints[0].grammar",
        "constraints[0].regex_patterns[0]",
        "constraints[0].regex_patterns[1]",
        "constraints[1].regex_patterns[0]",
    ]


# ------------------------------------------------------------------------------------------------ together


def test_patterns_are_intersected() -> None:
    result = compiled(IR(regex_patterns=(r"async\s+fn", "Result<.*>")))
    assert accepts(grammar_of(result), "async fn f() -> Result<A> {")
    assert not accepts(grammar_of(result), "async fn f() {")
    assert set(handlings(result).values()) == {"enforced"}


@pytest.mark.parametrize(("grammar", "pattern"), [(None, "a+b"), (PROGRAM, "a+b"), (PROGRAM, "^[a-z]+$")])
def test_forty_identical_patterns_are_one(grammar: str | None, pattern: str) -> None:
    once = compiled(IR(grammar=grammar, regex_patterns=(pattern,)))
    many = compiled(IR(grammar=grammar, regex_patterns=(pattern,) * 40))
    assert many.grammar == once.grammar
    assert {part.check_grammar for part in many.parts} == {part.check_grammar for part in once.parts}


def test_schemas_hold_together() -> None:
    result = compiled(
        IR(json_schema='{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'),
        IR(json_schema='{"type":"object","properties":{"b":{"type":"string"}},"required":["b"]}'),
    )
    assert accepts(grammar_of(result), '{"a":1,"b":"x"}')
    assert not accepts(grammar_of(result), '{"a":1}')
    assert set(handlings(result).values()) == {"enforced"}


def test_a_grammar_and_patterns_are_intersected_by_the_product() -> None:
    result = compiled(IR(grammar=BINARY), IR(regex_patterns=("^1", "00")))
    assert accepts(grammar_of(result), "1100")
    assert not accepts(grammar_of(result), "0100")
    assert not accepts(grammar_of(result), "1010")
    assert set(handlings(result).values()) == {"enforced"}


def test_what_is_over_the_budget_of_the_product_is_checked() -> None:
    result = compiled(IR(grammar=PROGRAM, regex_patterns=("^(?s:.){0,1000}$",)))
    assert handlings(result) == {
        "constraints[0].grammar": "enforced",
        "constraints[0].regex_patterns[0]": "checked",
    }
    assert "too much work for an engine" in result.parts[1].reason


def test_lark_text_is_enforced_together_with_the_patterns_beside_it() -> None:
    result = compiled(IR(grammar='start: "a" | "b" start', regex_patterns=("b",)))
    assert list(handlings(result).values()) == ["enforced", "enforced"]


NESTED_SCHEMA = '{"type":"array","items":{"$ref":"#"}}'
NESTED_GRAMMAR = 'root ::= "[" (root ("," root)*)? "]"'
PAIR = 'root ::= "{\\"a\\":" [0-9]+ ",\\"b\\":\\"" [a-z]* "\\"}"'


@pytest.mark.parametrize(("schema_priority", "enforced"), [(9, "json_schema"), (5, "json_schema"), (1, "grammar")])
def test_of_what_cannot_be_intersected_the_higher_priority_is_enforced(schema_priority: int, enforced: str) -> None:
    schema = IR(json_schema=NESTED_SCHEMA, priority=schema_priority)
    grammar = IR(grammar=NESTED_GRAMMAR, priority=5)
    for constraints in ((schema, grammar), (grammar, schema)):
        result = compiled(*constraints)
        assert [part.path.split(".")[1] for part in result.parts if part.handling is Handling.ENFORCED] == [enforced]
        (other,) = [part for part in result.parts if part.handling is Handling.CHECKED]
        assert "cannot be intersected" in other.reason
        assert "nest to any depth" in other.reason


@pytest.mark.parametrize("schema_priority", [9, 5, 1])
@pytest.mark.parametrize(
    ("schema", "grammar", "texts"),
    [
        ('{"type":"string"}', 'root ::= "\\"" [a-z]{3} "\\""', {'"abc"': True, '"ab"': False, "abc": False}),
        (
            '{"type":"object","properties":{"a":{"type":"integer","maximum":99},"b":{"type":"string","minLength":2}}}',
            PAIR,
            {'{"a":7,"b":"xy"}': True, '{"a":100,"b":"xy"}': False, '{"a":7,"b":"x"}': False, '{"a":7}': False},
        ),
        (  # the schema nests, and the grammar is multiplied with it
            '{"type":"array","items":{"$ref":"#"}}',
            "root ::= [^,]*",
            {"[[[]]]": True, "[[],[]]": False, "[": False},
        ),
        (  # the grammar nests, and the schema is multiplied with it
            '{"type":"array","items":{"type":"array","maxItems":0},"minItems":1}',
            NESTED_GRAMMAR,
            {"[[],[]]": True, "[]": False, "[[[]]]": False},
        ),
        (  # the grammar writes the values in another way than usual
            '{"type":"object","properties":{"a":{"type":"integer","minimum":5}},"required":["a"]}',
            'root ::= "{ \\"a\\": " [0-9]+ " }\\n"',
            {'{ "a": 7 }\n': True, '{ "a": 3 }\n': False, '{"a":7}': False},
        ),
    ],
)
def test_a_schema_and_a_grammar_are_enforced_together(
    schema: str, grammar: str, texts: dict[str, bool], schema_priority: int
) -> None:
    constraints = [IR(json_schema=schema, priority=schema_priority), IR(grammar=grammar, priority=5)]
    one, other = compiled(*constraints), compiled(*reversed(constraints))
    assert one.digest == other.digest
    assert set(handlings(one).values()) == {"enforced"}
    assert {text: accepts(grammar_of(one), text) for text in texts} == texts


def test_a_schema_a_grammar_and_patterns_are_enforced_together() -> None:
    schema = '{"type":"object","properties":{"a":{"type":"integer","maximum":99},"b":{"type":"string"}}}'
    result = compiled(IR(json_schema=schema, grammar=PAIR, regex_patterns=("secret", "^[^9]*$")))
    assert set(handlings(result).values()) == {"enforced"}
    assert accepts(grammar_of(result), '{"a":7,"b":"asecret"}')
    assert not accepts(grammar_of(result), '{"a":9,"b":"asecret"}')
    assert not accepts(grammar_of(result), '{"a":7,"b":"asecre"}')
    assert not accepts(grammar_of(result), '{"a":107,"b":"asecret"}')


def test_what_cannot_be_multiplied_does_not_keep_patterns_from_being_enforced() -> None:
    result = compiled(IR(json_schema=NESTED_SCHEMA, grammar=NESTED_GRAMMAR, regex_patterns=(r"^\[{3}",)))
    assert list(handlings(result).values()) == ["enforced", "checked", "enforced"]


@pytest.mark.parametrize("schema_priority", [9, 5, 1])
def test_a_schema_and_patterns_are_enforced_together(schema_priority: int) -> None:
    schema = IR(json_schema='{"properties":{"a":{"type":"string"}},"required":["a"]}', priority=schema_priority)
    patterns = IR(regex_patterns=(r"^\{[^x]*\}$", "(?i)abc"), priority=5)
    one, other = compiled(schema, patterns), compiled(patterns, schema)
    assert one.digest == other.digest
    assert set(handlings(one).values()) == {"enforced"}
    for text, is_one in (
        ('{"a":"-ABC-"}', True),
        ('{"a":"ab"}', False),
        ('{"a":"abcx"}', False),
        ('{"b":"abc"}', False),
    ):
        assert accepts(grammar_of(one), text) is is_one, text


def test_a_pattern_that_no_usual_spelling_of_a_schema_matches_is_checked() -> None:
    result = compiled(
        IR(
            json_schema='{"properties":{"a":{"type":"null"}},"additionalProperties":false,"required":["a"],"type":"object"}',
            regex_patterns=(r"\\u0061",),
        )
    )
    assert list(handlings(result).values()) == ["enforced", "checked"]
    assert "no text in the usual spelling" in result.parts[1].reason


RECORD = """{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"},"c":{"type":"string"},
"d":{"type":"array","items":{"type":"string"}}},"required":["a"]}"""


@pytest.mark.parametrize(
    "pattern",
    ["^.{1,2000}$", r"^[\s\S]{0,5000}$", "^(?=.{0,900}$)", "^.{500,}$", r"^\S{1,1500}$", r"^(?=[\s\S]{10,900}$)"],
)
def test_a_bound_on_the_length_of_a_whole_text_is_known_from_afar_to_be_too_much(pattern: str) -> None:
    alone, beside = Budget(), Budget()
    compile_constraints([IR(json_schema=RECORD)], budget=alone)
    result = compile_constraints([IR(json_schema=RECORD, regex_patterns=(pattern,))], budget=beside)
    assert list(handlings(result).values()) == ["enforced", "checked"]
    assert "too much work for an engine" in result.parts[1].reason
    assert beside.spent - alone.spent < 40_000  # of which the product takes next to nothing


@pytest.mark.parametrize("schema", ['{"type":"string"}', '{"enum":["x","xyz"]}', '{"const":{"a":["x"]}}'])
def test_a_bound_on_the_length_is_enforced_where_a_text_has_one_part_of_any_length(schema: str) -> None:
    result = compiled(IR(json_schema=schema, regex_patterns=("^.{4,1500}$",)))
    assert set(handlings(result).values()) == {"enforced"}


def test_a_pattern_is_enforced_beside_strings_that_are_counted_far_and_formats() -> None:
    schema = """{"type":"object","properties":{"a":{"type":"string","maxLength":5000},
    "b":{"type":"string","format":"email"},"c":{"type":"string","minLength":300,"maxLength":400}},
    "required":["a","b","c"],"additionalProperties":false}"""
    result = compiled(IR(json_schema=schema, regex_patterns=("secret",)))
    assert set(handlings(result).values()) == {"enforced"}
    for a, b, c, is_one in (
        ("secret", "a@b.c", "x" * 300, True),
        ("x" * 4990 + "secret", "a@b.c", "x" * 300, True),
        ("x" * 4995 + "secret", "a@b.c", "x" * 300, False),
        ("x", "secret@b.c", "x" * 400, True),
        ("x", "secret", "x" * 400, False),
        ("", "a@b.c", "y" * 294 + "secret", True),
        ("", "a@b.c", "y" * 293 + "secret", False),
        ("", "a@b.c", "y" * 300, False),
    ):
        assert accepts(grammar_of(result), json.dumps({"a": a, "b": b, "c": c}, separators=(",", ":"))) is is_one, b


@pytest.mark.parametrize("pattern", ["^(?!.*password)", "^(?!.*(?:eval|exec|import))", r"^(?![\s\S]*TODO)"])
def test_what_must_not_be_in_a_text_is_cheap_beside_a_schema(pattern: str) -> None:
    budget = Budget()
    result = compile_constraints([IR(json_schema=RECORD, regex_patterns=(pattern,))], budget=budget)
    assert set(handlings(result).values()) == {"enforced"}
    assert budget.spent < 300_000


def test_a_pattern_that_wants_space_gets_it() -> None:
    schema = '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'
    result = compiled(IR(json_schema=schema, regex_patterns=(r"^\{\n",)))
    assert list(handlings(result).values()) == ["enforced", "enforced"]
    assert accepts(grammar_of(result), '{\n  "a": 1\n}')
    assert not accepts(grammar_of(result), '{"a":1}')


def test_two_grammars_are_enforced_together() -> None:
    result = compiled(IR(grammar=BINARY, priority=1), IR(grammar='root ::= "0" "1"? | "2"', priority=2))
    assert list(handlings(result).values()) == ["enforced", "enforced"]
    assert [accepts(grammar_of(result), text) for text in ("0", "01", "2", "011")] == [True, True, False, False]


def test_of_two_grammars_that_nest_one_is_enforced_and_the_other_checked() -> None:
    other = 'root ::= "[" root "]" | "[]"'
    result = compiled(IR(grammar=NESTED_GRAMMAR, priority=1), IR(grammar=other, priority=2))
    assert list(handlings(result).values()) == ["checked", "enforced"]
    assert result.parts[0].check_grammar is not None
    assert accepts(result.parts[0].check_grammar, "[[],[]]")


def test_patterns_that_are_too_many_for_an_engine_are_checked_from_the_lowest_priority_on() -> None:
    result = compiled(*(IR(regex_patterns=(f"w{number}[a-z]*x",), priority=number) for number in range(30)))
    verdicts = [part.handling.value for part in result.parts]
    enforced = verdicts.count("enforced")
    assert 4 <= enforced < 30
    assert verdicts == ["checked"] * (30 - enforced) + ["enforced"] * enforced


# ------------------------------------------------------------------------------------------------ names


def test_a_pattern_that_describes_names_applies_to_every_name_of_its_own_grammar() -> None:
    result = compiled(IR(grammar=PROGRAM, regex_patterns=(r"^[a-z][a-zA-Z0-9]*$", r"^_?(?!x)[a-z]\w*$")))
    assert accepts(grammar_of(result), "abc = b1;")
    for program in ("Abc = b1;", "xa = b1;", "a_b = c;"):
        assert not accepts(grammar_of(result), program)
    named = result.parts[1].check_grammar
    assert named is not None
    assert accepts(named, "xa = b1;")
    assert not accepts(named, "Abc = b1;")


def test_a_pattern_for_names_in_another_ir_is_about_the_whole_output() -> None:
    with pytest.raises(ContradictionError, match=r"constraints\[0\].grammar and constraints\[1\].regex_patterns\[0\]"):
        compiled(IR(grammar=PROGRAM), IR(regex_patterns=("^[a-z]+$",)))


def test_of_patterns_that_leave_no_name_together_each_name_satisfies_one() -> None:
    result = compiled(IR(grammar=PROGRAM, regex_patterns=("^[a-z]+$", "^[A-Z]+$")))
    assert set(handlings(result).values()) == {"enforced"}
    for program in ("1 + 2;", "a = B;"):
        assert accepts(grammar_of(result), program)
        assert all(accepts(part.check_grammar, program) for part in result.parts if part.check_grammar)
    assert not accepts(grammar_of(result), "aB;")
    assert any("each name must satisfy one of them" in warning for warning in result.warnings)


def test_patterns_of_two_constraints_that_leave_no_name_leave_programs_without_names_and_a_warning() -> None:
    patterns = ("^[a-z]+$", "^[A-Z]+$")
    result = compiled(*(IR(grammar=PROGRAM, regex_patterns=(pattern,)) for pattern in patterns))
    assert accepts(grammar_of(result), "1 + 2;")
    assert not accepts(grammar_of(result), "a;")
    assert any("no name satisfies all" in warning for warning in result.warnings)


def test_names_that_are_all_keywords_contradict_a_grammar_that_needs_one() -> None:
    grammar = json.dumps({"start_symbol": "s", "rules": [{"lhs": "s", "rhs": ["IDENTIFIER"]}]})
    with pytest.raises(ContradictionError, match=r"constraints\[0\].grammar, constraints\[0\].regex_patterns\[0\]"):
        compiled(IR(grammar=grammar, regex_patterns=("^(?:class|if)$",)))


# ------------------------------------------------------------------------------------------------ contradictions


@pytest.mark.parametrize(
    ("constraints", "named"),
    [
        ([IR(regex_patterns=("^a+$", "b"))], ["regex_patterns[0]", "regex_patterns[1]"]),
        ([IR(regex_patterns=("^a+$", "^.{3}$", "^b+$"))], ["regex_patterns[0]", "regex_patterns[2]"]),
        ([IR(regex_patterns=(r"[^\s\S]",))], ["regex_patterns[0]"]),
        ([IR(regex_patterns=(r"^(?=a)b$",))], ["regex_patterns[0]"]),
        ([IR(json_schema='{"type":"number"}', grammar=PROGRAM)], ["json_schema", "grammar"]),
        ([IR(json_schema='{"type":"object"}', grammar=PROGRAM)], ["json_schema", "grammar"]),
        ([IR(json_schema='{"enum":[1,null]}', regex_patterns=("[a-d]",))], ["json_schema", "regex_patterns[0]"]),
        ([IR(json_schema='{"anyOf":[{"type":"boolean"},{"const":3}]}', regex_patterns=('"',))], ["json_schema"]),
        ([IR(grammar=BINARY, regex_patterns=("2",))], ["grammar", "regex_patterns[0]"]),
        ([IR(grammar=BINARY, regex_patterns=("0", "^1+$", "1"))], ["regex_patterns[0]", "regex_patterns[1]"]),
        ([IR(grammar='root ::= "ab"*', regex_patterns=("^a", "a$"))], ["grammar", "regex_patterns[1]"]),
        ([IR(json_schema='{"enum":["red","green"]}', regex_patterns=("blue",))], ["json_schema", "regex_patterns[0]"]),
        ([IR(json_schema='{"type":"integer","minimum":10}', regex_patterns=("^[0-9]$",))], ["json_schema"]),
        ([IR(json_schema='{"enum":["red","green"]}', grammar='root ::= "\\"blue\\""')], ["json_schema", "grammar"]),
        (
            [
                IR(
                    json_schema='{"type":"object","properties":{"a":{"type":"string"},"b":{}},"required":["b"]}',
                    grammar='root ::= "{\\"a\\":\\"" [a-z]* "\\"}"',
                )
            ],
            ["json_schema", "grammar"],
        ),
    ],
)
def test_a_contradiction_is_found_before_any_request_and_names_its_parts(
    constraints: list[ConstraintIR], named: list[str]
) -> None:
    with pytest.raises(ContradictionError) as raised:
        compiled(*constraints)
    assert [name for name in named if f"constraints[0].{name}" not in str(raised.value)] == []


def test_a_part_that_does_not_conflict_is_not_named() -> None:
    with pytest.raises(ContradictionError) as raised:
        compiled(IR(regex_patterns=("^a+$", "^.{3}$", "^b+$")))
    assert "regex_patterns[1]" not in str(raised.value)


# ------------------------------------------------------------------------------------------------ what cannot be


def test_what_can_be_neither_enforced_nor_checked_is_an_error() -> None:
    with pytest.raises(UnsupportedConstraintError, match=r"constraints\[1\].regex_patterns\[0\]: a backreference"):
        compiled(IR(), IR(regex_patterns=(r"(a*)\1",)))


def test_the_caller_may_have_it_reported_instead() -> None:
    result = compile_constraints([IR(regex_patterns=(r"(a*)\1", "b"))], None, REPORT)
    assert list(handlings(result).values()) == ["unenforceable", "enforced"]
    assert "backreference" in result.parts[0].reason
    assert accepts(grammar_of(result), "b")


def test_a_broken_pattern_is_an_error_whatever_the_caller_chose() -> None:
    with pytest.raises(InvalidConstraintError, match=r"constraints\[0\].regex_patterns\[1\]: missing \)"):
        compile_constraints([IR(regex_patterns=("a", "(b"))], None, REPORT)


@pytest.mark.parametrize(
    "constraints",
    [
        [IR(regex_patterns=("a",) * (MAX_PARTS + 1))],
        [IR(regex_patterns=tuple("b" * 50_000 + str(n) for n in range(MAX_PATTERN_CHARACTERS_TOGETHER // 50_000)))],
        [IR(regex_patterns=("(a{1000}){1000}",))],
        [IR(grammar=PROGRAM, regex_patterns=tuple(f"^[a-z]{{1,{n}}}$" for n in range(1, 300)))],
        [IR(json_schema='{"type":"string","description":"' + "x" * 10_000_000 + '"}')],
        [IR(json_schema="[" * 10_000)],
        [IR(json_schema='{"items":' * 10_000 + "{}" + "}" * 10_000)],
        [IR(json_schema=json.dumps({"enum": list(range(1_000_000))}))],
    ],
)
def test_hostile_input_is_an_error(constraints: list[ConstraintIR]) -> None:
    with pytest.raises((LimitExceededError, InvalidConstraintError)):
        compiled(*constraints)


# ------------------------------------------------------------------------------------------------ properties

_PATTERNS = {
    "^[a-c]*$": r"\A[a-c]*\Z",
    "^a": r"\Aa",
    "b$": r"b\Z",
    "ab": "ab",
    "a.*b": "a.*b",
    "^.{2,6}$": r"\A.{2,6}\Z",
    r"\bc": r"\bc",
    "^(?!.*cc)": r"\A(?!.*cc)",
    "^(?:ab|c)+$": r"\A(?:ab|c)+\Z",
    '"': '"',
}
_SCHEMAS = (
    '{"type":"integer","minimum":3}',
    '{"type":"string","maxLength":4}',
    '{"type":"object","properties":{"ab":{"type":"boolean"}},"required":["ab"],"additionalProperties":false}',
    '{"type":["string","null"]}',
    '{"schema_type":"object","additional_properties":true}',
)
_GRAMMARS = {
    'root ::= ("a" | "b" | "c")*': r"\A[abc]*\Z",
    'root ::= "a" root "b" | "c"': None,
    'root ::= "a" | "cab"': r"\Aa\Z|\Acab\Z",
    'root ::= "\\"" [a-c]* "\\""': r'\A"[a-c]*"\Z',
    'root ::= "{ \\"ab\\": " ("true" | "c") "}"': r'\A\{ "ab": (?:true|c)\}\Z',
    'root ::= "-"? [0-5]+ ("," root)?': r"\A-?[0-5]+(?:,-?[0-5]+)*\Z",
}
_IRS = st.builds(
    ConstraintIR,
    json_schema=st.one_of(st.none(), st.none(), st.none(), st.sampled_from(_SCHEMAS)),
    grammar=st.one_of(st.none(), st.none(), st.sampled_from(sorted(_GRAMMARS))),
    regex_patterns=st.lists(st.sampled_from(sorted(_PATTERNS)), max_size=3).map(tuple),
    token_masks=st.one_of(st.none(), st.just(TokenMaskRules(forbidden=(1,)))),
    priority=st.integers(0, 3),
)
_ARRAYS = st.lists(_IRS, max_size=4)


def _outcome(constraints: list[ConstraintIR]) -> CompiledConstraints | None:
    try:
        return compile_constraints(constraints)
    except ContradictionError:
        return None


@settings(max_examples=120)
@given(_ARRAYS, st.randoms(use_true_random=False))
def test_texts_of_the_grammar_satisfy_every_enforced_part_by_independent_checkers(
    constraints: list[ConstraintIR], chance: random.Random
) -> None:
    result = _outcome(constraints)
    if result is None or result.grammar is None:
        return
    handling = {part.path: part.handling for part in result.parts}
    for _ in range(5):
        text = random_text(result.grammar, chance, 60)
        if text is None:
            continue
        for index, constraint in enumerate(constraints):
            if handling.get(f"constraints[{index}].json_schema") is Handling.ENFORCED:
                jsonschema.validate(json.loads(text), json.loads(constraint.json_schema or ""))
            if handling.get(f"constraints[{index}].grammar") is Handling.ENFORCED:
                assert _matches_grammar(constraint.grammar or "", text)
            for number, pattern in enumerate(constraint.regex_patterns):
                if handling[f"constraints[{index}].regex_patterns[{number}]"] is Handling.ENFORCED:
                    assert re.search(_PATTERNS[pattern], text, re.ASCII), (pattern, text)


def _matches_grammar(grammar: str, text: str) -> bool:
    regex = _GRAMMARS[grammar]
    if regex is None:
        return re.fullmatch("a*cb*", text) is not None and text.count("a") == text.count("b")
    return re.search(regex, text) is not None


@settings(max_examples=120)
@given(_ARRAYS, st.randoms(use_true_random=False))
def test_order_and_duplicates_change_nothing(constraints: list[ConstraintIR], chance: random.Random) -> None:
    first = _outcome(constraints)
    shuffled = constraints + [chance.choice(constraints) for _ in range(2) if constraints]
    chance.shuffle(shuffled)
    second = _outcome(shuffled)
    assert (first is None) is (second is None)
    if first is None or second is None:
        return
    assert second.digest == first.digest
    assert second.grammar == first.grammar


@settings(max_examples=60)
@given(_ARRAYS, st.text(alphabet='abc"', max_size=6))
def test_each_check_grammar_accepts_exactly_the_texts_of_its_part(constraints: list[ConstraintIR], text: str) -> None:
    result = _outcome(constraints)
    for part in result.parts if result else ():
        index, number = [int(digits) for digits in (*re.findall(r"\[(\d+)\]", part.path), "0")][:2]
        if part.kind == "regex_patterns":
            pattern = constraints[index].regex_patterns[number]
            expected = re.search(_PATTERNS[pattern], text, re.ASCII) is not None
        elif part.kind == "grammar":
            expected = _matches_grammar(constraints[index].grammar or "", text)
        else:
            continue
        assert part.check_grammar is not None
        assert accepts(part.check_grammar, text) is expected


def test_errors_name_the_labels_of_the_constraints_beside_their_places() -> None:
    first, second = ConstraintIR(regex_patterns=("^a$",), name="letters"), ConstraintIR(regex_patterns=("^b$",))
    with pytest.raises(ContradictionError, match=r"constraints\[0\] is named 'letters'\)$"):
        compile_constraints([first, second])
    with pytest.raises(InvalidConstraintError) as raised:
        compile_constraints([second, ConstraintIR(json_schema="{", name="x" * 1000)])
    assert len(str(raised.value)) < 400
    with pytest.raises(InvalidConstraintError, match=r"close it$"):
        compile_constraints([ConstraintIR(json_schema="{")])


def test_fields_of_the_wrong_type_are_named_and_lists_are_taken() -> None:
    listed = ConstraintIR(regex_patterns=["^a$"], token_masks=TokenMaskRules(allowed=[1, 2]))  # type: ignore[arg-type]
    assert listed == ConstraintIR(regex_patterns=("^a$",), token_masks=TokenMaskRules(allowed=(1, 2)))
    assert hash(listed)
    for wrong, message in [
        ({"regex_patterns": "abc"}, "regex_patterns is of type str; give a tuple"),
        ({"regex_patterns": (b"a",)}, r"regex_patterns\[0\] is of type bytes"),
        ({"json_schema": {"type": "string"}}, "json_schema is of type dict; give text"),
        ({"grammar": b"root"}, "grammar is of type bytes"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            ConstraintIR(**wrong)  # type: ignore[arg-type]


NO_SQL = r"(?i)^(?:(?!drop table|delete from|insert into|update set|truncate table)[\s\S])*$"
"""An automaton that is no expression of bearable size."""


@pytest.mark.parametrize(
    ("others", "good", "bad"),
    [
        ((), "drop a table", "x DROP TABLE y"),
        ((IR(regex_patterns=("^x",)),), "xa", "a"),
        ((IR(regex_patterns=(r"^(?:(?!alert\().)*$", "a")),), "drop an alert", "alert(drop)"),
    ],
)
def test_a_pattern_that_is_an_automaton_is_enforced_alone_and_beside_others(
    others: tuple[ConstraintIR, ...], good: str, bad: str
) -> None:
    result = compiled(IR(regex_patterns=(NO_SQL,)), *others)
    assert set(handlings(result).values()) == {"enforced"}
    assert accepts(grammar_of(result), good)
    assert not accepts(grammar_of(result), bad)


def test_a_pattern_that_is_an_automaton_is_enforced_in_a_schema_and_seen_in_contradictions() -> None:
    schema = json.dumps({"type": "string", "pattern": NO_SQL.removeprefix("(?i)")})
    result = compiled(IR(json_schema=schema))
    assert handlings(result) == {"constraints[0].json_schema": "enforced"}
    assert accepts(grammar_of(result), '"drop a\\ntable\\""')
    assert not accepts(grammar_of(result), '"a\\ndrop table"')
    with pytest.raises(ContradictionError):
        compiled(IR(regex_patterns=(NO_SQL, "^drop table$")))
