"""What goes into Maze and what comes out: frozen dataclasses that check themselves and show themselves shortly.

What goes in raises InvalidArgumentError when it is made with a field of a wrong type or value: it names the field, says
what it is and what it must be.
"""

from __future__ import annotations

import reprlib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from maze import ranges
from maze.constraint_options import BraidGrammar as BraidGrammar
from maze.constraint_options import ConstraintOptions as ConstraintOptions
from maze.constraint_options import OnConflict as OnConflict
from maze.constraint_options import OnUnenforceable as OnUnenforceable
from maze.errors import InvalidArgumentError, Status, error_of
from maze.field_checks import TEXT, check_member, check_text, check_texts, check_type, take_tuple
from maze.outcome import ConstraintKind as ConstraintKind
from maze.outcome import ConstraintOutcome as ConstraintOutcome
from maze.outcome import Handling as Handling
from maze.outcome import ValidationResult as ValidationResult
from maze.outcome import Violation as Violation
from maze.ranges import MAX_STOP_TEXT_BYTES, MAX_STOP_TEXTS
from maze.shown import Shown, tokens_in_words

# ------------------------------------------------------------------------------------------------ what goes in


@dataclass(frozen=True, slots=True)
class TokenMaskRules:
    """Token ids of the engine's vocabulary that the output may (`allowed`) or must not (`forbidden`) contain.

    `allowed=None` is no such rule; an empty `allowed` is no rule either, as Braid sends null with length 0.
    """

    allowed: tuple[int, ...] | None = None
    forbidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.allowed is not None:
            take_tuple(self, "allowed", int, "a token id (int)")
        take_tuple(self, "forbidden", int, "a token id (int)")


@dataclass(frozen=True, slots=True)
class ConstraintIR:
    """One compiled constraint set, as Braid makes it; `ConstraintIRFFI` of include/maze.h.

    A list of patterns becomes a tuple. A single text is no sequence of patterns, and a schema is JSON text.
    """

    json_schema: str | None = None
    grammar: str | None = None
    regex_patterns: tuple[str, ...] = ()
    token_masks: TokenMaskRules | None = None
    priority: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        for name in ("json_schema", "grammar"):  # what they hold is judged when they are compiled
            if (text := getattr(self, name)) is not None:
                check_type(name, text, str, TEXT)
        check_text("name", self.name)
        take_tuple(self, "regex_patterns", str, TEXT)
        if self.token_masks is not None:
            check_type("token_masks", self.token_masks, TokenMaskRules, "TokenMaskRules")
        if problem := ranges.PRIORITY.problem(self.priority):
            raise InvalidArgumentError(problem, field="priority")


@dataclass(frozen=True, slots=True)
class Intent:
    """What is wanted; `IntentFFI` of include/maze.h. A missing `prompt` means `raw_input`."""

    raw_input: str
    prompt: str | None = None
    current_file: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        check_text("raw_input", self.raw_input)
        check_texts(self, "prompt", "current_file", "language")


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


# ------------------------------------------------------------------------------------------------ compiled constraints


@dataclass(frozen=True, slots=True)
class EngineGrammar:
    """A grammar for llguidance: what an engine is to enforce while decoding, and what a text is checked against.

    maze.grammar.llguidance.engine_text() writes it for an engine.
    """

    rules: str
    """Lark text with a rule `start`, without the header that engines want."""
    options: tuple[str, ...] = ()
    """llguidance's options that are switched on, sorted; each is off by default."""


@dataclass(frozen=True, slots=True)
class ConstraintPart:
    """One part (schema, grammar, single pattern, mask) of one ConstraintIR, and what the compiler made of it."""

    path: str
    """Where the caller finds it: `constraints[2].regex_patterns[1]`."""
    name: str
    """Label of the ConstraintIR."""
    kind: ConstraintKind
    priority: int
    handling: Handling
    reason: str = ""
    """Why it is handled that way, where that is not plain."""
    check_grammar: EngineGrammar | None = None
    """Accepts exactly the texts that satisfy this part, for the check."""
    check_schema: str | None = None
    """JSON Schema text (plain, normalised) that a finished JSON text must satisfy, for the check."""
    pattern: str = ""
    """Of a regular expression, the caller's text, cut where it is long, to name it by."""
    names_in: EngineGrammar | None = None
    """Of a regular expression for the names in a grammar, that grammar: where a text breaks it, there are no names."""
    language_grammar: str | None = field(default=None, compare=False)
    """Of a grammar with whole languages, its text: what it expects at a place is told in their words."""
    construct: str = ""
    """Of what a grammar of Braid asks for beside the language, what that is, in words."""


@dataclass(frozen=True, slots=True)
class TokenMask:
    """The token masks of all constraints together. `allowed=None`: every token not forbidden."""

    allowed: frozenset[int] | None
    forbidden: frozenset[int]


@dataclass(frozen=True, slots=True)
class JointCheck:
    """A cheaper way to the same verdict where several parts are satisfied, as most finished texts' are."""

    grammar: EngineGrammar
    """Accepts exactly the texts that all of `check_grammars` accept."""
    check_grammars: tuple[EngineGrammar, ...]


