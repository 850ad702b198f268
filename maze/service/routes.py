"""The routes of the Maze service.

POST /generate          one answer
POST /generate/stream   server-sent events
POST /v1/chat/completions, /generate/constrained, /generate/unconstrained, /generate_api, /
                        the same for Ananke's programs, in their words
GET  /health            200 when ready, 503 before; needs no key, so that a load balancer can ask
GET  /models            names, as a bare array
GET  /metrics           Prometheus text
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from time import perf_counter

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from maze._version import __version__
from maze.backends.base import Cancellation, Deadline, OnText
from maze.check.cut_off import Judgement
from maze.compiled import CompiledConstraints
from maze.config import DEFAULT_MODAL_MODEL
from maze.errors import MazeError
from maze.orchestrator import Orchestrator
from maze.service.ananke import Form
from maze.service.ananke_answers import ChatChunks, MazeEvents, shaped
from maze.service.compiler import Compiler
from maze.service.contract import Answer, GenerateRequest, RequestLimits, Waits, answer_of
from maze.service.events import send_events
from maze.service.metrics import Metrics
from maze.service.probe import Probe
from maze.service.refusal import CLIENT_LEFT, Refusal, invalid, over_limit
from maze.service.settings import ServiceSettings
from maze.service.slots import Generation, Slots
from maze.service.turns import until
from maze.service.worker import ReadTask
from maze.service.workers import Workers

_log = logging.getLogger(__name__)

CANCEL_GRACE_SECS = 5.0
"""How long an engine may take to let go of a cancelled generation when the service stops."""

LARGE_BODY_BYTES = 16 * 1024
"""Bodies beyond it are read by a worker. Not in a thread here: it would have the interpreter when the machine lets
others work for a while, and nobody would be answered meanwhile. 16 KB take up to 4 ms."""

MAX_UNREAD_BYTES = 256 * 2**20
"""Memory for bodies that are on their way or have not been read, of all clients together."""

_STOPPING = "the service is stopping; try again, another instance may answer"


class Service:
    """Takes requests to the Orchestrator and its results to the clients. Lives on one event loop."""

    def __init__(self, orchestrator: Orchestrator, settings: ServiceSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.routes = [
            Route("/generate", self.generate, methods=["POST"]),
            Route("/generate/stream", self.stream, methods=["POST"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/generate/constrained", self.evaluation, methods=["POST"]),
            Route("/generate/unconstrained", self.evaluation, methods=["POST"]),
            Route("/generate_api", self.function, methods=["POST"]),
            Route("/", self.function, methods=["POST"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/models", self.models, methods=["GET"]),
            Route("/metrics", self.metrics_text, methods=["GET"]),
        ]
        self._maze = orchestrator
        most_tokens, default_tokens = settings.max_tokens, orchestrator.config.max_tokens
        self._limits = RequestLimits(settings.max_prompt_bytes, most_tokens, default_tokens)
        self._slots = Slots(settings.max_concurrent, settings.max_queue)
        self._workers = Workers()
        self._probe_threads = ThreadPoolExecutor(2, "maze-probe")
        self._health = Probe(self._probe_threads, orchestrator.health)
        self._models = Probe(self._probe_threads, orchestrator.models)
        self._model_names: tuple[str, ...] = ()
        self._under_way: set[Cancellation] = set()
        self._unread_bytes = 0
        self._stopping = False
        self._something_ended = asyncio.Event()
        self.metrics.watch(
            running=lambda: self._slots.taken,
            queued=lambda: self._slots.queued,
            compiling=lambda: self._workers.running,
            to_compile=lambda: self._workers.waiting,
        )

    def start(self) -> None:
        """Get ready for the first request, on the event loop.

        The engine is asked for its health without waiting, which makes one that loads when first used load now.
        """
        self._workers.start()
        self._compiler = Compiler(self._workers, self._maze.config)
        self._health.start()

    # -------------------------------------------------------------------------------------------- routes

    async def generate(self, request: Request) -> ASGIApp:
        return self._respond(request, Form.MAZE)

    async def stream(self, request: Request) -> ASGIApp:
        return self._respond(request, Form.MAZE, streams=True)

    async def chat(self, request: Request) -> ASGIApp:
        return self._respond(request, Form.CHAT)

    async def evaluation(self, request: Request) -> ASGIApp:
        return self._respond(request, Form.EVAL)

    async def function(self, request: Request) -> ASGIApp:
        return self._respond(request, Form.FUNCTION)

    def _respond(self, request: Request, form: Form, *, streams: bool = False) -> ASGIApp:
        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            async with self._generation(request, form, streams=streams) as (generation, shape):
                if shape is None:
                    await _json(await generation.answer())(scope, receive, send)
                    return
                limit = self.settings.client_timeout_secs
                await send_events(generation, shape, request.state.request_id, scope, send, limit)

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
        return _json({"status": "ok", "model": model, "backend": health.backend, "version": __version__})

    async def models(self, _: Request) -> Response:
        return _json(list(await self._models.ask()))

    async def metrics_text(self, _: Request) -> Response:
        return Response(self.metrics.text(), media_type=self.metrics.CONTENT_TYPE)

    def _not_ready(self, status: str, message: str) -> Response:
        refusal = Refusal(503, "engine_unavailable", message, retryable=True)
        shape = {"status": status, "model": None, "backend": self._maze.backend_name, "error": refusal.shape()}
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
        """Let threads and workers go. The Orchestrator is its owner's."""
        self._slots.close()
        self._workers.close()
        self._probe_threads.shutdown(wait=False, cancel_futures=True)

    # -------------------------------------------------------------------------------------------- inside

    async def _read(
        self, body: bytes, request: Request, form: Form, cancellation: Cancellation, deadline: Deadline
    ) -> GenerateRequest:
        """Read a request to generate within the limits. Raises Refusal and MazeError."""
        task = ReadTask(body, request.state.request_id, self._limits, form)
        wanted: GenerateRequest | Refusal
        if len(body) <= LARGE_BODY_BYTES:
            wanted = task.run()
        else:
            self._unread_bytes += len(body)
            try:
                async with until(cancellation, deadline):
                    wanted = await self._workers.run(task, "reading the body")
            finally:
                self._unread_bytes -= len(body)
        if isinstance(wanted, Refusal):
            raise wanted
        request.state.request_id = wanted.request_id
        model = await self._known_model(wanted.options.model)
        return replace(wanted, options=replace(wanted.options, model=model))

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
        raise invalid(f"there is no model {model[:200]!r}; there are: {known}", "model")

    async def _body(self, request: Request) -> bytes:
        """The body of a request to generate. Raises Refusal."""
        self._refuse_if_stopping()
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            # Pages of other origins may have a browser send text and forms, but not this, without being asked first.
            problem = "the body must be JSON, and be sent as 'Content-Type: application/json'"
            raise Refusal(415, "unsupported_media_type", problem, headers={"Connection": "close"})
        if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
            problem = "the body must be sent as it is, without Content-Encoding"
            headers = {"Connection": "close", "Accept-Encoding": "identity"}
            raise Refusal(415, "unsupported_media_type", problem, headers=headers)
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
                    self._unread_bytes += len(piece)
                    if len(body) > limit:
                        raise refused
                    if self._unread_bytes > max(limit, MAX_UNREAD_BYTES):
                        problem = "too many large bodies arrive at once; come again later"
                        headers = {"Connection": "close", "Retry-After": "1"}
                        raise Refusal(429, "rate_limited", problem, retryable=True, headers=headers)
        except TimeoutError:
            problem = f"the body did not arrive within {self.settings.client_timeout_secs:g} seconds"
            raise Refusal(408, "timed_out", problem, retryable=True, headers={"Connection": "close"}) from None
        finally:
            self._unread_bytes -= len(body)
        return bytes(body)

    @asynccontextmanager
    async def _generation(
        self, request: Request, form: Form, *, streams: bool
    ) -> AsyncIterator[tuple[Generation, MazeEvents | ChatChunks | None]]:
        """Read a request and start generating; on leaving, whatever the reason, the engine stops at once.

        Beside the generation stands the shape of its events; None for one answer.
        """
        body = await self._body(request)
        self._refuse_if_stopping()  # again: the body took its time
        deadline = Deadline(self.settings.request_timeout_secs * 1000)
        cancellation = Cancellation()

        def check(text: bytes, of_attempt: CompiledConstraints, _: float, *, may_be_cut_off: bool) -> Judgement:
            # An attempt leaves the grammar out where the engine is not known to enforce it.
            is_enforced = of_attempt.grammar is not None or compiled.for_engine.grammar is None
            return self._compiler.check(
                text, compiled, cancellation, deadline, may_be_cut_off=may_be_cut_off, is_enforced=is_enforced
            )

        def work(on_text: OnText) -> Answer:
            result = self._maze.generate(
                wanted.intent,
                compiled.for_engine,
                wanted.options,
                # Text that was handed out allows no other attempt; what stands behind a hole is not handed out.
                on_text=on_text if shape is not None and not has_end else None,
                cancellation=cancellation,
                deadline=deadline,
                request_id=wanted.request_id,
                check=check,
            )
            answer = answer_of(result, wanted, waits)
            self.metrics.count(answer)
            return shaped(answer, wanted.translated)

        self._under_way.add(cancellation)
        watcher = asyncio.create_task(_cancel_when_client_leaves(request.receive, cancellation))
        try:
            wanted = await self._read(body, request, form, cancellation, deadline)
            asked = wanted.translated
            has_end = asked is not None and asked.around[1] != ""
            shape: MazeEvents | ChatChunks | None = MazeEvents() if streams else None
            if asked is not None and asked.streams:
                shape = ChatChunks(wanted.request_id, wanted.options.model)
            started = perf_counter()
            compiled, cached = await self._compiler.prepare(wanted, cancellation, deadline)
            queued = perf_counter()
            await self._slots.acquire(cancellation, deadline)
            waits = Waits(
                compile_ms=0.0 if cached else compiled.for_engine.compile_time_ms,
                queue_ms=(perf_counter() - queued) * 1000,
                total_ms=(perf_counter() - started) * 1000,
            )
            self.metrics.queue_seconds.observe(waits.queue_ms / 1000)
            generation = Generation(self._slots, work, cancellation)
            generation.ended.add_done_callback(lambda _: self._something_ended.set())
            yield generation, shape
        finally:
            watcher.cancel()
            cancellation.cancel("cancelled: nobody waits for the answer")
            self._under_way.discard(cancellation)
            self._something_ended.set()


async def _cancel_when_client_leaves(receive: Receive, cancellation: Cancellation) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    cancellation.cancel(CLIENT_LEFT)


def _json(value: object, http_status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), http_status, headers, "application/json")
