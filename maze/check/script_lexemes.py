"""The tokens of JavaScript and TypeScript, where a slash may begin a pattern and a line break end a statement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maze.check.lexemes import Lexeme

_NEW_LINE = re.compile(r"[\n\r\u2028\u2029]")
_TEMPLATE = r"(?:[^`\\$]|\\.|\$(?!\{))*(?:`|\$\{)"
_PIECE = re.compile(
    r"(?P<blank>[\t\v\f\n\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+"
    r"|//[^\n\r\u2028\u2029]*|/\*.*?\*/)"
    r"|(?P<literal>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
    r"|0[xXoObB]\w+|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+\-]?[0-9_]+)?n?)"
    rf"|(?P<template>`{_TEMPLATE})"
    r"|(?P<word>\#?(?:[\w$\u200c\u200d]|\\u[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]+\})+)"
    r"|(?P<sign>>>>=|>>>|>>=|>>|<<=|<<|===|!==|==|!=|<=|>=|=>|&&=|\|\|=|\?\?=|&&|\|\||\?\?|\?\.(?![0-9])|\+\+|--"
    r"|\*\*=|\*\*|\.\.\.|[-+*/%&|^]=|<!--|.)",
    re.DOTALL,
)
_REST = re.compile(r"\}" + _TEMPLATE, re.DOTALL)
_REGEX = re.compile(r"/(?:[^/\\\[\n\r]|\\.|\[(?:[^\]\\\n\r]|\\.)*\])+/\w*")
_BEFORE_VALUES = frozenset(
    ("return", "typeof", "instanceof", "in", "new", "delete", "void", "throw", "case", "do", "else", "default")
)
"""Words behind which a slash begins a regular expression."""
_EITHER = frozenset(("}", "of", "await", "yield"))
"""Behind which a slash is one or the other, as only a parser knows."""
_STAYING = frozenset(("return", "break", "continue", "throw", "yield"))
"""Behind which a line break counts."""
_STAYING_BEFORE_WORDS = frozenset(
    ("async", "type", "abstract", "declare", "namespace", "module", "interface", "asserts", "readonly",
     "accessor", "keyof", "unique", "infer", "override", "public", "private", "protected", "using")
)  # fmt: skip
"""Words that are names where a line ends behind them, and else say what follows."""
_STAYING_ON_LINE = frozenset(("++", "--", "=>", "!", "as", "satisfies", "is"))
"""Before which a line break counts."""
_NOTHING_ENDS_WITH = frozenset(("", "{", ";", ":"))
"""Behind which something new begins, on whatever line."""
_GOES_ON = frozenset("([`*/%,.?:=&|^<>+-")
"""What a statement may go on with, so that no semicolon is meant before it."""
_NO_TYPE_YET = frozenset(
    ("keyof", "typeof", "infer", "readonly", "unique", "extends", "is", "asserts", "new", "abstract", "import")
)
"""Words behind which a type is still to come."""
_NO_NAME_OF_A_TYPE = frozenset(
    (
        "this",
        "super",
        "null",
        "true",
        "false",
        "new",
        "typeof",
        "void",
        "delete",
        "await",
        "yield",
        "in",
        "instanceof",
        "as",
    )
)
"""Words after which `<` compares, or begins no list of types."""
_BEFORE_TYPES = frozenset((("type", "="), ("const", ":"), ("let", ":"), ("var", ":")))
"""What stands around a name before a brace that begins a type."""
_NAME = re.compile(r"[A-Za-z_$][\w$]*")


class UnclearError(Exception):
    """What a text means is not told by its tokens. `offset` is the place."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def script_lexemes(text: str) -> Iterator[Lexeme]:
    """The tokens of a program. Raises UnclearError."""
    braces: list[int] = []  # for each template that code stands in, how many braces are open in that code
    heads: list[bool] = []  # for each parenthesis that is open, whether it is the head of a statement
    before: list[str] = ["", ""]
    divides = is_first = False
    at = len(found[0]) if (found := re.match(r"#![^\n\r\u2028\u2029]*", text)) else 0
    while at < len(text):
        rest = _REST.match(text, at) if braces and not braces[-1] else None
        found = rest or _PIECE.match(text, at)
        if found is None:
            raise UnclearError(at)
        piece = found[0]
        if found.lastgroup == "blank":
            is_first = is_first or _NEW_LINE.search(piece) is not None
            at = found.end()
            continue
        if piece == "<!--" or (piece == "--" and is_first and text.startswith(">", found.end())):
            raise UnclearError(at)  # in a script that is a comment
        if rest:
            braces.pop()
        if piece in ("/", "/=") and not divides:
            if before[-1] in _EITHER and before[-2] not in (".", "?."):
                raise UnclearError(at)
            found = _REGEX.match(text, at)
            if found is None:
                raise UnclearError(at)
            piece = found[0]
        yield Lexeme(piece, at, is_first)
        at, is_first = found.end(), False
        kind = "literal" if found.re is _REGEX or (rest and piece.endswith("`")) else found.lastgroup
        is_property = before[-1] in (".", "?.")
        ends = divides  # whether a value ended before this token
        if kind in ("template", None) and piece.endswith("${"):
            braces.append(0)
            divides = False
        elif kind in ("literal", "template", None):
            divides = True
        elif kind == "word":
            divides = is_property or piece not in _BEFORE_VALUES | _EITHER
        elif piece == "(":
            heads.append(before[-1] in ("if", "while", "for", "with") and before[-2] not in (".", "?."))
            divides = False
        elif piece == ")":
            divides = not (heads and heads.pop())
        elif piece in ("++", "--", "!"):
            divides = ends
        else:
            divides = piece == "]"
        if braces and kind == "sign":
            braces[-1] += (piece == "{") - (piece == "}")
        before = [before[-1], piece]


