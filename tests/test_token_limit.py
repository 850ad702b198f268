"""max_tokens is held against engines that do not hold to it themselves."""

from __future__ import annotations

from typing import Any

import pytest
from fault_server import DONE, STREAM_HEAD, Answer, FaultServer, answer, chunk, endlessly, stream, summary, token
from http_calls import ask, backend_for, generate
from test_dialects import USAGE, choice, llama, llama_end, models

from maze import GenerationOptions, Intent, MazeConfig, Orchestrator
from maze.backends.token_limit import MAX_TOKEN_BYTES
from maze.compiled import TokenMask
from maze.errors import BadResponseError, Status

pytestmark = pytest.mark.usefixtures("backends_are_closed")

LIMIT = 3
MASK = TokenMask(allowed=frozenset({5}), forbidden=frozenset())


def refused(dialect: str, play: Any, **changes: Any) -> BadResponseError:  # noqa: ANN401 - plays and fields of Request
    with (
        FaultServer(models("x", n_vocab=100), answer(200, {"version": "1"}), play)
        if dialect != "maze"
        else FaultServer(play) as server,
        pytest.raises(BadResponseError, match=r"the service ignores the limit") as caught,
    ):
        generate(backend_for(server.url, dialect=dialect), ask(max_tokens=LIMIT, **changes))
    return caught.value


def test_a_service_that_goes_on_for_ever_is_cut_off_by_the_size_of_its_text() -> None:
    error = refused("maze", Answer(STREAM_HEAD, endlessly(chunk(token("x")) * 50)))
    assert f"over {LIMIT * MAX_TOKEN_BYTES} bytes" in str(error)
    assert error.partial_text == "x" * (LIMIT * MAX_TOKEN_BYTES)


def test_five_thousand_events_for_a_limit_of_three_are_no_success_whatever_the_service_counts() -> None:
    play = stream(*[token("x")] * 5000, summary(tokens_generated=LIMIT, finish_reason="length"), DONE)
    with FaultServer(play) as server:
        config = MazeConfig(endpoint=server.url, dialect="maze")
        with Orchestrator(config) as maze:
            result = maze.generate(Intent("x"), (), GenerationOptions(max_tokens=LIMIT))
    assert result.status is Status.BAD_RESPONSE
    assert result.code == "x" * (LIMIT * MAX_TOKEN_BYTES)


@pytest.mark.parametrize("dialect", ["vllm", "sglang"])
def test_a_completion_that_goes_on_for_ever_is_cut_off(dialect: str) -> None:
    error = refused(dialect, Answer(STREAM_HEAD, endlessly(chunk(choice("€" * 10)))))
    assert set(error.partial_text) == {"€"}


def test_a_llama_cpp_server_that_goes_on_for_ever_is_cut_off_by_its_own_count() -> None:
    events = [llama(f"{number}", tokens_predicted=number) for number in range(1, 100)]
    assert refused("llama.cpp", stream(*events)).partial_text == "123"
    assert refused("llama.cpp", Answer(STREAM_HEAD, endlessly(chunk(llama("x" * 100))))).partial_text


@pytest.mark.parametrize(
    ("dialect", "play"),
    [
        ("maze", stream(token("ab"), summary(tokens_generated=4), DONE)),
        ("maze", answer(200, {"generated_text": "ab", "tokens_generated": 4, "finish_reason": "stop"})),
        ("vllm", stream(choice("ab", finish_reason="stop"), USAGE.replace(b":3", b":4"), DONE)),
        ("sglang", stream(choice("ab", finish_reason="length"), USAGE.replace(b":3", b":5000"), DONE)),
        ("llama.cpp", stream(llama("ab"), llama_end(tokens_predicted=4))),
    ],
)
def test_a_service_that_counts_more_tokens_than_were_asked_for_is_wrong(dialect: str, play: Any) -> None:  # noqa: ANN401
    error = refused(dialect, play)
    assert "tokens, by its own count, where max_tokens is 3" in str(error)
    assert error.partial_text == "ab"


@pytest.mark.parametrize(
    ("dialect", "event"), [("vllm", choice("x", token_ids=[5])), ("llama.cpp", llama("x", tokens=[5]))]
)
def test_ids_that_are_told_are_counted(dialect: str, event: bytes) -> None:
    error = refused(dialect, Answer(STREAM_HEAD, endlessly(chunk(event))), grammar=None, token_mask=MASK)
    assert error.partial_text == "xxx"


def test_an_answer_of_one_piece_is_held_to_the_limit() -> None:
    text = "x" * (LIMIT * MAX_TOKEN_BYTES + 1)
    assert "bytes, which no 3 tokens" in str(refused("maze", answer(200, {"generated_text": text})))


def test_a_token_may_come_in_pieces_and_several_in_one() -> None:
    pieces = stream(*map(token, " " * 128), summary(tokens_generated=1), DONE)
    with FaultServer(pieces) as server:
        assert generate(backend_for(server.url), ask(max_tokens=1))[0].text == " " * 128
    with FaultServer(stream(token("x" * 128 * LIMIT), summary(tokens_generated=LIMIT), DONE)) as server:
        assert generate(backend_for(server.url), ask(max_tokens=LIMIT))[0].tokens_generated == LIMIT


def test_pieces_of_a_service_that_does_not_count_are_no_more_tokens_than_were_asked_for() -> None:
    with FaultServer(stream(*map(token, "hello"), summary(tokens_generated=None), DONE)) as server:
        assert generate(backend_for(server.url), ask(max_tokens=LIMIT))[0].tokens_generated == LIMIT
