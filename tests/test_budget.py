"""What compiling may cost: the worst inputs found, in steps, which are the same on every machine."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from grammar_texts import JSON_GBNF, slow_to_compile

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

from fuzz_case import decode

from maze.config import MazeConfig
from maze.errors import LimitExceededError, TimedOutError
from maze.grammar import compile_constraints
from maze.grammar.budget import (
    MAX_COMPILATION_STEPS,
    MAX_CONSTRUCTION_STEPS,
    MAX_OPTIONAL_STEPS,
    Budget,
    OverBudgetError,
)
from maze.grammar.schema.keywords import walk
from maze.grammar.schema.regex_cost import regex_steps
from maze.grammar.schema.validator import make_validator
from maze.orchestrator import Orchestrator
from maze.outcome import Handling
from maze.threads import TakesLongError
from maze.types import ConstraintIR

TESTS = Path(__file__).parent
FINDINGS = TESTS / "fuzz" / "findings" / "grammar"
LAST_STRIDE = 300_000
"""Steps that a native library may take after the last look."""


def spent_on(constraints: list[ConstraintIR], language: str | None = None) -> tuple[int, list[Handling]]:
    budget = Budget()
    compiled = compile_constraints(constraints, language, budget=budget)
    return budget.spent, [part.handling for part in compiled.parts]


def schema_of(properties: dict[str, object], **others: object) -> ConstraintIR:
    return ConstraintIR(json_schema=json.dumps({"type": "object", "properties": properties, **others}))


# ------------------------------------------------------------------------------------------------ the budget itself


def spend_for_ever(budget: Budget) -> None:
    while True:
        budget.spend(1000)


def test_a_compilation_ends_when_its_steps_are_used_up_and_names_what_it_was_at() -> None:
    budget = Budget()
    budget.where = "constraints[4].grammar"
    with pytest.raises(LimitExceededError, match=r"constraints\[4\]\.grammar: compiling .* more than 10,000,000 steps"):
        spend_for_ever(budget)
    assert MAX_COMPILATION_STEPS < budget.spent < MAX_COMPILATION_STEPS + 20_000


def test_a_compilation_ends_at_its_deadline() -> None:
    begun = time.monotonic()
    with pytest.raises(TimedOutError, match="it was at constraints"):
        compile_constraints(slow_to_compile(), budget=Budget(begun + 0.3))
    assert time.monotonic() - begun < 0.8


def test_a_deadline_can_be_moved_while_a_compilation_is_under_way() -> None:
    budget = Budget(time.monotonic() + 0.05)
    budget.ends_at += 3600
    time.sleep(0.1)
    budget.spend(100_000)


def test_a_quick_compilation_ends_early_and_can_be_begun_again() -> None:
    budget = Budget()
    budget.begin(quick=True)
    with pytest.raises(TakesLongError):
        budget.spend(100_000)
    budget.begin(quick=False)
    budget.spend(100_000)
    assert budget.spent == 100_000


def test_a_construction_ends_before_the_compilation_and_counts_for_it() -> None:
    budget = Budget()
    construction = budget.construction()
    construction.spend(MAX_CONSTRUCTION_STEPS)
    with pytest.raises(OverBudgetError):
        construction.spend(1)
    assert budget.spent == MAX_CONSTRUCTION_STEPS
    budget.spend(MAX_OPTIONAL_STEPS)
    with pytest.raises(OverBudgetError):
        budget.construction()
    budget.spend(1000)


def test_native_work_counts_by_the_clock_where_it_takes_longer_than_usual() -> None:
    budget = Budget()
    with budget.native(10):
        ends = time.thread_time() + 0.05
        while time.thread_time() < ends:
            pass
    assert 50_000 <= budget.spent < 500_000


# ------------------------------------------------------------------------------------------------ the worst inputs


@pytest.mark.parametrize(("pattern", "most"), [("^.{1,41}$", 600_000), ("^.{1,20}$", 800_000), ("foo", 60_000)])
def test_the_grammar_of_json_with_a_pattern_is_cheap(pattern: str, most: int) -> None:
    spent, handling = spent_on([ConstraintIR(grammar=JSON_GBNF, regex_patterns=(pattern,))])
    assert handling[0] is Handling.ENFORCED
    assert spent < most


def test_what_was_once_a_finding_of_the_fuzzer_is_cheap() -> None:
    case = decode((FINDINGS / "words_in_a_function_head").read_bytes())
    in_free_layout = [
        replace(each, grammar=json.dumps({**json.loads(each.grammar), "layout": "free"})) if each.grammar else each
        for each in case.constraints
    ]
    spent, handling = spent_on(in_free_layout, case.language)
    assert handling == [Handling.ENFORCED] * 3
    assert spent < 1_000_000


def _grammars() -> list[ConstraintIR]:
    return [
        ConstraintIR(grammar=JSON_GBNF.replace('"true"', f'"true{number}"'), regex_patterns=("foo",))
        for number in range(400)
    ]


WORST = {
    "many patterns with boundaries": slow_to_compile(3_000),
    "many grammars": _grammars(),
    "windows": [ConstraintIR(regex_patterns=tuple(f"(a|b)*{c}(a|b){{1{n}}}" for n, c in enumerate("ababababab")))],
    "look-ahead": [
        ConstraintIR(
            regex_patterns=tuple(rf"^(?!.*a{n}b{{3,30}}c)(?=.*[a-z]{{5,{n % 60 + 9}}}).*$" for n in range(300))
        )
    ],
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_inputs_end_within_the_steps_of_a_compilation(name: str) -> None:
    budget = Budget()
    begun = time.process_time()
    try:
        compile_constraints(WORST[name], budget=budget)
    except LimitExceededError as error:
        assert "steps of work" in str(error)  # noqa: PT017 - others compile
    assert budget.spent < MAX_COMPILATION_STEPS + LAST_STRIDE
    assert time.process_time() - begun < 5 * MAX_COMPILATION_STEPS / 1e6


def test_expressions_that_would_keep_the_validator_busy_for_minutes_are_refused_before_it_begins() -> None:
    schema = schema_of({f"p{n}": {"type": "string", "pattern": rf"^[\p{{L}}_-]{{1,64}}{n}$"} for n in range(1_900)})
    begun = time.process_time()
    with pytest.raises(LimitExceededError, match="steps of work"):
        compile_constraints([schema])
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "pattern",
    [r"^\p{L}{64}$", r"^.{5000}$", r"^(ab|cd|ef|g){5000}$", r"^[^a]{1000}$", r"^([a-z]{1,40}-){1,40}$", "^a$"],
)
def test_what_expressions_of_a_schema_cost_is_not_far_from_the_estimate(pattern: str) -> None:
    schema = {"properties": {f"p{n}": {"pattern": pattern + "x" * n} for n in range(50)}}
    text = json.dumps(schema)
    begun = time.thread_time()
    make_validator(text)
    assert (time.thread_time() - begun) * 1e6 < 4 * (regex_steps(part.schema for part in walk(schema)) + len(text))


def test_a_chain_of_definitions_is_looked_at_once() -> None:
    links = {f"d{n}": {"properties": {"n": {"$ref": f"#/$defs/d{n + 1}"}}, "required": ["n"]} for n in range(5_000)}
    chain = schema_of({}, **{"$defs": {**links, "d5000": {}}, "$ref": "#/$defs/d0"})
    begun = time.process_time()
    with pytest.raises(LimitExceededError, match="over 500 schemas one inside the other"):
        compile_constraints([chain])
    assert time.process_time() - begun < 20


def test_a_long_name_above_many_others_is_refused_before_it_fills_the_memory() -> None:
    inner = {"type": "object", "properties": {f"a{n}": {"maximum": n} for n in range(20_000)}}
    with pytest.raises(LimitExceededError, match=r"the JSON pointers to its keywords have .* characters together"):
        compile_constraints([schema_of({"n" * 1_000_000: inner})])


def test_an_intersection_that_llguidance_would_never_come_back_from_is_checked() -> None:
    patterns = (r"(ab|ba|c){20,200}y", r"[a-z]{20,200}", r"\by", r"^(?!.*x(x?){1,200})")
    begun = time.process_time()
    spent, handling = spent_on([ConstraintIR(regex_patterns=patterns)])
    assert Handling.CHECKED in handling
    assert spent < MAX_COMPILATION_STEPS
    assert time.process_time() - begun < 30


# ------------------------------------------------------------------------------------------------ beside others


def test_eight_long_compilations_at_once_cost_no_more_than_eight_in_a_row() -> None:
    maze = Orchestrator(MazeConfig())

    def cost(name: str, *, at_once: bool) -> float:
        threads = [
            threading.Thread(target=maze.compile, args=(slow_to_compile(12 + number), name)) for number in range(8)
        ]
        begun = time.process_time()
        for thread in threads:
            thread.start()
            if not at_once:
                thread.join()
        for thread in threads:
            thread.join()
        return time.process_time() - begun

    cost("python", at_once=False)
    in_a_row, at_once = cost("rust", at_once=False), cost("go", at_once=True)
    assert maze.cache_stats().entries == 24
    assert at_once < 1.4 * in_a_row
