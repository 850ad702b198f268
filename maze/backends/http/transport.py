"""HTTP/1.1 under httpx: a transport of our own, because httpcore's connection pool halves its throughput under threads.

What it does that httpx's own transport does not:

- every wait is bounded by the one deadline of the call (name look-up, connect, TLS handshake, sending, each read), and
  a cancellation shuts the socket, so that a waiting read ends at once;
- it never raises SIGPIPE, also not under TLS, because the process belongs to somebody else;
- it believes nothing: framing, sizes and header fields are checked strictly, compressed bodies are refused.

It reads no environment: the proxies and certificates that httpx would take from HTTP_PROXY, SSL_CERT_FILE and the like
do not count, except that OpenSSL itself looks at SSL_CERT_FILE and SSL_CERT_DIR for the system's certificates.

Errors are those of httpx (`httpx.TransportError` and its subclasses), which maze.backends.http.backend turns into ours.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import certifi
import httpx

from maze.backends.base import Cancellation, Deadline
from maze.backends.http.socket_calls import SEND_BYTES, ReceiveBuffer, send_now
from maze.threads import signals_left_to_the_host

CONNECT_SECS = 5.0
"""Longest wait for a connection, TLS handshake included."""
KEEP_ALIVE_SECS = 4.0
"""How long an idle connection is kept; vLLM and llama.cpp close theirs after 5 s."""
MAX_IDLE_CONNECTIONS = 256
"""Idle connections kept for one origin, as many as calls may be under way. Those that expired are closed when the next
connection is given back, so after a burst some stay open until the next call or close()."""
MAX_HEAD_BYTES = 65536
"""Longest status line and header fields of an answer."""
MAX_CHUNK_LINE_BYTES = 1024
"""Longest size line of a chunk."""

Origin = tuple[str, str, int]
"""Scheme, host, port."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_WAIT_MS = 2e9
"""24 days: poll() takes no more."""
_TLS_BYTES = 65536
"""Most bytes that are encrypted or decrypted at once."""
_CONTENT_FREE = frozenset({204, 304})

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n\0]*)?\r\n")
_FIELD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\0]*\r\n"
_FIELDS = re.compile(rb"(?:" + _FIELD + rb")*\r\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?")
_CONTENT_LENGTH = re.compile(rb"[0-9]{1,18}")


class TlsError(httpx.ConnectError):
    """The TLS handshake failed: a certificate that does not verify, or a server that does not speak TLS."""


class Call:
    """What bounds one use of the transport; goes into `httpx.Request.extensions["call"]`."""

    __slots__ = ("_silence_ends", "cancellation", "deadline", "silence_secs")

    def __init__(self, deadline: Deadline, cancellation: Cancellation) -> None:
        self.deadline = deadline
        self.cancellation = cancellation
        self.silence_secs = self._silence_ends = float("inf")

    def allow_silence(self, secs: float) -> None:
        """Give the service so much time from now; what it sends in between that is of no use does not prolong it."""
        self.silence_secs = secs
        self._silence_ends = time.monotonic() + secs

    def wait_ms(self) -> float:
        """How long to wait for a socket now; 0 once the deadline or the time for silence has passed."""
        secs = min(self.deadline.at, self._silence_ends) - time.monotonic()
        return min(max(0.0, secs * 1000), _LONGEST_WAIT_MS)


