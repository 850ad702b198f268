"""Kotlin: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, string, tokens

LANGUAGE = Language(
    name="kotlin",
    tokens=tokens(
        "as break class continue do else false for fun if in interface is null object package return super this throw "
        "true try typealias typeof val var when while suspend import catch finally get set by",
        FUNCTION="fun",
        ARROW="->",
        STRING=string('"', without="$"),
        ASYNC="suspend",
        SWITCH="when",
        CASE=None,
    ),
    newlines=Newlines.SEPARATING,
    comments=Comments.SLASHES,
    notes={"FUNCTION": Note.BARE_PARAMETERS, "RBRACE": Note.LINE_AFTER_BRACE, "IDENTIFIER": Note.WHITE_SPACE},
)
