"""Options of a call: how constraints are taken, and how the model is asked.

Like all that goes in, they raise InvalidArgumentError when they are made with a field of a wrong type or value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from maze import ranges
from maze.errors import InvalidArgumentError
from maze.field_checks import TEXT, check_member, check_text, check_texts, check_type, take_tuple
from maze.outcome import ConstraintKind
from maze.ranges import MAX_STOP_TEXT_BYTES, MAX_STOP_TEXTS


class OnUnenforceable(StrEnum):
    """What to do with a constraint that can be neither enforced nor checked."""

    ERROR = "error"
    """Fail before any request."""
    REPORT = "report"
    """Go on without it: a text is still made, but is no success, and the warnings tell why."""


class OnConflict(StrEnum):
    """What to do with constraints that no text satisfies together."""

    ERROR = "error"
    """Fail before any request."""
    REPORT = "report"
    """Go on with those of the highest priority: a text is still made, but is no success, and the warnings tell why."""


class BraidGrammar(StrEnum):
    """How a grammar of Braid's token classes is taken, which lists what Braid has seen in a source."""

    AS_GRAMMAR = "as_grammar"
    """As it is written: a text is one of its texts."""
    AS_LANGUAGE = "as_language"
    """As a hint: the grammar of the language itself is enforced in its place, where there is one (`%language`). What it
    asks for is told to the model and reported; patterns beside it that describe names apply to what a text declares."""
    AS_LANGUAGE_CHECKED = "as_language_checked"
    """The same, and a finished text must have what it asks for."""


