"""Go: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, string, tokens

LANGUAGE = Language(
    name="go",
    tokens=tokens(
        "break case chan const continue default defer else fallthrough for func go goto if import interface map "
        "package range return select struct switch type var true false nil iota",
        FUNCTION="func",
        ARROW=None,
        STRING=string('"'),
        ASYNC=None,
        CLASS=None,
        WHILE="for",
        TRY=None,
        CATCH=None,
    ),
    newlines=Newlines.SEPARATING,
    comments=Comments.SLASHES,
    notes={"FUNCTION": Note.BARE_PARAMETERS, "RBRACE": Note.LINE_AFTER_BRACE, "IDENTIFIER": Note.WHITE_SPACE},
)
