"""A text that ends in time: the model is stopped while there are tokens left, and goes on under short endings only."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

from maze.backends.base import FINISHED_LENGTH, Backend, Completion, OnText, Request, WrittenTokens, total_of
from maze.check.cut_off import HALF_A_CHARACTER
from maze.compiled import CompiledConstraints, EngineGrammar
from maze.errors import CancelledError, ConstraintViolatedError, LimitExceededError, MazeError, TimedOutError
from maze.grammar.budget import Budget
from maze.grammar.cfg.short_endings import CHARACTERS_PER_TOKEN, most_tokens
from maze.grammar.continuation import CannotFollowError, Rest, rest_after
from maze.result import TokenLogprob

_log = logging.getLogger(__name__)

LEAST_TOKENS = 8
"""Where there are fewer tokens, the model has all of them for itself: half of them would be a few."""
LEAST_STEERED_TOKENS = 16
"""What is left is worth more than one further request where it is over twice as much."""
MOST_RESERVED_TOKENS = 256
"""Most tokens that are kept for the ending before it is known how long that is."""
USUAL_CHARACTERS_PER_TOKEN = 4
"""Of JSON, programs and prose: a text whose tokens are longer is ended before its characters are used up, too."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What one or several requests to the engine gave."""

    completion: Completion
    steered_from: int | None = None
    """Characters of its text before what was written under a grammar of short endings; None if nothing was."""


@dataclass(frozen=True, slots=True)
class _Room:
    """What a text may still have."""

    tokens: int
    characters: int | None
    """Where patterns bound its length that the grammar does not know of; None if none does."""

    @classmethod
    def of(cls, request: Request, compiled: CompiledConstraints) -> _Room:
        """Of the answer to a request, as a whole."""
        most = compiled.most_characters
        if most is None or (most - len(request.continue_from)) < LEAST_TOKENS * USUAL_CHARACTERS_PER_TOKEN:
            return cls(request.max_tokens, None)
        return cls(request.max_tokens, most - len(request.continue_from))

    def after(self, text: str, tokens: int) -> _Room:
        """What is left of it behind a text of so many tokens."""
        characters = None if self.characters is None else max(0, self.characters - len(text))
        return _Room(self.tokens - tokens, characters)

    def tokens_of(self, characters_per_token: float) -> int:
        """How many tokens it may still have, each of about so many characters."""
        if self.characters is None:
            return self.tokens
        return min(self.tokens, int(self.characters / characters_per_token))


class WholeCharacters:
    """Hands text on, but holds back what may be half a character until more comes."""

    def __init__(self, on_text: OnText) -> None:
        self._on_text = on_text
        self._held = ""
        self.handed_out = False

    def __call__(self, piece: str) -> bool | None:
        text = self._held + piece
        whole = text.rstrip(HALF_A_CHARACTER)
        self._held = text[len(whole) :]
        if not whole:
            return True
        self.handed_out = True
        return self._on_text(whole)

    def drop(self) -> None:
        """Forget what is held back: it was cut off, and the text goes on before it."""
        self._held = ""

    def hand_out(self) -> bool | None:
        """Hand on what is held back."""
        held, self._held = self._held, ""
        return self._on_text(held) if held else True


