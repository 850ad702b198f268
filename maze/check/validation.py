"""Checks a finished text against compiled constraints, part by part. Needs no engine and no tokenizer of one.

What cannot be decided within the limits is an error: no text is taken for right because checking it was too hard.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from maze.check import Finding
from maze.check.expectation import END_OF_TEXT
from maze.check.explanation import MAX_FINDINGS
from maze.check.grammar_check import bytes_after, grammar_violation
from maze.check.json_check import JsonCheck
from maze.check.language_words import (
    A_BLANK,
    A_TEXT_WITHOUT_COMMENTS,
    begins_with_a_comment,
    expected_after,
    lacks_a_blank,
)
from maze.check.restriction_words import broken_restrictions
from maze.compiled import CompiledConstraints, ConstraintPart, EngineGrammar, JointCheck
from maze.errors import LimitExceededError, TimedOutError
from maze.grammar.budget import Budget
from maze.outcome import ConstraintOutcome, Handling, ValidationResult, Violation, is_decisive

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

    def budget(self) -> Budget:
        """For work that must end by then."""
        return Budget(min(self._limit_at, self._ends_at))

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

    `satisfied` is None where a text cannot tell: parts that say nothing or are left out, token masks. Raises
    LimitExceededError if the text is too long or too deep, or a part takes too much work, and TimedOutError where it is
    not done in time.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise LimitExceededError(f"the text has {len(text)} bytes; at most {MAX_TEXT_BYTES} are checked")
    check = _Check(text, time_limit or TimeLimit(math.inf))
    if compiled.joint_check is not None:
        check.try_together(compiled.joint_check)
    outcomes = tuple(_outcome(part, check) for part in compiled.parts)
    return ValidationResult(not any(map(is_decisive, outcomes)), outcomes, compiled.warnings)


def _outcome(part: ConstraintPart, check: _Check) -> ConstraintOutcome:
    said = part.path, part.name, part.kind, part.handling
    if part.handling not in (Handling.ENFORCED, Handling.CHECKED):
        return ConstraintOutcome(*said, satisfied=None)
    if part.check_schema is not None:
        findings = check.against_schema(part.check_schema, part.path)
    elif part.check_grammar is not None:
        findings = check.against_grammar(part.check_grammar, part.path)
    else:
        return ConstraintOutcome(*said, satisfied=None)
    if not findings:
        return ConstraintOutcome(*said, satisfied=True)
    if part.names_in is not None:
        of_grammar = check.against_grammar(part.names_in, part.path)
        if of_grammar and of_grammar[0].offset <= findings[0].offset:
            return ConstraintOutcome(*said, satisfied=None)  # the names before it are right
    if part.construct:
        findings = [Finding(len(check.text), END_OF_TEXT, f"{part.construct} somewhere before it")]
    elif part.language_grammar is not None and part.check_grammar is not None:
        findings = [check.in_words(findings[0], part.check_grammar, part.language_grammar, part.path)]
    if part.pattern:
        # What may come next says little of a pattern that may begin anywhere.
        expected = "more text" if findings[0].offset == len(check.text) else findings[0].expected
        findings = [replace(findings[0], expected=f"{expected}, to match {part.pattern}")]
    return placed(ConstraintOutcome(*said, satisfied=False), check.text, findings)


def placed(outcome: ConstraintOutcome, text: bytes, findings: Sequence[Finding]) -> ConstraintOutcome:
    """`outcome` with findings, in the order of the text, and their places in it."""
    violations = []
    at, line, column = 0, 1, 1
    for finding in findings[:MAX_FINDINGS]:
        between = text[at : finding.offset].decode(errors="replace")
        at = finding.offset
        line += between.count("\n")
        column = len(between) - between.rfind("\n") if "\n" in between else column + len(between)
        violations.append(
            Violation(at, line, column, finding.found, finding.expected, finding.pointer, finding.keyword)
        )
    first = violations[0]
    return replace(
        outcome,
        offset=first.offset,
        line=first.line,
        column=first.column,
        found=first.found,
        expected=first.expected,
        violations=tuple(violations),
        all_listed=len(findings) <= MAX_FINDINGS,
    )


_Key = TypeVar("_Key", str, EngineGrammar)


class _Check:
    """One text and the time there is to check it. Parts that are equal are decided once."""

    def __init__(self, text: bytes, time_limit: TimeLimit) -> None:
        self.text = text
        self._time_limit = time_limit
        self._decided: dict[str | EngineGrammar, list[Finding]] = {}
        self._json = JsonCheck(text)

    def against_schema(self, schema: str, path: str) -> list[Finding]:
        return self._once(schema, path, self._json.findings)

    def against_grammar(self, grammar: EngineGrammar, path: str) -> list[Finding]:
        return self._once(grammar, path, self._grammar_findings)

    def in_words(self, finding: Finding, grammar: EngineGrammar, language_grammar: str, path: str) -> Finding:
        """A finding of a grammar with whole languages, told in their words where that is not too much work."""

        def following(beginning: bytes) -> frozenset[int]:
            found = bytes_after(beginning, grammar, path, self._time_limit.in_time, is_whole=False)
            return found or frozenset()

        try:
            if begins_with_a_comment(self.text, finding.offset, language_grammar):
                return replace(finding, found="a comment", expected=A_TEXT_WITHOUT_COMMENTS)
            beginning = self.text[: finding.offset]
            if lacks_a_blank(beginning, self.text[finding.offset :], following):
                return replace(finding, expected=A_BLANK)
            may_end = finding.expected.startswith(END_OF_TEXT)
            words = expected_after(beginning, language_grammar, following, self._time_limit.budget(), may_end=may_end)
            budget, in_time = self._time_limit.budget(), self._time_limit.in_time
            broken = broken_restrictions(self.text, finding.offset, language_grammar, budget, in_time)
        except (LimitExceededError, TimedOutError):
            return finding
        expected = words or finding.expected
        return replace(finding, expected=f"{expected}, by {' and '.join(broken)}" if broken else expected)

    def try_together(self, joint: JointCheck) -> None:
        """Spare the single checks if all of them would find nothing."""
        try:
            findings = self._grammar_findings(joint.grammar, "all patterns together")
        except LimitExceededError:
            return  # one by one they are less work
        if not findings:
            self._decided.update((grammar, findings) for grammar in joint.check_grammars)

    def _once(self, key: _Key, path: str, decide: Callable[[_Key, str], list[Finding]]) -> list[Finding]:
        try:
            return self._decided[key]
        except KeyError:
            self._time_limit.in_time(path)
        findings = self._decided[key] = decide(key, path)
        return findings

    def _grammar_findings(self, grammar: EngineGrammar, path: str) -> list[Finding]:
        finding = grammar_violation(self.text, grammar, path, self._time_limit.in_time)
        return [] if finding is None else [finding]
