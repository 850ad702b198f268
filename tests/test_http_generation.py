"""A generation whose receiver, caller or service ends it early, or too late."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from fault_server import (
    DONE,
    STREAM_HEAD,
    Answer,
    Exchange,
    FaultServer,
    Play,
    answer,
    chunk,
    endlessly,
    event,
    fine,
    head,
    stall,
    stream,
    summary,
    token,
    unfinished,
)
from http_calls import LIMITS, PATIENT_MS, SHORT_MS, ask, backend_for, generate
from test_dialects import choice, llama, llama_end, models

from maze import ConstraintIR, GenerationOptions, Intent, MazeConfig, Orchestrator
from maze.backends.http.limits import Limits
from maze.errors import CancelledError, RequestRejectedError, TimedOutError, TruncatedError
from maze.options import PromptForm

pytestmark = pytest.mark.usefixtures("backends_are_closed")


ENDLESS = {
    "early hints": Answer(b"", endlessly(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 500)),
    "chunks of a byte": Answer(STREAM_HEAD, endlessly(b"1\r\n:\r\n" * 2000)),
    "events without text": Answer(STREAM_HEAD, endlessly(chunk(token("")) * 200)),
}
"""Each sends faster than it can be read, so that there is always something to read."""


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_server_that_never_pauses_holds_no_call_beyond_its_deadline(kind: str) -> None:
    request = ask(timeout_ms=SHORT_MS)
    watchdog = threading.Timer(PATIENT_MS / 1000, request.cancellation.cancel, ["it went on after its deadline"])
    watchdog.start()
    with FaultServer(ENDLESS[kind]) as server:
        with pytest.raises(TimedOutError, match=r"no complete answer within 400 ms"):
            generate(backend_for(server.url, limits=Limits(answer_bytes=2**40)), request)
        watchdog.cancel()


def test_a_receiver_that_returns_false_ends_the_call_and_the_connection() -> None:
    left: list[bool] = []

    def notice(exchange: Exchange) -> None:
        exchange.connection.settimeout(10)
        left.append(exchange.connection.recv(1) == b"")
        exchange.open = False

    with (
        FaultServer(unfinished(token("a"), then=notice)) as server,
        pytest.raises(CancelledError, match=r"the caller ended") as caught,
    ):
        backend_for(server.url).generate(ask(), lambda _: False)
    assert caught.value.partial_text == "a"
    assert left == [True]


@pytest.mark.parametrize(
    "play",
    [
        stall,
        Answer(STREAM_HEAD, stall),
        unfinished(token("a"), then=stall),
        # Here the end of the connection is the end of the answer, and a cancellation ends the connection.
        Answer(head(200, "Content-Type: text/event-stream") + token("a"), stall),
        Answer(head(200, "Content-Type: application/json") + b'{"generated_text"', stall),
    ],
)
def test_a_cancellation_ends_a_wait_at_once(play: Play) -> None:
    request = ask()

    def cancelling(exchange: Exchange) -> None:
        if isinstance(play, Answer):
            exchange.send(play.data)
        request.cancellation.cancel("the library was shut down")
        exchange.stall()

    with FaultServer(cancelling) as server, pytest.raises(CancelledError, match=r"the library was shut down"):
        generate(backend_for(server.url), request)
    assert not request.deadline.expired()


MUCH = [token("x")] * 500


@pytest.mark.parametrize(
    ("rest", "outcome"),
    [
        ((*MUCH, summary(generated_text="x" * 501), DONE), None),
        ((b"data: {", DONE), None),
        ((event({"error": {"code": 503, "message": "gone"}}), DONE), None),
        ((summary(generated_text="x"), DONE), "complete"),
    ],
    ids=["more text", "malformed", "error", "end"],
)
def test_what_has_arrived_already_does_not_prolong_a_call_that_is_over(
    rest: tuple[bytes, ...], outcome: str | None
) -> None:
    # One chunk, so that it arrives with the first text and nothing is waited for.
    with FaultServer(stream(b"".join((token("x"), *rest)))) as server:
        backend = backend_for(server.url)
        request = ask()
        pieces = []

        def cancel(piece: str) -> bool:
            pieces.append(piece)
            request.cancellation.cancel("enough")
            return True

        with pytest.raises(CancelledError, match="enough") as caught:
            backend.generate(request, cancel)
        assert (pieces, caught.value.partial_text) == (["x"], "x")

        late = ask(timeout_ms=300)

        def dawdle(piece: str) -> bool:
            pieces.append(piece)
            time.sleep(0.4)
            return True

        if outcome == "complete":  # an answer that is complete is not thrown away
            assert backend.generate(late, dawdle).text == "x"
        else:
            with pytest.raises(TimedOutError) as timed_out:
                backend.generate(late, dawdle)
            assert timed_out.value.partial_text == "x"
        assert pieces == ["x", "x"]


@pytest.mark.parametrize("code", [404, 405])
def test_an_error_within_a_stream_is_not_taken_for_a_service_without_streams(code: int) -> None:
    parts = (token("a"), event({"error": {"code": code, "message": "adapter gone"}, "done": True}), DONE)
    with FaultServer(stream(*parts), fine("whole")) as server:
        pieces: list[str] = []

        def take(piece: str) -> bool:
            pieces.append(piece)
            return True

        with pytest.raises(RequestRejectedError, match="adapter gone") as caught:
            backend_for(server.url).generate(ask(), take)
    assert (pieces, caught.value.partial_text, len(server.requests)) == (["a"], "a", 1)


@pytest.mark.parametrize("noise", [b": ping\n\n", token("")], ids=["comment", "empty token"])
def test_noise_does_not_prolong_the_time_for_the_next_text(noise: bytes) -> None:
    def chatter(exchange: Exchange) -> None:
        exchange.open = False
        while True:
            exchange.send(chunk(noise))
            time.sleep(0.05)

    limits = replace(LIMITS, gap_secs=0.3)
    with (
        FaultServer(unfinished(token("a"), then=chatter)) as server,
        pytest.raises(TimedOutError, match=r"no further text for 0\.3 s") as caught,
    ):
        generate(backend_for(server.url, limits=limits), ask())
    assert caught.value.partial_text == "a"


def test_an_empty_text_at_the_limit_is_an_error_that_says_what_to_do() -> None:
    parts = (summary(generated_text="", tokens_generated=16, finish_reason="length"), DONE)
    with FaultServer(stream(*parts)) as server, pytest.raises(TruncatedError, match=r"without any text; raise max_tok"):
        generate(backend_for(server.url), ask(grammar=None))


def test_a_cancelled_call_sends_nothing() -> None:
    request = ask()
    request.cancellation.cancel("too late")
    with FaultServer(fine()) as server, pytest.raises(CancelledError, match=r"too late"):
        generate(backend_for(server.url), request)
    assert server.requests == []


def test_an_error_of_the_receiver_reaches_the_caller_and_closes_the_connection() -> None:
    def broken(piece: str) -> bool:
        raise ZeroDivisionError(piece)

    with FaultServer(unfinished(token("a"), then=stall), fine()) as server:
        backend = backend_for(server.url)
        with pytest.raises(ZeroDivisionError):
            backend.generate(ask(), broken)
        assert generate(backend, ask())[0].text == "hello"
    assert server.connections == 2


CUT_OFF = {"finish_reason": "length", "tokens_generated": 7, "prompt_tokens": 4, "constraint_satisfied": False}
COUNTED = {"usage": {"completion_tokens": 7, "prompt_tokens": 4}}
FAILED = {"error": {"message": "out of luck"}}


@pytest.mark.parametrize(
    ("dialect", "events", "counts"),
    [
        ("maze", [token("re"), summary(**CUT_OFF), DONE], (7, 4)),
        ("maze", [token("re"), summary(**CUT_OFF)], (7, 4)),
        ("maze", [token("re"), event({**FAILED, "done": True, "tokens_generated": 7})], (7, None)),
        ("maze", [token("re"), event(FAILED)], (1, None)),
        ("maze", [token("re"), event({**FAILED, "tokens_generated": "many"})], (1, None)),
        ("vllm", [choice("re"), event({"choices": [], **COUNTED}), DONE], (7, 4)),
        ("vllm", [choice("re"), event({"choices": [], **COUNTED}), event({"choices": [], "usage": {}}), DONE], (7, 4)),
        ("vllm", [choice("re"), event({**FAILED, **COUNTED}), DONE], (7, 4)),
        ("vllm", [choice("re"), choice("", finish_reason="abort", usage=None), DONE], (1, None)),
        ("llama.cpp", [llama("re", tokens_predicted=7), llama("d"), event(FAILED)], (7, None)),
        ("llama.cpp", [llama("re"), llama_end(stop_type="other", tokens_predicted=7)], (1, None)),
    ],
)
def test_what_was_told_of_tokens_or_else_came_stays_in_the_record_of_a_generation_that_failed(
    dialect: str, events: list[bytes], counts: tuple[int | None, int | None]
) -> None:
    questions = () if dialect == "maze" else (models("x", n_vocab=100), answer(200, {"version": "1"}))
    with (
        FaultServer(*questions, stream(*events)) as server,
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=dialect)) as maze,
    ):
        as_it_stands = GenerationOptions(prompt_form=PromptForm.RAW)
        result = maze.generate(Intent("x"), [ConstraintIR(regex_patterns=("^redder$",))], as_it_stands)
    assert not result.success
    assert result.code.startswith("re")
    assert (result.metadata.tokens_generated, result.metadata.prompt_tokens) == counts
    assert result.metadata.first_token_ms is not None


def test_a_generation_that_nobody_was_asked_for_has_no_tokens() -> None:
    config = MazeConfig(endpoint="http://127.0.0.1:9", dialect="maze")
    with Orchestrator(config) as maze:
        assert maze.generate(Intent(""), ()).metadata.tokens_generated == 0
        assert maze.generate(Intent("x"), (), GenerationOptions(timeout_ms=300)).metadata.tokens_generated is None
