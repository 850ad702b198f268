"""Rules made of regular operators over nonterminals, and the way from them to productions over terminals.

The fewer and longer the terminals, the faster an engine decodes; but its lexer takes the longest match and never goes
back. So each part of a rule that refers to no recursive rule becomes one terminal, if it can be told that the longest
match is always the right one, and is taken apart if not, down to single characters, which never go wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias

from maze.errors import LimitExceededError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.automaton_rules import as_rules
from maze.grammar.cfg.longest_match import split_literals, terminals_that_go_on
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Symbol, Terminal
from maze.grammar.pattern.code_points import characters, intersection, is_single, union
from maze.grammar.pattern.tree import (
    EMPTY,
    NOTHING,
    Alt,
    Both,
    Cat,
    Chars,
    Machine,
    Node,
    Not,
    Repeat,
    alt,
    cat,
    children,
    literal,
    nullable,
    repeat,
    text_of,
)

_MAX_POSITIONS = 300
"""Characters and classes in one terminal, repetitions written out; what is longer is taken apart."""
_MAX_HEIGHT = 100
"""Nodes one below the other in one terminal, as work on expressions is recursive; what is higher is taken apart."""
_MAX_ROUNDS = 40
"""Rounds of taking apart what is unsafe, before all is taken apart into texts and single classes."""


def as_written(start: str, rules: Mapping[str, Node], budget: Budget) -> Cfg:
    """The productions of the trees as they stand, over single characters and sets of them."""
    texts = {part for part in parts_of(*rules.values()) if isinstance(part, Literal)}
    return _Builder(_Facts(rules, {}, budget), texts, budget, by_characters=True).build(start)


Productions: TypeAlias = Mapping[str, tuple[Production, ...]]


def to_cfg(
    start: str,
    rules: Mapping[str, Node],
    budget: Budget,
    given: Productions | None = None,
    *,
    by_place: bool = False,
) -> Cfg:
    """A grammar with the language of the rules, safe for a lexer that takes the longest match.

    The trees hold nonterminals, which are all defined, and no intersections or complements around them. Rules that are
    `given` as productions stay as they are but for what is unsafe in them. With `by_place` each is told apart only
    from the terminals that can stand at the same place, so that more stay whole, at the price of more work.

    Raises LimitExceededError where an intersection that must be taken apart is too large for that.
    """
    facts = _Facts(rules, given or {}, budget)
    taken_apart: set[Node] = set()
    for _ in range(_MAX_ROUNDS):
        builder = _Builder(facts, taken_apart, budget)
        cfg = builder.build(start)
        unsafe = terminals_that_go_on(cfg, budget, by_place=by_place)
        if unsafe is None:
            break
        if not unsafe:
            return cfg
        taken_apart.update(*(builder.made_of[terminal] for terminal in unsafe))
    return _by_characters(start, facts, budget)


def tree_of(terminal: Terminal) -> Node:
    """The texts of a terminal as a tree."""
    return literal(terminal.text) if isinstance(terminal, Literal) else terminal.language


def parts_of(*nodes: Node) -> Iterator[Node]:
    """The trees and all trees in them."""
    todo = list(nodes)
    while todo:
        node = todo.pop()
        yield node
        todo += children(node)


class _Facts:
    """What the builder asks about rules: which of their parts can be one terminal, and of what."""

    def __init__(self, rules: Mapping[str, Node], given: Productions, budget: Budget) -> None:
        self.given = given
        self.terminals = {
            symbol: f"{symbol.name if isinstance(symbol, Pattern) else 'text'} [terminal {number}]"
            for number, symbol in enumerate(Cfg(start="", rules=dict(given)).terminals())
        }
        """The terminals of given rules, each with the name of the rule that it becomes where it is taken apart."""
        self.rules = rules = {**rules, **{name: tree_of(symbol) for symbol, name in self.terminals.items()}}
        self._budget = budget
        self._positions: dict[Node, int] = {}
        self._heights: dict[str, int] = {}
        """By rule, as far as it refers to no recursive one: nodes one below the other, rules written out."""
        self._terminals: dict[Node, Node | None] = {}
        waiting: dict[str, list[str]] = {}
        missing: dict[str, int] = {}
        for name, tree in rules.items():
            needed = {part.name for part in parts_of(tree) if isinstance(part, Nonterminal)}
            missing[name] = len(needed)
            for other in needed:
                waiting.setdefault(other, []).append(name)
            budget.spend(1 + len(needed))
        todo = [name for name, count in missing.items() if count == 0]
        while todo:
            name = todo.pop()
            self._positions[Nonterminal(name)] = self.positions(rules[name])
            self._heights[name] = self._height(rules[name])
            for user in waiting.get(name, ()):
                missing[user] -= 1
                if missing[user] == 0:
                    todo.append(user)

    def positions(self, node: Node) -> int:
        """Characters and classes of the tree written out; over the limit also if it cannot be written out."""
        known = self._positions.get(node)
        if known is None:
            known = self._positions[node] = min(self._count(node), _MAX_POSITIONS + 1)
        return known

    def _count(self, node: Node) -> int:
        match node:
            case Chars(ranges) if ranges:
                return 1
            case Literal(text):
                return len(text)
            case Cat(items) | Alt(items):
                return sum(map(self.positions, items))
            case Repeat(item, low, high):
                return self.positions(item) * max(low, high or 1)
        return _MAX_POSITIONS + 1  # no text at all, or a rule that refers to itself

    def _height(self, node: Node) -> int:
        """Nodes one below the other with rules written out; over the limit also if they cannot be."""
        height = below = 0
        level = [node]
        while level:
            height += 1
            names = [part.name for part in level if isinstance(part, Nonterminal)]
            below = max(below, *(height - 1 + self._heights.get(name, _MAX_HEIGHT + 1) for name in names), 0)
            level = [child for part in level for child in children(part)]
        return min(max(height, below), _MAX_HEIGHT + 1)

    def as_terminal(self, node: Node) -> Node | None:
        """The tree without nonterminals, if it can be one terminal of bearable size with at least one character."""
        if node not in self._terminals:
            fits = 1 <= self.positions(node) <= _MAX_POSITIONS and self._height(node) <= _MAX_HEIGHT
            whole = self._written_out(node) if fits else EMPTY
            self._terminals[node] = None if nullable(whole) else whole
        return self._terminals[node]

    def _written_out(self, node: Node) -> Node:
        self._budget.spend(1)
        while isinstance(node, Nonterminal):
            node = self.rules[node.name]
        match node:
            case Cat(items):
                return cat(*map(self._written_out, items))
            case Alt(items):
                return alt(*map(self._written_out, items))
            case Repeat(item, low, high):
                return repeat(self._written_out(item), low, high)
        return node


class _Builder:
    """Builds a grammar in which every tree is one terminal that can be one and is not to be taken apart."""

    def __init__(
        self, facts: _Facts, taken_apart: Collection[Node], budget: Budget, *, by_characters: bool = False
    ) -> None:
        self._facts = facts
        self._budget = budget
        self._taken_apart = taken_apart
        self._by_characters = by_characters
        self._rules: dict[str, tuple[Production, ...]] = {}
        self._helpers: dict[Node, Nonterminal] = {}
        self._todo: list[str] = []
        self._parts_to_do: list[tuple[Nonterminal, Node]] = []
        """Parts of the rule that is being built whose productions are still to be made."""
        self._name = ""
        self._parts = 0
        self.made_of: dict[Terminal, set[Node]] = {}
        """The terminals, with the trees that they stand for."""

    def build(self, start: str) -> Cfg:
        self._rules.update(
            (name, tuple(map(self._given, productions))) for name, productions in self._facts.given.items()
        )
        self._reference(start)
        while self._todo:
            self._name = self._todo.pop()
            self._parts = 0
            self._rules[self._name] = tuple(self._productions(self._facts.rules[self._name]))
            while self._parts_to_do:
                part, node = self._parts_to_do.pop()
                self._rules[part.name] = tuple(self._productions(node))
        return Cfg(start, self._rules)

    def _given(self, production: Production) -> Production:
        """A production that was given, with what is to be taken apart as rules."""
        symbols: list[Symbol] = []
        for symbol in production:
            if isinstance(symbol, Nonterminal):
                symbols.append(symbol)
                continue
            tree = self._facts.rules[self._facts.terminals[symbol]]
            if (self._by_characters and not isinstance(tree, Chars | Literal)) or tree in self._taken_apart:
                symbols.append(self._reference(self._facts.terminals[symbol]))
            else:
                symbols.append(symbol)
                self.made_of.setdefault(symbol, set()).add(tree)
        self._budget.spend(1 + len(production))
        return tuple(symbols)

    def _reference(self, name: str) -> Nonterminal:
        if name not in self._rules:
            self._rules[name] = ()
            self._todo.append(name)
        return Nonterminal(name)

    def _part(self) -> Nonterminal:
        self._parts += 1
        return Nonterminal(f"{self._name} [part {self._parts}]")

    def _terminal(self, node: Node) -> Terminal | None:
        """The tree as a terminal, if it can be one."""
        text = text_of(node)
        terminal: Terminal
        if isinstance(node, Chars):
            if node == NOTHING:
                return None
            terminal = Pattern("characters", node) if text is None else Literal(text)
        elif node in self._taken_apart:
            return None
        elif text is not None:
            terminal = Literal(text)
        elif isinstance(node, Both | Not) and not self._by_characters and not nullable(node):
            terminal = Pattern(self._name, node)
        else:
            whole = None if self._by_characters else self._facts.as_terminal(node)
            if whole is None:
                return None
            text = text_of(whole)
            terminal = Pattern(self._name, whole) if text is None else Literal(text)
        self.made_of.setdefault(terminal, set()).add(node)
        return terminal

    def _productions(self, node: Node) -> list[Production]:
        """Productions that together describe the tree."""
        self._budget.spend(1 + len(children(node)))
        terminal = self._terminal(node)
        if terminal is not None:
            return [(terminal,)]
        match node:
            case Alt(items):
                return [production for item in items for production in self._productions(item)]
            case Repeat():
                return self._repetition(node)
            case Chars():
                return []
            case Literal(text):
                return [tuple(map(Literal, text))]
            case Nonterminal(name):
                return [(self._reference(name),)]
            case Both() | Not() | Machine():
                return [(self._automaton(node),)]
            case Cat(items):
                return [tuple(symbol for run in self._runs(items) for symbol in self._symbols(run))]
        raise AssertionError(node)

    def _automaton(self, node: Node) -> Nonterminal:
        part = self._part()
        try:
            self._rules.update(as_rules(node, part.name, self._budget.construction()))
        except OverBudgetError:
            raise LimitExceededError(
                f"{self._budget.where}: an intersection or complement in {self._name!r} is too large to stand where it "
                "does, as other texts go on with its own; make it simpler"
            ) from None
        return part

    def _runs(self, items: tuple[Node, ...]) -> list[Node]:
        """The items, those put together that can be one terminal together."""
        runs: list[Node] = []
        run: list[Node] = []

        def finish() -> None:
            together = Cat(tuple(run))
            runs.extend([together] if len(run) > 1 and self._terminal(together) else run)
            run.clear()

        for item in items:
            if self._facts.positions(item) > _MAX_POSITIONS:
                finish()
                runs.append(item)
            else:
                run.append(item)
        if len(run) == len(items):
            return run  # the sequence as a whole is no terminal, or it would not have been taken apart
        finish()
        return runs

    def _symbols(self, node: Node) -> Production:
        """The tree as symbols, with a rule of its own where it has alternatives."""
        terminal = self._terminal(node)
        if terminal is not None:
            return (terminal,)
        if isinstance(node, Literal | Nonterminal | Cat):
            (production,) = self._productions(node)
            return production
        if isinstance(node, Both | Not | Machine):
            return (self._automaton(node),)
        if node not in self._helpers:
            self._helpers[node] = self._part()
            self._parts_to_do.append((self._helpers[node], node))
        return (self._helpers[node],)

    def _repetition(self, node: Repeat) -> list[Production]:
        item, low, high = node.item, node.low, node.high
        if low == 0:
            at_least_once = repeat(item, 1, high)
            if high is None or high == 1 or self._terminal(at_least_once):
                return [(), self._symbols(at_least_once)]
            # Fewer than half of them or at least half: short chains of rules, and one way only to read each number.
            half = (high + 1) // 2
            return [
                self._symbols(repeat(item, 0, half - 1)),
                (*self._symbols(repeat(item, half, half)), *self._symbols(repeat(item, 0, high - half))),
            ]
        if low == high:
            half = low // 2
            return [(*self._symbols(repeat(item, half, half)), *self._symbols(repeat(item, low - half, low - half)))]
        if high is None and low == 1:
            more = self._part()
            once = self._symbols(item)
            self._rules[more.name] = ((*once, more), ())
            return [(*once, more)]
        rest = repeat(item, 0, None if high is None else high - low)
        return [(*self._symbols(repeat(item, low, low)), *self._symbols(rest))]


def _by_characters(start: str, facts: _Facts, budget: Budget) -> Cfg:
    """A grammar of texts and single classes of characters, where nothing is left to chance."""
    parts = set(parts_of(*facts.rules.values()))
    classes = union(*(part.ranges for part in parts if isinstance(part, Chars) and not is_single(part.ranges)))
    apart = {part for part in parts if isinstance(part, Literal) and intersection(characters(part.text), classes)}
    return split_literals(_Builder(facts, apart, budget, by_characters=True).build(start), budget)
