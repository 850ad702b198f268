"""Whole languages are kept as they were read, so that `%language` and what builds upon it cost no reading."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from zipfile import ZipFile

import pytest
from renew_languages import SYNTAX, grammars, taken

from maze.compiled import EngineGrammar
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.cfg.packing import unpacked
from maze.grammar.compose import enforcement
from maze.grammar.compose.report import digest_of
from maze.grammar.languages.syntax import TAKEN, syntax_names, syntax_text, taken_grammars
from maze.grammar.llguidance import VERSION, Matcher, check_grammar
from maze.grammar.naming import apply_naming
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.read import grammar_text
from maze.grammar.read.lark import lower_lark, whole_languages
from maze.grammar.read.lark.whole_languages import archive_of, kept_language, whole_language
from maze.types import ConstraintIR

NARROWED = {
    "zig": "%language zig\n%forbid names eval\n%allow imports std",
    "sql": "%language sql\n%allow names a b",
    "typescript": "%language typescript expression\n%allow names a b\n%forbid names c",
    "javascript": "%language javascript\n%allow imports fs\n%allow function_names /[a-z]+/",
    "python": '%import language.python.expression\nstart: "x" expression "y" | z\nz: "z" expression',
    "c": '%import language.c.statement\n%import language.c.NAME\nstart: NAME "!" statement\n%forbid names eval',
    "json": "%import language.json.expression\n%import language.zig.type\n%import language.zig.statement\nstart: "
    'expression "!" type "!" statement',
}
"""A text that builds upon each language, among them such as leave no text of some terminal."""


@pytest.fixture
def _fresh() -> Iterator[None]:
    """Nothing is known from before, and what is found out is not known later."""
    grammar_text._kept_language.cache_clear()
    whole_language.cache_clear()
    yield
    grammar_text._kept_language.cache_clear()
    whole_language.cache_clear()


def contents(data: bytes) -> dict[str, object]:
    """What an archive holds, in whatever way it is compressed; the rules of a grammar in their order."""
    with ZipFile(BytesIO(data)) as archive:
        found: dict[str, object] = {"": archive.comment}
        for name in archive.namelist():
            held = archive.read(name)
            cfg = unpacked(held) if name.endswith(".cfg") else None
            found[name] = held if cfg is None else (cfg.start, list(cfg.rules.items()))
    return found


def assert_same_texts(spliced: EngineGrammar, anew: EngineGrammar) -> None:
    """Both take the same characters at each place of a text."""
    check_grammar(spliced, Budget())
    left, right = Matcher(spliced), Matcher(anew)
    for _ in range(40):
        following = left.next_bytes()
        assert set(following) == set(right.next_bytes())
        if not following:
            break
        byte = bytes([min(following, key=lambda each: (each * 7919) % 127)])
        assert (left.consume(byte), right.consume(byte)) == (1, 1)
    assert left.can_end() == right.can_end()


def lowered(text: str) -> LoweredGrammar:
    return lower_lark(text, "g", Budget())


@pytest.mark.parametrize("name", syntax_names())
def test_what_is_kept_of_a_language_is_what_its_text_says(name: str) -> None:
    kept = contents((SYNTAX / f"{name}.zip").read_bytes())
    assert kept == contents(archive_of(name)), "run PYTHONPATH=. python tests/renew_languages.py"


def test_what_is_known_to_be_taken_is_what_llguidance_takes() -> None:
    assert (SYNTAX / TAKEN).read_text() == taken(), "run PYTHONPATH=. python tests/renew_languages.py"


@pytest.mark.parametrize(("text", "times"), [("%language zig", 0), ("%language zig\n%forbid names eval", 1)])
def test_only_what_is_known_to_be_taken_is_not_tried(text: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[EngineGrammar] = []

    def trying(grammar: EngineGrammar, budget: Budget) -> None:
        tried.append(grammar)
        check_grammar(grammar, budget)

    monkeypatch.setattr(enforcement, "check_grammar", trying)
    found = compile_constraints([ConstraintIR(grammar=text)])
    assert tried == [found.grammar] * times


def test_nothing_is_known_of_another_version_of_llguidance() -> None:
    assert taken_grammars(VERSION) == {digest_of(grammar, None) for grammar in grammars()}
    assert not taken_grammars("1.9.999")


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize("name", ["zig", "json"])
def test_a_kept_language_compiles_to_what_its_text_compiles_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled() -> object:
        grammar_text._kept_language.cache_clear()
        whole_language.cache_clear()
        found = compile_constraints([ConstraintIR(grammar=f"%language {name}\n"), ConstraintIR(grammar=NARROWED[name])])
        return found.grammar, found.token_mask, found.parts, found.joint_check, found.warnings, found.digest

    with monkeypatch.context() as patch:
        patch.setattr(whole_languages, "kept_language", lambda _: None)
        read = compiled()
    monkeypatch.setattr(whole_languages, "token_rules", None)  # it is not read at all
    assert compiled() == read


@pytest.mark.usefixtures("_fresh")
def test_what_was_kept_of_another_text_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept_language("typescript") is not None

    def edited(name: str) -> str:
        return syntax_text(name) + ("// changed\n" if name == "javascript" else "")

    monkeypatch.setattr(whole_languages, "syntax_text", edited)
    assert kept_language("javascript") is None
    assert kept_language("typescript") is None  # which changes JavaScript
    assert kept_language("zig") is not None


@pytest.mark.parametrize("name", syntax_names())
def test_what_is_built_upon_a_language_is_the_same_value_packed_and_written(name: str) -> None:
    made = lowered(NARROWED[name])
    assert made.written is not None
    again = unpacked(made.written.packed)
    assert (again.start, list(again.rules.items())) == (made.cfg.start, list(made.cfg.rules.items()))
    spliced, anew = EngineGrammar(made.written.rules), cfg_to_lark(made.cfg, Budget())
    assert_same_texts(spliced, anew)


@pytest.mark.parametrize("text", ["%language python", "%language sql\n%forbid names eval", NARROWED["json"]])
def test_rules_for_names_are_written_beside_a_language(text: str) -> None:
    named = apply_naming(lowered(text), [parse_whole("[a-m_]{2,9}")], "them", Budget())
    assert named.written is not None
    again = unpacked(named.written.packed)
    assert (again.start, list(again.rules.items())) == (named.cfg.start, list(named.cfg.rules.items()))
    assert named.identifier_terminals <= named.cfg.terminals().keys()
    assert_same_texts(EngineGrammar(named.written.rules), cfg_to_lark(named.cfg, Budget()))


def test_a_text_of_a_terminal_that_no_name_is_left_of_is_not_begun() -> None:
    found = compile_constraints([ConstraintIR(grammar="%language sql\n%allow names a b")])
    assert found.grammar is not None
    assert "glob" not in found.grammar.rules