class SocketTransport(httpx.BaseTransport):
    """Sends requests over plain and TLS sockets and keeps connections alive. Safe for use from many threads."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, uds: str | None = None) -> None:
        self._tls = tls
        self._uds = uds
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[_Connection]] = {}
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the head of its answer; the body is read as it is iterated.

        `extensions["done"]()` says that the reader has all it needs, so that the connection serves the next request.
        Without it, closing the answer closes the connection: that is how an engine learns that nobody listens.
        """
        call: Call = request.extensions["call"]
        url = request.url
        origin = (url.scheme, url.raw_host.decode("ascii"), url.port or _DEFAULT_PORTS[url.scheme])
        data = _encode(request)
        idle = self._take_idle(origin)
        if idle is not None:
            try:
                return self._exchange(origin, idle, data, call)
            except httpx.NetworkError:
                # The server had closed the idle connection while we took it. As it sent nothing, it did nothing, so
                # the request may go out once more.
                if idle.answered or call.cancellation.cancelled:
                    raise
        return self._exchange(origin, self._connect(origin, call), data, call)

    def _exchange(self, origin: Origin, connection: _Connection, data: bytes, call: Call) -> httpx.Response:
        connection.answered = False
        forget = call.cancellation.on_cancel(connection.shut)
        try:
            head = connection.ask(data, call)
        except BaseException:
            forget()
            connection.close()
            raise
        stream = _Stream(self, origin, connection, _Body(connection, call, head), forget, call.cancellation)
        return httpx.Response(head.status, headers=head.fields, stream=stream, extensions={"done": stream.done})

    def _take_idle(self, origin: Origin) -> _Connection | None:
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                connection = idle.pop()  # the last used: those before it may then expire
            if time.monotonic() < connection.expires and connection.is_clean():
                return connection
            connection.close()

    def keep(self, origin: Origin, connection: _Connection) -> None:
        """Keep a connection whose answer was read for the next request."""
        now = time.monotonic()
        connection.expires = now + KEEP_ALIVE_SECS
        expired: list[_Connection] = []
        with self._lock:
            if self._closed:
                expired.append(connection)
            else:
                idle = self._idle.setdefault(origin, [])
                idle.append(connection)
                while len(idle) > MAX_IDLE_CONNECTIONS or idle[0].expires < now:
                    expired.append(idle.pop(0))
        for old in expired:
            old.close()

    def close(self) -> None:
        """Close the idle connections, and those in use when their answer was read."""
        with self._lock:
            self._closed = True
            connections = [connection for idle in self._idle.values() for connection in idle]
            self._idle.clear()
        for connection in connections:
            connection.close()

    def _connect(self, origin: Origin, call: Call) -> _Connection:
        scheme, host, port = origin
        if scheme == "https" and self._tls is None:
            self._tls = _default_tls_context()
        limit = time.monotonic() + min(CONNECT_SECS, call.deadline.remaining_secs())
        if self._uds is not None:
            connected = socket.socket(socket.AF_UNIX)
            try:
                connected.settimeout(limit - time.monotonic())
                connected.connect(self._uds)
                connected.setblocking(False)
            except OSError as error:
                connected.close()
                raise httpx.ConnectError((error.strerror or str(error)).lower()) from None
            return _Connection(connected)
        failure: OSError | None = None
        addresses = _resolve(host, port, call, limit)
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            # Each address gets its share of the time, so that one that swallows packets leaves some for the next.
            secs = (limit - time.monotonic()) / (len(addresses) - number)
            if secs <= 0:
                break
            try:
                connected = _connect_socket(socket.socket(family, kind, protocol), address, secs, call)
            except OSError as error:
                failure = error
                if call.cancellation.cancelled:
                    break
                continue
            if self._tls is None or scheme == "http":
                return _Connection(connected)
            handshake = Call(Deadline((limit - time.monotonic()) * 1000), call.cancellation)
            return _TlsConnection(connected, self._tls, host, handshake)
        if failure is None or isinstance(failure, TimeoutError):
            raise httpx.ConnectTimeout("no connection in time")
        raise httpx.ConnectError((failure.strerror or str(failure)).lower())


# ------------------------------------------------------------------------------------------------ connecting


def _resolve(
    host: str, port: int, call: Call, limit: float
) -> list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]]]:
    """Addresses of a host. A look-up cannot be interrupted, so it runs in a thread that is left behind if need be."""
    answer: list[object] = []
    wake = threading.Event()

    def look_up(flags: int = 0) -> None:
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
            with signals_left_to_the_host():
                threading.Thread(target=look_up, name="maze-resolve", daemon=True).start()
        except RuntimeError:
            forget()
            raise httpx.ConnectError(f"the name {host!r} cannot be looked up: no thread can be started") from None
        wake.wait(limit - time.monotonic())
        forget()
    if not answer:
        raise httpx.ConnectTimeout(f"the name {host!r} could not be looked up in time")
    if isinstance(answer[0], Exception):
        raise httpx.ConnectError(f"the name {host!r} cannot be looked up")
    return answer[0]  # type: ignore[return-value] # AF_INET and AF_INET6 are all that a stream look-up of a host gives


def _connect_socket(
    connecting: socket.socket, address: tuple[str, int] | tuple[str, int, int, int], secs: float, call: Call
) -> socket.socket:
    def shut() -> None:
        with contextlib.suppress(OSError):
            connecting.shutdown(socket.SHUT_RDWR)

    forget = call.cancellation.on_cancel(shut)
    try:
        connecting.settimeout(secs)
        connecting.connect(address)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting.setblocking(False)
    except BaseException:
        connecting.close()
        raise
    finally:
        forget()
    return connecting


