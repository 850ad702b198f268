"""`maze format`: the tokens of a program in the one layout of its language, which the language's grammar knows.

Comments are left out. Between two tokens stands the first of nothing, a blank and a line break with its indentation
that the grammar takes and after which it takes the rest; a line break comes first where the text had one. Where a
language leaves out semicolons, as JavaScript may, they are put in where the text cannot go on without one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from maze.errors import InvalidArgumentError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.languages import find_language
from maze.grammar.languages.language import Newlines
from maze.grammar.llguidance import Matcher
from maze.grammar.read.grammar_text import lower_grammar
from maze.grammar.read.lark.language_files import for_the_printer
from maze.threads import run_with_big_stack

INDENTATION = "    "
MAX_TRIES = 2_000
"""Most blanks that are tried before one more token of a text fits, before its layout is given up."""

_OPENING, _CLOSING = "([{", ")]}"
_JOINED = frozenset("+-*/%&|^<>=!?.:~@")
"""Signs that may be another one together, which people part by a blank."""
_STEPPING = ("c", "javascript", "typescript")
"""The languages with `++` and `--`, which may stand before what they step and behind it: `a - --b` is not `a-- - b`."""


@dataclass(frozen=True, slots=True)
class SourceToken:
    """A token of a program, with the place that it has in the text."""

    text: str
    offset: int
    gap: str
    """What of it stood before it: nothing, a blank, or one or two line breaks."""
    depth: int | None = None
    """Of the first token of a line in a language where indentation counts: how deep that is."""


class LayoutError(InvalidArgumentError):
    """A text has no layout in the grammar of its language. `offset` is the place of the token that does not fit."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def laid_out(text: str, language: str, start: str = "file") -> str:
    """The program in the layout of `language`, one of syntax_names(), without its comments.

    Raises LayoutError where the grammar does not take its tokens.
    """
    tokens = list(source_tokens(text, language))
    known = find_language(language)
    ends = known is not None and known.newlines is Newlines.RESTRICTED
    never_joined = "+-" if language in _STEPPING else ""
    layout = _Layout(tokens, _matcher(language, start).copy(), text, never_joined, ends_statements=ends)
    return run_with_big_stack(layout.found)


@cache
def _matcher(language: str, start: str) -> Matcher:
    lowered = lower_grammar(f"%language {language} {start}", None, "the grammar of the language", Budget())
    return Matcher(cfg_to_lark(lowered.cfg, Budget()))


# ------------------------------------------------------------------------------------------------ tokens


def source_tokens(text: str, language: str) -> Iterator[SourceToken]:
    """The tokens of a program: what the grammar's file says is taken whole, words, and single signs."""
    known = find_language(language)
    if known is not None and known.newlines is Newlines.INDENTING:
        return _indented_tokens(text, language)
    return _tokens(text, language)


def _tokens(text: str, language: str) -> Iterator[SourceToken]:
    gap = ""
    for found in _pieces(text, language):
        if found.lastgroup in ("comment", "space"):
            breaks = gap.count("\n") + found[0].count("\n")
            gap = "\n" * min(breaks, 2) or " "
        else:
            yield SourceToken(found[0], found.start(), gap)
            gap = ""


def _pieces(text: str, language: str) -> Iterator[re.Match[str]]:
    """What the pattern finds; where code in a text ends, as in `${...}`, the rest of that text."""
    pattern = _pattern(language)
    rest = re.compile(for_the_printer(language).get("rest", "(?!)"), re.DOTALL)
    braces: list[int] = []  # for each text that code stands in, how many braces are open in that code
    at = 0
    while found := (rest.match(text, at) if braces and not braces[-1] else None) or pattern.match(text, at):
        yield found
        at = found.end()
        if found.re is rest:
            braces.pop()
        elif braces and found.lastgroup == "sign":
            braces[-1] += (found[0] == "{") - (found[0] == "}")
        if found.lastgroup in (None, "whole") and found[0].endswith("${"):
            braces.append(0)


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
            lines = 0 if brackets or found.lastgroup == "comment" else re.sub(r"\\\r?\n", "", piece).count("\n")
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
        yield SourceToken(piece, found.start(), gap, depth)
        depth, breaks, blank = None, 0, False
        brackets += (piece in _OPENING) - (piece in _CLOSING)
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
    parts = [
        *(f"(?P<{name}>{given[name]})" for name in ("comment", "whole") if name in given),
        r"(?P<space>(?:\s|\\\r?\n)+)",
        r"(?P<word>[\w$]+)",
        r"(?P<sign>\+\+|--|.)" if language in _STEPPING else r"(?P<sign>.)",
    ]
    return re.compile("|".join(parts), re.DOTALL)


# ------------------------------------------------------------------------------------------------ layout


