"""The token classes of Braid's grammars, and the tokens that each language has for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from maze.grammar.cfg.model import Literal, Pattern, Terminal, escaped

TOKEN_CLASSES = (
    "ARROW",
    "ASYNC",
    "BOOLEAN",
    "CASE",
    "CATCH",
    "CLASS",
    "COLON",
    "COMMA",
    "ELSE",
    "EQUALS",
    "FOR",
    "FUNCTION",
    "IDENTIFIER",
    "IF",
    "LBRACE",
    "LPAREN",
    "MINUS",
    "NUMBER",
    "PLUS",
    "RBRACE",
    "RETURN",
    "RPAREN",
    "SEMICOLON",
    "SLASH",
    "STAR",
    "STRING",
    "SWITCH",
    "TRY",
    "WHILE",
)
"""Every terminal that Braid's builder writes."""


class Newlines(Enum):
    """What a line break between two tokens means in a language."""

    FREE = "white space"
    RESTRICTED = "white space, but not after return or async and not before =>"
    SEPARATING = "the end of a statement, unless the token before it cannot end one"
    INDENTING = "the end of a statement, followed by the indentation of the next"


class Comments(Enum):
    """How a language writes comments."""

    SLASHES = "//"
    """To the end of the line, and `/* */`."""
    SLASHES_ONLY = "// without /* */"
    HASH = "#"


@dataclass(frozen=True, slots=True)
class Language:
    """The lexical facts of a language that a grammar of token classes needs."""

    name: str
    tokens: Mapping[str, Terminal | None]
    """For every one of TOKEN_CLASSES; None where the language has no such token."""
    newlines: Newlines
    comments: Comments
    notes: Mapping[str, str]
    """What a grammar cannot say exactly in this language, by the token class whose use raises the matter."""
    spaced_operators: bool = False
    """White space on both sides of `= + - * /` is demanded, as its presence changes what they mean."""
    tight_calls: bool = False
    """No white space between a name and `(`, as it changes what the parenthesis means."""
    opening: str | None = None
    """A text that may stand before everything else."""

    @property
    def identifier(self) -> Pattern:
        """The terminal for names."""
        terminal = self.tokens["IDENTIFIER"]
        assert isinstance(terminal, Pattern)  # noqa: S101 - true of every entry of LANGUAGES below
        return terminal


# ------------------------------------------------------------------------------------------------ words, not names

