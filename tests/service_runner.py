"""Runs the service on a loopback port in a thread, for tests that talk to it over HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.applications import Starlette

from maze.backends.base import Backend, Deadline
from maze.config import MazeConfig
from maze.orchestrator import Orchestrator
from maze.service.app import create_app
from maze.service.server import ServiceServer, listen
from maze.service.settings import ServiceSettings

POST_HEAD = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
"""Of a request that the test writes itself; the length of the body and an empty line are missing."""


@dataclass(frozen=True, slots=True)
class RunningService:
    url: str
    host: str
    port: int
    server: ServiceServer
    thread: threading.Thread


@contextmanager
def running_service(backend: Backend, settings: ServiceSettings | None = None) -> Iterator[RunningService]:
    """The Orchestrator is not closed, because the backend is the caller's."""
    maze = Orchestrator(MazeConfig(), backend=backend)
    with running_app(create_app(maze, settings or ServiceSettings(stop_grace_secs=0))) as service:
        yield service


@contextmanager
def running_app(app: Starlette) -> Iterator[RunningService]:
    server = ServiceServer(app)
    listener = listen("127.0.0.1", 0)
    host, port = listener.getsockname()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        # The socket listens already: whoever connects before the server is up waits in its backlog.
        yield RunningService(f"http://{host}:{port}", host, port, server, thread)
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive(), "the service did not stop"


def post(
    service: RunningService, body: object, path: str = "/generate", headers: dict[str, str] | None = None
) -> httpx.Response:
    return httpx.post(service.url + path, json=body, timeout=30, headers=headers)


def post_bytes(service: RunningService, body: bytes, path: str = "/generate") -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return httpx.post(service.url + path, content=body, timeout=30, headers=headers)


def events(text: str) -> list[Any]:
    """The events of a stream, the last being the text "[DONE]"."""
    assert text.endswith("\n\n")
    lines = text.removesuffix("\n\n").split("\n\n")
    assert all(line.startswith("data: ") for line in lines)
    payloads = [line.removeprefix("data: ") for line in lines]
    assert payloads[-1] == "[DONE]"
    return [*map(json.loads, payloads[:-1])]


@contextmanager
def raw_request(service: RunningService, path: str, body: dict[str, Any]) -> Iterator[socket.socket]:
    """A request whose connection the test holds in its hand."""
    content = json.dumps(body).encode()
    head = POST_HEAD.replace(b"/generate", path.encode()) + b"Content-Length: %d\r\n\r\n" % len(content)
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
