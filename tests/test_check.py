"""Checking finished texts: verdicts, places, what was expected, and bounded work."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer
from schema_walks import constraints_of

import maze.check.validation
from maze.check.validation import MAX_CHECK_SECS, MAX_TEXT_BYTES, TimeLimit, validate
from maze.compiled import CompiledConstraints, ConstraintPart, EngineGrammar, JointCheck
from maze.errors import ContradictionError, LimitExceededError, TimedOutError
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.schema.lower import lower_schema
from maze.json_text import JsonValue
from maze.outcome import ConstraintKind, ConstraintOutcome, Handling, ValidationResult, validation_error
from maze.threads import run_with_big_stack
from maze.types import ConstraintIR


def checked(schema: JsonValue, text: str | bytes) -> ConstraintOutcome:
    compiled = constraints_of(lower_schema(json.dumps(schema), "constraints[0].json_schema", Budget()))
    result = validate(text.encode() if isinstance(text, str) else text, compiled)
    assert result.all_satisfied == (result.outcomes[0].satisfied is not False)
    return result.outcomes[0]


def part(handling: Handling, *, rules: str | None = None, check_schema: str | None = None) -> ConstraintPart:
    check_grammar = None if rules is None else EngineGrammar(rules)
    return ConstraintPart(
        "constraints[0].grammar", "", ConstraintKind.GRAMMAR, 0, handling, "", check_grammar, check_schema
    )


def walked(rules: str, text: str) -> ConstraintOutcome:
    return all_of([part(Handling.CHECKED, rules=rules)], text).outcomes[0]


def all_of(parts: list[ConstraintPart], text: str) -> ValidationResult:
    return validate(text.encode(), CompiledConstraints(grammar=None, token_mask=None, parts=tuple(parts)))


# ------------------------------------------------------------------------------------------------ grammars at once


@given(
    st.sampled_from(
        [
            'start: "a" b*\nb: "b" | "c" b\n',
            "start: /[ab]*c?/\n",
            'start: (A "," | "b")* A\nA: /a+/ & ~/aa/\n',
            'start: s\ns: "(" s ")" s |\n',
            'start: %json {"type":["array","integer"],"items":{"enum":["a",{"b":1}]}}\n',
            'start: /[^"]*/ "\\""\n',
        ]
    ),
    st.text('abc()[],":1{}é', max_size=12),
)
def test_short_texts_get_the_verdict_of_a_walk(rules: str, text: str) -> None:
    matcher = LLMatcher(LLTokenizer("byte"), "%llguidance {}\n" + rules, log_level=0)
    raw = text.encode()
    walk = matcher.deep_copy()
    accepted = walk.try_consume_tokens(list(raw)) == len(raw) and walk.is_accepting()
    assert (walked(rules, text).satisfied is True) == accepted


# ------------------------------------------------------------------------------------------------ patterns


def test_what_was_expected_is_said_once() -> None:
    compiled = compile_constraints([ConstraintIR(json_schema='{"properties":{"a":{"const":"b"}}}')])
    error = validation_error(validate(b'{"a":"c"}', compiled))
    assert str(error).endswith(': found "c", expected "b" (#/properties/a/const)')


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"async\s+fn", "fn main", r"more text, to match async\s+fn"),
        ("^[0-9]+$", "12x", "the end of the text or '0' to '9', to match ^[0-9]+$"),
        ("^" + "a" * 100 + "$", "a", f"more text, to match ^{'a' * 59}..."),
    ],
)
def test_a_violated_pattern_is_shown_as_it_was_written(pattern: str, text: str, expected: str) -> None:
    compiled = compile_constraints([ConstraintIR(regex_patterns=(pattern,))])
    assert validate(text.encode(), compiled).outcomes[0].expected == expected


@given(
    st.lists(st.sampled_from(["^[ab]*$", "a+b", "b{2,}", "^a|b$", "^(ab)*c?$", "c"]), min_size=2, max_size=4),
    st.text("abc", max_size=6),
)
def test_patterns_checked_together_get_the_verdicts_they_get_alone(patterns: list[str], text: str) -> None:
    try:
        compiled = compile_constraints([ConstraintIR(regex_patterns=tuple(patterns))])
    except ContradictionError:
        return
    assert (compiled.joint_check is not None) == (len({part.check_grammar for part in compiled.parts}) > 1)
    alone = validate(text.encode(), dataclasses.replace(compiled, joint_check=None))
    assert validate(text.encode(), compiled) == alone


def test_patterns_too_much_work_together_are_checked_alone() -> None:
    single = part(Handling.CHECKED, rules='start: "a"\n')
    impossible = JointCheck(EngineGrammar("start: /(a|b)*a(a|b){2000}/\n"), ())
    compiled = CompiledConstraints(grammar=None, token_mask=None, parts=(single,), joint_check=impossible)
    assert validate(b"a", compiled).all_satisfied
    assert not validate(b"b", compiled).all_satisfied


# ------------------------------------------------------------------------------------------------ JSON Schema

PEOPLE = {
    "type": "object",
    "properties": {
        "people": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"type": "null"},
                    {
                        "type": "object",
                        "properties": {"name": {"type": "string", "minLength": 2}},
                        "required": ["name"],
                    },
                ]
            },
        }
    },
    "required": ["people"],
}


@pytest.mark.parametrize(
    ("text", "offset", "line", "column", "expected"),
    [
        ('{"people":[1]}', 11, 1, 12, "anyOf"),
        ('{"é":0,\n "people":[null, {"name":"é"}]}', 34, 2, 26, "at least 2 characters"),
        ("{}", 0, 1, 1, "required"),
        ('{"people":}', 10, 1, 11, "JSON"),
        ('{"people":[]}}', 13, 1, 14, "JSON"),
        ("", 0, 1, 1, "JSON"),
        (b'{"people":["\xff"]}', 12, 1, 13, "UTF-8"),
        ('{"people":[NaN]}', 11, 1, 12, "NaN"),
        ('{"people":["\\ud800"]}', 11, 1, 12, "surrogate"),
        ('{"people":[],"people":1}', 22, 1, 23, "array"),
        ('{"people":1,"people":[]}', 21, 1, 22, "array"),
    ],
)
def test_a_violation_is_told_with_its_place(
    text: str | bytes, offset: int, line: int, column: int, expected: str
) -> None:
    outcome = checked(PEOPLE, text)
    assert outcome.satisfied is False
    assert (outcome.offset, outcome.line, outcome.column) == (offset, line, column), outcome
    assert expected in outcome.expected


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (PEOPLE, ' {\n"x" : 1.0 , "people":[ null ] }\n'),
        ({"properties": {"a": {}, "b": {}}, "required": ["a", "b"]}, '{"b":1,"a":2}'),
        ({"type": "integer"}, "1.0"),
        ({"type": "integer"}, "1e2"),
        ({"const": "/é"}, '"\\/\\u00e9"'),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a":1,"a":2}'),
    ],
)
def test_what_means_the_same_is_as_good(schema: JsonValue, text: str) -> None:
    assert checked(schema, text).satisfied is True


@pytest.mark.parametrize(
    ("name", "text", "satisfied"),
    [
        ("date", "2024-02-29", True),
        ("date", "2023-02-29", False),
        ("date", ",611-06-30", False),
        ("date", "٢٠٢٤-01-01", False),
        ("time", "23:59:60Z", True),
        ("time", "01:29:60+01:30", True),
        ("time", "12:00:60Z", False),
        ("time", "12:00:00", False),
        ("time", "24:00:00Z", False),
        ("date-time", "2024-01-01T00:00:00.5-00:30", True),
        ("date-time", "2024-01-01 00:00:00Z", False),
        ("date-time", "2024-13-01T00:00:00Z", False),
    ],
)
def test_dates_and_times_are_those_of_rfc_3339(name: str, text: str, satisfied: bool) -> None:
    assert checked({"format": name}, json.dumps(text)).satisfied is satisfied


@pytest.mark.parametrize(
    ("schema", "text", "satisfied"),
    [
        ({"maximum": 18446744073709551616}, "18446744073709551617", False),
        ({"maximum": 18446744073709551616}, "18446744073709551616", True),
        ({"multipleOf": 0.1}, "0.3", True),
        ({"multipleOf": 0.1}, "0.35", False),
        ({"maximum": 0.1}, "0.1000000000000000000001", False),
        ({"type": "integer"}, "1e999999999999999999999999", True),
        ({"type": "integer"}, "1e-999999999999999999999999", False),
        ({"maximum": 1}, "9" * 5000, False),
        ({"minimum": 0}, "-1e-999999999999999999999999", False),
    ],
)
def test_numbers_of_any_size_are_compared_exactly(schema: JsonValue, text: str, satisfied: bool) -> None:
    assert checked(schema, text).satisfied is satisfied


def test_alternatives_that_lead_to_themselves_are_decided_and_explained_at_once() -> None:
    branch = {"type": "array", "items": {"$ref": "#/$defs/a"}}
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [branch, {**branch, "minItems": 0}]}}}
    assert checked(schema, "[" * 60 + "1" + "]" * 60).satisfied is False
    assert checked(schema, "[" * 60 + "]" * 60).satisfied is True


def test_patterns_that_backtrack_for_ever_end() -> None:
    hard = {"type": "string", "pattern": "^(a|aa)+(?!b)\\1$"}
    for schema in (hard, {"not": hard}):
        assert checked({"items": schema}, json.dumps(["a" * 5000 + "b"] * 100)).satisfied is False


def test_texts_nested_too_deep_or_too_long_are_an_error_and_not_a_crash() -> None:
    with pytest.raises(LimitExceededError, match="nested 600 deep"):
        checked({}, "[" * 600 + "]" * 600)
    with pytest.raises(LimitExceededError, match="nested"):
        checked({}, "[" * 100_000)
    with pytest.raises(LimitExceededError, match=str(MAX_TEXT_BYTES)):
        checked({}, b" " * (MAX_TEXT_BYTES + 1))


def test_deep_texts_are_checked_on_small_stacks() -> None:
    compiled = constraints_of(lower_schema('{"items":{"$ref":"#"}}', "constraints[0].json_schema", Budget()))
    results: list[ValidationResult] = []
    previous = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: results.append(validate(b"[" * 450 + b"]" * 450, compiled)))
        thread.start()
    finally:
        threading.stack_size(previous)
    thread.join()
    assert results[0].all_satisfied


# ------------------------------------------------------------------------------------------------ grammars

RULES = 'start: "let " NAME " = " /[0-9]+/ (";" | "é")?\nNAME: /[a-z]+/\n'


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("let x = 12;", None, ""),
        ("let x = 12", None, ""),
        ("lex", 2, "'t'"),
        ("let 1", 4, "'a' to 'z'"),
        ("let x = ", 8, "more text, beginning with '0' to '9'"),
        ("", 0, "more text, beginning with 'l'"),
        ("let x = 1;;", 10, "the end of the text"),
        ("let x = 1x", 9, "the end of the text, '0' to '9', ';' or a character outside ASCII"),
    ],
)
def test_a_text_off_the_grammar_is_told_with_its_place(text: str, offset: int | None, expected: str) -> None:
    outcome = walked(RULES, text)
    assert outcome.satisfied is (offset is None)
    assert outcome.offset == offset
    assert outcome.expected == expected


def test_long_texts_are_fed_in_pieces_to_the_end() -> None:
    text = "let x = 1\n" * 20_000
    assert walked("start: LINE*\nLINE: /let [a-z] = [0-9]\\n/\n", text).satisfied is True
    outcome = walked("start: LINE*\nLINE: /let [a-z] = [0-9]\\n/\n", text + "let X")
    assert (outcome.offset, outcome.line, outcome.column) == (len(text) + 4, 20_001, 5)


def test_a_check_that_takes_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maze.check.validation, "MAX_CHECK_SECS", 0.3)
    with pytest.raises(LimitExceededError, match=r"constraints\[0\].grammar takes over 0.3 s"):
        walked('start: s\ns: s s | "a"\n', "a" * 3000)


def test_many_threads_share_one_grammar_and_agree() -> None:
    texts = [("let x = 12;", True), ("let x = ;", False), ("lex", False), ("let abc = 7é", True)] * 50
    with ThreadPoolExecutor(8) as threads:
        verdicts = threads.map(lambda item: walked(RULES, item[0]).satisfied is item[1], texts)
        assert all(verdicts)


def test_exhaustion_by_one_text_does_not_condemn_the_next() -> None:
    patterns = " & ".join(f"/(?s:.*)a.{{{size}}}b(?s:.*)/" for size in (9, 11, 13, 15, 17, 19))
    rules = f"start: T\nT: {patterns}\n"
    right = "a" * 40 + "b" * 40
    with contextlib.suppress(LimitExceededError):
        walked(rules, "ab" * 4000)
    assert walked(rules, right).satisfied is True


# ------------------------------------------------------------------------------------------------ all parts


@pytest.mark.parametrize(
    ("handling", "all_satisfied"),
    [(Handling.VACUOUS, True), (Handling.UNENFORCEABLE, False), (Handling.ENFORCED, True)],
)
def test_a_part_that_a_text_cannot_decide_is_neither_satisfied_nor_violated(
    handling: Handling, all_satisfied: bool
) -> None:
    result = all_of([part(handling)], "text")
    assert result.outcomes[0].satisfied is None
    assert result.all_satisfied is all_satisfied


def test_one_violated_part_among_satisfied_ones_is_told_apart() -> None:
    good = part(Handling.ENFORCED, rules='start: "1"\n')
    bad = part(Handling.CHECKED, check_schema='{"type":"string"}')
    result = all_of([good, bad, good], "1")
    assert [outcome.satisfied for outcome in result.outcomes] == [True, False, True]
    assert not result.all_satisfied


# ------------------------------------------------------------------------------------------------ big stacks


def test_work_on_a_big_stack_may_start_more_of_it_and_fail() -> None:
    assert run_with_big_stack(lambda: run_with_big_stack(lambda: threading.current_thread())).name.startswith("maze-")
    with pytest.raises(ZeroDivisionError):
        run_with_big_stack(lambda: 1 // 0)


def test_more_callers_than_big_stacks_all_get_their_turn() -> None:
    with ThreadPoolExecutor(32) as callers:
        results = callers.map(lambda number: run_with_big_stack(lambda: number * 2), range(500))
        assert list(results) == [number * 2 for number in range(500)]


def test_a_check_ends_at_the_deadline_of_its_call() -> None:
    compiled = compile_constraints((ConstraintIR(regex_patterns=("^(a|aa|aaa)*b?$",)),))
    started = time.monotonic()
    with pytest.raises(TimedOutError, match=r"the text was not checked in time; it was at constraints\[0\]"):
        validate(b"a" * 8_000_000, compiled, TimeLimit(started + 0.3))
    assert time.monotonic() - started < MAX_CHECK_SECS
