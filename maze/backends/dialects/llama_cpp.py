"""The server of llama.cpp: its request, and its own ways to fail."""

from __future__ import annotations

from typing import Any

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Request
from maze.backends.dialects.base import (
    Event,
    MalformedError,
    Reader,
    check_tokens,
    count_of,
    mask_grammar,
    optional_text_of,
    text_of,
    token_ids_of,
)
from maze.backends.dialects.openai import listed_models
from maze.backends.token_mask import check_vocabulary
from maze.errors import UnsupportedConstraintError


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
            fields["grammar"] = grammar
        return fields

    def reader(self, request: Request) -> Reader:
        return _LlamaCppReader(request)

    def model_names(self, answer: object) -> tuple[str, ...]:
        """`data[].id`."""
        return listed_models(answer)


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
