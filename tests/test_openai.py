"""Services that take no grammar: OpenAI's protocol and Anthropic's, recorded, and from the real llama.cpp server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_server import DONE, Answer, Exchange, FaultServer, Play, answer, event, stream
from http_calls import GRAMMAR, KEY, backend_for, generate
from http_calls import ask as ask_for
from llama_server import API_KEY, llama_server

from maze import ConstraintIR, Intent, MazeConfig, Orchestrator
from maze.backends.base import Completion, Deadline, Prompt, Request
from maze.backends.dialects.strict_schema import ANTHROPIC_RULES, OPENAI_RULES, strict_schema
from maze.compiled import TokenMask
from maze.config import config_from_environment
from maze.errors import (
    BadResponseError,
    ConfigurationError,
    EngineUnavailableError,
    MazeError,
    RequestRejectedError,
    UnsupportedConstraintError,
)
from maze.options import GenerationOptions, Message, PromptForm, Role
from maze.outcome import Handling
from maze.result import GenerationResult, TokenLogprob
from maze.secret import Secret

pytestmark = pytest.mark.usefixtures("backends_are_closed")

ANSWERS = Path(__file__).parent / "data" / "answers"
SCHEMA = (
    '{"type":"object","properties":{"name":{"type":"string","minLength":1}},"required":["name"],'
    '"additionalProperties":false}'
)
STRICT = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
ONE_MODEL = answer(200, {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "someone"}]})


def ask(**changes: Any) -> Request:  # noqa: ANN401 - fields of Request
    return ask_for(**{"prompt": Prompt("Say hello."), **changes})


def recorded(name: str) -> Answer:
    content = (ANSWERS / name).read_bytes()
    if name.endswith(".sse"):
        return stream(content)
    return answer(422 if "422" in name else 400, json.loads(content))


def chunk(content: str, finish_reason: str | None = None) -> bytes:
    return event(
        {"model": "m", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}]}
    )


def says(*contents: str) -> Answer:
    return stream(*map(chunk, contents), chunk("", "stop"), DONE)


def service(*answers: Play, models: Play = ONE_MODEL) -> Play:
    """Answers generations one after the other, the last again and again."""
    left = list(answers)

    def play(exchange: Exchange) -> None:
        if exchange.received.method == "GET":
            models(exchange)
        else:
            (left.pop(0) if len(left) > 1 else left[0])(exchange)

    return play


def posted(server: FaultServer) -> list[Any]:
    return [request.json() for request in server.requests if request.method == "POST"]


def asked(play: Play, dialect: str | None = "openai", **changes: Any) -> tuple[Completion, list[Any]]:  # noqa: ANN401
    with FaultServer(play) as server:
        completion = generate(backend_for(server.url, dialect=dialect), ask(**changes))[0]
        return completion, posted(server)


def delta(fields: str, finish_reason: str = "null") -> bytes:
    """An event as a service spells it, whose escapes may be halves of characters."""
    return b'data: {"model": "m", "choices": [{"delta": {%s}, "finish_reason": %s}]}\n\n' % (
        fields.encode(),
        finish_reason.encode(),
    )


# ------------------------------------------------------------------------------------------------ what is sent


def test_a_service_that_says_nothing_of_itself_is_asked_as_openai_is() -> None:
    prompt = Prompt("Name one.", system="Be kind.", messages=(Message(Role.USER, "a"), Message(Role.ASSISTANT, "b")))
    completion, (sent,) = asked(
        service(recorded("openai_chat.sse")),
        None,
        prompt=prompt,
        json_schemas=(SCHEMA,),
        top_k=5,
        stop=("x",) * 6,
        max_tokens=32,
    )
    assert sent == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "Name one."},
        ],
        "max_tokens": 32,
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": 5,
        "seed": 1,
        "stop": ["x"] * 4,
        "stream": True,
        "stream_options": {"include_usage": True},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": STRICT},
        },
    }
    assert completion.model == "gpt-5.1-2025-11-13"
    assert completion.engine["response_format"] == "json_schema"


def test_recorded_answers_are_read_in_full() -> None:
    completion, _ = asked(service(recorded("openai_chat.sse")), max_tokens=32, top_logprobs=2)
    assert completion.text == '{"name":"Ada"}'
    assert (completion.prompt_tokens, completion.tokens_generated, completion.reasoning_tokens) == (31, 22, 12)
    assert completion.logprobs == (
        TokenLogprob('{"name":', -0.1, (('{"name":', -0.1), ("{", -2.5))),
        TokenLogprob('"Ada"}', -0.2),
    )
    completion, _ = asked(service(recorded("azure_chat.sse")))
    assert (completion.text, completion.model) == ("hey", "gpt-4.1-2025-04-14")
    completion, _ = asked(service(recorded("openrouter_chat.sse")))
    assert (completion.text, completion.reasoning, completion.reasoning_tokens) == ("hey", "They greet.", 5)


def test_a_prompt_is_completed_as_it_stands_where_that_is_wanted() -> None:
    last = event({"choices": [{"index": 0, "finish_reason": "stop", "text": None}]})
    logprobs = {"tokens": ["hey"], "token_logprobs": [-0.5], "top_logprobs": [{"hi": -0.9, "hey": -0.5}]}
    play = service(stream(event({"choices": [{"index": 0, "text": "hey", "logprobs": logprobs}]}), last, DONE))
    prompt = Prompt("Once", form=PromptForm.RAW)
    with FaultServer(play) as server:
        request = ask(prompt=prompt, continue_from=" upon", json_schemas=(SCHEMA,), top_logprobs=2)
        completion = generate(backend_for(server.url, dialect="openai"), request)[0]
    assert server.requests[-1].path == "/v1/completions"
    assert posted(server)[0]["prompt"] == "Once upon"
    assert "response_format" not in posted(server)[0]
    assert completion.logprobs == (TokenLogprob("hey", -0.5, (("hey", -0.5), ("hi", -0.9))),)


@pytest.mark.parametrize(
    "logprobs",
    [
        {"tokens": 5},
        {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": 5},
        {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"a": None, "b": -1}]},
        {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"a": "x"}]},
        {"tokens": ["a"], "token_logprobs": [5.5]},
        {"tokens": "ab", "token_logprobs": [-1, -2]},
        {"content": [{"token": "a", "logprob": 5.5}]},
        {"content": [{"token": "a", "logprob": -1, "top_logprobs": [{"token": "a", "logprob": True}]}]},
    ],
)
def test_log_probabilities_that_are_none_are_a_wrong_answer_and_no_crash(logprobs: object) -> None:
    first = event({"choices": [{"index": 0, "text": "a", "logprobs": logprobs}]})
    play = service(stream(first, event({"choices": [{"index": 0, "finish_reason": "stop", "text": ""}]}), DONE))
    with FaultServer(play) as server, pytest.raises(BadResponseError, match="its 'logprobs'"):
        generate(
            backend_for(server.url, dialect="openai"), ask(prompt=Prompt("Once", form=PromptForm.RAW), top_logprobs=2)
        )


def test_what_only_goes_on_is_asked_for_in_words() -> None:
    completion, (sent,) = asked(service(says("b")), continue_from="a", json_schemas=(SCHEMA,))
    assert completion.text == "b"
    assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "user"]
    assert sent["messages"][1]["content"] == "a"
    assert "response_format" not in sent


BEGUN = '{"name": "A'


@pytest.mark.parametrize(
    ("contents", "code"),
    [
        ((BEGUN, 'da"}'), BEGUN + 'da"}'),
        (("\n", BEGUN[:3], BEGUN[3:] + 'da"}'), BEGUN + 'da"}'),
        (('da"}',), BEGUN + 'da"}'),
        ((BEGUN[:3], '"}'), BEGUN + BEGUN[:3] + '"}'),
        ((BEGUN,), BEGUN),
        ((BEGUN[:9],), BEGUN + BEGUN[:9]),
    ],
)
def test_a_beginning_that_is_written_once_more_is_not_doubled(contents: tuple[str, ...], code: str) -> None:
    result, _ = result_of(service(says(*contents)), continue_from=BEGUN)
    assert (result.success, result.code) == (True, code)
    assert result.provenance is not None
    assert ("continue_from" in result.provenance.engine) == "".join(contents).lstrip().startswith(BEGUN)
    whole = {"model": "m", "content": [{"type": "text", "text": "".join(contents)}], "stop_reason": "end_turn"}
    assert result_of(service(answer(200, whole)), continue_from=BEGUN, dialect="anthropic")[0].code == code


def test_of_a_short_beginning_none_is_known_to_be_written_once_more() -> None:
    assert result_of(service(says("[1]]")), continue_from="[")[0].code == "[[1]]"


def test_a_beginning_is_not_doubled_where_the_answer_ends_within_it() -> None:
    result, _ = result_of(service(stream(chunk(BEGUN[:9], "length"), DONE)), continue_from=BEGUN)
    assert (result.code, result.metadata.finish_reason) == (BEGUN, "length")
    result, _ = result_of(service(stream(chunk(BEGUN[:9]))), continue_from=BEGUN)
    assert (result.code, result.status.name) == (BEGUN, "BAD_RESPONSE")


def test_a_service_that_does_not_stream_is_read_all_the_same() -> None:
    whole = {"model": "m", "choices": [{"index": 0, "message": {"content": "hey"}, "finish_reason": "stop"}]}
    completion, _ = asked(service(answer(200, whole | {"usage": {"prompt_tokens": 1, "completion_tokens": 2}})))
    assert (completion.text, completion.tokens_generated) == ("hey", 2)
    assert asked(service(answer(200, whole)))[0].tokens_generated is None, "and not the 1 of its one piece"


def test_of_an_answer_that_counts_nothing_and_says_nothing_the_tokens_are_not_known() -> None:
    completion, _ = asked(service(stream(chunk("", "stop"), DONE)), stop=("q",))
    assert (completion.text, completion.tokens_generated) == ("", None)


@pytest.mark.parametrize("reason", ["stop", "eos", "eos_token", "end_turn", "STOP"])
def test_other_words_for_the_end_are_understood_and_done_may_be_left_out(reason: str) -> None:
    assert asked(service(stream(chunk("hey", reason))))[0].finish_reason == "stop"


@pytest.mark.parametrize("reason", ["length", "max_tokens", "model_length"])
def test_other_words_for_what_was_cut_off_are_understood(reason: str) -> None:
    assert asked(service(stream(chunk("hey", reason), DONE)))[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("play", "error", "says"),
    [
        (recorded("openai_refusal.sse"), RequestRejectedError, "the model refuses: .*cannot assist with that"),
        (stream(chunk("ab"), chunk("", "content_filter"), DONE), RequestRejectedError, "withholds the text"),
        (stream(chunk("", "tool_calls"), DONE), BadResponseError, "calls a tool, and was offered none"),
        (
            stream(
                event({"choices": [{"index": 0, "delta": {"content": "ab", "tool_calls": [{"index": 0}]}}]}),
                chunk("", "stop"),
                DONE,
            ),
            BadResponseError,
            "calls a tool",
        ),
        (stream(chunk("ab")), BadResponseError, "ended without its last event"),
        (stream(chunk("a" * 16), DONE), BadResponseError, "without saying that the text is finished"),
        (stream(chunk("ab", "error"), DONE), EngineUnavailableError, "it gave up, with the finish reason 'error'"),
        (stream(chunk("", "stop"), DONE), BadResponseError, "an empty text"),
        (recorded("openai_too_large.json"), RequestRejectedError, "max_tokens is too large"),
        (answer(404, {"error": {"message": "The model `m` does not exist"}}), RequestRejectedError, "does not exist"),
    ],
)
def test_what_is_no_finished_text_is_an_error(play: Play, error: type[MazeError], says: str) -> None:
    with FaultServer(service(play)) as server, pytest.raises(error, match=says):
        generate(backend_for(server.url, dialect="openai"), ask())
    assert len(posted(server)) == 1, "and none that another try could help"


def test_a_token_mask_is_refused_before_any_request() -> None:
    for dialect in ("openai", "anthropic"):
        with FaultServer(service(says("a"))) as server:
            with pytest.raises(UnsupportedConstraintError, match="neither enforced nor checked"):
                generate(backend_for(server.url, dialect=dialect), ask(token_mask=TokenMask(None, frozenset({1}))))
            assert posted(server) == []


# ------------------------------------------------------------------------------------------------ what is not taken


@pytest.mark.parametrize(
    ("refusal", "gone", "come"),
    [
        ("openai_max_tokens.json", {"max_tokens"}, {"max_completion_tokens": 16}),
        ("openai_temperature.json", {"temperature"}, {}),
        ("openai_top_k.json", {"top_k"}, {}),
        ("mistral_422.json", {"seed", "top_k"}, {}),
    ],
)
def test_a_field_that_is_refused_is_left_out_from_then_on_and_it_is_told(
    refusal: str, gone: set[str], come: dict[str, Any]
) -> None:
    with FaultServer(service(recorded(refusal), says("hey"))) as server:
        backend = backend_for(server.url, dialect="openai")
        completions = [generate(backend, ask(top_k=5))[0] for _ in range(2)]
        other = generate(backend, ask(top_k=5, model="another"))[0]
        first, second, third, fourth = posted(server)
    assert first.keys() - second.keys() == gone
    assert {name: second[name] for name in second.keys() - first.keys()} == come
    assert third.keys() == second.keys()
    assert fourth.keys() == first.keys(), "another model is another matter"
    assert [each.engine["left_out"] for each in completions] == [", ".join(sorted(gone))] * 2
    assert "left_out" not in other.engine


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ({"message": "Invalid parameter: top_k"}, "top_k"),
        ({"message": "stream_options is not a valid field"}, "stream_options"),
        ({"message": "property 'seed' is not defined in schema"}, "seed"),
        ({"message": "Unsupported value: 'stream' does not support true with this model."}, "stream"),
    ],
)
def test_a_field_is_left_out_however_it_is_refused(said: dict[str, str], gone: str) -> None:
    """With a status of its own, or in an answer of 200, or in a stream."""
    error = {"error": said | {"code": 400}}
    for refusal in (answer(400, error), answer(200, error), stream(event(error))):
        completion, sent = asked(service(refusal, says("hey")), json_schemas=(SCHEMA,), top_k=5)
        assert completion.text == "hey"
        assert sent[0].keys() - sent[1].keys() == {gone}


def test_a_request_that_is_refused_behind_a_text_is_not_sent_again() -> None:
    late = stream(chunk("he"), event({"error": {"message": "'top_k' is not supported", "code": 400}}))
    with FaultServer(service(late, says("hey"))) as server, pytest.raises(RequestRejectedError) as caught:
        generate(backend_for(server.url, dialect="openai"), ask(top_k=5))
    assert (caught.value.partial_text, len(posted(server))) == ("he", 1)


def test_a_format_that_no_provider_of_a_gateway_takes_is_left_out_and_the_chat_is_kept() -> None:
    none = {"error": {"message": "No endpoints found that can handle the requested parameters.", "code": 404}}
    with FaultServer(service(*[answer(404, none)] * 3, says('{"name":"a"}'))) as server:
        completion = generate(backend_for(server.url, dialect="openai"), ask(json_schemas=(SCHEMA,)))[0]
    assert {each.path for each in server.requests if each.method == "POST"} == {"/v1/chat/completions"}
    assert completion.engine["response_format"] == "none"
    with FaultServer(service(answer(404, {"error": "no provider left"}))) as server:
        with pytest.raises(RequestRejectedError, match="no provider left"):
            generate(backend_for(server.url, dialect="openai"), ask())
        assert len(posted(server)) == 1


@pytest.mark.parametrize("dialect", ["openai", "vllm"])
@pytest.mark.parametrize("said", ["System role not supported", "Developer instruction is not enabled for models/gemma"])
def test_a_model_without_a_system_turn_is_told_the_system_prompt_in_the_first_turn(said: str, dialect: str) -> None:
    refusal = answer(400, {"error": {"message": said}})
    earlier = (Message(Role.USER, "a"), Message(Role.ASSISTANT, "b"))
    with FaultServer(service(refusal, says("hey"))) as server:
        backend = backend_for(server.url, dialect=dialect)
        for messages in (earlier, (), earlier[1:]):
            prompt = Prompt("Say hey.", system="Be kind.", messages=messages)
            assert generate(backend, ask(prompt=prompt, grammar=None))[0].text == "hey"
        turns = [[turn["content"] for turn in each["messages"]] for each in posted(server)]
    assert turns[0] == ["Be kind.", "a", "b", "Say hey."]
    assert turns[1:] == [["Be kind.\n\na", "b", "Say hey."], ["Be kind.\n\nSay hey."], ["Be kind.", "b", "Say hey."]]


@pytest.mark.parametrize("dialect", ["openai", "vllm"])
@pytest.mark.parametrize(
    "said",
    [
        "Conversation roles must alternate user/assistant/user/assistant/...",
        'messages: roles must alternate between "user" and "assistant", but found multiple "user" roles in a row',
        "After the (optional) system message(s), user and assistant roles should be alternating.",
        "Please ensure that multiturn requests alternate between user and model.",
        "deepseek-reasoner does not support successive user or assistant messages (messages[1] and messages[2])",
        "Unexpected role 'user' after role 'user'",
    ],
)
def test_a_model_whose_turns_must_alternate_gets_neighbours_of_one_role_as_one(said: str, dialect: str) -> None:
    refusal = answer(400, {"error": {"message": said}})
    twice = (Message(Role.USER, "a"), Message(Role.USER, "b"), Message(Role.ASSISTANT, "c"), Message(Role.USER, "d"))
    with FaultServer(service(refusal, says("hey"))) as server:
        backend = backend_for(server.url, dialect=dialect)
        for messages, turns in ((twice, "merged"), (twice[1:3], None), ((), None)):
            prompt = Prompt("Say hey.", system="Be kind.", messages=messages)
            completion = generate(backend, ask(prompt=prompt, grammar=None))[0]
            assert (completion.text, completion.engine.get("turns")) == ("hey", turns)
            assert "system" not in completion.engine
        sent = [[turn["content"] for turn in each["messages"]] for each in posted(server)]
    assert sent[1:] == [
        ["Be kind.", "a\n\nb", "c", "d\n\nSay hey."],
        ["Be kind.", "b", "c", "Say hey."],
        ["Be kind.", "Say hey."],
    ]


def test_a_template_that_takes_the_system_turn_for_one_of_those_that_alternate_gets_none() -> None:
    def play(exchange: Exchange) -> None:
        if exchange.received.method == "GET":
            ONE_MODEL(exchange)
            return
        roles = [turn["role"] for turn in exchange.received.json()["messages"]]
        alternate = ["user", "assistant"] * len(roles)
        if roles == alternate[: len(roles)]:
            says("hey")(exchange)
        else:
            problem = "Conversation roles must alternate user/assistant/user/assistant/..."
            answer(500, {"error": {"message": problem}})(exchange)

    with FaultServer(play) as server:
        backend = backend_for(server.url, dialect="openai")
        prompt = Prompt("c", system="s", messages=(Message(Role.USER, "a"), Message(Role.USER, "b")))
        completion = generate(backend, ask(prompt=prompt))[0]
        assert (completion.engine["turns"], completion.engine["system"]) == ("merged", "in the first turn")
        assert [len(each["messages"]) for each in posted(server)] == [4, 2, 1]
        assert posted(server)[-1]["messages"] == [{"role": "user", "content": "s\n\na\n\nb\n\nc"}]
        opened = Prompt("b", messages=(Message(Role.ASSISTANT, "a"),))
        with pytest.raises(EngineUnavailableError, match="must alternate"):  # there is nothing to put otherwise
            generate(backend, ask(prompt=opened))


def test_formats_are_stepped_down_and_the_service_is_not_asked_again() -> None:
    refusal = recorded("openai_json_schema.json")
    with FaultServer(service(refusal, refusal, refusal, says('{"name":"a"}'))) as server:
        backend = backend_for(server.url, dialect="openai")
        for _ in range(2):
            completion = generate(backend, ask(json_schemas=(SCHEMA,)))[0]
        sent = [each.get("response_format") for each in posted(server)]
    assert [each and (each["type"], "schema" in each) for each in sent] == [
        ("json_schema", False),
        ("json_object", True),
        ("json_object", False),
        None,
        None,
    ]
    assert completion.engine["response_format"] == "none"
    assert "takes no grammar" in completion.unenforced


def test_a_schema_that_is_refused_says_nothing_of_others_but_three_say_all() -> None:
    refused = answer(400, {"error": {"message": "Invalid schema for response_format 'answer'", "type": "x"}})

    def play(exchange: Exchange) -> None:
        if exchange.received.method == "GET":
            ONE_MODEL(exchange)
        elif exchange.received.json().get("response_format", {}).get("type") == "json_schema":
            refused(exchange)
        else:
            says('{"name":"a"}')(exchange)

    with FaultServer(play) as server:
        backend = backend_for(server.url, dialect="openai")
        for number in range(5):
            generate(backend, ask(json_schemas=(SCHEMA.replace("name", f"name{number}"),)))
        kinds = [each["response_format"]["type"] for each in posted(server)]
    assert kinds == ["json_schema", "json_object"] * 3 + ["json_object"] * 2


def test_a_server_that_fails_at_a_format_with_500_is_asked_without() -> None:
    """As llama-cpp-python does."""
    failed = answer(
        500, {"error": {"message": "[{'loc': ('body', 'response_format', 'type'), 'input': 'json_schema'}]"}}
    )
    completion, sent = asked(service(failed, says('{"name":"a"}')), json_schemas=(SCHEMA,))
    assert completion.text == '{"name":"a"}'
    assert [each["response_format"]["type"] for each in sent] == ["json_schema", "json_object"]


# ------------------------------------------------------------------------------------------------ strict schemas


def an_object(**properties: Any) -> dict[str, Any]:  # noqa: ANN401 - schemas
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


TREE = {
    "$defs": {
        "node": an_object(value={"type": "string"}, children={"type": "array", "items": {"$ref": "#/$defs/node"}})
    },
    **an_object(root={"$ref": "#/$defs/node"}),
}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (an_object(a={"type": "string"}), an_object(a={"type": "string"})),
        # What a service does not know is left to the check.
        (
            an_object(a={"type": "string", "minLength": 2, "default": "x", "pattern": "^a+$", "format": "email"}),
            an_object(a={"type": "string", "pattern": "^a+$", "format": "email"}),
        ),
        (an_object(a={"type": "string", "pattern": r"^(?=a)\p{L}$"}), an_object(a={"type": "string"})),
        (an_object(a={"type": "string", "format": "iri"}), an_object(a={"type": "string"})),
        (an_object(a={"type": "integer", "minimum": 0}), an_object(a={"type": "integer", "minimum": 0})),
        (an_object(a={"const": 5}), an_object(a={"type": "number", "enum": [5]})),
        (an_object(a={"enum": ["x", None]}), an_object(a={"type": ["null", "string"], "enum": ["x", None]})),
        (
            an_object(a={"oneOf": [{"type": "string"}, {"type": "null"}]}),
            an_object(a={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ),
        # What is named is what may come, where nothing else is said.
        ({"properties": {"a": {"type": "string"}}, "required": ["a"]}, an_object(a={"type": "string"})),
        # Pydantic.
        (
            {
                "$defs": {"A": an_object(x={"type": "string"})},
                **an_object(a={"allOf": [{"$ref": "#/$defs/A"}], "title": "T"}),
            },
            {"$defs": {"A": an_object(x={"type": "string"})}, **an_object(a={"$ref": "#/$defs/A"})},
        ),
        (
            {"$ref": "#/definitions/A", "definitions": {"A": an_object(x={"type": "string"})}},
            {"definitions": {"A": an_object(x={"type": "string"})}, **an_object(x={"type": "string"})},
        ),
        (TREE, TREE),
        # What may be absent would have to be there, and the model would have to make it up.
        ({**an_object(a={"type": "string"}, b={"type": "string"}), "required": ["a"]}, None),
        ({**an_object(a={"type": "string"}), "additionalProperties": True}, None),
        ({"type": "object"}, None),
        ({"type": "array", "items": {"type": "string"}}, None),
        ({"anyOf": [an_object(a={"type": "string"})]}, None),
        (an_object(a={}), None),
        (an_object(a=True), None),
        (an_object(a={"type": "array"}), None),
        (an_object(a={"type": "string", "not": {"const": "x"}}), None),
        (an_object(a={"enum": [{"b": 1}]}), None),
        (an_object(a={"$ref": "https://elsewhere"}), None),
        (an_object(a={"$ref": "#/properties/a"}), None),
        (an_object(a={"enum": [f"value {number}" for number in range(1001)]}), None),
        (an_object(a={"enum": ["x" * 61 + str(number) for number in range(251)]}), None),
        (an_object(**{f"p{number}": {"type": "null"} for number in range(5001)}), None),
        (an_object(**{"x" * 120_001: {"type": "null"}}), None),
        (True, None),
    ],
)
def test_the_strict_form_of_a_schema(schema: Any, strict: Any) -> None:  # noqa: ANN401 - schemas
    assert strict_schema(schema, OPENAI_RULES) == strict


def test_a_schema_may_be_nested_so_deep_and_no_deeper() -> None:
    def nested(depth: int) -> dict[str, Any]:
        return an_object(a=nested(depth - 1) if depth > 1 else {"type": "null"})

    assert strict_schema(nested(10), OPENAI_RULES) == nested(10)
    assert strict_schema(nested(11), OPENAI_RULES) is None
    assert strict_schema(json.loads('{"items":' * 900 + "{}" + "}" * 900), OPENAI_RULES) is None


def test_anthropic_takes_less() -> None:
    assert strict_schema(an_object(a={"type": "integer", "minimum": 0}), ANTHROPIC_RULES) == an_object(
        a={"type": "integer"}
    )
    assert strict_schema(TREE, ANTHROPIC_RULES) is None


def test_a_schema_without_a_strict_form_is_sent_as_it_is() -> None:
    optional = '{"type":"object","properties":{"a":{"type":"string"}}}'
    _, (sent,) = asked(service(says("{}")), json_schemas=(optional,))
    assert sent["response_format"]["json_schema"] == {
        "name": "answer",
        "strict": False,
        "schema": json.loads(optional),
    }


# ------------------------------------------------------------------------------------------------ what is promised


def result_of(
    play: Play,
    *constraints: ConstraintIR,
    dialect: str = "openai",
    **options: Any,  # noqa: ANN401
) -> tuple[GenerationResult, list[Any]]:
    with FaultServer(play) as server:
        config = MazeConfig(endpoint=server.url, dialect=dialect, model="m", api_key=KEY)
        with Orchestrator(config) as maze:
            result = maze.generate(Intent("x"), constraints, GenerationOptions(**options))
        return result, posted(server)


def test_what_is_not_known_to_be_enforced_is_called_checked_with_the_reason() -> None:
    result, _ = result_of(service(says('{"name":', '"a"}')), ConstraintIR(json_schema=SCHEMA))
    assert result.success
    assert result.validation is not None
    assert [outcome.handling for outcome in result.validation.outcomes] == [Handling.CHECKED]
    assert "only checked, not enforced: the service takes no grammar: it was asked for json_schema" in "".join(
        result.validation.warnings
    )


def test_a_text_that_breaks_the_constraints_is_no_success_and_is_tried_again_with_another_seed() -> None:
    result, sent = result_of(
        service(says('{"name":""}'), says("Sure! {}"), says('{"name":"a"}')), ConstraintIR(json_schema=SCHEMA), seed=7
    )
    assert (result.success, result.code) == (True, '{"name":"a"}')
    assert [each["seed"] for each in sent] == [7, 8, 9]
    result, sent = result_of(service(says("no")), ConstraintIR(regex_patterns=("^(yes|maybe)$",)))
    assert (result.success, result.status.name, len(sent)) == (False, "CONSTRAINT_VIOLATED", 3)
    assert "only be checked" in str(result.error)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_an_empty_text_is_held_against_the_constraints_and_tried_again(dialect: str) -> None:
    """Also where an answer is the model's alone, as nothing is enforced; without constraints it is none."""
    empty = stream(chunk("", "stop"), DONE)
    if dialect == "anthropic":
        empty = answer(200, {"model": "m", "content": [], "stop_reason": "end_turn"})
    for constraint in (ConstraintIR(regex_patterns=("^yes$",)), ConstraintIR(json_schema=SCHEMA)):
        result, sent = result_of(service(empty), constraint, dialect=dialect)
        assert (result.status.name, result.code, len(sent)) == ("CONSTRAINT_VIOLATED", "", 3)
        assert all(turn["content"].strip() for each in sent for turn in each["messages"])
        assert "answer to this was empty" in sent[1]["messages"][-1]["content"]
    assert result_of(service(empty), ConstraintIR(regex_patterns=("^(yes)?$",)), dialect=dialect)[0].success
    result, sent = result_of(service(empty), ConstraintIR(), dialect=dialect)
    assert (result.status.name, len(sent)) == ("BAD_RESPONSE", 1)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_second_attempt_that_goes_on_from_a_text_is_not_told_to_give_the_whole(dialect: str) -> None:
    """Behind what was wrong stands the beginning of the answer, and that only what comes next is to be written."""
    wrong = says("no") if dialect == "openai" else stream((ANSWERS / "anthropic_message.sse").read_bytes())
    yes = ConstraintIR(regex_patterns=("^(yes|yet|maybe)$",))
    result, sent = result_of(service(wrong, wrong), yes, continue_from="ye", dialect=dialect, max_attempts=2)
    assert not result.success
    assert len(sent) == 2
    turns = [turn["content"] for turn in sent[1]["messages"] if turn["role"] == "user"]
    assert "This answer is wrong" in "".join(turns)
    assert not any("whole" in turn for turn in turns)
    assert "ye" in [turn["content"] for turn in sent[1]["messages"] if turn["role"] == "assistant"]
    assert result.validation is not None
    assert "not told" not in "".join(result.validation.warnings)