def generate_in_time(
    backend: Backend, request: Request, compiled: CompiledConstraints, on_text: WholeCharacters
) -> Generated:
    """Generate so that the text comes to its end within max_tokens, as far as the grammar and the engine allow.

    The model has a part of the tokens for itself. If it is not done by then, what is left of the grammar tells
    how many tokens an ending takes: with far more left it goes on as before, else under a grammar of short endings.
    Raises as Backend.generate().
    """
    if not _can_be_steered(backend, request, compiled):
        return Generated(backend.generate(request, on_text))
    whole = _Room.of(request, compiled)
    tokens = whole.tokens_of(USUAL_CHARACTERS_PER_TOKEN)
    asked = tokens - first_reserve(tokens)
    made = backend.generate(replace(request, max_tokens=asked), on_text)
    while True:
        if made.finish_reason != FINISHED_LENGTH or made.tokens_generated is None:
            return Generated(made)
        used = made.tokens_generated - (made.reasoning_tokens or 0)
        if used < asked:
            return Generated(made)  # it is the context that is used up
        begun = made.text.rstrip(HALF_A_CHARACTER)
        left = whole.after(begun, used)
        tokens = left.tokens_of(max(len(begun) / used, USUAL_CHARACTERS_PER_TOKEN))
        rest = _rest(request, compiled, begun)
        if rest is None:
            return Generated(made)
        try:
            grammar, is_last = _to_go_on_under(rest, tokens, left)
        except (LimitExceededError, TimedOutError) as error:
            _log.debug("request %s is not steered: %s", request.request_id, error)
            return Generated(made)
        following_tokens = left.tokens if is_last else tokens - max(3 * _tokens_for(rest.shortest), tokens // 4)
        asked = used + following_tokens
        going_on = replace(
            request, grammar=grammar, continue_from=request.continue_from + begun, max_tokens=following_tokens,
            written=WrittenTokens(begun, made.token_ids) if made.token_ids and begun == made.text else None,
            reasoning_tokens=0, thought=made.reasoning,
        )  # fmt: skip
        on_text.drop()
        on_text.handed_out = False
        try:
            following = backend.generate(going_on, on_text)
        except MazeError as error:
            is_over = isinstance(error, CancelledError | TimedOutError) or request.cancellation.cancelled
            if request.token_mask is not None and isinstance(error, ConstraintViolatedError) and not is_over:
                # The mask allows nothing of what the short endings have there.
                return Generated(_cut_off_in(made, begun, error))
            if on_text.handed_out or is_over:
                raise _with_beginning(error, made, begun) from None
            _log.debug("request %s cannot go on: %s", request.request_id, error)
            return Generated(replace(made, text=begun))
        made = _joined(made, begun, following)
        if is_last:
            return Generated(made, steered_from=len(begun))


def first_reserve(max_tokens: int) -> int:
    """How many tokens are kept for the ending before it is known how many it takes."""
    return min(max_tokens // 2, MOST_RESERVED_TOKENS)


def _can_be_steered(backend: Backend, request: Request, compiled: CompiledConstraints) -> bool:
    return bool(compiled.packed_grammar) and request.max_tokens >= LEAST_TOKENS and backend.can_go_on(request)


def _rest(request: Request, compiled: CompiledConstraints, begun: str) -> Rest | None:
    """What the grammar leaves after the text; None where that is not to be found out, or the engine did not enforce."""
    try:
        return rest_after(compiled, request.continue_from + begun, Budget(request.deadline.at))
    except (CannotFollowError, LimitExceededError, TimedOutError) as error:
        _log.debug("request %s is not steered: %s", request.request_id, error)
        return None


def _to_go_on_under(rest: Rest, tokens: int, left: _Room) -> tuple[EngineGrammar, bool]:
    """All that is left of the grammar, or just its short endings: then true is beside it.

    Those are for few tokens, and for where the whole rest is too much for an engine. Raises as Rest.grammar().
    """
    if tokens >= 2 * LEAST_STEERED_TOKENS and tokens >= 6 * _tokens_for(rest.shortest):
        try:
            return rest.grammar(), False
        except LimitExceededError as error:
            _log.debug("short endings only: %s", error)
    return rest.grammar_of_short_endings(left.tokens_of(CHARACTERS_PER_TOKEN)), True


def _tokens_for(text: str) -> int:
    """About how many tokens a text has, and the one that ends it."""
    return 1 + math.floor(most_tokens(text))


def _joined(first: Completion, begun: str, second: Completion) -> Completion:
    tokens = total_of((first.tokens_generated, second.tokens_generated))
    logprobs: tuple[TokenLogprob, ...] | None = None
    if first.logprobs is not None and second.logprobs is not None:
        logprobs = first.logprobs + second.logprobs
    token_ids: tuple[int, ...] | None = None
    if first.token_ids is not None and second.token_ids is not None and first.text == begun:
        token_ids = first.token_ids + second.token_ids
    lowered = None if second.max_tokens is None else (first.tokens_generated or 0) + second.max_tokens
    return replace(
        second,
        text=begun + second.text,
        tokens_generated=tokens,
        prompt_tokens=first.prompt_tokens,
        first_token_ms=first.first_token_ms,
        token_ids=token_ids,
        logprobs=logprobs,
        max_tokens=lowered,
        reasoning=first.reasoning,
        reasoning_tokens=first.reasoning_tokens,
    )


def _cut_off_in(first: Completion, begun: str, error: MazeError) -> Completion:
    """What has come where a later request could not go on to its end."""
    tokens = total_of((first.tokens_generated, error.tokens_generated))
    return replace(first, text=begun + error.partial_text, tokens_generated=tokens)


def _with_beginning(error: MazeError, first: Completion, begun: str) -> MazeError:
    """The error of a later request, with what had been generated before it."""
    error.partial_text = begun + error.partial_text
    error.tokens_generated = total_of((first.tokens_generated, error.tokens_generated))
    error.prompt_tokens, error.first_token_ms = first.prompt_tokens, first.first_token_ms
    error.engine = first.engine | error.engine
    error.reasoning, error.reasoning_tokens = first.reasoning, first.reasoning_tokens
    return error
