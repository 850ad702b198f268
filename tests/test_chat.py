"""How models are spoken to: templates, texts to continue, thoughts, what constraints demand, and what a server is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_server import DONE, Exchange, FaultServer, Play, answer, by_path, event, reset, stall, stream, unfinished
from http_calls import ask, backend_for, generate
from llama_server import API_KEY, llama_server
from test_dialects import LLAMA, USAGE, choice, llama, llama_end, models
from thinking_model import write_thinking_model

from maze import ConstraintIR, GenerationOptions, GenerationResult, Intent, MazeConfig, Orchestrator
from maze.backends.base import Deadline, Prompt
from maze.backends.prompt_tokens import most_tokens
from maze.compiled import TokenMask
from maze.engine import EmbeddedEngine
from maze.errors import (
    BadResponseError,
    ConfigurationError,
    EngineUnavailableError,
    MazeError,
    RequestRejectedError,
    Status,
    TimedOutError,
    UnsupportedConstraintError,
)
from maze.grammar import compile_constraints
from maze.options import Message, PromptForm, Role
from maze.secret import Secret

pytestmark = pytest.mark.usefixtures("backends_are_closed")

CITY = ConstraintIR(
    json_schema='{"type":"object","properties":{"city":{"type":"string","maxLength":12},"n":{"type":"integer",'
    '"minimum":0,"maximum":300}},"required":["city","n"],"additionalProperties":false}'
)
CODE = ConstraintIR(regex_patterns=(r"^[a-z]{2}-\d{3}$",))
NESTED = ConstraintIR(grammar='root ::= "(" root ")" | [a-z]')
CHAT = Prompt("Say hello.")


# ------------------------------------------------------------------------------------------------ the real engines


@pytest.fixture(scope="module", params=["embedded", "llama.cpp"])
def maze(request: pytest.FixtureRequest, embedded_backend: EmbeddedEngine) -> Iterator[Orchestrator]:
    """The embedded engine, and llama.cpp's own server."""
    if request.param == "embedded":
        yield Orchestrator(MazeConfig(), backend=embedded_backend)
        return
    with llama_server() as url:
        config = MazeConfig(endpoint=url, api_key=Secret(API_KEY))
        with Orchestrator(config) as connected:
            yield connected


def options(**given: Any) -> GenerationOptions:  # noqa: ANN401 - fields of GenerationOptions
    return GenerationOptions(**{"max_tokens": 40, "temperature": 0.0, "seed": 1, "timeout_ms": 120_000, **given})


@pytest.mark.parametrize(
    ("constraint", "begin"),
    [
        (CITY, '{"city":"Par'),
        (CITY, '{ "city" : "A b", "n": 1'),
        (CITY, '{"city":"Paris","n":3}'),
        (CODE, "ab-"),
        (NESTED, "(("),
    ],
)
@pytest.mark.parametrize("form", list(PromptForm))
def test_the_code_begins_with_the_text_to_continue_and_satisfies_the_constraints(
    maze: Orchestrator, constraint: ConstraintIR, begin: str, form: PromptForm
) -> None:
    pieces: list[str] = []

    def take(piece: str) -> bool:
        pieces.append(piece)
        return True

    result = maze.generate(
        Intent("Give a city."),
        [constraint],
        options(continue_from=begin, prompt_form=form, max_attempts=1),
        on_text=take,
    )
    assert result.success, result.error
    assert result.code.startswith(begin)
    assert result.code == begin + "".join(pieces)
    assert maze.validate(result.code, [constraint]).all_satisfied


def test_a_text_that_no_answer_begins_with_is_refused_before_the_engine_is_asked(maze: Orchestrator) -> None:
    result = maze.generate(Intent("Give a city."), [CITY], options(continue_from='{"town":'))
    assert result.status is Status.CONTRADICTION
    assert "after '{\"' it cannot go on with 'town\":'" in str(result.error)


def test_the_template_is_applied_where_there_is_one(maze: Orchestrator) -> None:
    told = [
        maze.generate(Intent("Name a colour."), (), options(max_tokens=1, prompt_form=form)).metadata.prompt_tokens
        for form in PromptForm
    ]
    assert told[0] is not None
    assert told[1] is not None
    assert told[0] > told[1] + 10
    conversation = (Message(Role.USER, "My dog is called Rex."), Message(Role.ASSISTANT, "A fine name."))
    longer = maze.generate(Intent("x"), (), options(max_tokens=1, system="You are a vet.", messages=conversation))
    assert (longer.metadata.prompt_tokens or 0) > 25
    assert longer.provenance is not None
    assert longer.provenance.engine["prompt_form"] == "chat"
    assert longer.provenance.parameters["system"] == "You are a vet."


