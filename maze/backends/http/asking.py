"""Asks one endpoint for a generation, in the form in which its server takes it.

The server's own template makes a prompt of a conversation, or the conversation is completed as one text where it has
none; max_tokens is lowered to what the context leaves; and where a server does not see to it itself, the model thinks
in one request and answers in a second, as a grammar is about the answer alone.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from maze.backends.base import Completion, OnText, Prompt, Request, total_of
from maze.backends.dialects.base import Dialect
from maze.backends.endpoints import Endpoint
from maze.backends.http.client import Client
from maze.backends.http.generation import GenerationAttempt
from maze.backends.http.limits import Call, Limits
from maze.backends.http.retry import FailedAttempt, error_in
from maze.backends.http.template import Template, question
from maze.backends.thoughts_in_text import END_OF_THOUGHT, THINK
from maze.errors import InvalidArgumentError, MazeError
from maze.native_json import dumps
from maze.options import PromptForm

_log = logging.getLogger(__name__)

WHOLE_SECS = 300.0
"""How long a service that did not stream is asked for whole answers before streaming is tried again."""
TEMPLATE_TOKENS = 256
"""What a chat template may add to the texts of a conversation: those of usual models add up to 60 tokens."""

_LACKS_TEMPLATE = re.compile(
    r"default chat template is no longer allowed|must provide a chat template|chat_template is not set", re.IGNORECASE
)
"""What transformers says, in vLLM and SGLang."""
_OF_PATHS = re.compile(r"not found|<html|<!doctype|no route|cannot post|\b(?:url|path|route)\b")
"""What servers say of a path that they do not have."""
_NO_SYSTEM = re.compile(
    r"system (?:role|message|prompt)s?(?: is| are)? not (?:be )?supported|not support (?:the )?system (?:role|message)"
    r"|only user and assistant roles|(?:developer|system) instruction is not enabled",
    re.IGNORECASE,
)
"""What the templates of models without a system turn say, such as Gemma's."""
_MUST_ALTERNATE = re.compile(
    r"(?:roles?|turns?|multiturn|messages?|conversation)\b[^.]{0,80}\balternat(?:e|es|ing)\b"
    r"|successive user or assistant|unexpected role '?(?:user|assistant)'? after role",
    re.IGNORECASE,
)
"""What templates (of Mistral, Llama 2, Gemma) and services (Bedrock, Gemini, DeepSeek) say of two turns of one role."""


