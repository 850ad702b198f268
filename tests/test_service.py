"""maze.service: the contract over HTTP, its limits, and what happens when clients leave or the service stops."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import httpx
import pytest
from fault_server import DONE, Exchange, FaultServer, Play, answer, event, stream
from http_calls import backend_for
from scripted_backend import Gate, LoadingBackend, ScriptedBackend, raising
from service_runner import POST_HEAD, RunningService, events, metric, post, post_bytes, running_service, wait_until

from maze._version import __version__
from maze.backends.base import FINISHED_LENGTH, Completion, Deadline, Health, OnText, Request
from maze.config import DEFAULT_MODAL_MODEL, MazeConfig
from maze.engine import EmbeddedEngine
from maze.errors import ConstraintViolatedError, EngineUnavailableError, MazeError, Status, TruncatedError
from maze.options import BraidGrammar, GenerationOptions, Message, OnConflict, PromptForm, Role, WhenCutOff
from maze.orchestrator import Orchestrator
from maze.secret import Secret
from maze.service.connections import ClientConnection
from maze.service.contract import RequestLimits, read_request
from maze.service.refusal import HTTP_STATUS, RETRYABLE, Refusal
from maze.service.settings import ServiceSettings
from maze.types import ConstraintIR, Intent

KEY = "a-key"
BEARER = {"Authorization": f"Bearer {KEY}"}
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["n"],
    "additionalProperties": False,
}
QUICK = ServiceSettings(stop_grace_secs=0)


# ------------------------------------------------------------------------------------------------ the contract


def test_an_answer_has_the_fields_of_the_contract() -> None:
    with running_service(ScriptedBackend(['{"n":', "1}"])) as service:
        response = post(service, {"prompt": "a number", "constraints": {"json_schema": SCHEMA}, "request_id": "r-1"})
    assert response.status_code == 200
    assert response.headers["X-Request-Id"] == "r-1"
    answer = response.json()
    stats = answer.pop("stats")
    assert answer.pop("generation_time_ms") == stats["total_time_ms"]
    (attempt,) = answer.pop("attempts")
    assert (attempt["tokens_generated"], attempt["finish_reason"], attempt["violations"]) == (2, "stop", [])
    assert answer == {
        "status": "MAZE_OK",
        "generated_text": '{"n":1}',
        "tokens_generated": 2,
        "prompt_tokens": 3,
        "model": "a-model",
        "model_name": "a-model",
        "finish_reason": "stop",
        "constraint_satisfied": True,
        "constraint_warnings": [],
        "constraint_error": None,
        "request_id": "r-1",
        "cut": False,
        "completed_from": None,
        "steered_from": None,
        "reasoning": None,
        "reasoning_tokens": None,
        "logprobs": None,
    }
    assert stats["constraint_checks"] is None
    assert stats["avg_constraint_check_us"] is None
    assert set(stats) >= {"time_per_token_us", "queue_time_ms", "compile_time_ms", "first_token_ms"}


def test_the_engine_gets_every_option_as_it_was_given() -> None:
    backend = ScriptedBackend(["x"])
    with running_service(backend) as service:
        body = {
            "prompt": "p",
            "max_tokens": 5,
            "temperature": 1,
            "top_p": 0.5,
            "top_k": 3,
            "seed": 7,
            "stop_sequences": ["END"],
            "model": "a-model",
            "request_id": "r",
        }
        assert post(service, body).status_code == 200
    (request,) = backend.requests
    assert (request.prompt.text, request.max_tokens, request.temperature) == ("p", 5, 1.0)
    assert (request.top_p, request.top_k, request.seed, request.stop) == (0.5, 3, 7, ("END",))
    assert (request.model, request.request_id, request.grammar, request.token_mask) == ("a-model", "r", None, None)


def test_a_request_may_have_every_option_of_the_library() -> None:
    options: dict[str, Any] = {
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": 3,
        "seed": 7,
        "model": "a-model",
        "system": "Be brief.",
        "continue_from": "{",
        "describe_constraints": False,
        "reasoning_tokens": 0,
        "max_attempts": 2,
        "top_logprobs": 3,
    }
    choices = {
        "prompt_form": "raw",
        "when_cut_off": "complete",
        "on_conflict": "report",
        "braid_grammar": "as_language",
        "ignore": ["grammar", "constraints.regex_patterns[1]", "constraints.token_mask", "token_mask"],
    }
    said = [{"role": "user", "text": "a"}, {"role": "assistant", "text": "b"}]
    body = json.dumps({"prompt": "p", "stop_sequences": ["END"], "messages": said, **options, **choices}).encode()
    read = read_request(body, "r", RequestLimits(max_prompt_bytes=100, max_tokens=10, default_max_tokens=10)).options
    assert read == GenerationOptions(
        **options,
        stop=("END",),
        messages=(Message(Role.USER, "a"), Message(Role.ASSISTANT, "b")),
        prompt_form=PromptForm.RAW,
        when_cut_off=WhenCutOff.COMPLETE,
        on_conflict=OnConflict.REPORT,
        braid_grammar=BraidGrammar.AS_LANGUAGE,
        ignore=("grammar", "constraints[0].regex_patterns[1]", "constraints[0].token_masks", "token_masks"),
    )
    left = {field.name for field in fields(GenerationOptions) if getattr(read, field.name) == field.default}
    assert left == {"timeout_ms", "on_unenforceable"}, "the service has its own time, and reports nothing unenforced"


@pytest.mark.parametrize("field", ["system", "continue_from", "messages"])
def test_all_that_the_model_reads_counts_for_the_longest_prompt(field: str) -> None:
    text = "x" * 70
    value = [{"role": "user", "text": text}] if field == "messages" else text
    limits = RequestLimits(max_prompt_bytes=100, max_tokens=10, default_max_tokens=10)
    with pytest.raises(Refusal, match="together are longer than 100 bytes") as refused:
        read_request(json.dumps({"prompt": "p" * 31, field: value}).encode(), "r", limits)
    assert refused.value.code == "limit_exceeded"


def test_the_language_of_a_request_is_told_to_the_model_as_the_library_does() -> None:
    backend = ScriptedBackend(["x"])
    with running_service(backend) as service:
        assert post(service, {"prompt": "p", "context": {"language": "python"}}).status_code == 200
    Orchestrator(MazeConfig(), backend=backend).generate(Intent("p", language="python"))
    served, called = (request.prompt.text for request in backend.requests)
    assert served == called == "p\n\nLanguage: python"


def test_requests_of_the_original_client_are_understood() -> None:
    backend = ScriptedBackend(["x"])
    with running_service(backend) as service:
        body = {"prompt": "p", "constraints": None, "model": DEFAULT_MODAL_MODEL, "context": None, "temperature": 0.7}
        assert post(service, {**body, "max_tokens": 5}).status_code == 200
    assert backend.requests[0].model is None


def test_schema_patterns_and_masks_become_one_grammar_and_mask_for_the_engine() -> None:
    backend = ScriptedBackend(["abc"])
    constraints = {"regex_patterns": ["^[a-z]+$", "b"], "token_mask": {"forbidden": [3, 4]}}
    with running_service(backend) as service:
        assert post(service, {"prompt": "p", "constraints": constraints}).json()["constraint_satisfied"] is True
    (request,) = backend.requests
    assert request.grammar is not None
    assert request.grammar.rules.startswith("start: ")
    assert request.token_mask is not None
    assert request.token_mask.forbidden == {3, 4}


LARK = '%llguidance {}\nstart: "yes" | "no"\n'


@pytest.mark.parametrize(
    ("constraints", "good", "bad"),
    [
        ({"json_schema": SCHEMA}, '{"n":1}', '{"n":"1"}'),
        ({"regex_patterns": ["^a+$"]}, "aaa", "aab"),
        ({"grammar": LARK}, "yes", "maybe"),
        ({"grammar": "%llguidance {}\nstart: /[a-z]+/\n", "regex_patterns": ["b"]}, "abc", "acd"),
    ],
    ids=["schema", "regex", "lark", "lark and regex"],
)
def test_whether_the_constraints_are_satisfied_is_found_out_from_the_text(
    constraints: dict[str, Any], good: str, bad: str
) -> None:
    for text, satisfied in ((good, True), (bad, False)):
        with running_service(ScriptedBackend([text])) as service:
            response = post(service, {"prompt": "p", "constraints": constraints})
            assert response.status_code == 200, response.text
            assert response.json()["constraint_satisfied"] is satisfied
            told = response.json()["constraint_error"]
            assert told is None if satisfied else "is not satisfied at byte" in told
            unsatisfied = 'maze_constraints_unsatisfied_total{finish_reason="stop"}'
            if not satisfied:
                assert metric(service, unsatisfied) == 1


def test_a_text_cut_off_says_so() -> None:
    with running_service(ScriptedBackend(['{"n"'], FINISHED_LENGTH)) as service:
        answer = post(service, {"prompt": "p", "constraints": {"json_schema": SCHEMA}}).json()
    assert (answer["finish_reason"], answer["constraint_satisfied"]) == ("length", False)


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize(
    ("fields", "param", "named"),
    [
        ({"prompt": 1}, "prompt", "must be a text"),
        ({"prompt": None}, "prompt", "must be a text"),
        ({"guided_json": {}}, "guided_json", "unknown field"),
        ({"constraints": {"guided_json": {}}}, "constraints.guided_json", "unknown constraint"),
        ({"constraints": []}, "constraints", "must be an object"),
        ({"constraints": {"grammar": {}}}, "constraints.grammar", "must be a text"),
        ({"constraints": {"json_schema": "{}"}}, "constraints.json_schema", "must be an object"),
        ({"constraints": {"regex_patterns": "a"}}, "constraints.regex_patterns", "array of texts"),
        ({"constraints": {"regex_patterns": [1]}}, "constraints.regex_patterns", "array of texts"),
        ({"constraints": {"token_mask": []}}, "constraints.token_mask", "must be an object"),
        ({"constraints": {"token_mask": {"banned": [1]}}}, "constraints.token_mask.banned", "unknown part"),
        ({"constraints": {"token_mask": {"allowed": []}}}, "constraints.token_mask.allowed", "no text is possible"),
        ({"constraints": {"token_mask": {"allowed": [-1]}}}, "constraints.token_mask.allowed", "token ids"),
        ({"constraints": {"token_mask": {"forbidden": [True]}}}, "constraints.token_mask.forbidden", "token ids"),
        ({"max_tokens": 0}, "max_tokens", "between 1 and"),
        ({"max_tokens": 10**6}, "max_tokens", "between 1 and 8192"),
        ({"max_tokens": True}, "max_tokens", "whole number"),
        ({"max_tokens": 1.5}, "max_tokens", "whole number"),
        ({"temperature": 3}, "temperature", "between 0 and 2"),
        ({"temperature": "1"}, "temperature", "must be a number"),
        ({"top_p": 0}, "top_p", "over 0"),
        ({"top_k": -1}, "top_k", "between 0 and"),
        ({"seed": 2**32}, "seed", "between 0 and 4294967295"),
        ({"stop_sequences": ["a"] * 5}, "stop_sequences", "at most 4"),
        ({"stop_sequences": [""]}, "stop_sequences", "1 to 1024 bytes"),
        ({"stop_sequences": ["a", "x" * 1025]}, "stop_sequences", "stop_sequences[1] has 1025 bytes"),
        ({"stop_sequences": "a"}, "stop_sequences", "array of texts"),
        ({"prompt": " \n"}, "prompt", "prompt is empty"),
        ({"model": ""}, "model", "name of a model"),
        ({"model": "other"}, "model", "no model 'other'; there are: a-model"),
        ({"system": 1}, "system", "system is of type int; give text"),
        ({"continue_from": ["a"]}, "continue_from", "continue_from is of type list; give text"),
        ({"messages": {}}, "messages", "must be an array"),
        ({"messages": ["a"]}, "messages[0]", "must be an object with role and text"),
        ({"messages": [{"role": "user"}]}, "messages[0].text", "must be a text"),
        ({"messages": [{"role": "system", "text": "a"}]}, "messages[0].role", "must be one of user, assistant"),
        (
            {"messages": [{"role": "user", "text": "a", "name": "b"}]},
            "messages[0].name",
            "is unknown; a message has role and text",
        ),
        ({"on_conflict": "ignore"}, "on_conflict", "must be one of error, report"),
        ({"braid_grammar": 1}, "braid_grammar", "must be one of as_grammar, as_language, as_language_checked"),
        ({"ignore": "grammar"}, "ignore", "must be an array of texts"),
        ({"ignore": ["grammar", "mask"]}, "ignore", "ignore[1] is 'mask'; it must be a kind"),
        ({"prompt_form": "cooked"}, "prompt_form", "must be one of chat, raw"),
        ({"prompt_form": ["raw"]}, "prompt_form", "must be one of chat, raw"),
        ({"when_cut_off": 1}, "when_cut_off", "must be one of error, accept, complete"),
        ({"describe_constraints": "yes"}, "describe_constraints", "give True, False or None"),
        ({"reasoning_tokens": -1}, "reasoning_tokens", "between 0 and"),
        ({"reasoning_tokens": 8193}, "reasoning_tokens", "between 0 and 8192"),
        ({"max_attempts": 0}, "max_attempts", "between 1 and 100"),
        ({"top_logprobs": 21}, "top_logprobs", "between 0 and 20"),
        ({"context": "x"}, "context", "must be an object"),
        ({"context": {"language": 1}}, "context.language", "must be a text"),
        ({"request_id": "a b"}, "request_id", "visible ASCII"),
        ({"request_id": "x" * 129}, "request_id", "visible ASCII"),
        ({"prompt": "x" * 1001}, "prompt", "longer than 1000 bytes"),
    ],
)
def test_a_wrong_field_is_named_and_never_reaches_the_engine(
    fields: dict[str, Any], param: str, named: str, path: str, picky_service: tuple[RunningService, ScriptedBackend]
) -> None:
    service, backend = picky_service
    asked_before = len(backend.requests)
    response = post(service, {"prompt": "p", **fields}, path)
    assert response.status_code == 400
    error = response.json()["error"]
    assert set(error) == {"code", "message", "type", "param", "retryable"}
    assert (error["param"], error["type"], error["retryable"]) == (param, "invalid_request_error", False)
    assert named in error["message"]
    assert len(backend.requests) == asked_before


@pytest.fixture(scope="module")
def picky_service() -> Iterator[tuple[RunningService, ScriptedBackend]]:
    backend = ScriptedBackend(["x"])
    with running_service(backend, ServiceSettings(max_prompt_bytes=1000, stop_grace_secs=0)) as service:
        yield service, backend


@pytest.mark.parametrize(
    ("body", "code"),
    [
        *((body, "invalid_argument") for body in (b"", b"{", b"[]", b'"x"', b"\xff", b'{"prompt":"\\ud800"}')),
        (b"[" * 100_000, "limit_exceeded"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    body: bytes, code: str, picky_service: tuple[RunningService, ScriptedBackend]
) -> None:
    response = post_bytes(picky_service[0], body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("constraints", "name"),
    [
        ('{"regex_patterns":["^aaaa$"],"regex_patterns":["^b$"]}', "regex_patterns"),
        ('{"json_schema":{"enum":["aaa"],"enum":["bbb"]}}', "enum"),
        ('{"json_schema":{"enum":["aaa"]}},"constraints":null', "constraints"),
        ('{"token_mask":{"forbidden":[1],"forbidd\\u0065n":[2]}}', "forbidden"),
    ],
)
def test_a_name_that_stands_twice_is_told_and_no_constraint_is_lost(
    constraints: str, name: str, picky_service: tuple[RunningService, ScriptedBackend]
) -> None:
    service, backend = picky_service
    asked_before = len(backend.requests)
    response = post_bytes(service, f'{{"prompt":"x","constraints":{constraints}}}'.encode())
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_argument"
    assert f'the name "{name}" twice' in response.json()["error"]["message"]
    assert len(backend.requests) == asked_before


@pytest.mark.parametrize("number", ["18446744073709551617", "123456789012345678901234567890", "0.10000000000000000001"])
def test_a_number_of_a_schema_is_enforced_and_checked_with_every_digit_that_was_sent(number: str) -> None:
    schema = f'{{"const": {number}}}'
    body = f'{{"prompt":"x","constraints": {{ "json_schema": {schema} }} }}'
    compiled = Orchestrator(MazeConfig()).compile([ConstraintIR(json_schema=schema)])
    for text, satisfied in ((number, True), (number[:-1] + "9", False), (repr(float(number)), False)):
        backend = ScriptedBackend([text])
        with running_service(backend) as service:
            answer = post_bytes(service, body.encode()).json()
        assert (answer["generated_text"], answer["constraint_satisfied"]) == (text, satisfied)
        assert backend.requests[0].grammar == compiled.grammar


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize(
    ("constraints", "code"),
    [
        ({"grammar": "%llguidance {}\nstart: nowhere\n"}, "invalid_constraint"),
        ({"grammar": "start: ("}, "invalid_constraint"),
        ({"json_schema": {"type": "nonsense"}}, "invalid_constraint"),
        ({"regex_patterns": ["("]}, "invalid_constraint"),
        ({"regex_patterns": ["^a$", "^b$"]}, "contradiction"),
    ],
)
def test_a_bad_constraint_is_refused_before_any_token(
    constraints: dict[str, Any], code: str, path: str, picky_service: tuple[RunningService, ScriptedBackend]
) -> None:
    service, backend = picky_service
    asked_before = len(backend.requests)
    response = post(service, {"prompt": "p", "constraints": constraints}, path)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert (error["code"], error["param"]) == (code, "constraints")
    assert "constraints[0]" not in response.text
    assert len(backend.requests) == asked_before


def test_a_stream_carries_the_pieces_and_ends_with_the_answer() -> None:
    with running_service(ScriptedBackend(['{"n"', ":", "1}"])) as service:
        body = {"prompt": "p", "constraints": {"json_schema": SCHEMA}, "request_id": "r"}
        response = post(service, body, "/generate/stream")
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["X-Request-Id"] == "r"
    *pieces, last = events(response.text)
    assert pieces == [{"token": piece, "done": False} for piece in ('{"n"', ":", "1}")]
    assert (last["token"], last["done"]) == ("", True)
    assert (last["generated_text"], last["constraint_satisfied"], last["request_id"]) == ('{"n":1}', True, "r")


@pytest.mark.parametrize(("path", "attempts"), [("/generate", 3), ("/generate/stream", 1)])
def test_a_text_that_breaks_what_is_only_checked_is_tried_again_unless_it_was_handed_out(
    path: str, attempts: int
) -> None:
    backend = ScriptedBackend(['["a","a"]'])
    schema = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    with running_service(backend) as service:
        response = post(service, {"prompt": "p", "seed": 7, "constraints": {"json_schema": schema}}, path)
        answer = response.json() if path == "/generate" else events(response.text)[-1]
    assert answer["constraint_satisfied"] is False
    assert [request.seed for request in backend.requests] == [7, 8, 9][:attempts]
    assert answer["tokens_generated"] == attempts


class Unenforcing(ScriptedBackend):
    """An engine that takes no grammar, and says so."""

    def generate(self, request: Request, on_text: OnText) -> Completion:
        return replace(super().generate(request, on_text), unenforced="it takes no grammar")


@pytest.mark.parametrize("kind", [ScriptedBackend, Unenforcing])
def test_a_second_attempt_is_told_of_every_part_that_is_violated(kind: type[ScriptedBackend]) -> None:
    """The first of the two is to enforce the patterns, and does not."""
    backend = kind(['["a","a"]'])
    schema = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    patterns = ["^.{20,}$", "^[^a]*$"]
    constraints = {"json_schema": schema, "regex_patterns": patterns}
    with running_service(backend) as service:
        told_of = post(service, {"prompt": "p", "constraints": constraints}).json()["attempts"]
    assert len(told_of) == len(backend.requests) == 3
    broken = ["constraints[0].json_schema", "constraints[0].regex_patterns[0]", "constraints[0].regex_patterns[1]"]
    for attempt in told_of:
        assert [each["path"] for each in attempt["violations"]] == broken
    told = backend.requests[1].prompt.text
    assert told.count("\n- line 1") == 3
    assert backend.requests[0].json_schemas != ()


def _next_or_refusal(exchange: Exchange, texts: list[Play]) -> Play:
    """The service asks for health, which sends an empty request."""
    return answer(400, {"error": "messages?"}) if exchange.received.body == b"{}" else texts.pop(0)


@pytest.mark.usefixtures("backends_are_closed")
def test_a_service_before_an_engine_without_grammars_asks_for_the_schema_and_tries_again() -> None:
    def said(text: str) -> Play:
        return stream(event({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}), DONE)

    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    texts = [said("Sure!"), said('{"n":1}')]

    def play(exchange: Exchange) -> None:
        asked_for_models = exchange.received.method == "GET"
        (answer(200, {"data": [{"id": "m"}]}) if asked_for_models else _next_or_refusal(exchange, texts))(exchange)

    with FaultServer(play) as server:
        with running_service(backend_for(server.url, dialect="openai")) as service:
            body = {"prompt": "p", "constraints": {"json_schema": schema}}
            told = post(service, body).json()
        asked = [request.json() for request in server.requests if request.body not in (b"", b"{}")]
    assert (told["generated_text"], told["constraint_satisfied"], len(told["attempts"])) == ('{"n":1}', True, 2)
    assert [each["response_format"]["type"] for each in asked] == ["json_schema"] * 2
    assert "This answer is wrong" in asked[1]["messages"][-1]["content"]


def test_pieces_arrive_while_the_engine_still_generates() -> None:
    gate = Gate()
    with (
        running_service(ScriptedBackend(["first", gate, "second"])) as service,
        httpx.stream("POST", service.url + "/generate/stream", json={"prompt": "p"}, timeout=30) as response,
    ):
        lines = response.iter_lines()
        assert json.loads(next(lines).removeprefix("data: ")) == {"token": "first", "done": False}
        gate.opened.set()
        assert "second" in "".join(lines)


def test_an_empty_text_streams_as_an_answer_without_pieces() -> None:
    with running_service(ScriptedBackend([])) as service:
        (last,) = events(post(service, {"prompt": "p"}, "/generate/stream").text)
    assert (last["done"], last["generated_text"]) == (True, "")


def test_a_failure_in_the_middle_of_a_stream_is_an_event() -> None:
    with running_service(ScriptedBackend(["a", raising(EngineUnavailableError("gone"))])) as service:
        response = post(service, {"prompt": "p"}, "/generate/stream")
        first, last = events(response.text)
        assert first == {"token": "a", "done": False}
        assert last["done"] is True
        assert last["error"]["code"] == "engine_unavailable"
        wait_until(lambda: metric(service, 'maze_requests_total{route="/generate/stream",status="503"}') == 1)


def _subclasses(kind: type[MazeError]) -> Iterator[type[MazeError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(TruncatedError("so", partial_text="ab"), "length"), (ConstraintViolatedError("so", partial_text="ab"), "stop")],
)
def test_what_a_service_upstream_found_wrong_with_a_text_is_passed_on_with_the_text(
    error: MazeError, reason: str
) -> None:
    with running_service(ScriptedBackend(["ab", raising(error)])) as service:
        answer = post(service, {"prompt": "p"}).json()
        streamed = events(post(service, {"prompt": "p"}, "/generate/stream").text)[-1]
    for found in (answer, streamed):
        assert (found["generated_text"], found["finish_reason"]) == ("ab", reason)
        assert (found["constraint_satisfied"], found["tokens_generated"]) == (False, None)


FAILURES = [
    kind
    for kind in _subclasses(MazeError)
    if kind.__module__ == MazeError.__module__ and kind not in (TruncatedError, ConstraintViolatedError)
]


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize("kind", FAILURES)
def test_every_failure_of_an_engine_has_a_status_and_a_code(kind: type[MazeError], path: str) -> None:
    with running_service(ScriptedBackend([raising(kind("it was so"))])) as service:
        response = post(service, {"prompt": "p"}, path)
    assert response.status_code == HTTP_STATUS[kind.status]
    error = response.json()["error"]
    assert (error["code"], error["message"]) == (kind.status.name.lower(), "it was so")
    assert error["retryable"] is (response.status_code in RETRYABLE)


def test_every_status_has_its_http_status() -> None:
    assert set(HTTP_STATUS) == set(Status)


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
def test_a_text_that_is_no_unicode_is_a_bad_response_of_the_engine(path: str) -> None:
    with running_service(ScriptedBackend(["a\ud800"])) as service:
        response = post(service, {"prompt": "p"}, path)
    if path == "/generate":
        assert response.status_code == 502
        error = response.json()["error"]
    else:
        piece, last = events(response.text)
        assert piece == {"token": "a?", "done": False}
        error = last["error"]
    assert (error["code"], error["retryable"]) == ("bad_response", True)
    assert "lone surrogate" in error["message"]


def test_a_text_that_is_too_deep_to_check_is_kept_and_not_called_satisfied(caplog: pytest.LogCaptureFixture) -> None:
    deep = "[" * 600 + "]" * 600
    body = {"prompt": "p", "constraints": {"json_schema": {"type": "array"}}, "request_id": "r-deep"}
    with running_service(ScriptedBackend([deep])) as service:
        answer = post(service, body).json()
        *_, last = events(post(service, body, "/generate/stream").text)
        assert metric(service, "maze_tokens_generated_total") == 2
    for found in (answer, last):
        assert (found["generated_text"], found["constraint_satisfied"]) == (deep, None)
        assert "nested 600 deep" in found["constraint_error"]
        assert (found["finish_reason"], found["model"]) == ("stop", "a-model")
    assert "r-deep" in caplog.text
    assert "nested 600 deep" in caplog.text


def test_a_defect_is_told_without_its_insides(caplog: pytest.LogCaptureFixture) -> None:
    with running_service(ScriptedBackend([raising(ZeroDivisionError("inside"))])) as service:
        response = post(service, {"prompt": "p", "request_id": "r-9"})
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert "inside" not in response.text
    assert "r-9" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_what_is_no_route_has_an_error_of_the_same_shape() -> None:
    with running_service(ScriptedBackend(["x"])) as service:
        missing = httpx.get(service.url + "/v1/completions")
        wrong_method = httpx.get(service.url + "/generate")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert (wrong_method.status_code, wrong_method.json()["error"]["code"]) == (405, "method_not_allowed")
    assert wrong_method.headers["Allow"] == "POST"


# ------------------------------------------------------------------------------------------------ ids, key, health


def test_a_request_without_an_id_is_given_one_and_a_header_counts_as_one() -> None:
    with running_service(ScriptedBackend(["x"])) as service:
        made = post(service, {"prompt": "p"})
        given = post(service, {"prompt": "p"}, headers={"X-Request-Id": "from-header"})
        bad = post(service, {"prompt": "p"}, headers={"X-Request-Id": "x" * 200})
        failed = httpx.get(service.url + "/nowhere", headers={"X-Request-Id": "lost"})
    assert made.json()["request_id"] == made.headers["X-Request-Id"] != ""
    assert given.json()["request_id"] == given.headers["X-Request-Id"] == "from-header"
    assert (bad.status_code, bad.json()["error"]["param"]) == (400, "X-Request-Id")
    assert failed.headers["X-Request-Id"] == "lost"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": b"Bearer \xe9\xff"},
    ],
)
def test_without_the_key_only_health_answers(headers: dict[str, Any]) -> None:
    backend = ScriptedBackend(["x"])
    with running_service(backend, ServiceSettings(api_key=Secret(KEY), stop_grace_secs=0)) as service:
        refused = [
            httpx.post(service.url + "/generate", json={"prompt": "p"}, headers=headers),
            httpx.post(service.url + "/generate/stream", json={"prompt": "p"}, headers=headers),
            httpx.get(service.url + "/models", headers=headers),
            httpx.get(service.url + "/metrics", headers=headers),
            httpx.get(service.url + "/nowhere", headers=headers),
        ]
        assert httpx.get(service.url + "/health", headers=headers).status_code == 200
    for response in refused:
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert response.json()["error"]["type"] == "authentication_error"
        assert KEY not in response.text
    assert backend.requests == []


def test_with_the_key_all_routes_answer() -> None:
    with running_service(ScriptedBackend(["x"]), ServiceSettings(api_key=Secret(KEY), stop_grace_secs=0)) as service:
        assert post(service, {"prompt": "p"}, headers=BEARER).status_code == 200
        assert post(service, {"prompt": "p"}, headers={"Authorization": f"bearer {KEY}"}).status_code == 200
        assert httpx.get(service.url + "/models", headers=BEARER).json() == ["a-model"]
        assert metric(service, "maze_tokens_generated_total", BEARER) == 2


class LostBackend(ScriptedBackend):
    def health(self, deadline: Deadline) -> Health:
        raise EngineUnavailableError(f"http://secret-host within {deadline.timeout_ms}")


def test_health_is_503_while_the_engine_loads_and_200_after() -> None:
    backend = LoadingBackend(["x"])
    with running_service(backend) as service:
        before = httpx.get(service.url + "/health")
        assert (before.status_code, before.json()["status"]) == (503, "loading")
        assert before.json()["error"]["retryable"] is True
        backend.ready = True
        wait_until(lambda: httpx.get(service.url + "/health").status_code == 200)
        assert httpx.get(service.url + "/health").json() == {
            "status": "ok",
            "model": "a-model",
            "backend": "scripted",
            "version": __version__,
        }


def test_the_engine_begins_to_load_before_anybody_asks() -> None:
    asked = threading.Event()

    class LazyBackend(ScriptedBackend):
        def health(self, deadline: Deadline) -> Health:
            asked.set()
            return super().health(deadline)

    with running_service(LazyBackend(["x"])):
        assert asked.wait(30)


def test_health_does_not_tell_strangers_where_the_engine_is() -> None:
    with running_service(LostBackend(["x"])) as service:
        response = httpx.get(service.url + "/health")
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    assert "secret-host" not in response.text


# ------------------------------------------------------------------------------------------------ limits


def test_a_body_over_the_limit_is_refused_by_its_length_or_by_counting() -> None:
    backend = ScriptedBackend(["x"])

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b" " * 100

    with running_service(backend, ServiceSettings(max_body_bytes=1000, stop_grace_secs=0)) as service:
        announced = post(service, {"prompt": "x" * 1000})
        assert (announced.status_code, announced.json()["error"]["code"]) == (413, "limit_exceeded")
        with socket.create_connection((service.host, service.port), timeout=30) as connection:
            connection.sendall(POST_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            connection.sendall(b"400\r\n" + b" " * 0x400 + b"\r\n")
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert (response.status, response.getheader("Connection")) == (413, "close")
    assert backend.requests == []


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    settings = ServiceSettings(client_timeout_secs=0.1, stop_grace_secs=0)
    with (
        running_service(ScriptedBackend(["x"]), settings) as service,
        socket.create_connection((service.host, service.port), timeout=30) as connection,
    ):
        connection.sendall(POST_HEAD + b'Content-Length: 10\r\n\r\n{"p')
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 408


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"], ids=["new", "kept alive"])
def test_a_header_that_does_not_end_is_not_waited_for(before: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientConnection, "patience_secs", 0.2)
    with (
        running_service(ScriptedBackend(["x"])) as service,
        socket.create_connection((service.host, service.port), timeout=30) as connection,
    ):
        if before:
            connection.sendall(before)
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert (response.status, response.read()[:1]) == (200, b"{")
        connection.sendall(b"GET /health HTTP/1.1\r\nX-Mo")
        assert connection.recv(65536) == b""


def test_a_generation_may_take_longer_than_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientConnection, "patience_secs", 0.05)
    pause = threading.Event()

    def wait(_: Request) -> None:
        pause.wait(0.3)

    with running_service(ScriptedBackend([wait, "x"])) as service:
        assert post(service, {"prompt": "x"}).json()["generated_text"] == "x"


def test_a_request_of_two_lengths_is_refused() -> None:
    body = b'{"prompt":"x"}'
    request = POST_HEAD + b"Content-Length: 14\r\nTransfer-Encoding: chunked\r\n\r\n"
    backend = ScriptedBackend(["x"])
    with (
        running_service(backend) as service,
        socket.create_connection((service.host, service.port), timeout=30) as connection,
    ):
        connection.sendall(request + b"e\r\n" + body + b"\r\n0\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, response.getheader("Connection")) == (400, "close")
    assert backend.requests == []


def test_answers_are_not_held_back_for_the_clients_acknowledgement() -> None:
    with running_service(ScriptedBackend(["x"])) as service, httpx.Client() as client:
        assert client.get(service.url + "/health").status_code == 200
        (connection,) = service.server.server_state.connections
        served: socket.socket = connection.transport.get_extra_info("socket")
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


# ------------------------------------------------------------------------------------------------ with the real model


def test_the_real_model_answers_under_a_schema(embedded_backend: EmbeddedEngine) -> None:
    body = {"prompt": "Give n.", "constraints": {"json_schema": SCHEMA}, "max_tokens": 40, "seed": 1}
    with running_service(embedded_backend, ServiceSettings(max_concurrent=2, stop_grace_secs=0)) as service:
        wait_until(lambda: httpx.get(service.url + "/health", timeout=30).status_code == 200)
        answer = post(service, body).json()
        streamed = events(post(service, body, "/generate/stream").text)
    assert answer["constraint_satisfied"] is True
    assert isinstance(json.loads(answer["generated_text"])["n"], int)
    assert "".join(event["token"] for event in streamed) == streamed[-1]["generated_text"]
    assert streamed[-1]["constraint_satisfied"] is True


def test_what_is_ignored_or_gives_way_in_a_conflict_is_told_in_the_answer() -> None:
    constraints = {"json_schema": SCHEMA, "regex_patterns": ["^a+$"]}
    with running_service(ScriptedBackend(['{"n":1}'])) as service:
        ignored = post(
            service, {"prompt": "p", "constraints": constraints, "ignore": ["constraints.regex_patterns[0]"]}
        )
        reported = post(service, {"prompt": "p", "constraints": constraints, "on_conflict": "report"})
        refused = post(service, {"prompt": "p", "constraints": constraints})
    answer = ignored.json()
    assert (answer["constraint_satisfied"], answer["status"]) == (True, "MAZE_OK")
    assert answer["constraint_warnings"][0].startswith("constraints.regex_patterns[0]: left out")
    answer = reported.json()
    assert (answer["constraint_satisfied"], answer["status"]) == (False, "MAZE_CONTRADICTION")
    assert answer["generated_text"] == '{"n":1}'
    assert "contradict each other" in answer["constraint_warnings"][0]
    assert "constraints.regex_patterns[0] was left out" in answer["constraint_error"]
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "contradiction"
