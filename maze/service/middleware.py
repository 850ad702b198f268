"""Around every request: its id, its key, its error if it has one, its line in the log and in the metrics."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Collection
from time import perf_counter

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maze.secret import Secret
from maze.service.addressing import refuse_foreign, refuse_pages, take_whole_address
from maze.service.contract import checked_request_id, new_request_id
from maze.service.metrics import Metrics
from maze.service.refusal import Refusal, refusal_of
from maze.service.settings import ServiceSettings

_log = logging.getLogger(__name__)

_HTTP_VERSIONS = ("1.0", "1.1", "2", "3")
"""The latter two where another server stands in front, as on Modal."""
_OPEN_ROUTES = frozenset({"/health"})


class RequestBoundary:
    """The middleware of the service. `routes` are the paths that the log and the metrics name."""

    def __init__(self, app: ASGIApp, *, settings: ServiceSettings, metrics: Metrics, routes: Collection[str]) -> None:
        self._app = app
        self._api_key = settings.api_key
        self._allow_hosts = frozenset(settings.allow_hosts)
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request = Request(scope)
        state = request.state
        state.request_id = new_request_id()
        state.failure = None
        http_status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal http_status
            if message["type"] == "http.response.start":
                http_status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", state.request_id.encode())]
            await send(message)

        try:
            self._admit(request)
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 - whatever it was, the client gets an answer and the log a line
            refusal = refusal_of(error, state.request_id)
            if http_status == 0:
                await refusal.response()(scope, receive, send_with_id)
            state.failure = refusal
        failure: Refusal | None = state.failure
        outcome = failure.http_status if failure else http_status
        route = scope["path"] if scope["path"] in self._routes else "other"
        took_secs = perf_counter() - started
        self._metrics.requests.labels(route, str(outcome)).inc()
        self._metrics.request_seconds.labels(route).observe(took_secs)
        told = (state.request_id, scope["method"], route, outcome, took_secs * 1000)
        _log.info("%s %s %s %d %.0f ms%s", *told, f" {failure.code}: {failure.message}" if failure else "")

    def _admit(self, request: Request) -> None:
        """Raise Refusal for a request of two lengths, from a page elsewhere, without the key, or with a bad id."""
        take_whole_address(request.scope)
        if request.scope["http_version"] not in _HTTP_VERSIONS:
            problem = "this version of HTTP is not spoken here; send HTTP/1.1"
            raise Refusal(505, "invalid_argument", problem, headers={"Connection": "close"})
        if "Content-Length" in request.headers and "Transfer-Encoding" in request.headers:
            # A proxy before us may believe the other one, and take a part of the body for the next request.
            problem = "Content-Length and Transfer-Encoding exclude each other"
            raise Refusal(400, "invalid_argument", problem, headers={"Connection": "close"})
        if getattr(request.state, "crowded", False) and request.scope["path"] not in _OPEN_ROUTES:
            problem = "too many requests are under way; come again later"
            headers = {"Retry-After": "1", "Connection": "close"}
            raise Refusal(429, "rate_limited", problem, retryable=True, headers=headers)
        if self._allow_hosts or not self._api_key:
            refuse_foreign(request.headers, self._allow_hosts)
        if not self._api_key:
            refuse_pages(request.headers)
        given_id = request.headers.get("X-Request-Id")
        if given_id is not None:
            request.state.request_id = checked_request_id(given_id, "X-Request-Id")
        if self._api_key and request.scope["path"] not in _OPEN_ROUTES and not _has_key(request, self._api_key):
            raise Refusal(
                401,
                "unauthorized",
                "the key is missing or wrong; send it as 'Authorization: Bearer <key>'",
                headers={"WWW-Authenticate": "Bearer"},
            )


def _has_key(request: Request, key: Secret) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # Header values arrive as Latin-1; compare_digest takes bytes only if they may be more than ASCII.
    matches = hmac.compare_digest(given.strip().encode("latin-1"), key.reveal().encode())
    return matches and scheme.lower() == "bearer"
