"""Swift: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, string, tokens

LANGUAGE = Language(
    name="swift",
    tokens=tokens(
        "Any Protocol Self Type actor as associatedtype async await borrowing break case catch class consume consuming "
        "continue copy default defer deinit didSet discard do dynamic each else enum extension fallthrough false "
        "fileprivate final for func get guard if import in indirect infix init inout internal is isolated lazy let "
        "macro mutating nil nonisolated nonmutating open operator optional override package postfix precedencegroup "
        "prefix private protocol public repeat required rethrows return self set some static struct subscript super "
        "switch throw throws true try typealias unowned var weak where while willSet _",
        FUNCTION="func",
        ARROW="->",
        STRING=string('"'),
        ASYNC=None,
        TRY="do",
    ),
    newlines=Newlines.SEPARATING,
    comments=Comments.SLASHES,
    notes={"FUNCTION": Note.BARE_PARAMETERS, "RBRACE": Note.LINE_AFTER_BRACE, "IDENTIFIER": Note.WHITE_SPACE},
    spaced_operators=True,
)
