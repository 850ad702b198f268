"""What comes out of a generation: the code, what became of its constraints, what was counted, what produced it."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from typing import Any, Self

from maze.errors import Status, error_of
from maze.outcome import ConstraintOutcome, ValidationResult
from maze.shown import Shown, tokens_in_words


@dataclass(frozen=True, slots=True)
class Provenance:
    """What produced this code, enough to do it again; of a call that failed, as far as it is known."""

    model: str | None
    backend: str | None
    timestamp: str
    """RFC 3339 in UTC."""
    constraints_applied: tuple[str, ...]
    """Paths of the parts that were enforced or checked."""
    original_intent: str
    parameters: dict[str, Any]
    versions: dict[str, str]
    """Of libmaze and what it checks with."""
    engine: dict[str, Any]
    """What the engine said of itself and of this generation."""
    grammar_digest: str | None
    """None where the constraints could not be compiled."""
    code_digest: str


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of the answer as the engine weighed it."""

    text: str
    logprob: float
    """Natural logarithm of its probability."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens in its place and their log-probabilities."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One generation of a call that made as many as it took; those before the last broke what is only checked."""

    seed: int
    status: Status
    tokens_generated: int | None = None
    finish_reason: str = ""
    total_time_ms: float = 0.0
    error: str | None = None
    violations: tuple[ConstraintOutcome, ...] = ()
    """The parts that its text broke."""


@dataclass(frozen=True, slots=True)
class GenerationMetadata:
    """Counts and times of one call: of all its attempts together, where nothing else is said."""

    tokens_generated: int | None = None
    """None where the engine was asked, and did not tell before an attempt failed."""
    prompt_tokens: int | None = None
    total_time_ms: float = 0.0
    compile_time_ms: float | None = None
    """0 where they were compiled already, None where they could not be."""
    first_token_ms: float | None = None
    """From sending the request of the last attempt to its first text: queueing and prompt processing."""
    time_per_token_us: float | None = None
    """Of the last attempt, behind its first text."""
    validation_time_ms: float | None = None
    """None where there was no finished text."""
    cache_hit: bool = False
    finish_reason: str = ""
    """Of the last attempt: stop, length or completed (its end is ours); where the text was not finished: cancelled,
    timed_out or error. Empty where the engine was not asked."""
    cut: bool = False
    """Whether max_tokens or the context cut the text off."""
    completed_from: int | None = None
    """Byte offset in the code from which on the text is the shortest legal ending, appended by libmaze."""
    steered_from: int | None = None
    """Byte offset in the code from which on the model wrote under a grammar of short endings, to end in time."""
    attempts: tuple[Attempt, ...] = ()
    """Every one of them; the code is the text of the last."""
    reasoning: str | None = None
    """What the model thought before its last answer; None where it was not asked to."""
    reasoning_tokens: int | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    """None where they were not asked for, or the engine gives none."""


@dataclass(frozen=True, slots=True, repr=False)
class GenerationResult(Shown):
    """The answer of a generation. `success` means: every constraint is satisfied. It is true where it is a success."""

    code: str
    success: bool
    status: Status
    error: str | None = None
    provenance: Provenance | None = None
    validation: ValidationResult | None = None
    metadata: GenerationMetadata = field(default_factory=GenerationMetadata)

    def __bool__(self) -> bool:
        return self.success

    def __repr__(self) -> str:
        tokens, ended = self.metadata.tokens_generated, self.metadata.finish_reason
        told = f"{self.status.name}, {tokens_in_words(tokens)}{f', {ended}' if ended else ''}"
        return f"<{type(self).__name__} {told}: {self.error or reprlib.repr(self.code)}>"

    def raise_for_status(self) -> Self:
        """Give this result back, if it is a success. Raises the MazeError of its status, whose `result` it is."""
        if self.success:
            return self
        error = error_of(self.status, self.error or self.status.meaning)
        error.partial_text, error.result = self.code, self
        raise error
