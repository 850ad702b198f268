"""Whole languages: what `%language` takes, how it is built upon and narrowed, and the one layout."""

from __future__ import annotations

import ast
import json
import re
import warnings
from pathlib import Path

import pytest
from grammar_texts import accepts

from benchmarks.language_walks import Walks
from maze.check.layout import LayoutError, laid_out
from maze.check.same_program import difference
from maze.errors import ContradictionError, InvalidConstraintError
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.languages.syntax import syntax_names, syntax_text
from maze.grammar.read.grammar_text import lower_grammar
from maze.grammar.read.lark.language_files import language_definitions
from maze.grammar.read.lark.language_names import is_name_of_language, is_restricted
from maze.grammar.read.lark.parts import parts_of
from maze.grammar.read.lark.syntax import Reference, is_terminal
from maze.orchestrator import Orchestrator
from maze.outcome import Handling
from maze.types import ConstraintIR

PYTHON = """import os


def load(path: str, default=None) -> dict:
    if not os.path.exists(path):
        return default
    result = {name: [int(x) + 1 for x in value] for name, value in read(path)}
    return result
"""


def holds(grammar: str, text: str, *patterns: str) -> bool:
    """Whether a text satisfies a grammar, decided as a caller has it decided."""
    with Orchestrator() as maze:
        return maze.validate(text, [ConstraintIR(grammar=grammar, regex_patterns=patterns)]).all_satisfied


@pytest.mark.parametrize("name", syntax_names())
def test_each_language_begins_at_file_and_is_taken_by_engines(name: str) -> None:
    compiled = compile_constraints([ConstraintIR(grammar=f"%language {name}")])
    assert compiled.grammar is not None
    assert [part.handling for part in compiled.parts] == [Handling.ENFORCED]
    assert syntax_text(name).startswith("// ")
    assert re.search(r"^(file:|%import language\.)", syntax_text(name), re.MULTILINE)


def test_a_language_takes_its_programs_and_no_others() -> None:
    assert holds("%language python", PYTHON)
    assert holds("%language PY function", "def f():\n    pass\n")
    assert not holds("%language python", "def f(:\n    pass\n")
    assert not holds("%language python", "if x:\npass\n")
    assert not holds("%language python function", "x = 1\n")
    assert holds("%language json", '{"a": [1, null]}')
    assert not holds("%language json", '{"a": [1,]}')


