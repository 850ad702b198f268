"""Every sample that Braid made compiles, or is refused for a stated reason."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from grammar_texts import LANGUAGES, accepts, random_text

from maze.compiled import CompiledConstraints
from maze.errors import ContradictionError, InvalidConstraintError, UnsupportedConstraintError
from maze.grammar import compile_constraints
from maze.options import ConstraintOptions, OnUnenforceable
from maze.outcome import Handling
from maze.types import ConstraintIR, TokenMaskRules

SAMPLES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "data" / "braid").glob("*.json"))
}
REFUSED = {
    "c09_types_quote_in_required": "is not JSON: .* at byte 54",  # Braid does not escape names
    "e14_unknown_lang": "the language 'klingon' is not known",  # token classes have no tokens in it
}
HASHES = "c04_security_masks"
"""Braid's token ids are hashes of words."""


def ir_of(sample: dict[str, Any]) -> ConstraintIR:
    masks = sample["token_masks"]
    return ConstraintIR(
        json_schema=sample["json_schema"],
        grammar=sample["grammar"],
        regex_patterns=tuple(sample["regex_patterns"]),
        token_masks=masks
        and TokenMaskRules(
            allowed=masks["allowed_tokens"] and tuple(masks["allowed_tokens"]),
            forbidden=tuple(masks["forbidden_tokens"] or ()),
        ),
        priority=sample["priority"],
        name=sample["name"],
    )


def compiled(name: str, language: str | None = None) -> CompiledConstraints:
    sample = SAMPLES[name]
    return compile_constraints([ir_of(sample)], language or sample.get("language") or "typescript")


def test_there_are_thirty_samples() -> None:
    assert len(SAMPLES) == 30


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {*REFUSED, HASHES}))
def test_a_sample_compiles_in_its_language(name: str) -> None:
    result = compiled(name)
    assert {part.handling for part in result.parts} <= {Handling.ENFORCED, Handling.VACUOUS}
    assert [part.name for part in result.parts] == [SAMPLES[name]["name"]] * len(result.parts)
    assert (result.grammar is None) is all(
        part.handling is Handling.VACUOUS or part.kind == "token_masks" for part in result.parts
    )


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_broken_sample_is_refused_for_its_reason(name: str) -> None:
    with pytest.raises(InvalidConstraintError, match=REFUSED[name]):
        compiled(name)


def test_hashes_for_token_ids_are_unenforceable_when_compiling_and_reported_if_that_is_wanted() -> None:
    with pytest.raises(UnsupportedConstraintError, match=r"constraints\[0\].token_masks: .* hashes of words"):
        compiled(HASHES)
    reported = compile_constraints(
        [ir_of(SAMPLES[HASHES])], None, ConstraintOptions(on_unenforceable=OnUnenforceable.REPORT)
    )
    assert reported.token_mask is None, "nothing that an engine would stumble over"
    assert [part.handling for part in reported.parts] == [Handling.UNENFORCEABLE]
    assert "hashes of words" in reported.warnings[0]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("name", ["c01_ffi_test_two", "e02_typescript"])
def test_a_grammar_with_its_patterns_compiles_in_every_language(name: str, language: str) -> None:
    result = compiled(name, language)
    assert result.grammar is not None
    assert {part.handling for part in result.parts} <= {Handling.ENFORCED, Handling.VACUOUS}
    chance = random.Random(1)
    texts = [text for text in (random_text(result.grammar, chance, 400) for _ in range(3)) if text is not None]
    for part in result.parts:
        if part.check_grammar is not None:
            assert [text for text in texts if not accepts(part.check_grammar, text)] == []


def test_the_schema_that_braid_adds_to_every_file_is_vacuous() -> None:
    handlings = {part.kind: part.handling for part in compiled("e02_typescript").parts}
    assert handlings == {"json_schema": Handling.VACUOUS, "grammar": Handling.ENFORCED}


def test_a_naming_pattern_is_applied_to_names() -> None:
    result = compiled("c01_ffi_test_two")
    assert result.grammar is not None
    assert accepts(result.grammar, "camelCase = other + 1;")
    assert not accepts(result.grammar, "PascalCase = other + 1;")
    assert not accepts(result.grammar, "snake_case = other;")
    assert "applied to every name" in next(part.reason for part in result.parts if part.kind == "regex_patterns")


def test_a_number_schema_beside_a_program_grammar_is_a_contradiction() -> None:
    number = '{"type": "number"}'
    grammar = SAMPLES["e02_typescript"]["grammar"]
    with pytest.raises(ContradictionError, match=r"constraints\[0\].grammar and constraints\[0\].json_schema"):
        compile_constraints([ConstraintIR(json_schema=number, grammar=grammar)], "typescript")


def test_two_irs_of_one_name_are_told_apart_by_their_index() -> None:
    first, second = ir_of(SAMPLES["e02_typescript"]), ir_of(SAMPLES["c09_types_quote_in_required"])
    with pytest.raises(InvalidConstraintError, match=r"constraints\[1\].json_schema"):
        compile_constraints([first, second], "typescript")