def test_the_model_thinks_apart_from_its_answer(maze: Orchestrator) -> None:
    result = maze.generate(Intent("Give a French city."), [CITY], options(reasoning_tokens=16))
    assert result.success, result.error
    assert result.metadata.reasoning
    assert result.metadata.reasoning not in result.code
    assert "think>" not in result.code
    thought = result.metadata.reasoning_tokens
    assert thought is not None
    assert 0 < thought <= 16
    assert (result.metadata.tokens_generated or 0) > thought


def test_a_thought_that_a_real_template_begins_is_ended_by_its_model_or_limited_or_ended_at_once(
    tmp_path: Path,
) -> None:
    write_thinking_model(tmp_path / "thinking.gguf")
    backend = EmbeddedEngine(tmp_path / "thinking.gguf")
    try:
        with Orchestrator(MazeConfig(), backend=backend) as maze:
            silent, limited, *thoughtful = (
                maze.generate(Intent("Give a French city."), [CITY], options(temperature=1.0, seed=seed, **given))
                for seed, given in enumerate(({}, {"reasoning_tokens": 1}, *({"reasoning_tokens": 40},) * 4))
            )
            free = maze.generate(Intent("Name a colour."), (), options(max_tokens=12))
    finally:
        backend.close()
    for result in (silent, limited, *thoughtful):
        assert result.success, result.error
        assert "think>" not in result.code
        assert "think>" not in (result.metadata.reasoning or "")
    assert (silent.metadata.reasoning, silent.metadata.reasoning_tokens) == (None, None)
    assert limited.metadata.reasoning_tokens == 1
    thought = [result.metadata.reasoning_tokens or 0 for result in thoughtful]
    assert min(thought) < 40, "none ended its thought itself"
    assert all((result.metadata.tokens_generated or 0) > each for result, each in zip(thoughtful, thought, strict=True))
    assert free.success
    assert not free.code.startswith("<think>")
    assert free.metadata.reasoning is None


def test_a_model_that_the_server_does_not_have_is_refused(maze: Orchestrator) -> None:
    result = maze.generate(Intent("x"), (), options(model="no-such-model"))
    assert result.status is Status.REQUEST_REJECTED
    assert "no-such-model" in str(result.error)


def test_the_estimate_of_tokens_is_an_upper_bound(maze: Orchestrator) -> None:
    demands = (*compile_constraints((CITY,)).demands, *compile_constraints((CODE,)).demands)
    for text in (*demands, "Réponds en français, s'il te plaît.", "1234567890", "{}[]();,.<>" * 5):
        count = maze.generate(
            Intent(text), (), options(max_tokens=1, prompt_form=PromptForm.RAW)
        ).metadata.prompt_tokens
        assert count is not None
        assert count <= most_tokens(text)


# ------------------------------------------------------------------------------------------------ what is demanded


def test_the_model_is_told_what_the_constraints_demand() -> None:
    schema = '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","title":"T","properties":{"title":{"const":{"title":1}}}}'
    told = compile_constraints((ConstraintIR(json_schema=schema, regex_patterns=("^.{3,}$",)),)).demands
    assert told == (
        'Answer with JSON alone, of this JSON Schema: {"type":"object","properties":{"title":{"const":{"title":1}}}}',
        "The answer must match the regular expression ^.{3,}$",
    )
    assert compile_constraints((NESTED,), "zig").demands == (
        "Answer with zig alone, without explanations or Markdown.",
    )
    assert compile_constraints((NESTED,)).demands == ()
    long = ConstraintIR(json_schema='{"enum":["' + "x" * 3000 + '"]}')
    assert compile_constraints((long,)).demands == ("Answer with JSON alone.",)


