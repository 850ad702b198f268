"""What is left of real grammars behind the beginnings of their texts: how fast it is found, how large it is, how exact.

`python -m benchmarks.quotients [--corpus FILE] [--every N]` takes every Nth schema of FILE (see
benchmarks.schema_coverage), walks through its grammar for 60 to 1,000 bytes, and looks at the left quotient by what was
written: its masks along a further walk must be those of the whole grammar, and its shortest text an ending. What stands
between a beginning and an end, the next characters and the diagram are asked for too.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks.schema_coverage import corpus
from maze.errors import MazeError
from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.cfg.diagram import diagram_of
from maze.grammar.cfg.earley import recognise
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg
from maze.grammar.cfg.quotient import between, rest_of
from maze.grammar.cfg.shortest import shortest_text
from maze.grammar.llguidance import GuidanceError, Matcher
from maze.grammar.pattern.code_points import contains
from maze.grammar.schema.lower import lower_schema
from maze.threads import run_with_big_stack

PREFIX_BYTES = (60, 250, 1_000)
WALK_BYTES = 40

_Result = TypeVar("_Result")


@dataclass(slots=True)
class Figures:
    """Of all grammars together."""

    ms: dict[str, list[float]] = field(default_factory=dict)
    """How long each operation took, once for each prefix."""
    sizes: list[float] = field(default_factory=list)
    """Of the text of a quotient, by that of its grammar."""
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def timed(self, what: str, function: Callable[..., _Result], *given: object) -> _Result:
        """What the function makes of the given."""
        started = time.perf_counter()
        try:
            return function(*given)
        finally:
            self.ms.setdefault(what, []).append((time.perf_counter() - started) * 1000)


def work() -> Construction:
    """As much as one operation may take."""
    return Budget().construction()


def walk(matcher: Matcher, chance: random.Random, length: int) -> str:
    """A text of the grammar, or the beginning of one, of whole characters."""
    text = ""
    while len(text) < length:
        plain = [byte for byte in matcher.next_bytes() if byte < 0x80]
        if not plain:
            break
        printable = [byte for byte in plain if byte >= 0x20]
        structure = [byte for byte in plain if chr(byte) in '",:}]']
        wanted = structure if structure and chance.random() < 0.25 else printable or plain
        character = chr(chance.choice(wanted))
        matcher.consume(character.encode())
        text += character
    return text


def look_at(name: str, cfg: Cfg, figures: Figures) -> None:
    """All prefixes of one grammar."""
    lark = cfg_to_lark(cfg, Budget())
    diagram = figures.timed("diagram", diagram_of, cfg)
    json.dumps(diagram)
    begin = Matcher(lark)
    chance = random.Random(name)
    for length in PREFIX_BYTES:
        whole = begin.copy()
        prefix = walk(whole, chance, length)
        figures.outcomes["prefixes"] += 1
        try:
            chart = figures.timed("reading the prefix", recognise, cfg, prefix, work())
            quotient = figures.timed("left quotient", rest_of, chart)
            following = figures.timed("next characters", chart.next_characters)
            ending = figures.timed("shortest ending", shortest_text, quotient, work())
            text = prefix + (ending or "")
            middle, end = len(text) // 3, len(text) - len(text) // 4
            filled = figures.timed("between two texts", between, cfg, text[:middle], text[end:], work())
        except OverBudgetError:
            figures.outcomes["over the budget"] += 1
            figures.failures.append(f"{name}: over the budget behind {len(prefix)} bytes")
            continue
        problem = differences(whole, quotient, ending, following, chance) or not_filled(
            filled, text[middle:end], whole=begin.copy(), around=(text[:middle], text[end:])
        )
        figures.sizes.append(len(cfg_to_lark(quotient, Budget()).rules) / len(lark.rules))
        figures.outcomes["wrong" if problem else "exact"] += 1
        if problem:
            figures.failures.append(f"{name}: behind {prefix[-60:]!r}: {problem}")


def differences(
    whole: Matcher, quotient: Cfg, ending: str | None, following: tuple[tuple[int, int], ...], chance: random.Random
) -> str | None:
    """What the quotient does otherwise than the grammar behind the prefix; None if nothing."""
    rest = Matcher(cfg_to_lark(quotient, Budget()))
    for reader in (whole.copy(), rest.copy()):
        data = (ending or "").encode()
        if ending is None or reader.consume(data) < len(data) or not reader.can_end():
            return f"{ending!r} does not end it"
    if {byte for byte in range(0x80) if contains(following, byte)} != {b for b in whole.next_bytes() if b < 0x80}:
        return "other next characters"
    for _ in range(WALK_BYTES):
        bytes_ = rest.next_bytes()
        if (whole.next_bytes(), whole.can_end()) != (bytes_, rest.can_end()):
            return "another mask"
        if not bytes_:
            break
        step = bytes([chance.choice(bytes_)])
        whole.consume(step)
        rest.consume(step)
    return None


def not_filled(filled: Cfg, text: str, *, whole: Matcher, around: tuple[str, str]) -> str | None:
    """Why what stands between two texts is not what it should be; None if it is."""
    if not Matcher(cfg_to_lark(filled, Budget())).accepts(text.encode()):
        return f"{text!r} is not found between its ends"
    shortest = shortest_text(filled, work())
    if shortest is None or not whole.accepts((around[0] + shortest + around[1]).encode()):
        return f"{shortest!r} is wrong between {around[0][-40:]!r} and {around[1][:40]!r}"
    return None


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    figures = Figures()
    for entry in corpus(arguments.corpus)[:: arguments.every]:
        try:
            cfg = lower_schema(entry.text, entry.name, Budget()).cfg
            if cfg is not None:
                run_with_big_stack(partial(look_at, entry.name, cfg, figures))
                figures.outcomes["schemas"] += 1
        except (MazeError, GuidanceError) as error:
            figures.outcomes[f"skipped: {type(error).__name__}"] += 1
    print(", ".join(f"{what}: {count}" for what, count in figures.outcomes.most_common()))
    for what, all_ms in figures.ms.items():
        ordered = sorted(all_ms)
        p95 = ordered[len(ordered) * 95 // 100]
        print(f"{what:20} median {statistics.median(ordered):8.2f} ms, p95 {p95:8.2f}, most {ordered[-1]:8.2f}")
    median, most = statistics.median(figures.sizes), max(figures.sizes)
    print(f"size of a quotient by its grammar's: median {median:.2f}, most {most:.2f}")
    print("".join(f"  {each[:300]}\n" for each in figures.failures[:30]), end="")


if __name__ == "__main__":
    main()
