"""HTTP/1.1 in its rarer forms; those that are errors are in test_faults.py."""

from __future__ import annotations

import socket
import threading
import time
from random import Random

import pytest
from fault_server import DONE, END, Answer, Exchange, FaultServer, answer, close, fine, head, summary, token
from http_calls import ask, backend_for, generate

from maze.backends.http.limits import Limits
from maze.errors import BadResponseError, MazeError, TimedOutError

pytestmark = pytest.mark.usefixtures("backends_are_closed")


@pytest.mark.parametrize("reads_on", [True, False])
def test_a_refusal_before_the_whole_request_was_read_is_heard(reads_on: bool) -> None:
    """A prompt larger than all socket buffers, and a server that answers after its first bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard = threading.Event()

    def refuse() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(head(413, "Content-Length: 0", "Connection: close"))
            if not reads_on:
                heard.wait(20)
                return
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    server = threading.Thread(target=refuse)
    server.start()
    with listener:
        backend = backend_for(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(MazeError, match=r"refused the request \(413\)"):
            generate(backend, ask(prompt="x" * 20_000_000))
        heard.set()
        server.join()


def test_a_server_that_reads_slowly_cannot_hold_a_call_beyond_its_deadline() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        backend = backend_for(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(TimedOutError, match=r"within 300 ms"):
            generate(backend, ask(prompt="x" * 20_000_000, timeout_ms=300))


def test_an_answer_of_http_1_0_ends_with_the_connection() -> None:
    data = token("a") + summary() + DONE
    play = Answer(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + data, close)
    with FaultServer(play) as server:
        backend = backend_for(server.url)
        assert generate(backend, ask())[0].text == "a"
        assert generate(backend, ask())[0].text == "a"
    assert server.connections == 2


def test_an_answer_of_http_1_0_that_is_cut_off_is_no_success() -> None:
    play = Answer(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + token("a"), close)
    with FaultServer(play) as server, pytest.raises(BadResponseError, match=r"ended without its last event"):
        generate(backend_for(server.url), ask())


def test_early_hints_and_continue_are_not_the_answer() -> None:
    with FaultServer(Answer(head(100) + head(103, "Link: </x>") + fine().data)) as server:
        assert generate(backend_for(server.url), ask())[0].text == "hello"


def test_a_trailer_in_two_parts_does_not_reach_the_next_call() -> None:
    def in_two_parts(exchange: Exchange) -> None:
        whole = fine("one").data
        exchange.send(whole[:-2] + b"X-")
        time.sleep(0.1)
        exchange.send(b"Why: y\r\n\r\n")

    with FaultServer(in_two_parts, fine("two")) as server:
        backend = backend_for(server.url)
        assert [generate(backend, ask())[0].text for _ in range(2)] == ["one", "two"]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_bytes_come_the_outcome_is_the_text_or_an_error_of_ours(seed: int) -> None:
    random = Random(seed)
    words = (b"\r\n", b"\n", b"data: ", b"{}", b"null", END, b"[DONE]", b"1e999", b'"error":', b"Content-Length: 3\r\n")
    locations = ("http://[::1", "//", "http:///x", "https://a:99999999/", "\x00", "http://%zz/", "/é", "http://a b/")
    answers = [fine("hé€").data, answer(503, {"error": "x"}).data, answer(429, b"", "Retry-After: 99 Foo").data]
    answers += [head(303, f"Location: {location}", "Content-Length: 0") for location in locations]

    def mutate(exchange: Exchange) -> None:
        data = bytearray(random.choice(answers))
        for _ in range(random.randrange(4)):
            place = random.randrange(len(data))
            match random.randrange(4):
                case 0:
                    data[place] = random.randrange(256)
                case 1:
                    del data[place : place + random.randrange(20)]
                case 2:
                    data[place:place] = random.choice(words)
                case _:
                    data[place:place] = data[random.randrange(len(data)) :]
        exchange.send(bytes(data))
        exchange.close()

    outcomes = set()
    with FaultServer(mutate) as server:
        backend = backend_for(server.url, limits=Limits(attempts=1))
        for _ in range(300):
            try:
                outcomes.add(generate(backend, ask())[0].text)
            except MazeError as error:
                outcomes.add(type(error).__name__)
    assert outcomes >= {"hé€", "BadResponseError", "EngineUnavailableError", "RateLimitedError"}
    assert outcomes <= {"hé€", "BadResponseError", "EngineUnavailableError", "RateLimitedError", "RequestRejectedError"}
