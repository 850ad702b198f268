"""Questions about regular languages that are asked again and again, within a budget."""

from __future__ import annotations

from functools import lru_cache

from maze.grammar.pattern.automaton import Budget, OverBudgetError
from maze.grammar.pattern.recogniser import Recogniser
from maze.grammar.pattern.tree import ANYTHING, NOTHING, Literal, Node, is_plain, text_of


@lru_cache(maxsize=4096)
def recogniser_of(language: Node) -> Recogniser:
    """What tells the texts of a language. Raises OverBudgetError."""
    return Recogniser(language)


@lru_cache(maxsize=4096)
def is_nothing(language: Node) -> bool:
    """Whether no text is in a language; False also where that is too much work to find out."""
    if language == NOTHING or is_plain(language):
        return language == NOTHING  # which stands in no larger tree
    try:
        return recogniser_of(language).shortest(Budget()) is None
    except OverBudgetError:
        return False


def accepts(language: Node, text: str) -> bool:
    """Whether a text is in a language. Raises OverBudgetError."""
    if language == ANYTHING:
        return True
    if isinstance(language, Literal):
        return language.text == text
    if (only := text_of(language)) is not None:
        return only == text
    return recogniser_of(language).accepts(text)
