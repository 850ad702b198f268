"""The Python side of every exported function: arguments in, one result out, no exception past here.

start.c imports this module and calls `attach` with cffi's view of the library. From then on the C functions of calls.c
call the entry functions that are declared in entry.h and defined here.
"""

from __future__ import annotations

import atexit
import errno
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import orjson

from maze.abi.read import Ffi, Lib, Pointer, Reader, decode_constraints
from maze.check.validation import judge
from maze.config import ENVIRONMENT_VARIABLES, MazeConfig, config_from_environment
from maze.errors import ConfigurationError, MazeError, Status
from maze.grammar.llguidance import engine_text
from maze.log import set_sink
from maze.orchestrator import Orchestrator
from maze.types import GenerationResult, Intent

_log = logging.getLogger(__name__)

SWITCH_INTERVAL_SECS = 0.0005
"""How long one thread keeps the interpreter while others wait, in an interpreter of our own: a quick call beside one
that computes takes 0.6 ms in the median, with Python's own 5 ms it takes 5.1 ms."""

_STATUS_JSON = {status: orjson.dumps({"status": f"MAZE_{status.name}"}) for status in Status}


def attach(ffi: Ffi, lib: Lib, own_interpreter: bool) -> None:
    """Define the entry functions. `own_interpreter`: libmaze started this Python, and is alone in it."""
    if own_interpreter:
        sys.setswitchinterval(SWITCH_INTERVAL_SECS)
    library = _Library(ffi, lib, own_interpreter=own_interpreter)
    results = (
        library.generate,
        library.compile_constraints,
        library.validate,
        library.init,
        library.health_check,
        library.list_models,
    )
    statuses = (
        library.generate_batch,
        library.cache_stats,
        library.clear_cache,
        library.shutdown,
        library.log_callback_changed,
        library.log_misuse,
        library.stop_engines,
    )
    for functions, on_error, failed in ((results, library.failure, ffi.NULL), (statuses, library.status, -1)):
        for function in functions:
            # calls.c reports a `failed` value, which comes only if on_error itself fails; cffi would print.
            define = ffi.def_extern(name=f"entry_{function.__name__}", error=failed, onerror=_say_nothing)
            define(_guarded(function, on_error))
    library.log_callback_changed()
    if not own_interpreter:
        atexit.register(library.python_ends)


def _guarded(function: Callable[..., Any], on_error: Callable[[BaseException], object]) -> Callable[..., object]:
    """Make a result or status of whatever `function` raises: nothing may pass into C."""

    def guarded(*arguments: object) -> object:
        try:
            return function(*arguments)
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt and Rust's panics as well
            return on_error(error)

    return guarded


def _say_nothing(*_: object) -> None:
    pass


