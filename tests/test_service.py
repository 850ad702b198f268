"""maze.service: the contract over HTTP, its limits, and what happens when clients leave or the service stops."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from scripted_backend import ScriptedBackend
from service_runner import RunningService, running_service

from maze._version import __version__
from maze.backends.base import FINISHED_LENGTH, Deadline, Health, Request
from maze.backends.llama_cpp import LlamaCppBackend
from maze.config import DEFAULT_MODAL_MODEL, Secret
from maze.errors import ConstraintViolatedError, EngineUnavailableError, MazeError, Status, TruncatedError
from maze.service.refusal import HTTP_STATUS, RETRYABLE
from maze.service.server import _Protocol
from maze.service.settings import ServiceSettings

KEY = "a-key"
BEARER = {"Authorization": f"Bearer {KEY}"}
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["n"],
    "additionalProperties": False,
}
QUICK = ServiceSettings(stop_grace_secs=0)


def post(
    service: RunningService, body: object, path: str = "/generate", headers: dict[str, str] | None = None
) -> httpx.Response:
    return httpx.post(service.url + path, json=body, timeout=30, headers=headers)


def events(text: str) -> list[Any]:
    """The events of a stream, the last being the text "[DONE]"."""
    assert text.endswith("\n\n")
    lines = text.removesuffix("\n\n").split("\n\n")
    assert all(line.startswith("data: ") for line in lines)
    payloads = [line.removeprefix("data: ") for line in lines]
    assert payloads[-1] == "[DONE]"
    return [*map(json.loads, payloads[:-1])]


@dataclass
class Gate:
    """A step of a script that waits until it is opened or the request is cancelled, and tells when that happens."""

    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    opened: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self, request: Request) -> None:
        go_on = threading.Event()
        forget = request.cancellation.on_cancel(go_on.set)
        self.entered.release()
        while not (go_on.wait(0.01) or self.opened.is_set()):
            pass
        forget()
        if request.cancellation.cancelled:
            self.cancelled.release()
        request.raise_if_over()


def reached(semaphore: threading.Semaphore) -> bool:
    return semaphore.acquire(timeout=30)


@contextmanager
def raw_request(service: RunningService, path: str, body: dict[str, Any]) -> Iterator[socket.socket]:
    """A request whose connection the test holds in its hand."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    with socket.create_connection((service.host, service.port), timeout=30) as connection:
        connection.sendall(head + content)
        yield connection


def metric(service: RunningService, name: str, headers: dict[str, str] | None = None) -> float:
    lines = httpx.get(service.url + "/metrics", headers=headers).text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + " ")), 0.0)


def wait_until(condition: Callable[[], bool]) -> None:
    ends_at = Deadline(30_000)
    while not condition():
        assert not ends_at.expired(), "did not happen within 30 seconds"
        threading.Event().wait(0.01)


# ------------------------------------------------------------------------------------------------ the contract


def test_an_answer_has_the_fields_of_the_contract() -> None:
    with running_service(ScriptedBackend(['{"n":', "1}"])) as service:
        response = post(service, {"prompt": "a number", "constraints": {"json_schema": SCHEMA}, "request_id": "r-1"})
    assert response.status_code == 200
    assert response.headers["X-Request-Id"] == "r-1"
    answer = response.json()
    stats = answer.pop("stats")
    assert answer.pop("generation_time_ms") == stats["total_time_ms"]
    assert answer == {
        "generated_text": '{"n":1}',
        "tokens_generated": 2,
        "prompt_tokens": 3,
        "model": "a-model",
        "model_name": "a-model",
        "finish_reason": "stop",
        "constraint_satisfied": True,
        "request_id": "r-1",
    }
    assert stats["constraint_checks"] is None
    assert stats["avg_constraint_check_us"] is None
    assert set(stats) >= {"time_per_token_us", "queue_time_ms", "compile_time_ms", "first_token_ms"}


