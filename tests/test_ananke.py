"""The services that Ananke deploys, as clients: what is sent to each, how it is recognised, and what it is not trusted.

The stand-ins answer as those services do (rand/ananke, March 2026), or as no service should.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from fault_server import DONE, Exchange, FaultServer, Play, answer, event, stream
from http_calls import KEY, LIMITS, backend_for, generate
from http_calls import ask as ask_for

from maze import ConstraintIR, Intent, MazeConfig, Orchestrator
from maze.backends.base import Deadline, Prompt, Request
from maze.backends.http.proof import PROOF_TEXT
from maze.compiled import EngineGrammar, TokenMask
from maze.errors import BadResponseError, ConfigurationError, MazeError, Status, UnsupportedConstraintError
from maze.options import GenerationOptions, Message, Role
from maze.outcome import Handling
from maze.result import GenerationResult

pytestmark = pytest.mark.usefixtures("backends_are_closed")

GRAMMAR = EngineGrammar('start: "yes" | "no"\n')
SCHEMA = '{"enum": ["yes", "no"]}'

Service = Callable[[dict[str, Any]], Any]
"""What it answers to the body of a request; an int is a status."""


def ask(**changes: Any) -> Request:  # noqa: ANN401 - fields of Request
    return ask_for(**{"prompt": Prompt("Say yes."), "grammar": GRAMMAR, **changes})


def serving(paths: dict[str, Service], **pages: Any) -> Play:  # noqa: ANN401 - any JSON
    """A server of functions that take a POST; a GET there is a 405, as of FastAPI. `pages` are for a GET."""

    def play(exchange: Exchange) -> None:
        received = exchange.received
        if received.method == "GET" and (page := pages.get(received.path.strip("/").replace("/", "_"))) is not None:
            answer(200, page)(exchange)
        elif received.path not in paths:
            answer(404, {"detail": "Not Found"})(exchange)
        elif received.method == "GET":
            answer(405, {"detail": "Method Not Allowed"})(exchange)
        else:
            said = paths[received.path](received.json())
            (said if callable(said) else answer(200, said))(exchange)

    return play


def obeying(text: Callable[[Any], str]) -> Callable[[Any], str]:
    """The text of a service that obeys: that of the proof where it is asked for that."""
    return lambda grammar: PROOF_TEXT if grammar and f'"{PROOF_TEXT}"' in grammar else text(grammar)


def modal(text: Callable[[Any], str], **fields: Any) -> Service:  # noqa: ANN401 - any JSON
    def answered(body: dict[str, Any]) -> dict[str, Any]:
        said = text((body.get("constraints") or {}).get("grammar"))
        return {
            "generated_text": said,
            "tokens_generated": 1,
            "generation_time_ms": 12,
            "constraint_satisfied": True,
            "model_name": "Qwen/Qwen2.5-Coder-32B-Instruct",
            "finish_reason": "stop",
            "metadata": {"prompt_tokens": 7, "constraint_type": "grammar"},
            **fields,
        }

    return answered


def chat(text: Callable[[Any], str], **fields: Any) -> Service:  # noqa: ANN401 - any JSON
    def answered(body: dict[str, Any]) -> dict[str, Any]:
        said = text((body.get("constraint_spec") or {}).get("ebnf"))
        message = {"role": "assistant", "content": said}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 0, "completion_tokens": 1, "total_tokens": 1},
            "constraint_spec_applied": True,
            **fields,
        }

    return answered


def evaluating(text: Callable[[Any], str], **metadata: Any) -> Service:  # noqa: ANN401 - any JSON
    def answered(body: dict[str, Any]) -> dict[str, Any]:
        said = text((body.get("constraints") or {}).get("llguidance", {}).get("grammar"))
        told = {"tokens_generated": 1, "generation_time_ms": 5, "model": "m", "constrained": True}
        return {"code": said, "metadata": {**told, **metadata}}

    return answered


def sglang(text: Callable[[Any], str]) -> Service:
    def answered(body: dict[str, Any]) -> Play:
        said = text((body.get("constraint_spec") or {}).get("ebnf"))
        delta = {"model": "m", "choices": [{"index": 0, "delta": {"content": said}, "finish_reason": None}]}
        end = {"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "matched_stop": None}]}
        usage = {"model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
        return stream(event(delta), event(end), event(usage), DONE)

    return answered


HEALTH = {"status": "healthy", "model": "m", "backend": "vLLM 0.11.0 + llguidance", "gpu": "A100-80GB"}
SGLANG_MODELS = {"object": "list", "data": [{"id": "m", "owned_by": "sglang"}]}


def server_of(dialect: str, text: Callable[[Any], str], **fields: Any) -> Play:  # noqa: ANN401 - any JSON
    """A service of that dialect."""
    match dialect:
        case "ananke-modal":
            return serving({"/": modal(text, **fields)})
        case "ananke-chat":
            return serving({"/": chat(text, **fields)})
        case "ananke-eval":
            both = {f"/generate/{kind}": evaluating(text, **fields) for kind in ("constrained", "unconstrained")}
            return serving(both, health=HEALTH)
        case _:
            info = {"version": "0.5.9", "grammar_backend": "ananke"}
            functions: dict[str, Service] = {"/v1/chat/completions": sglang(text)}
            return serving(functions, v1_models=SGLANG_MODELS, server_info=info, health={"status": "ok"})


def test_sglang_may_answer_whole_and_list_nothing() -> None:
    """As a program that answers one path alone."""
    for dialect in ("ananke-sglang", "ananke-chat"):
        with FaultServer(serving({"/v1/chat/completions": chat(obeying(lambda _: "yes"))})) as server:
            backend = backend_for(server.url, dialect=dialect, is_proven=False)
            completion, _ = generate(backend, ask())
        assert (completion.text, completion.unenforced, completion.finish_reason) == ("yes", "", "stop")


def test_a_server_that_knows_no_get_is_asked_what_it_is_by_a_post() -> None:
    """As programs on Python's http.server."""
    for function, dialect in ((chat, "ananke-chat"), (modal, "ananke-modal")):
        working = serving({"/": function(obeying(lambda _: "yes"))})

        def play(exchange: Exchange, working: Play = working) -> None:
            is_get = exchange.received.method == "GET"
            (answer(501, b"Unsupported method ('GET')", content_type="text/html") if is_get else working)(exchange)

        with FaultServer(play) as server:
            completion, _ = generate(backend_for(server.url, dialect=None, is_proven=False), ask())
        assert completion.text == "yes"
        assert completion.engine["dialect"] == dialect


