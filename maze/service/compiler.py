"""What the workers make of the constraints of strangers, kept for the next request; and the check of a text."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

from maze.backends.base import Cancellation, Deadline
from maze.cache import DEFAULT_MAX_BYTES, size_of
from maze.check.cut_off import Judgement, judge
from maze.config import MazeConfig
from maze.grammar import compile_constraints
from maze.options import ConstraintOptions
from maze.service.contract import GenerateRequest
from maze.service.turns import until
from maze.service.worker import CheckTask, Compiled, CompileTask
from maze.service.workers import Workers
from maze.store import BoundedStore

_Key: TypeAlias = tuple[str, str | None, ConstraintOptions]
"""The constraints as the client wrote them, the language, and how they are taken."""


@dataclass(slots=True)
class _UnderWay:
    task: asyncio.Task[Compiled]
    waiting: int = 0


class Compiler:
    """Compiles once for all who wait for the same constraints, and checks texts. For one event loop."""

    def __init__(self, workers: Workers, config: MazeConfig) -> None:
        self._workers = workers
        self._loop = asyncio.get_running_loop()
        entries = config.cache_size_limit if config.enable_cache else 0
        self._kept: BoundedStore[Compiled] = BoundedStore(DEFAULT_MAX_BYTES, entries)
        self._under_way: dict[_Key, _UnderWay] = {}
        self._braid_grammar = config.braid_grammar
        self._unconstrained = Compiled(compile_constraints(()), b"", 0)

    async def prepare(
        self, request: GenerateRequest, cancellation: Cancellation, deadline: Deadline
    ) -> tuple[Compiled, bool]:
        """The constraints of a request, and whether they were compiled already. Raises MazeError and Refusal.

        Work that nobody waits for any more is ended.
        """
        if not request.constraints:
            return self._unconstrained, True
        key = request.constraints, request.intent.language, request.options.of_constraints(self._braid_grammar)
        kept = self._kept.get(key)
        if kept is not None:
            return kept, True
        under_way = self._under_way.get(key)
        first = under_way is None
        if under_way is None:
            under_way = self._under_way[key] = _UnderWay(asyncio.create_task(self._compile(key)))
            under_way.task.add_done_callback(lambda done: done.cancelled() or done.exception())
        under_way.waiting += 1
        try:
            async with until(cancellation, deadline):
                return await asyncio.shield(under_way.task), not first
        finally:
            under_way.waiting -= 1
            if under_way.waiting == 0:
                under_way.task.cancel()
                del self._under_way[key]

    async def _compile(self, key: _Key) -> Compiled:
        compiled: Compiled = await self._workers.run(CompileTask(*key), "compiling the constraints")
        self._kept.put(key, compiled, size_of(key) + compiled.size)
        return compiled

    def check(
        self,
        text: bytes,
        compiled: Compiled,
        cancellation: Cancellation,
        deadline: Deadline,
        *,
        may_be_cut_off: bool,
        is_enforced: bool,
    ) -> Judgement:
        """Check a text, from another thread than that of the event loop. Raises MazeError."""
        if not compiled.whole:
            return judge(text, compiled.for_engine)
        check = CheckTask(text, compiled.whole, deadline.at, may_be_cut_off, is_enforced)
        task = self._check(check, cancellation, deadline)
        return asyncio.run_coroutine_threadsafe(task, self._loop).result()

    async def _check(self, task: CheckTask, cancellation: Cancellation, deadline: Deadline) -> Judgement:
        judgement: Judgement
        async with until(cancellation, deadline):
            judgement = await self._workers.run(task, "checking the text", urgent=True)
        return judgement
