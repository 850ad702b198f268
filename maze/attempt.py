"""One attempt of a call: the engine is asked, its text is checked, and what became of it is a value, failures too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

from maze.backends.base import (
    FINISHED_CANCELLED,
    FINISHED_COMPLETED,
    FINISHED_ERROR,
    FINISHED_LENGTH,
    FINISHED_STOP,
    FINISHED_TIMED_OUT,
    Backend,
    Completion,
    OnText,
    Request,
)
from maze.check.cut_off import HALF_A_CHARACTER, Judgement
from maze.check.unenforced import only_checked
from maze.compiled import CompiledConstraints
from maze.errors import (
    BadResponseError,
    CancelledError,
    LimitExceededError,
    MazeError,
    Status,
    TimedOutError,
    TruncatedError,
)
from maze.grammar.budget import Budget
from maze.grammar.continuation import CannotFollowError, rest_after
from maze.log import TRACE
from maze.options import WhenCutOff
from maze.outcome import ConstraintOutcome, ValidationResult
from maze.prompt import corrected
from maze.steering import WholeCharacters, generate_in_time
from maze.verdict import verdict_on

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
    checked: float | None = None
    """None where there was no finished text to check."""
    validation: ValidationResult | None = None
    """None where there was none, or it could not be decided."""
    failure: MazeError | None = None
    """Why it is no success."""
    may_do_better: bool = False
    """Whether another seed may lead to a success: the text breaks what is only checked."""
    cut: bool = False
    """Whether the end of max_tokens or of the context came where the text could have gone on."""
    completed_from: int | None = None
    """Byte offset in the text from which on libmaze has appended it."""
    steered_from: int | None = None
    """Byte offset in the text from which on the model wrote under a grammar of short endings."""

    @property
    def status(self) -> Status:
        return self.failure.status if self.failure else Status.OK

    @property
    def violated(self) -> tuple[ConstraintOutcome, ...]:
        """What its text breaks."""
        outcomes = () if self.validation is None else self.validation.outcomes
        return tuple(outcome for outcome in outcomes if outcome.satisfied is False)


@dataclass(frozen=True, slots=True)
class Attempts:
    """How a call is attempted: the engine that is asked, the constraints, and what becomes of a text."""

    backend: Backend
    compiled: CompiledConstraints
    on_text: OnText | None
    """Receives text as it arrives; what it raises, is raised."""
    check: Judge
    when_cut_off: WhenCutOff = WhenCutOff.ERROR

    def make(self, request: Request, *, most: int) -> Iterator[Attempted]:
        """Attempt it up to `most` times, each with the next seed, until the text breaks nothing that was only checked.

        All have the same deadline. In a chat the model is told what is wrong with its last text. No other is made if
        text was handed to `on_text`, which cannot be taken back, or where it would be the same again: at temperature 0,
        if the model cannot be told.
        """
        prompt = request.prompt
        for number in range(1, most + 1):
            made = self._attempt(request)
            yield made
            handed_out = self.on_text is not None and made.completion.text != request.continue_from
            if not made.may_do_better or handed_out or request.deadline.expired():
                return
            _log.debug("request %s, attempt %d of %d: %s", request.request_id, number, most, made.status.name)
            continues = bool(request.continue_from)
            told = corrected(prompt, made.completion.text, made.violated, continues=continues)
            if request.temperature == 0 and told == prompt:
                return
            request = replace(request, prompt=told, seed=(request.seed + 1) % _SEEDS)

    def _attempt(self, request: Request) -> Attempted:
        """Ask the engine and check its text; complete it, if it was cut off and that is wanted."""
        pieces = WholeCharacters(self.on_text or (lambda _: True))
        _log.log(TRACE, "request %s to %s: %s", request.request_id, self.backend.name, request.prompt)
        sent = perf_counter()
        try:
            generated = generate_in_time(self.backend, request, self.compiled, pieces)
        except MazeError as error:
            answered = perf_counter()
            known = Completion(
                text=request.continue_from + error.partial_text,
                finish_reason=_FINISH_REASONS.get(error.status, FINISHED_ERROR),
                tokens_generated=error.tokens_generated,
                model=error.model or request.model,
                prompt_tokens=error.prompt_tokens,
                first_token_ms=error.first_token_ms,
                engine=error.engine,
                reasoning=error.reasoning,
                reasoning_tokens=error.reasoning_tokens,
            )
            made = self._failed(Attempted(request, known, sent, answered), error)
        else:
            answered = perf_counter()
            _log.log(TRACE, "request %s answered: %s", request.request_id, generated.completion.text)
            steered = generated.steered_from
            completion = replace(generated.completion, text=request.continue_from + generated.completion.text)
            steered_from = None if steered is None else _bytes(completion.text[: len(request.continue_from) + steered])
            made = self._checked(Attempted(request, completion, sent, answered, steered_from=steered_from))
        if isinstance(made.failure, TruncatedError) and self.when_cut_off is WhenCutOff.COMPLETE:
            return self._completed(made, pieces)
        pieces.hand_out()
        return made

    def _failed(self, made: Attempted, error: MazeError) -> Attempted:
        """What an error of the engine means."""
        if made.request.cancellation.cancelled:
            # Cancelling wakes engines in rough ways, such as a closed socket: the reason is what counts.
            return replace(made, failure=made.request.cancellation.error().keeping(error))
        if not isinstance(error, TruncatedError):
            return replace(made, failure=error)
        # The service itself calls it cut off, and need not know what the constraints are.
        judged = self._checked(made)
        if judged.failure is None and self.when_cut_off is not WhenCutOff.ACCEPT:
            return replace(made, failure=error, cut=True)  # it knows more than we do
        if judged.validation is None or isinstance(judged.failure, TruncatedError):
            return replace(judged, failure=error, cut=True)
        return judged

    def _checked(self, made: Attempted) -> Attempted:
        """Judge a text."""
        request, completion, compiled = made.request, made.completion, self.compiled
        if completion.unenforced:
            compiled = only_checked(compiled, completion.unenforced)
        try:
            may_be_cut_off = completion.finish_reason == FINISHED_LENGTH or (
                bool(request.stop) and completion.finish_reason == FINISHED_STOP
            )
            judgement = self.check(
                completion.text.encode(), compiled, request.deadline.at, may_be_cut_off=may_be_cut_off
            )
        except UnicodeEncodeError as error:
            problem = f"the text of the engine holds a lone surrogate, U+{ord(error.object[error.start]):04X}"
            unfit = replace(completion, finish_reason=FINISHED_ERROR)
            return replace(made, completion=unfit, failure=BadResponseError(problem))
        except MazeError as error:  # the text was paid for: it goes back with the error
            return replace(made, checked=perf_counter(), failure=error)
        verdict = verdict_on(judgement, completion, request, self.when_cut_off)
        return replace(
            made,
            checked=perf_counter(),
            validation=verdict.validation,
            failure=verdict.failure,
            may_do_better=verdict.may_do_better,
            cut=made.cut or verdict.cut,
        )

    def _completed(self, made: Attempted, pieces: WholeCharacters) -> Attempted:
        """Append the shortest ending to a text that was cut off, and judge it again."""
        try:
            begun, ending = self._ending_of(made)
        except _NoEndingError as error:
            pieces.hand_out()
            return replace(made, failure=TruncatedError(f"{made.failure}; it was not completed, as {error}"))
        if begun == made.completion.text:
            pieces.hand_out()
        else:
            pieces.drop()
        if ending and pieces(ending) is False:
            cancelled = replace(made.completion, finish_reason=FINISHED_CANCELLED)
            return replace(made, completion=cancelled, failure=CancelledError("cancelled by the caller"))
        completion = replace(made.completion, text=begun + ending, finish_reason=FINISHED_COMPLETED)
        return self._checked(replace(made, completion=completion, failure=None, completed_from=_bytes(begun)))

    def _ending_of(self, made: Attempted) -> tuple[str, str]:
        """The text without half a character at its end, and its shortest ending."""
        text = made.completion.text
        if self.compiled.token_mask is not None:
            raise _NoEndingError("what libmaze appends has no token ids, and token masks are enforced")
        if made.validation is not None and made.validation.all_satisfied:
            return text, ""
        begun = text.rstrip(HALF_A_CHARACTER)
        try:
            rest = rest_after(self.compiled, begun, Budget(made.request.deadline.at))
        except CannotFollowError:
            raise _NoEndingError("no text of the enforced grammar begins so") from None
        except (LimitExceededError, TimedOutError) as error:
            raise _NoEndingError(str(error)) from None
        if rest is None:
            raise _NoEndingError("nothing is enforced by a grammar, which alone could tell how the text ends")
        return begun, rest.shortest


class _NoEndingError(Exception):
    """Why no ending could be found."""


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