DIALECTS = ("ananke-modal", "ananke-chat", "ananke-eval", "ananke-sglang")


def posted(server: FaultServer) -> list[Any]:
    return [request.json() for request in server.requests if request.method == "POST"]


# ------------------------------------------------------------------------------------------------ recognised, proven


@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_service_is_recognised_or_named_and_enforces_once_it_has_shown_that(dialect: str, is_named: bool) -> None:
    with FaultServer(server_of(dialect, obeying(lambda _: "yes"))) as server:
        backend = backend_for(server.url, dialect=dialect if is_named else None, is_proven=False)
        completions = [generate(backend, ask())[0] for _ in range(2)]
        health = backend.health(Deadline(10_000))
    assert [completion.text for completion in completions] == ["yes", "yes"]
    assert [completion.unenforced for completion in completions] == ["", ""]
    assert completions[0].engine["dialect"] == dialect
    assert completions[0].finish_reason == "stop"
    assert completions[0].tokens_generated == 1
    assert completions[0].prompt_tokens in (None, 7, 3)
    assert health.ready
    assert "only checked" not in health.endpoints[0]["detail"]
    asked = [body for body in posted(server) if PROOF_TEXT in str(body)]
    assert len(asked) == 1, "a service shows once what it can"
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in server.requests)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_service_that_ignores_grammars_is_used_and_only_checked(dialect: str) -> None:
    texts = iter(["maybe", "perhaps", "yes"])

    def ignoring(grammar: str | None) -> str:
        return "I do as I please" if grammar and PROOF_TEXT in grammar else next(texts)

    with FaultServer(server_of(dialect, ignoring)) as server:
        result = orchestrated(server, dialect)
        assert result.success, result.error
        assert result.code == "yes"
        assert len(result.metadata.attempts) == 3
    assert result.validation is not None
    (outcome,) = result.validation.outcomes
    assert outcome.handling is Handling.CHECKED
    assert "ignores grammars: it answered 'I do as I please'" in result.validation.warnings[-1]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_text_that_breaks_a_constraint_is_ever_a_success(dialect: str) -> None:
    for text in (obeying(lambda _: "maybe"), lambda _: "maybe"):
        with FaultServer(server_of(dialect, text)) as server:
            result = orchestrated(server, dialect)
        assert not result.success
        assert result.status in (Status.CONSTRAINT_VIOLATED, Status.BAD_RESPONSE)
        assert result.code == "maybe"


