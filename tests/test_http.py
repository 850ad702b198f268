"""The connections, endpoints and questions of the HTTP backend."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from fault_server import (
    DONE,
    STREAM_HEAD,
    Answer,
    Exchange,
    FaultServer,
    Play,
    Storm,
    answer,
    chunk,
    close,
    event,
    fine,
    head,
    refused_port,
    reset,
    stall,
    stream,
    summary,
    token,
    unfinished,
)
from http_calls import KEY, LIMITS, ask, backend_for, backends_are_closed, generate  # noqa: F401

from maze.backends import connect
from maze.backends.base import Deadline
from maze.backends.endpoints import FIRST_REST_SECS, LONGEST_REST_SECS, Endpoint, Endpoints
from maze.backends.http import backend as http
from maze.backends.http import connect as connecting
from maze.backends.http import detect
from maze.backends.http.client import ERROR_BODY_SECS
from maze.backends.http.limits import Limits
from maze.backends.semaphore import Semaphore
from maze.config import ModalConfig, Secret
from maze.errors import (
    BadResponseError,
    CancelledError,
    ConfigurationError,
    EngineUnavailableError,
    InvalidArgumentError,
    MazeError,
    TimedOutError,
    UnauthorizedError,
)

pytestmark = pytest.mark.usefixtures("backends_are_closed")

# ------------------------------------------------------------------------------------------------ connections


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


def test_the_request_says_what_it_must_and_the_key_only_in_its_header() -> None:
    with FaultServer(fine()) as server:
        generate(backend_for(server.url), ask())
    (request,) = server.requests
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["content-type"] == "application/json"
    assert KEY.encode() not in request.body


def test_a_base_url_with_a_path_keeps_it() -> None:
    with FaultServer(fine()) as server:
        generate(backend_for(f"{server.url}/base"), ask())
    assert server.requests[0].path == "/base/generate/stream"


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


@pytest.mark.parametrize("host", ["\u00e9..", "\U0001d4b3"])
def test_a_host_that_idna_does_not_allow_is_a_configuration_error(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^an endpoint is not a URL that can be used"):
        backend_for(f"http://{host}")


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


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_port() as port, FaultServer(fine()) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert generate(backend_for(server.url), ask())[0].text == "hello"


def test_a_prompt_that_is_no_unicode_is_an_argument_error() -> None:
    with pytest.raises(InvalidArgumentError, match=r"cannot be sent as JSON"):
        generate(backend_for("http://127.0.0.1:9"), ask(prompt="\ud83d"))


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


def test_httpx_is_not_imported_before_a_service_is_used() -> None:
    program = "import sys, maze, maze.backends; print('httpx' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout == "False\n"


# ------------------------------------------------------------------------------------------------ TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    command = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=libmaze-test",
    ]
    extra = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", str(path)]
    subprocess.run(["openssl", *command, *extra], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.key").read_bytes())
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def test_tls_works_and_its_connections_are_used_again(certificate: Path) -> None:
    with FaultServer(fine("one" * 5_000), fine("two"), tls=server_context(certificate)) as server:
        backend = backend_for(server.url, tls=trusting(certificate))
        assert generate(backend, ask(prompt="x" * 300_000))[0].text == "one" * 5_000
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


def test_certificates_that_cannot_be_read_are_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certifi.where", lambda: "/nowhere/at/all")
    with pytest.raises(EngineUnavailableError, match="certificates to trust cannot be read"):
        generate(backend_for("https://127.0.0.1:9"), ask())


def test_a_redirect_from_https_to_http_is_not_followed(certificate: Path) -> None:
    with FaultServer(fine()) as other:
        play = answer(303, b"", f"Location: {other.url}/")
        with (
            FaultServer(play, tls=server_context(certificate)) as server,
            pytest.raises(BadResponseError, match="https to"),
        ):
            generate(backend_for(server.url, tls=trusting(certificate)), ask())
    assert other.requests == []


# ------------------------------------------------------------------------------------------------ several endpoints


def test_endpoints_take_turns() -> None:
    with FaultServer(fine()) as one, FaultServer(fine()) as two, FaultServer(fine()) as three:
        backend = backend_for(one.url, two.url, three.url)
        completions = [generate(backend, ask())[0] for _ in range(6)]
    assert [len(server.requests) for server in (one, two, three)] == [2, 2, 2]
    assert {completion.engine["endpoint"] for completion in completions} == {one.url, two.url, three.url}


@pytest.mark.parametrize("fault", [reset, close, answer(500, b""), answer(503, b""), answer(502, b"")])
def test_another_endpoint_takes_over_at_once_and_the_failed_one_rests(fault: Play) -> None:
    with FaultServer(fault) as bad, FaultServer(fine()) as good:
        backend = backend_for(bad.url, good.url, limits=Limits(first_backoff_secs=1000))
        for _ in range(4):
            assert generate(backend, ask())[0].text == "hello"
    assert len(good.requests) == 4
    assert len(bad.requests) == 1


def test_an_endpoint_without_a_trusted_certificate_is_passed_over(certificate: Path) -> None:
    with FaultServer(fine(), tls=server_context(certificate)) as bad, FaultServer(fine()) as good:
        backend = backend_for(bad.url, good.url, limits=Limits(first_backoff_secs=1000))
        assert [generate(backend, ask())[0].text for _ in range(2)] == ["hello", "hello"]


def test_an_endpoint_that_hangs_rests_like_one_that_failed() -> None:
    with FaultServer(stall) as hanging, FaultServer(fine()) as good:
        backend = backend_for(hanging.url, good.url)
        outcomes = []
        for _ in range(4):
            try:
                outcomes.append(generate(backend, ask(timeout_ms=300))[0].text)
            except TimedOutError:
                outcomes.append("timed out")
    assert sorted(outcomes) == ["hello", "hello", "hello", "timed out"]
    assert len(hanging.requests) == 1


@pytest.mark.parametrize("play", [answer(404, b"app is stopped"), answer(200, {"data": [{"id": "m"}]})])
def test_an_endpoint_that_cannot_be_used_is_passed_over_and_rests(play: Play) -> None:
    with FaultServer(play) as gone, FaultServer(by_path(models=answer(200, ["m"]), generate_stream=fine())) as good:
        backend = backend_for(gone.url, good.url, dialect=None)
        assert [generate(backend, ask())[0].text for _ in range(4)] == ["hello"] * 4
        asked = len(gone.requests)
        assert generate(backend, ask())[0].text == "hello"
    assert len(gone.requests) == asked


def test_an_endpoint_without_a_trusted_certificate_ends_no_retries_of_the_others(certificate: Path) -> None:
    for order in (1, -1):
        with (
            FaultServer(fine(), tls=server_context(certificate)) as untrusted,
            FaultServer(answer(503, b""), fine()) as busy,
        ):
            urls = (untrusted.url, busy.url)[::order]
            assert generate(backend_for(*urls), ask())[0].text == "hello"


def test_no_endpoint_takes_over_after_text() -> None:
    with (
        FaultServer(unfinished(token("par"), then=reset)) as one,
        FaultServer(unfinished(token("par"), then=reset)) as two,
    ):
        backend = backend_for(one.url, two.url)
        with pytest.raises(EngineUnavailableError) as caught:
            generate(backend, ask())
    assert caught.value.partial_text == "par"
    assert len(one.requests) + len(two.requests) == 1


def test_no_endpoint_takes_over_a_request_that_is_refused() -> None:
    with (
        FaultServer(answer(401, b"")) as one,
        FaultServer(answer(401, b"")) as two,
        pytest.raises(UnauthorizedError),
    ):
        generate(backend_for(one.url, two.url), ask())
    assert len(one.requests) + len(two.requests) == 1


def test_all_endpoints_are_tried_in_rounds_before_a_call_fails() -> None:
    with (
        FaultServer(answer(503, b"")) as one,
        FaultServer(answer(503, b"")) as two,
        pytest.raises(EngineUnavailableError, match=r"after \d attempts"),
    ):
        generate(backend_for(one.url, two.url), ask())
    assert len(one.requests) >= 1
    assert len(two.requests) >= 1


def test_the_rest_of_an_endpoint_grows_with_its_failures_and_ends_with_a_success() -> None:
    one, two = Endpoint("http://one", None), Endpoint("http://two", None)
    endpoints = Endpoints([one, two])
    rests = []
    for _ in range(12):
        endpoints.failed(one)
        rests.append(one.rest_secs)
    assert rests[:3] == [FIRST_REST_SECS, 2 * FIRST_REST_SECS, 4 * FIRST_REST_SECS]
    assert rests[-1] == LONGEST_REST_SECS
    assert [endpoints.choose() for _ in range(4)] == [two] * 4
    endpoints.failed(two, rest_secs=1e6)
    assert two.rest_secs == LONGEST_REST_SECS
    endpoints.failed(one, rest_secs=1)
    assert endpoints.choose() is one, "if all rest, the one whose rest ends first"
    assert endpoints.choose({one}) is None
    endpoints.succeeded(one)
    endpoints.succeeded(two)
    assert {endpoints.choose(), endpoints.choose()} == {one, two}
    endpoints.failed(one)
    assert one.rest_secs == FIRST_REST_SECS


# ------------------------------------------------------------------------------------------------ permits


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


# ------------------------------------------------------------------------------------------------ what an endpoint is


def by_path(**answers: Play) -> Play:
    """A play that answers by the last part of the path; 404 for the others."""

    def play(exchange: Exchange) -> None:
        name = exchange.received.path.strip("/").replace("/", "_")
        answers.get(name, answer(404, {"detail": "Not Found"}))(exchange)

    return play


VLLM_MODELS = answer(200, {"object": "list", "data": [{"id": "a/model", "owned_by": "vllm", "max_model_len": 512}]})
VLLM_TEXT = stream(
    event({"model": "a/model", "choices": [{"index": 0, "text": "hi", "finish_reason": None}]}),
    event({"model": "a/model", "choices": [{"index": 0, "text": "", "finish_reason": "stop", "stop_reason": None}]}),
    event({"model": "a/model", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    DONE,
)


def test_an_endpoint_is_asked_once_what_it_is_even_by_many_threads() -> None:
    play = by_path(v1_models=VLLM_MODELS, version=answer(200, {"version": "0.32.0"}), v1_completions=VLLM_TEXT)
    with FaultServer(play) as server:
        backend = backend_for(server.url, dialect=None)
        with ThreadPoolExecutor(16) as pool:
            completions = list(pool.map(lambda _: generate(backend, ask())[0], range(64)))
    assert {completion.text for completion in completions} == {"hi"}
    paths = [request.path for request in server.requests]
    assert paths.count("/v1/models") == 1
    assert paths.count("/version") == 1
    assert backend.name == "vllm"
    assert completions[0].engine == {"endpoint": server.url, "dialect": "vllm", "version": "0.32.0"}


@pytest.mark.parametrize(
    ("answers", "dialect"),
    [
        ({"models": answer(200, ["m1", "m2"])}, "maze"),
        ({"health": answer(200, {"status": "ok"})}, "maze"),
        ({"v1_models": answer(200, {"data": [{"id": "m", "owned_by": "sglang"}]})}, "sglang"),
        ({"v1_models": answer(200, {"data": [{"id": "m", "owned_by": "llamacpp"}]})}, "llama.cpp"),
        ({"v1_models": VLLM_MODELS}, "vllm"),
    ],
)
def test_the_dialect_is_found_by_asking(answers: dict[str, Play], dialect: str) -> None:
    ready: dict[str, Play] = {name: answer(200, {"status": "ok"}) for name in ("health", "ready")}
    with FaultServer(by_path(**{**ready, **answers})) as server:
        health = backend_for(server.url, dialect=None).health(Deadline(10_000))
    assert health.ready
    assert health.endpoints[0]["dialect"] == dialect


@pytest.mark.parametrize(
    ("play", "error", "says"),
    [
        (answer(404, b""), ConfigurationError, r"no inference service that libmaze knows.*set MAZE_DIALECT"),
        (answer(200, {"data": [{"id": "m", "owned_by": "acme"}]}), ConfigurationError, r"does not say which engine"),
        (
            answer(200, b"<html>hi</html>", content_type="text/html"),
            BadResponseError,
            r"is an HTML page; is this the URL",
        ),
        (answer(200, b'{"data": ['), BadResponseError, r"is not JSON"),
        (answer(401, {"error": "who?"}), UnauthorizedError, r"check MODAL_API_KEY"),
        (answer(503, {"error": "loading"}), EngineUnavailableError, r"not ready \(503\): loading"),
    ],
)
def test_an_endpoint_that_does_not_say_what_it_is_is_an_error(play: Play, error: type[MazeError], says: str) -> None:
    with FaultServer(play) as server, pytest.raises(error, match=says):
        generate(backend_for(server.url, dialect=None), ask())


def test_an_endpoint_that_was_loading_is_asked_again() -> None:
    play = by_path(v1_models=VLLM_MODELS, v1_completions=VLLM_TEXT)
    with FaultServer(answer(503, b""), play) as server:
        assert generate(backend_for(server.url, dialect=None), ask())[0].text == "hi"


def test_an_older_maze_service_without_streaming_is_used_as_it_is() -> None:
    whole = {"generated_text": "hello", "tokens_generated": 3, "model_name": "old", "generation_time_ms": 12}
    with FaultServer(by_path(generate=answer(200, whole))) as server:
        backend = backend_for(server.url)
        completion, pieces = generate(backend, ask())
        generate(backend, ask())
    assert completion.text == "hello"
    assert pieces == ["hello"]
    assert completion.model == "old"
    assert completion.engine["stats"] == {"total_time_ms": 12}
    assert [request.path for request in server.requests] == ["/generate/stream", "/generate", "/generate"]


def test_health_is_told_by_endpoint() -> None:
    ready = by_path(health=answer(200, {"status": "ok", "model": "m", "backend": "vllm"}))
    loading = by_path(health=answer(503, {"error": {"message": "loading"}}))
    with refused_port() as port, FaultServer(ready) as one, FaultServer(loading) as two:
        backend = backend_for(one.url, two.url, f"http://127.0.0.1:{port}")
        health = backend.health(Deadline(10_000))
        assert not backend_for(two.url).health(Deadline(10_000)).ready
    assert health.ready
    assert [report["ready"] for report in health.endpoints] == [True, False, False]
    assert "loading" in health.endpoints[1]["detail"]
    assert "connection refused" in health.endpoints[2]["detail"]


def test_what_an_endpoint_says_of_its_health_cannot_steer_a_terminal_nor_show_the_key() -> None:
    with FaultServer(by_path(health=answer(200, f"\x1b[31mok\x9b2J {KEY}".encode()))) as server:
        [report] = backend_for(server.url).health(Deadline(10_000)).endpoints
    assert report["ready"]
    assert report["detail"].isprintable()
    assert KEY not in report["detail"]


def test_an_endpoint_that_hangs_is_not_ready() -> None:
    with FaultServer(stall) as server:
        health = backend_for(server.url).health(Deadline(200))
    assert not health.ready
    assert "200 ms" in health.endpoints[0]["detail"]


def test_a_slow_answer_to_a_question_has_the_time_of_the_call_also_after_a_404() -> None:
    """As on Modal, where /models and /health start a container."""

    def slowly(play: Play) -> Play:
        def later(exchange: Exchange) -> None:
            time.sleep(ERROR_BODY_SECS + 0.3)
            play(exchange)

        return later

    with FaultServer(by_path(models=slowly(answer(200, ["m"])), generate_stream=fine())) as server:
        assert generate(backend_for(server.url, dialect=None), ask())[0].text == "hello"


def test_a_version_that_is_not_told_holds_no_call_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "VERSION_SECS", 0.2)
    play = by_path(v1_models=VLLM_MODELS, version=stall, v1_completions=VLLM_TEXT)
    with FaultServer(play) as server:
        backend = backend_for(server.url, dialect=None)
        assert [generate(backend, ask())[0].text for _ in range(2)] == ["hi", "hi"]
    assert [request.path for request in server.requests].count("/version") == 1


def test_models_are_told_though_an_endpoint_hangs() -> None:
    with FaultServer(stall) as hanging, FaultServer(by_path(models=answer(200, ["a"]))) as good:
        assert backend_for(hanging.url, good.url).models(Deadline(500)) == ("a",)


def test_streaming_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "WHOLE_SECS", 0.2)
    whole = answer(200, {"generated_text": "whole", "tokens_generated": 3})
    with FaultServer(answer(404, b""), whole, whole, fine("streamed")) as server:
        backend = backend_for(server.url)
        texts = [generate(backend, ask())[0].text for _ in range(2)]
        time.sleep(0.3)
        texts.append(generate(backend, ask())[0].text)
    assert texts == ["whole", "whole", "streamed"]
    paths = [request.path for request in server.requests]
    assert paths == ["/generate/stream", "/generate", "/generate", "/generate/stream"]


def test_statistics_of_a_service_are_recorded_only_as_far_as_they_are_flat_and_short() -> None:
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    stats = {"ms": 7, "long": "x" * 1000, "deep": deep, "ok": True, **{f"n{number}": number for number in range(1000)}}
    with FaultServer(fine(stats=stats)) as server:
        told = generate(backend_for(server.url), ask())[0].engine["stats"]
    assert (told["ms"], told["long"], told["ok"]) == (7, "x" * 200, True)
    assert "deep" not in told
    assert len(told) <= 64


def test_models_of_all_endpoints_are_listed_once() -> None:
    with (
        refused_port() as port,
        FaultServer(by_path(models=answer(200, ["a", "b"]))) as one,
        FaultServer(by_path(models=answer(200, ["b", "c"]))) as two,
    ):
        gone = f"http://127.0.0.1:{port}"
        assert backend_for(one.url, gone, two.url).models(Deadline(10_000)) == ("a", "b", "c")
        with pytest.raises(EngineUnavailableError):
            backend_for(gone).models(Deadline(10_000))
    with (
        FaultServer(by_path(models=answer(200, {"a": 1}))) as server,
        pytest.raises(BadResponseError, match=r"not an array of texts"),
    ):
        backend_for(server.url).models(Deadline(10_000))


def test_connect_sends_nothing_by_itself() -> None:
    with FaultServer(fine()) as server:
        backend = connect(ModalConfig(endpoints=(server.url,), api_key=Secret(KEY), dialect="vllm"))
        assert backend.name == "vllm"
        backend.close()
    assert server.connections == 0


# ------------------------------------------------------------------------------------------------ a storm


def test_ten_thousand_calls_of_64_threads_with_faults_get_their_own_answers_or_clear_errors() -> None:
    """Each call asks for an echo of its prompt; one in twenty meets a fault."""
    storm = Storm(
        answer(503, b""),
        stream(token("x"), DONE),
        unfinished(token("x"), then=reset),
        stream(event({"error": {"message": "dead", "code": 400}}), DONE),
    )
    lock = threading.Lock()
    outcomes: dict[str, int] = {}

    def call(number: int) -> None:
        prompt = f"<{number}>"
        try:
            completion, pieces = generate(backend, ask(prompt=prompt))
        except MazeError as error:
            outcome = type(error).__name__ if error.partial_text in ("", "x") else "somebody else's text"
        else:
            assert completion.text == prompt
            assert "".join(pieces) == prompt
            outcome = "ok"
        with lock:
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with FaultServer(storm) as server:
        backend = backend_for(server.url)
        with ThreadPoolExecutor(64) as pool:
            list(pool.map(call, range(1000)))
            after_some = descriptors()
            list(pool.map(call, range(1000, 10_000)))
        assert descriptors() <= after_some + 128
    assert sum(outcomes.values()) == 10_000
    assert outcomes["ok"] > 9_500
    assert set(outcomes) <= {
        "ok",
        "BadResponseError",
        "EngineUnavailableError",
        "RequestRejectedError",
        "RateLimitedError",
    }