def test_the_engine_gets_every_option_as_it_was_given() -> None:
    backend = ScriptedBackend(["x"])
    with running_service(backend) as service:
        body = {
            "prompt": "p",
            "max_tokens": 5,
            "temperature": 1,
            "top_p": 0.5,
            "top_k": 3,
            "seed": 7,
            "stop_sequences": ["END"],
            "model": "a-model",
            "request_id": "r",
        }
        assert post(service, body).status_code == 200
    (request,) = backend.requests
    assert (request.prompt, request.max_tokens, request.temperature) == ("p", 5, 1.0)
    assert (request.top_p, request.top_k, request.seed, request.stop) == (0.5, 3, 7, ("END",))
    assert (request.model, request.request_id, request.grammar, request.token_mask) == ("a-model", "r", None, None)


def test_requests_of_the_original_client_are_understood() -> None:
    backend = ScriptedBackend(["x"])
    with running_service(backend) as service:
        body = {"prompt": "p", "constraints": None, "model": DEFAULT_MODAL_MODEL, "context": None, "temperature": 0.7}
        assert post(service, {**body, "max_tokens": 5}).status_code == 200
    assert backend.requests[0].model is None


def test_schema_patterns_and_masks_become_one_grammar_and_mask_for_the_engine() -> None:
    backend = ScriptedBackend(["abc"])
    constraints = {"regex_patterns": ["^[a-z]+$", "b"], "token_mask": {"forbidden": [3, 4]}}
    with running_service(backend) as service:
        assert post(service, {"prompt": "p", "constraints": constraints}).json()["constraint_satisfied"] is True
    (request,) = backend.requests
    assert request.grammar is not None
    assert request.grammar.startswith("%llguidance")
    assert request.token_mask is not None
    assert request.token_mask.forbidden == {3, 4}


LARK = '%llguidance {}\nstart: "yes" | "no"\n'


@pytest.mark.parametrize(
    ("constraints", "good", "bad"),
    [
        ({"json_schema": SCHEMA}, '{"n":1}', '{"n":"1"}'),
        ({"regex_patterns": ["^a+$"]}, "aaa", "aab"),
        ({"grammar": LARK}, "yes", "maybe"),
        ({"grammar": "%llguidance {}\nstart: /[a-z]+/\n", "regex_patterns": ["b"]}, "abc", "acd"),
    ],
    ids=["schema", "regex", "lark", "lark and regex"],
)
def test_whether_the_constraints_are_satisfied_is_found_out_from_the_text(
    constraints: dict[str, Any], good: str, bad: str
) -> None:
    for text, satisfied in ((good, True), (bad, False)):
        with running_service(ScriptedBackend([text])) as service:
            response = post(service, {"prompt": "p", "constraints": constraints})
            assert response.status_code == 200, response.text
            assert response.json()["constraint_satisfied"] is satisfied
            unsatisfied = 'maze_constraints_unsatisfied_total{finish_reason="stop"}'
            if not satisfied:
                assert metric(service, unsatisfied) == 1


