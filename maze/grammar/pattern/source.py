"""The text of a pattern as the caller wrote it, and the errors that point into it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from maze.errors import InvalidConstraintError, LimitExceededError, UnsupportedConstraintError

_MOST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Source:
    """A pattern, with what errors call it, and where in the text the part that is parsed begins."""

    text: str
    path: str
    offset: int = 0

    @property
    def shown(self) -> str:
        """The pattern as the caller wrote it; only what would break the line of a message is spelled by number."""
        text = self.text if len(self.text) <= _MOST_SHOWN else self.text[: _MOST_SHOWN - 3] + "..."
        spelled = re.sub(
            r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text
        )
        return f"'{spelled}'"

    def place(self, at: int) -> str:
        """Where `at` in the parsed part is in the caller's text."""
        return f"at character {self.offset + at + 1} of {self.shown}"

    def invalid(self, problem: str, at: int, remedy: str) -> NoReturn:
        """Refuse a broken pattern."""
        raise InvalidConstraintError(f"{self.path}: {problem} {self.place(at)}; {remedy}")

    def unsupported(self, what: str, at: int, remedy: str) -> NoReturn:
        """Refuse what cannot be said exactly as a regular language."""
        raise UnsupportedConstraintError(f"{self.path}: {what} {self.place(at)} {remedy}")

    def too_large(self, problem: str) -> NoReturn:
        """Refuse a pattern that is over a limit."""
        raise LimitExceededError(f"{self.path}: {problem}")