def test_demands_take_no_more_than_their_part_of_the_context() -> None:
    prompt = Prompt("x", demands=tuple(f"Line {number} of what is demanded here." for number in range(200)))
    for context in (100_000, 1024, 256, 8):
        kept = prompt.within(context).demands
        assert kept == prompt.demands[: len(kept)]
        assert sum(most_tokens(line) + 1 for line in kept) <= min(512, context // 8)
    assert 10 < len(prompt.within(100_000).demands) < 200


# ------------------------------------------------------------------------------------------------ what a server is


def said(text: str, **fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    choices = [{"index": 0, "delta": {"content": text, **fields.pop("delta", {})}, "finish_reason": None, **fields}]
    return event({"model": "first", "choices": choices})


VLLM = {"v1_models": models("vllm"), "version": answer(200, {"version": "0.32.0"}), "health": answer(200, b"")}
SPOKEN = stream(said("he"), said("y", finish_reason="stop"), USAGE, DONE)
PROOF = stream(said("ma"), said("ze", finish_reason="stop"), USAGE, DONE)
TEXT = stream(choice("he"), choice("y", finish_reason="stop"), USAGE, DONE)


def test_a_conversation_goes_to_the_chat_endpoint_of_vllm() -> None:
    with FaultServer(by_path(**VLLM, v1_chat_completions=SPOKEN)) as server:
        prompt = Prompt("Go on.", system="Be brief.", messages=(Message(Role.ASSISTANT, "Hm."),), demands=("JSON.",))
        completion, pieces = generate(backend_for(server.url, dialect=None), ask(prompt=prompt, continue_from="so "))
    assert (completion.text, pieces) == ("hey", ["he", "y"])
    assert completion.engine["prompt_form"] == "chat"
    body = server.requests[-1].json()
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Hm."},
        {"role": "user", "content": "Go on.\n\nJSON."},
        {"role": "assistant", "content": "so "},
    ]
    assert (body["add_generation_prompt"], body["continue_final_message"]) == (False, True)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert "prompt" not in body


def test_what_a_reasoning_parser_tells_apart_is_no_part_of_the_text() -> None:
    thought = [said("", delta={"content": None, "reasoning": "Hm, "}), said("", delta={"reasoning_content": "so."})]
    with FaultServer(
        by_path(**VLLM, v1_chat_completions=stream(*thought, said("hey", finish_reason="stop"), DONE))
    ) as server:
        completion, pieces = generate(backend_for(server.url, dialect=None), ask(prompt=CHAT, reasoning_tokens=9))
    assert (completion.reasoning, completion.text, pieces) == ("Hm, so.", "hey", ["hey"])
    assert server.requests[-1].json()["chat_template_kwargs"] == {"enable_thinking": True}


@pytest.mark.parametrize(
    "refusal",
    [
        answer(404, {"detail": "Not Found"}),
        answer(
            400, {"error": {"message": "As of transformers v4.44, default chat template is no longer allowed, so ..."}}
        ),
    ],
)
def test_a_server_without_a_template_completes_the_prompt_and_the_record_says_so(refusal: Any) -> None:  # noqa: ANN401
    with FaultServer(by_path(**VLLM, v1_chat_completions=refusal, v1_completions=TEXT)) as server:
        backend = backend_for(server.url, dialect=None)
        completions = [generate(backend, ask(prompt=CHAT))[0] for _ in range(2)]
    assert [completion.text for completion in completions] == ["hey", "hey"]
    assert {completion.engine["prompt_form"] for completion in completions} == {"raw"}
    assert [request.path for request in server.requests].count("/v1/chat/completions") == 1


def test_another_refusal_of_the_chat_endpoint_stays_one() -> None:
    refusal = answer(400, {"error": {"message": "Conversation roles must alternate"}})
    with (
        FaultServer(by_path(**VLLM, v1_chat_completions=refusal, v1_completions=TEXT)) as server,
        pytest.raises(RequestRejectedError, match="must alternate"),
    ):
        generate(backend_for(server.url, dialect=None), ask(prompt=CHAT))


def test_a_llama_cpp_server_that_applies_no_template_completes_the_prompt() -> None:
    play = by_path(v1_models=models("llamacpp"), props=answer(200, {"build_info": "b7"}), completion=LLAMA)
    with FaultServer(play) as server:
        assert generate(backend_for(server.url, dialect=None), ask(prompt=CHAT))[0].engine["prompt_form"] == "raw"


def test_llama_cpp_is_asked_for_the_thought_first_and_then_for_the_answer_behind_it() -> None:
    told = (models("llamacpp"), answer(200, {"build_info": "b7"}), answer(200, {"prompt": "<user>hi<bot>"}))
    thought = stream(llama("Let me see.\n"), llama_end(stop_type="word", tokens_predicted=5))
    with FaultServer(*told, thought, LLAMA) as server:
        request = ask(prompt=CHAT, reasoning_tokens=9, continue_from="so ", token_mask=None)
        completion, pieces = generate(backend_for(server.url, dialect=None), request)
    first, second = (received.json() for received in server.requests[-2:])
    assert first["prompt"] == "<user>hi<bot><think>\n"
    assert (first["n_predict"], first["stop"], "grammar" in first) == (9, ["</think>"], False)
    assert second["prompt"] == "<user>hi<bot><think>\nLet me see.\n</think>\n\nso "
    assert (second["n_predict"], "grammar" in second) == (16, True)
    assert (completion.reasoning, completion.reasoning_tokens, completion.tokens_generated) == ("Let me see.", 5, 8)
    assert pieces == ["he", "y"]


def test_llama_cpp_is_shown_what_it_has_thought_where_it_goes_on_from_its_answer() -> None:
    told = (models("llamacpp"), answer(200, {"build_info": "b7"}), answer(200, {"prompt": "<user>hi<bot>"}))
    thought = stream(llama("Let me see.\n"), llama_end(stop_type="word", tokens_predicted=5))
    cut = stream(llama('"a'), llama_end(stop_type="limit", tokens_predicted=10))
    end = stream(llama('b"'), llama_end(tokens_predicted=2))
    with (
        FaultServer(*told, thought, cut, told[-1], end) as server,
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=None)) as maze,
    ):
        result = maze.generate(Intent("hi"), [WORDS], options(max_tokens=20, reasoning_tokens=9))
    assert (result.success, result.code, result.metadata.steered_from) == (True, '"ab"', 2)
    assert (result.metadata.reasoning, result.metadata.reasoning_tokens) == ("Let me see.", 5)
    assert result.metadata.tokens_generated == 17
    templated, last = (request.json() for request in server.requests[-2:])
    assert templated["chat_template_kwargs"] == {"enable_thinking": True}
    assert last["prompt"] == '<user>hi<bot><think>\nLet me see.\n</think>\n\n"a'
    assert last["n_predict"] == 10


