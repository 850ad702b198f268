"""Redirects to the result of a request."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_server import STREAM_HEAD, Answer, Exchange, FaultServer, Play, answer, close, fine, reset
from http_calls import KEY, ask, backend_for, generate, server_context, trusting

from maze.backends.base import Deadline
from maze.errors import BadResponseError, EngineUnavailableError, RequestRejectedError
from maze.secret import Secret

pytestmark = pytest.mark.usefixtures("backends_are_closed")


def test_a_result_is_asked_for_until_it_is_there() -> None:
    chain: list[Play] = [answer(303, b"", f"Location: /result/{number}?x=1") for number in range(20)]
    with FaultServer(*chain, fine()) as server:
        assert generate(backend_for(server.url), ask())[0].text == "hello"
    assert [request.method for request in server.requests] == ["POST"] + ["GET"] * 20
    assert server.requests[-1].path == "/result/19?x=1"
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in server.requests)
    assert server.requests[1].body == b""


@pytest.mark.parametrize("drop", [reset, close, Answer(STREAM_HEAD, reset), answer(502, b""), answer(408, b"")])
def test_a_poll_that_drops_is_repeated_and_the_request_is_not(drop: Play) -> None:
    with FaultServer(answer(303, b"", "Location: /result"), drop, fine()) as server:
        assert generate(backend_for(server.url), ask())[0].text == "hello"
    assert [(request.method, request.path) for request in server.requests] == [
        ("POST", "/generate/stream"),
        ("GET", "/result"),
        ("GET", "/result"),
    ]


def test_a_result_that_never_comes_does_not_start_the_work_again() -> None:
    with (
        FaultServer(answer(303, b"", "Location: /result"), answer(502, b"")) as server,
        pytest.raises(EngineUnavailableError, match=r"\(502\)"),
    ):
        generate(backend_for(server.url), ask())
    assert [request.method for request in server.requests] == ["POST", "GET", "GET", "GET"]


STATUSES = [301, 302, 303, 307, 308]


def test_the_result_of_a_request_is_not_fetched_from_another_origin() -> None:
    with (
        FaultServer(fine("stolen")) as other,
        FaultServer(answer(303, b"", f"Location: {other.url}/result?token=x")) as server,
    ):
        backend = backend_for(server.url, proxy_key=Secret("wk-proxy"), proxy_secret=Secret("ws-proxy"))
        with pytest.raises(BadResponseError) as caught:
            generate(backend, ask())
    assert other.requests == []
    assert f"it redirects from {server.url} to another origin" in str(caught.value)
    assert f"set MODAL_ENDPOINT to '{other.url}'" in str(caught.value)


@pytest.mark.parametrize("status", STATUSES)
def test_a_question_is_not_asked_of_another_origin(status: int) -> None:
    """As of an endpoint that somebody else has taken over: his words would pass for those of the service."""
    with FaultServer(answer(200, {"status": "ok", "data": "anything"})) as other:
        elsewhere = answer(status, b"", f"Location: {other.url}/base/health")
        with FaultServer(elsewhere) as server:
            backend = backend_for(server.url)
            [report] = backend.health(Deadline(10_000)).endpoints
            with pytest.raises(BadResponseError, match="another origin"):
                backend.models(Deadline(10_000))
            with pytest.raises(BadResponseError, match="another origin"):
                generate(backend_for(server.url, dialect=None), ask())
    assert other.requests == []
    assert not report["ready"]
    assert f"set MODAL_ENDPOINT to '{other.url}/base'" in report["detail"]


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{other}/",
        "//127.0.0.1:{other}/",
        "https://127.0.0.1:{own}/",
        "http://127.0.0.1./",
        "http://127.0.0.1.:{own}/",
        "http://127.1:{own}/",
        "http://localhost:{own}/",
        "http://[::ffff:127.0.0.1]:{own}/",
        "http://127.0.0.1/",
        "http://127.0.0.1:{own}@127.0.0.1:{other}/",
        "http://user@127.0.0.1:{own}/",
        "http://127.0.0.1:{own}\\@127.0.0.1:{other}/",
        "http://127.0.0.1:{other}#@127.0.0.1:{own}/",
        "ws://127.0.0.1:{own}/",
    ],
)
def test_what_only_looks_like_the_origin_is_not_followed(location: str) -> None:
    def lead_away(exchange: Exchange) -> None:
        answer(303, b"", f"Location: {location.format(own=server.port, other=other.port)}")(exchange)

    with FaultServer(fine("stolen")) as other, FaultServer(lead_away, fine("followed")) as server:
        backend = backend_for(server.url)
        with pytest.raises(BadResponseError, match=r"another origin|no URL"):
            generate(backend, ask())
    assert other.requests == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "location",
    [
        "/result",
        "result",
        "?id=1",
        "//LOCALHOST:{port}/result",
        "HTTP://LocalHost:{port}/result",
        "http://localhost:0{port}/result#part",
    ],
)
def test_the_origin_may_be_spelled_in_other_ways(location: str) -> None:
    with FaultServer(
        lambda exchange: answer(303, b"", f"Location: {location.format(port=server.port)}")(exchange), fine()
    ) as server:
        assert generate(backend_for(f"http://localhost:{server.port}"), ask())[0].text == "hello"
    assert server.requests[1].headers["authorization"] == f"Bearer {KEY}"


def test_a_result_may_be_at_another_endpoint_of_the_configuration() -> None:
    with (
        FaultServer(fine("there")) as other,
        FaultServer(answer(303, b"", f"Location: {other.url}/result")) as server,
    ):
        backend = backend_for(server.url, other.url)
        texts = {generate(backend, ask())[0].text for _ in range(2)}
    assert texts == {"there"}
    assert len(server.requests) == 1
    assert {request.headers["host"] for request in other.requests} == {f"127.0.0.1:{other.port}"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_request_that_is_sent_elsewhere_is_refused_with_the_url_to_write(status: int) -> None:
    play = answer(status, b"", "Location: https://final.example/base/generate/stream?a=b")
    with (
        FaultServer(play) as server,
        pytest.raises(RequestRejectedError, match=r"MODAL_ENDPOINT; it leads to 'https://final\.example/base'$"),
    ):
        generate(backend_for(server.url), ask())
    assert len(server.requests) == 1


def test_a_redirect_from_https_to_http_is_not_followed(certificate: Path) -> None:
    with FaultServer(fine()) as other:
        play = answer(303, b"", f"Location: {other.url}/")
        with (
            FaultServer(play, tls=server_context(certificate)) as server,
            pytest.raises(BadResponseError, match="https to"),
        ):
            generate(backend_for(server.url, tls=trusting(certificate)), ask())
    assert other.requests == []