def orchestrated(server: FaultServer, dialect: str, **options: Any) -> GenerationResult:  # noqa: ANN401
    backend = backend_for(server.url, dialect=dialect, is_proven=False)
    maze = Orchestrator(MazeConfig(), backend=backend)
    grammar = ConstraintIR(grammar='start: "yes" | "no"')
    return maze.generate(Intent("Say yes."), (grammar,), GenerationOptions(**options))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_service_was_not_seen_to_enforce_is_described_in_the_prompt(dialect: str) -> None:
    demand = "Answer yes or no, and nothing else."
    for text, is_said in ((obeying(lambda _: "yes"), False), (lambda _: "yes", True)):
        with FaultServer(server_of(dialect, text)) as server:
            backend = backend_for(server.url, dialect=dialect, is_proven=False)
            generate(backend, ask(prompt=Prompt("Say yes.", demands=(demand,), demands_if_unenforced=True)))
        assert (demand in str(posted(server)[-1])) is is_said


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_token_mask_that_could_not_be_checked_is_refused(dialect: str) -> None:
    mask = TokenMask(allowed=frozenset({1, 2}), forbidden=frozenset())
    with (
        FaultServer(server_of(dialect, lambda _: "yes")) as server,
        pytest.raises(UnsupportedConstraintError, match=f"token_masks cannot be checked .* speaks {dialect}"),
    ):
        generate(backend_for(server.url, dialect=dialect, is_proven=False), ask(grammar=None, token_mask=mask))


@pytest.mark.parametrize(
    ("address", "dialect"),
    [
        ("https://me--ananke-inference-generate-api.modal.run", "ananke-modal"),
        ("https://me--v1-chat-completions.modal.run", "ananke-chat"),
        ("https://example.com/ananke/generate_api", "ananke-modal"),
        ("https://example.com/generate", None),
        ("https://generate-api.modal.run.example.com", None),
    ],
)
def test_the_addresses_that_ananke_documents_tell_what_is_there(address: str, dialect: str | None) -> None:
    from maze.backends.http.address import read_address

    assert read_address(address).dialect == dialect


def test_a_function_below_its_url_is_found_and_asked_there() -> None:
    for dialect, below in ((None, ""), ("ananke-modal", ""), (None, "/generate_api")):
        with FaultServer(serving({"/generate_api": modal(obeying(lambda _: "no"))})) as server:
            backend = backend_for(server.url + below, dialect=dialect, is_proven=False)
            assert generate(backend, ask())[0].text == "no"
            assert backend.health(Deadline(10_000)).ready
    with FaultServer(serving({"/v1/chat/completions": chat(obeying(lambda _: "no"))})) as server:
        backend = backend_for(server.url + "/v1/chat/completions", dialect="ananke-chat", is_proven=False)
        assert generate(backend, ask())[0].text == "no"


def test_a_maze_service_and_a_plain_sglang_are_not_taken_for_anankes() -> None:
    with FaultServer(serving({}, health={"status": "ok"})) as server:
        assert backend_for(server.url, dialect=None).health(Deadline(10_000)).endpoints[0]["dialect"] == "maze"
    info = {"version": "0.5.9", "grammar_backend": "llguidance"}
    with FaultServer(serving({}, v1_models=SGLANG_MODELS, server_info=info, ready="ok")) as server:
        assert backend_for(server.url, dialect=None).health(Deadline(10_000)).endpoints[0]["dialect"] == "sglang"
    with (
        FaultServer(serving({"/": lambda _: {"hello": "world"}})) as server,
        pytest.raises(ConfigurationError, match="is no inference service that libmaze knows"),
    ):
        generate(backend_for(server.url, dialect=None), ask())


@pytest.mark.parametrize("dialect", ["ananke-modal", "ananke-chat"])
def test_a_url_without_a_function_is_not_ready(dialect: str) -> None:
    with FaultServer(serving({})) as server:
        report = backend_for(server.url, dialect=dialect).health(Deadline(10_000)).endpoints[0]
    assert not report["ready"]
    assert "has no function that takes a POST; check the URL" in report["detail"]


# ------------------------------------------------------------------------------------------------ what is sent


