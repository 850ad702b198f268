"""What is sent to each kind of service, how its answers are read, and the real llama.cpp server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fault_server import DONE, FaultServer, answer, event, fine, stream, summary, token
from http_calls import GRAMMAR, ask, backend_for, generate
from llama_server import API_KEY, llama_server
from scripted_backend import ScriptedBackend
from service_runner import running_service

from maze.backends.base import Deadline, Prompt, Request
from maze.backends.dialects.base import id_ranges
from maze.backends.dialects.llama_cpp import LlamaCppDialect
from maze.compiled import EngineGrammar, TokenMask
from maze.config import DEFAULT_MODAL_MODEL
from maze.errors import (
    BadResponseError,
    CancelledError,
    EngineUnavailableError,
    MazeError,
    RequestRejectedError,
    UnauthorizedError,
    UnsupportedConstraintError,
)
from maze.grammar.llguidance import engine_text
from maze.secret import Secret

pytestmark = pytest.mark.usefixtures("backends_are_closed")

CHAT = Prompt("Say hello.")
ALLOWED = TokenMask(allowed=frozenset({5, 6, 7, 20, 9}), forbidden=frozenset({9}))
FORBIDDEN = TokenMask(allowed=None, forbidden=frozenset({8, 3}))


def models(owner: str, **meta: Any) -> Any:  # noqa: ANN401 - a play
    return answer(200, {"object": "list", "data": [{"id": "first", "owned_by": owner, "meta": meta}, {"id": "second"}]})


def choice(text: str, **fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    return event({"model": "first", "choices": [{"index": 0, "text": text, "finish_reason": None, **fields}]})


USAGE = event({"model": "first", "choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 3}})
OPENAI = stream(choice("he"), choice("y"), choice("", finish_reason="stop", stop_reason=None), USAGE, DONE)


def llama(content: str, **fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    return event({"index": 0, "content": content, "stop": False, **fields})


def llama_end(**fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    end = {"stop_type": "eos", "tokens_predicted": 3, "tokens_evaluated": 4, "truncated": False, "model": "first"}
    return llama("", **{**end, "stop": True, "timings": {"predicted_ms": 5}, **fields})


LLAMA = stream(llama("he"), llama("y"), llama_end())


def sent(dialect: str, play: Any, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - plays and fields of Request
    """The body of the request to generate."""
    questions = () if dialect == "maze" else (models("x", n_vocab=100), answer(200, {"version": "1"}))
    with FaultServer(*questions, play) as server:
        generate(backend_for(server.url, dialect=dialect), ask(**changes))
    body: dict[str, Any] = server.requests[-1].json()
    return body


# ------------------------------------------------------------------------------------------------ requests


def test_the_maze_service_gets_the_fields_of_its_contract() -> None:
    sampling = {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 42}
    body = sent("maze", fine(), prompt=CHAT, stop=("x", "y"), token_mask=ALLOWED, **sampling)
    assert body == {
        "prompt": "Say hello.",
        "max_tokens": 16,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "seed": 42,
        "stop_sequences": ["x", "y"],
        "model": DEFAULT_MODAL_MODEL,
        "request_id": "a-request",
        "constraints": {"grammar": engine_text(GRAMMAR), "token_mask": {"allowed": [5, 6, 7, 9, 20], "forbidden": [9]}},
    }
    assert "constraints" not in sent("maze", fine(), grammar=None)
    assert sent("maze", fine(), model="mine")["model"] == "mine"


def test_vllm_gets_everything_that_its_defaults_would_decide_otherwise() -> None:
    body = sent("vllm", OPENAI, stop=("x",))
    assert body == {
        "model": "first",
        "prompt": "Say hello.",
        "max_tokens": 16,
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "seed": 1,
        "stop": ["x"],
        "stream": True,
        "stream_options": {"include_usage": True},
        "request_id": "a-request",
        "structured_outputs": {"grammar": engine_text(GRAMMAR)},
    }
    assert "structured_outputs" not in sent("vllm", OPENAI, grammar=None)


def test_sglang_gets_the_grammar_as_ebnf() -> None:
    body = sent("sglang", OPENAI)
    assert body["ebnf"] == engine_text(GRAMMAR)
    assert body["max_tokens"] == 16
    assert body["top_k"] == -1
    assert "structured_outputs" not in body


@pytest.mark.parametrize("text", ["<|im_end|>", "</think>", "<|of_another_model|>"])
def test_a_text_like_a_special_token_is_never_forced_by_a_server_whose_model_is_not_known(text: str) -> None:
    grammar = EngineGrammar(f'start: "say {text}"\n')
    unforced = engine_text(grammar, forced_tokens=False)
    assert sent("vllm", OPENAI, grammar=grammar)["structured_outputs"]["grammar"] == unforced
    assert sent("sglang", OPENAI, grammar=grammar)["ebnf"] == unforced


def test_llama_cpp_gets_its_own_names() -> None:
    body = sent("llama.cpp", LLAMA, top_k=0)
    assert body["grammar"] == engine_text(GRAMMAR, forced_tokens=False)
    assert body["n_predict"] == 16
    assert body["top_k"] == 0
    assert body["samplers"] == ["temperature", "top_k", "top_p"]
    assert body["stream"] is True
    assert "max_tokens" not in body


def test_a_mask_of_allowed_tokens_becomes_a_grammar() -> None:
    ids = {"token_ids": [5]}
    play = stream(choice("he", **ids), choice("", finish_reason="stop", stop_reason=None, token_ids=[2]), USAGE, DONE)
    body = sent("vllm", play, grammar=None, token_mask=ALLOWED)
    assert body["structured_outputs"]["grammar"] == "%llguidance {}\nstart: <[5-7,20]>*\n"
    assert body["return_token_ids"] is True
    play = stream(choice("he", **ids), choice("", finish_reason="stop", matched_stop=2, token_ids=[2]), USAGE, DONE)
    body = sent("sglang", play, grammar=None, token_mask=ALLOWED)
    assert body["ebnf"] == "%llguidance {}\nstart: <[5-7,20]>*\n"
    assert body["return_token_ids"] is True
    play = stream(llama("he", tokens=[5]), llama("", tokens=[0]), llama_end(tokens_predicted=2))
    body = sent("llama.cpp", play, grammar=None, token_mask=ALLOWED)
    assert body["grammar"] == '%llguidance {"no_forcing":true}\nstart: <[5-7,20]>*\n'


def test_forbidden_tokens_are_biased_away_by_llama_cpp_also_next_to_a_grammar() -> None:
    play = stream(llama("he", tokens=[5]), llama("", tokens=[0]), llama_end(tokens_predicted=2))
    body = sent("llama.cpp", play, token_mask=FORBIDDEN)
    assert body["logit_bias"] == [[3, -1e9], [8, -1e9]]
    assert body["grammar"] == engine_text(GRAMMAR, forced_tokens=False)


@pytest.mark.parametrize(
    ("dialect", "changes", "says"),
    [
        ("vllm", {"token_mask": ALLOWED}, r"together with a grammar by vllm"),
        ("vllm", {"token_mask": FORBIDDEN, "grammar": None}, r"forbidden tokens alone cannot be enforced by vllm"),
        ("sglang", {"token_mask": ALLOWED}, r"together with a grammar by sglang"),
        ("llama.cpp", {"token_mask": ALLOWED}, r"together with a grammar by the llama\.cpp server"),
        (
            "llama.cpp",
            {"token_mask": TokenMask(None, frozenset({5, 100, 4000000000}))},
            r"the ids 100, 4000000000 are not in the vocabulary of the engine, which has 100 tokens",
        ),
        (
            "vllm",
            {"token_mask": TokenMask(frozenset({1}), frozenset({1})), "grammar": None},
            r"forbids every token that it allows",
        ),
    ],
)
def test_a_mask_that_cannot_be_enforced_is_refused_before_the_request(
    dialect: str, changes: dict[str, Any], says: str
) -> None:
    with (
        FaultServer(models("x", n_vocab=100), answer(200, {"version": "1"}), LLAMA) as server,
        pytest.raises(UnsupportedConstraintError, match=says),
    ):
        generate(backend_for(server.url, dialect=dialect), ask(**changes))
    assert all(request.method == "GET" for request in server.requests)


def test_ids_are_written_as_ranges() -> None:
    assert id_ranges(frozenset({1, 2, 3, 5, 7, 8})) == "1-3,5,7-8"


# ------------------------------------------------------------------------------------------------ answers


def answered(dialect: str, play: Any, **changes: Any) -> Any:  # noqa: ANN401 - plays and fields of Request
    with FaultServer(models("x", n_vocab=100), answer(200, {"version": "1.2", "build_info": "b7"}), play) as server:
        return generate(backend_for(server.url, dialect=dialect), ask(**changes))[0]


def test_the_answer_of_the_maze_service_is_read_in_full() -> None:
    end = summary(generated_text="ab", tokens_generated=2, prompt_tokens=9, finish_reason="length")
    with FaultServer(stream(token("a"), token("b"), end, DONE)) as server:
        completion, pieces = generate(backend_for(server.url), ask())
    assert pieces == ["a", "b"]
    assert (completion.text, completion.finish_reason, completion.tokens_generated) == ("ab", "length", 2)
    assert (completion.prompt_tokens, completion.model) == (9, "a-model")
    assert completion.engine["stats"] == {"total_time_ms": 7}
    assert completion.first_token_ms is not None


def test_the_answer_of_vllm_is_read_in_full() -> None:
    completion = answered("vllm", OPENAI)
    assert (completion.text, completion.finish_reason, completion.tokens_generated) == ("hey", "stop", 3)
    assert (completion.prompt_tokens, completion.model) == (4, "first")
    assert completion.engine["version"] == "1.2"


def test_the_answer_of_llama_cpp_is_read_in_full() -> None:
    completion = answered("llama.cpp", LLAMA)
    assert (completion.text, completion.finish_reason, completion.tokens_generated) == ("hey", "stop", 3)
    assert (completion.prompt_tokens, completion.model) == (4, "first")
    assert completion.engine["timings"] == {"predicted_ms": 5}
    assert completion.engine["version"] == "b7"


@pytest.mark.parametrize(("fields", "reason"), [({"stop_type": "limit"}, "length"), ({"truncated": True}, "length")])
def test_llama_cpp_says_in_two_ways_that_it_was_cut_off(fields: dict[str, Any], reason: str) -> None:
    assert answered("llama.cpp", stream(llama("he"), llama_end(**fields))).finish_reason == reason


def test_an_empty_text_is_right_where_a_stop_text_came_at_once() -> None:
    play = stream(choice("", finish_reason="stop", stop_reason="x"), USAGE, DONE)
    assert answered("vllm", play, stop=("x",)).text == ""
    assert answered("llama.cpp", stream(llama_end(stop_type="word")), stop=("x",)).text == ""


@pytest.mark.parametrize(
    ("dialect", "play", "error", "says"),
    [
        ("vllm", stream(choice("", finish_reason="stop"), USAGE, DONE), BadResponseError, r"an empty text, and claims"),
        ("vllm", stream(choice("he"), DONE), BadResponseError, r"without saying that the text is finished"),
        ("vllm", stream(choice("he", finish_reason="stop")), BadResponseError, r"without its last event, \[DONE\]"),
        ("vllm", stream(choice("he", finish_reason="abort"), DONE), EngineUnavailableError, r"finish reason 'abort'"),
        ("vllm", stream(event({"choices": "none"}), DONE), BadResponseError, r"no array 'choices'"),
        ("vllm", stream(event({"choices": [1]}), DONE), BadResponseError, r"does not hold one object"),
        ("vllm", stream(event({"choices": [{}, {}]}), DONE), BadResponseError, r"does not hold one object"),
        (
            "vllm",
            stream(event({"choices": [{"text": None}]}), DONE),
            BadResponseError,
            r"'text' is missing, not a text",
        ),
        ("vllm", answer(200, {"choices": []}), BadResponseError, r"one JSON object, not a stream of events"),
        (
            "vllm",
            stream(event({"error": {"message": "bad grammar", "type": "BadRequestError", "code": 400}}), DONE),
            RequestRejectedError,
            r"\(400\): bad grammar",
        ),
        (
            "sglang",
            stream(event({"object": "error", "message": "m", "code": 400})),
            RequestRejectedError,
            r"\(400\): m",
        ),
        ("llama.cpp", stream(llama("he")), BadResponseError, r"ended without its last event$"),
        ("llama.cpp", stream(llama_end()), BadResponseError, r"an empty text, and claims"),
        ("llama.cpp", stream(llama_end(stop_type="none")), BadResponseError, r"'stop_type' is none of"),
        ("llama.cpp", stream(event({"content": "x"})), BadResponseError, r"'stop' is not a boolean"),
        (
            "llama.cpp",
            stream(b'error: {"code": 500, "message": "slot died"}\n\n'),
            EngineUnavailableError,
            r"failed \(500\): slot died",
        ),
    ],
)
def test_what_an_engine_does_wrong_is_an_error(dialect: str, play: Any, error: type[MazeError], says: str) -> None:  # noqa: ANN401
    with pytest.raises(error, match=says):
        answered(dialect, play)


@pytest.mark.parametrize(
    ("dialect", "play", "says"),
    [
        (
            "vllm",
            stream(choice("he", token_ids=[5, 8]), choice("", finish_reason="stop", token_ids=[2]), USAGE, DONE),
            r"token 8, which token_masks does not allow: the engine ignored the mask",
        ),
        ("vllm", OPENAI, r"does not tell its token ids \('token_ids'\), so token_masks cannot be checked"),
        (
            "vllm",
            stream(choice("he", finish_reason="length", token_ids=[5, 2]), USAGE, DONE),
            r"token 2, which token_masks does not allow",
        ),
        (
            "sglang",
            stream(choice("he", token_ids=[8], finish_reason="stop", matched_stop=2), USAGE, DONE),
            r"token 8, which token_masks does not allow",
        ),
        ("sglang", OPENAI, r"does not tell its token ids \('token_ids'\), so token_masks cannot be checked"),
        ("llama.cpp", stream(llama("he", tokens=[8]), llama_end()), r"token 8, which token_masks does not allow"),
        ("llama.cpp", LLAMA, r"does not tell its token ids \('tokens'\)"),
    ],
)
def test_a_mask_that_the_engine_ignored_is_found_out(dialect: str, play: Any, says: str) -> None:  # noqa: ANN401
    with pytest.raises(BadResponseError, match=says):
        answered(dialect, play, grammar=None, token_mask=ALLOWED)


def test_a_maze_service_must_say_that_it_enforced_a_mask() -> None:
    silent = stream(token("a"), summary(constraint_satisfied=None), DONE)
    with (
        FaultServer(silent) as server,
        pytest.raises(BadResponseError, match=r"does not say whether token_masks was enforced"),
    ):
        generate(backend_for(server.url), ask(token_mask=ALLOWED))


def test_tokens_that_llama_cpp_does_not_show_are_not_trusted_next_to_a_grammar() -> None:
    play = stream(llama("🙂", tokens=[5]), llama("", tokens=[0]), llama_end(tokens_predicted=3))
    with pytest.raises(UnsupportedConstraintError, match=r"characters made of several tokens"):
        answered("llama.cpp", play, token_mask=FORBIDDEN)
    assert answered("llama.cpp", play, grammar=None, token_mask=FORBIDDEN).text == "🙂"


# ------------------------------------------------------------------------------------------------ the Maze service


def test_the_maze_service_of_this_project_is_recognised_and_understood() -> None:
    engine = ScriptedBackend(["he", "y €"])
    with running_service(engine) as service:
        backend = backend_for(service.url, dialect=None)
        completions = [generate(backend, ask(prompt=CHAT, grammar=grammar)) for grammar in (None, GRAMMAR)]
        health = backend.health(Deadline(10_000))
        names = backend.models(Deadline(10_000))
    for completion, pieces in completions:
        assert completion.text == "hey €"
        assert pieces == ["he", "y €"]
        assert completion.model == "a-model"
        assert completion.prompt_tokens == 3
    assert [request.grammar is None for request in engine.requests] == [True, False]
    assert health.ready
    assert health.endpoints[0]["dialect"] == "maze"
    assert names == ("a-model",)


def test_a_text_that_the_maze_service_finds_wrong_is_no_success() -> None:
    with running_service(ScriptedBackend(["hey"])) as service, pytest.raises(MazeError, match=r"constraint"):
        generate(backend_for(service.url), ask(prompt=CHAT, grammar=EngineGrammar('start: "other"\n')))


def test_cancelling_ends_the_generation_within_the_maze_service() -> None:
    ended = threading.Event()

    def notice(request: Request) -> None:
        request.cancellation.on_cancel(ended.set)

    def wait(_: Request) -> None:
        ended.wait(20)

    with running_service(ScriptedBackend([notice, "a", wait, "b"])) as service:
        with pytest.raises(CancelledError):
            backend_for(service.url).generate(ask(prompt=CHAT), lambda _: False)
        assert ended.wait(20)


# ------------------------------------------------------------------------------------------------ the real server


@pytest.fixture(scope="module")
def real_server() -> Iterator[str]:
    with llama_server() as url:
        yield url


def test_the_real_server_is_recognised_and_reports_itself(real_server: str) -> None:
    backend = backend_for(real_server, dialect=None, api_key=Secret(API_KEY))
    health = backend.health(Deadline(30_000))
    assert health.ready
    assert health.endpoints[0]["dialect"] == "llama.cpp"
    assert backend.name == "llama.cpp"
    assert backend.models(Deadline(30_000)) == ("smollm2",)


def test_the_real_server_obeys_a_grammar_and_streams_it(real_server: str) -> None:
    backend = backend_for(real_server, dialect=None, api_key=Secret(API_KEY))
    grammar = EngineGrammar('start: "{\\"answer\\": " ("true" | "false") ", \\"note\\": \\"é€🙂\\"}"\n')
    completion, pieces = generate(backend, ask(grammar=grammar, max_tokens=64, timeout_ms=120_000))
    assert completion.text in ('{"answer": true, "note": "é€🙂"}', '{"answer": false, "note": "é€🙂"}')
    assert "".join(pieces) == completion.text
    assert len(pieces) > 3
    assert completion.finish_reason == "stop"
    assert completion.model == "smollm2"
    assert completion.prompt_tokens is not None
    assert completion.prompt_tokens > 0


def test_the_real_server_obeys_masks(real_server: str) -> None:
    backend = backend_for(real_server, dialect="llama.cpp", api_key=Secret(API_KEY))
    digits = TokenMask(allowed=frozenset(range(32, 42)), forbidden=frozenset({33}))
    text = generate(backend, ask(grammar=None, token_mask=digits, max_tokens=12, timeout_ms=120_000))[0].text
    assert text
    assert set(text) <= set("023456789")
    grammar = EngineGrammar("start: /[0-9]{6}/\n")
    no_ones = TokenMask(allowed=None, forbidden=frozenset({33, 32}))
    text = generate(backend, ask(grammar=grammar, token_mask=no_ones, max_tokens=12, timeout_ms=120_000))[0].text
    assert len(text) == 6
    assert set(text) <= set("23456789")


def test_the_real_server_tells_when_the_text_was_cut_off(real_server: str) -> None:
    backend = backend_for(real_server, dialect="llama.cpp", api_key=Secret(API_KEY))
    completion, _ = generate(backend, ask(grammar=None, max_tokens=3, timeout_ms=120_000))
    assert completion.finish_reason == "length"
    assert completion.tokens_generated == 3


def test_the_real_server_ends_at_a_stop_text(real_server: str) -> None:
    backend = backend_for(real_server, dialect="llama.cpp", api_key=Secret(API_KEY))
    grammar = EngineGrammar('start: "abc" "STOP" "def"\n')
    completion, _ = generate(backend, ask(grammar=grammar, stop=("STOP",), max_tokens=32, timeout_ms=120_000))
    assert completion.text == "abc"
    assert completion.finish_reason == "stop"


def test_the_real_server_says_why_it_refuses(real_server: str) -> None:
    backend = backend_for(real_server, dialect="llama.cpp", api_key=Secret(API_KEY))
    with pytest.raises(RequestRejectedError, match=r"\(400\): the prompt is 50\d\d tokens long.* 2048 "):
        generate(backend, ask(prompt="word " * 5000, timeout_ms=120_000))
    with pytest.raises(UnauthorizedError, match=r"check MODAL_API_KEY"):
        generate(backend_for(real_server, dialect="llama.cpp"), ask(timeout_ms=120_000))


def test_cancelling_frees_the_slot_of_the_real_server(real_server: str) -> None:
    """It has two slots: four long texts that are cancelled leave room for a fifth call."""
    backend = backend_for(real_server, dialect="llama.cpp", api_key=Secret(API_KEY))
    for _ in range(4):
        with pytest.raises(CancelledError) as caught:
            backend.generate(ask(grammar=None, max_tokens=2000, timeout_ms=120_000), lambda _: False)
        assert caught.value.partial_text
    completion, _ = generate(backend, ask(grammar=EngineGrammar('start: "ok"\n'), timeout_ms=120_000))
    assert completion.text == "ok"


def test_the_real_server_speaks_openais_protocol_as_well(real_server: str) -> None:
    backend = backend_for(real_server, dialect="vllm", api_key=Secret(API_KEY))
    completion, pieces = generate(backend, ask(grammar=None, max_tokens=5, timeout_ms=120_000))
    assert completion.tokens_generated == 5
    assert completion.text == "".join(pieces)
    assert completion.finish_reason == "length"
    assert completion.model == "smollm2"


def known_llama(**facts: Any) -> dict[str, Any]:  # noqa: ANN401 - what is known of a model
    """What the dialect of a server whose model is known sends for the grammar of these tests, or another."""
    grammar = facts.pop("grammar", GRAMMAR)
    mask = facts.pop("token_mask", None)
    return LlamaCppDialect(**facts).fields(ask(grammar=grammar, token_mask=mask), None, None)


def test_tokens_are_forced_where_the_grammar_cannot_spell_a_special_token() -> None:
    special = frozenset({"<|im_end|>", "<|im_start|>"})
    assert known_llama(special_tokens=special)["grammar"] == engine_text(GRAMMAR)
    spelling = EngineGrammar('start: "say <|im_end|>"\n')
    assert known_llama(special_tokens=special, grammar=spelling)["grammar"] == engine_text(
        spelling, forced_tokens=False
    )


def test_a_llama_cpp_server_whose_end_tokens_are_known_enforces_a_mask_beside_a_grammar() -> None:
    body = known_llama(vocabulary=30, end_tokens=frozenset({2}), token_mask=ALLOWED)
    assert [token for token, _ in body["logit_bias"]] == [*range(2), 3, 4, *range(8, 20), *range(21, 30)]
    assert {bias for _, bias in body["logit_bias"]} == {-1e9}
    assert body["grammar"] == engine_text(GRAMMAR, forced_tokens=False)
