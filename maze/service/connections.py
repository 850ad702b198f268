"""Connections of clients: how long one may keep the service waiting, and who goes first where there are too many.

The service waits for a client that is idle, has not sent its header or body in full, or does not read. While it works
for one, or a generation runs, that connection is never given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import socket
import sys
from collections.abc import Callable, Collection
from http import HTTPStatus
from time import monotonic
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from maze.service.refusal import Refusal

_log = logging.getLogger(__name__)

CLIENT_SECS = 30.0
"""How long a client may be idle, take for a whole request line and header, or not read; those of Maze take less."""
MAX_CONNECTIONS = 4096
RESERVED_FILES = 64
"""Open files for everything but clients and the engine: sockets of workers, modules, the log."""
SPARE_CONNECTIONS = 16
"""Of the limit, for health alone, where all others have requests under way."""
_LEAST_CONNECTIONS = 24
_PAUSE_SECS = 0.05
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class ClientConnection(H11Protocol):
    """uvicorn's connection, which would wait for ever for a header, for room to write and for the end of a close."""

    patience_secs: float = CLIENT_SECS

    is_crowded: Callable[[], bool] = staticmethod(lambda: False)
    """Whether as many requests are under way as may be; others than those for health are then refused."""

    _waiting_since: float | None = None
    _stalled_since: float | None = None
    _closing_since: float | None = None
    _in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._waiting_since = monotonic()

    def data_received(self, data: bytes) -> None:
        if not (self._at_work() or self._in_head):
            self._in_head = True
            self._waiting_since = monotonic()
            self.app_state["crowded"] = self.is_crowded()
        super().data_received(data)
        self._note()

    def on_response_complete(self) -> None:
        self._in_head = False
        self._waiting_since = monotonic()
        super().on_response_complete()  # begins with the next request where that is there already
        self._note()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_since = monotonic()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled_since = None

    def _should_upgrade(self) -> bool:
        return False  # without uvicorn's advice to install something

    def send_400_response(self, msg: str) -> None:
        """Tell what is wrong with the bytes of a request, in the one shape of errors."""
        error = sys.exception()
        http_status = HTTPStatus(getattr(error, "error_status_hint", 400))
        code = "limit_exceeded" if http_status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE else "invalid_argument"
        refusal = Refusal(http_status, code, f"this is no request of HTTP/1.1: {str(error or msg)[:200]}")
        _log.info("%d %s", http_status, refusal.message)
        if self._at_work():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not (self._at_work() and self.cycle.response_started):
            body = refusal.body()
            head = f"HTTP/1.1 {http_status.value} {http_status.phrase}\r\nContent-Type: application/json\r\n"
            head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            self.transport.write(head.encode() + body)
        self.transport.close()

    def waiting_since(self) -> float | None:
        """Since when the service has waited for the client; None where the client waits for the service."""
        if self._stalled_since is not None:
            return self._stalled_since
        return self._waiting_since

    def is_overdue(self, now: float) -> bool:
        """Whether the client has kept it waiting too long. How long it may take for a body, the routes decide."""
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            since: float | None = self._closing_since
        else:
            since = self.waiting_since() if self._stalled_since or not self._at_work() else None
        return since is not None and now - since > self.patience_secs

    def abort(self) -> None:
        """End it at once; what has not been sent is dropped."""
        self.transport.abort()

    def _at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _note(self) -> None:
        """Take note of a request that has begun, or whose body is there."""
        if self._at_work():
            self._in_head = False
            self._waiting_since = (self._waiting_since or monotonic()) if self.cycle.more_body else None


class Acceptor:
    """Accepts connections, as many as there are open files for; it is what uvicorn calls a server."""

    def __init__(
        self, listener: socket.socket, make: Callable[[], ClientConnection], connections: Collection[object], limit: int
    ) -> None:
        """`connections` holds those that are open; beyond `limit`, who keeps the service waiting makes room."""
        listener.setblocking(False)
        self._listener = listener
        self._make = make
        self._connections = cast("Collection[ClientConnection]", connections)
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._accept_from_now_on()

    def close(self) -> None:
        self._loop.remove_reader(self._listener)
        if self._pause is not None:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        """Wait for what was just accepted."""
        await asyncio.gather(*self._beginning)

    def _accept_from_now_on(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        """Accept one; asyncio would accept all that wait, before it could be seen that they are too many."""
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _OUT_OF_FILES:
                _log.warning("no connection can be accepted: %s", error.strerror)
                self._end_one()
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(_PAUSE_SECS, self._accept_from_now_on)
            return  # else it has ended already
        open_now = sum(not connection.transport.is_closing() for connection in self._connections)
        if open_now >= self._limit and not self._end_one():
            client.close()
            return
        task = self._loop.create_task(self._begin(client))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _begin(self, client: socket.socket) -> None:
        client.setblocking(False)
        with contextlib.suppress(OSError):  # it has ended already
            await self._loop.connect_accepted_socket(self._make, client)

    def _end_one(self) -> bool:
        """End the connection that has kept the service waiting longest; False if none does."""
        waiting = [
            (since, number, connection)
            for number, connection in enumerate(self._connections)
            if not connection.transport.is_closing() and (since := connection.waiting_since()) is not None
        ]
        if not waiting:
            return False
        _, _, longest = min(waiting)
        longest.abort()
        return True


def end_overdue(connections: Collection[object]) -> None:
    """End the connections whose clients have kept the service waiting too long."""
    now = monotonic()
    for connection in list(cast("Collection[ClientConnection]", connections)):
        if connection.is_overdue(now):
            connection.abort()


def raise_file_limit() -> None:
    """Have as many open files as the system lets this process have, up to what the connections can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_CONNECTIONS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limit(for_engine: int) -> int:
    """How many clients may be connected, where the engine needs so many open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(_LEAST_CONNECTIONS, min(MAX_CONNECTIONS, files - RESERVED_FILES - for_engine))
