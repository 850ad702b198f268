"""Real schemas: what they become, and that nothing an independent validator refuses gets through."""

from __future__ import annotations

import contextlib
import random
import re
from collections import Counter
from functools import cache

import pytest
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from schema_walks import checked_by_us, independent_value, mutations, random_text

from benchmarks.schema_coverage import Entry, lowered_corpus
from maze.errors import InvalidConstraintError, UnsupportedConstraintError
from maze.grammar.schema.lower import LoweredSchema
from maze.json_text import JsonValue

ROUNDS = range(10)
"""The corpus is tested in as many parts, so that a failure names a small one."""


@cache
def corpus() -> list[Entry]:
    return lowered_corpus()


def part_of_corpus(number: int) -> list[tuple[str, LoweredSchema]]:
    return [(entry.file, entry.lowered) for entry in corpus()[number :: len(ROUNDS)] if entry.lowered is not None]


def independent_validator(schema: JsonValue) -> Validator:
    kind = validator_for(schema, default=Draft202012Validator)
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


def test_at_least_300_schemas_are_looked_at_and_85_percent_of_them_are_enforced() -> None:
    outcomes = Counter(entry.lowered is not None for entry in corpus())
    assert outcomes.total() >= 300
    assert outcomes[True] / outcomes.total() >= 0.85


def test_schemas_are_refused_only_for_being_invalid_or_for_leading_outside() -> None:
    for entry in corpus():
        if isinstance(entry.error, UnsupportedConstraintError):
            assert "which is not part of it" in str(entry.error) or "names the draft" in str(entry.error), entry.file
        else:
            assert entry.error is None or isinstance(entry.error, InvalidConstraintError), entry.file


@pytest.mark.parametrize("number", ROUNDS)
def test_what_the_grammar_produces_satisfies_an_independent_validator_where_all_is_enforced(number: int) -> None:
    for file, lowered in part_of_corpus(number):
        if not lowered.fully_enforced:
            continue
        text = random_text(lowered, random.Random(number), most_bytes=300)
        if text is not None:
            assert checked_by_us(text, lowered), (file, text)
            with contextlib.suppress(OverflowError):
                problem = next(independent_validator(lowered.schema).iter_errors(independent_value(text)), None)
                assert problem is None, (file, text, str(problem)[:300])


@pytest.mark.parametrize("number", ROUNDS)
def test_what_an_independent_validator_refuses_we_refuse(number: int) -> None:
    chance = random.Random(number)
    refused = 0
    for file, lowered in part_of_corpus(number):
        text = random_text(lowered, chance, most_bytes=300)
        if text is None:
            continue
        validator = independent_validator(lowered.schema)
        for mutated in (text, *mutations(text, chance, 5)):
            try:
                valid = validator.is_valid(independent_value(mutated))
            except OverflowError:
                continue
            except (ValueError, RecursionError):
                valid = False
            except re.error:
                break  # a pattern that Python's engine cannot read; ours can
            if not valid:
                refused += 1
                assert not checked_by_us(mutated, lowered), (file, mutated)
    assert refused > 20
