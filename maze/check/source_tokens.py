"""The tokens of programs, as `maze format` reads them: by what each language's file says of strings and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from maze.grammar.languages import find_language
from maze.grammar.languages.language import Newlines
from maze.grammar.read.lark.language_files import for_the_printer

OPENING, CLOSING = "([{", ")]}"
_OPERATORS = (
    "++ -- && || << >> <= >= == != += -= *= /= %= &= |= ^= -> => ** // ?? ?. .. := :: <> "
    "=== !== ... **= //= <<= >>= >>> &&= ||= ??= >>>="
)
"""What is one sign, and where its characters stand apart another program: `a !== b` is not `a! == b` in TypeScript."""
_NO_OPERATORS = {
    "c": "** **=",
    "python": "++ --",
    "typescript": ">> >= >>= >>> >>>=",
    "zig": "-- ::",
}
"""Of these, what means the same as its signs, such as those of a pointer to pointers, or behind lists of types."""
_BEFORE_A_BREAK = frozenset(("return", "break", "continue", "throw", "yield", "async"))
"""Words of JavaScript behind which a line break ends the statement."""
_BEHIND_NO_BREAK = frozenset(("++", "--", "=>"))
"""Signs of JavaScript before which a line break ends the statement, or must not stand."""
_NOTHING_ENDS_WITH = frozenset(("", "{", ";", ":"))
"""Behind which something new begins, on whatever line."""
_BEFORE_A_VALUE = frozenset(
    (
        "return",
        "typeof",
        "instanceof",
        "case",
        "in",
        "of",
        "delete",
        "void",
        "throw",
        "new",
        "else",
        "do",
        "yield",
        "await",
    )
)
"""Words of JavaScript behind which `/` begins a regular expression, as it does behind signs."""
_BEFORE_A_HEAD = frozenset(("if", "while", "for", "with"))
"""Words of JavaScript whose brackets a statement follows."""


@dataclass(frozen=True, slots=True)
class SourceToken:
    """A token of a program, with the place that it has in the text."""

    text: str
    offset: int
    gap: str
    """What of it stood before it: nothing, a blank, or one or two line breaks."""
    depth: int | None = None
    """Of the first token of a line in a language where indentation counts: how deep that is."""
    breaks: bool | None = None
    """Whether a line break must stand before it, or must not; None where the program is the same either way."""


@cache
def operators_of(language: str) -> frozenset[str]:
    """What consists of several signs, and is not what these are alone."""
    return frozenset(_OPERATORS.split()) - frozenset(_NO_OPERATORS.get(language, "").split())


def source_tokens(text: str, language: str) -> Iterator[SourceToken]:
    """The tokens of a program: what the grammar's file says is taken whole, words, and signs."""
    known = find_language(language)
    if known is not None and known.newlines is Newlines.INDENTING:
        return _indented_tokens(text, language)
    tokens = _tokens(text, language)
    if known is not None and known.newlines is Newlines.RESTRICTED:
        return _with_restrictions(tokens)
    return _with_directives(tokens) if language == "c" else tokens


def _tokens(text: str, language: str) -> Iterator[SourceToken]:
    gap = ""
    for kind, piece, offset in _pieces(text, language):
        if kind in ("comment", "space"):
            breaks = gap.count("\n") + _line_breaks(piece)
            gap = "\n" * min(breaks, 2) or " "
        else:
            yield SourceToken(piece, offset, gap)
            gap = ""


def _line_breaks(space: str) -> int:
    """How many there are, without those that are taken back."""
    return space.count("\n") - len(re.findall(r"\\\r?\n", space))


def _with_restrictions(tokens: Iterator[SourceToken]) -> Iterator[SourceToken]:
    """With the places where a line break ends a statement of JavaScript."""
    before = ""
    for token in tokens:
        begins = before in _NOTHING_ENDS_WITH
        if before in _BEFORE_A_BREAK or (token.text in _BEHIND_NO_BREAK and not begins):
            yield replace(token, breaks="\n" in token.gap)
        else:
            yield token
        before = token.text


def _with_directives(tokens: Iterator[SourceToken]) -> Iterator[SourceToken]:
    """With the lines of C's preprocessor."""
    directive = False
    for token in tokens:
        begins_one = token.text.startswith("#")
        if begins_one or directive:
            breaks = begins_one or "\n" in token.gap
            yield replace(token, breaks=breaks)
            directive = begins_one or not breaks
        else:
            yield token


