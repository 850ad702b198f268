"""maze.report: every call tells of itself in one shape, which docs/report.schema.json is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from reports import SCHEMA, check_report
from scripted_backend import ScriptedBackend, raising

from maze import ConstraintIR, GenerationOptions, Intent, MazeConfig, Orchestrator, Status, report_of
from maze.backends.base import Health
from maze.errors import InvalidArgumentError, RateLimitedError
from maze.report import encode, report_call
from maze.result import GenerationMetadata, GenerationResult, TokenLogprob

COLOUR = [ConstraintIR(regex_patterns=("^(red|blue)$",), name="colour")]


def reports() -> dict[str, dict[str, Any]]:
    with Orchestrator(MazeConfig(), backend=ScriptedBackend(["red"])) as maze:
        found = {
            "success": report_of(maze.generate(Intent("a colour"), COLOUR)),
            "invalid argument": report_of(maze.generate(Intent(""), COLOUR)),
            "contradiction": report_of(maze.generate(Intent("x"), [*COLOUR, ConstraintIR(regex_patterns=("^a$",))])),
            "compilation": report_of(maze.compile(COLOUR)),
            "satisfied": report_of(maze.validate("red", COLOUR)),
            "violated": report_of(maze.validate("green", COLOUR)),
            "health": report_of(maze.health()),
        }
    with Orchestrator(MazeConfig(), backend=ScriptedBackend(["green"])) as maze:
        found["attempts"] = report_of(maze.generate(Intent("a colour"), COLOUR, GenerationOptions(max_attempts=2)))
    with Orchestrator(MazeConfig(), backend=ScriptedBackend(["re", raising(RateLimitedError("come later"))])) as maze:
        found["rate limited"] = report_of(maze.generate(Intent("a colour"), COLOUR))
    endpoint = {"endpoint": "http://x", "ready": False, "detail": "HTTP 503"}
    found["not ready"] = report_of(Health(ready=False, backend="vllm", endpoints=(endpoint,)))
    found["error"] = report_of(InvalidArgumentError("is wrong", field="x"))
    return found


def test_reports_of_every_kind_have_the_one_shape() -> None:
    found = reports()
    for report in found.values():
        check_report(report)
    assert {report["status"] for report in found.values()} == {
        *("MAZE_OK", "MAZE_INVALID_ARGUMENT", "MAZE_CONTRADICTION", "MAZE_CONSTRAINT_VIOLATED", "MAZE_RATE_LIMITED"),
        "MAZE_ENGINE_UNAVAILABLE",
    }
    assert found["not ready"]["error"] == "the engine is not ready: http://x: HTTP 503"
    assert found["attempts"]["metadata"]["attempts"][0]["status"] == "MAZE_CONSTRAINT_VIOLATED"


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report.pop("status"),
        lambda report: report.update(status="MAZE_FINE"),
        lambda report: report.update(success=False),
        lambda report: report.update(error="but it succeeded"),
        lambda report: report.update(more=1),
        lambda report: report["metadata"].update(tokens_generated=-1),
        lambda report: report["metadata"].update(total_time_ms=None),
        lambda report: report["metadata"].pop("attempts"),
        lambda report: report["metadata"].update(finish_reason="somehow"),
        lambda report: report["metadata"]["attempts"][0].update(status=5),
        lambda report: report["validation"]["outcomes"][0].update(line=0),
        lambda report: report["provenance"].pop("engine"),
        lambda report: report.pop("metadata"),
    ],
)
def test_a_report_of_another_shape_is_found(change: Any) -> None:  # noqa: ANN401 - a function of any result
    report = reports()["success"]
    change(report)
    with pytest.raises(AssertionError, match=r"is not as docs/report\.schema\.json says"):
        check_report(report)


def test_the_schema_is_one_and_knows_every_status() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["status"]["enum"] == [f"MAZE_{status.name}" for status in Status]


def test_log_probabilities_are_told_with_the_likeliest() -> None:
    logprobs = (TokenLogprob("a", -0.5, (("a", -0.5), ("b", -1.25))), TokenLogprob("c", -0.25))
    result = GenerationResult("ac", True, Status.OK, metadata=GenerationMetadata(2, logprobs=logprobs))
    told = report_of(result)["metadata"]["logprobs"]
    assert told == [
        {"text": "a", "logprob": -0.5, "top": [["a", -0.5], ["b", -1.25]]},
        {"text": "c", "logprob": -0.25, "top": []},
    ]


def test_a_report_with_half_a_surrogate_pair_is_json_all_the_same() -> None:
    report = report_call(Status.BAD_RESPONSE, "found '\ud800'")
    assert json.loads(encode(report)) == report