_C_KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "true false bool nullptr constexpr static_assert thread_local typeof typeof_unqual alignas alignof NULL _Alignas "
    "_Alignof _Atomic _BitInt _Bool _Complex _Decimal128 _Decimal32 _Decimal64 _Generic _Imaginary _Noreturn "
    "_Static_assert _Thread_local"
)
_CPP_KEYWORDS = (
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class "
    "compl concept const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype "
    "default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline int "
    "long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register "
    "reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch template "
    "this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t "
    "while xor xor_eq NULL"
)
_JAVASCRIPT_KEYWORDS = (
    "arguments async await break case catch class const continue debugger default delete do else enum eval export "
    "extends false finally for function if implements import in instanceof interface let new null package private "
    "protected public return static super switch this throw true try typeof var void while with yield"
)
_JAVA_KEYWORDS = (
    "_ abstract assert boolean break byte case catch char class const continue default do double else enum extends "
    "false final finally float for goto if implements import instanceof int interface long native new null package "
    "private protected public return short static strictfp super switch synchronized this throw throws transient true "
    "try void volatile while var yield record sealed permits when"
)
_CSHARP_KEYWORDS = (
    "abstract as async await base bool break byte case catch char checked class const continue decimal default "
    "delegate do double else enum event explicit extern false finally fixed float for foreach goto if implicit in int "
    "interface internal is lock long namespace new null object operator out override params private protected public "
    "readonly ref return sbyte sealed short sizeof stackalloc static string struct switch this throw true try typeof "
    "uint ulong unchecked unsafe ushort using var virtual void volatile while yield record scoped file required "
    "partial when where nameof global extension field"
)
_KEYWORDS = {
    "c": _C_KEYWORDS,
    "cpp": _CPP_KEYWORDS,
    "csharp": _CSHARP_KEYWORDS,
    "go": (
        "break case chan const continue default defer else fallthrough for func go goto if import interface map "
        "package range return select struct switch type var true false nil iota"
    ),
    "java": _JAVA_KEYWORDS,
    "javascript": _JAVASCRIPT_KEYWORDS,
    "kotlin": (
        "as break class continue do else false for fun if in interface is null object package return super this throw "
        "true try typealias typeof val var when while suspend import catch finally get set by"
    ),
    "php": (
        "abstract and array as break callable case catch class clone const continue declare default die do echo else "
        "elseif empty enddeclare endfor endforeach endif endswitch endwhile enum eval exit extends false final "
        "finally fn for foreach from function global goto if implements include include_once instanceof insteadof "
        "interface isset list match namespace new null or parent print private protected public readonly require "
        "require_once return self static switch throw trait true try unset use var while xor yield __halt_compiler "
        "__CLASS__ __DIR__ __FILE__ __FUNCTION__ __LINE__ __METHOD__ __NAMESPACE__ __TRAIT__"
    ),
    "python": (
        "False None True and as assert async await break class continue def del elif else except finally for from "
        "global if import in is lambda nonlocal not or pass raise return try while with yield __debug__"
    ),
    "ruby": (
        "BEGIN END alias and begin break case class def defined do else elsif end ensure false for if in module next "
        "nil not or redo rescue retry return self super then true undef unless until when while yield __ENCODING__ "
        "__FILE__ __LINE__ __END__ _1 _2 _3 _4 _5 _6 _7 _8 _9 it"
    ),
    "rust": (
        "_ abstract as async await become box break const continue crate do dyn else enum extern false final fn for "
        "gen if impl in let loop macro match mod move mut override priv pub ref return self Self static struct super "
        "trait true try type typeof union unsafe unsized use virtual where while yield macro_rules raw safe"
    ),
    "swift": (
        "Any Protocol Self Type actor as associatedtype async await borrowing break case catch class consume "
        "consuming continue copy default defer deinit didSet discard do dynamic each else enum extension fallthrough "
        "false fileprivate final for func get guard if import in indirect infix init inout internal is isolated lazy "
        "let macro mutating nil nonisolated nonmutating open operator optional override package postfix "
        "precedencegroup prefix private protocol public repeat required rethrows return self set some static struct "
        "subscript super switch throw throws true try typealias unowned var weak where while willSet _"
    ),
    "typescript": (
        _JAVASCRIPT_KEYWORDS
        + " abstract any as asserts bigint boolean declare get infer is keyof module namespace never "
        "number object of out override readonly require satisfies set string symbol type undefined unique unknown "
        "using accessor global"
    ),
    "zig": (
        "_ addrspace align allowzero and anyframe anyopaque anytype asm async await break callconv catch comptime "
        "const continue defer else enum errdefer error export extern false fn for if inline linksection noalias "
        "noinline nosuspend null opaque or orelse packed pub resume return struct suspend switch test threadlocal "
        "true try undefined union unreachable usingnamespace var volatile while bool void type anyerror noreturn "
        "isize usize c_char c_short c_ushort c_int c_uint c_long c_ulong c_longlong c_ulonglong c_longdouble "
        "comptime_int comptime_float f16 f32 f64 f80 f128"
    ),
}
"""Reserved words, and words whose meaning depends on the place, which a grammar of tokens cannot know."""

_PLAIN_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PRIMITIVE_NUMBER_NAME = {"zig": r"[iu][0-9]+"}
"""Names that only look like names."""


def _identifier(language: str, name: str = _PLAIN_NAME) -> Pattern:
    words = "|".join(sorted(_KEYWORDS[language].split()))
    primitive = _PRIMITIVE_NUMBER_NAME.get(language)
    return Pattern("IDENTIFIER", (name,), (words,) if primitive is None else (words, primitive))


# ------------------------------------------------------------------------------------------------ numbers and texts

_INTEGER = r"(0|[1-9][0-9]*)"
_DECIMAL = rf"{_INTEGER}(\.[0-9]+)?([eE][+\-]?[0-9]+)?"
_HEXADECIMAL = r"0x[0-9A-Fa-f]+"


_HEXADECIMAL_IN_C = r"0x[0-9A-Fa-f]*[0-9A-DFa-df]"
"""`0x1e+5` is one malformed number in C and C++, so a number does not end in `e`."""

_BEYOND_ASCII = "\u00a1-\u1fff\u2070-\ud7ff\uf900-\ufdcf\U00010000-\U0001fffd"
"""Printable characters; without line separators and marks of direction, which some languages forbid in texts."""


def printable(without: str) -> str:
    """A class of the characters that every language takes in texts and comments, but for `without`."""
    plain = "".join(map(chr, range(ord(" "), ord("~") + 1)))
    return f"[{escaped(''.join(c for c in plain if c not in without))}{_BEYOND_ASCII}]"


