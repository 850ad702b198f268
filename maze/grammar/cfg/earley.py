"""The ways in which a grammar reads the beginning of a text: Earley's recogniser, over characters.

What a place in the grammar predicts is worked out once for all places in the text (left corners), and returning from
right recursion goes to the outermost rule at once (Leo's improvement), so that a text takes time in proportion to its
length wherever the grammar is one that engines read well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from maze.grammar.budget import Construction
from maze.grammar.cfg.analysis import nullable, pruned
from maze.grammar.cfg.model import Cfg, Nonterminal, Production, Symbol, Terminal
from maze.grammar.cfg.terminal_states import TerminalStates, states_of
from maze.grammar.pattern.code_points import Ranges, union
from maze.grammar.pattern.derivative import Derivatives

Slot: TypeAlias = int
"""A place in a production of a rule, before a symbol or at the end; the next number is the next place."""
Item: TypeAlias = tuple[Slot, int]
"""A place in a production, and where in the text the rule began."""
Goal: TypeAlias = tuple[int, int]
"""A rule, and where in the text it began."""


class CannotFollowError(Exception):
    """No text of the grammar begins like this."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"no text of the grammar goes on with the character at {offset:,}")
        self.offset = offset
        """Of the first character that cannot follow those before it."""


class Tables:
    """The grammar in numbers, without what describes no text."""

    def __init__(self, cfg: Cfg, budget: Construction) -> None:
        self.cfg = pruned(cfg)
        self.names = list(self.cfg.rules)
        numbers = {name: number for number, name in enumerate(self.names)}
        self.start = numbers[cfg.start]
        empty = nullable(self.cfg.rules)
        self.nullable = [name in empty for name in self.names]
        self.symbols: list[int | TerminalStates | None] = []
        """By slot: the number of a rule, a terminal, or None at the end of a production."""
        self.rule: list[int] = []
        """By slot: the rule that it is in."""
        self._place: list[tuple[Production, Slot]] = []
        """By slot: the production that it is in, and where that begins."""
        self.slots: list[list[Slot]] = []
        """By rule: where its productions begin."""
        self._predictions: dict[frozenset[int], Prediction] = {}
        derivatives = Derivatives(budget)
        coded: dict[Symbol, int | TerminalStates] = {
            terminal: states_of(terminal, derivatives, budget) for terminal in self.cfg.terminals()
        }
        coded.update({Nonterminal(name): number for name, number in numbers.items()})
        for number, productions in enumerate(self.cfg.rules.values()):
            slots = []
            for production in productions:
                size = len(production) + 1
                budget.spend(size)
                slots.append(len(self.symbols))
                self._place += [(production, len(self.symbols))] * size
                self.rule += [number] * size
                self.symbols += [coded[symbol] for symbol in production]
                self.symbols.append(None)
            self.slots.append(slots)

    def rest(self, slot: Slot) -> Production:
        """What comes after a place in its production."""
        production, begin = self._place[slot]
        return production[slot - begin :]

    def terminal(self, slot: Slot) -> Terminal:
        """The terminal in a place that has one."""
        match self.rest(slot)[0]:
            case Nonterminal(name):
                raise AssertionError(name)
            case terminal:
                return terminal

    def corners(self, rule: int) -> Iterator[Slot]:
        """The places in the productions of a rule before which there may be no text."""
        for start in self.slots[rule]:
            slot = start
            while True:
                yield slot
                symbol = self.symbols[slot]
                if not isinstance(symbol, int) or not self.nullable[symbol]:
                    break
                slot += 1

    def prediction(self, wanted: frozenset[int]) -> Prediction:
        """What begins where rules of these numbers may begin."""
        if wanted not in self._predictions:
            self._predictions[wanted] = Prediction(self, wanted)
        return self._predictions[wanted]


@dataclass(frozen=True, slots=True)
class Begun:
    """A terminal in its place after its first character."""

    slot: Slot
    states: TerminalStates
    state: int