class Asker:
    """Asks an endpoint for the generation of one call."""

    def __init__(
        self, client: Client, limits: Limits, endpoint: Endpoint, dialect: Dialect, model: str | None, call: Call
    ) -> None:
        self._client = client
        self._limits = limits
        self._endpoint = endpoint
        self._dialect = dialect
        self._model = model
        self._call = call
        self._lowered: dict[str, int] = {}
        """Numbers of tokens that were asked for in place of those of the request."""
        self._told: dict[str, str] = {}
        """How the turns were put otherwise than in the request."""

    def generate(self, request: Request, on_text: OnText) -> Completion:
        """Generate. Raises FailedAttempt and MazeError."""
        try:
            completion = self._generate_for(request, on_text)
        except (FailedAttempt, MazeError) as caught:
            error = error_in(caught)
            error.engine = error.engine | self._lowered | self._told
            raise
        max_tokens = self._lowered.get("max_tokens")
        return replace(completion, engine=completion.engine | self._lowered | self._told, max_tokens=max_tokens)

    def end_thoughts(self) -> bool:
        """End the model's thoughts in chats before they begin; returns whether that can be done.

        Raises FailedAttempt and MazeError.
        """
        endpoint = self._endpoint
        if self._dialect.chat_path is None:
            return False
        if not endpoint.has_template or not self._template().thinks_apart():
            return False
        endpoint.thinks_unasked.add(self._model)
        return True

    def let_think(self) -> None:
        """Leave it to the model again whether it thinks."""
        self._endpoint.thinks_unasked.discard(self._model)

    def _generate_for(self, request: Request, on_text: OnText) -> Completion:
        """Generate; the turns are put as the model's template takes them, once it has said so."""
        while True:
            prompt = self._as_taken(request.prompt)
            try:
                return self._generate(replace(request, prompt=prompt), on_text)
            except FailedAttempt as failed:
                if failed.error.partial_text or not self._concede_turns(prompt, f"{failed} {failed.said}"):
                    raise

    def _as_taken(self, prompt: Prompt) -> Prompt:
        """The prompt with turns that the model's template takes."""
        endpoint, taken = self._endpoint, prompt
        if self._model in endpoint.lacks_system:
            taken = taken.without_system()
        if self._model in endpoint.wants_alternation:
            taken = taken.with_alternating_turns()
        if taken.system != prompt.system:
            self._told["system"] = "in the first turn"
        if len(taken.messages) < len(prompt.messages):
            self._told["turns"] = "merged"
        return taken

    def _concede_turns(self, prompt: Prompt, said: str) -> bool:
        """Take account of a template that refuses the turns; returns whether other ones are worth a try."""
        endpoint, must_alternate = self._endpoint, _MUST_ALTERNATE.search(said) is not None
        if must_alternate and prompt.with_alternating_turns() != prompt:
            _log.info("%s: turns must alternate; neighbours of one role are merged", endpoint.url)
            endpoint.wants_alternation.add(self._model)
            return True
        if prompt.without_system() == prompt or not (must_alternate or _NO_SYSTEM.search(said)):
            return False
        # Some templates take a system turn for one of the turns that must alternate.
        _log.info("%s: the model has no system turn; its text goes into the first turn", endpoint.url)
        endpoint.lacks_system.add(self._model)
        return True

    def _generate(self, request: Request, on_text: OnText) -> Completion:
        if request.token_mask is not None:
            self._ask_for_vocabulary()
        dialect = self._dialect
        if request.prompt.demands_if_unenforced and not dialect.unenforced(request, self._model):
            request = replace(request, prompt=replace(request.prompt, demands=()))
        if dialect.chat_path is None and dialect.template_path is None:
            return self._run(request, on_text)  # a Maze service, or one that knows conversations alone
        if self._endpoint.context is not None:
            request = replace(request, prompt=request.prompt.within(self._endpoint.context))
        if request.prompt.form is PromptForm.RAW:
            is_bound = request.grammar is not None or request.token_mask is not None
            if is_bound and self._thinks_unasked(request):
                request = replace(request, thought="")  # it would be under no grammar before
            return self._generate_raw(request, on_text)
        templated = self._templated(request)
        if templated is not None:
            return _in_form(PromptForm.CHAT, lambda: self._generate_raw(templated, on_text))
        if dialect.chat_path is not None and self._endpoint.has_template:
            try:
                return _in_form(PromptForm.CHAT, lambda: self._chat(self._fitting(request), on_text))
            except FailedAttempt as failed:
                lacks_path = failed.status in (405, 501) or (failed.status == 404 and _lacks_path(failed.said))
                if failed.error.partial_text or not (lacks_path or _LACKS_TEMPLATE.search(str(failed))):
                    raise
            _log.warning("%s has no chat template: prompts are completed as they stand", self._endpoint.url)
            self._endpoint.has_template = False
        as_it_stands = replace(request, prompt=replace(request.prompt, form=PromptForm.RAW))
        return _in_form(PromptForm.RAW, lambda: self._generate_raw(as_it_stands, on_text))

    # -------------------------------------------------------------------------------------------- forms

    def _templated(self, request: Request) -> Request | None:
        """The request with the text that the server's template makes of the conversation; None for the chat endpoint.

        A thought that the template has begun, or the model always begins, is ended at once where none was asked for.
        """
        endpoint, dialect = self._endpoint, self._dialect
        thinks, thinks_unasked = _is_to_think(request), self._thinks_unasked(request)
        is_to_be_told = request.token_mask is not None and not dialect.tells_tokens_in_chats
        if not endpoint.has_template or not (dialect.chat_path is None or thinks or thinks_unasked or is_to_be_told):
            return None
        template = self._template()
        can_be_raw = template.thinks_apart() or (is_to_be_told and not thinks)
        text = template.text(request.prompt.conversation(), thinks=thinks) if can_be_raw else None
        if text is None:
            endpoint.has_template = dialect.chat_path is not None  # which says so itself where there is none
            return None
        if thinks_unasked or (not thinks and text.rstrip().endswith(THINK)):
            request = replace(request, thought="")
        return replace(request, prompt=Prompt(text, PromptForm.RAW))

    def _thinks_unasked(self, request: Request) -> bool:
        """Whether the model would think though it is not to, and its thought can be ended before."""
        is_known = not _is_to_think(request) and self._model in self._endpoint.thinks_unasked
        return is_known and self._template().thinks_apart()

    def _template(self) -> Template:
        return Template(self._client, self._endpoint, self._dialect, self._model, self._call)

    def _chat(self, request: Request, on_text: OnText) -> Completion:
        """Generate at the chat endpoint, and note of a model that it thinks where it was not to."""
        reasoning: str | None = None
        try:
            completion = self._run(request, on_text)
            reasoning = completion.reasoning
        except (FailedAttempt, MazeError) as caught:
            reasoning = error_in(caught).reasoning
            raise
        finally:
            if reasoning and not request.reasoning_tokens:
                self._endpoint.thinks_unasked.add(self._model)
        return completion

    def _generate_raw(self, request: Request, on_text: OnText) -> Completion:
        """Complete a text, after the model has thought where it is to."""
        request = self._fitting(request)
        if not request.reasoning_tokens and request.thought is None:
            return self._run(request, on_text)
        opened = request.prompt.raw()
        if not opened.rstrip().endswith(THINK):
            opened += f"{THINK}\n"
        if request.thought is not None:
            return self._run(self._fitting(_behind(opened, request.thought, request)), on_text)
        thinking = replace(
            request,
            prompt=Prompt(opened, PromptForm.RAW),
            grammar=None,
            token_mask=None,
            stop=(END_OF_THOUGHT,),
            max_tokens=request.reasoning_tokens,
            reasoning_tokens=0,
            continue_from="",
            is_thought=True,
            top_logprobs=None,
        )
        began = time.monotonic()
        try:
            thought = self._run(thinking, lambda _: True)
        except (FailedAttempt, MazeError) as caught:
            error = error_in(caught)
            error.reasoning, error.partial_text = error.partial_text.strip() or None, ""
            error.reasoning_tokens, error.first_token_ms = error.tokens_generated, None
            raise
        thinking_ms = (time.monotonic() - began) * 1000
        reasoning = thought.text.rstrip()
        answering = _behind(opened, reasoning, request)
        try:
            answer = self._run(self._fitting(answering), on_text)
        except (FailedAttempt, MazeError) as caught:
            error = error_in(caught)
            error.tokens_generated = total_of((thought.tokens_generated, error.tokens_generated))
            error.prompt_tokens = thought.prompt_tokens
            error.first_token_ms = _later(error.first_token_ms, thinking_ms)
            error.reasoning, error.reasoning_tokens = reasoning.strip(), thought.tokens_generated
            raise
        return replace(
            answer,
            tokens_generated=total_of((thought.tokens_generated, answer.tokens_generated)),
            prompt_tokens=thought.prompt_tokens,
            first_token_ms=_later(answer.first_token_ms, thinking_ms),
            reasoning=reasoning.strip(),
            reasoning_tokens=thought.tokens_generated,
        )

    # -------------------------------------------------------------------------------------------- limits of the model

    def _fitting(self, request: Request) -> Request:
        """The request with no more tokens than the context leaves, where the server refuses more."""
        context, path = self._endpoint.context, self._dialect.count_path
        wanted = request.max_tokens + request.reasoning_tokens
        if context is None or path is None:
            return request
        prompt = request.prompt
        texts = (
            [turn["content"] for turn in prompt.conversation()] if prompt.form is PromptForm.CHAT else [prompt.raw()]
        )
        most = sum(len(text.encode(errors="replace")) for text in (*texts, request.continue_from)) + TEMPLATE_TOKENS
        if most + wanted <= context:
            return request  # no token has less than a byte
        fields = self._dialect.counting_fields(request, self._model)
        answer = question(self._client, self._endpoint, path, fields, self._call)
        count = answer.get("count") if type(answer) is dict else None
        if type(count) is not int or not 0 < context - count < wanted:
            return request  # the server says what is wrong with a prompt that is too long
        left = context - count
        _log.info(
            "%s: max_tokens is lowered from %d to the %d that the context leaves", self._endpoint.url, wanted, left
        )
        thinking = min(request.reasoning_tokens, left // 2)
        fitting = replace(request, max_tokens=left - thinking, reasoning_tokens=thinking)
        if fitting.reasoning_tokens < request.reasoning_tokens:
            self._lowered["reasoning_tokens"] = fitting.reasoning_tokens
        if fitting.max_tokens < request.max_tokens:
            self._lowered["max_tokens"] = fitting.max_tokens
        return fitting

    def _ask_for_vocabulary(self) -> None:
        """Have the server name the size of its vocabulary, where it says that only of a token that is not in it."""
        endpoint, question = self._endpoint, self._dialect.vocabulary_question(self._model)
        if endpoint.vocabulary is not None or endpoint.knows_no_vocabulary or question is None:
            return
        try:
            self._client.post_json(endpoint, self._dialect.generate_path, dumps(question), self._call)
        except FailedAttempt as failed:
            if failed.status != 400:
                raise
            told = re.search(r"[Vv]ocabulary size: (\d{1,9})\b", str(failed))
            endpoint.vocabulary = int(told[1]) if told else None
        endpoint.knows_no_vocabulary = endpoint.vocabulary is None

    # -------------------------------------------------------------------------------------------- one request

    def _run(self, request: Request, on_text: OnText) -> Completion:
        """Send the request, and again as the dialect concedes what the service refuses."""
        dialect = self._dialect
        while True:
            try:
                fields = dialect.fields(request, self._model, self._endpoint.vocabulary)
                completion = self._send(fields, request, on_text)
            except FailedAttempt as failed:
                if not dialect.concede(request, self._model, fields, failed.status, failed.said):
                    raise
                _log.info("%s: the request is changed and sent again", failed)
            else:
                dialect.succeeded(request, self._model)
                self._endpoint.has_answered = True
                return completion

    def _send(self, fields: dict[str, Any], request: Request, on_text: OnText) -> Completion:
        """Send a request, to where the service answers whole if it does not stream."""
        endpoint, dialect = self._endpoint, self._dialect
        try:
            data = dumps(fields)
        except orjson.JSONEncodeError as error:
            raise InvalidArgumentError(f"the prompt, grammar or a stop text cannot be sent as JSON: {error}") from None

        def generate(path: str) -> Completion:
            attempt = GenerationAttempt(
                self._client, self._limits, endpoint, dialect, self._model, request, on_text, self._call
            )
            return attempt.run(path, data)

        streams = time.monotonic() >= endpoint.whole_until
        if streams or dialect.whole_path is None:
            try:
                return generate(dialect.path(request))
            except FailedAttempt as failed:
                if failed.status not in (404, 405) or dialect.whole_path is None:
                    raise
        completion = generate(dialect.whole_path)
        if streams:
            _log.info("%s does not stream: using %s", endpoint.url, dialect.whole_path)
            endpoint.whole_until = time.monotonic() + WHOLE_SECS
        return completion


def _lacks_path(said: str) -> bool:
    """Whether a 404 is about the path, and not about a model or something else that the service says it has not."""
    said = said.lower()
    return "model" not in said and (not said.strip() or bool(_OF_PATHS.search(said)))


def _is_to_think(request: Request) -> bool:
    return request.reasoning_tokens > 0 or request.thought is not None


def _later(ms: float | None, by_ms: float) -> float | None:
    """A time from the beginning of an answer as one from the beginning of the thoughts before it."""
    return None if ms is None else by_ms + ms


def _behind(opened: str, thought: str, request: Request) -> Request:
    """The request for the answer behind a thought that has ended."""
    prompt = Prompt(f"{opened}{thought}\n{END_OF_THOUGHT}\n\n", PromptForm.RAW)
    return replace(request, prompt=prompt, reasoning_tokens=0, thought=None)


def _in_form(form: PromptForm, generate: Callable[[], Completion]) -> Completion:
    """Generate with a record of how the model is spoken to."""
    try:
        completion = generate()
    except (FailedAttempt, MazeError) as caught:
        error = error_in(caught)
        error.engine = {**error.engine, "prompt_form": form}
        raise
    return replace(completion, engine={**completion.engine, "prompt_form": form})
