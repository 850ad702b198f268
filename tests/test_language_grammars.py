"""The grammars of JavaScript, TypeScript and SQL: what they take in which layout, and what they refuse."""

from __future__ import annotations

import sqlite3

import pytest

from maze.check.layout import LayoutError, laid_out

TAKEN = [
    (
        "javascript",
        "// one\nconst a = {b: 1, c}, re = /x\\/y[/]/gu, z = `a${b.c} d`;\n"
        "function f(a,{b}) { if(a>b && !b||c) {return a / b / c;} else return (-a) ** 2; }\n"
        "label: for (let i=0;i<3;i++) { x[i]=async (a)=>{ await b?.(); break label; }; }\n",
        "const a = { b: 1, c }, re = /x\\/y[/]/gu, z = `a${b.c} d`;\n"
        "function f(a, { b }) {\n    if (a > b && !b || c) {\n        return a / b / c;\n"
        "    } else return (-a) ** 2;\n}\n"
        "label: for (let i = 0; i < 3; i++) {\n    x[i] = async (a) => {\n        await b?.();\n        break label;\n"
        "    };\n}\n",
    ),
    (
        "typescript",
        "export interface Foo<T> extends Bar {a: string; readonly b?: number; [k: string]: any;}\n"
        "type X = {a: 1}|keyof Y|((a: string)=>void);\n"
        "let x = <T,>(a: T): a is string => a as unknown as string, y = foo<T>(x)!, type = 4;\n",
        "export interface Foo<T> extends Bar {\n    a: string;\n    readonly b?: number;\n    [k: string]: any;\n}\n"
        "type X = { a: 1 } | keyof Y | ((a: string) => void);\n"
        "let x = <T,>(a: T): a is string => a as unknown as string, y = foo<T>(x)!, type = 4;\n",
    ),
    (
        "sql",
        "SELECT a.b,count(*) AS n FROM t AS a LEFT JOIN (SELECT 1) AS x ON a.b=x.c -- two\nWHERE b IS NULL;\n",
        "SELECT a.b, count(*) AS n FROM t AS a LEFT JOIN (SELECT 1) AS x ON a.b = x.c\nWHERE b IS NULL;\n",
    ),
]


