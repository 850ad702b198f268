"""One request and its answer over a connection: HTTP/1.1 as h11 writes and reads it.

h11 is laxer than we are in some respects, which are checked here on top of it: versions other than 1.0 and 1.1 and
statuses beyond 599, lines of a head that end in a bare LF or go on in the next line, a length beside chunks,
compressed bodies. It bounds the size line of a chunk, and trailers, by the limit of a head; a list of equal lengths in
one Content-Length it takes as RFC 9110 allows. That HTTP/1.0 can keep connections alive it does not believe.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import h11
import httpx

from maze.backends.http.connection import Connection
from maze.backends.http.limits import Call

MAX_HEAD_BYTES = 65536
"""Longest status line and header fields of an answer."""

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [^\r\n]*)?\r\n")
_FIELD_LINES = re.compile(rb"(?:[^ \t\r\n][^\r\n]*\r\n)*\r\n")
_CONTRADICTION = "its Transfer-Encoding is unknown or contradicts another field"
_MEANINGS = {
    "Content-Length": "its Content-Length is malformed or contradicts another field",
    "Transfer-Encoding": _CONTRADICTION,
    "header line": "its header is malformed",
    "chunk header": "the size of a chunk is malformed",
    "chunk footer": "a chunk is longer than its size",
    "pending proposal": "it changes to another protocol (status 101)",
}
"""By words in the errors of h11, which say more than one wants to show after a colon."""


class NotHttpError(httpx.RemoteProtocolError):
    """What came is not HTTP/1.1; `quoted` is what came, for which {} stands in the message, as in MalformedError."""

    def __init__(self, problem: str, quoted: bytes) -> None:
        super().__init__(problem)
        self.quoted = quoted.decode(errors="replace")


class Exchange(httpx.SyncByteStream):
    """One request and its answer, whose body is read by iterating; how its reader ends decides about the connection."""

    def __init__(
        self, connection: Connection, call: Call, keep: Callable[[Exchange], None], leave: Callable[[Connection], None]
    ) -> None:
        self.connection = connection
        self._call = call
        self._keep = keep
        self._leave = leave
        self._http = h11.Connection(h11.CLIENT, MAX_HEAD_BYTES)
        self._keeps_alive = False
        """Whether the connection can serve another request once the answer has ended."""
        self._server_left = False
        self._released = False
        self._forget = call.cancellation.on_cancel(connection.shut)
        connection.answered = False

    def ask(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the head of its answer."""
        try:
            head = self._ask(request)
        except BaseException:
            self.close()
            raise
        fields = list(head.headers)
        return httpx.Response(head.status_code, headers=fields, stream=self, extensions={"done": self.done})

    def __iter__(self) -> Iterator[bytes]:
        while type(event := self._next_event()) is not h11.EndOfMessage:
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                arrived = self.connection.receive(self._call)
                self._server_left = not arrived
                self._http.receive_data(arrived)

    def done(self) -> None:
        """The reader has all it needs: the connection is kept for the next request, if it can serve one."""
        self._release(keep=self._keeps_alive)

    def close(self) -> None:
        """Close the connection, unless done() came first: that is how an engine learns that nobody listens."""
        self._release(keep=False)

    def _release(self, *, keep: bool) -> None:
        if self._released:
            return
        self._released = True
        self._forget()
        # From here on no cancellation calls connection.shut, unless it happened already.
        if keep and not self._call.cancellation.cancelled:
            self._keep(self)
        else:
            self._leave(self.connection)

    def is_over(self) -> bool:
        """Whether nothing but the end of the answer has arrived since its reader had enough, and nobody has closed."""
        try:
            while self._http.their_state is h11.SEND_BODY:
                event = self._next_event()
                if event is h11.NEED_DATA:
                    arrived = self.connection.receive_now()
                    if not arrived:
                        return False
                    self._http.receive_data(arrived)
                elif type(event) is not h11.EndOfMessage:
                    return False
        except httpx.TransportError:
            return False
        return self._http.trailing_data == (b"", False) and self.connection.receive_now() is None

    def _ask(self, request: httpx.Request) -> h11.Response:
        try:
            self.connection.send(self._encode(request), self._call)
        except httpx.WriteError as error:
            # A server that refuses a request before it has read it all says why and closes.
            try:
                head = self._read_head()
            except httpx.TransportError:
                raise error from None
            self._keeps_alive = False
            return head
        return self._read_head()

    def _encode(self, request: httpx.Request) -> bytes:
        assert isinstance(request.stream, httpx.SyncByteStream)  # noqa: S101 - as httpx makes it from bytes
        body = b"".join(request.stream)
        fields = [*request.headers.raw, (b"Content-Length", b"%d" % len(body))] if body else request.headers.raw
        target = request.extensions.get("target", request.url.raw_path)
        head = self._http.send(h11.Request(method=request.method, target=target, headers=fields))
        return b"".join((head, self._http.send(h11.Data(data=body)), self._http.send(h11.EndOfMessage())))

    def _read_head(self) -> h11.Response:
        """Read heads up to that of the answer, past 100 Continue and 103 Early Hints."""
        arrived = b""
        while True:
            end = arrived.find(b"\r\n\r\n") + 4
            if end >= 4:
                head = self._parse_head(arrived[:end])
                arrived = arrived[end:]
                if isinstance(head, h11.Response):
                    break
                continue
            # What speaks another protocol is told at once, not when it falls silent.
            if not (arrived.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(arrived)):
                raise NotHttpError("it is not HTTP/1.1: it begins with {}", arrived)
            if len(arrived) > MAX_HEAD_BYTES:
                raise httpx.RemoteProtocolError(f"its header is over {MAX_HEAD_BYTES} bytes long")
            more = self.connection.receive(self._call)
            if not more:
                where = "within its header" if arrived else "before it began"
                raise httpx.ReadError(f"the connection was closed {where}")
            arrived += more
        if arrived:
            self._http.receive_data(arrived)
        names = {name for name, _ in head.headers}
        if {b"content-length", b"transfer-encoding"} <= names:
            raise httpx.RemoteProtocolError(_CONTRADICTION)
        if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in head.headers):
            raise httpx.RemoteProtocolError("its body is compressed, which was not asked for")
        ends_itself = b"content-length" in names or b"transfer-encoding" in names or head.status_code in (204, 304)
        self._keeps_alive = ends_itself and self._http.our_state is h11.DONE
        return head

    def _parse_head(self, head: bytes) -> h11.Response | h11.InformationalResponse:
        status_line = _STATUS_LINE.match(head)
        if status_line is None:
            raise NotHttpError("its status line is malformed: {}", head[: head.find(10)])
        if not _FIELD_LINES.fullmatch(head, status_line.end()):
            raise httpx.RemoteProtocolError("its header is malformed")
        self._http.receive_data(head)
        event = self._next_event()
        assert isinstance(event, (h11.Response, h11.InformationalResponse))  # noqa: S101 - the head was whole
        return event

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            problem = str(error).partition(":")[0]
        if self._server_left:
            raise httpx.ReadError("the connection was closed before its end")
        meanings = (meaning for words, meaning in _MEANINGS.items() if words in problem)
        raise httpx.RemoteProtocolError(next(meanings, "it is not as HTTP/1.1 has it"))
