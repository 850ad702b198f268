"""Constraints and texts that once got the right verdict still get it, from the compiler to the check."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from maze.check.validation import validate
from maze.errors import MazeError
from maze.grammar import compile_constraints
from maze.grammar.llguidance import Matcher
from maze.outcome import Handling
from maze.types import ConstraintIR

CASES = Path(__file__).parent / "data" / "cases" / "holding.jsonl"
"""A line each: `kind` and `constraint`, a `text`, and what is `expected`: a verdict, or the class of an error.

All of them once were right and none has changed but one: a `%json` with a look-ahead in Lark text was refused, because
llguidance could not have it, and is enforced exactly by rules of its own, so that it stands here with its verdicts.
"""


def constraints_of(kind: str, constraint: Any) -> list[ConstraintIR]:  # noqa: ANN401 - JSON
    match kind:
        case "schema":
            return [ConstraintIR(json_schema=constraint)]
        case "grammar":
            return [ConstraintIR(grammar=constraint)]
        case "regex":
            return [ConstraintIR(regex_patterns=(constraint,))]
        case _:
            return [ConstraintIR(**each) for each in constraint]


def cases() -> list[Any]:
    """The lines, those of one constraint together."""
    texts = defaultdict(list)
    for line in CASES.read_bytes().splitlines():
        case = json.loads(line)
        texts[case["kind"], json.dumps(case["constraint"])].append((case["text"], case["expected"]))
    return [
        pytest.param(kind, json.loads(constraint), expected, id=f"{kind}-{number}")
        for number, ((kind, constraint), expected) in enumerate(texts.items())
    ]


@pytest.mark.parametrize(("kind", "constraint", "texts"), cases())
def test_a_verdict_that_was_right_stays_so(kind: str, constraint: Any, texts: list[tuple[str, str]]) -> None:  # noqa: ANN401
    try:
        compiled = compile_constraints(constraints_of(kind, constraint))
    except MazeError as error:
        verdicts = [(text, type(error).__name__) for text, _ in texts]
    else:
        satisfied = {text: validate((text or "").encode(), compiled).all_satisfied for text, _ in texts}
        verdicts = [(text, "satisfied" if satisfied[text] else "violated") for text, _ in texts]
    assert verdicts == texts


SCHEMAS = CASES.with_name("schemas.jsonl")
"""A line each: a `schema`, its `handling`, a `text` as engines would write it, and whether that is `expected` to be
`satisfied` or `violated`; or the class of an error."""


@pytest.mark.parametrize("case", [json.loads(line) for line in SCHEMAS.read_bytes().splitlines()])
def test_what_a_grammar_of_a_schema_once_let_through_or_could_not_write_is_right(case: Any) -> None:  # noqa: ANN401
    constraints = [ConstraintIR(json_schema=json.dumps(case["schema"]))]
    if case["text"] is None:
        with pytest.raises(MazeError) as raised:
            compile_constraints(constraints)
        assert type(raised.value).__name__ == case["expected"]
        return
    compiled = compile_constraints(constraints)
    text, is_right = case["text"].encode(), case["expected"] == "satisfied"
    assert compiled.parts[0].handling.value == case["handling"]
    assert validate(text, compiled).all_satisfied is is_right
    assert compiled.grammar is not None
    if compiled.parts[0].handling is Handling.ENFORCED:
        assert Matcher(compiled.grammar).accepts(text) is is_right


TOGETHER = CASES.with_name("together.jsonl")
"""A line each: constraints (`irs`) and a `text`; what is wanted (`want`) and `why`. `true`: the text satisfies all;
`not:X`: anything but the error X; `only:PATH`: that part alone is violated; `says:X`: an error with X; or an error."""


def said_of(case: Any) -> str:  # noqa: ANN401
    """What became of a line, in the words of its `want`; an error with its name and its message."""
    try:
        compiled = compile_constraints([ConstraintIR(**each) for each in case["irs"]], case.get("language"))
    except MazeError as error:
        return f"{type(error).__name__}: {error}"
    validation = validate((case.get("text") or "").encode(), compiled)
    violated = [outcome.path for outcome in validation.outcomes if outcome.satisfied is False]
    return f"only:{','.join(violated)}" if violated else "true"


@pytest.mark.parametrize("case", [json.loads(line) for line in TOGETHER.read_bytes().splitlines()])
def test_grammars_and_patterns_together_are_right(case: Any) -> None:  # noqa: ANN401
    how, _, what = case["want"].partition(":")
    said = said_of(case)
    match how:
        case "not":
            assert not said.startswith(what)
        case "says":
            assert what in said
        case _:
            assert said.partition(": ")[0] == case["want"]
