"""Threads of ours in a process of somebody else: without its signals, and with a stack as deep as the work needs.

llguidance walks grammars recursively: 1,000 chained references overflow the usual 8 MiB and kill the process, 100 do so
on a host thread of 512 KB. 20,000 chained rules fit into STACK_BYTES.
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

from maze.memory import THREAD_BYTES, memory_for

STACK_BYTES = 512 * 1024 * 1024
"""Address space of each worker's stack; only what is touched takes memory."""
_FIRST_ALLOCATION = 4096
"""Large enough for glibc, which maps something for a thread that asks it for the first time."""
MAX_WORKERS = 4
"""Most threads for deep checks; a call that finds all of them at work waits."""

SWITCH_INTERVAL_SECS = 0.0005
"""How long one thread keeps the interpreter while others wait, in an interpreter of our own: a quick call beside one
that computes takes 0.6 ms in the median, with Python's own 5 ms it takes 5.1 ms."""
_COLLECTIONS = (2_000, 10, 100)
"""When garbage is collected there: a full collection takes 20 to 40 ms while much is compiled, and nobody else gets the
interpreter meanwhile, so it is ten times as rare as by default."""

_Result = TypeVar("_Result")


def favour_quick_calls() -> None:
    """Let no thread keep this interpreter, which is one of our own, for long while others wait for it."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECS)
    gc.freeze()  # what is imported by now is never garbage
    gc.set_threshold(*_COLLECTIONS)


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


class TakesLongError(Exception):
    """A task that was begun as a quick one is none, and is to be begun again in line with the long ones."""


class _Workers:
    """Threads with a stack of STACK_BYTES, started when first needed and kept; a task that finds all at work waits."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._lock = threading.Lock()
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._threads = 0
        self._unfinished = 0

    def put(self, task: Callable[[], None]) -> None:
        """Have `task`, which raises nothing, called.

        Raises MemoryError or OutOfMemoryError if there is no thread and none can be had.
        """
        with self._lock:
            if self._unfinished >= self._threads and self._threads < self._most:
                self._start_thread()
            self._unfinished += 1
        self._tasks.put(task)

    def _start_thread(self) -> None:
        started = threading.Event()
        name = f"maze-{self._name}-{self._threads}"
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
        _inside.is_worker = True
        try:
            bytes(_FIRST_ALLOCATION)
        finally:
            started.set()
        while True:
            self._run_next_task()  # a function of its own, so that nothing of a finished task is kept alive here

    def _run_next_task(self) -> None:
        task = self._tasks.get()
        task()
        with self._lock:
            self._unfinished -= 1


class _Lines:
    """All workers of this process."""

    def __init__(self) -> None:
        self.deep = _Workers("big-stack", MAX_WORKERS)
        self.quick = _Workers("quick", 1)
        self.long = _Workers("long", 1)


_inside = threading.local()
_lines = _Lines()


def _forget_threads_of_parent() -> None:
    global _lines  # threads do not survive a fork, and a lock may have been held
    _lines = _Lines()


os.register_at_fork(after_in_child=_forget_threads_of_parent)


def on_big_stack() -> bool:
    """Whether this thread is one of ours with a stack of STACK_BYTES."""
    return getattr(_inside, "is_worker", False)


def run_with_big_stack(function: Callable[[], _Result]) -> _Result:
    """Call `function` on a thread with a stack of STACK_BYTES and return what it returns, or raise what it raises.

    A call from within `function` runs at once on the same thread. Raises MemoryError if no such thread can be started.
    """
    if on_big_stack():
        return function()
    future: Future[_Result] = Future()
    _lines.deep.put(lambda: _complete(future, function))
    return future.result()


def take_turn(task: Callable[[bool], _Result], future: Future[_Result]) -> None:
    """Have `task` called with a big stack; `future` gets what it returns or raises.

    Tasks that take long are called one at a time, first come first served: at once each would take longer than all in
    a row, and so would everything else that waits for the interpreter. `task(True)` is called in a line of its own and
    must raise TakesLongError soon if it is one of them; then `task(False)` is called when its turn has come.

    Where no thread can be started, `future` gets MemoryError or OutOfMemoryError.
    """

    def put(line: _Workers, begin: Callable[[], None]) -> None:
        try:
            line.put(begin)
        except Exception as error:  # noqa: BLE001 - no thread; whoever waits must hear of it
            future.set_exception(error)

    def begin() -> None:
        try:
            result = task(True)
        except TakesLongError:
            put(_lines.long, lambda: _complete(future, lambda: task(False)))
        except BaseException as error:  # noqa: BLE001 - carried to the caller
            future.set_exception(error)
        else:
            future.set_result(result)

    put(_lines.quick, begin)


def _complete(future: Future[_Result], function: Callable[[], _Result]) -> None:
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - carried to the caller, panics of Rust code included
        future.set_exception(error)
    else:
        future.set_result(result)
