"""What `%forbid`, `%allow` and naming patterns leave of a language, by texts that would go round them."""

from __future__ import annotations

import pytest
from test_whole_languages import holds

from maze.errors import LimitExceededError
from maze.grammar import compile_constraints
from maze.types import ConstraintIR


@pytest.mark.parametrize(
    ("language", "forbidden", "text"),
    [
        ("python", "os.path", "from os import path"),
        ("python", "/os[.].*/", "from os import path as p"),
        ("python", '".x"', "from . import x"),
        ("python", "a.b.c", "from a.b import (c)"),
        ("javascript", '"node:fs"', "import 'fs';"),
        ("javascript", "\"'fs'\"", 'import "node:fs/promises";'),
        ("javascript", "fs", "import 'data:text/javascript,import \"fs\"';"),
        ("javascript", "fs", "import 'DATA:text/javascript,import \"fs\"';"),
        ("javascript", '"./b.js"', "import 'file:./b.js';"),
        ("javascript", "b", "import '../node_modules/b/b.js';"),
        ("javascript", '"https://b.c/d"', "import 'HTTPS://b.c/d';"),
        ("javascript", '"https://b.c/d"', "import 'https:b.c/d';"),
        ("javascript", '"https://b.c/d"', "import 'https://B.c/d';"),
        ("javascript", '"https://b.c/d"', "import ' https://b.c/d';"),
        ("javascript", '"https://b.c/d"', "import 'https://x@b.c/d';"),
        ("c", '"<stdio.h>"', '#include "stdio.h"'),
        ("c", "stdio.h", "#include <../include/stdio.h>"),
        ("c", "stdio.h", "#include </usr/include/stdio.h>"),
        ("c", "stdio.h", '#define A _Pragma("clang module import stdio")'),
    ],
)
def test_no_other_way_to_write_it_imports_what_is_forbidden(language: str, forbidden: str, text: str) -> None:
    assert holds(f"%language {language}", f"{text}\n")
    assert not holds(f"%language {language}\n%forbid imports {forbidden}", f"{text}\n")


def test_many_imports_may_be_forbidden() -> None:
    grammar = "%language python\n%forbid imports " + " ".join(f"module{number}.part" for number in range(2_000))
    assert not holds(grammar, "from module7 import part\n")
    assert holds(grammar, "import module1999.other\nfrom other import part\n")
    assert not holds(grammar, "import module1999.part\n")


def test_a_pattern_of_imports_that_is_too_large_is_told_with_its_place() -> None:
    with pytest.raises(LimitExceededError, match="line 2, column 1: a pattern of what is not imported is too large"):
        compile_constraints([ConstraintIR(grammar="%language python\n%forbid imports /(a|b)*a(a|b){12}/")])


