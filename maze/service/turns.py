"""A semaphore with a queue: who goes on now, who waits for a turn, and who is told to come again later."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count

from maze.backends.base import Cancellation, Deadline
from maze.errors import TimedOutError
from maze.service.refusal import Refusal

MAX_RETRY_AFTER_SECS = 60
URGENT = -1
"""The rank of what must not be refused."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    place: tuple[int, int]
    """Its rank, and where it stands among those of the same rank; the least goes on first."""
    turn: asyncio.Future[None]


class Turns:
    """`places` for work under way and `most_waiting` that wait for one. For one event loop."""

    def __init__(self, places: int, most_waiting: int, what: str, *, newest_first: bool = False) -> None:
        """`what` names the work."""
        self._places = places
        self._most_waiting = most_waiting
        self._what = what
        self._direction = -1 if newest_first else 1
        self._numbers = count()
        self._waiting: list[_Waiting] = []
        self._mean_busy_secs = 1.0
        self.taken = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def take_free(self) -> bool:
        """Take a place if there is one; give_back() returns it."""
        free = self.taken < self._places
        self.taken += free
        return free

    async def take(self, rank: int = 0) -> None:
        """Take a place, waiting for one, the lowest rank first; give_back() returns it.

        Where too many wait, who would be the last gets a Refusal, but for those of rank URGENT.
        """
        if self.take_free():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting((rank, self._direction * next(self._numbers)), turn)
        self._waiting.append(waiting)
        last = max(self._waiting, key=lambda each: each.place)
        if len(self._waiting) > self._most_waiting and last.place[0] != URGENT:
            self._waiting.remove(last)
            last.turn.set_exception(self._refusal())
        try:
            await turn
        except BaseException:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back()  # it came while we were leaving
            raise

    def give_back(self, busy_secs: float | None = None) -> None:
        """Return a place; `busy_secs` is how long work of the usual kind kept it."""
        if busy_secs is not None:
            self._mean_busy_secs += 0.2 * (busy_secs - self._mean_busy_secs)
        while self._waiting:
            first = min(self._waiting, key=lambda each: each.place)
            self._waiting.remove(first)
            if not first.turn.done():
                first.turn.set_result(None)
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
