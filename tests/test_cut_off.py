"""A text that was cut off: whether more tokens would have helped, or the engine does not enforce."""

from __future__ import annotations

import json
import time

import pytest
from fault_server import DONE, FaultServer, answer, stream, summary, token
from http_calls import backend_for
from scripted_backend import ScriptedBackend
from test_dialects import choice, llama, llama_end, models

from maze import ConstraintIR, GenerationOptions, Intent, MazeConfig, Orchestrator
from maze.backends.base import FINISHED_LENGTH
from maze.check import cut_off as cut_off_module
from maze.check.cut_off import judge
from maze.check.validation import TimeLimit, validate
from maze.compiled import CompiledConstraints
from maze.errors import Status
from maze.grammar import compile_constraints
from maze.options import PromptForm
from maze.outcome import ValidationResult
from maze.result import GenerationResult


def pattern(*texts: str) -> ConstraintIR:
    return ConstraintIR(regex_patterns=texts)


def schema(value: object) -> ConstraintIR:
    return ConstraintIR(json_schema=json.dumps(value))


POINT = schema(
    {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "name": {"type": "string"}},
        "required": ["x", "name"],
        "additionalProperties": False,
    }
)
COLOUR = pattern("^(red|green|blue)$")
CALL = ConstraintIR(grammar='root ::= "fn" [a-z]+ "("')
CHECKED = [schema({"not": {"type": "string"}}), ConstraintIR(grammar='root ::= ([^~()] | "(" root ")")*', priority=9)]
"""A schema that is only checked, as the grammar beside it is enforced."""


def cut_off(text: str, *constraints: ConstraintIR) -> GenerationResult:
    backend = ScriptedBackend([text], FINISHED_LENGTH)
    with Orchestrator(MazeConfig(), backend=backend) as maze:
        return maze.generate(Intent("x"), constraints, GenerationOptions(max_tokens=5))


@pytest.mark.parametrize(
    ("text", "constraints", "where"),
    [
        ("The sky", [COLOUR], "constraints[0].regex_patterns[0] is not satisfied at byte 0"),
        ("rex", [COLOUR], "constraints[0].regex_patterns[0] is not satisfied at byte 2"),
        ("redd", [COLOUR], "constraints[0].regex_patterns[0] is not satisfied at byte 3"),
        ("The", [POINT], "constraints[0].json_schema is not satisfied at byte 0"),
        ('{"x":"1', [POINT], "constraints[0].json_schema is not satisfied at byte 5"),
        ('{"y', [POINT], "constraints[0].json_schema is not satisfied at byte 2"),
        ('{"x":1,"name":"a"} and', [POINT], "constraints[0].json_schema is not satisfied at byte 18"),
        ("func", [CALL], "constraints[0].grammar is not satisfied at byte 1"),
        ("fn(", [CALL], "constraints[0].grammar is not satisfied at byte 2"),
        ("ab1", [pattern("^[a-z]+$"), pattern("z$")], "constraints[0].regex_patterns[0] is not satisfied at byte 2"),
        (
            "é9",
            [pattern("^[à-ü]+!$")],
            "constraints[0].regex_patterns[0] is not satisfied at byte 2 (line 1, column 2)",
        ),
        (
            '{"x":1}',
            [POINT, pattern("^.{20}$")],
            "constraints[0].json_schema, constraints[1].regex_patterns[0] is not satisfied at byte 6",
        ),
    ],
)
def test_a_text_that_an_enforced_constraint_rules_out_says_that_the_engine_does_not_enforce(
    text: str, constraints: list[ConstraintIR], where: str
) -> None:
    result = cut_off(text, *constraints)
    assert (result.status, result.code) == (Status.CONSTRAINT_VIOLATED, text)
    assert where in str(result.error)
    assert "the engine did not enforce it" in str(result.error)
    assert "raise max_tokens" not in str(result.error)
    assert result.metadata.finish_reason == FINISHED_LENGTH
    assert result.provenance is not None


@pytest.mark.parametrize(
    ("text", "constraints"),
    [
        ("re", [COLOUR]),
        ("", [COLOUR]),
        ("{", [POINT]),
        ('{"x":1,"name":"The sky', [POINT]),
        ('{"x":1,"name":"\\u00', [POINT]),
        ("fna", [CALL]),
        ("abc", [pattern("z$")]),
        ("f", [CALL, pattern("xyz")]),
        ("[[", CHECKED),
        ('  [1, {"a": "b', CHECKED),
        ("nul", CHECKED),
        ("-1.5e", CHECKED),
    ],
)
def test_a_text_that_could_go_on_says_to_raise_max_tokens(text: str, constraints: list[ConstraintIR]) -> None:
    result = cut_off(text, *constraints)
    assert (result.status, result.code) == (Status.TRUNCATED, text), result.error
    assert "raise max_tokens (it was 5)" in str(result.error)


