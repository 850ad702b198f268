"""Who may use the engine now, and who waits for a turn.

A slot is a thread, because a generation blocks one. It is taken until that thread is free again, so a stream that was
cancelled holds its slot until the engine has let go of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TypeVar

from maze.backends.base import Cancellation, Deadline, OnText
from maze.service.contract import Answer
from maze.service.turns import Turns, until

_Result = TypeVar("_Result")


class Slots:
    """`slots` generations at once and `places` that wait, first come first served. For one event loop."""

    def __init__(self, slots: int, places: int) -> None:
        self._turns = Turns(slots, places, "generations")
        self._threads = ThreadPoolExecutor(slots, "maze-generate")

    @property
    def taken(self) -> int:
        return self._turns.taken

    @property
    def queued(self) -> int:
        return self._turns.waiting

    async def acquire(self, cancellation: Cancellation, deadline: Deadline) -> None:
        """Take a slot, waiting for one; run() gives it back.

        Raises Refusal if too many wait already, CancelledError, and TimedOutError at the deadline.
        """
        async with until(cancellation, deadline):
            await self._turns.take()

    def run(self, work: Callable[[], _Result]) -> asyncio.Future[_Result]:
        """Do `work` in a thread, in a slot that was acquired. The slot is free when it ends, whoever waits for it."""
        started = perf_counter()

        def release(done: asyncio.Future[_Result]) -> None:
            if not done.cancelled():
                done.exception()  # taken note of, even if nobody waits any more
            self._turns.give_back(perf_counter() - started)

        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        running.add_done_callback(release)
        return running

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Generation:
    """A generation under way, in a slot that was acquired for it."""

    def __init__(self, slots: Slots, work: Callable[[OnText], Answer], cancellation: Cancellation) -> None:
        """`work` is done in a thread; it hands out text and gives the answer, or raises Refusal."""
        self._cancellation = cancellation
        self._loop = asyncio.get_running_loop()
        # Not bounded: max_tokens bounds it, and a slow reader must not hold a slot of the engine.
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self.ended = slots.run(lambda: work(self._take))
        self.ended.add_done_callback(lambda _: self._pieces.put_nowait(None))

    def _take(self, text: str) -> bool:
        """Take a piece from the thread."""
        piece = text.encode(errors="replace").decode()  # a text with lone surrogates is refused when it is complete
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
        return not self._cancellation.cancelled

    async def pieces(self) -> AsyncIterator[str]:
        """The text as it arrives; ends when the work has ended, well or not, or was cancelled."""
        while (piece := await self._pieces.get()) is not None and not self._cancellation.cancelled:
            yield piece
            # Neither get() nor send() let go of the loop while there is something to take and room to put it; others,
            # and what watches for the client to leave, must have their turn.
            await asyncio.sleep(0)

    async def answer(self) -> Answer:
        """Wait for the end. Raises Refusal."""
        # Shielded: a cancelled handler must not mark the slot as free while the thread is still in it.
        return await asyncio.shield(self.ended)
