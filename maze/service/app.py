"""The Maze service: offers any Backend over HTTP, by the Maze contract.

    POST /generate          one answer
    POST /generate/stream   server-sent events
    GET  /health            200 when ready, 503 before; needs no key, so that a load balancer can ask
    GET  /models            names, as a bare array
    GET  /metrics           Prometheus text

Backends block a thread for each generation. There are exactly `max_concurrent` such threads; who comes when all are
busy waits in a queue of `max_queue` places, and who comes when that is full is told to come again later.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Generic, TypeVar

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maze._version import __version__
from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Backend, Cancellation, Deadline
from maze.backends.base import Request as EngineRequest
from maze.cache import ConstraintCache
from maze.check.validation import validate
from maze.config import DEFAULT_CACHE_SIZE_LIMIT, DEFAULT_MODAL_MODEL, NO_SECRET, Secret
from maze.errors import CancelledError, ConstraintViolatedError, MazeError, TimedOutError, TruncatedError
from maze.grammar import compile_constraints
from maze.service.contract import (
    CLIENT_CLOSED_REQUEST,
    Answer,
    Ask,
    Refusal,
    checked_request_id,
    new_request_id,
    over_limit,
    read_request,
    refusal_of,
)
from maze.service.metrics import Metrics
from maze.types import CompiledConstraints

_log = logging.getLogger(__name__)

PROBE_FRESH_SECS = 1.0
"""How long an answer of the engine about its health or models is passed on, so that askers cannot overload it."""
PROBE_TIMEOUT_SECS = 5.0
"""Longest wait for such an answer."""
MAX_RETRY_AFTER_SECS = 60
CANCEL_GRACE_SECS = 5.0
"""How long an engine may take to let go of a cancelled generation when the service stops."""

_ROUTES = ("/generate", "/generate/stream", "/health", "/models", "/metrics")
_OPEN_ROUTES = frozenset({"/health"})
_CLIENT_LEFT = "cancelled: the client closed its connection"
_STOPPING = "the service is stopping; try again, another instance may answer"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Limits and key of a service."""

    api_key: Secret = NO_SECRET
    """What clients must send as bearer token; empty: nothing is asked for."""
    max_concurrent: int = 8
    """Generations under way at once: what the engine can do well."""
    max_queue: int = 64
    """Generations that may wait for one of these; more get 429."""
    max_body_bytes: int = 8 * 2**20
    max_prompt_bytes: int = 2**20
    max_tokens: int = 8192
    """The most that one request may ask for."""
    request_timeout_secs: float = 300.0
    """For a whole generation, waiting in the queue included."""
    client_timeout_secs: float = 30.0
    """Longest wait for a client to send its body, or to take a piece of the answer."""
    stop_grace_secs: float = 20.0
    """How long generations may go on once the service stops; then they are cancelled."""
    cache_size_limit: int = DEFAULT_CACHE_SIZE_LIMIT
    """Compiled constraints kept."""


