"""Why a text is no success, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from maze.backends.base import FINISHED_COMPLETED, FINISHED_LENGTH, Completion, Request
from maze.backends.thoughts_in_text import opening_of_thoughts
from maze.check.cut_off import Judgement
from maze.errors import ConstraintViolatedError, MazeError, TruncatedError
from maze.options import WhenCutOff
from maze.outcome import ConstraintOutcome, Handling, ValidationResult, describe_violation, validation_error
from maze.shown import tokens_in_words


@dataclass(frozen=True, slots=True)
class TextVerdict:
    """What is said of a text that is there as a whole, or as far as it came."""

    validation: ValidationResult
    """With a warning where a success was cut off."""
    failure: MazeError | None
    """Why it is no success."""
    may_do_better: bool
    """Whether another seed may lead to a success: the text breaks what is only checked."""
    cut: bool = False
    """Whether the end of max_tokens or of the context came where the text could have gone on."""


def verdict_on(judgement: Judgement, completion: Completion, request: Request, when_cut_off: WhenCutOff) -> TextVerdict:
    """Say what becomes of a text that was judged."""
    validation = judgement.validation
    if completion.max_tokens is not None:
        lowered = f"max_tokens was lowered from {request.max_tokens} to {completion.max_tokens}"
        validation = _warned(validation, f"{lowered}, as the model's context leaves no more beside the prompt")
    if not request.is_constrained and (hint := _of_thoughts(completion, request)):
        validation = _warned(validation, hint)
    was_ended = completion.finish_reason == FINISHED_LENGTH
    violated = next((outcome for outcome in validation.outcomes if outcome.satisfied is False), None)
    if violated is not None:
        if was_ended and judgement.hopeless is None:
            return TextVerdict(validation, _truncated(violated, completion, request), may_do_better=False, cut=True)
        failure, decisive = _violated(violated, judgement, completion, request)
        return TextVerdict(validation, failure, may_do_better=decisive.handling is Handling.CHECKED, cut=was_ended)
    failure_otherwise = validation_error(validation)
    cut = was_ended and judgement.could_go_on
    if failure_otherwise is not None or not cut:
        return TextVerdict(validation, failure_otherwise, may_do_better=False, cut=cut)
    if request.is_constrained and when_cut_off is not WhenCutOff.ACCEPT:
        error = TruncatedError(
            f"the text was cut off{_after(completion)} where it could have gone on; it satisfies the constraints as it "
            f"stands: {_remedy(completion, request)}, or set when_cut_off to accept or complete"
        )
        return TextVerdict(validation, error, may_do_better=False, cut=True)
    warning = f"the text was cut off{_after(completion)} where it could have gone on; {_remedy(completion, request)}"
    return TextVerdict(_warned(validation, warning), None, may_do_better=False, cut=True)


def _warned(validation: ValidationResult, warning: str) -> ValidationResult:
    return replace(validation, warnings=(*validation.warnings, warning))


def _after(completion: Completion) -> str:
    """After how many tokens of the answer, which max_tokens is about; thoughts have a number of their own."""
    tokens = completion.tokens_generated
    if tokens is None:
        return ""
    if completion.reasoning is None:
        return f" after {tokens_in_words(tokens)}"
    if completion.reasoning_tokens is None:
        return f" after {tokens_in_words(tokens)}, those of its thoughts included,"
    answered = max(0, tokens - completion.reasoning_tokens)
    return f" after {tokens_in_words(answered)}, and {completion.reasoning_tokens} of thoughts before them,"


def _remedy(completion: Completion, request: Request) -> str:
    """What to do about a text that was cut off."""
    if completion.max_tokens is not None:
        return "shorten the prompt, or use a model with a longer context"
    return f"raise max_tokens (it was {request.max_tokens}), or use a model with a longer context"


def _truncated(violated: ConstraintOutcome, completion: Completion, request: Request) -> TruncatedError:
    return TruncatedError(
        f"the text was cut off{_after(completion)} before it was complete: {describe_violation(violated)}; "
        f"{_remedy(completion, request)}"
    )


def _violated(
    violated: ConstraintOutcome, judgement: Judgement, completion: Completion, request: Request
) -> tuple[ConstraintViolatedError, ConstraintOutcome]:
    """The error of a text that breaks a part, and the part that it is about."""
    if completion.finish_reason == FINISHED_LENGTH and judgement.hopeless is not None:
        return ConstraintViolatedError(
            "the text was cut off, but more tokens would not help, as its beginning breaks its constraints: "
            f"{describe_violation(judgement.hopeless)}{_advice(judgement.hopeless, request)}"
        ), judgement.hopeless
    advice = _advice(violated, request)
    if request.stop and violated.handling is Handling.ENFORCED:
        if judgement.hopeless is None:
            advice = "; a stop text may have ended it early"
        else:
            violated, advice = judgement.hopeless, _advice(judgement.hopeless, request)
    what = "completed" if completion.finish_reason == FINISHED_COMPLETED else "generated"
    hint = _of_thoughts(completion, request)
    problem = f"the {what} text breaks its constraints: {describe_violation(violated)}{advice}{hint and f'; {hint}'}"
    return ConstraintViolatedError(problem), violated


def _of_thoughts(completion: Completion, request: Request) -> str:
    """What to do where the text seems to hold thoughts; it may just as well be what was asked for."""
    opening = None if request.reasoning_tokens else opening_of_thoughts(completion.text)
    return f"it begins with {opening}: set reasoning_tokens, so that thoughts are told apart" if opening else ""


def _advice(violated: ConstraintOutcome, request: Request) -> str:
    """What to do about a part that is violated."""
    if violated.handling is Handling.ENFORCED:
        return "; the engine did not enforce it, so do not trust this engine with constraints"
    checked = "; this part could only be checked afterwards"
    if request.temperature == 0:
        return f"{checked}, and the text is the same again at temperature 0: raise it, or relax the constraints"
    return f"{checked}: generate again, with another seed if you gave one, or relax the constraints"
