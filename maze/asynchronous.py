"""Maze for asyncio: the methods of Orchestrator to be awaited, ended where their task is cancelled.

A call under way has a thread of its own, which does nothing but wait while the engine computes; the event loop is never
held up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from inspect import signature
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from maze.backends.base import Backend, Cancellation
from maze.cache import CacheStats
from maze.config import MazeConfig
from maze.options import GenerationOptions
from maze.orchestrator import SHUTDOWN_GRACE_SECS, Constraints, Orchestrator
from maze.result import GenerationResult
from maze.stream import GenerationStream
from maze.threads import leave_signals_to_the_host
from maze.types import Intent

MAX_CONCURRENT_CALLS = 512
"""Calls of one AsyncOrchestrator under way at once; more wait their turn."""

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")


def _awaited(
    method: Callable[Concatenate[Orchestrator, _Arguments], _Result],
) -> Callable[Concatenate[AsyncOrchestrator, _Arguments], Coroutine[Any, Any, _Result]]:
    """The same method, to be awaited; one that takes a cancellation is cancelled with its task."""
    takes_cancellation = "cancellation" in signature(method).parameters

    @wraps(method)
    async def call(self: AsyncOrchestrator, /, *arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        cancel = None
        if takes_cancellation:
            given: Any = named.get("cancellation") or Cancellation()
            named["cancellation"] = given
            cancel = partial(given.cancel, "cancelled: its task was cancelled")
        return await self._run(partial(method, self._maze, *arguments, **named), cancel)

    return call


class AsyncOrchestrator:
    """An Orchestrator for asyncio. It may be used in several event loops. `on_text` is called on another thread."""

    def __init__(self, config: MazeConfig | None = None, *, backend: Backend | None = None) -> None:
        self._maze = Orchestrator(config, backend=backend)
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT_CALLS, "maze-async", leave_signals_to_the_host)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def config(self) -> MazeConfig:
        """What it was told."""
        return self._maze.config

    # -------------------------------------------------------------------------------------------- generating

    generate = _awaited(Orchestrator.generate)
    generate_as = _awaited(Orchestrator.generate_as)

    def stream(
        self, intent: Intent | str, constraints: Constraints = (), options: GenerationOptions | None = None
    ) -> AsyncGenerationStream:
        """As Orchestrator.stream(): `async for piece in maze.stream(...)`."""
        return AsyncGenerationStream(self._maze.stream(intent, constraints, options), self._run)

    async def generate_batch(
        self,
        intents: Sequence[Intent | str],
        constraints: Constraints = (),
        options: GenerationOptions | None = None,
    ) -> list[GenerationResult]:
        """As Orchestrator.generate_batch(), but that all of them are under way at once."""
        return await asyncio.gather(*(self.generate(intent, constraints, options) for intent in intents))

    # -------------------------------------------------------------------------------------------- without an engine

    compile = _awaited(Orchestrator.compile)
    validate = _awaited(Orchestrator.validate)

    def cache_stats(self) -> CacheStats:
        """As Orchestrator.cache_stats(), which never waits."""
        return self._maze.cache_stats()

    def clear_cache(self) -> None:
        """As Orchestrator.clear_cache(), which never waits."""
        self._maze.clear_cache()

    # -------------------------------------------------------------------------------------------- the engine

    health = _awaited(Orchestrator.health)
    models = _awaited(Orchestrator.models)

    async def close(self) -> None:
        """As Orchestrator.close()."""
        try:
            await self._run(self._maze.close)
        finally:
            self._threads.shutdown(wait=False)

    async def _run(self, call: Callable[[], _Result], cancel: Callable[[], object] | None = None) -> _Result:
        """Make a call on a thread; where the task is cancelled meanwhile, `cancel` it and wait until it has ended."""
        context = copy_context()  # spans of the call are those of its task
        job = self._threads.submit(context.run, call)
        running = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not job.cancel() and cancel is not None:
                cancel()
            running.add_done_callback(_forget)
            await asyncio.wait({running}, timeout=SHUTDOWN_GRACE_SECS)
            raise


class AsyncGenerationStream:
    """The text of one generation as it arrives, by `async for`; then `await stream.result()`. Leaving early cancels."""

    def __init__(self, stream: GenerationStream, run: Callable[..., Any]) -> None:
        self._stream = stream
        self._run = run

    async def __aiter__(self) -> AsyncIterator[str]:
        pieces = iter(self._stream)
        try:
            while (piece := await self._run(partial(next, pieces, None), self.close)) is not None:
                yield piece
        finally:
            self.close()

    async def result(self) -> GenerationResult:
        """The result, as of generate(); reads the rest of the text first."""
        result: GenerationResult = await self._run(lambda: self._stream.result, self.close)
        return result

    def close(self) -> None:
        """Cancel what is still to come."""
        self._stream.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _forget(running: asyncio.Future[Any]) -> None:
    if not running.cancelled():
        running.exception()  # nobody waits for it any more
