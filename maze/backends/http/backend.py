"""The backend for services over HTTP: one deadline, retries, fail-over, server-sent events, and errors of our own.

A call goes through these steps, each its own method: take a permit, choose an endpoint, ask it once what it speaks,
send the request, follow Modal to the result, read the events, check the whole. What fails on the way becomes a
`_FailedAttempt`, which knows whether another attempt can help, and is nowhere an exception of httpx: those would carry
the request and with it the key.
"""

from __future__ import annotations

import email.utils
import logging
import math
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeVar

import httpx
import orjson

from maze._version import __version__
from maze.backends.base import Cancellation, Completion, Deadline, Health, OnText, Request
from maze.backends.dialects.base import Dialect, Event, MalformedError, Reader
from maze.backends.dialects.llama_cpp import LlamaCppDialect
from maze.backends.dialects.maze import MazeDialect
from maze.backends.dialects.sglang import SglangDialect
from maze.backends.dialects.vllm import VllmDialect
from maze.backends.endpoints import Endpoint, Endpoints, Permits
from maze.backends.http.transport import CONNECT_SECS, Call, SocketTransport, TlsError
from maze.config import ModalConfig
from maze.errors import (
    BadResponseError,
    CancelledError,
    ConfigurationError,
    EngineUnavailableError,
    InvalidArgumentError,
    MazeError,
    RateLimitedError,
    RequestRejectedError,
    TimedOutError,
    UnauthorizedError,
)
from maze.threads import leave_signals_to_the_host

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (MazeDialect(), VllmDialect(), SglangDialect(), LlamaCppDialect())
}
_DIALECT_OF_OWNER = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama.cpp"}
"""`owned_by` in the answer of /v1/models."""

MAX_REDIRECTS = 20
"""Modal's limit on the chain of results."""
MAX_REASON_CHARACTERS = 500
"""How much of an engine's own error text goes into ours."""
MAX_ERROR_BYTES = 65536
"""How much of an answer that is an error is read."""
WHOLE_SECS = 300.0
"""How long a service that did not stream is asked for whole answers before streaming is tried again."""
VERSION_SECS = 2.0
"""Longest wait for the version of a service, which is only nice to have."""
MAX_EVENT_BYTES = 16 * 2**20
"""Longest event of a stream. The last one of llama.cpp repeats prompt and grammar."""
ERROR_BODY_SECS = 2.0
"""Longest silence within an answer that is an error."""
MAX_TOLD_VALUES = 64
MAX_TOLD_CHARACTERS = 200
"""How much of a service's own statistics goes into the provenance."""
SHOWN_OF_SECRET = 6
"""Most characters of a key that an error may show: "sk-" and the like are no secret, and occur in other words."""
MAX_DESCRIPTION_BYTES = 4 * 2**20
"""Longest answer to a question about the service: models, version, health."""

