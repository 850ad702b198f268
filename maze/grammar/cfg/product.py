"""The product of a context-free grammar with a finite automaton: exactly the texts that both accept.

The classical construction (Bar-Hillel, Perles, Shamir), made from the start rule on so that only what can be reached is
built: `A[p,q]` stands for the texts of A that take the automaton from state p to state q. A terminal that is a pattern
is narrowed to those of its texts that lead from p to q, where not all of them do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from maze.grammar.cfg.analysis import FirstFollow
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Symbol, Terminal
from maze.grammar.pattern.automaton import DEAD, Alphabet, Budget, OverBudgetError, make_dfa, smallest, ways_between
from maze.grammar.pattern.tree import Node, both

MAX_PRODUCTIONS = 10_000
"""Most productions of a product. As many make about 400 KB of Lark text, which llguidance compiles in 0.2 s."""


def intersect_grammar(cfg: Cfg, language: Node) -> Cfg | None:
    """The grammar of the texts of `cfg` that `language` accepts; None if there are none.

    Raises OverBudgetError if it is too large or takes too long to make.
    """
    return _Product(cfg, language).run()


def overlaps(cfg: Cfg, language: Node) -> bool:
    """Whether some text of `cfg` is accepted by `language`. Raises OverBudgetError."""
    return _Product(cfg, language).reaches_end()


_Goal = tuple[str, int]
"""A rule, and the state before it."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A terminal where it stands in the grammar."""

    terminal: Terminal
    following: int
    """Groups of characters that can come next there, as bits, and the mark for the end of the text."""


_Production = tuple[Nonterminal | _Placed, ...]