def _pieces(text: str, language: str) -> Iterator[tuple[str | None, str, int]]:
    """What the pattern finds, of which kind and where; where code in a text ends, as in `${...}`, the rest of it."""
    given = for_the_printer(language)
    pattern = _pattern(language)
    rest = re.compile(given.get("rest", "(?!)"), re.DOTALL)
    regex = re.compile(given.get("regex", "(?!)"))
    braces: list[int] = []  # for each text that code stands in, how many braces are open in that code
    heads: list[bool] = []  # for each round bracket that is open whether a statement follows it
    before = ""
    value_has_ended = False
    at = 0
    while at < len(text):
        found = rest.match(text, at) if braces and not braces[-1] else None
        if found is not None:
            braces.pop()
            kind: str | None = "whole"
        elif not value_has_ended and (found := regex.match(text, at)):
            kind = "whole"
        else:
            found = pattern.match(text, at)
            assert found is not None  # noqa: S101 - a sign is any character
            kind = found.lastgroup
        yield kind, found[0], at
        at = found.end()
        if kind in ("comment", "space"):
            continue
        piece = found[0]
        value_has_ended = kind in ("whole", "word") or piece in (")", "]", "++", "--")
        if kind == "word":
            value_has_ended = piece not in _BEFORE_A_VALUE or before == "."
        elif kind == "whole":
            if piece.endswith("${"):
                braces.append(0)
                value_has_ended = False
        elif piece == "(":
            heads.append(before in _BEFORE_A_HEAD)
        elif piece == ")" and heads:
            value_has_ended = not heads.pop()
        if kind == "sign" and braces:
            braces[-1] += (piece == "{") - (piece == "}")
        before = piece


_COMPOUND = frozenset(
    ("if", "elif", "else", "for", "while", "try", "except", "finally", "with", "def", "class", "async", "case")
)
"""Words of Python with which a line begins that may hold a statement behind its colon."""


def _indented_tokens(text: str, language: str) -> Iterator[SourceToken]:
    """The same where lines and their indentation count: each statement begins a line."""
    levels = [0]
    brackets = lambdas = deeper = 0
    first = ""
    depth: int | None = 0  # of the statement that begins next; None within one
    breaks, blank = 0, False
    for found in _pattern(language).finditer(text):
        piece = found[0]
        if found.lastgroup in ("comment", "space"):
            lines = 0 if brackets or found.lastgroup == "comment" else _line_breaks(piece)
            breaks, blank = breaks + lines, True
            continue
        if breaks or not first:
            column = len(text[text.rfind("\n", 0, found.start()) + 1 : found.start()].expandtabs())
            while levels[-1] > column:
                levels.pop()
            if column > levels[-1]:
                levels.append(column)
            first, lambdas, deeper, depth = piece, 0, 0, len(levels) - 1
        if piece == ";" and not brackets:
            depth = len(levels) - 1 + deeper
            continue
        gap = "\n" * min(breaks, 3) or (" " if blank else "")
        is_free = bool(brackets) or depth is not None
        yield SourceToken(piece, found.start(), gap, depth, None if is_free else False)
        depth, breaks, blank = None, 0, False
        brackets += (piece in OPENING) - (piece in CLOSING)
        lambdas += piece == "lambda" and not brackets
        if piece == ":" and not brackets and not text.startswith("=", found.end()):
            if lambdas:
                lambdas -= 1
            elif first in _COMPOUND and not deeper:
                deeper = 1
                depth = len(levels)


@cache
def _pattern(language: str) -> re.Pattern[str]:
    given = for_the_printer(language)
    # A `?` before a fraction is none of `?.`.
    operators = sorted(operators_of(language) - {"?."}, key=len, reverse=True)
    parts = [
        *(f"(?P<{name}>{given[name]})" for name in ("comment", "whole") if name in given),
        r"(?P<space>(?:\s|\\\r?\n)+)",
        r"(?P<word>[\w$]+)",
        rf"(?P<sign>{'|'.join(map(re.escape, operators))}|\?\.(?![0-9])|.)",
    ]
    return re.compile("|".join(parts), re.DOTALL)
