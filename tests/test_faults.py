"""Every fault that a server can play, with the status and the text that the caller gets for it."""

from __future__ import annotations

import gzip
import re
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from fault_server import (
    DONE,
    END,
    STREAM_HEAD,
    Answer,
    Exchange,
    FaultServer,
    Play,
    answer,
    chunk,
    close,
    endlessly,
    event,
    fine,
    head,
    refused_port,
    reset,
    slowly,
    stall,
    stream,
    summary,
    token,
    unfinished,
)
from http_calls import KEY, LIMITS, PATIENT_MS, ask, backend_for, backends_are_closed, generate  # noqa: F401

from maze.backends.http.limits import Limits
from maze.config import Secret
from maze.errors import (
    BadResponseError,
    CancelledError,
    ConstraintViolatedError,
    EngineUnavailableError,
    MazeError,
    RateLimitedError,
    RequestRejectedError,
    TimedOutError,
    TruncatedError,
    UnauthorizedError,
)

SHORT_MS = 400
STALLS = Limits(first_text_secs=0.2, gap_secs=0.2)

pytestmark = pytest.mark.usefixtures("backends_are_closed")


@dataclass(frozen=True)
class Fault:
    """What a server plays, and what comes of it."""

    name: str
    plays: tuple[Play, ...]
    error: type[MazeError]
    says: str
    """Regular expression that the text of the error holds."""
    partial_text: str = ""
    requests: int | None = 1
    """How many requests the server gets; None where that depends on timing."""
    timeout_ms: float = PATIENT_MS
    limits: Limits = field(default=LIMITS)