def _default_tls_context() -> ssl.SSLContext:
    """The system's certificates; those of certifi, which httpx trusts too, as well for systems that have none."""
    try:
        context = ssl.create_default_context(cafile=certifi.where())
        context.set_default_verify_paths()
    except OSError as error:
        raise httpx.ConnectError(f"the certificates to trust cannot be read: {_os_reason(error)}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _ssl_reason(error: ssl.SSLError) -> str:
    return (error.reason or "unknown reason").replace("_", " ").lower()


# ------------------------------------------------------------------------------------------------ one connection


class _Head:
    __slots__ = ("fields", "keeps_alive", "length", "rest", "status")

    def __init__(
        self, status: int, fields: list[tuple[bytes, bytes]], length: int | None, keeps_alive: bool, rest: bytes
    ) -> None:
        self.status = status
        self.fields = fields
        self.length = length
        """Bytes of the body; CHUNKED or UNTIL_CLOSE where no number is given."""
        self.keeps_alive = keeps_alive
        self.rest = rest
        """What of the body has arrived with the head."""


CHUNKED = -1
UNTIL_CLOSE = None


class _Connection:
    """A connected socket.

    It does not block: poll() does all the waiting, and is the one call that hands over Python's lock.
    """

    __slots__ = ("_buffer", "_readable", "_socket", "answered", "expires", "leftover")

    _ANSWER: ClassVar[int] = select.POLLIN
    """What tells, while a request cannot be sent on, that the answer to it has come already."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._buffer = ReceiveBuffer(connected)
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)
        self.answered = False
        """Whether a byte of the answer to the last request has arrived."""
        self.expires = 0.0
        self.leftover: _Body | None = None
        """The last answer, if its end had not arrived when its reader had enough."""

    def shut(self) -> None:
        """End waits in other threads."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.leftover = None
        self._socket.close()

    def is_clean(self) -> bool:
        """Whether nothing but the end of the last answer has arrived since, and the server has not closed."""
        leftover, self.leftover = self.leftover, None
        return (leftover is None or leftover.ends_now()) and self.receive_now() is None

    def ask(self, data: bytes, call: Call) -> _Head:
        """Send a request and read the head of its answer."""
        try:
            self.send(data, call)
        except httpx.WriteError as error:
            # A server that refuses a request before it has read it all says why and closes.
            try:
                head = self._read_head(call)
            except httpx.TransportError:
                raise error from None
            head.keeps_alive = False
            return head
        return self._read_head(call)

    def send(self, data: bytes, call: Call) -> None:
        """Send all of `data`."""
        sent = 0
        while sent < len(data):
            try:
                sent += send_now(self._socket, data[sent : sent + SEND_BYTES])
            except BlockingIOError:
                self._wait_to_send(call)
            except OSError as error:
                raise httpx.WriteError(_os_reason(error)) from None

    def _wait_to_send(self, call: Call) -> None:
        ready = select.poll()
        ready.register(self._socket, select.POLLOUT | self._ANSWER)
        events = ready.poll(call.wait_ms())
        if not events:
            raise httpx.WriteTimeout("the request could not be sent in time")
        if not events[0][1] & select.POLLOUT:
            raise httpx.WriteError("the service took no more of the request")

    def receive(self, call: Call) -> bytes:
        """Wait for the next bytes; b"" at the end of the connection."""
        arrived = self._wait_for_bytes(call)
        if arrived:
            self.answered = True
        return arrived

    def _wait_for_bytes(self, call: Call) -> bytes:
        # Looked at here as well: poll() finds bytes also when there is no time left, and a server may have them always.
        while (wait_ms := call.wait_ms()) > 0 and self._readable.poll(wait_ms):
            if call.cancellation.cancelled:
                raise httpx.ReadError("the call was cancelled")  # shut() must not pass for the end of the answer
            try:
                return self._buffer.receive_now()
            except BlockingIOError:
                continue
            except OSError as error:
                raise httpx.ReadError(_os_reason(error)) from None
        raise httpx.ReadTimeout("no answer in time")

    def receive_now(self) -> bytes | None:
        """The bytes that have arrived, None if there are none, b"" if the connection has ended."""
        try:
            return self._buffer.receive_now()
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _read_head(self, call: Call) -> _Head:
        data = b""
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                # What speaks another protocol is told at once, not when it falls silent.
                if not (data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)):
                    raise httpx.RemoteProtocolError(f"it is not HTTP/1.1: it begins with {data[:16]!r}")
                if len(data) > MAX_HEAD_BYTES:
                    raise httpx.RemoteProtocolError(f"its header is over {MAX_HEAD_BYTES} bytes long")
                arrived = self.receive(call)
                if not arrived:
                    where = "within its header" if data else "before it began"
                    raise httpx.ReadError(f"the connection was closed {where}")
                data += arrived
                continue
            head = _parse_head(data, end + 4)
            if head.status >= 200:
                return head
            data = head.rest  # 100 Continue, 103 Early Hints: the answer is still to come


