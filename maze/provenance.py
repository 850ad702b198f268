"""What produced a piece of code, enough to tell it apart and to do it again, and what it took."""

from __future__ import annotations

import hashlib
import platform
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from time import perf_counter
from typing import Any

from maze._version import __version__
from maze.backends.base import Completion, Request
from maze.types import CompiledConstraints, GenerationMetadata, Handling, Intent, Provenance


@cache
def library_versions() -> dict[str, str]:
    """Versions of what decides the outcome on our side."""
    return {
        "libmaze": __version__,
        "llguidance": metadata.version("llguidance"),
        "python": platform.python_version(),
    }


def record_provenance(
    intent: Intent, compiled: CompiledConstraints, request: Request, completion: Completion, backend: str
) -> Provenance:
    """Record how `completion` came to be. Holds what the caller sent and the engine said, never a key."""
    parameters: dict[str, Any] = {
        "prompt": request.prompt.text,
        "prompt_form": request.prompt.form,
        "system": request.prompt.system,
        "messages": [{"role": message.role, "text": message.text} for message in request.prompt.messages],
        "demands": request.prompt.demands,
        "continue_from": request.continue_from,
        "reasoning_tokens": request.reasoning_tokens,
        "language": intent.language,
        "current_file": intent.current_file,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "seed": request.seed,
        "stop": request.stop,
        "model": request.model,
        "timeout_ms": request.deadline.timeout_ms,
        "request_id": request.request_id,
    }
    return Provenance(
        model=completion.model,
        backend=backend,
        timestamp=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        constraints_applied=tuple(
            part.path for part in compiled.parts if part.handling in (Handling.ENFORCED, Handling.CHECKED)
        ),
        original_intent=intent.raw_input,
        parameters=parameters,
        versions=library_versions(),
        engine=completion.engine,
        grammar_digest=compiled.digest,
        code_digest="sha256:" + hashlib.sha256(completion.text.encode()).hexdigest(),
    )


def record_metadata(
    completion: Completion,
    compiled: CompiledConstraints,
    cache_hit: bool,
    *,
    started: float,
    sent: float,
    answered: float,
    checked: float,
) -> GenerationMetadata:
    """Record what a call took that `started` then, by perf_counter() like the points in time after it, and ends now."""
    tokens, first_token_ms = completion.tokens_generated, completion.first_token_ms
    after_first_ms = (answered - sent) * 1000 - (first_token_ms or 0.0)
    return GenerationMetadata(
        tokens_generated=tokens,
        prompt_tokens=completion.prompt_tokens,
        total_time_ms=(perf_counter() - started) * 1000,
        compile_time_ms=0.0 if cache_hit else compiled.compile_time_ms,
        first_token_ms=first_token_ms,
        time_per_token_us=after_first_ms * 1000 / (tokens - 1) if tokens > 1 else None,
        validation_time_ms=(checked - answered) * 1000,
        cache_hit=cache_hit,
        finish_reason=completion.finish_reason,
        reasoning=completion.reasoning,
        reasoning_tokens=completion.reasoning_tokens,
        logprobs=completion.logprobs,
    )
