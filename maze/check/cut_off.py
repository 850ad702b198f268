"""What is found of a generated text; if it was cut off, also whether it could have satisfied its constraints yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from maze.check import Finding
from maze.check.grammar_check import bytes_after, grammar_violation
from maze.check.validation import TimeLimit, placed, validate
from maze.compiled import CompiledConstraints, ConstraintPart, EngineGrammar
from maze.errors import LimitExceededError, TimedOutError
from maze.outcome import ConstraintOutcome, Handling, ValidationResult

_JSON = EngineGrammar(
    r"""start: value
value: object | array | STRING | NUMBER | "true" | "false" | "null"
object: "{" [member ("," member)*] "}"
member: STRING ":" value
array: "[" [value ("," value)*] "]"
STRING: /"([^"\\\x00-\x1f]|\\(["\\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/
NUMBER: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+\-]?[0-9]+)?/
%ignore /[ \t\n\r]+/
""",
    options=("allow_initial_skip",),
)
"""Every JSON text."""
HALF_A_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""What engines put where a text was cut off within a character."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of a text."""

    validation: ValidationResult
    hopeless: ConstraintOutcome | None = None
    """Of a text that may have been cut off: the outcome of a part that it breaks already, however it would have gone
    on, with the byte that does so. With Handling.ENFORCED it is of what the engine was given to enforce, and did not; a
    schema might then still be met, with its properties in an order that was not asked for. None where the text could go
    on, or where that cannot be told."""
    could_go_on: bool = True
    """Of a text that satisfies its constraints and may have been cut off: whether more text could have followed, as far
    as that can be told."""


def judge(
    text: bytes, compiled: CompiledConstraints, ends_at: float = math.inf, *, may_be_cut_off: bool = False
) -> Judgement:
    """Check a text until `ends_at`, a time of time.monotonic(). Raises as validate() does."""
    time_limit = TimeLimit(ends_at)
    validation = validate(text, compiled, time_limit)
    if not may_be_cut_off or not compiled.says_something:
        return Judgement(validation)
    if validation.all_satisfied:
        return Judgement(validation, could_go_on=_could_go_on(text, compiled, time_limit))
    broken = [
        (part, outcome)
        for part, outcome in zip(compiled.parts, validation.outcomes, strict=True)
        if outcome.satisfied is False
    ]
    beginning = text.decode().rstrip(HALF_A_CHARACTER).encode()
    try:
        hopeless = _against_enforced(beginning, compiled, broken, time_limit) or _against_checked(
            beginning, broken, time_limit
        )
    except (LimitExceededError, TimedOutError):
        hopeless = None
    return Judgement(validation, hopeless)


_JSON_SPACE = frozenset(b" \t\n\r")


def _could_go_on(text: bytes, compiled: CompiledConstraints, time_limit: TimeLimit) -> bool:
    """Whether some text that satisfies all begins with `text`, which does, and has more; True where that is unknown.

    Space behind a JSON value is nothing more.
    """
    following: list[frozenset[int]] = []
    try:
        if compiled.grammar is not None:
            enforced = bytes_after(text, compiled.grammar, "the enforced grammar", time_limit.in_time)
            if enforced is not None:
                following.append(enforced)
        for part in compiled.parts:
            # What is enforced alone is the grammar of before, or this one in another spelling.
            if part.handling is not Handling.CHECKED and following:
                continue
            if part.check_schema is not None:
                ended = frozenset(text[-1:]) <= _JSON_SPACE
                json = None if ended else bytes_after(text, _JSON, part.path, time_limit.in_time)
                following.append(frozenset() if json is None else json - _JSON_SPACE)
            elif part.check_grammar is not None:
                checked = bytes_after(text, part.check_grammar, part.path, time_limit.in_time)
                if checked is not None:
                    following.append(checked)
    except (LimitExceededError, TimedOutError):
        return True
    return not following or bool(frozenset.intersection(*following))


_Broken = Sequence[tuple[ConstraintPart, ConstraintOutcome]]


def _against_enforced(
    beginning: bytes, compiled: CompiledConstraints, broken: _Broken, time_limit: TimeLimit
) -> ConstraintOutcome | None:
    """Against the grammar that the engine was given."""
    if compiled.grammar is None:
        return None
    found = _ruled_out(beginning, compiled.grammar, "the enforced grammar", time_limit)
    if found is None:
        return None
    enforced = [(part, outcome) for part, outcome in broken if outcome.handling is Handling.ENFORCED]
    # A schema that is enforced but for a keyword counts as checked.
    enforced = enforced or [(part, outcome) for part, outcome in broken if part.check_schema is not None]
    if not enforced:
        return None
    for part, outcome in enforced:
        if part.check_grammar is not None and outcome.offset == found.offset:
            return outcome
    paths = ", ".join(outcome.path for _, outcome in enforced)
    return placed(replace(enforced[0][1], path=paths, handling=Handling.ENFORCED), beginning, [found])


def _against_checked(beginning: bytes, broken: _Broken, time_limit: TimeLimit) -> ConstraintOutcome | None:
    """Against each part alone. A schema is only asked for JSON, as the order of properties is free."""
    for part, outcome in broken:
        if part.check_grammar is not None and outcome.offset is not None and outcome.offset < len(beginning):
            return outcome
        if part.check_schema is None:
            continue
        found = _ruled_out(beginning, _JSON, part.path, time_limit)
        if found is not None:
            return placed(outcome, beginning, [Finding(found.offset, found.found, f"JSON: {found.expected}")])
    return None


def _ruled_out(beginning: bytes, grammar: EngineGrammar, path: str, time_limit: TimeLimit) -> Finding | None:
    """The byte after which no text of the grammar goes on."""
    found = grammar_violation(beginning, grammar, path, time_limit.in_time)
    return None if found is None or found.offset == len(beginning) else found
