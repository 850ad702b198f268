"""maze.service for Ananke's programs: the requests that they send, and the answers that they can read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from http_calls import ask as ask_for
from http_calls import backend_for, generate
from scripted_backend import ScriptedBackend
from service_runner import RunningService, events, post, running_service

from maze.backends.base import Deadline, Prompt
from maze.compiled import EngineGrammar
from maze.engine import EmbeddedEngine
from maze.options import PromptForm
from maze.secret import NO_SECRET

pytestmark = pytest.mark.usefixtures("backends_are_closed")

YES_OR_NO = 'start: "yes" | "no"'
BRAIDS = {"start_symbol": "program", "rules": [{"lhs": "program", "rhs": ["IDENTIFIER", "SEMICOLON"]}]}


class Told(ScriptedBackend):
    """A scripted engine that remembers what it was asked last."""

    @property
    def grammar(self) -> str:
        grammar = self.requests[-1].grammar
        return "" if grammar is None else grammar.rules

    @property
    def prompt(self) -> Prompt:
        return self.requests[-1].prompt


class Asking:
    """A service in front of a scripted engine."""

    def __init__(self, service: RunningService, backend: Told) -> None:
        self._service = service
        self._backend = backend

    def __call__(
        self,
        text: str,
        body: object,
        path: str = "/v1/chat/completions",
        status: int = 200,
        *,
        finish_reason: str = "stop",
    ) -> tuple[Any, Told]:
        """The answer to `body` where the engine says `text`, and the engine."""
        response = self.post(text, body, path, finish_reason=finish_reason)
        assert response.status_code == status, response.text
        return response.json(), self._backend

    def events(self, text: str, body: object, path: str = "/v1/chat/completions") -> list[Any]:
        """The events of the answer."""
        return events(self.post(text, body, path).text)

    def post(self, text: str, body: object, path: str, *, finish_reason: str = "stop") -> httpx.Response:
        self._backend.script, self._backend.finish_reason = [text], finish_reason
        self._backend.requests.clear()
        return post(self._service, body, path)


@pytest.fixture(scope="module")
def answered() -> Iterator[Asking]:
    backend = Told([])
    with running_service(backend) as service:
        yield Asking(service, backend)


# ------------------------------------------------------------------------------------------------ the Rust client


def of_rust(*constraints: Any, context: Any = None, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {
        "prompt": "Write it.",
        "constraints": {"type": "object", "properties": properties, "constraints": list(constraints)},
        "max_tokens": 50,
        "temperature": 0.5,
        "model": "llama-3.1-8b-instruct",
        "context": context,
    }


def test_the_rust_client_is_answered_with_numbers_that_it_can_read(answered: Asking) -> None:
    braids = {"type": "grammar", "name": "g", "rules": BRAIDS["rules"], "start": "program"}
    answer, backend = answered("x;", of_rust(braids, context={"language": "rust", "metadata": {}}), "/generate")
    assert answer["generated_text"] == "x;"
    assert answer["tokens_generated"] == 1
    assert isinstance(answer["model"], str)
    assert set(answer["stats"]) >= {
        "total_time_ms",
        "time_per_token_us",
        "constraint_checks",
        "avg_constraint_check_us",
    }
    assert all(
        type(answer["stats"][name]) is int
        for name in ("total_time_ms", "time_per_token_us", "constraint_checks", "avg_constraint_check_us")
    )
    assert backend.grammar
    assert "Language: rust" in backend.prompt.text


def test_every_kind_of_constraint_of_the_rust_client_holds(answered: Asking) -> None:
    pattern = {"type": "regex", "pattern": "^[A-Z]+$", "flags": "i"}
    for text, status in (("YES", 200), ("yes", 200), ("y3s", 502)):
        body, _ = answered(text, of_rust(pattern), "/generate", status)
        assert ("error" in body) is (status != 200)
    schema: Any = {"schema_type": "array", "properties": None, "required": [], "additional_properties": True}
    answered("[1]", of_rust(some_ir=schema), "/generate")
    answered("{}", of_rust(some_ir=schema), "/generate", 502)
    answered('"a"', of_rust(some_ir='{"type":"string"}'), "/generate")
    answered("1", of_rust(some_ir='{"type":"string"}'), "/generate", 502)
    _, backend = answered("x", of_rust({"type": "token_mask", "name": "m", "forbidden": [7]}), "/generate")
    mask = backend.requests[-1].token_mask
    assert mask is not None
    assert mask.forbidden == {7}
    assert answered("anything", of_rust(), "/generate")[1].grammar == ""


def test_a_context_that_is_a_text_is_told_to_the_model(answered: Asking) -> None:
    _, backend = answered("x", of_rust(context="It runs on a toaster."), "/generate")
    assert backend.prompt.text == "It runs on a toaster.\n\nWrite it."
    _, backend = answered("x", {"prompt": "Write it.", "context": "It runs on a toaster."}, "/generate_api")
    assert backend.prompt.text == "It runs on a toaster.\n\nWrite it."


def test_the_rust_client_gets_its_stream_and_an_error_in_it_where_the_text_is_broken(answered: Asking) -> None:
    pattern = {"type": "regex", "pattern": "^yes$", "flags": ""}
    for text in ("yes", "no"):
        *pieces, last = answered.events(text, of_rust(pattern), "/generate/stream")
        assert "".join(piece["token"] for piece in pieces) == text
        assert last["done"] is True
        assert ("error" in last) is (text == "no")


@pytest.mark.parametrize(
    ("constraints", "param"),
    [
        ({"type": "array", "constraints": []}, "constraints.type"),
        ({"type": "object", "patterns": []}, "constraints.patterns"),
        ({"type": "object", "constraints": {}}, "constraints.constraints"),
        ({"type": "object", "constraints": [{"type": "magic"}]}, "constraints.constraints[0].type"),
        ({"type": "object", "constraints": ["regex"]}, "constraints.constraints[0]"),
        (
            {"type": "object", "constraints": [{"type": "regex", "pattern": 3}]},
            "constraints.constraints[0].pattern",
        ),
        (
            {"type": "object", "constraints": [{"type": "regex", "pattern": "a", "flags": "y"}]},
            "constraints.constraints[0].flags",
        ),
        ({"type": "object", "properties": []}, "constraints.properties"),
        ({"type": "object", "properties": {"a": "{"}}, "constraints.properties.a"),
        ({"type": "object", "properties": {"a": 3}}, "constraints.properties.a"),
        (
            {"type": "object", "constraints": [{"type": "token_mask", "allowed": []}]},
            "constraints.token_mask.allowed",
        ),
    ],
)
def test_what_is_wrong_with_constraints_of_the_rust_client_is_named(
    constraints: object, param: str, answered: Asking
) -> None:
    body, backend = answered("x", {"prompt": "p", "constraints": constraints}, "/generate", 400)
    assert body["error"]["param"] == param
    assert backend.requests == []


# ------------------------------------------------------------------------------------------------ the command line


@pytest.mark.parametrize("path", ["/", "/generate_api", "/generate"])
def test_the_command_line_has_its_constraints_enforced(path: str, answered: Asking) -> None:
    """As `ananke compile` writes them."""
    ir = {
        "priority": 50,
        "feasibility_score": 0.9,
        "is_feasible": True,
        "json_schema": {"type": "object"},
        "grammar": BRAIDS,
        "regex_patterns": [{"pattern": "^x"}],
        "token_masks": None,
        "rich_context": {"function_signatures": [{"name": "f", "params": [], "return_type": "int"}]},
    }
    body = {"prompt": "Write it.", "constraint_ir": ir, "max_tokens": 20, "temperature": 0.70}
    body["context"] = {"language": "rust"}
    answer, backend = answered("x;", body, path)
    wanted = {"generated_text", "tokens_generated", "generation_time_ms", "constraint_satisfied", "model_name"}
    assert set(answer) >= wanted | {"finish_reason"}
    assert answer["constraint_satisfied"] is True
    assert ("metadata" in answer) is (path != "/generate")
    assert backend.grammar
    assert "- f() -> int" in backend.prompt.text

    answer, _ = answered("y;", body, path)
    assert answer["constraint_satisfied"] is False
    assert answered("x", {"prompt": "Write it.", "constraint_ir": None}, path)[1].grammar == ""


def test_the_function_takes_constraints_of_the_contract_too(answered: Asking) -> None:
    """As Ananke's own function, and as libmaze sends them to it: in both fields."""
    body = {"prompt": "p", "constraints": {"grammar": YES_OR_NO}, "constraint_ir": {"grammar": YES_OR_NO}}
    assert answered("yes", body, "/")[0]["constraint_satisfied"] is True
    assert answered("maybe", body, "/generate_api")[0]["constraint_satisfied"] is False