@pytest.mark.parametrize("half", ["\ufffd", "\ufffd\ufffd"])
def test_a_character_that_was_cut_in_two_rules_nothing_out(half: str) -> None:
    assert cut_off(f'{{"x":1,"name":"é{half}', POINT).status is Status.TRUNCATED
    assert cut_off(half, COLOUR).status is Status.TRUNCATED
    assert cut_off(f"x{half}", COLOUR).status is Status.CONSTRAINT_VIOLATED


@pytest.mark.parametrize(
    ("text", "constraints", "where"),
    [
        ("The sky", CHECKED, "constraints[0].json_schema is not satisfied at byte 0"),
        ('{"a": tru3', CHECKED, "constraints[0].json_schema is not satisfied at byte 9"),
        ("[1] 2", CHECKED, "constraints[0].json_schema is not satisfied at byte 3"),
    ],
)
def test_a_text_that_a_checked_constraint_rules_out_says_to_generate_again(
    text: str, constraints: list[ConstraintIR], where: str
) -> None:
    result = cut_off(text, *constraints)
    assert (result.status, result.code) == (Status.CONSTRAINT_VIOLATED, text)
    assert where in str(result.error)
    assert "generate again" in str(result.error)


@pytest.mark.parametrize(
    ("dialect", "play"),
    [
        ("maze", stream(token("The sky"), summary(finish_reason="length", constraint_satisfied=False), DONE)),
        ("maze", stream(token("The sky"), summary(finish_reason="length", constraint_satisfied=None), DONE)),
        ("maze", answer(200, {"generated_text": "The sky", "finish_reason": "length", "constraint_satisfied": False})),
        ("vllm", stream(choice("The sky"), choice("", finish_reason="length"), DONE)),
        ("sglang", stream(choice("The sky", finish_reason="length"), DONE)),
        ("llama.cpp", stream(llama("The sky"), llama_end(stop_type="limit"))),
    ],
)
def test_the_same_is_said_of_every_kind_of_service(dialect: str, play: object) -> None:
    questions = () if dialect == "maze" else (models("x", n_vocab=100), answer(200, {"version": "1"}))
    with (
        FaultServer(*questions, play) as server,  # type: ignore[arg-type]
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=dialect)) as maze,
    ):
        result = maze.generate(Intent("x"), [COLOUR], GenerationOptions(max_tokens=5, prompt_form=PromptForm.RAW))
    assert (result.status, result.code) == (Status.CONSTRAINT_VIOLATED, "The sky")
    assert "the engine did not enforce it" in str(result.error)


def test_a_service_that_calls_a_text_cut_off_that_could_go_on_is_believed() -> None:
    play = stream(token("re"), summary(finish_reason="length", constraint_satisfied=False), DONE)
    with FaultServer(play) as server:
        config = MazeConfig(endpoint=server.url, dialect="maze")
        with Orchestrator(config) as maze:
            result = maze.generate(Intent("x"), [COLOUR], GenerationOptions(max_tokens=5))
    assert (result.status, result.code) == (Status.TRUNCATED, "re")


@pytest.mark.parametrize(
    ("constraints", "options", "advice"),
    [
        (CHECKED, GenerationOptions(), "generate again, with another seed if you gave one, or relax the constraints"),
        (CHECKED, GenerationOptions(temperature=0.0), "the text is the same again at temperature 0"),
    ],
)
def test_the_advice_is_one_that_can_change_something(
    constraints: list[ConstraintIR], options: GenerationOptions, advice: str
) -> None:
    with Orchestrator(MazeConfig(), backend=ScriptedBackend(['"a text"'])) as maze:
        result = maze.generate(Intent("x"), constraints, options)
    assert result.status is Status.CONSTRAINT_VIOLATED
    assert advice in str(result.error)


def test_whether_a_text_could_go_on_is_asked_no_longer_than_the_call_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_that_takes_all_the_time(text: bytes, compiled: CompiledConstraints, limit: TimeLimit) -> ValidationResult:
        found = validate(text, compiled, limit)
        while time.monotonic() < ends_at:
            time.sleep(0.01)
        return found

    monkeypatch.setattr(cut_off_module, "validate", check_that_takes_all_the_time)
    compiled = compile_constraints([COLOUR])
    ends_at = time.monotonic() + 0.2
    assert judge(b"The sky", compiled, ends_at, may_be_cut_off=True).hopeless is None
    ends_at = 0.0
    assert judge(b"The sky", compiled, may_be_cut_off=True).hopeless is not None