@pytest.mark.parametrize(
    "constraint",
    [
        ConstraintIR(grammar='start: "a" | "b"'),
        ConstraintIR(regex_patterns=("^[ab]$",)),
        ConstraintIR(json_schema='{"enum":["a","b"]}'),
    ],
)
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_every_kind_of_constraint_is_checked(constraint: ConstraintIR, dialect: str) -> None:
    text = "c" if constraint.json_schema is None else '"c"'
    message = stream((ANSWERS / "anthropic_message.sse").read_bytes())
    play = service(says(text) if dialect == "openai" else message)
    result, _ = result_of(play, constraint, dialect=dialect, max_attempts=1)
    assert (result.success, result.status.name) == (False, "CONSTRAINT_VIOLATED")


# ------------------------------------------------------------------------------------------------ thoughts in the text


def thinking(
    *contents: str,
    end: str = "stop",
    **options: Any,  # noqa: ANN401
) -> tuple[GenerationResult, list[str]]:
    """A call of a model that may think 20 tokens, and the pieces that were handed out."""
    play = service(stream(*map(chunk, contents), chunk("", end), DONE))
    given = {"reasoning_tokens": 20, "max_tokens": 50, "max_attempts": 1, **options}
    pieces: list[str] = []
    with FaultServer(play) as server:
        config = MazeConfig(endpoint=server.url, dialect="openai", model="m", api_key=KEY)
        with Orchestrator(config) as maze:
            constraints = given.pop("constraints", ())
            result = maze.generate(Intent("x"), constraints, GenerationOptions(**given), on_text=pieces.append)
    return result, pieces


