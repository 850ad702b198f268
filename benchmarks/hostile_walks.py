"""Random walks through the grammars of real schemas, judged by jsonschema: which are too wide, and which are stuck.

`python -m benchmarks.hostile_walks [--corpus FILE] [--every N] [--walks N]`: FILE as for schema_coverage. Each schema
is compiled as for an engine, and walked in five ways, byte by byte. Told are texts of enforced schemas that jsonschema
refuses, places from which no byte may follow though the text may not end, and walks that found no end.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from benchmarks.judges import Judge, schema_judge
from benchmarks.schema_coverage import corpus
from maze.errors import MazeError
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.quotient import CannotFollowError, left_quotient
from maze.grammar.cfg.shortest import shortest_text
from maze.grammar.llguidance import ENGINE_LIMITS, GuidanceError, Matcher
from maze.grammar.schema.lower import lower_schema
from maze.outcome import Handling
from maze.threads import run_with_big_stack
from maze.types import ConstraintIR

MOST_BYTES = 250
"""A walk turns for home after so many bytes, and after ten times as many it is given up."""

Choose = Callable[[random.Random, Sequence[int], bool, bytes], int | None]
"""The next byte of those that may come; None to end, where the text may. The last is what closes the innermost."""

_ESCAPES = b"\\u"
_PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b"\\")


def _of(chance: random.Random, taken: Sequence[int], wanted: bytes | frozenset[int]) -> int | None:
    found = [byte for byte in taken if byte in wanted]
    return chance.choice(found) if found else None


def uniform(chance: random.Random, taken: Sequence[int], may_end: bool, _closing: bytes) -> int | None:
    """Any byte, all alike."""
    return None if may_end and chance.random() < 0.2 else chance.choice(taken)


def printable(chance: random.Random, taken: Sequence[int], may_end: bool, closing: bytes) -> int | None:
    """Mostly what people write, closing now and then."""
    if may_end and chance.random() < 0.3:
        return None
    if chance.random() < 0.25 and (end := _of(chance, taken, closing)) is not None:
        return end
    plain = _of(chance, taken, _PLAIN) if chance.random() < 0.9 else None
    return chance.choice(taken) if plain is None else plain


def shortest(chance: random.Random, taken: Sequence[int], may_end: bool, closing: bytes) -> int | None:
    """To the end as soon as it can be: the lower limits of everything."""
    if may_end:
        return None
    # A text or a number is shorter than a list; what closes comes first.
    for wanted in (closing, b'"0123456789tfn'):
        if chance.random() < 0.85 and (byte := _of(chance, taken, wanted)) is not None:
            return byte
    return chance.choice(taken)


def longest(chance: random.Random, taken: Sequence[int], may_end: bool, closing: bytes) -> int | None:
    """As long as it can be: the upper limits of everything."""
    going_on = [byte for byte in taken if byte not in closing or chance.random() < 0.02]
    if not going_on:
        return chance.choice(taken)
    return None if may_end and chance.random() < 0.02 else chance.choice(going_on)


def extreme(chance: random.Random, taken: Sequence[int], may_end: bool, closing: bytes) -> int | None:
    """The least and the greatest byte, escapes, and what is not ASCII."""
    if may_end and chance.random() < 0.2:
        return None
    for wanted in (closing, _ESCAPES, frozenset(range(0x80, 0x100))):
        if chance.random() < 0.25 and (byte := _of(chance, taken, wanted)) is not None:
            return byte
    return chance.choice((taken[0], taken[-1], chance.choice(taken)))


WAYS: tuple[Choose, ...] = (uniform, printable, shortest, longest, extreme)


class End(Enum):
    """How a walk ended."""

    DONE = "done"
    STUCK = "no byte may follow, and the text may not end"
    BROKEN = "llguidance gave up"
    ENDLESS = "found no end by chance"
    LED = "led to its shortest end"


@dataclass(frozen=True, slots=True)
class Walk:
    """A text that a grammar produces, or the beginning of one."""

    end: End
    text: bytes
    why: str = ""


def walk(start: Matcher, chance: random.Random, choose: Choose, most_bytes: int = MOST_BYTES) -> Walk:
    """Go on from the place of a matcher, which stays there."""
    matcher = start.copy()
    text = bytearray()
    in_string = is_escaped = False
    while len(text) < 10 * most_bytes:
        try:
            may_end, taken = matcher.can_end(), matcher.next_bytes()
        except GuidanceError as error:
            return Walk(End.STUCK if "NoExtension" in error.message else End.BROKEN, bytes(text), error.message)
        if not taken:
            return Walk(End.DONE if may_end else End.STUCK, bytes(text))
        way = choose if len(text) < most_bytes else shortest
        byte = way(chance, taken, may_end, b'"' if in_string else b"]}")
        if byte is None:
            return Walk(End.DONE, bytes(text))
        matcher.consume(bytes([byte]))
        text.append(byte)
        in_string ^= byte == ord('"') and not is_escaped
        is_escaped = in_string and byte == ord("\\") and not is_escaped
    return Walk(End.ENDLESS, bytes(text))


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--walks", type=int, default=len(WAYS))
    arguments = parser.parse_args()
    began = time.perf_counter()
    schemas: Counter[str] = Counter()
    walks: Counter[str] = Counter()
    found: list[str] = []
    for entry in corpus(arguments.corpus)[:: arguments.every]:
        try:
            compiled = compile_constraints([ConstraintIR(json_schema=entry.text)])
        except MazeError as error:
            schemas[f"refused: {type(error).__name__}"] += 1
            continue
        is_enforced = compiled.parts[0].handling is Handling.ENFORCED
        schemas["enforced" if is_enforced else str(compiled.parts[0].handling)] += 1
        grammar = compiled.grammar
        if grammar is None:
            continue
        judge = schema_judge(json.loads(entry.text))
        for number in range(arguments.walks):
            chance, way = random.Random(f"{entry.name} {number}"), WAYS[number % len(WAYS)]
            walked = run_with_big_stack(lambda: walk(Matcher(grammar, ENGINE_LIMITS), chance, way))  # noqa: B023
            if walked.end is End.ENDLESS:
                walked = led_to_its_end(entry.text, walked.text)
            outcome, said = walked.end.value, walked.why
            if walked.end in (End.DONE, End.LED) and is_enforced:
                outcome, said = judged(judge, walked.text)
            walks[outcome] += 1
            if said or walked.end not in (End.DONE, End.LED):
                shown = walked.text if len(walked.text) < 400 else walked.text[:100] + b" ... " + walked.text[-300:]
                found.append(f"{entry.name}, {way.__name__}: {outcome}: {said}\n    {shown!r}")
    print(f"{schemas.total()} schemas: {dict(schemas)}")
    print(f"{walks.total()} walks in {time.perf_counter() - began:.0f} s: {dict(walks)}")
    print("\n".join(found))


def led_to_its_end(schema: str, text: bytes) -> Walk:
    """The shortest text of the schema's rules that begins with `text`."""

    def made() -> Walk:
        budget = Budget()
        cfg = lower_schema(schema, "the schema", budget).cfg
        assert cfg is not None
        try:
            # A character may have been cut.
            begun = text.decode(errors="ignore")
            rest = shortest_text(left_quotient(cfg, begun, budget.construction()), budget.construction())
        except OverBudgetError:
            return Walk(End.ENDLESS, text, "its shortest end takes too much to find")
        except CannotFollowError as error:
            return Walk(End.STUCK, text, f"not in its rules from character {error.offset} on")
        return Walk(End.STUCK, text, "no end at all") if rest is None else Walk(End.LED, (begun + rest).encode())

    return run_with_big_stack(made)


def judged(judge: Judge, text: bytes) -> tuple[str, str]:
    """What a judge makes of a text, and why."""
    try:
        problem = judge(text.decode())
    except (re.error, RecursionError, ArithmeticError) as error:
        return "could not be judged", f"{type(error).__name__}: {error}"
    return ("satisfies", "") if problem is None else ("REFUSED", problem)


if __name__ == "__main__":
    main()
