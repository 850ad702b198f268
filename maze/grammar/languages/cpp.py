"""C++: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, number, string, tokens, words

LANGUAGE = Language(
    name="cpp",
    tokens=tokens(
        "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class "
        "compl concept const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype "
        "default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline "
        "int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public "
        "register reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch "
        "template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile "
        "wchar_t while xor xor_eq NULL",
        FUNCTION=words("FUNCTION", "void bool char short int long float double auto"),
        ARROW="->",
        # `0x1e+5` is one malformed number, so a number does not end in `e`.
        NUMBER=number("[0-9A-Fa-f]*[0-9A-DFa-df]"),
        STRING=string('"', without="?"),
        ASYNC=None,
    ),
    newlines=Newlines.FREE,
    comments=Comments.SLASHES,
    notes={"FUNCTION": f"{Note.TYPE_FIRST}; {Note.BARE_PARAMETERS}"},
)
