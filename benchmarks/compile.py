"""Compiling constraints through the C ABI without network: the first call (miss) and the following ones (hits).

`python -m benchmarks.compile` runs benchmarks/compile.c on one core; a call is maze_compile_constraints() with its
maze_free_result(). The targets are those of the project; the figures of the Rust original are its conversion, key and
lookup on the same kind of input, as the project recorded them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = Path(sys.prefix) / "lib"


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    arguments: list[str]
    target_us: float | None = None
    """Of a hit, in the median."""
    rust_us: float | None = None


def schema(size: int) -> str:
    """A schema of about `size` bytes, of properties with a length or a range."""
    properties: dict[str, object] = {}
    while len(json.dumps({"type": "object", "properties": properties})) < size - 60:
        number = len(properties)
        properties[f"property_{number}"] = (
            {"type": "string", "maxLength": 10 + number % 7} if number % 2 else {"type": "integer", "minimum": number}
        )
    return json.dumps({"type": "object", "properties": properties, "required": ["property_0"]})


def grammar_of_braid() -> str:
    """A grammar of 52 rules, as Braid made it."""
    sample = json.loads((ROOT / "tests" / "data" / "braid" / "c11_grammar_full.json").read_text())
    text: str = sample["grammar"]
    return text


def regexes() -> list[str]:
    """Eight whole-output patterns that hold together."""
    patterns = ["^[a-z]+$", "^[a-z]{2,9}$", "^[a-y]+$", "^[b-z]+$", "^[a-z]*$", "^.+$", "^[^A-Z]+$", "^[a-z0-9]+$"]
    return [argument for pattern in patterns for argument in ("-r", pattern)]


def cases(folder: Path) -> list[Case]:
    """What is measured, with its inputs written into `folder`."""

    def write(name: str, text: str) -> str:
        (folder / name).write_text(text)
        return str(folder / name)

    contains = [argument for word in ("alpha", "beta[0-9]", "gamma", "delt.") for argument in ("-r", word)]
    mix = ["-s", write("mix1", schema(6000)), "-s", write("mix2", schema(3500)), *contains]
    return [
        Case("schema, 1 KB", ["-s", write("1", schema(1024))], 8, 8),
        Case("schema, 10 KB", ["-s", write("10", schema(10240))], 12, 83),
        Case("schema, 100 KB", ["-s", write("100", schema(102400)), "-n", "3000"], 60, 1068),
        Case("grammar, 52 rules", ["-g", write("grammar", grammar_of_braid()), "-l", "typescript"]),
        Case("8 regexes", regexes()),
        Case("mix, 10 KB", mix, 30, 107),
    ]


def compile_program(folder: Path) -> Path:
    """Build compile.c against the library of this environment."""
    program = folder / "compile"
    source = Path(__file__).with_suffix(".c")
    flags = [f"-I{ROOT / 'include'}", f"-L{LIBRARIES}", "-lmaze", f"-Wl,-rpath,{LIBRARIES}"]
    subprocess.run(["cc", "-O2", source, "-o", program, *flags], check=True)
    return program


def main() -> None:
    """Print the table."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # children inherit it
    columns = f"{'miss':>10}{'hit p10':>9}{'p50':>8}{'p99':>8}{'target':>8}{'Rust':>7}{'cache KB':>10}"
    print(f"{'compiling constraints, in us':30}{columns}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = compile_program(folder)
        for case in cases(folder):
            done = subprocess.run(
                [program, *case.arguments],
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                print(f"{case.name:30} failed")
                continue
            miss, p10, p50, p99, held = map(float, done.stdout.split())
            target = "" if case.target_us is None else f"{case.target_us:g}"
            rust = "" if case.rust_us is None else f"{case.rust_us:g}"
            print(
                f"{case.name:30}{miss:10.0f}{p10:9.1f}{p50:8.1f}{p99:8.1f}{target:>8}{rust:>7}{held / 1024:10.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
