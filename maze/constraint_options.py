"""How constraints are taken: what becomes of those that cannot hold, which are left out, how Braid's are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from maze.errors import InvalidArgumentError
from maze.field_checks import TEXT, check_member, take_tuple
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


_PART = re.compile(
    r"constraints\[(0|[1-9][0-9]{0,9})\](\.(json_schema|grammar|regex_patterns(\[(0|[1-9][0-9]{0,9})\])?|token_masks))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintOptions:
    """How constraints are taken, beside what they say themselves. GenerationOptions are these, and more."""

    on_unenforceable: OnUnenforceable = OnUnenforceable.ERROR
    on_conflict: OnConflict = OnConflict.ERROR
    ignore: tuple[str, ...] = ()
    """Parts that are left out, and reported: paths such as `constraints[1].grammar`, or kinds such as `grammar`."""
    braid_grammar: BraidGrammar | None = None
    """None leaves it to the configuration, of which the default is AS_GRAMMAR."""

    def __post_init__(self) -> None:
        # A plain "report", which would pass for a member in part, is refused.
        check_member("on_unenforceable", self.on_unenforceable, OnUnenforceable)
        check_member("on_conflict", self.on_conflict, OnConflict)
        check_member("braid_grammar", self.braid_grammar, BraidGrammar, or_none=True)
        if self.ignore != ():
            take_tuple(self, "ignore", str, TEXT)
            self._check_ignored()

    def _check_ignored(self) -> None:
        for number, text in enumerate(self.ignore):
            if text not in tuple(ConstraintKind) and not _PART.fullmatch(text):
                raise InvalidArgumentError(
                    f"is {text[:100]!r}; it must be a kind ({', '.join(ConstraintKind)}) or the path of a part, such "
                    "as constraints[0].grammar, constraints[0].regex_patterns[1], or constraints[0] for all of it",
                    field=f"ignore[{number}]",
                )

    def of_constraints(self, braid_grammar: BraidGrammar) -> ConstraintOptions:
        """These options alone, a key for what is compiled under them, with what the configuration says they leave."""
        return ConstraintOptions(
            on_unenforceable=self.on_unenforceable,
            on_conflict=self.on_conflict,
            ignore=self.ignore,
            braid_grammar=self.braid_grammar or braid_grammar,
        )
