"""Redirects to the result of a request."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_server import STREAM_HEAD, Answer, FaultServer, Play, answer, close, fine, reset
from http_calls import KEY, ask, backend_for, generate, server_context, trusting

from maze.config import Secret
from maze.errors import BadResponseError, EngineUnavailableError

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


def test_keys_are_not_sent_to_another_origin_nor_back_from_there() -> None:
    plays: list[Play] = [answer(303, b"")]
    with (
        FaultServer(lambda exchange: plays[0](exchange)) as other,
        FaultServer(answer(303, b"", f"Location: {other.url}/there"), fine()) as server,
    ):
        plays[0] = answer(303, b"", f"Location: {server.url}/back")
        backend = backend_for(server.url, proxy_key=Secret("wk-proxy"), proxy_secret=Secret("ws-proxy"))
        assert generate(backend, ask())[0].text == "hello"
    private = {"authorization", "modal-key", "modal-secret"}
    assert private <= server.requests[0].headers.keys()
    assert server.requests[0].headers["modal-key"] == "wk-proxy"
    assert server.requests[0].headers["modal-secret"] == "ws-proxy"
    assert not private & other.requests[0].headers.keys()
    assert not private & server.requests[1].headers.keys()


def test_a_redirect_from_https_to_http_is_not_followed(certificate: Path) -> None:
    with FaultServer(fine()) as other:
        play = answer(303, b"", f"Location: {other.url}/")
        with (
            FaultServer(play, tls=server_context(certificate)) as server,
            pytest.raises(BadResponseError, match="https to"),
        ):
            generate(backend_for(server.url, tls=trusting(certificate)), ask())
    assert other.requests == []
