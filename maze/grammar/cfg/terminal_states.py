"""A terminal read character by character; what has been read of it is a state, 0 at its beginning."""

from __future__ import annotations

from abc import ABC, abstractmethod

from maze.grammar.cfg.model import Literal, Pattern, Terminal
from maze.grammar.pattern.automaton import DEAD, Alphabet, Budget, Dfa, make_dfa
from maze.grammar.pattern.code_points import Ranges, single
from maze.grammar.pattern.derivative import Derivatives, first_characters, without_empty
from maze.grammar.pattern.tree import EMPTY, NOTHING, Node, is_plain, nullable, size_of, text_of


class TerminalStates(ABC):
    """The states of one terminal. The methods raise OverBudgetError."""

    @abstractmethod
    def after(self, state: int, character: str) -> int | None:
        """The next state; None if no text of the terminal goes on so."""

    @abstractmethod
    def is_accepting(self, state: int) -> bool:
        """Whether what has been read is a text of the terminal."""

    @abstractmethod
    def goes_on(self, state: int) -> bool:
        """Whether it is the beginning of a longer one."""

    @abstractmethod
    def next_characters(self, state: int) -> Ranges:
        """The characters that may come next."""

    @abstractmethod
    def rest(self, state: int) -> Terminal:
        """What is left of the texts that are not at their end, in a state that goes on."""


def states_of(terminal: Terminal, derivatives: Derivatives, budget: Budget) -> TerminalStates:
    """The states of a terminal that accepts something."""
    if isinstance(terminal, Literal):
        return _OfText(terminal.text)
    if (text := text_of(terminal.language)) is not None:
        return _OfText(text)
    return (_OfExpression if is_plain(terminal.language) else _OfAutomaton)(terminal, derivatives, budget)


class _OfText(TerminalStates):
    """A state is the number of characters that have been read."""

    def __init__(self, text: str) -> None:
        self._text = text

    def after(self, state: int, character: str) -> int | None:
        return state + 1 if self._text[state] == character else None

    def is_accepting(self, state: int) -> bool:
        return state == len(self._text)

    def goes_on(self, state: int) -> bool:
        return state < len(self._text)

    def next_characters(self, state: int) -> Ranges:
        return single(ord(self._text[state])) if state < len(self._text) else ()

    def rest(self, state: int) -> Terminal:
        return Literal(self._text[state:])


class _OfExpression(TerminalStates):
    """A state is a derivative. An expression of this kind that accepts nothing shows it by its form."""

    def __init__(self, pattern: Pattern, derivatives: Derivatives, budget: Budget) -> None:
        self._name = pattern.name
        self._derivatives = derivatives
        self._budget = budget
        self._expressions: list[Node] = [pattern.language]
        self._numbers: dict[Node, int] = {pattern.language: 0}
        self._steps: dict[tuple[int, str], int | None] = {}

    def after(self, state: int, character: str) -> int | None:
        key = (state, character)
        if key not in self._steps:
            self._steps[key] = self._step(state, character)
        return self._steps[key]

    def _step(self, state: int, character: str) -> int | None:
        expression = self._derivatives.of(self._expressions[state], character)
        if expression == NOTHING:
            return None
        if expression not in self._numbers:
            self._budget.spend(size_of(expression))
            self._numbers[expression] = len(self._expressions)
            self._expressions.append(expression)
        return self._numbers[expression]

    def is_accepting(self, state: int) -> bool:
        return nullable(self._expressions[state])

    def goes_on(self, state: int) -> bool:
        return self._expressions[state] != EMPTY

    def next_characters(self, state: int) -> Ranges:
        return first_characters(self._expressions[state])

    def rest(self, state: int) -> Terminal:
        return _terminal(self._name, self._expressions[state])


class _OfAutomaton(TerminalStates):
    """A state is one of the finished automaton, as the form of an intersection does not tell whether it has a text."""

    def __init__(self, pattern: Pattern, derivatives: Derivatives, budget: Budget) -> None:
        self._pattern = pattern
        self._derivatives = derivatives
        self._budget = budget
        self._made: tuple[Alphabet, Dfa] | None = None
        self._expressions: dict[int, Node] = {0: pattern.language}
        """A derivative for each state that has been met."""

    def _automaton(self) -> tuple[Alphabet, Dfa]:
        if self._made is None:
            alphabet = Alphabet([self._pattern.language])
            self._made = alphabet, make_dfa(self._pattern.language, alphabet, self._budget)
        return self._made

    def after(self, state: int, character: str) -> int | None:
        alphabet, dfa = self._automaton()
        target = dfa.next[state][alphabet.group_of(character)]
        if target == DEAD:
            return None
        if target not in self._expressions:
            self._expressions[target] = self._derivatives.of(self._expressions[state], character)
            self._budget.spend(size_of(self._expressions[target]))
        return target

    def is_accepting(self, state: int) -> bool:
        return state in self._automaton()[1].accepting

    def goes_on(self, state: int) -> bool:
        return any(target != DEAD for target in self._automaton()[1].next[state])

    def next_characters(self, state: int) -> Ranges:
        alphabet, dfa = self._automaton()
        return alphabet.ranges_of(sum(1 << group for group, target in enumerate(dfa.next[state]) if target != DEAD))

    def rest(self, state: int) -> Terminal:
        return _terminal(self._pattern.name, self._expressions[state])


_REST = "[rest]"


def _terminal(name: str, expression: Node) -> Terminal:
    language = without_empty(expression)
    text = text_of(language)
    return Pattern(name.removesuffix(_REST) + _REST, language) if text is None else Literal(text)