def sent(dialect: str, **changes: Any) -> Any:  # noqa: ANN401 - fields of Request; any JSON
    with FaultServer(server_of(dialect, obeying(lambda _: "yes"))) as server:
        generate(backend_for(server.url, dialect=dialect), ask(**changes))
        return posted(server)[-1]


TURNS = (Message(Role.USER, "Hi."), Message(Role.ASSISTANT, "Hello."))
TALK = Prompt("Say yes.", system="Be brief.", messages=TURNS)


def test_the_modal_function_gets_the_fields_that_it_takes() -> None:
    body = sent("ananke-modal", stop=("x",), temperature=0.5, top_p=0.9, top_k=3, model="m")
    grammar = body.pop("constraints")["grammar"]
    assert grammar.startswith("%llguidance {")
    assert '"yes" | "no"' in grammar
    assert body.pop("constraint_ir") == {
        "name": "a-request",
        "priority": 1,
        "json_schema": None,
        "grammar": grammar,
        "regex_patterns": [],
        "token_masks": None,
    }
    assert body == {
        "prompt": "Say yes.",
        "max_tokens": 16,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "stop_sequences": ["x"],
        "model": "m",
    }
    body = sent("ananke-modal", grammar=None, prompt=TALK, continue_from="ye")
    assert body["prompt"] == "Be brief.\n\nUser: Hi.\n\nAssistant: Hello.\n\nUser: Say yes.\n\nAssistant: ye"
    assert body["constraint_ir"] is None
    assert "constraints" not in body


def test_the_chat_function_gets_a_conversation_and_a_constraint_spec() -> None:
    body = sent("ananke-chat", language="zig")
    spec = body.pop("constraint_spec")
    assert '"yes" | "no"' in spec.pop("ebnf")
    assert spec == {"language": "zig", "json_schema": None}
    messages = [{"role": "user", "content": "Say yes."}]
    assert body == {"model": "default", "messages": messages, "max_tokens": 16, "temperature": 0.0}
    body = sent("ananke-chat", grammar=None, prompt=TALK, continue_from="ye")
    assert "constraint_spec" not in body
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    asked = body["messages"][1]["content"]
    assert asked.startswith(
        "User: Hi.\n\nAssistant: Hello.\n\nUser: Say yes.\n\nAssistant: ye\n\nUser: Your answer was"
    )


def test_sglang_with_anankes_backend_gets_the_grammar_in_a_constraint_spec_and_a_stream() -> None:
    body = sent("ananke-sglang", language="python")
    assert "ebnf" not in body
    assert body["constraint_spec"]["language"] == "python"
    assert '"yes" | "no"' in body["constraint_spec"]["ebnf"]
    assert body["stream"] is True
    assert body["model"] == "default"
    assert "constraint_spec" not in sent("ananke-sglang", grammar=None)


def test_the_eval_service_gets_a_schema_where_there_is_one_and_no_sampling() -> None:
    body = sent("ananke-eval", json_schemas=(SCHEMA,))
    asked = body["constraints"].pop("llguidance")
    assert '"yes" | "no"' in asked.pop("grammar")
    assert asked == {"json_schema": {"enum": ["yes", "no"]}}
    assert body == {"prompt": "Say yes.", "constraints": {"constraint_type": "json_schema"}}
    assert sent("ananke-eval", grammar=None) == {"prompt": "Say yes.", "few_shot_examples": []}
    with pytest.raises(UnsupportedConstraintError, match="completes none as it stands"):
        sent("ananke-eval", prompt="Say yes.")


def test_what_a_service_has_no_field_for_is_told_in_the_provenance() -> None:
    with FaultServer(server_of("ananke-eval", obeying(lambda _: "yes"))) as server:
        completion, _ = generate(backend_for(server.url, dialect="ananke-eval"), ask())
    assert completion.engine["left_out"] == "max_tokens, temperature, top_p, top_k, seed, stop"
    assert completion.engine["metadata"]["constrained"] is True


# ------------------------------------------------------------------------------------------------ hostile answers

FAILED = {"generated_text": "", "finish_reason": "error", "tokens_generated": 0, "metadata": {"error": "CUDA: no"}}


