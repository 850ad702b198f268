"""What every engine behind Maze looks like from above: compiled grammar and sampling options in, text out."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from maze.backends.prompt_tokens import most_tokens
from maze.compiled import EngineGrammar, TokenMask
from maze.errors import CancelledError, TimedOutError
from maze.options import Message, PromptForm, Role
from maze.result import TokenLogprob

_LONGEST_SECS = threading.TIMEOUT_MAX / 2
"""A century or so: locks cannot be waited for longer."""


class Deadline:
    """The one point in time at which a call must have ended, however many attempts it took."""

    __slots__ = ("at", "setting", "timeout_ms")

    def __init__(self, timeout_ms: float) -> None:
        self.timeout_ms = timeout_ms
        self.at = time.monotonic() + min(timeout_ms / 1000, _LONGEST_SECS)
        self.setting = "timeout_ms"
        """What is to be raised for more time."""

    def of_question(self) -> Deadline:
        """The same for a question about the engine, whose time only the configuration sets."""
        deadline = copy.copy(self)
        deadline.setting = "timeout_secs"
        return deadline

    def remaining_secs(self) -> float:
        """Seconds left; 0 once the deadline has passed."""
        return max(0.0, self.at - time.monotonic())

    def expired(self) -> bool:
        return time.monotonic() >= self.at

    def error(self, partial_text: str = "") -> TimedOutError:
        """What a call that has passed it ends with."""
        if self.setting == "timeout_ms":
            problem = f"no complete answer within {self.timeout_ms:.0f} ms; raise timeout_ms or lower max_tokens"
        else:
            problem = f"no answer within {self.timeout_ms:.0f} ms; raise {self.setting}, or see to the service"
        return TimedOutError(problem, partial_text=partial_text)


class Cancellation:
    """Lets another thread end a call. `on_cancel` registers what wakes a waiting backend (closing its socket)."""

    __slots__ = ("_callbacks", "_lock", "_reason")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._reason: str | None = None

    def cancel(self, reason: str) -> None:
        """End the call; the first reason stays. Safe from any thread, and more than once."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    @property
    def cancelled(self) -> bool:
        return self._reason is not None

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when cancelled (at once if it is already). Returns a function that takes it back."""
        with self._lock:
            if self._reason is None:
                self._callbacks.append(callback)
                return lambda: self._remove(callback)
        callback()
        return lambda: None

    def _remove(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def wait(self, secs: float) -> bool:
        """Sleep so long, or until cancelled; returns whether it was."""
        wake = threading.Event()
        forget = self.on_cancel(wake.set)
        wake.wait(secs)
        forget()
        return self.cancelled

    def error(self, partial_text: str = "") -> CancelledError:
        """What a call that was cancelled ends with."""
        return CancelledError(self._reason or "cancelled", partial_text=partial_text)

    def raise_if_cancelled(self, partial_text: str = "") -> None:
        if self.cancelled:
            raise self.error(partial_text)


MAX_DEMAND_TOKENS = 512
"""Most tokens of a prompt that say what the constraints demand."""
DEMANDS_SHARE = 8
"""They are no more than this part of the context."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is asked, in the parts that each form of asking puts together."""

    text: str
    """What the user asks for in this turn."""
    form: PromptForm = PromptForm.CHAT
    system: str | None = None
    messages: tuple[Message, ...] = ()
    """Earlier turns, oldest first."""
    demands: tuple[str, ...] = ()
    """What the constraints demand, a line each, the most telling first; said in a chat."""
    demands_if_unenforced: bool = False
    """Whether they are said only to an engine that does not enforce them.

    To one that does it was of no use: of 100 tasks SmolLM2-135M satisfied all either way, and filled in 48 % of the
    fields as the prompt said in place of 89 % (benchmarks/described_constraints.py).
    """
    corrects: bool = False
    """Whether it tells what is wrong with the last answer."""

    def turn(self) -> str:
        """The user's turn in a chat."""
        return "\n\n".join([self.text, "\n".join(self.demands)]) if self.demands else self.text

    def without_system(self) -> Prompt:
        """The same in a chat, with the system prompt at the beginning of the user's first turn."""
        if self.system is None or self.form is not PromptForm.CHAT:
            return self
        first, *others = [*self.messages, Message(Role.USER, self.text)]
        if first.role is Role.USER:
            first = replace(first, text=f"{self.system}\n\n{first.text}")
        else:
            others.insert(0, first)
            first = Message(Role.USER, self.system)
        *messages, last = first, *others
        return replace(self, system=None, messages=tuple(messages), text=last.text)

    def with_alternating_turns(self) -> Prompt:
        """The same in a chat, with neighbouring turns of one role as one."""
        if self.form is not PromptForm.CHAT:
            return self
        turns: list[Message] = []
        for turn in (*self.messages, Message(Role.USER, self.text)):
            if turns and turns[-1].role is turn.role:
                turns[-1] = replace(turn, text=f"{turns[-1].text}\n\n{turn.text}")
            else:
                turns.append(turn)
        *messages, last = turns
        return replace(self, messages=tuple(messages), text=last.text)

    def conversation(self) -> list[dict[str, str]]:
        """All turns as chat endpoints take them."""
        turns = [*self.messages, Message(Role.USER, self.turn())]
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return system + [{"role": turn.role.value, "content": turn.text} for turn in turns]

    def within(self, context: int) -> Prompt:
        """The prompt with as many demands as a context of so many tokens has room for."""
        left = min(MAX_DEMAND_TOKENS, context // DEMANDS_SHARE)
        if sum(map(len, self.demands)) <= left:
            return self  # no token has less than a character
        kept = 0
        for demand in self.demands:
            left -= most_tokens(demand) + 1
            if left < 0:
                break
            kept += 1
        return self if kept == len(self.demands) else replace(self, demands=self.demands[:kept])

    def raw(self) -> str:
        """One text to be completed, for a model without a chat template or one that is to go without it."""
        parts = [] if self.system is None else [self.system]
        if self.messages:
            turns = [*self.messages, Message(Role.USER, self.text)]
            parts += [f"{turn.role.value.capitalize()}: {turn.text}" for turn in turns]
            parts.append("Assistant: ")
        else:
            parts.append(self.text)
        return "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class WrittenTokens:
    """A text in the tokens that its engine wrote it in, which need not be those that it would read it in."""

    text: str
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One generation as a backend sees it. Everything is explicit: engines' own defaults differ."""

    prompt: Prompt
    grammar: EngineGrammar | None
    """Of what the engine is to generate: of the text after `continue_from`, where that is given."""
    token_mask: TokenMask | None
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    """0 for all tokens."""
    seed: int
    stop: tuple[str, ...]
    model: str | None
    """None for the engine's own."""
    request_id: str
    deadline: Deadline
    cancellation: Cancellation
    continue_from: str = ""
    """The answer begins with this text, and the model goes on from it."""
    written: WrittenTokens | None = None
    """The end of `continue_from`, where the engine wrote it itself for the same prompt and said how.

    An engine that is given its own tokens has them in its cache, and need not compute them once more.
    """
    is_constrained: bool = False
    """Whether there are constraints that say something, enforced or not."""
    whole_grammar: EngineGrammar | None = None
    """Of the answer with `continue_from`, for services that find out themselves what comes after it."""
    reasoning_tokens: int = 0
    """Tokens that the model may think before the answer, outside the grammar; beside max_tokens."""
    thought: str | None = None
    """What it has thought before `continue_from` already, where that was so."""
    is_thought: bool = False
    """What is asked for is a thought alone, of which there may be none."""
    json_schemas: tuple[str, ...] = ()
    """The JSON Schemas among the constraints, in the caller's order, for engines that take no grammar."""
    top_logprobs: int | None = None
    """Likeliest tokens to tell beside the log-probability of each token; None for no log-probabilities."""
    language: str | None = None
    """Programming language of the text, for services that want to be told."""

    def raise_if_over(self, partial_text: str = "") -> None:
        """Raise if the call was cancelled or its deadline has passed."""
        self.cancellation.raise_if_cancelled(partial_text)
        if self.deadline.expired():
            raise self.deadline.error(partial_text)


FINISHED_STOP = "stop"
"""The grammar was complete, a stop text came, or the model ended its answer."""
FINISHED_LENGTH = "length"
"""max_tokens or the context was used up."""
FINISHED_COMPLETED = "completed"
"""It was cut off, and libmaze has appended the shortest ending."""
FINISHED = (FINISHED_STOP, FINISHED_LENGTH, FINISHED_COMPLETED)
"""How a text can end that is there as a whole."""
FINISHED_CANCELLED = "cancelled"
FINISHED_TIMED_OUT = "timed_out"
FINISHED_ERROR = "error"
"""The engine failed in any other way; the status of the call says how."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine answered; of a generation that failed, as far as it is known."""

    text: str
    """What it generated: without `continue_from` of the request, and without what it thought."""
    finish_reason: str
    """FINISHED_STOP or FINISHED_LENGTH, and of a generation that failed one of the others."""
    tokens_generated: int | None
    model: str | None
    """The model that answered, as the engine calls it."""
    prompt_tokens: int | None = None
    first_token_ms: float | None = None
    engine: dict[str, Any] = field(default_factory=dict)
    """What the engine said of itself and of this call (version, endpoint, timings); goes into the provenance."""
    reasoning: str | None = None
    """What the model thought before the answer; None where it was not asked to."""
    reasoning_tokens: int | None = None
    """How many tokens of `tokens_generated` were that; None where the engine does not tell them apart."""
    unenforced: str = ""
    """Why the engine is not known to enforce what it was handed; empty if it does."""
    token_ids: tuple[int, ...] | None = None
    """Of a text that was cut off; None where the engine does not tell all of them, or they could mean another text."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """Of the tokens of `text`; None where they were not asked for, or the engine gives none."""
    max_tokens: int | None = None
    """What max_tokens was lowered to, as the model's context left no more; None where it was not."""


def total_of(counts: Iterable[int | None]) -> int | None:
    """Counts of several requests together; None where one is not known."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


@dataclass(frozen=True, slots=True)
class Health:
    """Whether an engine is ready, by endpoint."""

    ready: bool
    backend: str | None
    """None where it could not be found out."""
    endpoints: tuple[dict[str, Any], ...]
    """One object each: {"endpoint", "ready", "detail", ...}."""


OnText = Callable[[str], bool | None]
"""Receives text as it arrives, in whole characters; returns False, and nothing else, to cancel."""


class ModelNames(tuple[str, ...]):
    """Names of models, and whether the service has more than these."""

    is_cut: bool

    def __new__(cls, names: Iterable[str], *, is_cut: bool = False) -> Self:
        """Take the names in their order."""
        made = super().__new__(cls, names)
        made.is_cut = is_cut
        return made


class Backend(Protocol):
    """An inference engine. Safe for use from many threads at once.

    A backend never weakens a request in silence: a grammar that its engine does not take, or not as a whole, is told by
    `Completion.unenforced`, and a mask that it cannot hand over is an UnsupportedConstraintError. It raises only errors
    of maze.errors, with the text that had arrived as `partial_text`.
    """

    @property
    def name(self) -> str | None:
        """How provenance calls it: "llama_cpp" (embedded), "maze", "vllm", ...; None until that is known."""

    def can_go_on(self, request: Request) -> bool:
        """Whether it goes on from what it writes for that request, under the grammar of what comes after it.

        Asks the engine what it is, where that is not known yet; whatever is wrong with it generate() tells.
        """

    def generate(self, request: Request, on_text: OnText) -> Completion:
        """Generate until the text is finished, handing each piece to `on_text` once.

        Raises CancelledError if `on_text` returns False or the cancellation is set, TimedOutError at the deadline.
        """

    def health(self, deadline: Deadline) -> Health:
        """Ask the engine whether it is ready; an engine that is not is a Health with `ready` False, not an error.

        Raises OutOfMemoryError where this process is short of what it takes to ask.
        """

    def models(self, deadline: Deadline) -> tuple[str, ...]:
        """Names of the models that can be asked for; ModelNames where there may be more of them."""

    def close(self) -> None:
        """Release sockets, threads and memory. Calls under way are cancelled by their owner before."""
