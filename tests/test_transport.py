"""Idle connections: which are used again, and what is left on them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_server import (
    DONE,
    STREAM_HEAD,
    Answer,
    Exchange,
    FaultServer,
    Play,
    answer,
    chunk,
    close,
    fine,
    head,
    refused_port,
    reset,
    summary,
    token,
)
from http_calls import ask, backend_for, generate

from maze.backends.http.limits import Limits
from maze.errors import EngineUnavailableError, MazeError

pytestmark = pytest.mark.usefixtures("backends_are_closed")


def test_a_connection_serves_one_request_after_the_other() -> None:
    with FaultServer(fine("one"), fine("two"), fine("three")) as server:
        backend = backend_for(server.url)
        assert [generate(backend, ask())[0].text for _ in range(3)] == ["one", "two", "three"]
    assert server.connections == 1


def test_a_connection_whose_answer_ends_late_is_used_again() -> None:
    """As uvicorn does it: the end of the chunks comes after the last event, in a packet of its own."""
    asked_again = threading.Event()

    def late(exchange: Exchange) -> None:
        exchange.send(STREAM_HEAD + b"".join(map(chunk, (token("a"), summary(), DONE))))
        asked_again.wait(10)
        exchange.send(b"0\r\n\r\n")
        ended.set()

    ended = threading.Event()
    with FaultServer(late, fine()) as server:
        backend = backend_for(server.url)
        assert generate(backend, ask())[0].text == "a"
        asked_again.set()
        assert ended.wait(10)
        assert generate(backend, ask())[0].text == "hello"
    assert server.connections == 1


@pytest.mark.parametrize(
    "junk",
    [
        Answer(fine("a").data + b"HTTP/1.1 200 OK\r\n\r\n"),
        Answer(STREAM_HEAD + b"".join(map(chunk, (token("a"), summary(), DONE, b"data: more\n\n")))),
        Answer(STREAM_HEAD + b"".join(map(chunk, (token("a"), summary(), DONE)))),
    ],
    ids=["a second answer", "more after the end", "no end"],
)
def test_what_is_left_of_an_answer_never_becomes_part_of_the_next(junk: Play) -> None:
    with FaultServer(junk, fine()) as server:
        backend = backend_for(server.url)
        assert generate(backend, ask())[0].text == "a"
        assert generate(backend, ask())[0].text == "hello"
    assert server.connections == 2


@pytest.mark.parametrize("junk", [fine("not yours").data, head(408, "Content-Length: 0"), b"\r\n"])
def test_what_arrives_on_an_idle_connection_never_becomes_an_answer(junk: bytes) -> None:
    """Some proxies send a 408 when an idle connection times out."""
    asked, sent = threading.Event(), threading.Event()

    def late(exchange: Exchange) -> None:
        fine("a")(exchange)
        asked.wait(10)
        exchange.send(junk)
        sent.set()

    with FaultServer(late, fine()) as server:
        backend = backend_for(server.url)
        assert generate(backend, ask())[0].text == "a"
        asked.set()
        assert sent.wait(10)
        assert generate(backend, ask())[0].text == "hello"
    assert server.connections == 2


def test_a_server_that_says_close_gets_a_new_connection() -> None:
    plain = fine("a").data.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    with FaultServer(Answer(plain, close), fine()) as server:
        backend = backend_for(server.url)
        assert generate(backend, ask())[0].text == "a"
        assert generate(backend, ask())[0].text == "hello"
    assert server.connections == 2


@pytest.mark.parametrize("leave", [close, reset])
def test_an_idle_connection_that_the_server_closed_costs_no_attempt(leave: Play) -> None:
    closed = threading.Event()

    def then_leave(exchange: Exchange) -> None:
        fine("a")(exchange)
        leave(exchange)
        closed.set()

    with FaultServer(then_leave, fine()) as server:
        backend = backend_for(server.url, limits=Limits(attempts=1))
        assert generate(backend, ask())[0].text == "a"
        assert closed.wait(10)
        assert generate(backend, ask())[0].text == "hello"


def test_a_request_is_not_sent_again_at_once_when_an_answer_had_begun() -> None:
    with FaultServer(fine("a"), Answer(b"HTTP/1.1 200 OK\r\n", close), fine()) as server:
        backend = backend_for(server.url, limits=Limits(attempts=1))
        generate(backend, ask())
        with pytest.raises(EngineUnavailableError, match=r"closed within its header"):
            generate(backend, ask())
    assert len(server.requests) == 2


def test_an_error_leaves_the_connection_in_order() -> None:
    with FaultServer(answer(400, {"error": "no"}), fine()) as server:
        backend = backend_for(server.url)
        with pytest.raises(MazeError):
            generate(backend, ask())
        generate(backend, ask())
    assert server.connections == 1


def test_only_the_idle_connection_that_was_taken_is_replaced() -> None:
    """Two connections are idle and dead; one request finds out about one of them and goes out anew."""
    together = threading.Barrier(2)
    closed = threading.Semaphore(0)

    def together_then_leave(exchange: Exchange) -> None:
        together.wait(20)
        fine("a")(exchange)
        exchange.close()
        closed.release()

    with FaultServer(together_then_leave, together_then_leave, fine()) as server:
        backend = backend_for(server.url, limits=Limits(attempts=1))
        with ThreadPoolExecutor(2) as pool:
            assert [completion.text for completion, _ in pool.map(lambda _: generate(backend, ask()), range(2))] == [
                "a"
            ] * 2
        assert closed.acquire(timeout=10)
        assert closed.acquire(timeout=10)
        assert generate(backend, ask())[0].text == "hello"
    assert server.connections == 3


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_port() as port, FaultServer(fine()) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert generate(backend_for(server.url), ask())[0].text == "hello"
