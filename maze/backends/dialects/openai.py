"""vLLM, SGLang and the llama.cpp server, each with its own request and its own ways to fail."""

from __future__ import annotations

from typing import Any

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Request
from maze.backends.dialects.base import (
    Event,
    MalformedError,
    Reader,
    check_tokens,
    count_of,
    finish_reason_of,
    mask_grammar,
    optional_text_of,
    text_of,
    token_ids_of,
)
from maze.backends.token_mask import check_vocabulary
from maze.errors import UnsupportedConstraintError
from maze.grammar.llguidance import engine_text
from maze.types import EngineGrammar


def _listed_models(answer: object) -> tuple[str, ...]:
    entries = answer.get("data") if type(answer) is dict else None
    if type(entries) is not list or not all(type(entry) is dict and type(entry.get("id")) is str for entry in entries):
        raise MalformedError("its list of models has no 'data' with an 'id' each")
    return tuple(entry["id"] for entry in entries)


class _OpenAiDialect:
    """What vLLM and SGLang have in common: `POST /v1/completions` of OpenAI."""

    generate_path = "/v1/completions"
    whole_path: str | None = None
    models_path = "/v1/models"
    version_field = "version"
    describes_models = True
    needs_model = True
    ends_with_done = True

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

    backend: str

    def model_names(self, answer: object) -> tuple[str, ...]:
        """`data[].id`."""
        return _listed_models(answer)


class VllmDialect(_OpenAiDialect):
    """vLLM, started with `--structured-outputs-config '{"backend":"guidance"}'`."""

    name = "vllm"
    backend = "vllm"
    ready_path = "/health"
    version_path: str | None = "/version"

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """The grammar goes into `structured_outputs`; `guided_grammar` of old versions is ignored by new ones."""
        del vocabulary  # vLLM does not tell it, and answers 400 to ids beyond it
        fields = self._common_fields(request, model)
        fields["request_id"] = request.request_id
        grammar = self._grammar(request)
        if grammar is not None:
            fields["structured_outputs"] = {"grammar": engine_text(grammar)}
        if request.token_mask is not None:
            fields["return_token_ids"] = True
        return fields

    def reader(self, request: Request) -> Reader:
        return _OpenAiReader(request, tells_tokens=True)


class SglangDialect(_OpenAiDialect):
    """SGLang."""

    name = "sglang"
    backend = "sglang"
    ready_path = "/ready"
    version_path: str | None = "/server_info"

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """The grammar goes into `ebnf`."""
        del vocabulary
        fields = self._common_fields(request, model)
        grammar = self._grammar(request)
        if grammar is not None:
            fields["ebnf"] = engine_text(grammar)
        return fields

    def reader(self, request: Request) -> Reader:
        return _OpenAiReader(request, tells_tokens=False)


class _OpenAiReader(Reader):
    def __init__(self, request: Request, *, tells_tokens: bool) -> None:
        super().__init__()
        self._request = request
        self._tells_tokens = tells_tokens
        self._token_ids: list[int] = []

    def feed(self, event: Event) -> str:
        choices = event.get("choices")
        if type(choices) is not list:
            raise MalformedError("an event has no array 'choices'")
        if self.model is None:
            self.model = optional_text_of(event, "model")
        usage = event.get("usage")
        if usage is not None:
            if type(usage) is not dict:
                raise MalformedError("its field 'usage' is not an object")
            self.tokens_generated = count_of(usage, "completion_tokens")
            self.prompt_tokens = count_of(usage, "prompt_tokens")
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


class LlamaCppDialect:
    """The server of llama.cpp, built with llguidance."""

    name = "llama.cpp"
    backend = "llama.cpp"
    generate_path = "/completion"
    whole_path: str | None = None
    ready_path = "/health"
    models_path = "/v1/models"
    version_path: str | None = "/props"
    version_field = "build_info"
    describes_models = True
    needs_model = False
    ends_with_done = False

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """Forbidden tokens are a bias of minus infinity, allowed ones a grammar: the bias would ban the end token."""
        fields: dict[str, Any] = {
            "prompt": request.prompt,
            "n_predict": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
            # The server's own defaults of these are not neutral.
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "seed": request.seed,
            "stop": request.stop,
            "stream": True,
            "cache_prompt": True,
        }
        if model is not None:
            fields["model"] = model
        grammar = request.grammar
        mask = request.token_mask
        if mask is not None:
            if vocabulary is not None:
                check_vocabulary(mask, vocabulary)
            fields["return_tokens"] = True
            if mask.allowed is not None:
                if grammar is not None:
                    raise UnsupportedConstraintError(
                        "allowed tokens cannot be enforced together with a grammar by the llama.cpp server; use one "
                        "of the two, or the embedded engine"
                    )
                grammar = mask_grammar(mask.allowed - mask.forbidden)
            elif mask.forbidden:
                fields["logit_bias"] = [[token, False] for token in sorted(mask.forbidden)]
        if grammar is not None:
            fields["grammar"] = engine_text(grammar)
        return fields

    def reader(self, request: Request) -> Reader:
        return _LlamaCppReader(request)

    def model_names(self, answer: object) -> tuple[str, ...]:
        """`data[].id`."""
        return _listed_models(answer)


class _LlamaCppReader(Reader):
    def __init__(self, request: Request) -> None:
        super().__init__()
        self._mask = request.token_mask
        # A grammar that llama.cpp cannot read it ignores, and where a grammar meets a bias nothing may be left.
        self._must_see_all = request.grammar is not None or (self._mask is not None and self._mask.allowed is not None)
        self._token_ids: list[int] = []
        self._last_text = ""

    def feed(self, event: Event) -> str:
        stop = event.get("stop")
        if type(stop) is not bool:
            raise MalformedError("its field 'stop' is not a boolean")
        text = text_of(event, "content")
        if stop:
            self._read_summary(event)
        else:
            self._last_text = text
            if self._mask is not None:
                self._token_ids += token_ids_of(event, "tokens")
        return text

    def _read_summary(self, event: Event) -> None:
        how = event.get("stop_type")
        if how not in ("eos", "word", "limit"):
            raise MalformedError("its field 'stop_type' is none of 'eos', 'word' and 'limit'")
        # `truncated`: the context was shifted or used up.
        self.finish_reason = FINISHED_LENGTH if how == "limit" or event.get("truncated") is True else FINISHED_STOP
        self.stopped_by_text = how == "word"
        self.tokens_generated = count_of(event, "tokens_predicted")
        self.prompt_tokens = count_of(event, "tokens_evaluated")
        self.model = optional_text_of(event, "model")
        if type(event.get("timings")) is dict:
            self.engine["timings"] = event["timings"]

    def check(self, text: str) -> None:
        super().check(text)
        if self._mask is None:
            return
        seen = len(self._token_ids)
        if self.finish_reason == FINISHED_STOP and not self.stopped_by_text and not self._last_text:
            del self._token_ids[-1:]  # the end token, which is no part of the text
        check_tokens(self._token_ids, self._mask)
        if self._must_see_all and seen != self.tokens_generated:
            raise UnsupportedConstraintError(
                "token_masks: the text has characters made of several tokens, or a stop text, whose ids the llama.cpp "
                "server does not tell, so that the mask cannot be confirmed next to a grammar; leave one of them out"
            )
