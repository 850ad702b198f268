"""The C example in examples/c, compiled and run as its users would."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "examples" / "c" / "generate.c"
LIBRARIES = Path(sys.prefix) / "lib"

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
LANGUAGES = {"C99": ["gcc", "-std=c99"], "C++11": ["g++", "-std=c++11", "-x", "c++"]}


def schema_of_the_example() -> dict[str, object]:
    declaration = re.search(r"schema\[\] =(.*?);", SOURCE.read_text(), re.DOTALL)
    assert declaration is not None
    # A C string literal with these escapes is a JSON one as well.
    literals = re.findall(r'"(?:[^"\\]|\\.)*"', declaration[1])
    schema: dict[str, object] = json.loads("".join(json.loads(literal) for literal in literals))
    return schema


@pytest.fixture(scope="module", params=LANGUAGES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("example") / "generate"
    subprocess.run(
        [
            *LANGUAGES[request.param],
            *WARNINGS,
            f"-I{ROOT / 'include'}",
            str(SOURCE),
            "-x",
            "none",
            *("-o", str(program)),
            f"-L{LIBRARIES}",
            "-lmaze",
            f"-Wl,-rpath,{LIBRARIES}",
        ],
        check=True,
    )
    return program


def run(program: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments],
        env={**os.environ, **environment},
        cwd=program.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_prints_code_that_an_independent_validator_accepts(example: Path) -> None:
    done = run(example)
    assert done.returncode == 0, done.stderr
    jsonschema.Draft202012Validator(schema_of_the_example()).validate(json.loads(done.stdout))
    assert re.fullmatch(r"\d+ tokens in \d+ ms\n", done.stderr)


def test_it_takes_the_prompt_as_an_argument(example: Path) -> None:
    done = run(example, "Plan a function that adds two numbers.")
    assert done.returncode == 0, done.stderr
    jsonschema.Draft202012Validator(schema_of_the_example()).validate(json.loads(done.stdout))


def test_it_says_what_is_wrong_and_fails(example: Path) -> None:
    done = run(example, MODAL_ENDPOINT="nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("MAZE_CONFIGURATION: libmaze: MODAL_ENDPOINT ")


def test_it_is_short_enough_to_copy() -> None:
    assert len(SOURCE.read_text().splitlines()) < 80


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="needs pkg-config")
def test_the_commands_in_its_comment_work(tmp_path: Path) -> None:
    shutil.copy(SOURCE, tmp_path)
    commands = re.findall(r"^ \*     (.+)$", SOURCE.read_text(), re.MULTILINE)
    done = subprocess.run(
        ["sh", "-ec", "\n".join(commands)],
        env={**os.environ, "PKG_CONFIG_PATH": str(LIBRARIES / "pkgconfig")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    jsonschema.Draft202012Validator(schema_of_the_example()).validate(json.loads(done.stdout))
