"""Compiles the C programs of tests/c against the built library, as a user of the library would."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "tests" / "c"
HEADERS = ROOT / "include"
LIBRARIES = Path(sys.prefix) / "lib"
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")

_built = tempfile.TemporaryDirectory(prefix="maze-c-programs-")


@functools.cache
def compile_program(name: str, *flags: str) -> Path:
    """Compile tests/c/<name>.c; `flags` replace linking to the library."""
    program = Path(_built.name) / "-".join([name, *(flag.strip("-").replace("=", "_") for flag in flags)])
    linking = flags or (f"-L{LIBRARIES}", "-lmaze", f"-Wl,-rpath,{LIBRARIES}")
    source = SOURCES / f"{name}.c"
    subprocess.run(
        ["gcc", "-std=gnu11", "-g", *WARNINGS, f"-I{HEADERS}", str(source), "-o", str(program), "-pthread", *linking],
        check=True,
    )
    return program


def scenarios(name: str) -> list[str]:
    """The scenarios of a program, as its last lines name them (without compiling it, which collecting tests must not)."""
    _, _, listed = (SOURCES / f"{name}.c").read_text().rpartition("SCENARIOS(")
    return [item.partition("SCENARIO(")[2].strip(" )\n") for item in listed.split("),") if "SCENARIO(" in item]


def run(
    program: Path | str, *arguments: str, command: Sequence[str] = (), timeout: float = 120, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Run a program; a variable that is None is removed from its environment."""
    variables = {key: value for key, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run(
        [*command, str(program), *arguments],
        env=variables,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def check_scenario(name: str, scenario: str, **environment: str | None) -> None:
    """Run one scenario, which must succeed without a word."""
    done = run(compile_program(name), scenario, **environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