@dataclass(slots=True)
class _Place:
    """Before a token, or behind the last."""

    gaps: Iterator[str]
    """What is still to be tried before the token."""
    opened: tuple[bool, ...]
    """For each bracket that is open whether a line ends with it."""
    taken: str = ""
    """What was tried last."""


class _Layout:
    def __init__(
        self, tokens: list[SourceToken], matcher: Matcher, text: str, never_joined: str, *, ends_statements: bool
    ) -> None:
        self._tokens = tokens
        self._ends_statements = ends_statements
        self._never_joined = frozenset(never_joined)
        self._text = text
        self._matcher = matcher

    def found(self) -> str:
        places = [self._place(0, ())]
        furthest = 0
        tries = 0
        while places and tries < MAX_TRIES:
            place = places[-1]
            number = len(places) - 1
            if number == len(self._tokens) and (end := self._end()) is not None:
                return "".join(f"{each.taken}" for each in places[:-1]) + end
            gap = next(place.gaps, None)
            if gap is None or number == len(self._tokens):
                places.pop()
                if places:
                    self._matcher.take_back(len(places[-1].taken.encode()))
                continue
            tries += 1
            place.taken = gap + self._tokens[number].text
            data = place.taken.encode()
            consumed = self._matcher.consume(data)
            if consumed < len(data):
                self._matcher.take_back(consumed)
                continue
            if number == furthest:
                furthest, tries = number + 1, 0
            places.append(self._place(number + 1, self._opened(place, number, gap)))
        raise LayoutError(
            f"the grammar of the language does not take {self._shown(furthest)}",
            self._tokens[furthest].offset if furthest < len(self._tokens) else len(self._text),
        )

    def _end(self) -> str | None:
        """What is still to come behind the last token: a line break, or nothing; None if it cannot be the last."""
        for end in ("\n", "", ";\n") if self._ends_statements else ("\n", ""):
            taken = self._matcher.consume(end.encode())
            if taken == len(end) and self._matcher.can_end():
                return end
            self._matcher.take_back(taken)
        return None

    def _shown(self, number: int) -> str:
        if number == len(self._tokens):
            return "the end of the text here: more must follow"
        token = self._tokens[number]
        line = self._text.count("\n", 0, token.offset) + 1
        return f"{token.text[:40]!r} on line {line}"

    def _place(self, number: int, opened: tuple[bool, ...]) -> _Place:
        gaps = self._gaps(number, opened) if number < len(self._tokens) else iter(())
        return _Place(gaps, opened)

    def _opened(self, place: _Place, number: int, gap: str) -> tuple[bool, ...]:
        """The brackets that are open behind a token, and which of them have lines of their own within."""
        opened = place.opened
        if "\n" in gap and number and self._tokens[number - 1].text in _OPENING and opened:
            opened = (*opened[:-1], True)
        text = self._tokens[number].text
        if text in _OPENING:
            return (*opened, False)
        return opened[:-1] if text in _CLOSING else opened

    def _gaps(self, number: int, opened: tuple[bool, ...]) -> Iterator[str]:
        """What may stand before a token, what is likeliest first."""
        token = self._tokens[number]
        before = self._tokens[number - 1].text if number else ""
        if token.depth is not None:
            indentation = INDENTATION * token.depth
            blank_lines = (
                ("\n" * count for count in range(max(token.gap.count("\n"), 1), 0, -1)) if number else iter(("",))
            )
            yield from (f"{lines}{indentation}" for lines in blank_lines)
            return
        here = [" "] if self._must_be_parted(before, token) else ["", " "]
        if token.gap and before[-1:] == token.text[:1] and before[-1:] in self._never_joined:
            here = [" "]
        elif token.gap and before[-1:] in _JOINED and token.text[:1] in _JOINED:
            here = [" ", ""]
        lines = list(self._lines(number, opened)) if number else []
        gaps = (*lines, *here) if "\n" in token.gap else (*here, *lines)
        yield from gaps
        if self._ends_statements and before and ("\n" in token.gap or token.text == "}"):
            yield from (f";{gap}" for gap in lines)

    @staticmethod
    def _must_be_parted(before: str, token: SourceToken) -> bool:
        return bool(token.gap) and re.match(r"[\w$]{2}", before[-1:] + token.text[:1]) is not None

    def _lines(self, number: int, opened: tuple[bool, ...]) -> Iterator[str]:
        """Line breaks before a token."""
        token = self._tokens[number]
        if self._tokens[number - 1].text in _OPENING and opened:
            opened = (*opened[:-1], True)
        depth = sum(opened)
        if token.text in _CLOSING and opened and opened[-1]:
            depth -= 1
        breaks = ["\n\n", "\n"] if token.gap == "\n\n" and self._tokens[number - 1].text not in _OPENING else ["\n"]
        for each in breaks:
            yield each + INDENTATION * depth
            yield each + INDENTATION * (depth + 1)
