"""Python: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, string, tokens, words

LANGUAGE = Language(
    name="python",
    tokens=tokens(
        "False None True and as assert async await break class continue def del elif else except finally for from "
        "global if import in is lambda nonlocal not or pass raise return try while with yield __debug__",
        FUNCTION="def",
        ARROW="->",
        STRING=string('"', "'"),
        BOOLEAN=words("BOOLEAN", "True False"),
        CATCH="except",
        SWITCH="match",
    ),
    newlines=Newlines.INDENTING,
    comments=Comments.HASH,
    notes={
        "LBRACE": Note.NO_BLOCKS,
        "SEMICOLON": "a line break is allowed after SEMICOLON, RBRACE and an opening bracket only, and every "
        "statement begins without indentation",
    },
)