@pytest.mark.parametrize(
    ("ir", "param"),
    [
        ({"grammer": "x"}, "constraint_ir.grammer"),
        ("x", "constraint_ir"),
        ([{"grammar": 3}], "constraint_ir[0].grammar"),
        ({"regex_patterns": [{"pattern": None}]}, "constraint_ir.regex_patterns[0].pattern"),
        ({"token_masks": {"some": [1]}}, "constraint_ir.token_masks.some"),
        ({"rich_context": 3}, "constraint_ir.rich_context"),
    ],
)
def test_what_is_wrong_with_an_ir_is_named(ir: object, param: str, answered: Asking) -> None:
    body, backend = answered("x", {"prompt": "p", "constraint_ir": ir}, "/generate_api", 400)
    assert body["error"]["param"] == param
    assert backend.requests == []


# ------------------------------------------------------------------------------------------------ evaluations

TASK = {
    "grammar": "export function find(a: number[], b: number): number {\n  // a while loop\n}",
    "regex_pattern": "^export\\s+function\\s+find",
    "structural_constraints": {"must_use": ["while loop"]},
}
CODE = "export function find(a: number[],  b: number): number {\n  return 0;\n}"


@pytest.mark.parametrize("nested", [False, True])
def test_an_evaluation_gets_code_that_has_the_signature_and_matches_the_pattern(nested: bool, answered: Asking) -> None:
    constraints: Any = {"task_id": "t", "constraints": TASK, "verified": True} if nested else TASK
    answer, backend = answered(CODE, {"prompt": "Find it.", "constraints": constraints}, "/generate/constrained")
    assert answer["code"] == CODE
    assert set(answer["metadata"]) >= {"tokens_generated", "generation_time_ms", "model", "constrained"}
    assert answer["metadata"]["constrained"] is True
    assert "while loop" in backend.prompt.text
    for wrong in ("function find() {}", "export function find(a: string): number {}"):
        body, _ = answered(wrong, {"prompt": "Find it.", "constraints": constraints}, "/generate/constrained", 502)
        assert body["error"]["code"] == "constraint_violated"
        assert "code" not in body