class _TlsConnection(_Connection):
    """TLS over a plain connection. The TLS sockets of Python do not serve: they write without MSG_NOSIGNAL."""

    __slots__ = ("_incoming", "_outgoing", "_session")

    _ANSWER = 0  # what comes may be a session ticket

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, host: str, call: Call) -> None:
        super().__init__(connected)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        forget = call.cancellation.on_cancel(self.shut)
        try:
            self._shake_hands(call)
        except BaseException:
            self.close()
            raise
        finally:
            forget()

    def _shake_hands(self, call: Call) -> None:
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as error:
                raise TlsError(f"its TLS certificate does not verify: {error.verify_message.rstrip('.')}") from None
            except ssl.SSLError as error:
                raise TlsError(f"the TLS handshake failed: {_ssl_reason(error)}") from None
            else:
                self._flush(call)
                return
            try:
                self._flush(call)
                arrived = self._wait_for_bytes(call)
            except httpx.TimeoutException:
                raise httpx.ConnectTimeout("no TLS handshake in time") from None
            except httpx.NetworkError as error:
                raise httpx.ConnectError(f"the TLS handshake was cut off: {error}") from None
            if not arrived:
                raise httpx.ConnectError("the TLS handshake was cut off: the connection was closed")
            self._incoming.write(arrived)

    def _flush(self, call: Call) -> None:
        data = self._outgoing.read()
        if data:
            super().send(data, call)

    def send(self, data: bytes, call: Call) -> None:
        rest = memoryview(data)
        while rest:
            self._session.write(rest[:_TLS_BYTES])
            self._flush(call)
            rest = rest[_TLS_BYTES:]

    def receive(self, call: Call) -> bytes:
        while True:
            try:
                arrived = self._session.read(_TLS_BYTES)
            except ssl.SSLWantReadError:
                encrypted = self._wait_for_bytes(call)
                if encrypted:
                    self._incoming.write(encrypted)
                else:
                    self._incoming.write_eof()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                # Many servers leave without the goodbye of TLS. Whether the answer is complete its framing tells.
                return b""
            except ssl.SSLError as error:
                raise httpx.ReadError(f"TLS failed: {_ssl_reason(error)}") from None
            else:
                if arrived:  # session tickets and goodbyes are no answer
                    self.answered = True
                return arrived

    def receive_now(self) -> bytes | None:
        encrypted = super().receive_now()
        if encrypted == b"":
            return b""
        if encrypted:
            self._incoming.write(encrypted)
        try:
            return self._session.read(_TLS_BYTES)
        except ssl.SSLWantReadError:
            return None  # no data; what came may be a session ticket
        except ssl.SSLError:
            return b""


def _os_reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


# ------------------------------------------------------------------------------------------------ HTTP/1.1


def _encode(request: httpx.Request) -> bytes:
    """The bytes of a request. All of it was checked when the configuration was read, or is made by us."""
    assert isinstance(request.stream, httpx.SyncByteStream)  # noqa: S101 - as httpx makes it from bytes
    body = b"".join(request.stream)
    parts = [b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)]
    parts += [b"%b: %b\r\n" % field for field in request.headers.raw]
    if body:
        parts.append(b"Content-Length: %d\r\n" % len(body))
    parts += (b"\r\n", body)
    return b"".join(parts)


def _parse_head(data: bytes, end: int) -> _Head:
    """Read status line and header fields in data[:end], strictly: a head of two meanings is an error."""
    status_line = _STATUS_LINE.match(data)
    if status_line is None:
        raise httpx.RemoteProtocolError(f"its status line is malformed: {data[: data.find(10)][:60]!r}")
    start = status_line.end()
    if not _FIELDS.fullmatch(data, start, end):
        raise httpx.RemoteProtocolError("its header is malformed")
    status = int(status_line[2])
    if status == 101:
        raise httpx.RemoteProtocolError("it changes to another protocol (status 101)")

    fields: list[tuple[bytes, bytes]] = []
    length: int | None = UNTIL_CLOSE
    keeps_alive = status_line[1] == b"1"
    for line in data[start : end - 4].split(b"\r\n") if start < end - 2 else ():
        name, _, value = line.partition(b":")
        name = name.lower()
        value = value.strip(b" \t")
        fields.append((name, value))
        if name == b"content-length":
            if not _CONTENT_LENGTH.fullmatch(value) or length not in (UNTIL_CLOSE, int(value)):
                raise httpx.RemoteProtocolError("its Content-Length is malformed or contradicts another field")
            length = int(value)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked" or length is not UNTIL_CLOSE:
                raise httpx.RemoteProtocolError("its Transfer-Encoding is unknown or contradicts another field")
            length = CHUNKED
        elif name == b"connection":
            options = value.lower()
            keeps_alive = b"close" not in options and (keeps_alive or b"keep-alive" in options)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise httpx.RemoteProtocolError("its body is compressed, which was not asked for")
    if status in _CONTENT_FREE or status < 200:
        length = 0
    return _Head(status, fields, length, keeps_alive and length is not UNTIL_CLOSE, data[end:])