def test_a_text_cut_off_says_so() -> None:
    with running_service(ScriptedBackend(['{"n"'], FINISHED_LENGTH)) as service:
        answer = post(service, {"prompt": "p", "constraints": {"json_schema": SCHEMA}}).json()
    assert (answer["finish_reason"], answer["constraint_satisfied"]) == ("length", False)


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize(
    ("fields", "param", "named"),
    [
        ({"prompt": 1}, "prompt", "must be a text"),
        ({"prompt": None}, "prompt", "must be a text"),
        ({"guided_json": {}}, "guided_json", "unknown field"),
        ({"constraints": {"guided_json": {}}}, "constraints.guided_json", "unknown constraint"),
        ({"constraints": []}, "constraints", "must be an object"),
        ({"constraints": {"grammar": {}}}, "constraints.grammar", "must be a text"),
        ({"constraints": {"json_schema": "{}"}}, "constraints.json_schema", "must be an object"),
        ({"constraints": {"regex_patterns": "a"}}, "constraints.regex_patterns", "array of texts"),
        ({"constraints": {"regex_patterns": [1]}}, "constraints.regex_patterns", "array of texts"),
        ({"constraints": {"token_mask": []}}, "constraints.token_mask", "must be an object"),
        ({"constraints": {"token_mask": {"banned": [1]}}}, "constraints.token_mask.banned", "unknown part"),
        ({"constraints": {"token_mask": {"allowed": []}}}, "constraints.token_mask.allowed", "no text is possible"),
        ({"constraints": {"token_mask": {"allowed": [-1]}}}, "constraints.token_mask.allowed", "token ids"),
        ({"constraints": {"token_mask": {"forbidden": [True]}}}, "constraints.token_mask.forbidden", "token ids"),
        ({"max_tokens": 0}, "max_tokens", "between 1 and"),
        ({"max_tokens": 10**6}, "max_tokens", "between 1 and 8192"),
        ({"max_tokens": True}, "max_tokens", "whole number"),
        ({"max_tokens": 1.5}, "max_tokens", "whole number"),
        ({"temperature": 3}, "temperature", "between 0 and 2"),
        ({"temperature": "1"}, "temperature", "must be a number"),
        ({"top_p": 0}, "top_p", "over 0"),
        ({"top_k": -1}, "top_k", "between 0 and"),
        ({"seed": 2**32}, "seed", "between 0 and 4294967295"),
        ({"stop_sequences": ["a"] * 5}, "stop_sequences", "at most 4"),
        ({"stop_sequences": [""]}, "stop_sequences", "1 to 1024 bytes"),
        ({"model": ""}, "model", "name of a model"),
        ({"model": "other"}, "model", "no model 'other'; there are: a-model"),
        ({"context": "x"}, "context", "must be an object"),
        ({"context": {"language": 1}}, "context.language", "must be a text"),
        ({"request_id": "a b"}, "request_id", "visible ASCII"),
        ({"request_id": "x" * 129}, "request_id", "visible ASCII"),
        ({"prompt": "x" * 1001}, "prompt", "longer than 1000 bytes"),
    ],
)
def test_a_wrong_field_is_named_and_never_reaches_the_engine(
    fields: dict[str, Any], param: str, named: str, path: str, picky_service: tuple[RunningService, ScriptedBackend]
) -> None:
    service, backend = picky_service
    asked_before = len(backend.requests)
    response = post(service, {"prompt": "p", **fields}, path)
    assert response.status_code == 400
    error = response.json()["error"]
    assert set(error) == {"code", "message", "type", "param", "retryable"}
    assert (error["param"], error["type"], error["retryable"]) == (param, "invalid_request_error", False)
    assert named in error["message"]
    assert len(backend.requests) == asked_before


@pytest.fixture(scope="module")
def picky_service() -> Iterator[tuple[RunningService, ScriptedBackend]]:
    backend = ScriptedBackend(["x"])
    with running_service(backend, ServiceSettings(max_prompt_bytes=1000, stop_grace_secs=0)) as service:
        yield service, backend


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"prompt":"\\ud800"}'])
def test_a_body_that_is_no_json_object_is_refused(
    body: bytes, picky_service: tuple[RunningService, ScriptedBackend]
) -> None:
    response = httpx.post(picky_service[0].url + "/generate", content=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_argument")


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize(
    ("constraints", "code"),
    [
        ({"grammar": "%llguidance {}\nstart: nowhere\n"}, "invalid_constraint"),
        ({"grammar": "start: ("}, "invalid_constraint"),
        ({"json_schema": {"type": "nonsense"}}, "invalid_constraint"),
        ({"regex_patterns": ["("]}, "invalid_constraint"),
        ({"regex_patterns": ["^a$", "^b$"]}, "contradiction"),
    ],
)
def test_a_bad_constraint_is_refused_before_any_token(
    constraints: dict[str, Any], code: str, path: str, picky_service: tuple[RunningService, ScriptedBackend]
) -> None:
    service, backend = picky_service
    asked_before = len(backend.requests)
    response = post(service, {"prompt": "p", "constraints": constraints}, path)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert (error["code"], error["param"]) == (code, "constraints")
    assert "constraints[0]" not in response.text
    assert len(backend.requests) == asked_before


def test_a_stream_carries_the_pieces_and_ends_with_the_answer() -> None:
    with running_service(ScriptedBackend(['{"n"', ":", "1}"])) as service:
        body = {"prompt": "p", "constraints": {"json_schema": SCHEMA}, "request_id": "r"}
        response = post(service, body, "/generate/stream")
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["X-Request-Id"] == "r"
    *pieces, last = events(response.text)
    assert pieces == [{"token": piece, "done": False} for piece in ('{"n"', ":", "1}")]
    assert (last["token"], last["done"]) == ("", True)
    assert (last["generated_text"], last["constraint_satisfied"], last["request_id"]) == ('{"n":1}', True, "r")


def test_pieces_arrive_while_the_engine_still_generates() -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend(["first", gate, "second"])) as service,
        httpx.stream("POST", service.url + "/generate/stream", json={"prompt": "p"}, timeout=30) as response,
    ):
        lines = response.iter_lines()
        assert json.loads(next(lines).removeprefix("data: ")) == {"token": "first", "done": False}
        gate.opened.set()
        assert "second" in "".join(lines)


