r"""A caller's pattern to a tree of the exact set of whole outputs it asks for.

The parser is our own because every parser at hand means something else: `re._parser` is internal to CPython and knows
no positions once a tree is made, `interegular` has no Unicode classes and no budget, and llguidance silently changes
what it does not know (`a++`, `(?P<stop>..)`, `\0`).

What a pattern means:

- The output as a whole must match: `^...$` is the whole output; a side without its anchor may be preceded or followed
  by anything. `^a|b$` is "begins with a, or ends with b".
- `$` and `\Z` mean the very end, also if a line feed stands there. With the flag `m`, `^` and `$` also match at
  line feeds. `.` is anything but a line feed, with the flag `s` anything.
- `\d`, `\w`, `\s` and `\b` are ASCII, as in ECMAScript and in JSON Schema: `[0-9]`, `[A-Za-z0-9_]`,
  `[ \t\n\r\f\v]`. `[[:alpha:]]` and its like are ASCII too. `\p{L}`, `\p{Greek}`, `\p{Alphabetic}` and their like
  are general categories, scripts and properties of Unicode.
- The flag `i` ignores case as ECMAScript does: by simple upper case, and never between ASCII and other letters.
- The flags `i m s x` may come as `/pattern/flags`, as `pattern|FLAGS:flags`, or as `(?flags)` and `(?flags:...)`.
  `g`, `u` and `y` say how to search and mean nothing for a whole output.
- Slashes around a pattern are delimiters if flags follow, or if an anchor stands beside one (`/^a$/`); otherwise they
  are text, as in `/\*.*\*/`.
- Lazy quantifiers, groups and their names do not change which texts match. Look-around, `\b`, `\B` and anchors
  anywhere are resolved exactly where they are not repeated. Backreferences, recursion, conditions, atomic groups and
  possessive quantifiers are refused with their position.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NoReturn

from maze.errors import InvalidConstraintError
from maze.grammar.budget import Budget
from maze.grammar.pattern.assertions import resolve
from maze.grammar.pattern.code_points import (
    ANY,
    DIGIT,
    LAST_CODE_POINT,
    LINE_FEED,
    NOT_LINE_FEED,
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
from maze.grammar.pattern.tree import (
    EMPTY,
    Boundary,
    Chars,
    Lookaround,
    Neighbour,
    Node,
    alt,
    cat,
    conjuncts,
    repeat,
)
from maze.grammar.pattern.unicode_property import code_points_of

MAX_PATTERN_CHARACTERS = 65_536
"""Longest pattern; parsing one takes less than 0.2 s."""
MAX_PATTERN_SIZE = 5_000
"""Most positions of a pattern with its counted repetitions written out (`(a{10}){10}` has 100). Work in an engine grows
with it, faster than linearly: 20,000 times `a?` takes llguidance 4.5 s."""
MAX_GROUP_DEPTH = 100
"""Deepest nesting of groups."""
MAX_CONJUNCTS = 12
"""Most languages intersected in one expression. Whether any text is in all of 20 takes llguidance 6 s to find out; no
limit of its own stops it; of 12, less than 0.1 s."""


def parse_pattern(text: str, path: str, budget: Budget) -> Node:
    """The whole outputs that satisfy a pattern as Braid and other callers send it.

    Raises InvalidConstraintError for a broken pattern, UnsupportedConstraintError for what cannot be said exactly as a
    regular language, LimitExceededError for one too large; each with `path` and the position.
    """
    source = Source(text, path)
    if len(text) > MAX_PATTERN_CHARACTERS:
        source.too_large(f"the pattern has {len(text)} characters; at most {MAX_PATTERN_CHARACTERS} are taken")
    budget.spend(20 + 3 * len(text))
    body, offset, flags = _split_flags(source)
    source = Source(text, path, offset)
    language = resolve(
        PatternParser(body, source, budget, flags).parse(), source, budget, left_open=True, right_open=True
    )
    if conjuncts(language) > MAX_CONJUNCTS:
        source.too_large(
            f"the pattern has over {MAX_CONJUNCTS} look-arounds that must hold together: {source.shown}; "
            "use fewer of them, or give several patterns"
        )
    return language


@lru_cache(maxsize=256)
def parse_whole(regex: str) -> Node:
    """Read a regular expression of our own that describes whole texts as it stands, such as that of a terminal."""
    source, budget = Source(regex, "a terminal"), Budget()
    return resolve(PatternParser(regex, source, budget).parse(), source, budget, left_open=False, right_open=False)


_IGNORED_FLAGS = frozenset("guy")
_FLAGS = frozenset("imsx")


def _split_flags(source: Source) -> tuple[str, int, frozenset[str]]:
    """Take `|FLAGS:gi` and `/.../gi` off. Returns the pattern, where it begins in the text, and its flags."""
    body, marker, suffix = source.text.rpartition("|FLAGS:")
    if marker:
        unknown = sorted(set(suffix) - _FLAGS - _IGNORED_FLAGS)
        if unknown:
            place = source.place(len(body) + len(marker))
            raise InvalidConstraintError(
                f"{source.path}: unknown flag {unknown[0]!r} after |FLAGS: {place}; the flags are i m s x g u y"
            )
    else:
        body, suffix = source.text, ""
    flags = frozenset(suffix) & _FLAGS

    literal = re.fullmatch(r"/((?:[^\\/\[]|\\.|\[(?:[^\\\]]|\\.)*\])+)/([imsxguy]*)", body, re.DOTALL)
    if literal:
        inner, slash_flags = literal.groups()
        if slash_flags or inner.startswith("^") or re.search(r"(?<!\\)(?:\\\\)*\$\Z", inner):
            return inner, 1, flags | (frozenset(slash_flags) & _FLAGS)
    return body, 0, flags


_ANYTHING = Neighbour(ANY, end=True)
_END = Neighbour((), end=True)
_LINE_END = Neighbour(LINE_FEED, end=True)

_SIMPLE_ESCAPES = {"t": 0x09, "n": 0x0A, "r": 0x0D, "f": 0x0C, "v": 0x0B, "a": 0x07, "e": 0x1B}


class PatternParser:
    """Recursive descent over one pattern, which is `body` in its source."""

    class_escapes: Mapping[str, Ranges] = {"d": DIGIT, "w": WORD, "s": SPACE}
    lazily_repeated: Callable[[Node, int, int | None], Node] = staticmethod(repeat)
    """Lazy or greedy: the same texts match as a whole."""

    def __init__(self, body: str, source: Source, budget: Budget, flags: frozenset[str] = frozenset()) -> None:
        self._budget = budget
        self._body = body
        self._source = source
        self._at = 0
        self._depth = 0
        self._flags = flags

    def parse(self) -> Node:
        tree, _ = self._alternation()
        if self._at < len(self._body):
            self._source.invalid("unbalanced )", self._at)
        return tree

    def _check_size(self, size: int, at: int) -> int:
        if size > MAX_PATTERN_SIZE:
            self._source.too_large(
                f"with its repetitions written out the pattern has over {MAX_PATTERN_SIZE} positions "
                f"{self._source.place(at)}; use smaller counts"
            )
        return size

    # -- structure; every function returns its tree and its size

    def _peek(self, text: str) -> bool:
        return self._body.startswith(text, self._at)

    def _match(self, regex: str, at: int | None = None) -> re.Match[str] | None:
        return re.compile(regex).match(self._body, self._at if at is None else at)

    def _alternation(self) -> tuple[Node, int]:
        alternatives: list[Node] = []
        total = 0
        while True:
            start = self._at
            tree, size = self._sequence()
            alternatives.append(tree)
            total = self._check_size(total + size, start)
            if not self._peek("|"):
                break
            self._at += 1
        return alt(*alternatives), total

    def _sequence(self) -> tuple[Node, int]:
        items: list[Node] = []
        total = 0
        while self._at < len(self._body) and self._body[self._at] not in "|)":
            if "x" in self._flags and self._skip_layout():
                continue
            start = self._at
            atom, size = self._atom()
            if "x" in self._flags:
                while self._skip_layout():
                    pass
            tree, size = self._quantified(atom, size, start)
            items.append(tree)
            total = self._check_size(total + size, start)
        return cat(*items), total

    def _skip_layout(self) -> bool:
        layout = self._match(r"[ \t\n\r\f\v]+|#[^\n]*")
        if layout:
            self._at = layout.end()
        return layout is not None

    def _quantified(self, atom: Node | None, size: int, start: int) -> tuple[Node, int]:
        counts = self._match(r"\*|\+|\?|\{(\d+)(?:(,)(\d*))?\}|\{,(\d+)\}")
        if counts is None:
            return (EMPTY if atom is None else atom), size
        at = self._at
        if atom is None or isinstance(atom, (Boundary, Lookaround)):
            self._source.invalid(f"nothing to repeat before {counts.group()!r}", at)
        if counts.group(4) is not None:
            self._source.invalid(f"{counts.group()!r} reads differently everywhere (write {{0,{counts.group(4)}}})", at)
        low: int
        high: int | None
        match counts.group():
            case "*":
                low, high = 0, None
            case "+":
                low, high = 1, None
            case "?":
                low, high = 0, 1
            case _:
                if max(len(counts.group(1)), len(counts.group(3) or "")) > 9:
                    self._check_size(MAX_PATTERN_SIZE + 1, at)
                low = int(counts.group(1))
                high = low if counts.group(2) is None else int(counts.group(3)) if counts.group(3) else None
        if high is not None and high < low:
            self._source.invalid(f"the counts of {counts.group()!r} are the wrong way round", at)
        self._at = counts.end()
        if lazy := self._peek("?"):
            self._at += 1
        elif self._peek("+"):
            self._source.unsupported("possessive quantifier", self._at, "cannot be enforced; use a plain one")
        if self._match(r"[*+?]|\{\d+(,\d*)?\}"):
            self._source.invalid("a quantifier follows a quantifier", self._at)
        size = self._check_size(max(size, 1) * max(low, high if high is not None else low, 1), start)
        return (self.lazily_repeated if lazy else repeat)(atom, low, high), size

    def _atom(self) -> tuple[Node | None, int]:
        at = self._at
        character = self._body[at]
        self._at += 1
        match character:
            case "(":
                return self._group(at)
            case "[":
                return self._weighed(self._class(at))
            case ".":
                return Chars(self._dot()), 1
            case "^":
                return Boundary(((_LINE_END if "m" in self._flags else _END, _ANYTHING),), at), 0
            case "$":
                return Boundary(((_ANYTHING, _LINE_END if "m" in self._flags else _END),), at), 0
            case "\\":
                return self._escape(at)
            case "*" | "+" | "?":
                self._source.invalid(f"nothing to repeat before {character!r}", at)
            case "{" if self._match(r"\{(\d+(,\d*)?|,\d+)\}", at):
                self._source.invalid("nothing to repeat before a count in braces", at)
        if 0xD800 <= ord(character) <= 0xDFFF:
            self._source.invalid("a lone surrogate", at)
        return self._chars(single(ord(character))), 1

    def _dot(self) -> Ranges:
        return ANY if "s" in self._flags else NOT_LINE_FEED

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

    def _group(self, at: int) -> tuple[Node | None, int]:
        look: tuple[bool, bool] | None = None
        outer_flags = self._flags
        if self._peek("?#"):
            end = self._body.find(")", self._at)
            if end < 0:
                self._source.invalid("the comment has no end that begins", at)
            self._at = end + 1
            return None, 0
        if self._peek("*"):
            self._source.unsupported("a verb such as (*FAIL)", at, "cannot be enforced")
        if self._peek("?"):
            opening = self._match(
                r"\?(?::|(?P<look><?[=!])|P?<(?P<name>[A-Za-z_]\w*)>|'\w+'|(?P<on>[a-z]*)(?:-(?P<off>[a-z]+))?(?P<end>[:)]))"
            )
            if opening is None:
                self._refuse_group(at)
            self._at = opening.end()
            if opening["look"]:
                look = ("<" not in opening["look"], "!" in opening["look"])
            elif opening["end"]:
                changed = frozenset((opening["on"] or "") + (opening["off"] or ""))
                unknown = sorted(changed - _FLAGS - _IGNORED_FLAGS)
                if unknown:
                    self._source.invalid(f"unknown flag {unknown[0]!r} in the group", at)
                self._flags = (self._flags | frozenset(opening["on"] or "")) - frozenset(opening["off"] or "")
                if opening["end"] == ")":
                    # It holds to the end of the group that it stands in, which puts back its own flags.
                    return None, 0
        self._depth += 1
        if self._depth > MAX_GROUP_DEPTH:
            self._source.too_large(f"groups are nested over {MAX_GROUP_DEPTH} deep {self._source.place(at)}")
        tree, size = self._alternation()
        self._depth -= 1
        self._flags = outer_flags
        if not self._peek(")"):
            self._source.invalid("missing ) for the group that begins", at)
        self._at += 1
        if look is not None:
            ahead, negated = look
            return Lookaround(ahead, negated, tree, at), size
        return tree, size

    def _refuse_group(self, at: int) -> NoReturn:
        rest = self._body[self._at : self._at + 12]
        if rest.startswith("?>"):
            self._source.unsupported("atomic group", at, "cannot be enforced; use (?:...)")
        if re.match(r"\?(R|0|[+-]?\d|&|P>)", rest):
            self._source.unsupported("recursion", at, "is not regular; give a grammar instead")
        if rest.startswith("?P="):
            self._source.unsupported("backreference", at, "is not regular; write out the alternatives")
        if rest.startswith("?("):
            self._source.unsupported("conditional group", at, "cannot be enforced; write out the alternatives")
        if rest.startswith("?|"):
            self._source.unsupported("branch reset group", at, "cannot be enforced; use (?:...)")
        self._source.invalid(f"unknown group ({rest[:2]}", at)

    # -- escapes

    def _escape(self, at: int) -> tuple[Node, int]:
        if self._at >= len(self._body):
            self._source.invalid("a lone backslash ends the pattern", at)
        letter = self._body[self._at]
        match letter:
            case "b" | "B":
                if self._body.startswith("{", self._at + 1):
                    self._source.unsupported(f"\\{letter}{{...}}", at, f"is not understood; use \\{letter}")
                self._at += 1
                word = Neighbour(self.class_escapes["w"], end=False)
                other = Neighbour(complement(word.chars), end=True)
                ways = ((word, other), (other, word)) if letter == "b" else ((word, word), (other, other))
                return Boundary(ways, at), 0
            case "A":
                self._at += 1
                return Boundary(((_END, _ANYTHING),), at), 0
            case "z" | "Z":
                self._at += 1
                return Boundary(((_ANYTHING, _END),), at), 0
            case "k" | "g" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9":
                self._source.unsupported("backreference", at, "is not regular; write out the alternatives")
            case "G" | "K" | "X" | "R" | "C" | "Q" | "E":
                self._source.unsupported(f"\\{letter}", at, "cannot be enforced")
        return self._weighed(self._chars(self._char_escape(at)).ranges)

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
                self._source.invalid("an octal escape reads differently everywhere (write \\x..)", at)
            return single(0)
        if letter in "xuU":
            return self._code_point(letter, at)
        if letter == "c":
            control = self._body[self._at : self._at + 1]
            if not (control.isascii() and control.isalpha()):
                self._source.invalid("\\c needs a letter", at)
            self._at += 1
            return single(ord(control) & 0x1F)
        if letter.isascii() and letter.isalnum():
            self._source.invalid(f"unknown escape \\{letter}", at)
        return single(ord(letter))

    def _code_point(self, letter: str, at: int) -> Ranges:
        digits = {"x": r"([0-9A-Fa-f]{2})", "u": r"([0-9A-Fa-f]{4})", "U": r"([0-9A-Fa-f]{8})"}[letter]
        found = self._match(rf"\{{([0-9A-Fa-f]{{1,8}})\}}|{digits}")
        if found is None:
            self._source.invalid(f"\\{letter} needs hexadecimal digits", at)
        self._at = found.end()
        value = int(found[1] or found[2], 16)
        if 0xD800 <= value <= 0xDBFF:
            low = self._match(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")
            if low:
                self._at = low.end()
                value = 0x10000 + ((value - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
        if value > LAST_CODE_POINT or 0xD800 <= value <= 0xDFFF:
            self._source.invalid(f"U+{value:04X} is not a character", at)
        return single(value)

    def _property(self, at: int, *, negated: bool) -> Ranges:
        found = self._match(r"\{(\^?)([^{}]*)\}|([A-Z])")
        if found is None:
            self._source.invalid("\\p needs a property in braces", at)
        self._at = found.end()
        name = found[3] or found[2]
        ranges = ANY if name == "Any" else code_points_of(name, self._budget)
        if ranges is None:
            self._source.unsupported(
                f"Unicode property {name!r}",
                at,
                "is not known; general categories (\\p{L}), scripts (\\p{Greek}) and properties (\\p{Alphabetic}) are",
            )
        return complement(ranges) if negated != bool(found[1]) else ranges

    # -- classes

    def _class(self, at: int) -> Ranges:
        negated = self._peek("^")
        if negated:
            self._at += 1
        if self._peek("]"):
            self._source.invalid("a ] right after the [ reads differently everywhere (write \\])", self._at)
        members: list[Ranges] = []
        while True:
            if self._at >= len(self._body):
                self._source.invalid("missing ] for the class that begins", at)
            if self._peek("]"):
                self._at += 1
                break
            member_at = self._at
            member = self._class_member()
            # A hyphen is a range only between two characters; beside \w or at an end it is itself.
            if self._peek("-") and not self._peek("-]") and is_single(member):
                self._at += 1
                if self._at >= len(self._body):
                    self._source.invalid("missing ] for the class that begins", at)
                last = self._class_member()
                if is_single(last):
                    if last[0][0] < member[0][0]:
                        self._source.invalid("the range is the wrong way round", member_at)
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
                self._source.invalid(f"unknown class [:{posix[2]}:]", at)
            self._at = posix.end()
            return complement(named) if posix[1] else named
        if self._peek("&&") or self._peek("--[") or self._peek("--\\"):
            self._source.unsupported("a class with an operation", at, "reads differently everywhere; use a look-ahead")
        return None

    def _class_member(self) -> Ranges:
        at = self._at
        named = self._named_class(at)
        if named is not None:
            return named
        character = self._body[at]
        self._at += 1
        if character != "\\":
            if 0xD800 <= ord(character) <= 0xDFFF:
                self._source.invalid("a lone surrogate", at)
            return single(ord(character))
        if self._at >= len(self._body):
            self._source.invalid("a lone backslash ends the pattern", at)
        if self._peek("b"):
            self._at += 1
            return ((0x08, 0x08),)
        return self._char_escape(at)
