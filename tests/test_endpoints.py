"""Several endpoints: turns, rests, and who takes over."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_server import FaultServer, Play, answer, by_path, close, fine, reset, stall, token, unfinished
from http_calls import ask, backend_for, generate, server_context

from maze.backends.endpoints import FIRST_REST_SECS, LONGEST_REST_SECS, Endpoint, Endpoints
from maze.backends.http.limits import Limits
from maze.errors import EngineUnavailableError, TimedOutError, UnauthorizedError

pytestmark = pytest.mark.usefixtures("backends_are_closed")


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


@pytest.mark.parametrize("play", [answer(404, b"app is stopped"), answer(200, {"data": [{"object": "model"}]})])
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