@pytest.mark.parametrize(
    ("grammar", "problem"),
    [
        ("%language cobol", "there is no grammar of a language 'cobol'; there are .*json.*python"),
        ("%language json function", "json has no 'function'; it has file, expression"),
        ("%language", "the name of a language, such as 'zig', is expected"),
        ("%import language.json.member\nstart: member", "json has no 'member'; it has"),
        ("%language json\n%forbid names a", "the grammar of json knows no names"),
        ("%language python\n%forbid colours red", "'colours' is nothing that is restricted; these are names, imports"),
        ("%language python\n%allow imports", "no imports are given"),
        ("%language python\n%ignore / /", "drop %ignore"),
        ('start: "a"\n%forbid names a', "a text without %language"),
        ('%import language.json.expression\n%ignore " "\nstart: expression', "line 2, column 9: .*drop %ignore"),
        (
            "%import language.json\nstart: json",
            "which rule\\? Such as %import language.json.file -> json",
        ),
        (
            "%language python\n%language json",
            "%import language.json.file -> a_name, and write one rule 'start'",
        ),
        ("%import language.c.type\n%import language.zig.type\nstart: type", "%import language.zig.type -> a_name"),
        ("%language c\n%forbid imports <stdio.h>", "column 17: <stdio.h> is no name; .*stand in double quotes"),
        ("%language c\n%forbid imports sys/types.h", "column 20: .*paths, .*stand in double quotes"),
        ("%language javascript\n%allow imports @a/b", "column 16: @a is no name; .*stand in double quotes"),
        (
            "%language python\n%forbid names os.system",
            "a name has no dots in it: give the parts of os.system",
        ),
        ('%language python\n%forbid names "os.system"', "column 15: no name of python is ever 'os.system'"),
        ("%language python\n%forbid function_names /[0-9]+/", "no function name of python is ever"),
        ('%language python\n%forbid names ""', "no name of python is ever ''"),
        ('%language python\n%allow imports "os/path"', "no import of python is ever 'os/path'"),
        ("%language python\n%allow imports math .os", "column 21: a dotted name has no blanks in it"),
        ("%language python\n%allow imports math, os", "with blanks between, and not ','"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(grammar: str, problem: str) -> None:
    with pytest.raises(InvalidConstraintError, match=problem):
        compile_constraints([ConstraintIR(grammar=grammar)])


def test_lark_text_builds_upon_a_language() -> None:
    assert holds("%import language.json.expression -> start", "[1]")
    grammar = '%import language.python.expression\nstart: "answer = " expression "\\n"'
    assert holds(grammar, "answer = [x + 1 for x in y]\n")
    assert not holds(grammar, "answer = [x + 1 for x in]\n")
    twice = '%import language.json (expression)\n%import language.python.expression -> code\nstart: expression ";" code'
    assert holds(twice, '{"a": 1};a.b(c)')


def test_names_are_forbidden_wherever_they_stand_as_names() -> None:
    grammar = "%language python\n%forbid names eval exec system"
    assert holds(grammar, "x = evaluate(y)\n")
    for text in ("x = eval(y)\n", "import os as eval\n", "os.system(x)\n", "def exec():\n    pass\n", "f(eval=1)\n"):
        assert holds("%language python", text)
        assert not holds(grammar, text)
    for text in ("import eval\n", "from eval import a\n", "import a.eval\n", "from .eval.b import a\n"):
        assert not holds(grammar, text)
    assert holds(grammar, "import evals.a\nfrom . import b\n")
    assert holds(grammar, 'x = "eval"\n')  # a text is not a name
    assert holds("%language python", "match = 1\n")
    assert not holds("%language python\n%forbid names match", "match = 1\n")


@pytest.mark.parametrize(
    "text",
    [
        "a.b?.eval();",
        "a!.eval;",
        "\\u0065val(a);",
        "a.\\u{65}val;",
        "`${eval(a)}`;",
        "@eval\nclass A {}",
        "@a.eval\nclass A {}",
        "class A {\n    #eval;\n}",
        "const { eval: a } = b;",
        "let a: typeof eval;",
        "function f(a: any): eval is B {}",
        "import a = eval.b;",
        "a.delete();",
        "import(a);",
        "import a = require('b');",
        "type = 1;",
        "class A {\n    get = 1;\n}",
        "import 'fs';",
        "import a from 'node:fs';",
        "export * from 'fs/promises';",
        "import 'f\\u0073';",
        "let a: import('fs').A;",
    ],
)
def test_no_spelling_and_no_place_lets_a_forbidden_name_through_in_typescript(text: str) -> None:
    forbidden = "\n%forbid names eval delete import require type get\n%forbid imports fs"
    assert not holds(f"%language typescript{forbidden}", f"{text}\n")
    assert holds("%language typescript", f"{text}\n") or "\\" in text  # names and imports take no escapes


def test_a_word_of_the_language_is_allowed_as_a_name_where_it_is_one() -> None:
    grammar = "%language typescript\n%allow names a delete\n%allow imports fs"
    assert holds(grammar, "delete a.delete;\nimport 'node:fs';\n")
    assert not holds(grammar, "a.new;\n")
    assert not holds(grammar, "import './fs';\n")
    assert holds(grammar, "import 'fs/promises';\n")
    assert not holds(grammar, "import 'fs/../net';\n")
    naming = "^[a-z]+_[a-z]+$"  # of what is declared, which these are not
    assert holds("%language typescript", "A.new = B;\n", naming)
    assert not holds("%language typescript", "let AB = A;\n", naming)


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        ("%language sql\n%forbid names foo", 'SELECT a FROM t "foo";\n'),
        ("%language sql\n%forbid names foo", "SELECT a FROM t foo;\n"),
        ("%language sql\n%forbid names foo", "SELECT FOO(`a`);\n"),
        ("%language sql\n%forbid names replace", "SELECT Replace(a, b, c);\n"),
        ("%language sql\n%forbid names foo", "SELECT a FROM [Foo];\n"),
        ("%language sql\n%forbid names foo", "CREATE TABLE 'foo' (a INT);\n"),
        ("%language sql\n%forbid names foo", "CREATE TABLE t ('Foo' INT, b);\n"),
        ("%language zig\n%forbid names eval", 'const a = @"eval"(1);\n'),
        ("%language zig statement\n%forbid names eval", "while (true) break :eval;"),
        ("%language zig statement\n%forbid names eval", 'const a = b orelse break :@"eval" 2;'),
        ('%import language.zig.expression -> e\n%forbid names eval\nstart: e ";"', 'a.@"eval";'),
    ],
)
def test_a_forbidden_name_is_forbidden_in_quotes_and_in_capitals_where_these_are_the_same(
    grammar: str, text: str
) -> None:
    assert holds(re.sub("\n%forbid.*", "", grammar), text)
    assert not holds(grammar, text)


@pytest.mark.parametrize(
    "text",
    [
        "#define eval 1",
        "#define a eval",
        "#define a(eval) 1",
        "#define a(b) (eval(b))",
        "#define a ev##al",
        "#define a b; ev\\\nal(c)",
        "#define a ev\\\n\\\nal",
        "#define a ev#\\\n#al",
        "#pragma redefine_extname a eval",
        "#pragma eval",
        "#undef eval",
    ],
)
def test_no_line_of_the_preprocessor_makes_a_forbidden_name(text: str) -> None:
    assert holds("%language c", f"{text}\n")
    assert not holds("%language c\n%forbid names eval", f"{text}\n")
    assert not holds("%language c\n%allow names a b c pragma redefine_extname", f"{text}\n")


def test_other_names_may_stand_in_the_preprocessor() -> None:
    lines = '#define evaluate(a) my_eval(a, "b", 0x1f, 1eval)\n#pragma once\n#define a\n#define b c \\\n    c\n'
    assert holds("%language c\n%forbid names eval define", lines)
    allowed = "%language c\n%allow names a c once"
    assert holds(allowed, "#define a(c) if (c) return c + 1e5; \\\n    while (0x1f)\n#pragma once\n")
    assert not holds(allowed, "#define a(c) (c + d)\n")


def test_rules_and_terminals_that_are_imported_are_narrowed_too() -> None:
    grammar = """%import language.python.expression
%import language.c.expression -> other
%import language.c.NAME
start: expression ";" other ";" MARKED
MARKED: NAME "!"
%forbid names eval"""
    assert holds(grammar, "a.b;c + d;e!")
    for text in ("a.eval;c + d;e!", "a.b;eval;e!", "a.b;c + d;eval!"):
        assert holds(grammar.rpartition("\n")[0], text)
        assert not holds(grammar, text)
    with pytest.raises(InvalidConstraintError, match="knows no imports"):
        compile_constraints([ConstraintIR(grammar=grammar + "\n%allow imports math")])


def test_only_some_imports_are_allowed() -> None:
    grammar = "%language python\n%allow imports math os.path"
    for text in ("import math\n", "from math import pi\n", "import os.path\n", "from os.path import join as j\n"):
        assert holds(grammar, text)
    for text in ("import os\n", "import mathx\n", "from . import math\n", "import math, sys\n"):
        assert holds("%language python", text)
        assert not holds(grammar, text)
    for text in ('const a = @cImport(@cInclude("os"));\n', 'const a = @embedFile("os");\n'):
        assert holds("%language zig", text)
        assert not holds("%language zig\n%allow imports std", text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("javascript", "import 'a/%2e%2e/b/c.js';"),  # all of these node takes for b/c.js
        ("javascript", "import 'a/.%2E/b/c.js';"),
        ("javascript", "import 'a/\t../b/c.js';"),
        ("javascript", "import 'a/.\t./b/c.js';"),
        ("javascript", "import 'a/../b/c.js';"),
        ("javascript", "import 'a/x/../../b/c.js';"),
        ("javascript", "import '\tb/c.js';"),
        ("javascript", 'import "b/it\'s.js";'),
        ("typescript", "let c: import('a/%2e%2e/b').C;"),
        ("javascript", "import('b');"),
        ("javascript", "const a = await import(`b`);"),
        ("typescript", "f(import('b' + c));"),
        ("zig", 'const a = @import("\\x62");'),
        ("zig", 'const a = @import("./b");'),
        ("zig", 'const a = @import("c/../b");'),
        ("c", "#include <./b>"),
        ("c", '#include "a/../b"'),
        ("c", "#include <.//b>"),
    ],
)
def test_no_spelling_of_a_path_imports_what_is_forbidden_or_not_allowed(language: str, text: str) -> None:
    assert holds(f"%language {language}", f"{text}\n")
    assert not holds(f"%language {language}\n%forbid imports b", f"{text}\n")
    assert not holds(f"%language {language}\n%allow imports a", f"{text}\n")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("javascript", "import './b.js';\nimport '../../c';\nimport 'https://b/c';\nimport '@a/b';"),
        ("zig", 'const a = @import("bc");\nconst d = @import("../d/b.zig");'),
        ("c", '#include <bc>\n#include "../d/b.h"\n#include <sys/b>'),
    ],
)
def test_what_is_called_like_a_forbidden_import_is_another(language: str, text: str) -> None:
    assert holds(f"%language {language}\n%forbid imports b", f"{text}\n")


