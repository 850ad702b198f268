"""Whether the grammars that are written mean the same to the versions of llguidance that engines carry.

`python -m benchmarks.llguidance_versions [--versions 1.0.1 1.7.6] [--corpus FILE] [--every N]` installs each version
into an environment of its own in a temporary folder, compiles the schemas of FILE (see benchmarks.schema_coverage),
the grammars of tests/data, and products of them with patterns and each other, and walks through each with the
llguidance of this environment. The others must take every grammar, and have the same masks all along its walk.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import _llguidance_replay
from benchmarks.schema_coverage import corpus
from maze.compiled import CompiledConstraints, EngineGrammar
from maze.errors import MazeError
from maze.grammar import compile_constraints
from maze.grammar.llguidance import GuidanceError, Matcher, engine_text
from maze.threads import run_with_big_stack
from maze.types import ConstraintIR

DATA = Path(__file__).parent.parent / "tests" / "data"
VERSIONS = ("1.0.1", "1.7.6")
"""That of llama.cpp, and that of vLLM."""
WALKS = 2
WALK_BYTES = 200

PATTERNS = ("^[^x]*$", "secret", "^(?!.*password)", r"^.{0,60}$", r"\d{4}-\d\d", "(?i)^.*(?:error|warning)")
"""What every schema and grammar is multiplied with, one of them each."""
LINES = (
    'root ::= "{" pair ("," pair)* "}"\npair ::= "\\"" [a-z]+ "\\":" [0-9]+',
    "root ::= [ -~]{1,400}",
    'root ::= v\nv ::= "{" (p ("," p)*)? "}" | "[" (v ("," v)*)? "]" | s | [0-9]+ | "true" | "false" | "null"\n'
    'p ::= s ":" v\ns ::= "\\"" [a-zA-Z0-9_ ./:-]* "\\""',
)
"""Grammars that stand beside schemas: of regular languages, and one of JSON."""


def sets_of(entries: list[tuple[str, str]]) -> Iterator[tuple[str, list[ConstraintIR]]]:
    """Arrays of constraints with a name each."""
    for number, (name, schema) in enumerate(entries):
        yield name, [ConstraintIR(json_schema=schema)]
        if number % 4 == 0:
            pattern = PATTERNS[number // 4 % len(PATTERNS)]
            yield f"{name} x {pattern}", [ConstraintIR(json_schema=schema, regex_patterns=(pattern,))]
        if number % 4 == 2:
            lines = LINES[number // 4 % len(LINES)]
            yield f"{name} x {lines}", [ConstraintIR(json_schema=schema, grammar=lines)]
    for line in (DATA / "cases" / "holding.jsonl").read_bytes().splitlines():
        case = json.loads(line)
        match case["kind"]:
            case "schema":
                yield case["constraint"][:200], [ConstraintIR(json_schema=case["constraint"])]
            case "grammar":
                yield case["constraint"][:200], [ConstraintIR(grammar=case["constraint"])]
            case "regex":
                yield case["constraint"][:200], [ConstraintIR(regex_patterns=(case["constraint"],))]
            case _:
                yield json.dumps(case["constraint"])[:200], [ConstraintIR(**each) for each in case["constraint"]]
    for file in sorted((DATA / "braid").glob("*.json")):
        grammar = json.loads(file.read_text()).get("grammar")
        if grammar:
            yield file.stem, [ConstraintIR(grammar=grammar)]
            for pattern in PATTERNS:
                yield (
                    f"{file.stem} x {pattern}",
                    [ConstraintIR(grammar=grammar), ConstraintIR(regex_patterns=(pattern,))],
                )
    yield "json.gbnf", [ConstraintIR(grammar=(DATA / "grammars" / "json.gbnf").read_text())]


def compiled(constraints: list[ConstraintIR], language: str | None) -> CompiledConstraints | None:
    """None where the set is an error."""
    try:
        return compile_constraints(constraints, language)
    except MazeError:
        return None


def walks(name: str, grammar: EngineGrammar) -> Iterator[dict[str, object]]:
    """Cases for the replay."""
    for number in range(WALKS):
        chance = random.Random(number)
        matcher = Matcher(grammar)
        walk: list[int] = []
        masks: list[str] = []
        while True:
            try:
                following = matcher.next_bytes()
            except GuidanceError:
                break
            masks.append(_llguidance_replay.mask_of(matcher._matcher))
            if not following or len(walk) == WALK_BYTES:
                break
            plain = [byte for byte in following if 0x20 <= byte < 0x7F]
            ends = [byte for byte in following if chr(byte) in '"},]:']
            byte = chance.choice(ends if ends and chance.random() < 0.3 else plain or following)
            matcher.consume(bytes([byte]))
            walk.append(byte)
        yield {"name": name, "grammar": engine_text(grammar), "walk": walk, "masks": masks}


def environment(folder: Path, version: str) -> Path:
    """A Python with one version of llguidance."""
    place = folder / version
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    subprocess.run(
        [place / "bin" / "pip", "install", "-q", "--disable-pip-version-check", f"llguidance=={version}"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return place / "bin" / "python"


def replay(python: Path, cases: Path) -> tuple[int, list[str]]:
    """How many walks were the same, and what was different."""
    same, different = 0, []
    lines = cases.read_text().split("\n")[:-1]
    done = 0
    while done < len(lines):
        # A grammar on which it dies is its last; the next process goes on behind it.
        text = "\n".join(lines[done:]) + "\n"
        ran = subprocess.run(
            [python, _llguidance_replay.__file__],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        answers = [json.loads(line) for line in ran.stdout.split("\n")[:-1]]
        for name, problem in answers:
            if problem is None:
                same += 1
            else:
                different.append(f"{name}: {problem}")
        done += len(answers)
        if done < len(lines):
            different.append(f"{json.loads(lines[done])['name']}: it died with {ran.returncode}")
            done += 1
    return same, different


def main() -> None:
    """Print what is different."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--versions", nargs="+", default=VERSIONS)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    entries = [(entry.name, entry.text) for entry in corpus(arguments.corpus)][:: arguments.every]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = folder / "cases.jsonl"
        number = 0
        with cases.open("w") as out:
            for set_name, constraints in sets_of(entries):
                result = compiled(constraints, "typescript")
                if result is not None and result.grammar is not None:
                    number += 1
                    made = partial(lambda *given: list(walks(*given)), set_name, result.grammar)
                    out.writelines(json.dumps(case) + "\n" for case in run_with_big_stack(made))
        print(f"{number} grammars, {WALKS} walks each, of {WALK_BYTES} bytes at most", flush=True)
        for version in arguments.versions:
            same, different = replay(environment(folder, version), cases)
            print(f"llguidance {version}: {same} walks the same, {len(different)} not")
            print("".join(f"  {each}\n" for each in different[:40]), end="", flush=True)


if __name__ == "__main__":
    main()
