"""TypeScript: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages import javascript
from maze.grammar.languages.language import Comments, Language, Newlines, string, tokens

LANGUAGE = Language(
    name="typescript",
    tokens=tokens(
        javascript.KEYWORDS
        + " abstract any as asserts bigint boolean declare get infer is keyof module namespace never number object "
        "of out override readonly require satisfies set string symbol type undefined unique unknown using "
        "accessor global",
        name=r"[A-Za-z_$][A-Za-z0-9_$]*",
        FUNCTION="function",
        ARROW="=>",
        STRING=string('"', "'"),
    ),
    newlines=Newlines.RESTRICTED,
    comments=Comments.SLASHES,
    notes={},
)