def test_names_of_a_role_follow_a_rule() -> None:
    grammar = "%language python\n%allow function_names /[a-z_]+/\n%allow type_names /[A-Z][A-Za-z]*/"
    assert holds(grammar, "class Big:\n    def get_it(self):\n        return X\n")
    assert not holds(grammar, "def getIt(self):\n    return X\n")
    assert not holds(grammar, "class small:\n    pass\n")


def test_a_naming_pattern_beside_a_language_is_about_the_names_that_a_text_declares() -> None:
    assert holds("%language python", "def ab(c):\n    return Type\n", "^[a-z]+$")
    assert not holds("%language python", "def Ab(c):\n    return Type\n", "^[a-z]+$")


def test_one_naming_pattern_is_written_once_for_engines_and_for_the_check() -> None:
    compiled = compile_constraints([ConstraintIR(grammar="%language zig", regex_patterns=("^[a-z][a-z0-9_]*$",))])
    assert compiled.grammar is not None
    check = compiled.parts[1].check_grammar
    assert check is not None
    assert compiled.grammar.rules is check.rules


@pytest.mark.parametrize(
    ("language", "good", "bad"),
    [
        ("zig", "fn ab(c: u8) void {}\n", "fn Ab(c: u8) void {}\n"),
        ("zig", "const a = B.C;\n", 'const @"A b" = B;\n'),
        ("sql", "SELECT A AS b FROM C;\n", "SELECT A AS B FROM C;\n"),
        ("sql", "SELECT A FROM C d;\n", "SELECT A FROM C D;\n"),
        ("sql", "SELECT REPLACE(A, B, C);\n", 'SELECT A AS "b" FROM C;\n'),
        ("c", "int a(void) {\n    return B;\n}\n", "int A(void) {\n    return B;\n}\n"),
    ],
)
def test_a_naming_pattern_is_about_declared_names_also_where_there_are_quoted_ones(
    language: str, good: str, bad: str
) -> None:
    naming = "^[a-z][a-z0-9_]*$"
    assert holds(f"%language {language}", bad)
    assert holds(f"%language {language}", good, naming)
    assert not holds(f"%language {language}", bad, naming)


