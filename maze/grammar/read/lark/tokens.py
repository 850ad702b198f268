"""The tokens of Lark text: names, texts in quotes, regular expressions, signs, and the JSON behind some directives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from maze.errors import UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.read.lark.source import LarkSource
from maze.json_problem import problem_of

_TOKEN = re.compile(
    r"""(?P<space>[ \t\f\r]+|\\[ ]*\r?\n)
    |(?P<comment>//[^\n]*|\#[^\n]*)
    |(?P<line>\n)
    |(?P<text>"(?:[^"\\\n]|\\.)*"i?)
    |(?P<regex>/(?:[^/\\]|\\.)+/[a-z]*)
    |(?P<special><[^<>\s"/]+>)
    |(?P<reference>@[\w-]+)
    |(?P<directive>%\w+)
    |(?P<name>[A-Za-z_](?:\w|-(?!>))*)
    |(?P<number>[+-]?[0-9]+(?:\.[0-9]+)?)
    |(?P<sign>->|\.\.|::|[][(){}:|,.*+?!~&=])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_IN_QUOTES = "; paths, and what else is no plain name, stand in double quotes"
_WITH_JSON = {"%json": "schema", "%regex": "regex extension", "%llguidance": "options"}


@dataclass(frozen=True, slots=True)
class LarkToken:
    """A token: `kind` is that of a group of the expression above, or one of what carries JSON."""

    kind: str
    text: str
    place: int
    value: Any = None
    """The JSON behind a directive; that of options as pairs, so that one that is given twice shows."""


def tokens_of(source: LarkSource, budget: Budget) -> Iterator[LarkToken]:
    """The tokens without white space and comments; a line break in the middle of nothing else is one."""
    text, at = source.text, 0
    while at < len(text):
        budget.spend(2)
        found = _TOKEN.match(text, at)
        if found is None:
            source.fail(at, _what_is_wrong(text, at) + (_IN_QUOTES if _is_restriction(text, at) else ""))
        at = found.end()
        kind = found.lastgroup or ""
        match kind:
            case "space" | "comment":
                continue
            case "special" | "reference" if _is_restriction(text, found.start()):
                source.fail(found.start(), f"{found[0]} is no name{_IN_QUOTES}")
            case "special":
                source.fail(
                    found.start(),
                    f"the special token {found[0]} cannot be checked on a finished text; write its text in quotes",
                    UnsupportedConstraintError,
                )
            case "reference":
                source.fail(
                    found.start(),
                    f"{found[0]} refers to another grammar, and there is none beside this one; write its rules here",
                    UnsupportedConstraintError,
                )
            case "directive" if found[0] in _WITH_JSON:
                token, at = _with_json(source, found[0], found.start(), at)
                yield token
                continue
        yield LarkToken(kind, found[0], found.start())
    yield LarkToken("line", "\n", len(text))
    yield LarkToken("end", "", len(text))


def _is_restriction(text: str, at: int) -> bool:
    """Whether a place is in a line that says which names or imports there may be."""
    return text[text.rfind("\n", 0, at) + 1 : at].lstrip().startswith(("%forbid", "%allow"))


def _what_is_wrong(text: str, at: int) -> str:
    match text[at]:
        case '"':
            return "this text is never closed; it ends with its line, and a line break in it is written \\n"
        case "/":
            return "this regular expression is never closed"
        case "'":
            return "a text stands in double quotes, not in single ones"
        case character:
            return f"{character!r} is not expected here"


def _with_json(source: LarkSource, directive: str, place: int, at: int) -> tuple[LarkToken, int]:
    begin = at
    while source.text[begin : begin + 1].isspace():
        begin += 1
    decoder = json.JSONDecoder(object_pairs_hook=tuple) if directive == "%llguidance" else json.JSONDecoder()
    try:
        value, end = decoder.raw_decode(source.text, begin)
    except json.JSONDecodeError as error:
        if directive == "%llguidance":
            value, end = None, at
        else:
            problem, remedy, offset = problem_of(error)
            source.fail(offset, f"after {directive} stands JSON: {problem}; {remedy}")
    except RecursionError:
        if directive == "%llguidance":
            value, end = None, at
        else:
            source.fail(place, f"the JSON after {directive} is nested too deep")
    return LarkToken(_WITH_JSON[directive], source.text[begin:end], place, value), end
