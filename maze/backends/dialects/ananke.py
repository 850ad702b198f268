"""The services that Ananke deploys, but for the one that Maze's contract was made of (dialect `maze`).

All were written to go on without a constraint that they cannot take, and answer 200 with whatever came of it. So each
has to show once that it obeys a grammar. One that does not is used all the same, but nothing is taken to be enforced by
it: texts are checked, and broken ones made again. Token masks, which no check can see, it does not get.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Prompt, Request
from maze.backends.dialects.base import (
    AnswerReader,
    Dialect,
    Event,
    MalformedError,
    count_of,
    finish_reason_of,
    optional_text_of,
    text_of,
)
from maze.backends.dialects.openai import ConversationReader
from maze.backends.dialects.sglang import SglangDialect
from maze.backends.dialects.unenforcing import GO_ON
from maze.errors import UnsupportedConstraintError
from maze.grammar.llguidance import engine_text
from maze.options import Message, PromptForm, Role

DEFAULT_MODEL = "default"
"""What Ananke calls the model of a service that has but one."""


class AnankeDialect(Dialect):
    """A service that may enforce what it is handed, or not."""

    may_be_unproven = True
    describes_models = False
    needs_model = False
    ready_path = ""
    models_path = ""
    remedy = "see in its log why it did not apply the constraint"
    left_out: tuple[str, ...]
    """What of a request the service has no field for."""

    def for_endpoint(self) -> Dialect:
        return type(self)()

    def model_names(self, answer: object) -> tuple[str, ...]:
        del answer
        return ()

    def told(self, request: Request, model: str | None) -> dict[str, Any]:
        del model
        given = {"reasoning_tokens": request.reasoning_tokens, "top_logprobs": request.top_logprobs is not None}
        names = [name for name in self.left_out if given.get(name, True)]
        return {"left_out": ", ".join(names)} if names else {}


def refuse_mask(request: Request, name: str) -> None:
    """Refuse what could not be checked."""
    if request.token_mask is not None:
        raise UnsupportedConstraintError(
            f"token_masks cannot be checked in the answers of a service that speaks {name}; leave them out, or use the "
            "embedded engine"
        )


def as_one_text(prompt: Prompt) -> str:
    """A conversation for a service that takes one text."""
    return replace(prompt, text=prompt.turn()).raw()


def asked_to_go_on(request: Request) -> Prompt:
    """The conversation with the answer that is begun in it, for a service that begins every answer anew."""
    prompt = request.prompt
    if not request.continue_from:
        return prompt
    turns = Message(Role.USER, prompt.turn()), Message(Role.ASSISTANT, request.continue_from)
    return replace(prompt, text=GO_ON, messages=(*prompt.messages, *turns), demands=())


# ------------------------------------------------------------------------------------------------ one function


class AnankeModalDialect(AnankeDialect):
    """`generate_api`, a function at a URL of its own, or below one: it completes a prompt as it stands."""

    name = "ananke-modal"
    generate_path = ""
    whole_path = "/generate_api"
    left_out = ("seed", "reasoning_tokens", "top_logprobs")

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """The grammar stands in both fields for it: that of Ananke's command line, and that of the function."""
        del vocabulary
        refuse_mask(request, self.name)
        grammar = None if request.grammar is None else engine_text(request.grammar)
        fields: dict[str, Any] = {
            "prompt": as_one_text(request.prompt) + request.continue_from,
            "constraint_ir": None,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k or -1,
            "stop_sequences": request.stop,
        }
        if model is not None:
            fields["model"] = model
        if grammar is not None:
            fields["constraint_ir"] = {
                "name": request.request_id,
                "priority": 1,
                "json_schema": None,
                "grammar": grammar,
                "regex_patterns": [],
                "token_masks": None,
            }
            fields["constraints"] = {"grammar": grammar}
        return fields

    def reader(self, request: Request) -> AnswerReader:
        return _ModalReader(request)


class _ModalReader(AnswerReader):
    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request

    def read_counts(self, event: Event) -> None:
        metadata = event.get("metadata")
        told = count_of(metadata, "prompt_tokens") if type(metadata) is dict else None
        self.take_counts(count_of(event, "tokens_generated"), told)

    def feed_whole(self, answer: Event) -> str:
        _raise_if_failed(answer)
        self.read_counts(answer)
        self.model = optional_text_of(answer, "model_name") or optional_text_of(answer, "model")
        text = text_of(answer, "generated_text")
        if answer.get("finish_reason") is not None:
            self.finish_reason = finish_reason_of(answer["finish_reason"])
        else:
            self.finish_reason = _finish_reason(self.tokens_generated, self._request)
        self.stopped_by_text = bool(self._request.stop)  # which it does not tell
        told = {name: answer.get(name) for name in ("generation_time_ms", "constraint_satisfied")}
        self.engine["stats"] = told | (answer["stats"] if type(answer.get("stats")) is dict else {})
        return text


def _raise_if_failed(answer: Event) -> None:
    """Raise for an answer of status 200 that tells of a failure in its metadata."""
    metadata = answer.get("metadata")
    if type(metadata) is dict and metadata.get("error") is not None:
        raise MalformedError("the service says that it failed: {}", str(metadata["error"]))


def _finish_reason(tokens: int | None, request: Request) -> str:
    return FINISHED_LENGTH if tokens is not None and tokens >= request.max_tokens else FINISHED_STOP


