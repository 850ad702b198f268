"""maze/grammar/read/lark: Lark text to a grammar, or why not. More is in test_read.py."""

from __future__ import annotations

import time

import pytest

from maze.compiled import EngineGrammar
from maze.config import MazeConfig
from maze.errors import (
    ContradictionError,
    InvalidConstraintError,
    LimitExceededError,
    UnsupportedConstraintError,
)
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.llguidance import engine_text
from maze.grammar.read.grammar_text import lower_grammar
from maze.orchestrator import Orchestrator
from maze.types import ConstraintIR

PATH = "constraints[0].grammar"


def lowered(text: str) -> LoweredGrammar:
    return lower_grammar(text, None, PATH, Budget())


def enforced(text: str) -> EngineGrammar:
    grammar = compile_constraints([ConstraintIR(grammar=text)]).grammar
    assert grammar is not None
    return grammar


@pytest.mark.parametrize(
    "header",
    [
        "",
        "%llguidance {}\n",
        "%llguidance { }\n",
        "%llguidance{\n}\n",
        ' \n%llguidance {"no_forcing": false}\n',
        "\n \n",
    ],
)
def test_however_a_header_is_written_the_grammar_is_the_same(header: str) -> None:
    rules = 'start: "a" x\nx: /[0-9]+/\n'
    assert lowered(header + rules) == lowered(rules)
    once = compile_constraints([ConstraintIR(grammar=rules)])
    assert compile_constraints([ConstraintIR(grammar=header + rules)]).digest == once.digest


@pytest.mark.parametrize("header", ["%llguidance {}\n", "%llguidance { }\n", '%llguidance {"no_forcing": false}\n'])
def test_forced_tokens_can_be_switched_off_however_a_header_is_written(header: str) -> None:
    text = engine_text(enforced(header + 'start: "a"\n'), forced_tokens=False)
    assert text.startswith('%llguidance {"no_forcing":true}\nstart: ')


def test_options_of_the_caller_are_kept() -> None:
    text = '%llguidance {"no_forcing": true, "allow_initial_skip": true}\nstart: "a"\n%ignore " "\n'
    assert enforced(text).options == ("allow_initial_skip", "no_forcing")
    other = compile_constraints([ConstraintIR(grammar=text.replace("true", "false"))])
    assert compile_constraints([ConstraintIR(grammar=text)]).digest != other.digest


def test_a_later_header_holds_over_an_earlier_one() -> None:
    grammar = enforced(
        '// no header here: %llguidance {"no_forcing": 1}\n%llguidance {"no_forcing": true}\nstart: "a"\n'
        '%llguidance {"no_forcing": false}\n'
    )
    assert grammar.options == ()
    text = engine_text(grammar, forced_tokens=False)
    assert text.startswith('%llguidance {"no_forcing":true}\nstart: ')
    assert "false" not in text


def test_many_headers_are_read_in_no_time() -> None:
    before = time.process_time()
    assert lowered("%llguidance {}\n" * 30_000 + 'start: "a"\n') == lowered('start: "a"\n')
    assert time.process_time() - before < 5


def test_a_header_within_a_text_is_text() -> None:
    assert accepts('start: "%llguidance {}"\n', "%llguidance {}")


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ('%llguidance {"no_forced": true}', "line 1, column 1: 'no_forced' is no option that every engine knows"),
        ('%llguidance {"ignore_once": true}', "line 1, column 1: 'ignore_once' is no option that every engine knows"),
        ('%llguidance {"no_forcing": 1}', "line 1, column 1: the option 'no_forcing' is true or false"),
        ('%llguidance {"no_forcing": true, "no_forcing": false}', "line 1, column 1: .*each name once"),
        ("\n  %llguidance [1]", "line 2, column 3: .*a JSON object"),
        ('%llguidance {"no_forcing": true', "line 1, column 1: .*a JSON object"),
        ("%llguidance", "line 1, column 1: .*a JSON object"),
        ("%llguidance " + "[" * 100_000, "line 1, column 1: .*a JSON object"),
    ],
)
def test_a_header_that_engines_would_not_heed_is_refused(header: str, problem: str) -> None:
    with pytest.raises(InvalidConstraintError, match=problem):
        lowered(f'{header}\nstart: "a"\n')


