"""Grammars of whole languages that were read before: to read one takes 60 to 240 ms, to take it up again 3 to 8.

Beside NAME.lark lies NAME.zip with two files for each rule that a caller may begin at: START.lark, the rules as engines
read them, and START.cfg, the grammar packed. `PYTHONPATH=. python tests/renew_languages.py` writes them, which is to be
done whenever a NAME.lark or what reads it has changed; until then one of another NAME.lark is left alone.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from importlib.resources import files
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import LoweredGrammar, WrittenGrammar
from maze.grammar.cfg.packing import packed, unpacked
from maze.grammar.languages import syntax
from maze.grammar.languages.syntax import STARTS, find_syntax, syntax_text
from maze.grammar.read.lark import lower_lark
from maze.grammar.read.lark.longest_match import names_in_languages

_ONE_LANGUAGE = re.compile(r"\s*%language[ \t]+(\w+)(?:[ \t]+(\w+))?\s*")
_BASE = re.compile(r"^%import language\.(\w+)$", re.MULTILINE)
_START = re.compile(rf"^({'|'.join(STARTS)}):", re.MULTILINE)


def kept_language(text: str) -> LoweredGrammar | None:
    """The grammar of a text that is `%language NAME START` alone; None of other texts, and where it was not kept."""
    asked = _ONE_LANGUAGE.fullmatch(text)
    language = find_syntax(asked[1]) if asked else None
    if asked is None or language is None:
        return None
    path = files(syntax) / f"{language}.zip"
    start = asked[2] or "file"
    if not path.is_file():
        return None
    with ZipFile(BytesIO(path.read_bytes())) as archive:
        if archive.comment != _digest_of(language) or f"{start}.cfg" not in archive.namelist():
            return None
        written = WrittenGrammar(archive.read(f"{start}.lark").decode(), archive.read(f"{start}.cfg"))
    cfg = unpacked(written.packed)
    names = names_in_languages(cfg)
    return LoweredGrammar(cfg, identifier_terminals=names, is_of_languages=True, written=written)


def with_rules_written(lowered: LoweredGrammar) -> LoweredGrammar:
    """The same, with what is made of it each time it is compiled. Raises LimitExceededError."""
    if lowered.whole is not None or lowered.read_whole is not None:
        return lowered
    rules = cfg_to_lark(lowered.cfg, Budget()).rules
    return replace(lowered, written=WrittenGrammar(rules, packed(lowered.cfg)))


def archive_of(language: str) -> bytes:
    """What NAME.zip is to be, from what NAME.lark says now."""
    made = BytesIO()
    with ZipFile(made, "w") as archive:
        archive.comment = _digest_of(language)
        for start in dict.fromkeys(found for text in _texts_of(language) for found in _START.findall(text)):
            lowered = with_rules_written(lower_lark(f"%language {language} {start}", "the grammar", Budget()))
            if lowered.written is None or lowered.warnings or lowered.options:
                raise AssertionError(lowered)
            # Without a time, so that the same grammar is the same file.
            archive.writestr(ZipInfo(f"{start}.lark"), lowered.written.rules, ZIP_DEFLATED)
            archive.writestr(ZipInfo(f"{start}.cfg"), lowered.written.packed)
    return made.getvalue()


def _digest_of(language: str) -> bytes:
    return hashlib.sha256("\0".join(_texts_of(language)).encode()).hexdigest().encode()


def _texts_of(language: str) -> list[str]:
    """The text of a language, and before it those of the languages that it changes."""
    text = syntax_text(language)
    return [*(each for base in _BASE.findall(text) for each in _texts_of(base)), text]