@dataclass(frozen=True, slots=True, repr=False)
class CompiledConstraints(Shown):
    """What an array of ConstraintIR became."""

    grammar: EngineGrammar | None
    """None where nothing is enforced by a grammar. Of what comes after `continues`."""
    token_mask: TokenMask | None
    """Mask to enforce beside the grammar, or None."""
    parts: tuple[ConstraintPart, ...]
    """Every part in the caller's order."""
    joint_check: JointCheck | None = None
    most_characters: int | None = None
    """What patterns that are only checked allow a text to have at most, so that it is ended before; None for no end."""
    continues: str = ""
    """The text that `grammar` goes on from; the parts are about the whole."""
    warnings: tuple[str, ...] = ()
    digest: str = ""
    """`sha256:<hex>` of grammar and mask, the same for equal constraints."""
    packed_grammar: bytes = field(default=b"", compare=False, repr=False)
    """`grammar` as a value to work with, for maze.grammar.continuation; empty where there is none."""
    demands: tuple[str, ...] = ()
    """What they demand, for the model, a line each; see maze.grammar.compose.demands."""
    report_json: bytes = b"{}"
    """What maze_result_json() shows of a compilation beside its grammar, made once so that a hit costs no encoding."""
    compile_time_ms: float = field(default=0.0, compare=False)
    """How long compiling took."""
    cache_hit: bool = field(default=False, compare=False)
    """Whether the call that gives them found them compiled."""

    @property
    def says_something(self) -> bool:
        """Whether there is anything that a text has to satisfy."""
        silent = (Handling.VACUOUS, Handling.IGNORED, Handling.TOLD)
        return bool(self.grammar or self.token_mask) or any(part.handling not in silent for part in self.parts)

    def __repr__(self) -> str:
        handled = Counter(part.handling.value for part in self.parts)
        parts = ", ".join(f"{count} {handling}" for handling, count in handled.items()) or "no parts"
        rules = f"grammar of {len(self.grammar.rules)} characters" if self.grammar else "no grammar"
        return f"<{type(self).__name__}: {parts}; {rules}>"


# ------------------------------------------------------------------------------------------------ what comes out


@dataclass(frozen=True, slots=True)
class Provenance:
    """What produced this code, enough to do it again; of a call that failed, as far as it is known."""

    model: str | None
    backend: str | None
    timestamp: str
    """RFC 3339 in UTC."""
    constraints_applied: tuple[str, ...]
    """Paths of the parts that were enforced or checked."""
    original_intent: str
    parameters: dict[str, Any]
    versions: dict[str, str]
    """Of libmaze and what it checks with."""
    engine: dict[str, Any]
    """What the engine said of itself and of this generation."""
    grammar_digest: str | None
    """None where the constraints could not be compiled."""
    code_digest: str


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of the answer as the engine weighed it."""

    text: str
    logprob: float
    """Natural logarithm of its probability."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens in its place and their log-probabilities."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One generation of a call that made as many as it took; those before the last broke what is only checked."""

    seed: int
    status: Status
    tokens_generated: int | None = None
    finish_reason: str = ""
    total_time_ms: float = 0.0
    error: str | None = None
    violations: tuple[ConstraintOutcome, ...] = ()
    """The parts that its text broke."""


@dataclass(frozen=True, slots=True)
class GenerationMetadata:
    """Counts and times of one call: of all its attempts together, where nothing else is said."""

    tokens_generated: int | None = None
    """None where the engine was asked, and did not tell before an attempt failed."""
    prompt_tokens: int | None = None
    total_time_ms: float = 0.0
    compile_time_ms: float | None = None
    """0 where they were compiled already, None where they could not be."""
    first_token_ms: float | None = None
    """From sending the request of the last attempt to its first text: queueing and prompt processing."""
    time_per_token_us: float | None = None
    """Of the last attempt, behind its first text."""
    validation_time_ms: float | None = None
    """None where there was no finished text."""
    cache_hit: bool = False
    finish_reason: str = ""
    """Of the last attempt: stop, length or completed (its end is ours); where the text was not finished: cancelled,
    timed_out or error. Empty where the engine was not asked."""
    cut: bool = False
    """Whether max_tokens or the context cut the text off."""
    completed_from: int | None = None
    """Byte offset in the code from which on the text is the shortest legal ending, appended by libmaze."""
    steered_from: int | None = None
    """Byte offset in the code from which on the model wrote under a grammar of short endings, to end in time."""
    attempts: tuple[Attempt, ...] = ()
    """Every one of them; the code is the text of the last."""
    reasoning: str | None = None
    """What the model thought before its last answer; None where it was not asked to."""
    reasoning_tokens: int | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    """None where they were not asked for, or the engine gives none."""


@dataclass(frozen=True, slots=True, repr=False)
class GenerationResult(Shown):
    """The answer of a generation. `success` means: every constraint is satisfied. It is true where it is a success."""

    code: str
    success: bool
    status: Status
    error: str | None = None
    provenance: Provenance | None = None
    validation: ValidationResult | None = None
    metadata: GenerationMetadata = field(default_factory=GenerationMetadata)

    def __bool__(self) -> bool:
        return self.success

    def __repr__(self) -> str:
        tokens, ended = self.metadata.tokens_generated, self.metadata.finish_reason
        told = f"{self.status.name}, {tokens_in_words(tokens)}{f', {ended}' if ended else ''}"
        return f"<{type(self).__name__} {told}: {self.error or reprlib.repr(self.code)}>"

    def raise_for_status(self) -> Self:
        """Give this result back, if it is a success. Raises the MazeError of its status, whose `result` it is."""
        if self.success:
            return self
        error = error_of(self.status, self.error or self.status.meaning)
        error.partial_text, error.result = self.code, self
        raise error
