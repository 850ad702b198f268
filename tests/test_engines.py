"""The same C and Zig programs that pass with the embedded engine (test_abi.py, `zig build test`), against services.

Each service runs the real model on a loopback port: `maze serve`, which offers the embedded engine, and the HTTP server
of llama.cpp.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest
from c_programs import compile_program, run, scenarios
from llama_server import API_KEY, llama_server
from test_c_example import example, schema_of_the_example  # noqa: F401
from test_c_example import run as run_example
from test_zig import ZIG, run_zig

from maze.config import ENVIRONMENT_VARIABLES

Environment = Mapping[str, str]


@contextmanager
def maze_serve() -> Iterator[str]:
    """URL of `maze serve` with the embedded engine."""
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT_VARIABLES}
    with subprocess.Popen(
        [sys.executable, "-m", "maze", "serve", "--port", "0", "--json", "--grace", "0"],
        env={**environment, "MAZE_API_KEY": API_KEY, "MAZE_LOG": "error"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


SERVICES = {"maze serve": maze_serve, "llama.cpp": llama_server}


@pytest.fixture(scope="module", params=SERVICES)
def service(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """What a program needs to use a service: it finds out by itself what the service speaks."""
    with SERVICES[request.param]() as url:
        yield {"MODAL_ENDPOINT": url, "MODAL_API_KEY": API_KEY}


@pytest.mark.parametrize("scenario", scenarios("engine"))
def test_the_c_program_passes(service: Environment, scenario: str) -> None:
    done = run(compile_program("engine"), scenario, environment=service)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_c_example_prints_code_that_an_independent_validator_accepts(
    service: Environment,
    example: Path,  # noqa: F811
) -> None:
    done = run_example(example, **service)
    assert done.returncode == 0, done.stderr
    jsonschema.Draft202012Validator(schema_of_the_example()).validate(json.loads(done.stdout))


def test_the_zig_tests_pass(service: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in service.items():
        monkeypatch.setenv(name, value)
    done = run_zig("build", "test", "--summary", "all", cwd=ZIG)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"run test .*\d+ pass", done.stderr), done.stderr
