"""The HTTP backend as a whole: its requests, its questions to services, a storm of calls."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_server import (
    DONE,
    Exchange,
    FaultServer,
    Play,
    Storm,
    answer,
    by_path,
    event,
    fine,
    refused_port,
    reset,
    stall,
    stream,
    token,
    unfinished,
)
from http_calls import KEY, ask, backend_for, generate

from maze.backends import connect
from maze.backends.base import Deadline
from maze.backends.http import asking
from maze.config import ModalConfig
from maze.errors import (
    BadResponseError,
    ConfigurationError,
    EngineUnavailableError,
    InvalidArgumentError,
    MazeError,
    TimedOutError,
)
from maze.secret import Secret

pytestmark = pytest.mark.usefixtures("backends_are_closed")


def test_the_request_says_what_it_must_and_the_key_only_in_its_header() -> None:
    with FaultServer(fine()) as server:
        generate(backend_for(server.url), ask())
    (request,) = server.requests
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["content-type"] == "application/json"
    assert KEY.encode() not in request.body


def test_a_base_url_with_a_path_keeps_it() -> None:
    with FaultServer(fine()) as server:
        generate(backend_for(f"{server.url}/base"), ask())
    assert server.requests[0].path == "/base/generate/stream"


@pytest.mark.parametrize("host", ["\u00e9..", "\U0001d4b3"])
def test_a_host_that_idna_does_not_allow_is_a_configuration_error(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^an endpoint is not a URL that can be used"):
        backend_for(f"http://{host}")


def test_a_prompt_that_is_no_unicode_is_an_argument_error() -> None:
    with pytest.raises(InvalidArgumentError, match=r"cannot be sent as JSON"):
        generate(backend_for("http://127.0.0.1:9"), ask(prompt="\ud83d"))


def test_httpx_is_not_imported_before_a_service_is_used() -> None:
    program = "import sys, maze, maze.backends; print('httpx' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout == "False\n"


def test_an_older_maze_service_without_streaming_is_used_as_it_is() -> None:
    whole = {"generated_text": "hello", "tokens_generated": 3, "model_name": "old", "generation_time_ms": 12}
    with FaultServer(by_path(generate=answer(200, whole))) as server:
        backend = backend_for(server.url)
        completion, pieces = generate(backend, ask())
        generate(backend, ask())
    assert completion.text == "hello"
    assert pieces == ["hello"]
    assert completion.model == "old"
    assert completion.engine["stats"] == {"total_time_ms": 12}
    assert [request.path for request in server.requests] == ["/generate/stream", "/generate", "/generate"]


REFUSES = answer(400, {"error": {"message": "say what"}})
LISTS = answer(200, {"object": "list", "data": [{"id": "m"}]})
WEB_PAGE = answer(200, b"<!doctype html><p>Welcome", content_type="text/html")
IS_WELL = answer(200, {"status": "ok"})


def test_health_is_told_by_endpoint() -> None:
    ready = by_path(health=answer(200, {"status": "ok", "model": "m", "backend": "vllm"}), generate_stream=REFUSES)
    loading = by_path(health=answer(503, {"error": {"message": "loading"}}))
    with refused_port() as port, FaultServer(ready) as one, FaultServer(loading) as two:
        backend = backend_for(one.url, two.url, f"http://127.0.0.1:{port}")
        health = backend.health(Deadline(10_000))
        assert not backend_for(two.url).health(Deadline(10_000)).ready
    assert health.ready
    assert [report["ready"] for report in health.endpoints] == [True, False, False]
    assert "loading" in health.endpoints[1]["detail"]
    assert "connection refused" in health.endpoints[2]["detail"]


@pytest.mark.parametrize("answers", [500, 200])
def test_health_asks_for_a_token_where_an_empty_request_fails_in_the_service(answers: int) -> None:
    """Some fail at what they miss in it, others at whatever is asked."""
    said = {"choices": [{"message": {"content": "m"}, "finish_reason": "length"}]}

    def play(exchange: Exchange) -> None:
        if exchange.received.method == "GET":
            LISTS(exchange)
        elif exchange.received.json() and answers == 200:
            answer(200, said)(exchange)
        else:
            answer(500, {"error": {"message": "CUDA: no"}})(exchange)

    with FaultServer(play) as server:
        report = backend_for(server.url, dialect="openai").health(Deadline(10_000)).endpoints[0]
        assert server.requests[-1].json()["max_tokens"] == 1
    assert report["ready"] is (answers == 200)
    assert ("CUDA: no" in report["detail"]) is (answers == 500)


@pytest.mark.parametrize("dialect", ["maze", "vllm", "sglang", "llama.cpp", "openai", "anthropic"])
@pytest.mark.parametrize("page", [WEB_PAGE, answer(200, b"ok", content_type="text/plain"), IS_WELL])
def test_a_web_page_is_no_service_of_any_kind(page: Play, dialect: str) -> None:
    with FaultServer(page) as server:
        report = backend_for(server.url, dialect=dialect, model="m").health(Deadline(10_000)).endpoints[0]
    assert not report["ready"]
    assert server.url in report["detail"]


@pytest.mark.parametrize(
    ("dialect", "play", "says"),
    [
        ("maze", by_path(health=IS_WELL), r"does not speak maze: it has nothing at /generate/stream or /generate;"),
        ("maze", by_path(health=answer(200, b"fine"), generate=REFUSES), r"what it has at /health is not JSON"),
        (
            "maze",
            by_path(health=answer(200, {"ok": 1}), generate=REFUSES),
            r"no Maze service.*and MAZE_DIALECT",
        ),
        ("maze", by_path(health=IS_WELL, models=LISTS, generate=REFUSES), r"list of models is not an array of texts"),
        ("openai", by_path(v1_models=LISTS), r"does not speak openai: it has nothing at /v1/chat/completions;"),
        ("anthropic", by_path(v1_models=LISTS, v1_chat_completions=REFUSES), r"nothing at /v1/messages; check the URL"),
        ("openai", by_path(v1_models=answer(200, {"m": 1})), r"has no array 'data'"),
        ("openai", by_path(v1_models=LISTS, v1_chat_completions=answer(401, b"")), r"refused the key"),
        ("openai", by_path(v1_models=LISTS, v1_chat_completions=answer(503, b"")), r"not ready"),
        ("vllm", by_path(health=answer(200, b"")), r"refused the request \(404\)"),
        ("llama.cpp", by_path(health=IS_WELL, v1_models=WEB_PAGE), r"an HTML page; is this the URL"),
    ],
)
def test_health_says_what_a_service_of_another_kind_lacks(dialect: str, play: Play, says: str) -> None:
    with FaultServer(play) as server:
        report = backend_for(server.url, dialect=dialect, model="m").health(Deadline(10_000)).endpoints[0]
    assert not report["ready"]
    assert re.search(says, report["detail"])


@pytest.mark.parametrize(
    ("dialect", "play"),
    [
        ("maze", by_path(health=IS_WELL, generate=answer(422, {"detail": "prompt?"}))),  # an older one
        ("maze", by_path(health=answer(200, b"ok"), models=answer(200, ["m"]), generate_stream=REFUSES)),
        ("openai", by_path(v1_chat_completions=REFUSES)),
        ("openai", by_path(v1_models=LISTS, v1_chat_completions=answer(404, {"error": "model '' not found"}))),
        ("anthropic", by_path(v1_messages=REFUSES)),
    ],
)
def test_health_knows_a_service_by_how_it_refuses_an_empty_request(dialect: str, play: Play) -> None:
    with FaultServer(play) as server:
        health = backend_for(server.url, dialect=dialect, model="m").health(Deadline(10_000))
    assert health.ready, health.endpoints[0]["detail"]
    assert [request.body for request in server.requests if request.method == "POST"][-1] == b"{}"


@pytest.mark.parametrize("dialect", ["maze", "vllm", "openai"])
def test_a_service_whose_place_a_web_page_took_is_no_longer_ready(dialect: str) -> None:
    text = stream(event({"choices": [{"index": 0, "text": "hi", "finish_reason": "stop"}]}), DONE)
    paths = {"v1_models": LISTS, "v1_completions": text, "generate_stream": fine(), "health": IS_WELL}
    there: list[Play] = [by_path(**paths)]
    with FaultServer(lambda exchange: there[-1](exchange)) as server:
        backend = backend_for(server.url, dialect=dialect, model="m")
        generate(backend, ask())
        assert backend.health(Deadline(10_000)).ready
        there.append(WEB_PAGE)
        assert not backend.health(Deadline(10_000)).ready


def test_an_endpoint_that_hangs_is_not_ready() -> None:
    with FaultServer(stall) as server:
        health = backend_for(server.url).health(Deadline(200))
    assert not health.ready
    assert "200 ms" in health.endpoints[0]["detail"]


@pytest.mark.parametrize(
    ("url", "dialect", "name"),
    [
        ("https://api.openai.com/v1", None, "openai"),
        ("https://api.openai.com", None, "openai"),
        ("https://api.anthropic.com", None, "anthropic"),
        ("https://me.openai.azure.com/openai/deployments/mine?api-version=2024-10-21", None, "openai"),
        ("http://127.0.0.1:9", None, None),
        ("http://127.0.0.1:9", "maze", "maze"),
        ("http://127.0.0.1:9", "llama.cpp", "llama.cpp"),
    ],
)
def test_an_engine_has_the_name_that_its_users_know_and_none_until_that_is_known(
    url: str, dialect: str | None, name: str | None
) -> None:
    assert backend_for(url, dialect=dialect).name == name


@pytest.mark.parametrize("dialect", [None, "vllm", "maze", "openai"])
@pytest.mark.parametrize("shows", ["nothing", "models", "a generation"])
def test_a_question_that_takes_too_long_is_not_told_to_ask_for_fewer_tokens(dialect: str | None, shows: str) -> None:
    owned = answer(200, {"data": [{"id": "m", "owned_by": "vllm"}]})
    plays: dict[str, Play] = {"v1_models": stall} if shows == "nothing" else {"v1_models": owned, "version": IS_WELL}
    plays |= {"health": stall} if shows != "a generation" else {"health": IS_WELL, "models": answer(200, ["m"])}
    plays |= dict.fromkeys(("v1_chat_completions", "v1_completions", "generate_stream"), stall)
    with FaultServer(by_path(**plays)) as server:
        backend = backend_for(server.url, dialect=dialect, is_proven=False, model="m")
        health = backend.health(Deadline(300))
        assert not health.ready
        told = [health.endpoints[0]["detail"]]
        if shows == "nothing" and dialect != "maze":
            with pytest.raises(TimedOutError) as raised:
                backend.models(Deadline(300))
            told.append(str(raised.value))
    for text in told:
        assert "no answer within 300 ms; raise timeout_secs, or see to the service" in text


def test_models_are_told_though_an_endpoint_hangs() -> None:
    with FaultServer(stall) as hanging, FaultServer(by_path(models=answer(200, ["a"]))) as good:
        assert backend_for(hanging.url, good.url).models(Deadline(500)) == ("a",)


def test_streaming_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "WHOLE_SECS", 0.2)
    whole = answer(200, {"generated_text": "whole", "tokens_generated": 3})
    with FaultServer(answer(404, b""), whole, whole, fine("streamed")) as server:
        backend = backend_for(server.url)
        texts = [generate(backend, ask())[0].text for _ in range(2)]
        time.sleep(0.3)
        texts.append(generate(backend, ask())[0].text)
    assert texts == ["whole", "whole", "streamed"]
    paths = [request.path for request in server.requests]
    assert paths == ["/generate/stream", "/generate", "/generate", "/generate/stream"]


def test_models_of_all_endpoints_are_listed_once() -> None:
    with (
        refused_port() as port,
        FaultServer(by_path(models=answer(200, ["a", "b"]))) as one,
        FaultServer(by_path(models=answer(200, ["b", "c"]))) as two,
    ):
        gone = f"http://127.0.0.1:{port}"
        assert backend_for(one.url, gone, two.url).models(Deadline(10_000)) == ("a", "b", "c")
        with pytest.raises(EngineUnavailableError):
            backend_for(gone).models(Deadline(10_000))
    with (
        FaultServer(by_path(models=answer(200, {"a": 1}))) as server,
        pytest.raises(BadResponseError, match=r"not an array of texts"),
    ):
        backend_for(server.url).models(Deadline(10_000))


def test_connect_sends_nothing_by_itself() -> None:
    with FaultServer(fine()) as server:
        backend = connect(ModalConfig(endpoints=(server.url,), api_key=Secret(KEY), dialect="vllm"))
        assert backend.name == "vllm"
        backend.close()
    assert server.connections == 0


# ------------------------------------------------------------------------------------------------ a storm


def test_ten_thousand_calls_of_64_threads_with_faults_get_their_own_answers_or_clear_errors() -> None:
    """Each call asks for an echo of its prompt; one in twenty meets a fault."""
    storm = Storm(
        answer(503, b""),
        stream(token("x"), DONE),
        unfinished(token("x"), then=reset),
        stream(event({"error": {"message": "dead", "code": 400}}), DONE),
    )
    lock = threading.Lock()
    outcomes: dict[str, int] = {}

    def call(number: int) -> None:
        prompt = f"<{number}>"
        try:
            completion, pieces = generate(backend, ask(prompt=prompt))
        except MazeError as error:
            outcome = type(error).__name__ if error.partial_text in ("", "x") else "somebody else's text"
        else:
            assert completion.text == prompt
            assert "".join(pieces) == prompt
            outcome = "ok"
        with lock:
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with FaultServer(storm) as server:
        backend = backend_for(server.url)
        with ThreadPoolExecutor(64) as pool:
            list(pool.map(call, range(1000)))
            after_some = descriptors()
            list(pool.map(call, range(1000, 10_000)))
        assert descriptors() <= after_some + 128
    assert sum(outcomes.values()) == 10_000
    assert outcomes["ok"] > 9_500
    assert set(outcomes) <= {
        "ok",
        "BadResponseError",
        "EngineUnavailableError",
        "RequestRejectedError",
        "RateLimitedError",
    }
