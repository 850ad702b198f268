"""Zig: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, string, tokens

LANGUAGE = Language(
    name="zig",
    tokens=tokens(
        "_ addrspace align allowzero and anyframe anyopaque anytype asm async await break callconv catch comptime "
        "const continue defer else enum errdefer error export extern false fn for if inline linksection noalias "
        "noinline nosuspend null opaque or orelse packed pub resume return struct suspend switch test threadlocal true "
        "try undefined union unreachable usingnamespace var volatile while bool void type anyerror noreturn isize "
        "usize c_char c_short c_ushort c_int c_uint c_long c_ulong c_longlong c_ulonglong c_longdouble comptime_int "
        "comptime_float f16 f32 f64 f80 f128",
        no_name=r"[iu][0-9]+",
        FUNCTION="fn",
        ARROW="=>",
        STRING=string('"'),
        ASYNC=None,
        CLASS=None,
        CASE=None,
    ),
    newlines=Newlines.FREE,
    comments=Comments.SLASHES_ONLY,
    notes={"FUNCTION": f"functions need a return type, and {Note.BARE_PARAMETERS}"},
)
