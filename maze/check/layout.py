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

from maze.check.same_program import difference
from maze.check.source_tokens import CLOSING, OPENING, SourceToken, operators_of, source_tokens
from maze.errors import InvalidArgumentError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.languages import find_language
from maze.grammar.languages.language import Newlines
from maze.grammar.llguidance import Matcher
from maze.grammar.read.grammar_text import lower_grammar
from maze.threads import run_with_big_stack

INDENTATION = "    "
MAX_TRIES = 2_000
"""Most blanks that are tried before one more token of a text fits, before its layout is given up."""

_JOINED = frozenset("+-*/%&|^<>=!?.:~@")
"""Signs that may be another one together, which people part by a blank."""
_COMMENTS = frozenset(("//", "/*", "--"))
"""What begins a comment somewhere, or is an operator."""
_PREFIX = re.compile("u8|[LUuRrBbFfXx]|[Rr][BbFf]|[BbFf][Rr]")
"""What makes a string another one, if it stands right before it."""
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


class LayoutError(InvalidArgumentError):
    """A text has no layout in the grammar of its language.

    `offset` is the place of the token that does not fit, in characters of the text as it was given.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def laid_out(text: str, language: str, start: str = "file") -> str:
    """The program in the layout of `language`, one of syntax_names(), without its comments.

    Raises LayoutError where the grammar does not take its tokens, or what is printed would be read as others.
    """
    program = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        return _laid_out(program, language, start)
    except LayoutError as error:
        raise LayoutError(str(error), error.offset + len(text) - len(program)) from None


def _laid_out(text: str, language: str, start: str) -> str:
    known = find_language(language)
    layout = _Layout(
        text,
        list(source_tokens(text, language)),
        _matcher(language, start).copy(),
        operators_of(language) | _COMMENTS,
        ends_statements=known is not None and known.newlines is Newlines.RESTRICTED,
    )
    printed = run_with_big_stack(layout.found)
    if (offset := run_with_big_stack(lambda: difference(text, printed, language))) is not None:
        line = text.count("\n", 0, offset) + 1
        raise LayoutError(f"the layout of the language could make another program of line {line}", offset)
    return printed


@cache
def _matcher(language: str, start: str) -> Matcher:
    lowered = lower_grammar(f"%language {language} {start}", None, "the grammar of the language", Budget())
    return Matcher(cfg_to_lark(lowered.cfg, Budget()))


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
        self,
        text: str,
        tokens: list[SourceToken],
        matcher: Matcher,
        operators: frozenset[str],
        *,
        ends_statements: bool,
    ) -> None:
        self._text = text
        self._tokens = tokens
        self._matcher = matcher
        self._operators = operators
        self._ends_statements = ends_statements

    def found(self) -> str:
        places = [self._place(0, ())]
        furthest = 0
        tries = 0
        while places and tries < MAX_TRIES:
            place = places[-1]
            number = len(places) - 1
            if number == len(self._tokens) and (end := self._end()) is not None:
                return "".join(each.taken for each in places[:-1]) + end
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
        if "\n" in gap and number and self._tokens[number - 1].text in OPENING and opened:
            opened = (*opened[:-1], True)
        text = self._tokens[number].text
        if text in OPENING:
            return (*opened, False)
        return opened[:-1] if text in CLOSING else opened

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
        here = ["", " "]
        if self._must_be_parted(before, token):
            here = [" "]
        elif token.gap and before[-1:] in _JOINED and token.text[:1] in _JOINED:
            here = [" ", ""]
        lines = list(self._lines(number, opened)) if number else []
        if before.startswith("\\\\"):
            yield from lines  # a line of text of Zig would take in what follows
        elif token.breaks is None:
            yield from (*lines, *here) if "\n" in token.gap else (*here, *lines)
        else:
            yield from lines if token.breaks and number else here
        if self._ends_statements and before and ("\n" in token.gap or token.text == "}"):
            yield from (f";{gap}" for gap in lines)

    def _must_be_parted(self, before: str, token: SourceToken) -> bool:
        """Whether two tokens that stand apart are another one together."""
        first, second = before[-1:], token.text[:1]
        is_one_word = re.match(r"[\w$]{2}|[0-9]\.", first + second) is not None
        is_prefix = second in ("'", '"') and _PREFIX.fullmatch(before) is not None
        return bool(token.gap) and (is_one_word or is_prefix or first + second in self._operators)

    def _lines(self, number: int, opened: tuple[bool, ...]) -> Iterator[str]:
        """Line breaks before a token."""
        token = self._tokens[number]
        if self._tokens[number - 1].text in OPENING and opened:
            opened = (*opened[:-1], True)
        depth = sum(opened)
        if token.text in CLOSING and opened and opened[-1]:
            depth -= 1
        breaks = ["\n\n", "\n"] if token.gap == "\n\n" and self._tokens[number - 1].text not in OPENING else ["\n"]
        for each in breaks:
            yield each + INDENTATION * depth
            yield each + INDENTATION * (depth + 1)
