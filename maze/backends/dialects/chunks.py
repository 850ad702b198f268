"""Reads answers of OpenAI's protocol: chunks of `/v1/completions` and `/v1/chat/completions`, lists of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from operator import itemgetter

from maze.backends.base import FINISHED_STOP, Request
from maze.backends.dialects.base import (
    AnswerReader,
    Event,
    MalformedError,
    check_tokens,
    count_of,
    finish_reason_of,
    optional_text_of,
    text_of,
    token_ids_of,
)
from maze.result import TokenLogprob


def listed_models(answer: object) -> tuple[str, ...]:
    """The models that an answer of `GET /v1/models` names: `data[].id`."""
    entries = answer.get("data") if type(answer) is dict else None
    if type(entries) is not list or not all(type(entry) is dict and type(entry.get("id")) is str for entry in entries):
        raise MalformedError("its list of models has no 'data' with an 'id' each")
    return tuple(entry["id"] for entry in entries)


HIGHEST_LOGPROB = 0.001
"""Engines round, so that a certain token may come a little over 0."""


class ChunkReader(AnswerReader):
    """What chunks of both kinds have in common."""

    def __init__(self, request: Request, *, tells_tokens: bool = False) -> None:
        """`tells_tokens`: whether the server tells the ids of tokens, so that a mask can be checked."""
        super().__init__()
        self._request = request
        self._tells_tokens = tells_tokens
        self._token_ids: list[int] = []
        """Of the text."""
        self._tokens_told = 0
        """How many ids, with that of an end token."""

    def text_of_choice(self, choice: Event) -> str:
        """The piece of the text in a choice."""
        raise NotImplementedError

    def logprobs_of_choice(self, choice: Event) -> Sequence[TokenLogprob]:
        """The log-probabilities in a choice, of the tokens of its text."""
        told = choice.get("logprobs")
        content = told.get("content") if type(told) is dict else None
        return [logprob_of(token) for token in content] if type(content) is list else ()

    def take_logprobs(self, choice: Event) -> None:
        """Take those in a choice, where they were asked for."""
        most = self._request.top_logprobs
        if most is None:
            return
        try:
            self.logprobs += [replace(each, top=each.top[:most]) for each in self.logprobs_of_choice(choice)]
        except MalformedError as problem:
            self.problem = problem

    def read_counts(self, event: Event) -> None:
        usage = event.get("usage")
        if usage is None:
            return
        if type(usage) is not dict:
            raise MalformedError("its field 'usage' is not an object")
        self.take_counts(count_of(usage, "completion_tokens"), count_of(usage, "prompt_tokens"))
        details = usage.get("completion_tokens_details")
        thought = count_of(details, "reasoning_tokens") if type(details) is dict else None
        if thought is None:  # SGLang, which says 0 where it does not know
            thought = count_of(usage, "reasoning_tokens") or self.reasoning_tokens
        self.reasoning_tokens = thought

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
        text = self.text_of_choice(choice)
        if self.finish_reason is not None and text:
            raise MalformedError("text follows the event that finished it")
        if text:
            self.take_logprobs(choice)
        ids: list[int] = []
        if self._request.token_mask is not None and self._tells_tokens:
            ids = token_ids_of(choice, "token_ids")
            self._tokens_told += len(ids)
            self.tokens_generated = max(self.tokens_generated or 0, self._tokens_told)
        reason = choice.get("finish_reason")
        if reason is not None:
            try:
                self.finish_reason = finish_reason_of(reason)
            except MalformedError as problem:
                self.problem = problem
            # SGLang calls it matched_stop. It is a text, the id of a token, or null for the end token of the model.
            matched = choice.get("stop_reason", choice.get("matched_stop"))
            self.stopped_by_text = type(matched) is str and matched in self._request.stop
            if reason == FINISHED_STOP and (matched is None or ids[-1:] == [matched]):
                ids = ids[:-1]  # the end token, which is no part of the text
        self._token_ids += ids
        return text

    def check(self, text: str) -> None:
        super().check(text)
        if self._request.token_mask is not None:
            check_tokens(self._token_ids, self._request.token_mask)


class CompletionReader(ChunkReader):
    """Reads chunks of completions: `choices[].text`."""

    def text_of_choice(self, choice: Event) -> str:
        return text_of(choice, "text")

    def logprobs_of_choice(self, choice: Event) -> Sequence[TokenLogprob]:
        told = choice.get("logprobs")
        if type(told) is not dict or "tokens" not in told:
            return super().logprobs_of_choice(choice)  # as llama.cpp has it in both
        told = {name: told.get(name) or [] for name in ("tokens", "token_logprobs", "top_logprobs")}
        if any(type(values) is not list for values in told.values()):
            raise MalformedError("a field of its 'logprobs' is not an array")
        found = []
        for token, logprob, top in zip_longest(*told.values()):
            if type(token) is not str:
                raise MalformedError("an entry of its 'logprobs' has no text")
            named = top.items() if type(top) is dict else ()
            likeliest = sorted(((text, _number(each)) for text, each in named), key=itemgetter(1), reverse=True)
            found.append(TokenLogprob(token, _number(logprob), tuple(likeliest)))
        return found


class ChatReader(ChunkReader):
    """Reads chunks of a chat: `choices[].delta`, where what the model thought stands beside what it says."""

    def text_of_choice(self, choice: Event) -> str:
        delta = choice.get("delta")
        if delta is None:
            return ""
        if type(delta) is not dict:
            raise MalformedError("its field 'delta' is not an object")
        for field in ("reasoning", "reasoning_content"):  # today's name of it, and that of DeepSeek
            if delta.get(field) is not None:
                self.reasoning = (self.reasoning or "") + text_of(delta, field)
                break
        return optional_text_of(delta, "content") or ""


def logprob_of(token: object) -> TokenLogprob:
    """An entry of `logprobs.content`, or of `top_logprobs` in one."""
    if type(token) is not dict:
        raise MalformedError("an entry of its 'logprobs' is not an object")
    top = token.get("top_logprobs")
    others = [logprob_of(each) for each in top] if type(top) is list else []
    return TokenLogprob(
        text_of(token, "token"), _number(token.get("logprob")), tuple((each.text, each.logprob) for each in others)
    )


def _number(logprob: object) -> float:
    if not isinstance(logprob, int | float) or type(logprob) is bool or logprob > HIGHEST_LOGPROB:
        raise MalformedError("an entry of its 'logprobs' has no logarithm of a probability")
    return float(logprob)
