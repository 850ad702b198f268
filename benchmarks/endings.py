"""How many generations end by themselves within max_tokens, with the steering to an end in time and without.

`python -m benchmarks.endings [--corpus FILE] [--every N] [--tokens N ...]`: every Nth schema of FILE (see
benchmarks.schema_coverage), and all of Braid's grammars and GBNF that the tests have, each generated once with the
embedded model at temperature 1.0, with the same seed both ways. Told is, for each kind and each max_tokens, how many
ended by themselves, and what `complete` makes of the others.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.schema_coverage import corpus
from maze import ConstraintIR, GenerationOptions, GenerationResult, Intent, MazeConfig, Orchestrator
from maze.backends.base import FINISHED_COMPLETED, FINISHED_STOP, Completion, Deadline, Health, OnText, Request
from maze.engine import EmbeddedEngine
from maze.errors import MazeError, Status
from maze.types import CompiledConstraints, WhenCutOff

DATA = Path(__file__).parent.parent / "tests" / "data"
TOKENS = (64, 256, 1_024)
INTENT = "Write an example."
SEED = 7


@dataclass(slots=True)
class Unsteered:
    """The engine without the steering."""

    engine: EmbeddedEngine
    name: str = EmbeddedEngine.name
    can_go_on: bool = False

    def generate(self, request: Request, on_text: OnText) -> Completion:
        """See `Backend.generate`."""
        return self.engine.generate(request, on_text)

    def health(self, deadline: Deadline) -> Health:
        """See `Backend.health`."""
        return self.engine.health(deadline)

    def models(self, deadline: Deadline) -> tuple[str, ...]:
        """See `Backend.models`."""
        return self.engine.models(deadline)

    def close(self) -> None:
        """The engine is closed by who made it."""


def samples(file: Path | None, every: int) -> Iterator[tuple[str, ConstraintIR, str | None]]:
    """Kind, constraint and language."""
    for entry in corpus(file)[::every]:
        yield "schema", ConstraintIR(json_schema=entry.text), None
    for path in sorted((DATA / "braid").glob("*.json")):
        sample = json.loads(path.read_text())
        if sample.get("grammar"):
            yield "Braid", ConstraintIR(grammar=sample["grammar"]), sample["language"]
    for path in sorted((DATA / "grammars").glob("*.gbnf")):
        yield "GBNF", ConstraintIR(grammar=path.read_text()), None
    for line in (DATA / "cases" / "holding.jsonl").read_bytes().splitlines():
        grammar = json.loads(line)["constraint"]
        if isinstance(grammar, str) and "::=" in grammar:
            yield "GBNF", ConstraintIR(grammar=grammar), None


def outcome(result: GenerationResult) -> str:
    """In a word."""
    if result.metadata.finish_reason == FINISHED_COMPLETED:
        return "completed" if result.success else "completed wrongly"
    if result.success:
        return "ended" if result.metadata.finish_reason == FINISHED_STOP else "could not go on"
    return "cut off" if result.status is Status.TRUNCATED else result.status.name


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--tokens", type=int, nargs="+", default=TOKENS)
    arguments = parser.parse_args()
    found: dict[tuple[str, int, str], Counter[str]] = {}
    engine = EmbeddedEngine()
    with (
        Orchestrator(MazeConfig(), backend=engine) as steered,
        Orchestrator(MazeConfig(), backend=Unsteered(engine)) as unsteered,
    ):
        for kind, constraint, language in samples(arguments.corpus, arguments.every):
            try:
                compiled = steered.compile([constraint], language)
            except MazeError:
                continue
            if compiled.grammar is None:
                continue
            for tokens in arguments.tokens:
                for way, maze in (("before", unsteered), ("after", steered)):
                    result = _generate(maze, compiled, tokens)
                    found.setdefault((kind, tokens, way), Counter())[outcome(result)] += 1
    for (kind, tokens, way), outcomes in sorted(found.items()):
        told = ", ".join(f"{what} {count}" for what, count in outcomes.most_common())
        print(f"{kind:7} {tokens:5} tokens, {way:6}: {told} (n = {outcomes.total()})")


def _generate(maze: Orchestrator, compiled: CompiledConstraints, tokens: int) -> GenerationResult:
    options = GenerationOptions(
        max_tokens=tokens, temperature=1.0, seed=SEED, when_cut_off=WhenCutOff.COMPLETE, timeout_ms=600_000
    )
    return maze.generate(Intent(INTENT), compiled, options)


if __name__ == "__main__":
    main()
