"""PHP: its reserved words, its tokens for Braid's token classes, its line breaks and comments."""

from __future__ import annotations

from maze.grammar.languages.language import Comments, Language, Newlines, Note, string, tokens

LANGUAGE = Language(
    name="php",
    tokens=tokens(
        "abstract and array as break callable case catch class clone const continue declare default die do echo else "
        "elseif empty enddeclare endfor endforeach endif endswitch endwhile enum eval exit extends false final finally "
        "fn for foreach from function global goto if implements include include_once instanceof insteadof interface "
        "isset list match namespace new null or parent print private protected public readonly require require_once "
        "return self static switch throw trait true try unset use var while xor yield __halt_compiler __CLASS__ "
        "__DIR__ __FILE__ __FUNCTION__ __LINE__ __METHOD__ __NAMESPACE__ __TRAIT__",
        name=r"\$?[A-Za-z_][A-Za-z0-9_]*",
        FUNCTION="function",
        ARROW="=>",
        STRING=string('"', "'", without="$"),
        ASYNC=None,
    ),
    newlines=Newlines.FREE,
    comments=Comments.SLASHES,
    notes={"IDENTIFIER": f"{Note.NAME_KINDS}names with `$` (variables) or without (functions, classes)"},
    opening="<?php",
)