def test_llama_cpp_ends_a_thought_that_its_template_begins_where_none_is_asked_for() -> None:
    told = (models("llamacpp"), answer(200, {"build_info": "b7"}), answer(200, {"prompt": "<user>hi<bot><think>\n"}))
    with FaultServer(*told, LLAMA) as server:
        completion, _ = generate(backend_for(server.url, dialect=None), ask(prompt=CHAT, continue_from="so "))
    assert server.requests[-1].json()["prompt"] == "<user>hi<bot><think>\n\n</think>\n\nso "
    assert (completion.text, completion.reasoning) == ("hey", None)


END_TOKEN, BEGIN_TOKEN = 77, 1


def tokens(exchange: Exchange) -> None:
    """A model whose thoughts a token ends, and before each of whose prompts the server puts one of its own."""
    asked = exchange.received.json()
    if "messages" in asked:
        answer(200, {"count": 3, "tokens": [BEGIN_TOKEN, 5, 6]})(exchange)
    else:
        begin = [BEGIN_TOKEN] if asked["add_special_tokens"] else []
        answer(200, {"count": 1, "tokens": [*begin, END_TOKEN]})(exchange)


@pytest.mark.parametrize(
    ("owner", "shown", "begins"),
    [
        ("vllm", {"prompt": "<user>hi<bot>"}, "<user>hi<bot><think>\n"),
        ("sglang", {"text": "<user>hi<bot><think>\n"}, "<user>hi<bot><think>\n"),
    ],
)
def test_vllm_and_sglang_are_asked_for_the_thought_first_and_then_for_the_answer_and_its_end(
    owner: str, shown: dict[str, str], begins: str
) -> None:
    """Their shapes of /tokenize and /detokenize, as of November 2026."""
    texts = iter(
        [
            stream(choice("Let me see.\n", finish_reason="stop", stop_reason="</think>"), used(5), DONE),
            stream(choice('"a', finish_reason="length"), used(10), DONE),
            stream(choice('b"', finish_reason="stop"), used(2), DONE),
        ]
    )
    plays = {**VLLM, "v1_models": models(owner), "tokenize": tokens, "detokenize": answer(200, shown)}
    with (
        FaultServer(by_path(**plays, v1_completions=lambda exchange: next(texts)(exchange))) as server,
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=None)) as maze,
    ):
        result = maze.generate(Intent("hi"), [WORDS], options(max_tokens=20, reasoning_tokens=9))
    assert (result.success, result.code, result.metadata.steered_from) == (True, '"ab"', 2)
    assert (result.metadata.reasoning, result.metadata.reasoning_tokens) == ("Let me see.", 5)
    assert result.metadata.tokens_generated == 17
    posted = [request for request in server.requests if request.method == "POST"]
    assert "/v1/chat/completions" not in {request.path for request in posted}
    assert {tuple(request.json()["tokens"]) for request in posted if request.path == "/detokenize"} == {(5, 6)}
    thought, first, last = (request.json() for request in posted if request.path == "/v1/completions")
    grammar = "structured_outputs" if owner == "vllm" else "ebnf"
    assert (thought["prompt"], thought["stop"], thought["max_tokens"]) == (begins, ["</think>"], 9)
    assert (thought["skip_special_tokens"], grammar in thought) == (False, False)
    behind = begins + "Let me see.\n</think>\n\n"
    assert (first["prompt"], first["max_tokens"], grammar in first) == (behind, 10, True)
    assert (last["prompt"], last["max_tokens"], grammar in last) == (behind + '"a', 10, True)
    assert "skip_special_tokens" not in last


