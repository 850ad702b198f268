"""What produced a piece of code, enough to tell it apart and to do it again, and what it took; of failures too."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from time import perf_counter

from maze._version import __version__
from maze.attempt import Attempted
from maze.backends.base import Backend, Request, total_of
from maze.errors import MazeError, Status
from maze.types import (
    Attempt,
    CompiledConstraints,
    GenerationMetadata,
    GenerationResult,
    Handling,
    Intent,
    Provenance,
)


@cache
def library_versions() -> dict[str, str]:
    """Versions of what decides the outcome on our side."""
    return {
        "libmaze": __version__,
        "llguidance": metadata.version("llguidance"),
        "python": platform.python_version(),
    }


@dataclass(slots=True)
class CallRecord:
    """What is known of a call that begins when this is made; filled in as the call goes on."""

    started: float = field(default_factory=perf_counter)
    intent: Intent | None = None
    request: Request | None = None
    """As it was first asked, or would have been."""
    backend: Backend | None = None
    compiled: CompiledConstraints | None = None
    cache_hit: bool = False
    attempts: list[Attempted] = field(default_factory=list)

    def result(self, failure: MazeError | None = None) -> GenerationResult:
        """The result of the call, which ends now. `failure` is what kept it from asking the engine."""
        last = self.attempts[-1] if self.attempts else None
        if failure is None and last is not None:
            failure = last.failure
        return GenerationResult(
            code=last.completion.text if last else "",
            success=failure is None,
            status=failure.status if failure else Status.OK,
            error=self._error(failure),
            provenance=self._provenance(last),
            validation=last.validation if last else None,
            metadata=self._metadata(last),
        )

    def _error(self, failure: MazeError | None) -> str | None:
        """What the last attempt ended with, and if that was something else than before, what the one before did."""
        if failure is None:
            return None
        if len(self.attempts) < 2:
            return str(failure)
        before = self.attempts[-2].failure
        if before is None or before.status is failure.status:
            return f"{failure} ({len(self.attempts)} attempts were made)"
        return f"{failure} (in attempt {len(self.attempts)}; the one before: {before})"

    def _provenance(self, last: Attempted | None) -> Provenance | None:
        """How the text came to be. Holds what the caller sent and the engine said, never a key."""
        request = last.request if last else self.request
        if request is None or self.intent is None:
            return None
        text, model = (last.completion.text, last.completion.model) if last else ("", request.model)
        compiled = self.compiled
        return Provenance(
            model=model,
            backend=self.backend.name if self.backend else None,
            timestamp=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            constraints_applied=tuple(
                part.path
                for part in (compiled.parts if compiled else ())
                if part.handling in (Handling.ENFORCED, Handling.CHECKED)
            ),
            original_intent=self.intent.raw_input,
            parameters={
                "prompt": request.prompt.text,
                "prompt_form": request.prompt.form,
                "system": request.prompt.system,
                "messages": [{"role": message.role, "text": message.text} for message in request.prompt.messages],
                # Null: told to engines that do not enforce them, which is known to the engine's side alone.
                "demands": None if request.prompt.demands_if_unenforced else request.prompt.demands,
                "continue_from": request.continue_from,
                "reasoning_tokens": request.reasoning_tokens,
                "language": self.intent.language,
                "current_file": self.intent.current_file,
                "max_tokens": request.max_tokens,
                "temperature": request.temperature,
                "top_p": request.top_p,
                "top_k": request.top_k,
                "seed": request.seed,
                "stop": request.stop,
                "model": request.model,
                "timeout_ms": request.deadline.timeout_ms,
                "request_id": request.request_id,
            },
            versions=library_versions(),
            engine=last.completion.engine if last else {},
            grammar_digest=compiled.digest if compiled else None,
            code_digest="sha256:" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(),
        )

    def _metadata(self, last: Attempted | None) -> GenerationMetadata:
        total_time_ms = (perf_counter() - self.started) * 1000
        compile_time_ms = None
        if self.compiled is not None:
            compile_time_ms = 0.0 if self.cache_hit else self.compiled.compile_time_ms
        if last is None:
            return GenerationMetadata(
                tokens_generated=0,
                total_time_ms=total_time_ms,
                compile_time_ms=compile_time_ms,
                cache_hit=self.cache_hit,
            )
        completion, made = last.completion, self.attempts
        return GenerationMetadata(
            tokens_generated=total_of(each.completion.tokens_generated for each in made),
            prompt_tokens=total_of(each.completion.prompt_tokens for each in made),
            total_time_ms=total_time_ms,
            compile_time_ms=compile_time_ms,
            first_token_ms=completion.first_token_ms,
            time_per_token_us=_time_per_token_us(last),
            validation_time_ms=_validation_time_ms(made),
            cache_hit=self.cache_hit,
            finish_reason=completion.finish_reason,
            cut=last.cut,
            completed_from=last.completed_from,
            steered_from=last.steered_from,
            attempts=tuple(map(_attempt, made)),
            reasoning=completion.reasoning,
            reasoning_tokens=total_of(each.completion.reasoning_tokens for each in made),
            logprobs=completion.logprobs,
        )


def _attempt(made: Attempted) -> Attempt:
    return Attempt(
        seed=made.request.seed,
        status=made.status,
        tokens_generated=made.completion.tokens_generated,
        finish_reason=made.completion.finish_reason,
        total_time_ms=((made.checked or made.answered) - made.sent) * 1000,
        error=str(made.failure) if made.failure else None,
        violations=made.violated,
    )


def _time_per_token_us(made: Attempted) -> float | None:
    """Behind the first token of the answer: thoughts came before it, where there were any."""
    completion = made.completion
    tokens, first_token_ms = completion.tokens_generated, completion.first_token_ms
    if tokens is not None and completion.reasoning is not None:
        tokens = None if completion.reasoning_tokens is None else tokens - completion.reasoning_tokens
    if tokens is None or tokens < 2:
        return None
    after_first_ms = (made.answered - made.sent) * 1000 - (first_token_ms or 0.0)
    return after_first_ms * 1000 / (tokens - 1) if after_first_ms >= 0 else None  # engines measure by their own clock


def _validation_time_ms(attempts: Iterable[Attempted]) -> float | None:
    times = [(made.checked - made.answered) * 1000 for made in attempts if made.checked is not None]
    return sum(times) if times else None
