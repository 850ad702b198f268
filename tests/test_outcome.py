"""maze.outcome and maze.result: what they are as a truth, as an exception and in short."""

from __future__ import annotations

import pickle

import pytest
from scripted_backend import ScriptedBackend, raising

from maze import ConstraintIR, Intent, MazeConfig, MazeError, Orchestrator, Status
from maze.errors import ConstraintViolatedError, RateLimitedError, UnsupportedConstraintError, error_of
from maze.options import ConstraintOptions, GenerationOptions, OnUnenforceable

COLOUR = [ConstraintIR(regex_patterns=("^(red|blue)$",), name="colour")]
REPORT = ConstraintOptions(on_unenforceable=OnUnenforceable.REPORT)


def orchestrator(*pieces: str) -> Orchestrator:
    return Orchestrator(MazeConfig(), backend=ScriptedBackend(list(pieces)))


def test_a_validation_is_true_where_the_text_is_satisfied_alone() -> None:
    with orchestrator() as maze:
        assert maze.validate("red", COLOUR)
        assert not maze.validate("green", COLOUR)
        assert not maze.validate("x", [ConstraintIR(regex_patterns=("(a*)\\1",))], None, REPORT)


def test_a_result_is_true_where_it_is_a_success_alone() -> None:
    with orchestrator("re", "d") as maze:
        assert maze.generate(Intent("a colour"), COLOUR)
        assert not maze.generate(Intent(""), COLOUR)
    with orchestrator("green") as maze:
        assert not maze.generate(Intent("a colour"), COLOUR)


def test_raise_for_status_gives_a_success_back() -> None:
    with orchestrator("red") as maze:
        result = maze.generate(Intent("a colour"), COLOUR)
        assert result.raise_for_status() is result
        validation = maze.validate("red", COLOUR)
        assert validation.raise_for_status() is validation


def test_raise_for_status_raises_the_error_of_the_status_with_the_result_inside() -> None:
    with orchestrator("green") as maze:
        result = maze.generate(Intent("a colour"), COLOUR, GenerationOptions(max_attempts=1))
        validation = maze.validate("green", COLOUR)
        reported = maze.validate("x", [ConstraintIR(regex_patterns=("(a*)\\1",))], None, REPORT)
    with pytest.raises(ConstraintViolatedError) as of_result:
        result.raise_for_status()
    assert of_result.value.result is result
    assert (str(of_result.value), of_result.value.partial_text) == (result.error, "green")
    with pytest.raises(ConstraintViolatedError, match="the text breaks its constraints") as of_validation:
        validation.raise_for_status()
    assert of_validation.value.result is validation
    with pytest.raises(UnsupportedConstraintError, match="was neither enforced nor checked"):
        reported.raise_for_status()


def test_raise_for_status_of_a_failed_call_raises_what_the_engine_said() -> None:
    maze = Orchestrator(MazeConfig(), backend=ScriptedBackend([raising(RateLimitedError("come later"))]))
    with maze, pytest.raises(RateLimitedError, match="come later"):
        maze.generate(Intent("a colour")).raise_for_status()


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.OK, Status.STARTUP_FAILED}))
def test_every_failure_has_an_exception_of_its_own(status: Status) -> None:
    error = error_of(status, "what was wrong")
    assert (type(error).status, str(error)) == (status, "what was wrong")
    assert type(error) is not MazeError


def test_results_show_themselves_in_one_short_line() -> None:
    with orchestrator("red") as maze:
        compiled = maze.compile(COLOUR)
        assert compiled.grammar is not None
        size = len(compiled.grammar.rules)
        assert repr(compiled) == f"<CompiledConstraints: 1 enforced; grammar of {size} characters>"
        assert repr(maze.compile([])) == "<CompiledConstraints: no parts; no grammar>"
        assert repr(maze.generate(Intent("a colour"), COLOUR)) == "<GenerationResult OK, 1 token, stop: 'red'>"
        assert repr(maze.validate("red", COLOUR)) == "<ValidationResult: satisfied, 1 of 1 parts checked>"
        assert repr(maze.validate("r", COLOUR)).startswith(
            "<ValidationResult: the text breaks its constraints: constraints[0].regex_patterns[0] (colour) is not"
        )
    with orchestrator("a" * 100_000) as maze:
        assert len(repr(maze.generate(Intent("a colour")))) < 120


def test_a_validation_survives_the_way_from_a_worker() -> None:
    with orchestrator() as maze:
        validation = maze.validate("green", COLOUR)
    assert pickle.loads(pickle.dumps(validation)) == validation