@pytest.mark.parametrize("owner", ["vllm", "sglang"])
def test_a_model_that_ends_its_turn_before_it_has_thought_is_asked_for_the_answer_all_the_same(owner: str) -> None:
    """As vLLM 0.32 tells it: one token, which ends the turn, and no text."""
    texts = iter(
        [
            stream(choice("", finish_reason="stop"), used(1), DONE),
            stream(choice('"ab"', finish_reason="stop"), used(2), DONE),
        ]
    )
    shown = {"prompt" if owner == "vllm" else "text": "<user>hi<bot><think>\n"}
    plays = {**VLLM, "v1_models": models(owner), "tokenize": tokens, "detokenize": answer(200, shown)}
    with (
        FaultServer(by_path(**plays, v1_completions=lambda exchange: next(texts)(exchange))) as server,
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=None)) as maze,
    ):
        result = maze.generate(Intent("hi"), [WORDS], options(max_tokens=20, reasoning_tokens=9))
    assert (result.success, result.code) == (True, '"ab"'), result.error
    assert (result.metadata.reasoning, result.metadata.reasoning_tokens) == ("", 1)
    assert result.metadata.tokens_generated == 3


def test_a_model_that_always_thinks_in_chats_is_under_the_grammar_at_once_as_its_thought_is_ended() -> None:
    """As DeepSeek R1 behind a reasoning parser of vLLM or SGLang, whatever `enable_thinking` says."""
    thinks = stream(said("", delta={"reasoning": "Hm."}), said("", finish_reason="length"), used(16), DONE)
    answered = stream(choice("maze", finish_reason="stop", token_ids=[7, 8]), used(2), DONE)
    refused = answer(400, {"message": "token_id(s) [2147483647] in logit_bias contain out-of-vocab token ids."})

    def completions(exchange: Exchange) -> None:
        (refused if "logit_bias" in exchange.received.json() else answered)(exchange)

    shown = answer(200, {"prompt": "<user>hi<bot><think>\n"})
    play = by_path(**VLLM, tokenize=tokens, detokenize=shown, v1_chat_completions=thinks, v1_completions=completions)
    with FaultServer(play) as server:
        backend = backend_for(server.url, dialect=None, is_proven=False)
        assert backend.health(Deadline(20_000)).ready
        completion, _ = generate(backend, ask(prompt=CHAT))
        raw, _ = generate(backend, ask(prompt=Prompt("Go on.", PromptForm.RAW)))
        mask = TokenMask(allowed=frozenset({7, 8}), forbidden=frozenset())
        masked = ask(prompt=Prompt("Go on.", PromptForm.RAW), grammar=None, token_mask=mask)
        generate(backend, masked)
    assert (completion.text, completion.reasoning, completion.engine["prompt_form"]) == ("maze", None, "chat")
    ended = "<think>\n\n</think>\n\n"
    posted = [request.json() for request in server.requests if request.path == "/v1/completions"]
    of_raw = "Go on." + ended
    prompts = [each["prompt"] for each in posted if "logit_bias" not in each]  # without the question for its vocabulary
    assert prompts[-3:] == ["<user>hi<bot>" + ended, of_raw, of_raw]
    assert raw.text == "maze"
    assert [request.path for request in server.requests].count("/v1/chat/completions") == 1


