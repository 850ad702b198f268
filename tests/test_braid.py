"""What Braid does to constraints that it extracts: none of it makes them contradict themselves, or useless.

data/braid/extracts.jsonl has what Clew and Braid made of real files in 14 languages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from grammar_texts import accepts
from scripted_backend import ScriptedBackend

from maze.check.layout import laid_out
from maze.check.validation import validate
from maze.compiled import CompiledConstraints
from maze.config import MazeConfig, config_from_environment
from maze.errors import (
    ConfigurationError,
    ConstraintViolatedError,
    ContradictionError,
    InvalidArgumentError,
    InvalidConstraintError,
    Status,
    UnsupportedConstraintError,
)
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal
from maze.grammar.cfg.occurrence import with_some
from maze.grammar.languages.syntax import find_syntax
from maze.options import BraidGrammar, ConstraintOptions, GenerationOptions, OnConflict, OnUnenforceable
from maze.orchestrator import Orchestrator
from maze.outcome import Handling
from maze.types import ConstraintIR, Intent, TokenMaskRules

EXTRACTS = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "braid" / "extracts.jsonl").read_text().splitlines()
]
EMAIL = r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$"
URL = r"^https?://[a-zA-Z0-9.-]+(?:/[^\s]*)?$"
UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
CAMEL, PASCAL, SNAKE = "^[a-z][a-zA-Z0-9]*$", "^[A-Z][a-zA-Z0-9]*$", "^[a-z][a-z0-9_]*$"
PROGRAM: str = next(each["ir"]["grammar"] for each in EXTRACTS if each["file"] == "sample.py")
"""Of functions and classes."""
PYTHON = """\
import os


class Shape:
    def area(self):
        return os.sep[0].upper()
