"""What services say when they fail, in whatever shape, and that it holds no key."""

from __future__ import annotations

from typing import Any

import pytest
from fault_server import (
    DONE,
    Answer,
    Exchange,
    FaultServer,
    Play,
    answer,
    by_path,
    event,
    fine,
    stream,
    summary,
    token,
)
from http_calls import ask, backend_for, generate

from maze.backends.base import Deadline
from maze.errors import EngineUnavailableError, MazeError, RateLimitedError, Status
from maze.secret import Secret

pytestmark = pytest.mark.usefixtures("backends_are_closed")


@pytest.mark.parametrize(
    ("sent", "error", "says"),
    [
        (b"event: error\ndata: the GPU fell off\n\n", EngineUnavailableError, r"failed \(500\): the GPU fell off;"),
        (b"event: error\ndata: the GPU fell off", EngineUnavailableError, r"failed \(500\): the GPU fell off;"),
        (b"event: error\ndata: two\ndata: lines\n\n", EngineUnavailableError, r"\(500\): two lines;"),
        (b'event: error\ndata: "a text"\n\n', EngineUnavailableError, r"\(500\): a text;"),
        (b'event: error\ndata: {"message": "m", "code": 429}\n\n', RateLimitedError, r"\(429\): m;"),
        (b'event: error\ndata: {"error": {"message": "m"}}\n\n', EngineUnavailableError, r"\(500\): m;"),
        (b'event: error\ndata: {"detail": "m"}\n\n', EngineUnavailableError, r"\(500\): m;"),
        (b"event:error\r\rdata: x\r\r", EngineUnavailableError, r"failed \(500\);"),
        (b"event: error\ndata: [1, 2]\n\n", EngineUnavailableError, r"failed \(500\);"),
        (b"error: the slot died\n\n", EngineUnavailableError, r"\(500\): the slot died;"),
        (b'error: {"code": 503, "message": "busy"}', EngineUnavailableError, r"is not ready \(503\): busy"),
    ],
)
def test_the_text_of_an_event_of_an_error_is_kept(sent: bytes, error: type[MazeError], says: str) -> None:
    with FaultServer(stream(token("a"), sent)) as server, pytest.raises(error, match=says) as caught:
        generate(backend_for(server.url), ask())
    assert caught.value.partial_text == "a"


def nested(depth: int, shape: str) -> bytes:
    return {
        "arrays": b"[" * depth + b"]" * depth,
        "open arrays": b"[" * depth,
        "objects": b'{"error":' * depth + b'"boom"' + b"}" * depth,
        "arrays of objects": b'[{"detail":' * depth + b'"boom"' + b"}]" * depth,
        "numbers": b'{"error":{"type":"exceed_context_size_error","n_ctx":%b}}' % (b"[" * depth + b"]" * depth),
        "types": b'{"error":{"message":"boom","type":%b}}' % (b"[" * depth + b"]" * depth),
    }[shape]


@pytest.mark.parametrize("depth", [100, 500, 1000, 10_000])
@pytest.mark.parametrize("shape", ["arrays", "open arrays", "objects", "arrays of objects", "numbers", "types"])
def test_an_error_may_be_nested_as_deep_as_it_likes(depth: int, shape: str) -> None:
    body = nested(depth, shape)
    for play in (
        answer(503, body),
        stream(b"event: error\ndata: " + body + b"\n\n"),
        stream(b"data: " + body + b"\n\n"),
        answer(200, body),
        stream(token(""), event({"token": "", "done": True, "stats": {}}).replace(b"{}", body)),
    ):
        with FaultServer(play) as server, pytest.raises(MazeError) as caught:
            generate(backend_for(server.url), ask())
        assert caught.value.status in (Status.ENGINE_UNAVAILABLE, Status.BAD_RESPONSE)
        with FaultServer(play) as server:
            [report] = backend_for(server.url, dialect=None).health(Deadline(10_000)).endpoints
        assert report["detail"]


# ------------------------------------------------------------------------------------------------ short keys

SAID = "Zs9"
"""What the service says, with every key below in it."""
KEYS = ["s", "Zs", "Zs9", "9", "Z"]

