"""A schema's `pattern`, which is ECMAScript's, as a language."""

from __future__ import annotations

from maze.errors import InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import MAX_COMPILATION_STEPS, Budget
from maze.grammar.pattern.ecmascript import parse_ecmascript
from maze.grammar.pattern.tree import Node


def pattern_language(pattern: str, budget: Budget, *, wider: bool = False) -> Node | None:
    """The texts in which the pattern is found; None where no automaton decides that, or it is too large.

    If `wider`, others too where it has backreferences.
    """
    try:
        return parse_ecmascript(pattern, "the pattern", budget, wider=wider)
    except LimitExceededError:
        if budget.spent > MAX_COMPILATION_STEPS:
            raise
        return None
    except (InvalidConstraintError, UnsupportedConstraintError):
        return None
