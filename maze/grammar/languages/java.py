"""Java: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, string, tokens, words

LANGUAGE = Language(
    name="java",
    tokens=tokens(
        "_ abstract assert boolean break byte case catch char class const continue default do double else enum extends "
        "false final finally float for goto if implements import instanceof int interface long native new null package "
        "private protected public return short static strictfp super switch synchronized this throw throws transient "
        "true try void volatile while var yield record sealed permits when",
        FUNCTION=words("FUNCTION", "void boolean byte char short int long float double String"),
        ARROW="->",
        STRING=string('"'),
        ASYNC=None,
    ),
    newlines=Newlines.FREE,
    comments=Comments.SLASHES,
    notes={"FUNCTION": f"{Note.TYPE_FIRST}; {Note.BARE_PARAMETERS}"},
)
