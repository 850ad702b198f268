"""Grammar as a hint, language as the law: what stands for a grammar of Braid's token classes, and what it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from maze.compiled import EngineGrammar
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Symbol
from maze.grammar.cfg.occurrence import with_some
from maze.grammar.languages import find_language
from maze.grammar.languages.language import Language
from maze.grammar.languages.syntax import find_syntax
from maze.grammar.pattern.automaton import is_empty
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import both, cat, literal

_BEFORE_WORD = parse_whole(r"[ \n}]*")
_BEHIND_WORD = parse_whole(r"([^A-Za-z0-9_](?s:.)*)?")


_FUNCTION_RULES = frozenset({"function", "function_expression", "method", "object_method", "arrow"})
_FUNCTION_NAMES = frozenset({"FUNCTION_NAME"})
"""What functions are called in the grammars of languages."""


@dataclass(frozen=True, slots=True)
class Construct:
    """Something that a program can have, which a grammar of Braid asks for."""

    words: str
    check_grammar: EngineGrammar | None
    """The programs of the language that have it; None where its grammar does not know it, or nobody wants to check."""


def text_of_language(language: str | None) -> str | None:
    """The text of the language's own grammar; None if there is none."""
    found = find_syntax(language or "")
    return None if found is None else f"%language {found}"


def constructs(braid: LoweredGrammar, language: str | None, law: Cfg | None, budget: Budget) -> Iterator[Construct]:
    """What the grammar asks for, each with a grammar to check it, made of that of the language, where that is given."""
    tokens = find_language(language)
    if tokens is None:
        return
    for name in braid.asks_for or ():
        token = tokens.tokens[name]
        words = "functions" if name == "FUNCTION" or not isinstance(token, Literal) else f"'{token.text}'"
        having = None if law is None else _having(law, name, tokens, budget)
        yield Construct(words, None if having is None else cfg_to_lark(having, budget))


def _having(law: Cfg, name: str, tokens: Language, budget: Budget) -> Cfg | None:
    """Of the language, the programs with functions of whatever form, or with the word that a construct begins with."""

    def function(symbol: Symbol) -> Symbol | None:
        if isinstance(symbol, Literal):
            return None
        forms = _FUNCTION_RULES if isinstance(symbol, Nonterminal) else _FUNCTION_NAMES
        name, _, rest = symbol.name.partition(" of ")
        # A part of a rule, such as its decorators, may be one of another rule too.
        return symbol if name in forms and "[part " not in rest else None

    token = tokens.tokens[name]
    if name == "FUNCTION" or not isinstance(token, Literal):
        return with_some(law, function, budget)
    begins = cat(_BEFORE_WORD, literal(token.text), _BEHIND_WORD)

    def by_word(symbol: Symbol) -> Symbol | None:
        if isinstance(symbol, Nonterminal):
            return None
        kept = both(literal(symbol.text) if isinstance(symbol, Literal) else symbol.language, begins)
        if is_empty(kept, budget):
            return None
        return symbol if isinstance(symbol, Literal) else Pattern(symbol.name, kept)

    return with_some(law, by_word, budget)