"""

IR = ConstraintIR


def options(**given: Any) -> ConstraintOptions:  # noqa: ANN401 - fields of ConstraintOptions
    return ConstraintOptions(**given)


AS_LANGUAGE = options(braid_grammar=BraidGrammar.AS_LANGUAGE)
CHECKED = options(braid_grammar=BraidGrammar.AS_LANGUAGE_CHECKED)
REPORT = options(on_conflict=OnConflict.REPORT)


def compiled(
    *constraints: ConstraintIR, language: str | None = "python", taken: ConstraintOptions | None = None
) -> CompiledConstraints:
    return compile_constraints(constraints, language, taken or ConstraintOptions())


def handlings(result: CompiledConstraints) -> dict[str, str]:
    return {part.path.removeprefix("constraints[0]."): part.handling.value for part in result.parts}


def ir_of(extract: dict[str, Any]) -> ConstraintIR:
    ir = extract["ir"]
    return IR(
        json_schema=ir["json_schema"],
        grammar=ir["grammar"],
        regex_patterns=tuple(ir["regex_patterns"]),
        priority=ir["priority"],
    )


# ------------------------------------------------------------------------------------------------ real files


@pytest.mark.parametrize("way", BraidGrammar)
def test_nothing_that_braid_extracts_from_a_real_file_is_a_contradiction_in_itself(way: BraidGrammar) -> None:
    for extract in EXTRACTS[:: 4 if way is BraidGrammar.AS_LANGUAGE_CHECKED else 1]:
        result = compiled(ir_of(extract), language=extract["language"], taken=options(braid_grammar=way))
        grammar = extract["ir"]["grammar"]
        assert (result.grammar is None) is (grammar is None), extract["file"]
        by_path = handlings(result)
        assert by_path.get("json_schema", "vacuous") == "vacuous"
        assert by_path.get("grammar", "enforced") == "enforced"
        assert {each for path, each in by_path.items() if path.startswith("regex")} <= {"vacuous"}


def test_each_schema_and_pattern_that_says_nothing_of_programs_is_told_with_the_reason() -> None:
    kinds = [each for each in EXTRACTS if each["ir"]["regex_patterns"] or "array" in (each["ir"]["json_schema"] or "")]
    assert len(kinds) >= 6
    for extract in kinds:
        result = compiled(ir_of(extract), language=extract["language"])
        silent = [part for part in result.parts if part.kind == "regex_patterns" or "array" in part.reason]
        assert all("it says nothing of programs" in part.reason for part in silent)
        assert any("it says nothing of programs" in warning for warning in result.warnings)


# ------------------------------------------------------------------------------------------------ schemas and patterns


@pytest.mark.parametrize("kind", ["array", "number", "string", "boolean", "object", "null", "integer"])
def test_a_type_that_a_word_has_made_says_nothing_of_programs(kind: str) -> None:
    schema = json.dumps({"schema_type": kind, "properties": {"a": {"type": "string"}}, "additional_properties": True})
    assert handlings(compiled(IR(json_schema=schema, grammar=PROGRAM))) == {
        "json_schema": "vacuous",
        "grammar": "enforced",
    }
    assert handlings(compiled(IR(json_schema=schema))) == {"json_schema": "enforced"}, "alone it is about the output"


def test_a_schema_that_is_not_braids_still_contradicts_its_grammar() -> None:
    with pytest.raises(ContradictionError, match=r"constraints\[0\].grammar and constraints\[0\].json_schema"):
        compiled(IR(json_schema='{"type": "array"}', grammar=PROGRAM))


@pytest.mark.parametrize(
    "pattern", [EMAIL, URL, UUID, f"/{EMAIL}/i", f"{EMAIL}|FLAGS:i", f"(?i){UUID}", f"^(?:{EMAIL[1:-1]})$"]
)
@pytest.mark.parametrize("taken", [ConstraintOptions(), AS_LANGUAGE], ids=["as grammar", "as language"])
def test_a_pattern_of_whole_values_says_nothing_of_programs(pattern: str, taken: ConstraintOptions) -> None:
    by_path = handlings(compiled(IR(grammar=PROGRAM, regex_patterns=(pattern, pattern)), taken=taken))
    assert (by_path["regex_patterns[0]"], by_path["regex_patterns[1]"]) == ("vacuous", "vacuous")
    assert handlings(compiled(IR(regex_patterns=(pattern,)))) == {"regex_patterns[0]": "enforced"}


def test_a_pattern_of_whole_values_in_another_constraint_still_contradicts_the_grammar() -> None:
    with pytest.raises(ContradictionError):
        compiled(IR(grammar=PROGRAM), IR(regex_patterns=(EMAIL,)))


def test_prose_is_taken_as_a_pattern_and_said_to_be_prose() -> None:
    result = compiled(IR(grammar=PROGRAM, regex_patterns=("match the existing style of this module",)))
    assert any("regex_patterns[0]: it reads like prose" in warning for warning in result.warnings)
    assert handlings(result)["regex_patterns[0]"] in ("enforced", "checked")


# ------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("taken", "before", "behind"),
    [(ConstraintOptions(), "", " = 1;"), (AS_LANGUAGE, "function ", "() {}")],
    ids=["as grammar", "as language"],
)
def test_two_conventions_for_names_leave_the_names_of_either(
    taken: ConstraintOptions, before: str, behind: str
) -> None:
    result = compiled(IR(grammar=PROGRAM, regex_patterns=(CAMEL, PASCAL)), language="typescript", taken=taken)
    assert result.grammar is not None
    for name, is_taken in (("makeShape", True), ("Shape", True), ("make_shape", False)):
        program = f"{before}{name}{behind}"
        assert accepts(result.grammar, program) is is_taken
        assert validate(program.encode(), result).all_satisfied is is_taken
    assert any("each name must satisfy one of them" in warning for warning in result.warnings)


def test_conventions_that_some_name_satisfies_hold_together() -> None:
    result = compiled(IR(grammar=PROGRAM, regex_patterns=(CAMEL, SNAKE)), language="typescript")
    assert result.grammar is not None
    for name, is_taken in (("shape", True), ("makeShape", False), ("make_shape", False)):
        assert accepts(result.grammar, f"{name} = 1;") is is_taken


def test_as_language_a_pattern_for_names_is_about_those_that_a_program_declares() -> None:
    result = compiled(IR(grammar=PROGRAM, regex_patterns=(SNAKE,)), language="javascript", taken=AS_LANGUAGE)
    assert result.grammar is not None
    assert accepts(result.grammar, "function read_all() {\n    return JSON.parse(Buffer.from(process.argv[0]));\n}")
    wrong = validate(b"function readAll() {}", result)
    assert [(each.path, each.offset) for each in wrong.outcomes if each.satisfied is False] == [
        ("constraints[0].regex_patterns[0]", 13)
    ]


# ------------------------------------------------------------------------------------------------ what a language loses


def test_compiling_tells_what_the_language_loses() -> None:
    told = "; ".join(compiled(IR(grammar=PROGRAM)).warnings)
    for loss in ("functions cannot return a value under this grammar", "no member access", "no conditions", "no loops"):
        assert loss in told
    of_ruby = "; ".join(compiled(IR(grammar=PROGRAM), language="ruby").warnings)
    assert "no member access under this grammar" in of_ruby
    assert "return a value" not in of_ruby, "there the last expression is the value"


def test_a_grammar_that_loses_less_is_told_of_less() -> None:
    document = json.loads(PROGRAM)
    document["rules"] += [
        {"lhs": "statement_list_tail", "rhs": ["RETURN", "expression", "SEMICOLON"]},
        {"lhs": "expression", "rhs": ["expression", ".", "IDENTIFIER"]},
    ]
    told = "; ".join(compiled(IR(grammar=json.dumps(document))).warnings)
    assert "return a value" not in told
    assert "member access" not in told
    assert "no indexing under this grammar" in told
    expression = {"start_symbol": "e", "rules": [{"lhs": "e", "rhs": ["NUMBER", "PLUS", "NUMBER"]}]}
    assert compiled(IR(grammar=json.dumps(expression))).warnings == (), "nobody takes it for a whole program"


# ------------------------------------------------------------------------------------------------ language as the law


def test_as_language_a_real_program_satisfies_what_it_does_not_as_grammar() -> None:
    constraint = IR(grammar=PROGRAM)
    assert not validate(PYTHON.encode(), compiled(constraint)).all_satisfied
    result = compiled(constraint, taken=AS_LANGUAGE)
    assert validate(PYTHON.encode(), result).all_satisfied
    wrong = validate(b"Sure, here is the code:\n", result)
    assert not wrong.all_satisfied
    assert handlings(result) == {"grammar": "enforced", "grammar (functions)": "told", "grammar ('class')": "told"}
    assert result.parts[0].reason == "read as %language python, as braid_grammar says"
    assert any("%language python" in warning and "in its place" in warning for warning in result.warnings)
    assert result.demands == (
        "Answer with python alone, without explanations or Markdown.",
        "The code has functions, 'class' in it.",
    )
    assert not any("loses" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        (PYTHON, ()),
        ("def area():\n    return 1\n", ("'class'",)),
        ("class Shape:\n    pass\n", ("functions",)),
        ('text = "class Shape: def area()"\n', ("functions", "'class'")),
    ],
)
def test_what_braid_asks_for_is_checked_where_that_is_wanted(text: str, lacking: tuple[str, ...]) -> None:
    result = compiled(IR(grammar=PROGRAM), taken=CHECKED)
    validation = validate(text.encode(), result)
    found = {each.path: each for each in validation.outcomes if each.satisfied is False}
    assert tuple(found) == tuple(f"constraints[0].grammar ({each})" for each in lacking)
    assert all("somewhere before it" in each.expected and each.offset == len(text) for each in found.values())
    assert validate(text.encode(), compiled(IR(grammar=PROGRAM), taken=AS_LANGUAGE)).all_satisfied


def test_what_breaks_the_language_is_not_told_of_the_constructs() -> None:
    validation = validate(b"class Shape(:\n", compiled(IR(grammar=PROGRAM), taken=CHECKED))
    assert {each.path: each.satisfied for each in validation.outcomes} == {
        "constraints[0].grammar": False,
        "constraints[0].grammar (functions)": None,
        "constraints[0].grammar ('class')": None,
    }


@pytest.mark.parametrize(
    ("language", "program", "without"),
    [
        ("javascript", "const add = (a, b) => a + b;", "const add = 1;"),
        ("typescript", "class Shape {\n    area(): number {\n        return 1;\n    }\n}", "let a: number;"),
        ("zig", "fn add() void {}", "const a = 1;"),
        ("c", "int add(int a) {\n    return a;\n}", "int a;"),
    ],
)
def test_functions_of_every_form_are_found(language: str, program: str, without: str) -> None:
    functions = next(each["ir"]["grammar"] for each in EXTRACTS if each["file"] == "active_help_test.go")
    result = compiled(IR(grammar=functions), language=language, taken=CHECKED)
    for text, is_there in ((program, True), (without, False)):
        validation = validate(laid_out(text, language).encode(), result)
        assert {each.path: each.satisfied for each in validation.outcomes} == {
            "constraints[0].grammar": True,
            "constraints[0].grammar (functions)": is_there,
        }


def test_a_language_without_a_grammar_keeps_braids_and_is_told_so() -> None:
    assert find_syntax("rust") is None
    hint, law = (compiled(IR(grammar=PROGRAM), language="rust", taken=each) for each in (AS_LANGUAGE, None))
    assert hint.grammar == law.grammar
    assert any("there is no grammar of rust to stand in its place" in warning for warning in hint.warnings)


def test_a_grammar_that_is_no_list_of_what_braid_saw_stays_the_law() -> None:
    literal = json.dumps({"start_symbol": "s", "rules": [{"lhs": "s", "rhs": ["yes"]}]})
    for grammar in (literal, 'start: "yes"\n', 'root ::= "yes"'):
        result = compiled(IR(grammar=grammar), taken=AS_LANGUAGE)
        assert not validate(PYTHON.encode(), result).all_satisfied
    with pytest.raises(InvalidConstraintError, match="neither the lhs of a rule nor a token class"):
        compiled(IR(grammar=PROGRAM.replace("NUMBER", "NUMERAL")), taken=AS_LANGUAGE)


def test_the_configuration_says_how_braids_grammars_are_taken_where_a_call_does_not() -> None:
    constraints = [IR(grammar=PROGRAM)]
    config = config_from_environment({"MAZE_BRAID_GRAMMAR": "as_language"})
    with Orchestrator(config, backend=ScriptedBackend([PYTHON])) as maze:
        assert maze.validate(PYTHON, constraints, "python")
        assert not maze.validate(PYTHON, constraints, "python", options(braid_grammar=BraidGrammar.AS_GRAMMAR))
        assert maze.generate(Intent("x", language="python"), constraints).success
    with Orchestrator(MazeConfig(), backend=ScriptedBackend([])) as maze:
        assert not maze.validate(PYTHON, constraints, "python")
    with pytest.raises(ConfigurationError, match="MAZE_BRAID_GRAMMAR is 'hint'; it must be one of as_grammar"):
        config_from_environment({"MAZE_BRAID_GRAMMAR": "hint"})


@pytest.mark.parametrize("text", ["b", "ab", "bab", "aab", "aaba"])
def test_texts_with_some_are_exactly_those_that_have_one(text: str) -> None:
    a, b, rest = Literal("a"), Literal("b"), Nonterminal("s")
    cfg = Cfg("s", {"s": ((), (a, rest), (b, rest))})
    having = with_some(cfg, lambda symbol: symbol if symbol == b else None, Budget())
    assert having is not None
    grammar = cfg_to_lark(having, Budget())
    assert accepts(grammar, text)
    assert not accepts(grammar, text.replace("b", ""))
    assert with_some(cfg, lambda _: None, Budget()) is None


# ------------------------------------------------------------------------------------------------ ignoring


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("regex_patterns", ["json_schema", "token_masks"]),
        ("constraints[0].regex_patterns", ["json_schema", "token_masks"]),
        ("constraints[0].regex_patterns[1]", ["json_schema", "regex_patterns[0]", "token_masks"]),
        ("constraints[0].json_schema", ["regex_patterns[0]", "regex_patterns[1]", "token_masks"]),
        ("token_masks", ["json_schema", "regex_patterns[0]", "regex_patterns[1]"]),
        ("constraints[0]", []),
    ],
)
def test_what_is_ignored_is_left_out_and_reported(name: str, left: list[str]) -> None:
    constraint = IR(
        json_schema='{"type": "string"}', regex_patterns=("a", "b"), token_masks=TokenMaskRules(forbidden=(3,))
    )
    result = compiled(constraint, taken=options(ignore=(name,)))
    by_path = handlings(result)
    assert [path for path, handling in by_path.items() if handling == "enforced"] == left
    assert {handling for path, handling in by_path.items() if path not in left} == {"ignored"}
    assert "left out, as the caller has `ignore` say" in result.warnings[0]
    assert (result.token_mask is None) is ("token_masks" not in left)
    without = compiled(IR(json_schema='{"type": "string"}'), taken=options(ignore=("constraints[0]",)))
    assert without.digest == compile_constraints(()).digest


def test_what_is_ignored_need_not_be_right_and_what_is_not_there_is_told() -> None:
    assert handlings(compiled(IR(grammar="{"), taken=options(ignore=("grammar",)))) == {"grammar": "ignored"}
    result = compiled(IR(regex_patterns=("a",)), taken=options(ignore=("constraints[1].grammar", "token_masks")))
    assert result.warnings == ("`ignore` has 'constraints[1].grammar', which is no part of the constraints",)


@pytest.mark.parametrize("name", ["", "grammer", "constraints", "constraints[0].name", "constraints[01]", "Grammar"])
def test_what_is_no_part_cannot_be_ignored(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^ignore\[1\] is .*; it must be a kind \(json_schema, grammar"):
        options(ignore=("grammar", name))
    with pytest.raises(InvalidArgumentError, match=r"^ignore is of type str; give a tuple"):
        GenerationOptions(ignore="grammar")  # type: ignore[arg-type]


def test_beside_a_grammar_that_is_ignored_patterns_are_about_programs_all_the_same() -> None:
    ignore = options(ignore=("grammar",))
    result = compiled(IR(grammar=PROGRAM, regex_patterns=(EMAIL,)), language="rust", taken=ignore)
    assert handlings(result) == {"grammar": "ignored", "regex_patterns[0]": "vacuous"}
    with pytest.raises(UnsupportedConstraintError, match=r"regex_patterns\[0\] describes the names in .*`ignore`"):
        compiled(IR(grammar=PROGRAM, regex_patterns=(CAMEL,)), language="rust", taken=ignore)


def test_a_text_is_a_success_where_only_what_is_ignored_would_break() -> None:
    constraints = [IR(regex_patterns=("^a+$", "^[a-z]+$"))]
    taken = GenerationOptions(ignore=("constraints[0].regex_patterns[0]",))
    with Orchestrator(backend=ScriptedBackend(["abc"])) as maze:
        result = maze.generate(Intent("x"), constraints, taken)
        assert result.success
        assert result.provenance is not None
        assert result.provenance.constraints_applied == ("constraints[0].regex_patterns[1]",)
        assert maze.generate(Intent("x"), constraints).status is Status.CONSTRAINT_VIOLATED


# ------------------------------------------------------------------------------------------------ conflicts


@pytest.mark.parametrize(
    ("constraints", "gives_way"),
    [
        (
            [IR(regex_patterns=("^a+$",), priority=1), IR(regex_patterns=("^b+$",), priority=2)],
            ["[0].regex_patterns[0]"],
        ),
        (
            [IR(regex_patterns=("^a+$",), priority=2), IR(regex_patterns=("^b+$",), priority=1)],
            ["[1].regex_patterns[0]"],
        ),
        ([IR(regex_patterns=("^a+$", "^b+$"))], ["[0].regex_patterns[1]"]),
        ([IR(json_schema='{"type": "number"}', grammar=PROGRAM)], ["[0].grammar"]),
        ([IR(json_schema='{"type": "number"}'), IR(grammar=PROGRAM, priority=1)], ["[0].json_schema"]),
        ([IR(json_schema='{"type": "number"}'), IR(json_schema='{"type": "null"}')], ["[1].json_schema"]),
        ([IR(json_schema='{"enum": []}'), IR(regex_patterns=("^a$",))], ["[0].json_schema"]),
        ([IR(regex_patterns=(r"[^\s\S]", "a"))], ["[0].regex_patterns[0]"]),
        ([IR(regex_patterns=("^a+$", "^a+$", "^b+$"), priority=1)], ["[0].regex_patterns[2]"]),
        (
            [IR(regex_patterns=("^b+$", "^b+$")), IR(regex_patterns=("^a+$",), priority=1)],
            ["[0].regex_patterns[0]", "[0].regex_patterns[1]"],
        ),
        (
            [IR(regex_patterns=("^a+$", "^b+$", "^c+$"))],
            ["[0].regex_patterns[1]", "[0].regex_patterns[2]"],
        ),
        (
            [IR(token_masks=TokenMaskRules(allowed=(1,))), IR(token_masks=TokenMaskRules(forbidden=(1,)))],
            ["[1].token_masks"],
        ),
    ],
)
def test_in_a_conflict_what_has_the_lowest_priority_gives_way_and_there_is_no_success(
    constraints: list[ConstraintIR], gives_way: list[str]
) -> None:
    with pytest.raises(ContradictionError):
        compiled(*constraints)
    result = compiled(*constraints, taken=REPORT)
    left_out = [part for part in result.parts if part.handling is Handling.CONFLICTING]
    assert [part.path.removeprefix("constraints") for part in left_out] == gives_way
    assert all(part.reason.startswith("left out, as it gives way in a conflict: ") for part in left_out)
    assert all(any(warning.startswith(part.path) for warning in result.warnings) for part in left_out)
    for text in (b"a", b"b", b"1", b"null"):
        validation = validate(text, result)
        assert not validation.all_satisfied
        with pytest.raises((ContradictionError, ConstraintViolatedError)):
            validation.raise_for_status()


def test_the_text_of_what_goes_on_is_given_and_is_a_contradiction() -> None:
    constraints = [IR(regex_patterns=("^a+$",), priority=1), IR(regex_patterns=("^b+$",), name="other")]
    with Orchestrator(backend=ScriptedBackend(["aa"])) as maze:
        result = maze.generate(Intent("x"), constraints, GenerationOptions(on_conflict=OnConflict.REPORT))
        assert (result.status, result.success, result.code) == (Status.CONTRADICTION, False, "aa")
        assert result.error is not None
        assert "constraints[1].regex_patterns[0] (other) was left out, as it contradicts" in result.error
        assert len(result.metadata.attempts) == 1
        assert maze.generate(Intent("x"), constraints).status is Status.CONTRADICTION
        with pytest.raises(ContradictionError, match="was left out, as it contradicts"):
            maze.validate("aa", constraints, None, REPORT).raise_for_status()


def test_without_a_conflict_the_option_changes_nothing() -> None:
    constraint = IR(regex_patterns=("^a+$",), json_schema=None)
    assert compiled(constraint, taken=REPORT).report_json == compiled(constraint).report_json
    both = options(on_conflict=OnConflict.REPORT, on_unenforceable=OnUnenforceable.REPORT)
    result = compiled(IR(regex_patterns=("^a+$", "^b+$", r"(a*)\1")), taken=both)
    assert list(handlings(result).values()) == ["enforced", "conflicting", "unenforceable"]
