"""C: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, number, string, tokens, words

LANGUAGE = Language(
    name="c",
    tokens=tokens(
        "auto break case char const continue default do double else enum extern float for goto if inline int long "
        "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
        "true false bool nullptr constexpr static_assert thread_local typeof typeof_unqual alignas alignof NULL "
        "_Alignas _Alignof _Atomic _BitInt _Bool _Complex _Decimal128 _Decimal32 _Decimal64 _Generic _Imaginary "
        "_Noreturn _Static_assert _Thread_local",
        FUNCTION=words("FUNCTION", "void bool char short int long float double"),
        ARROW="->",
        # `0x1e+5` is one malformed number, so a number does not end in `e`.
        NUMBER=number("[0-9A-Fa-f]*[0-9A-DFa-df]"),
        STRING=string('"', without="?"),
        ASYNC=None,
        CLASS="struct",
        TRY=None,
        CATCH=None,
    ),
    newlines=Newlines.FREE,
    comments=Comments.SLASHES,
    notes={"FUNCTION": f"{Note.TYPE_FIRST}; {Note.BARE_PARAMETERS}"},
)
