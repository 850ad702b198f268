"""What went wrong: errors of the transport, HTTP statuses and engines' own errors become errors of ours."""

from __future__ import annotations

import httpx

from maze.backends.dialects.base import DeclinedError, Event, MalformedError
from maze.backends.dialects.words import error_within, status_of_error
from maze.backends.http.answer_json import read_json
from maze.backends.http.connect import CONNECT_SECS
from maze.backends.http.connection import TlsError
from maze.backends.http.exchange import NotHttpError
from maze.backends.http.limits import Call
from maze.backends.http.proxy import RefusedByProxyError
from maze.backends.http.redaction import MAX_READ_CHARACTERS, Redaction
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

MAX_REASONS = 3
"""How many of the things that a service finds wrong at once are told."""

_RETRYABLE = frozenset({408, 429, 502, 503, 504, 529})
"""529: Anthropic's for too much load."""
_PROXY_ADVICE = (
    "the proxy wants a user name and a password, or refuses them; put them into its URL, in MAZE_PROXY or the variable "
    "that has it: http://user:password@host:port"
)


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
            case RefusedByProxyError():
                return self._refused_by_proxy(url, failure)
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

    def _refused_by_proxy(self, url: str, failure: RefusedByProxyError) -> FailedAttempt:
        status = failure.status
        said = f"{url} cannot be reached: {failure}"
        if status == 407:
            return FailedAttempt(UnauthorizedError(f"{said} (407): {_PROXY_ADVICE}"), blames_endpoint=True)
        if status is None:
            return FailedAttempt(
                EngineUnavailableError(f"{said}; check MAZE_PROXY"), Again.ELSEWHERE, blames_endpoint=True
            )
        again = Again.YES if status in _RETRYABLE else Again.ELSEWHERE
        advice = "try later" if status in _RETRYABLE else "ask who runs the proxy to allow it"
        return FailedAttempt(EngineUnavailableError(f"{said} ({status}); {advice}"), again, blames_endpoint=True)

    def bad(self, url: str, problem: str | MalformedError | httpx.TransportError) -> FailedAttempt:
        """What becomes of an answer that is not what the protocol says."""
        said = str(problem)
        if isinstance(problem, (MalformedError, NotHttpError)):
            said = said.replace("{}", self.redaction.quoted(problem.quoted))
        if isinstance(problem, DeclinedError):
            return FailedAttempt(RequestRejectedError(f"{url} did not write the text: {said}; ask for something else"))
        return FailedAttempt(BadResponseError(f"the answer of {url} is wrong: {said}"))

    def unusable(self, problem: str) -> FailedAttempt:
        """What becomes of an endpoint that is no service as it was configured."""
        return FailedAttempt(ConfigurationError(problem), Again.ELSEWHERE, blames_endpoint=True)

    def told(self, url: str, event: Event) -> FailedAttempt:
        """What becomes of an error that comes as an answer of status 200, or within one."""
        error = event.get("error")
        details: Event = error if type(error) is dict else event
        status = status_of_error(details)
        reason = self._told_reason(event)
        error, again = self._meaning(url, status, reason)
        return FailedAttempt(error, again, status=status, blames_endpoint=status >= 500, said=reason)

    def refused(self, url: str, status: int, body: bytes, retry_after: float | None, leads_to: str) -> FailedAttempt:
        """What becomes of an answer that is neither 200 nor a redirect that is followed.

        `leads_to` is where a redirect goes; empty if it does not say, or the answer is none.
        """
        blames = status >= 500 or (status == 429 and retry_after is not None)
        error, again = self._meaning(url, status, self._reason(body), leads_to)
        said = self.redaction.text(body.decode(errors="replace")[:MAX_READ_CHARACTERS])
        return FailedAttempt(error, again, status=status, retry_after=retry_after, blames_endpoint=blames, said=said)

    def _meaning(self, url: str, status: int, reason: str, leads_to: str = "") -> tuple[MazeError, Again]:
        """The meaning of each HTTP status. `reason` has no keys in it."""
        said = f" ({status}): {reason}" if reason else f" ({status})"
        again = Again.YES if status in _RETRYABLE else Again.ONCE if status == 500 else Again.NEVER
        error: MazeError
        if status == 407:
            error = UnauthorizedError(f"{url} cannot be reached{said}: {_PROXY_ADVICE}")
        elif status in (401, 403):
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
            final = f"; it leads to {self.redaction.quoted(leads_to)}" if leads_to else ""
            error = RequestRejectedError(
                f"{url} redirects the request elsewhere{said}; put the final URL of the service into MODAL_ENDPOINT"
                f"{final}"
            )
        else:
            return self.bad(url, f"its status is {status}, and only 200 has an answer").error, again
        return error, again

    def _reason(self, body: bytes) -> str:
        """What the body of an error says, in any of the shapes that engines use."""
        try:
            told = read_json(body)
        except ValueError:
            text = body.decode(errors="replace")
            return "an HTML page" if text.lstrip().startswith("<") else self.redaction.line(text)
        return self._told_reason(told)

    def _told_reason(self, told: object) -> str:
        """`{"error": {"message"}}`, `{"error": "text"}`, `{"detail"}`, `{"object": "error", "message"}`, or a text."""
        reasons: list[str] = []
        left = [told]
        while left and len(reasons) < MAX_REASONS:
            told = left.pop()
            if type(told) is dict:
                if told.get("type") == "exceed_context_size_error":  # llama.cpp
                    reasons.append(_over_context(told))
                else:
                    left.append(next((told[key] for key in ("error", "message", "detail", "msg") if told.get(key)), ""))
            elif type(told) is list:  # what FastAPI finds wrong, item by item
                left += told[MAX_REASONS - 1 :: -1]
            elif type(told) is str and (reason := self.redaction.line(told)):
                reasons.append(reason)
        return "; ".join(reasons)


def _over_context(told: Event) -> str:
    prompt, context = told.get("n_prompt_tokens"), told.get("n_ctx")
    if not type(prompt) is type(context) is int:
        return "the prompt is longer than what the engine holds for prompt and answer; shorten the prompt"
    return (
        f"the prompt is {prompt} tokens long, but the engine holds {context} for prompt and answer; shorten the prompt"
    )


def error_of(data: bytes) -> Event:
    """What an event says that is one of an error: an object, or a text."""
    try:
        said: object = read_json(data)
    except ValueError:
        said = data.decode(errors="replace")
    return said if isinstance(said, dict) and error_within(said) else {"error": said}
