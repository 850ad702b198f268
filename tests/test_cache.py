from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from maze.cache import ConstraintCache
from maze.errors import InvalidConstraintError
from maze.types import CompiledConstraints, EngineGrammar


def compiled(text: str = "g") -> CompiledConstraints:
    return CompiledConstraints(grammar=EngineGrammar(text), token_mask=None, parts=())


def never() -> CompiledConstraints:
    raise AssertionError("compiled although it was in the cache")


def test_what_was_compiled_once_is_not_compiled_again() -> None:
    cache = ConstraintCache(10)
    first, first_hit = cache.get_or_compile(b"k", compiled)
    second, second_hit = cache.get_or_compile(b"k", never)
    assert (first_hit, second_hit) == (False, True)
    assert second is first
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.evictions, stats.entries) == (1, 1, 0, 1)


def test_the_least_recently_used_entry_leaves_first() -> None:
    cache = ConstraintCache(2)
    for key in ("a", "b"):
        cache.get_or_compile(key, compiled)
    cache.get_or_compile("a", never)
    cache.get_or_compile("c", compiled)
    cache.get_or_compile("a", never)
    assert cache.get_or_compile("b", compiled)[1] is False
    assert (cache.stats().evictions, cache.stats().entries) == (2, 2)


def test_bytes_are_bounded_and_counted_with_keys_and_texts() -> None:
    cache = ConstraintCache(1000, max_bytes=100_000)
    for number in range(50):
        cache.get_or_compile(bytes([number]) * 5_000, lambda: compiled("x" * 5_000))
    stats = cache.stats()
    assert 50_000 < stats.bytes <= 100_000
    assert stats.entries < 10
    assert stats.evictions == 50 - stats.entries


def test_an_entry_larger_than_the_whole_cache_is_served_but_not_kept() -> None:
    cache = ConstraintCache(10, max_bytes=10_000)
    cache.get_or_compile("small", compiled)
    assert cache.get_or_compile("large", lambda: compiled("x" * 20_000))[0].grammar == EngineGrammar("x" * 20_000)
    assert cache.get_or_compile("large", lambda: compiled("x" * 20_000))[1] is False
    cache.get_or_compile("small", never)


def test_a_disabled_cache_compiles_every_time() -> None:
    cache = ConstraintCache(10, enabled=False)
    assert [cache.get_or_compile("k", compiled)[1] for _ in range(3)] == [False, False, False]
    assert (cache.stats().misses, cache.stats().entries) == (3, 0)


def test_sixty_four_threads_that_ask_at_once_compile_once() -> None:
    cache = ConstraintCache(10)
    calls: list[int] = []
    together = threading.Barrier(64)
    arrived = threading.Semaphore(0)

    def compile_slowly() -> CompiledConstraints:
        calls.append(1)
        for _ in range(64):  # not before every thread is on its way into the cache
            assert arrived.acquire(timeout=60)
        return compiled()

    def ask() -> tuple[CompiledConstraints, bool]:
        together.wait(60)
        arrived.release()
        return cache.get_or_compile("k", compile_slowly)

    with ThreadPoolExecutor(64) as pool:
        answers = [future.result(60) for future in [pool.submit(ask) for _ in range(64)]]
    assert calls == [1]
    assert len({id(answer) for answer, _ in answers}) == 1
    assert sorted(hit for _, hit in answers) == [False] + [True] * 63
    assert (cache.stats().hits, cache.stats().misses) == (63, 1)


def test_a_failed_compilation_is_raised_to_all_who_wait_and_not_kept() -> None:
    cache = ConstraintCache(10)
    started, finish = threading.Event(), threading.Event()

    def fail() -> CompiledConstraints:
        started.set()
        assert finish.wait(60)
        raise InvalidConstraintError("constraints[0].grammar is wrong")

    def ask() -> None:
        with pytest.raises(InvalidConstraintError, match="is wrong"):
            cache.get_or_compile("k", fail)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask) for _ in range(8)]
        assert started.wait(60)
        finish.set()
        for each in asked:
            each.result(60)
    assert cache.stats().entries == 0
    assert cache.get_or_compile("k", compiled)[1] is False


def test_an_interrupted_compilation_does_not_interrupt_those_who_wait() -> None:
    cache = ConstraintCache(10)
    started, finish = threading.Event(), threading.Event()

    def interrupted() -> CompiledConstraints:
        started.set()
        assert finish.wait(60)
        raise KeyboardInterrupt

    def ask_first() -> None:
        with pytest.raises(KeyboardInterrupt):
            cache.get_or_compile("k", interrupted)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask_first)
        assert started.wait(60)
        second = pool.submit(cache.get_or_compile, "k", compiled)
        finish.set()
        first.result(60)
        assert second.result(60)[0] == compiled()


def test_compilations_that_ask_the_cache_themselves_do_not_deadlock() -> None:
    cache = ConstraintCache(10)
    meet = threading.Barrier(2)

    def asks_for(other: str) -> Callable[[], CompiledConstraints]:
        def make() -> CompiledConstraints:
            meet.wait(60)  # both are under way, each about to ask for what the other one compiles
            return cache.get_or_compile(other, compiled)[0]

        return make

    assert cache.get_or_compile("self", lambda: cache.get_or_compile("self", compiled)[0])[0] == compiled()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(cache.get_or_compile, "a", asks_for("b"))
        two = pool.submit(cache.get_or_compile, "b", asks_for("a"))
        assert one.result(60)[0] == two.result(60)[0] == compiled()


def test_clearing_while_a_compilation_is_under_way_serves_it_but_does_not_keep_it() -> None:
    cache = ConstraintCache(10)
    started, finish = threading.Event(), threading.Event()

    def slow() -> CompiledConstraints:
        started.set()
        assert finish.wait(60)
        return compiled("old")

    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(cache.get_or_compile, "k", slow)
        assert started.wait(60)
        cache.clear()
        assert cache.get_or_compile("k", lambda: compiled("new"))[0].grammar == EngineGrammar("new")
        finish.set()
        assert waiting.result(60)[0].grammar == EngineGrammar("old")
    assert cache.get_or_compile("k", never)[0].grammar == EngineGrammar("new")


def test_clearing_empties_the_cache_and_keeps_the_counters() -> None:
    cache = ConstraintCache(10)
    cache.get_or_compile("k", compiled)
    cache.get_or_compile("k", never)
    cache.clear()
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.evictions, stats.entries, stats.bytes) == (1, 1, 0, 0, 0)
