"""One generation of the service: a thread drives it, the event loop takes its pieces and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from maze.backends.base import Cancellation, OnText
from maze.service.contract import Answer
from maze.service.slots import Slots


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
