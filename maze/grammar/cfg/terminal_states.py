"""A terminal read character by character; what has been read of it is a state, 0 at its beginning."""

from __future__ import annotations

from abc import ABC, abstractmethod

from maze.grammar.budget import Construction
from maze.grammar.cfg.model import Literal, Pattern, Terminal
from maze.grammar.pattern.automaton import Alphabet
from maze.grammar.pattern.code_points import Ranges, single
from maze.grammar.pattern.derivative import Derivatives, first_characters, without_empty
from maze.grammar.pattern.shortest import first_characters_by_trial, has_text
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
    def may_go_on(self, state: int) -> bool:
        """Whether it is the beginning of a longer one; if rest() is None, it is not after all."""

    @abstractmethod
    def next_characters(self, state: int) -> Ranges:
        """The characters that may come next."""

    @abstractmethod
    def rest(self, state: int) -> Terminal | None:
        """What is left of the texts that are not at their end, in a state that may go on; None if none is left."""


def states_of(terminal: Terminal, derivatives: Derivatives, budget: Construction) -> TerminalStates:
    """The states of a terminal that accepts something."""
    if isinstance(terminal, Literal):
        return _OfText(terminal.text)
    if (text := text_of(terminal.language)) is not None:
        return _OfText(text)
    return _OfExpression(terminal, derivatives, budget)


class _OfText(TerminalStates):
    """A state is the number of characters that have been read."""

    def __init__(self, text: str) -> None:
        self._text = text

    def after(self, state: int, character: str) -> int | None:
        return state + 1 if self._text[state] == character else None

    def is_accepting(self, state: int) -> bool:
        return state == len(self._text)

    def may_go_on(self, state: int) -> bool:
        return state < len(self._text)

    def next_characters(self, state: int) -> Ranges:
        return single(ord(self._text[state])) if state < len(self._text) else ()

    def rest(self, state: int) -> Terminal | None:
        return Literal(self._text[state:])


class _CharactersAlike(dict[str, str]):
    """For each character the first one asked for of those that an expression does not tell from it."""

    def __init__(self, expression: Node, budget: Construction) -> None:
        self._expression = expression
        self._budget = budget
        self._alphabet: Alphabet | None = None
        self._firsts: dict[int, str] = {}

    def __missing__(self, character: str) -> str:
        if self._alphabet is None:
            self._alphabet = Alphabet([self._expression], self._budget)
        first = self[character] = self._firsts.setdefault(self._alphabet.group_of(character), character)
        return first


class _OfExpression(TerminalStates):
    """A state is a derivative."""

    def __init__(self, pattern: Pattern, derivatives: Derivatives, budget: Construction) -> None:
        self._name = pattern.name
        self._derivatives = derivatives
        self._budget = budget
        self._expressions: list[Node] = [pattern.language]
        self._accepting = [False]
        self._numbers: dict[Node, int] = {pattern.language: 0}
        self._steps: dict[tuple[int, str], int | None] = {}
        self._rests: dict[int, Terminal | None] = {}
        self._next: dict[int, Ranges] = {}
        self._alike = _CharactersAlike(pattern.language, budget)
        self._is_plain = is_plain(pattern.language)
        """An expression of this kind that accepts nothing shows it by its form."""

    def after(self, state: int, character: str) -> int | None:
        key = (state, self._alike[character])
        if key not in self._steps:
            self._steps[key] = self._step(*key)
        return self._steps[key]

    def _step(self, state: int, character: str) -> int | None:
        expression = self._derivatives.of(self._expressions[state], character)
        if expression == NOTHING:
            return None
        if expression not in self._numbers:
            self._budget.spend(size_of(expression))
            self._numbers[expression] = len(self._expressions)
            self._expressions.append(expression)
            self._accepting.append(nullable(expression))
        return self._numbers[expression]

    def is_accepting(self, state: int) -> bool:
        return self._accepting[state]

    def may_go_on(self, state: int) -> bool:
        return self._expressions[state] != EMPTY

    def next_characters(self, state: int) -> Ranges:
        if state not in self._next:
            self._next[state] = self._characters_after(self._expressions[state])
        return self._next[state]

    def _characters_after(self, expression: Node) -> Ranges:
        if self._is_plain:
            return first_characters(expression)
        return first_characters_by_trial(expression, self._derivatives, self._budget)

    def rest(self, state: int) -> Terminal | None:
        if state not in self._rests:
            self._rests[state] = self._rest(state)
        return self._rests[state]

    def _rest(self, state: int) -> Terminal | None:
        language = without_empty(self._expressions[state])
        if not self._is_plain and not has_text(language, self._budget):
            return None
        text = text_of(language)
        return Pattern(self._name.removesuffix(_REST) + _REST, language) if text is None else Literal(text)


def is_rest(terminal: Terminal) -> bool:
    """Whether it is what is left of an expression of which some has been read."""
    return isinstance(terminal, Pattern) and terminal.name.endswith(_REST)


_REST = "[rest]"
