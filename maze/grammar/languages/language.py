"""What a language is to a grammar of token classes, and what the files of the languages are written with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from maze.grammar.cfg.model import Literal, Pattern, Terminal
from maze.grammar.pattern.code_points import Ranges, characters, complement, intersection, union
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import Chars, Node, alt, both, cat, literal, negation, repeat


class Newlines(Enum):
    """What a line break between two tokens means in a language."""

    FREE = "white space"
    RESTRICTED = "white space, but not after return or async and not before =>"
    SEPARATING = "the end of a statement, unless the token before it cannot end one"
    INDENTING = "the end of a statement, followed by the indentation of the next"


class Comments(Enum):
    """How a language writes comments."""

    SLASHES = "//"
    """To the end of the line, and `/* */`."""
    SLASHES_ONLY = "// without /* */"
    HASH = "#"


class Note(StrEnum):
    """What a grammar cannot say exactly in several languages."""

    TYPE_FIRST = "functions have no keyword: FUNCTION is read as a return type, one of the built-in type names"
    BARE_PARAMETERS = "parameters and variables need types that a grammar of token classes cannot ask for"
    NO_BLOCKS = (
        "braces do not enclose statements in this language: what the grammar puts between LBRACE and RBRACE as a block "
        "is not a block to its parser"
    )
    NAME_KINDS = "IDENTIFIER is any name: a grammar of token classes cannot ask for "
    WHITE_SPACE = "a line break is allowed only where it cannot end a statement"
    LINE_AFTER_BRACE = "a statement that follows RBRACE must begin on a new line; elsewhere " + WHITE_SPACE


@dataclass(frozen=True, slots=True)
class Language:
    """The lexical facts of a language that a grammar of token classes needs."""

    name: str
    tokens: Mapping[str, Terminal | None]
    """For every one of TOKEN_CLASSES; None where the language has no such token."""
    newlines: Newlines
    comments: Comments
    notes: Mapping[str, str]
    """What a grammar cannot say exactly in this language, by the token class whose use raises the matter."""
    spaced_operators: bool = False
    """White space on both sides of `= + - * /` is demanded, as its presence changes what they mean."""
    tight_calls: bool = False
    """No white space between a name and `(`, as it changes what the parenthesis means."""
    opening: str | None = None
    """A text that may stand before everything else."""

    @property
    def identifier(self) -> Pattern:
        """The terminal for names."""
        terminal = self.tokens["IDENTIFIER"]
        assert isinstance(terminal, Pattern)  # noqa: S101 - tokens() makes it so
        return terminal


def tokens(
    keywords: str, *, name: str = r"[A-Za-z_][A-Za-z0-9_]*", no_name: str = "", **given: str | Pattern | None
) -> dict[str, Terminal | None]:
    """Tokens for all token classes: those that are `given`, and the most usual ones for the others.

    `keywords` are the reserved words, and words whose meaning depends on the place, which a grammar of tokens cannot
    know; `name` is a regular expression for names, `no_name` one for what else only looks like a name.
    """
    words = alt(*map(literal, keywords.split()), *([parse_whole(no_name)] if no_name else []))
    return {
        **_USUAL,
        "IDENTIFIER": Pattern("IDENTIFIER", both(parse_whole(name), negation(words))),
        **{token: Literal(each) if isinstance(each, str) else each for token, each in given.items()},
    }


def words(token: str, texts: str) -> Pattern:
    """A token that is one of some words."""
    return Pattern(token, alt(*map(literal, texts.split())))


def number(hexadecimal: str = "[0-9A-Fa-f]+") -> Pattern:
    """Numbers without a sign, in decimal and after `0x`."""
    return Pattern("NUMBER", parse_whole(rf"(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+\-]?[0-9]+)?|0x{hexadecimal}"))


_PRINTABLE: Ranges = union(((0x20, 0x7E),), ((0xA1, 0x1FFF), (0x2070, 0xD7FF), (0xF900, 0xFDCF), (0x10000, 0x1FFFD)))
"""Beyond ASCII without line separators and marks of direction, which some languages forbid in texts."""


def printable(without: str) -> Node:
    """A character that every language takes in texts and comments, and is none of `without`."""
    return Chars(intersection(_PRINTABLE, complement(characters(without))))


def string(*quotes: str, without: str = "") -> Pattern:
    """Texts on one line in any of the quotes; `without` lists characters that would begin an interpolation."""
    forms = []
    for quote in quotes:
        # In PHP, as in other languages with interpolation, single quotes know two escapes only.
        special = quote + "\\" if quote == "'" and without else f"nrt{quote}\\{without}"
        escape = cat(literal("\\"), Chars(characters(special)))
        inside = repeat(alt(printable(quote + "\\" + without), escape), 0, None)
        forms.append(cat(literal(quote), inside, literal(quote)))
    return Pattern("STRING", alt(*forms))


_USUAL: Mapping[str, Terminal | None] = {
    **{
        token: Literal(token.lower())
        for token in ("ASYNC", "CASE", "CATCH", "CLASS", "ELSE", "FOR", "IF", "RETURN", "SWITCH", "TRY", "WHILE")
    },
    "BOOLEAN": words("BOOLEAN", "true false"),
    "COLON": Literal(":"),
    "COMMA": Literal(","),
    "EQUALS": Literal("="),
    "LBRACE": Literal("{"),
    "LPAREN": Literal("("),
    "MINUS": Literal("-"),
    "NUMBER": number(),
    "PLUS": Literal("+"),
    "RBRACE": Literal("}"),
    "RPAREN": Literal(")"),
    "SEMICOLON": Literal(";"),
    "SLASH": Literal("/"),
    "STAR": Literal("*"),
}

TOKEN_CLASSES = tuple(sorted((*_USUAL, "ARROW", "FUNCTION", "IDENTIFIER", "STRING")))
"""Every terminal that Braid's builder writes."""
