"""docs/reliability.md names a test for each promise and a command for each figure; this checks that they are there."""

from __future__ import annotations

import ast
import re

import pytest
from c_programs import ROOT, SOURCES, scenarios

PAGE = (ROOT / "docs" / "reliability.md").read_text()
TESTS = ROOT / "tests"

NAMED = sorted(set(re.findall(r"`(\w+\.(?:c|py)): (\w+)`", PAGE)) - {("inputs.c", "name"), ("test_x.py", "name")})


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_the_page_names_exists(file: str, name: str) -> None:
    if file.endswith(".c"):
        program = file.removesuffix(".c")
        assert name in scenarios(program)
        assert program in programs_run(), f"nothing runs {file}"
    else:
        tree = ast.parse((TESTS / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_a_test() -> None:
    rows = re.findall(r"^\| (?!Promise|What)(.+?) \| (.+) \|$", PAGE.partition("## Figures")[0], re.MULTILINE)
    assert len(rows) > 40
    assert [promise for promise, tests in rows if not re.search(r"`\w+\.(c|py): \w+`", tests)] == []


def test_every_scenario_in_c_is_run() -> None:
    assert {path.stem for path in SOURCES.glob("*.c") if "SCENARIOS(" in path.read_text()} <= programs_run()


def test_every_command_of_a_figure_exists_and_every_benchmark_is_named() -> None:
    """By a page, or by `make bench`, which names those that need nothing but time."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    named = set(re.findall(r"benchmarks\.(\w+)", "".join(path.read_text() for path in pages)))
    in_make = re.search(r"^BENCHMARKS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert in_make is not None
    benchmarks = {path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py") if "__main__" in path.read_text()}
    assert set(in_make[1].split()) <= benchmarks
    assert named <= benchmarks
    assert benchmarks - named <= set(in_make[1].split())


def programs_run() -> set[str]:
    """The programs whose scenarios some test file runs."""
    sources = "".join(path.read_text() for path in (*TESTS.glob("test_*.py"), TESTS / "memory.py"))
    return set(re.findall(r'scenarios\("(\w+)"\)', sources))
