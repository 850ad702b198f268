"""What is expected at a place in a program, in the words of its language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Run
from scripted_backend import ScriptedBackend
from service_runner import post, running_service

from maze.check import language_words
from maze.errors import Status
from maze.grammar.budget import Budget
from maze.grammar.languages.syntax import syntax_names
from maze.grammar.read.grammar_text import lower_grammar
from maze.orchestrator import Orchestrator
from maze.outcome import ConstraintOutcome
from maze.types import ConstraintIR

NO_COMMENTS = "none, as the grammar has no comments (maze format leaves them out)"


def found_in(text: str, grammar: str) -> ConstraintOutcome:
    with Orchestrator() as maze:
        return maze.validate(text, [ConstraintIR(grammar=grammar)]).outcomes[0]


@pytest.mark.parametrize(
    ("language", "text", "place", "expected"),
    [
        ("python", "x = \n", (4, 1, 5), "an expression, "),
        ("python", "print(1", (7, 1, 8), "')', a logical operator, a comparison operator, an operator, "),
        ("python", "x = 5 +", (7, 1, 8), "a blank and then an expression"),
        ("python", "class = 1\n", (6, 1, 7), "a type name"),
        ("python", "for x of y:\n    pass\n", (6, 1, 7), "'in', "),
        ("python", "x = 'abc\n", (8, 1, 9), "more of a string"),
        ("python", "if x: pass\n", (5, 1, 6), "a line break and indentation of 4 blanks"),
        ("python", "def f(x):\n    if x:\n    return 1\n", (24, 3, 5), "indentation of 8 blanks"),
        ("json", '{"a": [1,]}', (9, 1, 10), "a blank and then a value"),
        ("json", '{"a": 1', (7, 1, 8), "'}' or ','"),
        ("json", "tru", (3, 1, 4), "'true', 'false' or 'null'"),
        ("zig", "const x = 1\n", (11, 1, 12), "';', "),
        ("zig", "fn f() void {\n    if x return;\n}\n", (21, 2, 8), "'if ('"),
        ("zig", "var = 1;\n", (4, 1, 5), "a variable name"),
        ("zig", "const x = ;\n", (10, 1, 11), "an expression, a type, "),
        ("zig", "const a = b +;\n", (13, 1, 14), "a blank and then an expression"),
        ("zig", 'const s = "abc;\n', (15, 1, 16), "more of a string"),
        ("zig", "pub fn main() void {\n", (21, 2, 1), "a statement"),
        ("sql", "DELETE t;\n", (7, 1, 8), "'DELETE FROM'"),
        ("sql", "SELECT a BETWEEN 1;\n", (18, 1, 19), "an arithmetic operator or 'AND'"),
        ("c", "typedef int;\n", (11, 1, 12), "a pointer sign, "),
        ("c", "int main(void) {\n    return 0\n}\n", (29, 2, 13), "';', "),
        ("c", "int x = ;\n", (8, 1, 9), "an expression or '{'"),
        ("javascript", 'const é = "é" +;\n', (6, 1, 7), "a constant name, '{' or '['"),
        ("javascript", "if (x {\n}\n", (6, 1, 7), "')', "),
        ("javascript", "const a;\n", (7, 1, 8), "'='"),
        ("javascript", "function f(a b) {}\n", (13, 1, 14), "')', '=' or ','"),
        ("javascript", "const o = { a: 1 b: 2 };\n", (17, 1, 18), "'}', a logical operator, an operator, ',', "),
        ("javascript", "const l = [1, 2;\n", (15, 1, 16), "']', a logical operator, an operator, ',', "),
        ("javascript", "const s = `a ${x;\n", (16, 1, 17), "a template, an assignment operator, "),
        ("javascript", "// why\nx;\n", (1, 1, 2), NO_COMMENTS),
        ("javascript", "x = a ?? b || c;\n", (12, 1, 13), "a blank and then an expression"),
        ("typescript", "let x: = 1;\n", (7, 1, 8), "a type"),
        ("typescript", "type A {}\n", (7, 1, 8), "'=' or '<'"),
        ("typescript", "enum A {\n    B: 1,\n}\n", (14, 2, 6), "'}', '=' or ','"),
        ("typescript", "import type { A } 'a';\n", (18, 1, 19), "'from'"),
        ("typescript", "x = y as;\n", (8, 1, 9), "a blank and then a type or 'const'"),
        ("typescript", "const s = `\\01`;\n", (13, 1, 14), "more of a template"),
        (
            "typescript",
            "interface A {\n    a string;\n}\n",
            (19, 2, 6),
            "';', ',', '?', '(', '()', '<', ':' or more of a name",
        ),
        ("sql", "SELECT a FORM t;\n", (14, 1, 15), "';', a set operator, 'WHERE', ',', 'FROM', "),  # an alias
        ("sql", "SELECT a=b;\n", (8, 1, 9), "a blank"),
        ("javascript", "const x=1;\n", (7, 1, 8), "a blank"),
        ("javascript", "f(1,2);\n", (4, 1, 5), "a blank"),
        ("python", "x = 1+2\n", (5, 1, 6), "a blank"),
        ("python", "x = 1a\n", (5, 1, 6), "a line break, "),
        ("zig", "const x=1;\n", (7, 1, 8), "a blank"),
        ("json", '{"a":1}', (5, 1, 6), "a blank"),
        ("python", "x++\n", (1, 1, 2), "a line break, "),  # and not a blank, which makes it no better
        ("python", "x==1\n", (1, 1, 2), "a blank"),
        ("sql", "SELECT 1\n", (9, 2, 1), "';', a set operator, "),
        ("c", "void f(int a int b) {\n}\n", (13, 1, 14), "')', "),
        ("sql", "SELECT a FROM (SELECT 1;\n", (23, 1, 24), "')', a set operator, "),
        ("python", "if x\n    y\n", (4, 1, 5), "':', "),
        ("python", "for i in x\n    y\n", (10, 1, 11), "':', "),
        ("python", "x = f'{}'\n", (7, 1, 8), "a number, a name, a string, 'None', 'True', 'False', '(', "),
        ("zig", "const a = 1\n", (11, 1, 12), "';', a logical operator, a comparison operator, "),
        ("sql", "-- why\nSELECT 1;\n", (0, 1, 1), NO_COMMENTS),
        ("zig", "const a = 1; // why\n", (12, 1, 13), NO_COMMENTS),
        ("c", "int a; /* why */\n", (6, 1, 7), NO_COMMENTS),
    ],
)
def test_a_broken_program_is_told_what_its_language_expects(
    language: str, text: str, place: tuple[int, int, int], expected: str
) -> None:
    outcome = found_in(text, f"%language {language}")
    assert (outcome.offset, outcome.line, outcome.column) == place
    # What ends so goes on with what else could stand there.
    assert outcome.expected == expected or (expected.endswith(", ") and outcome.expected.startswith(expected))


def test_rules_built_upon_a_language_are_told_in_its_words_too() -> None:
    grammar = '%import language.python.expression\nstart: "answer: " expression\n'
    assert found_in("answer: ", grammar).expected == "an expression"
    assert found_in("reply: 1", grammar).expected == "'answer:'"


@pytest.mark.parametrize(
    ("rules", "text", "expected"),
    [
        ("start: expression expression", "ab", "an expression, "),  # and not the end of the text, which is found
        ('start: expression "x"', "ax", "a logical operator, "),
        ('start: "v" NUM "=" expression\nNUM: /[0-9]+/', "v=a", "NUM"),
        ('start: %json {"type": "integer"} ":" expression', "a", "a text such as '1'"),
    ],
)
def test_what_stands_beside_a_language_is_told_truly(rules: str, text: str, expected: str) -> None:
    told = found_in(text, f"%import language.python.expression\n{rules}").expected
    assert told == expected or (expected.endswith(", ") and told.startswith(expected))
    assert "the end of the text" not in told


@pytest.mark.parametrize("language", syntax_names())
def test_terminals_have_words_that_people_say(language: str) -> None:
    for terminal in lower_grammar(f"%language {language}", None, "it", Budget()).checked.terminals():
        word = language_words.word_of(terminal)
        assert not re.fullmatch("'[A-Z]+'", word) or language == "sql", (terminal, word)
        assert word[0] == "'" or re.fullmatch(
            r"an? (#define|[a-z]+ (name|operator|sign|string|literal|function)|test for NULL|name|string|number|integer"
            r"|fraction"
            r"|character|blank|line break|quote|format|conversion|operator|value|length|blob|constant|template|pragma"
            r"|function specifier|qualifier|modifier|regular expression|text of several lines)"
            r"|(a line break and )?indentation of .*",
            word,
        ), (terminal, word)


def test_what_is_narrowed_is_told_in_words_too() -> None:
    outcome = found_in("eval(1)\n", "%language python\n%forbid names eval exec")
    assert (outcome.offset, outcome.found, outcome.expected) == (4, "'('", "more of a name, by %forbid names eval exec")


@pytest.mark.parametrize(
    ("language", "text", "by"),
    [
        ("python", "import os\n", "%forbid imports os"),
        ("python", "def Ab(c):\n    pass\n", "%allow function_names /[a-z]+/"),
        ("python", "def Ab(c:\n", "%allow function_names /[a-z]+/"),  # what is wrong first
        ("python", "def ab(c:\n", None),
        ("c", "int Ab(void);\n", "%allow function_names /[a-z]+/"),
    ],
)
def test_the_rule_that_a_right_program_breaks_is_told(language: str, text: str, by: str | None) -> None:
    rules = "%allow function_names /[a-z]+/\n%forbid names xyz\n%forbid imports os"
    expected = found_in(text, f"%language {language}\n{rules}").expected
    assert expected.endswith(f", by {by}") if by else ", by %" not in expected


def test_a_program_that_takes_too_much_work_is_told_the_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_words, "MAX_WORDING_STEPS", 100)
    assert (
        language_words.expected_after(b"x = ", "%language python", lambda _: range(256), Budget(), may_end=True) is None
    )
    outcome = found_in("x = 'abc\n", "%language python")
    assert outcome.offset == 8
    assert "other characters" in outcome.expected


def test_the_service_takes_a_language_and_tells_its_words() -> None:
    request = {"prompt": "p", "constraints": {"grammar": "%language python"}, "max_attempts": 1}
    with running_service(ScriptedBackend(["x = 1\n"])) as service:
        answer = post(service, request)
        assert (answer.status_code, answer.json()["generated_text"]) == (200, "x = 1\n")
    with running_service(ScriptedBackend(["if x:\nx = 1\n"])) as service:
        answer = post(service, request)
        assert answer.json()["status"] == "MAZE_CONSTRAINT_VIOLATED"
        assert "(line 2, column 1): found 'x', expected indentation of 4 blanks" in answer.text


def test_the_command_line_tells_a_languages_words(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "program.zig"
    program.write_text("var = 1;\n")
    code, out, _ = run("validate", "--language", "zig", "--syntax", str(program))
    assert code == int(Status.CONSTRAINT_VIOLATED)
    assert "expected a variable name" in out
