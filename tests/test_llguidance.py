"""maze/grammar/llguidance.py: grammars written for engines, and what the errors of llguidance mean."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from llguidance import LLParserLimits

import maze
from maze.check.validation import validate
from maze.compiled import EngineGrammar
from maze.errors import ContradictionError, InvalidConstraintError, LimitExceededError, MazeError
from maze.grammar import compile_constraints, llguidance
from maze.grammar.budget import Budget
from maze.grammar.llguidance import ENGINE_LIMITS, GuidanceError, Matcher, Outcome, check_grammar, engine_text
from maze.threads import run_with_big_stack
from maze.types import ConstraintIR


def schema(**keywords: object) -> EngineGrammar:
    return EngineGrammar(f"start: %json {json.dumps(keywords)}\n")


def found_in(grammar: EngineGrammar, **limits: Any) -> GuidanceError:  # noqa: ANN401 - fields of LLParserLimits
    with pytest.raises(GuidanceError) as raised:
        run_with_big_stack(lambda: check_grammar(grammar, Budget(), LLParserLimits(verbose_errors=False, **limits)))
    return raised.value


# ------------------------------------------------------------------------------------------------ for engines


@pytest.mark.parametrize(
    ("options", "forced_tokens", "header"),
    [
        ((), True, "{}"),
        ((), False, '{"no_forcing":true}'),
        (("allow_initial_skip",), False, '{"allow_initial_skip":true,"no_forcing":true}'),
        (("no_forcing",), False, '{"no_forcing":true}'),
        (("no_forcing",), True, '{"no_forcing":true}'),
    ],
)
def test_the_header_is_written_for_the_engine_at_hand(
    options: tuple[str, ...], forced_tokens: bool, header: str
) -> None:
    text = engine_text(EngineGrammar('start: "%llguidance {}"\n', options), forced_tokens=forced_tokens)
    assert text == f'%llguidance {header}\nstart: "%llguidance {{}}"\n'


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("grammar", "limits", "outcome", "message"),
    [
        (EngineGrammar("start: A\nA: /a/ & /b/\n"), {}, Outcome.EMPTY, "NoExtensionBias"),
        (schema(type="string", minLength=3, maxLength=2), {}, Outcome.EMPTY, "Unsatisfiable schema: minLength"),
        (schema(required=["fuel"], properties={"fuel": False}, type="object"), {}, Outcome.EMPTY, ".*property 'fuel'"),
        (schema(**{"$ref": "#/$defs/a", "$defs": {"a": {"enum": []}}}), {}, Outcome.EMPTY, "Unsatisfiable schema"),
        (schema(type="string", pattern="[^\\s\\S]"), {}, Outcome.EMPTY, "Unsatisfiable schema: Regex is empty"),
        (schema(enum=[str(i) * 5 for i in range(100_000)]), {}, Outcome.TOO_HARD, "initial lexer configuration"),
        (
            schema(allOf=[{"anyOf": [{"minLength": i}, {"maxLength": 99 * i}, {"minimum": i}]} for i in range(15)]),
            {},
            Outcome.TOO_HARD,
            "schema too large",
        ),
        (EngineGrammar('start: "a" "b" start | "c"'), {"max_grammar_size": 1}, Outcome.TOO_HARD, "grammar size"),
        (
            EngineGrammar("start: A\nA: /(a|b)*a(a|b){25}/ & ~/(a|b)*b(a|b){24}/ & /(a|b)*b(a|b){23}c/\n"),
            {},
            Outcome.TOO_HARD,
            "fuel exhausted when checking relevance",
        ),
        (EngineGrammar("start: /(ab|[c-e]+f)*/"), {"max_lexer_states": 2}, Outcome.TOO_HARD, "lexer error: too many"),
        (EngineGrammar('start: "a" start | "b"'), {"step_max_items": 1}, Outcome.TOO_HARD, "parser error: Too many"),
        (EngineGrammar("start: fuel\n"), {}, Outcome.REFUSED, 'unknown name: "fuel"'),
        (EngineGrammar("start: /[/\n"), {}, Outcome.REFUSED, "invalid regex"),
        (schema(uniqueItems=True), {}, Outcome.REFUSED, "Unimplemented keys"),
        (schema(**{"panic: too large": 1, "uniqueItems": True}), {}, Outcome.REFUSED, "Unimplemented keys"),
        (schema(type="integer", multipleOf=10**30), {}, Outcome.REFUSED, ".*has too many digits"),
        (EngineGrammar('start: a "y"\na[lazy]: /a*/\n'), {}, Outcome.FAILED, "panic: assertion failed"),
    ],
    ids=lambda value: value.rules[:40] if isinstance(value, EngineGrammar) else None,
)
def test_each_error_of_llguidance_has_one_meaning(
    grammar: EngineGrammar, limits: dict[str, Any], outcome: Outcome, message: str
) -> None:
    error = found_in(grammar, **limits)
    assert error.outcome is outcome
    assert re.match(message, error.message)
    assert "\n" not in error.message


def test_a_place_in_the_grammar_is_told_apart_from_the_message() -> None:
    error = found_in(EngineGrammar('start: "a" | nowhere\n'))
    assert (error.place, error.message) == ((2, 8), 'unknown name: "nowhere"')


def test_too_many_items_at_one_place_are_too_much_work() -> None:
    rules = EngineGrammar("start: " + " | ".join(f"a{i}" for i in range(2500)) + "\n")
    rules = EngineGrammar(rules.rules + "".join(f'a{i}: "x" "{i}"\n' for i in range(2500)))
    matcher = run_with_big_stack(lambda: Matcher(rules, ENGINE_LIMITS))
    matcher.consume(b"x1")
    with pytest.raises(GuidanceError, match=r"^Parser Error: Current row has 2500 items") as raised:
        matcher.next_bytes()
    assert raised.value.outcome is Outcome.TOO_HARD


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        ("lexer precomputation failed; either increase limits.initial_lexer_fuel or ...", Outcome.TOO_HARD),
        ("lexer error: too many expressions constructed", Outcome.TOO_HARD),
        ("panic: synthetic error\n<backtrace>\n...", Outcome.FAILED),
        ("Internal error: initial push failed", Outcome.FAILED),
        ("what a later version may say", Outcome.REFUSED),
    ],
)
def test_errors_that_are_hard_to_provoke_are_read_as_its_source_words_them(problem: str, outcome: Outcome) -> None:
    assert llguidance._error_of(problem).outcome is outcome


def test_a_panic_that_nobody_caught_is_a_failure_of_llguidance(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """Cannot be imported."""

    def panic(*_: object, **__: object) -> None:
        raise PanicException("index out of bounds")

    monkeypatch.setattr(llguidance, "LLMatcher", panic)
    with pytest.raises(GuidanceError, match=r"^panic: index out of bounds") as raised:
        Matcher(EngineGrammar('start: "a"'))
    assert raised.value.outcome is Outcome.FAILED


def test_a_constraint_on_which_llguidance_would_break_down_is_read_right() -> None:
    compiled = compile_constraints([ConstraintIR(grammar='start: opt "t" | "ut"\nopt[lazy]: /u*/\n')])
    assert validate(b"ut", compiled).all_satisfied
    assert validate(b"t", compiled).all_satisfied
    assert not validate(b"uut", compiled).all_satisfied


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.EMPTY, ContradictionError),
        (Outcome.TOO_HARD, LimitExceededError),
        (Outcome.FAILED, LimitExceededError),
        (Outcome.REFUSED, InvalidConstraintError),
    ],
)
def test_each_meaning_has_one_error_for_callers_without_the_words_of_llguidance_which_are_logged(
    outcome: Outcome, expected: type[MazeError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "maze")
    error = GuidanceError(outcome, "its words").for_caller("constraints[3].grammar", InvalidConstraintError)
    assert type(error) is expected
    assert str(error).startswith("constraints[3].grammar")
    assert "its words" not in str(error)
    assert "its words" in caplog.text


# ------------------------------------------------------------------------------------------------ reading texts


def test_a_matcher_tells_what_can_follow_and_whether_the_text_can_end() -> None:
    matcher = Matcher(EngineGrammar('start: "ab" "c"?\n'))
    assert (matcher.can_end(), matcher.next_bytes()) == (False, [ord("a")])
    other = matcher.copy()
    assert other.consume(b"abx") == 2
    assert (other.can_end(), other.next_bytes()) == (True, [ord("c")])
    assert other.consume(b"c") == 1
    assert (other.can_end(), other.next_bytes()) == (True, [])
    assert (matcher.accepts(b"abc"), matcher.accepts(b"a"), matcher.accepts(b"abcd")) == (True, False, False)


# ------------------------------------------------------------------------------------------------ one room for it


def test_no_other_module_imports_llguidance() -> None:
    root = Path(maze.__file__).parent
    importing = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"^\s*(import|from) llguidance\b", path.read_text(), re.MULTILINE)
    }
    assert importing == {"grammar/llguidance.py"}
