"""Naming patterns: `^[a-z][a-zA-Z0-9]*$` beside a grammar describes its names, not the whole output."""

from __future__ import annotations

from collections.abc import Sequence

from maze.errors import LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.known_rules import narrowed
from maze.grammar.cfg.model import Cfg, LoweredGrammar, Pattern, Symbol
from maze.grammar.pattern.automaton import is_empty, without_intersections
from maze.grammar.pattern.code_points import complement, intersection
from maze.grammar.pattern.tree import Node, Not, both, characters_of, conditions, is_plain, negation


def may_describe_names(lowered: LoweredGrammar, language: Node) -> bool:
    """Whether describes_names() is worth asking: most patterns are about other things, which is seen at once."""
    if not lowered.identifier_terminals:
        return False
    if not is_plain(language):
        return True
    strangers = [complement(characters_of(name)) for name in _names(lowered)]
    return not any(intersection(characters_of(language), each) for each in strangers)


def describes_names(lowered: LoweredGrammar, language: Node, budget: Budget) -> bool:
    """Whether every text of the language is a name in the grammar's language, keywords left aside.

    False also for a pattern so large that this cannot be found out: nobody describes names with such a one.
    """
    try:
        return not is_empty(language, budget) and all(
            is_empty(both(language, negation(name)), budget) for name in _names(lowered)
        )
    except OverBudgetError:
        return False


def _names(lowered: LoweredGrammar) -> list[Node]:
    """The languages of the terminals for names, with the keywords that they leave out."""
    return [
        both(*(item for item in conditions(terminal.language) if not isinstance(item, Not)))
        for terminal in lowered.identifier_terminals
    ]


def has_names(lowered: LoweredGrammar, languages: Sequence[Node], paths: str, budget: Budget) -> bool:
    """Whether some name is in all languages."""
    return any(name is not None for name in _narrowed(lowered, languages, paths, budget).values())


def apply_naming(lowered: LoweredGrammar, languages: Sequence[Node], paths: str, budget: Budget) -> Cfg:
    """The grammar with only such names as all languages have. It has no text if it needs a name and none is left.

    Raises UnsupportedConstraintError if a language cannot be written as a regular expression of bearable size;
    `paths` is what the error calls them.
    """
    named = _narrowed(lowered, languages, paths, budget)
    budget.spend(sum(1 + len(rhs) for productions in lowered.cfg.rules.values() for rhs in productions))
    return Cfg(lowered.cfg.start, narrowed(lowered.cfg.rules, named))


def _narrowed(
    lowered: LoweredGrammar, languages: Sequence[Node], paths: str, budget: Budget
) -> dict[Symbol, Pattern | None]:
    """Each terminal for names with only those of its texts that all languages have; None where none is left."""
    named: dict[Symbol, Pattern | None] = {}
    try:
        wanted = [language if is_plain(language) else without_intersections(language, budget) for language in languages]
        for terminal in lowered.identifier_terminals:
            narrowed = both(terminal.language, *wanted)
            named[terminal] = None if is_empty(narrowed, budget) else Pattern(terminal.name, narrowed)
    except (OverBudgetError, LimitExceededError):
        raise UnsupportedConstraintError(
            f"{paths}: patterns that describe names are too complicated to be applied to them; make them simpler"
        ) from None
    return named
