"""C#: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, string, tokens, words

LANGUAGE = Language(
    name="csharp",
    tokens=tokens(
        "abstract as async await base bool break byte case catch char checked class const continue decimal default "
        "delegate do double else enum event explicit extern false finally fixed float for foreach goto if implicit in "
        "int interface internal is lock long namespace new null object operator out override params private protected "
        "public readonly ref return sbyte sealed short sizeof stackalloc static string struct switch this throw true "
        "try typeof uint ulong unchecked unsafe ushort using var virtual void volatile while yield record scoped file "
        "required partial when where nameof global extension field",
        FUNCTION=words("FUNCTION", "void bool byte char short int long float double decimal string object"),
        ARROW="=>",
        STRING=string('"'),
    ),
    newlines=Newlines.FREE,
    comments=Comments.SLASHES,
    notes={"FUNCTION": f"{Note.TYPE_FIRST}; {Note.BARE_PARAMETERS}"},
)
