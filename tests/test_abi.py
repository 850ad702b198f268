"""The C boundary, from programs in C: hostile inputs, results, threads, and that all descriptions of the ABI agree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import maze._version
from maze import config
from maze.errors import Status
from c_programs import HEADERS, LIBRARIES, WARNINGS, check_scenario, scenarios

HEADER = (HEADERS / "maze.h").read_text()


@pytest.mark.parametrize("scenario", scenarios("inputs"))
def test_wrong_inputs_become_errors_that_name_them(scenario: str) -> None:
    check_scenario("inputs", scenario)


@pytest.mark.parametrize("scenario", scenarios("results"))
def test_results_survive_misuse(scenario: str) -> None:
    check_scenario("results", scenario)