_RETRYABLE = frozenset({408, 429, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STATUS_OF_ERROR_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "rate_limit_error": 429,
    "engine_error": 503,
    "BadRequestError": 400,
}
"""For errors within a stream that carry no number: the types of the Maze service, and vLLM's."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient and how trusting the backend is."""

    attempts: int = 3
    """Rounds over the endpoints before a call fails."""
    first_backoff_secs: float = 0.5
    """Pause after the first round; each further one doubles it."""
    longest_backoff_secs: float = 8.0
    first_text_secs: float = math.inf
    """From sending a request to the first byte of its answer, and from there to its first text: both are queueing and
    prompt processing, and on Modal a cold start, so by default only the deadline of the call ends them."""
    gap_secs: float = 60.0
    """Longest silence once text has begun: a stalled stream ends with an error."""
    calls_under_way: int = 256
    """More wait their turn. vLLM decodes about as many at once."""
    answer_bytes: int = 64 * 2**20
    """Most bytes that one answer may hold."""


class _Again(Enum):
    """Whether another attempt can help."""

    NEVER = auto()
    ELSEWHERE = auto()
    """At another endpoint."""
    ONCE = auto()
    """A plain 500: one more time, as it may have been a hiccup, but not two."""
    YES = auto()


class _FailedAttempt(Exception):  # noqa: N818 - it is the outcome of an attempt; the error is what it carries
    """An attempt that failed: the error, and what can be done about it."""

    def __init__(
        self,
        error: MazeError,
        again: _Again = _Again.NEVER,
        *,
        retry_after: float | None = None,
        blames_endpoint: bool = False,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.again = again
        self.status: int | None = None
        """The HTTP status of the answer, if it was the answer that failed, and not something in it."""
        self.retry_after = retry_after
        """Seconds that the service asked to wait."""
        self.blames_endpoint = blames_endpoint
        """Whether the endpoint should rest."""


class _Journey:
    """A request on its way to its answer: a POST, and after a redirect the GETs that ask for its result."""

    def __init__(self, endpoint: Endpoint, request: httpx.Request, call: Call) -> None:
        self.endpoint = endpoint
        self.request = request
        self.call = call
        self.hops = 0
        self.trusted = True
        """Whether every URL so far was of the endpoint's origin; keys go nowhere else."""
        self.failures = 0
        """Failed polls of the result."""


class _Route:
    """What the requests to one endpoint have in common, made once."""

    def __init__(self, base: httpx.URL, headers: dict[str, str]) -> None:
        self.base = base
        self.headers = httpx.Headers(_host_header(base) | headers)
        self._post_headers = httpx.Headers([*self.headers.raw, (b"Content-Type", b"application/json")])
        self._urls: dict[str, httpx.URL] = {}

    def request(self, method: str, path: str, body: bytes, call: Call) -> httpx.Request:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(str(self.base).rstrip("/") + path)
        return _request(method, url, self._post_headers if body else self.headers, body, call)


class HttpBackend:
    """An inference service, or several of the same kind, over HTTP. Safe for use from many threads at once."""

    def __init__(
        self,
        config: ModalConfig,
        *,
        dialect: Dialect | None = None,
        limits: Limits | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._transport = transport or SocketTransport()
        dialect = dialect or (_DIALECTS[config.dialect] if config.dialect else None)
        self.name = dialect.backend if dialect else MazeDialect.backend
        self._endpoints = Endpoints([Endpoint(url, dialect) for url in config.endpoints])
        for endpoint in self._endpoints.all:
            endpoint.described = dialect is not None and not dialect.describes_models and dialect.version_path is None
        self._model = config.model
        self._permits = Permits(self._limits.calls_under_way)
        self._closing = Cancellation()
        """Ends questions about health and models, which have no caller's cancellation, when the backend is closed."""

        keys = (config.api_key, config.proxy_key, config.proxy_secret)
        self._secrets = [key.reveal() for key in keys if key]
        self._public_headers = {
            "User-Agent": f"libmaze/{__version__}",
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
        }
        names = ("Authorization", "Modal-Key", "Modal-Secret")
        values = (f"Bearer {keys[0].reveal()}", keys[1].reveal(), keys[2].reveal())
        private = {name: value for name, value, key in zip(names, values, keys, strict=True) if key}
        try:
            self._routes = {
                endpoint.url: _Route(httpx.URL(endpoint.url), self._public_headers | private)
                for endpoint in self._endpoints.all
            }
        except (httpx.InvalidURL, ValueError) as error:  # ValueError: host names that IDNA does not allow
            problem = (
                f"an endpoint is not a URL that can be used: {error}; give one such as https://name--maze.modal.run"
            )
            raise ConfigurationError(problem) from None

    # -------------------------------------------------------------------------------------------- the Backend protocol

    def generate(self, request: Request, on_text: OnText) -> Completion:
        """Generate at one of the endpoints. See `Backend.generate`."""
        if not self._permits.acquire(request.deadline, request.cancellation):
            request.cancellation.raise_if_cancelled()
            raise TimedOutError(
                f"no turn within {request.deadline.timeout_ms:.0f} ms: {self._limits.calls_under_way} calls were under "
                "way all the time; raise timeout_ms or send fewer calls at once"
            )
        try:
            return self._retry(
                lambda endpoint: self._generate_at(endpoint, request, on_text),
                self._endpoints,
                request.deadline,
                request.cancellation,
            )
        finally:
            self._permits.release()

    def health(self, deadline: Deadline) -> Health:
        """Ask every endpoint at once, each with one attempt. One that is ready is enough to generate."""
        reports = tuple(self._ask_each(lambda endpoint, asking: self._report(endpoint, Call(deadline, asking))))
        return Health(any(report["ready"] for report in reports), self.name, reports)

    def models(self, deadline: Deadline) -> tuple[str, ...]:
        """The models of all endpoints together, which are asked at once. Fails only if no endpoint answers."""

        def list_models(endpoint: Endpoint, asking: Cancellation) -> tuple[str, ...] | MazeError:
            try:
                return self._retry(
                    lambda chosen: self._list_models(chosen, Call(deadline, asking)),
                    Endpoints([endpoint]),
                    deadline,
                    asking,
                )
            except MazeError as error:
                return error

        names: dict[str, None] = {}
        failures: list[MazeError] = []
        for found in self._ask_each(list_models):
            if isinstance(found, MazeError):
                failures.append(found)
            else:
                names |= dict.fromkeys(found)
        if failures and not names:
            raise failures[0]
        return tuple(names)

    def _ask_each(self, ask: Callable[[Endpoint, Cancellation], _Result]) -> list[_Result]:
        """Ask every endpoint at once; close() ends it."""
        asking = Cancellation()
        forget = self._closing.on_cancel(lambda: asking.cancel("cancelled: libmaze was shut down during the call"))
        endpoints = self._endpoints.all
        with ThreadPoolExecutor(len(endpoints), "maze-ask", initializer=leave_signals_to_the_host) as pool:
            try:
                answers = list(pool.map(lambda endpoint: ask(endpoint, asking), endpoints))
            finally:
                asking.cancel("cancelled: nobody waits for the answer")  # after Ctrl-C, when the pool would wait for it
                forget()
        self._closing.raise_if_cancelled()
        return answers

    def close(self) -> None:
        """Close the idle connections, and end what is asked of the endpoints."""
        self._closing.cancel("cancelled: libmaze was shut down during the call")
        self._transport.close()

    # -------------------------------------------------------------------------------------------- attempts

    def _retry(
        self,
        attempt: Callable[[Endpoint], _Result],
        endpoints: Endpoints,
        deadline: Deadline,
        cancellation: Cancellation,
    ) -> _Result:
        """Attempt it at one endpoint after the other, in rounds with pauses between them."""
        rounds = 0
        attempts = 0
        once_more = True
        tried: set[Endpoint] = set()
        """In this round."""
        given_up: set[Endpoint] = set()
        endpoint = endpoints.choose()
        while True:
            assert endpoint is not None  # noqa: S101 - choose() without `tried` always finds one
            attempts += 1
            try:
                result = attempt(endpoint)
            except _FailedAttempt as caught:
                failure = caught
            else:
                endpoints.succeeded(endpoint)
                return result

            if failure.blames_endpoint:
                endpoints.failed(endpoint, failure.retry_after)
            tried.add(endpoint)
            failed_at = endpoint.url
            if failure.again is _Again.NEVER or (failure.again is _Again.ONCE and not once_more):
                break
            if failure.again is _Again.ELSEWHERE:
                given_up.add(endpoint)
            once_more = once_more and failure.again is not _Again.ONCE
            endpoint = endpoints.choose(tried)
            if endpoint is not None:
                _log.warning("%s; going on at %s", failure, endpoint.url)
                continue
            rounds += 1
            if len(given_up) == len(endpoints.all) or rounds >= self._limits.attempts:
                break
            pause = self._pause_secs(rounds, failure.retry_after)
            if pause >= deadline.remaining_secs():
                break
            _log.warning("%s; trying again in %.2f s", failure, pause)
            _wait(pause, deadline, cancellation)
            tried.clear()
            endpoint = endpoints.choose(given_up=given_up)
        _log.debug("giving up on %s after %d attempts", failed_at, attempts)
        if attempts == 1:
            raise failure.error
        error = failure.error
        raise type(error)(f"{error} (after {attempts} attempts)", partial_text=error.partial_text)

    def _pause_secs(self, failures: int, retry_after: float | None) -> float:
        if retry_after is not None:
            return retry_after
        limits = self._limits
        longest = min(limits.longest_backoff_secs, limits.first_backoff_secs * 2.0 ** (failures - 1))
        return random.uniform(longest / 2, longest)  # noqa: S311 - spreads retries; nothing is to be kept secret

    # -------------------------------------------------------------------------------------------- one generation

    def _generate_at(self, endpoint: Endpoint, request: Request, on_text: OnText) -> Completion:
        call = Call(request.deadline, request.cancellation)
        dialect = self._introduce(endpoint, call)
        model = request.model or self._model
        if model is None and dialect.needs_model:
            model = endpoint.models[0] if endpoint.models else None
            if model is None:
                raise self._unusable(f"{endpoint.url} lists no model; name one with MODAL_MODEL")
        try:
            body = orjson.dumps(dialect.fields(request, model, endpoint.vocabulary))
        except orjson.JSONEncodeError as error:
            raise InvalidArgumentError(f"the prompt, grammar or a stop text cannot be sent as JSON: {error}") from None

        streams = time.monotonic() >= endpoint.whole_until
        if streams or dialect.whole_path is None:
            try:
                return self._travel(endpoint, dialect, dialect.generate_path, body, request, model, on_text)
            except _FailedAttempt as failed:
                if failed.status not in (404, 405) or dialect.whole_path is None:
                    raise
        completion = self._travel(endpoint, dialect, dialect.whole_path, body, request, model, on_text)
        if streams:
            _log.info("%s does not stream: using %s", endpoint.url, dialect.whole_path)
            endpoint.whole_until = time.monotonic() + WHOLE_SECS
        return completion

    def _travel(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        path: str,
        body: bytes,
        request: Request,
        model: str | None,
        on_text: OnText,
    ) -> Completion:
        """Send the request and read its answer, wherever it is to be had in the end."""
        call = Call(request.deadline, request.cancellation)
        started = time.monotonic()
        journey = _Journey(endpoint, self._routes[endpoint.url].request("POST", path, body, call), call)
        while True:
            call.allow_silence(self._limits.first_text_secs)
            try:
                response = self._follow(journey)
                return self._read(endpoint, dialect, response, dialect.reader(request), call, model, on_text, started)
            except _FailedAttempt as caught:
                failure = caught
            if journey.hops == 0:
                raise failure
            # The service works on the request already: ask for its result again, but never send the request again.
            journey.failures += 1
            pause = self._pause_secs(journey.failures, failure.retry_after)
            if (
                failure.again in (_Again.NEVER, _Again.ELSEWHERE)
                or journey.failures >= self._limits.attempts
                or pause >= request.deadline.remaining_secs()
            ):
                raise _FailedAttempt(failure.error, blames_endpoint=failure.blames_endpoint)
            _log.warning("%s; asking for the result again in %.2f s", failure, pause)
            _wait(pause, request.deadline, request.cancellation)

    def _read(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        response: httpx.Response,
        reader: Reader,
        call: Call,
        model: str | None,
        on_text: OnText,
        started: float,
    ) -> Completion:
        """Read an answer of status 200 to its end, handing out its text, and look at the whole."""
        pieces: list[str] = []
        first_text_ms: float | None = None
        failure: _FailedAttempt | httpx.TransportError | MalformedError | None = None
        call.allow_silence(call.silence_secs)
        try:
            for piece in self._texts(endpoint, dialect, response, reader):
                _raise_if_over(call)  # much may have arrived before
                if first_text_ms is None:
                    first_text_ms = (time.monotonic() - started) * 1000
                pieces.append(piece)
                if on_text(piece) is False:
                    raise CancelledError("the caller ended the generation")
                call.allow_silence(self._limits.gap_secs)
            call.cancellation.raise_if_cancelled()
            text = "".join(pieces)
            reader.check(text)
            response.extensions["done"]()
        except (_FailedAttempt, httpx.TransportError, MalformedError) as caught:
            failure = caught
        except MazeError as error:
            error.partial_text = "".join(pieces)
            raise
        finally:
            response.close()

        if failure is not None:
            text = "".join(pieces)
            if isinstance(failure, httpx.TransportError):
                failure = self._lost(endpoint, call, failure, text)
            else:
                _raise_if_over(call, text)
                if isinstance(failure, MalformedError):
                    failure = _FailedAttempt(self._bad(endpoint, str(failure)))
            if text:
                failure.again = _Again.NEVER
                failure.error.partial_text = text
            raise failure
        assert reader.finish_reason is not None  # noqa: S101 - check() has looked
        engine: dict[str, Any] = {"endpoint": endpoint.url, "dialect": dialect.name}
        if endpoint.version is not None:
            engine["version"] = endpoint.version
        return Completion(
            text=text,
            finish_reason=reader.finish_reason,
            # A service that does not count sends about a token with each event.
            tokens_generated=len(pieces) if reader.tokens_generated is None else reader.tokens_generated,
            model=self._redacted(reader.model or model or ""),
            prompt_tokens=reader.prompt_tokens,
            first_token_ms=first_text_ms,
            engine=engine | {name: self._redacted_values(values) for name, values in reader.engine.items()},
        )

    def _texts(self, endpoint: Endpoint, dialect: Dialect, response: httpx.Response, reader: Reader) -> Iterator[str]:
        """The texts in an answer, as they arrive."""
        content_type = response.headers.get("content-type", "")
        kind = content_type.lower()
        if kind.startswith("application/json"):
            answer = _parsed(b"".join(_limited(_body(response), self._limits.answer_bytes)))
            if _is_error(answer):
                raise self._told_error(endpoint, answer)
            yield reader.feed_whole(answer)
            return
        if not kind.startswith("text/event-stream"):
            raise MalformedError(f"it is {_described_type(content_type)}, not a stream of events")
        ended = False
        for data in _events(_body(response), self._limits.answer_bytes):
            if data == b"[DONE]":
                ended = True
                break
            event = _parsed(data)
            if _is_error(event):
                raise self._told_error(endpoint, event)
            piece = reader.feed(event)
            if piece:
                yield piece
            if not dialect.ends_with_done and reader.finish_reason is not None:
                ended = True
                break
        if not ended:
            raise MalformedError("it ended without its last event" + (", [DONE]" if dialect.ends_with_done else ""))

    # -------------------------------------------------------------------------------------------- one exchange

    def _follow(self, journey: _Journey) -> httpx.Response:
        """Send the request of a journey and go where the answers lead; returns the answer of status 200."""
        while True:
            response = self._send(journey.endpoint, journey.request, journey.call)
            status = response.status_code
            if status == 200:
                return response
            # Only GETs are repeated elsewhere: 303 makes one of any request.
            if status == 303 or (status in _REDIRECTS and journey.request.method == "GET"):
                self._go_on(journey, response)
                continue
            raise self._refused(journey, response)

    def _send(self, endpoint: Endpoint, request: httpx.Request, call: Call) -> httpx.Response:
        try:
            return self._transport.handle_request(request)
        except httpx.TransportError as caught:
            failure = caught
        raise self._lost(endpoint, call, failure, "")

    def _go_on(self, journey: _Journey, response: httpx.Response) -> None:
        """Make the GET that a redirect asks for the next request of a journey."""
        endpoint = journey.endpoint
        location = response.headers.get("location", "")
        response.extensions["done"]()  # nobody reads the body of a redirect
        journey.hops += 1
        if journey.hops > MAX_REDIRECTS:
            raise _FailedAttempt(self._bad(endpoint, f"it redirects more than {MAX_REDIRECTS} times"))
        here = journey.request.url
        try:
            there = here.join(location)
            is_url = bool(location and there.scheme in ("http", "https") and there.host and not there.userinfo)
        except (httpx.InvalidURL, ValueError):  # ValueError: host names that IDNA does not allow, broken IPv6 addresses
            is_url = False
        if not is_url:
            raise _FailedAttempt(self._bad(endpoint, "it redirects to something that is no URL"))
        if here.scheme == "https" and there.scheme != "https":
            raise _FailedAttempt(self._bad(endpoint, "it redirects from https to http, which is not followed"))
        route = self._routes[endpoint.url]
        journey.trusted = journey.trusted and _origin(there) == _origin(route.base)
        headers = route.headers if journey.trusted else httpx.Headers(_host_header(there) | self._public_headers)
        journey.request = _request("GET", there, headers, b"", journey.call)
        journey.call.allow_silence(journey.call.silence_secs)

    def _ask(self, endpoint: Endpoint, path: str, call: Call) -> bytes:
        """GET something small."""
        request = self._routes[endpoint.url].request("GET", path, b"", call)
        response = self._follow(_Journey(endpoint, request, call))
        failure: httpx.TransportError | MalformedError
        try:
            body = b"".join(_limited(_body(response), MAX_DESCRIPTION_BYTES))
            response.extensions["done"]()
        except (httpx.TransportError, MalformedError) as caught:
            failure = caught
        else:
            return body
        finally:
            response.close()
        if isinstance(failure, MalformedError):
            raise _FailedAttempt(self._bad(endpoint, str(failure)))
        raise self._lost(endpoint, call, failure, "")

    def _ask_json(self, endpoint: Endpoint, path: str, call: Call) -> object:
        body = self._ask(endpoint, path, call)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
        kind = "an HTML page" if body.lstrip()[:1] == b"<" else "not JSON"
        raise _FailedAttempt(self._bad(endpoint, f"what it has at {path} is {kind}; is this the URL of the service?"))

    # -------------------------------------------------------------------------------------------- what an endpoint is

    def _introduce(self, endpoint: Endpoint, call: Call) -> Dialect:
        """Ask an endpoint what it is; only the first call does, the others wait for it."""
        if endpoint.dialect is not None and endpoint.described:
            return endpoint.dialect
        if not endpoint.asking.acquire(call.deadline, call.cancellation):
            call.cancellation.raise_if_cancelled()
            raise TimedOutError(f"{endpoint.url} did not say what it is within {call.deadline.timeout_ms:.0f} ms")
        try:
            if not endpoint.described:
                endpoint.dialect = self._describe(endpoint, call)
                endpoint.described = True
                self.name = endpoint.dialect.backend
                _log.info("%s speaks %s", endpoint.url, endpoint.dialect.name)
        finally:
            endpoint.asking.release()
        assert endpoint.dialect is not None  # noqa: S101 - set just now
        return endpoint.dialect

    def _describe(self, endpoint: Endpoint, call: Call) -> Dialect:
        """Find the dialect of an endpoint, and ask for the models and version that go with it."""
        dialect = endpoint.dialect
        models: object = None
        if dialect is None:
            models = self._ask_json_if_there(endpoint, "/v1/models", call)
            dialect = _DIALECTS[MazeDialect.name] if models is None else self._dialect_of(endpoint, models)
            if models is None:
                self._check_maze(endpoint, call)
        elif dialect.describes_models:
            models = self._ask_json(endpoint, dialect.models_path, call)
        if models is not None:
            try:
                endpoint.models = dialect.model_names(models)
            except MalformedError as error:
                problem = str(error)
            else:
                problem = ""
            if problem:
                raise _FailedAttempt(self._bad(endpoint, problem))
            endpoint.vocabulary = _vocabulary(models)
        if dialect.version_path is not None:
            endpoint.version = self._version(endpoint, dialect, call)
        return dialect

    def _ask_json_if_there(self, endpoint: Endpoint, path: str, call: Call) -> object:
        """None if the service has nothing at that path."""
        try:
            return self._ask_json(endpoint, path, call)
        except _FailedAttempt as failed:
            if failed.status not in (404, 405):
                raise
            return None

    def _dialect_of(self, endpoint: Endpoint, models: object) -> Dialect:
        entries = models.get("data") if type(models) is dict else None
        first = entries[0] if type(entries) is list and entries else None
        owner = first.get("owned_by") if type(first) is dict else None
        name = _DIALECT_OF_OWNER.get(owner) if type(owner) is str else None
        if name is None:
            raise self._unusable(
                f"{endpoint.url} has /v1/models but does not say which engine it is; set MAZE_DIALECT to vllm, sglang "
                "or llama.cpp"
            )
        return _DIALECTS[name]

    def _check_maze(self, endpoint: Endpoint, call: Call) -> None:
        """Make sure that there is a Maze service: it lists models as texts, or at least reports its health."""
        names = self._ask_json_if_there(endpoint, MazeDialect.models_path, call)
        if type(names) is list and all(type(name) is str for name in names):
            return
        health = self._ask_json_if_there(endpoint, MazeDialect.ready_path, call)
        if type(health) is dict and "status" in health:
            return
        raise self._unusable(
            f"{endpoint.url} is no inference service that libmaze knows: it has neither /v1/models, nor /models or "
            "/health of a Maze service; check the URL, or set MAZE_DIALECT"
        )

    def _version(self, endpoint: Endpoint, dialect: Dialect, call: Call) -> str | None:
        """The version of the service, which is nice to have."""
        assert dialect.version_path is not None  # noqa: S101 - the caller has looked
        short = Call(call.deadline, call.cancellation)
        short.allow_silence(VERSION_SECS)
        try:
            answer = self._ask_json(endpoint, dialect.version_path, short)
        except _FailedAttempt:
            return None
        version = answer.get(dialect.version_field) if type(answer) is dict else None
        return self._redacted(version[:100]) if type(version) is str else None

    def _list_models(self, endpoint: Endpoint, call: Call) -> tuple[str, ...]:
        dialect = self._introduce(endpoint, call)
        answer = self._ask_json(endpoint, dialect.models_path, call)
        try:
            return tuple(map(self._redacted, dialect.model_names(answer)))
        except MalformedError as error:
            problem = str(error)
        raise _FailedAttempt(self._bad(endpoint, problem))

    def _report(self, endpoint: Endpoint, call: Call) -> dict[str, Any]:
        """What `Health` says of an endpoint."""
        report: dict[str, Any] = {"endpoint": endpoint.url, "ready": False, "detail": "", "failures": endpoint.failures}
        try:
            dialect = self._introduce(endpoint, call)
            report |= {
                "dialect": dialect.name,
                "version": endpoint.version,
                "models": list(map(self._redacted, endpoint.models)),
            }
            answer = self._ask(endpoint, dialect.ready_path, call)
        except _FailedAttempt as failed:
            report["detail"] = str(failed.error)
        except MazeError as error:
            report["detail"] = str(error)
        else:
            report["ready"] = True
            told = self._redacted(_one_line(answer.decode(errors="replace")))
            report["detail"] = told[:MAX_REASON_CHARACTERS] or "ready"
        return report

    # -------------------------------------------------------------------------------------------- errors

    def _lost(self, endpoint: Endpoint, call: Call, failure: httpx.TransportError, text: str) -> _FailedAttempt:
        """What becomes of an error of the transport: the one place where errors of httpx become ours.

        Raises CancelledError if that is why the socket failed.
        """
        call.cancellation.raise_if_cancelled(text)
        if call.deadline.expired():
            # A service that hangs looks like this, so the next call had better go elsewhere.
            return _FailedAttempt(_past_deadline(call, text), blames_endpoint=not text)
        where = endpoint.url
        match failure:
            case httpx.ConnectTimeout():
                problem = f"{where} cannot be reached: {failure}, which is {CONNECT_SECS:g} s"
                return _FailedAttempt(EngineUnavailableError(problem), _Again.YES, blames_endpoint=True)
            case TlsError():
                problem = f"{where} cannot be trusted: {failure}"
                return _FailedAttempt(EngineUnavailableError(problem), _Again.ELSEWHERE, blames_endpoint=True)
            case httpx.ConnectError():
                problem = f"{where} cannot be reached: {failure}"
                return _FailedAttempt(EngineUnavailableError(problem), _Again.YES, blames_endpoint=True)
            case httpx.TimeoutException():
                return _FailedAttempt(self._silent(endpoint, call, text), blames_endpoint=True)
            case httpx.NetworkError():
                when = "while it answered" if text else "before it answered"
                problem = f"{where} went away {when}: {failure}"
                return _FailedAttempt(
                    EngineUnavailableError(problem, partial_text=text), _Again.YES, blames_endpoint=True
                )
            case _:
                return _FailedAttempt(self._bad(endpoint, str(failure)))

    def _silent(self, endpoint: Endpoint, call: Call, text: str) -> MazeError:
        what = "no further text" if text else "no text"
        return TimedOutError(f"{endpoint.url} sent {what} for {call.silence_secs:g} s", partial_text=text)

    def _unusable(self, problem: str) -> _FailedAttempt:
        return _FailedAttempt(ConfigurationError(problem), _Again.ELSEWHERE, blames_endpoint=True)

    def _bad(self, endpoint: Endpoint, problem: str) -> BadResponseError:
        return BadResponseError(self._redacted(f"the answer of {endpoint.url} is wrong: {problem}"))

    def _refused(self, journey: _Journey, response: httpx.Response) -> _FailedAttempt:
        """What becomes of an answer that is not 200."""
        call = journey.call
        patience = call.silence_secs
        call.allow_silence(ERROR_BODY_SECS)
        body = b""
        try:
            for piece in _body(response):
                body += piece
                if len(body) > MAX_ERROR_BYTES:
                    break
            else:
                response.extensions["done"]()
        except httpx.TransportError:
            pass  # the status says enough
        finally:
            response.close()
            call.allow_silence(patience)
        _raise_if_over(call)
        status = response.status_code
        failed = self._failed(journey.endpoint, status, _reason(body), _retry_after(response.headers))
        failed.status = status
        return failed

    def _told_error(self, endpoint: Endpoint, event: Event) -> _FailedAttempt:
        """What becomes of an error that comes as an answer of status 200, or within one."""
        error = event.get("error")
        details: Event = error if type(error) is dict else event
        status = details.get("code")
        if type(status) is not int or not 400 <= status <= 599:
            status = _STATUS_OF_ERROR_TYPE.get(str(details.get("type")), 500)
        return self._failed(endpoint, status, _told_reason(event), None)

    def _failed(self, endpoint: Endpoint, status: int, reason: str, retry_after: float | None) -> _FailedAttempt:
        """The meaning of each HTTP status."""
        where = endpoint.url
        said = self._redacted(reason)[:MAX_REASON_CHARACTERS]
        said = f" ({status}): {said}" if said else f" ({status})"
        error: MazeError
        if status in (401, 403):
            advice = "check MODAL_API_KEY" if self._secrets else "set MODAL_API_KEY"
            error = UnauthorizedError(f"{where} refused the key{said}; {advice}")
        elif status == 429:
            error = RateLimitedError(f"{where} asks for fewer requests{said}; wait, or send fewer at once")
        elif status in (408, 502, 503, 504):
            error = EngineUnavailableError(f"{where} is not ready{said}; try later")
        elif status >= 500:
            error = EngineUnavailableError(f"{where} failed{said}; its log says more")
        elif status >= 400:
            error = RequestRejectedError(f"{where} refused the request{said}")
        elif status >= 300:
            error = RequestRejectedError(
                f"{where} redirects the request elsewhere{said}; put the final URL of the service into MODAL_ENDPOINT"
            )
        else:
            error = self._bad(endpoint, f"its status is {status}, and only 200 has an answer")
        again = _Again.YES if status in _RETRYABLE else _Again.ONCE if status == 500 else _Again.NEVER
        blames = status >= 500 or (status == 429 and retry_after is not None)
        return _FailedAttempt(error, again, retry_after=retry_after, blames_endpoint=blames)

    def _redacted(self, text: str) -> str:
        """Services have been seen to repeat the key that they refuse; cutting what they say may leave its beginning."""
        for secret in self._secrets:
            # As it is, and as repr() shows it.
            for shown in {secret, repr(secret)[1:-1]}:
                text = _without(shown, text)
        return text

    def _redacted_values(self, values: dict[str, Any]) -> dict[str, Any]:
        """What a service tells of a call; only what is flat and short, so that the record of it stays so."""
        return {
            self._redacted(name)[:MAX_TOLD_CHARACTERS]: self._redacted(value)[:MAX_TOLD_CHARACTERS]
            if type(value) is str
            else value
            for name, value in list(values.items())[:MAX_TOLD_VALUES]
            if type(value) in (str, int, float, bool)
        }


# ------------------------------------------------------------------------------------------------ small parts


def _raise_if_over(call: Call, text: str = "") -> None:
    call.cancellation.raise_if_cancelled(text)
    if call.deadline.expired():
        raise _past_deadline(call, text)


def _past_deadline(call: Call, text: str) -> TimedOutError:
    return TimedOutError(
        f"no complete answer within {call.deadline.timeout_ms:.0f} ms; raise timeout_ms or lower max_tokens",
        partial_text=text,
    )


def _without(secret: str, text: str) -> str:
    """`text` with *** in place of `secret`, of its beginning where it was cut, and in whatever case."""
    found = re.compile(re.escape(secret[: SHOWN_OF_SECRET + 1]), re.IGNORECASE)
    parts: list[str] = []
    at = 0
    for match in found.finditer(text):
        if match.start() < at:
            continue
        end = match.end()
        while end - match.start() < len(secret) and text[end : end + 1].lower() == secret[end - match.start()].lower():
            end += 1
        parts += (text[at : match.start()], "***")
        at = end
    return "".join([*parts, text[at:]])


def _wait(secs: float, deadline: Deadline, cancellation: Cancellation) -> None:
    """Sleep, unless the call is cancelled."""
    wake = threading.Event()
    forget = cancellation.on_cancel(wake.set)
    wake.wait(min(secs, deadline.remaining_secs()))
    forget()
    cancellation.raise_if_cancelled()


def _request(method: str, url: httpx.URL, headers: httpx.Headers, body: bytes, call: Call) -> httpx.Request:
    # With `content=` httpx would make up headers for each request, which takes longer than sending it.
    return httpx.Request(method, url, headers=headers, stream=httpx.ByteStream(body), extensions={"call": call})


def _host_header(url: httpx.URL) -> dict[str, str]:
    return {"Host": url.netloc.decode("ascii")}


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port  # httpx drops default ports


def _body(response: httpx.Response) -> Iterable[bytes]:
    assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - as handle_request() makes it
    return response.stream


def _limited(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    received = 0
    for piece in pieces:
        received += len(piece)
        if received > limit:
            raise MalformedError(f"it is over {limit} bytes long")
        yield piece


def _events(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The data of server-sent events: all that JSON services use of that format."""
    data: list[bytes] = []
    begun: list[bytes] = []
    """The pieces of a line that has not ended."""
    begun_bytes = 0
    for piece in _limited(pieces, limit):
        # As most services send it, a chunk is an event; that needs no search for its lines.
        is_whole_event = piece.startswith(b"data: ") and piece.endswith(b"\n\n") and piece.count(b"\n") == 2
        if is_whole_event and not begun_bytes and not data:
            yield piece[6:-2]
            continue
        begun.append(piece)
        begun_bytes += len(piece)
        if b"\n" not in piece:
            if begun_bytes > MAX_EVENT_BYTES:
                raise MalformedError(f"an event of it is over {MAX_EVENT_BYTES} bytes long")
            continue
        *lines, rest = b"".join(begun).split(b"\n")
        begun, begun_bytes = [rest], len(rest)
        for line in lines:
            field, _, value = line.removesuffix(b"\r").partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"error":  # llama.cpp
                yield b'{"error":' + value + b"}"
            elif not field and not value:
                if data:
                    yield b"\n".join(data)
                    data = []
            elif field not in (b"", b"event", b"id", b"retry"):
                raise MalformedError(f"it has a line that is no server-sent event: {line[:60]!r}")
    if any(begun):
        raise MalformedError("it was cut off within an event")
    if data:
        yield b"\n".join(data)


def _parsed(data: bytes) -> Event:
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    else:
        if type(event) is not dict:
            raise MalformedError("an event of it is JSON, but not an object")
        return event
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        problem = f"it is not UTF-8: {error.reason} at byte {error.start} of an event"
    else:
        problem = (
            "it is an HTML page" if text.lstrip().startswith("<") else f"an event of it is not JSON: {text[:60]!r}"
        )
    raise MalformedError(problem)


def _is_error(event: Event) -> bool:
    return event.get("error") is not None or event.get("object") == "error"


def _described_type(content_type: str) -> str:
    if content_type.lower().startswith("text/html"):
        return "an HTML page"
    return f"of type {content_type[:60]!r}" if content_type else "of no stated type"


def _reason(body: bytes) -> str:
    """What the body of an error says, in any of the shapes that engines use."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode(errors="replace")
        return "an HTML page" if text.lstrip().startswith("<") else _one_line(text)
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
    return _one_line(told) if type(told) is str else ""


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MAX_REASON_CHARACTERS]).split())


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that the service asks to wait; None if it does not, or not in a way that can be read."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            secs = float(value) * unit
        except ValueError:
            continue
        return secs if 0 <= secs < math.inf else None
    try:
        at = email.utils.parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
    except (ValueError, OverflowError):  # no date, or one beyond the year 9999 in the local time zone
        return None
    return max(0.0, at - time.time())


def _vocabulary(models: object) -> int | None:
    """Size of the vocabulary, as llama.cpp tells it: `data[0].meta.n_vocab`."""
    try:
        size = models["data"][0]["meta"]["n_vocab"]  # type: ignore[index] # what is no such thing is caught
    except (KeyError, IndexError, TypeError):
        return None
    return size if type(size) is int and size > 0 else None
