"""A context-free grammar as plain data: what the readers of grammar texts make, and the composer and writer take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from maze.grammar.pattern.tree import Literal, Node, Nonterminal, alt, literal

__all__ = [
    "Cfg",
    "Literal",
    "Nonterminal",
    "Pattern",
    "Production",
    "Symbol",
    "Terminal",
    "one_of",
]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A terminal whose texts are those of a regular expression; the empty text is none of them."""

    name: str
    """What errors call it, such as IDENTIFIER."""
    language: Node
    _hash: int = field(init=False, repr=False, compare=False)
    """Kept, as grammars are worked on with tables of terminals, and an expression can be large."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.name, self.language)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return Pattern, (self.name, self.language)  # made anew in another process, in which texts have other hashes


def one_of(texts: Iterable[str]) -> Pattern:
    """One terminal for many texts, of which none is empty."""
    return Pattern("one of many", alt(*map(literal, texts)))


Terminal: TypeAlias = Literal | Pattern
Symbol: TypeAlias = Nonterminal | Terminal
Production: TypeAlias = tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class Cfg:
    """A context-free grammar over characters; an empty production is the empty text.

    The readers of this package make only grammars that an engine with a longest-match lexer reads right: where the text
    of one terminal can be continued to a text of another (or of the same) terminal that a lexer may look for at the
    same place, no text of the grammar goes on with that character after the first terminal. Replacing terminals by
    terminals with fewer texts, and rules by copies of themselves, keeps this property; so does the product with a
    finite automaton.
    """

    start: str
    rules: dict[str, tuple[Production, ...]]
    """By name. Names are those of the caller; a copy or part of a rule is called by the name and more in brackets."""

    def symbols(self) -> Iterator[Symbol]:
        """All symbols on all right-hand sides, as often as they stand there."""
        return (symbol for productions in self.rules.values() for production in productions for symbol in production)

    def terminals(self) -> dict[Terminal, None]:
        """The terminals, each once, in the order of the rules."""
        return {symbol: None for symbol in self.symbols() if not isinstance(symbol, Nonterminal)}


def references_of(productions: Iterable[Production]) -> list[str]:
    """The rules that productions refer to, each once, in their order."""
    return list(dict.fromkeys(symbol.name for rhs in productions for symbol in rhs if isinstance(symbol, Nonterminal)))
