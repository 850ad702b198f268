"""Deep inputs of every kind at every entry: a right answer or an error that tells what is wrong, and in seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import httpx
import orjson
import pytest
from c_programs import compile_program
from c_programs import run as run_program
from conftest import Run
from deep_inputs import BRAID, GBNF, GBNF_OF_ONE_RULE, JSON, LARK, REGEX, SCHEMA, Make
from fault_server import DONE, FaultServer, Play, answer, stream
from http_calls import ask, backend_for, generate
from scripted_backend import ScriptedBackend
from service_runner import running_service

from maze.backends.base import Deadline
from maze.backends.http.answer_json import MAX_ANSWER_DEPTH
from maze.backends.http.detect import DIALECTS
from maze.config import MazeConfig
from maze.errors import LimitExceededError, MazeError, Status
from maze.grammar.cfg.lark_writer import MAX_DEPTH as MAX_RULE_CHAIN
from maze.grammar.pattern.parser import MAX_GROUP_DEPTH
from maze.grammar.read.gbnf import MAX_NESTING
from maze.grammar.schema.reading import MAX_DEPTH as MAX_SCHEMA_DEPTH
from maze.grammar.schema.references import MAX_REFERENCE_CHAIN, MAX_SCHEMA_CHAIN
from maze.orchestrator import Orchestrator
from maze.service.contract import MAX_BODY_DEPTH
from maze.types import ConstraintIR

DEPTHS = (100, 126, 500, 998, 1_000, 5_000, 10_000)
"""Python's stack of 1,000 calls lies between them; what is recursive breaks there, and below limits of its own."""
SLOWEST_SECS = 60.0
"""For one call on a loaded machine; alone none takes 10."""
MAX_CHARACTERS = {"g": 100_000, "r": 500_000, "s": 300_000}
"""Of schemas, grammars and patterns. Longer ones are deeper than every limit of theirs, and some take 10 s."""


def _just_below(limit: int) -> tuple[int, ...]:
    return tuple(range(limit - 4, limit + 2))


