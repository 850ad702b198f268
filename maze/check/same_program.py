"""Whether two texts are one program, by the tokens of their language, of Python by its own parser."""

from __future__ import annotations

import ast
import re
import warnings
from itertools import zip_longest

from maze.check.lexemes import Lexeme, lexemes
from maze.check.script_lexemes import UnclearError, difference_of_scripts

_COOKIE = re.compile(r"(?:[ \t\f]*(?:#[^\n]*)?\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*(?!utf-?8)[-\w.]", re.IGNORECASE)
"""That a text of Python was not read in the encoding that it names."""


def difference(text: str, printed: str, language: str) -> int | None:
    """Where in `text` another program begins than in `printed`, or what could be another; None if they are one."""
    if language == "python":
        return _difference_in_python(text, printed)
    if language in ("javascript", "typescript"):
        try:
            return difference_of_scripts(text, printed)
        except UnclearError as unclear:
            return unclear.offset
    wanted, got = (lexemes(each, language) for each in (text, printed))
    end = Lexeme("", len(text))
    for one, other in zip_longest(wanted, got, fillvalue=end):
        if one.text != other.text:
            return one.offset
    return None


def _difference_in_python(text: str, printed: str) -> int | None:
    if not text.isascii() and _COOKIE.match(text):
        return 0
    try:
        return None if _parsed(text) == _parsed(printed) else 0
    except SyntaxError as error:
        lines = text.splitlines(keepends=True)
        return min(sum(map(len, lines[: (error.lineno or 1) - 1])), len(text))
    except (ValueError, RecursionError, MemoryError):
        return 0


def _parsed(text: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.dump(ast.parse(text))
        except SyntaxError:
            try:
                return ast.dump(ast.parse(text.strip(), mode="eval"))  # of several lines, as only an expression may be
            except SyntaxError:
                pass
            raise
