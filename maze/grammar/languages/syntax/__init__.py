"""The grammars of whole programming languages: one file NAME.lark each, all of one shape; docs/languages.md says which.

A file is Lark text that is read as an engine reads it: by the longest match, with all blanks written in its terminals.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from maze.grammar.languages import ALIASES

STARTS = ("file", "function", "statement", "expression", "type")
"""The rules that a caller may begin at; a language has those that mean something in it, and `file` always."""
TAKEN = "taken.json"
"""What taken_grammars() reads; tests/renew_languages.py writes it."""


@cache
def syntax_names() -> tuple[str, ...]:
    """The languages that have a grammar."""
    found = (each.name for each in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".lark") for name in found if name.endswith(".lark")))


def find_syntax(name: str) -> str | None:
    """The name of the language that is called so, in upper or lower case; None if it has no grammar."""
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    return key if key in syntax_names() else None


@cache
def syntax_text(name: str) -> str:
    """The grammar of one of syntax_names()."""
    return (files(__name__) / f"{name}.lark").read_text(encoding="utf-8")


@cache
def taken_grammars(version: str) -> frozenset[str]:
    """The digests of what whole languages are for engines, which this version of llguidance has been seen to take.

    They are those of compiled constraints that are nothing else.
    """
    found = json.loads((files(__name__) / TAKEN).read_text(encoding="utf-8"))
    return frozenset(found["digests"]) if found["llguidance"] == version else frozenset()
