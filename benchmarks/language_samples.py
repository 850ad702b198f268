"""Programs that the embedded model writes with and without the grammar of a language, and what judges say of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from benchmarks.language_entries import Entry
from maze import ConstraintIR, GenerationOptions, GenerationResult, Intent, Orchestrator
from maze.backends.base import FINISHED_COMPLETED, FINISHED_LENGTH
from maze.engine.embedded import SLOTS
from maze.options import WhenCutOff

MAX_TOKENS = 256
TIMEOUT_MS = 600_000
_FENCED = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)

PROMPTS = {
    "python": "Write a Python function that returns the longest word of a text. Answer with the program alone.",
    "zig": "Write a Zig function that returns the largest number of a slice. Answer with the program alone.",
}
"""Of the demonstration."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some texts of a model parse."""

    texts: int
    parse: int
    cut_off: int
    """Of those that do not parse, at the limit of tokens."""

    def __str__(self) -> str:
        return f"{self.parse} of {self.texts} parse ({self.cut_off} of the others were cut off)"


def sampled(entry: Entry, count: int, show: int = 0) -> str:
    """The share of texts by the grammar of a language that its judge takes; its known complaints are left out.

    What the limit of tokens cut off and libmaze completed counts, and is told apart. `show` examples of what the judge
    refuses are printed.
    """
    results = _generated(f"Write a program in {entry.name}.", entry.name, count, temperature=1.0, max_tokens=128)
    made = [each for each in results if each.success]
    excluded = re.compile("|".join(entry.excluded) or r"(?!)")
    judged = [
        (each, verdict)
        for each, verdict in zip(made, entry.judge([each.code for each in made]), strict=True)
        if not (verdict and excluded.search(verdict))
    ]
    for each, verdict in [one for one in judged if one[1]][:show]:
        print(f"  {entry.name}: the judge refuses what the model wrote: {each.code}\n  -> {verdict}")
    completed = [verdict for each, verdict in judged if each.metadata.finish_reason == FINISHED_COMPLETED]
    failed = Counter(each.status.name for each in results if not each.success)
    others = "".join(f", {number} {status}" for status, number in failed.items())
    parsed = sum(verdict is None for _, verdict in judged)
    share = f"{100 * parsed / max(len(judged), 1):.1f} % of {len(judged)}"
    return f"{share}, with {completed.count(None)} of {len(completed)} that were cut off and completed{others}"


def demonstrated(entry: Entry, count: int) -> dict[str, Share]:
    """The same prompt with and without the grammar, each with the seeds 0 to `count` - 1.

    Without it, what stands in the first fence of Markdown is the program, if there is one.
    """
    shares = {}
    for grammar in (None, entry.name):
        results = _generated(PROMPTS[entry.name], grammar, count, temperature=0.7, max_tokens=MAX_TOKENS)
        texts = [each.code if grammar else _program_in(each.code) for each in results]
        verdicts = entry.judge(texts)
        cut_off = [each.metadata.finish_reason == FINISHED_LENGTH for each in results]
        shares[f"%language {grammar}" if grammar else "without"] = Share(
            count,
            sum(verdict is None for verdict in verdicts),
            sum(verdict is not None and cut for verdict, cut in zip(verdicts, cut_off, strict=True)),
        )
    return shares


def _program_in(answer: str) -> str:
    fenced = _FENCED.search(answer)
    return fenced[1] if fenced else answer


def _generated(
    prompt: str, grammar: str | None, count: int, *, temperature: float, max_tokens: int
) -> Sequence[GenerationResult]:
    constraints = [] if grammar is None else [ConstraintIR(grammar=f"%language {grammar}")]
    options = GenerationOptions(
        max_tokens=max_tokens,
        temperature=temperature,
        timeout_ms=TIMEOUT_MS,
        when_cut_off=WhenCutOff.ERROR if grammar is None else WhenCutOff.COMPLETE,
    )
    with Orchestrator() as maze, ThreadPoolExecutor(SLOTS) as threads:
        return list(
            threads.map(
                lambda seed: maze.generate(Intent(prompt), constraints, replace(options, seed=seed)), range(count)
            )
        )
