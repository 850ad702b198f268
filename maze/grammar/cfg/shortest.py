"""The shortest texts of a grammar, by Knuth's generalisation of Dijkstra's algorithm.

They are the same ones each time: of texts of equal length the one with the most printable characters, and of those the
one that the grammar names first.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from maze.grammar.budget import Construction
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Production, Symbol, Terminal
from maze.grammar.pattern.derivative import without_empty
from maze.grammar.pattern.shortest import Cost, cost_of, least_length, shortest_of


def shortest_text(cfg: Cfg, budget: Construction) -> str | None:
    """The shortest text of the grammar; None if it has none. Raises OverBudgetError."""
    return ShortestTexts(cfg, budget).of(cfg.start)


@dataclass(slots=True)
class _Candidate:
    """A production on its way to be the one that a rule's shortest text is made by."""

    rule: str
    production: Production
    missing: int
    """Rules in it that are not settled yet."""
    cost: Cost
    """Of the rules in it that are settled, and of its terminals: no more than they cost until it `is_exact`."""
    is_exact: bool = False


class ShortestTexts:
    """The shortest text of each rule of a grammar. Its methods raise OverBudgetError.

    Rules are settled from the one with the shortest text on, as far as they are asked for, and terminals are looked
    into when they may be in one. What a production costs is never less than what one of its symbols does, so that no
    settled rule gets cheaper.
    """

    def __init__(self, cfg: Cfg, budget: Construction) -> None:
        self._budget = budget
        self._costs: dict[str, Cost] = {}
        self._chosen: dict[str, Production] = {}
        self._terminals: dict[Terminal, str | None] = {}
        self._candidates: list[_Candidate] = []
        self._users: dict[str, list[int]] = {}
        self._heap: list[tuple[Cost, int]] = []
        least: dict[Terminal, int] = {
            terminal: len(terminal.text) if isinstance(terminal, Literal) else max(1, least_length(terminal.language))
            for terminal in cfg.terminals()
        }
        for name, productions in cfg.rules.items():
            for production in productions:
                self._budget.spend(1 + len(production))
                number = len(self._candidates)
                candidate = _Candidate(name, production, 0, (0, 0))
                length = 0
                for symbol in production:
                    if isinstance(symbol, Nonterminal):
                        candidate.missing += 1
                        self._users.setdefault(symbol.name, []).append(number)
                    else:
                        length += least[symbol]
                candidate.cost = (length, 0)
                self._candidates.append(candidate)
                if candidate.missing == 0:
                    heapq.heappush(self._heap, (candidate.cost, number))

    def of(self, rule: str) -> str | None:
        """The shortest text of a rule; None if it has none."""
        while rule not in self._costs:
            if not self._heap:
                return None
            self._settle_next()
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
                pieces.append(self.of_terminal(symbol) or "")
        return "".join(pieces)

    def lengths(self) -> dict[str, int]:
        """The characters of the shortest text of each rule that has one."""
        while self._heap:
            self._settle_next()
        return {rule: length for rule, (length, _) in self._costs.items()}

    def _settle_next(self) -> None:
        cost, number = heapq.heappop(self._heap)
        candidate = self._candidates[number]
        if candidate.rule in self._costs:
            return
        if not candidate.is_exact:
            candidate.is_exact = True
            exact = self._exact(candidate)
            if exact is not None:
                heapq.heappush(self._heap, (exact, number))
            return
        self._costs[candidate.rule], self._chosen[candidate.rule] = cost, candidate.production
        for user in self._users.get(candidate.rule, ()):
            waiting = self._candidates[user]
            waiting.missing -= 1
            waiting.cost = _sum(waiting.cost, cost)
            if waiting.missing == 0:
                heapq.heappush(self._heap, (waiting.cost, user))

    def _exact(self, candidate: _Candidate) -> Cost | None:
        """What a production costs all of whose rules are settled; None if it describes no text."""
        total: Cost = (0, 0)
        for symbol in candidate.production:
            if isinstance(symbol, Nonterminal):
                total = _sum(total, self._costs[symbol.name])
            elif (text := self.of_terminal(symbol)) is not None:
                total = _sum(total, cost_of(text))
            else:
                return None
        return total

    def of_terminal(self, terminal: Terminal) -> str | None:
        """The shortest text of a terminal of the grammar; None if it has none."""
        if isinstance(terminal, Literal):
            return terminal.text
        if terminal not in self._terminals:
            self._terminals[terminal] = shortest_of(without_empty(terminal.language), self._budget)
        return self._terminals[terminal]


def _sum(left: Cost, right: Cost) -> Cost:
    return left[0] + right[0], left[1] + right[1]