SHAPES: dict[str, tuple[Play, str]] = {
    "401": (answer(401, {"error": SAID}), "refused the key (401): {}; check MODAL_API_KEY"),
    "400": (answer(400, {"detail": SAID}), "refused the request (400): {}"),
    "text": (answer(400, SAID.encode(), content_type="text/plain"), "refused the request (400): {}"),
    "500": (answer(500, {"error": SAID}), "failed (500): {}; its log says more (after 2 attempts)"),
    "event": (stream(event({"error": {"message": SAID, "code": 400}})), "refused the request (400): {}"),
    "error event": (
        stream(b"event: error\ndata: %b\n\n" % SAID.encode()),
        "failed (500): {}; its log says more (after 2 attempts)",
    ),
    "type": (answer(200, b"", content_type=SAID), "is wrong: it is of type '{}', not a stream of events"),
    "no JSON": (stream(b"data: %b\n\n" % SAID.encode()), "is wrong: an event of it is not JSON: '{}'"),
    "no event": (stream(b"%b\n\n" % SAID.encode()), "is wrong: it has a line that is no server-sent event: '{}'"),
    "reason": (
        stream(token("a"), summary(finish_reason=SAID), DONE),
        "is wrong: its finish reason is '{}', neither 'stop' nor 'length'",
    ),
    "no HTTP": (Answer(SAID.encode()), "is wrong: it is not HTTP/1.1: it begins with '{}'"),
    "status line": (Answer(b"HTTP/1.1 %b\r\n\r\n" % SAID.encode()), "its status line is malformed: 'HTTP/1.1 {}\\r'"),
    "redirect": (
        answer(307, b"", f"Location: http://h/{SAID}/generate/stream"),
        "redirects the request elsewhere (307); put the final URL of the service into MODAL_ENDPOINT; it leads to "
        "'http://h/{}'",
    ),
    "origin": (
        answer(303, b"", f"Location: http://h:77/{SAID}/generate/stream"),
        "to another origin, which is not followed; if the service is there, set MODAL_ENDPOINT to 'http://h:77/{}'",
    ),
    "context": (
        answer(400, {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 50, "n_ctx": 40}}),
        "the prompt is 50 tokens long, but the engine holds 40 for prompt and answer; shorten the prompt",
    ),
}


def hidden(key: str, said: str) -> str:
    """As it is shown: keys are found in any case."""
    at = said.lower().find(key.lower())
    return said if at < 0 else hidden(key, said[:at]) + "***" + hidden(key, said[at + len(key) :])


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_key_of_one_letter_is_hidden_in_what_a_service_says_and_leaves_our_own_words_whole(
    shape: str, key: str
) -> None:
    play, says = SHAPES[shape]
    with FaultServer(play) as server, pytest.raises(MazeError) as caught:
        generate(backend_for(server.url, api_key=Secret(key)), ask())
    error = str(caught.value)
    assert server.url in error
    assert error.endswith(says.replace("{}", hidden(key, SAID))), error


@pytest.mark.parametrize("key", KEYS)
def test_a_short_key_is_in_no_report_of_what_a_service_said(key: str) -> None:
    plays = by_path(
        v1_models=answer(200, {"data": [{"id": f"x{SAID}x", "owned_by": "vllm"}]}),
        version=answer(200, {"version": f"x{SAID}x"}),
        health=answer(200, {"status": f"x{SAID}x"}),
    )
    with FaultServer(plays) as server:
        backend = backend_for(server.url, dialect=None, api_key=Secret(key))
        [report] = backend.health(Deadline(10_000)).endpoints
        names = backend.models(Deadline(10_000))
    assert report["ready"]
    for said in (report["detail"], report["version"], *report["models"], *names):
        assert "***" in said
        assert key.lower() not in said.lower().replace('{"status"', "")


def test_a_key_is_hidden_as_it_stands_in_a_url_too() -> None:
    def play(exchange: Exchange) -> None:
        answer(307, b"", "Location: /login?to=/sk%2Fkey/sk%2Fkey/generate/stream", "X: y")(exchange)

    def path(exchange: Exchange) -> None:
        answer(307, b"", "Location: http://h/sk%2Fkey")(exchange)

    for each in (play, path):
        with FaultServer(each) as server, pytest.raises(MazeError) as caught:
            generate(backend_for(server.url, api_key=Secret("sk/key")), ask())
        assert "sk/key" not in str(caught.value)
        assert "sk%2F" not in str(caught.value)


def test_a_completion_names_its_model_and_statistics_without_a_short_key() -> None:
    with FaultServer(fine("a", model=f"x{SAID}x", stats={"said": f"x{SAID}x"})) as server:
        completion: Any = generate(backend_for(server.url, api_key=Secret("Zs")), ask())[0]
    assert completion.model == "x***9x"
    assert completion.engine["stats"] == {"said": "x***9x"}
