"""One generation at one endpoint: its request is sent, its events are read as they arrive, the whole is checked."""

from __future__ import annotations

import contextlib
import logging
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import httpx

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Completion, OnText, Request
from maze.backends.dialects.base import AnswerReader, Dialect, Event, MalformedError
from maze.backends.dialects.words import error_within
from maze.backends.endpoints import Endpoint
from maze.backends.halves import Halves, ends_with_first_half, together
from maze.backends.http.client import Client, body, limited
from maze.backends.http.failures import error_of
from maze.backends.http.limits import Call, Limits
from maze.backends.http.retry import Again, FailedAttempt, error_in, pause_secs
from maze.backends.http.sse import DONE, events, parsed
from maze.backends.repeated_beginning import RepeatedBeginning
from maze.backends.stop_texts import StopTexts
from maze.backends.thoughts_in_text import ThoughtsInText
from maze.backends.token_limit import check_token_limit
from maze.errors import CancelledError, MazeError
from maze.options import PromptForm
from maze.result import TokenLogprob

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
    pieces: int = 0
    """How many with text or thoughts have arrived."""
    first_text_ms: float | None = None
    was_left: bool = False
    """Whether the connection failed behind the end of the text."""

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
        reader.may_be_empty = self._may_be_empty()
        try:
            return self._read_with(reader, response)
        except (FailedAttempt, MazeError) as caught:
            error = error_in(caught)
            error.tokens_generated, error.prompt_tokens = self._tokens(reader), reader.prompt_tokens
            error.first_token_ms = self.first_text_ms
            error.model, error.engine = self._model(reader), self._engine(reader)
            error.reasoning, error.reasoning_tokens = _reasoning(reader), reader.reasoning_tokens
            raise

    def _read_with(self, reader: AnswerReader, response: httpx.Response) -> Completion:
        """Read an answer to its end, or to a stop text; hand out its text and look at the whole."""
        call, request = self.call, self.request
        halves = Halves()
        stops = StopTexts(request.stop)
        thoughts = self._thoughts_in_text()
        is_told = self.dialect.may_repeat_beginning and request.prompt.form is PromptForm.CHAT
        repeated = RepeatedBeginning(request.continue_from if is_told else "")
        characters = 0
        """How much text came."""
        answered: list[str] = []
        """What is no thought, and no beginning once more."""
        handed_out: list[str] = []
        failure: FailedAttempt | httpx.TransportError | MalformedError | None = None
        call.allow_silence(call.silence_secs)
        thought = 0
        """Characters that the service told apart as thoughts."""
        try:
            for piece in self._texts(response, reader):
                if piece:
                    call.raise_if_over()  # much may have arrived before
                    if self.first_text_ms is None:
                        self.first_text_ms = (time.monotonic() - self.started) * 1000
                if piece or len(reader.reasoning or "") > thought:
                    self.pieces += 1
                piece = halves.take(piece)
                if reader.finish_reason is not None:
                    piece += halves.rest(was_cut_off=reader.finish_reason == FINISHED_LENGTH)
                reader.problem = halves.problem or reader.problem
                characters += len(piece)
                answer = repeated.take(_without_thoughts(thoughts, reader, piece))
                if reader.finish_reason is not None:
                    answer += repeated.rest(is_finished=reader.finish_reason == FINISHED_STOP)
                if repeated.found:
                    reader.engine["continue_from"] = {"was_repeated": True}
                thought = len(reader.reasoning or "")
                answered.append(answer)
                text = stops.take(answer)
                if reader.finish_reason is not None:
                    text += stops.rest()
                if text:
                    handed_out.append(text)
                    if self.on_text(text) is False:
                        raise CancelledError("the caller ended the generation")
                if self.dialect.may_lack_done and reader.finish_reason is not None:
                    call.allow_silence(self.limits.last_events_secs)
                elif piece:
                    call.allow_silence(self.limits.gap_secs)
                # Only the end of an answer tells whether a mask was obeyed.
                if stops.found and request.token_mask is None:
                    break
            else:
                call.cancellation.raise_if_cancelled()
                reader.check("".join(answered))
                if not self.was_left:
                    response.extensions["done"]()
        except (FailedAttempt, httpx.TransportError, MalformedError) as caught:
            failure = caught
        except MazeError as error:
            error.partial_text = "".join(handed_out) + _left(thoughts, repeated, reader, stops)
            raise
        finally:
            response.close()

        if failure is not None:
            raise self._failed(failure, "".join(handed_out) + _left(thoughts, repeated, reader, stops))
        finish_reason = FINISHED_STOP if stops.found else reader.finish_reason
        assert finish_reason is not None  # noqa: S101 - check() has looked
        if thoughts is not None and finish_reason == FINISHED_STOP and not thoughts.were_unopened:
            self.endpoint.announces_thoughts.add(self.model)
        left_out = characters - sum(map(len, answered))
        text = "".join(handed_out)
        return Completion(
            text=text,
            finish_reason=finish_reason,
            tokens_generated=self._tokens(reader),
            model=self._model(reader),
            prompt_tokens=reader.prompt_tokens,
            first_token_ms=self.first_text_ms,
            reasoning=_reasoning(reader),
            reasoning_tokens=reader.reasoning_tokens,
            unenforced=self.dialect.unenforced(request, self.model),
            token_ids=reader.token_ids if thoughts is None and finish_reason == FINISHED_LENGTH else None,
            logprobs=_within(reader.logprobs, text, left_out) if reader.logprobs else None,
            engine=self._engine(reader),
        )

    def _may_be_empty(self) -> bool:
        """Whether an empty text is an answer: nothing to add to a text, or one to hold against what is only checked."""
        request = self.request
        is_checked = request.is_constrained and not self._enforces_grammar() and request.token_mask is None
        return bool(request.continue_from) or request.is_thought or is_checked

    def _enforces_grammar(self) -> bool:
        """Whether there is a grammar, and the service is known to enforce it."""
        return self.request.grammar is not None and not self.dialect.unenforced(self.request, self.model)

    def _tokens(self, reader: AnswerReader) -> int | None:
        """How many tokens came: as the service counts them, else by the pieces, as about a token comes with each.

        No text has 0 tokens; some services say so where they do not know.
        """
        if reader.tokens_generated or not self.pieces:
            return reader.tokens_generated
        if not self.comes_in_pieces:
            return None
        return min(self.pieces, self.request.max_tokens + self.request.reasoning_tokens)

    def _engine(self, reader: AnswerReader) -> dict[str, Any]:
        """What is known of the service and of how it was asked."""
        told = {name: self.client.failures.redaction.values(values) for name, values in reader.engine.items()}
        return self.endpoint.facts() | self.dialect.told(self.request, self.model) | told

    def _thoughts_in_text(self) -> ThoughtsInText | None:
        """What looks for thoughts in the text, where they may be: in no text of an enforced grammar."""
        request = self.request
        if not request.reasoning_tokens or not self.dialect.may_think_in_text or self._enforces_grammar():
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
            failed.again, failed.status = Again.NEVER, None
            failed.error.partial_text = text
        return failed

    def _texts(self, response: httpx.Response, reader: AnswerReader) -> Iterator[str]:
        """The text of each event of an answer, as it arrives; empty where an event has none."""
        content_type = response.headers.get("content-type", "")
        first, pieces = _first_of(limited(body(response), self.limits.answer_bytes))
        if not _may_be_answer(content_type, first):
            raise _not_a_stream(content_type)
        # Services call either of the two the other, and both a text.
        if first == b"{" or (_is_json(content_type) and first not in _FIRST_OF_EVENTS):
            self.comes_in_pieces = False
            answer = parsed(b"".join(pieces).removeprefix(BOM_UTF8))
            if (told := error_within(answer)) is not None:
                yield from _text_beside_error(reader.feed_whole, answer)
                raise self._told(told, reader)
            text = reader.feed_whole(answer)
            yield text
            _raise_problem(reader)
            self._check_limit(reader, text)
            return
        for sent in events(self._up_to_end(pieces, reader)):
            if sent.data.strip() == DONE:
                reader.end()
                yield ""
                return
            event = error_of(sent.data) if sent.is_error else parsed(sent.data)
            told = event if sent.is_error else error_within(event)
            if told is not None:
                yield from _text_beside_error(reader.feed, event)
                raise self._told(told, reader)
            text = reader.feed(event)
            self._check_limit(reader, text)
            yield text
            _raise_problem(reader)
            if not self.dialect.ends_with_done and reader.finish_reason is not None:
                return
        if self.dialect.may_lack_done and reader.finish_reason is not None:
            return
        raise MalformedError("it ended without its last event" + (", [DONE]" if self.dialect.ends_with_done else ""))

    def _up_to_end(self, pieces: Iterator[bytes], reader: AnswerReader) -> Iterator[bytes]:
        """The pieces of a stream, also if it fails behind the end of the text, where no more is needed."""
        try:
            yield from pieces
        except httpx.TransportError:
            if not self.dialect.may_lack_done or reader.finish_reason is None:
                raise
            self.was_left = True

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


