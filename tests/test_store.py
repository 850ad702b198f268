"""What is kept for the next time: bounded in bytes and in entries, the least recently used out first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from maze.store import BoundedStore


def test_entries_leave_in_the_order_of_their_last_use_and_are_counted() -> None:
    store: BoundedStore[str] = BoundedStore(max_bytes=100, max_entries=2)
    store.put("a", "A", 1)
    store.put("b", "B", 1)
    assert store.get("a") == "A"
    store.put("c", "C", 1)
    assert [store.get(key) for key in "abc"] == ["A", None, "C"]
    assert (len(store), store.bytes, store.evictions) == (2, 2, 1)


def test_bytes_are_bounded_and_what_is_larger_alone_is_not_kept() -> None:
    store: BoundedStore[str] = BoundedStore(max_bytes=10)
    store.put("a", "A", 6)
    store.put("huge", "H", 11)
    assert (store.get("huge"), store.get("a"), store.evictions) == (None, "A", 0)
    store.put("b", "B", 6)
    assert (store.get("a"), store.get("b"), store.bytes, store.evictions) == (None, "B", 6, 1)
    store.put("b", "C", 10)
    assert (store.get("b"), store.bytes, store.evictions) == ("C", 10, 1)


def test_what_is_dropped_or_cleared_is_no_eviction() -> None:
    store: BoundedStore[str] = BoundedStore(max_bytes=10)
    assert store.get_or_make("a", lambda: "A", 1) == "A"
    assert store.get_or_make("a", lambda: "other", 1) == "A"
    store.drop("a")
    store.drop("never there")
    assert store.get_or_make("a", lambda: "other", 1) == "other"
    store.clear()
    assert (len(store), store.bytes, store.evictions) == (0, 0, 0)


def test_many_threads_keep_the_bounds() -> None:
    store: BoundedStore[int] = BoundedStore(max_bytes=50, max_entries=20)

    def use(number: int) -> None:
        key = number % 37
        assert store.get_or_make(key, lambda: key, size=1 + key % 5) == key

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(4000)))
    assert store.bytes <= 50
    assert len(store) <= 20
