"""Maze in short: compile the constraints, generate, check the text, record how it came to be."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic, perf_counter
from types import TracebackType
from typing import Protocol, Self

from maze.backends.base import (
    FINISHED_LENGTH,
    Backend,
    Cancellation,
    Completion,
    Deadline,
    Health,
    OnText,
    Request,
)
from maze.batch import generate_all
from maze.cache import CacheStats, ConstraintCache
from maze.check.cut_off import Judgement, judge
from maze.check.unenforced import only_checked
from maze.check.validation import describe_violation, validate, validation_error
from maze.config import DEFAULT_TOP_K, DEFAULT_TOP_P, MazeConfig
from maze.config import config_from_environment as read_environment
from maze.errors import (
    BadResponseError,
    CancelledError,
    ConstraintViolatedError,
    ForkedError,
    InvalidArgumentError,
    MazeError,
    Status,
    TruncatedError,
)
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.continuation import after
from maze.log import TRACE, configure_logging
from maze.memory import memory_for
from maze.prompt import build_prompt
from maze.provenance import record_metadata, record_provenance
from maze.stream import GenerationStream
from maze.types import (
    CompiledConstraints,
    ConstraintIR,
    ConstraintOutcome,
    GenerationMetadata,
    GenerationOptions,
    GenerationResult,
    Handling,
    Intent,
    OnUnenforceable,
    ValidationResult,
    check_type,
)

_log = logging.getLogger(__name__)

Constraints = Sequence[ConstraintIR] | Callable[[], Sequence[ConstraintIR]]
"""The constraints, or what makes them: called only if they are not in the cache under their key."""


class Judge(Protocol):
    """What judge() does."""

    def __call__(
        self, text: bytes, compiled: CompiledConstraints, ends_at: float, /, *, may_be_cut_off: bool
    ) -> Judgement: ...


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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -------------------------------------------------------------------------------------------- generating

    def generate(
        self,
        intent: Intent,
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
        started = perf_counter()
        cancellation = cancellation or Cancellation()
        asked = False
        try:
            check_type("intent", intent, Intent, 'an Intent, such as Intent("Name a colour.")')
            options = _DEFAULT_OPTIONS if options is None else options
            check_type("options", options, GenerationOptions, "GenerationOptions, or None")
            deadline = deadline or self._deadline(options)
            with self._under_way(cancellation):
                if isinstance(constraints, CompiledConstraints):
                    compiled, cache_hit = constraints, False
                else:
                    compiled, cache_hit = self.compile(
                        constraints,
                        intent.language,
                        options.on_unenforceable,
                        constraints_key=constraints_key,
                        deadline=deadline,
                    )
                request = self._request(intent, options, compiled, deadline, cancellation, request_id)
                backend = self._engine()
                asked, sent = True, perf_counter()
                completion = _complete(backend, request, on_text or _take_all, compiled, check)
                answered = perf_counter()
                if completion.unenforced:
                    compiled = only_checked(compiled, completion.unenforced)
                validation, failure = _check(completion, compiled, request, check)
                checked = perf_counter()
                provenance = record_provenance(intent, compiled, request, completion, backend.name)
        except MazeError as error:
            _log.debug("generation failed: %s: %s", error.status.name, error)
            return GenerationResult(
                code=error.partial_text,
                success=False,
                status=error.status,
                error=str(error),
                metadata=GenerationMetadata(
                    tokens_generated=error.tokens_generated if asked else 0,
                    prompt_tokens=error.prompt_tokens,
                    total_time_ms=(perf_counter() - started) * 1000,
                ),
            )
        metadata = record_metadata(
            completion, compiled, cache_hit, started=started, sent=sent, answered=answered, checked=checked
        )
        status = failure.status if failure else Status.OK
        told = (request.request_id, status.name, metadata.tokens_generated, metadata.total_time_ms)
        _log.debug("request %s: %s, %d tokens, %.0f ms", *told)
        return GenerationResult(
            code=completion.text,
            success=failure is None,
            status=status,
            error=str(failure) if failure else None,
            provenance=provenance,
            validation=validation,
            metadata=metadata,
        )

    def stream(
        self, intent: Intent, constraints: Constraints = (), options: GenerationOptions | None = None
    ) -> GenerationStream:
        """Generate, giving the text as an iterator of pieces; its `result` holds the rest once they are read."""
        deadline = self._deadline(options or GenerationOptions())

        def generate(on_text: OnText, cancellation: Cancellation) -> GenerationResult:
            return self.generate(
                intent, constraints, options, on_text=on_text, cancellation=cancellation, deadline=deadline
            )

        return GenerationStream(generate, deadline)

    def generate_batch(
        self,
        intents: Sequence[Intent],
        constraints: Constraints = (),
        options: GenerationOptions | None = None,
        *,
        constraints_key: Hashable | None = None,
    ) -> list[GenerationResult]:
        """Generate for several intents at once, one result each in their order; a failure touches no other."""

        def generate(intent: Intent, cancellation: Cancellation) -> GenerationResult:
            return self.generate(
                intent, constraints, options, cancellation=cancellation, constraints_key=constraints_key
            )

        return generate_all(intents, generate)

    # -------------------------------------------------------------------------------------------- without an engine

    def compile(
        self,
        constraints: Constraints,
        language: str | None = None,
        on_unenforceable: OnUnenforceable = OnUnenforceable.ERROR,
        *,
        constraints_key: Hashable | None = None,
        deadline: Deadline | None = None,
    ) -> tuple[CompiledConstraints, bool]:
        """Compile `constraints`, or find them compiled: the second value says which. Raises MazeError.

        Without a deadline it takes as long as the limits of a compilation allow, and its turn in line before that.
        """
        self._refuse_in_forked_child()
        if constraints_key is None:
            constraints = _as_tuple(constraints() if callable(constraints) else constraints)
            constraints_key = constraints
        source = constraints

        def compile_now(budget: Budget) -> CompiledConstraints:
            given = source() if callable(source) else source
            with memory_for(COMPILING_FACTOR * sum(map(_characters_of, given))):
                return compile_constraints(given, language, on_unenforceable, budget)

        return self._cache.get_or_compile(
            (constraints_key, language, on_unenforceable), compile_now, deadline, at_once=not constraints_key
        )

    def validate(
        self,
        text: str | bytes,
        constraints: Constraints,
        language: str | None = None,
        on_unenforceable: OnUnenforceable = OnUnenforceable.ERROR,
        *,
        constraints_key: Hashable | None = None,
    ) -> ValidationResult:
        """Judge `text` against every constraint. Raises MazeError where that cannot be done."""
        compiled, _ = self.compile(constraints, language, on_unenforceable, constraints_key=constraints_key)
        return validate(text.encode() if isinstance(text, str) else text, compiled)

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
    def backend_name(self) -> str:
        """What provenance calls the engine. Raises MazeError once it is closed."""
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

    def _deadline(self, options: GenerationOptions | None = None) -> Deadline:
        """By when a call that begins now must have ended."""
        if options is not None and options.timeout_ms is not None:
            return Deadline(options.timeout_ms)
        return Deadline(self.config.timeout_secs * 1000)

    def _request(
        self,
        intent: Intent,
        options: GenerationOptions,
        compiled: CompiledConstraints,
        deadline: Deadline,
        cancellation: Cancellation,
        request_id: str | None,
    ) -> Request:
        return Request(
            prompt=build_prompt(intent, options, compiled),
            grammar=after(compiled, options.continue_from, Budget(deadline.at)).grammar,
            token_mask=compiled.token_mask,
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
            json_schemas=tuple(part.check_schema for part in compiled.parts if part.check_schema is not None),
        )


def _backend_for(config: MazeConfig) -> Backend:
    """Make the engine that the configuration asks for; imported here because each takes a while to import."""
    if config.modal is not None:
        from maze.backends import connect

        return connect(config.modal)
    from maze.engine import EmbeddedEngine

    return EmbeddedEngine(config.local_model, threads=config.local_threads)


def _complete(
    backend: Backend, request: Request, on_text: OnText, compiled: CompiledConstraints, check: Judge
) -> Completion:
    """What the engine generates, behind the text that it was to go on from."""
    _log.log(TRACE, "request %s to %s: %s", request.request_id, backend.name, request.prompt)
    try:
        completion = backend.generate(request, on_text)
    except MazeError as error:
        error.partial_text = request.continue_from + error.partial_text
        if request.cancellation.cancelled:
            # Cancelling wakes engines in rough ways, such as a closed socket: the reason is what counts.
            raise request.cancellation.error().keeping(error) from None
        if isinstance(error, TruncatedError):
            raise _judged_by_us(error, compiled, request, check).keeping(error) from None
        raise
    _log.log(TRACE, "request %s answered: %s", request.request_id, completion.text)
    return replace(completion, text=request.continue_from + completion.text)


def _check(
    completion: Completion, compiled: CompiledConstraints, request: Request, check: Judge
) -> tuple[ValidationResult | None, MazeError | None]:
    """Judge a finished text: the outcome, or None if it could not be decided, and why the text is no success if so.

    Raises BadResponseError for what is no text.
    """
    try:
        may_be_cut_off = completion.finish_reason == FINISHED_LENGTH or bool(request.stop)
        judgement = check(completion.text.encode(), compiled, request.deadline.at, may_be_cut_off=may_be_cut_off)
    except UnicodeEncodeError as error:
        problem = f"the text of the engine holds a lone surrogate, U+{ord(error.object[error.start]):04X}"
        unfit = BadResponseError(problem, partial_text=completion.text)
        unfit.tokens_generated, unfit.prompt_tokens = completion.tokens_generated, completion.prompt_tokens
        raise unfit from None
    except MazeError as error:
        return None, error  # the text was paid for: it goes back with the error
    return judgement.validation, _failure(judgement, completion, request)


def _failure(judgement: Judgement, completion: Completion, request: Request) -> MazeError | None:
    """Say why a finished text is not a success, or None if it is one."""
    violated = next((outcome for outcome in judgement.validation.outcomes if outcome.satisfied is False), None)
    if violated is None:
        return validation_error(judgement.validation)
    if completion.finish_reason == FINISHED_LENGTH:
        return _hopeless(judgement, request) or TruncatedError(
            f"the text was cut off after {completion.tokens_generated} tokens before it was complete: "
            f"{describe_violation(violated)}; raise max_tokens (it was {request.max_tokens}), or use a model with a "
            "longer context"
        )
    advice = _advice(violated, request)
    if request.stop and violated.handling is Handling.ENFORCED:
        if judgement.hopeless is None:
            advice = "; a stop text may have ended it early"
        else:
            violated, advice = judgement.hopeless, _advice(judgement.hopeless, request)
    return ConstraintViolatedError(f"the generated text breaks its constraints: {describe_violation(violated)}{advice}")


def _advice(violated: ConstraintOutcome, request: Request) -> str:
    """What to do about a part that is violated."""
    if violated.handling is Handling.ENFORCED:
        return "; the engine did not enforce it, so do not trust this engine with constraints"
    checked = "; this part could only be checked afterwards"
    if request.temperature == 0:
        return f"{checked}, and the text is the same again at temperature 0: raise it, or relax the constraints"
    return f"{checked}: generate again, with another seed if you gave one, or relax the constraints"


def _hopeless(judgement: Judgement, request: Request) -> ConstraintViolatedError | None:
    """The error of a text that was cut off and could not have satisfied its constraints with more tokens either."""
    if judgement.hopeless is None:
        return None
    return ConstraintViolatedError(
        "the text was cut off, but more tokens would not help, as its beginning breaks its constraints: "
        f"{describe_violation(judgement.hopeless)}{_advice(judgement.hopeless, request)}"
    )


def _judged_by_us(error: TruncatedError, compiled: CompiledConstraints, request: Request, check: Judge) -> MazeError:
    """What becomes of a text that the service itself calls cut off: it need not know what the constraints are."""
    try:
        judgement = check(error.partial_text.encode(), compiled, request.deadline.at, may_be_cut_off=True)
    except (MazeError, UnicodeEncodeError):
        return error
    return _hopeless(judgement, request) or error


def _as_tuple(constraints: Sequence[ConstraintIR]) -> tuple[ConstraintIR, ...]:
    if isinstance(constraints, (ConstraintIR, str, bytes, dict)) or not isinstance(constraints, Iterable):
        problem = f"is of type {type(constraints).__name__}; give a list of ConstraintIR"
        raise InvalidArgumentError(problem, field="constraints")
    given = tuple(constraints)
    for number, constraint in enumerate(given):
        check_type(f"constraints[{number}]", constraint, ConstraintIR, "a ConstraintIR")
    return given


def _characters_of(constraint: ConstraintIR) -> int:
    return sum(map(len, (constraint.json_schema or "", constraint.grammar or "", *constraint.regex_patterns)))


def _take_all(_: str) -> bool:
    return True
