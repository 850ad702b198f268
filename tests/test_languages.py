"""The tokens of every language, and Braid's grammars in it: which programs they accept, and what its parser says."""

from __future__ import annotations

import ast
import importlib
import json
import random
import re
import warnings
from functools import cache
from pathlib import Path

import pytest
from grammar_texts import LANGUAGES, accepts, random_text
from tree_sitter import Language, Parser

from maze.compiled import EngineGrammar
from maze.errors import InvalidConstraintError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.cfg.model import Cfg, Literal, Terminal
from maze.grammar.languages import ALIASES, find_language
from maze.grammar.languages.language import TOKEN_CLASSES
from maze.grammar.read.grammar_text import lower_grammar

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
    return accepts(cfg_to_lark(Cfg("s", {"s": ((terminal,),)}), Budget()), text)


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


FUNCTION_WORDS = {
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
    if name in FUNCTION_WORDS:
        assert tokens["FUNCTION"] == Literal(FUNCTION_WORDS[name])
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


# ------------------------------------------------------------------------------------------------ whole grammars

DATA = Path(__file__).parent / "data" / "braid"
PATH = "constraints[0].grammar"
GRAMMARS = {
    path.stem: grammar for path in sorted(DATA.glob("*.json")) if (grammar := json.loads(path.read_text())["grammar"])
}
FUNCTIONS = "e02_typescript"
STATEMENTS = "c01_ffi_test_two"
EVERYTHING = "c11_grammar_full"


def in_layout(grammar: str, layout: str) -> str:
    return json.dumps({**json.loads(grammar), "layout": layout})


@cache
def lowered(sample: str, language: str, layout: str = "canonical") -> LoweredGrammar:
    return lower_grammar(in_layout(GRAMMARS[sample], layout), language, PATH, Budget())


@cache
def lark_of(sample: str, language: str, layout: str = "canonical") -> EngineGrammar:
    cfg = lowered(sample, language, layout).cfg
    assert cfg is not None
    return cfg_to_lark(cfg, Budget())


def parses(language: str, text: str) -> bool:
    if language == "python":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as calling a number, which parses
            try:
                ast.parse(text)
            except SyntaxError:
                return False
    module = importlib.import_module(f"tree_sitter_{'c_sharp' if language == 'csharp' else language}")
    make = {"typescript": "language_typescript", "php": "language_php"}.get(language, "language")
    return not Parser(Language(getattr(module, make)())).parse(text.encode()).root_node.has_error


# ------------------------------------------------------------------------------------------------ by hand

_SCRIPT = (
    "x = 1;",
    'let_ = foo(1, "a b") + y * 2;',
    "function f(a, b) { x = a; g(b); }\nasync function h() { f(1, 2); }",
    'x = "q";\n// note\ny = z / 3; /* c */',
    "classy(true)\n  ;",
)
_TYPED = ('void f() { x = a; g(b); }\n// note\nint h() { f(1, "a b"); }', "int f(a, b) { x = a / b; /* c */ }")
_LINES = ("x = 1;", 'x = foo(1, "a b") + y * 2;\ny = 2;', 'x = "q"; // note\ny = z / 3 /* c */;')
ACCEPTED = {
    "typescript": _SCRIPT,
    "javascript": _SCRIPT,
    "python": (
        "x = 1;",
        'x = foo(1, "a b") + y * 2;\n# note\ny = 2; z = True;',
        "x = 'q'; # note\n\n\ny = z / 3;\n",
        "f(\n    1, x);",
    ),
    "rust": (
        "x = 1;",
        "fn f() { x = a; g(b); }\nasync fn h() { f(1, 2); }\n// note\nfn i() { y = z / 3 /* c */; }",
    ),
    "go": (*_LINES, "func f() { x = a; g(b); }\nfunc h() {\n\tf(1,\n\t\t2);\n}\n"),
    "java": (*_TYPED[:1], "boolean f() { x = a / b; /* c */ }", "x = true;"),
    "c": _TYPED,
    "cpp": (*_TYPED, "auto f(a, b) { x = a / b; }"),
    "csharp": (*_TYPED[:1], "x = 1;", "async void f() { x = a; }"),
    "kotlin": (*_LINES, "fun f() { x = a; g(b); }\nsuspend fun h() {\n    f(1,\n      2);\n}\n"),
    "zig": ("fn f() { x = a; g(b); }", "x = 1; // note\n"),
    "php": ("<?php\n$x = 1;", '<?php\nfunction f($a, $b) { $x = $a; g($b); }\n// note\nf("a b", true);'),
    "ruby": ("x = 1;", 'x = foo(1, "a b") + y * 2;\n# note\ny = 2;'),
    "swift": (*_LINES, "func f() { x = a; g(b); }\nfunc h() { f(1, 2); }"),
}
NOT_PARSED = {
    "zig": "a function of token classes has no return type, and a statement stands in no function",
}
"""Languages whose accepted samples cannot parse, as the grammar lacks what the language demands."""

_NOWHERE = ("", "x", "x = ;", "= 1;", "x = 1", "x 1;", "f(,);", "f(1", "return = 1;", "x == 1;", "LPAREN", "x = 1;;")
REJECTED = {
    "typescript": ("functionx() { y = 1; }", "function function() { y = 1; }", "class = 1;", "x = #1;", "# c\nx = 1;"),
    "javascript": ("async\nfunction f() { x = 1; }", "function f(a b) { x = 1; }", "new = 1;"),
    "python": (
        "x\n= 1;",
        "x = 1;\n  y = 2;",
        "  x = 1;",
        "x = true + if;",
        "// c\nx = 1;",
        "def = 1;",
        "defx() { y = 1; }",
    ),
    "rust": ("fnf() { x = 1; }", "function f() { x = 1; }", "x = 'a';", "let = 1;", "#c\nx = 1;"),
    "go": (
        "x = 1\n;",
        "x\n= 1;",
        "func f() { x = 1; } y = 2;",
        "async func f() { x = 1; }",
        "func f()\n{ x = 1; }",
        "funcf() { x = 1; }",
    ),
    "java": ("function f() { x = 1; }", "voidf() { x = 1; }", "async void f() { x = 1; }", "class = 1;"),
    "c": ("fn f() { x = 1; }", "voidf() { x = 1; }", "int = 1;", "x = 0x1e;"),
    "cpp": ("function f() { x = 1; }", "autof() { x = 1; }", "class = 1;"),
    "csharp": ("function f() { x = 1; }", "asyncvoid f() { x = 1; }", "class = 1;"),
    "kotlin": ("x = 1\n;", "x = a\n+ b;", "fun f() { x = 1; } y = 2;", "funf() { x = 1; }", 'x = "$y";'),
    "zig": ("fnf() { x = 1; }", "x = 'a';", "x = 1; /* c */", "async fn f() { x = 1; }", "u8 = 1;"),
    "php": ("<?php$x = 1;", "<?php <?php $x = 1;", "functionf() { $x = 1; }", "$x = $1;"),
    "ruby": ("foo (1);", "x = a -b;", "x=1;", "x = a\n+ b;", "deff() { x = 1; }", "// c\nx = 1;"),
    "swift": ("x = a +b;", "x=1;", "x = 1\n;", "func f() { x = 1; } y = 2;", "funcf() { x = 1; }"),
}


@pytest.mark.parametrize(("language", "text"), [(name, text) for name, texts in ACCEPTED.items() for text in texts])
def test_a_right_program_is_accepted_and_parses(language: str, text: str) -> None:
    assert accepts(lark_of(FUNCTIONS, language, "free"), text)
    assert parses(language, text) == (language not in NOT_PARSED)
    is_canonical = not re.search(r"//|/\*|#|\s\s", text)
    assert accepts(lark_of(FUNCTIONS, language), text) == is_canonical


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wrong_program_is_rejected(language: str) -> None:
    for layout in ("canonical", "free"):
        lark = lark_of(FUNCTIONS, language, layout)
        for text in (*_NOWHERE, *REJECTED[language]):
            assert not accepts(lark, text), text


@pytest.mark.parametrize("sample", GRAMMARS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sample_lowers_in_every_language(sample: str, language: str) -> None:
    name = "$foo" if language == "php" else "foo"
    truth = "True" if language == "python" else "true"
    lark = lark_of(sample, language)
    assert accepts(lark, f'{name} = g("a b", 1.5) + {truth};\n')
    assert not accepts(lark, name)
    assert "'statement' is read as" in "\n".join(lowered(sample, language).warnings)


def test_the_whole_of_braids_grammar_reads_typescript() -> None:
    lark = lark_of(EVERYTHING, "typescript", "free")
    program = """
class Point { move(dx, dy) { x = dx; } reset() { x = 0; } }
async function main(a) {
    if (a) { run(a); } else { stop(); }
    while (ready(a)) { wait(1000); }
    try { risky(); } catch (error) { log("failed", error); }
    switch (a) { case 1: one(); case "two": return true; }
    return a + 1;
}
(a, b) => a * b
"""
    assert accepts(lark, program)
    assert accepts(lark_of(EVERYTHING, "typescript"), re.sub(r"\n +", "\n", program))
    assert parses("typescript", program)
    for wrong in ("else { x = 1; }", "if a { x = 1; }", "return\n1;", "(a)\n=> a", "case 1: one();"):
        assert not accepts(lark, wrong), wrong


# ------------------------------------------------------------------------------------------------ at random

_AROUND = {
    "typescript": ("", ""),
    "javascript": ("", ""),
    "python": ("", ""),
    "kotlin": ("", ""),
    "ruby": ("", ""),
    "swift": ("", ""),
    "csharp": ("", ""),
    "rust": ("fn f() {\n", "\n}"),
    "go": ("package p\nfunc f() {\n", "\n}"),
    "java": ("void f() {\n", "\n}"),
    "c": ("void f() {\n", "\n}"),
    "cpp": ("void f() {\n", "\n}"),
    "zig": ("fn f() void {\n", "\n}"),
    "php": ("<?php\n", ""),
}
"""What makes a file of statements in languages where they do not stand alone."""


_NO_STATEMENT = {"csharp": "expression_statement", "php": "assignment"}
"""C# has no statement that is just any expression; in PHP a name without `$` cannot be assigned to."""


def _in_a_file(language: str, text: str) -> str:
    before, after = _AROUND[language]
    if language == "swift":
        text = re.sub(r"[ \t]+;", ";", text)  # right in Swift, but not to tree-sitter-swift
    return before + text.removeprefix("<?php") + after


@pytest.mark.parametrize("layout", ["canonical", "free"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_statements_generated_at_random_parse(language: str, layout: str) -> None:
    grammar = json.loads(GRAMMARS[STATEMENTS])
    for rule in grammar["rules"]:
        if rule["lhs"] == "statement":
            rule["rhs"] = [symbol for symbol in rule["rhs"] if symbol != _NO_STATEMENT.get(language)]
    cfg = lower_grammar(in_layout(json.dumps(grammar), layout), language, PATH, Budget()).cfg
    assert cfg is not None
    lark = cfg_to_lark(cfg, Budget())
    chance = random.Random(20261123)
    texts = [text for _ in range(400) if (text := random_text(lark, chance, 60)) is not None]
    assert len(texts) > 10
    assert [text for text in texts if not parses(language, _in_a_file(language, text))] == []


# ------------------------------------------------------------------------------------------------ what is said of it


def test_what_a_language_lacks_is_left_out_and_named() -> None:
    text = "\n".join(lowered(FUNCTIONS, "go").warnings)
    assert "(go has no token for ASYNC)" in text
    assert "rule 'async_function'" in text


def test_what_is_not_exact_is_said() -> None:
    assert "braces do not enclose statements" in "\n".join(lowered(FUNCTIONS, "python").warnings)
    assert "without indentation" in "\n".join(lowered(FUNCTIONS, "python").warnings)
    assert "must begin on a new line" in "\n".join(lowered(FUNCTIONS, "go").warnings)
    assert "FUNCTION is read as a return type" in "\n".join(lowered(FUNCTIONS, "java").warnings)


def test_the_terminals_for_names_are_given_to_the_composer() -> None:
    grammar = lowered(FUNCTIONS, "typescript")
    assert grammar.identifier_terminals == {LANGUAGES["typescript"].identifier}
    assert grammar.cfg is not None
    used = {symbol for rhs in grammar.cfg.rules.values() for production in rhs for symbol in production}
    assert grammar.identifier_terminals <= used


def test_white_space_is_bounded_everywhere() -> None:
    for language in LANGUAGES:
        lark = lark_of(FUNCTIONS, language, "free")
        name = "$x" if language == "php" else "x"
        assert accepts(lark, f"{name} = 1 {' ' * 30};")
        assert not accepts(lark, f"{name} = 1 {' ' * 500};")
        assert not accepts(lark, "\n" * 500 + f"{name} = 1;")


@pytest.mark.parametrize("language", LANGUAGES)
def test_between_tokens_stands_one_blank_or_line_break_and_no_comment_unless_the_layout_is_free(language: str) -> None:
    name = "$x" if language == "php" else "x"
    comment = "# c" if language in ("python", "ruby") else "// c"
    canonical, free = lark_of(FUNCTIONS, language), lark_of(FUNCTIONS, language, "free")
    for text in (f"{name} = 1;", f"{name} = 1;\n"):
        assert accepts(canonical, text)
        assert accepts(free, text)
    for text in (f"{name}  = 1;", f"{name} =\t1;", f"{name} = 1; {comment}\n", f"{name} = 1;\n\n"):
        assert not accepts(canonical, text), text
        assert accepts(free, text), text


def test_a_layout_that_is_none_is_named() -> None:
    with pytest.raises(InvalidConstraintError, match=r"layout is 'dense'; it can be 'canonical' or 'free'"):
        lower_grammar(in_layout(GRAMMARS[FUNCTIONS], "dense"), "go", PATH, Budget())
