"""Real schemas: what they become, and that nothing an independent validator refuses gets through."""

from __future__ import annotations

import contextlib
import random
import re
from functools import cache

import pytest
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from schema_walks import checked_by_us, independent_value, mutations, random_text

from benchmarks.judges import for_python
from benchmarks.schema_coverage import corpus
from maze.errors import InvalidConstraintError, MazeError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.schema.lower import LoweredSchema, lower_schema
from maze.json_text import JsonValue

ROUNDS = range(10)
"""The corpus is tested in as many parts, so that a failure names a small one."""


@cache
def outcomes() -> dict[str, LoweredSchema | MazeError]:
    """By file: what became of its schema."""
    found: dict[str, LoweredSchema | MazeError] = {}
    for entry in corpus(None):
        try:
            found[entry.name] = lower_schema(entry.text, entry.name, Budget())
        except MazeError as error:
            found[entry.name] = error
    return found


def part_of_corpus(number: int) -> list[tuple[str, LoweredSchema]]:
    some = list(outcomes().items())[number :: len(ROUNDS)]
    return [(file, outcome) for file, outcome in some if isinstance(outcome, LoweredSchema)]


def independent_validator(schema: JsonValue) -> Validator:
    kind = validator_for(schema, default=Draft202012Validator)
    return kind(for_python(schema), format_checker=kind.FORMAT_CHECKER)


def test_at_least_300_schemas_are_looked_at_and_74_percent_of_those_taken_are_fully_enforced() -> None:
    taken = [outcome for outcome in outcomes().values() if isinstance(outcome, LoweredSchema)]
    assert len(outcomes()) >= 300
    assert len(taken) / len(outcomes()) >= 0.85
    assert sum(lowered.fully_enforced for lowered in taken) / len(taken) >= 0.74


def test_schemas_are_refused_only_for_being_invalid_or_for_leading_outside() -> None:
    for file, outcome in outcomes().items():
        if isinstance(outcome, UnsupportedConstraintError):
            assert "which is not part of it" in str(outcome) or "names the draft" in str(outcome), file
        else:
            assert isinstance(outcome, LoweredSchema | InvalidConstraintError), file


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
