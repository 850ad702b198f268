"""One generation at one endpoint: its request is sent, its events are read as they arrive, the whole is checked."""

from __future__ import annotations

import contextlib
import logging
import time
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Completion, OnText, Request
from maze.backends.dialects.base import AnswerReader, Dialect, Event, MalformedError
from maze.backends.endpoints import Endpoint
from maze.backends.http.client import Client, body, limited
from maze.backends.http.failures import error_of, is_error
from maze.backends.http.limits import Call, Limits
from maze.backends.http.retry import Again, FailedAttempt, error_in, pause_secs
from maze.backends.http.sse import DONE, events, parsed
from maze.backends.stop_texts import StopTexts
from maze.backends.thoughts_in_text import ThoughtsInText
from maze.backends.token_limit import check_token_limit
from maze.errors import CancelledError, MazeError
from maze.types import TokenLogprob

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class GenerationAttempt:
    """One attempt at a generation, at one endpoint."""

    client: Client
    limits: Limits
    endpoint: Endpoint
    dialect: Dialect
    model: str | None
    request: Request
    on_text: OnText
    call: Call
    started: float = field(default_factory=time.monotonic)
    text_bytes: int = 0
    """Of the text that has arrived."""
    comes_in_pieces: bool = True
    """Whether the answer is a stream."""

    def run(self, path: str, data: bytes) -> Completion:
        """Send the request and read its answer, wherever it is to be had in the end."""
        asked = self.client.post(self.endpoint, path, data, self.call)
        failures = 0
        while True:
            self.call.allow_silence(self.limits.first_text_secs)
            try:
                return self._read(self.client.answer(self.endpoint, asked))
            except FailedAttempt as caught:
                failure = caught
            if asked.redirects == 0:
                raise failure
            # The service works on the request already: ask for its result again, but never send the request again.
            failures += 1
            pause = pause_secs(self.limits, failures, failure.retry_after)
            if (
                failure.again in (Again.NEVER, Again.ELSEWHERE)
                or failures >= self.limits.attempts
                or pause >= self.call.deadline.remaining_secs()
            ):
                raise FailedAttempt(failure.error, blames_endpoint=failure.blames_endpoint)
            _log.warning("%s; asking for the result again in %.2f s", failure, pause)
            self.call.cancellation.wait(pause)
            self.call.cancellation.raise_if_cancelled()

    def _read(self, response: httpx.Response) -> Completion:
        """Read an answer of status 200; an error keeps what was told of tokens by then."""
        reader = self.dialect.reader(self.request)
        reader.may_be_empty = bool(self.request.continue_from) or self.request.is_thought
        try:
            return self._read_with(reader, response)
        except (FailedAttempt, MazeError) as caught:
            error = error_in(caught)
            error.tokens_generated, error.prompt_tokens = reader.tokens_generated, reader.prompt_tokens
            error.model, error.engine = self._model(reader), self._engine(reader)
            error.reasoning, error.reasoning_tokens = reader.reasoning, reader.reasoning_tokens
            raise

    def _read_with(self, reader: AnswerReader, response: httpx.Response) -> Completion:
        """Read an answer to its end, or to a stop text; hand out its text and look at the whole."""
        call, request = self.call, self.request
        stops = StopTexts(request.stop)
        thoughts = self._thoughts_in_text()
        pieces = characters = 0
        """How many with text came, and how much."""
        answered: list[str] = []
        """What is no thought."""
        handed_out: list[str] = []
        first_text_ms: float | None = None
        failure: FailedAttempt | httpx.TransportError | MalformedError | None = None
        call.allow_silence(call.silence_secs)
        try:
            for piece in self._texts(response, reader):
                if piece:
                    call.raise_if_over()  # much may have arrived before
                    if first_text_ms is None:
                        first_text_ms = (time.monotonic() - self.started) * 1000
                    pieces, characters = pieces + 1, characters + len(piece)
                answer = _without_thoughts(thoughts, reader, piece)
                answered.append(answer)
                text = stops.take(answer)
                if reader.finish_reason is not None:
                    text += stops.rest()
                if text:
                    handed_out.append(text)
                    if self.on_text(text) is False:
                        raise CancelledError("the caller ended the generation")
                if piece:
                    call.allow_silence(self.limits.gap_secs)
                # Only the end of an answer tells whether a mask was obeyed.
                if stops.found and request.token_mask is None:
                    break
            else:
                call.cancellation.raise_if_cancelled()
                reader.check("".join(answered))
                response.extensions["done"]()
        except (FailedAttempt, httpx.TransportError, MalformedError) as caught:
            failure = caught
        except MazeError as error:
            error.partial_text = "".join(handed_out) + _left(thoughts, reader, stops)
            raise
        finally:
            response.close()

        if failure is not None:
            raise self._failed(failure, "".join(handed_out) + _left(thoughts, reader, stops))
        finish_reason = FINISHED_STOP if stops.found else reader.finish_reason
        assert finish_reason is not None  # noqa: S101 - check() has looked
        tokens = reader.tokens_generated
        if tokens is None and self.comes_in_pieces and pieces:
            # Such a service sends about a token with each event.
            tokens = min(pieces, request.max_tokens + request.reasoning_tokens)
        if thoughts is not None and finish_reason == FINISHED_STOP and not thoughts.were_unopened:
            self.endpoint.announces_thoughts.add(self.model)
        thought = characters - sum(map(len, answered))
        text = "".join(handed_out)
        return Completion(
            text=text,
            finish_reason=finish_reason,
            tokens_generated=tokens,
            model=self._model(reader),
            prompt_tokens=reader.prompt_tokens,
            first_token_ms=first_text_ms,
            reasoning=reader.reasoning,
            reasoning_tokens=reader.reasoning_tokens,
            unenforced=self.dialect.unenforced(request, self.model),
            token_ids=reader.token_ids if thoughts is None and finish_reason == FINISHED_LENGTH else None,
            logprobs=_within(reader.logprobs, text, thought) if reader.logprobs else None,
            engine=self._engine(reader),
        )

    def _engine(self, reader: AnswerReader) -> dict[str, Any]:
        """What is known of the service and of how it was asked."""
        told = {name: self.client.failures.redaction.values(values) for name, values in reader.engine.items()}
        return self.endpoint.facts() | self.dialect.told(self.request, self.model) | told

    def _thoughts_in_text(self) -> ThoughtsInText | None:
        """What looks for thoughts in the text, where they may be: in no text of an enforced grammar."""
        request = self.request
        is_enforced = request.grammar is not None and not self.dialect.unenforced(request, self.model)
        if not request.reasoning_tokens or not self.dialect.may_think_in_text or is_enforced:
            return None
        return ThoughtsInText(may_be_unopened=self.model not in self.endpoint.announces_thoughts)

    def _model(self, reader: AnswerReader) -> str | None:
        """The model that answers, as far as it is known."""
        model = reader.model or self.model
        return None if model is None else self.client.failures.redaction.text(model)

    def _failed(self, failure: FailedAttempt | httpx.TransportError | MalformedError, text: str) -> FailedAttempt:
        """What becomes of an answer that failed after `text`. Raises if the call is over."""
        if isinstance(failure, httpx.TransportError):
            failed = self.client.failures.lost(self.endpoint.url, self.call, failure, text)
        else:
            self.call.raise_if_over(text)
            failed = (
                failure if isinstance(failure, FailedAttempt) else self.client.failures.bad(self.endpoint.url, failure)
            )
        if text:
            failed.again = Again.NEVER
            failed.error.partial_text = text
        return failed

    def _texts(self, response: httpx.Response, reader: AnswerReader) -> Iterator[str]:
        """The text of each event of an answer, as it arrives; empty where an event has none."""
        content_type = response.headers.get("content-type", "")
        kind = content_type.lower()
        pieces = limited(body(response), self.limits.answer_bytes)
        if kind.startswith("application/json"):
            self.comes_in_pieces = False
            answer = parsed(b"".join(pieces).removeprefix(BOM_UTF8))
            if is_error(answer):
                raise self._told(answer, reader)
            text = reader.feed_whole(answer)
            yield text
            self._check_limit(reader, text)
            return
        if not kind.startswith("text/event-stream"):
            raise _not_a_stream(content_type)
        for sent in events(pieces):
            if sent.data.strip() == DONE:
                return
            event = error_of(sent.data) if sent.is_error else parsed(sent.data)
            if sent.is_error or is_error(event):
                raise self._told(event, reader)
            text = reader.feed(event)
            self._check_limit(reader, text)
            yield text
            if not self.dialect.ends_with_done and reader.finish_reason is not None:
                return
        if self.dialect.may_lack_done and reader.finish_reason is not None:
            return
        raise MalformedError("it ended without its last event" + (", [DONE]" if self.dialect.ends_with_done else ""))

    def _told(self, error: Event, reader: AnswerReader) -> FailedAttempt:
        """What becomes of an error within an answer."""
        with contextlib.suppress(MalformedError):
            reader.read_counts(error)
        return self.client.failures.told(self.endpoint.url, error)

    def _check_limit(self, reader: AnswerReader, text: str) -> None:
        self.text_bytes += len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
        check_token_limit(
            self.request.max_tokens + self.request.reasoning_tokens, reader.tokens_generated, self.text_bytes
        )