_FIRST_OF_EVENTS = (b":", b"d", b"e", b"i", b"r")
"""Of a comment, and of the fields data, event, error, id and retry."""


def _first_of(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first byte of an answer that is no space, empty if it has none, and all pieces."""
    taken: list[bytes] = []
    for piece in pieces:
        taken.append(piece)
        if begun := piece.lstrip().removeprefix(BOM_UTF8).lstrip():
            return begun[:1], chain(taken, pieces)
    return b"", iter(taken)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _may_be_answer(content_type: str, first: bytes) -> bool:
    """Whether an answer can be a stream of events or a JSON object; of a type that says little, it must begin so."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream" or _is_json(kind):
        return True
    return kind in ("", "text/plain", "application/octet-stream") and first in (b"{", *_FIRST_OF_EVENTS)


def _text_beside_error(feed: Callable[[Event], str], event: Event) -> Iterator[str]:
    """The text of an event that tells of an error as well."""
    if "choices" in event:
        with contextlib.suppress(MalformedError):
            yield feed(event)


def _raise_problem(reader: AnswerReader) -> None:
    """Raise what was wrong behind the text that was read, once that is handed out."""
    if reader.problem is not None:
        raise reader.problem


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


def _left(thoughts: ThoughtsInText | None, repeated: RepeatedBeginning, reader: AnswerReader, stops: StopTexts) -> str:
    """The rest of the text of an answer that has failed."""
    text = ""
    if thoughts is not None:
        text = thoughts.rest()
        reader.reasoning = reader.reasoning or thoughts.thoughts
    return stops.take(repeated.take(text) + repeated.rest(is_finished=False)) + stops.rest()


def _within(logprobs: Sequence[TokenLogprob], text: str, thought: int) -> tuple[TokenLogprob, ...]:
    """Those of the tokens that begin in `text`: so many characters before it were thoughts, and others may follow."""
    kept: list[TokenLogprob] = []
    length = -thought
    for each in logprobs:
        if length >= len(text):
            break
        if length >= 0:
            kept.append(each)
        length += len(each.text) - ends_with_first_half(each.text)
    return tuple(kept)


def _reasoning(reader: AnswerReader) -> str | None:
    """What the model thought, whose pieces may be halves of characters."""
    return None if reader.reasoning is None else together(reader.reasoning)


def _not_a_stream(content_type: str) -> MalformedError:
    if content_type.lower().startswith("text/html"):
        kind = "an HTML page"
    else:
        kind = "of type {}" if content_type else "of no stated type"
    return MalformedError(f"it is {kind}, not a stream of events", content_type)