def difference_of_scripts(text: str, printed: str) -> int | None:
    """Where in `text` another program begins than in `printed`, in which the semicolons that were meant may stand.

    None if there is none. Raises UnclearError.
    """
    wanted, got = list(script_lexemes(text)), list(script_lexemes(printed))
    end = Lexeme("", len(text), is_first=True)
    members = set(_members_of_types(wanted))
    place = 0
    for number, token in enumerate([*wanted, end]):
        before = wanted[number - 1].text if number else ""
        is_ended = False
        if place < len(got) and got[place].text == ";" != token.text:
            if number not in members and not _ends_here(wanted, number, token, before):
                return token.offset
            place, is_ended = place + 1, True
        if token is end:
            break
        if place < len(got) and _is_parted(wanted, number, got[place].text):
            got[place : place + 1] = [Lexeme(">", got[place].offset)] * len(got[place].text)
        if place == len(got) or got[place].text != token.text:
            return token.offset
        stays = _line_counts(wanted, number)
        if stays and token.is_first != (is_ended or got[place].is_first):
            return token.offset
        place += 1
    return None if place == len(got) else len(text)


def _is_parted(wanted: Sequence[Lexeme], number: int, text: str) -> bool:
    """Whether several `>` end lists of types, as no operand follows them."""
    ends = [each.text for each in wanted[number : number + len(text)]]
    behind = "".join(each.text for each in wanted[number + len(text) : number + len(text) + 1])
    if len(text) < 2 or not ends == [">"] * len(text) == list(text):
        return False
    return not re.match(r"[\w$\"'`(#]", behind) or (behind == "(" and _are_lists_of_types(wanted, number, len(text)))


