"""What went wrong: errors of the transport, HTTP statuses and engines' own errors become errors of ours."""

from __future__ import annotations

import httpx

from maze.backends.dialects.base import Event, MalformedError
from maze.backends.http.answer_json import read_json
from maze.backends.http.connect import CONNECT_SECS
from maze.backends.http.connection import TlsError
from maze.backends.http.limits import Call
from maze.backends.http.redaction import Redaction
from maze.backends.http.retry import Again, FailedAttempt
from maze.errors import (
    BadResponseError,
    ConfigurationError,
    EngineUnavailableError,
    MazeError,
    RateLimitedError,
    RequestRejectedError,
    TimedOutError,
    UnauthorizedError,
)

MAX_REASON_CHARACTERS = 500
"""How much of an engine's own error text goes into ours."""

_RETRYABLE = frozenset({408, 429, 502, 503, 504})
_STATUS_OF_ERROR_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "rate_limit_error": 429,
    "engine_error": 503,
    "BadRequestError": 400,
}
"""For errors within a stream that carry no number: the types of the Maze service, and vLLM's."""


class Failures:
    """Explains what failed at an endpoint, which errors call by its URL, and shows none of the keys."""

    def __init__(self, redaction: Redaction, *, has_key: bool) -> None:
        self.redaction = redaction
        self._has_key = has_key

    def lost(self, url: str, call: Call, failure: httpx.TransportError, text: str = "") -> FailedAttempt:
        """What becomes of an error of the transport: the one place where errors of httpx become ours.

        Raises CancelledError if that is why the socket failed.
        """
        call.cancellation.raise_if_cancelled(text)
        if call.deadline.expired():
            # A service that hangs looks like this, so the next call had better go elsewhere.
            return FailedAttempt(call.deadline.error(text), blames_endpoint=not text)
        error: MazeError
        again = Again.YES
        match failure:
            case httpx.ConnectTimeout():
                error = EngineUnavailableError(f"{url} cannot be reached: {failure}, which is {CONNECT_SECS:g} s")
            case TlsError():
                error = EngineUnavailableError(f"{url} cannot be trusted: {failure}")
                again = Again.ELSEWHERE
            case httpx.ConnectError():
                error = EngineUnavailableError(f"{url} cannot be reached: {failure}")
            case httpx.TimeoutException():
                what = "no further text" if text else "no text"
                error = TimedOutError(f"{url} sent {what} for {call.silence_secs:g} s", partial_text=text)
                again = Again.NEVER
            case httpx.NetworkError():
                when = "while it answered" if text else "before it answered"
                error = EngineUnavailableError(f"{url} went away {when}: {failure}", partial_text=text)
            case _:
                return self.bad(url, failure)
        return FailedAttempt(error, again, blames_endpoint=True)

    def bad(self, url: str, problem: str | MalformedError | httpx.TransportError) -> FailedAttempt:
        """What becomes of an answer that is not what the protocol says."""
        return FailedAttempt(BadResponseError(self.redaction.text(f"the answer of {url} is wrong: {problem}")))

    def unusable(self, problem: str) -> FailedAttempt:
        """What becomes of an endpoint that is no service as it was configured."""
        return FailedAttempt(ConfigurationError(problem), Again.ELSEWHERE, blames_endpoint=True)

    def told(self, url: str, event: Event) -> FailedAttempt:
        """What becomes of an error that comes as an answer of status 200, or within one."""
        error = event.get("error")
        details: Event = error if type(error) is dict else event
        status = details.get("code")
        if type(status) is not int or not 400 <= status <= 599:
            status = _STATUS_OF_ERROR_TYPE.get(str(details.get("type")), 500)
        return FailedAttempt(*self._meaning(url, status, _told_reason(event)), blames_endpoint=status >= 500)

    def refused(self, url: str, status: int, body: bytes, retry_after: float | None) -> FailedAttempt:
        """What becomes of an answer that is neither 200 nor a redirect that is followed."""
        blames = status >= 500 or (status == 429 and retry_after is not None)
        error, again = self._meaning(url, status, _reason(body))
        return FailedAttempt(error, again, status=status, retry_after=retry_after, blames_endpoint=blames)

    def _meaning(self, url: str, status: int, reason: str) -> tuple[MazeError, Again]:
        """The meaning of each HTTP status."""
        said = self.redaction.text(reason)[:MAX_REASON_CHARACTERS]
        said = f" ({status}): {said}" if said else f" ({status})"
        again = Again.YES if status in _RETRYABLE else Again.ONCE if status == 500 else Again.NEVER
        error: MazeError
        if status in (401, 403):
            advice = "check MODAL_API_KEY" if self._has_key else "set MODAL_API_KEY"
            error = UnauthorizedError(f"{url} refused the key{said}; {advice}")
        elif status == 429:
            error = RateLimitedError(f"{url} asks for fewer requests{said}; wait, or send fewer at once")
        elif status in _RETRYABLE:
            error = EngineUnavailableError(f"{url} is not ready{said}; try later")
        elif status >= 500:
            error = EngineUnavailableError(f"{url} failed{said}; its log says more")
        elif status >= 400:
            error = RequestRejectedError(f"{url} refused the request{said}")
        elif status >= 300:
            error = RequestRejectedError(
                f"{url} redirects the request elsewhere{said}; put the final URL of the service into MODAL_ENDPOINT"
            )
        else:
            return self.bad(url, f"its status is {status}, and only 200 has an answer").error, again
        return error, again


def is_error(event: Event) -> bool:
    """Whether an object within an answer of status 200 is an error."""
    return event.get("error") is not None or event.get("object") == "error"


def one_line(text: str) -> str:
    """What a service says, fit for a terminal: printable, in one line, and not long."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MAX_REASON_CHARACTERS]).split())


def _reason(body: bytes) -> str:
    """What the body of an error says, in any of the shapes that engines use."""
    try:
        told = read_json(body)
    except ValueError:
        text = body.decode(errors="replace")
        return "an HTML page" if text.lstrip().startswith("<") else one_line(text)
    return _told_reason(told)


def _told_reason(told: object) -> str:
    """`{"error": {"message"}}`, `{"error": "text"}`, `{"detail"}`, `{"object": "error", "message"}`, or a text."""
    while type(told) is dict:
        if told.get("type") == "exceed_context_size_error":  # llama.cpp
            return (
                f"the prompt is {told.get('n_prompt_tokens')} tokens long, but the engine holds {told.get('n_ctx')} "
                "for prompt and answer; shorten the prompt"
            )
        inner = next((told[key] for key in ("error", "message", "detail", "msg") if told.get(key)), None)
        if inner is None:
            return ""
        told = inner
    if type(told) is list:  # what FastAPI finds wrong, item by item
        return "; ".join(filter(None, map(_told_reason, told[:3])))
    return one_line(told) if type(told) is str else ""