def create_app(backend: Backend, settings: ServiceSettings) -> Starlette:
    """Make the ASGI app that offers `backend`. The caller closes the backend after the app has shut down.

    `app.state.service` is the Service, for whoever runs the app: begin_stop() and drained() make a graceful stop.
    """
    service = Service(backend, settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        service.wake_engine()
        try:
            yield
        finally:
            service.begin_stop()
            await service.drained()
            service.close()

    app = Starlette(
        routes=[
            Route("/generate", service.generate, methods=["POST"]),
            Route("/generate/stream", service.stream, methods=["POST"]),
            Route("/health", service.health, methods=["GET"]),
            Route("/models", service.models, methods=["GET"]),
            Route("/metrics", service.metrics_text, methods=["GET"]),
        ],
        middleware=[Middleware(_Boundary, service=service)],
        exception_handlers={HTTPException: _routing_error},
        lifespan=lifespan,
    )
    app.state.service = service
    return app


class Service:
    """The engine with its slots, queue, cache of compiled constraints and metrics. Lives on one event loop."""

    def __init__(self, backend: Backend, settings: ServiceSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._backend = backend
        self._cache = ConstraintCache(settings.cache_size_limit, enabled=True)
        self._workers = ThreadPoolExecutor(settings.max_concurrent, "maze-generate")
        self._askers = ThreadPoolExecutor(2, "maze-ask")
        self._slots = _Slots(settings.max_concurrent, settings.max_queue)
        self._health = _Probe(self._askers, backend.health)
        self._models = _Probe(self._askers, backend.models)
        self._model_names: tuple[str, ...] = ()
        self._under_way: set[Cancellation] = set()
        self._stopping = False
        self._something_ended = asyncio.Event()
        self.metrics.watch(running=lambda: self._slots.taken, queued=lambda: self._slots.queued)

    def wake_engine(self) -> None:
        """Ask the engine for its health without waiting, which makes one that loads when first used load now."""
        self._health.start()

    # -------------------------------------------------------------------------------------------- routes

    async def generate(self, request: Request) -> Response:
        ask = await self._read(request)
        async with self._generation(ask, request.receive) as generation:
            answer = await generation.answer()
        return _json(answer.shape())

    async def stream(self, request: Request) -> ASGIApp:
        ask = await self._read(request)

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            async with self._generation(ask, receive) as generation:
                await _send_events(generation, scope, send, self.settings.client_timeout_secs)

        return respond

    async def health(self, _: Request) -> Response:
        if self._stopping:
            return self._not_ready("stopping", _STOPPING)
        try:
            health = await self._health.ask()
            if not health.ready:
                return self._not_ready("loading", "the engine is not ready yet; try again")
            models = await self._models.ask()
        except MazeError as error:
            _log.warning("health: %s: %s", error.status.name, error)
            return self._not_ready("unavailable", "the engine cannot be reached; the log of the service tells why")
        model = models[0] if models else None
        return _json({"status": "ok", "model": model, "backend": self._backend.name, "version": __version__})

    async def models(self, _: Request) -> Response:
        return _json(list(await self._models.ask()))

    async def metrics_text(self, _: Request) -> Response:
        return Response(self.metrics.text(), media_type=self.metrics.CONTENT_TYPE)

    def _not_ready(self, status: str, message: str) -> Response:
        refusal = Refusal(503, "engine_unavailable", message, retryable=True)
        shape = {"status": status, "model": None, "backend": self._backend.name, "error": refusal.shape()}
        return _json(shape, 503, {"Retry-After": "1"})

    # -------------------------------------------------------------------------------------------- stopping

    def begin_stop(self) -> None:
        """Answer new requests with 503, and cancel those under way when the grace time is over."""
        if self._stopping:
            return
        self._stopping = True
        _log.info("stopping; %d generations under way", len(self._under_way))
        asyncio.get_running_loop().call_later(self.settings.stop_grace_secs, self.cancel_all)

    def cancel_all(self) -> None:
        """Cancel every generation under way or waiting."""
        for cancellation in list(self._under_way):
            cancellation.cancel(f"cancelled: {_STOPPING}")

    async def drained(self) -> None:
        """After begin_stop(): wait until nothing is under way, or an engine that does not let itself be cancelled."""
        try:
            async with asyncio.timeout(self.settings.stop_grace_secs + CANCEL_GRACE_SECS):
                while self._under_way or self._slots.taken:
                    self._something_ended.clear()
                    await self._something_ended.wait()
        except TimeoutError:
            _log.error("%d generations did not end when they were cancelled", self._slots.taken)

    def close(self) -> None:
        """Let the threads go."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._askers.shutdown(wait=False, cancel_futures=True)
        self._cache.clear()

    # -------------------------------------------------------------------------------------------- inside

    async def _read(self, request: Request) -> Ask:
        """Read a request to generate within the limits. Raises Refusal."""
        self._refuse_if_stopping()
        ask = read_request(
            await self._body(request),
            request.state.request_id,
            max_tokens=self.settings.max_tokens,
            max_prompt_bytes=self.settings.max_prompt_bytes,
        )
        request.state.request_id = ask.request_id
        return replace(ask, model=await self._known_model(ask.model))

    def _refuse_if_stopping(self) -> None:
        if self._stopping:
            raise Refusal(503, "engine_unavailable", _STOPPING, retryable=True, headers={"Retry-After": "1"})

    async def _known_model(self, model: str | None) -> str | None:
        """The model to ask the engine for; None for its own. Raises Refusal for one that it does not have."""
        if model is None:
            return None
        # Clients of the original Maze send one name whatever the service runs. It is no reason to ask the engine again.
        if not self._model_names or model not in (*self._model_names, DEFAULT_MODAL_MODEL):
            self._model_names = await self._models.ask()
        if model in self._model_names:
            return model
        if model == DEFAULT_MODAL_MODEL:
            return None
        known = ", ".join(self._model_names) or "none"
        raise Refusal(400, "invalid_argument", f"there is no model {model[:200]!r}; there are: {known}", param="model")

    async def _body(self, request: Request) -> bytes:
        limit = self.settings.max_body_bytes
        # The rest of a body that is refused is not read, so the connection cannot be used again.
        refused = over_limit(f"the body is longer than {limit} bytes", http_status=413)
        refused.headers["Connection"] = "close"
        announced = request.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced[:20]) > limit:
            raise refused
        body = bytearray()
        try:
            async with asyncio.timeout(self.settings.client_timeout_secs):
                async for piece in request.stream():
                    body += piece
                    if len(body) > limit:
                        raise refused
        except TimeoutError:
            problem = f"the body did not arrive within {self.settings.client_timeout_secs:g} seconds"
            raise Refusal(408, "timed_out", problem, retryable=True, headers={"Connection": "close"}) from None
        return bytes(body)

    @asynccontextmanager
    async def _generation(self, ask: Ask, receive: Receive) -> AsyncIterator[_Generation]:
        """Wait for a slot and start generating; on leaving, whatever the reason, the engine stops at once."""
        self._refuse_if_stopping()  # again: reading the body took its time
        deadline = Deadline(self.settings.request_timeout_secs * 1000)
        cancellation = Cancellation()
        self._under_way.add(cancellation)
        watcher = asyncio.create_task(_cancel_when_client_leaves(receive, cancellation))
        try:
            queued = perf_counter()
            await self._slots.acquire(cancellation, deadline)
            queue_ms = _ms_since(queued)
            self.metrics.queue_seconds.observe(queue_ms / 1000)
            generation = _Generation(ask, deadline, cancellation)
            generation.start(self._workers, lambda: self._work(generation, queue_ms), self._release)
            yield generation
        finally:
            watcher.cancel()
            cancellation.cancel("cancelled: nobody waits for the answer")
            self._under_way.discard(cancellation)
            self._something_ended.set()

    def _release(self, busy_secs: float) -> None:
        self._slots.release(busy_secs)
        self._something_ended.set()

    def _work(self, generation: _Generation, queue_ms: float) -> Answer:
        """Compile, generate and check, in a thread of its own. Raises MazeError."""
        ask = generation.ask
        started = perf_counter()
        compiled = self._compile(ask)
        compile_ms = _ms_since(started)

        request = EngineRequest(
            prompt=ask.prompt,
            grammar=compiled.grammar,
            token_mask=compiled.token_mask,
            max_tokens=ask.max_tokens,
            temperature=ask.temperature,
            top_p=ask.top_p,
            top_k=ask.top_k,
            seed=ask.seed,
            stop=ask.stop,
            model=ask.model,
            request_id=ask.request_id,
            deadline=generation.deadline,
            cancellation=generation.cancellation,
        )
        request.raise_if_over()
        try:
            completion = self._backend.generate(request, generation.on_text)
        except (TruncatedError, ConstraintViolatedError) as error:
            # A Maze service upstream says so of a text that it has checked: in this contract that is an answer.
            cut_off = isinstance(error, TruncatedError)
            answer = Answer(
                text=error.partial_text,
                request_id=ask.request_id,
                model=ask.model,
                finish_reason=FINISHED_LENGTH if cut_off else FINISHED_STOP,
                constraint_satisfied=False,
                total_ms=queue_ms + _ms_since(started),
                queue_ms=queue_ms,
                compile_ms=compile_ms,
            )
        else:
            checked = perf_counter()
            satisfied = validate(completion.text.encode(), compiled).all_satisfied
            answer = Answer(
                text=completion.text,
                request_id=ask.request_id,
                model=completion.model,
                finish_reason=completion.finish_reason,
                constraint_satisfied=satisfied,
                total_ms=queue_ms + _ms_since(started),
                queue_ms=queue_ms,
                compile_ms=compile_ms,
                validation_ms=_ms_since(checked),
                tokens_generated=completion.tokens_generated,
                prompt_tokens=completion.prompt_tokens,
                first_token_ms=completion.first_token_ms,
            )
        self.metrics.count(answer)
        return answer

    def _compile(self, ask: Ask) -> CompiledConstraints:
        constraints = [] if ask.constraints is None else [ask.constraints]
        try:
            compiled, _ = self._cache.get_or_compile(
                ask.constraints_key, lambda: compile_constraints(constraints, ask.language)
            )
        except MazeError as error:
            raise refusal_of(error, "constraints") from error
        return compiled


class _Generation:
    """One generation: a worker thread drives it, the event loop takes its pieces."""

    def __init__(self, ask: Ask, deadline: Deadline, cancellation: Cancellation) -> None:
        self.ask = ask
        self.deadline = deadline
        self.cancellation = cancellation
        self._loop = asyncio.get_running_loop()
        # Not bounded: max_tokens bounds it, and a slow reader must not hold a slot of the engine.
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self._work: asyncio.Future[Answer]

    def start(self, workers: ThreadPoolExecutor, work: Callable[[], Answer], ended: Callable[[float], None]) -> None:
        """Run `work` in a thread; `ended` is told the seconds it took when the thread is free again."""
        started = perf_counter()

        def finish(done: asyncio.Future[Answer]) -> None:
            if not done.cancelled():
                done.exception()  # taken note of, even if the handler has gone
            self._pieces.put_nowait(None)
            ended(perf_counter() - started)

        self._work = self._loop.run_in_executor(workers, work)
        self._work.add_done_callback(finish)

    def on_text(self, text: str) -> bool:
        """Take a piece from the worker thread."""
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, text)
        return not self.cancellation.cancelled

    async def pieces(self) -> AsyncIterator[str]:
        """The text as it arrives; ends when the work has ended, well or not, or was cancelled."""
        while (piece := await self._pieces.get()) is not None and not self.cancellation.cancelled:
            yield piece
            # Neither get() nor send() let go of the loop while there is something to take and room to put it; others,
            # and what watches for the client to leave, must have their turn.
            await asyncio.sleep(0)

    async def answer(self) -> Answer:
        """Wait for the end. Raises what the work raised."""
        # Shielded: a cancelled handler must not mark the slot as free while the thread is still in it.
        try:
            return await asyncio.shield(self._work)
        except MazeError:
            # Cancelling wakes backends in rough ways, such as a closed socket: the reason is what counts.
            self.cancellation.raise_if_cancelled()
            raise


async def _cancel_when_client_leaves(receive: Receive, cancellation: Cancellation) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    cancellation.cancel(_CLIENT_LEFT)


def _ms_since(start: float) -> float:
    return (perf_counter() - start) * 1000


# ------------------------------------------------------------------------------------------------ slots


class _Slots:
    """Who may use the engine now, and who waits, first come first served. For one event loop."""

    def __init__(self, slots: int, places: int) -> None:
        self._slots = slots
        self._places = places
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mean_busy_secs = 1.0

    @property
    def queued(self) -> int:
        return len(self._waiting)

    async def acquire(self, cancellation: Cancellation, deadline: Deadline) -> None:
        """Take a slot, waiting for one. Raises Refusal if too many wait already, else as Request.raise_if_over()."""
        if self.taken < self._slots:
            self.taken += 1
            return
        if len(self._waiting) >= self._places:
            raise Refusal(
                429,
                "rate_limited",
                f"{self.taken} generations are under way and {len(self._waiting)} wait; come again later",
                retryable=True,
                headers={"Retry-After": str(self._expected_wait_secs())},
            )
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()

        def end_wait() -> None:
            if not turn.done():
                turn.set_exception(CancelledError("cancelled while waiting for the engine"))

        def wake() -> None:
            loop.call_soon_threadsafe(end_wait)

        forget = cancellation.on_cancel(wake)
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(deadline.remaining_secs()):
                await turn
        except BaseException as error:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_on()  # the slot came while we were leaving
            if isinstance(error, TimeoutError):
                problem = f"no slot became free within {deadline.timeout_ms:.0f} ms; the service has too much to do"
                raise TimedOutError(problem) from None
            cancellation.raise_if_cancelled()
            raise
        finally:
            forget()

    def release(self, busy_secs: float) -> None:
        """Give a slot back after using it for `busy_secs`."""
        self._mean_busy_secs += 0.2 * (busy_secs - self._mean_busy_secs)
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1

    def _expected_wait_secs(self) -> int:
        expected = self._mean_busy_secs * (len(self._waiting) + 1) / self._slots
        return max(1, min(MAX_RETRY_AFTER_SECS, math.ceil(expected)))


_T = TypeVar("_T")


class _Probe(Generic[_T]):
    """Asks the engine something in a thread. Who asks meanwhile or shortly after gets the same answer."""

    def __init__(self, threads: ThreadPoolExecutor, ask: Callable[[Deadline], _T]) -> None:
        self._threads = threads
        self._ask = ask
        self._asked_at = -math.inf
        self._asking: asyncio.Future[_T] | None = None

    async def ask(self) -> _T:
        """The engine's answer. Raises MazeError."""
        if self._asking is None or (self._asking.done() and perf_counter() - self._asked_at > PROBE_FRESH_SECS):
            return await asyncio.shield(self.start())
        return await asyncio.shield(self._asking)

    def start(self) -> asyncio.Future[_T]:
        """Ask now."""
        self._asked_at = perf_counter()
        self._asking = asyncio.get_running_loop().run_in_executor(
            self._threads, self._ask, Deadline(PROBE_TIMEOUT_SECS * 1000)
        )
        self._asking.add_done_callback(lambda done: done.cancelled() or done.exception())  # if nobody waits any more
        return self._asking


# ------------------------------------------------------------------------------------------------ the boundary


class _Boundary:
    """Around every request: its id, its key, its error if it has one, its line in the log and in the metrics."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

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
            await self._admit(request)
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 - whatever it was, the client gets an answer and the log a line
            refusal = _refusal(error, state.request_id)
            if http_status == 0:
                await _error_response(refusal)(scope, receive, send_with_id)
            state.failure = refusal
        failure: Refusal | None = state.failure
        outcome = failure.http_status if failure else http_status
        route = scope["path"] if scope["path"] in _ROUTES else "other"
        took_secs = perf_counter() - started
        self._service.metrics.requests.labels(route, str(outcome)).inc()
        self._service.metrics.request_seconds.labels(route).observe(took_secs)
        _log.info(
            "%s %s %s %d %.0f ms%s",
            state.request_id,
            scope["method"],
            route,
            outcome,
            took_secs * 1000,
            f" {failure.code}: {failure.message}" if failure else "",
        )

    async def _admit(self, request: Request) -> None:
        """Raise Refusal for a request of two lengths, without the key, or with an id that cannot be echoed."""
        if "Content-Length" in request.headers and "Transfer-Encoding" in request.headers:
            # A proxy before us may believe the other one, and take a part of the body for the next request.
            problem = "Content-Length and Transfer-Encoding exclude each other"
            raise Refusal(400, "invalid_argument", problem, headers={"Connection": "close"})
        given_id = request.headers.get("X-Request-Id")
        if given_id is not None:
            request.state.request_id = checked_request_id(given_id, "X-Request-Id")
        key = self._service.settings.api_key
        if key and request.scope["path"] not in _OPEN_ROUTES and not _has_key(request, key):
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


def _refusal(error: Exception, request_id: str) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ClientDisconnect) or (isinstance(error, CancelledError) and str(error) == _CLIENT_LEFT):
        return Refusal(CLIENT_CLOSED_REQUEST, "cancelled", _CLIENT_LEFT)
    if isinstance(error, MazeError):
        return refusal_of(error)
    _log.error("request %s hit a defect", request_id, exc_info=error)
    return Refusal(500, "internal_error", f"a defect in the service; its log tells more under {request_id}")


def _routing_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    code, message = {
        404: ("not_found", f"there is no such path; the paths are {', '.join(_ROUTES)}"),
        405: ("method_not_allowed", "this path does not take this method"),
    }.get(error.status_code, ("invalid_argument", error.detail))
    return _error_response(Refusal(error.status_code, code, message, headers=error.headers))


def _error_response(refusal: Refusal) -> Response:
    return _json({"error": refusal.shape()}, refusal.http_status, refusal.headers)


def _json(value: object, http_status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), http_status, headers, "application/json")


# ------------------------------------------------------------------------------------------------ events


async def _send_events(generation: _Generation, scope: Scope, send: Send, client_timeout_secs: float) -> None:
    """Answer with server-sent events.

    The answer begins with the first piece of text, so a failure before it is still a plain error with its own status.
    """
    pieces = generation.pieces()
    first = await anext(pieces, None)
    if first is None:
        await generation.answer()  # raises before anything is sent if there is no answer

    async def send_body(body: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(client_timeout_secs):
                await send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError:
            raise ClientDisconnect from None  # it is there, but does not read

    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"no"),  # nginx would collect the pieces otherwise
            ],
        }
    )
    try:
        if first is not None:
            await send_body(_event({"token": first, "done": False}))
            async for piece in pieces:
                await send_body(_event({"token": piece, "done": False}))
        ending = {"token": "", "done": True, **(await generation.answer()).shape()}
    except ClientDisconnect:
        raise
    except Exception as error:  # noqa: BLE001 - the status is sent; the error must travel as an event
        refusal = _refusal(error, generation.ask.request_id)
        Request(scope).state.failure = refusal
        ending = {"error": refusal.shape(), "done": True}
    await send_body(_event(ending) + b"data: [DONE]\n\n", more=False)


def _event(fields: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"