def test_chats_of_sglang_under_a_mask_are_completions_of_their_template_as_only_those_tell_token_ids() -> None:
    """By the source of SGLang 0.5.23: its chats refuse `return_token_ids` in a stream, and an end token is told."""

    def in_pieces(exchange: Exchange) -> None:
        """A model that knows nothing of thoughts: several tokens write what ends one."""
        asked = exchange.received.json()
        told = [5, 6] if "messages" in asked else [8, 9]
        begun = "messages" in asked or asked["add_special_tokens"]
        answer(200, {"count": 2, "tokens": [BEGIN_TOKEN, *told] if begun else told})(exchange)

    answered = stream(
        choice("he", token_ids=[7]), choice("", finish_reason="stop", matched_stop=2, token_ids=[2]), used(2), DONE
    )
    plays = {"v1_models": models("sglang"), "v1_chat_completions": SPOKEN, "v1_completions": answered}
    masked = ask(prompt=CHAT, grammar=None, token_mask=TokenMask(frozenset({7}), frozenset()))
    with FaultServer(by_path(**plays, tokenize=in_pieces, detokenize=answer(200, {"text": "<user>hi<bot>"}))) as server:
        completion, _ = generate(backend_for(server.url, dialect=None), masked)
        shown = next(each.json() for each in server.requests if each.path == "/detokenize")
        last = server.requests[-1]
    assert (completion.text, completion.engine["prompt_form"]) == ("he", "chat")
    assert (shown["tokens"], last.path, last.json()["prompt"]) == ([5, 6], "/v1/completions", "<user>hi<bot>")
    with (
        FaultServer(by_path(**plays, tokenize=answer(400, {"message": "body -> prompt: Field required"}))) as server,
        pytest.raises(UnsupportedConstraintError, match=r"cannot be checked in chats of this SGLang.*MAZE_PROMPT=raw"),
    ):
        generate(backend_for(server.url, dialect=None), masked)


def test_a_server_that_ignores_grammars_is_found_out_before_the_first_call_and_by_health() -> None:
    with FaultServer(by_path(**VLLM, v1_chat_completions=SPOKEN)) as server:
        backend = backend_for(server.url, dialect=None, is_proven=False)
        health = backend.health(Deadline(20_000))
        with pytest.raises(ConfigurationError, match=r"ignores grammars: it answered 'hey'.*guidance"):
            generate(backend, ask(prompt=CHAT))
        assert generate(backend, ask(prompt=CHAT, grammar=None))[0].text == "hey"
    assert not health.ready
    assert "--structured-outputs-config" in health.endpoints[0]["detail"]


def test_a_server_that_refuses_grammars_says_how_it_must_be_started() -> None:
    refusal = answer(400, {"error": {"message": "Invalid grammar specification.", "code": 400}})

    def refuses_grammars(exchange: Exchange) -> None:
        (refusal if b"structured_outputs" in exchange.received.body else SPOKEN)(exchange)

    with (
        FaultServer(by_path(**VLLM, v1_chat_completions=refuses_grammars)) as server,
        pytest.raises(ConfigurationError, match=r"Invalid grammar specification.*guidance"),
    ):
        generate(backend_for(server.url, dialect=None, is_proven=False), ask(prompt=CHAT))


LLAMA_CPP = {"v1_models": models("llamacpp"), "props": answer(200, {"build_info": "b7"}), "health": answer(200, {})}


@pytest.mark.parametrize(
    ("plays", "error", "says"),
    [
        (LLAMA_CPP | {"apply-template": answer(200, b"<html>")}, BadResponseError, r"/apply-template is an HTML page"),
        (LLAMA_CPP | {"apply-template": answer(200, {})}, BadResponseError, r"has no text 'prompt'"),
        (LLAMA_CPP | {"completion": answer(200, {"a": 1})}, BadResponseError, r"one JSON object, not a stream"),
        (LLAMA_CPP | {"completion": answer(400, {"error": "the slot died"})}, RequestRejectedError, r"the slot died"),
        (VLLM | {"v1_chat_completions": answer(500, b"")}, EngineUnavailableError, r"failed \(500\)"),
        (VLLM | {"v1_chat_completions": answer(400, {"error": "no such model"})}, RequestRejectedError, r"such model"),
        (VLLM | {"v1_chat_completions": answer(200, b"hi")}, BadResponseError, r"not JSON"),
    ],
)
def test_what_is_wrong_with_a_server_beside_grammars_is_told_without_a_remedy_for_them(
    plays: dict[str, Play], error: type[MazeError], says: str
) -> None:
    with FaultServer(by_path(**plays)) as server:
        backend = backend_for(server.url, dialect=None, is_proven=False)
        with pytest.raises(error, match=says) as raised:
            generate(backend, ask(prompt=CHAT))
        health = backend.health(Deadline(20_000))
    assert not health.ready
    for told in (str(raised.value), health.endpoints[0]["detail"]):
        assert "LLGUIDANCE" not in told
        assert "structured-outputs" not in told


