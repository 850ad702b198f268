"""Expressions of Lark text: what stands behind the colon of a rule or terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

from maze.errors import LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.pattern.code_points import LAST_CODE_POINT
from maze.grammar.read.lark.source import LarkSource, Refusal
from maze.grammar.read.lark.syntax import (
    CharacterRange,
    Choice,
    Conjunction,
    Expression,
    Negation,
    QuotedText,
    Reference,
    Regex,
    Repetition,
    Schema,
    Sequence,
    Substring,
)
from maze.grammar.read.lark.tokens import LarkToken, tokens_of

MAX_NESTING = 60
"""Deepest nesting of brackets in Lark text, and of templates."""
MAX_REPETITION = 2_000
"""Largest number of repetitions in Lark text, as in GBNF."""

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "\\": "\\", '"': '"'}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_FLAGS = frozenset("imsxu")
_ENDS_A_SEQUENCE = frozenset(("line", "end", "|", "->", ")", "]", "}", "&", ","))


class ExpressionParser:
    """The tokens of Lark text and the expressions among them. Recursive descent, bounded by MAX_NESTING."""

    def __init__(self, source: LarkSource, budget: Budget) -> None:
        self._source = source
        self._tokens = list(tokens_of(source, budget))
        self._at = 0
        self._depth = 0

    # -- tokens

    @property
    def _next(self) -> LarkToken:
        return self._tokens[self._at]

    def _fail(self, problem: str, token: LarkToken | None = None, refusal: Refusal | None = None) -> NoReturn:
        place = (token or self._next).place
        if refusal is None:
            self._source.fail(place, problem)
        self._source.fail(place, problem, refusal)

    def _taken(self) -> LarkToken:
        token = self._next
        self._at += 1
        return token

    def _sign(self, text: str) -> bool:
        """Take a sign if it comes next."""
        if self._next.kind == "sign" and self._next.text == text:
            self._at += 1
            return True
        return False

    def _expect(self, text: str, where: str) -> None:
        if not self._sign(text):
            self._fail(f"{text!r} is expected {where}, and not {shown_token(self._next)}")

    def _name(self, what: str) -> LarkToken:
        if self._next.kind != "name":
            self._fail(f"{what} is expected, and not {shown_token(self._next)}")
        return self._taken()

    def _skip_lines(self) -> None:
        while self._next.kind == "line":
            self._at += 1

    def _refuse_parametric(self, token: LarkToken) -> NoReturn:
        self._fail(
            "rules with `::` are known to the newest engines only; write the rules out for each value",
            token,
            UnsupportedConstraintError,
        )

    # -- expressions

    def _choice(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_NESTING:
            self._fail(f"brackets are nested over {MAX_NESTING} deep, which is the limit", None, LimitExceededError)
        options = [self._conjunction()]
        while self._bar():
            options.append(self._conjunction())
        self._depth -= 1
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _bar(self) -> bool:
        """Take a `|`, which may stand on the next line."""
        before = self._at
        self._skip_lines()
        if self._sign("|"):
            return True
        if self._depth == 1:
            self._at = before
        return False

    def _conjunction(self) -> Expression:
        items = [self._sequence()]
        place = self._next.place
        while self._sign("&"):
            items.append(self._sequence())
        if self._sign("->"):
            self._name("the name of an alias")
        if self._next.text == "%if":
            self._refuse_parametric(self._next)
        return items[0] if len(items) == 1 else Conjunction(tuple(items), place)

    def _sequence(self) -> Expression:
        items: list[Expression] = []
        while True:
            if self._depth > 1:
                self._skip_lines()
            token = self._next
            if (token.text if token.kind == "sign" else token.kind) in _ENDS_A_SEQUENCE or token.text == "%if":
                return items[0] if len(items) == 1 else Sequence(tuple(items))
            items.append(self._repeated())

    def _repeated(self) -> Expression:
        item = self._atom()
        place = self._next.place
        high: int | None
        if self._sign("*"):
            item = Repetition(item, 0, None, place)
        elif self._sign("+"):
            item = Repetition(item, 1, None, place)
        elif self._sign("?"):
            item = Repetition(item, 0, 1, place)
        elif self._next.text == "~" and self._tokens[self._at + 1].kind == "number":
            self._at += 1
            high = low = self._count()
            if self._sign(".."):
                high = self._count()
            item = self._counted(item, low, high, place)
        elif self._sign("{"):
            low = 0 if self._next.text == "," else self._count()
            high = low
            if self._sign(","):
                high = None if self._next.text == "}" else self._count()
            self._expect("}", "after the numbers of a repetition")
            item = self._counted(item, low, high, place)
        if self._next.kind == "sign" and self._next.text in ("*", "+", "?", "{"):
            self._fail("put parentheses around what is to be repeated twice")
        return item

    def _count(self) -> int:
        token = self._next
        if token.kind != "number" or not token.text.isdigit():
            self._fail(f"a number of repetitions is expected, and not {shown_token(token)}")
        self._at += 1
        if len(token.text) > 9 or int(token.text) > MAX_REPETITION:
            self._fail(
                f"something is repeated over {MAX_REPETITION:,} times, which is the limit", token, LimitExceededError
            )
        return int(token.text)

    def _counted(self, item: Expression, low: int, high: int | None, place: int) -> Expression:
        if high is not None and high < low:
            self._source.fail(place, f"at least {low} and at most {high} times cannot be; write ~{high}..{low}")
        return Repetition(item, low, high, place)

    def _atom(self) -> Expression:
        token = self._taken()
        match token.kind, token.text:
            case "sign", "~":
                is_odd = True
                while self._sign("~"):
                    is_odd = not is_odd
                return Negation(self._atom(), token.place) if is_odd else self._atom()
            case "sign", "(":
                inner = self._choice()
                self._close(token, ")")
                return inner
            case "sign", "[":
                inner = self._choice()
                self._close(token, "]")
                return Repetition(inner, 0, 1, token.place)
            case "text", _:
                return self._text(token)
            case "regex", _:
                return self._regex(token)
            case "name", _:
                return self._reference(token)
            case "schema", text:
                return Schema(text, token.place)
            case "regex extension", _:
                return self._substring(token)
            case "directive", "%lark":
                self._fail("write the rules of %lark out beside the others", token, UnsupportedConstraintError)
            case "sign", "*" | "+" | "?" | "{":
                self._fail(f"{token.text!r} has nothing before it to repeat", token)
        self._at -= 1
        return self._fail(
            f"Expected value: a name, a text in quotes, a regular expression or a group, and not {shown_token(token)}"
        )

    def _close(self, opening: LarkToken, sign: str) -> None:
        self._skip_lines()
        if not self._sign(sign):
            if self._next.kind == "end":
                self._fail(f"this {opening.text!r} is never closed", opening)
            self._fail(
                f"{shown_token(self._next)} is not expected here; the {opening.text!r} on line "
                f"{self._source.line(opening.place)} is still to be closed with {sign!r}"
            )

    def _reference(self, token: LarkToken) -> Expression:
        if self._sign("::"):
            self._refuse_parametric(token)
        after = self._tokens[self._at + 1] if self._next.text == "{" else None
        if after is None or after.kind == "number" or after.text == ",":
            return Reference(token.text, None, token.place)
        self._at += 1
        self._depth += 1
        if self._depth > MAX_NESTING:
            self._fail(f"templates are nested over {MAX_NESTING} deep, which is the limit", None, LimitExceededError)
        arguments = [self._atom()]
        while self._sign(","):
            arguments.append(self._atom())
        self._depth -= 1
        self._expect("}", f"after the arguments of the template {token.text!r}")
        return Reference(token.text, tuple(arguments), token.place)

    def _text(self, token: LarkToken) -> Expression:
        text = self._unescaped(token)
        if not self._sign(".."):
            return QuotedText(text, token.text.endswith("i"), token.place)
        if self._next.kind != "text":
            self._fail(f"the last character of a range is expected, and not {shown_token(self._next)}")
        last_token = self._taken()
        last = self._unescaped(last_token)
        if len(text) != 1 or len(last) != 1 or "i" in (token.text[-1], last_token.text[-1]):
            self._fail('a range stands between two single characters, such as "a".."z"', token)
        if last < text:
            self._fail("this range of characters ends before it begins", token)
        return CharacterRange(ord(text), ord(last), token.place)

    def _unescaped(self, token: LarkToken) -> str:
        """What a text in quotes means; a backslash that begins no escape is itself, as Lark reads it."""

        def meaning(found: re.Match[str]) -> str:
            letter, digits = found[1] or found[3], found[2] or ""
            place = token.place + 1 + found.start()
            if letter in _ESCAPES:
                return _ESCAPES[letter]
            if letter in _HEX_DIGITS:
                width = _HEX_DIGITS[letter]
                if len(digits) < width:
                    self._source.fail(place, f"'\\{letter}' needs {width} hexadecimal digits")
                code = int(digits[:width], 16)
                if code > LAST_CODE_POINT or 0xD800 <= code <= 0xDFFF:
                    self._source.fail(place, f"'\\{letter}{digits[:width]}' is no character")
                return chr(code) + digits[width:]
            if letter in _PLAIN_FORM:
                self._source.fail(
                    place, f"'\\{letter}' reads differently in Lark and llguidance; write {_PLAIN_FORM[letter]}"
                )
            return found[0]

        body = token.text.removesuffix("i")[1:-1]
        return re.sub(r"\\(?:([xuU])([0-9A-Fa-f]{0,8})|(.))", meaning, body)

    def _regex(self, token: LarkToken) -> Expression:
        end = token.text.rindex("/")
        flags = frozenset(token.text[end + 1 :])
        body = token.text[1:end]
        if "\n" in body and "x" not in flags:
            self._fail("this regular expression is never closed; without the flag x it ends with its line", token)
        if "l" in flags:
            self._source.fail(
                token.place + end,
                "the flag l is about the machine's language; leave it out",
                UnsupportedConstraintError,
            )
        if unknown := sorted(flags - _FLAGS):
            self._source.fail(token.place + end, f"unknown flag {unknown[0]!r}; the flags are i m s x u")
        return Regex(body, flags, token.place + 1)

    def _substring(self, token: LarkToken) -> Expression:
        wanted = token.value
        splits: dict[str, Callable[[str], list[str]]] = {
            "substring_chars": list,
            "substring_words": lambda text: re.findall(r"\w+|\W", text),
        }
        match wanted:
            case {"substring_chunks": [*pieces]} if len(wanted) == 1 and all(isinstance(each, str) for each in pieces):
                return Substring(tuple(pieces), token.place)
            case dict() if len(wanted) == 1 and (key := next(iter(wanted))) in splits and isinstance(wanted[key], str):
                return Substring(tuple(splits[key](wanted[key])), token.place)
        return self._fail(
            'after %regex stands {"substring_chunks": ["...", ...]}, {"substring_words": "..."} or '
            '{"substring_chars": "..."}',
            token,
        )


_PLAIN_FORM = {"b": "'\\\\b' or '\\u0008'", "/": "'/' or '\\\\/'"}


def shown_token(token: LarkToken) -> str:
    """A token in a message."""
    match token.kind:
        case "line":
            return "the end of the line"
        case "end":
            return "the end of the text"
    return repr(token.text[:40])
