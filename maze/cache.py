"""Compiled constraints, kept: least recently used out first, bounded by count and by bytes, one compile per key."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, fields, is_dataclass

from maze.store import BoundedStore
from maze.types import CompiledConstraints

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

    Threads that ask for the same key at once wait for the one that compiles it. A compilation that raises is raised to
    all of them and not kept. `max_entries` and `max_bytes` bound what is kept; an entry that is larger than `max_bytes`
    alone is not. With `enabled` False every call compiles.
    """

    def __init__(self, max_entries: int, enabled: bool = True, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._enabled = enabled
        self._lock = threading.Lock()
        self._kept: BoundedStore[CompiledConstraints] = BoundedStore(max_bytes, max_entries)
        self._in_flight: dict[Hashable, Future[CompiledConstraints]] = {}
        self._compiling_threads: set[int] = set()
        self._hits = 0
        self._misses = 0

    def get_or_compile(
        self,
        key: Hashable,
        compile: Callable[[], CompiledConstraints],  # noqa: A002 - it is the verb of this project
    ) -> tuple[CompiledConstraints, bool]:
        """The constraints under `key`, and whether they were there; if not, `compile` makes them.

        Raises what `compile` raises.
        """
        thread = threading.get_ident()
        while True:
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None:
                    self._hits += 1
                    return kept, True
                # A compilation that asks again must not wait, neither for itself nor in a circle with another thread.
                alone = not self._enabled or thread in self._compiling_threads
                other = None if alone else self._in_flight.get(key)
                if other is None:
                    self._misses += 1
                    future: Future[CompiledConstraints] = Future()
                    if not alone:
                        self._in_flight[key] = future
                        self._compiling_threads.add(thread)
                    break
            failure = other.exception()
            if failure is not None and not isinstance(failure, Exception):
                continue  # The other thread was interrupted, not this one: ask again.
            with self._lock:
                self._hits += 1
            return other.result(), True

        if alone:
            return compile(), False
        try:
            compiled = compile()
        except BaseException as error:
            self._finish(key, future, None)
            future.set_exception(error)
            raise
        self._finish(key, future, compiled)
        future.set_result(compiled)
        return compiled, False

    def _finish(self, key: Hashable, future: Future[CompiledConstraints], compiled: CompiledConstraints | None) -> None:
        size = size_of(key) + size_of(compiled)
        with self._lock:
            self._compiling_threads.discard(threading.get_ident())
            if self._in_flight.get(key) is not future:
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


def size_of(value: object) -> int:
    """Bytes that a key or a compilation takes, counting what it holds."""
    size = sys.getsizeof(value)
    if is_dataclass(value) and not isinstance(value, type):
        return size + sum(size_of(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, tuple | list | set | frozenset):
        return size + sum(size_of(item) for item in value)
    return size
