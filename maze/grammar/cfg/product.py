"""The product of a context-free grammar with a finite automaton: exactly the texts that both accept.

The classical construction (Bar-Hillel, Perles, Shamir), made from the start rule on so that only what can be reached is
built: `A[p,q]` stands for the texts of A that take the automaton from state p to state q. A terminal that is a pattern
is narrowed to those of its texts that lead from p to q, where not all of them do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.cfg.analysis import FirstFollow, pruned
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Symbol, Terminal
from maze.grammar.cfg.product_cost import counted_by_automaton, counted_by_expression, is_too_much
from maze.grammar.pattern.automaton import DEAD, Alphabet, Dfa, make_dfa, smallest, ways_between
from maze.grammar.pattern.machine import outlines
from maze.grammar.pattern.questions import Questions
from maze.grammar.pattern.tree import Node, both, has_machine

MAX_PRODUCTIONS = 10_000
"""Most productions of a product. As many make about 400 KB of Lark text, which llguidance compiles in 0.2 s."""
_MAX_TERMINAL_STEPS = 200_000
"""Most steps of making an automaton for one terminal; one that takes more is taken for a wider language."""
_MAX_SEARCH_STEPS = 5_000
"""Most steps in the search for a text of such a terminal that leads from one state to another."""

_Goal = tuple[str, int]
"""A rule, and the state before it."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A terminal where it stands in the grammar."""

    terminal: Terminal
    following: int
    """Groups of characters that can come next there, as bits, and the mark for the end of the text."""


_Production = tuple[Nonterminal | _Placed, ...]
_Drafted = tuple["Nonterminal | _Narrowed", ...]


@dataclass(frozen=True, slots=True)
class _Reached:
    """Where the texts of a terminal lead from one state of the language."""

    ends: frozenset[int]
    edges: dict[int, dict[int, int]]
    """What its texts go through: by state, the next ones and the groups of characters that lead there, as bits."""
    is_whole: bool
    """No text of the terminal is lost on the way."""


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """A terminal that is to be narrowed to those of its texts that lead from one state to another."""

    placed: _Placed
    before: int
    after: int


