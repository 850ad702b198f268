"""maze.asynchronous: many calls in one event loop, and their end where a task is cancelled."""

from __future__ import annotations

import asyncio
from typing import assert_type

import pytest
from fault_server import FaultServer, fine
from scripted_backend import Gate, ScriptedBackend

from maze import (
    AsyncOrchestrator,
    Cancellation,
    ConstraintViolatedError,
    MazeConfig,
    Status,
    choice,
)

TASKS = 200


def test_many_calls_over_http_are_under_way_at_once() -> None:
    async def ask(url: str) -> set[tuple[Status, str]]:
        config = MazeConfig(endpoint=url, dialect="maze")
        async with AsyncOrchestrator(config) as maze:
            results = await asyncio.gather(*(maze.generate("?", choice(["yes"])) for _ in range(TASKS)))
        return {(result.status, result.code) for result in results}

    with FaultServer(fine("yes")) as server:
        assert asyncio.run(ask(server.url)) == {(Status.OK, "yes")}


async def entered(gate: Gate, calls: int = 1) -> None:
    """Wait until so many calls are at the gate, with other tasks taking their turns."""
    async with asyncio.timeout(30):
        while calls:
            calls -= gate.entered.acquire(blocking=False)
            await asyncio.sleep(0.001)


def test_all_calls_wait_at_once_and_the_event_loop_does_not() -> None:
    gate = Gate()

    async def ask() -> None:
        async with AsyncOrchestrator(MazeConfig(), backend=ScriptedBackend([gate, "yes"])) as maze:
            batch = asyncio.create_task(maze.generate_batch(["?"] * TASKS, choice(["yes"])))
            await entered(gate, TASKS)
            assert not batch.done()
            gate.opened.set()
            assert all(await batch)

    asyncio.run(ask())


def test_a_task_that_is_cancelled_ends_its_generation_before_it_ends_itself() -> None:
    gate = Gate()

    async def ask() -> None:
        async with AsyncOrchestrator(MazeConfig(), backend=ScriptedBackend([gate])) as maze:
            task = asyncio.create_task(maze.generate("?"))
            await entered(gate)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert gate.cancelled.acquire(blocking=False)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await maze.generate_as(int, "?")
            assert gate.cancelled.acquire(blocking=False)
            own = Cancellation()
            task = asyncio.create_task(maze.generate("?", cancellation=own))
            await entered(gate)
            own.cancel("cancelled: enough")
            assert (await task).error == "cancelled: enough"

    asyncio.run(ask())


def test_a_stream_is_read_by_async_for_and_leaving_it_cancels() -> None:
    gate = Gate()

    async def read() -> None:
        async with AsyncOrchestrator(MazeConfig(), backend=ScriptedBackend(["re", "d"])) as maze:
            stream = maze.stream("a colour", choice(["red"]))
            assert [piece async for piece in stream] == ["re", "d"]
            assert (await stream.result()).success
        async with AsyncOrchestrator(MazeConfig(), backend=ScriptedBackend(["re", gate, "d"])) as maze:
            async with maze.stream("a colour") as left:
                async for _ in left:
                    break
            assert (await left.result()).status is Status.CANCELLED
            await entered(gate)
            task = asyncio.create_task(maze.stream("a colour").result())
            await entered(gate)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(gate.cancelled.acquire, timeout=30)

    asyncio.run(read())


def test_the_other_methods_are_those_of_an_orchestrator() -> None:
    async def use() -> None:
        async with AsyncOrchestrator(MazeConfig(max_attempts=1), backend=ScriptedBackend(["12"])) as maze:
            assert not (await maze.compile(int)).cache_hit
            assert (await maze.compile(int)).cache_hit
            assert maze.cache_stats().entries == 1
            assert await maze.validate("1", int)
            assert assert_type(await maze.generate_as(int, "a number"), int) == 12
            with pytest.raises(ConstraintViolatedError) as refused:
                await maze.generate_as(bool, "a truth")
            assert refused.value.result.code == "12"
            assert (await maze.health()).ready
            assert await maze.models()
            assert maze.config.max_attempts == 1
            maze.clear_cache()
            assert maze.cache_stats().entries == 0

    asyncio.run(use())


def test_after_its_end_a_call_says_that_it_was_closed() -> None:
    async def use() -> None:
        maze = AsyncOrchestrator(MazeConfig(), backend=ScriptedBackend(["12"]))
        await maze.close()
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            await maze.generate("?")

    asyncio.run(use())
