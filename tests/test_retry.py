"""What is tried again, and when."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fault_server import (
    DONE,
    STREAM_HEAD,
    Answer,
    Exchange,
    FaultServer,
    Play,
    answer,
    close,
    event,
    fine,
    refused_port,
    reset,
    stream,
    token,
    unfinished,
)
from http_calls import ask, backend_for, generate

from maze.backends.http.limits import Limits
from maze.errors import CancelledError, EngineUnavailableError

pytestmark = pytest.mark.usefixtures("backends_are_closed")


def test_a_retry_after_beyond_all_dates_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-9")
    time.tzset()
    try:
        with FaultServer(answer(503, b"", "Retry-After: Fri, 31 Dec 9999 23:59:59 -0000"), fine()) as server:
            assert generate(backend_for(server.url), ask())[0].text == "hello"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_connection_that_is_refused_is_tried_three_times() -> None:
    with refused_port() as port:
        backend = backend_for(f"http://127.0.0.1:{port}")
        with pytest.raises(EngineUnavailableError, match=r"cannot be reached: connection refused \(after 3 attempts\)"):
            generate(backend, ask())


@pytest.mark.parametrize(
    "first",
    [
        reset,
        close,
        Answer(STREAM_HEAD, reset),
        answer(408, b""),
        answer(429, b"", "Retry-After: 0"),
        answer(429, b"", "retry-after-ms: 5"),
        answer(429, b"", "Retry-After: soon"),
        answer(500, {"error": "hiccup"}),
        answer(502, b""),
        answer(503, b"", f"Retry-After: {format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)}"),
        answer(504, b""),
        stream(event({"error": {"message": "loading", "code": 503}}), DONE),
    ],
)
def test_what_may_pass_is_tried_again(first: Play) -> None:
    with FaultServer(first, fine()) as server:
        completion, pieces = generate(backend_for(server.url), ask())
    assert completion.text == "hello"
    assert pieces == list("hello")
    assert len(server.requests) == 2
    assert server.requests[0].body == server.requests[1].body


def test_text_that_came_with_a_later_attempt_is_kept() -> None:
    broken = unfinished(token("par"), then=reset)
    with FaultServer(answer(503, b""), broken) as server, pytest.raises(EngineUnavailableError) as caught:
        generate(backend_for(server.url), ask())
    assert caught.value.partial_text == "par"
    assert str(caught.value).endswith("(after 2 attempts)")
    assert len(server.requests) == 2


def test_a_service_that_is_not_ready_for_a_while_is_waited_for() -> None:
    with FaultServer(answer(503, b""), answer(503, b""), fine()) as server:
        assert generate(backend_for(server.url), ask())[0].text == "hello"


def test_a_retry_waits_as_long_as_the_service_asks() -> None:
    limits = Limits(first_backoff_secs=1000)
    with FaultServer(answer(429, b"", "Retry-After: 0.01"), fine()) as server:
        assert generate(backend_for(server.url, limits=limits), ask())[0].text == "hello"


def test_a_cancellation_ends_the_pause_before_a_retry() -> None:
    request = ask()

    def cancelling(exchange: Exchange) -> None:
        answer(503, b"", "Retry-After: 15")(exchange)
        request.cancellation.cancel("enough")

    with FaultServer(cancelling) as server, pytest.raises(CancelledError, match=r"enough"):
        generate(backend_for(server.url), request)
    assert not request.deadline.expired()