class Product:
    """The texts of a grammar that a regular language accepts.

    The forward pass finds, for each rule and state before it, every state after it, as an Earley parser does with
    positions in a text. Productions are numbered. Terminals are narrowed last, when it is known that the product is
    not too large.
    """

    def __init__(self, cfg: Cfg, language: Node, budget: Budget) -> None:
        """Raises OverBudgetError if it takes too long to find out which states the texts lead to."""
        self._cfg = cfg
        self._budget = budget.construction()
        if is_too_much(cfg, counted_by_expression(language)):
            raise OverBudgetError
        self._language = language
        self._questions = Questions(budget, _MAX_SEARCH_STEPS)
        expressions = {
            terminal: outlines(terminal.language, self._budget)
            for terminal in cfg.terminals()
            if isinstance(terminal, Pattern)
        }
        self._alphabet = Alphabet([language, *chain.from_iterable(expressions.values())], self._budget)
        self._wider: set[Pattern] = set()
        """Those that are taken for a wider language to find out which states their texts lead to."""
        self._end_mark = 1 << self._alphabet.size
        self._dfa = smallest(make_dfa(language, self._alphabet, self._budget), self._budget)
        if is_too_much(cfg, counted_by_automaton(self._dfa, self._alphabet)):
            raise OverBudgetError
        self._terminals = {
            terminal: self._automaton(terminal, exact, (simpler, rough), budget)
            for terminal, (exact, simpler, rough) in expressions.items()
        }
        self._moves = self._dfa.moves()
        self._moves_of = {pattern: dfa.moves() for pattern, dfa in self._terminals.items()}
        self._rules = self._placed()
        self._productions: list[_Production] = []
        self._numbers: dict[str, range] = {}
        for name, productions in self._rules.items():
            self._numbers[name] = range(len(self._productions), len(self._productions) + len(productions))
            self._productions.extend(productions)
        self._representatives: dict[int, tuple[int, ...]] = {}
        self._reached: dict[tuple[Pattern, int], _Reached] = {}
        self._ends: dict[tuple[_Placed, int], frozenset[int]] = {}
        self._narrowed_patterns: dict[tuple[Pattern, int, frozenset[int]], Pattern | None] = {}
        self._results: dict[_Goal, dict[int, None]] = {}
        self._forward()

    @property
    def is_empty(self) -> bool:
        """Whether it is certain that no text of the grammar is accepted."""
        return not any(state in self._dfa.accepting for state in self._results[self._cfg.start, 0])

    def _automaton(self, terminal: Pattern, exact: Node, wider: Iterable[Node], budget: Budget) -> Dfa:
        """That of a terminal's language, or of the first of the wider ones that takes no longer than it may."""
        for expression in (exact, *wider):
            try:
                return make_dfa(expression, self._alphabet, budget.construction(_MAX_TERMINAL_STEPS))
            except OverBudgetError:
                self._wider.add(terminal)
        raise OverBudgetError

    # -------------------------------------------------------------------------------------------- forward

    def _forward(self) -> None:
        if self._dfa.is_empty:
            self._results[self._cfg.start, 0] = {}
            return
        waiting: dict[_Goal, list[tuple[_Goal, int, int]]] = {}
        pending: list[tuple[_Goal, int, int, int]] = []
        seen: set[tuple[_Goal, int, int, int]] = set()

        def add(goal: _Goal, number: int, done: int, state: int) -> None:
            item = (goal, number, done, state)
            if item not in seen:
                self._budget.spend(4)
                seen.add(item)
                pending.append(item)

        def ask(goal: _Goal) -> None:
            if goal not in self._results:
                self._results[goal] = {}
                waiting[goal] = []
                for number in self._numbers[goal[0]]:
                    add(goal, number, 0, goal[1])

        ask((self._cfg.start, 0))
        while pending:
            goal, number, done, state = pending.pop()
            production = self._productions[number]
            if done == len(production):
                if state not in self._results[goal]:
                    self._results[goal][state] = None
                    for waiter, its_number, its_done in waiting[goal]:
                        add(waiter, its_number, its_done, state)
                continue
            symbol = production[done]
            if isinstance(symbol, Nonterminal):
                wanted = (symbol.name, state)
                ask(wanted)
                waiting[wanted].append((goal, number, done + 1))
            for after in tuple(self._steps(symbol, state)):
                add(goal, number, done + 1, after)

    # -------------------------------------------------------------------------------------------- what can follow

    def _first(self, symbol: Terminal) -> int:
        """The groups of characters that a terminal can begin with, as bits."""
        if isinstance(symbol, Literal):
            return 1 << self._alphabet.group_of(symbol.text[0])
        row = self._terminals[symbol].next[0]
        return sum(1 << group for group, target in enumerate(row) if target != DEAD)

    def _placed(self) -> dict[str, tuple[_Production, ...]]:
        """The rules, with each terminal knowing what can follow it where it stands."""
        cfg = self._cfg
        sets = FirstFollow(
            cfg, {terminal: self._first(terminal) for terminal in cfg.terminals()}, self._budget, end=self._end_mark
        )
        return {
            name: tuple(
                tuple(
                    symbol if isinstance(symbol, Nonterminal) else _Placed(symbol, following)
                    for symbol, following in zip(production, sets.following(name, production), strict=True)
                )
                for production in productions
            )
            for name, productions in cfg.rules.items()
        }

    def _representative(self, state: int, following: int) -> int:
        """The first of the states that nothing which can follow tells from `state`.

        After the name `of` the automaton for "contains foo" has seen one letter of three, but where no letter can
        follow, that is as good as none. Without this a product has rules for all such states, and engines give up.
        """
        if following not in self._representatives:
            groups = [group for group in range(self._alphabet.size) if following >> group & 1]
            self._budget.spend(len(self._dfa.next) * (1 + len(groups)))
            firsts: dict[tuple[bool, tuple[int, ...]], int] = {}
            self._representatives[following] = tuple(
                firsts.setdefault(
                    (
                        bool(following & self._end_mark) and number in self._dfa.accepting,
                        tuple([row[group] for group in groups]),
                    ),
                    number,
                )
                for number, row in enumerate(self._dfa.next)
            )
        return self._representatives[following][state]

    # -------------------------------------------------------------------------------------------- terminals

    def _ends_of(self, placed: _Placed, state: int) -> frozenset[int]:
        """The states that a terminal leads to from `state`."""
        key = (placed, state)
        if key not in self._ends:
            if isinstance(placed.terminal, Literal):
                ends = self._ends_of_literal(placed.terminal, state)
            else:
                ends = self._reached_by(placed.terminal, state).ends
            self._ends[key] = frozenset(self._representative(end, placed.following) for end in ends)
        return self._ends[key]

    def _ends_of_literal(self, literal: Literal, state: int) -> Iterable[int]:
        self._budget.spend(len(literal.text))
        for character in literal.text:
            state = self._dfa.next[state][self._alphabet.group_of(character)]
            if state == DEAD:
                return ()
        return (state,)

    def _reached_by(self, pattern: Pattern, start: int) -> _Reached:
        """Walks the terminal's automaton and the language's side by side."""
        key = (pattern, start)
        if key in self._reached:
            return self._reached[key]
        accepting, moves = self._terminals[pattern].accepting, self._moves_of[pattern]
        found = {(0, start)}
        pending = [(0, start)]
        edges: dict[int, dict[int, int]] = {}
        is_whole = True
        while pending:
            inner, outer = pending.pop()
            leaving = self._moves[outer]
            self._budget.spend(1 + len(moves[inner]) * len(leaving))
            targets = edges.setdefault(outer, {})
            for inner_next, offered in moves[inner].items():
                lost = offered
                for outer_next, taken in leaving.items():
                    groups = offered & taken
                    if not groups:
                        continue
                    lost ^= groups
                    targets[outer_next] = targets.get(outer_next, 0) | groups
                    if (inner_next, outer_next) not in found:
                        found.add((inner_next, outer_next))
                        pending.append((inner_next, outer_next))
                # Every state of an automaton leads to a text, and with these characters one is lost.
                is_whole = is_whole and not lost
        # No terminal accepts the empty text, so that the pair at the start is no end.
        ends = frozenset(outer for inner, outer in found if inner in accepting)
        self._reached[key] = _Reached(ends, edges, is_whole)
        return self._reached[key]

    def _narrow(self, wanted: _Narrowed) -> Terminal | None:
        """The terminal with only the texts that lead from the one state to the other; None if there are none."""
        terminal, following = wanted.placed.terminal, wanted.placed.following
        if isinstance(terminal, Literal):
            return terminal
        reached = self._reached_by(terminal, wanted.before)
        if reached.is_whole and len(self._ends_of(wanted.placed, wanted.before)) == 1:
            return terminal
        ends = frozenset(end for end in reached.ends if self._representative(end, following) == wanted.after)
        key = (terminal, wanted.before, ends)
        if key not in self._narrowed_patterns:
            language = both(terminal.language, self._ways(wanted.before, ends, reached))
            name = f"{terminal.name}[{wanted.before},{','.join(map(str, sorted(ends)))}]"
            is_nothing = terminal in self._wider and self._questions.is_nothing(language)
            self._narrowed_patterns[key] = None if is_nothing else Pattern(name, language)
        return self._narrowed_patterns[key]

    def _ways(self, before: int, ends: frozenset[int], reached: _Reached) -> Node:
        """The texts that lead from a state to others of those that the texts of a terminal reach from it."""
        if before == 0 and ends == reached.ends & self._dfa.accepting and not has_machine(self._language):
            return self._language
        return ways_between(before, ends, reached.edges, self._alphabet, self._budget)

    # -------------------------------------------------------------------------------------------- backward

    def grammar(self) -> Cfg | None:
        """The product as a grammar; None if it has no text. Raises OverBudgetError if it is too large."""
        ends = [state for state in sorted(self._results[self._cfg.start, 0]) if state in self._dfa.accepting]
        if not ends:
            return None
        builder = _Builder(self._cfg.start, self._rules, self._budget, self._steps)
        start = builder.build(ends)
        terminals = {wanted: self._narrow(wanted) for wanted in builder.terminals}
        rules = {
            name: tuple(
                dict.fromkeys(
                    narrowed for production in productions if (narrowed := _narrowed(production, terminals)) is not None
                )
            )
            for name, productions in builder.rules.items()
        }
        cfg = Cfg(start, rules) if all(terminals.values()) else pruned(Cfg(start, rules))
        return cfg if cfg.rules[start] else None

    def _steps(self, symbol: Nonterminal | _Placed, before: int) -> Collection[int]:
        """States that `symbol` leads to."""
        if isinstance(symbol, Nonterminal):
            return self._results.get((symbol.name, before), {})
        return self._ends_of(symbol, before)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What comes after `place` in a production, from `state` on. `alive`: states on a way to the end, by place."""

    rule: str
    index: int
    production: _Production
    place: int
    state: int
    alive: tuple[frozenset[int], ...]

    @property
    def name(self) -> str:
        (after,) = self.alive[-1]
        # The state at the end, `state` and `place` say it all: where the production began changes nothing.
        return f"{self.rule}[{self.index}:{self.place}:{self.state},{after}]"


class _Builder:
    """Backward pass: from the accepted results down to the rules that are needed for them."""

    def __init__(
        self,
        start: str,
        rules: dict[str, tuple[_Production, ...]],
        budget: Construction,
        steps: Callable[[Nonterminal | _Placed, int], Collection[int]],
    ) -> None:
        self._start = start
        self._given = rules
        self._budget = budget
        self._steps = steps
        self.rules: dict[str, list[_Drafted]] = {}
        """The rules that are needed, with their terminals still to be narrowed."""
        self.terminals: dict[_Narrowed, None] = {}
        """All of those."""
        self._number_of_productions = 0
        self._pending: list[tuple[str, int, int] | _Rest] = []
        self._asked: set[str] = set()

    def build(self, ends: list[int]) -> str:
        """Make the rules, and return the name of the first."""
        start = self._nonterminal(self._start, 0, ends[0]).name
        if len(ends) > 1:
            start = f"{self._start}[]"
            self._add_rule(start, [(self._nonterminal(self._start, 0, end),) for end in ends])
        while self._pending:
            task = self._pending.pop()
            if isinstance(task, _Rest):
                self._add_rule(task.name, self._productions_of(task))
                continue
            rule, before, after = task
            productions: list[_Drafted] = []
            for index, production in enumerate(self._given[rule]):
                alive = self._alive(production, before, after)
                if alive is not None:
                    productions.extend(self._productions_of(_Rest(rule, index, production, 0, before, alive)))
            self._add_rule(_name(rule, before, after), productions)
        return start

    def _nonterminal(self, rule: str, before: int, after: int) -> Nonterminal:
        name = _name(rule, before, after)
        if name not in self._asked:
            self._asked.add(name)
            self._pending.append((rule, before, after))
        return Nonterminal(name)

    def _rest_rule(self, rest: _Rest) -> Nonterminal:
        if rest.name not in self._asked:
            self._asked.add(rest.name)
            self._pending.append(rest)
        return Nonterminal(rest.name)

    def _symbol(self, symbol: Nonterminal | _Placed, before: int, after: int) -> Nonterminal | _Narrowed:
        if isinstance(symbol, Nonterminal):
            return self._nonterminal(symbol.name, before, after)
        narrowed = _Narrowed(symbol, before, after)
        self.terminals[narrowed] = None
        return narrowed

    def _add_rule(self, name: str, productions: list[_Drafted]) -> None:
        self._number_of_productions += len(productions)
        if self._number_of_productions > MAX_PRODUCTIONS:
            raise OverBudgetError
        self.rules[name] = productions

    def _alive(self, production: _Production, before: int, after: int) -> tuple[frozenset[int], ...] | None:
        """For each place in a production the states that lie on a way from `before` to `after`; None if none does."""
        layers = [frozenset((before,))]
        for symbol in production:
            reached = [self._steps(symbol, state) for state in layers[-1]]
            self._budget.spend(1 + sum(map(len, reached)) // 4)
            layers.append(frozenset().union(*reached))
        if after not in layers[-1]:
            return None
        alive = [frozenset((after,))]
        for symbol, layer in zip(reversed(production), reversed(layers[:-1]), strict=True):
            alive.append(frozenset(state for state in layer if not alive[-1].isdisjoint(self._steps(symbol, state))))
        return tuple(reversed(alive))

    def _productions_of(self, rest: _Rest) -> list[_Drafted]:
        """The ways through the rest of a production.

        Where several states can stand between two symbols, what follows becomes a rule of its own: the number of
        productions would multiply otherwise.
        """
        symbols: list[Nonterminal | _Narrowed] = []
        place, state = rest.place, rest.state
        while place < len(rest.production):
            symbol = rest.production[place]
            targets = sorted(rest.alive[place + 1].intersection(self._steps(symbol, state)))
            if len(targets) > 1 and symbols:
                return [(*symbols, self._rest_rule(replace(rest, place=place, state=state)))]
            if len(targets) > 1:
                return [
                    (self._symbol(symbol, state, target), *self._tail(replace(rest, place=place + 1, state=target)))
                    for target in targets
                ]
            symbols.append(self._symbol(symbol, state, targets[0]))
            place, state = place + 1, targets[0]
        return [tuple(symbols)]

    def _tail(self, rest: _Rest) -> _Drafted:
        return (self._rest_rule(rest),) if rest.place < len(rest.production) else ()


def _narrowed(production: _Drafted, terminals: Mapping[_Narrowed, Terminal | None]) -> Production | None:
    """With its terminals narrowed; None if one of them has no text."""
    symbols: list[Symbol] = []
    for symbol in production:
        found = symbol if isinstance(symbol, Nonterminal) else terminals[symbol]
        if found is None:
            return None
        symbols.append(found)
    return tuple(symbols)


def _name(rule: str, before: int, after: int) -> str:
    return f"{rule}[{before},{after}]"
