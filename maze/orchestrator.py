"""Maze in short: compile the constraints, attempt a text that satisfies them, record how it came to be."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from maze.attempt import DEFAULT_MAX_ATTEMPTS, Attempts, Judge
from maze.backends.base import Backend, Cancellation, Deadline, Health, OnText, Request
from maze.batch import generate_all
from maze.cache import CacheStats, ConstraintCache
from maze.check.cut_off import judge
from maze.check.validation import validate
from maze.compiled import CompiledConstraints
from maze.config import DEFAULT_TOP_K, DEFAULT_TOP_P, MazeConfig
from maze.config import config_from_environment as read_environment
from maze.constraining import Constrainable, constrain, constraints_of, value_of
from maze.errors import CancelledError, ForkedError, InvalidArgumentError, MazeError
from maze.field_checks import check_text, check_type
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.continuation import after
from maze.log import TRACE, configure_logging
from maze.memory import memory_for
from maze.options import ConstraintOptions, GenerationOptions
from maze.outcome import ValidationResult
from maze.prompt import build_prompt
from maze.provenance import CallRecord, library_versions
from maze.result import GenerationResult
from maze.stream import GenerationStream
from maze.tracing import TracedBackend, span, traced
from maze.types import ConstraintIR, Intent

_log = logging.getLogger(__name__)

Constraints = Constrainable | Sequence[Constrainable] | Callable[[], Sequence[ConstraintIR]]
"""What constrain() takes, or a list of it. With a key for the cache, a function that makes ConstraintIRs: called only
if they are not there."""
_Kind = TypeVar("_Kind")

_DEFAULT_OPTIONS = GenerationOptions()

COMPILING_FACTOR = 320
"""Bytes that our own structures take for each character of constraints; llguidance and jsonschema_rs take theirs."""

SHUTDOWN_GRACE_SECS = 1.0
"""How long close() waits for cancelled calls to return before it takes the engine away."""


class Orchestrator:
    """A configured Maze: one engine and one cache of compiled constraints. Safe for use from many threads at once.

    Without a `config` the environment decides (see maze.config); without a `backend`, the configuration does. The
    engine is started by the first call that needs it.
    """

    def __init__(self, config: MazeConfig | None = None, *, backend: Backend | None = None) -> None:
        self.config = config if config is not None else read_environment()
        configure_logging(self.config.log_levels())
        self._cache = ConstraintCache(self.config.cache_size_limit, enabled=self.config.enable_cache)
        self._backend = backend
        self._lock = threading.Lock()
        self._calls: set[Cancellation] = set()
        self._idle = threading.Condition(self._lock)
        self._closed = False
        self._process = os.getpid()
        library_versions()  # reads files, of which a call that fails may have none left to open

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -------------------------------------------------------------------------------------------- generating

    @traced("maze.generate")
    def generate(
        self,
        intent: Intent | str,
        constraints: Constraints | CompiledConstraints = (),
        options: GenerationOptions | None = None,
        *,
        on_text: OnText | None = None,
        cancellation: Cancellation | None = None,
        deadline: Deadline | None = None,
        request_id: str | None = None,
        constraints_key: Hashable | None = None,
        check: Judge = judge,
    ) -> GenerationResult:
        """Generate code for `intent` that satisfies every one of `constraints`, which may be compiled already.

        Failures are results, not exceptions, so that text which had arrived is kept: look at `success`. `on_text`
        receives the text as it arrives and may return False to cancel. `deadline` stands for options.timeout_ms where
        the call began earlier, `request_id` is what logs, provenance and the engine call it, and `constraints_key`
        names the constraints in the cache where the caller has something cheaper than themselves. `check` is for a
        caller that does not want the finished text checked on this thread.
        """
        record = CallRecord()
        failure: MazeError | None = None
        try:
            if isinstance(intent, str):
                intent = Intent(intent)
            check_type("intent", intent, Intent, "a text, or an Intent")
            options = _DEFAULT_OPTIONS if options is None else options
            check_type("options", options, GenerationOptions, "GenerationOptions, or None")
            record.intent = intent
            cancellation = cancellation or Cancellation()
            request = record.request = self._request(
                intent, options, deadline or self._deadline(options), cancellation, request_id
            )
            with self._under_way(cancellation):
                backend = record.backend = self._engine()
                if isinstance(constraints, CompiledConstraints):
                    compiled = constraints
                else:
                    compiled = self.compile(
                        constraints,
                        intent.language,
                        options,
                        constraints_key=constraints_key,
                        deadline=request.deadline,
                    )
                    record.cache_hit = compiled.cache_hit
                record.compiled = compiled
                request = record.request = replace(
                    request,
                    prompt=build_prompt(intent, options, compiled, self.config.prompt_form),
                    is_constrained=compiled.says_something,
                    whole_grammar=compiled.grammar,
                    grammar=after(compiled, options.continue_from, Budget(request.deadline.at)).grammar,
                    token_mask=compiled.token_mask,
                    json_schemas=tuple(part.check_schema for part in compiled.parts if part.check_schema is not None),
                )
                most = options.max_attempts or self.config.max_attempts or DEFAULT_MAX_ATTEMPTS
                attempts = Attempts(
                    TracedBackend(backend), compiled, on_text, traced("maze.validate")(check), options.when_cut_off
                )
                for made in attempts.make(request, most=most):
                    record.attempts.append(made)
        except MazeError as error:
            failure = error
        result = record.result(failure)
        known_as = record.request and record.request.request_id
        told = (result.status.name, result.metadata.tokens_generated, result.metadata.total_time_ms)
        _log.debug("request %s: %s, %s tokens, %.0f ms", known_as, *told)
        if result.error:
            _log.log(TRACE, "request %s: %s", known_as, result.error)  # it may quote the text or the prompt
        return result

    @overload
    def generate_as(
        self,
        kind: type[_Kind],
        intent: Intent | str,
        constraints: Constraints = (),
        options: GenerationOptions | None = None,
        *,
        cancellation: Cancellation | None = None,
    ) -> _Kind: ...

    @overload
    def generate_as(
        self,
        kind: Constrainable,
        intent: Intent | str,
        constraints: Constraints = (),
        options: GenerationOptions | None = None,
        *,
        cancellation: Cancellation | None = None,
    ) -> Any: ...  # noqa: ANN401 - such as of Literal["a", "b"]

    def generate_as(
        self,
        kind: Constrainable,
        intent: Intent | str,
        constraints: Constraints = (),
        options: GenerationOptions | None = None,
        *,
        cancellation: Cancellation | None = None,
    ) -> Any:
        """Generate a value of the type `kind`, of those that constrain() takes, under `constraints` beside it.

        Raises the MazeError of a generation that is no success, and ConstraintViolatedError where a validator of the
        type refuses the text; `result` of the error is the generation's.
        """
        wanted = (constrain(kind), *constraints_of(constraints))
        return value_of(kind, self.generate(intent, wanted, options, cancellation=cancellation))

    def stream(
        self, intent: Intent | str, constraints: Constraints = (), options: GenerationOptions | None = None
    ) -> GenerationStream:
        """Generate, giving the text as an iterator of pieces; its `result` holds the rest once they are read."""
        deadline = self._deadline(options)

        def generate(on_text: OnText, cancellation: Cancellation) -> GenerationResult:
            return self.generate(
                intent, constraints, options, on_text=on_text, cancellation=cancellation, deadline=deadline
            )

        return GenerationStream(generate, deadline)

    def generate_batch(
        self,
        intents: Sequence[Intent | str],
        constraints: Constraints = (),
        options: GenerationOptions | None = None,
        *,
        constraints_key: Hashable | None = None,
    ) -> list[GenerationResult]:
        """Generate for several intents at once, one result each in their order; a failure touches no other."""
        if isinstance(intents, str | Intent):
            raise InvalidArgumentError(f"is of type {type(intents).__name__}; give a list of them", field="intents")

        def generate(intent: Intent | str, cancellation: Cancellation) -> GenerationResult:
            return self.generate(
                intent, constraints, options, cancellation=cancellation, constraints_key=constraints_key
            )

        return generate_all(intents, generate)

    # -------------------------------------------------------------------------------------------- without an engine

    def compile(
        self,
        constraints: Constraints,
        language: str | None = None,
        options: ConstraintOptions | None = None,
        *,
        constraints_key: Hashable | None = None,
        deadline: Deadline | None = None,
    ) -> CompiledConstraints:
        """Compile `constraints`, or find them compiled: their `cache_hit` says which. Raises MazeError.

        Without a deadline it takes as long as the limits of a compilation allow, and its turn in line before that.
        """
        self._refuse_in_forked_child()
        if language is not None:
            check_text("language", language)
        options = _DEFAULT_OPTIONS if options is None else options
        check_type("options", options, ConstraintOptions, "ConstraintOptions, or None")
        taken = options.of_constraints(self.config.braid_grammar)
        if constraints_key is None:
            constraints = constraints_key = constraints_of(constraints)
        source = constraints

        def compile_now(budget: Budget) -> CompiledConstraints:
            given = source() if callable(source) else source
            with memory_for(COMPILING_FACTOR * sum(map(_characters_of, given))):
                return compile_constraints(given, language, taken, budget)

        key = constraints_key, language, taken
        with span("maze.compile") as made:
            compiled, was_there = self._cache.get_or_compile(key, compile_now, deadline, at_once=not constraints_key)
            made.tell({"maze.cache_hit": was_there, "maze.constraint_parts": len(compiled.parts)})
        return replace(compiled, cache_hit=True) if was_there else compiled

    def validate(
        self,
        text: str | bytes,
        constraints: Constraints | CompiledConstraints,
        language: str | None = None,
        options: ConstraintOptions | None = None,
        *,
        constraints_key: Hashable | None = None,
    ) -> ValidationResult:
        """Judge `text` against every constraint. Raises MazeError where that cannot be done."""
        if isinstance(text, str):
            check_text("text", text)
            text = text.encode()
        check_type("text", text, bytes, "text (str), or bytes")
        if not isinstance(constraints, CompiledConstraints):
            constraints = self.compile(constraints, language, options, constraints_key=constraints_key)
        return traced("maze.validate")(validate)(text, constraints)

    def cache_stats(self) -> CacheStats:
        """Counters of the cache of compiled constraints."""
        self._refuse_in_forked_child()
        return self._cache.stats()

    def clear_cache(self) -> None:
        """Drop all compiled constraints."""
        self._refuse_in_forked_child()
        self._cache.clear()

    # -------------------------------------------------------------------------------------------- the engine

    @property
    def backend_name(self) -> str | None:
        """What provenance calls the engine, None until that is known. Raises MazeError once it is closed."""
        return self._engine().name

    def health(self, deadline: Deadline | None = None) -> Health:
        """Ask the engine whether it is ready. Raises MazeError only where it cannot even be asked."""
        return self._engine().health(deadline or self._deadline())

    def models(self, deadline: Deadline | None = None) -> tuple[str, ...]:
        """Names of the models that the engine offers. Raises MazeError."""
        return self._engine().models(deadline or self._deadline())

    def close(self) -> None:
        """Cancel every call under way, wait for them up to SHUTDOWN_GRACE_SECS, and let the engine go."""
        if os.getpid() != self._process:
            return  # calls and connections are the parent's
        with self._lock:
            self._closed = True
            calls = list(self._calls)
        for call in calls:
            call.cancel("cancelled: libmaze was shut down during the call")
        ends_at = monotonic() + SHUTDOWN_GRACE_SECS
        with self._idle:
            while self._calls and (left := ends_at - monotonic()) > 0:
                self._idle.wait(left)
            backend, self._backend = self._backend, None
        if backend is not None:
            backend.close()
        self._cache.clear()

    # -------------------------------------------------------------------------------------------- inside

    @contextmanager
    def _under_way(self, call: Cancellation) -> Iterator[None]:
        """Take account of a call, so that close() can end it."""
        self._refuse_in_forked_child()
        with self._lock:
            self._refuse_if_closed()
            self._calls.add(call)
        try:
            yield
        finally:
            with self._idle:
                self._calls.discard(call)
                if self._closed:
                    self._idle.notify_all()

    def _refuse_in_forked_child(self) -> None:
        # Two processes on one connection would get each other's answers, and no thread is there to release a lock.
        if os.getpid() != self._process:
            raise ForkedError(
                "this process was forked from the one that made this Orchestrator; make a new one in the child, or "
                "start the child anew (multiprocessing's spawn)"
            )

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise CancelledError("cancelled: libmaze was shut down (or this Orchestrator closed: make a new one)")

    def _engine(self) -> Backend:
        self._refuse_in_forked_child()
        with self._lock:
            self._refuse_if_closed()
            if self._backend is None:
                self._backend = _backend_for(self.config)
            return self._backend

    def _deadline(self, options: object = None) -> Deadline:
        """By when a call that begins now must have ended."""
        if isinstance(options, GenerationOptions) and options.timeout_ms is not None:
            return Deadline(options.timeout_ms)
        return Deadline(self.config.timeout_secs * 1000)

    def _request(
        self,
        intent: Intent,
        options: GenerationOptions,
        deadline: Deadline,
        cancellation: Cancellation,
        request_id: str | None,
    ) -> Request:
        """What the engine is asked, but for the constraints, which are not compiled yet."""
        return Request(
            prompt=build_prompt(intent, options, form=self.config.prompt_form),
            grammar=None,
            token_mask=None,
            max_tokens=options.max_tokens if options.max_tokens is not None else self.config.max_tokens,
            temperature=options.temperature if options.temperature is not None else self.config.temperature,
            top_p=options.top_p if options.top_p is not None else DEFAULT_TOP_P,
            top_k=options.top_k if options.top_k is not None else DEFAULT_TOP_K,
            # Always sent and recorded, so that every generation can be done again.
            seed=options.seed if options.seed is not None else random.getrandbits(32),
            stop=options.stop,
            model=options.model,
            request_id=request_id or f"{random.getrandbits(128):032x}",
            deadline=deadline,
            cancellation=cancellation,
            continue_from=options.continue_from,
            reasoning_tokens=options.reasoning_tokens or 0,
            top_logprobs=options.top_logprobs,
            language=intent.language,
        )


def _backend_for(config: MazeConfig) -> Backend:
    """Make the engine that the configuration asks for; imported here because each takes a while to import."""
    if config.modal is not None:
        from maze.backends import connect

        return connect(config.modal)
    from maze.engine import EmbeddedEngine

    return EmbeddedEngine(config.local_model, threads=config.local_threads)


def _characters_of(constraint: ConstraintIR) -> int:
    return sum(map(len, (constraint.json_schema or "", constraint.grammar or "", *constraint.regex_patterns)))
