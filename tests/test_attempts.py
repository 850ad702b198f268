"""maze.attempt and maze.provenance: attempts after a text that breaks what is only checked, and records of failures."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fault_server import (
    DONE,
    Exchange,
    FaultServer,
    Play,
    answer,
    by_path,
    event,
    refused_port,
    reset,
    stall,
    stream,
    summary,
    token,
    unfinished,
)
from http_calls import backend_for
from scripted_backend import ScriptedBackend, raising
from test_dialects import llama, llama_end, models

from maze.backends.base import FINISHED_LENGTH, Cancellation, Completion, OnText, Request
from maze.config import MazeConfig
from maze.engine.embedded import EmbeddedEngine
from maze.errors import EngineUnavailableError, Status
from maze.options import GenerationOptions, PromptForm, Role
from maze.orchestrator import Orchestrator
from maze.result import GenerationResult
from maze.types import ConstraintIR, Intent

INTENT = Intent("List fruits.")
DIFFERENT = ConstraintIR(json_schema='{"type":"array","items":{"type":"string"},"uniqueItems":true}')
"""That they differ is only checked."""
DIGITS = ConstraintIR(regex_patterns=("^[0-9]+$",))
TWICE, ONCE = '["a","a"]', '["a","b"]'


class AnswersInTurn(ScriptedBackend):
    """Plays one script after the other, and the last again and again."""

    def __init__(self, *scripts: Sequence[str | Callable[[Request], None]], finish_reason: str = "stop") -> None:
        super().__init__(scripts[0], finish_reason)
        self.scripts = scripts

    def generate(self, request: Request, on_text: OnText) -> Completion:
        self.script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        return super().generate(request, on_text)


def call(
    backend: ScriptedBackend,
    options: GenerationOptions | None = None,
    *,
    constraint: ConstraintIR = DIFFERENT,
    on_text: OnText | None = None,
    config: MazeConfig | None = None,
) -> GenerationResult:
    with Orchestrator(config or MazeConfig(), backend=backend) as maze:
        return maze.generate(INTENT, [constraint], options, on_text=on_text)


def test_a_text_that_breaks_what_is_only_checked_is_tried_again_with_the_next_seed() -> None:
    backend = AnswersInTurn([TWICE], [ONCE])
    result = call(backend, GenerationOptions(seed=2**32 - 1))
    assert (result.success, result.code, result.error) == (True, ONCE, None)
    assert [request.seed for request in backend.requests] == [2**32 - 1, 0]
    first, second = result.metadata.attempts
    assert (first.seed, first.status, first.finish_reason) == (2**32 - 1, Status.CONSTRAINT_VIOLATED, "stop")
    (violated,) = first.violations
    assert (violated.path, violated.violations[0].pointer) == ("constraints[0].json_schema", "")
    assert "uniqueItems" in str(first.error)
    assert (second.seed, second.status, second.violations, second.error) == (0, Status.OK, (), None)
    assert result.provenance is not None
    assert result.provenance.parameters["seed"] == 0


def test_tokens_and_times_are_those_of_all_attempts_together() -> None:
    metadata = call(AnswersInTurn([TWICE], ["[", '"a"]'])).metadata
    assert [attempt.tokens_generated for attempt in metadata.attempts] == [1, 2]
    assert (metadata.tokens_generated, metadata.prompt_tokens) == (3, 6)
    assert metadata.total_time_ms >= sum(attempt.total_time_ms for attempt in metadata.attempts)


def test_thoughts_count_in_every_attempt_and_the_last_are_shown() -> None:
    class ThinksAloud(AnswersInTurn):
        def generate(self, request: Request, on_text: OnText) -> Completion:
            made = super().generate(request, on_text)
            number = len(self.requests)
            return replace(made, tokens_generated=10, reasoning=f"thought {number}", reasoning_tokens=number)

    metadata = call(ThinksAloud([TWICE], [ONCE]), GenerationOptions(reasoning_tokens=9)).metadata
    assert (metadata.tokens_generated, metadata.reasoning_tokens, metadata.reasoning) == (20, 3, "thought 2")


def test_the_log_shows_no_text_that_was_generated_or_is_to_be_continued_unless_it_traces(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "maze")
    short = ConstraintIR(json_schema='{"type":"array","items":{"maxLength":9},"uniqueItems":true}')
    assert "grapefruit" in (call(ScriptedBackend(['["grapefruit"]']), constraint=short).error or "")
    assert "papaya" in (call(ScriptedBackend([ONCE]), GenerationOptions(continue_from="papaya")).error or "")
    assert "CONSTRAINT_VIOLATED" in caplog.text
    assert "CONTRADICTION" in caplog.text
    assert "fruit" not in caplog.text
    assert "papaya" not in caplog.text


def test_three_attempts_are_made_and_each_is_told() -> None:
    backend = ScriptedBackend([TWICE])
    result = call(backend)
    assert (result.status, len(backend.requests)) == (Status.CONSTRAINT_VIOLATED, 3)
    assert "(3 attempts were made)" in str(result.error)
    seeds = [attempt.seed for attempt in result.metadata.attempts]
    assert seeds == [(seeds[0] + number) % 2**32 for number in range(3)]


@pytest.mark.parametrize(
    ("options", "config", "made"),
    [
        (GenerationOptions(max_attempts=5), MazeConfig(), 5),
        (GenerationOptions(max_attempts=1), MazeConfig(max_attempts=4), 1),
        (GenerationOptions(), MazeConfig(max_attempts=4), 4),
    ],
)
def test_the_call_says_how_many_attempts_and_else_the_configuration(
    options: GenerationOptions, config: MazeConfig, made: int
) -> None:
    assert len(call(ScriptedBackend([TWICE]), options, config=config).metadata.attempts) == made


@pytest.mark.parametrize(
    ("backend", "constraint", "status"),
    [
        (ScriptedBackend(["ab"]), DIGITS, Status.CONSTRAINT_VIOLATED),
        (ScriptedBackend(['["a"'], FINISHED_LENGTH), DIFFERENT, Status.TRUNCATED),
        (ScriptedBackend([raising(EngineUnavailableError("gone"))]), DIFFERENT, Status.ENGINE_UNAVAILABLE),
        (ScriptedBackend([ONCE]), DIFFERENT, Status.OK),
    ],
)
def test_there_is_one_attempt_where_another_seed_could_not_help(
    backend: ScriptedBackend, constraint: ConstraintIR, status: Status
) -> None:
    result = call(backend, GenerationOptions(max_attempts=3), constraint=constraint)
    assert (result.status, len(backend.requests), len(result.metadata.attempts)) == (status, 1, 1)


def test_text_that_was_handed_out_is_not_taken_back() -> None:
    pieces: list[str] = []
    backend = AnswersInTurn([TWICE], [ONCE])
    result = call(backend, on_text=pieces.append)
    assert (pieces, result.status, len(backend.requests)) == ([TWICE], Status.CONSTRAINT_VIOLATED, 1)


def test_an_attempt_that_handed_out_nothing_may_be_followed_by_another_in_a_stream() -> None:
    pieces: list[str] = []
    assert call(AnswersInTurn([], [ONCE]), on_text=pieces.append).success
    assert pieces == [ONCE]


def test_a_chat_is_told_what_is_wrong_with_its_last_text_and_a_raw_prompt_is_not() -> None:
    backend = AnswersInTurn([TWICE], ['["b","b"]'], [ONCE])
    assert call(backend).success
    first, *others = [request.prompt for request in backend.requests]
    assert first.messages == ()
    for prompt, wrong in zip(others, (TWICE, '["b","b"]'), strict=True):
        assert [message.role for message in prompt.messages] == [Role.USER, Role.ASSISTANT]
        assert prompt.messages[0].text == first.turn()
        assert prompt.messages[1].text == wrong
        assert "line 1, column 1" in prompt.text
        assert "items that all differ" in prompt.text
    backend = AnswersInTurn([TWICE], [ONCE])
    assert call(backend, GenerationOptions(prompt_form=PromptForm.RAW)).success
    assert backend.requests[0].prompt == backend.requests[1].prompt


def test_what_a_chat_is_told_is_bounded() -> None:
    records = ConstraintIR(
        json_schema=json.dumps({"type": "array", "items": {"type": "array", "items": {}, "uniqueItems": True}})
    )
    backend = AnswersInTurn([json.dumps([["x" * 1000] * 2] * 200)], ["[]"])
    assert call(backend, constraint=records).success
    prompt = backend.requests[1].prompt
    assert len(prompt.text) < 6_000
    assert "- and 184 more" in prompt.text
    assert len(prompt.messages[1].text) == 8_000


@pytest.mark.parametrize(("form", "made"), [(PromptForm.RAW, 1), (PromptForm.CHAT, 3)])
def test_at_temperature_0_another_attempt_is_made_only_where_the_model_is_told(form: PromptForm, made: int) -> None:
    backend = ScriptedBackend([TWICE])
    result = call(backend, GenerationOptions(temperature=0.0, prompt_form=form))
    assert (result.status, len(backend.requests)) == (Status.CONSTRAINT_VIOLATED, made)


def test_a_failure_of_the_engine_after_a_text_that_broke_something_tells_both() -> None:
    result = call(AnswersInTurn([TWICE], [raising(EngineUnavailableError("gone"))]))
    assert result.status is Status.ENGINE_UNAVAILABLE
    assert str(result.error).startswith("gone (in attempt 2; the one before: the generated text breaks its constraints")
    assert [attempt.status for attempt in result.metadata.attempts] == [
        Status.CONSTRAINT_VIOLATED,
        Status.ENGINE_UNAVAILABLE,
    ]
    assert result.metadata.tokens_generated is None, "the second attempt told none"


def test_all_attempts_have_one_deadline() -> None:
    def outwait(request: Request) -> None:
        threading.Event().wait(request.deadline.remaining_secs() + 0.01)

    backend = AnswersInTurn([TWICE], [outwait, ONCE])
    result = call(backend, GenerationOptions(timeout_ms=1_500))
    assert (result.status, len(backend.requests)) == (Status.TIMED_OUT, 2)
    assert backend.requests[0].deadline is backend.requests[1].deadline


def test_each_intent_of_a_batch_has_attempts_of_its_own() -> None:
    with Orchestrator(MazeConfig(), backend=ScriptedBackend([TWICE])) as maze:
        results = maze.generate_batch([INTENT] * 3, [DIFFERENT], GenerationOptions(max_attempts=2))
    assert [len(result.metadata.attempts) for result in results] == [2, 2, 2]


# ------------------------------------------------------------------------------------------------ failures on record


def cancelled_after(text: str) -> GenerationResult:
    cancellation = Cancellation()

    def cancel(_: Request) -> None:
        cancellation.cancel("cancelled: enough")

    with Orchestrator(MazeConfig(), backend=ScriptedBackend([text, cancel, "x"])) as maze:
        return maze.generate(INTENT, [DIGITS], GenerationOptions(seed=3), cancellation=cancellation, request_id="r-1")


def test_a_cancelled_call_is_on_record_as_far_as_it_is_known() -> None:
    result = cancelled_after("12")
    assert (result.status, result.code) == (Status.CANCELLED, "12")
    provenance, metadata = result.provenance, result.metadata
    assert provenance is not None
    assert (provenance.backend, provenance.model) == ("scripted", None)
    said = provenance.parameters
    assert (said["request_id"], said["seed"], said["prompt"]) == ("r-1", 3, "List fruits.")
    assert provenance.grammar_digest is not None
    assert (metadata.finish_reason, metadata.tokens_generated, metadata.prompt_tokens) == ("cancelled", None, None)
    assert metadata.first_token_ms is not None
    assert metadata.first_token_ms <= metadata.total_time_ms
    assert (metadata.validation_time_ms, metadata.time_per_token_us) == (None, None)
    (attempt,) = metadata.attempts
    assert (attempt.seed, attempt.status, attempt.finish_reason) == (3, Status.CANCELLED, "cancelled")


@pytest.mark.parametrize(
    ("constraint", "step", "status", "finish_reason"),
    [
        (DIGITS, raising(EngineUnavailableError("gone")), Status.ENGINE_UNAVAILABLE, "error"),
        (ConstraintIR(regex_patterns=("^a$", "^b$")), "x", Status.CONTRADICTION, ""),
        (ConstraintIR(json_schema="{"), "x", Status.INVALID_CONSTRAINT, ""),
    ],
)
def test_every_failed_call_has_its_provenance(
    constraint: ConstraintIR, step: str | Callable[[Request], None], status: Status, finish_reason: str
) -> None:
    options = GenerationOptions(model="a-model", seed=5)
    result = call(ScriptedBackend([step]), options, constraint=constraint)
    assert result.status is status
    provenance, metadata = result.provenance, result.metadata
    assert provenance is not None
    assert (provenance.backend, provenance.model, provenance.parameters["seed"]) == ("scripted", "a-model", 5)
    assert len(provenance.parameters["request_id"]) == 32
    assert metadata.finish_reason == finish_reason
    assert metadata.first_token_ms is None
    if finish_reason:
        assert (metadata.tokens_generated, len(metadata.attempts)) == (None, 1)
    else:
        assert (metadata.tokens_generated, metadata.attempts, metadata.compile_time_ms) == (0, (), None)
        assert provenance.grammar_digest is None


def known_of_engine(*plays: Play, dialect: str, **options: Any) -> tuple[GenerationResult, dict[str, Any]]:  # noqa: ANN401
    """A call that fails at a server, and what its record says of the engine but for the address."""
    questions = {"v1_models": models("vllm"), "version": answer(200, {"version": "0.32.0"}), "health": answer(200, b"")}
    left = list(plays)

    def play(exchange: Exchange) -> None:
        if exchange.received.method == "GET" and dialect != "maze":
            by_path(**questions)(exchange)
        else:
            (left.pop(0) if len(left) > 1 else left[0])(exchange)

    with (
        FaultServer(play) as server,
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=dialect, model="first")) as maze,
    ):
        result = maze.generate(INTENT, [DIGITS], GenerationOptions(**options))
        assert not result.success
        assert result.provenance is not None
        engine = dict(result.provenance.engine)
        assert engine.pop("endpoint") == server.url
    return result, engine


VLLM = {"dialect": "vllm", "version": "0.32.0"}
OPENAI = {"dialect": "openai", "response_format": "none"}


@pytest.mark.usefixtures("backends_are_closed")
@pytest.mark.parametrize(
    ("dialect", "play", "engine"),
    [
        ("vllm", answer(400, {"error": "no"}), VLLM | {"prompt_form": "chat"}),
        ("vllm", stream(event({"choices": [{"delta": {"content": "1"}}]}), event({"error": "x"})), VLLM),
        ("vllm", stream(event({"choices": [{"delta": {"content": "1"}}]})), VLLM),
        ("maze", stream(token("1"), summary(constraint_satisfied=False), DONE), {"stats": {"total_time_ms": 7}}),
        ("maze", answer(401, b""), {"dialect": "maze"}),
        ("openai", stream(event({"choices": [{"delta": {"refusal": "no"}, "finish_reason": "stop"}]})), OPENAI),
        ("openai", unfinished(event({"choices": [{"delta": {"content": "1"}}]}), then=stall), OPENAI),
    ],
)
def test_a_failed_call_tells_what_was_known_of_the_engine(dialect: str, play: Play, engine: dict[str, Any]) -> None:
    _, known = known_of_engine(play, dialect=dialect, timeout_ms=700)
    assert known | engine == known


@pytest.mark.usefixtures("backends_are_closed")
def test_an_engine_that_is_not_there_is_named_by_its_address() -> None:
    with refused_port() as port:
        url = f"http://127.0.0.1:{port}"
        with Orchestrator(MazeConfig(), backend=backend_for(url, dialect=None)) as maze:
            provenance = maze.generate(INTENT).provenance
    assert provenance is not None
    assert provenance.engine == {"endpoint": url}


@pytest.mark.usefixtures("backends_are_closed")
@pytest.mark.parametrize("thinking", [True, False])
def test_what_was_thought_before_a_failure_is_told_apart_from_the_code(thinking: bool) -> None:
    """By llama.cpp's server, which is asked for it in a request of its own."""
    told = (models("llamacpp"), answer(200, {"build_info": "b7"}), answer(200, {"prompt": "<user>hi<bot>"}))
    thought = stream(llama("Let me see.\n"), llama_end(stop_type="word", tokens_predicted=5))

    def thinks_slowly(exchange: Exchange) -> None:
        time.sleep(0.2)
        thought(exchange)

    breaks_off = unfinished(llama("1", tokens_predicted=1), then=reset)
    with (
        FaultServer(*told, *(() if thinking else (thinks_slowly,)), breaks_off) as server,
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=None)) as maze,
    ):
        result = maze.generate(INTENT, [DIGITS], GenerationOptions(reasoning_tokens=9))
    assert not result.success
    told_apart = ("", "1", 1, 1) if thinking else ("1", "Let me see.", 5, 6)
    metadata = result.metadata
    assert (result.code, metadata.reasoning, metadata.reasoning_tokens, metadata.tokens_generated) == told_apart
    assert (metadata.first_token_ms is None) is thinking, "thoughts are no text of the answer"
    assert thinking or (metadata.first_token_ms or 0) > 200
    assert metadata.time_per_token_us is None, "one token of the answer has nothing behind it"


