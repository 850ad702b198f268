"""A context-free grammar as plain data: what the readers of grammar texts make, and the composer and writer take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from maze.grammar.pattern.tree import Literal, Node, Nonterminal, alt, literal

__all__ = [
    "Cfg",
    "Literal",
    "LoweredGrammar",
    "Nonterminal",
    "Pattern",
    "Production",
    "Symbol",
    "Terminal",
    "WrittenGrammar",
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


@dataclass(frozen=True, slots=True)
class WrittenGrammar:
    """What the compiler makes of a grammar that nothing is multiplied with."""

    rules: str
    """As cfg_to_lark() writes them."""
    packed: bytes


@dataclass(frozen=True, slots=True)
class LoweredGrammar:
    """What became of the text of a grammar."""

    cfg: Cfg
    """The grammar, to be enforced with others."""
    whole: Cfg | None = None
    """All texts, where `cfg` leaves some out that nobody should generate, such as endless white space."""
    read_whole: Cfg | None = None
    """Where an engine could not bear `cfg` alone: a grammar that it reads by its longest match, which leaves out more.

    It is no grammar to be worked on, as its texts are those of `cfg` that this way of reading finds.
    """
    warnings: tuple[str, ...] = ()
    """Each begins with the path of the constraint."""
    identifier_terminals: frozenset[Pattern] = frozenset()
    """The terminals of `cfg` that are names in the language; naming patterns apply to them."""
    options: tuple[str, ...] = ()
    """Options of llguidance that the caller has switched on."""
    is_of_languages: bool = False
    """Whether whole languages are in it, whose rules and terminals have names that say what they are."""
    is_of_braid: bool = False
    """Whether it is Braid's JSON, beside which stand patterns that Braid has found in a source."""
    asks_for: tuple[str, ...] | None = None
    """Of Braid's grammar of token classes, those that begin a construct and are asked for; None for other grammars."""
    written: WrittenGrammar | None = None
    """What is made of `cfg`, where that is known already."""

    @property
    def checked(self) -> Cfg:
        """What finished texts are checked against."""
        return self.whole or self.cfg
