"""Checks a finished text against compiled constraints, part by part. Needs no engine and no tokenizer of one.

JSON Schemas are decided by jsonschema_rs on the parsed text, so the order of properties and white space do not matter.
An object that has a name twice must satisfy the schema whichever of the two a parser takes. Grammars and patterns are
decided byte by byte by llguidance. What cannot be decided within these limits is an error: no text is taken for right
because checking it was too hard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

import jsonschema_rs
from cachetools import LRUCache

from maze.check.explanation import diagnose
from maze.errors import (
    ConstraintViolatedError,
    InternalError,
    LimitExceededError,
    MazeError,
    UnsupportedConstraintError,
)
from maze.grammar.llguidance import GuidanceError, Matcher
from maze.grammar.schema.lower import make_validator
from maze.json_text import JsonTextError, JsonValue, TooDeepError, depth, offset_of, readings
from maze.threads import run_with_big_stack
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
MAX_TEXT_DEPTH = 500
"""Deepest nesting of objects and arrays in a JSON text."""
MAX_CHECK_SECS = 10.0
"""Longest time for all parts together; llguidance takes 0.6 s for 1 MB of an ordinary grammar."""
MAX_PROTOTYPE_BYTES = 64 * 1024 * 1024
"""Memory for llguidance matchers that are kept for the next text."""
MAX_VALIDATOR_BYTES = 32 * 1024 * 1024
"""Memory for jsonschema_rs validators that are kept for the next text."""

_SHALLOW = 32
"""Nesting that every host thread has stack enough for."""
_SHOWN_ALTERNATIVES = 8
_FIRST_STEP = 256
"""Bytes that llguidance is given at once before it is known how long it takes for them: a step cannot be stopped."""


def validate(text: bytes, compiled: CompiledConstraints) -> ValidationResult:
    """Decide for every part of `compiled` whether `text` satisfies it.

    `satisfied` is None where a text cannot tell: vacuous and unenforceable parts, token masks. Raises
    LimitExceededError if the text is too long or too deep, or a part takes too much work.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise LimitExceededError(f"the text has {len(text)} bytes; at most {MAX_TEXT_BYTES} are checked")
    check = _Check(text)
    if compiled.joint_check is not None:
        check.try_together(compiled.joint_check)
    outcomes = tuple(_outcome(part, check) for part in compiled.parts)
    all_satisfied = all(
        outcome.satisfied is not False and outcome.handling is not Handling.UNENFORCEABLE for outcome in outcomes
    )
    return ValidationResult(all_satisfied, outcomes, compiled.warnings)


def _outcome(part: ConstraintPart, check: _Check) -> ConstraintOutcome:
    violation = None
    decidable = part.handling in (Handling.ENFORCED, Handling.CHECKED)
    if decidable and part.check_schema is not None:
        violation = check.against_schema(part.check_schema, part.path)
    elif decidable and part.check_grammar is not None:
        violation = check.against_grammar(part.check_grammar, part.path)
    else:
        return ConstraintOutcome(part.path, part.name, part.kind, part.handling, satisfied=None)
    if violation is None:
        return ConstraintOutcome(part.path, part.name, part.kind, part.handling, satisfied=True)
    expected = violation.expected
    if part.pattern:
        # What may come next says little of a pattern that may begin anywhere.
        at_end = violation.offset == len(check.text)
        expected = f"{'more text' if at_end else expected}, to match {part.pattern}"
    before = check.text[: violation.offset].decode(errors="replace")
    return ConstraintOutcome(
        path=part.path,
        name=part.name,
        kind=part.kind,
        handling=part.handling,
        satisfied=False,
        offset=violation.offset,
        line=before.count("\n") + 1,
        column=len(before) - before.rfind("\n"),
        expected=expected,
    )


def judge(validation: ValidationResult) -> MazeError | None:
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


@dataclass(frozen=True, slots=True)
class _Violation:
    """Where a text breaks a part, in bytes, and what would have been right there."""

    offset: int
    expected: str


_Key = TypeVar("_Key", str, EngineGrammar)


