"""Runs the service under uvicorn, with a stop that keeps answering until what is under way has ended."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import cast

import uvicorn
from starlette.applications import Starlette

from maze.backends.base import Deadline
from maze.config import MazeConfig, allowed_hosts_from_environment
from maze.errors import ConfigurationError, InvalidArgumentError, MazeError
from maze.orchestrator import Orchestrator
from maze.secret import Secret
from maze.service.addressing import canonical, host_name, is_address
from maze.service.app import create_app
from maze.service.connections import (
    CLIENT_SECS,
    SPARE_CONNECTIONS,
    Acceptor,
    ClientConnection,
    connection_limit,
    end_overdue,
    raise_file_limit,
)
from maze.service.routes import CANCEL_GRACE_SECS, Service
from maze.service.settings import ServiceSettings
from maze.threads import favour_quick_calls

ASKING_SECS = 2
"""Longest wait for an upstream to say what it is, before the service opens."""
BACKLOG = 1024
"""Connections that may wait to be accepted."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 for a free one. Raises InvalidArgumentError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        # With the protocol named, which socket.create_server() does not do: asyncio sets TCP_NODELAY on connections of
        # such sockets only, and without it every answer waits 40 ms for the client's delayed acknowledgement.
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise InvalidArgumentError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
    return listener


def require_key(key: Secret, host: str) -> None:
    """Raise ConfigurationError for a service without a key on a host that others can reach."""
    if not key and not _is_loopback(host):
        raise ConfigurationError(
            f"--host {host!r} can be reached from elsewhere, so a key is needed: set MAZE_API_KEY, "
            "or listen on 127.0.0.1"
        )


def allowed_hosts(given: Sequence[str], key: Secret, host: str) -> tuple[str, ...]:
    """The names for ServiceSettings.allow_hosts of a service on `host`: those given and those of the environment.

    Empty, which stands for all, for a service with a key and without any. Raises InvalidArgumentError for no name.
    """
    names = (*given, *allowed_hosts_from_environment())
    for name in names:
        if host_name(f"[{name}]" if is_address(name) else name) != canonical(name):
            raise InvalidArgumentError(f"--allow-host is {name[:100]!r}; give a name or address alone, without a port")
    if key and not names:
        return ()
    return tuple(canonical(name) for name in (*names, host) if name)


def _is_loopback(host: str) -> bool:
    if not host:
        return False  # all addresses
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InvalidArgumentError(f"--host {host} is no address of this machine: {error}") from None
    return all(ipaddress.ip_address(str(address[4][0])).is_loopback for address in found)


class ServiceServer(uvicorn.Server):
    """uvicorn for an app of create_app().

    uvicorn itself stops listening first; here the service goes on listening while generations end, so that new
    requests get a clear 503 and a load balancer can see it. A second signal cancels what is under way.
    """

    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=ClientConnection,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_keep_alive=round(CLIENT_SECS),
                timeout_graceful_shutdown=round(CANCEL_GRACE_SECS),
            )
        )
        self.stopped_by: signal.Signals | None = None
        """The signal that ended it."""
        self._service: Service = app.state.service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup([])
        limit = self._limit = connection_limit(for_engine=self._service.settings.max_concurrent)
        self.servers = [
            Acceptor(listener, self._make_connection, self.server_state.connections, limit)  # type: ignore[misc]
            for listener in sockets or ()
        ]

    def _make_connection(self) -> ClientConnection:
        connection = ClientConnection(self.config, self.server_state, dict(self.lifespan.state))
        connection.is_crowded = self._is_crowded
        return connection

    def _is_crowded(self) -> bool:
        connections = cast("set[ClientConnection]", self.server_state.connections)
        return sum(each.waiting_since() is None for each in connections) >= self._limit - SPARE_CONNECTIONS

    async def on_tick(self, counter: int) -> bool:
        end_overdue(self.server_state.connections)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Take a signal. It is not raised again afterwards: the one who runs the server decides what it means."""
        self.stopped_by = signal.Signals(sig)
        self.stop()

    def stop(self) -> None:
        """Begin to stop, from any thread; the second time, cancel what is under way."""
        if self._loop is None:
            self.should_exit = True
        else:
            with suppress(RuntimeError):  # the loop is closed: it has stopped
                self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._stopping is None:
            self._service.begin_stop()
            self._stopping = asyncio.create_task(self._exit_when_drained())
        else:
            self._service.cancel_all()

    async def _exit_when_drained(self) -> None:
        await self._service.drained()
        self.should_exit = True


def _engine_of(maze: Orchestrator) -> str | None:
    """What the engine is; an upstream is asked, as it may be any of several."""
    if maze.config.modal is None or maze.config.modal.dialect is not None:
        return maze.backend_name
    try:
        ready = maze.health(Deadline(ASKING_SECS * 1000)).ready
    except MazeError:
        return None
    return maze.backend_name if ready else None


def run_service(
    host: str, port: int, config: MazeConfig, settings: ServiceSettings, announce: Callable[[str, str | None], None]
) -> signal.Signals | None:
    """Offer the engine of `config` until a signal comes, which is returned; `announce` is told URL and engine.

    None stands for an upstream that does not say yet what it is.
    """
    raise_file_limit()
    favour_quick_calls()
    with Orchestrator(config) as maze, listen(host, port) as listener:
        server = ServiceServer(create_app(maze, settings))
        address, bound_port = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        announce(f"http://{shown}:{bound_port}", _engine_of(maze))
        server.run([listener])
    return server.stopped_by
