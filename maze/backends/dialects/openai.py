"""OpenAI's protocol, as most products speak it: no grammar, at best a JSON Schema, and each leaves something out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from maze.backends.base import Request
from maze.backends.dialects.base import AnswerReader, DeclinedError, Event, MalformedError
from maze.backends.dialects.chunks import ChatReader, ChunkReader, CompletionReader
from maze.backends.dialects.strict_schema import OPENAI_RULES
from maze.backends.dialects.unenforcing import GO_ON, REFUSED, ResponseFormat, UnenforcingDialect
from maze.backends.dialects.words import CALLS_A_TOOL, choice_of, end_by_count, end_of, piece_of, usage_of
from maze.options import PromptForm

MAX_STOP_TEXTS_SENT = 4
"""OpenAI takes no more. The text is cut at each of them here, wherever the service ends it."""


class OpenAiDialect(UnenforcingDialect):
    """`POST /v1/chat/completions`, and `POST /v1/completions` for a prompt that is to be completed as it stands."""

    name = "openai"
    generate_path = "/v1/completions"
    chat_path = "/v1/chat/completions"
    may_lack_done = True
    optional_fields = (
        "temperature", "top_p", "top_k", "seed", "stop", "stream", "stream_options", "logprobs", "top_logprobs",
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


class _WordsReader(ChunkReader):
    """Reads chunks in the words of any product, and answers as a whole from those that do not stream."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._refusal = ""
        self._text_bytes = 0
        self._in_deltas = False
        self.stopped_by_text = bool(request.stop)  # which they do not tell

    def read_counts(self, event: Event) -> None:
        generated, prompt, thought = usage_of(event)
        self.take_counts(generated, prompt)
        self.reasoning_tokens = self.reasoning_tokens if thought is None else thought

    def feed(self, event: Event) -> str:
        if self.model is None and type(event.get("model")) is str:
            self.model = event["model"] or None  # Azure's first event has an empty one
        self.read_counts(event)
        choice = choice_of(event)
        if choice is None:
            return ""
        piece = piece_of(choice, in_deltas=self._in_deltas)
        if piece.text and self.finish_reason is not None:
            raise MalformedError("text follows the event that finished it")
        if piece.thought:
            self.reasoning = (self.reasoning or "") + piece.thought
        self._refusal += piece.refusal
        self._in_deltas = self._in_deltas or (bool(piece.text) and bool(choice.get("delta")))
        self._text_bytes += len(piece.text.encode(errors="surrogatepass"))
        if piece.text:
            self.take_logprobs(choice)
        if piece.calls_tool:  # some products call it stop all the same
            self.problem = MalformedError(CALLS_A_TOOL)
        try:
            self.finish_reason = end_of(choice.get("finish_reason")) or self.finish_reason
        except MalformedError as problem:
            self.problem = problem
        return piece.text

    def feed_whole(self, answer: Event) -> str:
        if choice_of(answer) is None:
            raise MalformedError("it has no array 'choices' with an object")
        text = self.feed(answer)
        self.end()
        return text

    def end(self) -> None:
        if self.finish_reason is None and not self._refusal:
            most = self._request.max_tokens + self._request.reasoning_tokens
            self.finish_reason = end_by_count(self.tokens_generated, self._text_bytes, most)

    def check(self, text: str) -> None:
        if self._refusal:
            raise DeclinedError("the model refuses: {}", self._refusal)
        super().check(text)


class _TextReader(_WordsReader, CompletionReader):
    """Reads completions of a prompt."""


class ConversationReader(_WordsReader, ChatReader):
    """Reads chats."""
