"""Naming patterns: `^[a-z][a-zA-Z0-9]*$` beside a grammar describes its names, not the whole output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from maze.errors import ContradictionError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.analysis import pruned
from maze.grammar.cfg.known_rules import narrowed
from maze.grammar.cfg.lowered import LoweredGrammar, written_beside
from maze.grammar.cfg.model import Cfg, Pattern, Symbol
from maze.grammar.pattern.automaton import is_empty, without_intersections
from maze.grammar.pattern.code_points import complement, intersection
from maze.grammar.pattern.derivative import Derivatives
from maze.grammar.pattern.tree import (
    ANYTHING,
    Alt,
    Both,
    Node,
    Not,
    alt,
    both,
    cat,
    characters_of,
    is_plain,
    literal,
    negation,
    positions_of,
    repeat,
)
from maze.grammar.pattern.trial import has_text_by_trial
from maze.grammar.read.lark.language_names import may_go_on

_BLANK = repeat(literal(" "), 0, 1)
"""Belongs to a name that follows another without a word between."""
_MORE = repeat(cat(literal(" "), ANYTHING), 0, 1)
"""What some terminals of languages take behind a name."""


def may_describe_names(lowered: LoweredGrammar, language: Node) -> bool:
    """Whether describes_names() is worth asking: most patterns are about other things, which is seen at once."""
    return any(_may_be_within(language, name) for name in _names(lowered))


def describes_names(lowered: LoweredGrammar, language: Node, budget: Budget) -> bool:
    """Whether every text of the language is a name of some kind in the grammar's language, keywords left aside.

    False also for a pattern so large that this cannot be found out: nobody describes names with such a one.
    """
    try:
        return any(
            is_empty(both(language, negation(name)), budget)
            for name in _names(lowered)
            if _may_be_within(language, name)
        ) and not is_empty(language, budget)
    except OverBudgetError:
        return False


def _may_be_within(language: Node, name: Node) -> bool:
    return not is_plain(language) or not intersection(characters_of(language), complement(characters_of(name)))


def _names(lowered: LoweredGrammar) -> list[Node]:
    """What names are, in each way to write them, with the keywords that they leave out; the simplest first."""
    every = [_with_keywords(terminal.language) for terminal in lowered.identifier_terminals]
    ways = [way for name in every for way in ((*name.items, name) if isinstance(name, Alt) else (name,))]
    return sorted(dict.fromkeys(ways), key=positions_of)


def _with_keywords(name: Node) -> Node:
    match name:
        case Alt(items):
            return alt(*map(_with_keywords, items))
        case Both(items):
            return both(*(_with_keywords(item) for item in items if not isinstance(item, Not)))
    return name


def has_names(lowered: LoweredGrammar, languages: Sequence[Node], paths: str, budget: Budget) -> bool:
    """Whether some name is in all languages."""
    return any(name is not None for name in _narrowed(lowered, languages, paths, budget)[1].values())


def apply_naming(lowered: LoweredGrammar, languages: Sequence[Node], paths: str, budget: Budget) -> LoweredGrammar:
    """The grammar with only such names as all languages have.

    Raises ContradictionError if it needs a name and none is left, UnsupportedConstraintError if a language cannot be
    written as a regular expression of bearable size; `paths` is what the errors call them.
    """
    wanted, named = _narrowed(lowered, languages, paths, budget)
    budget.spend(sum(1 + len(rhs) for productions in lowered.cfg.rules.values() for rhs in productions))
    changes = dict[Symbol, Pattern | None](named.items())
    cfg = pruned(Cfg(lowered.cfg.start, narrowed(lowered.cfg.rules, changes)))
    if not cfg.rules[cfg.start]:
        raise ContradictionError(f"no text has names as {paths} together want them; change or drop one of them")
    written = lowered.written
    if written is not None and lowered.identifier_terminals.isdisjoint(written.own.terminals()):
        by_name = {before.name: None if left is None else _wanted_of(before, wanted) for before, left in named.items()}
        beside = tuple(each.narrowed_further(by_name) for each in written.beside)
        written = written_beside(cfg, written.own.rules, beside, budget)
    else:
        written = None
    names = frozenset(filter(None, named.values()))
    return replace(lowered, cfg=cfg, whole=None, read_whole=None, identifier_terminals=names, written=written)


def _wanted_of(terminal: Pattern, wanted: Sequence[Node]) -> tuple[Node, ...]:
    """What the names are to be, for a terminal that may take more behind them."""
    return tuple(cat(each, _MORE) for each in wanted) if may_go_on(terminal.name) else tuple(wanted)


def _narrowed(
    lowered: LoweredGrammar, languages: Sequence[Node], paths: str, budget: Budget
) -> tuple[list[Node], dict[Pattern, Pattern | None]]:
    """What names must be, and each terminal for names with only those of its texts; None where none is left."""
    named: dict[Pattern, Pattern | None] = {}
    try:
        plain = [language if is_plain(language) else without_intersections(language, budget) for language in languages]
        wanted = [cat(_BLANK, language) for language in plain]
        derivatives = Derivatives(budget.construction())
        for terminal in sorted(lowered.identifier_terminals, key=lambda each: each.name):
            own = _wanted_of(terminal, wanted)
            texts = both(terminal.language, *own)
            has_text = has_text_by_trial(texts, derivatives)
            if has_text is None:
                has_text = not is_empty(texts, budget)
            named[terminal] = Pattern(terminal.name, texts) if has_text else None
    except (OverBudgetError, LimitExceededError):
        raise UnsupportedConstraintError(
            f"{paths}: patterns that describe names are too complicated to be applied to them; make them simpler"
        ) from None
    return wanted, named
