"""Generations of the embedded model, judged by libraries that share nothing with libmaze.

`python -m benchmarks.judged_generations [--generations N] [--kind KIND] [--sets N] [--max-tokens N] ...`: the sets are
those of judged_sets.jsonl, one a line, each asked N times at temperature 1.0, as many at once as the engine computes at
once. Told are the calls that failed and why,
how many attempts the others took, and texts that libmaze called a success and a judge did not.
"""

from __future__ import annotations

import argparse
import json
import lzma
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from benchmarks.grammar_judges import braid_judge, gbnf_judge, lark_judge, syntax_judge
from benchmarks.judges import Judge, pattern_judge, schema_judge
from benchmarks.language_programs import PROGRAMS
from benchmarks.schema_coverage import CORPUS
from maze import ConstraintIR, GenerationOptions, GenerationResult, Intent, Orchestrator, Status, TokenMaskRules
from maze.engine.embedded import SLOTS
from maze.json_text import JsonValue
from maze.options import WhenCutOff

SETS = Path(__file__).parent / "judged_sets.jsonl"
BRAID = Path(__file__).parent.parent / "tests" / "data" / "braid"
GENERATIONS_EACH = 8
SEEDS_EACH = 100
MAX_TOKENS = 300
TIMEOUT_MS = 600_000
LEAST_SUCCESS = 0.97


@dataclass(frozen=True, slots=True)
class Generated:
    """A call, and what became of it."""

    name: str
    result: GenerationResult
    problems: list[str]
    """What judges say is wrong with the text of a success."""


@dataclass(frozen=True, slots=True)
class ConstraintSet:
    """What one call is asked for, and who judges it."""

    name: str
    kind: str
    intent: Intent
    constraints: list[ConstraintIR]
    judges: list[Judge]
    max_tokens: int


@dataclass(slots=True)
class Figures:
    """What was counted."""

    statuses: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    """Of the successes."""
    failed: list[str] = field(default_factory=list)
    false_successes: list[str] = field(default_factory=list)


def sets() -> Iterator[ConstraintSet]:
    """All of them, in the order of the file."""
    for line in SETS.read_text().splitlines():
        row = json.loads(line)
        constraints, judges = [], []
        for part in row["constraints"]:
            constraint, by = _constraint(part)
            constraints.append(constraint)
            judges += by
        judges += [pattern_judge(pattern) for pattern in row.get("also_matches", ())]
        if "parses_as" in row:
            judges.append(_parses(row["parses_as"], *row.get("in_file", ("", ""))))
        intent = Intent(row["prompt"], language=row.get("language"))
        yield ConstraintSet(row["name"], row["kind"], intent, constraints, judges, row.get("max_tokens", MAX_TOKENS))


@cache
def _real_schemas() -> dict[str, str]:
    return {item["file"]: item["schema"] for item in json.loads(lzma.decompress(CORPUS.read_bytes()))}


def _constraint(part: dict[str, JsonValue]) -> tuple[ConstraintIR, list[Judge]]:
    """A part of the file as callers write it, and its judges.

    A real schema and a sample of Braid's are named; `means` is the plain schema of what no judge reads.
    """
    match part:
        case {"real_schema": str(file)}:
            schema = json.loads(_real_schemas()[file])
        case {"braid": str(sample)}:
            part = {**json.loads((BRAID / f"{sample}.json").read_text()), **part, "token_masks": None}
            schema = None
        case _:
            schema = part.get("json_schema")
    grammar, patterns, masks = part.get("grammar"), part.get("regex_patterns") or (), part.get("token_masks") or {}
    assert grammar is None or isinstance(grammar, str)
    assert isinstance(patterns, list | tuple)
    assert isinstance(masks, dict)
    texts = tuple(str(pattern) for pattern in patterns)
    judges: list[Judge] = []
    if (meant := part.get("means", schema)) is not None:
        judges.append(schema_judge(meant))
    elif grammar is not None:
        judges.append(_grammar_judge(grammar, texts))
    if not (grammar and grammar.startswith("{")):
        judges += [pattern_judge(text) for text in texts]
    rules = TokenMaskRules(
        allowed=tuple(masks["allowed"]) if "allowed" in masks else None, forbidden=tuple(masks.get("forbidden", ()))
    )
    return (
        ConstraintIR(
            json_schema=None if schema is None else json.dumps(schema),
            grammar=grammar,
            regex_patterns=texts,
            token_masks=rules if masks else None,
            priority=int(str(part.get("priority", 0))),
        ),
        judges,
    )


def _grammar_judge(grammar: str, patterns: tuple[str, ...]) -> Judge:
    if grammar.startswith("{"):
        # Beside token classes a pattern describes names.
        return braid_judge(grammar, patterns[0].strip("^$") if patterns else None)
    return gbnf_judge(grammar) if "::=" in grammar else lark_judge(grammar)


