"""Rust: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, string, tokens

LANGUAGE = Language(
    name="rust",
    tokens=tokens(
        "_ abstract as async await become box break const continue crate do dyn else enum extern false final fn for "
        "gen if impl in let loop macro match mod move mut override priv pub ref return self Self static struct super "
        "trait true try type typeof union unsafe unsized use virtual where while yield macro_rules raw safe",
        FUNCTION="fn",
        ARROW="->",
        STRING=string('"'),
        CLASS="struct",
        SWITCH="match",
        CASE=None,
        TRY=None,
        CATCH=None,
    ),
    newlines=Newlines.FREE,
    comments=Comments.SLASHES,
    notes={"FUNCTION": Note.BARE_PARAMETERS},
)
