"""A host as Ananke's is: a Zig 0.15.2 program that links Braid's library and libmaze, and passes constraints on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from maze.errors import Status

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "tests" / "data" / "braid"
ZIG = ROOT / "build" / "zig-0.15.2" / "ziglang" / "zig"
LIBRARIES = Path(sys.prefix) / "lib"

pytestmark = pytest.mark.skipif(not ZIG.exists(), reason="needs Zig 0.15.2: make build/zig-0.15.2")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, beside the library that stands in for Ananke's."""
    folder = tmp_path_factory.mktemp("host")
    build(folder, "build-lib", "-dynamic", "-lc", f"-Mroot={ROOT / 'tests/zig/braid_stand_in.zig'}", "--name", "braid")
    modules = ["--dep", "c", f"-Mroot={ROOT / 'tests/zig/braid_host.zig'}", f"-Mc={ROOT / 'zig/src/c.zig'}"]
    linking = [f"-L{folder}", "-lbraid", f"-L{LIBRARIES}", "-lmaze", "-rpath", str(folder), "-rpath", str(LIBRARIES)]
    build(folder, "build-exe", "-lc", *linking, *modules, "--name", "host")
    return folder / "host"


def build(folder: Path, *arguments: str) -> None:
    caches = ["--cache-dir", str(ROOT / ".zig-cache"), "--global-cache-dir", str(ROOT / "build" / "zig-cache")]
    done = subprocess.run([ZIG, *arguments, *caches], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run(host: Path, samples: list[Path], **environment: str) -> list[str]:
    """What it says of each sample."""
    given = [text for path in samples for text in (path.name, json.loads(path.read_text())["language"] or "")]
    done = subprocess.run(
        [host, SAMPLES, *given], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_constraints_of_braid_are_passed_on_and_left_as_they_are(host: Path) -> None:
    samples = sorted(SAMPLES.glob("*.json"))
    lines = [line.split() for line in run(host, samples)]
    assert [name for name, _, _, _ in lines] == [path.name for path in samples]
    assert {state for _, _, _, state in lines} == {"unchanged"}
    statuses = {name.removesuffix(".json"): status for name, status, _, _ in lines}
    known = {f"MAZE_{status.name}" for status in Status}
    assert set(statuses.values()) <= known - {"MAZE_INTERNAL_ERROR", "MAZE_INVALID_ARGUMENT"}
    assert statuses["e04_zig"] == statuses["d06_array"] == "MAZE_OK"
    assert statuses["c09_types_quote_in_required"] == "MAZE_INVALID_CONSTRAINT"  # Braid does not escape names
    checked = {name.removesuffix(".json"): status for name, _, status, _ in lines}
    assert checked["d10_boolean_type"] == "MAZE_OK"
    assert checked["d06_array"] == "MAZE_CONSTRAINT_VIOLATED"


def test_code_is_generated_under_constraints_of_braid(host: Path) -> None:
    generated, told = run(host, [SAMPLES / "d10_boolean_type.json"], MAZE_HOST_GENERATES="1")
    assert generated in ("generated MAZE_OK true", "generated MAZE_OK false")
    assert told == "d10_boolean_type.json MAZE_OK MAZE_OK unchanged"
