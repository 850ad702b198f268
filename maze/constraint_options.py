"""How constraints are taken: what becomes of those that cannot hold, which are left out, how Braid's are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from maze.errors import InvalidArgumentError
from maze.field_checks import TEXT, check_type, take_tuple
from maze.outcome import ConstraintKind


class OnUnenforceable(StrEnum):
    """What to do with a constraint that can be neither enforced nor checked."""

    ERROR = "error"
    """Fail before any request."""
    REPORT = "report"
    """Go on without it: a text is still made, but is no success, and the warnings tell why."""


class OnConflict(StrEnum):
    """What to do with constraints that no text satisfies together."""

    ERROR = "error"
    """Fail before any request."""
    REPORT = "report"
    """Go on with those of the highest priority: a text is still made, but is no success, and the warnings tell why."""


class BraidGrammar(StrEnum):
    """How a grammar of Braid's token classes is taken, which lists what Braid has seen in a source."""

    AS_GRAMMAR = "as_grammar"
    """As it is written: a text is one of its texts."""
    AS_LANGUAGE = "as_language"
    """As a hint: the grammar of the language itself is enforced in its place, where there is one (`%language`). What it
    asks for is told to the model and reported; patterns beside it that describe names apply to what a text declares."""
    AS_LANGUAGE_CHECKED = "as_language_checked"
    """The same, and a finished text must have what it asks for."""


@dataclass(frozen=True, slots=True)
class ConstraintOptions:
    """How an array of constraints is compiled, beside what they say themselves."""

    on_unenforceable: OnUnenforceable = OnUnenforceable.ERROR
    on_conflict: OnConflict = OnConflict.ERROR
    ignore: tuple[str, ...] = ()
    """Parts that are left out, and reported: paths such as `constraints[1].grammar`, or kinds such as `grammar`."""
    braid_grammar: BraidGrammar = BraidGrammar.AS_GRAMMAR

    def __post_init__(self) -> None:
        check_constraint_options(self)


_PART = re.compile(
    r"constraints\[(0|[1-9][0-9]{0,9})\](\.(json_schema|grammar|regex_patterns(\[(0|[1-9][0-9]{0,9})\])?|token_masks))?"
)
_TYPES: dict[str, type[StrEnum]] = {
    "on_unenforceable": OnUnenforceable,
    "on_conflict": OnConflict,
    "braid_grammar": BraidGrammar,
}


def check_constraint_options(owner: object) -> None:
    """Check those fields of `owner` that ConstraintOptions has; None is a choice that is left to the configuration."""
    for name, kind in _TYPES.items():
        value = getattr(owner, name)
        if type(value) is kind or (value is None and name == "braid_grammar"):
            continue  # a plain "report" would pass for it in part
        check_type(name, value, kind, f"one of {kind.__name__}{', or None' if name == 'braid_grammar' else ''}")
    if getattr(owner, "ignore") == ():  # noqa: B009 - two classes have it
        return
    take_tuple(owner, "ignore", str, TEXT)
    for number, text in enumerate(getattr(owner, "ignore")):  # noqa: B009
        if text not in tuple(ConstraintKind) and not _PART.fullmatch(text):
            raise InvalidArgumentError(
                f"is {text[:100]!r}; it must be a kind ({', '.join(ConstraintKind)}) or the path of a part, such as "
                "constraints[0].grammar, constraints[0].regex_patterns[1], or constraints[0] for all of it",
                field=f"ignore[{number}]",
            )
