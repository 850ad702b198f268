"""Lark text as the caller wrote it, and the errors that point into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from maze.errors import InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.pattern.source import Source

_SHOWN_OF_A_LINE = 200

Refusal = type[InvalidConstraintError] | type[UnsupportedConstraintError] | type[LimitExceededError]


@dataclass(frozen=True, slots=True)
class LarkSource:
    """Lark text, with what errors call it. Places are offsets of characters."""

    text: str
    path: str

    def line(self, place: int) -> int:
        """The line of a place, from 1."""
        return self.text.count("\n", 0, place) + 1

    def fail(self, place: int, problem: str, refusal: Refusal = InvalidConstraintError, *, hint: str = "") -> NoReturn:
        """Refuse the text, with line, column, and the line itself; below it, a hint."""
        begin = self.text.rfind("\n", 0, place) + 1
        end = self.text.find("\n", place)
        shown = self.text[begin : len(self.text) if end < 0 else end][:_SHOWN_OF_A_LINE]
        column = place - begin
        raise refusal(
            f"{self.path} was taken for Lark text: line {self.line(place)}, column {column + 1}: {problem}\n"
            f"  {shown}\n  {' ' * min(column, len(shown))}^" + (f"\n{hint}" if hint else "")
        )


@dataclass(frozen=True, slots=True)
class RegexSource(Source):
    """A regular expression in Lark text; its errors give line and column there."""

    within: LarkSource = LarkSource("", "")
    begin: int = 0
    """Where the expression begins in the Lark text."""

    def invalid(self, problem: str, at: int, remedy: str) -> NoReturn:
        self.within.fail(self.begin + at, f"{problem}; {remedy}")

    def unsupported(self, what: str, at: int, remedy: str) -> NoReturn:
        self.within.fail(self.begin + at, f"{what} {remedy}", UnsupportedConstraintError)

    def too_large(self, problem: str) -> NoReturn:
        self.within.fail(self.begin, problem, LimitExceededError)