@pytest.mark.parametrize("text", ['start: "a"\n%llguidance {}\n  | "b"\n', 'start: "a" %llguidance {} "b"\n'])
def test_a_header_among_rules_does_not_join_what_it_parts(text: str) -> None:
    with pytest.raises(InvalidConstraintError, match=r"expecting rule|Expected value"):
        lowered(text)


@pytest.mark.parametrize(
    ("before", "line"),
    [("", 1), ("\n\n", 3), ("%llguidance {}\n", 2), ("%llguidance {\n}\n\n", 4), (" \n// x\n%llguidance { }\n", 4)],
)
def test_lines_are_those_of_the_caller_wherever_a_header_stands(before: str, line: int) -> None:
    with pytest.raises(
        InvalidConstraintError, match=rf'line {line}, column 8: unknown name: "x"\n  start: x\n         \^'
    ):
        lowered(f"{before}start: x\n")


def accepts(rules: str, text: str) -> bool:
    return Orchestrator(MazeConfig()).validate(text, [ConstraintIR(grammar=rules)]).all_satisfied


def test_a_schema_in_a_rule_is_written_as_rules_that_every_engine_reads_alike() -> None:
    rules = (
        'start: "x" %json {"const": 1.5,\n"type": "number"} json\n  | %json {"type":"array",\n"items":{"enum":["é"]}}\n'
    )
    rules += 'json: "y"\nJSON: "z"\n'
    assert "%json" not in enforced(rules).rules
    for text, is_one in (("x1.5y", True), ('["é"]', True), ("x1y", False), ('["\\u00e9"]', False), ("xjson", False)):
        assert accepts(rules, text) is is_one, text


def test_lines_behind_a_schema_keep_their_numbers() -> None:
    with pytest.raises(InvalidConstraintError, match=r'line 5, column 6: unknown name: "z"'):
        lowered('start: %json {\n"type":\n"integer"} x\n  | x\nx: y z\ny: "a"\n')


def test_what_is_skipped_stands_around_a_schema_and_not_within_it() -> None:
    rules = 'start: "x" %json {"const":[1]} "y"\n%ignore " "\n'
    for text, is_one in (("x[1]y", True), (" x  [1] y ", True), ("x[ 1]y", False)):
        assert accepts(rules, text) is is_one, text


def test_a_schema_that_no_text_satisfies_is_an_error_of_its_place_as_there_may_be_other_ways() -> None:
    with pytest.raises(InvalidConstraintError, match=r"line 1, column 14: no value satisfies the schema"):
        lowered('start: "a" | %json {"enum": []}\n')