def _string(*quotes: str, without: str = "") -> Pattern:
    """Texts on one line in any of the quotes; `without` lists characters that would begin an interpolation."""
    forms = []
    for quote in quotes:
        plain = printable(quote + "\\" + without)
        # In PHP, as in other languages with interpolation, single quotes know two escapes only.
        special = rf"{quote}\\" if quote == "'" and without else rf"nrt{quote}\\{without}"
        forms.append(rf"{quote}({plain}|\\[{special}])*{quote}")
    return Pattern("STRING", ("|".join(forms),))


# ------------------------------------------------------------------------------------------------ the languages

_SAME_EVERYWHERE: dict[str, Terminal | None] = {
    "COLON": Literal(":"),
    "COMMA": Literal(","),
    "EQUALS": Literal("="),
    "LBRACE": Literal("{"),
    "LPAREN": Literal("("),
    "MINUS": Literal("-"),
    "PLUS": Literal("+"),
    "RBRACE": Literal("}"),
    "RPAREN": Literal(")"),
    "SEMICOLON": Literal(";"),
    "SLASH": Literal("/"),
    "STAR": Literal("*"),
}


def _tokens(
    language: str,
    function: str | Pattern,
    arrow: str | None,
    *,
    string: Pattern,
    hexadecimal: str = _HEXADECIMAL,
    name: str = _PLAIN_NAME,
    **words: str | None,
) -> dict[str, Terminal | None]:
    """All token classes; `words` are the keywords that differ from the lower-case name of their class."""
    tokens = dict(_SAME_EVERYWHERE)
    tokens["FUNCTION"] = Literal(function) if isinstance(function, str) else function
    tokens["ARROW"] = None if arrow is None else Literal(arrow)
    tokens["BOOLEAN"] = Pattern("BOOLEAN", (words.pop("boolean", None) or "true|false",))
    tokens["IDENTIFIER"] = _identifier(language, name)
    tokens["NUMBER"] = Pattern("NUMBER", (f"{_DECIMAL}|{hexadecimal}",))
    tokens["STRING"] = string
    for keyword in ("async", "case", "catch", "class", "else", "for", "if", "return", "switch", "try", "while"):
        word = words.pop(keyword + "_", keyword)
        tokens[keyword.upper()] = None if word is None else Literal(word)
    return tokens


def _return_type(names: str) -> Pattern:
    return Pattern("FUNCTION", (names.replace(" ", "|"),))


_TYPE_FIRST = "functions have no keyword: FUNCTION is read as a return type, one of the built-in type names"
_BARE_PARAMETERS = "parameters and variables need types that a grammar of token classes cannot ask for"
_NO_BLOCKS = (
    "braces do not enclose statements in this language: what the grammar puts between LBRACE and RBRACE as a block is "
    "not a block to its parser"
)
_NAME_KINDS = "IDENTIFIER is any name: a grammar of token classes cannot ask for "
_WHITE_SPACE = "a line break is allowed only where it cannot end a statement"
_LINE_AFTER_BRACE = "a statement that follows RBRACE must begin on a new line; elsewhere " + _WHITE_SPACE