class _Body:
    """Reads the body of an answer from a connection, in the pieces in which it arrives."""

    __slots__ = ("_ahead", "_call", "_connection", "_pieces", "_wait", "complete", "keeps_alive")

    def __init__(self, connection: _Connection, call: Call, head: _Head) -> None:
        self._connection = connection
        self._call = call
        self._ahead = head.rest
        """What has arrived and is not read."""
        self._wait = True
        self.keeps_alive = head.keeps_alive
        self.complete = False
        if head.length == CHUNKED:
            self._pieces = self._read_chunks()
        elif head.length is UNTIL_CLOSE:
            self._pieces = self._read_until_close()
        else:
            self._pieces = self._read_bytes(head.length)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def ends_now(self) -> bool:
        """Whether the answer ends with what has arrived, nothing more, on a connection that can go on."""
        self._wait = False
        try:
            for _ in self._pieces:
                return False
        except httpx.TransportError:
            return False
        return self.complete and self.keeps_alive and not self._ahead

    def _more(self) -> bytes:
        """The next bytes; b"" at the end of the connection, or if it is not to wait and there are none."""
        if self._ahead:
            arrived, self._ahead = self._ahead, b""
            return arrived
        return self._connection.receive(self._call) if self._wait else (self._connection.receive_now() or b"")

    def _more_framed(self) -> bytes:
        arrived = self._more()
        if not arrived:
            raise httpx.ReadError("the connection was closed before its end")
        return arrived

    def _read_until_close(self) -> Iterator[bytes]:
        while piece := self._more():
            yield piece
        self.complete = True

    def _read_bytes(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._more_framed()
            if len(piece) > left:
                piece, self._ahead = piece[:left], piece[left:]
            left -= len(piece)
            yield piece
        self.complete = True

    def _read_chunks(self) -> Iterator[bytes]:
        data, at = b"", 0  # what has arrived, and how much of it is read
        while True:
            while (end := data.find(b"\r\n", at)) < 0:
                if len(data) - at > MAX_CHUNK_LINE_BYTES:
                    raise httpx.RemoteProtocolError("the size of a chunk is malformed")
                data, at = data[at:] + self._more_framed(), 0
            size = _CHUNK_SIZE.fullmatch(data, at, end)
            if size is None:
                raise httpx.RemoteProtocolError("the size of a chunk is malformed")
            at = end + 2
            left = int(size[1], 16)
            if not left:
                break
            while left:
                if at == len(data):
                    data, at = self._more_framed(), 0
                piece = data[at : at + left]
                at += len(piece)
                left -= len(piece)
                yield piece
            while len(data) - at < 2:
                data, at = data[at:] + self._more_framed(), 0
            if not data.startswith(b"\r\n", at):
                raise httpx.RemoteProtocolError("a chunk is longer than its size")
            at += 2
        while len(data) - at < 2:
            data, at = data[at:] + self._more_framed(), 0
        if not data.startswith(b"\r\n", at):
            self.keeps_alive = False  # trailer fields: allowed, without meaning here, and too rare to read
        self._ahead = data[at + 2 :]
        self.complete = True


class _Stream(httpx.SyncByteStream):
    """A body as httpx wants it; closing it decides what becomes of the connection."""

    def __init__(
        self,
        transport: SocketTransport,
        origin: Origin,
        connection: _Connection,
        body: _Body,
        forget: Callable[[], None],
        cancellation: Cancellation,
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._connection: _Connection | None = connection
        self._body = body
        self._forget = forget
        self._cancellation = cancellation

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def done(self) -> None:
        self._release(keep=self._body.keeps_alive)

    def close(self) -> None:
        self._release(keep=False)

    def _release(self, *, keep: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._forget()
        # From here on no cancellation calls connection.shut, unless it happened already.
        if keep and not self._cancellation.cancelled:
            connection.leftover = self._body
            self._transport.keep(self._origin, connection)
        else:
            connection.close()