@pytest.mark.parametrize(("language", "text", "layout"), TAKEN, ids=[language for language, _, _ in TAKEN])
def test_a_program_gets_the_layout_of_its_language(language: str, text: str, layout: str) -> None:
    """Its tokens stay, and so does the layout when it is asked for again."""
    assert laid_out(text, language) == layout
    assert laid_out(layout, language) == layout


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("javascript", "x = -a ** 2;\n"),
        ("javascript", "x = a ?? b || c;\n"),
        ("javascript", "x = new a?.b();\n"),
        ("javascript", "a?.b = 1;\n"),
        ("javascript", "{ a: 1 }.b;\n"),
        ("javascript", "function () {}\n"),
        ("javascript", "const a = /(/;\n"),
        ("javascript", "const a = /[z-a]/;\n"),
        ("javascript", "let if = 1;\n"),
        ("javascript", 'x = "\\u{110000}";\n'),
        ("javascript", "switch (a) { default: default: }\n"),
        ("javascript", "let a: number = 1;\n"),
        ("javascript", "const a = /[\\x1f-\\x00]/;\n"),
        ("javascript", "const a = /[3-1]/;\n"),
        ("javascript", "const a = /b{64,40}/;\n"),
        ("javascript", "const a = /b{5,4}/;\n"),
        ("typescript", "type A = ;\n"),
        ("typescript", "let a: number | = 1;\n"),
        ("typescript", "type A = B extends () => infer C extends D ? 1 : 2;\n"),
        ("typescript", "type A = B extends (c: D extends E ? 1 : 2) => F ? 3 : 4;\n"),
        ("typescript", "type A = (a: any) => asserts is;\n"),
        ("typescript", "type A = readonly string;\n"),
        ("typescript", "const a = `\\05`;\n"),
        ("typescript", "f()! += 1;\n"),
        ("typescript", "import a = b.new;\n"),
        ("typescript", "import type a, { b } from 'c';\n"),
        ("javascript", "const a = `$\\08`;\n"),
        ("javascript", 'const a = "\\0\\01";\n'),
        ("javascript", "export { new };\n"),
        ("typescript", "type A<readonly extends B> = B;\n"),
        ("python", "f'{a(b=1, c)}'\n"),
        ("python", "f'{a['b']}'\n"),
        ("python", "f'{lambda: a}'\n"),
        ("sql", "SELECT FROM t;\n"),
        ("sql", "SELECT a BETWEEN 1 FROM t;\n"),
        ("sql", "SELECT select FROM t;\n"),
        ("c", "#if A > 1.5\n#endif\n"),
        ("c", "static extern int x(void);\n"),
        ("c", "int f() __attribute__((cold)) {\n}\n"),
        ("c", "void f() {\n    int a[static 3];\n}\n"),
        ("c", 'void f() {\n    __asm__(L"nop");\n}\n'),
        ("c", 'char *s = L"a" u"b";\n'),
        ("zig", "const A = *align(a:b > c:{}) u8;\n"),
        ("zig", "const S = struct { fn () u8 };\n"),
        ("zig", "fn f() void {\n    comptime if (a) {}\n}\n"),
    ],
)
def test_what_is_no_program_is_refused(language: str, text: str) -> None:
    """No blanks between its tokens make it one."""
    with pytest.raises(LayoutError):
        laid_out(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("c", "weak_alias(f, g);\n"),
        ("c", "TEST_IMPL(f) {\n    return 0;\n}\nstatic BENCHMARK_IMPL(g) {}\n"),
        ("c", "#define F(a,b)  (a)\n"),
        ("c", "double complex f(double complex z) {\n    unsigned __int64 t;\n}\n"),
        ("c", "int (f)() {\n    #ifdef A\n    return !*(int *)f;\n    #else\n    *(char **)f = 0;\n    #endif\n}\n"),
        ("c", "struct a {\n    #ifdef A\n    int x;\n    #endif\n};\nstatic __typeof__(f) *g = NULL;\n"),
        ("c", "void f() {\n    #define A  b c\n    g();\n}\n"),
        ("zig", "const E = enum(u8) {\n    a = 1,\n    _,\n};\nconst F = A.E || error{X};\n"),
        ("zig", "fn f() void {\n    for (a) |b| switch (b) {\n        else => {},\n    };\n    io.async(f);\n}\n"),
        ("zig", "fn f() void {\n    if (a) b: {\n        break :b;\n    }\n    try comptime g();\n}\n"),
        ("javascript", "const a = /[\\x00-\\x1f\\x7f]{40,64}[\\u00c0-\\u00d6]|[1-2]{4,8}?/u;\n"),
        ("javascript", 'const a = `\\0$\\0$${b}\\0a${c}\\0`, d = "\\0", e = "\\0\\0a";\n'),
        ("javascript", "export { a as new };\nexport { new, default as b } from 'c';\n"),
        ("javascript", "class A {\n    async = 1;\n    static get = () => 1;\n}\n"),
        ("javascript", "const a = `b${c ? `${{ d: [`}`] }.d}` : { e: '}' }}f`;\n"),
        ("javascript", "do a++;\nwhile (b);\nif (a);\n"),
        ("typescript", "type A = B extends (c: D, ...e: E[]) => infer F ? F : never;\n"),
        ("typescript", "type A = B extends infer C extends D ? C : [infer E extends F, ...infer G];\n"),
        ("typescript", "type A = (<T>() => T extends B ? 1 : 2) extends <T>() => T extends C ? 1 : 2 ? D : E;\n"),
        ("typescript", "type A = B extends (c: any) => c is infer D ? readonly D[] : unique symbol;\n"),
        ("typescript", "for (let a: A | undefined = b; a; a = a.b) f(a);\n"),
        ("typescript", "import a = require('b');\nimport c = d.e;\nlet f: typeof import('g');\nexport = a;\n"),
        ("typescript", "@a.b({ c })\nclass D {\n    type = 1;\n    get = 2;\n}\n"),
        ("javascript", "({ get = 1, set = 2 } = a);\n"),
        ("typescript", "type A = (abstracts: B) => abstracts is <T>() => T;\n"),
        ("typescript", "import { type as a, as, type b as c } from 'd';\nexport { type, type as as };\n"),
        ("python", "f'' f'{a or not b}{c(d for d in e if d)}{[-f for g, h in i]}' rf'\\d{j[1:2]}'\n"),
        ("python", 'f"""a"b{\', \'.join(str(c) for c in d)}""e\n{f(g, *h, i=1) is None}"""\n'),
        ("sql", "SELECT CASE whenever WHEN 1 THEN 2 END, CASE WHEN a THEN 3 END b, c matching FROM t;\n"),
        ("sql", "select d, distinctly from t;\n"),
        ("sql", "SELECT DISTINCT match FROM é;\n"),
        ("sql", "SELECT row, release AS release FROM f(), pragma_database_list() b WHERE row = 1;\n"),
        ("sql", "SELECT 0 WHERE 1;\n"),
        ("sql", "CREATE VIRTUAL TABLE t USING f();\nCREATE VIRTUAL TABLE u USING g(1, 'a');\n"),
        ("sql", "CREATE VIRTUAL TABLE t USING fts4(a, tokenize=porter);\n"),
        ("sql", "ALTER TABLE t ADD a;\n"),
        (
            "sql",
            "SELECT a.b, replace(c, 'd', 'e') FROM t a, (SELECT 1) b LEFT JOIN u c ON c.d = a.d WHERE first = 1;\n",
        ),
        ("zig", "const A = *align(a.b:1:c) u8;\n"),
        (
            "zig",
            'fn f() void {\n    asm volatile (\n        \\\\nop\n        : [a] "=r" (b),\n        : [c] "r" (d));\n}\n',
        ),
        ("zig", "const f: fn (\n    a: u8,\n    *T,\n) void = g;\n"),
        ("zig", 'extern "c" fn f(*T, u8) void;\n'),
        ("zig", "fn f() error{A}!?struct { u8, []const u8 } {\n    try switch (a) {};\n    return null;\n}\n"),
        ("zig", "fn f() void {\n    defer if (a) {\n        g();\n    };\n    if (a) if (b) |c| g(c);\n}\n"),
        ("zig", "const A = if (b) C else struct {\n    fn f() void {}\n};\n"),
        ("zig", "fn f() (A.E || error{B})!void {\n    comptime if (a) break;\n}\n"),
        ("zig", "const a = b orelse c: {\n    break :c d;\n} orelse &[_][:0]const u8{};\n"),
    ],
)
def test_programs_as_people_write_them_are_taken(language: str, text: str) -> None:
    """Forms that real code has; they stay as they are."""
    assert laid_out(text, language) == text


