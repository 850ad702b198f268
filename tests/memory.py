"""Memory safety of the C part, under valgrind: `make test-memory`. Not part of `make test`, because it takes minutes.

No suppression hides anything. Invalid accesses count wherever they happen. Leaks count where our own C, or the test
program, is what asked for the memory: extension modules keep some of theirs when they are imported.
"""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from c_programs import ROOT, SOURCES, compile_program, run, scenarios

OUR_SOURCES = {path.name for folder in (ROOT / "maze" / "abi", SOURCES) for path in folder.glob("*.[ch]")}

TOO_BIG_FOR_VALGRIND = {
    "a_text_without_an_end_is_read_no_further_than_its_limit",
    "a_hundred_thousand_constraints_are_taken",
    "many_results_can_live_at_once",
}

RUNS = [
    (program, scenario)
    for program in ("results", "inputs")
    for scenario in scenarios(program)
    if scenario not in TOO_BIG_FOR_VALGRIND
]


def allocated_by_us(error: ET.Element) -> bool:
    """Whether the frame that called the allocator is in our sources."""
    frames = error.findall("./stack/frame")
    caller = next((frame for frame in frames if "vgpreload" not in frame.findtext("obj", "")), None)
    return caller is not None and caller.findtext("file") in OUR_SOURCES


def counts(error: ET.Element) -> bool:
    return allocated_by_us(error) if error.findtext("kind", "").startswith("Leak_") else True


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
@pytest.mark.parametrize(("program", "scenario"), RUNS)
def test_no_invalid_access_and_no_leak(program: str, scenario: str, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    valgrind = [
        "valgrind",
        "-q",
        "--xml=yes",
        f"--xml-file={report}",
        "--leak-check=full",
        "--show-leak-kinds=definite",
    ]
    done = run(compile_program(program), scenario, command=valgrind)
    assert (done.returncode, done.stderr) == (0, "")
    errors = [error for error in ET.parse(report).getroot().findall("error") if counts(error)]
    assert [ET.tostring(error, encoding="unicode") for error in errors] == []
