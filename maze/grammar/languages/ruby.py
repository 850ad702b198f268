"""Ruby: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, string, tokens

LANGUAGE = Language(
    name="ruby",
    tokens=tokens(
        "BEGIN END alias and begin break case class def defined do else elsif end ensure false for if in module next "
        "nil not or redo rescue retry return self super then true undef unless until when while yield __ENCODING__ "
        "__FILE__ __LINE__ __END__ _1 _2 _3 _4 _5 _6 _7 _8 _9 it",
        FUNCTION="def",
        ARROW="->",
        STRING=string('"', without="#"),
        ASYNC=None,
        TRY="begin",
        CATCH="rescue",
        SWITCH="case",
        CASE="when",
    ),
    newlines=Newlines.SEPARATING,
    comments=Comments.HASH,
    notes={"LBRACE": Note.NO_BLOCKS, "IDENTIFIER": f"{Note.NAME_KINDS}constants or variables; {Note.WHITE_SPACE}"},
    spaced_operators=True,
    tight_calls=True,
)
