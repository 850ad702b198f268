"""How much of real JSON Schemas is enforced, how exactly and how fast, beside llguidance's own `%json` in the same run.

`python -m benchmarks.schema_coverage [--corpus FILE] [--every N]`: FILE is JSON Lines (may be `.xz`) of objects with
`id`, `schema` and `tests`, each with `valid` and `data`; without it the schemas of tests/data/schemas, which have no
tests. Every Nth schema is taken, all by default.
"""

from __future__ import annotations

import argparse
import json
import lzma
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.schema_texts import can_write
from maze.compiled import EngineGrammar
from maze.errors import MazeError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.llguidance import GuidanceError, Matcher, check_grammar
from maze.grammar.schema.lower import LoweredSchema, lower_schema
from maze.json_text import JsonValue
from maze.threads import run_with_big_stack

CORPUS = Path(__file__).parent.parent / "tests" / "data" / "schemas" / "corpus.json.xz"
MAX_SECS = 2.0
"""No real schema may take longer to compile."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A value, and whether it satisfies the schema."""

    data: JsonValue
    valid: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One schema of a corpus."""

    name: str
    text: str
    instances: tuple[Instance, ...] = ()


@dataclass(slots=True)
class Figures:
    """What was found out about one way to compile."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    accepted_invalid: list[str] = field(default_factory=list)
    rejected_valid: list[str] = field(default_factory=list)
    secs: dict[str, float] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    """What compiling took of its budget; none for llguidance alone."""


def corpus(file: Path | None) -> list[Entry]:
    """The schemas of a file, or those that the tests use."""
    if file is None:
        return [Entry(item["file"], item["schema"]) for item in json.loads(lzma.decompress(CORPUS.read_bytes()))]
    text = file.read_bytes()
    rows = [json.loads(line) for line in (lzma.decompress(text) if file.suffix == ".xz" else text).splitlines()]
    return [
        Entry(
            row["id"],
            json.dumps(row["schema"]),
            tuple(Instance(test["data"], test["valid"]) for test in row["tests"]),
        )
        for row in rows
    ]


def measure_ours(entry: Entry, figures: Figures) -> None:
    """Lower, write and try a schema as the compiler does."""

    def compiled() -> tuple[LoweredSchema, EngineGrammar | None]:
        budget = Budget()
        lowered = lower_schema(entry.text, entry.name, budget)
        if lowered.cfg is None:
            return lowered, None
        grammar = cfg_to_lark(lowered.cfg, budget)
        check_grammar(grammar, budget)
        figures.steps[entry.name] = budget.spent
        return lowered, grammar

    started = time.perf_counter()
    try:
        lowered, grammar = run_with_big_stack(compiled)
    except (MazeError, GuidanceError) as error:
        figures.outcomes[f"refused: {type(error).__name__}"] += 1
        return
    figures.secs[entry.name] = time.perf_counter() - started
    figures.outcomes["enforced" if lowered.fully_enforced else "enforced in part, the rest checked"] += 1
    figures.reasons.update({reason.split(" is checked on")[0] for reason in lowered.reasons})
    if grammar is not None:
        run_with_big_stack(lambda: judge(grammar, entry, figures, exact=lowered.fully_enforced))


def measure_llguidance(entry: Entry, figures: Figures) -> None:
    """Give the schema to llguidance as it stands."""
    guidance = {"whitespace_flexible": False}
    schema = json.loads(entry.text)
    grammar = EngineGrammar(
        f"start: %json {json.dumps({**schema, 'x-guidance': guidance})}\n" if isinstance(schema, dict) else ""
    )
    started = time.perf_counter()
    try:
        run_with_big_stack(lambda: check_grammar(grammar, Budget()))
    except GuidanceError:
        figures.outcomes["refused"] += 1
        return
    figures.secs[entry.name] = time.perf_counter() - started
    figures.outcomes["taken"] += 1
    run_with_big_stack(lambda: judge(grammar, entry, figures, exact=True))


def judge(grammar: EngineGrammar, entry: Entry, figures: Figures, *, exact: bool) -> None:
    """Hold the instances against the grammar."""
    matcher = Matcher(grammar)
    for instance in entry.instances:
        try:
            written = can_write(matcher, instance.data)
        except GuidanceError:
            figures.outcomes["(could not be judged)"] += 1
            return
        if written and not instance.valid and exact:
            figures.accepted_invalid.append(entry.name)
        if not written and instance.valid:
            figures.rejected_valid.append(entry.name)


def shown(title: str, figures: Figures) -> Iterator[str]:
    """The lines of a report."""
    total = sum(count for outcome, count in figures.outcomes.items() if outcome[0] != "(")
    yield f"\n{title}"
    for outcome, count in figures.outcomes.most_common():
        yield f"{count:7}  {100 * count / total:5.1f} %  {outcome}"
    yield f"{len(figures.accepted_invalid):7}  invalid instances accepted {figures.accepted_invalid[:5] or ''}"
    yield f"{len(figures.rejected_valid):7}  valid instances that cannot be written {figures.rejected_valid[:5] or ''}"
    times = sorted(1000 * secs for secs in figures.secs.values())
    yield (
        f"         compile time in ms: median {statistics.median(times):.1f}, "
        f"99 % {times[int(0.99 * (len(times) - 1))]:.0f}, slowest {times[-1]:.0f}"
    )
    if figures.steps:
        per_step = sorted(1_000_000 * figures.secs[name] / steps for name, steps in figures.steps.items())
        yield (
            f"         microseconds a step: median {statistics.median(per_step):.1f}, "
            f"99 % {per_step[int(0.99 * (len(per_step) - 1))]:.1f}, most {per_step[-1]:.1f}; "
            f"most steps {max(figures.steps.values()):,}"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    entries = corpus(arguments.corpus)[:: arguments.every]
    ours, theirs = Figures(), Figures()
    for entry in entries:
        measure_llguidance(entry, theirs)
        measure_ours(entry, ours)
    print(f"{len(entries)} schemas with {sum(len(entry.instances) for entry in entries)} instances")
    for title, figures in (("libmaze", ours), ("llguidance alone", theirs)):
        print("\n".join(shown(title, figures)))
    ratios = sorted(ours.secs[name] / theirs.secs[name] for name in ours.secs.keys() & theirs.secs.keys())
    slow = sorted(((secs, name) for name, secs in ours.secs.items() if secs > MAX_SECS), reverse=True)
    print(
        f"\ncompile time over llguidance's, where both take the schema: median {statistics.median(ratios):.1f} "
        f"(target 3), 99 % {ratios[int(0.99 * (len(ratios) - 1))]:.1f}"
    )
    print(f"over {MAX_SECS:.0f} s: {len(slow)} {slow[:5] or ''}")
    print("\nleft to the check, in schemas")
    for what, count in ours.reasons.most_common(20):
        print(f"{count:7}  {what}")


if __name__ == "__main__":
    main()
