"""What goes into Maze and what comes out: plain frozen dataclasses without behaviour beyond their own facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from maze.errors import InvalidArgumentError, Status

_Item = TypeVar("_Item")

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
            object.__setattr__(self, "allowed", _as_tuple("allowed", self.allowed))
        object.__setattr__(self, "forbidden", _as_tuple("forbidden", self.forbidden))


@dataclass(frozen=True, slots=True)
class ConstraintIR:
    """One compiled constraint set, as Braid makes it; `ConstraintIRFFI` of include/maze.h.

    A list of patterns becomes a tuple. Raises InvalidArgumentError for fields of another type: a single text is no
    sequence of patterns, and a schema is JSON text.
    """

    json_schema: str | None = None
    grammar: str | None = None
    regex_patterns: tuple[str, ...] = ()
    token_masks: TokenMaskRules | None = None
    priority: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "regex_patterns", _as_tuple("regex_patterns", self.regex_patterns))
        texts = [("json_schema", self.json_schema), ("grammar", self.grammar), ("name", self.name)]
        texts += [(f"regex_patterns[{number}]", pattern) for number, pattern in enumerate(self.regex_patterns)]
        for name, value in texts:
            if not isinstance(value, str | None):
                raise InvalidArgumentError(f"{name} is of type {type(value).__name__}; give text (str)")


def _as_tuple(name: str, values: Iterable[_Item]) -> tuple[_Item, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name} is of type {type(values).__name__}; give a tuple")
    return tuple(values)


@dataclass(frozen=True, slots=True)
class Intent:
    """What is wanted; `IntentFFI` of include/maze.h. A missing `prompt` means `raw_input`."""

    raw_input: str
    prompt: str | None = None
    current_file: str | None = None
    language: str | None = None


class OnUnenforceable(StrEnum):
    """What to do with a constraint that can be neither enforced nor checked."""

    ERROR = "error"
    """Fail before any request."""
    REPORT = "report"
    """Go on without it: a text is still made, but is no success, and the warnings tell why."""


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """Options of one call; None leaves a value to the configuration (`MazeOptionsFFI` of include/maze.h)."""

    max_tokens: int | None = None
    timeout_ms: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    model: str | None = None
    stop: tuple[str, ...] = ()
    on_unenforceable: OnUnenforceable = OnUnenforceable.ERROR


# ------------------------------------------------------------------------------------------------ compiled constraints


class ConstraintKind(StrEnum):
    """The parts of a ConstraintIR that constrain; the values are the field names."""

    JSON_SCHEMA = "json_schema"
    GRAMMAR = "grammar"
    REGEX = "regex_patterns"
    TOKEN_MASK = "token_masks"  # noqa: S105 - token of a vocabulary, not a password


class Handling(StrEnum):
    """How one part of the constraints is seen to."""

    ENFORCED = "enforced"
    """The engine cannot produce a text that breaks it; the finished text is checked as well where it can be."""
    CHECKED = "checked"
    """Not enforced while decoding; a finished text that breaks it fails the call."""
    VACUOUS = "vacuous"
    """It says nothing, so there is nothing to enforce."""
    UNENFORCEABLE = "unenforceable"
    """Neither enforced nor checked, and reported because the caller chose OnUnenforceable.REPORT."""


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


@dataclass(frozen=True, slots=True)
class CompiledConstraints:
    """What an array of ConstraintIR became."""

    grammar: EngineGrammar | None
    """None where nothing is enforced by a grammar."""
    token_mask: TokenMask | None
    """Mask to enforce beside the grammar, or None."""
    parts: tuple[ConstraintPart, ...]
    """Every part in the caller's order."""
    joint_check: JointCheck | None = None
    warnings: tuple[str, ...] = ()
    digest: str = ""
    """`sha256:<hex>` of grammar and mask, the same for equal constraints."""
    report_json: bytes = b"{}"
    """What maze_result_json() shows of a compilation beside its grammar, made once so that a hit costs no encoding."""
    compile_time_ms: float = field(default=0.0, compare=False)
    """How long compiling took."""


# ------------------------------------------------------------------------------------------------ what comes out


@dataclass(frozen=True, slots=True)
class ConstraintOutcome:
    """What checking a finished text against one ConstraintPart found."""

    path: str
    name: str
    kind: ConstraintKind
    handling: Handling
    satisfied: bool | None
    """None where the part says nothing or cannot be checked on a text (vacuous, unenforceable, token masks)."""
    offset: int | None = None
    """Byte offset of the first violation in the UTF-8 text."""
    line: int | None = None
    """Line of that offset, from 1."""
    column: int | None = None
    """Column of that offset in characters, from 1."""
    expected: str = ""
    """What would have satisfied it there."""


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The outcome for every part of the constraints, in the caller's order."""

    all_satisfied: bool
    """True if no part is violated and every part was enforced, checked or vacuous."""
    outcomes: tuple[ConstraintOutcome, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """What produced this code, enough to do it again."""

    model: str
    backend: str
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
    grammar_digest: str
    code_digest: str


@dataclass(frozen=True, slots=True)
class GenerationMetadata:
    """Counts and times of one generation."""

    tokens_generated: int = 0
    prompt_tokens: int | None = None
    total_time_ms: float = 0.0
    compile_time_ms: float = 0.0
    first_token_ms: float | None = None
    """From sending the request to the first text: queueing and prompt processing."""
    time_per_token_us: float | None = None
    validation_time_ms: float = 0.0
    cache_hit: bool = False
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """The answer of a generation. `success` means: every constraint is satisfied."""

    code: str
    success: bool
    status: Status
    error: str | None = None
    provenance: Provenance | None = None
    validation: ValidationResult | None = None
    metadata: GenerationMetadata = field(default_factory=GenerationMetadata)
