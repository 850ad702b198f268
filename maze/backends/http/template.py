"""Has a server's chat template make the text of a conversation, for prompts that are to be gone on from.

llama.cpp's server gives the text back at one path. vLLM and SGLang give the tokens of it and, at another, the text of
tokens. They are asked so where a model thinks, because their chat endpoints leave it to the model, and to the parser
that the server was started with, where thoughts end: no limit is kept, nothing goes on behind a thought, and a model
that always thinks is under no grammar until it has done so.
"""

from __future__ import annotations

from typing import Any

from maze.backends.dialects.base import Dialect
from maze.backends.endpoints import Endpoint
from maze.backends.http.client import Client
from maze.backends.http.limits import Call
from maze.backends.http.retry import FailedAttempt
from maze.backends.thoughts_in_text import END_OF_THOUGHT
from maze.native_json import dumps

_NOT_TAKEN = (400, 422)
"""What a server says that does not know a field, or has no template: what it then generates, or refuses, says more."""


class Template:
    """The chat template of a model at an endpoint, as far as the server applies it on its own."""

    def __init__(self, client: Client, endpoint: Endpoint, dialect: Dialect, model: str | None, call: Call) -> None:
        self._client = client
        self._endpoint = endpoint
        self._dialect = dialect
        self._model = model
        self._call = call

    def text(self, conversation: list[dict[str, str]], *, thinks: bool) -> str | None:
        """The prompt that it makes of a conversation; None if the server makes none."""
        asked = {"messages": conversation, "chat_template_kwargs": {"enable_thinking": thinks}}
        if self._dialect.template_path is not None:
            return self._text_of(self._ask(self._dialect.template_path, asked), self._dialect.template_path)
        tokens = self._tokens(asked)
        path = self._dialect.text_path
        if tokens is None or path is None:
            return None
        begin = self._tokens_before()
        if begin is None:
            return None
        # SGLang leaves special tokens out otherwise.
        shown = self._ask(path, {"model": self._model, "tokens": tokens[begin:], "skip_special_tokens": False})
        return self._text_of(shown, path)

    def thinks_apart(self) -> bool:
        """Whether thoughts and answer can be asked for one by one: always, or if a token ends the model's thoughts."""
        if self._dialect.template_path is not None:
            return True
        if self._dialect.text_path is None:
            return False
        return self._tokens_before() is not None and self._model in self._endpoint.ends_thoughts

    def _tokens_before(self) -> int | None:
        """How many tokens the server puts before each prompt, None if it does not tell; notes what ends thoughts."""
        known = self._endpoint.tokens_before
        if self._model not in known:
            alone, as_prompt = (
                self._tokens({"prompt": END_OF_THOUGHT, "add_special_tokens": begun}) for begun in (False, True)
            )
            if alone is not None and len(alone) == 1:
                self._endpoint.ends_thoughts.add(self._model)
            known[self._model] = None if alone is None or as_prompt is None else _place(alone, as_prompt)
        return known[self._model]

    def _tokens(self, asked: dict[str, Any]) -> list[int] | None:
        """What the server makes of a text or a conversation; None if it does not do that."""
        path = self._dialect.count_path
        fields = {"model": self._model, **asked}
        answer = None if path is None else question(self._client, self._endpoint, path, fields, self._call)
        tokens = answer.get("tokens") if type(answer) is dict else None
        return tokens if type(tokens) is list and all(type(token) is int for token in tokens) else None

    def _text_of(self, answer: object, path: str) -> str | None:
        if answer is None:
            return None
        text = answer.get("prompt", answer.get("text")) if type(answer) is dict else None  # SGLang's name is the second
        if type(text) is not str:
            raise self._client.failures.bad(self._endpoint.url, f"what it has at {path} has no text 'prompt'")
        return text

    def _ask(self, path: str, fields: dict[str, Any]) -> object:
        return self._client.post_json(self._endpoint, path, dumps(fields), self._call, may_lack=True)


def question(client: Client, endpoint: Endpoint, path: str, fields: dict[str, Any], call: Call) -> object:
    """The answer to a question about tokens; None from a server that does not take it."""
    try:
        return client.post_json(endpoint, path, dumps(fields), call, may_lack=True)
    except FailedAttempt as failed:
        if failed.status not in _NOT_TAKEN:
            raise
        return None


def _place(tokens: list[int], within: list[int]) -> int | None:
    """Where some tokens begin within others; None if they are not in there."""
    places = range(len(within) - len(tokens) + 1)
    return next((place for place in places if tokens and within[place : place + len(tokens)] == tokens), None)
