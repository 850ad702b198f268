"""Processes that may have only so much memory: C programs under RLIMIT_AS and RLIMIT_DATA."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from c_programs import compile_program, run, scenarios
from fault_server import FaultServer, fine


@pytest.fixture(scope="module")
def service() -> Iterator[FaultServer]:
    with FaultServer(fine("aaa")) as server:
        yield server


@pytest.mark.parametrize("scenario", scenarios("pressure"))
def test_no_call_ends_the_process_however_little_memory_is_left(scenario: str, service: FaultServer) -> None:
    environment = {"MODAL_ENDPOINT": service.url, "MAZE_DIALECT": "maze"}
    done = run(compile_program("pressure"), scenario, environment=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
