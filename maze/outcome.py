"""What checking a text found, part by part, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from maze.errors import ConstraintViolatedError, ContradictionError, MazeError, UnsupportedConstraintError
from maze.shown import Shown


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
    CONFLICTING = "conflicting"
    """Left out, as it contradicts what has a higher priority, and reported because the caller chose
    OnConflict.REPORT."""
    IGNORED = "ignored"
    """Left out and not even read, as the caller asked for with `ignore`."""
    TOLD = "told"
    """A hint: told to the model and reported, and neither enforced nor checked, as the caller chose
    BraidGrammar.AS_LANGUAGE."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with a text."""

    offset: int
    """Byte offset in the UTF-8 text."""
    line: int
    """Line of that offset, from 1."""
    column: int
    """Column of that offset in characters, from 1."""
    found: str
    """What stands there."""
    expected: str
    """What would have satisfied the constraint there."""
    pointer: str | None = None
    """JSON pointer of the value in the text, empty for all of it; None for constraints that do not read JSON."""
    keyword: str | None = None
    """JSON pointer of the broken keyword in the constraint's schema, such as `#/properties/a/minimum`; None where no
    keyword is broken, as the text is no JSON."""


@dataclass(frozen=True, slots=True)
class ConstraintOutcome:
    """What checking a finished text against one ConstraintPart found."""

    path: str
    name: str
    kind: ConstraintKind
    handling: Handling
    satisfied: bool | None
    """None where the part says nothing, was left out or cannot be checked on a text (token masks, patterns for the
    names in a grammar that the text breaks)."""
    offset: int | None = None
    """Byte offset of the first violation in the UTF-8 text."""
    line: int | None = None
    """Line of that offset, from 1."""
    column: int | None = None
    """Column of that offset in characters, from 1."""
    found: str = ""
    """What stands there."""
    expected: str = ""
    """What would have satisfied it there."""
    violations: tuple[Violation, ...] = ()
    """Everything that is wrong, in the order of the text; the first is told above. Of a grammar or a pattern it is one,
    as there is no reading on behind it."""
    all_listed: bool = True
    """False if there are more violations than are listed, which are 1,000 then."""


@dataclass(frozen=True, slots=True, repr=False)
class ValidationResult(Shown):
    """The outcome for every part of the constraints, in the caller's order. It is true where all are satisfied."""

    all_satisfied: bool
    """True if no part is violated, and none was unenforceable or conflicting."""
    outcomes: tuple[ConstraintOutcome, ...] = ()
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.all_satisfied

    def __repr__(self) -> str:
        error = validation_error(self)
        satisfied = sum(outcome.satisfied is True for outcome in self.outcomes)
        return f"<{type(self).__name__}: {error or f'satisfied, {satisfied} of {len(self.outcomes)} parts checked'}>"

    def raise_for_status(self) -> Self:
        """Give this validation back, if all parts are satisfied.

        Raises ConstraintViolatedError, or UnsupportedConstraintError where a part could be neither enforced nor
        checked; `result` of the error is the validation.
        """
        if (error := validation_error(self)) is not None:
            error.result = self
            raise error
        return self


def validation_error(validation: ValidationResult) -> MazeError | None:
    """The error of a text that is not known to satisfy all of its constraints; None if it does."""
    if validation.all_satisfied:
        return None
    violated_first = sorted(validation.outcomes, key=lambda outcome: outcome.satisfied is not False)
    decisive = next(filter(is_decisive, violated_first))
    if decisive.satisfied is False:
        return ConstraintViolatedError(f"the text breaks its constraints: {describe_violation(decisive)}")
    if decisive.handling is Handling.CONFLICTING:
        return ContradictionError(
            f"{_named(decisive)} was left out, as it contradicts others of the constraints; the warnings tell which"
        )
    return UnsupportedConstraintError(
        f"{_named(decisive)} was neither enforced nor checked, so the text may break it; the warnings tell why"
    )


def is_decisive(outcome: ConstraintOutcome) -> bool:
    """Whether it keeps a text from being a success."""
    return outcome.satisfied is False or outcome.handling in (Handling.UNENFORCEABLE, Handling.CONFLICTING)


def describe_violation(outcome: ConstraintOutcome) -> str:
    """Say which part is violated, where, what stands there and what was expected, for an error text."""
    where = f"byte {outcome.offset} (line {outcome.line}, column {outcome.column})"
    first, *others = outcome.violations
    if first.pointer:
        where += f", at {first.pointer}"
    more = f"; and {len(others)}{'' if outcome.all_listed else '+'} more" if others else ""
    return f"{_named(outcome)} is not satisfied at {where}: {what_is_wrong(first)}{more}"


def what_is_wrong(violation: Violation) -> str:
    """Say what stands somewhere and what was expected there."""
    keyword = f" ({violation.keyword})" if violation.keyword else ""
    return f"found {violation.found}, expected {violation.expected}{keyword}"


def _named(outcome: ConstraintOutcome) -> str:
    return f"{outcome.path} ({outcome.name})" if outcome.name else outcome.path
