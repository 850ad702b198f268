"""The socket calls that keep Python's lock behave as the methods of Python's sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from maze.backends.http.socket_calls import RECEIVE_BYTES, SEND_BYTES, ReceiveBuffer, send_now

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a TCP connection; the first does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as ours:
        theirs, _ = listener.accept()
        with theirs:
            ours.setblocking(False)
            yield ours, theirs


def test_bytes_arrive_as_they_were_sent(pair: Pair) -> None:
    ours, theirs = pair
    assert send_now(ours, b"a\0\xff") == 3
    assert theirs.recv(10) == b"a\0\xff"
    buffer = ReceiveBuffer(ours)
    for sent in (b"\0b\xfe", b"c"):
        theirs.sendall(sent)
        assert _wait(buffer) == sent


def _wait(buffer: ReceiveBuffer) -> bytes:
    while True:
        try:
            return buffer.receive_now()
        except BlockingIOError:
            continue


def _fill(connected: socket.socket) -> None:
    while True:
        send_now(connected, b"x" * SEND_BYTES)


def test_what_was_received_stays_when_more_comes(pair: Pair) -> None:
    ours, theirs = pair
    buffer = ReceiveBuffer(ours)
    theirs.sendall(b"first")
    first = _wait(buffer)
    theirs.sendall(b"other")
    assert (first, _wait(buffer)) == (b"first", b"other")


def test_no_more_than_the_limit_is_received_at_once(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"x" * (RECEIVE_BYTES + 1))
    buffer = ReceiveBuffer(ours)
    received = _wait(buffer)
    while len(received) < RECEIVE_BYTES + 1:
        piece = _wait(buffer)
        assert len(piece) <= RECEIVE_BYTES
        received += piece
    assert received == b"x" * (RECEIVE_BYTES + 1)


def test_nothing_waits(pair: Pair) -> None:
    ours, _ = pair
    with pytest.raises(BlockingIOError):
        ReceiveBuffer(ours).receive_now()
    with pytest.raises(BlockingIOError):
        _fill(ours)


def test_the_end_of_a_connection_is_an_empty_piece(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    assert _wait(ReceiveBuffer(ours)) == b""


def test_errors_are_those_of_python(pair: Pair) -> None:
    ours, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets
    theirs.close()
    with pytest.raises(ConnectionResetError):
        _wait(ReceiveBuffer(ours))
    with pytest.raises(BrokenPipeError):
        send_now(ours, b"x")
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        send_now(ours, b"x")
    with pytest.raises(OSError, match="Bad file descriptor"):
        ReceiveBuffer(ours).receive_now()