YES = ConstraintIR(regex_patterns=("^yes( .*)?$",))


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>\nHm, so.\n</think>\n\nyes", "Hm, so.", "yes"),
        ("\n<think>Hm</think>yes", "Hm", "yes"),
        ("<think></think>\nyes", "", "yes"),
        ("Okay, the user wants <b>yes</b>.\n</think>\n\nyes", "Okay, the user wants <b>yes</b>.", "yes"),
        ("[THINK]Hm[/THINK]yes", "Hm", "yes"),
        ("</think>\nyes", "", "yes"),
        ("<thinking>a </think> b</thinking>\nyes", "a </think> b", "yes"),
        ("<think>a</think>yes </think> and <think>", "a", "yes </think> and <think>"),
        ("yes", None, "yes"),
        ("yes <think>no</think>", None, "yes <think>no</think>"),
    ],
)
def test_thoughts_in_the_text_are_told_apart_however_it_is_cut_into_pieces(
    text: str, thought: str | None, answer: str
) -> None:
    cuts = [[text], list(text), [text[:3], text[3:9], text[9:]], [text[:-4], text[-4:]]]
    for pieces in cuts:
        result, handed_out = thinking(*pieces, constraints=(YES,))
        assert (result.success, result.code, "".join(handed_out)) == (True, answer, answer)
        assert result.metadata.reasoning == thought


