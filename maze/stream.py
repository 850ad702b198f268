"""One generation as an iterator over its text."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import copy_context
from types import TracebackType
from typing import Self, TypeAlias

from maze.backends.base import Cancellation, Deadline, OnText
from maze.result import GenerationResult

Generate: TypeAlias = Callable[[OnText, Cancellation], GenerationResult]
"""Generates, handing out text as it arrives, until it is finished or cancelled."""


class GenerationStream:
    """The text of one generation as it arrives: iterate, then look at `result`. Leaving it early cancels.

    The engine is driven by a thread of its own, at the pace of the reader. Orchestrator.stream() makes it.
    """

    def __init__(self, generate: Generate, deadline: Deadline) -> None:
        """`deadline` is that of `generate`: by then a reader that takes nothing is no longer waited for."""
        self._feed = _Feed(deadline)
        self._result: GenerationResult | None = None
        # The thread knows the feed alone, so that a stream which nobody refers to any more ends.
        weakref.finalize(self, self._feed.cancel).atexit = False
        context = copy_context()  # spans of the call are those of whoever streams
        threading.Thread(target=context.run, args=(self._feed.fill, generate), name="maze-stream", daemon=True).start()

    def __iter__(self) -> Iterator[str]:
        try:
            while self._result is None:
                item = self._feed.take()
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, GenerationResult):
                    self._result = item
                else:
                    yield item
        finally:
            self.close()

    @property
    def result(self) -> GenerationResult:
        """The result, as of Orchestrator.generate(); reads the rest of the text first."""
        for _ in self:
            pass
        assert self._result is not None  # noqa: S101 - the loop above ends with a result or raises
        return self._result

    def close(self) -> None:
        """Cancel what is still to come. `result` then tells that it was cancelled, with the text so far."""
        self._feed.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Feed:
    """What the thread of a stream hands to its reader: pieces, then the result or what was raised."""

    _QUEUED_PIECES = 64
    """Pieces the engine may be ahead of the reader."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._items: queue.Queue[str | GenerationResult | BaseException] = queue.Queue(self._QUEUED_PIECES)
        self._cancellation = Cancellation()

    def fill(self, generate: Generate) -> None:
        end: GenerationResult | BaseException
        try:
            end = generate(self._hand_over, self._cancellation)
        except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
            end = error
        while not self._put(end):
            if self._cancellation.cancelled:
                self._drop_pieces()

    def take(self) -> str | GenerationResult | BaseException:
        return self._items.get()

    def cancel(self) -> None:
        self._cancellation.cancel("cancelled: the stream was closed before its end")

    def _hand_over(self, piece: str) -> bool:
        """Wait for room, but not for a reader that has gone or takes longer than the call may."""
        while not self._put(piece) and not self._cancellation.cancelled and not self._deadline.expired():
            pass
        return not self._cancellation.cancelled

    def _put(self, item: str | GenerationResult | BaseException) -> bool:
        try:
            self._items.put(item, timeout=0.1)
        except queue.Full:
            return False
        return True

    def _drop_pieces(self) -> None:
        while not self._items.empty():
            self._items.get_nowait()
