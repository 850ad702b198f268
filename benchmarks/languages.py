"""Whole languages: what their grammars cost, whether all they allow parses, and how much of real code they take.

`python -m benchmarks.languages [NAME ...] [--walks N] [--functions N] [--files N] [--samples N] [--show N]
[--seed N] [--skip N]`: a row for each language. `--seed` makes other derivations; `--skip` leaves out the first files
and ten times as many functions, which the grammar was perhaps mended by.

- rules as written in the file; compile of a set that is not in the cache, in ms of CPU time
- masks while real functions in canonical layout are read, with the vocabulary of the embedded model, in ms
- sound: of derivations with a seed, see language_walks, the share that the language's own parser takes; lexer: the
  share that the engine's lexer takes
- complete: real functions / files (i) as tokens, re-printed, (ii) the same after the language's own formatter,
  (iii) raw
- sampled, with `--samples N`: of N texts that the embedded model writes by the grammar, those that the parser takes

`--show N` prints N examples of each failure. `python -m benchmarks.languages --demo [NAME ...] [--count N]` has the
model answer the same prompt with and without the grammar, and prints how many answers parse; see language_samples.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from statistics import quantiles

from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from benchmarks.language_entries import ENTRIES, Entry
from benchmarks.language_programs import PROGRAMS
from benchmarks.language_samples import PROMPTS, demonstrated, sampled
from benchmarks.language_walks import Walks
from benchmarks.model_vocabulary import embedded_vocabulary
from maze.check.layout import LayoutError, laid_out
from maze.compiled import EngineGrammar
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.languages.syntax import syntax_names, syntax_text
from maze.grammar.llguidance import ENGINE_LIMITS, Matcher, engine_text
from maze.grammar.read.grammar_text import lower_grammar
from maze.types import ConstraintIR

MIN_MASKS = 100
"""Of which the 99th percentile is told."""


@dataclass(slots=True)
class Row:
    """What was found out about a language."""

    name: str
    rules: int
    figures: dict[str, str] = field(default_factory=dict)


def share(verdicts: Iterable[bool]) -> str:
    """A share with its numbers."""
    found = list(verdicts)
    return f"{100 * sum(found) / max(len(found), 1):.1f} % of {len(found)}"


def words_of(name: str) -> list[str]:
    """Words in the grammar of a language, in small letters too, since some keywords are in any case."""
    grammar = re.sub(r"^//.*", "", syntax_text(name), flags=re.MULTILINE)
    words = {*re.findall(r"\b[A-Za-z_]{2,13}\b", grammar)}.union(
        *(words_of(each) for each in re.findall(r"^%import language\.(\w+)$", grammar, re.MULTILINE))
    )
    return sorted(words | {each.lower() for each in words if each.isupper()})


class Measured:
    """One language."""

    def __init__(self, entry: Entry, show: int) -> None:
        self._entry = entry
        self._show = show
        self._lowered = lower_grammar(f"%language {entry.name}", None, "grammar", Budget())
        self.grammar = cfg_to_lark(self._lowered.cfg, Budget())
        self._matchers = {"file": Matcher(self.grammar)}

    def accepts(self, text: str, start: str = "file") -> bool:
        """Whether the grammar takes a text, read as an engine reads it."""
        if start not in self._matchers:
            lowered = lower_grammar(f"%language {self._entry.name} {start}", None, "grammar", Budget())
            self._matchers[start] = Matcher(cfg_to_lark(lowered.cfg, Budget()))
        data = text.encode()
        matcher = self._matchers[start].copy()
        return matcher.consume(data) == len(data) and matcher.can_end()

    def grammar_for(self, texts: Sequence[str]) -> EngineGrammar:
        """That of whole files if they are some, else that of functions."""
        if all(self.accepts(text) for text in texts):
            return self.grammar
        lowered = lower_grammar(f"%language {self._entry.name} function", None, "grammar", Budget())
        return cfg_to_lark(lowered.cfg, Budget())

    def walks(self, number: int, seed: int) -> dict[str, str]:
        """Soundness, and what the lexer takes."""
        walks = Walks(self._lowered.cfg, seed, words_of(self._entry.name))
        texts = list(walks.texts(number))
        taken = [text for text in texts if self.accepts(text)]
        self._examples("the lexer does not take", [text for text in texts if text not in set(taken)], self._refused_at)
        verdicts = self._entry.judge(taken)
        excluded = re.compile("|".join(self._entry.excluded) or r"(?!)")
        counted = [each for each in zip(taken, verdicts, strict=True) if not (each[1] and excluded.search(each[1]))]
        bad = {text: verdict for text, verdict in counted if verdict is not None}
        self._examples("the judge refuses", list(bad), lambda text: f"{text}\n  -> {bad[text]}")
        left_out = len(taken) - len(counted)
        return {
            "walks": str(walks),
            "sound": share(verdict is None for _, verdict in counted) + (f" (-{left_out})" if left_out else ""),
            "lexer": f"{100 * len(taken) / len(texts):.2f} % of {len(texts)}",
        }

    def complete(self, functions: Sequence[str], files: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """The three figures for functions and files, and functions in canonical layout."""
        canonical: list[str] = []
        figures = {}
        start = "function" if re.search(r"^function\b", syntax_text(self._entry.name), re.MULTILINE) else "file"
        tokens = [self._as_tokens(text, start, canonical) for text in functions]
        whole = [self._as_tokens(text, "file", []) for text in files]
        figures["complete i"] = f"{share(tokens)} / {share(whole)}"
        if self._entry.formatted is not None:
            formatted = [
                [self._as_tokens(text, begin, []) for text in self._entry.formatted(some) if text is not None]
                for some, begin in ((functions, start), (files, "file"))
            ]
            figures["complete ii"] = " / ".join(map(share, formatted))
        raw = [[self.accepts(text, begin) for text in some] for some, begin in ((functions, start), (files, "file"))]
        figures["complete iii"] = " / ".join(map(share, raw))
        return figures, canonical

    def _as_tokens(self, text: str, start: str, into: list[str]) -> bool:
        try:
            into.append(laid_out(text, self._entry.name, start))
        except LayoutError as error:
            problem = f"{error}: {[*text.splitlines(), ''][text.count(chr(10), 0, error.offset)].strip()[:100]}"
            self._examples(f"{start} is outside of the grammar", [text], lambda _: problem)
            return False
        return True

    def _refused_at(self, text: str) -> str:
        data = text.encode()
        at = self._matchers["file"].copy().consume(data)
        return f"{data[max(at - 80, 0) : at]!r} >> {data[at : at + 40]!r}"

    def _examples(self, what: str, texts: Sequence[str], shown: Callable[[str], str]) -> None:
        for text in texts[: self._show]:
            print(f"  {self._entry.name}: {what}: {shown(text)}")


_COMPILATIONS = """
import sys, time
import maze.orchestrator
from maze.grammar import compile_constraints
from maze.types import ConstraintIR
for number in range(6):
    started = time.process_time()
    compile_constraints([ConstraintIR(name=f"c{number}", grammar=f"%language {sys.argv[1]}")])
    print(1e3 * (time.process_time() - started))
