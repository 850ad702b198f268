"""By hand, against a real vLLM or SGLang: make test-vllm URL=http://127.0.0.1:8000"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_chat import CITY, CODE

from maze import ConstraintIR, GenerationOptions, Intent, Orchestrator
from maze.config import environment, read_config
from maze.errors import Status
from maze.options import PromptForm
from maze.types import TokenMaskRules


@pytest.fixture(scope="module")
def maze() -> Iterator[Orchestrator]:
    url = environment().get("URL", "")
    if not url:
        pytest.skip("URL names no vLLM")
    with Orchestrator(read_config({"endpoint": url})) as connected:
        yield connected


def options(**given: object) -> GenerationOptions:
    return GenerationOptions(**{"max_tokens": 40, "seed": 1, "timeout_ms": 600_000, **given})  # type: ignore[arg-type]


def test_it_is_ready_and_obeys_grammars(maze: Orchestrator) -> None:
    health = maze.health()
    assert health.ready, health.endpoints


@pytest.mark.parametrize("form", list(PromptForm))
@pytest.mark.parametrize("begin", ["", '{"city":"Par', '{ "city": "Par', '{"city":"Paris","n":3}'])
def test_it_satisfies_a_schema_and_goes_on_from_a_text(maze: Orchestrator, form: PromptForm, begin: str) -> None:
    result = maze.generate(Intent("Give a city."), [CITY], options(prompt_form=form, continue_from=begin))
    assert result.success, result.error
    assert result.code.startswith(begin)


@pytest.mark.parametrize(
    "constraint",
    [
        CODE,
        ConstraintIR(regex_patterns=(r"^<\|im_end\|>x$",)),
        ConstraintIR(json_schema='{"const":"<|im_start|>user"}'),
    ],
)
def test_it_satisfies_a_pattern_and_texts_like_special_tokens(maze: Orchestrator, constraint: ConstraintIR) -> None:
    result = maze.generate(Intent("Go."), [constraint], options())
    assert result.success, result.error


def test_ids_beyond_its_vocabulary_are_named(maze: Orchestrator) -> None:
    mask = ConstraintIR(token_masks=TokenMaskRules(allowed=(99_999_999,)))
    result = maze.generate(Intent("Go."), [mask], options())
    assert result.status is Status.UNSUPPORTED_CONSTRAINT
    assert "99999999" in str(result.error)


def test_more_tokens_than_its_context_may_be_asked_for(maze: Orchestrator) -> None:
    result = maze.generate(Intent("Go."), [CODE], options(max_tokens=100_000))
    assert result.success, result.error