@pytest.mark.parametrize(
    ("language", "forbidden", "text"),
    [
        ("python", "os.path", "import os"),
        ("python", "os.path", "from o import path"),
        ("python", "os", "from a import os"),
        ("python", '".x"', "from .y import x"),
        ("javascript", "fs", "import 'https://b.c:3000/d?e=F';"),
        ("javascript", "fs", "import './A b.js';"),
        ("c", "stdio.h", "#include <sys/stdio.h>"),
        ("c", "stdio.h", '#define A(b) "_pragma"'),
    ],
)
def test_another_import_is_not_forbidden(language: str, forbidden: str, text: str) -> None:
    assert holds(f"%language {language}\n%forbid imports {forbidden}", f"{text}\n")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("c", "#pragma clang module import stdio"),
        ("c", 'void f(void) {\n    _Pragma("redefine_extname a eval");\n}'),
        ("c", "#define A 1\r#include <stdio.h>"),  # which clang reads as two lines
        ("c", "#define a ev??/\nal(b);"),
        ("c", 'char *a = "??/", b = eval(c, "??/", "");'),
        ("zig", 'const a = @cImport(@cDefine("b\\n#include <c>\\n", ""));'),
        ("zig", 'const a = @cImport(@cUndef("b\\n#include <c>\\n"));'),
    ],
)
def test_what_would_import_or_name_out_of_sight_is_in_no_grammar(language: str, text: str) -> None:
    assert not holds(f"%language {language}", f"{text}\n")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "match a:\n    case B:\n        pass"),
        ("python", "match a:\n    case [_, *B]:\n        pass"),
        ("python", "match a:\n    case {1: B}:\n        pass"),
        ("python", "match a:\n    case C.D() as B:\n        pass"),
        ("python", "for a, *B in c:\n    pass"),
        ("python", "with a as B:\n    pass"),
        ("python", "try:\n    a\nexcept C as B:\n    pass"),
        ("python", "(B := a)"),
        ("python", "[a for B in c]"),
        ("javascript", "let { get = 1 } = a;"),
        ("javascript", "try {} catch (B) {}"),
        ("sql", "SELECT a AS B FROM c;"),
        ("sql", "SELECT a B FROM c;"),
        ("sql", "SELECT a FROM c B;"),
        ("sql", "WITH B AS (SELECT 1) SELECT 1;"),
        ("zig", "fn f() void {\n    for (a, 0..) |_, B| c();\n}"),
        ("zig", "fn f() void {\n    const a, var B = c;\n}"),
        ("c", "int a, *B[2];"),
        ("c", "int (*B)(void);"),
    ],
)
def test_no_place_of_a_variable_name_is_left_out(language: str, text: str) -> None:
    assert holds(f"%language {language}", f"{text}\n")
    assert not holds(f"%language {language}\n%allow variable_names /[a-f]/", f"{text}\n")
    free = text.replace("B", "b").replace("get =", "b =")
    assert holds(f"%language {language}\n%allow variable_names /[a-f]/", f"{free}\n")
    assert not holds(f"%language {language}", f"{text}\n", "^[a-f]$")


def test_a_word_that_is_a_name_before_a_sign_only_is_one_of_its_role() -> None:
    for rule in ("%forbid variable_names match", "%allow variable_names /[a-z]/", "%forbid names match"):
        assert not holds(f"%language python\n{rule}", "match = 1\n")
    assert not holds("%language python", "match = 1\n", "^[a-z]{1,3}$")
    assert holds("%language python", "match = 1\n", "^[a-z]{5}$")
    assert holds("%language python\n%allow variable_names /[a-z]+/", "match = 1\n")


@pytest.mark.parametrize("text", ["int F(void);", "int a, F(void);", "static int *F(int), b;", "int *(*F(void))(int);"])
def test_declared_functions_of_c_are_functions_also_without_a_body(text: str) -> None:
    assert holds("%language c", f"{text}\n")
    assert not holds("%language c\n%allow function_names /[a-z]/", f"{text}\n")
    assert holds("%language c\n%allow function_names /[a-z]/", f"{text.replace('F', 'f')}\n")
    assert holds("%language c\n%forbid variable_names F", f"{text}\n")


def test_parameters_of_sql_have_their_names_behind_a_sign() -> None:
    for text in ("SELECT :x;\n", "SELECT @X;\n", "SELECT $x;\n"):
        assert not holds("%language sql\n%forbid parameter_names x", text)
        assert holds("%language sql\n%allow parameter_names x", text)
        assert not holds("%language sql\n%allow parameter_names y", text)
        assert holds("%language sql\n%allow names y", text)  # as parameters are no names
    assert holds("%language sql\n%allow parameter_names y", "SELECT ?, ?1;\n")


def test_a_rule_about_the_case_of_names_holds_in_sql_too() -> None:
    grammar = "%language sql\n%allow variable_names /[a-z]+/ Total"
    assert holds(grammar, "SELECT A AS b, C AS TOTAL FROM D;\n")
    assert not holds(grammar, "SELECT A AS B FROM D;\n")
    assert not holds("%language sql\n%forbid names /sys_.*/", "SELECT A FROM SYS_B;\n")
