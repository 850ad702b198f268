"""A server made of raw sockets that answers exactly what a test tells it to, byte by byte, also what no server should.

with FaultServer(reset, answer(500), events(token("a"), done())) as server:
    ...  # each request gets the next play, the last one again and again
    assert len(server.requests) == 3
"""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return orjson.loads(self.body)


class Exchange:
    """One request and the socket to answer it on."""

    def __init__(self, connection: socket.socket, received: Received, stopped: threading.Event) -> None:
        self.connection = connection
        self.received = received
        self.open = True
        """Whether the connection serves another request."""
        self._stopped = stopped

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def close(self) -> None:
        """End the connection in order."""
        self.open = False
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End it with a TCP reset."""
        self.open = False
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def stall(self) -> None:
        """Say nothing more until the client leaves or the server stops."""
        self.open = False
        self.connection.settimeout(0.05)
        while not self._stopped.is_set():
            try:
                if not self.connection.recv(65536):
                    return
            except TimeoutError:
                continue
            except OSError:
                return


Play = Callable[[Exchange], None]


class FaultServer:
    """Listens on a free port of the loopback address, or on the Unix socket `uds`, until its `with` block ends."""

    def __init__(self, *plays: Play, tls: ssl.SSLContext | None = None, uds: Path | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.errors: list[BaseException] = []
        self._plays = plays
        self._tls = tls
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        if uds is None:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
            self.port: int = self._listener.getsockname()[1]
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(uds))
            self._listener.listen(5)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)  # TLS or not, as a thread may read from it
        for thread in self._threads:
            thread.join()
        if error is None and self.errors:
            raise self.errors[0]

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
            if self._stopped.is_set():
                return
            reader = connection.makefile("rb")
            while (received := _read_request(reader)) is not None:
                with self._lock:
                    play = self._plays[min(len(self.requests), len(self._plays) - 1)]
                    self.requests.append(received)
                exchange = Exchange(connection, received, self._stopped)
                play(exchange)
                if not exchange.open:
                    break
        except (OSError, ValueError):
            pass  # the client left; ValueError: the socket was closed by reset()
        except BaseException as error:  # noqa: BLE001 - shown by __exit__ in the thread of the test
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()


def _read_request(reader: BinaryIO) -> Received | None:
    line = reader.readline().decode("latin-1").split()
    if len(line) != 3:
        return None
    headers: dict[str, str] = {}
    while (field_line := reader.readline().strip()) != b"":
        name, _, value = field_line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return Received(line[0], line[1], headers, reader.read(int(headers.get("content-length", "0"))))


# ------------------------------------------------------------------------------------------------ what to answer


def head(status: int = 200, *fields: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} Because", *fields, "")).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_HEAD = head(200, "Content-Type: text/event-stream", "Transfer-Encoding: chunked")
END = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def event(fields: object) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"


def token(text: str) -> bytes:
    """An event of the Maze contract."""
    return event({"token": text, "done": False})


def summary(**fields: object) -> bytes:
    """The last event of the Maze contract."""
    return event(
        {
            "token": "",
            "done": True,
            "tokens_generated": 2,
            "model": "a-model",
            "finish_reason": "stop",
            "constraint_satisfied": True,
            "stats": {"total_time_ms": 7},
            **fields,
        }
    )


@dataclass(frozen=True)
class Answer:
    """A play that sends `data`, and then what `then` does."""

    data: bytes
    then: Callable[[Exchange], None] = field(default=lambda _: None)

    def __call__(self, exchange: Exchange) -> None:
        exchange.send(self.data)
        self.then(exchange)


def answer(status: int, body: object = b"", *fields: str, content_type: str = "application/json") -> Answer:
    """A whole answer with a length; `body` is sent as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return Answer(head(status, f"Content-Type: {content_type}", f"Content-Length: {len(data)}", *fields) + data)


def stream(*parts: bytes) -> Answer:
    """A chunked stream of events, in order to its end."""
    return Answer(STREAM_HEAD + b"".join(map(chunk, parts)) + END)


def fine(text: str = "hello", **fields: object) -> Answer:
    """What a good Maze service answers."""
    return stream(*map(token, text), summary(generated_text=text, tokens_generated=len(text), **fields), DONE)


def unfinished(*parts: bytes, then: Callable[[Exchange], None]) -> Answer:
    """A chunked stream that does not end, and what happens in place of its end."""
    return Answer(STREAM_HEAD + b"".join(map(chunk, parts)), then)


def reset(exchange: Exchange) -> None:
    exchange.reset()


def close(exchange: Exchange) -> None:
    exchange.close()


def stall(exchange: Exchange) -> None:
    exchange.stall()


def slowly(data: bytes, pause_secs: float = 0.02) -> Play:
    """Send byte by byte; it stops when the client leaves."""

    def play(exchange: Exchange) -> None:
        for byte in data:
            exchange.send(bytes([byte]))
            time.sleep(pause_secs)

    return play


def endlessly(data: bytes) -> Callable[[Exchange], None]:
    """Send the same again and again until the client leaves."""

    def play(exchange: Exchange) -> None:
        exchange.open = False
        while True:
            exchange.send(data)

    return play


def by_path(**answers: Play) -> Play:
    """A play that answers by the last part of the path; 404 for the others."""

    def play(exchange: Exchange) -> None:
        name = exchange.received.path.strip("/").replace("/", "_")
        answers.get(name, answer(404, {"detail": "Not Found"}))(exchange)

    return play


@contextlib.contextmanager
def refused_port() -> Iterator[int]:
    """A port on which nothing listens, and nothing will within the block."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


# ------------------------------------------------------------------------------------------------ a storm


class Storm:
    """Echoes the prompt of each request, but for one in twenty, which meets a fault."""

    SHARE_OF_FAULTS = 0.05

    def __init__(self, *faults: Play) -> None:
        self._faults: list[Play] = [
            reset,
            close,
            Answer(b"HTTP/1.1 200 OK\r\nConte", reset),
            Answer(STREAM_HEAD + b"40\r\ndata: {", close),
            answer(500, b""),
            answer(429, b"", "Retry-After: 0"),
            answer(400, {"error": "no"}),
            answer(200, b"<html>", content_type="text/html"),
            *faults,
        ]
        self._random = random.Random(20261123)
        self._lock = threading.Lock()
        self.faulty = 0
        """Requests that met a fault so far."""

    def __call__(self, exchange: Exchange) -> None:
        with self._lock:
            fault = self._random.choice(self._faults) if self._random.random() < self.SHARE_OF_FAULTS else None
            self.faulty += fault is not None
        play = fault or fine(exchange.received.json()["prompt"])
        play(exchange)
