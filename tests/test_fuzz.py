"""A short run of both fuzzers; `make fuzz` is the long one. What they found once is run again each time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

from fuzz_case import decode, encode
from fuzz_corpus import faults, seeds
from run_fuzzers import FUZZERS, MissingToolError, fuzz

from maze import ConstraintIR, TokenMaskRules

SECS = 20


@pytest.mark.parametrize("name", FUZZERS)
def test_a_short_fuzzing_run_finds_nothing(name: str, tmp_path: Path) -> None:
    try:
        figures = fuzz(name, SECS, tmp_path)
    except MissingToolError as missing:
        pytest.skip(str(missing))
    assert figures.findings == 0, (tmp_path / "log").read_text()[-20_000:]
    assert figures.inputs > len(seeds()) + len(faults())


def test_an_input_says_what_it_was_made_of() -> None:
    constraints = (
        ConstraintIR(json_schema="{}", grammar="root ::= [a]", regex_patterns=("é", ""), priority=7, name="n"),
        ConstraintIR(token_masks=TokenMaskRules((1, 2**32 - 1), (3,))),
        ConstraintIR(token_masks=TokenMaskRules(None, (4,)), priority=2**32 - 1),
    )
    case = decode(encode(constraints, "zig", b"a\x00b"))
    assert (case.constraints, case.language, case.text) == (constraints, "zig", b"a\x00b")