def test_thoughts_that_do_not_end_are_no_text() -> None:
    result, handed_out = thinking("<think>", "Hm, yes", end="length", constraints=(YES,))
    assert (result.status.name, result.code, handed_out, result.metadata.reasoning) == ("TRUNCATED", "", [], "Hm, yes")
    assert "thoughts of the model took all tokens" in str(result.error)
    result, handed_out = thinking("<think>", "Hm, yes", constraints=(YES,))
    assert (result.success, result.code, handed_out) == (False, "", [])


def test_a_text_that_begins_like_thoughts_is_left_as_it_is_where_none_were_asked_for() -> None:
    tagged = ConstraintIR(regex_patterns=("^<think>.*</think>yes$",))
    text = "<think>no</think>yes"
    result, pieces = thinking(text, constraints=(tagged,), reasoning_tokens=0)
    assert (result.success, result.code, pieces, result.metadata.reasoning) == (True, text, [text], None)
    result, _ = thinking(text, constraints=(YES,), reasoning_tokens=0)
    assert (result.status.name, result.code) == ("CONSTRAINT_VIOLATED", text)
    assert "it begins with <think>: set reasoning_tokens" in str(result.error)
    result, _ = thinking(text, reasoning_tokens=0)
    assert (result.success, result.code) == (True, text)
    assert result.validation is not None
    assert "it begins with <think>: set reasoning_tokens" in result.validation.warnings[-1]