def test_an_empty_text_streams_as_an_answer_without_pieces() -> None:
    with running_service(ScriptedBackend([])) as service:
        (last,) = events(post(service, {"prompt": "p"}, "/generate/stream").text)
    assert (last["done"], last["generated_text"]) == (True, "")


def raising(error: Exception) -> Callable[[Request], None]:
    def step(_: Request) -> None:
        raise error

    return step


def test_a_failure_in_the_middle_of_a_stream_is_an_event() -> None:
    with running_service(ScriptedBackend(["a", raising(EngineUnavailableError("gone"))])) as service:
        response = post(service, {"prompt": "p"}, "/generate/stream")
        first, last = events(response.text)
        assert first == {"token": "a", "done": False}
        assert last["done"] is True
        assert last["error"]["code"] == "engine_unavailable"
        wait_until(lambda: metric(service, 'maze_requests_total{route="/generate/stream",status="503"}') == 1)


def _subclasses(kind: type[MazeError]) -> Iterator[type[MazeError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(TruncatedError("so", partial_text="ab"), "length"), (ConstraintViolatedError("so", partial_text="ab"), "stop")],
)
def test_what_a_service_upstream_found_wrong_with_a_text_is_passed_on_with_the_text(
    error: MazeError, reason: str
) -> None:
    with running_service(ScriptedBackend(["ab", raising(error)])) as service:
        answer = post(service, {"prompt": "p"}).json()
        streamed = events(post(service, {"prompt": "p"}, "/generate/stream").text)[-1]
    for found in (answer, streamed):
        assert (found["generated_text"], found["finish_reason"]) == ("ab", reason)
        assert (found["constraint_satisfied"], found["tokens_generated"]) == (False, None)


FAILURES = [kind for kind in _subclasses(MazeError) if kind not in (TruncatedError, ConstraintViolatedError)]


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize("kind", FAILURES)
def test_every_failure_of_an_engine_has_a_status_and_a_code(kind: type[MazeError], path: str) -> None:
    with running_service(ScriptedBackend([raising(kind("it was so"))])) as service:
        response = post(service, {"prompt": "p"}, path)
    assert response.status_code == HTTP_STATUS[kind.status]
    error = response.json()["error"]
    assert (error["code"], error["message"]) == (kind.status.name.lower(), "it was so")
    assert error["retryable"] is (response.status_code in RETRYABLE)


def test_every_status_has_its_http_status() -> None:
    assert set(HTTP_STATUS) == set(Status)


