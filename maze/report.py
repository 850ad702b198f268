"""The report of a call: one JSON object, of one shape for C, Python and the command line.

docs/report.schema.json is that shape, docs/report.md explains it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any, TypeAlias

from maze.backends.base import Health, ModelNames
from maze.compiled import CompiledConstraints
from maze.errors import MazeError, Status
from maze.grammar.llguidance import engine_text
from maze.native_json import dumps
from maze.outcome import ValidationResult, validation_error
from maze.result import Attempt, GenerationMetadata, GenerationResult

Report: TypeAlias = dict[str, Any]


def report_of(outcome: GenerationResult | ValidationResult | CompiledConstraints | Health | MazeError) -> Report:
    """The report of what a call gave or raised, in plain values that json.dumps() takes."""
    match outcome:
        case GenerationResult():
            report = report_generation(outcome) | {"code": outcome.code}
        case ValidationResult():
            report = report_validation(outcome)
        case CompiledConstraints():
            report = json.loads(outcome.report_json) | {"grammar": grammar_text(outcome)}
        case Health():
            report = report_health(outcome)
        case MazeError():
            report = report_call(outcome.status, str(outcome))
    plain: Report = json.loads(encode(report))
    return plain


def report_call(status: Status, error: str | None = None, **more: object) -> Report:
    """What every report says, and what is to be said beside it."""
    return {"status": name_of(status), "success": status is Status.OK, "error": error, **more}


def report_models(names: tuple[str, ...]) -> Report:
    """The report of a list of models."""
    return report_call(Status.OK, models=tuple(names), models_cut=isinstance(names, ModelNames) and names.is_cut)


def report_generation(result: GenerationResult) -> Report:
    """The report of a generation, without its code."""
    return report_call(
        result.status,
        result.error,
        provenance=result.provenance,
        validation=result.validation,
        metadata=report_metadata(result.metadata),
    )


def report_validation(validation: ValidationResult) -> Report:
    """The report of a validation."""
    failure = validation_error(validation)
    return report_call(*((failure.status, str(failure)) if failure else (Status.OK,)), validation=validation)


def report_health(health: Health) -> Report:
    """The report of a question for health."""
    if health.ready:
        return report_call(Status.OK, **asdict(health))
    details = "; ".join(
        f"{endpoint.get('endpoint', health.backend)}: {endpoint.get('detail', 'not ready')}"
        for endpoint in health.endpoints
        if not endpoint.get("ready")
    )
    error = f"the engine is not ready: {details or health.backend or 'it cannot be reached'}"
    return report_call(Status.ENGINE_UNAVAILABLE, error, **asdict(health))


def grammar_text(compiled: CompiledConstraints) -> str | None:
    """The text of the grammar that an engine would get; None where there is nothing to enforce."""
    return None if compiled.grammar is None else engine_text(compiled.grammar)


def report_metadata(metadata: GenerationMetadata) -> Report:
    """Counts and times of a generation."""
    told = {field.name: getattr(metadata, field.name) for field in fields(metadata)}
    return told | {"attempts": report_attempts(metadata.attempts)}


def report_attempts(attempts: tuple[Attempt, ...]) -> list[Report]:
    """The attempts of a generation."""
    return [
        {field.name: getattr(attempt, field.name) for field in fields(attempt)} | {"status": name_of(attempt.status)}
        for attempt in attempts
    ]


def name_of(status: Status) -> str:
    """The name of a status as include/maze.h has it."""
    return f"MAZE_{status.name}"


def encode(report: Report) -> bytes:
    """Encode as JSON; texts with lone surrogates, which UTF-8 cannot hold, with escapes."""
    try:
        return dumps(report)
    except TypeError:
        return json.dumps(report, default=asdict).encode()