@pytest.mark.parametrize("language", ["javascript", "typescript"])
def test_semicolons_that_a_program_leaves_out_are_put_in(language: str) -> None:
    """As the language itself does: at the end of a line or before a brace, where it cannot go on without one."""
    text = "const a = b\nlet f = function () { return a }\nf\n(a)"
    layout = "const a = b;\nlet f = function () {\n    return a;\n};\nf(a);\n"
    assert laid_out(text, language) == layout


def test_a_line_that_begins_with_a_semicolon_is_a_statement() -> None:
    assert laid_out("if (a) {\n}\n;(b)()\n", "typescript") == "if (a) {}\n;\n(b)();\n"


def test_sqlite_reads_what_the_grammar_of_sql_takes() -> None:
    """A statement of each kind."""
    database = sqlite3.connect(":memory:")
    script = (
        "CREATE TABLE t (a INTEGER PRIMARY KEY DESC DEFAULT 1, b VARCHAR(10) NOT NULL, UNIQUE (a, b));\n"
        "CREATE INDEX i ON t (a, b DESC) WHERE b IS NOT NULL;\n"
        "CREATE TRIGGER r AFTER UPDATE OF a ON t BEGIN\nDELETE FROM t WHERE a = 2;\nEND;\n"
        "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y') ON CONFLICT (a) DO UPDATE SET b = excluded.b;\n"
        "UPDATE t SET b = b || 'z' WHERE a IN (SELECT max(a) FROM t) AND b NOT LIKE 'q%' ESCAPE '_';\n"
        "WITH c AS (SELECT a, row_number() OVER (ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS n FROM t) "
        "SELECT CASE WHEN n > 1 THEN 'm' ELSE -1 END AS k FROM c UNION ALL "
        "SELECT CAST(1 AS TEXT) ORDER BY k LIMIT 3;\n"
        "DROP TABLE IF EXISTS u;\n"
    )
    assert laid_out(script, "sql") == script
    database.executescript(script)