def test_a_defect_is_told_without_its_insides(caplog: pytest.LogCaptureFixture) -> None:
    with running_service(ScriptedBackend([raising(ZeroDivisionError("inside"))])) as service:
        response = post(service, {"prompt": "p", "request_id": "r-9"})
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert "inside" not in response.text
    assert "r-9" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_what_is_no_route_has_an_error_of_the_same_shape() -> None:
    with running_service(ScriptedBackend(["x"])) as service:
        missing = httpx.get(service.url + "/v1/completions")
        wrong_method = httpx.get(service.url + "/generate")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert (wrong_method.status_code, wrong_method.json()["error"]["code"]) == (405, "method_not_allowed")
    assert wrong_method.headers["Allow"] == "POST"


# ------------------------------------------------------------------------------------------------ ids, key, health


def test_a_request_without_an_id_is_given_one_and_a_header_counts_as_one() -> None:
    with running_service(ScriptedBackend(["x"])) as service:
        made = post(service, {"prompt": "p"})
        given = post(service, {"prompt": "p"}, headers={"X-Request-Id": "from-header"})
        bad = post(service, {"prompt": "p"}, headers={"X-Request-Id": "x" * 200})
        failed = httpx.get(service.url + "/nowhere", headers={"X-Request-Id": "lost"})
    assert made.json()["request_id"] == made.headers["X-Request-Id"] != ""
    assert given.json()["request_id"] == given.headers["X-Request-Id"] == "from-header"
    assert (bad.status_code, bad.json()["error"]["param"]) == (400, "X-Request-Id")
    assert failed.headers["X-Request-Id"] == "lost"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": b"Bearer \xe9\xff"},
    ],
)
def test_without_the_key_only_health_answers(headers: dict[str, Any]) -> None:
    backend = ScriptedBackend(["x"])
    with running_service(backend, ServiceSettings(api_key=Secret(KEY), stop_grace_secs=0)) as service:
        refused = [
            httpx.post(service.url + "/generate", json={"prompt": "p"}, headers=headers),
            httpx.post(service.url + "/generate/stream", json={"prompt": "p"}, headers=headers),
            httpx.get(service.url + "/models", headers=headers),
            httpx.get(service.url + "/metrics", headers=headers),
            httpx.get(service.url + "/nowhere", headers=headers),
        ]
        assert httpx.get(service.url + "/health", headers=headers).status_code == 200
    for response in refused:
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert response.json()["error"]["type"] == "authentication_error"
        assert KEY not in response.text
    assert backend.requests == []


def test_with_the_key_all_routes_answer() -> None:
    with running_service(ScriptedBackend(["x"]), ServiceSettings(api_key=Secret(KEY), stop_grace_secs=0)) as service:
        assert post(service, {"prompt": "p"}, headers=BEARER).status_code == 200
        assert post(service, {"prompt": "p"}, headers={"Authorization": f"bearer {KEY}"}).status_code == 200
        assert httpx.get(service.url + "/models", headers=BEARER).json() == ["a-model"]
        assert metric(service, "maze_tokens_generated_total", BEARER) == 2


class LoadingBackend(ScriptedBackend):
    ready = False

    def health(self, deadline: Deadline) -> Health:
        return Health(ready=self.ready and not deadline.expired(), backend=self.name, endpoints=())


class LostBackend(ScriptedBackend):
    def health(self, deadline: Deadline) -> Health:
        raise EngineUnavailableError(f"http://secret-host within {deadline.timeout_ms}")


def test_health_is_503_while_the_engine_loads_and_200_after() -> None:
    backend = LoadingBackend(["x"])
    with running_service(backend) as service:
        before = httpx.get(service.url + "/health")
        assert (before.status_code, before.json()["status"]) == (503, "loading")
        assert before.json()["error"]["retryable"] is True
        backend.ready = True
        wait_until(lambda: httpx.get(service.url + "/health").status_code == 200)
        assert httpx.get(service.url + "/health").json() == {
            "status": "ok",
            "model": "a-model",
            "backend": "scripted",
            "version": __version__,
        }


def test_the_engine_begins_to_load_before_anybody_asks() -> None:
    asked = threading.Event()

    class LazyBackend(ScriptedBackend):
        def health(self, deadline: Deadline) -> Health:
            asked.set()
            return super().health(deadline)

    with running_service(LazyBackend(["x"])):
        assert asked.wait(30)


