"""What goes into Maze, frozen dataclasses that check themselves; and the door to what goes with it and comes out.

What goes in raises InvalidArgumentError when it is made with a field of a wrong type or value: it names the field, says
what it is and what it must be.
"""

from __future__ import annotations

from dataclasses import dataclass

from maze import ranges
from maze.compiled import CompiledConstraints as CompiledConstraints
from maze.compiled import ConstraintPart as ConstraintPart
from maze.compiled import EngineGrammar as EngineGrammar
from maze.compiled import JointCheck as JointCheck
from maze.compiled import TokenMask as TokenMask
from maze.errors import InvalidArgumentError
from maze.field_checks import TEXT, check_text, check_texts, check_type, take_tuple
from maze.options import OPTION_RANGES as OPTION_RANGES
from maze.options import BraidGrammar as BraidGrammar
from maze.options import ConstraintOptions as ConstraintOptions
from maze.options import GenerationOptions as GenerationOptions
from maze.options import Message as Message
from maze.options import OnConflict as OnConflict
from maze.options import OnUnenforceable as OnUnenforceable
from maze.options import PromptForm as PromptForm
from maze.options import Role as Role
from maze.options import WhenCutOff as WhenCutOff
from maze.outcome import ConstraintKind as ConstraintKind
from maze.outcome import ConstraintOutcome as ConstraintOutcome
from maze.outcome import Handling as Handling
from maze.outcome import ValidationResult as ValidationResult
from maze.outcome import Violation as Violation
from maze.result import Attempt as Attempt
from maze.result import GenerationMetadata as GenerationMetadata
from maze.result import GenerationResult as GenerationResult
from maze.result import Provenance as Provenance
from maze.result import TokenLogprob as TokenLogprob


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
