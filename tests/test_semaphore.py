"""How many calls are under way at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_server import DONE, Exchange, FaultServer, answer, fine, reset, stream
from http_calls import ask, backend_for, generate

from maze.backends.http.limits import Limits
from maze.backends.semaphore import Semaphore
from maze.errors import CancelledError, MazeError, TimedOutError

pytestmark = pytest.mark.usefixtures("backends_are_closed")


def test_no_more_calls_than_permitted_are_under_way() -> None:
    lock = threading.Lock()
    running = 0
    most = 0
    together = threading.Barrier(4)

    def count(exchange: Exchange) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(20)  # four at once must be possible
        with lock:
            running -= 1
        fine()(exchange)

    with FaultServer(count) as server:
        backend = backend_for(server.url, limits=Limits(calls_under_way=4))
        with ThreadPoolExecutor(16) as pool:
            texts = list(pool.map(lambda _: generate(backend, ask())[0].text, range(16)))
    assert texts == ["hello"] * 16
    assert most == 4


def test_a_call_that_gets_no_turn_ends_at_its_deadline_and_says_why() -> None:
    holding = threading.Event()

    def hold(exchange: Exchange) -> None:
        holding.set()
        exchange.stall()

    with FaultServer(hold) as server:
        backend = backend_for(server.url, limits=Limits(calls_under_way=1))
        first = ask()
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(generate, backend, first)
            assert holding.wait(10)
            with pytest.raises(TimedOutError, match=r"no turn within 100 ms: 1 calls were under way"):
                generate(backend, ask(timeout_ms=100))
            second = ask()
            threading.Timer(0.05, second.cancellation.cancel, ["enough"]).start()
            with pytest.raises(CancelledError, match="enough"):
                generate(backend, second)
            assert not second.deadline.expired()
            first.cancellation.cancel("done")
            assert isinstance(held.exception(), CancelledError)


def test_permits_are_given_back_whatever_happens() -> None:
    plays = (reset, answer(400, b""), answer(200, b"<html>"), stream(DONE), fine())
    with FaultServer(*plays) as server:
        backend = backend_for(server.url, limits=Limits(calls_under_way=1, attempts=1))
        for _ in plays[:-1]:
            with pytest.raises(MazeError):
                generate(backend, ask())
        assert generate(backend, ask())[0].text == "hello"


def test_permits_survive_a_storm_of_waiting_and_cancelling() -> None:
    permits = Semaphore(3)
    taken = 0
    lock = threading.Lock()
    most = 0

    def use(number: int) -> None:
        nonlocal taken, most
        request = ask()
        if number % 5 == 0:
            request.cancellation.cancel("x")
        if permits.acquire(request.deadline, request.cancellation):
            with lock:
                taken += 1
                most = max(most, taken)
            with lock:
                taken -= 1
            permits.release()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(use, range(2000)))
    assert most <= 3
    request = ask(timeout_ms=1)
    assert [permits.acquire(request.deadline, request.cancellation) for _ in range(4)] == [True, True, True, False]