def test_health_does_not_tell_strangers_where_the_engine_is() -> None:
    with running_service(LostBackend(["x"])) as service:
        response = httpx.get(service.url + "/health")
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    assert "secret-host" not in response.text


# ------------------------------------------------------------------------------------------------ limits


def test_a_body_over_the_limit_is_refused_by_its_length_or_by_counting() -> None:
    backend = ScriptedBackend(["x"])

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b" " * 100

    with running_service(backend, ServiceSettings(max_body_bytes=1000, stop_grace_secs=0)) as service:
        announced = post(service, {"prompt": "x" * 1000})
        assert (announced.status_code, announced.json()["error"]["code"]) == (413, "limit_exceeded")
        with socket.create_connection((service.host, service.port), timeout=30) as connection:
            connection.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.sendall(b"400\r\n" + b" " * 0x400 + b"\r\n")
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert (response.status, response.getheader("Connection")) == (413, "close")
    assert backend.requests == []


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    settings = ServiceSettings(client_timeout_secs=0.1, stop_grace_secs=0)
    with (
        running_service(ScriptedBackend(["x"]), settings) as service,
        socket.create_connection((service.host, service.port), timeout=30) as connection,
    ):
        connection.sendall(b'POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"p')
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 408


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["new", "kept alive"])
def test_a_header_that_does_not_end_is_not_waited_for(before: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Protocol, "head_secs", 0.2)
    with (
        running_service(ScriptedBackend(["x"])) as service,
        socket.create_connection((service.host, service.port), timeout=30) as connection,
    ):
        if before:
            connection.sendall(before)
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert (response.status, response.read()[:1]) == (200, b"{")
        connection.sendall(b"GET /health HTTP/1.1\r\nX-Mo")
        assert connection.recv(65536) == b""


def test_a_generation_may_take_longer_than_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Protocol, "head_secs", 0.05)
    pause = threading.Event()

    def wait(_: Request) -> None:
        pause.wait(0.3)

    with running_service(ScriptedBackend([wait, "x"])) as service:
        assert post(service, {"prompt": "x"}).json()["generated_text"] == "x"


