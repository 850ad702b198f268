"""Sending and receiving on sockets that do not block, without giving up Python's lock.

The methods of Python's sockets release the lock around every system call, also where nothing can be waited for. With
many threads each of them then queues for it again, several times in one exchange, and is woken up each time: that took
a third of the calls per second away at 8 and at 64 threads (benchmarks/http_generate.py).
"""

from __future__ import annotations

import ctypes
import os
import socket

SEND_BYTES = 131072
"""Most bytes to send at once: other threads wait as long as copying them takes."""
RECEIVE_BYTES = 16384
"""Most bytes that are received at once."""

_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)

_libc = ctypes.PyDLL(None, use_errno=True)  # PyDLL, other than CDLL, keeps the lock
_libc.send.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
_libc.send.restype = ctypes.c_ssize_t
_libc.recv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.recv.restype = ctypes.c_ssize_t


def send_now(connected: socket.socket, data: bytes) -> int:
    """Send what can be sent now of `data`, at most SEND_BYTES, and return how much that was. Raises no SIGPIPE.

    Raises BlockingIOError if it is nothing, and other OSErrors as socket.send() does.
    """
    return _checked(_libc.send(connected.fileno(), data, len(data), _NO_SIGNAL))


class ReceiveBuffer:
    """Receives from one socket; not for use by two threads at once."""

    __slots__ = ("_address", "_bytes", "_connected")

    def __init__(self, connected: socket.socket) -> None:
        self._connected = connected
        memory = ctypes.create_string_buffer(RECEIVE_BYTES)
        self._bytes = memoryview(memory)
        self._address = ctypes.addressof(memory)

    def receive_now(self) -> bytes:
        """The bytes that have arrived, at most RECEIVE_BYTES; b"" at the end of the connection.

        Raises BlockingIOError if there are none, and other OSErrors as socket.recv() does.
        """
        received = _libc.recv(self._connected.fileno(), self._address, RECEIVE_BYTES, 0)
        return bytes(self._bytes[: _checked(received)])


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))  # which makes the subclass that fits the number
    return result