class Prediction:
    """All that may begin at one place in a text."""

    def __init__(self, tables: Tables, wanted: Iterable[int]) -> None:
        self.users: dict[int, list[Slot]] = {}
        """By rule: the places after it in the productions that it may be the first to fill."""
        self._terminals: list[tuple[Slot, TerminalStates]] = []
        self._begun: dict[str, list[Begun]] = {}
        todo = sorted(wanted, reverse=True)
        found = set(todo)
        while todo:
            for slot in tables.corners(todo.pop()):
                symbol = tables.symbols[slot]
                if isinstance(symbol, int):
                    self.users.setdefault(symbol, []).append(slot + 1)
                    if symbol not in found:
                        found.add(symbol)
                        todo.append(symbol)
                elif symbol is not None:
                    self._terminals.append((slot, symbol))

    def begun(self, character: str) -> list[Begun]:
        """The terminals that may begin with a character."""
        if character not in self._begun:
            self._begun[character] = [
                Begun(slot, states, state)
                for slot, states in self._terminals
                if (state := states.after(0, character)) is not None
            ]
        return self._begun[character]

    def first_characters(self) -> Ranges:
        """The characters that may come next."""
        return union(*{states.next_characters(0) for _, states in self._terminals})

    def terminals(self) -> Iterator[tuple[Slot, TerminalStates]]:
        """The terminals that may begin, and their places."""
        return iter(self._terminals)


def recognise(cfg: Cfg, text: str, budget: Construction) -> Chart:
    """The state after reading `text` by a grammar, of which no terminal accepts nothing.

    Raises CannotFollowError and OverBudgetError.
    """
    tables = Tables(cfg, budget)
    chart = Chart(tables, budget)
    chart.read(text)
    if not chart.is_alive:
        # Somewhere a terminal took a way that leads to no text, which is not looked into at every character.
        alive, dead = 0, chart.offset
        while dead - alive > 1:
            middle = (alive + dead) // 2
            at_middle = Chart(tables, budget)
            at_middle.read(text[:middle])
            alive, dead = (middle, dead) if at_middle.is_alive else (alive, middle)
        raise CannotFollowError(alive)
    if chart.offset < len(text):
        raise CannotFollowError(chart.offset)
    return chart