def test_a_grammar_too_large_for_llguidance_is_over_a_limit() -> None:
    with pytest.raises(LimitExceededError, match="an intersection or complement in 'start' is too large"):
        lowered("start: A\nA: /(a|b)*a(a|b){25}/ & ~/(a|b)*b(a|b){24}/ & /(a|b)*b(a|b){23}c/\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("start: 'a'", "line 1, column 8: a text stands in double quotes, not in single ones"),
        ('start: "a', "line 1, column 8: this text is never closed"),
        ("start: /a", "line 1, column 8: this regular expression is never closed"),
        ('start: ("a"', r"line 1, column 8: this '\(' is never closed"),
        ('start: "a" | )', r"line 1, column 14: '\)' is not expected here"),
        ("start: A\nA: B\nB: A", "line 3, column 4: circular reference: the terminal 'A' is part of itself"),
        ('start: WS "a"', r"line 1, column 8: unknown name: \"WS\"\n.*\n.*\n.*Write '%import common.WS'"),
        ('start: a\na[stop="x"]: /b/', r"line 2, column 3: stop takes text back .* write \[lazy\]"),
        ('start: a{"b"}\na: "c"', "line 1, column 8: 'a' takes no arguments, and not 1"),
        ('%import common.FOO\nstart: "a"', "line 1, column 1: common has no 'FOO'; it has DIGIT, "),
        ('%import .other.FOO\nstart: "a"', "line 1, column 1: a grammar of another file cannot be read here"),
        ("%declare _INDENT\nstart: _INDENT", "line 2, column 8: _INDENT is left to a program by %declare"),
        ('start: "a"**', "line 1, column 12: put parentheses around what is to be repeated twice"),
        ('start: "\\/"', r"line 1, column 9: '\\/' reads differently in Lark and llguidance; write '/'"),
        ("start: /a(/", r"line 1, column 10: missing \) for the group that begins"),
        ("start: /a/l", "line 1, column 10: the flag l is about the machine's language"),
        ('Start: "a"\nstart: Start', "line 1, column 1: the name 'Start' is in small and capital letters"),
        ('start: a & b\na: "a"\nb: "b"', "line 1, column 8: '&' and '~' stand between terminals, not between rules"),
        ("start: @other", "line 1, column 8: @other refers to another grammar"),
        ("start: a::0", "line 1, column 8: rules with `::` are known to the newest engines only"),
        ("start: x\nx[lazy]: y\ny: /a/", r"line 2, column 10: a rule with \[lazy\] .* is made of terminals only"),
        ('start: "a"\n%foo', "line 2, column 1: %foo is no directive that is known; these are %ignore"),
        ('rule: "x"', "has no rule start; Lark text begins at a rule start. Its rules are rule; add 'start: rule'"),
    ],
)
def test_what_is_refused_says_where_and_why_and_what_to_write(text: str, problem: str) -> None:
    with pytest.raises((InvalidConstraintError, UnsupportedConstraintError), match=problem):
        lowered(text)


def test_a_template_that_uses_itself_with_ever_new_arguments_is_over_a_limit() -> None:
    with pytest.raises(LimitExceededError, match="one that uses itself with ever new ones never ends"):
        lowered('start: a{"x"}\na{y}: y a{b{y}}\nb{z}: z z\n')


def test_many_complements_of_complements_are_read() -> None:
    assert accepts("start: T\nT: " + "~" * 100_001 + '"a" & /[ab]/\n', "b")


QUOTED = "start: STR \";\"\nSTR: /'.*?'/\n"
KEYWORDS = 'start: (x ";")+\nx: "if" NAME | NAME "=" x | NAME\nNAME: /[a-z]+/\n%ignore " "\n'


@pytest.mark.parametrize(
    ("rules", "pattern", "has", "has_not"),
    [
        (QUOTED, "^'q", "'q';", "'r';"),
        (KEYWORDS, "^if", "if x;", "x;"),
        ('start: WORDS " " NUM\nWORDS: /[a-z ]+/\nNUM: /[0-9]+/\n', "1$", "a b 1", "a b 2"),
        ('start: x "b"\nx[lazy]: /a*/\n', "b", "b", "ab"),
        ('start: "a" start | "b"\n%ignore " "\n', "^aab", "aab", "a ab"),
        # more than is skipped while decoding
        ('start: "a" "b"\n%ignore / /\n', "^a {1000}b$", f"a{' ' * 1000}b", "ab"),
    ],
)
def test_patterns_hold_together_with_lark_text(rules: str, pattern: str, has: str, has_not: str) -> None:
    constraints = [ConstraintIR(grammar=rules, regex_patterns=(pattern,))]
    checked = Orchestrator(MazeConfig())
    assert checked.validate(has, constraints).all_satisfied
    assert not checked.validate(has_not, constraints).all_satisfied
    impossible = [ConstraintIR(grammar=rules, regex_patterns=("^#",))]
    with pytest.raises(ContradictionError):
        compile_constraints(impossible)
