"""Making a connection: the look-up of a name, TCP or a Unix socket, TLS; all of it ends with the call."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import certifi
import httpx

from maze.backends.base import Deadline
from maze.backends.http.connection import Connection, TlsConnection, os_reason
from maze.backends.http.limits import Call
from maze.backends.http.proxy import open_tunnel, shown
from maze.descriptors import hold_the_standard_streams, off_the_standard_streams
from maze.memory import THREAD_BYTES, memory_for
from maze.proxies import Proxy
from maze.scarcity import shortage
from maze.threads import signals_left_to_the_host

CONNECT_SECS = 5.0
"""Longest wait for a connection, TLS handshake included."""
_QUEUE_SECS = 0.01
"""How long to wait before another try at a Unix socket whose queue is full."""

_Address = tuple[str, int] | tuple[str, int, int, int]


def connect_tcp(host: str, port: int, tls: ssl.SSLContext | None, call: Call) -> Connection:
    """Connect to the first of the host's addresses that can be reached; with TLS if there is a context for it."""
    limit = _limit(call)
    connected = _connect_to_any(host, port, call, limit)
    return Connection(connected) if tls is None else TlsConnection(connected, tls, host, _until(limit, call))


def connect_through(proxy: Proxy, host: str, port: int, tls: ssl.SSLContext | None, call: Call) -> Connection:
    """Connect to a proxy: with TLS to the host behind it, else to write to the proxy itself. Each has its own time."""
    try:
        connected = _connect_to_any(proxy.host, proxy.port, call, _limit(call))
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise type(error)(f"through the proxy {shown(proxy)}: {error}") from None
    connection = Connection(connected)
    if tls is None:
        return connection
    limit = _limit(call)
    forget = call.cancellation.on_cancel(connection.shut)
    try:
        open_tunnel(connection, proxy, host, port, _until(limit, call))
    except BaseException as error:
        connection.close()
        if isinstance(error, httpx.TimeoutException):
            raise httpx.ConnectTimeout(f"the proxy {shown(proxy)} opened no way in time") from None
        raise
    finally:
        forget()
    return TlsConnection(connected, tls, host, _until(_limit(call), call))


def _connect_to_any(host: str, port: int, call: Call, limit: float) -> socket.socket:
    failure: OSError | None = None
    addresses = _resolve(host, port, call, limit)
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        # Each address gets its share of the time, so that one that swallows packets leaves some for the next.
        secs = (limit - time.monotonic()) / (len(addresses) - number)
        if secs <= 0:
            break
        try:
            connected = _connect(_socket(family, kind, protocol), address, secs, call)
        except OSError as error:
            failure = error
            if call.cancellation.cancelled:
                break
            continue
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    raise _cannot_connect(failure)


def connect_unix(path: str, call: Call) -> Connection:
    """Connect to the Unix socket at `path`."""
    limit = _limit(call)
    while True:
        try:
            return Connection(_connect(_socket(socket.AF_UNIX), path, CONNECT_SECS, call))
        except BlockingIOError:
            # A full queue is an error at once, where TCP waits; the queue of llama.cpp's server holds five.
            if time.monotonic() >= limit or call.cancellation.wait(_QUEUE_SECS):
                raise _cannot_connect(None) from None
        except OSError as error:
            raise _cannot_connect(error) from None


def default_tls_context() -> ssl.SSLContext:
    """The system's certificates; those of certifi, which httpx trusts too, as well for systems that have none."""
    try:
        context = ssl.create_default_context(cafile=certifi.where())
        context.set_default_verify_paths()
    except OSError as error:
        unreadable = f"the certificates to trust cannot be read: {os_reason(error)}"
        raise shortage(error) or httpx.ConnectError(unreadable) from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _limit(call: Call) -> float:
    return time.monotonic() + min(CONNECT_SECS, call.deadline.remaining_secs())


def _until(limit: float, call: Call) -> Call:
    """The same call, with so much time only."""
    return Call(Deadline((limit - time.monotonic()) * 1000), call.cancellation)


def _cannot_connect(failure: OSError | None) -> httpx.TransportError:
    if failure is None or isinstance(failure, TimeoutError):
        return httpx.ConnectTimeout("no connection in time")
    return httpx.ConnectError(os_reason(failure))


def _socket(*what: int) -> socket.socket:
    """A new socket. Raises OutOfMemoryError where the process may have no more open files."""
    try:
        return off_the_standard_streams(socket.socket(*what))
    except OSError as error:
        raise shortage(error) or error from None


def _connect(connecting: socket.socket, address: _Address | str, secs: float, call: Call) -> socket.socket:
    def shut() -> None:
        with contextlib.suppress(OSError):
            connecting.shutdown(socket.SHUT_RDWR)

    forget = call.cancellation.on_cancel(shut)
    try:
        connecting.settimeout(secs)
        connecting.connect(address)
        connecting.setblocking(False)
    except BaseException:
        connecting.close()
        raise
    finally:
        forget()
    return connecting


def _resolve(
    host: str, port: int, call: Call, limit: float
) -> list[tuple[socket.AddressFamily, socket.SocketKind, int, str, _Address]]:
    """Addresses of a host. A look-up cannot be interrupted, so it runs in a thread that is left behind if need be."""
    answer: list[object] = []
    wake = threading.Event()

    def look_up(flags: int = 0) -> None:
        hold_the_standard_streams()
        try:
            answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))
        except (OSError, UnicodeError) as error:
            answer.append(error)
        wake.set()

    look_up(socket.AI_NUMERICHOST)
    if isinstance(answer[0], Exception):
        answer.clear()
        wake.clear()
        forget = call.cancellation.on_cancel(wake.set)
        try:
            with memory_for(THREAD_BYTES), signals_left_to_the_host():
                threading.Thread(target=look_up, name="maze-resolve", daemon=True).start()
        except RuntimeError as error:
            forget()
            raise shortage(error) or error from None
        wake.wait(limit - time.monotonic())
        forget()
    if not answer:
        raise httpx.ConnectTimeout(f"the name {host!r} could not be looked up in time")
    if isinstance(answer[0], Exception):
        raise httpx.ConnectError(f"the name {host!r} cannot be looked up")
    return answer[0]  # type: ignore[return-value] # AF_INET and AF_INET6 are all that a stream look-up of a host gives
