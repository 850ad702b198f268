"""What was made at some cost, kept for the next time: least recently used out first, bounded by count and by bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

_Value = TypeVar("_Value")


class BoundedStore(Generic[_Value]):
    """Values by key. Safe for use from many threads at once; an entry larger than `max_bytes` alone is not kept."""

    def __init__(self, max_bytes: int, max_entries: float = math.inf) -> None:
        self._max_entries = max_entries
        self._lock = Lock()
        self._entries: LRUCache[Hashable, tuple[_Value, int]] = LRUCache(max_bytes, getsizeof=lambda entry: entry[1])
        self.evictions = 0
        """Entries dropped to make room."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What the entries take."""
        return int(self._entries.currsize)

    def get(self, key: Hashable) -> _Value | None:
        """The value under `key`, which then is the most recently used; None if there is none."""
        with self._lock:
            try:
                return self._entries[key][0]  # get() would look it up twice, and keys can be long
            except KeyError:
                return None

    def put(self, key: Hashable, value: _Value, size: int) -> None:
        """Keep `value`, which takes `size` bytes, key included, and drop what has no room beside it."""
        with self._lock:
            if size > self._entries.maxsize:
                return
            entries = len(self._entries) + (key not in self._entries)
            self._entries[key] = (value, size)
            while len(self._entries) > self._max_entries:
                self._entries.popitem()
            self.evictions += entries - len(self._entries)

    def get_or_make(self, key: Hashable, make: Callable[[], _Value], size: int) -> _Value:
        """The value under `key`; if there is none, what `make` makes, kept as put() does."""
        value = self.get(key)
        if value is None:
            value = make()
            self.put(key, value, size)
        return value

    def drop(self, key: Hashable) -> None:
        """Forget what is under `key`, if anything."""
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
