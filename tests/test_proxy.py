"""Through proxies: a real one in a process of its own, and such as misbehave."""

from __future__ import annotations

import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_server import Answer, Exchange, FaultServer, Play, answer, close, fine, refused_port, stall
from http_calls import SHORT_MS, ask, backend_for, generate, server_context, trusting
from test_detect import VLLM_MODELS

from maze import Intent, MazeConfig, Orchestrator
from maze.backends.base import Deadline
from maze.backends.http.proxy import proxy_for
from maze.config import config_from_environment
from maze.errors import ConfigurationError, EngineUnavailableError, MazeError, TimedOutError, UnauthorizedError
from maze.options import GenerationOptions
from maze.proxies import Proxies, Proxy
from maze.secret import Secret

pytestmark = pytest.mark.usefixtures("backends_are_closed")

PASSWORD = "Hq8-2vTz/0:p"
ENCODED = "agent:Hq8-2vTz%2F0:p"


@contextmanager
def _proxy(folder: Path, *options: str) -> Iterator[int]:
    port_file = folder / "port"
    command = [sys.executable, "-m", "proxy", "--hostname", "127.0.0.1", "--port", "0", "--port-file", str(port_file)]
    more = ["--num-workers", "1", "--num-acceptors", "1", "--log-level", "CRITICAL", *options]
    with subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            ends_at = time.monotonic() + 30
            while not (port_file.exists() and port_file.read_text().strip()):
                assert process.poll() is None, "the proxy did not start"
                assert time.monotonic() < ends_at, "the proxy did not start in time"
                time.sleep(0.05)
            yield int(port_file.read_text())
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def proxy_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a real proxy that wants a name and a password."""
    with _proxy(tmp_path_factory.mktemp("proxy"), "--basic-auth", f"agent:{PASSWORD}") as port:
        yield port


def through(port: int, credentials: str = f"agent:{PASSWORD}", direct: tuple[str, ...] = ()) -> Proxies:
    proxy = Proxy("127.0.0.1", port, Secret(credentials))
    return Proxies(proxy, proxy, direct)


def test_requests_go_through_a_proxy_with_a_password_which_the_service_does_not_see(proxy_port: int) -> None:
    with FaultServer(fine()) as server:
        backend = backend_for(server.url, proxies=through(proxy_port))
        assert [generate(backend, ask())[0].text for _ in range(3)] == ["hello"] * 3
        seen = server.requests
    assert [request.path for request in seen] == ["/generate/stream"] * 3
    assert all("via" in request.headers for request in seen), "they came from the proxy"
    assert all(request.headers["authorization"].startswith("Bearer ") for request in seen)
    assert not any("proxy-authorization" in request.headers for request in seen)


def test_a_tunnel_carries_tls_to_the_service_itself(proxy_port: int, certificate: Path) -> None:
    with FaultServer(fine(), tls=server_context(certificate)) as server:
        backend = backend_for(server.url, tls=trusting(certificate), proxies=through(proxy_port))
        assert [generate(backend, ask())[0].text for _ in range(3)] == ["hello"] * 3
        assert server.connections == 1, "the tunnel is kept"
        assert not any("proxy-authorization" in request.headers for request in server.requests)
        with pytest.raises(EngineUnavailableError, match="its TLS certificate does not verify"):
            generate(backend_for(server.url, proxies=through(proxy_port)), ask())


def test_the_environment_says_which_proxy_where_it_is_asked_to(
    proxy_port: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SSL_CERT_FILE for the certificate, as companies have it; health and detection go the same way."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    url = f"http://{ENCODED}@127.0.0.1:{proxy_port}"
    with FaultServer(fine(), tls=server_context(certificate)) as server:
        environment = {"MODAL_ENDPOINT": server.url, "MAZE_DIALECT": "maze", "HTTPS_PROXY": url, "NO_PROXY": "other"}
        for more, status in (({"MAZE_PROXY": "environment"}, "OK"), ({"MAZE_PROXY": url}, "OK")):
            with Orchestrator(config_from_environment(environment | more)) as maze:
                result = maze.generate(Intent("x"))
            assert (result.status.name, result.code, result.error) == (status, "hello", None)
    with refused_port() as port, FaultServer(fine()) as server:
        dead = {"MODAL_ENDPOINT": server.url, "MAZE_DIALECT": "maze", "http_proxy": f"127.0.0.1:{port}"}
        for more, status in (
            ({}, "OK"),
            ({"MAZE_PROXY": "environment"}, "ENGINE_UNAVAILABLE"),
            ({"MAZE_PROXY": "environment", "no_proxy": "127.0.0.0/8"}, "OK"),
        ):
            with Orchestrator(config_from_environment(dead | more)) as maze:
                result = maze.generate(Intent("x"), (), GenerationOptions(timeout_ms=2000))
            assert result.status.name == status, result.error


def test_detection_health_and_models_go_through_it_as_well(proxy_port: int) -> None:
    def play(exchange: Exchange) -> None:
        plays: dict[str, Play] = {"/v1/models": VLLM_MODELS, "/version": answer(200, {"version": "1"})}
        plays.get(exchange.received.path, answer(200, b""))(exchange)

    with FaultServer(play) as server:
        backend = backend_for(server.url, dialect=None, proxies=through(proxy_port))
        assert backend.health(Deadline(10_000)).ready
        assert backend.models(Deadline(10_000)) == ("a/model",)
        assert all("via" in request.headers for request in server.requests)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("credentials", ["agent:wrong-Kx93", ""])
def test_a_proxy_that_refuses_the_password_is_told_and_the_password_is_not(
    proxy_port: int, certificate: Path, credentials: str, *, secure: bool
) -> None:
    with FaultServer(fine(), tls=server_context(certificate) if secure else None) as server:
        backend = backend_for(server.url, tls=trusting(certificate), proxies=through(proxy_port, credentials))
        with pytest.raises(
            UnauthorizedError, match=r"cannot be reached.*407.*put them into its URL, in MAZE_PROXY"
        ) as caught:
            generate(backend, ask())
        assert server.requests == []
    for hidden in (PASSWORD, "wrong-Kx93", b64encode(credentials.encode()).decode() or "none"):
        assert hidden not in str(caught.value)


def test_a_password_that_a_proxy_repeats_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)

    def repeating(exchange: Exchange) -> None:
        answer(400, {"error": exchange.received.headers["proxy-authorization"] + PASSWORD})(exchange)

    with FaultServer(repeating) as server:
        config = MazeConfig(endpoint="http://service.invalid", dialect="maze", proxies=through(server.port))
        with Orchestrator(config) as maze:
            result = maze.generate(Intent("x"))
            shown = f"{result!r} {maze.health()!r} {config!r} {caplog.text}"
    assert result.status.name == "REQUEST_REJECTED"
    assert server.requests[0].path == "http://service.invalid/generate/stream"
    assert server.requests[0].headers["host"] == "service.invalid"
    for hidden in (PASSWORD[:8], b64encode(f"agent:{PASSWORD}".encode()).decode()[:12]):
        assert hidden not in shown


@pytest.mark.parametrize(
    ("play", "error", "says"),
    [
        (answer(403, b"no"), EngineUnavailableError, r"refused the way to service.invalid:443 \(403\); ask who runs"),
        (answer(502, b""), EngineUnavailableError, r"refused the way to service.invalid:443 \(502\); try later"),
        (close, EngineUnavailableError, r"closed the connection instead of opening a tunnel; check MAZE_PROXY"),
        (Answer(b"SSH-2.0-x\r\n"), EngineUnavailableError, r"is no HTTP proxy: its answer is not HTTP"),
        (Answer(b"HTTP/1.1 two\r\n\r\n"), EngineUnavailableError, r"is no HTTP proxy"),
        (Answer(b"HTTP/1.1\r\n\r\n"), EngineUnavailableError, r"is no HTTP proxy"),
        (Answer(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000), EngineUnavailableError, r"not come to an end"),
        (stall, TimedOutError, r"within 400 ms"),
    ],
)
def test_a_proxy_that_opens_no_tunnel_is_named(play: Play, error: type[MazeError], says: str) -> None:
    with FaultServer(play) as server:
        backend = backend_for("https://service.invalid", proxies=through(server.port))
        with pytest.raises(error, match=says) as caught:
            generate(backend, ask(timeout_ms=SHORT_MS if play is stall else 20_000))
        if play is not stall:  # where there may have been no time for it
            assert f"127.0.0.1:{server.port}" in str(caught.value)
            assert (server.requests[0].method, server.requests[0].path) == ("CONNECT", "service.invalid:443")


def test_a_proxy_that_is_not_there_is_named() -> None:
    with refused_port() as port:
        backend = backend_for("http://service.invalid", proxies=through(port))
        with pytest.raises(EngineUnavailableError, match=f"through the proxy 127.0.0.1:{port}: connection refused"):
            generate(backend, ask())


@pytest.mark.parametrize(
    ("listed", "host", "port", "is_direct"),
    [
        ("*", "h.example", 80, True),
        ("example.com", "example.com", 80, True),
        ("example.com", "api.example.com", 80, True),
        (".example.com", "api.example.com", 80, True),
        (".example.com", "example.com", 80, True),
        ("*.example.com", "api.example.com", 80, True),
        ("EXAMPLE.com", "example.com", 80, True),
        ("example.com", "badexample.com", 80, False),
        ("example.com", "example.com.evil", 80, False),
        ("example.com:8000", "example.com", 8000, True),
        ("example.com:8000", "example.com", 80, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.1:81", "127.0.0.1", 80, False),
        ("127.0.0.1:80", "127.0.0.1", 80, True),
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("fe80::/10", "fe80::1", 80, True),
        ("1", "127.0.0.1", 80, False),
        ("localhost", "127.0.0.1", 80, False),
        (".", "h", 80, False),
    ],
)
def test_no_proxy_is_read_as_other_programs_read_it(listed: str, host: str, port: int, *, is_direct: bool) -> None:
    proxies = through(1, direct=(listed,))
    assert (proxy_for(proxies, ("http", host, port)) is None) is is_direct


@pytest.mark.parametrize(
    ("environment", "http", "https", "direct"),
    [
        ({}, None, None, ()),
        ({"MAZE_PROXY": "http://p"}, ("p", 80, ""), ("p", 80, ""), ()),
        ({"MAZE_PROXY": "p:3128", "NO_PROXY": "x"}, ("p", 3128, ""), ("p", 3128, ""), ()),
        ({"MAZE_PROXY": "http://a%40b:c%3Ad@[::1]:9/"}, ("::1", 9, "a@b:c:d"), ("::1", 9, "a@b:c:d"), ()),
        ({"HTTP_PROXY": "p:1"}, None, None, ()),
        (
            {"MAZE_PROXY": "environment", "HTTP_PROXY": "p:1", "https_proxy": "q:2", "HTTPS_PROXY": "r:3"},
            ("p", 1, ""),
            ("q", 2, ""),
            (),
        ),
        (
            {"MAZE_PROXY": "environment", "ALL_PROXY": "p:1", "NO_PROXY": "a, .b c"},
            ("p", 1, ""),
            ("p", 1, ""),
            ("a", ".b", "c"),
        ),
        ({"MAZE_PROXY": "environment", "HTTP_PROXY": "p:1", "REQUEST_METHOD": "GET"}, None, None, ()),
        ({"MAZE_PROXY": "environment", "HTTP_PROXY": ""}, None, None, ()),
    ],
)
def test_the_proxies_of_an_environment(
    environment: dict[str, str],
    http: tuple[str, int, str] | None,
    https: tuple[str, int, str] | None,
    direct: tuple[str, ...],
) -> None:
    modal = config_from_environment({"MODAL_ENDPOINT": "http://h", **environment}).modal
    assert modal is not None
    found = [
        proxy and (proxy.host, proxy.port, proxy.credentials.reveal())
        for proxy in (modal.proxies.http, modal.proxies.https)
    ]
    assert (found, modal.proxies.direct) == ([http, https], direct)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("socks5://u:hunter2@p", "is of type socks5, which is not supported: HTTP proxies are"),
        ("https://u:hunter2@p", "is of type https, which is not supported"),
        ("http://", "names no host"),
        ("http://u:hunter2@p:0", "names no host and port"),
        ("http://u:hunter2@p:99999", "is not a URL"),
        ("http://u:hunter2@p/path", "has something behind host and port"),
        ("http://u:hunter2#x@p", "is not a URL"),
        ("http://u:hunter2%0d%0aX@p", "control character"),
    ],
)
@pytest.mark.parametrize("variable", ["MAZE_PROXY", "HTTPS_PROXY"])
def test_a_proxy_that_cannot_be_used_is_an_error_without_its_password(variable: str, url: str, complaint: str) -> None:
    environment = {"MODAL_ENDPOINT": "http://h", "MAZE_PROXY": "environment", variable: url}
    with pytest.raises(ConfigurationError, match=f"^{variable} ") as caught:
        config_from_environment(environment)
    assert complaint in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "word",
    [
        "Environment",
        "ENVIRONMENT",
        "environ",
        "env",
        "'environment'",
        "enviroment",
        "true",
        "1",
        "off",
        "none",
        "myproxy",
    ],
)
def test_a_word_that_is_not_quite_the_keyword_is_no_host(word: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^MAZE_PROXY is one word, and not 'environment'; give one such as"):
        config_from_environment({"MODAL_ENDPOINT": "http://h", "MAZE_PROXY": word})