def _are_lists_of_types(tokens: Sequence[Lexeme], number: int, count: int) -> bool:
    """Whether the `>` from `number` on close as many `<`, with names between that no comparison has there."""
    for at in reversed(range(number)):
        text, before = tokens[at].text, tokens[at - 1].text if at else ""
        if text == "<":
            if not _NAME.fullmatch(before) or before in _NO_NAME_OF_A_TYPE:
                return False
            count -= 1
            if not count:
                return True
        elif text == ">":
            count += 1
        elif text not in (",", ".") and (not _NAME.fullmatch(text) or text in _NO_NAME_OF_A_TYPE):
            return False
    return False


@dataclass(slots=True)
class _Bracket:
    """One that is open in a body of types."""

    sign: str
    before: str
    """What stood before it."""
    has_type: bool = False
    """Whether the type of the member that was begun in it was, too."""


def _members_of_types(tokens: Sequence[Lexeme]) -> Iterator[int]:
    """Where a line of an object type begins another member by a bracket: no type goes on with one on another line."""
    opened: list[_Bracket] = []
    awaited = False  # whether the next brace begins a body of types
    closed = _Bracket("", "")  # which ended last
    before = Lexeme("", 0)
    for number, token in enumerate(tokens):
        text = token.text
        follows_name = _NAME.fullmatch(text) is not None and not token.is_first
        awaited = awaited or (follows_name and before.text == "interface")
        head = (
            tuple(each.text for each in tokens[max(number - 3, 0) : number : 2])
            if text == "{" and not tokens[number - 2].is_first
            else ()
        )
        awaited = awaited or head in _BEFORE_TYPES
        if not opened and not (awaited and text == "{"):
            before = token
            continue
        awaited = False
        if opened and text == "=" and opened[-1].sign != "<":
            return  # an initial value, in which there may be statements
        if opened and opened[-1].sign == "{":
            has_ended = _ends_a_type(before.text, closed)
            if token.is_first and has_ended and re.match(r"[\w$#\"'\[(<]", text):
                if opened[-1].has_type and text in ("(", "[", "<"):
                    yield number
                opened[-1].has_type = False
            opened[-1].has_type = (opened[-1].has_type or text == ":") and text not in (";", ",")
        if text in ("(", "[", "{", "<"):
            opened.append(_Bracket(text, before.text))
        elif text in (")", "]", "}") or text.startswith(">"):
            for sign in text.rstrip("="):
                if not opened or opened[-1].sign + sign not in ("()", "[]", "{}", "<>"):
                    return
                closed = opened.pop()
        before = token


def _ends_a_type(text: str, closed: _Bracket) -> bool:
    """Whether a type may be complete with a token; `closed` is the bracket that it closes, if it is one."""
    if text.startswith(">"):
        return _NAME.fullmatch(closed.before) is not None and closed.before not in _NO_TYPE_YET
    return text not in _NO_TYPE_YET and re.match(r"[\w$\"'`)\]}]", text) is not None


def _line_counts(tokens: Sequence[Lexeme], number: int) -> bool:
    """Whether a line break before a token makes another program."""
    token = tokens[number].text
    before = tokens[number - 1].text if number else ""
    is_property = number > 1 and tokens[number - 2].text in (".", "?.")
    if is_property or token in (";", "}", ")", "]", ",", ":", "="):
        return False
    if before in _NOTHING_ENDS_WITH:
        return False
    is_word = re.match(r"[\w$#\"'{\[*]", token) is not None
    return before in _STAYING or token in _STAYING_ON_LINE or (before in _STAYING_BEFORE_WORDS and is_word)


def _ends_here(tokens: Sequence[Lexeme], number: int, token: Lexeme, before: str) -> bool:
    """Whether a program that has no semicolon before a token means one, as the language says."""
    if token.text in ("", "}"):
        return True
    if not token.is_first:
        return before == ")"  # behind `do ... while (...)`
    if _line_counts(tokens, number) or before in _STAYING:
        return True
    if token.text == "[" and [each.text for each in tokens[number + 2 : number + 3]] in ([":"], ["in"]):
        return True  # `[key: string]`, which no expression is
    return token.text[0] not in _GOES_ON and token.text not in ("in", "instanceof")
