"""The rules of a grammar of values while they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from maze.grammar.cfg.model import Nonterminal, Production
from maze.grammar.schema.conditions import Condition


class RulesOfValues:
    """All that were written so far, and names for those to come."""

    def __init__(self, value: Callable[[Condition], Nonterminal]) -> None:
        self.value = value
        """The rule for the values that satisfy a condition."""
        self.by_name: dict[str, tuple[Production, ...]] = {}
        self._named = 0

    def name_one(self) -> Nonterminal:
        """A rule that is not written yet."""
        self._named += 1
        return Nonterminal(f"json {self._named}")

    def write(self, productions: Iterable[Production]) -> Nonterminal:
        """A rule with these productions."""
        rule = self.name_one()
        self.by_name[rule.name] = tuple(productions)
        return rule
