"""Every fault that a server can play, with the status and the text that the caller gets for it."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fault_server import (
    DONE,
    END,
    STREAM_HEAD,
    Answer,
    FaultServer,
    Play,
    answer,
    chunk,
    close,
    endlessly,
    event,
    head,
    reset,
    slowly,
    stall,
    stream,
    summary,
    token,
    unfinished,
)
from http_calls import KEY, LIMITS, PATIENT_MS, SHORT_MS, ask, backend_for, generate

from maze.backends.http.limits import Limits
from maze.errors import (
    BadResponseError,
    ConstraintViolatedError,
    EngineUnavailableError,
    MazeError,
    RateLimitedError,
    RequestRejectedError,
    TimedOutError,
    TruncatedError,
    UnauthorizedError,
)

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
    max_tokens: int = 16


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
    Fault("a status that no class has", (Answer(b"HTTP/1.1 600 OK\r\n\r\n"),), BadResponseError, r"status line is mal"),
    Fault("another version", (Answer(b"HTTP/1.2 200 OK\r\n\r\n"),), BadResponseError, r"status line is malformed"),
    Fault(
        "a header line that ends in a bare line feed",
        (Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\nX: y\r\n\r\n"),),
        BadResponseError,
        r"header is malformed",
    ),
    Fault(
        "a header line that goes on in the next",
        (Answer(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n X: y\r\n\r\n"),),
        BadResponseError,
        r"header is malformed",
    ),
    Fault(
        "a transfer coding that is not known",
        (Answer(head(200, "Transfer-Encoding: gzip, chunked") + END),),
        BadResponseError,
        r"Transfer-Encoding is unknown",
    ),
    Fault(
        "a trailer that is no field",
        (Answer(STREAM_HEAD + chunk(token("a")) + b"0\r\nno field\r\n\r\n"),),
        BadResponseError,
        r"header is malformed",
        partial_text="a",
    ),
    Fault(
        "a size of a chunk without end",
        (Answer(STREAM_HEAD + b"1;", endlessly(b"x" * 1000)),),
        BadResponseError,
        r"it is not as HTTP/1\.1 has it",
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
        max_tokens=10_000,
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
        (stream(token("a"), b'data: {"token": "b\\ud83d", "done": false}\n\n', token("c"), summary(), DONE),),
        BadResponseError,
        r"half of a surrogate pair, U\+D83D, without the other",
        partial_text="ab",
    ),
    Fault(
        "the second half of a surrogate pair alone",
        (stream(b'data: {"token": "a\\ude00", "done": false}\n\n', summary(), DONE),),
        BadResponseError,
        r"half of a surrogate pair, U\+DE00, without the other",
        partial_text="a",
    ),
    Fault(
        "half of a surrogate pair in what is no JSON",
        (stream(b'data: {"token": "\\ud83d", "n": NaN, "done": false}\n\n', DONE),),
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
    request = ask(timeout_ms=fault.timeout_ms, max_tokens=fault.max_tokens)
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
