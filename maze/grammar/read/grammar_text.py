"""The text of a grammar, in any form that callers send, to a context-free grammar."""

from __future__ import annotations

import re
from functools import lru_cache

from maze.errors import InvalidConstraintError, LimitExceededError, MazeError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.read.braid import lower_braid
from maze.grammar.read.gbnf import lower_gbnf
from maze.grammar.read.lark import lower_lark

MAX_GRAMMAR_CHARACTERS = 20_000_000
"""Longest text of a grammar."""

_MAX_KEPT_CHARACTERS = 4_000
"""Longest text with `%language` whose grammar is kept."""

_GBNF_ROOT = re.compile(r"^[ \t]*root[ \t]*::=", re.MULTILINE)
_GBNF_RULE = re.compile(r"^[ \t]*[A-Za-z0-9_-]+[ \t]*::=", re.MULTILINE)
_LARK_START = re.compile(r"^[ \t]*[?!]?start[ \t]*(?:\.-?\d+)?[ \t]*(?:\[[^\]\n]*\])?[ \t]*:", re.MULTILINE)
_LANGUAGE = re.compile(r"^[ \t]*%(?:language\b|import[ \t]+language\.)", re.MULTILINE)
_LARK_RULE = re.compile(r"^[ \t]*[?!]?[A-Za-z_]\w*[ \t]*(?:\.-?\d+)?[ \t]*(?:\[[^\]\n]*\])?[ \t]*:(?!:=)", re.MULTILINE)


def lower_grammar(text: str, language: str | None, path: str, budget: Budget) -> LoweredGrammar:
    """Read Braid's JSON grammar, GBNF or Lark text.

    `language` gives the token classes of Braid's grammar their tokens and is not looked at otherwise; `path` is what
    errors and warnings call the text, such as `constraints[2].grammar`.

    Raises InvalidConstraintError if the text cannot be read, ContradictionError if it describes no text at all,
    LimitExceededError if it is too large.
    """
    if len(text) > MAX_GRAMMAR_CHARACTERS:
        raise LimitExceededError(
            f"{path} has {len(text):,} characters; the limit is {MAX_GRAMMAR_CHARACTERS:,}. Give a smaller grammar"
        )
    budget.spend(len(text) // 4)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidConstraintError(f"{path} holds half of a surrogate pair, which is no character") from None
    if text.startswith("\ufeff"):
        raise InvalidConstraintError(f"{path} begins with a byte order mark, U+FEFF; leave it out")
    if text.lstrip().startswith("{"):
        return lower_braid(text, language, path, budget)
    if _LANGUAGE.search(text) and len(text) <= _MAX_KEPT_CHARACTERS:
        try:
            kept = _kept_language(text)
        except MazeError:
            kept = None  # once more, to say what is wrong with the text at `path`
        return kept if kept is not None and not kept.warnings else lower_lark(text, path, budget)
    if text.lstrip().startswith("%llguidance") or _LANGUAGE.search(text):
        return lower_lark(text, path, budget)
    if _GBNF_ROOT.search(text) or (_GBNF_RULE.search(text) and not _LARK_START.search(text)):
        return lower_gbnf(text, path, budget)
    if _LARK_START.search(text) or _LARK_RULE.search(text):
        return lower_lark(text, path, budget)
    raise InvalidConstraintError(
        f"{path} is none of the grammars that are known: Braid's JSON (it begins with '{{'), GBNF (it has a rule "
        "'root ::= ...'), Lark (it has a rule 'start: ...'), a whole language (such as '%language zig')"
    )


@lru_cache(maxsize=32)
def _kept_language(text: str) -> LoweredGrammar:
    """The same whole languages are asked for again and again."""
    return lower_lark(text, "the grammar", Budget())