@pytest.fixture
def embedded(embedded_backend: EmbeddedEngine) -> Orchestrator:
    return Orchestrator(MazeConfig(), backend=embedded_backend)  # not closed, as the engine is that of all tests


def test_a_cancelled_call_of_the_embedded_model_tells_the_model_and_the_tokens_that_came(
    embedded: Orchestrator,
) -> None:
    pieces: list[str] = []

    def take(piece: str) -> bool:
        pieces.append(piece)
        return len(pieces) < 3

    constraint = ConstraintIR(regex_patterns=("^[a-z ]{200}$",))
    result = embedded.generate(INTENT, [constraint], GenerationOptions(max_tokens=100), on_text=take)
    assert (result.status, result.code) == (Status.CANCELLED, "".join(pieces))
    assert result.provenance is not None
    assert result.provenance.model == embedded.models()[0]
    assert result.provenance.engine.keys() >= {"xllamacpp", "dialect", "prompt_form"}
    assert (result.metadata.tokens_generated or 0) >= 3
    assert result.metadata.finish_reason == "cancelled"


def test_the_embedded_model_is_asked_again_until_what_is_only_checked_is_satisfied(embedded: Orchestrator) -> None:
    items = {"type": "string", "maxLength": 2}
    schema = {"type": "array", "items": items, "minItems": 4, "maxItems": 5, "uniqueItems": True}
    constraint = ConstraintIR(json_schema=json.dumps(schema))
    made = []
    for seed in range(0, 100, 10):
        options = GenerationOptions(temperature=0.5, max_tokens=100, max_attempts=10, timeout_ms=60_000, seed=seed)
        result = embedded.generate(Intent("Write JSON: a, a, a, a."), [constraint], options)
        if result.success:
            texts = json.loads(result.code)
            assert len(set(texts)) == len(texts)
        made.append((result.status.name, len(result.metadata.attempts)))
        if result.success and len(result.metadata.attempts) > 1:
            return
    pytest.fail(f"no call took a second attempt and succeeded: {made}")
