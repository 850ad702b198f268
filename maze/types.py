"""What goes into Maze: frozen dataclasses that check themselves.

Each raises InvalidArgumentError when it is made with a field of a wrong type or value, which names the field, says what
it is and what it must be.
"""

from __future__ import annotations

from dataclasses import dataclass

from maze import ranges
from maze.errors import InvalidArgumentError
from maze.field_checks import TEXT, check_text, check_texts, check_type, take_tuple


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
