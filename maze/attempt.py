"""One attempt of a call: the engine is asked, its text is checked, and what became of it is a value, failures too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

from maze.backends.base import (
    FINISHED_CANCELLED,
    FINISHED_ERROR,
    FINISHED_LENGTH,
    FINISHED_STOP,
    FINISHED_TIMED_OUT,
    Backend,
    Completion,
    OnText,
    Request,
)
from maze.check.cut_off import Judgement
from maze.check.unenforced import only_checked
from maze.errors import BadResponseError, ConstraintViolatedError, MazeError, Status, TruncatedError
from maze.log import TRACE
from maze.outcome import describe_violation, validation_error
from maze.types import CompiledConstraints, ConstraintOutcome, Handling, ValidationResult

_log = logging.getLogger(__name__)

DEFAULT_MAX_ATTEMPTS = 3
_SEEDS = 2**32
"""There are so many seeds; attempts count up from the first, and go on at 0 behind the last there is."""

_FINISH_REASONS = {
    Status.CANCELLED: FINISHED_CANCELLED,
    Status.TIMED_OUT: FINISHED_TIMED_OUT,
    # Of a text that the service itself has judged.
    Status.TRUNCATED: FINISHED_LENGTH,
    Status.CONSTRAINT_VIOLATED: FINISHED_STOP,
}


class Judge(Protocol):
    """What judge() of maze.check.cut_off does."""

    def __call__(
        self, text: bytes, compiled: CompiledConstraints, ends_at: float, /, *, may_be_cut_off: bool
    ) -> Judgement: ...


@dataclass(frozen=True, slots=True)
class Attempted:
    """What became of one attempt."""

    request: Request
    completion: Completion
    """With the text that the engine was to go on from. Of an engine that failed, what is known and had come."""
    sent: float
    """When the engine was asked, by perf_counter() like the points in time after it."""
    answered: float
    checked: float | None
    """None where there was no finished text to check."""
    validation: ValidationResult | None
    """None where there was none, or it could not be decided."""
    failure: MazeError | None
    """Why it is no success."""
    may_do_better: bool
    """Whether another seed may lead to a success: the text breaks what is only checked."""

    @property
    def status(self) -> Status:
        return self.failure.status if self.failure else Status.OK


def attempts(
    backend: Backend,
    request: Request,
    compiled: CompiledConstraints,
    on_text: OnText | None,
    check: Judge,
    *,
    most: int,
) -> Iterator[Attempted]:
    """Attempt it up to `most` times, each with the next seed, until the text breaks nothing that was only checked.

    All have the same deadline. There is one where another could not do better: if text was handed to `on_text`, which
    cannot be taken back, or at temperature 0, where the text would be the same.
    """
    for number in range(1, most + 1):
        made = attempt(backend, request, compiled, on_text, check)
        yield made
        handed_out = on_text is not None and made.completion.text != request.continue_from
        if not made.may_do_better or handed_out or request.temperature == 0 or request.deadline.expired():
            return
        _log.debug("request %s, attempt %d of %d: %s", request.request_id, number, most, made.failure)
        request = replace(request, seed=(request.seed + 1) % _SEEDS)


def attempt(
    backend: Backend, request: Request, compiled: CompiledConstraints, on_text: OnText | None, check: Judge
) -> Attempted:
    """Ask the engine and check its text. `on_text` receives it as it arrives; what it raises, is raised."""
    first_text_at: float | None = None

    def hand_on(text: str) -> bool | None:
        nonlocal first_text_at
        first_text_at = first_text_at or perf_counter()
        return on_text(text) if on_text else True

    _log.log(TRACE, "request %s to %s: %s", request.request_id, backend.name, request.prompt)
    sent = perf_counter()
    try:
        completion = backend.generate(request, hand_on)
    except MazeError as error:
        answered = perf_counter()
        failure = _meant_by(error, compiled, request, check)
        known = Completion(
            text=request.continue_from + failure.partial_text,
            finish_reason=_FINISH_REASONS.get(error.status, FINISHED_ERROR),
            tokens_generated=failure.tokens_generated,
            model=failure.model or request.model,
            prompt_tokens=failure.prompt_tokens,
            first_token_ms=None if first_text_at is None else (first_text_at - sent) * 1000,
        )
        return Attempted(request, known, sent, answered, None, None, failure, may_do_better=False)
    answered = perf_counter()
    _log.log(TRACE, "request %s answered: %s", request.request_id, completion.text)
    completion = replace(completion, text=request.continue_from + completion.text)
    return _check(
        Attempted(request, completion, sent, answered, None, None, None, may_do_better=False), compiled, check
    )


def _meant_by(error: MazeError, compiled: CompiledConstraints, request: Request, check: Judge) -> MazeError:
    """The error to tell the caller of one of an engine."""
    if request.cancellation.cancelled:
        # Cancelling wakes engines in rough ways, such as a closed socket: the reason is what counts.
        return request.cancellation.error().keeping(error)
    if isinstance(error, TruncatedError):
        return _judged_by_us(error, compiled, request, check).keeping(error)
    return error


def _check(finished: Attempted, compiled: CompiledConstraints, check: Judge) -> Attempted:
    """Judge a finished text."""
    request, completion = finished.request, finished.completion
    if completion.unenforced:
        compiled = only_checked(compiled, completion.unenforced)
    try:
        may_be_cut_off = completion.finish_reason == FINISHED_LENGTH or bool(request.stop)
        judgement = check(completion.text.encode(), compiled, request.deadline.at, may_be_cut_off=may_be_cut_off)
    except UnicodeEncodeError as error:
        problem = f"the text of the engine holds a lone surrogate, U+{ord(error.object[error.start]):04X}"
        unfit = replace(completion, finish_reason=FINISHED_ERROR)
        return replace(finished, completion=unfit, failure=BadResponseError(problem))
    except MazeError as error:  # the text was paid for: it goes back with the error
        return replace(finished, checked=perf_counter(), failure=error)
    failure, violated = _failure(judgement, completion, request)
    return replace(
        finished,
        checked=perf_counter(),
        validation=judgement.validation,
        failure=failure,
        may_do_better=isinstance(failure, ConstraintViolatedError)
        and violated is not None
        and violated.handling is Handling.CHECKED,
    )


def _failure(
    judgement: Judgement, completion: Completion, request: Request
) -> tuple[MazeError | None, ConstraintOutcome | None]:
    """Say why a finished text is not a success, if it is none, and which part it breaks, if one."""
    violated = next((outcome for outcome in judgement.validation.outcomes if outcome.satisfied is False), None)
    if violated is None:
        return validation_error(judgement.validation), None
    if completion.finish_reason == FINISHED_LENGTH:
        if judgement.hopeless is not None:
            return _hopeless(judgement.hopeless, request), judgement.hopeless
        tokens = "" if completion.tokens_generated is None else f" after {completion.tokens_generated} tokens"
        return TruncatedError(
            f"the text was cut off{tokens} before it was complete: {describe_violation(violated)}; raise max_tokens "
            f"(it was {request.max_tokens}), or use a model with a longer context"
        ), violated
    advice = _advice(violated, request)
    if request.stop and violated.handling is Handling.ENFORCED:
        if judgement.hopeless is None:
            advice = "; a stop text may have ended it early"
        else:
            violated, advice = judgement.hopeless, _advice(judgement.hopeless, request)
    problem = f"the generated text breaks its constraints: {describe_violation(violated)}{advice}"
    return ConstraintViolatedError(problem), violated


def _advice(violated: ConstraintOutcome, request: Request) -> str:
    """What to do about a part that is violated."""
    if violated.handling is Handling.ENFORCED:
        return "; the engine did not enforce it, so do not trust this engine with constraints"
    checked = "; this part could only be checked afterwards"
    if request.temperature == 0:
        return f"{checked}, and the text is the same again at temperature 0: raise it, or relax the constraints"
    return f"{checked}: generate again, with another seed if you gave one, or relax the constraints"


def _hopeless(violated: ConstraintOutcome, request: Request) -> ConstraintViolatedError:
    """The error of a text that was cut off and could not have satisfied its constraints with more tokens either."""
    return ConstraintViolatedError(
        "the text was cut off, but more tokens would not help, as its beginning breaks its constraints: "
        f"{describe_violation(violated)}{_advice(violated, request)}"
    )


def _judged_by_us(error: TruncatedError, compiled: CompiledConstraints, request: Request, check: Judge) -> MazeError:
    """What becomes of a text that the service itself calls cut off: it need not know what the constraints are."""
    try:
        judgement = check(
            (request.continue_from + error.partial_text).encode(), compiled, request.deadline.at, may_be_cut_off=True
        )
    except (MazeError, UnicodeEncodeError):
        return error
    return error if judgement.hopeless is None else _hopeless(judgement.hopeless, request)
