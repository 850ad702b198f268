"""Sends requests to endpoints and follows redirects to the answer of status 200; everything else is a failed attempt.

Errors of httpx, and of what an answer says, are carried out of their `except` before ours is raised: as its context
they would bring the request along, or what the service said, and with it the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack

import httpx
import orjson

from maze.backends.dialects.base import MalformedError
from maze.backends.endpoints import Endpoint
from maze.backends.http.answer_json import read_json
from maze.backends.http.failures import Failures
from maze.backends.http.limits import Call
from maze.backends.http.redirect import RedirectedRequest
from maze.backends.http.retry import FailedAttempt, retry_after_secs
from maze.backends.http.route import Route
from maze.json_text import TooDeepError
from maze.memory import memory_for

MAX_ERROR_BYTES = 65536
"""How much of an answer that is an error is read."""
ERROR_BODY_SECS = 2.0
"""Longest silence within an answer that is an error."""
ANSWER_STEP_BYTES = 2**20
"""So much of an answer after the first, memory is asked for at once."""
ANSWER_FACTOR = 16
"""Bytes that each byte of an answer takes until its text is whole."""
MAX_DESCRIPTION_BYTES = 4 * 2**20
"""Longest answer to a question about the service: models, version, health."""

_LACKING = (404, 405, 501)
"""Statuses of what is not there, or not for a GET; the last is Python's http.server's."""


class Client:
    """Speaks to the endpoints of one backend. Safe for use from many threads."""

    def __init__(self, transport: httpx.BaseTransport, routes: dict[str, Route], failures: Failures) -> None:
        self._transport = transport
        self._routes = routes
        self.failures = failures

    def route(self, endpoint: Endpoint) -> Route:
        """The way to an endpoint."""
        return self._routes[endpoint.url]

    def post(self, endpoint: Endpoint, path: str, body: bytes, call: Call) -> RedirectedRequest:
        """A request to be sent; `answer()` does it."""
        route = self._routes[endpoint.url]
        return RedirectedRequest(route, route.post(path, body, call), path, call)

    def answer(self, endpoint: Endpoint, asked: RedirectedRequest) -> httpx.Response:
        """Send a request and go where the answers lead; returns the answer of status 200, whose body is to be read."""
        while True:
            response = self._send(endpoint, asked)
            status = response.status_code
            if status == 200:
                return response
            if not asked.is_redirect(status):
                raise self._refused(endpoint, response, asked)
            response.extensions["done"]()  # nobody reads the body of a redirect
            try:
                asked.follow(response.headers.get("location", ""))
            except MalformedError as caught:
                problem = caught
            else:
                continue
            raise self.failures.bad(endpoint.url, problem)

    def get(self, endpoint: Endpoint, path: str, call: Call) -> bytes:
        """GET something small."""
        route = self._routes[endpoint.url]
        return self._small(endpoint, RedirectedRequest(route, route.get(path, call), path, call))

    def _small(self, endpoint: Endpoint, asked: RedirectedRequest) -> bytes:
        """The body of an answer that is small."""
        call = asked.call
        response = self.answer(endpoint, asked)
        try:
            content = b"".join(limited(body(response), MAX_DESCRIPTION_BYTES))
            response.extensions["done"]()
        except MalformedError as error:
            raise self.failures.bad(endpoint.url, error) from None
        except httpx.TransportError as caught:
            failure = caught
        else:
            return content
        finally:
            response.close()
        raise self.failures.lost(endpoint.url, call, failure)

    def get_json(self, endpoint: Endpoint, path: str, call: Call, *, may_lack: bool = False) -> object:
        """GET something small that is JSON; None if the service has nothing at that path and may lack it."""
        return self._json(endpoint, path, lambda: self.get(endpoint, path, call), may_lack=may_lack)

    def get_page(self, endpoint: Endpoint, path: str, page: str | Mapping[str, str], call: Call) -> object:
        """GET a further page of a list, as route.get_page() makes it. Raises MalformedError, too."""
        route = self._routes[endpoint.url]
        asked = RedirectedRequest(route, route.get_page(path, page, call), path, call)
        return self._json(endpoint, path, lambda: self._small(endpoint, asked), may_lack=False)

    def takes_posts(self, endpoint: Endpoint, path: str, call: Call) -> bool:
        """Whether there is something that takes a POST, and no GET."""
        try:
            self.get(endpoint, path, call)
        except FailedAttempt as failed:
            if failed.status in _LACKING:
                return failed.status != 404
            raise
        return False

    def post_json(self, endpoint: Endpoint, path: str, body: bytes, call: Call, *, may_lack: bool = False) -> object:
        """Ask a question whose answer is small and JSON; None as for get_json()."""
        asked = self.post(endpoint, path, body, call)
        return self._json(endpoint, path, lambda: self._small(endpoint, asked), may_lack=may_lack)

    def check_post(self, endpoint: Endpoint, path: str, body: bytes, call: Call) -> None:
        """Ask something whose answer matters only in that it is none of a web page."""
        if self._small(endpoint, self.post(endpoint, path, body, call)).lstrip()[:1] == b"<":
            raise self._no_json(endpoint, path, "an HTML page")

    def _json(self, endpoint: Endpoint, path: str, ask: Callable[[], bytes], *, may_lack: bool) -> object:
        try:
            content = ask()
            return read_json(content)
        except FailedAttempt as failed:
            if may_lack and failed.status in _LACKING:
                return None
            raise
        except orjson.JSONDecodeError:
            kind = "an HTML page" if content.lstrip()[:1] == b"<" else "not JSON"
        except TooDeepError as error:
            kind = str(error)
        raise self._no_json(endpoint, path, kind)

    def _no_json(self, endpoint: Endpoint, path: str, kind: str) -> FailedAttempt:
        return self.failures.bad(endpoint.url, f"what it has at {path} is {kind}; is this the URL of the service?")

    def close(self) -> None:
        self._transport.close()

    def _send(self, endpoint: Endpoint, asked: RedirectedRequest) -> httpx.Response:
        try:
            return self._transport.handle_request(asked.request)
        except httpx.TransportError as caught:
            failure = caught
        raise self.failures.lost(endpoint.url, asked.call, failure)

    def _refused(self, endpoint: Endpoint, response: httpx.Response, asked: RedirectedRequest) -> FailedAttempt:
        call = asked.call
        patience = call.silence_secs
        call.allow_silence(ERROR_BODY_SECS)
        told = b""
        try:
            for piece in limited(body(response), MAX_ERROR_BYTES):
                told += piece
            response.extensions["done"]()
        except (httpx.TransportError, MalformedError):
            pass  # the status says enough
        finally:
            response.close()
            call.allow_silence(patience)
        call.raise_if_over()
        headers = response.headers
        leads_to = asked.shown_target(headers.get("location", ""))
        return self.failures.refused(endpoint.url, response.status_code, told, retry_after_secs(headers), leads_to)


def body(response: httpx.Response) -> Iterable[bytes]:
    """The body of an answer, in the pieces in which it arrives."""
    assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - as handle_request() makes it
    return response.stream


def limited(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The same pieces. Raises MalformedError once they are over `limit` bytes together."""
    received = counted = 0
    with ExitStack() as memory:
        for piece in pieces:
            received += len(piece)
            if received > limit:
                raise MalformedError(f"it is over {limit} bytes long")
            if received > counted:
                memory.enter_context(memory_for(ANSWER_FACTOR * ANSWER_STEP_BYTES if counted else 0))
                counted += max(ANSWER_STEP_BYTES, len(piece))
            yield piece
