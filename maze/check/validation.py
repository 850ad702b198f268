"""Checks a finished text against compiled constraints, part by part. Needs no engine and no tokenizer of one.

What cannot be decided within the limits is an error: no text is taken for right because checking it was too hard.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from maze.check import Violation
from maze.check.grammar_check import grammar_violation
from maze.check.json_check import JsonCheck
from maze.errors import (
    ConstraintViolatedError,
    LimitExceededError,
    MazeError,
    TimedOutError,
    UnsupportedConstraintError,
)
from maze.types import (
    CompiledConstraints,
    ConstraintOutcome,
    ConstraintPart,
    EngineGrammar,
    Handling,
    JointCheck,
    ValidationResult,
)

MAX_TEXT_BYTES = 16 * 1024 * 1024
"""Longest text that is checked."""
MAX_CHECK_SECS = 10.0
"""Longest time for all parts together; llguidance takes 0.6 s for 1 MB of an ordinary grammar."""


class TimeLimit:
    """The time there is to check a text: MAX_CHECK_SECS from now on, and no longer than until `ends_at`."""

    def __init__(self, ends_at: float) -> None:
        """`ends_at` is a time of time.monotonic()."""
        self._limit_at = time.monotonic() + MAX_CHECK_SECS
        self._ends_at = ends_at

    def in_time(self, path: str) -> None:
        """Raise TimedOutError or LimitExceededError if the time is up; `path` is what is being checked."""
        now = time.monotonic()
        if now > self._ends_at:
            raise TimedOutError(f"the text was not checked in time; it was at {path}; raise timeout_ms, or simplify it")
        if now > self._limit_at:
            raise LimitExceededError(
                f"checking the text against {path} takes over {MAX_CHECK_SECS:g} s; shorten or simplify them"
            )


def validate(text: bytes, compiled: CompiledConstraints, time_limit: TimeLimit | None = None) -> ValidationResult:
    """Decide for every part of `compiled` whether `text` satisfies it.

    `satisfied` is None where a text cannot tell: vacuous and unenforceable parts, token masks. Raises
    LimitExceededError if the text is too long or too deep, or a part takes too much work, and TimedOutError where it is
    not done in time.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise LimitExceededError(f"the text has {len(text)} bytes; at most {MAX_TEXT_BYTES} are checked")
    check = _Check(text, time_limit or TimeLimit(math.inf))
    if compiled.joint_check is not None:
        check.try_together(compiled.joint_check)
    outcomes = tuple(_outcome(part, check) for part in compiled.parts)
    all_satisfied = all(
        outcome.satisfied is not False and outcome.handling is not Handling.UNENFORCEABLE for outcome in outcomes
    )
    return ValidationResult(all_satisfied, outcomes, compiled.warnings)


def _outcome(part: ConstraintPart, check: _Check) -> ConstraintOutcome:
    said = part.path, part.name, part.kind, part.handling
    if part.handling not in (Handling.ENFORCED, Handling.CHECKED):
        return ConstraintOutcome(*said, satisfied=None)
    if part.check_schema is not None:
        violation = check.against_schema(part.check_schema, part.path)
    elif part.check_grammar is not None:
        violation = check.against_grammar(part.check_grammar, part.path)
    else:
        return ConstraintOutcome(*said, satisfied=None)
    if violation is None:
        return ConstraintOutcome(*said, satisfied=True)
    expected = violation.expected
    if part.pattern:
        # What may come next says little of a pattern that may begin anywhere.
        at_end = violation.offset == len(check.text)
        expected = f"{'more text' if at_end else expected}, to match {part.pattern}"
    return placed(ConstraintOutcome(*said, satisfied=False), check.text, Violation(violation.offset, expected))


def placed(outcome: ConstraintOutcome, text: bytes, violation: Violation) -> ConstraintOutcome:
    """`outcome` with the place of `violation` in `text`."""
    before = text[: violation.offset].decode(errors="replace")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return replace(outcome, offset=violation.offset, line=line, column=column, expected=violation.expected)


def validation_error(validation: ValidationResult) -> MazeError | None:
    """The error of a text that is not known to satisfy all of its constraints; None if it does."""
    if validation.all_satisfied:
        return None
    for outcome in validation.outcomes:
        if outcome.satisfied is False:
            return ConstraintViolatedError(f"the text breaks its constraints: {describe_violation(outcome)}")
    left = next(outcome for outcome in validation.outcomes if outcome.handling is Handling.UNENFORCEABLE)
    return UnsupportedConstraintError(
        f"{_named(left)} was neither enforced nor checked, so the text may break it; the warnings tell why"
    )


def describe_violation(outcome: ConstraintOutcome) -> str:
    """Say which part is violated, where and what was expected, for an error text."""
    expected = f": expected {outcome.expected}" if outcome.expected else ""
    where = f"byte {outcome.offset} (line {outcome.line}, column {outcome.column})"
    return f"{_named(outcome)} is not satisfied at {where}{expected}"


def _named(outcome: ConstraintOutcome) -> str:
    return f"{outcome.path} ({outcome.name})" if outcome.name else outcome.path


_Key = TypeVar("_Key", str, EngineGrammar)


class _Check:
    """One text and the time there is to check it. Parts that are equal are decided once."""

    def __init__(self, text: bytes, time_limit: TimeLimit) -> None:
        self.text = text
        self._time_limit = time_limit
        self._decided: dict[str | EngineGrammar, Violation | None] = {}
        self._json = JsonCheck(text)

    def against_schema(self, schema: str, path: str) -> Violation | None:
        return self._once(schema, path, self._json.violation)

    def against_grammar(self, grammar: EngineGrammar, path: str) -> Violation | None:
        return self._once(grammar, path, self._grammar_violation)

    def try_together(self, joint: JointCheck) -> None:
        """Spare the single checks if all of them would find nothing."""
        try:
            violation = self._grammar_violation(joint.grammar, "all patterns together")
        except LimitExceededError:
            return  # one by one they are less work
        if violation is None:
            self._decided.update(dict.fromkeys(joint.check_grammars))

    def _once(self, key: _Key, path: str, decide: Callable[[_Key, str], Violation | None]) -> Violation | None:
        try:
            return self._decided[key]
        except KeyError:
            self._time_limit.in_time(path)
        violation = self._decided[key] = decide(key, path)
        return violation

    def _grammar_violation(self, grammar: EngineGrammar, path: str) -> Violation | None:
        return grammar_violation(self.text, grammar, path, self._time_limit.in_time)
