"""Who compiles and checks for strangers, and in which order: processes that can be ended, unlike threads.

How much work a task is shows only when it is done. So each is tried first, short ones before long ones and new ones
before old ones, and most are done within milliseconds, whatever else is under way. What is not done then goes on as
heavy: few at once, the others in turn, begun anew, and where too many wait already, refused.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from maze.errors import EngineUnavailableError, LimitExceededError, MazeError
from maze.service.nursery import Nursery, Worker
from maze.service.turns import URGENT, Turns
from maze.service.worker import Defect, Failure, Success, Task

_log = logging.getLogger(__name__)

TRIED_AT_ONCE = 2
TRIAL_CPU_SECS = 0.05
"""Processor time after which a task is heavy."""
TRIAL_SECS = 1.0
"""The same by the clock, on a machine that is busy otherwise."""
MAX_TRIALS_WAITING = 256
MAX_HEAVY_SECS = 30.0
"""Most processor time of a heavy task, once it is its turn."""
MAX_HEAVY_WAITING = 16

_CLOCK_FACTOR = 4
"""How much longer it may take by the clock."""


class WorkerDefect(Exception):  # noqa: N818 - a defect
    """A task ended with what is no MazeError; the text is the traceback."""


class Workers:
    """The processes of one service. For one event loop."""

    def __init__(self) -> None:
        self._trials = Turns(TRIED_AT_ONCE, MAX_TRIALS_WAITING, "compilations", newest_first=True)
        heavy_at_once = max(1, len(os.sched_getaffinity(0)) - 1)
        self._heavy = Turns(heavy_at_once, MAX_HEAVY_WAITING, "heavy compilations")
        self._idle: list[Worker] = []
        self._nursery: Nursery | None = None
        self._refilling: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def running(self) -> int:
        """Tasks under way."""
        return self._trials.taken + self._heavy.taken

    @property
    def waiting(self) -> int:
        """Tasks that wait for their turn."""
        return self._trials.waiting + self._heavy.waiting

    def start(self) -> None:
        """Have a worker ready for the first task."""
        self._refill()

    def close(self) -> None:
        """End all processes."""
        self._closed = True
        if self._refilling is not None:
            self._refilling.cancel()
        for worker in self._idle:
            worker.kill()
        if self._nursery is not None:
            self._nursery.close()

    async def run(self, task: Task, what: str, *, urgent: bool = False) -> Any:  # noqa: ANN401 - what the task gives
        """Have a task done; returns what it gives.

        Raises MazeError: that of the task, LimitExceededError naming `what` where it takes too much time or memory,
        EngineUnavailableError where its process was lost for another reason. Raises Refusal if too many wait already,
        but not for urgent ones, and WorkerDefect.
        """
        encoded = pickle.dumps(task, pickle.HIGHEST_PROTOCOL)
        answer = await self._try(encoded, what, URGENT if urgent else len(encoded).bit_length())
        if answer is None:
            answer = await self._do_heavy(encoded, what, URGENT if urgent else 0)
        match said := pickle.loads(answer):  # noqa: S301 - from a worker of ours
            case Failure(kind, message):
                raise kind(message)
            case Defect(trace):
                raise WorkerDefect(trace)
            case Success(value):
                return value
        raise TypeError(f"a worker answered a {type(said).__name__}")

    async def _try(self, task: bytes, what: str, rank: int) -> bytes | None:
        """The answer to a task; None if it is heavy and must wait for its turn."""
        await self._trials.take(rank)
        turns, started = self._trials, time.monotonic()
        try:
            async with self._worker() as worker, _asking(worker, task, what) as asking:
                if not await worker.spent(TRIAL_CPU_SECS, TRIAL_SECS, asking):
                    answer = await asking
                    self._keep(worker)
                    return answer
                if not self._heavy.take_free():
                    return None
                turns.give_back(time.monotonic() - started)
                turns, started = self._heavy, time.monotonic()
                return await _in_time(worker, asking, what)
        finally:
            turns.give_back(time.monotonic() - started)

    async def _do_heavy(self, task: bytes, what: str, rank: int) -> bytes:
        await self._heavy.take(rank)
        started = time.monotonic()
        try:
            async with self._worker() as worker, _asking(worker, task, what) as asking:
                return await _in_time(worker, asking, what)
        finally:
            self._heavy.give_back(time.monotonic() - started)

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[Worker]:
        """A worker for one task; it is ended afterwards, unless it was kept: heavy work leaves memory behind."""
        while self._idle and not self._idle[-1].alive:
            self._idle.pop().kill()  # something else has ended it
        worker = self._idle.pop() if self._idle else await self._new_worker()
        try:
            yield worker
        finally:
            if worker not in self._idle:
                worker.kill()
                self._refill()

    def _keep(self, worker: Worker) -> None:
        if worker.alive and len(self._idle) < TRIED_AT_ONCE:
            self._idle.append(worker)

    async def _new_worker(self) -> Worker:
        if self._closed:
            raise EngineUnavailableError("the service is stopping")
        try:
            if self._nursery is None or not self._nursery.alive:
                self._nursery = Nursery()
            return await Worker.begin(self._nursery)
        except OSError as error:
            problem = f"no process to compile in could be started ({error.strerror or error}); try again"
            raise EngineUnavailableError(problem) from None

    def _refill(self) -> None:
        """Have a worker ready for the next task."""
        if not self._closed and not self._idle and (self._refilling is None or self._refilling.done()):
            self._refilling = asyncio.create_task(self._add_worker())

    async def _add_worker(self) -> None:
        try:
            self._idle.append(await self._new_worker())
        except MazeError as error:
            _log.warning("%s", error)


@asynccontextmanager
async def _asking(worker: Worker, task: bytes, what: str) -> AsyncIterator[asyncio.Task[bytes]]:
    """Ask a worker; who leaves before the answer does not wait for it."""
    asking = asyncio.create_task(worker.answer(task, what))
    try:
        yield asking
    finally:
        asking.cancel()
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _in_time(worker: Worker, asking: asyncio.Task[bytes], what: str) -> bytes:
    worker.yield_to_others()
    if await worker.spent(MAX_HEAVY_SECS, _CLOCK_FACTOR * MAX_HEAVY_SECS, asking):
        raise LimitExceededError(f"{what} takes over {MAX_HEAVY_SECS:g} s of work; simplify the constraints")
    return await asking
