"""The tokens of a program by the rules of its language's own lexer, with the longest operators there are.

The printer takes a program for words and signs, and asks the grammar. What it printed is read here once more, apart
from it: so no operator came to be of two, none was parted, and nothing was lost as a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_STRING = r'"(?:[^"\\\n]|\\.)*"|' + r"'(?:[^'\\\n]|\\.)*'"
_LEXERS = {
    "json": re.compile(r'(?P<blank>[ \t\r\n]+)|(?P<text>"(?:[^"\\]|\\.)*"|[-+\w.]+|.)', re.DOTALL),
    "sql": re.compile(
        r"(?P<blank>[ \t\n\f\r]+|--[^\n]*|/\*.*?(?:\*/|\Z))"
        r"|(?P<text>[xX]?'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]"
        r"|0[xX][0-9a-fA-F]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+\-]?[0-9]+)?"
        r"|[?:@$#]?[A-Za-z0-9_$\u0080-\U0010ffff]+|->>|->|\|\||<<|>>|<=|>=|<>|!=|==|.)",
        re.DOTALL,
    ),
    "zig": re.compile(
        r"(?P<blank>[ \t\n]+|\r(?=\n)|//[^\n]*)"
        rf"|(?P<text>\\\\[^\r\n]*|@?{_STRING}|@?[A-Za-z_]\w*|[0-9](?:[eEpP][+\-]|\w|\.(?=\w))*"
        r"|\.\.\.|\.\.|\.\*\*|\.\*|=>|==|!=|->|\|\|=?|\*\*|\+\+|<<\|?=?|>>=?|[*+\-][%|]=?|[*+\-/%&|^<>]=|.)",
        re.DOTALL,
    ),
    "c": re.compile(
        r"(?P<blank>[ \t\v\f]+|//[^\n\r]*|/\*.*?\*/)|(?P<line>\r?\n)"
        r"|(?P<text>(?<=include)[ \t]*<[^>\n]+>"
        rf"|(?:L|u8|u|U)?(?:{_STRING})|\.?[0-9](?:[eEpP][+\-]|[\w.])*|[A-Za-z_$]\w*"
        r"|\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\#\#|<:|:>|<%|%>|%:|.)",
        re.DOTALL,
    ),
}


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A token of a program."""

    text: str
    offset: int
    is_first: bool = False
    """Whether a line break stands before it."""


def lexemes(text: str, language: str) -> list[Lexeme]:
    """The tokens of a program in a language whose tokens do not depend on what stands before them."""
    return list(_of_c(text) if language == "c" else _of(text, language))


def _of(text: str, language: str) -> Iterator[Lexeme]:
    for found in _LEXERS[language].finditer(text):
        if found.lastgroup == "text":
            yield Lexeme(found[0], found.start())


def _of_c(text: str) -> Iterator[Lexeme]:
    """Where a directive ends counts, and in a definition whether a blank follows the macro's name.

    A line that goes on behind a backslash is one; how many characters are cut out before a place is not told.
    """
    spliced = re.sub(r"\\\r?\n", "", text)
    line: list[str] = []  # of the directive that is being read
    begins, blank = True, False
    for found in _LEXERS["c"].finditer(spliced):
        if found.lastgroup == "line":
            if line:
                yield Lexeme("\n", found.start())
            line, begins, blank = [], True, False
        elif found.lastgroup == "blank":
            blank = True
        else:
            piece = found[0].lstrip(" \t")
            if line or (begins and piece == "#"):
                if line[1:2] == ["define"] and len(line) == 3 and piece == "(" and not blank:
                    piece = "f("
                line.append(piece)
            yield Lexeme(piece, found.start())
            begins = blank = False
    if line:
        yield Lexeme("\n", len(spliced))