"""
"""A program without the imports of this one, whose garbage would be collected meanwhile."""


def compile_ms(name: str) -> str:
    """CPU time of a language's first compilation in a process, of those that follow, and of an engine that takes it.

    Each is the least of some, as other programs only add to it; the cache knows nothing of any.
    """
    processes = [
        subprocess.run([sys.executable, "-c", _COMPILATIONS, name], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    times = [[float(each) for each in process.stdout.split()] for process in processes]
    grammar = compile_constraints([ConstraintIR(grammar=f"%language {name}")]).grammar
    alone = []
    for _ in range(9):
        started = time.process_time()
        if grammar is not None:
            Matcher(grammar, ENGINE_LIMITS).next_bytes()
        alone.append(1e3 * (time.process_time() - started))
    first, later = min(each[0] for each in times), min(ms for each in times for ms in each[1:])
    return f"first {first:.0f}, then {later:.0f}; an engine takes {min(alone):.0f}"


def masks(grammar: EngineGrammar, texts: Sequence[str], tokenizer: LLTokenizer) -> str:
    """Median and 99th percentile in ms of CPU time, token by token through the texts."""
    times: list[float] = []
    for text in texts:
        matcher = LLMatcher(tokenizer, engine_text(grammar), log_level=0, limits=ENGINE_LIMITS)
        for token in tokenizer.tokenize_str(text):
            started = time.process_time()
            matcher.compute_bitmask()
            times.append(1e3 * (time.process_time() - started))
            if not matcher.consume_token(token):
                return f"stuck: {matcher.get_error()[:60]} in {text[:60]!r}"
    if len(times) < MIN_MASKS:
        return "too few to tell"
    cuts = quantiles(times, n=100)
    return f"{cuts[49]:.2f} / {cuts[98]:.2f}, worst {max(times):.1f}"


def measured(entry: Entry, given: argparse.Namespace, tokenizer: LLTokenizer) -> Row:
    """The row of a language."""
    written = re.findall(r"^[a-z]\w*(?:\{[^}\n]*\})?:", syntax_text(entry.name), re.MULTILINE)
    row = Row(entry.name, len(written))
    row.figures["compile ms"] = compile_ms(entry.name)
    language = Measured(entry, given.show)
    row.figures.update(language.walks(given.walks, given.seed))
    if given.samples:
        row.figures["sampled"] = sampled(entry, given.samples, given.show)
    functions = list(islice(entry.functions(), 10 * given.skip, 10 * given.skip + given.functions))
    files = list(islice(entry.files(), given.skip, given.skip + given.files))
    refused = [verdict is not None for verdict in entry.judge(files)]
    row.figures["judge fails on files"] = f"{sum(refused)} of {len(refused)}"
    figures, canonical = language.complete(functions, files)
    row.figures.update(figures)
    some = [text for text in canonical if len(text) > 300][:20]
    row.figures["mask p50 / p99 ms"] = masks(language.grammar_for(some), some, tokenizer)
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="languages; all by default")
    parser.add_argument("--walks", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0, help="of the walks")
    parser.add_argument("--functions", type=int, default=1_000)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--samples", type=int, default=0)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--demo", action="store_true", help=f"for {' and '.join(PROMPTS)}")
    parser.add_argument("--count", type=int, default=50, help="answers of each kind in the demonstration")
    given = parser.parse_args()
    known = {entry.name for entry in (*ENTRIES, *PROGRAMS)}
    if unknown := [name for name in given.names if name not in known]:
        parser.error(
            f"no entry for {', '.join(unknown)}; add it to ENTRIES, or give some of {', '.join(sorted(known))}"
        )
    if given.demo:
        for entry in ENTRIES:
            if entry.name in PROMPTS and (not given.names or entry.name in given.names):
                for how, share in demonstrated(entry, given.count).items():
                    print(f"{entry.name}, {how}: {share}", flush=True)
        return
    tokenizer = LLTokenizer(TokenizerWrapper(embedded_vocabulary()))
    for entry in (*ENTRIES, *PROGRAMS):
        if entry.name in syntax_names() and (not given.names or entry.name in given.names):
            row = measured(entry, given, tokenizer)
            print(f"{row.name}: {row.rules} rules")
            for what, figure in row.figures.items():
                print(f"  {what:20} {figure}", flush=True)


if __name__ == "__main__":
    main()