@pytest.mark.parametrize(
    ("dialect", "said", "complaint"),
    [
        ("ananke-modal", FAILED, r"the service says that it failed: .CUDA: no."),
        ("ananke-modal", {"generated_text": None}, "its field 'generated_text' is missing, not a text"),
        ("ananke-modal", {"generated_text": "yes", "tokens_generated": -1}, "is a number, not a count"),
        ("ananke-modal", {"generated_text": "yes", "tokens_generated": 99}, "the service ignores the limit"),
        ("ananke-modal", {"generated_text": "yes", "finish_reason": "abort"}, "its finish reason is .abort."),
        ("ananke-modal", {"generated_text": "yes", "model_name": 3}, "its field 'model_name' is a number"),
        ("ananke-modal", {"generated_text": "", "finish_reason": "stop"}, "it is an empty text"),
        ("ananke-modal", {"error": "who are you"}, "who are you"),
        ("ananke-modal", [], "is JSON, but not an object"),
        ("ananke-eval", {"code": "// Error: boom", "metadata": {"error": "boom"}}, "it failed: .boom."),
        ("ananke-eval", {"code": "yes"}, "its field 'metadata' is not an object"),
        ("ananke-eval", {"code": 7, "metadata": {}}, "its field 'code' is a number"),
        ("ananke-eval", {"code": "yes", "metadata": {"tokens_generated": 17}}, "the service ignores the limit"),
        ("ananke-chat", {"choices": []}, "no array 'choices' with an object"),
        ("ananke-chat", {"choices": [{"message": {"content": "yes"}, "finish_reason": "error"}]}, "reason .error."),
        ("ananke-chat", {"choices": [{"message": {"content": "yes" * 6}}]}, "without saying that the text is finished"),
        ("ananke-chat", {"choices": [{"message": "yes", "finish_reason": "stop"}]}, "'message' is not an object"),
    ],
)
def test_an_answer_that_is_none_is_an_error_of_the_service(dialect: str, said: object, complaint: str) -> None:
    paths: dict[str, Service] = {path: lambda _: said for path in ("/", "/generate/constrained")}
    with (
        FaultServer(serving(paths)) as server,
        pytest.raises(MazeError, match=complaint) as caught,
    ):
        generate(backend_for(server.url, dialect=dialect), ask())
    assert caught.value.status in (Status.BAD_RESPONSE, Status.ENGINE_UNAVAILABLE)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "play",
    [
        answer(200, b"<html>hi</html>", content_type="text/html"),
        answer(200, b'{"generated_text": "yes"', content_type="application/json"),
        answer(200, b"\xff\xfe", content_type="application/json"),
        stream(event({"token": "yes", "done": False}), DONE),
        answer(200, {"generated_text": "y" * 2**21, "tokens_generated": 1}),
    ],
)
def test_what_is_no_answer_of_a_function_is_told(play: Play) -> None:
    with FaultServer(play) as server, pytest.raises(BadResponseError):
        generate(backend_for(server.url, dialect="ananke-modal"), ask())


def test_a_failure_while_a_service_is_to_show_what_it_can_is_no_verdict_on_it() -> None:
    """It is loading, and asked again."""
    working = server_of("ananke-modal", obeying(lambda _: "yes"))
    with FaultServer(answer(503, {"detail": "loading"}), working) as server:
        completion, _ = generate(backend_for(server.url, dialect="ananke-modal", is_proven=False), ask())
    assert completion.unenforced == ""
    with FaultServer(answer(503, {"detail": "loading"})) as server, pytest.raises(MazeError, match="not ready"):
        generate(backend_for(server.url, dialect="ananke-modal", is_proven=False), ask())


def test_a_service_that_fails_under_every_grammar_is_only_checked_and_says_so_when_asked_for_its_health() -> None:
    def failing(body: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        return FAILED if PROOF_TEXT in str(body.get("constraints")) else modal(lambda _: "yes")(body)

    with FaultServer(serving({"/": failing})) as server:
        backend = backend_for(server.url, dialect="ananke-modal", is_proven=False, limits=LIMITS)
        completion, _ = generate(backend, ask())
        report = backend.health(Deadline(10_000)).endpoints[0]
    assert "cannot generate under a grammar" in completion.unenforced
    assert report["ready"]
    assert "constraints are only checked: the service cannot generate under a grammar" in report["detail"]


def test_a_service_that_says_nothing_ends_with_the_deadline() -> None:
    with FaultServer(serving({"/": lambda _: lambda exchange: exchange.stall()})) as server:
        started = time.monotonic()
        with pytest.raises(MazeError) as caught:
            generate(backend_for(server.url, dialect="ananke-modal", is_proven=False), ask(timeout_ms=400))
    assert caught.value.status is Status.TIMED_OUT
    assert time.monotonic() - started < 5
