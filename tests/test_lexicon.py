from __future__ import annotations

import pytest
from grammar_texts import accepts

from maze.grammar.cfg.model import Literal, Terminal
from maze.grammar.languages.tokens import ALIASES, LANGUAGES, TOKEN_CLASSES, find_language
from maze.grammar.read.grammar_text import Cfg, cfg_to_lark

CLEWS_LANGUAGES = [
    "typescript",
    "javascript",
    "python",
    "rust",
    "go",
    "java",
    "c",
    "cpp",
    "csharp",
    "kotlin",
    "zig",
    "php",
    "ruby",
    "swift",
]


def matches(terminal: Terminal | None, text: str) -> bool:
    assert terminal is not None
    return accepts(cfg_to_lark(Cfg("s", {"s": ((terminal,),)})), text)


def test_the_languages_are_those_that_clew_knows() -> None:
    assert sorted(LANGUAGES) == sorted(CLEWS_LANGUAGES)


def test_every_language_answers_for_every_token_class() -> None:
    assert len(TOKEN_CLASSES) == 29
    for language in LANGUAGES.values():
        assert sorted(language.tokens) == sorted(TOKEN_CLASSES), language.name


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("ts", "typescript"),
        ("JS", "javascript"),
        ("c++", "cpp"),
        ("C#", "csharp"),
        (" golang ", "go"),
        ("py", "python"),
    ],
)
def test_languages_have_other_names(alias: str, name: str) -> None:
    assert find_language(alias) is LANGUAGES[name]
    assert set(ALIASES.values()) <= set(LANGUAGES)


@pytest.mark.parametrize("name", [None, "", "klingon"])
def test_no_other_name_is_a_language(name: str | None) -> None:
    assert find_language(name) is None


FUNCTIONS = {
    "typescript": "function",
    "javascript": "function",
    "php": "function",
    "python": "def",
    "ruby": "def",
    "rust": "fn",
    "zig": "fn",
    "go": "func",
    "swift": "func",
    "kotlin": "fun",
}
LACKING = {
    "typescript": "",
    "javascript": "",
    "python": "",
    "rust": "CASE CATCH TRY",
    "go": "ARROW ASYNC CATCH CLASS TRY",
    "java": "ASYNC",
    "c": "ASYNC CATCH TRY",
    "cpp": "ASYNC",
    "csharp": "",
    "kotlin": "CASE",
    "zig": "ASYNC CASE CLASS",
    "php": "ASYNC",
    "ruby": "ASYNC",
    "swift": "ASYNC",
}


@pytest.mark.parametrize("name", CLEWS_LANGUAGES)
def test_the_keywords_are_those_of_the_language(name: str) -> None:
    tokens = LANGUAGES[name].tokens
    if name in FUNCTIONS:
        assert tokens["FUNCTION"] == Literal(FUNCTIONS[name])
    else:
        assert matches(tokens["FUNCTION"], "void")
        assert not matches(tokens["FUNCTION"], "function")
    assert tokens["RETURN"] == Literal("return")
    assert [token for token in TOKEN_CLASSES if tokens[token] is None] == LACKING[name].split()


@pytest.mark.parametrize("name", CLEWS_LANGUAGES)
def test_identifiers_are_names_but_not_keywords(name: str) -> None:
    language = LANGUAGES[name]
    for text in ("x", "classy", "returns", "aB_9"):
        assert matches(language.identifier, text), text
    keywords = [token.text for token in language.tokens.values() if isinstance(token, Literal) and token.text.isalpha()]
    soft = {"match", "async", "case"} if name == "python" else set()
    for text in ["", "9a", "a-b", "a b", *(keyword for keyword in keywords if keyword not in soft | {"suspend"})]:
        assert not matches(language.identifier, text), text


@pytest.mark.parametrize("name", CLEWS_LANGUAGES)
def test_numbers_and_booleans_and_texts_are_those_of_the_language(name: str) -> None:
    tokens = LANGUAGES[name].tokens
    for text in ("0", "12", "1.5", "2e10", "1.5E-3", "0x1F"):
        assert matches(tokens["NUMBER"], text), text
    for text in ("", "-1", "01", "1.", ".5", "1e", "0x", "1_", "1a"):
        assert not matches(tokens["NUMBER"], text), text
    assert matches(tokens["BOOLEAN"], "True" if name == "python" else "true")
    assert not matches(tokens["BOOLEAN"], "true" if name == "python" else "True")
    for text in ('""', '"a b"', '"é"', r'"\n\"\\"', '"it\'s"'):
        assert matches(tokens["STRING"], text), text
    for text in ("", '"', '"a\nb"', '"a"b"', '"\\"', r'"\q"', "\"'", '"\x00"'):
        assert not matches(tokens["STRING"], text), text
    single = name in ("typescript", "javascript", "python", "php")
    assert matches(tokens["STRING"], "'a'") == single


@pytest.mark.parametrize(("name", "text"), [("kotlin", '"$x"'), ("php", '"$x"'), ("ruby", '"#{x}"')])
def test_texts_do_not_interpolate(name: str, text: str) -> None:
    assert not matches(LANGUAGES[name].tokens["STRING"], text)
    assert matches(LANGUAGES[name].tokens["STRING"], text.replace("$", r"\$").replace("#", r"\#"))


def test_a_number_in_c_does_not_swallow_a_sum() -> None:
    for name in ("c", "cpp"):
        assert not matches(LANGUAGES[name].tokens["NUMBER"], "0x1e")


def test_names_in_php_may_be_variables_and_names_in_javascript_hold_dollars() -> None:
    assert matches(LANGUAGES["php"].identifier, "$x")
    assert matches(LANGUAGES["javascript"].identifier, "$x$")
    assert not matches(LANGUAGES["zig"].identifier, "u32")
    assert not matches(LANGUAGES["python"].identifier, "$x")
