"""The Python side of every exported function: arguments in, one result out, no exception past here.

start.c imports this module and calls `attach` with cffi's view of the library. From then on the C functions of calls.c
call the entry functions that are declared in entry.h and defined here.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from maze.abi.library import Ffi, Lib, Pointer
from maze.abi.read import Reader, decode_constraints
from maze.abi.write import Writer, c_text
from maze.config import ENVIRONMENT_VARIABLES, MazeConfig, config_from_environment
from maze.errors import ConfigurationError, Status
from maze.log import set_sink
from maze.memory import Ledger, memory_for, set_ledger
from maze.options import GenerationOptions
from maze.orchestrator import Orchestrator
from maze.outcome import validation_error
from maze.proxies import PROXY_VARIABLES
from maze.report import encode, grammar_text, report_health, report_models, report_validation
from maze.threads import favour_quick_calls
from maze.types import Intent

_log = logging.getLogger(__name__)

STACK_BYTES = 8 * 1024 * 1024
"""Stack of each thread of Python's, in an interpreter of our own: else it is RLIMIT_STACK, which may be 16 KB."""

COPIES = 12
"""Bytes for each character of a prompt: text, JSON and request of it are there at once, each up to 4."""


def attach(ffi: Ffi, lib: Lib, own_interpreter: bool) -> None:
    """Define the entry functions. `own_interpreter`: libmaze started this Python, and is alone in it."""
    if own_interpreter:
        favour_quick_calls()
        threading.stack_size(STACK_BYTES)
    library = _Library(ffi, lib)
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
    )
    for functions, on_error, failed in (
        (results, library.write.failure, ffi.NULL),
        (statuses, library.write.status, -1),
    ):
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


def _copies_of(intent: Intent, options: GenerationOptions) -> int:
    """Bytes that the texts of an intent and its options take on their way into the request and the provenance."""
    said = (message.text for message in options.messages)
    texts = (intent.raw_input, intent.prompt, options.system, options.continue_from, *said)
    return COPIES * sum(len(text) for text in texts if text is not None)


def _say_nothing(*_: object) -> None:
    pass


class _Library:
    """The state of libmaze in this process: one Orchestrator, made when it is first needed."""

    def __init__(self, ffi: Ffi, lib: Lib) -> None:
        self._ffi = ffi
        self._lib = lib
        self.read = Reader(ffi, lib)
        self.write = Writer(ffi, lib)
        set_ledger(Ledger(lib.host_memory_is_limited, self._set_memory_aside, lib.host_give_memory_back))
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
        read = self.read
        key = read.constraints_key(constraints, constraints_len)
        wanted, how = read.intent(intent), read.options(options)
        with memory_for(_copies_of(wanted, how)):
            result = self._running().generate(
                wanted,
                lambda: decode_constraints(key),
                how,
                on_text=self._text_sink(callback, user_data) if callback else None,
                constraints_key=key,
            )
            return self.write.generation(result)

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
            read = self.read
            key = read.constraints_key(constraints, constraints_len)
            wanted = read.intents(intents, intents_len)
            how = read.options(options)
            readable = [intent for intent in wanted if isinstance(intent, Intent)]
            with memory_for(sum(_copies_of(intent, how) for intent in readable)):
                generated = self._running().generate_batch(
                    readable, lambda: decode_constraints(key), how, constraints_key=key
                )
            rest, write = iter(generated), self.write
            for index, intent in enumerate(wanted):
                results[index] = write.generation(next(rest)) if isinstance(intent, Intent) else write.failure(intent)
        except BaseException as error:  # noqa: BLE001 - see _guarded
            for index in range(intents_len):
                if not results[index]:
                    results[index] = self.write.failure(error)
            return self.write.status(error)
        return Status.OK

    # ------------------------------------------------------------------------------------------ without an engine

    def compile_constraints(
        self, constraints: Pointer, constraints_len: int, language: Pointer, options: Pointer
    ) -> Pointer:
        read = self.read
        key = read.constraints_key(constraints, constraints_len)
        taken = read.constraint_options(options)
        compiled = self._running().compile(
            lambda: decode_constraints(key),
            read.text(language, "language"),
            taken,
            constraints_key=key,
        )
        return self.write.result(Status.OK, code=grammar_text(compiled) or "", report=compiled.report_json)

    def validate(
        self,
        text: Pointer,
        text_len: int,
        constraints: Pointer,
        constraints_len: int,
        language: Pointer,
        options: Pointer,
    ) -> Pointer:
        read = self.read
        key = read.constraints_key(constraints, constraints_len)
        taken = read.constraint_options(options)
        validation = self._running().validate(
            read.validated_text(text, text_len),
            lambda: decode_constraints(key),
            read.text(language, "language"),
            taken,
            constraints_key=key,
        )
        failure = validation_error(validation)
        return self.write.result(
            failure.status if failure else Status.OK,
            error=str(failure) if failure else None,
            report=encode(report_validation(validation)),
        )

    def cache_stats(self, stats: Pointer) -> int:
        self.write.cache_stats(self._running().cache_stats(), stats)
        return Status.OK

    def clear_cache(self) -> int:
        self._running().clear_cache()
        return Status.OK

    # ------------------------------------------------------------------------------------------ the engine

    def health_check(self) -> Pointer:
        health = self._running().health()
        report = report_health(health)
        status = Status.OK if health.ready else Status.ENGINE_UNAVAILABLE
        return self.write.result(status, error=report["error"], report=encode(report))

    def list_models(self) -> Pointer:
        return self.write.result(Status.OK, report=encode(report_models(self._running().models())))

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
                else self.read.config(config, environment)
            )
        return self.write.result(Status.OK)

    def _running(self) -> Orchestrator:
        """The Orchestrator, made from the environment if there is none."""
        orchestrator = self._orchestrator
        if orchestrator is None:
            with self._lock:
                orchestrator = self._orchestrator or self._start(config_from_environment(self._environment()))
        return orchestrator

    def _start(self, config: MazeConfig) -> Orchestrator:
        """Make the Orchestrator. The lock is held."""
        self._orchestrator = Orchestrator(config)
        return self._orchestrator

    def _environment(self) -> dict[str, str]:
        """What the host's environment says now; os.environ is a copy from the start of Python."""
        names = (*ENVIRONMENT_VARIABLES, *PROXY_VARIABLES)
        values = {name: self._lib.host_environment(name.encode()) for name in names}
        return {name: os.fsdecode(self._ffi.string(value)) for name, value in values.items() if value}

    def shutdown(self) -> int:
        with self._lock:
            orchestrator, self._orchestrator = self._orchestrator, None
        if orchestrator is not None:
            orchestrator.close()
        return Status.OK

    def _set_memory_aside(self, size: int) -> str | None:
        problem = self._lib.host_set_memory_aside(size)
        return None if problem == self._ffi.NULL else self._ffi.string(problem).decode()

    def python_ends(self) -> None:
        """The host's interpreter is about to end: let no call in any more, and end those under way."""
        self._lib.host_python_ends()
        self.shutdown()

    # ------------------------------------------------------------------------------------------ log

    def log_callback_changed(self) -> int:
        set_sink(self._emit_log if self._lib.host_has_log_callback() else None)
        return Status.OK

    def _emit_log(self, level: int, target: str, message: str) -> None:
        self._lib.host_emit_log(level, c_text(target), c_text(message))

    def log_misuse(self, message: Pointer) -> int:
        _log.error("%s", self._ffi.string(message).decode())
        return Status.OK
