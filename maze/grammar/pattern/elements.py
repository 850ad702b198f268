"""The elements of regular expressions that stand for one character: escapes and classes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from maze.grammar.budget import Budget
from maze.grammar.pattern.code_points import (
    ANY,
    DIGIT,
    HORIZONTAL_SPACE,
    LAST_CODE_POINT,
    LINE_TERMINATORS,
    POSIX_CLASSES,
    SPACE,
    WORD,
    Ranges,
    characters,
    complement,
    ignoring_case,
    intersection,
    is_single,
    single,
    union,
)
from maze.grammar.pattern.source import Source
from maze.grammar.pattern.tree import Chars
from maze.grammar.pattern.unicode_property import code_points_of

_SIMPLE_ESCAPES = {"t": 0x09, "n": 0x0A, "r": 0x0D, "f": 0x0C, "v": 0x0B, "a": 0x07, "e": 0x1B}


class ElementParser:
    """Reads them in one pattern, which is `body` in its source; `self._at` is where it reads."""

    class_escapes: Mapping[str, Ranges] = {"d": DIGIT, "w": WORD, "s": SPACE, "h": HORIZONTAL_SPACE}
    has_extensions = True
    """Whether it may have what ECMAScript has not: `\\Q..\\E`, possessive quantifiers."""

    def __init__(self, body: str, source: Source, budget: Budget, flags: frozenset[str] = frozenset()) -> None:
        self._budget = budget
        self._body = body
        self._source = source
        self._at = 0
        self._quoted_end = 0
        """Where the text after the last `\\Q` ends."""
        self._flags = flags

    def _peek(self, text: str) -> bool:
        return self._body.startswith(text, self._at)

    def _is_quoted(self) -> bool:
        r"""Whether the character that stands here is meant as it is. Steps over `\Q` and `\E`."""
        while self._at >= self._quoted_end and self.has_extensions:
            if self._peek("\\Q"):
                end = self._body.find("\\E", self._at)
                self._quoted_end = len(self._body) if end < 0 else end
                self._at += 2
            elif self._peek("\\E"):
                self._at += 2
            else:
                return False
        return self._at < self._quoted_end

    def _match(self, regex: str, at: int | None = None) -> re.Match[str] | None:
        return re.compile(regex).match(self._body, self._at if at is None else at)

    def _dot(self) -> Ranges:
        return ANY if "s" in self._flags else complement(LINE_TERMINATORS)

    def _weighed(self, ranges: Ranges) -> tuple[Chars, int]:
        """A set of characters, and its size: one with many ranges is as much work as many small ones."""
        self._budget.spend(len(ranges))
        return Chars(ranges), 1 + len(ranges) // 16

    def _chars(self, ranges: Ranges) -> Chars:
        return Chars(self._folded(ranges))

    def _folded(self, ranges: Ranges) -> Ranges:
        """The set, with the other cases of its letters where case is ignored."""
        if "i" not in self._flags:
            return ranges
        self._budget.spend(10 if ranges and ranges[-1][1] < 0x80 else 50 + 2 * len(ranges))
        return ignoring_case(ranges)

    def _char_escape(self, at: int) -> Ranges:
        """The set for an escape inside or outside a class; `self._at` stands after the backslash."""
        letter = self._body[self._at]
        self._at += 1
        if letter in _SIMPLE_ESCAPES:
            return single(_SIMPLE_ESCAPES[letter])
        if letter.lower() in self.class_escapes:
            ranges = self.class_escapes[letter.lower()]
            return ranges if letter.islower() else complement(ranges)
        if letter in "pP":
            return self._property(at, negated=letter == "P")
        if letter == "0":
            if self._match(r"\d"):
                self._source.invalid("an octal escape reads differently everywhere", at, "write \\x..")
            return single(0)
        if letter in "xuU":
            return self._code_point(letter, at)
        if letter == "c":
            control = self._body[self._at : self._at + 1]
            if not (control.isascii() and control.isalpha()):
                self._source.invalid("\\c needs a letter", at, "write \\x.. for a control character")
            self._at += 1
            return single(ord(control) & 0x1F)
        if letter.isascii() and letter.isalnum():
            self._source.invalid(f"unknown escape \\{letter}", at, f"write {letter} for the character")
        return single(ord(letter))

    def _code_point(self, letter: str, at: int) -> Ranges:
        digits = {"x": r"([0-9A-Fa-f]{2})", "u": r"([0-9A-Fa-f]{4})", "U": r"([0-9A-Fa-f]{8})"}[letter]
        found = self._match(rf"\{{([0-9A-Fa-f]{{1,8}})\}}|{digits}")
        if found is None:
            self._source.invalid(f"\\{letter} needs hexadecimal digits", at, "write \\x41, \\u0041 or \\u{1F600}")
        self._at = found.end()
        value = int(found[1] or found[2], 16)
        if 0xD800 <= value <= 0xDBFF:
            low = self._match(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")
            if low:
                self._at = low.end()
                value = 0x10000 + ((value - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
        if value > LAST_CODE_POINT or 0xD800 <= value <= 0xDFFF:
            self._source.invalid(
                f"U+{value:04X} is not a character", at, "the last one is U+10FFFF, without surrogates"
            )
        return single(value)

    def _property(self, at: int, *, negated: bool) -> Ranges:
        found = self._match(r"\{(\^?)([^{}]*)\}|([A-Z])")
        if found is None:
            self._source.invalid("\\p needs a property in braces", at, "write \\p{L}")
        self._at = found.end()
        name = found[3] or found[2]
        ranges = ANY if name == "Any" else code_points_of(name, self._budget)
        if ranges is None:
            self._source.unsupported(
                f"Unicode property {name!r}",
                at,
                "is not known; there are categories (\\p{L}), scripts (\\p{Greek}) and properties (\\p{Alphabetic})",
            )
        return complement(ranges) if negated != bool(found[1]) else ranges

    # -- classes

    def _class(self, at: int) -> Ranges:
        negated = self._peek("^")
        if negated:
            self._at += 1
        if self._peek("]"):
            self._source.invalid("a ] right after the [ reads differently everywhere", self._at, "write \\]")
        members: list[Ranges] = []
        while True:
            quoted = self._is_quoted()
            if self._at >= len(self._body):
                self._source.invalid(
                    "missing ] for the class that begins", at, "close it, or write \\[ for the character"
                )
            if not quoted and self._peek("]"):
                self._at += 1
                break
            member_at = self._at
            member = self._class_member()
            # A hyphen is a range only between two characters; beside \w or at an end it is itself.
            if not self._is_quoted() and self._peek("-") and not self._peek("-]") and is_single(member):
                self._at += 1
                self._is_quoted()
                if self._at >= len(self._body):
                    self._source.invalid(
                        "missing ] for the class that begins", at, "close it, or write \\[ for the character"
                    )
                last = self._class_member()
                if is_single(last):
                    if last[0][0] < member[0][0]:
                        self._source.invalid(
                            "the range is the wrong way round", member_at, "write the smaller character first"
                        )
                    members.append(intersection(((member[0][0], last[0][0]),), ANY))
                    continue
                members.extend((characters("-"), last))
            members.append(member)
        ranges = union(*members)
        ranges = self._folded(ranges)
        return complement(ranges) if negated else ranges

    def _named_class(self, at: int) -> Ranges | None:
        """The set of a `[:name:]` that stands here."""
        posix = self._match(r"\[:(\^?)([a-z]+):\]", at)
        if posix:
            named = POSIX_CLASSES.get(posix[2])
            if named is None:
                self._source.invalid(f"unknown class [:{posix[2]}:]", at, "those of POSIX are known, such as [:alpha:]")
            self._at = posix.end()
            return complement(named) if posix[1] else named
        if self._peek("&&") or self._peek("--[") or self._peek("--\\"):
            self._source.unsupported("a class with an operation", at, "reads differently everywhere; use a look-ahead")
        return None

    def _class_member(self) -> Ranges:
        at = self._at
        quoted = at < self._quoted_end
        named = None if quoted else self._named_class(at)
        if named is not None:
            return named
        character = self._body[at]
        self._at += 1
        if quoted or character != "\\":
            if 0xD800 <= ord(character) <= 0xDFFF:
                self._source.invalid("a lone surrogate", at, "write both halves of the character")
            return single(ord(character))
        if self._at >= len(self._body):
            self._source.invalid("a lone backslash ends the pattern", at, "write \\\\ for the character")
        if self._peek("b"):
            self._at += 1
            return ((0x08, 0x08),)
        return self._char_escape(at)