def test_a_model_that_tells_its_thoughts_apart_is_streamed_from_then_on() -> None:
    def answers(*contents: str) -> Play:
        return stream(*map(chunk, contents), chunk("", "stop"), DONE)

    apart = stream(event({"choices": [{"delta": {"reasoning": "Hm."}}]}), chunk("<think>ye"), chunk("s", "stop"), DONE)
    plain = answers("y", "e", "s")
    with FaultServer(service(apart, plain)) as server:
        backend = backend_for(server.url, dialect="openai", model="m")
        asked_for = {"prompt": Prompt("x"), "reasoning_tokens": 9}
        completion, pieces = generate(backend, ask(**asked_for))
        assert (completion.reasoning, completion.text, pieces) == ("Hm.", "<think>yes", ["<think>ye", "s"])
        assert generate(backend, ask(**asked_for))[1] == ["y", "e", "s"]
    with FaultServer(service(plain)) as server:
        backend = backend_for(server.url, dialect="openai", model="m")
        assert [generate(backend, ask(**asked_for))[1] for _ in range(2)] == [["yes"], ["y", "e", "s"]]


def test_what_had_come_of_a_thought_is_no_text_of_a_call_that_failed() -> None:
    broken = stream(chunk("<think>Hm"), event({"error": {"message": "no"}}))
    with (
        FaultServer(service(broken)) as server,
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect="openai", model="m")) as maze,
    ):
        result = maze.generate(Intent("x"), (), GenerationOptions(reasoning_tokens=9))
    assert (result.success, result.code, result.metadata.reasoning) == (False, "", "Hm")


