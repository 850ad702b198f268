"""Several generations at once, each with a result of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from maze.backends.base import Cancellation
from maze.memory import THREAD_BYTES, memory_for
from maze.result import GenerationResult
from maze.threads import leave_signals_to_the_host

_Intent = TypeVar("_Intent")

MAX_CONCURRENT_BATCH = 32
"""Generations of one batch under way at once; more wait their turn. Engines batch about as many well."""


def generate_all(
    intents: Sequence[_Intent], generate: Callable[[_Intent, Cancellation], GenerationResult]
) -> list[GenerationResult]:
    """Call `generate` for each intent, at once as far as that is sensible; the results have their order.

    What interrupts the wait for them, such as Ctrl-C, cancels all that is under way.
    """
    if not intents:
        return []
    cancellations = [Cancellation() for _ in intents]
    threads = min(len(intents), MAX_CONCURRENT_BATCH)
    with (
        memory_for(threads * THREAD_BYTES),
        ThreadPoolExecutor(threads, "maze-batch", initializer=leave_signals_to_the_host) as pool,
    ):
        try:
            contexts = [copy_context() for _ in intents]  # spans of the calls are those of whoever asks for the batch
            return list(pool.map(lambda context, *call: context.run(generate, *call), contexts, intents, cancellations))
        except BaseException:  # Ctrl-C, say, after which the pool would wait for all that is under way
            # On a thread of its own, because a second Ctrl-C would end the loop.
            threading.Thread(target=_interrupt_all, args=(cancellations,), name="maze-batch-interrupt").start()
            raise


def _interrupt_all(calls: Sequence[Cancellation]) -> None:
    leave_signals_to_the_host()
    for call in calls:
        call.cancel("cancelled: the batch was interrupted")
