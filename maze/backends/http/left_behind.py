"""Connections that calls left while the server may still work for them: it takes a while to see that nobody listens."""

from __future__ import annotations

import select
import threading

import httpx

from maze.backends.http.connection import Connection
from maze.backends.http.limits import Call

_LOOK_MS = 50.0
"""How often a call that waits looks whether it was cancelled."""


class LeftBehind:
    """Keeps at most `most` connections that were left; who wants a new one then waits until the server has let one go.

    Without it, calls with short deadlines ask for more than a server can drop, and it drowns in what nobody waits for.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._connections: list[Connection] = []

    def add(self, connection: Connection) -> None:
        """Take over a connection: the server is told that nobody listens, and the rest is closed when it has closed."""
        connection.stop_sending()
        with self._lock:
            self._connections.append(connection)

    def wait(self, call: Call) -> None:
        """Wait until there is room for one more. Raises httpx.PoolTimeout, and what the end of the call raises."""
        while len(left := self._still_open()) >= self._most:
            call.raise_if_over()
            if not (wait_ms := call.wait_ms()):
                raise httpx.PoolTimeout("it still works for calls that are over")
            ended = select.poll()
            for connection in left:
                ended.register(connection, 0)  # POLLHUP comes unasked
            ended.poll(min(wait_ms, _LOOK_MS))

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def _still_open(self) -> list[Connection]:
        with self._lock:
            for connection in self._connections:
                if connection.is_hung_up():
                    connection.close()
            self._connections = [each for each in self._connections if each.fileno() >= 0]
            return list(self._connections)