# ------------------------------------------------------------------------------------------------ the eval service


class AnankeEvalDialect(AnankeDialect):
    """The service of Ananke's evaluations. It has a template of its own, and samples and stops in its own way."""

    name = "ananke-eval"
    generate_path = "/generate/unconstrained"
    constrained_path = "/generate/constrained"
    ready_path = "/health"
    may_repeat_beginning = True
    left_out = ("max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "reasoning_tokens", "top_logprobs")

    def path(self, request: Request) -> str:
        return self.generate_path if request.grammar is None else self.constrained_path

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """The service takes a JSON Schema at most; the grammar stands beside it for one that takes that too."""
        del vocabulary
        refuse_mask(request, self.name)
        if request.prompt.form is PromptForm.RAW:
            raise UnsupportedConstraintError(
                "the eval service of Ananke makes a prompt of its own, and completes none as it stands; leave "
                "prompt_form (MAZE_PROMPT) out"
            )
        fields: dict[str, Any] = {"prompt": as_one_text(asked_to_go_on(request))}
        if model is not None:
            fields["model"] = model
        if request.grammar is None:
            return fields | {"few_shot_examples": []}
        asked_for: dict[str, Any] = {"grammar": engine_text(request.grammar)}
        if request.json_schemas and not request.continue_from:
            asked_for["json_schema"] = _as_json(request.json_schemas[0])
        kind = "json_schema" if "json_schema" in asked_for else "grammar"
        return fields | {"constraints": {"llguidance": asked_for, "constraint_type": kind}}

    def reader(self, request: Request) -> AnswerReader:
        return _EvalReader(request)


def _as_json(schema: str) -> Any:  # noqa: ANN401 - any JSON
    """A schema as JSON; as text where it is beyond what can be read here."""
    try:
        return orjson.loads(schema)
    except orjson.JSONDecodeError:
        return schema


class _EvalReader(AnswerReader):
    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request

    def read_counts(self, event: Event) -> None:
        metadata = event.get("metadata")
        if type(metadata) is dict:
            self.take_counts(count_of(metadata, "tokens_generated"), None)

    def feed_whole(self, answer: Event) -> str:
        _raise_if_failed(answer)
        self.read_counts(answer)
        metadata = answer.get("metadata")
        if type(metadata) is not dict:
            raise MalformedError("its field 'metadata' is not an object")
        self.model = optional_text_of(metadata, "model")
        self.finish_reason = _finish_reason(self.tokens_generated, self._request)
        self.stopped_by_text = True  # it has stop texts of its own
        self.engine["metadata"] = metadata
        return text_of(answer, "code")


# ------------------------------------------------------------------------------------------------ chats


def _constraint_spec(request: Request, grammar: str) -> dict[str, Any]:
    """What Ananke's backend of SGLang and its chat function take."""
    return {"language": request.language, "json_schema": None, "ebnf": grammar}


class AnankeChatDialect(AnankeDialect):
    """The chat function, at a URL of its own: OpenAI's protocol, whole answers, and turns of the user alone."""

    name = "ananke-chat"
    generate_path = ""
    whole_path = "/v1/chat/completions"
    may_repeat_beginning = True
    left_out = ("top_p", "top_k", "seed", "stop", "reasoning_tokens", "top_logprobs")

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """An earlier turn of the assistant would be dropped, so that all turns are one of the user."""
        del vocabulary
        refuse_mask(request, self.name)
        prompt = asked_to_go_on(request)
        system = [] if prompt.system is None else [{"role": "system", "content": prompt.system}]
        asked = {"role": "user", "content": as_one_text(replace(prompt, system=None))}
        fields: dict[str, Any] = {
            "model": model or DEFAULT_MODEL,
            "messages": [*system, asked],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        if request.grammar is not None:
            fields["constraint_spec"] = _constraint_spec(request, engine_text(request.grammar))
        return fields

    def reader(self, request: Request) -> AnswerReader:
        return _FunctionReader(request)


class _FunctionReader(ConversationReader):
    def feed_whole(self, answer: Event) -> str:
        text = super().feed_whole(answer)
        # It says 0 for what it does not know.
        self.prompt_tokens = self.prompt_tokens or None
        if text:
            self.tokens_generated = self.tokens_generated or None
        self.stopped_by_text = bool(self._request.stop)
        return text


class AnankeSglangDialect(SglangDialect):
    """SGLang with Ananke's backend for grammars. Others ignore `constraint_spec`, which shows in the proof."""

    name = "ananke-sglang"
    may_be_unproven = True
    describes_models = False
    needs_model = False
    ready_path = "/health"
    remedy = "start it with --grammar-backend ananke"

    def for_endpoint(self) -> Dialect:
        return type(self)()

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        if self.unproven:
            refuse_mask(request, self.name)
        fields = super().fields(request, model or DEFAULT_MODEL, vocabulary)
        grammar = fields.pop("ebnf", None)
        if grammar is not None:
            fields["constraint_spec"] = _constraint_spec(request, grammar)
        return fields

    def reader(self, request: Request) -> AnswerReader:
        """It may answer whole, as the chat function of the same shape does."""
        return super().reader(request) if request.prompt.form is PromptForm.RAW else ConversationReader(request)
