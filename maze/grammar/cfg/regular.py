"""Grammars whose language is regular, as that language: what another grammar can be multiplied with.

It cannot be told in general whether it is. It is wherever no rule comes back to itself in the middle of a text: the
rules of a circle of references have each other only at the ends of their productions, or only at the beginnings; or the
circle is one rule, which may have both.
"""

from __future__ import annotations

from collections.abc import Iterable

from maze.grammar.budget import Construction
from maze.grammar.cfg.analysis import circles, pruned
from maze.grammar.cfg.model import Cfg, Nonterminal, Production
from maze.grammar.cfg.recursion import recursion_of, with_direct_recursion
from maze.grammar.pattern.elimination import expression_of
from maze.grammar.pattern.machine import as_machine
from maze.grammar.pattern.tree import NOTHING, Literal, Node, alt, cat, literal, positions_of, repeat

_MAX_POSITIONS = 40
"""Most characters and classes in an expression that stays one; a larger one becomes an automaton, as the many ways to
write a character of a string do."""


def regular_language(cfg: Cfg, budget: Construction) -> Node | None:
    """The texts of a grammar as a regular language; None if its rules refer to each other in another way.

    To be called on a big stack. Raises OverBudgetError where the language is too large an automaton.
    """
    return _Languages(with_direct_recursion(pruned(cfg)), budget).of_start()


class _Languages:
    """Those of the rules of a grammar."""

    def __init__(self, cfg: Cfg, budget: Construction) -> None:
        self._cfg = cfg
        self._budget = budget
        self._rules: dict[str, Node] = {}
        self._compact: dict[Node, Node] = {}

    def of_start(self) -> Node | None:
        for circle in circles(self._cfg.rules):
            self._budget.spend(sum(1 + len(rhs) for name in circle for rhs in self._cfg.rules[name]))
            found = self._of_one(*circle) if len(circle) == 1 else self._of_many(circle)
            if found is None:
                return None
            self._rules.update(found)
        return self._rules[self._cfg.start]

    def _of_one(self, name: str) -> dict[str, Node] | None:
        found = recursion_of(name, self._cfg.rules[name])
        productions = (*found.before, *found.others, *found.after, *found.between)
        if any(Nonterminal(name) in production for production in productions):
            return None
        item = cat(self._any_number(found.before), self._choice(found.others), self._any_number(found.after))
        if found.between:
            item = cat(item, repeat(cat(self._choice(found.between), item), 0, None))
        return {name: self._compacted(item)}

    def _of_many(self, circle: list[str]) -> dict[str, Node] | None:
        """Rules are the states of an automaton, over texts, that has one more for the end of a text."""
        states = {Nonterminal(name): number for number, name in enumerate(circle)}
        productions = [(name, production) for name in circle for production in self._cfg.rules[name]]
        at_the_end = all(states.keys().isdisjoint(production[:-1]) for _, production in productions)
        if not at_the_end and not all(states.keys().isdisjoint(production[1:]) for _, production in productions):
            return None
        outside = len(states)
        ways: dict[int, dict[int, Node]] = {number: {} for number in range(outside + 1)}
        for name, production in productions:
            link = next((symbol for symbol in production if symbol in states), None)
            texts = self._language(tuple(symbol for symbol in production if symbol != link))
            this, other = states[Nonterminal(name)], states.get(link, outside) if link is not None else outside
            # Where others come at the beginning, a text is written from the last of the rules to the first.
            source, target = (this, other) if at_the_end else (other, this)
            ways[source][target] = alt(ways[source].get(target, NOTHING), texts)

        def between(start: int, end: int) -> Node:
            copied = {source: dict(targets) for source, targets in ways.items()}
            return self._compacted(expression_of(copied, start, (end,), self._budget))

        return {
            symbol.name: between(state, outside) if at_the_end else between(outside, state)
            for symbol, state in states.items()
        }

    def _any_number(self, productions: list[Production]) -> Node:
        return repeat(self._choice(productions), 0, None)

    def _choice(self, productions: Iterable[Production]) -> Node:
        return alt(*map(self._language, productions))

    def _language(self, production: Production) -> Node:
        return cat(
            *(
                self._rules[symbol.name]
                if isinstance(symbol, Nonterminal)
                else literal(symbol.text)
                if isinstance(symbol, Literal)
                else self._compacted(symbol.language)
                for symbol in production
            )
        )

    def _compacted(self, language: Node) -> Node:
        if positions_of(language) <= _MAX_POSITIONS:
            return language
        if language not in self._compact:
            self._compact[language] = as_machine(language, self._budget)
        return self._compact[language]
