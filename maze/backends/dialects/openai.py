"""`POST /v1/completions` of OpenAI, as vLLM and SGLang serve it."""

from __future__ import annotations

from typing import Any

from maze.backends.base import FINISHED_STOP, Request
from maze.backends.dialects.base import (
    AnswerReader,
    Dialect,
    Event,
    MalformedError,
    check_tokens,
    count_of,
    finish_reason_of,
    mask_grammar,
    optional_text_of,
    text_of,
    token_ids_of,
)
from maze.errors import UnsupportedConstraintError
from maze.grammar.llguidance import engine_text
from maze.grammar.special_tokens import may_spell_usual_special_token
from maze.types import EngineGrammar


def listed_models(answer: object) -> tuple[str, ...]:
    """The models that an answer of `GET /v1/models` names: `data[].id`."""
    entries = answer.get("data") if type(answer) is dict else None
    if type(entries) is not list or not all(type(entry) is dict and type(entry.get("id")) is str for entry in entries):
        raise MalformedError("its list of models has no 'data' with an 'id' each")
    return tuple(entry["id"] for entry in entries)


class OpenAiDialect(Dialect):
    """What vLLM and SGLang have in common."""

    generate_path = "/v1/completions"
    needs_model = True
    tells_tokens: bool
    """Whether it tells the ids of the generated tokens, so that a mask can be checked."""

    def _common_fields(self, request: Request, model: str | None) -> dict[str, Any]:
        return {
            "model": model,
            "prompt": request.prompt,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k or -1,
            # These two would otherwise come from the generation_config.json of the model.
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "seed": request.seed,
            "stop": request.stop,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def _grammar(self, request: Request) -> EngineGrammar | None:
        mask = request.token_mask
        if mask is None:
            return request.grammar
        if request.grammar is not None:
            raise UnsupportedConstraintError(
                f"token_masks cannot be enforced together with a grammar by {self.backend}; use one of the two, "
                "or the embedded engine"
            )
        if mask.allowed is None:
            raise UnsupportedConstraintError(
                f"forbidden tokens alone cannot be enforced by {self.backend}; list the allowed ones, "
                "or use the embedded engine"
            )
        return mask_grammar(mask.allowed - mask.forbidden)

    @staticmethod
    def _engine_text(grammar: EngineGrammar) -> str:
        """The grammar for a server that does not tell which special tokens its model has."""
        return engine_text(grammar, forced_tokens=not may_spell_usual_special_token(grammar))

    def reader(self, request: Request) -> AnswerReader:
        return OpenAiReader(request, tells_tokens=self.tells_tokens)

    def model_names(self, answer: object) -> tuple[str, ...]:
        return listed_models(answer)


class OpenAiReader(AnswerReader):
    """Reads chunks of completions."""

    def __init__(self, request: Request, *, tells_tokens: bool) -> None:
        super().__init__()
        self._request = request
        self._tells_tokens = tells_tokens
        self._token_ids: list[int] = []
        """Of the text."""
        self._tokens_told = 0
        """How many ids, with that of an end token."""

    def read_counts(self, event: Event) -> None:
        usage = event.get("usage")
        if usage is None:
            return
        if type(usage) is not dict:
            raise MalformedError("its field 'usage' is not an object")
        self.take_counts(count_of(usage, "completion_tokens"), count_of(usage, "prompt_tokens"))

    def feed(self, event: Event) -> str:
        choices = event.get("choices")
        if type(choices) is not list:
            raise MalformedError("an event has no array 'choices'")
        if self.model is None:
            self.model = optional_text_of(event, "model")
        self.read_counts(event)
        if not choices:
            return ""
        choice = choices[0]
        if len(choices) != 1 or type(choice) is not dict:
            raise MalformedError("its field 'choices' does not hold one object")
        text = text_of(choice, "text")
        if self.finish_reason is not None and text:
            raise MalformedError("text follows the event that finished it")
        ids: list[int] = []
        if self._request.token_mask is not None and self._tells_tokens:
            ids = token_ids_of(choice, "token_ids")
            self._tokens_told += len(ids)
            self.tokens_generated = max(self.tokens_generated or 0, self._tokens_told)
        reason = choice.get("finish_reason")
        if reason is not None:
            self.finish_reason = finish_reason_of(reason)
            # SGLang calls it matched_stop. It is a text, the id of a token, or null for the end token of the model.
            matched = choice.get("stop_reason", choice.get("matched_stop"))
            self.stopped_by_text = type(matched) is str and matched in self._request.stop
            if reason == FINISHED_STOP and matched is None:
                ids = ids[:-1]  # the end token, which is no part of the text
        self._token_ids += ids
        return text

    def check(self, text: str) -> None:
        super().check(text)
        if self._request.token_mask is not None:
            check_tokens(self._token_ids, self._request.token_mask)