def test_a_request_of_two_lengths_is_refused() -> None:
    body = b'{"prompt":"x"}'
    request = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\nTransfer-Encoding: chunked\r\n\r\n"
    backend = ScriptedBackend(["x"])
    with (
        running_service(backend) as service,
        socket.create_connection((service.host, service.port), timeout=30) as connection,
    ):
        connection.sendall(request + b"e\r\n" + body + b"\r\n0\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, response.getheader("Connection")) == (400, "close")
    assert backend.requests == []


def test_who_finds_slot_and_queue_full_is_told_to_come_again() -> None:
    gate = Gate()
    backend = ScriptedBackend(["a", gate, "b"])
    settings = ServiceSettings(max_concurrent=1, max_queue=1, stop_grace_secs=0)
    with running_service(backend, settings) as service, ThreadPoolExecutor(2) as clients:
        running = clients.submit(post, service, {"prompt": "1"})
        assert reached(gate.entered)
        waiting = clients.submit(post, service, {"prompt": "2"})
        wait_until(lambda: metric(service, "maze_queue_depth") == 1)
        assert metric(service, "maze_generations_running") == 1
        refused = post(service, {"prompt": "3"})
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        gate.opened.set()
        assert [running.result().status_code, waiting.result().status_code] == [200, 200]
    assert [request.prompt for request in backend.requests] == ["1", "2"]


def test_no_more_generations_run_at_once_than_there_are_slots() -> None:
    gate = Gate()
    backend = ScriptedBackend([gate, "x"])
    settings = ServiceSettings(max_concurrent=2, max_queue=10, stop_grace_secs=0)
    with running_service(backend, settings) as service, ThreadPoolExecutor(6) as clients:
        answers = [clients.submit(post, service, {"prompt": "p"}) for _ in range(6)]
        wait_until(lambda: metric(service, "maze_queue_depth") == 4)
        assert len(backend.requests) == 2
        gate.opened.set()
        assert [answer.result().status_code for answer in answers] == [200] * 6


def test_waiting_in_the_queue_counts_towards_the_time_of_a_request() -> None:
    gate = Gate()
    backend = ScriptedBackend([gate, "x"])
    settings = ServiceSettings(max_concurrent=1, request_timeout_secs=0.5, stop_grace_secs=0)
    with running_service(backend, settings) as service, raw_request(service, "/generate", {"prompt": "1"}):
        assert reached(gate.entered)
        response = post(service, {"prompt": "2"})
        assert (response.status_code, response.json()["error"]["code"]) == (504, "timed_out")
        assert [request.prompt for request in backend.requests] == ["1"]


def test_answers_are_not_held_back_for_the_clients_acknowledgement() -> None:
    with running_service(ScriptedBackend(["x"])) as service, httpx.Client() as client:
        assert client.get(service.url + "/health").status_code == 200
        (connection,) = service.server.server_state.connections
        served: socket.socket = connection.transport.get_extra_info("socket")
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


# ------------------------------------------------------------------------------------------------ leaving and stopping


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize("script", [["a"], []], ids=["after text", "before text"])
def test_a_client_that_leaves_cancels_its_generation_and_frees_the_slot(path: str, script: list[str]) -> None:
    gate = Gate()
    backend = ScriptedBackend([*script, gate, "b"])
    with running_service(backend, ServiceSettings(max_concurrent=1, max_queue=1, stop_grace_secs=0)) as service:
        with raw_request(service, path, {"prompt": "1"}):
            assert reached(gate.entered)
        assert reached(gate.cancelled)
        wait_until(lambda: metric(service, f'maze_requests_total{{route="{path}",status="499"}}') == 1)
        wait_until(lambda: metric(service, "maze_generations_running") == 0)
        gate.opened.set()
        assert post(service, {"prompt": "2"}).status_code == 200


def test_a_client_that_leaves_before_its_body_has_come_is_no_error_of_the_service() -> None:
    backend = ScriptedBackend(["x"])
    with running_service(backend) as service:
        with socket.create_connection((service.host, service.port), timeout=30) as connection:
            connection.sendall(b'POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"p')
        wait_until(lambda: metric(service, 'maze_requests_total{route="/generate",status="499"}') == 1)
    assert backend.requests == []


def test_a_client_that_does_not_read_is_given_up() -> None:
    settings = ServiceSettings(client_timeout_secs=0.2, stop_grace_secs=0)
    with (
        running_service(ScriptedBackend(["x" * 1_000_000] * 20), settings) as service,
        raw_request(service, "/generate/stream", {"prompt": "p"}),
    ):
        wait_until(lambda: metric(service, 'maze_requests_total{route="/generate/stream",status="499"}') == 1)


def test_a_client_that_leaves_the_queue_is_never_generated_for() -> None:
    gate = Gate()
    backend = ScriptedBackend([gate, "x"])
    settings = ServiceSettings(max_concurrent=1, max_queue=1, stop_grace_secs=0)
    with running_service(backend, settings) as service, ThreadPoolExecutor(1) as clients:
        running = clients.submit(post, service, {"prompt": "1"})
        assert reached(gate.entered)
        with raw_request(service, "/generate", {"prompt": "2"}):
            wait_until(lambda: metric(service, "maze_queue_depth") == 1)
        wait_until(lambda: metric(service, "maze_queue_depth") == 0)
        gate.opened.set()
        assert running.result().status_code == 200
        assert post(service, {"prompt": "3"}).status_code == 200
    assert [request.prompt for request in backend.requests] == ["1", "3"]


def test_a_service_that_stops_finishes_what_it_began_and_refuses_what_is_new() -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend(["a", gate, "b"]), ServiceSettings(stop_grace_secs=60)) as service,
        ThreadPoolExecutor(1) as clients,
    ):
        running = clients.submit(post, service, {"prompt": "1"})
        assert reached(gate.entered)
        service.server.stop()
        wait_until(lambda: httpx.get(service.url + "/health").status_code == 503)
        assert httpx.get(service.url + "/health").json()["status"] == "stopping"
        refused = post(service, {"prompt": "2"})
        assert (refused.status_code, refused.json()["error"]["retryable"]) == (503, True)
        assert refused.headers["Retry-After"] == "1"
        gate.opened.set()
        assert running.result().json()["generated_text"] == "ab"
        service.thread.join(30)
        assert not service.thread.is_alive()


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
def test_what_does_not_end_within_the_grace_time_is_cancelled_and_told_so(path: str) -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend([gate, "b"]), ServiceSettings(stop_grace_secs=0.05)) as service,
        ThreadPoolExecutor(1) as clients,
    ):
        running = clients.submit(post, service, {"prompt": "1"}, path)
        assert reached(gate.entered)
        service.server.stop()
        assert reached(gate.cancelled)
        response = running.result()
        assert response.status_code == 503
        assert "stopping" in response.json()["error"]["message"]
        service.thread.join(30)
        assert not service.thread.is_alive()