def _without_thoughts(thoughts: ThoughtsInText | None, reader: AnswerReader, piece: str) -> str:
    """What is known to be no thought once `piece` has come; thoughts go to the reader."""
    if thoughts is None:
        return piece
    if reader.reasoning is not None and thoughts.thoughts is None:
        return thoughts.rest() + thoughts.take(piece)  # the service tells them apart
    text = thoughts.take(piece)
    if reader.finish_reason is not None:
        text += thoughts.rest()
    if thoughts.thoughts is not None:
        reader.reasoning = thoughts.thoughts
    return text


def _left(thoughts: ThoughtsInText | None, reader: AnswerReader, stops: StopTexts) -> str:
    """The rest of the text of an answer that has failed."""
    if thoughts is None:
        return stops.rest()
    text = stops.take(thoughts.rest()) + stops.rest()
    reader.reasoning = reader.reasoning or thoughts.thoughts
    return text


def _within(logprobs: Sequence[TokenLogprob], text: str, thought: int) -> tuple[TokenLogprob, ...]:
    """Those of the tokens that begin in `text`: so many characters before it were thoughts, and others may follow."""
    kept: list[TokenLogprob] = []
    length = -thought
    for each in logprobs:
        if length >= len(text):
            break
        if length >= 0:
            kept.append(each)
        length += len(each.text)
    return tuple(kept)


def _not_a_stream(content_type: str) -> MalformedError:
    if content_type.lower().startswith("text/html"):
        kind = "an HTML page"
    else:
        kind = "of type {}" if content_type else "of no stated type"
    return MalformedError(f"it is {kind}, not a stream of events", content_type)
