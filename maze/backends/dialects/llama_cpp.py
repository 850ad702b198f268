"""The server of llama.cpp, built with llguidance: the embedded engine's, or another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Request
from maze.backends.dialects.base import (
    AnswerReader,
    Dialect,
    Event,
    MalformedError,
    check_tokens,
    count_of,
    mask_grammar,
    optional_text_of,
    text_of,
    token_ids_of,
)
from maze.backends.dialects.chunks import listed_models, logprob_of
from maze.backends.vocabulary import check_vocabulary
from maze.compiled import TokenMask
from maze.errors import ConstraintViolatedError, ContradictionError, UnsupportedConstraintError
from maze.grammar.llguidance import engine_text
from maze.grammar.special_tokens import may_spell_special_token

_FORBIDDEN_BIAS = -1e9
"""Logit bias of a forbidden token: no other token, however unlikely, loses to it.

It is not infinite because llama.cpp picks any token, and drops the grammar, where all have the probability 0.
"""

_RANDOM_SEED = 2**32 - 1
"""What llama.cpp takes for "any"."""

_MOST_TOKENS = 2**31 - 1
"""More than it takes, and than any context holds."""


class LlamaCppDialect(Dialect):
    """The server of llama.cpp.

    Its chat template is applied in a request of its own, because its chat endpoint tells no ids of tokens. What is
    known of its model when it is made goes into the requests: the size of its vocabulary, the tokens that end an
    answer, and the texts of special tokens. Without the second a mask that lists what is allowed is only enforced
    alone, because a bias would ban the end of the answer; without the third llguidance forces no tokens, because
    llama.cpp takes text that it is forced to for special tokens.
    """

    name = "llama.cpp"
    generate_path = "/completion"
    template_path = "/apply-template"
    remedy = "build it with -DLLAMA_LLGUIDANCE=ON, or install one that was"
    takes_any_model = True
    version_field = "build_info"
    needs_model = False
    can_go_on = True
    ends_with_done = False

    def __init__(
        self,
        *,
        vocabulary: int | None = None,
        end_tokens: frozenset[int] = frozenset(),
        special_tokens: frozenset[str] | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._end_tokens = end_tokens
        self._special_tokens = special_tokens
        self._tells_its_own_tokens = vocabulary is not None
        """Any other server may have several models behind its address, whose tokens mean different texts."""
        self.describes_models = vocabulary is None
        self.version_path = "/props" if vocabulary is None else None

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """Every setting of the sampler is given: the server's own defaults are not neutral."""
        vocabulary = self._vocabulary or vocabulary
        grammar, prompt, written = request.grammar, request.prompt.raw() + request.continue_from, request.written
        fields: dict[str, Any] = {
            "prompt": prompt if written is None else [prompt.removesuffix(written.text), *written.ids],
            "n_predict": min(request.max_tokens, _MOST_TOKENS),
            "samplers": ["temperature", "top_k", "top_p"],
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
            "seed": request.seed % _RANDOM_SEED,
            "stop": request.stop,
            "stream": True,
            # So that the server notices between the steps of a long prompt that nobody listens.
            "return_progress": True,
            "cache_prompt": True,
            # Else a token that ends a thought is no text, which then would not end.
            "preserved_tokens": request.stop,
            "return_tokens": request.token_mask is not None or self._tells_its_own_tokens,
        }
        if model is not None:
            fields["model"] = model
        if request.top_logprobs is not None:
            fields["n_probs"] = max(1, request.top_logprobs)  # 0 would be none at all
        mask = request.token_mask
        if mask is not None:
            if vocabulary is not None:
                check_vocabulary(mask, vocabulary)
            if mask.allowed is None or (vocabulary is not None and self._end_tokens):
                fields["logit_bias"] = self._bias(mask, vocabulary)
            elif grammar is None:
                grammar = mask_grammar(mask.allowed - mask.forbidden)
            else:
                raise UnsupportedConstraintError(
                    "allowed tokens cannot be enforced together with a grammar by the llama.cpp server; use one "
                    "of the two, or the embedded engine"
                )
        if grammar is not None:
            special = self._special_tokens
            forced_tokens = special is not None and not may_spell_special_token(grammar, special)
            fields["grammar"] = engine_text(grammar, forced_tokens=forced_tokens)
        return fields

    def _bias(self, mask: TokenMask, vocabulary: int | None) -> list[list[float]]:
        """Forbid tokens; those that end an answer stay allowed unless they are forbidden themselves."""
        forbidden = set(mask.forbidden)
        if mask.allowed is not None and vocabulary is not None:
            if not mask.allowed - mask.forbidden:
                raise ContradictionError("token_masks: every allowed token is forbidden as well")
            forbidden |= set(range(vocabulary)) - mask.allowed - self._end_tokens
        if len(forbidden) == vocabulary:
            raise ContradictionError("token_masks: every token of the vocabulary is forbidden")
        return [[token, _FORBIDDEN_BIAS] for token in sorted(forbidden)]

    def reader(self, request: Request) -> AnswerReader:
        """A reader that checks the mask, if there is one."""
        return _LlamaCppReader(request, self._end_tokens, tells_its_own_tokens=self._tells_its_own_tokens)

    def model_names(self, answer: object) -> tuple[str, ...]:
        return listed_models(answer)