def test_what_a_server_shows_before_it_goes_silent_is_no_text_of_the_call() -> None:
    begun = unfinished(event({"choices": [{"index": 0, "delta": {"content": "ma"}}]}), USAGE, then=stall)
    with FaultServer(by_path(**VLLM, v1_chat_completions=begun)) as server:
        backend = backend_for(server.url, dialect=None, is_proven=False)
        with pytest.raises(TimedOutError) as raised:
            generate(backend, ask(prompt=CHAT, timeout_ms=1_000))
    assert (raised.value.partial_text, raised.value.tokens_generated, raised.value.prompt_tokens) == ("", None, None)


def test_another_server_takes_over_from_one_that_breaks_off_before_the_first_call() -> None:
    broken = unfinished(event({"choices": [{"index": 0, "delta": {"content": "ma"}}]}), then=reset)
    with (
        FaultServer(by_path(**VLLM, v1_chat_completions=broken)) as first,
        FaultServer(by_path(**VLLM, v1_chat_completions=PROOF)) as second,
    ):
        for urls in ((first.url, second.url), (second.url, first.url)):
            backend = backend_for(*urls, dialect=None, is_proven=False)
            for _ in urls:  # each is the first to be asked once
                assert generate(backend, ask(prompt=CHAT))[0].text == "maze"


def test_a_server_shows_once_that_it_obeys_grammars() -> None:
    with FaultServer(by_path(**VLLM, v1_chat_completions=PROOF)) as server:
        backend = backend_for(server.url, dialect=None, is_proven=False)
        assert backend.health(Deadline(20_000)).ready
        assert [generate(backend, ask(prompt=CHAT))[0].text for _ in range(2)] == ["maze", "maze"]
    posts = [request for request in server.requests if request.method == "POST"]
    assert len(posts) == 3


def test_max_tokens_is_fitted_to_the_context() -> None:
    small = answer(200, {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 1024}]})
    play = by_path(**{**VLLM, "v1_models": small}, v1_chat_completions=SPOKEN, tokenize=answer(200, {"count": 24}))
    with FaultServer(play) as server:
        generate(backend_for(server.url, dialect=None), ask(prompt=CHAT, max_tokens=2048))
    assert server.requests[-1].json()["max_tokens"] == 1000


def test_sglang_counts_without_what_it_refuses_there_and_is_asked_all_the_same_where_it_does_not_count() -> None:
    """Of versions before it counted conversations, the words of a refusal."""
    small = answer(200, {"data": [{"id": "m", "owned_by": "sglang", "max_model_len": 1024}]})
    refusal = answer(400, {"object": "error", "message": "body -> prompt: Field required", "code": 400})
    for counted, most in ((answer(200, {"count": 24}), 1000), (refusal, 2048)):
        with FaultServer(by_path(v1_models=small, v1_chat_completions=SPOKEN, tokenize=counted)) as server:
            request = ask(prompt=CHAT, max_tokens=2048, continue_from="so ")
            generate(backend_for(server.url, dialect=None), request)
        question, asked = (request.json() for request in server.requests[-2:])
        assert asked["max_tokens"] == most
        assert question["continue_final_message"] is True
        assert "add_generation_prompt" not in question


def fitted(*pieces: bytes, **given: Any) -> tuple[GenerationResult, list[Any]]:  # noqa: ANN401 - options
    """A call at a vLLM whose context of 1,024 tokens has room for 100 more, and the requests to generate."""
    small = answer(200, {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 1024}]})
    paths = {**VLLM, "v1_models": small, "tokenize": answer(200, {"count": 924})}
    text = stream(*pieces, DONE)
    with FaultServer(by_path(**paths, v1_chat_completions=text, v1_completions=text)) as server:
        with Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=None)) as maze:
            result = maze.generate(Intent("x"), [WORDS], options(max_tokens=2048, **given))
        return result, [request.json() for request in server.requests if "completions" in request.path]


WORDS = ConstraintIR(json_schema='{"type":"string"}')


