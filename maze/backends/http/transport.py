"""HTTP/1.1 under httpx: a transport of our own, because httpcore's connection pool halves its throughput under threads.

Other than with httpx's own, every wait is bounded by the one deadline of the call (name look-up, connect, TLS, sending,
each read), a cancellation shuts the socket, so that a waiting read ends at once, and SIGPIPE is never raised.

It reads no environment: proxies are those that it is given, and of the variables for certificates only those count that
OpenSSL itself looks at, SSL_CERT_FILE and SSL_CERT_DIR.

Errors are those of httpx (`httpx.TransportError` and its subclasses), which failures.py turns into ours.
"""

from __future__ import annotations

import ssl
import threading
import time
from dataclasses import dataclass
from functools import partial

import httpx

from maze.backends.http.connect import connect_tcp, connect_through, connect_unix, default_tls_context
from maze.backends.http.connection import Connection
from maze.backends.http.exchange import Exchange
from maze.backends.http.left_behind import LeftBehind
from maze.backends.http.limits import Call
from maze.backends.http.proxy import proxy_for, through_proxy
from maze.backends.http.route import Origin, origin_of
from maze.proxies import NO_PROXIES, Proxies, Proxy

KEEP_ALIVE_SECS = 4.0
"""How long an idle connection is kept; vLLM and llama.cpp close theirs after 5 s."""
MAX_IDLE_CONNECTIONS = 256
"""Idle connections kept for one origin, as many as calls may be under way. Those that expired are closed when the next
connection is given back, so after a burst some stay open until the next call or close()."""


@dataclass(frozen=True, slots=True)
class _Idle:
    """A connection whose last answer was read as far as somebody wanted it."""

    last: Exchange
    expires: float


class SocketTransport(httpx.BaseTransport):
    """Sends requests over plain and TLS sockets and keeps connections alive. Safe for use from many threads.

    With `uds`, the path of a Unix socket, everything goes there, without TLS; the host of a URL is then a mere name.
    `most_left_behind` bounds how many answers there the server may still work at that nobody waits for any more.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        uds: str | None = None,
        most_left_behind: int | None = None,
        proxies: Proxies = NO_PROXIES,
    ) -> None:
        self._tls = tls
        self._uds = uds
        self._proxies = proxies
        self._left_behind = None if most_left_behind is None else LeftBehind(most_left_behind)
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[_Idle]] = {}
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the head of its answer; the body is read as it is iterated.

        `extensions["done"]()` says that the reader has all it needs, so that the connection serves the next request.
        Without it, closing the answer closes the connection: that is how an engine learns that nobody listens.
        """
        call: Call = request.extensions["call"]
        origin = origin_of(request.url)
        proxy = proxy_for(self._proxies, origin) if self._uds is None else None
        if proxy is not None and request.url.scheme == "http":
            request = through_proxy(request, proxy)
        idle = self._take_idle(origin)
        if idle is not None:
            try:
                return self._ask(origin, idle, request, call)
            except httpx.NetworkError:
                # The server had closed the idle connection while we took it. As it sent nothing, it did nothing, so
                # the request may go out once more.
                if idle.answered or call.cancellation.cancelled:
                    raise
        return self._ask(origin, self._connect(origin, proxy, call), request, call)

    def _connect(self, origin: Origin, proxy: Proxy | None, call: Call) -> Connection:
        scheme, host, port = origin
        if self._uds is not None:
            if self._left_behind is not None:
                self._left_behind.wait(call)
            return connect_unix(self._uds, call)
        if scheme == "https" and self._tls is None:
            self._tls = default_tls_context()
        tls = self._tls if scheme == "https" else None
        if proxy is not None:
            return connect_through(proxy, host, port, tls, call)
        return connect_tcp(host, port, tls, call)

    def _ask(self, origin: Origin, connection: Connection, request: httpx.Request, call: Call) -> httpx.Response:
        return Exchange(connection, call, partial(self._keep, origin), self._leave).ask(request)

    def _take_idle(self, origin: Origin) -> Connection | None:
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                taken = idle.pop()  # the last used: those before it may then expire
            if time.monotonic() < taken.expires and taken.last.is_over():
                return taken.last.connection
            taken.last.connection.close()

    def _keep(self, origin: Origin, exchange: Exchange) -> None:
        now = time.monotonic()
        surplus = [_Idle(exchange, now + KEEP_ALIVE_SECS)]
        with self._lock:
            if not self._closed:
                idle = self._idle.setdefault(origin, [])
                idle += surplus
                surplus.clear()
                while len(idle) > MAX_IDLE_CONNECTIONS or idle[0].expires < now:
                    surplus.append(idle.pop(0))
        for old in surplus:
            old.last.connection.close()

    def _leave(self, connection: Connection) -> None:
        if self._left_behind is None:
            connection.close()
        else:
            self._left_behind.add(connection)

    def close(self) -> None:
        """Close the idle connections, and those in use when their answer was read."""
        with self._lock:
            self._closed = True
            idle = [each for of_origin in self._idle.values() for each in of_origin]
            self._idle.clear()
        for each in idle:
            each.last.connection.close()
        if self._left_behind is not None:
            self._left_behind.close()
