"""What things of whole languages are called, and which of their terminals a `%forbid` or an `%allow` is about."""

from __future__ import annotations

import re

PREFIX = "language."
_NAME = re.compile(r"((?P<role>[A-Z]+)_)?NAME(?P<more>_[A-Z_]+)?")
"""A terminal for names, their role as far as the grammar knows it, and behind it what else sets them apart."""
_IMPORT = re.compile(r"IMPORT(_[A-Z]+)?")
"""A terminal for what is imported: a dotted name, or a text in quotes or angle brackets."""
_IMPORT_COMPUTED = "NAME_IMPORT"
"""A terminal for the word, called as a function, that imports what is known only when a program runs."""
_TEXT = re.compile(r"DEFINE|PRAGMA")
"""A terminal for text in which any word may come to be a name, as a macro's does."""
_ROLES = ("function", "type", "variable", "constant", "parameter")
KINDS = ("names", "imports", *(f"{role}_names" for role in _ROLES))
"""What a `%forbid` or an `%allow` can be about."""


def full_name(name: str, language: str) -> str:
    """What a rule or a terminal of a language is called where there are others."""
    return f"{name} of {PREFIX}{language}"


def own_name(name: str) -> str | None:
    """What a rule or a terminal is called in its language; None of one that is of none."""
    own, _, language = name.partition(" of ")
    return own if language.startswith(PREFIX) else None


SIGNED_PARAMETER = full_name("PARAMETER_NAME", "sql")
"""Parameters of SQL are no names, but have some behind their sign: `:x`."""


def is_name_of_language(name: str) -> bool:
    """Whether a terminal that was imported is one for names, with a role or without."""
    return _as_name(name) is not None


def _as_name(name: str) -> re.Match[str] | None:
    """The parts of what a terminal for names is called; None of another one."""
    own = own_name(name)
    return None if own is None else _NAME.fullmatch(own)


def is_declared_name(name: str) -> bool:
    """Whether a terminal is one for names of a role, where a text gives them to what it declares."""
    found = _as_name(name)
    return found is not None and found["role"] not in (None, "BUILTIN")  # which a text cannot declare


def may_go_on(name: str) -> bool:
    """Whether a terminal for names may take a blank and more behind the name."""
    found = _as_name(name)
    return found is not None and found["more"] is not None


def is_text_with_names(name: str) -> bool:
    """Whether a terminal is text in which a restriction of names is about each word."""
    own = own_name(name)
    return own is not None and _TEXT.fullmatch(own) is not None


def is_restricted(name: str) -> bool:
    """Whether a terminal is one that a restriction may be about."""
    own = own_name(name)
    return own is not None and (_NAME.fullmatch(own) or _IMPORT.fullmatch(own)) is not None


def is_restricted_by(name: str, kind: str) -> bool:
    """Whether a restriction of that kind is about a terminal."""
    own = own_name(name)
    if own is None:
        return False
    if kind == "imports":
        return _IMPORT.fullmatch(own) is not None or own == _IMPORT_COMPUTED
    if kind == "names" and is_text_with_names(name):
        return True
    if kind == "names" and name == SIGNED_PARAMETER:
        return False
    found = _as_name(name)
    return found is not None and kind in ("names", f"{(found['role'] or '').lower()}_names")
