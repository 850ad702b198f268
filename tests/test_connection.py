"""A connected socket: no SIGPIPE, and TLS."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fault_server import Exchange, FaultServer, fine, stall, token, unfinished
from http_calls import LIMITS, ask, backend_for, generate, server_context, trusting

from maze.errors import CancelledError, EngineUnavailableError, TimedOutError

pytestmark = pytest.mark.usefixtures("backends_are_closed")


_NO_SIGPIPE = """
import signal, socket, sys, threading
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
from http_calls import ask, backend_for, generate
from maze.errors import CancelledError, EngineUnavailableError

listener = socket.create_server(("127.0.0.1", 0))
kept = []

def serve():
    while True:
        connection, _ = listener.accept()
        connection.recv(10)
        if sys.argv[1] == "leave":
            connection.shutdown(socket.SHUT_WR)
            connection.close()
        else:
            kept.append(connection)
            request.cancellation.cancel("enough")

request = ask(prompt="x" * 20_000_000)
threading.Thread(target=serve, daemon=True).start()
try:
    generate(backend_for(f"http://127.0.0.1:{listener.getsockname()[1]}"), request)
except (EngineUnavailableError, CancelledError) as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(("way", "outcome"), [("leave", "EngineUnavailableError"), ("cancel", "CancelledError")])
def test_sending_to_a_connection_that_ended_raises_no_sigpipe(way: str, outcome: str) -> None:
    """The process belongs to somebody else, and SIGPIPE kills it: embedded Python does not ignore it."""
    finished = subprocess.run(
        [sys.executable, "-c", _NO_SIGPIPE, way], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60
    )
    assert finished.returncode != -signal.SIGPIPE
    assert finished.stdout == f"{outcome}\n", finished.stderr


def test_tls_works_and_its_connections_are_used_again(certificate: Path) -> None:
    with FaultServer(fine("one" * 5_000), fine("two"), tls=server_context(certificate)) as server:
        backend = backend_for(server.url, tls=trusting(certificate))
        assert generate(backend, ask(prompt="x" * 300_000, max_tokens=20_000))[0].text == "one" * 5_000
        assert generate(backend, ask())[0].text == "two"
    assert server.connections == 1
    assert len(server.requests[0].json()["prompt"]) == 300_000


def test_a_certificate_of_an_unknown_authority_is_refused_before_anything_is_sent(certificate: Path) -> None:
    with (
        FaultServer(fine(), tls=server_context(certificate)) as server,
        pytest.raises(EngineUnavailableError, match=r"cannot be trusted: .*certificate.* self.signed certificate$"),
    ):
        generate(backend_for(server.url), ask())
    assert server.requests == []
    assert server.connections == 1


def test_a_certificate_for_another_host_is_refused(certificate: Path) -> None:
    with FaultServer(fine(), tls=server_context(certificate)) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(EngineUnavailableError, match=r"cannot be trusted: .*'localhost'"):
            generate(backend_for(url, tls=trusting(certificate)), ask())
    assert server.requests == []


def test_https_to_a_server_without_tls_is_told() -> None:
    # Whether the server waits for more depends on whether a line ends within the random bytes of the first message.
    with (
        FaultServer(fine()) as server,
        pytest.raises(EngineUnavailableError, match=r"TLS handshake (failed|was cut off|in time)"),
    ):
        generate(backend_for(server.url.replace("http:", "https:")), ask())


def test_a_tls_handshake_that_stalls_ends_at_the_deadline() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, pytest.raises(TimedOutError, match=r"within 300 ms"):
        generate(backend_for(f"https://127.0.0.1:{listener.getsockname()[1]}"), ask(timeout_ms=300))


def test_a_tls_connection_that_is_reset_after_text_keeps_the_text(certificate: Path) -> None:
    play = unfinished(token("par"), then=stall)
    request = ask(timeout_ms=500)
    with FaultServer(play, tls=server_context(certificate)) as server, pytest.raises(TimedOutError) as caught:
        generate(backend_for(server.url, tls=trusting(certificate)), request)
    assert caught.value.partial_text == "par"


def test_a_cancellation_ends_a_wait_within_tls(certificate: Path) -> None:
    request = ask()

    def cancelling(exchange: Exchange) -> None:
        request.cancellation.cancel("enough")
        exchange.stall()

    with FaultServer(cancelling, tls=server_context(certificate)) as server, pytest.raises(CancelledError):
        generate(backend_for(server.url, tls=trusting(certificate)), request)
    assert not request.deadline.expired()


def test_a_tls_connection_that_was_closed_with_a_goodbye_costs_no_attempt(certificate: Path) -> None:
    def closes_when_asked_again(exchange: Exchange) -> None:
        fine("one")(exchange)
        exchange.connection.settimeout(10)
        exchange.connection.recv(1)  # the next request
        assert isinstance(exchange.connection, ssl.SSLSocket)
        exchange.connection.unwrap()
        exchange.open = False

    with FaultServer(closes_when_asked_again, fine("two"), tls=server_context(certificate)) as server:
        backend = backend_for(server.url, tls=trusting(certificate), limits=replace(LIMITS, attempts=1))
        assert [generate(backend, ask())[0].text for _ in range(2)] == ["one", "two"]
    assert server.connections == 2
