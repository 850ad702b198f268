"""`maze bench`: how fast this machine, or the configured engine, generates, free and under constraints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.table import Table

from maze.cli.inputs import Json
from maze.cli.output import failing, print_json, stdout, waiting
from maze.errors import Status
from maze.options import GenerationOptions, WhenCutOff
from maze.orchestrator import Orchestrator
from maze.report import report_call
from maze.result import GenerationResult
from maze.types import ConstraintIR, Intent

_INTENT = Intent("Tell a long story about a lighthouse, with many names and places.")
_PERSON = '{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"]}'
_KINDS = {
    "free": (),
    "JSON Schema": (ConstraintIR(json_schema=f'{{"type":"array","minItems":1000,"items":{_PERSON}}}'),),
    "%language python": (ConstraintIR(grammar="%language python"),),
    "a pattern": (ConstraintIR(regex_patterns=(r"^([A-Z][a-z]*[ .,]+)+$",)),),
}


@dataclass(frozen=True, slots=True)
class _Speed:
    tokens: int | None
    tokens_per_second: float | None
    """Behind the first."""
    first_token_ms: float | None
    compile_ms: float | None


def bench(
    tokens: Annotated[
        int, typer.Option(min=2, max=100_000, metavar="N", help="Tokens to generate for each row.")
    ] = 128,
    as_json: Json = False,
) -> None:
    """Measure the engine: tokens per second, to the first token, and to compile, free and under constraints."""
    measured: dict[str, _Speed] = {}
    with failing(as_json), Orchestrator() as maze, waiting("loading the model", as_json) as progress:
        maze.health()
        options = GenerationOptions(max_tokens=tokens, seed=1, max_attempts=1, when_cut_off=WhenCutOff.ACCEPT)
        for kind, constraints in _KINDS.items():
            progress.wait_for(kind)
            maze.generate(_INTENT, constraints, options)  # what only the first call takes
            maze.clear_cache()
            measured[kind] = _speed_of(maze.generate(_INTENT, constraints, options))
    if as_json:
        print_json(report_call(Status.OK, tokens=tokens, measured=measured))
        return
    table = Table("", "tokens", "per second", "of free", "first token, ms", "compile, ms", box=None)
    free = measured["free"].tokens_per_second
    for kind, speed in measured.items():
        of_free = speed.tokens_per_second / free if speed.tokens_per_second and free else None
        table.add_row(
            kind,
            _shown(speed.tokens, 0),
            _shown(speed.tokens_per_second, 1),
            _shown(of_free, 2),
            _shown(speed.first_token_ms, 1),
            _shown(speed.compile_ms, 1),
        )
    stdout().print(table)


def _shown(number: float | None, digits: int) -> str:
    return "-" if number is None else f"{number:.{digits}f}"


def _speed_of(result: GenerationResult) -> _Speed:
    if result.status is not Status.TRUNCATED:
        result.raise_for_status()
    metadata = result.metadata
    per_token_us = metadata.time_per_token_us
    per_second = 1e6 / per_token_us if per_token_us else None
    return _Speed(metadata.tokens_generated, per_second, metadata.first_token_ms, metadata.compile_time_ms)