class _Library:
    """The state of libmaze in this process: one Orchestrator, made when it is first needed."""

    def __init__(self, ffi: Ffi, lib: Lib, *, own_interpreter: bool) -> None:
        self._ffi = ffi
        self._lib = lib
        self._own_interpreter = own_interpreter
        self._reader = Reader(ffi, lib)
        self._lock = threading.Lock()
        self._orchestrator: Orchestrator | None = None

    # ------------------------------------------------------------------------------------------ generating

    def generate(
        self,
        intent: Pointer,
        constraints: Pointer,
        constraints_len: int,
        options: Pointer,
        callback: Pointer,
        user_data: Pointer,
    ) -> Pointer:
        read = self._reader
        key = read.constraints_key(constraints, constraints_len)
        result = self._running().generate(
            read.intent(intent),
            lambda: decode_constraints(key),
            read.options(options),
            on_text=self._text_sink(callback, user_data) if callback else None,
            constraints_key=key,
        )
        return self._generation(result)

    def _text_sink(self, callback: Pointer, user_data: Pointer) -> Callable[[str], bool]:
        def on_text(text: str) -> bool:
            raw = text.encode(errors="replace")  # a text with lone surrogates is refused when it is complete
            return self._lib.host_emit_text(callback, raw, len(raw), user_data)

        return on_text

    def generate_batch(
        self,
        intents: Pointer,
        intents_len: int,
        constraints: Pointer,
        constraints_len: int,
        options: Pointer,
        results: Pointer,
    ) -> int:
        try:
            read = self._reader
            key = read.constraints_key(constraints, constraints_len)
            wanted = read.intents(intents, intents_len)
            generated = self._running().generate_batch(
                [intent for intent in wanted if isinstance(intent, Intent)],
                lambda: decode_constraints(key),
                read.options(options),
                constraints_key=key,
            )
            rest = iter(generated)
            for index, intent in enumerate(wanted):
                results[index] = self._generation(next(rest)) if isinstance(intent, Intent) else self.failure(intent)
        except BaseException as error:  # noqa: BLE001 - see _guarded
            for index in range(intents_len):
                if not results[index]:
                    results[index] = self.failure(error)
            return self.status(error)
        return Status.OK

    # ------------------------------------------------------------------------------------------ without an engine

    def compile_constraints(
        self, constraints: Pointer, constraints_len: int, language: Pointer, options: Pointer
    ) -> Pointer:
        read = self._reader
        key = read.constraints_key(constraints, constraints_len)
        compiled, _ = self._running().compile(
            lambda: decode_constraints(key),
            read.text(language, "language"),
            read.on_unenforceable(options),
            constraints_key=key,
        )
        grammar = "" if compiled.grammar is None else engine_text(compiled.grammar)
        return self._result(Status.OK, code=grammar, report=compiled.report_json)

    def validate(
        self,
        text: Pointer,
        text_len: int,
        constraints: Pointer,
        constraints_len: int,
        language: Pointer,
        options: Pointer,
    ) -> Pointer:
        read = self._reader
        key = read.constraints_key(constraints, constraints_len)
        validation = self._running().validate(
            read.validated_text(text, text_len),
            lambda: decode_constraints(key),
            read.text(language, "language"),
            read.on_unenforceable(options),
            constraints_key=key,
        )
        failure = judge(validation)
        return self._result(
            failure.status if failure else Status.OK,
            error=str(failure) if failure else None,
            report=_encode(validation),
        )

    def cache_stats(self, stats: Pointer) -> int:
        counted = self._running().cache_stats()
        for field in ("hits", "misses", "evictions", "entries", "bytes"):
            setattr(stats, field, getattr(counted, field))
        return Status.OK

    def clear_cache(self) -> int:
        self._running().clear_cache()
        return Status.OK

    # ------------------------------------------------------------------------------------------ the engine

    def health_check(self) -> Pointer:
        health = self._running().health()
        report = _encode(health)
        if health.ready:
            return self._result(Status.OK, report=report)
        details = "; ".join(
            f"{endpoint.get('endpoint', health.backend)}: {endpoint.get('detail', 'not ready')}"
            for endpoint in health.endpoints
            if not endpoint.get("ready")
        )
        error = f"the engine is not ready: {details or health.backend}"
        return self._result(Status.ENGINE_UNAVAILABLE, error=error, report=report)

    def list_models(self) -> Pointer:
        return self._result(Status.OK, report=_encode({"models": self._running().models()}))

    # ------------------------------------------------------------------------------------------ life

    def init(self, config: Pointer) -> Pointer:
        with self._lock:
            if self._orchestrator is not None:
                raise ConfigurationError(
                    "libmaze is configured already, by maze_init() or by a call that read the environment; "
                    "call maze_shutdown() first"
                )
            environment = self._environment()
            self._start(
                config_from_environment(environment)
                if config == self._ffi.NULL
                else self._reader.config(config, environment)
            )
        return self._result(Status.OK)

    def _running(self) -> Orchestrator:
        """The Orchestrator, made from the environment if there is none."""
        orchestrator = self._orchestrator
        if orchestrator is None:
            with self._lock:
                orchestrator = self._orchestrator or self._start(config_from_environment(self._environment()))
        return orchestrator

    def _start(self, config: MazeConfig) -> Orchestrator:
        """Make the Orchestrator. The lock is held."""
        if config.modal is None and self._own_interpreter:
            # This Python is never finalised, so the engine cannot rely on atexit; and its own way to be told of exit()
            # waits for the interpreter, which in a forked child may never be free.
            from maze.backends import llama_cpp  # only where it is needed: it takes a while to import

            llama_cpp.exit_guard = llama_cpp.ExitGuard(
                stop_engine_at_exit=self._lib.host_stop_engine_at_exit, destroy_never=self._lib.host_destroy_never
            )
        self._orchestrator = Orchestrator(config)
        return self._orchestrator

    def _environment(self) -> dict[str, str]:
        """What the host's environment says now; os.environ is a copy from the start of Python."""
        values = {name: self._lib.getenv(name.encode()) for name in ENVIRONMENT_VARIABLES}
        return {name: os.fsdecode(self._ffi.string(value)) for name, value in values.items() if value}

    def shutdown(self) -> int:
        with self._lock:
            orchestrator, self._orchestrator = self._orchestrator, None
        if orchestrator is not None:
            orchestrator.close()
        return Status.OK

    def stop_engines(self) -> int:
        """The process exits: end the threads of the engine before what they use is destroyed."""
        from maze.backends import llama_cpp  # is imported: it asked for this call

        llama_cpp.stop_all()
        return Status.OK

    def python_ends(self) -> None:
        """The host's interpreter is about to end: let no call in any more, and end those under way."""
        self._lib.host_python_ends()
        self.shutdown()

    # ------------------------------------------------------------------------------------------ log

    def log_callback_changed(self) -> int:
        set_sink(self._emit_log if self._lib.host_has_log_callback() else None)
        return Status.OK

    def _emit_log(self, level: int, target: str, message: str) -> None:
        self._lib.host_emit_log(level, _c_text(target), _c_text(message))

    def log_misuse(self, message: Pointer) -> int:
        _log.error("%s", self._ffi.string(message).decode())
        return Status.OK

    # ------------------------------------------------------------------------------------------ results

    def _result(
        self,
        status: Status,
        *,
        code: str = "",
        error: str | None = None,
        report: bytes | None = None,
        tokens_generated: int = 0,
    ) -> Pointer:
        """Make the one result of a call. The only place that decides what a C string can hold."""
        try:
            raw_code = code.encode()
            unfit = "U+0000" if b"\0" in raw_code else None
        except UnicodeEncodeError as failure:
            raw_code, unfit = code[: failure.start].encode(), f"a lone surrogate, U+{ord(code[failure.start]):04X}"
        if unfit is not None:
            raw_code = raw_code.partition(b"\0")[0]
            if status is Status.OK:
                status, report = Status.BAD_RESPONSE, None
                error = f"the text holds {unfit} at byte {len(raw_code)}, which C cannot be given; it is cut off there"
        raw_error = self._ffi.NULL if error is None else _c_text(f"libmaze: {error}")
        raw_report = _STATUS_JSON[status] if report is None else report
        return self._lib.host_new_result(
            status,
            raw_code,
            len(raw_code),
            raw_error,
            0 if error is None else len(raw_error),
            raw_report,
            len(raw_report),
            tokens_generated,
        )

    def _generation(self, result: GenerationResult) -> Pointer:
        report = {
            "status": f"MAZE_{result.status.name}",
            "provenance": result.provenance,
            "validation": result.validation,
            "metadata": result.metadata,
        }
        return self._result(
            result.status,
            code=result.code,
            error=result.error,
            report=_encode(report),
            tokens_generated=result.metadata.tokens_generated,
        )

    def failure(self, error: BaseException) -> Pointer:
        """Make the result of a call that ended with an exception."""
        status = self.status(error)
        if isinstance(error, MazeError):
            return self._result(status, code=error.partial_text, error=str(error))
        if isinstance(error, KeyboardInterrupt):
            return self._result(status, error="cancelled: KeyboardInterrupt")
        if isinstance(error, ImportError):
            repair = "run `make` in libmaze's source tree, or install the package again"
            return self._result(status, error=f"{type(error).__name__}: {error}; {repair}")
        if status is Status.OUT_OF_MEMORY:
            return self._result(status, error=f"out of memory, threads or open files: {error or type(error).__name__}")
        _log.error("internal error", exc_info=error)
        return self._result(status, error=f"internal error, please report it: {type(error).__name__}: {error}")

    def status(self, error: BaseException) -> Status:
        if isinstance(error, KeyboardInterrupt):
            self._lib.host_interrupt_after_call()
        return _status_of(error)


def _status_of(error: BaseException) -> Status:
    """The status of an exception."""
    match error:
        case MazeError():
            return error.status
        case KeyboardInterrupt():
            return Status.CANCELLED
        case ImportError():
            return Status.STARTUP_FAILED
        case MemoryError():
            return Status.OUT_OF_MEMORY
        case OSError() if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            return Status.OUT_OF_MEMORY
        case RuntimeError() if str(error) == "can't start new thread":  # Python has no class of its own for that
            return Status.OUT_OF_MEMORY
        case _:
            return Status.INTERNAL_ERROR


def _encode(value: object) -> bytes:
    """Encode as JSON; texts with lone surrogates, which UTF-8 cannot hold, with escapes."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, default=asdict).encode()


def _c_text(text: str) -> bytes:
    """Encode a text of ours so that a C string can hold it."""
    return text.encode(errors="backslashreplace").replace(b"\0", b"\\x00")