class _Check:
    """One text and the time there is to check it. Parts that are equal are decided once."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._deadline = time.monotonic() + MAX_CHECK_SECS
        self._decided: dict[str | EngineGrammar, _Violation | None] = {}
        self._json: tuple[str, list[JsonValue]] | _Violation | None = None

    def against_schema(self, schema: str, path: str) -> _Violation | None:
        return self._once(schema, path, self._schema_violation)

    def against_grammar(self, grammar: EngineGrammar, path: str) -> _Violation | None:
        return self._once(grammar, path, self._grammar_violation)

    def try_together(self, joint: JointCheck) -> None:
        """Spare the single checks if all of them would find nothing."""
        try:
            violation = self._grammar_violation(joint.grammar, "all patterns together")
        except LimitExceededError:
            return  # one by one they are less work
        if violation is None:
            self._decided.update(dict.fromkeys(joint.check_grammars))

    def _once(self, key: _Key, path: str, decide: Callable[[_Key, str], _Violation | None]) -> _Violation | None:
        if key not in self._decided:
            self._in_time(path)
            self._decided[key] = decide(key, path)
        return self._decided[key]

    def _in_time(self, path: str) -> None:
        if time.monotonic() > self._deadline:
            raise LimitExceededError(
                f"checking the text against {path} takes over {MAX_CHECK_SECS:g} s; shorten or simplify them"
            )

    # -------------------------------------------------------------------------------------------- JSON Schema

    def _schema_violation(self, schema: str, path: str) -> _Violation | None:
        # An upper bound of the nesting that costs nothing; small stacks are no place for deep texts.
        if self.text.count(b"{") + self.text.count(b"[") <= _SHALLOW:
            return self._schema_violation_here(schema, path)
        return run_with_big_stack(lambda: self._schema_violation_here(schema, path))

    def _schema_violation_here(self, schema: str, path: str) -> _Violation | None:
        if self._json is None:
            self._json = _read_json(self.text)
        if isinstance(self._json, _Violation):
            return self._json
        text, values = self._json
        validator = _validators.get(schema, lambda: _make_validator(schema, path), len(schema))
        for value in values:
            if not _is_valid(validator, value, path):
                where, expected = diagnose(schema, value)
                return _Violation(len(text[: offset_of(text, where)].encode()), expected)
        return None

    # -------------------------------------------------------------------------------------------- grammars

    def _grammar_violation(self, grammar: EngineGrammar, path: str) -> _Violation | None:
        matcher = _prototypes.get(grammar, lambda: _make_matcher(grammar, path), len(grammar.rules)).copy()
        if len(self.text) <= _FIRST_STEP and matcher.accepts(self.text):
            return None
        try:
            return self._walk(matcher, path)
        except GuidanceError:
            # Copies share their lexer, so the error may be that of another text: a matcher of our own decides.
            _prototypes.drop(grammar)
        try:
            return self._walk(_make_matcher(grammar, path), path)
        except GuidanceError as error:
            raise LimitExceededError(
                f"checking the text against {path} is too much work for llguidance ({error}); simplify the constraint"
            ) from None

    def _walk(self, matcher: Matcher, path: str) -> _Violation | None:
        offset, size = 0, _FIRST_STEP
        while offset < len(self.text):
            self._in_time(path)
            piece = self.text[offset : offset + size]
            started = time.monotonic()
            consumed = matcher.consume(piece)
            took = time.monotonic() - started
            offset += consumed
            if consumed < len(piece):
                return _Violation(offset, _expected_by(matcher))
            if took < 0.02:
                size = min(size * 2, 65_536)
            elif took > 0.1:
                size = max(size // 4, 1)
        if matcher.can_end():
            return None
        expected = _expected_by(matcher)
        return _Violation(offset, f"more text, beginning with {expected}")


def _expected_by(matcher: Matcher) -> str:
    """What the matcher would take next. Also finds out whether a rejection was a verdict or exhaustion."""
    can_end = matcher.can_end()
    return _shown_bytes(matcher.next_bytes(), can_end=can_end)


def _shown_bytes(taken: list[int], *, can_end: bool) -> str:
    """Bytes as a person reads them: ranges of letters and digits, names for white space."""
    ranges: list[tuple[int, int]] = []
    for byte in taken:
        if byte >= 0x80:
            continue
        if ranges and ranges[-1][1] == byte - 1 and _class_of(ranges[-1][1]) == _class_of(byte) != "other":
            ranges[-1] = (ranges[-1][0], byte)
        else:
            ranges.append((byte, byte))
    shown = [
        _shown_byte(first) if first == last else f"{_shown_byte(first)} to {_shown_byte(last)}"
        for first, last in ranges
    ]
    if taken and taken[-1] >= 0x80:
        shown.append("a character outside ASCII")
    if can_end:
        shown.insert(0, "the end of the text")
    if len(shown) > _SHOWN_ALTERNATIVES:
        shown[_SHOWN_ALTERNATIVES - 1 :] = [f"{len(shown) - _SHOWN_ALTERNATIVES + 1} other characters"]
    return " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1]])) if shown else "nothing that could follow"


def _class_of(byte: int) -> str:
    character = chr(byte)
    if character.isdigit():
        return "digit"
    if character.isalpha():
        return "upper" if character.isupper() else "lower"
    return "control" if byte < 0x20 and character not in "\t\n\r" else "other"


def _shown_byte(byte: int) -> str:
    names = {0x09: "a tab", 0x0A: "a line break", 0x0D: "a carriage return", 0x20: "a space"}
    return names.get(byte) or (f"'{chr(byte)}'" if 0x20 < byte < 0x7F else f"byte 0x{byte:02x}")


# ------------------------------------------------------------------------------------------------ JSON


def _read_json(text: bytes) -> tuple[str, list[JsonValue]] | _Violation:
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        return _Violation(error.start, "valid UTF-8")
    try:
        values = readings(decoded)
    except JsonTextError as error:
        return _Violation(len(decoded[: error.offset].encode()), f"JSON: {error.message}")
    except TooDeepError:
        raise _too_deep("over 900") from None
    if decoded.count("{") + decoded.count("[") > MAX_TEXT_DEPTH and (nesting := depth(values[0])) > MAX_TEXT_DEPTH:
        raise _too_deep(str(nesting))
    return decoded, values


def _too_deep(nesting: str) -> LimitExceededError:
    return LimitExceededError(f"the text is nested {nesting} deep; texts nested {MAX_TEXT_DEPTH} deep are checked")


def _is_valid(validator: jsonschema_rs.Validator, value: JsonValue, path: str) -> bool:
    """is_valid() remembers what it has decided; validate() builds a tree of errors that can fill the memory."""
    try:
        return validator.is_valid(value)
    except ValueError as error:
        raise LimitExceededError(f"the text cannot be checked against {path}: {error}") from None


def _make_validator(schema: str, path: str) -> jsonschema_rs.Validator:
    try:
        return run_with_big_stack(lambda: make_validator(schema))
    except ValueError as error:
        raise InternalError(f"the check of {path} is no JSON Schema: {error}") from None


def _make_matcher(grammar: EngineGrammar, path: str) -> Matcher:
    try:
        return run_with_big_stack(lambda: Matcher(grammar))
    except GuidanceError as error:
        raise error.for_caller(f"the check of {path}", LimitExceededError) from None


# ------------------------------------------------------------------------------------------------ what is kept

_Kept = TypeVar("_Kept")


class _Store(Generic[_Kept]):
    """What was made from a text, least recently used first out, bounded by an estimate of its memory."""

    def __init__(self, max_bytes: int, fixed_bytes: int, bytes_per_character: int) -> None:
        self._lock = Lock()
        self._sizes = (fixed_bytes, bytes_per_character)
        self._kept: LRUCache[Hashable, tuple[_Kept, int]] = LRUCache(max_bytes, getsizeof=lambda entry: entry[1])

    def get(self, key: Hashable, make: Callable[[], _Kept], characters: int) -> _Kept:
        with self._lock:
            entry = self._kept.get(key)
        if entry is not None:
            return entry[0]
        made = make()
        fixed, per_character = self._sizes
        size = fixed + per_character * characters
        with self._lock:
            if size <= self._kept.maxsize:
                self._kept[key] = (made, size)
        return made

    def drop(self, key: Hashable) -> None:
        with self._lock:
            self._kept.pop(key, None)


# Measured: a matcher takes 106 KB, 415 KB and 2.1 MB for schemas of 1, 10 and 100 KB.
_prototypes: _Store[Matcher] = _Store(MAX_PROTOTYPE_BYTES, fixed_bytes=100_000, bytes_per_character=25)
_validators: _Store[jsonschema_rs.Validator] = _Store(MAX_VALIDATOR_BYTES, fixed_bytes=4_000, bytes_per_character=20)
