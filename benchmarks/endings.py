"""How many generations end by themselves within max_tokens, with the steering to an end in time and without.

`python -m benchmarks.endings [--corpus FILE] [--every N] [--tokens N ...]`: every Nth schema of FILE (see
benchmarks.schema_coverage), and all of Braid's grammars and GBNF that the tests have, with the embedded model at
temperature 1.0. Told is, for each kind and each max_tokens, how many ended by themselves, and what `complete` makes of
the others. With the same seed the same text comes however large max_tokens is, until it is steered: so without the
steering each is generated once, with the largest, and what ended before the steering began is not generated again.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.schema_coverage import corpus
from maze import ConstraintIR, GenerationOptions, GenerationResult, Intent, MazeConfig, Orchestrator
from maze.backends.base import FINISHED_COMPLETED, FINISHED_STOP, Completion, Deadline, Health, OnText, Request
from maze.compiled import CompiledConstraints
from maze.engine import EmbeddedEngine
from maze.engine.embedded import SLOTS
from maze.errors import MazeError, Status
from maze.options import WhenCutOff
from maze.steering import first_reserve

DATA = Path(__file__).parent.parent / "tests" / "data"
TOKENS = (64, 256, 1_024)
INTENT = "Write an example."
SEED = 7
TIMEOUT_MS = 1_200_000
SHOWN_EVERY = 50


@dataclass(slots=True)
class Unsteered:
    """The engine without the steering."""

    engine: EmbeddedEngine
    name: str = EmbeddedEngine.name

    def can_go_on(self, _: Request) -> bool:
        """Never, so that it is not steered."""
        return False

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


@dataclass(slots=True)
class Endings:
    """Generates each sample both ways."""

    unsteered: Orchestrator
    steered: Orchestrator
    tokens: Sequence[int]
    found: dict[tuple[str, int, str], Counter[str]] = field(default_factory=dict)
    """Outcomes by kind, max_tokens and way."""

    def add(self, kind: str, constraint: ConstraintIR, language: str | None) -> None:
        """Generate for one constraint, where a grammar is enforced."""
        try:
            compiled = self.steered.compile([constraint], language)
        except MazeError:
            return
        if compiled.grammar is None:
            return
        before = _generate(self.unsteered, compiled, max(self.tokens), WhenCutOff.ERROR)
        used = before.metadata.tokens_generated
        for tokens in self.tokens:
            if before.success and used is not None and used <= tokens:
                ended = "ended"
            else:
                ended = "cut off" if before.success else outcome(before)
            self._count(kind, tokens, "before", ended)
            if ended == "ended" and used is not None and used <= tokens - first_reserve(tokens):
                self._count(kind, tokens, "after", ended)
            else:
                after = _generate(self.steered, compiled, tokens, WhenCutOff.COMPLETE)
                self._count(kind, tokens, "after", outcome(after))

    def _count(self, kind: str, tokens: int, way: str, ended: str) -> None:
        self.found.setdefault((kind, tokens, way), Counter())[ended] += 1

    def show(self) -> None:
        """Print what has been found so far."""
        for (kind, tokens, way), outcomes in sorted(self.found.items()):
            told = ", ".join(f"{what} {count}" for what, count in outcomes.most_common())
            print(f"{kind:7} {tokens:5} tokens, {way:6}: {told} (n = {outcomes.total()})", flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--tokens", type=int, nargs="+", default=TOKENS)
    arguments = parser.parse_args()
    engine = EmbeddedEngine()
    with (
        Orchestrator(MazeConfig(), backend=Unsteered(engine)) as unsteered,
        Orchestrator(MazeConfig(), backend=engine) as steered,
        ThreadPoolExecutor(SLOTS) as pool,
    ):
        endings = Endings(unsteered, steered, arguments.tokens)
        calls = [pool.submit(endings.add, *sample) for sample in samples(arguments.corpus, arguments.every)]
        for number, call in enumerate(as_completed(calls), 1):
            call.result()
            if number % SHOWN_EVERY == 0:
                print(f"\n{number} of {len(calls)}:")
                endings.show()
        print("\nall:")
        endings.show()


def _generate(
    maze: Orchestrator, compiled: CompiledConstraints, tokens: int, when_cut_off: WhenCutOff
) -> GenerationResult:
    options = GenerationOptions(
        max_tokens=tokens, temperature=1.0, seed=SEED, max_attempts=1, when_cut_off=when_cut_off, timeout_ms=TIMEOUT_MS
    )
    return maze.generate(Intent(INTENT), compiled, options)


if __name__ == "__main__":
    main()