def test_what_llguidance_is_to_enforce_for_an_evaluation_is_enforced(answered: Asking) -> None:
    def constraints(**parts: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        return {"prompt": "p", "constraints": {"llguidance": parts, "constraint_type": "x", "constraint_count": 1}}

    path = "/generate/constrained"
    pattern = constraints(type="guidance", version="1.0", regex="a+[\\s\\S]*")
    answered("aab", pattern, path)
    answered("baa", pattern, path, 502)
    schema = constraints(json_schema={"enum": [1]})
    answered("1", schema, path)
    answered("2", schema, path, 502)
    answered("1", {"prompt": "p", "constraints": {"llguidance": '{"json_schema": {"enum": [1]}}'}}, path)
    answered("yes", {"prompt": "p", "constraints": {"grammar": YES_OR_NO}}, path)
    answered("maybe", {"prompt": "p", "constraints": {"grammar": YES_OR_NO}}, path, 502)
    answered("2", {"prompt": "p", "constraints": {"grammar": '{"enum": [1]}'}}, path, 502)
    answered("2", {"prompt": "p", "constraints": {"grammar": {"enum": [1]}}}, path, 502)
    body, _ = answered("2", {"prompt": "p", "constraints": {"grammer": "x"}}, path, 400)
    assert body["error"]["param"] == "constraints.grammer"


def test_an_unconstrained_evaluation_gets_its_examples_told(answered: Asking) -> None:
    examples = [{"prompt": "Add.", "code": "a + b"}]
    body = {"prompt": "Find it.", "few_shot_examples": examples}
    answer, backend = answered("x", body, "/generate/unconstrained")
    assert answer == {"code": "x", "metadata": {**answer["metadata"], "constrained": False}}
    assert backend.prompt.text == "Example 1:\nTask: Add.\n\na + b\n\nFind it."


# ------------------------------------------------------------------------------------------------ chats

SPEC = {
    "language": "python",
    "json_schema": None,
    "ebnf": YES_OR_NO,
    "type_bindings": [{"name": "users", "type_expr": "list[User]", "scope": "local"}, {"name": "T", "kind": "alias"}],
    "function_signatures": [
        {
            "name": "load",
            "params": [{"name": "path", "type": "str"}],
            "return_type": "bytes",
            "is_async": True,
            "is_generator": False,
        }
    ],
    "class_definitions": [{"name": "User", "fields": [{"name": "id", "type": "int"}], "methods": ["save"]}],
    "imports": [{"module": "json", "items": ["dumps"], "alias": None}],
    "control_flow": {"is_async": True},
    "semantic_constraints": {"preconditions": ["n >= 0"], "postconditions": [], "invariants": []},
    "scope_bindings": [{"name": "db", "type_expr": None, "resolution_path": "app.db", "source_file": "app.py"}],
    "call_graph": {"target_function": "main"},
    "intensity": "standard",
}


def chat(spec: Any = None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    body = {"model": "default", "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 20, **fields}
    return body if spec is None else {**body, "constraint_spec": spec}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/"])
def test_a_chat_is_answered_under_the_grammar_of_its_constraint_spec(path: str, answered: Asking) -> None:
    answer, backend = answered("yes", chat(SPEC, temperature=0.70), path)
    [choice] = answer["choices"]
    assert choice == {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
    assert answer["usage"]["completion_tokens"] == 1
    assert answer["constraint_spec"]["enforced"] == ["ebnf"]
    assert "imports" in answer["constraint_spec"]["told"]
    assert backend.requests[-1].model is None
    assert '"yes"' in backend.grammar or "yes" in backend.grammar

    body, _ = answered("maybe", chat(SPEC), path, 502)
    assert body["error"]["code"] == "constraint_violated"
    answer, _ = answered("ye", chat(SPEC), path, finish_reason="length")
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["constraint_satisfied"] is False


def test_the_facts_of_a_constraint_spec_are_told_to_the_model(answered: Asking) -> None:
    _, backend = answered("yes", chat(SPEC))
    told = backend.prompt.text
    for fact in (
        "- async load(path: str) -> bytes",
        '- users: list[User] {"scope":"local"}',
        '- T {"kind":"alias"}',
        "- User { id: int; save }",
        '- json {"items":["dumps"]}',
        "- precondition: n >= 0",
        "- db",
        "app.db",
        "Language: python",
    ):
        assert fact in told, told
    assert told.index("Say yes.") > told.index("Imports:")


def test_a_chat_has_a_system_prompt_and_earlier_turns(answered: Asking) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Say yes."},
    ]
    _, backend = answered("x", {"messages": messages, "stop": "\n", "seed": 3, "n": 1})
    prompt = backend.prompt
    assert (prompt.system, prompt.text, prompt.form) == ("Be brief.", "Say yes.", PromptForm.CHAT)
    assert [(turn.role, turn.text) for turn in prompt.messages] == [("user", "Hi."), ("assistant", "Hello.")]
    assert backend.requests[-1].stop == ("\n",)


@pytest.mark.parametrize(
    ("regex", "satisfying", "violating"),
    [
        ("yes", "yes", "oh yes"),
        ("(?i)yes", "YES", "oh YES"),
        ("(?m)yes", "yes", "no\nyes\nno"),
        ("a|b", "b", "ab"),
        ("^yes$", "yes", "yesterday"),
    ],
)
def test_a_regex_of_a_constraint_spec_is_one_of_the_whole_text(
    regex: str, satisfying: str, violating: str, answered: Asking
) -> None:
    answered(satisfying, chat({"regex": regex}))
    answered(violating, chat({"regex": regex}), status=502)


@pytest.mark.parametrize("regex", ["a)|(b", "(", "[z-a]"])
def test_a_regex_that_is_none_by_itself_is_refused(regex: str, answered: Asking) -> None:
    error = answered("b", chat({"regex": regex}), status=400)[0]["error"]
    assert error["code"] == "invalid_constraint"
    assert "constraint_spec.regex" in error["message"]
    compiled = {"prompt": "p", "constraints": {"llguidance": {"regex": regex}}}
    assert answered("b", compiled, "/generate/constrained", 400)[0]["error"]["code"] == "invalid_constraint"


def test_a_chat_goes_on_from_an_answer_that_is_begun(answered: Asking) -> None:
    messages = [{"role": "user", "content": "Say yes."}, {"role": "assistant", "content": "ye"}]
    body = {"messages": messages, "continue_final_message": True, "add_generation_prompt": False, "top_k": -1}
    answer, backend = answered("s", body)
    assert answer["choices"][0]["message"]["content"] == "s"
    assert backend.requests[-1].continue_from == "ye"
    assert answered("s", {**body, "constraint_spec": SPEC}, status=400)[0]["error"]["param"] == "continue_final_message"


def test_a_chat_streams(answered: Asking) -> None:
    *chunks, end, usage = answered.events("yes", chat(SPEC, stream=True))
    broken = answered.events("yes", chat({"regex": "no"}, stream=True))
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == "yes"
    assert end["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 1
    assert broken[-1]["error"]["code"] == "constraint_violated"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        (chat(n=2), "n"),
        (chat(frequency_penalty=0.5), "frequency_penalty"),
        (chat(chat_template_kwargs={"enable_thinking": True}), "chat_template_kwargs"),
        (chat(stream="yes"), "stream"),
        (chat(response_format={"type": "json_object"}), "response_format"),
        (chat(ebnf="x"), "ebnf"),
        (chat([]), "constraint_spec"),
        (chat({"ebnf": 3}), "constraint_spec.ebnf"),
        (chat({"ebmf": "x"}), "constraint_spec.ebmf"),
        (chat({"negative_regex": "x"}), "constraint_spec.negative_regex"),
        (chat({"forbidden_imports": ["os"]}), "constraint_spec.forbidden_imports"),
        (chat({"json_schema": "{"}), "constraint_spec.json_schema"),
        (chat({"fim": []}), "constraint_spec.fim"),
        (chat({"fim": {"hole_scale": "galaxy"}}), "constraint_spec.fim.hole_scale"),
        (chat({"fim": {"prefix": 3}}), "constraint_spec.fim.prefix"),
        (chat(max_tokens=0), "max_tokens"),
    ],
)
def test_what_is_wrong_with_a_chat_is_named(body: object, param: str, answered: Asking) -> None:
    answer, backend = answered("x", body, status=400)
    assert answer["error"]["param"] == param
    assert backend.requests == []


@pytest.mark.parametrize("junk", [3, "x", [3], [[]], [{}], {"a": {"b": [None]}}, [{"name": 3}], [{"name": "f"}]])
def test_facts_of_any_shape_are_told_and_break_nothing(junk: object, answered: Asking) -> None:
    fields = set(SPEC) - {"language", "json_schema", "ebnf", "intensity"}
    answered("x", chat(dict.fromkeys(fields, junk)))


# ------------------------------------------------------------------------------------------------ holes

LIST_GRAMMAR = 'start: "[" (ITEM ("," ITEM)*)? "]"\nITEM: /[a-z]+/\n'


def test_a_hole_is_filled_so_that_the_whole_is_of_the_grammar(answered: Asking) -> None:
    spec = {"ebnf": LIST_GRAMMAR, "fim": {"prefix": "[a,", "suffix": ",c]", "hole_scale": "expression"}}
    answer, backend = answered("b,c]", chat(spec))
    assert answer["choices"][0]["message"]["content"] == "b"
    assert answer["constraint_spec"]["enforced"] == ["ebnf", "fim"]
    assert backend.requests[-1].continue_from == "[a,"
    assert "[a,\nBehind it:\n,c]" in backend.prompt.text
    for wrong in ("1,c]", "b,d]", "c]", "b"):
        answered(wrong, chat(spec), status=502)
    *chunks, _, _ = answered.events("b,c]", chat(spec, stream=True))
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["b"]


def test_a_hole_without_a_grammar_is_what_its_scale_says(answered: Asking) -> None:
    spec = {"fim": {"prefix": "x = ", "suffix": "\n", "language": "python", "hole_scale": "expression"}}
    answer, _ = answered("a + b", chat(spec))
    assert answer["constraint_spec"]["enforced"] == ["fim"]
    answered("return 1", chat(spec), status=502)
    bound = {**spec, "scope_bindings": [{"name": "a"}], "type_bindings": [{"name": "b", "type_expr": "int"}]}
    answer, _ = answered("a + b", chat(bound))
    assert answer["constraint_spec"]["enforced"] == ["scope_bindings", "fim"]
    answered("a + c", chat(bound), status=502)
    for unknown in ({"language": "cobol"}, {"hole_scale": "block"}):
        answer, backend = answered("x", chat({"fim": {**spec["fim"], **unknown}}))
        assert answer["constraint_spec"] == {"enforced": [], "told": ["fim"]}
        assert backend.grammar == ""


# ------------------------------------------------------------------------------------------------ both sides


@pytest.fixture(scope="module")
def service(embedded_backend: EmbeddedEngine) -> Iterator[RunningService]:
    with running_service(embedded_backend) as running:
        yield running


@pytest.mark.parametrize("dialect", ["ananke-modal", "ananke-chat", "ananke-eval", "ananke-sglang", "maze"])
def test_our_own_service_enforces_for_every_dialect_with_a_real_model(dialect: str, service: RunningService) -> None:
    backend = backend_for(service.url, dialect=dialect, is_proven=False, api_key=NO_SECRET)
    grammar = EngineGrammar('start: "sun" | "moon"\n')
    completion, _ = generate(backend, ask_for(prompt=Prompt("Name a star."), grammar=grammar, max_tokens=2048))
    assert completion.text in ("sun", "moon")
    assert completion.unenforced == ""
    assert completion.engine["dialect"] == dialect
    if dialect != "ananke-sglang":  # /ready is SGLang's
        assert backend.health(Deadline(10_000)).ready


def test_the_service_lists_its_paths(answered: Asking) -> None:
    error = answered("x", {}, "/nowhere", 404)[0]["error"]
    for path in ("/generate/constrained", "/generate_api", "/v1/chat/completions"):
        assert path in error["message"]