class _Product:
    """One construction.

    The forward pass finds, for each rule and state before it, every state after it, as an Earley parser does with
    positions in a text. Productions are numbered.
    """

    def __init__(self, cfg: Cfg, language: Node) -> None:
        self._cfg = cfg
        self._budget = Budget()
        patterns = [terminal for terminal in cfg.terminals() if isinstance(terminal, Pattern)]
        self._alphabet = Alphabet([language, *(pattern.language for pattern in patterns)])
        self._budget.spend(self._alphabet.size * len(patterns))
        self._end_mark = 1 << self._alphabet.size
        self._dfa = smallest(make_dfa(language, self._alphabet, self._budget), self._budget)
        self._terminals = {pattern: make_dfa(pattern.language, self._alphabet, self._budget) for pattern in patterns}
        self._rules = self._placed()
        self._productions: list[_Production] = []
        self._numbers: dict[str, range] = {}
        for name, productions in self._rules.items():
            self._numbers[name] = range(len(self._productions), len(self._productions) + len(productions))
            self._productions.extend(productions)
        self._representatives: dict[int, tuple[int, ...]] = {}
        self._ends: dict[tuple[_Placed, int], dict[int, Terminal]] = {}
        self._narrowed_patterns: dict[tuple[Pattern, int, frozenset[int]], Pattern] = {}
        self._results: dict[_Goal, dict[int, None]] = {}

    # -------------------------------------------------------------------------------------------- forward

    def reaches_end(self) -> bool:
        """Whether any text of the grammar is accepted."""
        self._forward()
        return any(state in self._dfa.accepting for state in self._results[self._cfg.start, 0])

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
        self._budget.spend(2 * sum(1 + len(rhs) for productions in cfg.rules.values() for rhs in productions))
        sets = FirstFollow(cfg, {terminal: self._first(terminal) for terminal in cfg.terminals()}, self._end_mark)
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

    def _ends_of(self, placed: _Placed, state: int) -> dict[int, Terminal]:
        """The states that a terminal leads to from `state`, and for each the terminal narrowed to the texts that do."""
        key = (placed, state)
        if key not in self._ends:
            self._ends[key] = (
                self._ends_of_literal(placed.terminal, placed.following, state)
                if isinstance(placed.terminal, Literal)
                else self._ends_of_pattern(placed.terminal, placed.following, state)
            )
        return self._ends[key]

    def _ends_of_literal(self, literal: Literal, following: int, state: int) -> dict[int, Terminal]:
        self._budget.spend(len(literal.text))
        for character in literal.text:
            state = self._dfa.next[state][self._alphabet.group_of(character)]
            if state == DEAD:
                return {}
        return {self._representative(state, following): literal}

    def _ends_of_pattern(self, pattern: Pattern, following: int, start: int) -> dict[int, Terminal]:
        """Walks the terminal's automaton and the language's side by side."""
        terminal = self._terminals[pattern]
        found = {(0, start)}
        pending = [(0, start)]
        edges: dict[int, dict[int, int]] = {}
        all_survive = True
        while pending:
            inner, outer = pending.pop()
            for group, inner_next in enumerate(terminal.next[inner]):
                self._budget.spend(1)
                if inner_next == DEAD:
                    continue
                outer_next = self._dfa.next[outer][group]
                if outer_next == DEAD:
                    all_survive = False  # Every state of an automaton leads to a text, and this one is lost.
                    continue
                targets = edges.setdefault(outer, {})
                targets[outer_next] = targets.get(outer_next, 0) | 1 << group
                if (inner_next, outer_next) not in found:
                    found.add((inner_next, outer_next))
                    pending.append((inner_next, outer_next))
        # No terminal accepts the empty text, so that the pair at the start is no end.
        ends: dict[int, set[int]] = {}
        for inner, outer in found:
            if inner in terminal.accepting:
                ends.setdefault(self._representative(outer, following), set()).add(outer)
        if all_survive and len(ends) == 1:
            return dict.fromkeys(ends, pattern)
        return {end: self._narrowed(pattern, start, ends[end], edges) for end in sorted(ends)}

    def _narrowed(self, pattern: Pattern, start: int, ends: set[int], edges: dict[int, dict[int, int]]) -> Pattern:
        key = (pattern, start, frozenset(ends))
        if key not in self._narrowed_patterns:
            ways = ways_between(start, ends, edges, self._alphabet, self._budget)
            name = f"{pattern.name}[{start},{','.join(map(str, sorted(ends)))}]"
            self._narrowed_patterns[key] = Pattern(name, both(pattern.language, ways))
        return self._narrowed_patterns[key]

    # -------------------------------------------------------------------------------------------- backward

    def run(self) -> Cfg | None:
        """The product itself, or None if it has no text."""
        self._forward()
        ends = [state for state in sorted(self._results[self._cfg.start, 0]) if state in self._dfa.accepting]
        if not ends:
            return None
        return _Builder(self._cfg.start, self._rules, self._budget, self._steps, self._ends_of).build(ends)

    def _steps(self, symbol: Nonterminal | _Placed, before: int) -> Iterable[int]:
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
        budget: Budget,
        steps: Callable[[Nonterminal | _Placed, int], Iterable[int]],
        ends_of: Callable[[_Placed, int], dict[int, Terminal]],
    ) -> None:
        self._start = start
        self._given = rules
        self._budget = budget
        self._steps = steps
        self._ends_of = ends_of
        self._rules: dict[str, tuple[Production, ...]] = {}
        self._number_of_productions = 0
        self._pending: list[tuple[str, int, int] | _Rest] = []
        self._asked: set[str] = set()

    def build(self, ends: list[int]) -> Cfg:
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
            productions: list[Production] = []
            for index, production in enumerate(self._given[rule]):
                alive = self._alive(production, before, after)
                if alive is not None:
                    productions.extend(self._productions_of(_Rest(rule, index, production, 0, before, alive)))
            self._add_rule(_name(rule, before, after), productions)
        return Cfg(start, self._rules)

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

    def _symbol(self, symbol: Nonterminal | _Placed, before: int, after: int) -> Symbol:
        if isinstance(symbol, Nonterminal):
            return self._nonterminal(symbol.name, before, after)
        return self._ends_of(symbol, before)[after]

    def _add_rule(self, name: str, productions: list[Production]) -> None:
        self._number_of_productions += len(productions)
        if self._number_of_productions > MAX_PRODUCTIONS:
            raise OverBudgetError
        self._rules[name] = tuple(dict.fromkeys(productions))

    def _alive(self, production: _Production, before: int, after: int) -> tuple[frozenset[int], ...] | None:
        """For each place in a production the states that lie on a way from `before` to `after`; None if none does."""
        layers = [frozenset((before,))]
        for symbol in production:
            layers.append(frozenset(end for state in layers[-1] for end in self._steps(symbol, state)))
            self._budget.spend(len(layers[-1]) + 1)
        if after not in layers[-1]:
            return None
        alive = [frozenset((after,))]
        for symbol, layer in zip(reversed(production), reversed(layers[:-1]), strict=True):
            alive.append(frozenset(state for state in layer if not alive[-1].isdisjoint(self._steps(symbol, state))))
        return tuple(reversed(alive))

    def _productions_of(self, rest: _Rest) -> list[Production]:
        """The ways through the rest of a production.

        Where several states can stand between two symbols, what follows becomes a rule of its own: the number of
        productions would multiply otherwise.
        """
        symbols: list[Symbol] = []
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

    def _tail(self, rest: _Rest) -> tuple[Symbol, ...]:
        return (self._rest_rule(rest),) if rest.place < len(rest.production) else ()


def _name(rule: str, before: int, after: int) -> str:
    return f"{rule}[{before},{after}]"
