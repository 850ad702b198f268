"""A connected socket, plain or TLS, whose every wait ends with its call."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from typing import ClassVar

import httpx

from maze.backends.http.limits import Call

_RECEIVED_BYTES = 16384
"""Most bytes that are received at once."""
_TLS_BYTES = 65536
"""Most bytes that are encrypted or decrypted at once."""
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
"""SIGPIPE kills the process, which belongs to somebody else."""


class TlsError(httpx.ConnectError):
    """The TLS handshake failed: a certificate that does not verify, or a server that does not speak TLS."""


class Connection:
    """A connected socket that does not block: poll() does all the waiting."""

    __slots__ = ("_readable", "_socket", "answered")

    _ANSWER: ClassVar[int] = select.POLLIN
    """What tells, while a request cannot be sent on, that the answer to it has come already."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)
        self.answered = False
        """Whether a byte of the answer to the last request has arrived."""

    def shut(self) -> None:
        """End waits in other threads."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    def stop_sending(self) -> None:
        """Tell the other side that nothing more comes, and see when it ends the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def is_hung_up(self) -> bool:
        """After stop_sending(): whether the other side has ended the connection, or shut() has."""
        ended = select.poll()
        ended.register(self._socket, 0)
        return bool(ended.poll(0))

    def fileno(self) -> int:
        """For poll(); -1 when it is closed."""
        return self._socket.fileno()

    def send(self, data: bytes, call: Call) -> None:
        """Send all of `data`."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest, _NO_SIGNAL) :]
            except BlockingIOError:
                self._wait_to_send(call)
            except OSError as error:
                raise httpx.WriteError(os_reason(error)) from None

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
                return self._socket.recv(_RECEIVED_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise httpx.ReadError(os_reason(error)) from None
        raise httpx.ReadTimeout("no answer in time")

    def receive_now(self) -> bytes | None:
        """The bytes that have arrived, None if there are none, b"" if the connection has ended."""
        try:
            return self._socket.recv(_RECEIVED_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""


class TlsConnection(Connection):
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
        super().send(self._outgoing.read(), call)

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


def os_reason(error: OSError) -> str:
    """What the system says of an error, as part of a sentence."""
    return (error.strerror or str(error)).lower()


def _ssl_reason(error: ssl.SSLError) -> str:
    return (error.reason or "unknown reason").replace("_", " ").lower()
