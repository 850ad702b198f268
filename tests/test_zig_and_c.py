"""The grammars of Zig and C: what they allow parses, real functions are in them, wrong texts are not."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.language_entries import ENTRIES
from benchmarks.language_walks import Walks
from maze.check.layout import laid_out
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg
from maze.grammar.llguidance import Matcher
from maze.grammar.read.grammar_text import lower_grammar
from maze.threads import run_with_big_stack

WALKS = 40
JUDGES = {entry.name: entry.judge for entry in ENTRIES}

ZIG_FUNCTIONS = (
    # a slice with and without its end, a number before a range, labels, captures, a switch with ranges
    """pub fn find(comptime T: type, items: []const T, value: T) ?usize {
    for (items, 0..) |item, i| if (item == value) return i;
    return blk: {
        const rest = items[1..];
        break :blk if (rest.len == 0) null else 0;
    };
}""",
    """fn classify(c: u8) error{Unknown}!Kind {
    return switch (c) {
        'a'...'z', '_' => .letter,
        '0'...'9' => .digit,
        else => |other| {
            std.log.warn("{c}", .{other});
            return error.Unknown;
        },
    };
}""",
    """fn parse(self: *Self, anyerrors: anyerror) !void {
    const file = self.open() catch |err| switch (err) {
        error.NotFound => return,
        else => |e| return e,
    };
    defer file.close();
    var n: usize align(8) = 0x1f +% 1_000;
    while (it.next()) |line| : (n += 1) {
        if (line.len > 2 and !(n < 3 or n > 5)) n = 2 else try list.append(.{ .line = line, .n = n });
    }
    _ = &n;
}""",
    # assembly with a text of several lines, a pointer into bits, a loop that ends in a jump
    """fn trap(comptime T: type, bits: *align(8:4:@bitSizeOf(T)) addrspace(.gs) T) void {
    const n = for (0..3) |i| {
        if (i == 2) break i;
    } else return;
    if (n == 1) asm volatile ("int " ++ "3") else asm volatile (
        \\\\ syscall
        \\\\ ud2
        : [out] "={rax}" (-> u64),
        : [in] "r" (!comptime f(T)),
        : .{ .rcx = true }
    );
    comptime switch (T) {
        .a, _ => {},
    };
}""",
)

C_FUNCTIONS = (
    """static const char *name_of(struct node *const *nodes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (nodes[i]->kind == KIND_NAME && !(nodes[i]->flags & 1u))
            return nodes[i]->text;
        else if (n > 3)
            continue;
    }
    return (char *)0;
}""",
    """int sum(int count, ...) {
    va_list ap;
    int total = 0, table[2] = {1, 2}, *p = table;
    va_start(ap, count);
    while (count--)
        total += va_arg(ap, int) * *p++ << 2;
    va_end(ap);
    do {
        p -= sizeof(table) / sizeof table[0];
    } while (p > table);
    switch (total) {
        case 'a': {
            break;
        }
        default:
            goto done;
    }
    done:
    return total ? total : -1;
}""",
)


@cache
def grammar(language: str, start: str) -> Cfg:
    return lower_grammar(f"%language {language} {start}", None, "grammar", Budget()).cfg


def takes(language: str, start: str, text: str) -> bool:
    matcher = run_with_big_stack(lambda: Matcher(cfg_to_lark(grammar(language, start), Budget())))
    data = text.encode()
    return matcher.consume(data) == len(data) and matcher.can_end()


@pytest.mark.parametrize("language", ["zig", "c"])
def test_what_the_grammar_allows_is_lexed_and_parses(language: str) -> None:
    texts = []
    for text in Walks(grammar(language, "file"), seed=7).texts(WALKS):
        texts.append(text)
        if len(texts) == WALKS:
            break
    matcher = Matcher(cfg_to_lark(grammar(language, "file"), Budget()))
    refused = [text for text in texts if matcher.copy().consume(text.encode()) < len(text.encode())]
    assert refused == []
    wrong = {text: verdict for text, verdict in zip(texts, JUDGES[language](texts), strict=True) if verdict}
    assert wrong == {}


@pytest.mark.parametrize("text", ZIG_FUNCTIONS)
def test_a_function_as_zig_fmt_prints_it_is_zig(text: str) -> None:
    assert JUDGES["zig"]([text]) == [None]
    assert takes("zig", "function", text)
    assert laid_out(text, "zig", "function") == text


def test_a_macro_with_a_name_may_stand_before_a_block_in_c() -> None:
    text = "TEST(first) {\n    a();\n}\n\nTEST(second) {}\n"
    assert JUDGES["c"]([text]) == [None]
    assert laid_out(text, "c") == text


@pytest.mark.parametrize("text", C_FUNCTIONS)
def test_a_function_as_people_print_it_is_c(text: str) -> None:
    assert JUDGES["c"]([text]) == [None]
    assert takes("c", "function", text)
    printed = laid_out(text, "c", "function")
    # depth is counted by brackets: a statement that is no block is not indented further
    assert [line.strip() for line in printed.splitlines()] == [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize(
    ("language", "start", "text"),
    [
        ("zig", "expression", "a == b == c"),
        ("zig", "expression", "a +b"),
        ("zig", "type", "*align(a:int:{}) u8"),
        ("zig", "type", "*align(a:b > int:{}) u8"),
        ("zig", "expression", "if (a) b else"),
        ("zig", "expression", "[_]u8{1}.len"),
        ("zig", "statement", "const fn = 1;"),
        ("zig", "statement", "var x: u8;"),
        ("zig", "statement", "x = 1"),
        ("zig", "function", "fn f() void { return; }"),
        ("zig", "function", "fn f() {}"),
        ("zig", "file", "usingnamespace x;\n"),
        ("c", "expression", "a + b = c"),
        ("c", "statement", "do\n    case 1:;\nwhile (a);"),
        ("c", "file", "TEST(a, b) {}\n"),
        ("c", "expression", "a b"),
        ("c", "statement", "int long x;"),
        ("c", "statement", "if (a) else b;"),
        ("c", "statement", "x = 1"),
        ("c", "function", "int f(int x) { return x; }"),
        ("c", "function", "int f(int x,) {}"),
        ("c", "file", "#endif\n"),
        ("c", "file", "#if A ||\n    B\n#endif\n"),
    ],
)
def test_what_is_no_program_or_laid_out_otherwise_is_refused(language: str, start: str, text: str) -> None:
    assert not takes(language, start, text)


@pytest.mark.parametrize(
    ("language", "text", "is_taken"),
    [
        ("zig", 'const std = @import("std");\n', True),
        ("zig", 'const c = @import("c");\n', False),
        ("c", "#include <math.h>\n", False),
        ("c", "#include <stdio.h>\n", True),
    ],
)
def test_what_is_imported_can_be_restricted(language: str, text: str, is_taken: bool) -> None:
    allowed = '"std"' if language == "zig" else '"stdio.h"'
    lowered = lower_grammar(f"%language {language}\n%allow imports {allowed}", None, "grammar", Budget())
    matcher = Matcher(cfg_to_lark(lowered.cfg, Budget()))
    assert (matcher.consume(text.encode()) == len(text) and matcher.can_end()) is is_taken
