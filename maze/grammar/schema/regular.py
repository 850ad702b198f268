"""Questions about regular languages that are asked again and again, within a budget."""

from __future__ import annotations

from functools import lru_cache

from maze.grammar.pattern.automaton import DEAD, Alphabet, Budget, Dfa, OverBudgetError, make_dfa
from maze.grammar.pattern.tree import ANYTHING, NOTHING, Literal, Node, text_of


@lru_cache(maxsize=4096)
def _automaton(language: Node) -> tuple[Alphabet, Dfa] | None:
    alphabet = Alphabet([language])
    try:
        return alphabet, make_dfa(language, alphabet, Budget())
    except OverBudgetError:
        return None


def is_nothing(language: Node) -> bool:
    """Whether no text is in a language; False also where that is too much work to find out."""
    if language in (ANYTHING, NOTHING):
        return language == NOTHING
    made = _automaton(language)
    return made is not None and made[1].is_empty


def accepts(language: Node, text: str) -> bool:
    """Whether a text is in a language. Raises OverBudgetError."""
    if language == ANYTHING:
        return True
    if isinstance(language, Literal):
        return language.text == text
    if (only := text_of(language)) is not None:
        return only == text
    made = _automaton(language)
    if made is None:
        raise OverBudgetError
    alphabet, dfa = made
    state = 0
    for character in text:
        state = dfa.next[state][alphabet.group_of(character)]
        if state == DEAD:
            return False
    return state in dfa.accepting
