"""Braid's grammars in every language: which programs they accept, by hand, and whether the languages' parsers agree."""

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
from grammar_texts import accepts, random_text
from tree_sitter import Language, Parser

from maze.grammar.languages.tokens import LANGUAGES
from maze.grammar.read.grammar_text import LoweredGrammar, cfg_to_lark, lower_grammar
from maze.types import EngineGrammar

DATA = Path(__file__).parent / "data" / "braid"
PATH = "constraints[0].grammar"
GRAMMARS = {
    path.stem: grammar for path in sorted(DATA.glob("*.json")) if (grammar := json.loads(path.read_text())["grammar"])
}
FUNCTIONS = "e02_typescript"
STATEMENTS = "c01_ffi_test_two"
EVERYTHING = "c11_grammar_full"


@cache
def lowered(sample: str, language: str) -> LoweredGrammar:
    return lower_grammar(GRAMMARS[sample], language, PATH)


@cache
def lark_of(sample: str, language: str) -> EngineGrammar:
    cfg = lowered(sample, language).cfg
    assert cfg is not None
    return cfg_to_lark(cfg)


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
    assert accepts(lark_of(FUNCTIONS, language), text)
    assert parses(language, text) == (language not in NOT_PARSED)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wrong_program_is_rejected(language: str) -> None:
    lark = lark_of(FUNCTIONS, language)
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
    lark = lark_of(EVERYTHING, "typescript")
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


@pytest.mark.parametrize("language", LANGUAGES)
def test_statements_generated_at_random_parse(language: str) -> None:
    grammar = json.loads(GRAMMARS[STATEMENTS])
    for rule in grammar["rules"]:
        if rule["lhs"] == "statement":
            rule["rhs"] = [symbol for symbol in rule["rhs"] if symbol != _NO_STATEMENT.get(language)]
    cfg = lower_grammar(json.dumps(grammar), language, PATH).cfg
    assert cfg is not None
    lark = cfg_to_lark(cfg)
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
        lark = lark_of(FUNCTIONS, language)
        name = "$x" if language == "php" else "x"
        assert accepts(lark, f"{name} = 1 {' ' * 30};")
        assert not accepts(lark, f"{name} = 1 {' ' * 500};")
        assert not accepts(lark, "\n" * 500 + f"{name} = 1;")
