"""The shortest texts of a grammar, by Knuth's generalisation of Dijkstra's algorithm.

They are the same ones each time: of texts of equal length the one with the most printable characters, and of those the
one that the grammar names first.
"""

from __future__ import annotations

import heapq

from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Production, Symbol, Terminal
from maze.grammar.pattern.automaton import Budget
from maze.grammar.pattern.derivative import without_empty
from maze.grammar.pattern.shortest import Cost, cost_of, shortest_of


def shortest_text(cfg: Cfg, budget: Budget) -> str | None:
    """The shortest text of the grammar; None if it has none. Raises OverBudgetError."""
    return ShortestTexts(cfg, budget).of(cfg.start)


class ShortestTexts:
    """The shortest text of each rule of a grammar. Its methods raise OverBudgetError."""

    def __init__(self, cfg: Cfg, budget: Budget) -> None:
        self._budget = budget
        self._costs: dict[str, Cost] = {}
        self._chosen: dict[str, Production] = {}
        self._terminals: dict[Terminal, str | None] = {}
        self._find(cfg)

    def of(self, rule: str) -> str | None:
        """The shortest text of a rule; None if it has none."""
        if rule not in self._costs:
            return None
        # A short grammar can have texts of any length.
        self._budget.spend(self._costs[rule][0])
        pieces = []
        todo: list[Symbol] = [Nonterminal(rule)]
        while todo:
            symbol = todo.pop()
            if isinstance(symbol, Nonterminal):
                self._budget.spend(1)
                todo += reversed(self._chosen[symbol.name])
            else:
                pieces.append(self._text_of(symbol) or "")
        return "".join(pieces)

    def _find(self, cfg: Cfg) -> None:
        """Settle the rules from the one with the shortest text on; a production counts when all its rules are settled.

        What a production costs is never less than what one of its symbols does, so that no settled rule gets cheaper.
        """
        heads: list[tuple[str, Production]] = []
        missing: list[int] = []
        sums: list[Cost] = []
        waiting: dict[str, list[int]] = {}
        heap: list[tuple[Cost, int]] = []
        for name, productions in cfg.rules.items():
            for production in productions:
                self._budget.spend(1 + len(production))
                texts = [self._text_of(symbol) for symbol in production if not isinstance(symbol, Nonterminal)]
                if None in texts:
                    continue
                needed = [symbol.name for symbol in production if isinstance(symbol, Nonterminal)]
                for other in needed:
                    waiting.setdefault(other, []).append(len(heads))
                text = "".join(text or "" for text in texts)
                if not needed:
                    heapq.heappush(heap, (cost_of(text), len(heads)))
                heads.append((name, production))
                missing.append(len(needed))
                sums.append(cost_of(text))
        while heap:
            cost, index = heapq.heappop(heap)
            name, production = heads[index]
            if name in self._costs:
                continue
            self._costs[name], self._chosen[name] = cost, production
            for user in waiting.get(name, ()):
                missing[user] -= 1
                sums[user] = (sums[user][0] + cost[0], sums[user][1] + cost[1])
                if missing[user] == 0:
                    heapq.heappush(heap, (sums[user], user))

    def _text_of(self, terminal: Terminal) -> str | None:
        if isinstance(terminal, Literal):
            return terminal.text
        if terminal not in self._terminals:
            self._terminals[terminal] = shortest_of(without_empty(terminal.language), self._budget)
        return self._terminals[terminal]
