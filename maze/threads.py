"""Threads of ours in a process of somebody else: without its signals, and with a stack as deep as the work needs.

llguidance walks grammars recursively: 1,000 chained references overflow the usual 8 MiB and kill the process, 100 do so
on a host thread of 512 KB. 20,000 chained rules fit into STACK_BYTES.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from maze.memory import THREAD_BYTES, memory_for

STACK_BYTES = 512 * 1024 * 1024
"""Address space of each worker's stack; only what is touched takes memory."""
_FIRST_ALLOCATION = 4096
"""Large enough for glibc, which maps something for a thread that asks it for the first time."""
MAX_WORKERS = 4
"""Most threads; a call that finds all of them at work waits. One slow compilation must not hold back the others."""

_Result = TypeVar("_Result")


def leave_signals_to_the_host() -> None:
    """Let this thread, one of ours, get none of the process's signals, whose handlers expect a thread of the host."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@contextmanager
def signals_left_to_the_host() -> Iterator[None]:
    """Threads started within get none of the process's signals: a new thread inherits the mask of its maker."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Workers:
    """Up to MAX_WORKERS threads, started when first needed and kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._threads = 0
        self._unfinished = 0
        self._inside = threading.local()

    def run(self, function: Callable[[], _Result]) -> _Result:
        if getattr(self._inside, "is_worker", False):
            return function()
        future: Future[_Result] = Future()
        with self._lock:
            if self._unfinished >= self._threads and self._threads < MAX_WORKERS:
                self._start_thread()
            self._unfinished += 1
        self._tasks.put((function, future))
        return future.result()

    def _start_thread(self) -> None:
        started = threading.Event()
        name = f"maze-big-stack-{self._threads}"
        thread = threading.Thread(target=self._work, args=(started,), name=name, daemon=True)
        stack_size_of_caller = threading.stack_size(STACK_BYTES)
        try:
            with memory_for(STACK_BYTES + THREAD_BYTES), signals_left_to_the_host():
                thread.start()
                started.wait()
        except RuntimeError as error:
            raise MemoryError(f"no thread with a stack of {STACK_BYTES >> 20} MiB could be started: {error}") from None
        finally:
            threading.stack_size(stack_size_of_caller)
        self._threads += 1

    def _work(self, started: threading.Event) -> None:
        self._inside.is_worker = True
        bytes(_FIRST_ALLOCATION)
        started.set()
        while True:
            self._run_next_task()  # a function of its own, so that nothing of a finished task is kept alive here

    def _run_next_task(self) -> None:
        function, future = self._tasks.get()
        result, failure = None, None
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - carried to the caller, panics of Rust code included
            failure = error
        with self._lock:
            self._unfinished -= 1
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)


_workers = _Workers()


def _forget_threads_of_parent() -> None:
    global _workers  # threads do not survive a fork, and the lock may have been held
    _workers = _Workers()


os.register_at_fork(after_in_child=_forget_threads_of_parent)


def run_with_big_stack(function: Callable[[], _Result]) -> _Result:
    """Call `function` on a thread with a stack of STACK_BYTES and return what it returns, or raise what it raises.

    A call from within `function` runs at once on the same thread. Raises MemoryError if no such thread can be started.
    """
    return _workers.run(function)