def generate(maze: Orchestrator, wanted: ConstraintSet, options: GenerationOptions) -> Generated:
    """One call, judged."""
    if options.max_tokens is None:
        options = replace(options, max_tokens=wanted.max_tokens)
    result = maze.generate(wanted.intent, wanted.constraints, options)
    problems = [said for judge in wanted.judges if (said := judge(result.code)) is not None] if result.success else []
    return Generated(wanted.name, result, problems)


def count(made: Generated, figures: Figures) -> None:
    """Add a call to the figures."""
    result = made.result
    figures.statuses[result.status.name] += 1
    if result.success:
        figures.attempts[len(result.metadata.attempts)] += 1
    else:
        figures.failed.append(f"{made.name}: {result.status.name}: {result.error}\n    {result.code[-300:]!r}")
    figures.false_successes += [f"{made.name}: {problem}\n    {result.code!r}" for problem in made.problems]


def _parses(language: str, before: str = "", after: str = "") -> Judge:
    """Asks tree-sitter, and of TypeScript that it refuses, the compiler: it takes `name` and `()` on the next line."""
    parses = syntax_judge(language, before, after)
    compiler = next(entry.judge for entry in PROGRAMS if entry.name == "typescript")

    def judge(text: str) -> str | None:
        problem = parses(text)
        if problem is None or language != "typescript":
            return problem
        return compiler([f"{before}{text}{after}"])[0]

    return judge


def main() -> None:
    """Print what became of the calls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generations", type=int, default=GENERATIONS_EACH, help="of each set")
    parser.add_argument("--kind", help="only the sets of this kind")
    parser.add_argument("--sets", type=int, help="only so many of the sets, spread evenly over the file")
    parser.add_argument("--seed", type=int, default=0, help="of the first generation of each set")
    parser.add_argument("--max-tokens", type=int, help=f"of each generation; each set has its own, {MAX_TOKENS} mostly")
    parser.add_argument("--max-attempts", type=int, help="of each generation")
    parser.add_argument("--when-cut-off", type=WhenCutOff, default=WhenCutOff.ERROR, choices=list(WhenCutOff))
    arguments = parser.parse_args()
    wanted = [each for each in sets() if arguments.kind in (None, each.kind)]
    number = arguments.sets or len(wanted)
    wanted = [wanted[index * len(wanted) // number] for index in range(number)]
    options = GenerationOptions(
        temperature=1.0,
        timeout_ms=TIMEOUT_MS,
        max_tokens=arguments.max_tokens,
        max_attempts=arguments.max_attempts,
        when_cut_off=arguments.when_cut_off,
    )
    began = time.perf_counter()
    figures = Figures()
    print(f"{'':34}{'succeeded':>10}{'violated':>10}{'cut off':>9}{'other':>7}{'secs':>7}")
    with Orchestrator() as maze, ThreadPoolExecutor(SLOTS) as pool:
        for each in wanted:
            started = time.perf_counter()
            own = Figures()
            # Attempts count up from the seed: calls leave room for them.
            seeds = [arguments.seed + call * SEEDS_EACH for call in range(arguments.generations)]
            for made in pool.map(lambda seed, each=each: generate(maze, each, replace(options, seed=seed)), seeds):
                for kept in (own, figures):
                    count(made, kept)
            counts = [own.statuses[status.name] for status in (Status.OK, Status.CONSTRAINT_VIOLATED, Status.TRUNCATED)]
            columns = f"{counts[0]:10}{counts[1]:10}{counts[2]:9}{own.statuses.total() - sum(counts):7}"
            print(f"{each.name:34}{columns}{time.perf_counter() - started:7.1f}", flush=True)
    total = figures.statuses.total()
    print(
        f"\n{len(wanted)} sets of {len({each.kind for each in wanted})} kinds, {total} generations "
        f"in {time.perf_counter() - began:.0f} s\n"
        f"{figures.statuses['OK']:6}  succeeded, {figures.statuses['OK'] / total:.1%} (target {LEAST_SUCCESS:.0%}), "
        f"of which judges refuse {len(figures.false_successes)} (target 0); by attempts: "
        + ", ".join(f"{number} in {attempts}" for attempts, number in sorted(figures.attempts.items()))
    )
    for status, number in figures.statuses.most_common():
        if status != "OK":
            print(f"{number:6}  {status}, {number / total:.1%}")
    for title, lines in (("false successes", figures.false_successes), ("failed", figures.failed)):
        print("\n".join([f"\n{title}: {len(lines)}", *lines]))


if __name__ == "__main__":
    main()
