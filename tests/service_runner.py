"""Runs the service on a loopback port in a thread, for tests that talk to it over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.applications import Starlette

from maze.backends.base import Backend
from maze.config import MazeConfig
from maze.orchestrator import Orchestrator
from maze.service.app import create_app
from maze.service.server import ServiceServer, listen
from maze.service.settings import ServiceSettings


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