def used(tokens: int, thought: int | None = None) -> bytes:
    details = {} if thought is None else {"completion_tokens_details": {"reasoning_tokens": thought}}
    return event({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": tokens, **details}})


def test_tokens_that_the_context_does_not_leave_are_told_and_not_asked_to_be_raised() -> None:
    result, (sent,) = fitted(said('"a"', finish_reason="stop"), used(3), reasoning_tokens=0)
    assert (result.success, sent["max_tokens"]) == (True, 100)
    assert result.validation is not None
    assert result.provenance is not None
    assert result.validation.warnings == (
        "max_tokens was lowered from 2048 to 100, as the model's context leaves no more beside the prompt",
    )
    assert result.provenance.engine["max_tokens"] == 100
    assert result.provenance.parameters["max_tokens"] == 2048
    result, _ = fitted(said('"a', finish_reason="length"), used(100))
    assert result.status is Status.TRUNCATED
    assert "after 100 tokens" in str(result.error)
    assert "shorten the prompt, or use a model with a longer context" in str(result.error)
    assert "raise max_tokens" not in str(result.error)
    refused, _ = fitted(event({"error": {"message": "no", "code": 400}}))
    assert refused.provenance is not None
    assert refused.provenance.engine["max_tokens"] == 100


@pytest.mark.parametrize("form", list(PromptForm))
def test_thoughts_and_answer_share_what_the_context_leaves(form: PromptForm) -> None:
    piece = said("a") if form is PromptForm.CHAT else choice("a")
    end = said("", finish_reason="length") if form is PromptForm.CHAT else choice("", finish_reason="length")
    result, sent = fitted(piece, end, used(50), reasoning_tokens=1000, prompt_form=form)
    assert result.provenance is not None
    engine = result.provenance.engine
    assert (engine["max_tokens"], engine["reasoning_tokens"]) == (50, 50)
    assert [each["max_tokens"] for each in sent] == ([100] if form is PromptForm.CHAT else [50, 50])


@pytest.mark.parametrize(
    ("thought", "says"), [(20, "after 5 tokens, and 20 of thoughts before"), (None, "after 25 tok")]
)
def test_a_text_that_was_cut_off_behind_thoughts_counts_as_max_tokens_does(thought: int | None, says: str) -> None:
    pieces = said("", delta={"reasoning": "Hm."}), said('"a', finish_reason="length"), used(25, thought)
    play = by_path(**VLLM, v1_chat_completions=stream(*pieces, DONE))
    with (
        FaultServer(play) as server,
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=None)) as maze,
    ):
        result = maze.generate(Intent("x"), [WORDS], options(max_tokens=5, reasoning_tokens=20))
        assert server.requests[-1].json()["max_tokens"] == 25
    assert result.status is Status.TRUNCATED
    assert says in str(result.error)
    assert "raise max_tokens (it was 5)" in str(result.error)
    assert thought is not None or "thoughts included" in str(result.error)


def test_sglang_counts_thoughts_in_its_own_place_and_need_not_say_that_it_is_ready() -> None:
    """Its shapes of /v1/chat/completions and usage, as of November 2026; its versions before have no /ready."""
    usage = {"prompt_tokens": 4, "total_tokens": 29, "completion_tokens": 25, "reasoning_tokens": 20}
    said_of = {"delta": {"role": "assistant", "content": "", "reasoning_content": "Hm."}, "finish_reason": None}
    answered = {"delta": {"content": '"a"'}, "finish_reason": "stop", "matched_stop": 7}
    events = [event({"choices": [{"index": 0, **each}], "usage": None}) for each in (said_of, answered)]
    text = stream(*events, event({"choices": [], "usage": usage}), DONE)
    with FaultServer(by_path(v1_models=models("sglang"), v1_chat_completions=text)) as server:
        backend = backend_for(server.url, dialect=None)
        assert backend.health(Deadline(20_000)).ready
        with Orchestrator(MazeConfig(), backend=backend) as maze:
            result = maze.generate(Intent("x"), [WORDS], options(max_tokens=5, reasoning_tokens=30))
    assert (result.success, result.metadata.reasoning, result.metadata.reasoning_tokens) == (True, "Hm.", 20)


def test_thoughts_that_left_no_token_for_the_answer_are_named() -> None:
    pieces = said("", delta={"reasoning": "Hm."}), said("", finish_reason="length"), used(25)
    with (
        FaultServer(by_path(**VLLM, v1_chat_completions=stream(*pieces, DONE))) as server,
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=None)) as maze,
    ):
        result = maze.generate(Intent("x"), [WORDS], options(max_tokens=5, reasoning_tokens=20))
    assert (result.status, result.metadata.reasoning) == (Status.TRUNCATED, "Hm.")
    assert "thoughts of the model took all tokens" in str(result.error)


def test_ids_beyond_the_vocabulary_of_vllm_are_named_here() -> None:
    problem = "token_id(s) [2147483647] in logit_bias contain out-of-vocab token ids. Vocabulary size: 49152"
    play = by_path(**VLLM, v1_completions=answer(400, {"error": {"message": problem, "code": 400}}))
    mask = TokenMask(frozenset({7, 99_999_999}), frozenset())
    with (
        FaultServer(play) as server,
        pytest.raises(UnsupportedConstraintError, match=r"ids 99999999 are not in the vocabulary.*49152"),
    ):
        generate(backend_for(server.url, dialect=None), ask(grammar=None, token_mask=mask))