FAULTS = [
    # ------------------------------------------------ connections that break
    Fault("reset before an answer", (reset,), EngineUnavailableError, r"went away before it answered", requests=3),
    Fault(
        "closed before an answer",
        (close,),
        EngineUnavailableError,
        r"closed before it began \(after 3 attempts\)",
        requests=3,
    ),
    Fault(
        "reset within the header",
        (Answer(b"HTTP/1.1 200 OK\r\nContent-Ty", reset),),
        EngineUnavailableError,
        r"went away before it answered",
        requests=3,
    ),
    Fault(
        "closed within the header",
        (Answer(b"HTTP/1.1 200 OK\r\nContent-Ty", close),),
        EngineUnavailableError,
        r"closed within its header",
        requests=3,
    ),
    Fault(
        "reset within the body, before any text",
        (Answer(STREAM_HEAD + b"40\r\ndata: {", reset),),
        EngineUnavailableError,
        r"went away before it answered",
        requests=3,
    ),
    Fault(
        "reset after text",
        (unfinished(token("par"), then=reset),),
        EngineUnavailableError,
        r"went away while it answered",
        partial_text="par",
    ),
    Fault(
        "closed within a chunk, after text",
        (Answer(STREAM_HEAD + chunk(token("par")) + b"40\r\ndata: {", close),),
        EngineUnavailableError,
        r"went away while it answered: the connection was closed before its end",
        partial_text="par",
    ),
    Fault(
        "shorter than its length",
        (Answer(head(200, "Content-Type: application/json", "Content-Length: 100") + b"{", close),),
        EngineUnavailableError,
        r"closed before its end",
        requests=3,
    ),
    # ------------------------------------------------ servers that do not hurry
    Fault("silent", (stall,), TimedOutError, rf"no complete answer within {SHORT_MS} ms; raise", timeout_ms=SHORT_MS),
    Fault("silent longer than allowed", (stall,), TimedOutError, r"sent no text for 0\.2 s", limits=STALLS),
    Fault(
        "silent after its header",
        (Answer(STREAM_HEAD, stall),),
        TimedOutError,
        r"sent no text for 0\.2 s",
        limits=STALLS,
    ),
    Fault(
        "stalled after the first token",
        (unfinished(token("par"), then=stall),),
        TimedOutError,
        r"sent no further text for 0\.2 s",
        partial_text="par",
        limits=STALLS,
    ),
    Fault(
        "stalled after the first token, until the deadline",
        (unfinished(token("par"), then=stall),),
        TimedOutError,
        rf"no complete answer within {SHORT_MS} ms",
        partial_text="par",
        timeout_ms=SHORT_MS,
    ),
    Fault(
        "a header that comes byte by byte",
        (slowly(STREAM_HEAD * 10),),
        TimedOutError,
        rf"no complete answer within {SHORT_MS} ms",
        timeout_ms=SHORT_MS,
    ),
    Fault(
        "a body that comes byte by byte",
        (Answer(STREAM_HEAD, slowly(chunk(b":" + b" " * 1000))),),
        TimedOutError,
        rf"no complete answer within {SHORT_MS} ms",
        timeout_ms=SHORT_MS,
    ),
    Fault(
        "comments for ever",
        (unfinished(then=endlessly(chunk(b": still here\n\n"))),),
        BadResponseError,
        r"over 1048576 bytes",
    ),
    # ------------------------------------------------ redirects
    Fault(
        "a 303 to itself for ever",
        (answer(303, b"", "Location: /result/1"),),
        BadResponseError,
        r"redirects more than 20 times",
        requests=21,
    ),
    Fault(
        "a 303 to a name that IDNA does not allow",
        (answer(303, b"", "Location: http://xn--/"),),
        BadResponseError,
        r"redirects to something that is no URL",
    ),
    Fault("a 303 to nowhere", (answer(303, b""),), BadResponseError, r"redirects to something that is no URL"),
    Fault(
        "a 303 to a file",
        (answer(303, b"", "Location: file:///etc/passwd"),),
        BadResponseError,
        r"redirects to something that is no URL",
    ),
    Fault(
        "a 307 of the request",
        (answer(307, b"", "Location: /elsewhere"),),
        RequestRejectedError,
        r"redirects the request elsewhere \(307\); put the final URL",
    ),
    # ------------------------------------------------ statuses
    Fault("401", (answer(401, {"error": "Unauthorized"}),), UnauthorizedError, r"\(401\): Unauthorized; check MODAL"),
    Fault(
        "401 that repeats the key",
        (answer(401, {"detail": f"bad key {KEY}"}),),
        UnauthorizedError,
        r"bad key \*\*\*",
    ),
    Fault("403", (answer(403, {"detail": "no"}),), UnauthorizedError, r"refused the key \(403\): no"),
    Fault(
        "404 of both paths",
        (answer(404, {"detail": "Not Found"}),),
        RequestRejectedError,
        r"refused the request \(404\): Not Found",
        requests=2,
    ),
    Fault(
        "400 with a reason",
        (answer(400, {"error": {"message": "bad grammar:\n line 3", "type": "x", "code": 400}}),),
        RequestRejectedError,
        r"refused the request \(400\): bad grammar: line 3$",
    ),
    Fault(
        "400 in the shape of SGLang",
        (answer(400, {"object": "error", "message": "too long", "code": 400}),),
        RequestRejectedError,
        r"\(400\): too long$",
    ),
    Fault(
        "422 in the shape of FastAPI",
        (answer(422, {"detail": [{"loc": ["body", "top_k"], "msg": "not an integer"}]}),),
        RequestRejectedError,
        r"\(422\): not an integer$",
    ),
    Fault(
        "413 before the request was read",
        (Answer(head(413, "Content-Length: 0", "Connection: close"), close),),
        RequestRejectedError,
        r"refused the request \(413\)$",
    ),
    Fault(
        "408 for ever",
        (answer(408, b"Missing request, possibly due to expiry or cancellation", content_type="text/plain"),),
        EngineUnavailableError,
        r"\(408\): Missing request.*\(after 3 attempts\)",
        requests=3,
    ),
    Fault(
        "429 for ever",
        (answer(429, {"error": {"message": "slow down"}}),),
        RateLimitedError,
        r"asks for fewer requests \(429\): slow down; wait",
        requests=3,
    ),
    Fault(
        "429 that asks to wait longer than the deadline",
        (answer(429, b"", "Retry-After: 3600"),),
        RateLimitedError,
        r"\(429\); wait, or send fewer at once$",
    ),
    Fault(
        "503 that asks to wait until a date after the deadline",
        (answer(503, b"", f"Retry-After: {format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)}"),),
        EngineUnavailableError,
        r"is not ready \(503\); try later$",
    ),
    Fault(
        "500 for ever",
        (answer(500, {"error": "boom"}),),
        EngineUnavailableError,
        r"failed \(500\): boom; its log says more \(after 2 attempts\)",
        requests=2,
    ),
    Fault("501", (answer(501, b""),), EngineUnavailableError, r"failed \(501\); its log"),
    Fault(
        "502 with an HTML page",
        (answer(502, b"<html><h1>Bad Gateway</h1></html>", content_type="text/html"),),
        EngineUnavailableError,
        r"\(502\): an HTML page",
        requests=3,
    ),
    Fault(
        "an error that is 1 GB long",
        (Answer(head(400, f"Content-Length: {2**30}") + b"because " * 20000, stall),),
        RequestRejectedError,
        r"\(400\): (because )+",
    ),
    Fault(
        "an error that stalls",
        (Answer(head(400, "Content-Length: 100") + b"because", stall),),
        RequestRejectedError,
        r"\(400\): because$",
    ),
    Fault("204", (Answer(head(204)),), BadResponseError, r"its status is 204, and only 200"),
    # ------------------------------------------------ not the protocol
    Fault("not HTTP", (Answer(b"SSH-2.0-OpenSSH_9.2\r\n", stall),), BadResponseError, r"not HTTP/1\.1.*SSH-2\.0"),
    Fault("HTTP/2 unasked", (Answer(b"HTTP/2 200 OK\r\n\r\n", stall),), BadResponseError, r"status line is malformed"),
    Fault("a status that is no number", (Answer(b"HTTP/1.1 abc OK\r\n\r\n"),), BadResponseError, r"status line"),
    Fault(
        "a header field without a colon",
        (Answer(b"HTTP/1.1 200 OK\r\nContent-Type text\r\n\r\n"),),
        BadResponseError,
        r"header is malformed",
    ),
    Fault(
        "a header without end",
        (Answer(b"HTTP/1.1 200 OK\r\n", endlessly(b"X-More: " + b"x" * 1000 + b"\r\n")),),
        BadResponseError,
        r"header is over 65536 bytes",
    ),
    Fault(
        "two lengths",
        (Answer(head(200, "Content-Length: 5", "Content-Length: 6") + b"hello!"),),
        BadResponseError,
        r"Content-Length is malformed or contradicts",
    ),
    Fault(
        "a length beside chunks",
        (Answer(head(200, "Transfer-Encoding: chunked", "Content-Length: 6") + END),),
        BadResponseError,
        r"contradicts",
    ),
    Fault(
        "a negative length",
        (Answer(head(200, "Content-Length: -1")),),
        BadResponseError,
        r"Content-Length is malformed",
    ),
    Fault(
        "a chunk with a size that is no number",
        (Answer(STREAM_HEAD + b"zz\r\ndata: {}\n\n\r\n" + END),),
        BadResponseError,
        r"the size of a chunk is malformed",
    ),
    Fault(
        "a chunk that is longer than its size",
        (Answer(STREAM_HEAD + b"2\r\ndata: {}\r\n" + END),),
        BadResponseError,
        r"a chunk is longer than its size",
    ),
    Fault("a change of protocol", (Answer(head(101, "Upgrade: x")),), BadResponseError, r"another protocol"),
    Fault(
        "a gzip bomb",
        (answer(200, gzip.compress(bytes(10_000_000)), "Content-Encoding: gzip", content_type="text/event-stream"),),
        BadResponseError,
        r"compressed, which was not asked for",
    ),
    Fault(
        "a body of 1 GB",
        (unfinished(then=endlessly(chunk(token("x" * 65000)))),),
        BadResponseError,
        r"over 1048576 bytes",
        partial_text="x" * 65000 * 16,
    ),
    Fault(
        "an event without end",
        (unfinished(b"data: ", then=endlessly(chunk(b"x" * 65536))),),
        BadResponseError,
        r"over 1048576 bytes",
    ),
    Fault(
        "an HTML page",
        (answer(200, b"<!doctype html><p>hi", content_type="text/html; charset=utf-8"),),
        BadResponseError,
        r"it is an HTML page, not a stream",
    ),
    Fault(
        "an HTML page that claims to be JSON",
        (answer(200, b"<!doctype html><p>hi"),),
        BadResponseError,
        r"it is an HTML page",
    ),
    Fault(
        "no type",
        (Answer(head(200, "Content-Length: 0")),),
        BadResponseError,
        r"of no stated type, not a stream",
    ),
    Fault(
        "truncated JSON in an event",
        (stream(b'data: {"token": "a\n\n', DONE),),
        BadResponseError,
        r"an event of it is not JSON: '\{\"token\": \"a'",
    ),
    Fault("an event that is an array", (stream(b"data: []\n\n", DONE),), BadResponseError, r"JSON, but not an object"),
    Fault("lines that are no events", (stream(b"hello world\n\n"),), BadResponseError, r"no server-sent event"),
    Fault(
        "invalid UTF-8",
        (stream(token("a"), b'data: {"token": "\xff\xfe", "done": false}\n\n', DONE),),
        BadResponseError,
        r"not UTF-8: invalid start byte at byte 11",
        partial_text="a",
    ),
    Fault(
        "half of a character at the end",
        (stream(b'data: {"token": "\xe2\x82", "done": false}\n\n', DONE),),
        BadResponseError,
        r"not UTF-8",
    ),
    Fault(
        "half of a surrogate pair",
        (stream(b'data: {"token": "\\ud83d", "done": false}\n\n', DONE),),
        BadResponseError,
        r"not JSON",
    ),
    Fault("a number for a text", (stream(event({"token": 5, "done": False})),), BadResponseError, r"'token' is a num"),
    Fault(
        "a text for a boolean", (stream(event({"token": "", "done": "no"})),), BadResponseError, r"'done' is not a b"
    ),
    Fault(
        "a text for a count",
        (stream(token("a"), summary(tokens_generated="two"), DONE),),
        BadResponseError,
        r"'tokens_generated' is a text, not a count",
        partial_text="a",
    ),
    Fault(
        "no [DONE]",
        (stream(token("a"), summary()),),
        BadResponseError,
        r"ended without its last event, \[DONE\]",
        partial_text="a",
    ),
    Fault(
        "[DONE] without the last event",
        (stream(token("a"), DONE),),
        BadResponseError,
        r"ended without saying that the text is finished",
        partial_text="a",
    ),
    Fault("[DONE] at once", (stream(DONE),), BadResponseError, r"without saying that the text is finished"),
    Fault("an empty stream", (stream(),), BadResponseError, r"ended without its last event"),
    Fault(
        "a stream that ends within an event",
        (stream(b'data: {"token"'),),
        BadResponseError,
        r"cut off within an event",
    ),
    Fault(
        "text after the end",
        (stream(token("a"), summary(), token("b"), DONE),),
        BadResponseError,
        r"an event follows the one that finished it",
        partial_text="a",
    ),
    Fault(
        "an unknown finish reason",
        (stream(token("a"), summary(finish_reason="abort"), DONE),),
        BadResponseError,
        r"finish reason is 'abort'",
        partial_text="a",
    ),
    # ------------------------------------------------ answers that fail open
    Fault("an empty 200", (stream(summary(), DONE),), BadResponseError, r"an empty text, and claims to be finished"),
    Fault(
        "an error within a 200 stream",
        (stream(event({"error": {"message": "grammar is bad", "code": 400}}), DONE),),
        RequestRejectedError,
        r"refused the request \(400\): grammar is bad",
    ),
    Fault(
        "an error of the Maze contract within a stream, after text",
        (
            stream(
                token("a"),
                event({"error": {"code": "limit", "message": "m", "type": "server_error"}, "done": True}),
                DONE,
            ),
        ),
        EngineUnavailableError,
        r"failed \(500\): m;",
        partial_text="a",
    ),
    Fault(
        "an error as JSON of status 200",
        (answer(200, {"error": "no such model"}),),
        EngineUnavailableError,
        r"failed \(500\): no such model",
        requests=2,
    ),
    Fault(
        "a service that says the constraints are not satisfied",
        (stream(token("a"), summary(constraint_satisfied=False), DONE),),
        ConstraintViolatedError,
        r"the service itself says",
        partial_text="a",
    ),
    Fault(
        "a service that says the text was cut off before it satisfied them",
        (stream(token("a"), summary(constraint_satisfied=False, finish_reason="length"), DONE),),
        TruncatedError,
        r"cut off after 2 tokens.*raise max_tokens",
        partial_text="a",
    ),
    Fault(
        "a text that differs from its pieces",
        (stream(token("a"), summary(generated_text="ab"), DONE),),
        BadResponseError,
        r"its pieces together are not the text",
        partial_text="a",
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_each_fault_has_its_own_error_and_ends_before_the_deadline(fault: Fault) -> None:
    request = ask(timeout_ms=fault.timeout_ms)
    with FaultServer(*fault.plays) as server:
        backend = backend_for(server.url, limits=fault.limits)
        with pytest.raises(MazeError) as caught:
            generate(backend, request)
        over = request.deadline.expired()
        backend.close()

    error = caught.value
    assert type(error) is fault.error, error
    assert re.search(fault.says, str(error)), error
    assert error.partial_text == fault.partial_text
    assert over == (fault.timeout_ms == SHORT_MS), "only the calls whose deadline is the point may use it up"
    if fault.requests is not None:
        assert len(server.requests) == fault.requests
    assert_keeps_the_secret(error)


def assert_keeps_the_secret(error: BaseException) -> None:
    """The key is in no text of the error, nor in any that hangs from it."""
    chain: BaseException | None = error
    while chain is not None:
        assert KEY not in str(chain)
        assert KEY not in repr(chain)
        assert KEY not in repr(vars(chain))
        assert not hasattr(chain, "request")
        chain = chain.__cause__ or chain.__context__


ENDLESS = {
    "early hints": Answer(b"", endlessly(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 500)),
    "chunks of a byte": Answer(STREAM_HEAD, endlessly(b"1\r\n:\r\n" * 2000)),
    "events without text": Answer(STREAM_HEAD, endlessly(chunk(token("")) * 200)),
}
"""Each sends faster than it can be read, so that there is always something to read."""


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_server_that_never_pauses_holds_no_call_beyond_its_deadline(kind: str) -> None:
    request = ask(timeout_ms=SHORT_MS)
    watchdog = threading.Timer(PATIENT_MS / 1000, request.cancellation.cancel, ["it went on after its deadline"])
    watchdog.start()
    with FaultServer(ENDLESS[kind]) as server:
        with pytest.raises(TimedOutError, match=r"no complete answer within 400 ms"):
            generate(backend_for(server.url, limits=Limits(answer_bytes=2**40)), request)
        watchdog.cancel()


@pytest.mark.parametrize(
    "play",
    [
        Answer(f"HTTP/1.1 999 xxxxxxxxxxxxxxxxxxxx {KEY}\r\n\r\n".encode()),
        Answer(KEY.encode()),
        stream(f"data: {'x' * 50}{KEY}\n\n".encode()),
        stream(f"a{'x' * 40}{KEY}: b\n\n".encode()),
        stream(token("a"), summary(finish_reason=f"{'x' * 50}{KEY}")),
        answer(400, {"error": " " * 1985 + KEY}),
        answer(200, b"", content_type="x" * 50 + KEY),
    ],
)
def test_a_key_that_a_service_repeats_is_not_shown_even_where_its_text_is_cut(play: Play) -> None:
    with FaultServer(play) as server, pytest.raises(MazeError) as caught:
        generate(backend_for(server.url), ask())
    assert KEY[:8] not in str(caught.value)


def test_a_retry_after_beyond_all_dates_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-9")
    time.tzset()
    try:
        with FaultServer(answer(503, b"", "Retry-After: Fri, 31 Dec 9999 23:59:59 -0000"), fine()) as server:
            assert generate(backend_for(server.url), ask())[0].text == "hello"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_type_of_an_answer_may_be_written_in_capitals() -> None:
    play = Answer(fine().data.replace(b"text/event-stream", b"Text/Event-Stream; Charset=UTF-8"))
    with FaultServer(play) as server:
        assert generate(backend_for(server.url), ask())[0].text == "hello"


def test_a_connection_that_is_refused_is_tried_three_times() -> None:
    with refused_port() as port:
        backend = backend_for(f"http://127.0.0.1:{port}")
        with pytest.raises(EngineUnavailableError, match=r"cannot be reached: connection refused \(after 3 attempts\)"):
            generate(backend, ask())


def test_a_host_that_does_not_exist_is_named() -> None:
    backend = backend_for("http://no-such-host.invalid")
    with pytest.raises(EngineUnavailableError, match=r"the name 'no-such-host\.invalid' cannot be looked up"):
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


def test_bytes_that_trickle_in_make_a_good_answer() -> None:
    with FaultServer(slowly(fine("hé€🙂").data, pause_secs=0)) as server:
        completion, pieces = generate(backend_for(server.url), ask())
    assert completion.text == "hé€🙂"
    assert pieces == ["h", "é", "€", "🙂"]


@pytest.mark.parametrize("cut", range(1, 60, 3))
def test_a_character_that_is_split_between_chunks_stays_whole(cut: int) -> None:
    data = token("a€🙂") + summary() + DONE
    with FaultServer(stream(data[:cut], data[cut : cut + 2], data[cut + 2 :])) as server:
        completion, pieces = generate(backend_for(server.url), ask())
    assert pieces == ["a€🙂"]
    assert completion.text == "a€🙂"


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


def test_lines_may_end_as_in_windows_and_data_may_follow_its_colon() -> None:
    data = (token("a") + summary() + DONE).replace(b"\n", b"\r\n").replace(b"data: ", b"data:")
    with FaultServer(stream(b"event: x\r\nid: 5\r\n: a comment\r\n", data)) as server:
        assert generate(backend_for(server.url), ask())[0].text == "a"


# ------------------------------------------------------------------------------------------------ redirects


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


# ------------------------------------------------------------------------------------------------ cancelling


def test_a_receiver_that_returns_false_ends_the_call_and_the_connection() -> None:
    left: list[bool] = []

    def notice(exchange: Exchange) -> None:
        exchange.connection.settimeout(10)
        left.append(exchange.connection.recv(1) == b"")
        exchange.open = False

    with (
        FaultServer(unfinished(token("a"), then=notice)) as server,
        pytest.raises(CancelledError, match=r"the caller ended") as caught,
    ):
        backend_for(server.url).generate(ask(), lambda _: False)
    assert caught.value.partial_text == "a"
    assert left == [True]


@pytest.mark.parametrize(
    "play",
    [
        stall,
        Answer(STREAM_HEAD, stall),
        unfinished(token("a"), then=stall),
        # Here the end of the connection is the end of the answer, and a cancellation ends the connection.
        Answer(head(200, "Content-Type: text/event-stream") + token("a"), stall),
        Answer(head(200, "Content-Type: application/json") + b'{"generated_text"', stall),
    ],
)
def test_a_cancellation_ends_a_wait_at_once(play: Play) -> None:
    request = ask()

    def cancelling(exchange: Exchange) -> None:
        if isinstance(play, Answer):
            exchange.send(play.data)
        request.cancellation.cancel("the library was shut down")
        exchange.stall()

    with FaultServer(cancelling) as server, pytest.raises(CancelledError, match=r"the library was shut down"):
        generate(backend_for(server.url), request)
    assert not request.deadline.expired()


MUCH = [token("x")] * 500


@pytest.mark.parametrize(
    ("rest", "outcome"),
    [
        ((*MUCH, summary(generated_text="x" * 501), DONE), None),
        ((b"data: {", DONE), None),
        ((event({"error": {"code": 503, "message": "gone"}}), DONE), None),
        ((summary(generated_text="x"), DONE), "complete"),
    ],
    ids=["more text", "malformed", "error", "end"],
)
def test_what_has_arrived_already_does_not_prolong_a_call_that_is_over(
    rest: tuple[bytes, ...], outcome: str | None
) -> None:
    # One chunk, so that it arrives with the first text and nothing is waited for.
    with FaultServer(stream(b"".join((token("x"), *rest)))) as server:
        backend = backend_for(server.url)
        request = ask()
        pieces = []

        def cancel(piece: str) -> bool:
            pieces.append(piece)
            request.cancellation.cancel("enough")
            return True

        with pytest.raises(CancelledError, match="enough") as caught:
            backend.generate(request, cancel)
        assert (pieces, caught.value.partial_text) == (["x"], "x")

        late = ask(timeout_ms=300)

        def dawdle(piece: str) -> bool:
            pieces.append(piece)
            time.sleep(0.4)
            return True

        if outcome == "complete":  # an answer that is complete is not thrown away
            assert backend.generate(late, dawdle).text == "x"
        else:
            with pytest.raises(TimedOutError) as timed_out:
                backend.generate(late, dawdle)
            assert timed_out.value.partial_text == "x"
        assert pieces == ["x", "x"]


@pytest.mark.parametrize("code", [404, 405])
def test_an_error_within_a_stream_is_not_taken_for_a_service_without_streams(code: int) -> None:
    parts = (token("a"), event({"error": {"code": code, "message": "adapter gone"}, "done": True}), DONE)
    with FaultServer(stream(*parts), fine("whole")) as server:
        pieces: list[str] = []

        def take(piece: str) -> bool:
            pieces.append(piece)
            return True

        with pytest.raises(RequestRejectedError, match="adapter gone") as caught:
            backend_for(server.url).generate(ask(), take)
    assert (pieces, caught.value.partial_text, len(server.requests)) == (["a"], "a", 1)


@pytest.mark.parametrize("noise", [b": ping\n\n", token("")], ids=["comment", "empty token"])
def test_noise_does_not_prolong_the_time_for_the_next_text(noise: bytes) -> None:
    def chatter(exchange: Exchange) -> None:
        exchange.open = False
        while True:
            exchange.send(chunk(noise))
            time.sleep(0.05)

    limits = replace(LIMITS, gap_secs=0.3)
    with (
        FaultServer(unfinished(token("a"), then=chatter)) as server,
        pytest.raises(TimedOutError, match=r"no further text for 0\.3 s") as caught,
    ):
        generate(backend_for(server.url, limits=limits), ask())
    assert caught.value.partial_text == "a"


def test_a_trailer_in_two_parts_does_not_reach_the_next_call() -> None:
    def in_two_parts(exchange: Exchange) -> None:
        whole = fine("one").data
        exchange.send(whole[:-2] + b"X-")
        time.sleep(0.1)
        exchange.send(b"Why: y\r\n\r\n")

    with FaultServer(in_two_parts, fine("two")) as server:
        backend = backend_for(server.url)
        assert [generate(backend, ask())[0].text for _ in range(2)] == ["one", "two"]


def test_an_empty_text_at_the_limit_is_an_error_that_says_what_to_do() -> None:
    parts = (summary(generated_text="", tokens_generated=16, finish_reason="length"), DONE)
    with FaultServer(stream(*parts)) as server, pytest.raises(TruncatedError, match=r"without any text; raise max_tok"):
        generate(backend_for(server.url), ask(grammar=None))


def test_a_cancellation_ends_the_pause_before_a_retry() -> None:
    request = ask()

    def cancelling(exchange: Exchange) -> None:
        answer(503, b"", "Retry-After: 15")(exchange)
        request.cancellation.cancel("enough")

    with FaultServer(cancelling) as server, pytest.raises(CancelledError, match=r"enough"):
        generate(backend_for(server.url), request)
    assert not request.deadline.expired()


def test_a_cancelled_call_sends_nothing() -> None:
    request = ask()
    request.cancellation.cancel("too late")
    with FaultServer(fine()) as server, pytest.raises(CancelledError, match=r"too late"):
        generate(backend_for(server.url), request)
    assert server.requests == []


def test_an_error_of_the_receiver_reaches_the_caller_and_closes_the_connection() -> None:
    def broken(piece: str) -> bool:
        raise ZeroDivisionError(piece)

    with FaultServer(unfinished(token("a"), then=stall), fine()) as server:
        backend = backend_for(server.url)
        with pytest.raises(ZeroDivisionError):
            backend.generate(ask(), broken)
        assert generate(backend, ask())[0].text == "hello"
    assert server.connections == 2


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
