"""Whole languages are kept as they were read, so that `%language` costs no reading."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from zipfile import ZipFile

import pytest
from renew_languages import SYNTAX

from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.cfg.packing import packed, unpacked
from maze.grammar.languages.syntax import syntax_names, syntax_text
from maze.grammar.read import grammar_text, kept_languages
from maze.grammar.read.kept_languages import archive_of, kept_language
from maze.grammar.read.lark import lower_lark
from maze.types import ConstraintIR


def contents(data: bytes) -> dict[str, object]:
    """What an archive holds, in whatever way it is compressed; the rules of a grammar in their order."""
    with ZipFile(BytesIO(data)) as archive:
        found: dict[str, object] = {"": archive.comment}
        for name in archive.namelist():
            held = archive.read(name)
            cfg = unpacked(held) if name.endswith(".cfg") else None
            found[name] = held if cfg is None else (cfg.start, list(cfg.rules.items()))
    return found


@pytest.mark.parametrize("name", syntax_names())
def test_what_is_kept_of_a_language_is_what_its_text_says(name: str) -> None:
    kept = contents((SYNTAX / f"{name}.zip").read_bytes())
    assert kept == contents(archive_of(name)), "run PYTHONPATH=. python tests/renew_languages.py"
    assert "file.cfg" in kept


def test_a_kept_language_is_the_value_that_reading_makes() -> None:
    for text in ("%language zig", " %language TS expression\n", "%language sql statement"):
        kept, read = kept_language(text), lower_lark(text, "g", Budget())
        assert kept is not None
        assert kept.written is not None
        assert replace(kept, written=None) == read
        assert kept.written.packed == packed(kept.cfg)


@pytest.mark.parametrize("name", ["zig", "json"])
def test_a_kept_language_compiles_to_what_its_text_compiles_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled() -> object:
        grammar_text._kept_language.cache_clear()
        found = compile_constraints([ConstraintIR(grammar=f"%language {name}", regex_patterns=("[A-Za-z_]{1,9}",))])
        return found.grammar, found.token_mask, found.parts, found.joint_check, found.warnings, found.digest

    with monkeypatch.context() as patch:
        patch.setattr(grammar_text, "kept_language", lambda _: None)
        read = compiled()
    monkeypatch.setattr(grammar_text, "lower_lark", None)  # it is not read at all
    assert compiled() == read


@pytest.mark.parametrize("text", ["%language zig\n%forbid names a", "%language zig NAME", "%language ada", "start: a"])
def test_only_languages_as_they_are_are_kept(text: str) -> None:
    assert kept_language(text) is None


def test_what_was_kept_of_another_text_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept_language("%language typescript") is not None

    def edited(name: str) -> str:
        return syntax_text(name) + ("// changed\n" if name == "javascript" else "")

    monkeypatch.setattr(kept_languages, "syntax_text", edited)
    assert kept_language("%language javascript") is None
    assert kept_language("%language typescript") is None  # which changes JavaScript
    assert kept_language("%language zig") is not None