_FAMILIES: dict[str, tuple[str, dict[str, Make], tuple[int, ...]]] = {
    "GBNF, one rule": ("g", {name: GBNF[name] for name in GBNF_OF_ONE_RULE}, _just_below(MAX_NESTING)),
    "GBNF, chains of rules": (
        "g",
        {name: make for name, make in GBNF.items() if name not in GBNF_OF_ONE_RULE},
        (MAX_RULE_CHAIN - 3,),
    ),
    "Lark": ("g", LARK, _just_below(MAX_RULE_CHAIN)),
    "Braid": ("g", BRAID, (MAX_RULE_CHAIN - 3,)),
    "patterns": ("r", REGEX, _just_below(MAX_GROUP_DEPTH)),
    "schemas": ("s", SCHEMA, (30, *_just_below(MAX_SCHEMA_DEPTH), *_just_below(MAX_REFERENCE_CHAIN))),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("family", _FAMILIES)
def test_deep_constraints_are_read_or_refused_from_c(family: str, tmp_path: Path) -> None:
    kind, makers, limits = _FAMILIES[family]
    cases = {
        f"{name}, {depth} deep": (kind, text)
        for name, make in makers.items()
        for depth in sorted({*limits, *DEPTHS})
        if len(text := make(depth)) <= MAX_CHARACTERS[kind]
    }
    _call_from_c(cases, tmp_path)


_CHECKED_WITH = {
    "any value": ("s", "true"),
    "arrays of itself": ("s", '{"type":"array","items":{"$ref":"#"}}'),
    "alternatives of itself": (
        "s",
        '{"anyOf":[{"type":"integer"},{"items":{"$ref":"#"},"additionalProperties":{"$ref":"#"},"minItems":1}]}',
    ),
    "nothing else": ("s", '{"unevaluatedItems":{"$ref":"#"},"unevaluatedProperties":{"$ref":"#"}}'),
    "a text": ("s", '{"type":"string"}'),
    "a grammar": ("g", 'root ::= "[" root "]" | "1"'),
}


def test_deep_texts_are_checked_or_refused_from_c(tmp_path: Path) -> None:
    cases: dict[str, tuple[str, str]] = {}
    for name, constraint in _CHECKED_WITH.items():
        cases[name] = constraint
        for (what, make), depth in product(JSON.items(), (*_just_below(500), *DEPTHS)):
            cases[f"{what} against {name}, {depth} deep"] = ("t", make(depth))
    _call_from_c(cases, tmp_path)


def _call_from_c(cases: dict[str, tuple[str, str]], folder: Path) -> None:
    file = folder / "inputs"
    file.write_bytes(
        b"".join(f"{kind} {len(text.encode())}\n".encode() + text.encode() + b"\n" for kind, text in cases.values())
    )
    done = run_program(compile_program("deep"), str(file), timeout_secs=800)
    said = [line.split() for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, ""), list(cases)[len(said) :][:1]
    wrong = [
        (name, status, duration)
        for name, (_, status, duration, *_) in zip(cases, said, strict=True)
        if status == "MAZE_INTERNAL_ERROR" or float(duration) > SLOWEST_SECS * 1000
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("constraint", "limit"),
    [
        (ConstraintIR(grammar=GBNF["groups"](MAX_NESTING + 1)), MAX_NESTING),
        (ConstraintIR(grammar=GBNF["left recursion"](1_000)), MAX_RULE_CHAIN),
        (ConstraintIR(grammar=GBNF["groups within rules"](1_000)), MAX_RULE_CHAIN),
        (ConstraintIR(grammar=LARK["unit rules"](1_000)), MAX_RULE_CHAIN),
        (ConstraintIR(grammar=BRAID["left recursion"](1_000)), MAX_RULE_CHAIN),
        (ConstraintIR(regex_patterns=(REGEX["groups"](MAX_GROUP_DEPTH + 1),)), MAX_GROUP_DEPTH),
        (ConstraintIR(json_schema=SCHEMA["items"](MAX_SCHEMA_DEPTH + 1)), MAX_SCHEMA_DEPTH),
        (ConstraintIR(json_schema=SCHEMA["references in members"](1_000)), MAX_SCHEMA_CHAIN),
        (ConstraintIR(json_schema=SCHEMA["references in deep items"](100)), MAX_SCHEMA_CHAIN),
    ],
)
def test_what_is_too_deep_is_told_with_its_limit(constraint: ConstraintIR, limit: int) -> None:
    with pytest.raises(LimitExceededError, match=rf"constraints\[0\].* {limit}\b"):
        Orchestrator(MazeConfig()).compile([constraint])


@pytest.mark.parametrize("make", [GBNF["unit rules"], GBNF["unit rules, last one first"], BRAID["unit rules"]])
def test_chains_of_rules_that_say_nothing_may_be_of_any_length(make: Make) -> None:
    validation = Orchestrator(MazeConfig()).validate("a", [ConstraintIR(grammar=make(10_000))])
    assert validation.all_satisfied
    assert not Orchestrator(MazeConfig()).validate("b", [ConstraintIR(grammar=make(10_000))]).all_satisfied


@pytest.mark.parametrize("depth", [30, 60])
def test_equal_deep_alternatives_mean_what_one_of_them_means(depth: int) -> None:
    pattern = REGEX["groups that are equal"](depth)
    text = "b" + "c" * 3 + "b" + "d" * 3
    assert Orchestrator(MazeConfig()).validate(text, [ConstraintIR(regex_patterns=(pattern,))]).all_satisfied


# ------------------------------------------------------------------------------------------------ the service

_BODY_DEPTHS = (90, 95, *_just_below(MAX_BODY_DEPTH))
_BODIES: dict[str, Callable[[str], str]] = {
    "a schema": lambda deep: f'{{"prompt":"a","constraints":{{"json_schema":{{"const":{deep}}}}}}}',
    "a schema itself": lambda deep: f'{{"prompt":"a","constraints":{{"json_schema":{deep}}}}}',
    "a mask": lambda deep: f'{{"prompt":"a","constraints":{{"token_mask":{{"allowed":{deep}}}}}}}',
    "patterns": lambda deep: f'{{"prompt":"a","constraints":{{"regex_patterns":[{deep}]}}}}',
    "the context": lambda deep: f'{{"prompt":"a","context":{{"language":{deep}}}}}',
    "the prompt": lambda deep: f'{{"prompt":{deep}}}',
    "an unknown field": lambda deep: f'{{"prompt":"a","unknown":{deep}}}',
    "the body": lambda deep: deep,
}


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
def test_deep_requests_to_the_service_are_answered_or_refused(path: str) -> None:
    with running_service(ScriptedBackend(["a"])) as service, httpx.Client(timeout=SLOWEST_SECS) as client:

        def status(content: str) -> int:
            answered = client.post(service.url + path, content=content, headers={"Content-Type": "application/json"})
            assert "internal_error" not in answered.text
            return answered.status_code

        for (where, body), (what, make), depth in product(_BODIES.items(), JSON.items(), (*_BODY_DEPTHS, *DEPTHS)):
            assert status(body(make(depth))) in (200, 400), (where, what, depth)
        for what, depth in product(("properties", "items", "references", "references in members"), DEPTHS):
            request = f'{{"prompt":"a","constraints":{{"json_schema":{SCHEMA[what](depth)}}}}}'
            assert status(request) in (200, 400), (what, depth)
        for depth in DEPTHS:
            request = json.dumps({"prompt": "a", "constraints": {"grammar": GBNF["unit rules"](depth)}})
            assert status(request) in (200, 400), depth


# ------------------------------------------------------------------------------------------------ the command line


@pytest.mark.usefixtures("as_in_a_new_shell")
@pytest.mark.parametrize(
    ("option", "make"),
    [
        ("--grammar", GBNF["unit rules"]),
        ("--grammar", GBNF["groups within rules"]),
        ("--grammar", LARK["unit rules"]),
        ("--schema", SCHEMA["properties"]),
        ("--schema", SCHEMA["references in deep items"]),
    ],
)
def test_the_commands_take_or_refuse_deep_files(option: str, make: Make, run: Run, tmp_path: Path) -> None:
    constraint, text = tmp_path / "constraint", tmp_path / "text"
    for depth in (126, MAX_RULE_CHAIN - 3, 998):
        constraint.write_text(make(depth))
        text.write_text(JSON["arrays"](depth))
        for command in (("compile",), ("validate", str(text))):
            code, said, errors = run(*command, option, str(constraint), "--json")
            assert (code, errors) != (int(Status.INTERNAL_ERROR), "")
            assert json.loads(said).get("status", "MAZE_OK") != "MAZE_INTERNAL_ERROR"
            assert errors == ""


# ------------------------------------------------------------------------------------------------ upstream

_SHAPES: dict[str, Callable[[str], str]] = {
    "itself": lambda deep: deep,
    "error": lambda deep: f'{{"error":{deep}}}',
    "type of the error": lambda deep: f'{{"error":{{"type":{deep},"message":"no"}}}}',
    "message": lambda deep: f'{{"error":{{"message":{deep}}},"detail":{deep}}}',
    "the context that llama.cpp tells": lambda deep: (
        f'{{"error":{{"type":"exceed_context_size_error","n_ctx":{deep},"n_prompt_tokens":{deep}}}}}'
    ),
    "models": lambda deep: f'{{"data":[{{"id":"m","owned_by":{deep},"meta":{{"n_vocab":{deep}}}}}],"version":{deep}}}',
    "statistics": lambda deep: (
        f'{{"token":"a","content":"a","generated_text":"a","done":true,"stop":true,"stop_type":"eos","tokens":[1],'
        f'"finish_reason":"stop","tokens_generated":1,"tokens_predicted":1,"choices":[{{"text":"a",'
        f'"finish_reason":"stop"}}],"timings":{{"a":{deep}}},"stats":{{"a":{deep}}},"model":"m"}}'
    ),
    "text": lambda deep: f'{{"token":{deep},"content":{deep},"choices":[{{"text":{deep}}}],"done":{deep}}}',
    "choices": lambda deep: f'{{"choices":{deep},"usage":{deep},"finish_reason":{deep},"stop":{deep}}}',
}


def _answers(data: bytes) -> Iterator[tuple[str, Play]]:
    for http_status in (200, 400, 429, 500):
        yield f"whole, {http_status}", answer(http_status, data, "Retry-After: 0")
    yield "streamed", stream(b"data: " + data + b"\n\n", DONE)
    yield "streamed as an error", stream(b"error: " + data + b"\n\n", DONE)


_ANSWER_DEPTHS = (*range(MAX_ANSWER_DEPTH - 3, MAX_ANSWER_DEPTH + 2), 126, 253, 998, 1_000, 1_024, 10_000)


@pytest.mark.parametrize("dialect", [*DIALECTS, None])
def test_deep_answers_of_services_are_read_or_refused(dialect: str | None) -> None:
    playing: list[Play] = []
    with FaultServer(lambda exchange: playing[-1](exchange)) as server:
        for (shape, put), depth in product(_SHAPES.items(), _ANSWER_DEPTHS):
            for how, play in _answers(put(JSON["arrays"](depth)).encode()):
                playing.append(play)
                assert _internal_errors(server.url, dialect) == [], (shape, depth, how)


def _internal_errors(url: str, dialect: str | None) -> list[Exception]:
    """What goes wrong, other than as it should, with what a service at `url` says."""
    backend = backend_for(url, dialect=dialect)
    found: list[Exception] = []
    calls: tuple[Callable[[], object], ...] = (
        lambda: orjson.dumps(generate(backend, ask(model="m"))[0].engine),
        lambda: orjson.dumps(backend.health(Deadline(20_000)).endpoints),
        lambda: orjson.dumps(list(backend.models(Deadline(20_000)))),
    )
    for call in calls:
        try:
            call()
        except MazeError as error:
            if error.status is Status.INTERNAL_ERROR:
                found.append(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told with its case
            found.append(error)
    backend.close()
    return found