_PART = re.compile(
    r"constraints\[(0|[1-9][0-9]{0,9})\](\.(json_schema|grammar|regex_patterns(\[(0|[1-9][0-9]{0,9})\])?|token_masks))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintOptions:
    """How constraints are taken, beside what they say themselves. GenerationOptions are these, and more."""

    on_unenforceable: OnUnenforceable = OnUnenforceable.ERROR
    on_conflict: OnConflict = OnConflict.ERROR
    ignore: tuple[str, ...] = ()
    """Parts that are left out, and reported: paths such as `constraints[1].grammar`, or kinds such as `grammar`."""
    braid_grammar: BraidGrammar | None = None
    """None leaves it to the configuration, of which the default is AS_GRAMMAR."""

    def __post_init__(self) -> None:
        # A plain "report", which would pass for a member in part, is refused.
        check_member("on_unenforceable", self.on_unenforceable, OnUnenforceable)
        check_member("on_conflict", self.on_conflict, OnConflict)
        check_member("braid_grammar", self.braid_grammar, BraidGrammar, or_none=True)
        if self.ignore != ():
            take_tuple(self, "ignore", str, TEXT)
            self._check_ignored()

    def _check_ignored(self) -> None:
        for number, text in enumerate(self.ignore):
            if text not in tuple(ConstraintKind) and not _PART.fullmatch(text):
                raise InvalidArgumentError(
                    f"is {text[:100]!r}; it must be a kind ({', '.join(ConstraintKind)}) or the path of a part, such "
                    "as constraints[0].grammar, constraints[0].regex_patterns[1], or constraints[0] for all of it",
                    field=f"ignore[{number}]",
                )

    def of_constraints(self, braid_grammar: BraidGrammar) -> ConstraintOptions:
        """These options alone, a key for what is compiled under them, with what the configuration says they leave."""
        return ConstraintOptions(
            on_unenforceable=self.on_unenforceable,
            on_conflict=self.on_conflict,
            ignore=self.ignore,
            braid_grammar=self.braid_grammar or braid_grammar,
        )


class PromptForm(StrEnum):
    """How the model is spoken to."""

    CHAT = "chat"
    """As it was trained: through its chat template where the engine has one, else raw."""
    RAW = "raw"
    """The prompt is completed as it stands, without a template and without descriptions of constraints."""


class WhenCutOff(StrEnum):
    """What becomes of a constrained text that max_tokens or the context cut off where it could have gone on."""

    ERROR = "error"
    """It is TRUNCATED, satisfied or not."""
    ACCEPT = "accept"
    """It is a success if it satisfies its constraints as it stands."""
    COMPLETE = "complete"
    """The shortest legal ending is appended."""


class Role(StrEnum):
    """Who says a message of a conversation."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """An earlier turn of the conversation."""

    role: Role
    text: str

    def __post_init__(self) -> None:
        check_member("role", self.role, Role)
        check_text("text", self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationOptions(ConstraintOptions):
    """Options of one call; None leaves a value to the configuration (`MazeOptionsFFI` of include/maze.h).

    The one place that checks them, for C, the service and the command line alike: they build this, and name the field
    in the error as their callers do (`MazeError.naming`).
    """

    max_tokens: int | None = None
    timeout_ms: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    model: str | None = None
    stop: tuple[str, ...] = ()
    prompt_form: PromptForm | None = None
    system: str | None = None
    """System prompt."""
    messages: tuple[Message, ...] = ()
    """Earlier turns, oldest first; the intent is the user's turn after them."""
    continue_from: str = ""
    """The code begins with this text, which counts for the constraints, and the model goes on from it."""
    describe_constraints: bool | None = None
    """Whether the prompt tells the model what the constraints are."""
    reasoning_tokens: int | None = None
    """Tokens that the model may think before it answers, outside the constraints; 0 for no thinking."""
    max_attempts: int | None = None
    """Generations at most until one satisfies what is only checked; None: 3 where a part is, else 1."""
    when_cut_off: WhenCutOff = WhenCutOff.ERROR
    top_logprobs: int | None = None
    """Likeliest tokens to tell the log-probabilities of beside each token; 0 for those of the text alone."""

    def __post_init__(self) -> None:
        ConstraintOptions.__post_init__(self)  # super() knows the class before it had slots
        for name, kind, lowest, highest in _OPTION_RANGES:
            value = getattr(self, name)
            if value is None or (type(value) is kind and lowest < value <= highest):
                continue  # quickly, because this is on the way of every call
            if problem := OPTION_RANGES[name].problem(value):
                raise InvalidArgumentError(problem, field=name)
        if self.model is not None:
            check_text("model", self.model)
            if not self.model:
                raise InvalidArgumentError("is empty; it must be the name of a model, or absent", field="model")
        if self.stop != ():
            take_tuple(self, "stop", str, TEXT)
            self._check_stop_texts()
        check_member("when_cut_off", self.when_cut_off, WhenCutOff)
        check_member("prompt_form", self.prompt_form, PromptForm, or_none=True)
        if self.messages != ():
            take_tuple(self, "messages", Message, "a Message")
        check_texts(self, "system")
        check_text("continue_from", self.continue_from)
        if self.describe_constraints is not None:
            check_type("describe_constraints", self.describe_constraints, bool, "True, False or None")

    def _check_stop_texts(self) -> None:
        if len(self.stop) > MAX_STOP_TEXTS:
            raise InvalidArgumentError(
                f"has {len(self.stop)} texts; at most {MAX_STOP_TEXTS} are possible", field="stop"
            )
        for number, text in enumerate(self.stop):
            check_text(f"stop[{number}]", text)
            size = len(text.encode())
            if not 0 < size <= MAX_STOP_TEXT_BYTES:
                what = f"has {size} bytes" if size else "is an empty text, which would end every generation at once"
                problem = f"{what}; it must have 1 to {MAX_STOP_TEXT_BYTES} bytes"
                raise InvalidArgumentError(problem, field=f"stop[{number}]")


OPTION_RANGES = {
    "max_tokens": ranges.MAX_TOKENS,
    "timeout_ms": ranges.TIMEOUT_MS,
    "temperature": ranges.TEMPERATURE,
    "top_p": ranges.TOP_P,
    "top_k": ranges.TOP_K,
    "seed": ranges.SEED,
    "reasoning_tokens": ranges.REASONING_TOKENS,
    "max_attempts": ranges.MAX_ATTEMPTS,
    "top_logprobs": ranges.TOP_LOGPROBS,
}
"""The numbers among GenerationOptions, by field."""
_OPTION_RANGES = tuple((name, range_.kind, range_.lowest, range_.highest) for name, range_ in OPTION_RANGES.items())