# ------------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    ("address", "listed", "path", "models"),
    [
        ("", "/v1/models", "/v1/chat/completions", "/v1/models"),
        ("/v1", "/v1/models", "/v1/chat/completions", "/v1/models"),
        ("/v1/chat/completions", "/v1/models", "/v1/chat/completions", "/v1/models"),
        ("/api/v1", "/api/v1/models", "/api/v1/chat/completions", "/api/v1/models"),
        ("/openai/v1/", "/openai/v1/models", "/openai/v1/chat/completions", "/openai/v1/models"),
        ("/v1beta/openai", "/v1beta/openai/models", "/v1beta/openai/chat/completions", "/v1beta/openai/models"),
        ("/inference", "/inference/v1/models", "/inference/v1/chat/completions", "/inference/v1/models"),
        (
            "/openai/v1?api-version=preview",
            "/openai/v1/models?api-version=preview",
            "/openai/v1/chat/completions?api-version=preview",
            "/openai/v1/models?api-version=preview",
        ),
        (
            "/openai/deployments/mine?api-version=2024-10-21",
            "",
            "/openai/deployments/mine/chat/completions?api-version=2024-10-21",
            "/openai/models?api-version=2024-10-21",
        ),
    ],
)
def test_addresses_are_understood_as_products_document_them(address: str, listed: str, path: str, models: str) -> None:
    def play(exchange: Exchange) -> None:
        asked_for = exchange.received.path
        plays: dict[str, Play] = {listed: ONE_MODEL, path: says("hey"), models: ONE_MODEL}
        plays.get(asked_for, answer(404, {"detail": "Not Found"}))(exchange)

    with FaultServer(play) as server:
        modal = config_from_environment({"MODAL_ENDPOINT": server.url + address, "MODAL_API_KEY": KEY}).modal
        assert modal is not None
        backend = backend_for(*modal.endpoints, dialect=None)
        assert generate(backend, ask())[0].text == "hey"
        assert backend.health(Deadline(10_000)).ready
        (sent,) = posted(server)
        headers = next(request.headers for request in server.requests if request.path == path)
    if "deployments" in address:
        assert (sent["model"], headers.get("api-key"), headers.get("authorization")) == ("mine", KEY, None)
    else:
        assert (sent["model"], headers.get("authorization")) == ("m", f"Bearer {KEY}")


