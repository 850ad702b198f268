"""A semaphore with a queue: who goes on now, who waits for a turn, and who is told to come again later."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from maze.backends.base import Cancellation, Deadline
from maze.errors import TimedOutError
from maze.service.refusal import Refusal

MAX_RETRY_AFTER_SECS = 60


class Turns:
    """`places` for work under way and `most_waiting` that wait for one. For one event loop."""

    def __init__(self, places: int, most_waiting: int, what: str, *, newest_first: bool = False) -> None:
        """`what` names the work. With `newest_first`, it is the oldest that is refused where too many wait."""
        self._places = places
        self._most_waiting = most_waiting
        self._what = what
        self._newest_first = newest_first
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mean_busy_secs = 1.0
        self.taken = 0

    @property
    def waiting(self) -> int:
        return len(self._urgent) + len(self._waiting)

    def take_free(self) -> bool:
        """Take a place if there is one; give_back() returns it."""
        free = self.taken < self._places
        self.taken += free
        return free

    async def take(self, *, urgent: bool = False) -> None:
        """Take a place, waiting for one, an urgent one before the others; give_back() returns it.

        Raises Refusal if too many wait already; urgent ones always may.
        """
        if self.take_free():
            return
        if not urgent and len(self._waiting) >= self._most_waiting:
            if not (self._newest_first and self._waiting):
                raise self._refusal()
            self._waiting.popleft().set_exception(self._refusal())
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._urgent if urgent else self._waiting
        queue.append(turn)
        try:
            await turn
        except BaseException:
            if turn in queue:
                queue.remove(turn)
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back()  # it came while we were leaving
            raise

    def give_back(self, busy_secs: float | None = None) -> None:
        """Return a place; `busy_secs` is how long work of the usual kind kept it."""
        if busy_secs is not None:
            self._mean_busy_secs += 0.2 * (busy_secs - self._mean_busy_secs)
        while self._urgent or self._waiting:
            if self._urgent:
                turn = self._urgent.popleft()
            else:
                turn = self._waiting.pop() if self._newest_first else self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1

    def _refusal(self) -> Refusal:
        problem = f"{self.taken} {self._what} are under way and {self.waiting} wait; come again later"
        expected = math.ceil(self._mean_busy_secs * (self.waiting + 1) / self._places)
        headers = {"Retry-After": str(max(1, min(MAX_RETRY_AFTER_SECS, expected)))}
        return Refusal(429, "rate_limited", problem, retryable=True, headers=headers)


@asynccontextmanager
async def until(cancellation: Cancellation, deadline: Deadline) -> AsyncIterator[None]:
    """Let what is waited for within end when the request is cancelled (CancelledError) or late (TimedOutError)."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(deadline.remaining_secs()) as limit:

            def end_now() -> None:
                with suppress(RuntimeError):  # it has ended
                    limit.reschedule(loop.time())

            def wake() -> None:
                loop.call_soon_threadsafe(end_now)

            forget = cancellation.on_cancel(wake)
            try:
                yield
            finally:
                forget()
    except TimeoutError:
        cancellation.raise_if_cancelled()
        problem = f"its turn did not come within {deadline.timeout_ms:.0f} ms; the service has too much to do"
        raise TimedOutError(problem) from None