LANGUAGES: Mapping[str, Language] = {
    language.name: language
    for language in (
        Language(
            "typescript",
            _tokens("typescript", "function", "=>", string=_string('"', "'"), name=r"[A-Za-z_$][A-Za-z0-9_$]*"),
            Newlines.RESTRICTED,
            Comments.SLASHES,
            {},
        ),
        Language(
            "javascript",
            _tokens("javascript", "function", "=>", string=_string('"', "'"), name=r"[A-Za-z_$][A-Za-z0-9_$]*"),
            Newlines.RESTRICTED,
            Comments.SLASHES,
            {},
        ),
        Language(
            "python",
            _tokens(
                "python",
                "def",
                "->",
                string=_string('"', "'"),
                boolean="True|False",
                catch_="except",
                switch_="match",
            ),
            Newlines.INDENTING,
            Comments.HASH,
            {
                "LBRACE": _NO_BLOCKS,
                "SEMICOLON": "a line break is allowed after SEMICOLON, RBRACE and an opening bracket only, and every "
                "statement begins without indentation",
            },
        ),
        Language(
            "rust",
            _tokens(
                "rust",
                "fn",
                "->",
                string=_string('"'),
                class_="struct",
                switch_="match",
                case_=None,
                try_=None,
                catch_=None,
            ),
            Newlines.FREE,
            Comments.SLASHES,
            {"FUNCTION": _BARE_PARAMETERS},
        ),
        Language(
            "go",
            _tokens(
                "go",
                "func",
                None,
                string=_string('"'),
                async_=None,
                class_=None,
                while_="for",
                try_=None,
                catch_=None,
            ),
            Newlines.SEPARATING,
            Comments.SLASHES,
            {"FUNCTION": _BARE_PARAMETERS, "RBRACE": _LINE_AFTER_BRACE, "IDENTIFIER": _WHITE_SPACE},
        ),
        Language(
            "java",
            _tokens(
                "java",
                _return_type("void boolean byte char short int long float double String"),
                "->",
                string=_string('"'),
                async_=None,
            ),
            Newlines.FREE,
            Comments.SLASHES,
            {"FUNCTION": f"{_TYPE_FIRST}; {_BARE_PARAMETERS}"},
        ),
        Language(
            "c",
            _tokens(
                "c",
                _return_type("void bool char short int long float double"),
                "->",
                string=_string('"', without="?"),
                hexadecimal=_HEXADECIMAL_IN_C,
                async_=None,
                class_="struct",
                try_=None,
                catch_=None,
            ),
            Newlines.FREE,
            Comments.SLASHES,
            {"FUNCTION": f"{_TYPE_FIRST}; {_BARE_PARAMETERS}"},
        ),
        Language(
            "cpp",
            _tokens(
                "cpp",
                _return_type("void bool char short int long float double auto"),
                "->",
                string=_string('"', without="?"),
                hexadecimal=_HEXADECIMAL_IN_C,
                async_=None,
            ),
            Newlines.FREE,
            Comments.SLASHES,
            {"FUNCTION": f"{_TYPE_FIRST}; {_BARE_PARAMETERS}"},
        ),
        Language(
            "csharp",
            _tokens(
                "csharp",
                _return_type("void bool byte char short int long float double decimal string object"),
                "=>",
                string=_string('"'),
            ),
            Newlines.FREE,
            Comments.SLASHES,
            {"FUNCTION": f"{_TYPE_FIRST}; {_BARE_PARAMETERS}"},
        ),
        Language(
            "kotlin",
            _tokens(
                "kotlin",
                "fun",
                "->",
                string=_string('"', without="$"),
                async_="suspend",
                switch_="when",
                case_=None,
            ),
            Newlines.SEPARATING,
            Comments.SLASHES,
            {"FUNCTION": _BARE_PARAMETERS, "RBRACE": _LINE_AFTER_BRACE, "IDENTIFIER": _WHITE_SPACE},
        ),
        Language(
            "zig",
            _tokens("zig", "fn", "=>", string=_string('"'), async_=None, class_=None, case_=None),
            Newlines.FREE,
            Comments.SLASHES_ONLY,
            {"FUNCTION": f"functions need a return type, and {_BARE_PARAMETERS}"},
        ),
        Language(
            "php",
            _tokens(
                "php",
                "function",
                "=>",
                string=_string('"', "'", without="$"),
                async_=None,
                name=r"\$?[A-Za-z_][A-Za-z0-9_]*",
            ),
            Newlines.FREE,
            Comments.SLASHES,
            {"IDENTIFIER": _NAME_KINDS + "names with `$` (variables) or without (functions, classes)"},
            opening="<?php",
        ),
        Language(
            "ruby",
            _tokens(
                "ruby",
                "def",
                "->",
                string=_string('"', without="#"),
                async_=None,
                try_="begin",
                catch_="rescue",
                switch_="case",
                case_="when",
            ),
            Newlines.SEPARATING,
            Comments.HASH,
            {
                "LBRACE": _NO_BLOCKS,
                "IDENTIFIER": _NAME_KINDS + f"constants or variables; {_WHITE_SPACE}",
            },
            spaced_operators=True,
            tight_calls=True,
        ),
        Language(
            "swift",
            _tokens("swift", "func", "->", string=_string('"'), async_=None, try_="do"),
            Newlines.SEPARATING,
            Comments.SLASHES,
            {"FUNCTION": _BARE_PARAMETERS, "RBRACE": _LINE_AFTER_BRACE, "IDENTIFIER": _WHITE_SPACE},
            spaced_operators=True,
        ),
    )
}
"""The languages that Clew knows, by its names for them."""

ALIASES: Mapping[str, str] = {
    "c#": "csharp",
    "c++": "cpp",
    "cs": "csharp",
    "golang": "go",
    "js": "javascript",
    "kt": "kotlin",
    "py": "python",
    "python3": "python",
    "rb": "ruby",
    "rs": "rust",
    "ts": "typescript",
}
"""Other names that callers use."""


def find_language(name: str | None) -> Language | None:
    """The language of that name or alias, in upper or lower case; None if there is none."""
    key = (name or "").strip().lower()
    return LANGUAGES.get(ALIASES.get(key, key))
