"""Whole languages as rules that were read before: to read one takes 60 to 240 ms, to take it up again 3 to 8.

Beside NAME.lark lies NAME.zip with the rules of all that a caller may begin at: packed, and as engines read them.
`PYTHONPATH=. python tests/renew_languages.py` writes it, which is to be done whenever a NAME.lark or what reads it has
changed; until then one of another NAME.lark is left alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import pruned
from maze.grammar.cfg.known_rules import KnownRules, WrittenRules
from maze.grammar.cfg.lark_writer import written_rules
from maze.grammar.cfg.model import Cfg, Nonterminal, Symbol
from maze.grammar.cfg.packing import packed, unpacked
from maze.grammar.languages import syntax
from maze.grammar.languages.syntax import STARTS, syntax_text
from maze.grammar.read.lark.definitions import Definitions
from maze.grammar.read.lark.language_files import language_definitions
from maze.grammar.read.lark.language_names import full_name, own_name
from maze.grammar.read.lark.longest_match import grammar_by_longest_match
from maze.grammar.read.lark.rules import token_rules
from maze.grammar.read.lark.source import LarkSource
from maze.grammar.read.lark.syntax import Choice, Definition, Reference

_BASE = re.compile(r"^%import language\.(\w+)$", re.MULTILINE)
_PACKED, _WRITTEN = "rules.cfg", "rules.json"


@cache
def whole_language(language: str) -> KnownRules:
    """The rules of a language that has a grammar, by their full names."""
    return kept_language(language) or _read(language)


def kept_language(language: str) -> KnownRules | None:
    """The rules of a language as they are kept; None where those are of another text."""
    path = files(syntax) / f"{language}.zip"
    if not path.is_file():
        return None
    with ZipFile(BytesIO(path.read_bytes())) as archive:
        if archive.comment != _digest_of(language):
            return None
        held, written = archive.read(_PACKED), json.loads(archive.read(_WRITTEN))
    return KnownRules(unpacked(held).rules, held, WrittenRules(**written))


def archive_of(language: str) -> bytes:
    """What NAME.zip is to be, from what NAME.lark says now."""
    known = _read(language)
    made = BytesIO()
    with ZipFile(made, "w") as archive:
        archive.comment = _digest_of(language)
        # Without a time, so that the same grammar is the same file.
        archive.writestr(ZipInfo(_WRITTEN), json.dumps(asdict(known.written)), ZIP_DEFLATED)
        archive.writestr(ZipInfo(_PACKED), known.packed)
    return made.getvalue()


def _read(language: str) -> KnownRules:
    """The rules of a language as its text says now."""
    there = language_definitions(language)
    definitions = Definitions(LarkSource(syntax_text(language), language))
    definitions.languages[language] = set()
    for definition in there.values():
        definitions.define(definition)
    starts = [full_name(name, language) for name in STARTS if name in there]
    begins = Choice(tuple(Reference(name, None, 0) for name in reversed(starts)))  # the last is gone through first
    definitions.define(Definition("start", 0, (), {}, begins))
    warnings: list[str] = []
    cfg = pruned(grammar_by_longest_match(token_rules(definitions, Budget(), warnings), Budget()))
    cfg = _with_full_names(cfg, language)
    rules = {name: productions for name, productions in cfg.rules.items() if name != cfg.start}
    if warnings or not rules.keys() >= set(starts):
        raise AssertionError(language, warnings)
    return KnownRules(rules, packed(Cfg("", rules)), written_rules(rules, language, starts, Budget()))


def _with_full_names(cfg: Cfg, language: str) -> Cfg:
    """The same with the name of the language in those of all rules, as there may be others beside them."""
    full = {
        name: name if own_name(name) or name == cfg.start else full_name(f"[{name}]", language) for name in cfg.rules
    }

    def renamed(symbol: Symbol) -> Symbol:
        return Nonterminal(full[symbol.name]) if isinstance(symbol, Nonterminal) else symbol

    return Cfg(
        cfg.start,
        {
            full[name]: tuple(tuple(map(renamed, production)) for production in productions)
            for name, productions in cfg.rules.items()
        },
    )


def _digest_of(language: str) -> bytes:
    """Of what the rules are made of, and of the form they are kept in."""
    return hashlib.sha256("\0".join((_PACKED, _WRITTEN, *_texts_of(language))).encode()).hexdigest().encode()


def _texts_of(language: str) -> list[str]:
    """The text of a language, and before it those of the languages that it changes."""
    text = syntax_text(language)
    return [*(each for base in _BASE.findall(text) for each in _texts_of(base)), text]