def test_a_service_without_a_list_of_models_needs_one_to_be_named() -> None:
    def play(exchange: Exchange) -> None:
        paths: dict[str, Play] = {"/chat/completions": says("hey"), "/v1/chat/completions": says("hey")}
        paths.get(exchange.received.path, answer(404, b""))(exchange)

    with FaultServer(play) as server:
        assert generate(backend_for(server.url, dialect="openai", model="sonar"), ask())[0].text == "hey"
        with pytest.raises(ConfigurationError, match="lists no model; name one with MODAL_MODEL"):
            generate(backend_for(server.url, dialect="openai"), ask())


def test_of_several_models_none_is_taken_by_chance() -> None:
    listed = answer(200, {"data": [{"id": name} for name in ("whisper-1", "gpt-5.1")]})
    with FaultServer(service(says("hey"), models=listed)) as server:
        with pytest.raises(ConfigurationError, match=r"has 2 models; name one with MODAL_MODEL: whisper-1, gpt-5.1$"):
            generate(backend_for(server.url, dialect=None), ask())
        assert generate(backend_for(server.url, dialect=None, model="gpt-5.1"), ask())[0].text == "hey"


# ------------------------------------------------------------------------------------------------ Anthropic


def test_anthropic_gets_a_message_and_its_events_are_read() -> None:
    prompt = Prompt("Say hey.", system="Be kind.", messages=(Message(Role.USER, "a"), Message(Role.ASSISTANT, "b")))
    with FaultServer(service(recorded("anthropic_message.sse"))) as server:
        request = ask(prompt=prompt, json_schemas=(SCHEMA,), stop=("x", "\n"), temperature=1.5, top_k=5)
        completion = generate(backend_for(server.url, dialect="anthropic", model="claude"), request)[0]
        (sent,) = posted(server)
    assert sent == {
        "model": "claude",
        "system": "Be kind.",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "Say hey."},
        ],
        "max_tokens": 16,
        "temperature": 1.0,
        "top_k": 5,
        "stop_sequences": ["x"],
        "stream": True,
        "output_config": {"format": {"type": "json_schema", "schema": STRICT}},
    }
    headers = server.requests[-1].headers
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert server.requests[-1].path == "/v1/messages"
    assert (completion.text, completion.reasoning, completion.finish_reason) == ("hey", "They greet.", "stop")
    assert (completion.prompt_tokens, completion.tokens_generated) == (25, 15)
    assert completion.engine["left_out"] == "seed"
    assert completion.engine["temperature"] == 1.0
    assert completion.unenforced


def test_anthropic_is_known_by_its_host() -> None:
    backend = backend_for("https://api.anthropic.com", dialect=None)
    route = backend._client._routes["https://api.anthropic.com"]
    assert route.address.dialect == "anthropic"
    assert "authorization" not in route._headers
    assert route._headers["x-api-key"] == KEY


def test_anthropic_goes_on_from_a_text_that_is_begun_or_is_told_to() -> None:
    changes: dict[str, Any] = {"dialect": "anthropic", "continue_from": "he"}
    _, sent = asked(service(recorded("anthropic_prefill.json"), recorded("anthropic_message.sse")), **changes)
    assert [[turn["role"] for turn in each["messages"]] for each in sent] == [
        ["user", "assistant"],
        ["user", "assistant", "user"],
    ]
    _, (only,) = asked(service(recorded("anthropic_message.sse")), **{**changes, "continue_from": "he "})
    assert only["messages"][-1]["role"] == "user", "a text that ends in a blank is refused by it"


def test_vllm_and_sglang_are_told_to_go_on_as_they_begin_another_answer_behind_one() -> None:
    """As vllm/entrypoints/anthropic/serving.py makes a conversation of it, to which a turn is opened."""
    for owner in ("vllm", "sglang"):
        listed = answer(200, {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": owner}]})
        play = service(recorded("anthropic_message.sse"), models=listed)
        _, (sent,) = asked(play, "anthropic", continue_from="he")
        assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "user"]


def test_a_message_that_vllm_ends_at_a_stop_text_at_once_may_be_empty() -> None:
    """vLLM's events of /v1/messages, as of November 2026: it calls a stop text end_turn."""
    message = {"id": "x", "type": "message", "role": "assistant", "content": [], "model": "m"}
    usage = {"input_tokens": 5, "output_tokens": 0}
    start = {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage | {"output_tokens": 1}}
    play = service(stream(event(start), event(end), event({"type": "message_stop"})))
    completion, _ = asked(play, "anthropic", stop=("x",))
    assert (completion.text, completion.prompt_tokens, completion.tokens_generated) == ("", 5, 1)


def test_anthropic_thinks_where_it_is_asked_to() -> None:
    _, (sent,) = asked(service(recorded("anthropic_message.sse")), "anthropic", reasoning_tokens=500)
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert sent["max_tokens"] == 16 + 1024
    assert "temperature" not in sent


@pytest.mark.parametrize(
    ("play", "error", "says"),
    [
        (recorded("anthropic_overloaded.sse"), EngineUnavailableError, r"not ready \(529\): Overloaded"),
        (
            stream(
                event({"type": "message_delta", "delta": {"stop_reason": "refusal"}, "usage": {"output_tokens": 1}})
            ),
            RequestRejectedError,
            "the model refuses",
        ),
        (
            stream(event({"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f"}})),
            BadResponseError,
            "calls a tool",
        ),
        (stream(event({"type": "message_delta", "delta": {"stop_reason": "odd"}})), BadResponseError, "'odd'"),
        (
            stream(event({"type": "message_delta", "delta": {"stop_reason": []}})),
            BadResponseError,
            "finish reason is an",
        ),
        (
            stream(event({"type": "message_delta", "delta": {"stop_reason": {"type": []}}})),
            BadResponseError,
            "finish reason is an",
        ),
        (stream(event({"type": "content_block_delta", "delta": []})), BadResponseError, "'delta' is not an object"),
        (stream(event({"type": "message_stop"})), BadResponseError, "ended without"),
    ],
)
def test_what_is_no_finished_message_is_an_error(play: Play, error: type[MazeError], says: str) -> None:
    with FaultServer(service(play)) as server, pytest.raises(error, match=says):
        generate(backend_for(server.url, dialect="anthropic"), ask())