class Chart:
    """Reads a text by a grammar from its beginning on. The methods raise OverBudgetError."""

    def __init__(self, tables: Tables, budget: Construction) -> None:
        self._budget = budget
        self.tables = tables
        self._predictions: list[Prediction | None] = []
        self._waiting: list[dict[int, list[Item]]] = []
        """By offset: for each rule the places after it that were reached there."""
        self._waiters: dict[Goal, list[Item]] = {}
        self._returns: dict[Goal, Goal] = {}
        self.arrived: dict[Item, None] = {}
        """Places right after a terminal that ends here."""
        self.begun: dict[tuple[Slot, int, int], TerminalStates] = {}
        """Terminals that have begun and can go on: place, where the rule began, state."""
        self._terminals: list[tuple[Slot, int, TerminalStates]] = []
        self._close()

    @property
    def offset(self) -> int:
        """How many characters have been read."""
        return len(self._waiting) - 1

    def read(self, text: str) -> None:
        """Read on to the end, or to where the text cannot be followed any longer."""
        for character in text:
            if not self._read(character):
                break
            self._close()

    @property
    def is_alive(self) -> bool:
        """Whether some text of the grammar begins with what has been read."""
        if self.offset == 0:
            return bool(self.tables.slots[self.tables.start])
        return bool(self.arrived) or any(states.rest(state) for (_, _, state), states in self.begun.items())

    @property
    def may_end(self) -> bool:
        """Whether what has been read is a text of the grammar."""
        return self._may_end

    def next_characters(self) -> Ranges:
        """The characters that may come next."""
        prediction = self._predictions[-1]
        return union(
            *(states.next_characters(state) for (_, _, state), states in self.begun.items()),
            *(states.next_characters(0) for _, _, states in self._terminals),
            *([] if prediction is None else [prediction.first_characters()]),
        )

    def unfinished_terminals(self) -> Iterator[tuple[Terminal, Ranges]]:
        """The terminals that have begun and are not whole, with the characters that may come next in them."""
        for (slot, _, state), states in self.begun.items():
            if not states.is_accepting(state):
                yield self.tables.terminal(slot), states.next_characters(state)

    def new_terminals(self) -> Iterator[tuple[Terminal, Ranges]]:
        """The terminals that may begin here, with the characters that they begin with."""
        prediction = self._predictions[-1]
        places = [(slot, states) for slot, _, states in self._terminals]
        for slot, states in (*places, *(prediction.terminals() if prediction else ())):
            yield self.tables.terminal(slot), states.next_characters(0)

    def waiters(self, goal: Goal) -> list[Item]:
        """The places that are reached when a rule that began at an offset, before this one, ends."""
        if goal not in self._waiters:
            rule, began = goal
            prediction = self._predictions[began]
            users = prediction.users.get(rule, ()) if prediction else ()
            self._waiters[goal] = [*self._waiting[began].get(rule, ()), *((slot, began) for slot in users)]
        return self._waiters[goal]

    def outermost(self, goal: Goal) -> Goal:
        """The goal that ends when this one ends, and only then, and that does not end just because of another's end."""
        path = []
        start = (self.tables.start, 0)
        while goal not in self._returns:
            path.append(goal)
            waiters = self.waiters(goal)
            if goal == start or len(waiters) != 1 or self.tables.symbols[waiters[0][0]] is not None:
                self._returns[goal] = goal
                break
            slot, began = waiters[0]
            goal = (self.tables.rule[slot], began)
        found = self._returns[goal]
        self._returns.update(dict.fromkeys(path, found))
        return found

    def finish(self, arrived: Iterable[Item], *, skip_empty: bool) -> tuple[list[Item], bool]:
        """The places inside productions that are reached when rules end here, and whether the text may end.

        `skip_empty` goes on over rules that may be empty.
        """
        symbols, rule, empty = self.tables.symbols, self.tables.rule, self.tables.nullable
        found = dict.fromkeys(arrived)
        todo = list(found)
        ended: set[Goal] = set()
        inside = []
        while todo:
            slot, began = item = todo.pop()
            symbol = symbols[slot]
            reached: Iterable[Item] = ()
            if symbol is None:
                goal = self.outermost((rule[slot], began))
                if goal not in ended:
                    ended.add(goal)
                    reached = self.waiters(goal)
            else:
                inside.append(item)
                if skip_empty and isinstance(symbol, int) and empty[symbol]:
                    reached = ((slot + 1, began),)
            for other in reached:
                if other not in found:
                    found[other] = None
                    todo.append(other)
        self._budget.spend(len(found))
        return inside, (self.tables.start, 0) in ended

    def _read(self, character: str) -> bool:
        arrived: dict[Item, None] = {}
        begun: dict[tuple[Slot, int, int], TerminalStates] = {}

        def enter(slot: Slot, began: int, states: TerminalStates, state: int) -> None:
            self._budget.spend(1)
            if states.is_accepting(state):
                arrived[slot + 1, began] = None
            if states.may_go_on(state):
                begun[slot, began, state] = states

        for (slot, began, before), states in self.begun.items():
            if (state := states.after(before, character)) is not None:
                enter(slot, began, states, state)
        for slot, began, states in self._terminals:
            if (state := states.after(0, character)) is not None:
                enter(slot, began, states, state)
        if prediction := self._predictions[-1]:
            for each in prediction.begun(character):
                enter(each.slot, self.offset, each.states, each.state)
        if not arrived and not begun:
            return False
        self.arrived, self.begun = arrived, begun
        return True

    def _close(self) -> None:
        """Work out what may come at the offset that has been reached."""
        waiting: dict[int, list[Item]] = {}
        self._terminals = []
        if self._waiting:
            inside, self._may_end = self.finish(self.arrived, skip_empty=True) if self.arrived else ([], False)
            for slot, began in inside:
                symbol = self.tables.symbols[slot]
                if isinstance(symbol, int):
                    waiting.setdefault(symbol, []).append((slot + 1, began))
                elif symbol is not None:
                    self._terminals.append((slot, began, symbol))
            wanted = frozenset(waiting)
        else:
            wanted = frozenset((self.tables.start,))
            self._may_end = self.tables.nullable[self.tables.start]
        self._waiting.append(waiting)
        self._predictions.append(self.tables.prediction(wanted) if wanted else None)
