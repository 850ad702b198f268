"""Making a connection: names, addresses, Unix sockets, limits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from fault_server import FaultServer, fine
from http_calls import ask, backend_for, generate

from maze.backends.http import connect as connecting
from maze.backends.http.limits import Limits
from maze.errors import CancelledError, EngineUnavailableError, TimedOutError

pytestmark = pytest.mark.usefixtures("backends_are_closed")


def test_hosts_may_be_ipv6_addresses() -> None:
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            received.append(connection.recv(65536))
            connection.sendall(fine().data)

    received: list[bytes] = []
    server = threading.Thread(target=serve)
    server.start()
    with listener:
        port = listener.getsockname()[1]
        assert generate(backend_for(f"http://[::1]:{port}"), ask())[0].text == "hello"
        server.join()
    assert f"Host: [::1]:{port}\r\n".encode() in received[0]


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose connections are never made: the queue of its listener is full, so the kernel drops what comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(8):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_connection_that_is_not_made_ends_at_the_deadline(deaf_port: int) -> None:
    with pytest.raises(TimedOutError, match=r"within 300 ms"):
        generate(backend_for(f"http://127.0.0.1:{deaf_port}"), ask(timeout_ms=300))


def test_a_connection_that_is_not_made_has_a_limit_of_its_own(deaf_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT_SECS", 0.2)
    request = ask()
    with pytest.raises(EngineUnavailableError, match=r"cannot be reached: no connection in time"):
        generate(backend_for(f"http://127.0.0.1:{deaf_port}"), request)
    assert not request.deadline.expired()


def test_a_cancellation_ends_a_wait_for_a_connection(deaf_port: int) -> None:
    request = ask(timeout_ms=4_000)
    canceller = threading.Timer(0.1, request.cancellation.cancel, ["enough"])
    canceller.start()
    with pytest.raises(CancelledError, match=r"enough"):
        generate(backend_for(f"http://127.0.0.1:{deaf_port}"), request)
    assert not request.deadline.expired()
    canceller.join()


def test_a_name_that_takes_for_ever_to_look_up_holds_no_call_beyond_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def stuck(*_: object, **options: object) -> object:
        if not options["flags"]:
            released.wait(60)
        raise socket.gaierror("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    backend = backend_for("http://name.invalid")
    with pytest.raises(TimedOutError, match=r"within 100 ms"):
        generate(backend, ask(timeout_ms=100))
    request = ask(timeout_ms=4_000)
    canceller = threading.Timer(0.05, request.cancellation.cancel, ["enough"])
    canceller.start()
    with pytest.raises(CancelledError):
        generate(backend, request)
    assert not request.deadline.expired()
    canceller.join()
    released.set()


def test_a_host_that_does_not_exist_is_named() -> None:
    backend = backend_for("http://no-such-host.invalid")
    with pytest.raises(EngineUnavailableError, match=r"the name 'no-such-host\.invalid' cannot be looked up"):
        generate(backend, ask())


def test_certificates_that_cannot_be_read_are_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certifi.where", lambda: "/nowhere/at/all")
    with pytest.raises(EngineUnavailableError, match="certificates to trust cannot be read"):
        generate(backend_for("https://127.0.0.1:9"), ask())


# ------------------------------------------------------------------------------------------------ Unix sockets


def test_a_unix_socket_carries_requests_and_its_connections_are_used_again(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with FaultServer(fine("one"), fine("two"), uds=path) as server:
        backend = backend_for("http://engine", uds=path)
        assert [generate(backend, ask())[0].text for _ in range(2)] == ["one", "two"]
    assert server.connections == 1
    assert server.requests[0].headers["host"] == "engine"


def test_a_name_is_not_looked_up_for_a_unix_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    with FaultServer(fine(), uds=tmp_path / "socket"):
        assert generate(backend_for("http://name.invalid", uds=tmp_path / "socket"), ask())[0].text == "hello"


@pytest.mark.parametrize("bound", [False, True])
def test_a_unix_socket_on_which_nobody_listens_is_told(tmp_path: Path, bound: bool) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as kept:
        if bound:
            kept.bind(str(path))
        says = "connection refused" if bound else "no such file or directory"
        with pytest.raises(EngineUnavailableError, match=rf"cannot be reached: {says} \(after 3 attempts\)"):
            generate(backend_for("http://engine", uds=path), ask())


@pytest.fixture
def deaf_socket(tmp_path: Path) -> Iterator[Path]:
    """A Unix socket whose queue is full."""
    path = tmp_path / "socket"
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
        yield path


def test_a_unix_socket_whose_queue_is_full_is_waited_for_until_the_deadline(deaf_socket: Path) -> None:
    with pytest.raises(TimedOutError, match=r"within 300 ms"):
        generate(backend_for("http://engine", uds=deaf_socket), ask(timeout_ms=300))


def test_a_unix_socket_whose_queue_is_full_has_a_limit_of_its_own(
    deaf_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_SECS", 0.1)
    request = ask()
    with pytest.raises(EngineUnavailableError, match=r"cannot be reached: no connection in time"):
        generate(backend_for("http://engine", uds=deaf_socket), request)
    assert not request.deadline.expired()


def test_a_cancellation_ends_a_wait_for_the_queue_of_a_unix_socket(deaf_socket: Path) -> None:
    request = ask(timeout_ms=4_000)
    canceller = threading.Timer(0.1, request.cancellation.cancel, ["enough"])
    canceller.start()
    with pytest.raises(CancelledError, match=r"enough"):
        generate(backend_for("http://engine", uds=deaf_socket), request)
    assert not request.deadline.expired()
    canceller.join()


def test_many_threads_get_through_the_short_queue_of_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with FaultServer(fine(), uds=path), ThreadPoolExecutor(64) as pool:
        backend = backend_for("http://engine", uds=path, limits=Limits(attempts=1))
        texts = list(pool.map(lambda _: generate(backend, ask())[0].text, range(256)))
    assert texts == ["hello"] * 256
