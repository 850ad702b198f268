"""Descriptors in a process of somebody else."""

from __future__ import annotations

import fcntl
import socket

_FIRST_FREE = 3


def off_the_standard_streams(opened: socket.socket) -> socket.socket:
    """The same socket, under a number that is none of a standard stream: what the host prints would go out on it.

    The library holds those that are closed when a call begins (maze/abi/descriptors.c); the host may close one later.
    """
    if opened.fileno() >= _FIRST_FREE:
        return opened
    with opened:
        return socket.socket(fileno=fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE))
