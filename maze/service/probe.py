"""Questions to the engine that many may ask at once: its health and its models."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Generic, TypeVar

from maze.backends.base import Deadline

FRESH_SECS = 1.0
"""How long an answer of the engine is passed on, so that askers cannot overload it."""
TIMEOUT_SECS = 5.0
"""Longest wait for an answer."""

_Answer = TypeVar("_Answer")


class Probe(Generic[_Answer]):
    """Asks the engine something in a thread. Who asks meanwhile or shortly after gets the same answer."""

    def __init__(self, threads: ThreadPoolExecutor, ask: Callable[[Deadline], _Answer]) -> None:
        self._threads = threads
        self._ask = ask
        self._asked_at = -math.inf
        self._asking: asyncio.Future[_Answer] | None = None

    async def ask(self) -> _Answer:
        """The engine's answer. Raises MazeError."""
        if self._asking is None or (self._asking.done() and perf_counter() - self._asked_at > FRESH_SECS):
            return await asyncio.shield(self.start())
        return await asyncio.shield(self._asking)

    def start(self) -> asyncio.Future[_Answer]:
        """Ask now."""
        self._asked_at = perf_counter()
        self._asking = asyncio.get_running_loop().run_in_executor(
            self._threads, self._ask, Deadline(TIMEOUT_SECS * 1000)
        )
        self._asking.add_done_callback(lambda done: done.cancelled() or done.exception())  # if nobody waits any more
        return self._asking
