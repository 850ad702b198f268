"""Which service an endpoint is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_server import DONE, Exchange, FaultServer, Play, answer, by_path, event, fine, stall, stream
from http_calls import ask, backend_for, generate

from maze.backends.base import Deadline
from maze.backends.http import detect
from maze.backends.http.client import ERROR_BODY_SECS
from maze.errors import BadResponseError, ConfigurationError, EngineUnavailableError, MazeError, UnauthorizedError

pytestmark = pytest.mark.usefixtures("backends_are_closed")


VLLM_MODELS = answer(200, {"object": "list", "data": [{"id": "a/model", "owned_by": "vllm", "max_model_len": 512}]})


VLLM_TEXT = stream(
    event({"model": "a/model", "choices": [{"index": 0, "text": "hi", "finish_reason": None}]}),
    event({"model": "a/model", "choices": [{"index": 0, "text": "", "finish_reason": "stop", "stop_reason": None}]}),
    event({"model": "a/model", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    DONE,
)


def test_an_endpoint_is_asked_once_what_it_is_even_by_many_threads() -> None:
    play = by_path(v1_models=VLLM_MODELS, version=answer(200, {"version": "0.32.0"}), v1_completions=VLLM_TEXT)
    with FaultServer(play) as server:
        backend = backend_for(server.url, dialect=None)
        with ThreadPoolExecutor(16) as pool:
            completions = list(pool.map(lambda _: generate(backend, ask())[0], range(64)))
    assert {completion.text for completion in completions} == {"hi"}
    paths = [request.path for request in server.requests]
    assert paths.count("/v1/models") == 1
    assert paths.count("/version") == 1
    assert backend.name == "vllm"
    assert completions[0].engine == {"endpoint": server.url, "dialect": "vllm", "version": "0.32.0"}


@pytest.mark.parametrize(
    ("answers", "dialect"),
    [
        ({"models": answer(200, ["m1", "m2"])}, "maze"),
        ({"health": answer(200, {"status": "ok"})}, "maze"),
        ({"v1_models": answer(200, {"data": [{"id": "m", "owned_by": "sglang"}]})}, "sglang"),
        ({"v1_models": answer(200, {"data": [{"id": "m", "owned_by": "llamacpp"}]})}, "llama.cpp"),
        ({"v1_models": VLLM_MODELS}, "vllm"),
        ({"v1_models": answer(200, {"data": [{"id": "m", "owned_by": "acme"}]})}, "openai"),
        ({"v1_models": answer(200, {"data": [{"id": "m"}]})}, "openai"),
        ({"models": answer(200, {"data": [{"id": "m"}]})}, "openai"),
    ],
)
def test_the_dialect_is_found_by_asking(answers: dict[str, Play], dialect: str) -> None:
    ready: dict[str, Play] = {name: answer(200, {"status": "ok"}) for name in ("health", "ready")}
    asked = ("generate_stream", "v1_chat_completions", "chat_completions")
    ready |= {name: answer(400, {"error": "?"}) for name in asked}
    with FaultServer(by_path(**{**ready, **answers})) as server:
        health = backend_for(server.url, dialect=None).health(Deadline(10_000))
    assert health.ready
    assert health.endpoints[0]["dialect"] == dialect


@pytest.mark.parametrize(
    ("play", "error", "says"),
    [
        (answer(404, b""), ConfigurationError, r"no inference service that libmaze knows.*set MAZE_DIALECT"),
        (
            answer(200, b"<html>hi</html>", content_type="text/html"),
            BadResponseError,
            r"is an HTML page; is this the URL",
        ),
        (answer(200, b'{"data": ['), BadResponseError, r"is not JSON"),
        (answer(401, {"error": "who?"}), UnauthorizedError, r"check MODAL_API_KEY"),
        (answer(503, {"error": "loading"}), EngineUnavailableError, r"not ready \(503\): loading"),
    ],
)
def test_an_endpoint_that_does_not_say_what_it_is_is_an_error(play: Play, error: type[MazeError], says: str) -> None:
    with FaultServer(play) as server, pytest.raises(error, match=says):
        generate(backend_for(server.url, dialect=None), ask())


def test_an_endpoint_that_was_loading_is_asked_again() -> None:
    play = by_path(v1_models=VLLM_MODELS, v1_completions=VLLM_TEXT)
    with FaultServer(answer(503, b""), play) as server:
        assert generate(backend_for(server.url, dialect=None), ask())[0].text == "hi"


def test_a_slow_answer_to_a_question_has_the_time_of_the_call_also_after_a_404() -> None:
    """As on Modal, where /models and /health start a container."""

    def slowly(play: Play) -> Play:
        def later(exchange: Exchange) -> None:
            time.sleep(ERROR_BODY_SECS + 0.3)
            play(exchange)

        return later

    with FaultServer(by_path(models=slowly(answer(200, ["m"])), generate_stream=fine())) as server:
        assert generate(backend_for(server.url, dialect=None), ask())[0].text == "hello"


def test_a_version_that_is_not_told_holds_no_call_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "VERSION_SECS", 0.2)
    play = by_path(v1_models=VLLM_MODELS, version=stall, v1_completions=VLLM_TEXT)
    with FaultServer(play) as server:
        backend = backend_for(server.url, dialect=None)
        assert [generate(backend, ask())[0].text for _ in range(2)] == ["hi", "hi"]
    assert [request.path for request in server.requests].count("/version") == 1
