"""What all texts have that only the check decides about, so that a model is led as far as an automaton can.

Each language holds every text in question, and others: what it describes stays checked.
"""

from __future__ import annotations

from collections.abc import Callable

from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import Node

MAX_FOLLOWED_DEPTH = 2
"""How deep in brackets these may stand and still be held against the ones that close them."""


def necessary_for_format(name: str) -> Node | None:
    """What all texts of a format are among, of which no regular language tells exactly; None if nothing is known."""
    make = _OF_FORMATS.get(name)
    return None if make is None else parse_whole(make())


def necessary_for_json() -> Node:
    """What all JSON texts are among: JSON itself but for what stands deep in brackets."""
    return parse_whole(rf"{_SPACE}{_json(MAX_FOLLOWED_DEPTH)}{_SPACE}")


# ------------------------------------------------------------------------------------------------ JSON

_SPACE = r"[ \t\n\r]*"
_STRING = r'"([^"\\\x00-\x1F]|\\(["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"'
_SCALAR = rf"true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+\-]?[0-9]+)?|{_STRING}"


def _json(depth: int) -> str:
    """A value with brackets that are followed so deep."""
    if depth == 0:
        return rf"({_SCALAR}|\{{[\s\S]*\}}|\[[\s\S]*\])"
    value = f"{_json(depth - 1)}{_SPACE}"
    member = f"{_SPACE}{_STRING}{_SPACE}:{_SPACE}{value}"
    members = f"({member}(,{member})*|{_SPACE})"
    items = f"{_SPACE}({value}(,{_SPACE}{value})*)?"
    return rf"({_SCALAR}|\{{{members}\}}|\[{items}\])"


# ------------------------------------------------------------------------------------------------ regular expressions

_QUANTIFIER = r"([*+?]|\{[0-9]+(,[0-9]*)?\})\??"
_ESCAPE = r"\\([^AaCEeFGgHhIiJjKLlMmNOoPpQqRTUuVXYyZz]|[pPu](\{[^}]*\}|[0-9A-Fa-f]))"
"""Other letters say nothing behind a backslash."""
_CLASS = r"\[([^\\\]]|\\[^AaCEeFGgHhIiJjKLlMmNOoQqRTUVXYyZz])*\]"


def _regex(depth: int) -> str:
    """ECMAScript's: groups and classes are closed, and a quantifier stands behind something, once."""
    inner = _regex(depth - 1) if depth else r"[\s\S]*"
    group = rf"\((\?([:=!<]|[ims\-]+:))?{inner}\)"
    atom = rf"([^*+?()\[\]{{}}|\\]|{_ESCAPE}|{_CLASS}|{group})"
    return rf"(({atom}({_QUANTIFIER})?)|\|)*"


# ------------------------------------------------------------------------------------------------ names in any script

_DOT = ".\u3002\uff0e\uff61"
_BEYOND_ASCII = r"\u0080-\U0010FFFF"
_BLOCKS_OF_LETTERS = (
    r"\u00AA-\u1FFF\u200C\u200D\u2071-\u209C\u2100-\u218F\u2C00-\u2E2F\u3005-\uD7FF\uF900-\uFFDC"
    r"\U00010000-\U000E01EF"
)


def _host_names(beyond_ascii: str) -> str:
    """Labels between dots; the check decides which letters may stand side by side."""
    label = rf"[A-Za-z0-9{beyond_ascii}]+(-+[A-Za-z0-9{beyond_ascii}]+)*"
    return rf"{label}([{_DOT}]{label})*"


def _mailboxes() -> str:
    atom = rf"[A-Za-z0-9!#$%&'*+\-/=?^_`{{|}}~{_BEYOND_ASCII}]+"
    local = rf'({atom}(\.{atom})*|"([ !#-\[\]-~{_BEYOND_ASCII}]|\\[ -~{_BEYOND_ASCII}])*")'
    return rf"{local}@({_host_names(_BEYOND_ASCII)}|\[[A-Za-z0-9.:\-]+\])"


_OF_FORMATS: dict[str, Callable[[], str]] = {
    "idn-email": _mailboxes,
    "idn-hostname": lambda: _host_names(_BLOCKS_OF_LETTERS),
    "regex": lambda: _regex(MAX_FOLLOWED_DEPTH),
}
