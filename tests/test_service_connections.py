"""maze.service: connections are bounded, and those whose clients keep the service waiting go first."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from scripted_backend import Gate, ScriptedBackend, reached
from service_runner import POST_HEAD, RunningService, metric, post, raw_request, running_service, wait_until

from maze.service import routes as routes_module
from maze.service import server as server_module
from maze.service.connections import SPARE_CONNECTIONS, ClientConnection, connection_limit
from maze.service.settings import ServiceSettings


@contextmanager
def at_most(connections: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(server_module, "connection_limit", lambda for_engine: connections + 0 * for_engine)
    yield


def connect(service: RunningService, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection((service.host, service.port), timeout=30)
    connection.sendall(sent)
    return connection


def is_healthy(service: RunningService, secs: float = 30) -> bool:
    started = time.monotonic()
    assert httpx.get(service.url + "/health", timeout=secs).status_code == 200
    return time.monotonic() - started < secs


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(65536) == b""
    except ConnectionResetError:
        return True


HALF_A_HEAD = b"GET /health HTTP/1.1\r\nX-Mo"
HALF_A_BODY = POST_HEAD + b'Content-Length: 1000\r\n\r\n{"p'
AFTER_A_REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "sent", [b"", HALF_A_HEAD, HALF_A_BODY, AFTER_A_REQUEST], ids=["silent", "head", "body", "idle"]
)
def test_a_thousand_connections_that_keep_the_service_waiting_do_not_silence_health(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with at_most(50, monkeypatch), running_service(ScriptedBackend(["x"])) as service, ExitStack() as held:
        connections = [held.enter_context(connect(service, sent)) for _ in range(1000)]
        assert is_healthy(service)
        assert len(service.server.server_state.connections) <= 51
        if sent in (b"", HALF_A_HEAD):
            assert ended(connections[0])  # who has waited longest has gone


def test_clients_that_are_worked_for_stay_however_many_come(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    settings = ServiceSettings(max_concurrent=4, stop_grace_secs=0)
    with (
        at_most(8 + SPARE_CONNECTIONS, monkeypatch),
        running_service(ScriptedBackend(["a", gate, "b"]), settings) as service,
        ExitStack() as held,
    ):
        streams = [
            held.enter_context(raw_request(service, "/generate/stream", {"prompt": str(number)})) for number in range(8)
        ]
        for _ in range(4):
            assert reached(gate.entered)
        for _ in range(300):
            held.enter_context(connect(service))
        assert is_healthy(service)
        refused = httpx.post(service.url + "/generate", json={"prompt": "x"}, timeout=30)
        assert (refused.status_code, refused.headers["Connection"]) == (429, "close")
        assert refused.json()["error"]["retryable"] is True
        gate.opened.set()
        for stream in streams:
            received = b""
            while not received.endswith(b"0\r\n\r\n"):
                piece = stream.recv(65536)
                assert piece, received
                received += piece
            assert b"[DONE]" in received


@pytest.mark.parametrize("begun", [HALF_A_HEAD, HALF_A_BODY], ids=["head", "body"])
def test_a_byte_now_and_then_does_not_keep_a_connection(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientConnection, "patience_secs", 0.5)
    settings = ServiceSettings(client_timeout_secs=0.5, stop_grace_secs=0)
    with running_service(ScriptedBackend(["x"]), settings) as service, connect(service, begun) as connection:
        connection.settimeout(0.1)
        started = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - started < 20:
                connection.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(65536):
                        break
        assert time.monotonic() - started < 10


def test_a_client_that_never_reads_is_given_up_with_what_was_to_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientConnection, "patience_secs", 0.5)
    with (
        running_service(ScriptedBackend(["x" * 1_000_000] * 20), ServiceSettings(stop_grace_secs=0)) as service,
        raw_request(service, "/generate", {"prompt": "p"}),
    ):
        wait_until(lambda: metric(service, 'maze_requests_total{route="/generate",status="200"}') == 1)
        wait_until(lambda: len(service.server.server_state.connections) == 0)


def test_bodies_that_arrive_at_once_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_module, "MAX_UNREAD_BYTES", 1000)
    settings = ServiceSettings(max_body_bytes=900, stop_grace_secs=0)
    with running_service(ScriptedBackend(["x"]), settings) as service:
        head = POST_HEAD + b"Content-Length: 900\r\n\r\n"
        with connect(service, head + b" " * 600), connect(service, head + b" " * 600) as second:
            refused = second.recv(65536)
        assert refused.startswith(b"HTTP/1.1 429 ")
        wait_until(lambda: post(service, {"prompt": "p" * 700}).status_code == 200)


def test_a_generation_that_takes_long_is_not_taken_for_an_idle_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientConnection, "patience_secs", 0.1)
    gate = Gate()
    with (
        running_service(ScriptedBackend([gate, "x"])) as service,
        raw_request(service, "/generate", {"prompt": "p"}) as connection,
    ):
        assert reached(gate.entered)
        threading.Event().wait(1)
        gate.opened.set()
        assert b"200 OK" in connection.recv(65536)


def test_the_limit_leaves_files_for_everything_else() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert connection_limit(for_engine=32) == 160
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        assert connection_limit(for_engine=32) == 24
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("files", [128, 1024])
def test_a_service_with_few_open_files_is_not_silenced_by_idle_clients(files: int) -> None:
    with running_service(ScriptedBackend(["x"])) as engine:
        command = [sys.executable, "-m", "maze", "serve", "--port", "0", "--json", "--upstream", engine.url]
        limited = ["bash", "-c", f'ulimit -n {files}; exec "$@"', "bash", *command]
        with subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child, ExitStack() as held:
            try:
                assert child.stdout is not None
                url = json.loads(child.stdout.readline())["url"]
                host, port = url.removeprefix("http://").split(":")
                for _ in range(1200):
                    held.enter_context(socket.create_connection((host, int(port)), timeout=30))
                took = []
                for _ in range(10):
                    started = time.monotonic()
                    assert httpx.get(url + "/health", timeout=10).status_code == 200
                    took.append(time.monotonic() - started)
                assert sorted(took)[5] < 1
            finally:
                child.kill()
