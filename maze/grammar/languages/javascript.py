"""JavaScript: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, string, tokens

KEYWORDS = (
    "arguments async await break case catch class const continue debugger default delete do else enum eval export "
    "extends false finally for function if implements import in instanceof interface let new null package private "
    "protected public return static super switch this throw true try typeof var void while with yield"
)

LANGUAGE = Language(
    name="javascript",
    tokens=tokens(
        KEYWORDS,
        name=r"[A-Za-z_$][A-Za-z0-9_$]*",
        FUNCTION="function",
        ARROW="=>",
        STRING=string('"', "'"),
    ),
    newlines=Newlines.RESTRICTED,
    comments=Comments.SLASHES,
    notes={},
)