def test_restrictions_that_leave_nothing_are_contradictions() -> None:
    with pytest.raises(ContradictionError):
        compile_constraints([ConstraintIR(grammar="%language python function\n%allow function_names /[0-9]+/")])


def test_a_pattern_beside_a_language_is_multiplied_with_it_or_checked() -> None:
    assert holds("%language json", '{"a": 1}', "a")
    assert not holds("%language json", '{"b": 1}', "a")


def judged(name: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        json.loads(text) if name == "json" else ast.parse(text)


@pytest.mark.parametrize("name", ["json", "python"])
def test_what_a_grammar_derives_the_language_takes(name: str) -> None:
    cfg = lower_grammar(f"%language {name}", None, "grammar", Budget()).cfg
    grammar = cfg_to_lark(cfg, Budget())
    walks = Walks(cfg, seed=7)
    for text in [walks.derivation() for _ in range(10)]:
        if accepts(grammar, text):
            judged(name, text)


@pytest.mark.parametrize("name", syntax_names())
def test_names_are_terminals_of_their_own(name: str) -> None:
    cfg = lower_grammar(f"%language {name}", None, "grammar", Budget()).cfg
    names = [each for each in cfg.terminals() if is_name_of_language(getattr(each, "name", ""))]
    assert bool(names) == (name != "json")


@pytest.mark.parametrize("name", syntax_names())
def test_a_name_is_part_of_no_other_terminal_as_restrictions_would_not_reach_it(name: str) -> None:
    there = {each.name: each for each in language_definitions(name).values() if is_terminal(each.name)}
    for each in there.values():
        todo, needed = [each.name], set[str]()
        while todo:
            parts = parts_of(there[todo.pop()].body)
            new = {part.name for part in parts if isinstance(part, Reference)} - needed
            needed |= new
            todo += new
        if any(map(is_restricted, needed)) and not is_restricted(each.name):
            assert isinstance(each.body, Reference), each.name  # and so the same terminal by another name


def test_a_program_is_laid_out_in_one_way() -> None:
    text = "def f(a,b = 1): # why\n  if a: return {'b':b}; x=[1,\n   2]\n"
    assert laid_out(text, "python") == "def f(a, b=1):\n    if a:\n        return {'b': b}\n        x = [1, 2]\n"
    assert laid_out('{"a" :[1,\n2]}', "json") == '{"a": [1, 2]}'
    assert laid_out(laid_out(text, "python"), "python") == laid_out(text, "python")


@pytest.mark.parametrize(
    ("language", "text", "printed"),
    [
        ("c", "int z = a - --b;\n", "int z = a - --b;\n"),
        ("c", "int z = a+ ++b;\n", "int z = a + ++b;\n"),
        ("c", "int z = a++ +b;\n", "int z = a++ + b;\n"),
        ("c", "int z = a - -b - - c;\n", "int z = a - -b - -c;\n"),
        ("javascript", "z = a - --b;\n", "z = a - --b;\n"),
        ("javascript", "a\n++b\n", "a;\n++b;\n"),
        ("typescript", "z = a + ++b;\n", "z = a + ++b;\n"),
    ],
)
def test_signs_of_one_operator_stay_together_and_others_apart(language: str, text: str, printed: str) -> None:
    assert laid_out(text, language) == printed


@pytest.mark.parametrize(
    ("language", "text", "printed"),
    [
        ("javascript", "function f() { return\nx }\n", "function f() {\n    return;\n    x;\n}\n"),
        ("javascript", "x\n++\ny\n", "x;\n++y;\n"),
        ("javascript", "if(a){!b||c;++d}\n", "if (a) {\n    !b || c;\n    ++d;\n}\n"),
        ("javascript", "switch(a){case 1:--b}\n", "switch (a) {\n    case 1:\n    --b;\n}\n"),
        ("javascript", "a = b\n(c)\n", "a = b(c);\n"),
        ("javascript", "x = typeof /a  b/\n", "x = typeof /a  b/;\n"),
        ("javascript", "if (a) /b  c/.test(d / e  / f)\n", "if (a) /b  c/.test(d / e / f);\n"),
        ("typescript", "let a: A<B<C> > = 1;\n", "let a: A<B<C>> = 1;\n"),
        ("typescript", "z = x !== y!\n", "z = x !== y!;\n"),
        ("typescript", "z = new A<B<C> >(d)\n", "z = new A<B<C>>(d);\n"),
        ("typescript", "interface A {\n  a: B<C>\n  (d): typeof e\n  <F>(g: F): h\n  i?: <J>\n  (k) => l\n}\n",
         "interface A {\n    a: B<C>;\n    (d): typeof e;\n    <F>(g: F): h;\n    i?: <J>(k) => l;\n}\n"),
        ("typescript", "const a: {\n  (b): c\n  (d): e\n  f(): g\n  [h.i]: j\n} = k\n",
         "const a: {\n    (b): c;\n    (d): e;\n    f(): g;\n    [h.i]: j\n} = k;\n"),
        ("zig", "fn f() void {\n    asm (\"\" ::: .{ .memory = true });\n}\n",
         "fn f() void {\n    asm (\"\" ::: .{ .memory = true });\n}\n"),
        ("typescript", "z = x! == y ? .5 : x?.5:a?.b\n", "z = x! == y ? .5 : x ? .5 : a?.b;\n"),
        ("javascript", "z ||= a>>>b\n", "z ||= a >>> b;\n"),
        ("c", "char * *p;\n", "char **p;\n"),
        ("c", "#define A 1\r\nint y;\r\n", "#define A 1\nint y;\n"),
        ("c", "#if A && \\\n  B\nint x;\n#endif\n", "#if A && B\nint x;\n#endif\n"),
        ("c", "#define A 1 /* x\n */\nint f() { return a /* x\n */ / *b; }\n",
         "#define A 1\n\nint f() {\n    return a / *b;\n}\n"),
        ("sql", "SELECT 1 - -1;\n", "SELECT 1 - -1;\n"),
        ("python", "\ufeffx = 1\n", "x = 1\n"),
    ],
)  # fmt: skip
def test_what_is_printed_is_the_same_program(language: str, text: str, printed: str) -> None:
    assert laid_out(text, language) == printed


@pytest.mark.parametrize(
    ("language", "text", "place"),
    [("python", "x = 1 .real\n", 6), ("c", 'char *s = L "b";\n', 12), ("javascript", "x = 1 .x\n", 6)],
)
def test_what_has_no_layout_without_being_another_program_is_refused(language: str, text: str, place: int) -> None:
    with pytest.raises(LayoutError) as raised:
        laid_out(text, language)
    assert raised.value.offset == place
    with pytest.raises(LayoutError) as raised:
        laid_out(f"\ufeff{text}", language)
    assert raised.value.offset == place + 1, "of the text as it was given"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("c", "int a;// x \\\nint b;\nint c;\n"),
        ("javascript", "a<!--b\n"),
        ("javascript", "x = {a}\n/b/g\n"),
        ("javascript", "// a\ry()\n"),
        ("javascript", "x = a // b\u2028y()\n"),
        ("javascript", "x\x85= 1;\n"),
        ("typescript", "type\nA=1"),
        ("typescript", "abstract\nclass A{}"),
        ("typescript", "let a=b> >c;"),
        ("typescript", "a < b > > (c)"),
        ("typescript", "a < this < b > > (c)"),
        ("typescript", "a < b(c) < d > > (e)"),
        ("typescript", "a < -b < c > > (d)"),
        ("typescript", "interface A { a: (b = () => { c ? d : e\n[f] })\n(g): h }"),
        ("typescript", "class A{\n a=1\n ['b']=2}"),
        ("sql", "select a\xa0b;"),
        ("sql", "select ? 1;"),
        ("sql", "select 'a' 'b';"),
        ("zig", "const a = b + %c;"),
        ("zig", "const a = b. *;"),
        ("python", "# c\rx=1"),
        ("python", "# coding: latin-1\nx='\xe9'"),
        ("python", "x @ = a"),
    ],
)
def test_what_could_be_printed_as_another_program_is_refused(language: str, text: str) -> None:
    with pytest.raises(LayoutError):
        laid_out(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("c", "#define F (x)\n#define G(x) \\\n    x\n# define H // no\nint a; /* b */\n"),
        ("javascript", "a = b ? .5 : `c${d}` / 2\nif (a) /b/.test(c)\nx = a / b / c\n++d\n"),
        ("typescript", "interface A { a: number\n[k: string]: number }\nlet b = a! / 2\n"),
        ("sql", "select [a  b], [c--d] -- e\nfrom f;"),
        ("zig", "/// a\nconst b = c - -d; // e\n"),
    ],
)
def test_what_is_printed_is_read_anew_apart_from_the_printer(language: str, text: str) -> None:
    printed = laid_out(text, language)
    assert difference(text, printed, language) is None
    for at in range(len(printed)):  # whatever is lost is seen, but blanks and semicolons
        if printed[at] not in " \n;":
            assert difference(text, printed[:at] + printed[at + 1 :], language) is not None, printed[at - 9 : at + 9]


