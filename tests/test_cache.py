from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from maze.backends.base import Deadline
from maze.cache import ConstraintCache
from maze.compiled import CompiledConstraints, EngineGrammar
from maze.errors import InvalidConstraintError, TimedOutError
from maze.grammar.budget import MAX_QUICK_STEPS, Budget


def made_of(text: str) -> CompiledConstraints:
    return CompiledConstraints(grammar=EngineGrammar(text), token_mask=None, parts=())


def compiled(_: Budget) -> CompiledConstraints:
    return made_of("g")


def never(_: Budget) -> CompiledConstraints:
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
        cache.get_or_compile(bytes([number]) * 5_000, lambda _: made_of("x" * 5_000))
    stats = cache.stats()
    assert 50_000 < stats.bytes <= 100_000
    assert stats.entries < 10
    assert stats.evictions == 50 - stats.entries


def test_an_entry_larger_than_the_whole_cache_is_served_but_not_kept() -> None:
    cache = ConstraintCache(10, max_bytes=10_000)
    cache.get_or_compile("small", compiled)
    assert cache.get_or_compile("large", lambda _: made_of("x" * 20_000))[0].grammar == EngineGrammar("x" * 20_000)
    assert cache.get_or_compile("large", lambda _: made_of("x" * 20_000))[1] is False
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

    def compile_slowly(_: Budget) -> CompiledConstraints:
        calls.append(1)
        for _thread in range(64):  # not before every thread is on its way into the cache
            assert arrived.acquire(timeout=60)
        return made_of("g")

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

    def fail(_: Budget) -> CompiledConstraints:
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

    def interrupted(_: Budget) -> CompiledConstraints:
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
        assert second.result(60)[0] == made_of("g")


def test_a_compilation_that_asks_the_cache_itself_waits_neither_for_itself_nor_for_one_behind_it() -> None:
    cache = ConstraintCache(10)
    started, finish = threading.Event(), threading.Event()

    def asks_for_the_next(_: Budget) -> CompiledConstraints:
        started.set()
        assert finish.wait(60)
        return cache.get_or_compile("next", compiled)[0]

    def asks_for_itself(_: Budget) -> CompiledConstraints:
        return cache.get_or_compile("self", compiled)[0]

    assert cache.get_or_compile("self", asks_for_itself)[0] == made_of("g")
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(cache.get_or_compile, "first", asks_for_the_next)
        assert started.wait(60)
        two = pool.submit(cache.get_or_compile, "next", compiled)
        while cache.stats().misses < 4:  # until it waits in line behind the first
            time.sleep(0.001)
        finish.set()
        assert one.result(60)[0] == two.result(60)[0] == made_of("g")


def test_a_call_whose_deadline_passes_leaves_and_the_compilation_goes_on_for_the_others() -> None:
    cache = ConstraintCache(10)
    started, finish = threading.Event(), threading.Event()
    compilations = []

    def slow(budget: Budget) -> CompiledConstraints:
        compilations.append(1)
        budget.where = "constraints[3].grammar"
        started.set()
        assert finish.wait(60)
        budget.spend(MAX_QUICK_STEPS)  # looks at the clock
        return made_of("g")

    def hurried() -> None:
        with pytest.raises(
            TimedOutError, match=r"within 200 ms; it was at constraints\[3\]\.grammar; raise timeout_ms"
        ):
            cache.get_or_compile("k", slow, Deadline(200))

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(hurried)
        assert started.wait(60)
        second = pool.submit(cache.get_or_compile, "k", slow, Deadline(60_000))
        first.result(10)
        finish.set()
        assert second.result(60) == (made_of("g"), True)
    assert compilations == [1]
    assert cache.get_or_compile("k", never)[1] is True


def test_a_compilation_that_nobody_waits_for_any_more_ends_and_is_not_kept() -> None:
    cache = ConstraintCache(10)
    ended: Future[BaseException] = Future()

    def endless(budget: Budget) -> CompiledConstraints:
        budget.begin(quick=False)
        try:
            while True:
                budget.spend(1)
        except BaseException as error:
            ended.set_result(error)
            raise

    with pytest.raises(TimedOutError):
        cache.get_or_compile("k", endless, Deadline(50))
    assert isinstance(ended.result(10), TimedOutError)
    assert cache.stats().entries == 0
    assert cache.get_or_compile("k", compiled)[1] is False


def test_a_call_whose_deadline_passes_in_line_is_told_so() -> None:
    cache = ConstraintCache(10)
    started, finish = threading.Event(), threading.Event()

    def slow(_: Budget) -> CompiledConstraints:
        started.set()
        assert finish.wait(60)
        return made_of("g")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(cache.get_or_compile, "slow", slow)
        assert started.wait(60)
        begun = time.monotonic()
        with pytest.raises(TimedOutError, match="within 100 ms"):
            cache.get_or_compile("k", never, Deadline(100))
        assert time.monotonic() - begun < 5
        finish.set()
    assert cache.get_or_compile("k", compiled)[1] is False


def test_a_quick_compilation_does_not_wait_for_long_ones_and_those_take_turns() -> None:
    cache = ConstraintCache(10)
    started, finish = threading.Event(), threading.Event()
    at_work: list[str] = []
    order: list[str] = []

    def long(name: str) -> Callable[[Budget], CompiledConstraints]:
        def make(budget: Budget) -> CompiledConstraints:
            budget.spend(MAX_QUICK_STEPS + 1)
            at_work.append(name)
            assert at_work == [name]
            started.set()
            assert finish.wait(60)
            order.append(name)
            at_work.remove(name)
            return made_of(name)

        return make

    with ThreadPoolExecutor(3) as pool:
        asked = []
        for number, name in enumerate("abc"):
            asked.append(pool.submit(cache.get_or_compile, name, long(name)))
            assert started.wait(60)
            while cache.stats().misses <= number:
                time.sleep(0.001)
        assert cache.get_or_compile("quick", compiled) == (made_of("g"), False)
        finish.set()
        assert [each.result(60)[0] for each in asked] == [made_of(name) for name in "abc"]
    assert order == ["a", "b", "c"]


def test_clearing_while_a_compilation_is_under_way_serves_it_but_does_not_keep_it() -> None:
    cache = ConstraintCache(10)
    started, finish = threading.Event(), threading.Event()

    def slow(budget: Budget) -> CompiledConstraints:
        budget.spend(MAX_QUICK_STEPS + 1)
        started.set()
        assert finish.wait(60)
        return made_of("old")

    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(cache.get_or_compile, "k", slow)
        assert started.wait(60)
        cache.clear()
        assert cache.get_or_compile("k", lambda _: made_of("new"))[0].grammar == EngineGrammar("new")
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