class _LlamaCppReader(AnswerReader):
    def __init__(self, request: Request, end_tokens: frozenset[int], *, tells_its_own_tokens: bool) -> None:
        super().__init__()
        self._mask = request.token_mask
        self._tells_its_own_tokens = tells_its_own_tokens
        self._top_logprobs = request.top_logprobs
        self._end_tokens = end_tokens
        self._has_grammar = request.grammar is not None
        # A grammar that llama.cpp cannot read it ignores, and where a grammar meets a bias nothing may be left.
        self._must_see_all = self._has_grammar or (
            self._mask is not None and self._mask.allowed is not None and not end_tokens
        )
        self._token_ids: list[int] = []
        """Of the text, and the end token where it is not known."""
        self._told: list[int] = []
        """All that the server told."""
        self._text = ""
        self._last_text = ""
        self._ended_by_token = False

    def read_counts(self, event: Event) -> None:
        self.take_counts(count_of(event, "tokens_predicted"), count_of(event, "tokens_evaluated"))

    def feed(self, event: Event) -> str:
        stop = event.get("stop")
        if type(stop) is not bool:
            raise MalformedError("its field 'stop' is not a boolean")
        text = text_of(event, "content")
        if stop:
            self._read_summary(event)
        elif "prompt_progress" not in event:
            self.take_counts(count_of(event, "tokens_predicted"), None)
            if self._tells_its_own_tokens or self._mask is not None:
                ids = token_ids_of(event, "tokens")
                self._told += ids
                if self._mask is not None:
                    self._take_tokens(ids, self._mask)
            self._last_text = text
            self._text += text
            told = event.get("completion_probabilities")
            if self._top_logprobs is not None and type(told) is list:
                found = map(logprob_of, told)
                self.logprobs += (replace(each, top=each.top[: self._top_logprobs]) for each in found)
        return text

    def _take_tokens(self, ids: list[int], mask: TokenMask) -> None:
        self._token_ids += (token for token in ids if token not in self._end_tokens or token in mask.forbidden)
        self.tokens_generated = max(self.tokens_generated or 0, len(self._told))
        if not (self._has_grammar and self._end_tokens):
            return
        for token in ids:
            if token in mask.forbidden or not (
                mask.allowed is None or token in mask.allowed or token in self._end_tokens
            ):
                raise ConstraintViolatedError(
                    f"token_masks: after {self._text[-40:]!r} no token satisfies both the grammar and the mask "
                    f"(the engine could only take the forbidden token {token})"
                )

    def _read_summary(self, event: Event) -> None:
        how = event.get("stop_type")
        if how not in ("eos", "word", "limit"):
            raise MalformedError("its field 'stop_type' is none of 'eos', 'word' and 'limit'")
        # `truncated`: the context was shifted or used up.
        self.finish_reason = FINISHED_LENGTH if how == "limit" or event.get("truncated") is True else FINISHED_STOP
        self._ended_by_token = how == "eos"
        # A server whose model is known was seen to obey grammars, so that its empty answer is one of the model's.
        self.stopped_by_text = how == "word" or bool(self._end_tokens)
        self.read_counts(event)
        if self._tells_its_own_tokens and len(self._told) == self.tokens_generated:
            self.token_ids = tuple(self._told)  # characters of several tokens come with the last of these alone
        self.model = optional_text_of(event, "model")
        if type(event.get("timings")) is dict:
            self.engine["timings"] = event["timings"]

    def check(self, text: str) -> None:
        super().check(text)
        if self._mask is None:
            return
        if self._ended_by_token and not self._end_tokens and not self._last_text:
            del self._token_ids[-1:]  # the end token, which is no part of the text
        check_tokens(self._token_ids, self._mask)
        if self._must_see_all and len(self._told) != self.tokens_generated:
            raise UnsupportedConstraintError(
                "token_masks: the text has characters made of several tokens, or a stop text, whose ids the llama.cpp "
                "server does not tell, so that the mask cannot be confirmed next to a grammar; leave one of them out"
            )
