"""What README.md shows is built and run as it stands there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from maze.config import ENVIRONMENT_VARIABLES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COLOURS = {"red", "green", "blue"}


def block(language: str, having: str, page: str = README) -> str:
    """The one code block of a language that has a text in it."""
    found: list[str] = [text for text in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL) if having in text]
    assert len(found) == 1
    return found[0]


def output_of(command: list[str | Path], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_the_c_program_builds_with_the_command_beside_it_and_runs(tmp_path: Path) -> None:
    (tmp_path / "colour.c").write_text(block("c", "main"))
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    output_of(["sh", "-ec", block("sh", "pkg-config")], tmp_path)
    assert json.loads(output_of([tmp_path / "colour"], tmp_path)) in COLOURS


def test_the_zig_program_builds_and_runs(tmp_path: Path) -> None:
    project = tmp_path / "examples" / "zig"
    shutil.copytree(ROOT / "examples" / "zig", project, ignore=shutil.ignore_patterns(".zig-cache", "zig-out"))
    (project / "src" / "main.zig").write_text(block("zig", "main"))
    for name in ("build.zig", "build.zig.zon", "zig", "include", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert json.loads(output_of([sys.executable, "-m", "ziglang", "build", "run"], project)) in COLOURS


def test_the_python_program_runs(tmp_path: Path) -> None:
    assert output_of([sys.executable, "-c", block("python", "import maze")], tmp_path) in COLOURS


@pytest.mark.parametrize(
    ("having", "printed"),
    [
        ("class User", r"User\(name=(?:'.*'|\".*\"), age=-?\d+\)\n(red|blue)\nTrue"),
        ("seed=1", r"-?\d+"),
        ("asyncio", r"(\w\n?)+\n\[True, True\]"),
    ],
)
def test_every_program_of_the_page_on_python_runs(having: str, printed: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(block("python", having, (ROOT / "docs" / "python.md").read_text()))
    assert re.fullmatch(printed, output_of([sys.executable, "program.py"], tmp_path))


def test_the_program_of_the_page_on_languages_runs(tmp_path: Path) -> None:
    program = block("python", "import maze", (ROOT / "docs" / "languages.md").read_text())
    assert output_of([sys.executable, "-c", program], tmp_path) == "True\nFalse"


def test_the_shell_command_runs() -> None:
    assert output_of(["sh", "-ec", block("sh", "-m maze")], ROOT) in COLOURS


def test_every_variable_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \|", README, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"[A-Z_]+", row)} == {*ENVIRONMENT_VARIABLES, "MAZE_PYTHON"}


@pytest.mark.parametrize(
    "page", sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    missing = [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()]
    assert missing == []


def test_the_commands_of_the_readme_are_the_makefiles() -> None:
    shown = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    listed = set(re.findall(r"^make ([\w-]+)", output_of(["make", "help"], ROOT), re.MULTILINE))
    assert shown <= listed
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