def test_a_body_that_arrives_after_the_stop_has_begun_is_refused() -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend([gate, "b"]), ServiceSettings(stop_grace_secs=60)) as service,
        raw_request(service, "/generate", {"prompt": "1"}),
        socket.create_connection((service.host, service.port), timeout=30) as late,
    ):
        assert reached(gate.entered)
        late.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n")
        wait_until(lambda: len(service.server.server_state.tasks) == 2)
        service.server.stop()
        wait_until(lambda: httpx.get(service.url + "/health").status_code == 503)
        late.sendall(b'{"prompt":"2"}')
        response = http.client.HTTPResponse(late)
        response.begin()
        assert response.status == 503
        gate.opened.set()


def test_the_second_wish_to_stop_does_not_wait_for_the_grace_time() -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend([gate, "b"]), ServiceSettings(stop_grace_secs=600)) as service,
        ThreadPoolExecutor(1) as clients,
    ):
        running = clients.submit(post, service, {"prompt": "1"})
        assert reached(gate.entered)
        service.server.stop()
        service.server.stop()
        assert reached(gate.cancelled)
        assert running.result().status_code == 503


# ------------------------------------------------------------------------------------------------ with the real model


def test_the_real_model_answers_under_a_schema(embedded_backend: LlamaCppBackend) -> None:
    body = {"prompt": "Give n.", "constraints": {"json_schema": SCHEMA}, "max_tokens": 40, "seed": 1}
    with running_service(embedded_backend, ServiceSettings(max_concurrent=2, stop_grace_secs=0)) as service:
        wait_until(lambda: httpx.get(service.url + "/health", timeout=30).status_code == 200)
        answer = post(service, body).json()
        streamed = events(post(service, body, "/generate/stream").text)
    assert answer["constraint_satisfied"] is True
    assert isinstance(json.loads(answer["generated_text"])["n"], int)
    assert "".join(event["token"] for event in streamed) == streamed[-1]["generated_text"]
    assert streamed[-1]["constraint_satisfied"] is True


def test_leaving_a_stream_stops_the_real_model(embedded_backend: LlamaCppBackend) -> None:
    with running_service(embedded_backend, ServiceSettings(max_concurrent=1, stop_grace_secs=0)) as service:
        body = {
            "prompt": "Count to ten thousand.",
            "max_tokens": 4000,
            "constraints": {"regex_patterns": ["^[0-9 ]{900}$"]},
        }
        with httpx.stream("POST", service.url + "/generate/stream", json=body, timeout=60) as response:
            next(response.iter_lines())
        wait_until(lambda: metric(service, 'maze_requests_total{route="/generate/stream",status="499"}') == 1)
        wait_until(lambda: metric(service, "maze_generations_running") == 0)
        assert metric(service, "maze_tokens_generated_total") == 0
