"""OpenAI's and Anthropic's protocols as products spell them: what has one meaning is read, the rest is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from fault_server import DONE, Answer, Exchange, FaultServer, answer, event, head, reset, stall, stream, unfinished
from http_calls import LIMITS, backend_for, generate
from http_calls import ask as ask_for
from test_openai import posted, service

from maze.backends.base import Completion, Prompt, Request
from maze.errors import (
    BadResponseError,
    ConfigurationError,
    EngineUnavailableError,
    MazeError,
    RateLimitedError,
    RequestRejectedError,
    UnauthorizedError,
)

pytestmark = pytest.mark.usefixtures("backends_are_closed")

HEY = {"content": "hey"}
COUNTS = {"prompt_tokens": 3, "completion_tokens": 2}


def choice(delta: object = None, reason: object = None, **more: object) -> bytes:
    """A chunk of a chat; `more` stands beside the choice."""
    return event({"choices": [{"index": 0, "delta": delta or {}, "finish_reason": reason}], **more})


STOP = choice(None, "stop")


def whole(**fields: object) -> Answer:
    return answer(200, {"model": "m", "choices": [{"index": 0, "message": HEY, "finish_reason": "stop", **fields}]})


def sent_as(content_type: str, data: bytes) -> Answer:
    fields = [f"Content-Type: {content_type}"] if content_type else []
    return Answer(head(200, *fields, f"Content-Length: {len(data)}") + data)


def read(play: Answer, dialect: str = "openai", **changes: Any) -> Completion:  # noqa: ANN401 - fields of Request
    with FaultServer(service(play)) as server:
        return generate(backend_for(server.url, dialect=dialect), ask(**changes))[0]


def failure_of(play: Answer, dialect: str = "openai") -> tuple[MazeError, int]:
    """The error, and how often the service was asked."""
    with FaultServer(service(play)) as server, pytest.raises(MazeError) as caught:
        generate(backend_for(server.url, dialect=dialect), ask())
    return caught.value, len(posted(server))


def ask(**changes: Any) -> Request:  # noqa: ANN401 - fields of Request
    return ask_for(**{"prompt": Prompt("Say hey."), "grammar": None, **changes})


# ------------------------------------------------------------------------------------------------ OpenAI's


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(stream(choice({"content": [{"type": "text", "text": "hey"}]}), STOP, DONE), id="parts"),
        pytest.param(stream(choice({"content": ["he", "y"]}), STOP, DONE), id="parts that are texts"),
        pytest.param(stream(choice({"content": {"text": "hey"}}), STOP, DONE), id="one part"),
        pytest.param(
            stream(choice(HEY), choice({"content": [{"type": "reference", "reference_ids": [1]}]}), STOP, DONE),
            id="references",
        ),
        pytest.param(
            stream(choice({"role": "assistant", "content": None}), choice(HEY), STOP, DONE), id="null, and the role"
        ),
        pytest.param(
            stream(
                event({"choices": [{"message": {"content": "he"}}]}),
                event({"choices": [{"message": {"content": "y"}}]}),
                STOP,
                DONE,
            ),
            id="messages for deltas",
        ),
        pytest.param(stream(event({"choices": [{"message": HEY, "finish_reason": "stop"}]}), DONE), id="one message"),
        pytest.param(
            stream(choice(HEY), event({"choices": [{"delta": {}, "message": HEY, "finish_reason": "stop"}]}), DONE),
            id="the whole once more",
        ),
        pytest.param(stream(event({"choices": [{"text": "hey"}]}), STOP, DONE), id="text"),
        pytest.param(stream(choice(HEY), DONE), id="no reason"),
        pytest.param(stream(choice(HEY, ""), STOP, DONE), id="an empty reason"),
        pytest.param(stream(choice(HEY, "null"), STOP, DONE), id="null as a text"),
        pytest.param(stream(choice(HEY), STOP, STOP, DONE), id="the reason twice"),
        pytest.param(stream(choice(HEY, model=5), STOP, DONE), id="a model that is none"),
        pytest.param(stream(event({"choices": None, "usage": {}}), choice(HEY), STOP, DONE), id="no choices"),
        pytest.param(stream(event({}), event({"type": "ping"}), choice(HEY), STOP, DONE), id="pings"),
        pytest.param(stream(choice({**HEY, "tool_calls": [], "refusal": ""}), STOP, DONE), id="nothing of tools"),
        pytest.param(stream(choice(HEY), choice(None, "stop", error={}), DONE), id="an empty error"),
        pytest.param(stream(choice(HEY), choice(None, "stop", error=""), DONE), id="an error without words"),
        pytest.param(
            stream(choice(HEY), event({"choices": [{"index": 1, "delta": {"content": "ho"}}]}), STOP, DONE),
            id="another choice",
        ),
        pytest.param(
            stream(event({"choices": [{"index": 1, "delta": {"content": "ho"}}, {"delta": HEY}]}), STOP, DONE),
            id="another choice beside it",
        ),
        pytest.param(sent_as("text/event-stream", b": busy\n\n:\n\n" + choice(HEY) + STOP + DONE), id="comments"),
        pytest.param(sent_as("text/event-stream", (choice(HEY) + STOP + DONE).replace(b"\n", b"\r\n")), id="CR LF"),
        pytest.param(
            sent_as("text/event-stream", (choice(HEY) + STOP + DONE).replace(b"data: ", b"data:")), id="no blank"
        ),
        *(
            pytest.param(sent_as(kind, choice(HEY) + STOP + DONE), id=f"events as {kind}")
            for kind in ("text/plain; charset=utf-8", "application/octet-stream", "application/json", "")
        ),
        *(
            pytest.param(sent_as(kind, orjson.dumps({"choices": [{"message": HEY}]})), id=f"an object as {kind}")
            for kind in ("text/event-stream", "text/json", "application/vnd.x+json", "text/plain", "")
        ),
        pytest.param(whole(message={"content": [{"type": "text", "text": "hey"}]}), id="parts of a whole answer"),
        pytest.param(whole(finish_reason=None), id="a whole answer without a reason"),
    ],
)
def test_a_text_is_read_however_a_product_spells_it(play: Answer) -> None:
    completion = read(play)
    assert (completion.text, completion.finish_reason) == ("hey", "stop")


@pytest.mark.parametrize(
    ("reason", "known_as"),
    [
        *((word, "stop") for word in ("eos", "EOS", "end_turn", "stop_sequence", "completed", "FINISH_REASON_STOP")),
        *((word, "length") for word in ("MAX_TOKENS", "model_length", "max_output_tokens", "context_length_exceeded")),
        ({"type": "length", "length": 3}, "length"),
    ],
)
def test_an_end_is_understood_in_every_word_for_it(reason: object, known_as: str) -> None:
    assert read(stream(choice(HEY), choice(None, reason), DONE)).finish_reason == known_as
    assert read(whole(finish_reason=reason)).finish_reason == known_as


@pytest.mark.parametrize(
    ("reason", "error", "says"),
    [
        ("SAFETY", RequestRejectedError, "a filter of the service withholds the text"),
        ("content_filter", RequestRejectedError, "a filter of the service withholds the text"),
        ("refusal", RequestRejectedError, "the model refuses"),
        ("network_error", EngineUnavailableError, "it gave up, with the finish reason 'network_error'"),
        ("tool_calls", BadResponseError, "calls a tool"),
        ("odd", BadResponseError, "its finish reason is 'odd'"),
        (1, BadResponseError, "its finish reason is a number"),
    ],
)
def test_the_text_before_a_bad_end_is_kept(reason: object, error: type[MazeError], says: str) -> None:
    """It is in the same event as the end, or in one before, or in an answer as a whole."""
    for play in (stream(choice(HEY, reason)), stream(choice(HEY), choice(None, reason)), whole(finish_reason=reason)):
        failure, asked = failure_of(play)
        assert isinstance(failure, error)
        assert says in str(failure)
        assert (failure.partial_text, asked) == ("hey", 1)


def test_without_a_reason_a_text_that_may_have_been_cut_off_is_not_called_finished() -> None:
    for play in (stream(choice({"content": "x" * 16}), DONE), whole(finish_reason=None, message={"content": "x" * 16})):
        failure, _ = failure_of(play)
        assert "without saying that the text is finished" in str(failure)
    assert read(stream(choice({"content": "x" * 16}, usage=COUNTS), DONE)).finish_reason == "stop"
    full = {"prompt_tokens": 3, "completion_tokens": 16}
    assert read(stream(choice({"content": "x" * 16}, usage=full), DONE)).finish_reason == "length"


def test_what_is_held_back_is_handed_out_where_only_the_end_of_the_stream_tells_that_it_is_over() -> None:
    assert read(stream(choice(HEY), DONE), stop=("y!",)).text == "hey"


@pytest.mark.parametrize(
    ("last", "counts"),
    [
        (choice(None, "stop", usage=None), (1, None)),
        (choice(None, "stop", usage=[]), (1, None)),
        (choice(None, "stop", usage={"prompt_tokens": 3.0, "completion_tokens": 2.0}), (2, 3)),
        (choice(None, "stop", usage={"prompt_tokens": "3", "completion_tokens": "2"}), (2, 3)),
        (choice(None, "stop", usage={"prompt_tokens": 3.5, "completion_tokens": -1}), (1, None)),
        (choice(None, "stop", usage={"prompt_tokens": 0, "completion_tokens": 0}), (1, None)),
        (choice(None, "stop", usage={"input_tokens": 3, "output_tokens": 2}), (2, 3)),
        (choice(None, "stop", x_groq={"usage": COUNTS}), (2, 3)),
        (STOP + event({"usage": COUNTS}), (2, 3)),
        (STOP + event({"choices": None, "usage": COUNTS}), (2, 3)),
        (event({"choices": [{"delta": {}, "finish_reason": "stop", "usage": COUNTS}]}), (2, 3)),
    ],
)
def test_counts_are_read_wherever_they_are_and_what_is_none_is_unknown(
    last: bytes, counts: tuple[int | None, int | None]
) -> None:
    completion = read(stream(choice(HEY), last, DONE))
    assert (completion.tokens_generated, completion.prompt_tokens) == counts


@pytest.mark.parametrize("then", [stall, reset])
def test_what_is_missing_behind_the_end_of_a_text_is_not_waited_for(then: Callable[[Exchange], None]) -> None:
    limits = replace(LIMITS, last_events_secs=0.2)
    play = service(unfinished(choice(HEY), STOP, then=then), stream(choice(HEY), STOP, DONE))
    with FaultServer(play) as server:
        backend = backend_for(server.url, dialect="openai", limits=limits)
        for _ in range(2):
            assert generate(backend, ask(timeout_ms=3_000))[0].text == "hey"
    failure, _ = failure_of(unfinished(choice(HEY), then=reset))
    assert (failure.partial_text, failure.tokens_generated) == ("hey", 1)


def test_a_log_probability_that_is_none_takes_no_text_away() -> None:
    wrong = {"content": [{"token": "hey", "logprob": 5}]}
    for play in (stream(event({"choices": [{"delta": HEY, "logprobs": wrong}]}), STOP), whole(logprobs=wrong)):
        with FaultServer(service(play)) as server, pytest.raises(BadResponseError, match="'logprobs'") as caught:
            generate(backend_for(server.url, dialect="openai"), ask(top_logprobs=2))
        assert caught.value.partial_text == "hey"


def test_thoughts_count_as_tokens_where_nobody_counts() -> None:
    thoughts = [choice({"reasoning": each}) for each in ("h", "m", "!")]
    completion = read(stream(*thoughts, choice(HEY), STOP, DONE), reasoning_tokens=16)
    assert (completion.tokens_generated, completion.reasoning, completion.reasoning_tokens) == (4, "hm!", None)
    failure, _ = failure_of(stream(*thoughts, event({"error": "x"})))
    assert (failure.tokens_generated, failure.reasoning, failure.partial_text) == (3, "hm!", "")


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "hm", "content": None},
        {"reasoning": "hm"},
        {"reasoning": {"text": "hm"}},
        {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm"}, {"type": "reasoning.encrypted", "data": "x"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
    ],
)
def test_thoughts_are_told_apart_wherever_they_are(delta: dict[str, object]) -> None:
    completion = read(stream(choice(delta), choice(HEY), STOP, DONE), reasoning_tokens=16)
    assert (completion.text, completion.reasoning) == ("hey", "hm")


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        ({"error": "overloaded"}, EngineUnavailableError, "overloaded"),
        ({"error": ["a", "b"]}, EngineUnavailableError, "a; b"),
        ({"error": {"message": "slow", "code": "429"}}, RateLimitedError, "slow"),
        ({"error": {"message": "slow", "code": "rate_limit_exceeded"}}, RateLimitedError, "slow"),
        ({"error": {"message": "slow", "status": "RESOURCE_EXHAUSTED"}}, RateLimitedError, "slow"),
        ({"error": {"message": "who", "type": "invalid_api_key"}}, UnauthorizedError, "who"),
        ({"object": "error", "message": "dead", "code": 400}, RequestRejectedError, "dead"),
        ({"choices": [{"delta": {}, "error": {"code": 502, "message": "gone"}}]}, EngineUnavailableError, "502.*gone"),
    ],
)
def test_an_error_is_read_wherever_it_is(said: dict[str, object], error: type[MazeError], says: str) -> None:
    failure, asked = failure_of(stream(choice(HEY), event(said)))
    assert isinstance(failure, error)
    assert re.search(says, str(failure))
    assert (failure.partial_text, failure.tokens_generated, asked) == ("hey", 1, 1)
    assert isinstance(failure_of(answer(200, said))[0], error)


MODEL = {"id": "m"}


@pytest.mark.parametrize(
    "listed",
    [
        {"models": [{"name": "m"}]},
        {"models": [{"model": "m"}], "object": "list"},
        [MODEL],
        {"data": ["m"]},
        {"data": [MODEL], "models": [{"name": "other"}]},
        {"data": [MODEL], "has_more": False, "next": None},
    ],
)
@pytest.mark.parametrize("dialect", ["openai", None])
def test_models_are_read_however_they_are_listed(listed: object, dialect: str | None) -> None:
    with FaultServer(service(stream(choice(HEY), STOP, DONE), models=answer(200, listed))) as server:
        completion = generate(backend_for(server.url, dialect=dialect), ask())[0]
        assert posted(server)[0]["model"] == completion.model == "m"


@pytest.mark.parametrize("more", [{"has_more": True}, {"next": "/v1/models?page=2"}, {"nextPageToken": "x"}])
def test_the_one_model_of_a_page_is_not_taken_for_the_only_one(more: dict[str, object]) -> None:
    with FaultServer(service(stream(choice(HEY), STOP, DONE), models=answer(200, {"data": [MODEL], **more}))) as server:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=r"has more models than it lists at once; name one .*: m$"):
                generate(backend_for(server.url, dialect="openai"), ask())
        assert posted(server) == []
        assert generate(backend_for(server.url, dialect="openai", model="x"), ask())[0].text == "hey"


@pytest.mark.parametrize(
    ("play", "error", "says"),
    [
        (answer(200, {"detail": "no such thing"}), BadResponseError, "no array 'choices': 'no such thing'"),
        (stream(choice({"content": 5}), STOP, DONE), BadResponseError, "neither a text nor parts"),
        (stream(choice({"content": [{"type": "image"}]}), STOP, DONE), BadResponseError, "of the type 'image'"),
        (stream(event({"choices": [{"delta": "hey"}]}), STOP, DONE), BadResponseError, "'delta' is not an object"),
        (stream(event({"choices": [5]}), STOP, DONE), BadResponseError, "'choices' does not hold an object"),
        (stream(choice({"function_call": {"name": "f"}}), STOP, DONE), BadResponseError, "calls a tool"),
        (stream(choice({"refusal": "I cannot"}), DONE), RequestRejectedError, "refuses: 'I cannot'"),
        (whole(message={"refusal": "no"}, finish_reason=None), RequestRejectedError, "refuses: 'no'"),
        (stream(choice({"content": [{"type": "refusal", "refusal": "no"}]}), STOP), RequestRejectedError, "'no'"),
        (sent_as("text/plain", b"Hello."), BadResponseError, "of type 'text/plain', not a stream"),
        (sent_as("application/x-ndjson", b"{}\n{}"), BadResponseError, "not a stream of events"),
        (stream(choice(HEY)), BadResponseError, "without its last event"),
    ],
)
def test_what_cannot_be_read_is_told(play: Answer, error: type[MazeError], says: str) -> None:
    failure, asked = failure_of(play)
    assert isinstance(failure, error)
    assert says in str(failure)
    assert asked == 1


# ------------------------------------------------------------------------------------------------ Anthropic's


def of(kind: str, **fields: object) -> bytes:
    """An event of a message."""
    return event({"type": kind, **fields})


START = of("message_start", message={"model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}})
BLOCK = of("content_block_delta", index=0, delta={"type": "text_delta", "text": "hey"})
END = of("message_stop")


def ends(reason: object, **usage: object) -> bytes:
    return of("message_delta", delta={"stop_reason": reason}, usage=usage or {"output_tokens": 2})


def message(**fields: object) -> Answer:
    said = {"type": "message", "model": "m", "content": [{"type": "text", "text": "hey"}], "stop_reason": "end_turn"}
    return answer(200, said | {"usage": {"input_tokens": 3, "output_tokens": 2}} | fields)


@pytest.mark.parametrize(
    ("play", "tokens"),
    [
        (stream(START, BLOCK, ends("end_turn"), END), (2, 3)),
        (stream(START, BLOCK, ends("stop"), END, DONE), (2, 3)),
        (stream(START, BLOCK, ends(None), END), (2, 3)),
        (stream(START, BLOCK, END), (1, 3)),
        (stream(START, BLOCK, ends("end_turn", output_tokens=2.0), END), (2, 3)),
        (stream(START, BLOCK, ends("end_turn", output_tokens=None), END), (1, 3)),
        (stream(of("message_start", message={"model": 5}), BLOCK, ends("end_turn"), END), (2, None)),
        (stream(START, of("content_block_start", content_block={"type": "text"}), BLOCK, ends("end_turn")), (2, 3)),
        (stream(START, of("content_block_delta", delta={"text": "hey"}), ends("end_turn")), (2, 3)),
        (stream(of("ping"), START, of("later"), event({}), BLOCK, ends("end_turn"), END), (2, 3)),
        (message(), (2, 3)),
        (message(content="hey", usage=None, model=None), (None, None)),
        (message(stop_reason=None), (2, 3)),
    ],
)
def test_a_message_is_read_however_a_gateway_spells_it(play: Answer, tokens: tuple[int | None, int | None]) -> None:
    completion = read(play, "anthropic")
    assert (completion.text, completion.finish_reason) == ("hey", "stop")
    assert (completion.tokens_generated, completion.prompt_tokens) == tokens


@pytest.mark.parametrize(
    ("reason", "error"),
    [("refusal", RequestRejectedError), ("content_filter", RequestRejectedError), ("odd", BadResponseError)],
)
def test_the_text_before_a_bad_end_of_a_message_is_kept(reason: str, error: type[MazeError]) -> None:
    for play in (stream(START, BLOCK, ends(reason), END), message(stop_reason=reason)):
        failure, asked = failure_of(play, "anthropic")
        assert isinstance(failure, error)
        assert (failure.partial_text, failure.tokens_generated, failure.prompt_tokens, asked) == ("hey", 2, 3, 1)


def test_an_error_within_a_message_is_told_with_what_had_come() -> None:
    for said in (of("error", message="too much"), of("error", error={"type": "api_error", "message": "too much"})):
        failure, _ = failure_of(stream(START, BLOCK, said), "anthropic")
        assert isinstance(failure, EngineUnavailableError)
        assert "too much" in str(failure)
        assert (failure.partial_text, failure.tokens_generated, failure.prompt_tokens) == ("hey", 1, 3)
