"""Compiled constraints, kept: least recently used out first, bounded by count and by bytes, one compile per key."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, fields, is_dataclass

from maze.backends.base import Deadline
from maze.compiled import CompiledConstraints
from maze.errors import TimedOutError
from maze.grammar.budget import Budget
from maze.store import BoundedStore
from maze.threads import TakesLongError, on_big_stack, take_turn

DEFAULT_MAX_BYTES = 256 * 1024 * 1024
"""Most memory that entries take together, keys included: 1000 entries of a 10 KB schema take about 40 MB."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Counters since the cache was made, and what it holds now."""

    hits: int
    """Calls that found their constraints compiled, or being compiled by another call."""
    misses: int
    """Calls that had to compile them."""
    evictions: int
    """Entries dropped to make room."""
    entries: int
    bytes: int
    """What the entries take, keys included."""


class ConstraintCache:
    """Keeps what compiling made, by key. Safe for use from many threads at once.

    Threads that ask for the same key at once wait for one compilation. One that raises is raised to all of them and
    not kept. `max_entries` and `max_bytes` bound what is kept; an entry that is larger than `max_bytes`
    alone is not. With `enabled` False every call compiles.
    """

    def __init__(self, max_entries: int, enabled: bool = True, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._enabled = enabled
        self._lock = threading.Lock()
        self._kept: BoundedStore[CompiledConstraints] = BoundedStore(max_bytes, max_entries)
        self._in_flight: dict[Hashable, _Flight] = {}
        self._hits = 0
        self._misses = 0

    def get_or_compile(
        self,
        key: Hashable,
        compile: Callable[[Budget], CompiledConstraints],  # noqa: A002 - it is the verb of this project
        deadline: Deadline | None = None,
        *,
        at_once: bool = False,
    ) -> tuple[CompiledConstraints, bool]:
        """The constraints under `key`, and whether they were there; if not, `compile` makes them.

        `at_once`: there is nothing to do that would need a turn in line, nor a thread with a deep stack.

        Raises what `compile` raises, and TimedOutError at the deadline; the compilation goes on as long as another call
        waits for it.
        """
        while True:
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None:
                    self._hits += 1
                    return kept, True
                # A compilation that asks again must not wait, neither for itself nor for one that is behind it in line.
                if at_once or on_big_stack():
                    self._misses += 1
                    break
                ends_at = math.inf if deadline is None else deadline.at
                flight = self._in_flight.get(key) if self._enabled else None
                is_new = flight is None
                if flight is None:
                    self._misses += 1
                    flight = _Flight(ends_at)
                    if self._enabled:
                        self._in_flight[key] = flight
                flight.budget.ends_at = max(flight.budget.ends_at, ends_at)
            if is_new:
                self._start(key, flight, compile)
            try:
                compiled = flight.future.result(None if deadline is None else deadline.remaining_secs())
            except (TimeoutError, TimedOutError):
                if deadline is not None and deadline.expired():
                    raise _timed_out(deadline, flight.budget) from None
                continue  # It was given up when nobody seemed to wait any more.
            except BaseException as error:
                if is_new or isinstance(error, Exception):
                    raise
                continue  # The other thread was interrupted, not this one: ask again.
            if not is_new:
                with self._lock:
                    self._hits += 1
            return compiled, not is_new
        compiled = compile(Budget())
        if at_once and self._enabled:
            self._kept.put(key, compiled, size_of(key) + size_of(compiled))
        return compiled, False

    def _start(self, key: Hashable, flight: _Flight, compile: Callable[[Budget], CompiledConstraints]) -> None:  # noqa: A002
        def task(quick: bool) -> CompiledConstraints:
            try:
                flight.budget.begin(quick=quick)
                compiled = compile(flight.budget)
            except TakesLongError:
                raise
            except BaseException:
                self._finish(key, flight, None)
                raise
            self._finish(key, flight, compiled)
            return compiled

        def forget_failure(future: Future[CompiledConstraints]) -> None:
            if future.exception() is not None:
                self._finish(key, flight, None)

        flight.future.add_done_callback(forget_failure)  # where there was no thread for the task either
        take_turn(task, flight.future)

    def _finish(self, key: Hashable, flight: _Flight, compiled: CompiledConstraints | None) -> None:
        size = size_of(key) + size_of(compiled)
        with self._lock:
            if self._in_flight.get(key) is not flight:
                return  # clear() came in between.
            del self._in_flight[key]
            if compiled is not None:
                self._kept.put(key, compiled, size)

    def stats(self) -> CacheStats:
        """Counters, all of one moment."""
        with self._lock:
            return CacheStats(
                hits=self._hits,
                misses=self._misses,
                evictions=self._kept.evictions,
                entries=len(self._kept),
                bytes=self._kept.bytes,
            )

    def clear(self) -> None:
        """Drop every entry; the counters go on. Compilations under way serve who waits for them and are not kept."""
        with self._lock:
            self._kept.clear()
            self._in_flight = {}


class _Flight:
    """A compilation under way, and by when all who wait for it will have gone."""

    def __init__(self, ends_at: float) -> None:
        self.budget = Budget(ends_at)
        self.future: Future[CompiledConstraints] = Future()


def _timed_out(deadline: Deadline, budget: Budget) -> TimedOutError:
    return TimedOutError(
        f"compiling the constraints was not finished within {deadline.timeout_ms:.0f} ms; it was at {budget.where}; "
        "raise timeout_ms, or give fewer or simpler constraints"
    )


def size_of(value: object) -> int:
    """Bytes that a key or a compilation takes, counting what it holds."""
    size = sys.getsizeof(value)
    if is_dataclass(value) and not isinstance(value, type):
        return size + sum(size_of(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, tuple | list | set | frozenset):
        return size + sum(size_of(item) for item in value)
    return size
