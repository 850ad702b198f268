"""The soak for a short time, and that it finds what is planted."""

from __future__ import annotations

import re

from soak import soak


def test_a_short_soak_finds_no_wrong_and_no_late_result_and_no_growth() -> None:
    done = soak(20)
    assert done.returncode == 0, done.stdout
    calls = int(re.findall(r"end +(\d+) calls", done.stdout)[0])
    assert calls > 300, done.stdout


def test_the_soak_finds_a_planted_wrong_answer() -> None:
    done = soak(1, "wrong")
    assert done.returncode == 1
    assert "wrong: " in done.stdout
    assert "something else" in done.stdout


def test_the_soak_finds_planted_leaks_of_descriptors() -> None:
    done = soak(1, "descriptors")
    assert done.returncode == 1
    assert "it grew" in done.stdout