@pytest.mark.parametrize(
    "text",
    ["type\nA = { a() { b ? c : d\n(e) } }", "interface A { a\n(b): c }", "interface A { a: b; c\n(d): e }",
     "interface A { a: <B>\n(c) => d }", "class A { a: b\n[c] }", "x = { type: { a: b\n(c) } }"],
)  # fmt: skip
def test_a_member_of_a_type_ends_before_a_bracket_only_where_its_type_is_complete(text: str) -> None:
    at = max(text.rfind("\n("), text.rfind("\n["))
    assert difference(text, text[:at] + ";" + text[at:], "typescript") is not None


def test_what_is_outside_of_a_grammar_is_not_laid_out_and_its_place_is_told() -> None:
    with pytest.raises(LayoutError, match="does not take '!' on line 3"):  # and is no part of the text before it
        laid_out("const a =\n    \\\\b\n    ! c;\n", "zig")
    with pytest.raises(LayoutError, match="'1' on line 2") as raised:
        laid_out('{"a":\n1 1}', "json")
    assert raised.value.offset == 8


@pytest.mark.parametrize("file", ["ranges.py", "verdict.py", "check/source_tokens.py", "grammar/pattern/parser.py"])
def test_the_files_of_this_package_are_laid_out_as_the_programs_that_they_are(file: str) -> None:
    text = (Path(__file__).parent.parent / "maze" / file).read_text()
    printed = laid_out(text, "python")
    assert ast.dump(ast.parse(printed)) == ast.dump(ast.parse(text))
    assert holds("%language python", printed)
