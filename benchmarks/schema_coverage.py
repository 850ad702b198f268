"""What becomes of real JSON Schemas: `python -m benchmarks.schema_coverage` prints a table over tests/data/schemas."""

from __future__ import annotations

import json
import lzma
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from maze.errors import MazeError
from maze.grammar.budget import Budget
from maze.grammar.schema.lower import LoweredSchema, lower_schema

CORPUS = Path(__file__).parent.parent / "tests" / "data" / "schemas" / "corpus.json.xz"


@dataclass(frozen=True, slots=True)
class Entry:
    """One schema of the corpus and what lowering made of it."""

    package: str
    file: str
    text: str
    lowered: LoweredSchema | None
    error: MazeError | None
    secs: float

    @property
    def outcome(self) -> str:
        if self.lowered is None:
            return f"refused: {type(self.error).__name__}"
        return "enforced" if self.lowered.fully_enforced else "enforced in part, the rest checked"


def lowered_corpus() -> list[Entry]:
    """Every schema of the corpus, lowered."""
    entries = []
    for item in json.loads(lzma.decompress(CORPUS.read_bytes())):
        lowered, error = None, None
        started = time.perf_counter()
        try:
            lowered = lower_schema(item["schema"], item["file"], Budget())
        except MazeError as raised:
            error = raised
        secs = time.perf_counter() - started
        entries.append(Entry(item["package"], item["file"], item["schema"], lowered, error, secs))
    return entries


def main() -> None:
    """Print the table."""
    entries = lowered_corpus()
    print(f"{len(entries)} schemas of {len({entry.package for entry in entries})} packages\n")
    for outcome, count in Counter(entry.outcome for entry in entries).most_common():
        print(f"{count:5}  {100 * count / len(entries):5.1f} %  {outcome}")

    print("\nlowering and test compilation, milliseconds")
    print(f"{'schema':>18} {'count':>6} {'median':>8} {'slowest':>8}")
    for name, low, high in (("up to 2 KB", 0, 2e3), ("2 to 20 KB", 2e3, 2e4), ("over 20 KB", 2e4, 1e9)):
        times = sorted(entry.secs * 1000 for entry in entries if low < len(entry.text) <= high)
        print(f"{name:>18} {len(times):6} {times[len(times) // 2]:8.1f} {times[-1]:8.1f}")

    print("\nwhat the check has to decide, in schemas")
    reasons: Counter[str] = Counter()
    for entry in entries:
        if entry.lowered is not None:
            reasons.update({reason.split(" is checked on")[0] for reason in entry.lowered.reasons})
    for what, count in reasons.most_common(20):
        print(f"{count:5}  {what}")

    print("\nrefused")
    for entry in entries:
        if entry.error is not None:
            print(f"  {entry.package}, {str(entry.error)[:200]}")


if __name__ == "__main__":
    main()