def test_a_prompt_cannot_be_completed_as_it_stands_by_anthropic() -> None:
    with FaultServer(service(says("a"))) as server:
        with pytest.raises(UnsupportedConstraintError, match="knows conversations only"):
            generate(backend_for(server.url, dialect="anthropic"), ask(prompt=Prompt("x", form=PromptForm.RAW)))
        assert posted(server) == []


# ------------------------------------------------------------------------------------------------ a real server


@pytest.fixture(scope="module")
def real_server() -> Iterator[str]:
    with llama_server() as url:
        yield url


@pytest.fixture
def maze_at_real_server(real_server: str) -> Iterator[Callable[..., GenerationResult]]:
    with Orchestrator(MazeConfig(endpoint=f"{real_server}/v1", api_key=API_KEY, dialect="openai")) as maze:

        def run(constraints: tuple[ConstraintIR, ...] = (), **options: Any) -> GenerationResult:  # noqa: ANN401
            given = GenerationOptions(**{"max_tokens": 48, "seed": 1, **options})
            return maze.generate(Intent("Describe a person."), constraints, given)

        yield run


def test_the_real_server_writes_what_the_schema_says_in_chat_mode(
    maze_at_real_server: Callable[..., GenerationResult],
) -> None:
    result = maze_at_real_server((ConstraintIR(json_schema=SCHEMA.replace('"minLength":1', '"maxLength":9')),))
    assert result.success, result.error
    assert json.loads(result.code).keys() == {"name"}
    assert result.provenance is not None
    assert result.provenance.engine["response_format"] == "json_schema"
    assert result.metadata.tokens_generated


def test_the_real_server_is_not_believed_where_it_enforces_nothing(
    maze_at_real_server: Callable[..., GenerationResult],
) -> None:
    result = maze_at_real_server((ConstraintIR(regex_patterns=("^[0-9]{40}$",)),), max_attempts=1)
    assert not result.success
    assert result.validation is not None
    assert result.validation.outcomes[0].handling is Handling.CHECKED


def test_the_real_server_tells_log_probabilities(maze_at_real_server: Callable[..., GenerationResult]) -> None:
    for form in PromptForm:
        logprobs = maze_at_real_server(top_logprobs=2, max_tokens=8, prompt_form=form).metadata.logprobs
        assert logprobs
        assert all(each.logprob <= 0 and len(each.top) <= 2 for each in logprobs), form


def test_the_real_server_tells_log_probabilities_in_its_own_dialect(real_server: str) -> None:
    backend = backend_for(real_server, dialect="llama.cpp", api_key=Secret(API_KEY))
    for most in (0, 3):
        completion = generate(backend, ask(grammar=GRAMMAR, top_logprobs=most, max_tokens=6))[0]
        assert completion.logprobs
        assert "".join(each.text for each in completion.logprobs) == completion.text
        assert {len(each.top) for each in completion.logprobs} == {most}
    assert generate(backend, ask(max_tokens=6))[0].logprobs is None


# ------------------------------------------------------------------------------------------------ halves of characters


def test_a_character_that_comes_as_two_halves_is_one() -> None:
    play = stream(
        delta(r'"reasoning": "\ud83d"'),
        delta(r'"reasoning": "\uDE01"'),
        delta(r'"content": "a\ud83d"'),
        delta(r'"content": ""'),
        delta(r'"content": "\ude00\ud83d"'),
        delta(r'"content": "\ude01b"'),
        delta("", '"stop"'),
        DONE,
    )
    with FaultServer(service(play)) as server:
        completion, pieces = generate(backend_for(server.url, dialect="openai"), ask(reasoning_tokens=5))
    assert (completion.text, completion.reasoning) == ("a😀😁b", "😁")
    assert "".join(pieces) == completion.text
    assert all(piece.isprintable() for piece in pieces)


@pytest.mark.parametrize(
    ("events", "partial_text"),
    [
        ((delta(r'"content": "a\ud83d"'), delta("", '"stop"')), "a"),
        ((delta(r'"content": "a\ud83d"', '"stop"'),), "a"),
        ((delta(r'"content": "a\ude00b"'), delta("", '"stop"')), "a"),
        ((delta(r'"content": "a\ud83d"'), delta(r'"content": "\ud83d\ude00"'), delta("", '"stop"')), "a"),
    ],
)
def test_half_a_character_without_the_other_is_an_error_that_says_so(
    events: tuple[bytes, ...], partial_text: str
) -> None:
    with pytest.raises(BadResponseError, match=r"half of a surrogate pair, U\+D[8E]") as caught:
        asked(service(stream(*events, DONE)))
    assert caught.value.partial_text == partial_text


def test_half_a_character_in_one_answer_is_an_error_that_says_so() -> None:
    whole = rb'{"choices": [{"message": {"content": "a\ud83d"}, "finish_reason": "stop"}]}'
    with pytest.raises(BadResponseError, match=r"half of a surrogate pair, U\+D83D") as caught:
        asked(service(answer(200, whole)))
    assert caught.value.partial_text == "a"


def test_half_a_character_at_the_end_of_max_tokens_was_cut_off() -> None:
    completion, _ = asked(service(stream(delta(r'"content": "a\ud83d"'), delta("", '"length"'), DONE)))
    assert (completion.text, completion.finish_reason) == ("a\N{REPLACEMENT CHARACTER}", "length")


def test_other_words_of_a_service_have_whole_characters() -> None:
    play = stream(
        rb'data: {"model": "m\ud83d", "choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}' + b"\n\n",
        DONE,
    )
    completion, _ = asked(service(play))
    assert completion.model == "m\N{REPLACEMENT CHARACTER}"
