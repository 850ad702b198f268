"""A context-free grammar as plain data: what the readers of grammar texts make, and the composer and writer take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from maze.types import EngineGrammar


@dataclass(frozen=True, slots=True)
class Nonterminal:
    """A reference to a rule."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A terminal that is exactly this text, which is not empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """A terminal whose texts match all of `all_of` as a whole and none of `none_of`, and are never empty.

    The regular expressions are in llguidance's syntax, without slashes around them. They use only what every engine
    reads the same way: classes of characters, groups, alternatives, `? * + {n,m}`, escapes of single characters.
    """

    name: str
    """What errors call it, such as IDENTIFIER."""
    all_of: tuple[str, ...]
    none_of: tuple[str, ...] = ()


Terminal: TypeAlias = Literal | Pattern
Symbol: TypeAlias = Nonterminal | Terminal
Production: TypeAlias = tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class Cfg:
    """A context-free grammar over characters; an empty production is the empty text.

    The readers of this package make only grammars that an engine with a longest-match lexer reads right: where the text
    of one terminal can be continued to a text of another (or of the same) terminal, no text of the grammar goes on with
    that character after the first terminal. Replacing terminals by terminals with fewer texts, and rules by copies of
    themselves, keeps this property; so does the product with a finite automaton.
    """

    start: str
    rules: dict[str, tuple[Production, ...]]
    """By name. Names are those of the caller; a copy or part of a rule is called by the name and more in brackets."""


@dataclass(frozen=True, slots=True)
class LoweredGrammar:
    """What became of the text of a grammar."""

    cfg: Cfg | None
    """The grammar, or None for Lark text, which is not taken apart."""
    lark: EngineGrammar | None = None
    """The checked rules of Lark text, where `cfg` is None."""
    warnings: tuple[str, ...] = ()
    """Each begins with the path of the constraint."""
    identifier_terminals: frozenset[Pattern] = frozenset()
    """The terminals of `cfg` that are names in the language; naming patterns apply to them."""


_SPECIAL = re.compile(r"[\\^$.|?*+(){}\[\]/\-&~#]")
_NAMED_CONTROLS = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def escaped(text: str) -> str:
    """A regular expression for exactly this text, also within a class of characters."""
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _NAMED_CONTROLS:
        return _NAMED_CONTROLS[character]
    if character < " " or character == "\x7f":
        return f"\\x{ord(character):02x}"
    return _SPECIAL.sub(r"\\\g<0>", character)
