"""The child process as its host sees it: started, loading, ready, ended, and what it said."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maze.backends.base import Cancellation, Deadline
from maze.config import environment_of_child
from maze.descriptors import off_the_standard_streams
from maze.engine import supervisor
from maze.engine.socket_folder import SOCKET_NAME, make_socket_folder
from maze.engine.spawn import spawn, stack_limits
from maze.errors import ConfigurationError, EngineUnavailableError, MazeError, TimedOutError
from maze.scarcity import shortage

LOAD_SECS = 60.0
LOAD_BYTES_PER_SEC = 20e6
"""How long loading may take: LOAD_SECS and what reading the file takes from a slow disk. It ends what never would."""

END_SECS = 1.0
"""How long to wait for the end of a process that was told to end, or for the report of one that has."""

LEAST_STACK_BYTES = 512 * 1024
"""What the engine's process needs; with 256 KiB it was seen to work, with 64 it crashes."""

_LOOK_SECS = 0.02
"""How often a call that waits for the model looks whether it was cancelled."""

_MAX_WORDS = 600
"""Characters of the engine's last words that an error shows."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How an engine is started."""

    model: Path
    threads: int
    slots: int
    context_tokens: int
    batch_tokens: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a loaded model says of itself."""

    vocabulary: int
    """Number of tokens."""
    context: int
    """Tokens of prompt and answer that one request may have."""
    end_tokens: frozenset[int]
    """The tokens that end an answer."""
    special_tokens: frozenset[str]
    """Texts of the tokens that llama.cpp takes for more than their text."""
    provenance: dict[str, Any]


class EngineProcess:
    """One child process: loading, then ready, then ended, for whatever reason. Safe for use from many threads."""

    def __init__(self, settings: Settings) -> None:
        """Start it, without waiting for the model. Raises EngineUnavailableError, ConfigurationError."""
        self.model = settings.model
        self.key = secrets.token_hex()
        self._lock = threading.Condition()
        self._receiving = False
        self._told_to_end = False
        self._parts = ""
        """Of the facts, as JSON."""
        self._facts: Facts | None = None
        self._failure: MazeError | None = None
        self._started = time.monotonic()
        self.load_ms = 0.0
        self.was_killed = False
        """Whether it ended by SIGKILL, which we send only to one that we end."""
        size = 0
        with contextlib.suppress(OSError):  # the engine tells what is wrong with it
            size = settings.model.stat().st_size
        self._load_secs = LOAD_SECS + size / LOAD_BYTES_PER_SEC
        self.folder, in_use = make_socket_folder()
        self.socket_path = f"{self.folder}/{SOCKET_NAME}"
        try:
            self._control = self._start(settings, in_use)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        finally:
            os.close(in_use)

    def _start(self, settings: Settings, in_use: int) -> socket.socket:
        stack, _ = stack_limits()
        if stack < LEAST_STACK_BYTES:
            raise EngineUnavailableError(
                f"the embedded engine needs stacks of {LEAST_STACK_BYTES >> 10} KiB, and its process may have "
                f"{stack >> 10} KiB (RLIMIT_STACK); raise the hard limit (ulimit -Hs), or set MODAL_ENDPOINT to a "
                "service"
            )
        python = sys.executable or f"{sys.prefix}/bin/python3"
        told = {
            "sys_path": _search_path(),
            "model": str(settings.model),
            "threads": settings.threads,
            "slots": settings.slots,
            "context_tokens": settings.context_tokens,
            "batch_tokens": settings.batch_tokens,
            "folder": self.folder,
            "key": self.key,
        }
        try:
            control, theirs = map(off_the_standard_streams, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            with theirs:
                host = os.pidfd_open(os.getpid())
                try:
                    spawn(
                        python,
                        ["-I", "-S", supervisor.__file__],
                        environment_of_child(),
                        [theirs.fileno(), host, in_use],
                    )
                finally:
                    os.close(host)
        except OSError as error:
            raise shortage(error) or EngineUnavailableError(
                f"the embedded engine needs a process of its own, and {python} cannot be started: {error.strerror}; "
                "where a sandbox forbids that, set MODAL_ENDPOINT to a service"
            ) from None
        control.setblocking(False)
        with contextlib.suppress(OSError):  # one that has ended is noticed where its answer is awaited
            control.send(json.dumps(told).encode(), socket.MSG_NOSIGNAL)
        return control

    def wait_until_ready(self, deadline: Deadline, cancellation: Cancellation) -> Facts:
        """Wait for the model. Raises the reason if it cannot be used, or if the call is over before."""
        while True:
            with self._lock:
                if self._failure is not None:
                    raise type(self._failure)(str(self._failure))
                if self._facts is not None:
                    return self._facts
            cancellation.raise_if_cancelled()
            if deadline.expired():
                raise TimedOutError(
                    f"the model {str(self.model)!r} was not loaded within {deadline.timeout_ms:.0f} ms; "
                    f"raise {deadline.setting}"
                )
            if time.monotonic() - self._started > self._load_secs:
                self.end(
                    ConfigurationError(
                        f"the model {str(self.model)!r} was not loaded within {self._load_secs:.0f} s, and its process "
                        "was ended: the file may be damaged; fetch it again or choose another"
                    )
                )
            self._receive(min(_LOOK_SECS, deadline.remaining_secs()))

    def failure(self, wait_secs: float = 0.0) -> MazeError | None:
        """Why it cannot be used any more; None if it can. Waits so long for the report of one that may be ending."""
        ends = time.monotonic() + wait_secs
        while True:
            self._receive(max(0.0, min(_LOOK_SECS, ends - time.monotonic())))
            with self._lock:
                if self._failure is not None or time.monotonic() >= ends:
                    return self._failure

    def end(self, reason: MazeError) -> None:
        """End the process, for `reason` to all who wait for it; waits END_SECS at most until it is gone."""
        with self._lock:
            self._failure = self._failure or reason
            if self._told_to_end:
                return
            self._told_to_end = True
            self._lock.notify_all()
            self._lock.wait_for(lambda: not self._receiving)
        with contextlib.suppress(OSError):
            self._control.send(b"end", socket.MSG_NOSIGNAL)
            ends = time.monotonic() + END_SECS
            poll = select.poll()
            poll.register(self._control, select.POLLIN)
            while poll.poll(max(0.0, ends - time.monotonic()) * 1000) and self._control.recv(supervisor.MESSAGE_BYTES):
                pass
        self._control.close()
        shutil.rmtree(self.folder, ignore_errors=True)  # if its supervisor could not

    def _receive(self, wait_secs: float) -> None:
        """Take the next message, if one comes within so many seconds. One thread waits for it, others for that one."""
        with self._lock:
            if self._failure is not None:
                return
            if self._receiving:
                self._lock.wait(wait_secs)
                return
            self._receiving = True
        message: bytes | None = None
        try:
            poll = select.poll()
            poll.register(self._control, select.POLLIN)
            if poll.poll(wait_secs * 1000):
                message = self._control.recv(supervisor.MESSAGE_BYTES)
        except BlockingIOError:
            pass
        except OSError:
            message = b""
        finally:
            with self._lock:
                self._receiving = False
                if message is not None:
                    self._take(message)
                self._lock.notify_all()

    def _take(self, message: bytes) -> None:
        """Understand a message; an empty one is the end of the connection. The lock is held."""
        told: dict[str, Any] = json.loads(message) if message else {"ended": None, "words": ""}
        if "part" in told:
            self._parts += told["part"]
        elif "ready" in told:
            facts = json.loads(self._parts)
            sets = {name: frozenset(facts[name]) for name in ("end_tokens", "special_tokens")}
            self._facts = Facts(**{**facts, **sets})
            self.load_ms = (time.monotonic() - self._started) * 1000
        elif "failure" in told:
            kind = ConfigurationError if told["failure"] == "ConfigurationError" else EngineUnavailableError
            self._failure = kind(told["message"])
        else:
            self.was_killed = told["ended"] in (None, -signal.SIGKILL)
            self._failure = self._ending(told["ended"], told["words"])

    def _ending(self, status: int | None, words: str) -> MazeError:
        """What to tell of a process that ended by itself."""
        said = " ".join("".join(c if c.isprintable() else " " for c in words).split())
        last = f"; its last words: {said[-_MAX_WORDS:]}" if said else ""
        how = "was killed, with what watches over it" if status is None else f"ended with exit code {status}"
        if status is not None and status < 0:
            how = f"was ended by {_signal_name(-status)}"
        if self._facts is None and status is not None and status != -signal.SIGKILL:
            return ConfigurationError(
                f"the model {str(self.model)!r} cannot be used: the process of the embedded engine {how} while it "
                f"loaded the file, which may be damaged; fetch it again or choose another{last}"
            )
        if status == -signal.SIGKILL:
            how += " (the system may have been short of memory)"
        advice = "" if status in (None, -signal.SIGKILL) else ", or choose another model"
        return EngineUnavailableError(
            f"the process of the embedded engine with the model {str(self.model)!r} {how}; call again, which starts a "
            f"new one{advice}{last}"
        )


def _signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _search_path() -> list[str]:
    """sys.path for a process in another folder, without what Python passes over as well."""
    places = []
    for place in sys.path:
        if isinstance(place, str):
            with contextlib.suppress(OSError):  # the working directory, which is not there any more
                places.append(os.path.abspath(place))  # noqa: PTH100 - "" is the working directory
    return places
