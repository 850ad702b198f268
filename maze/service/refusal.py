"""What a client is told that gets no answer: the one shape of an error, and the HTTP status of each failure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from maze.errors import MazeError, Status

_log = logging.getLogger(__name__)

CLIENT_LEFT = "cancelled: the client closed its connection"
"""The reason with which a generation is cancelled whose client has gone."""
CLIENT_CLOSED_REQUEST = 499
"""nginx's number for a client that left before its answer; nobody receives it, logs and metrics show it."""

HTTP_STATUS: Mapping[Status, int] = {
    status: http_status
    for http_status, statuses in {
        200: (Status.OK,),
        400: (
            *(Status.INVALID_ARGUMENT, Status.INVALID_CONSTRAINT, Status.UNSUPPORTED_CONSTRAINT, Status.CONTRADICTION),
            *(Status.TRUNCATED, Status.REQUEST_REJECTED, Status.LIMIT_EXCEEDED),
        ),
        429: (Status.RATE_LIMITED,),
        # The engine refused the key of this service: nothing that the client could send would help, nor would a retry.
        500: (Status.UNAUTHORIZED, Status.CONFIGURATION, Status.STARTUP_FAILED, Status.FORKED, Status.INTERNAL_ERROR),
        502: (Status.CONSTRAINT_VIOLATED, Status.BAD_RESPONSE),
        503: (Status.ENGINE_UNAVAILABLE, Status.CANCELLED, Status.OUT_OF_MEMORY),
        504: (Status.TIMED_OUT,),
    }.items()
    for status in statuses
}
"""What a failed generation becomes for the client."""

RETRYABLE = frozenset({408, 429, 502, 503, 504})
"""HTTP statuses after which the same request may succeed."""

_FIELDS = {"constraints[0]": "constraints", "intent.raw_input": "prompt"}
"""What the Orchestrator calls the fields of a request."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not only an error
    """A request that gets an error for an answer: everything the one error shape needs."""

    def __init__(
        self,
        http_status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retryable: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.message = message
        self.param = param
        self.retryable = retryable
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[Callable[[], Refusal], tuple[()]]:
        """How it is pickled."""
        said = self.http_status, self.code, self.message
        return partial(Refusal, *said, param=self.param, retryable=self.retryable, headers=self.headers), ()

    def shape(self) -> dict[str, Any]:
        """The object that stands under "error"."""
        return {
            "code": self.code,
            "message": self.message,
            "type": _error_type(self.http_status),
            "param": self.param,
            "retryable": self.retryable,
        }

    def body(self) -> bytes:
        """The error as JSON."""
        return orjson.dumps({"error": self.shape()})

    def response(self) -> Response:
        """The error as an answer of its own."""
        return Response(self.body(), self.http_status, self.headers, "application/json")


def _error_type(http_status: int) -> str:
    match http_status:
        case 401:
            return "authentication_error"
        case 429:
            return "rate_limit_error"
        case 502 | 503 | 504:
            return "engine_error"
        case _ if http_status >= 500:
            return "server_error"
        case _:
            return "invalid_request_error"


def invalid(message: str, param: str | None = None) -> Refusal:
    """The answer to a request that is wrong in itself."""
    return Refusal(400, "invalid_argument", message, param=param)


def refuse_unknown(kind: str, names: Iterable[str], known: Sequence[str], path: str = "") -> None:
    """Refuse a name that says nothing here; `path` leads to it."""
    for name in names:
        if name not in known:
            raise invalid(f"unknown {kind} {name[:100]!r}; known are {', '.join(known)}", path + name[:100])


def over_limit(message: str, param: str | None = None, http_status: int = 400) -> Refusal:
    """The answer to a request that asks for more than the service gives."""
    return Refusal(http_status, "limit_exceeded", message, param=param)


def in_words_of_the_contract(message: str) -> str:
    """What the Orchestrator says, with the fields as a client calls them."""
    for ours, theirs in _FIELDS.items():
        message = message.replace(ours, theirs)
    return message


def refusal_of_failure(status: Status, message: str) -> Refusal:
    """What the client is told about a generation that failed."""
    if status is Status.CANCELLED and message == CLIENT_LEFT:
        return Refusal(CLIENT_CLOSED_REQUEST, "cancelled", CLIENT_LEFT)
    message = in_words_of_the_contract(message)
    http_status = HTTP_STATUS[status]
    return Refusal(
        http_status,
        status.name.lower(),
        message,
        param=next((field for field in _FIELDS.values() if http_status == 400 and field in message), None),
        retryable=http_status in RETRYABLE,
        headers={"Retry-After": "1"} if http_status in (429, 503) else {},
    )


def refusal_of(error: Exception, request_id: str) -> Refusal:
    """What the client is told about whatever ended its request."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ClientDisconnect):
        return Refusal(CLIENT_CLOSED_REQUEST, "cancelled", CLIENT_LEFT)
    if isinstance(error, MazeError):
        return refusal_of_failure(error.status, str(error))
    _log.error("request %s hit a defect", request_id, exc_info=error)
    return Refusal(500, "internal_error", f"a defect in the service; its log tells more under {request_id}")
