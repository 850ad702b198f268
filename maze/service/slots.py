"""A semaphore with a queue: who may use the engine now, who waits for a turn, and who is told to come again later.

A slot is a thread, because a generation blocks one. It is taken until that thread is free again, so a stream that was
cancelled holds its slot until the engine has let go of it.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TypeVar

from maze.backends.base import Cancellation, Deadline
from maze.errors import CancelledError, TimedOutError
from maze.service.refusal import Refusal

MAX_RETRY_AFTER_SECS = 60

_Result = TypeVar("_Result")


class Slots:
    """`slots` generations at once and `places` that wait, first come first served. For one event loop."""

    def __init__(self, slots: int, places: int) -> None:
        self._slots = slots
        self._places = places
        self._threads = ThreadPoolExecutor(slots, "maze-generate")
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mean_busy_secs = 1.0

    @property
    def queued(self) -> int:
        return len(self._waiting)

    async def acquire(self, cancellation: Cancellation, deadline: Deadline) -> None:
        """Take a slot, waiting for one; run() gives it back.

        Raises Refusal if too many wait already, CancelledError, and TimedOutError at the deadline.
        """
        if self.taken < self._slots:
            self.taken += 1
            return
        if len(self._waiting) >= self._places:
            raise Refusal(
                429,
                "rate_limited",
                f"{self.taken} generations are under way and {len(self._waiting)} wait; come again later",
                retryable=True,
                headers={"Retry-After": str(self._expected_wait_secs())},
            )
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()

        def end_wait() -> None:
            if not turn.done():
                turn.set_exception(CancelledError("cancelled while waiting for the engine"))

        def wake() -> None:
            loop.call_soon_threadsafe(end_wait)

        forget = cancellation.on_cancel(wake)
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(deadline.remaining_secs()):
                await turn
        except BaseException as error:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_on()  # the slot came while we were leaving
            if isinstance(error, TimeoutError):
                problem = f"no slot became free within {deadline.timeout_ms:.0f} ms; the service has too much to do"
                raise TimedOutError(problem) from None
            cancellation.raise_if_cancelled()
            raise
        finally:
            forget()

    def run(self, work: Callable[[], _Result]) -> asyncio.Future[_Result]:
        """Do `work` in a thread, in a slot that was acquired. The slot is free when it ends, whoever waits for it."""
        started = perf_counter()

        def release(done: asyncio.Future[_Result]) -> None:
            if not done.cancelled():
                done.exception()  # taken note of, even if nobody waits any more
            self._mean_busy_secs += 0.2 * (perf_counter() - started - self._mean_busy_secs)
            self._pass_on()

        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        running.add_done_callback(release)
        return running

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1

    def _expected_wait_secs(self) -> int:
        expected = self._mean_busy_secs * (len(self._waiting) + 1) / self._slots
        return max(1, min(MAX_RETRY_AFTER_SECS, math.ceil(expected)))
