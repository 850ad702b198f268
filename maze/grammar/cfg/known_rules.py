"""Rules that were written for engines and packed before, and what is left of them where terminals are narrowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from maze.grammar.cfg.model import Cfg, Pattern, Production, Symbol, references_of
from maze.grammar.pattern.tree import Node, both

Rules = dict[str, tuple[Production, ...]]


@dataclass(frozen=True, slots=True)
class WrittenRules:
    """Rules as engines get them, for a text that has others beside them."""

    begun_at: Sequence[str]
    """The rules that others may refer to."""
    rule_names: Mapping[str, str]
    """What each rule is called in the text, where with_direct_recursion() leaves it."""
    rules: Mapping[str, str]
    """The text of each, with what it alone needs."""
    references: Mapping[str, Sequence[str]]
    """The rules that each refers to."""
    terminals: Sequence[tuple[str, str]]
    """The name and the text of each Pattern, in the order of patterns_of()."""
    taken: Sequence[str]
    """All names in the text."""
    nodes: int
    symbols: int
    """What the rules count for in the limits of a text."""


@dataclass(frozen=True)  # without slots: what is found out about them stays
class KnownRules:
    """Rules, and what is made of them each time that they are compiled."""

    rules: Rules
    packed: bytes
    written: WrittenRules

    @cached_property
    def patterns(self) -> list[Pattern]:
        """Those in the rules, in their order."""
        return patterns_of(self.rules)

    @cached_property
    def references(self) -> dict[str, list[str]]:
        """The rules that each refers to."""
        return {name: references_of(productions) for name, productions in self.rules.items()}


@dataclass(frozen=True, slots=True)
class NarrowedRules:
    """Known rules some of whose terminals have fewer texts."""

    known: KnownRules
    narrowing: Mapping[str, Narrowing | None]
    """By the name of the terminal; None where no text is left."""

    def rules(self) -> Rules:
        """What is left of the rules."""
        return narrowed(self.known.rules, self.changes())

    def narrowed_further(self, narrowing: Mapping[str, Narrowing | None]) -> NarrowedRules:
        """The same with still fewer texts of some terminals, by their names."""
        further = dict(self.narrowing)
        for name in [pattern.name for pattern in self.known.patterns if pattern.name in narrowing]:
            before, more = further.get(name, ()), narrowing[name]
            further[name] = None if before is None or more is None else (*before, *more)
        return NarrowedRules(self.known, further)

    def changes(self) -> dict[Symbol, Pattern | None]:
        """What becomes of the terminals."""
        return changes_by(self.narrowing, self.known.patterns)


Narrowing = tuple[Node, ...]
"""What all texts of a terminal must be as well."""


def changes_by(narrowing: Mapping[str, Narrowing | None], patterns: Iterable[Pattern]) -> dict[Symbol, Pattern | None]:
    """What becomes of some terminals."""
    return {
        each: None if left is None else Pattern(each.name, both(each.language, *left))
        for each in patterns
        if each.name in narrowing
        for left in (narrowing[each.name],)
    }


def patterns_of(rules: Rules) -> list[Pattern]:
    """The patterns in some rules, each once, in their order."""
    return [each for each in Cfg("", rules).terminals() if isinstance(each, Pattern)]


def narrowed(rules: Rules, changes: Mapping[Symbol, Pattern | None]) -> Rules:
    """The rules with other terminals in the place of some, without the alternatives that need one with no text.

    An engine would offer the beginning of such an alternative and then be stuck.
    """
    if not changes:
        return rules

    def changed(productions: tuple[Production, ...]) -> tuple[Production, ...]:
        return tuple(
            tuple([changes.get(symbol) or symbol for symbol in production])
            for production in productions
            if not any(symbol in changes and changes[symbol] is None for symbol in production)
        )

    return {
        name: changed(productions)
        if any(symbol in changes for production in productions for symbol in production)
        else productions
        for name, productions in rules.items()
    }
