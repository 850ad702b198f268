"""OpenAI's protocol, as most products speak it: no grammar, at best a JSON Schema, and each leaves something out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Request
from maze.backends.dialects.base import AnswerReader, DeclinedError, Event, MalformedError, optional_text_of
from maze.backends.dialects.chunks import ChatReader, CompletionReader
from maze.backends.dialects.strict_schema import OPENAI_RULES
from maze.backends.dialects.unenforcing import GO_ON, REFUSED, ResponseFormat, UnenforcingDialect
from maze.types import PromptForm

MAX_STOP_TEXTS_SENT = 4
"""OpenAI takes no more. The text is cut at each of them here, wherever the service ends it."""

_CALLS_A_TOOL = "it calls a tool, and was offered none"
_FINISH_REASONS = {
    **dict.fromkeys(("eos", "eos_token", "end_turn", "stop_sequence", "complete"), FINISHED_STOP),
    **dict.fromkeys(("max_tokens", "model_length", "max_length"), FINISHED_LENGTH),
}
"""What other products say for stop and length."""


class OpenAiDialect(UnenforcingDialect):
    """`POST /v1/chat/completions`, and `POST /v1/completions` for a prompt that is to be completed as it stands."""

    name = "openai"
    backend = "openai"
    generate_path = "/v1/completions"
    chat_path = "/v1/chat/completions"
    may_lack_done = True
    optional_fields = (
        "temperature", "top_p", "top_k", "seed", "stop", "stream_options", "logprobs", "top_logprobs",
        "reasoning_effort",
    )  # fmt: skip
    strict_rules = OPENAI_RULES
    takes_any_schema = True

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        del vocabulary
        self.refuse_mask(request)
        left_out = self.conceded(model).left_out
        length = "max_completion_tokens" if "max_tokens" in left_out else "max_tokens"
        fields: dict[str, Any] = {
            "model": model,
            **_asked(request),
            length: request.max_tokens + request.reasoning_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.top_k:
            fields["top_k"] = request.top_k
        if request.stop:
            fields["stop"] = request.stop[:MAX_STOP_TEXTS_SENT]
        if request.reasoning_tokens:
            fields["reasoning_effort"] = _effort(request.reasoning_tokens)
        asked_for = self.format_of(request, model)
        if asked_for is not None:
            fields["response_format"] = _response_format(asked_for)
        return {name: value for name, value in fields.items() if name not in left_out}

    def concede(
        self, request: Request, model: str | None, sent: Mapping[str, Any], status: int | None, said: str
    ) -> bool:
        # Newer models of OpenAI name the other field; others, where max_tokens is too large, speak of it as well.
        if status in REFUSED and "max_tokens" in sent and "max_completion_tokens" in said:
            return self.conceded(model).leave_out(sent, said, ("max_tokens",))
        return super().concede(request, model, sent, status, said)

    def reader(self, request: Request) -> AnswerReader:
        return _TextReader(request) if request.prompt.form is PromptForm.RAW else ConversationReader(request)


def _asked(request: Request) -> dict[str, Any]:
    if request.prompt.form is PromptForm.RAW:
        logprobs = {} if request.top_logprobs is None else {"logprobs": request.top_logprobs}
        return {"prompt": request.prompt.raw() + request.continue_from, **logprobs}
    messages = request.prompt.conversation()
    if request.continue_from:
        messages += [{"role": "assistant", "content": request.continue_from}, {"role": "user", "content": GO_ON}]
    fields: dict[str, Any] = {"messages": messages}
    if request.top_logprobs is not None:
        fields |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    return fields


def _response_format(asked_for: ResponseFormat) -> dict[str, Any]:
    if not asked_for.schema:
        return {"type": "json_object"}
    # Where there is no strict form, most products take the schema as it is; OpenAI then promises nothing.
    schema = orjson.loads(asked_for.schema) if asked_for.strict is None else asked_for.strict
    if asked_for.kind != "json_schema":
        return {"type": "json_object", "schema": schema}
    named = {"name": "answer", "strict": asked_for.strict is not None, "schema": schema}
    return {"type": "json_schema", "json_schema": named}


def _effort(tokens: int) -> str:
    """How much a model is to think, in the only words that there are for it."""
    return "low" if tokens <= 1024 else "medium" if tokens <= 8192 else "high"


def _choice_of(event: Event) -> Event | None:
    """The one choice of an event, if it has one; a model without a name, as in Azure's first event, is taken out."""
    if event.get("model") == "":
        del event["model"]
    choices = event.get("choices")
    return choices[0] if type(choices) is list and choices and type(choices[0]) is dict else None


def _read_end(choice: Event) -> None:
    """Put the finish reason into OpenAI's words. Raises DeclinedError, MalformedError for those of no finished text."""
    reason = choice.get("finish_reason")
    if reason == "content_filter":
        raise DeclinedError("a filter of the service withholds the text, or the rest of it (content_filter)")
    if reason in ("tool_calls", "function_call"):
        raise MalformedError(_CALLS_A_TOOL)
    if type(reason) is str:
        choice["finish_reason"] = _FINISH_REASONS.get(reason.lower(), reason.lower())


class _TextReader(CompletionReader):
    """Reads completions of a prompt."""

    def feed(self, event: Event) -> str:
        if (choice := _choice_of(event)) is not None:
            if choice.get("text") is None:
                choice["text"] = ""  # LiteLLM's last chunk has none
            _read_end(choice)
        text = super().feed(event)
        self.stopped_by_text = self.stopped_by_text or bool(self._request.stop)  # which it does not tell
        return text

    def feed_whole(self, answer: Event) -> str:
        return self.feed(answer)


class ConversationReader(ChatReader):
    """Reads chunks of a chat, and chats as a whole from products that do not stream."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._refusal = ""

    def feed(self, event: Event) -> str:
        if (choice := _choice_of(event)) is not None:
            delta = choice.get("delta")
            if type(delta) is dict:
                self._refusal += optional_text_of(delta, "refusal") or ""
                if delta.get("tool_calls"):  # some products call it stop all the same
                    raise MalformedError(_CALLS_A_TOOL)
            if choice.get("finish_reason") is not None and self._refusal:
                raise DeclinedError("the model refuses: {}", self._refusal)
            _read_end(choice)
        text = super().feed(event)
        self.stopped_by_text = self.stopped_by_text or bool(self._request.stop)  # which it does not tell
        return text

    def feed_whole(self, answer: Event) -> str:
        choice = _choice_of(answer)
        if choice is None:
            raise MalformedError("it has no array 'choices' with an object")
        choice["delta"] = choice.get("message")
        return self.feed(answer)
