"""The program of the child process: it forks the engine, and ends it when the host ends, by whatever means.

It is small and a process apart because the engine cannot watch anything while it loads: llama.cpp keeps Python's lock.
It imports no package, so that it is there within milliseconds. Its files: 3 is the socket to the host, which closes
when the host closes it, executes another program or ends, unless a child that the host forked holds a copy; so 4 is a
pidfd of the host; 5 is the folder of the engine's socket, whose lock says that it is in use. Messages on the socket are
JSON, one each: the settings from the host, some from the engine when it can be used or cannot be started
(maze.engine.server), and `{"ended": ..., "words": ...}` from here.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import types
from typing import Any

CONTROL_FD, HOST_FD, FOLDER_FD = 3, 4, 5
MESSAGE_BYTES = 131072
"""Longest message."""
WORDS_BYTES = 4096
"""How much is kept of the last that the engine writes to its stdout and stderr."""


def main() -> None:
    """Fork the engine and watch over it until it or the host ends."""
    os.closerange(FOLDER_FD + 1, os.sysconf("SC_OPEN_MAX"))  # of the host, see maze.engine.spawn
    os.chdir("/")
    control = socket.socket(fileno=CONTROL_FD)
    settings = json.loads(control.recv(MESSAGE_BYTES) or b"null")
    if settings is None:
        return
    words, words_of_engine = os.pipe()
    supervisor = os.getpid()
    try:
        engine = os.fork()
    except OSError as error:
        _tell(
            control,
            failure="EngineUnavailableError",
            message=f"the process of the embedded engine cannot be started: {error.strerror}; raise what this user may "
            "have of processes (ulimit -u, pids.max of its cgroup) or of memory, or set MODAL_ENDPOINT to a service",
        )
        _remove(settings["folder"])
        return
    if engine == 0:
        _become_engine(control, settings, words_of_engine, supervisor)
    os.close(words_of_engine)
    try:
        _watch(control, engine, words)
    finally:
        _remove(settings["folder"])


def _become_engine(control: socket.socket, settings: dict[str, Any], words: int, supervisor: int) -> None:
    try:
        os.dup2(words, 1)
        os.dup2(words, 2)
        sys.path[:] = settings["sys_path"]
        here = os.path.dirname(__file__)  # noqa: PTH120 - pathlib takes longer to import than all else
        # Packages without their __init__, which would import all of libmaze.
        for name, folder in (("maze", f"{here}/.."), ("maze.engine", here)):
            sys.modules[name] = package = types.ModuleType(name)
            package.__path__ = [folder]
        from maze.engine import server

        server.run(control, HOST_FD, settings, supervisor)
    except BaseException as error:  # noqa: BLE001 - its last words
        os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(1)


def _watch(control: socket.socket, engine: int, words: int) -> None:
    engine_fd = os.pidfd_open(engine)
    poll = select.poll()
    for descriptor in (CONTROL_FD, HOST_FD, engine_fd, words):
        poll.register(descriptor, select.POLLIN)
    said = b""
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if words in ready:
            new = os.read(words, 65536)
            said = (said + new)[-WORDS_BYTES:]
            if not new:
                poll.unregister(words)
        elif engine_fd in ready:
            _, status = os.waitpid(engine, 0)
            _tell(control, ended=os.waitstatus_to_exitcode(status), words=said.decode(errors="replace"))
            return
        elif ready:  # the host says so, or is gone
            os.kill(engine, signal.SIGKILL)
            os.waitpid(engine, 0)
            return


def _tell(control: socket.socket, **message: object) -> None:
    with contextlib.suppress(OSError):
        control.send(json.dumps(message).encode(), socket.MSG_NOSIGNAL)


def _remove(folder: str) -> None:
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - no pathlib: see above
            os.unlink(f"{folder}/{name}")  # noqa: PTH108
        os.rmdir(folder)  # noqa: PTH106


if __name__ == "__main__":
    main()
