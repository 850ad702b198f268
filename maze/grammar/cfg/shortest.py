"""The shortest texts of a grammar, by Knuth's generalisation of Dijkstra's algorithm.

They are the same ones each time: of texts of equal length the one with the most printable characters, and of those the
one that the grammar names first.
"""

from __future__ import annotations

import heapq
from typing import TypeAlias

from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Production, Symbol, Terminal
from maze.grammar.pattern.automaton import DEAD, Alphabet, Budget, make_dfa
from maze.grammar.pattern.code_points import Ranges, intersection
from maze.grammar.pattern.derivative import without_empty
from maze.grammar.pattern.tree import Alt, Cat, Chars, Node, Repeat, is_plain
from maze.grammar.pattern.tree import Literal as LiteralNode

Cost: TypeAlias = tuple[int, int]
"""Characters, and how many of them cannot be printed."""

_PREFERRED: tuple[Ranges, ...] = (
    ((0x61, 0x7A),),
    ((0x41, 0x5A),),
    ((0x30, 0x39),),
    ((0x21, 0x7E),),
    ((0x20, 0x7E),),
)


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
                    heapq.heappush(heap, (_cost(text), len(heads)))
                heads.append((name, production))
                missing.append(len(needed))
                sums.append(_cost(text))
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
            self._terminals[terminal] = _shortest(without_empty(terminal.language), self._budget)
        return self._terminals[terminal]


def _cost(text: str) -> Cost:
    return len(text), sum(not character.isprintable() for character in text)


def _shortest(node: Node, budget: Budget) -> str | None:
    """The shortest text of an expression; None if it has none."""
    match node:
        case Chars(ranges):
            return _preferred(ranges) if ranges else None
        case LiteralNode(text):
            budget.spend(len(text))
            return text
        case _ if not is_plain(node):
            return _shortest_by_automaton(node, budget)
        case Cat(items):
            parts = [_shortest(item, budget) for item in items]
            return None if None in parts else "".join(part or "" for part in parts)
        case Alt(items):
            ways = [way for item in items if (way := _shortest(item, budget)) is not None]
            return min(ways, key=_cost, default=None)
        case Repeat(item, low, _):
            once = _shortest(item, budget) if low else ""
            budget.spend(low * len(once or ""))
            return None if once is None else once * low
    raise AssertionError(node)


def _shortest_by_automaton(node: Node, budget: Budget) -> str | None:
    alphabet = Alphabet([node])
    dfa = make_dfa(node, alphabet, budget)
    characters = [_preferred(alphabet.ranges_of(1 << group)) for group in range(alphabet.size)]
    heap: list[tuple[Cost, int, str]] = [((0, 0), 0, "")]
    settled: set[int] = set()
    while heap:
        (length, unprintable), state, text = heapq.heappop(heap)
        if state in dfa.accepting:
            return text
        if state in settled:
            continue
        settled.add(state)
        budget.spend(length + len(dfa.next[state]))
        for character, target in zip(characters, dfa.next[state], strict=True):
            if target != DEAD and target not in settled:
                more = text + character
                heapq.heappush(heap, ((length + 1, unprintable + (not character.isprintable())), target, more))
    return None


def _preferred(ranges: Ranges) -> str:
    """The character of a set that is written where any would do."""
    for wanted in _PREFERRED:
        if found := intersection(ranges, wanted):
            return chr(found[0][0])
    firsts = [chr(low) for low, _ in ranges]
    return next((character for character in firsts if character.isprintable()), firsts[0])
