"""Whether a text that was cut off could still have satisfied its constraints, had it gone on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from maze.check import Finding
from maze.check.grammar_check import grammar_violation
from maze.check.validation import MAX_CHECK_SECS, placed
from maze.errors import LimitExceededError
from maze.types import CompiledConstraints, ConstraintOutcome, ConstraintPart, EngineGrammar, Handling

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
_HALF_A_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""What engines put where a text was cut off within a character."""


def hopeless_outcome(
    text: str, compiled: CompiledConstraints, outcomes: Sequence[ConstraintOutcome]
) -> ConstraintOutcome | None:
    """The outcome of a part that `text` breaks already, however it would have gone on, with the byte that does so.

    `outcomes` are those of the text as it is. With Handling.ENFORCED it is of what the engine was given to enforce, and
    did not; a schema might then still be met, with its properties in an order that was not asked for. None where the
    text could go on, or where that cannot be told.
    """
    broken = [
        (part, outcome) for part, outcome in zip(compiled.parts, outcomes, strict=True) if outcome.satisfied is False
    ]
    beginning = text.rstrip(_HALF_A_CHARACTER).encode()
    try:
        return _against_enforced(beginning, compiled, broken) or _against_checked(beginning, broken)
    except LimitExceededError:
        return None


_Broken = Sequence[tuple[ConstraintPart, ConstraintOutcome]]


def _against_enforced(beginning: bytes, compiled: CompiledConstraints, broken: _Broken) -> ConstraintOutcome | None:
    """Against the grammar that the engine was given."""
    if compiled.grammar is None:
        return None
    found = _ruled_out(beginning, compiled.grammar, "the enforced grammar")
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


def _against_checked(beginning: bytes, broken: _Broken) -> ConstraintOutcome | None:
    """Against each part alone. A schema is only asked for JSON, as the order of properties is free."""
    for part, outcome in broken:
        if part.check_grammar is not None and outcome.offset is not None and outcome.offset < len(beginning):
            return outcome
        if part.check_schema is not None and (found := _ruled_out(beginning, _JSON, part.path)) is not None:
            return placed(outcome, beginning, [Finding(found.offset, found.found, f"JSON: {found.expected}")])
    return None


def _ruled_out(beginning: bytes, grammar: EngineGrammar, path: str) -> Finding | None:
    """The byte after which no text of the grammar goes on."""
    found = grammar_violation(beginning, grammar, path, _until(time.monotonic() + MAX_CHECK_SECS))
    return None if found is None or found.offset == len(beginning) else found


def _until(deadline: float) -> Callable[[str], None]:
    def in_time(path: str) -> None:
        if time.monotonic() > deadline:
            raise LimitExceededError(f"checking the text against {path} takes too long")

    return in_time
