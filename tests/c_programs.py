"""Compiles the C programs of tests/c against the built library, as a user of the library would."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from reports import check_report

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "tests" / "c"
HEADERS = ROOT / "include"
LIBRARIES = Path(sys.prefix) / "lib"
TIMEOUT_SECS = 240
SKIPPED = 77
"""Exit code of SKIP() in check.h."""
WITHOUT_REPORTS = ("descriptors", "scarce", "threads", "hostile", "host")
"""Programs that count descriptors and memory, or let many threads write at once."""
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")

_built = tempfile.TemporaryDirectory(prefix="maze-c-programs-")


@functools.cache
def compile_program(name: str, *flags: str) -> Path:
    """Compile tests/c/<name>.c; `flags` replace linking to the library."""
    program = Path(tempfile.mkdtemp(dir=_built.name)) / name
    linking = flags or (f"-L{LIBRARIES}", "-lmaze", f"-Wl,-rpath,{LIBRARIES}")
    source = SOURCES / f"{name}.c"
    subprocess.run(
        [
            "gcc",
            "-std=gnu11",
            "-g",
            *WARNINGS,
            f"-I{HEADERS}",
            str(source),
            "-o",
            str(program),
            "-pthread",
            *linking,
            "-lm",
        ],
        check=True,
    )
    return program


def scenarios(name: str) -> list[str]:
    """The scenarios of a program, as its last lines name them: collecting tests should not compile."""
    _, _, listed = (SOURCES / f"{name}.c").read_text().rpartition("SCENARIOS(")
    return [item.partition("SCENARIO(")[2].strip(" )\n") for item in listed.split("),") if "SCENARIO(" in item]


def run(
    program: Path,
    *arguments: str,
    command: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout_secs: float = TIMEOUT_SECS,
) -> subprocess.CompletedProcess[str]:
    """Run a program, or `command` with it, with some variables added to the environment."""
    return subprocess.run(
        [*command, program, *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout_secs,
        check=False,
    )


def check_scenario(name: str, scenario: str, environment: Mapping[str, str] | None = None) -> None:
    """Run one scenario, which must succeed without a word, or say why it cannot be played here.

    The reports that it checks have the one shape.
    """
    reports = Path(tempfile.mkdtemp(dir=_built.name)) / "reports.jsonl"
    seen = {} if name in WITHOUT_REPORTS else {"MAZE_TEST_REPORTS": str(reports)}
    done = run(compile_program(name), scenario, environment={**seen, **(environment or {})})
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for line in reports.read_bytes().splitlines() if reports.exists() else ():
        check_report(json.loads(line))
