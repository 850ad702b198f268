"""The processes that compile and check, as the service sees them: see maze.service.worker for what runs in them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from maze.config import environment_of_child
from maze.errors import EngineUnavailableError, LimitExceededError
from maze.service.worker import LENGTH, MESSAGE_BYTES, command_line

_log = logging.getLogger(__name__)

START_SECS = 30.0
"""Longest wait for a worker; the first one waits for the nursery to import everything."""
_END_SECS = 2.0
"""Longest wait for the nursery to say how a worker ended, and to end itself."""
_POLL_SECS = 0.02
_NICENESS = 10
"""Of heavy work: behind the service, the engine, and what is done soon."""


class Nursery:
    """The process that forks workers. For one event loop. Raises OSError if it cannot be started."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                # A session of its own, so that Ctrl-C in the terminal is for the service alone.
                self._process = subprocess.Popen(  # noqa: S603 - the arguments are our own
                    command_line(),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=environment_of_child(),
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self._control = ours
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(ours, self._read)
        self._endings: dict[int, asyncio.Future[int]] = {}
        self.alive = True

    def fork(self, worker_socket: socket.socket) -> None:
        """Ask for a worker that answers on that socket. Raises OSError."""
        socket.send_fds(self._control, [b"fork"], [worker_socket.fileno()], socket.MSG_NOSIGNAL)

    def kill(self, pid: int) -> None:
        """End a worker, whatever it is doing."""
        if self.alive:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has just ended, and its workers
                self._control.send(b"kill %d" % pid, socket.MSG_NOSIGNAL)

    def ending(self, pid: int) -> asyncio.Future[int]:
        """The exit code of a worker once it has ended, negative for a signal."""
        return self._endings.setdefault(pid, self._loop.create_future())

    def close(self) -> None:
        """End it, and with it all workers."""
        self._lose()
        self._process.kill()
        self._exit_code()

    def _read(self) -> None:
        try:
            message = self._control.recv(MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._lose()
            _log.error("the process that starts workers has ended with code %s", self._exit_code())
            return
        _, pid, code = message.split()
        ending = self._endings.pop(int(pid), None)
        if ending is not None and not ending.done():
            ending.set_result(int(code))

    def _exit_code(self) -> int | None:
        """How the process ended; None where the machine does not get round to ending it in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_END_SECS)
        return None

    def _lose(self) -> None:
        if self.alive:
            self.alive = False
            self._loop.remove_reader(self._control)
            self._control.close()


class Worker:
    """One process that answers one task after the other."""

    def __init__(self, nursery: Nursery, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._nursery = nursery
        self._pid = pid
        self._reader = reader
        self._writer = writer
        self._ending = nursery.ending(pid)

    @classmethod
    async def begin(cls, nursery: Nursery) -> Self:
        """A new worker of `nursery`. Raises EngineUnavailableError."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                nursery.fork(theirs)
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        try:
            async with asyncio.timeout(START_SECS):
                pid = int(await _receive(reader))
        except (EOFError, OSError, TimeoutError):
            writer.close()
            raise EngineUnavailableError("no process to compile in could be started; try again") from None
        except BaseException:
            writer.close()
            raise
        return cls(nursery, pid, reader, writer)

    @property
    def alive(self) -> bool:
        return self._nursery.alive and not self._ending.done()

    async def answer(self, task: bytes, what: str) -> bytes:
        """The answer to a task, which is called `what` in errors.

        Raises LimitExceededError if it ends the process, EngineUnavailableError if something else does.
        """
        try:
            self._writer.write(LENGTH.pack(len(task)))
            self._writer.write(task)
            await self._writer.drain()
            return await _receive(self._reader)
        except (EOFError, OSError):
            pass
        code = await self._exit_code()
        if code == -signal.SIGKILL or code is None:
            raise EngineUnavailableError(
                f"the process that was {what} was ended from outside, as happens where memory is short; try again"
            )
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise LimitExceededError(
            f"{what} ended its process ({reason}), as too much memory or nesting does; simplify the constraints"
        )

    async def spent(self, cpu_secs: float, secs: float, asking: asyncio.Task[bytes]) -> bool:
        """Wait until it has answered (False), or used so much processor time, or so long by the clock (True)."""
        began, ends_at = self._cpu_secs(), time.monotonic() + secs
        while not asking.done():
            if self._cpu_secs() - began > cpu_secs or time.monotonic() > ends_at:
                return True
            await asyncio.wait({asking}, timeout=_POLL_SECS)
        return False

    def yield_to_others(self) -> None:
        """Let it have the processors that nobody else needs; a worker cannot take that back."""
        with contextlib.suppress(OSError):  # it has just ended, or a thread of it
            for thread in Path(f"/proc/{self._pid}/task").iterdir():
                os.setpriority(os.PRIO_PROCESS, int(thread.name), _NICENESS)

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self._writer.close()
        self._nursery.kill(self._pid)

    def _cpu_secs(self) -> float:
        try:
            return time.clock_gettime(~self._pid << 3 | 2)  # what clock_getcpuclockid() gives on Linux
        except OSError:
            return 0.0  # it has ended

    async def _exit_code(self) -> int | None:
        try:
            async with asyncio.timeout(_END_SECS):
                return await asyncio.shield(self._ending)
        except TimeoutError:
            return None


async def _receive(reader: asyncio.StreamReader) -> bytes:
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    return await reader.readexactly(length)
