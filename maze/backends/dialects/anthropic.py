"""Anthropic's Messages API, as documented in November 2026; vLLM and gateways serve it as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maze.backends.base import Request
from maze.backends.dialects.base import (
    AnswerReader,
    Event,
    MalformedError,
)
from maze.backends.dialects.strict_schema import ANTHROPIC_RULES
from maze.backends.dialects.unenforcing import GO_ON, REFUSED, UnenforcingDialect
from maze.backends.dialects.words import CALLS_A_TOOL, content_of, end_by_count, end_of, usage_of
from maze.errors import UnsupportedConstraintError
from maze.options import PromptForm

API_VERSION = "2023-06-01"
"""Value of the header `anthropic-version`."""
LEAST_THINKING_TOKENS = 1024
"""Less than that cannot be asked for."""
HIGHEST_TEMPERATURE = 1.0

_BEGINS_ANEW = ("vllm", "sglang")
"""Servers that end the turn of an assistant in this protocol, whatever comes last."""
_PREFILL = "prefill"
"""Stands among what a model does not take for an answer that is begun."""


class AnthropicDialect(UnenforcingDialect):
    """`POST /v1/messages`."""

    name = "anthropic"
    page_parameter = "after_id"
    generate_path = "/v1/messages"
    ends_with_done = False
    optional_fields = ("temperature", "top_p", "top_k", "stop_sequences", "thinking")
    strict_rules = ANTHROPIC_RULES
    takes_any_schema = False

    def __init__(self) -> None:
        super().__init__()
        self._goes_on = True
        """Whether an answer that is begun is gone on from; others begin another behind it."""

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """There is no seed; a top_p of 1 is not sent, as some models take only one of it and the temperature."""
        del vocabulary
        self.refuse_mask(request)
        if request.prompt.form is PromptForm.RAW:
            raise UnsupportedConstraintError(
                "Anthropic's Messages API knows conversations only, and no prompt to be completed as it stands; leave "
                "prompt_form (MAZE_PROMPT) out"
            )
        left_out = self.conceded(model).left_out
        thinks = request.reasoning_tokens > 0 and "thinking" not in left_out
        thinking = max(request.reasoning_tokens, LEAST_THINKING_TOKENS) if thinks else 0
        fields: dict[str, Any] = {
            "model": model,
            "messages": _turns(request, prefills=self._goes_on and _PREFILL not in left_out and not thinks),
            "max_tokens": request.max_tokens + thinking,
            "stream": True,
        }
        if request.prompt.system is not None:
            fields["system"] = request.prompt.system
        if thinks:
            fields["thinking"] = {"type": "enabled", "budget_tokens": thinking}
        else:
            # Models that think take neither.
            fields["temperature"] = min(request.temperature, HIGHEST_TEMPERATURE)
            if request.top_k:
                fields["top_k"] = request.top_k
        if request.top_p != 1.0:
            fields["top_p"] = request.top_p
        if stop := [text for text in request.stop if text.strip()]:  # others are refused, and cut here all the same
            fields["stop_sequences"] = stop
        asked_for = self.format_of(request, model)
        if asked_for is not None:
            fields["output_config"] = {"format": {"type": asked_for.kind, "schema": asked_for.strict}}
        return {name: value for name, value in fields.items() if name not in left_out}

    def concede(
        self, request: Request, model: str | None, sent: Mapping[str, Any], status: int | None, said: str
    ) -> bool:
        conceded = self.conceded(model)
        prefilled = request.continue_from and sent["messages"][-1]["role"] == "assistant"
        if status in REFUSED and prefilled and ("prefill" in said or "assistant" in said):
            return conceded.leave_out({_PREFILL: True}, f"unsupported {_PREFILL}", (_PREFILL,))
        return super().concede(request, model, sent, status, said)

    def told(self, request: Request, model: str | None) -> dict[str, Any]:
        told = super().told(request, model)
        named = [told["left_out"]] if "left_out" in told else []
        if request.temperature > HIGHEST_TEMPERATURE:
            told["temperature"] = HIGHEST_TEMPERATURE
        return told | {"left_out": ", ".join([*named, "seed"])}

    def model_names(self, answer: object) -> tuple[str, ...]:
        names = super().model_names(answer)
        if type(answer) is dict and any(model.get("owned_by") in _BEGINS_ANEW for model in answer["data"]):
            self._goes_on = False
        return names

    def reader(self, request: Request) -> AnswerReader:
        return _MessageReader(request)


def _turns(request: Request, *, prefills: bool) -> list[dict[str, str]]:
    turns = [turn for turn in request.prompt.conversation() if turn["role"] != "system"]
    if request.continue_from:
        turns.append({"role": "assistant", "content": request.continue_from})
        # An answer that is begun may not end in white space.
        if not prefills or request.continue_from != request.continue_from.rstrip():
            turns.append({"role": "user", "content": GO_ON})
    return turns


class _MessageReader(AnswerReader):
    """Reads the events of a message, and messages as a whole from gateways that do not stream."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._text_bytes = 0

    def read_counts(self, event: Event) -> None:
        usage = usage_of(event)
        self.take_counts(usage.generated, usage.prompt)

    def feed(self, event: Event) -> str:
        match event.get("type"):
            case "message_start":
                message = _object_of(event, "message")
                self._read_model(message)
                self.take_counts(None, usage_of(message).prompt)  # the other count is not its own yet
            case "content_block_start":
                return self._text_of(_object_of(event, "content_block"))
            case "content_block_delta":
                return self._text_of(_object_of(event, "delta"))
            case "message_delta":
                self.read_counts(event)
                self._read_end(_object_of(event, "delta"))
            case "message_stop":
                self.end()
            case _:  # ping, content_block_stop, and what may be added
                pass
        return ""

    def feed_whole(self, answer: Event) -> str:
        content = answer.get("content")
        blocks = [content] if isinstance(content, str) else content
        if not isinstance(blocks, list):
            raise MalformedError("its field 'content' is not an array")
        self._read_model(answer)
        self.read_counts(answer)
        text = "".join(map(self._text_of, blocks))
        self._read_end(answer)
        self.end()
        return text

    def end(self) -> None:
        if self.finish_reason is None:
            most = self._request.max_tokens + self._request.reasoning_tokens
            self.finish_reason = end_by_count(self.tokens_generated, self._text_bytes, most)

    def _read_model(self, message: Event) -> None:
        model = message.get("model")
        self.model = model if type(model) is str else None

    def _text_of(self, block: object) -> str:
        """The text in a block of content or a piece of one; what is neither text nor thought says nothing."""
        match block:
            case {"type": "tool_use" | "server_tool_use"}:
                self.problem = MalformedError(CALLS_A_TOOL)
                return ""
            case {"type": str(kind)} if kind not in ("text", "text_delta", "thinking", "thinking_delta"):
                return ""
        piece = content_of(block)
        if piece.thought:
            self.reasoning = (self.reasoning or "") + piece.thought
        self._text_bytes += len(piece.text.encode(errors="surrogatepass"))
        return piece.text

    def _read_end(self, end: Event) -> None:
        reason = end.get("stop_reason")
        try:
            self.finish_reason = end_of(reason) or self.finish_reason
        except MalformedError as problem:
            self.problem = problem
        # vLLM says end_turn of a stop text as well, and gateways have no word of their own for one.
        self.stopped_by_text = self.stopped_by_text or reason == "stop_sequence" or bool(self._request.stop)


def _object_of(event: Event, field: str) -> Event:
    value = event.get(field)
    if type(value) is not dict:
        raise MalformedError(f"its field {field!r} is not an object")
    return value
