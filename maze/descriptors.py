"""Descriptors in a process of somebody else."""

from __future__ import annotations

import contextlib
import fcntl
import os
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


def hold_the_standard_streams() -> None:
    """Put something that is neither read nor written where a standard stream is closed, before others open there.

    As maze/abi/descriptors.c does when a call begins; for what opens by itself later in a call, such as the resolver.
    """
    with contextlib.suppress(OSError):  # without descriptors, whoever opens will tell
        while (opened := os.open("/", os.O_PATH | os.O_CLOEXEC)) < _FIRST_FREE:
            pass  # each is the lowest that is free
        os.close(opened)
