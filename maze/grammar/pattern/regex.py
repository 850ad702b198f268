r"""Regular expressions: a caller's pattern to the exact set of whole outputs it asks for.

A pattern is parsed into a tree over sets of code points, in which nothing is left to the taste of an engine, and
printed as a terminal of an llguidance grammar. The parser is our own because every parser at hand means something
else: `re._parser` is internal to CPython and knows no positions once a tree is made, `interegular` has no Unicode
classes and no budget, and llguidance silently changes what it does not know (`a++`, `(?P<stop>..)`, `\0`).

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
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NoReturn

from maze.errors import InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.pattern.unicode_property import code_points_of

MAX_PATTERN_CHARACTERS = 65_536
"""Longest pattern; parsing one takes less than 0.2 s."""
MAX_PATTERN_SIZE = 5_000
"""Most positions of a pattern with its counted repetitions written out (`(a{10}){10}` has 100). Work in an engine grows
with it, faster than linearly: 20,000 times `a?` takes llguidance 4.5 s."""
MAX_GROUP_DEPTH = 100
"""Deepest nesting of groups."""
MAX_PATHS = 256
"""Most ways through a pattern with assertions (`\\b`, look-around, inner anchors); each is resolved alone."""
MAX_RESOLVING_STEPS = 100_000
"""Most steps of resolving the assertions of one pattern; about 0.5 s."""
MAX_CONJUNCTS = 12
"""Most languages intersected in one expression. Whether any text is in all of 20 takes llguidance 6 s to find out; no
limit of its own stops it; of 12, less than 0.1 s."""

# ------------------------------------------------------------------------------------------------ sets of code points

Ranges = tuple[tuple[int, int], ...]
"""Sorted, disjoint, not adjacent, both ends included; never a surrogate."""

LAST_CODE_POINT = 0x10FFFF
ANY: Ranges = ((0, 0xD7FF), (0xE000, LAST_CODE_POINT))


def union(*sets: Ranges) -> Ranges:
    """Every code point of one of the sets."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(item for ranges in sets for item in ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """Every code point that is not in the set."""
    gaps: list[tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= LAST_CODE_POINT:
        gaps.append((start, LAST_CODE_POINT))
    return _without_surrogates(gaps)


def intersection(left: Ranges, right: Ranges) -> Ranges:
    """Every code point of both sets."""
    both: list[tuple[int, int]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        low, high = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if low <= high:
            both.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(both)


def _without_surrogates(ranges: Iterable[tuple[int, int]]) -> Ranges:
    kept: list[tuple[int, int]] = []
    for low, high in ranges:
        if low < 0xD800:
            kept.append((low, min(high, 0xD7FF)))
        if high > 0xDFFF:
            kept.append((max(low, 0xE000), high))
    return tuple(kept)


def of(characters: str) -> Ranges:
    """The set of the characters of a text."""
    return union(*(((ord(character), ord(character)),) for character in characters))


DIGIT: Ranges = ((0x30, 0x39),)
WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Ranges = ((0x09, 0x0D), (0x20, 0x20))
LINE_FEED: Ranges = ((0x0A, 0x0A),)
NOT_LINE_FEED = complement(LINE_FEED)

_POSIX_CLASSES: dict[str, Ranges] = {
    "alnum": ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)),
    "alpha": ((0x41, 0x5A), (0x61, 0x7A)),
    "ascii": ((0x00, 0x7F),),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0x00, 0x1F), (0x7F, 0x7F)),
    "digit": DIGIT,
    "graph": ((0x21, 0x7E),),
    "lower": ((0x61, 0x7A),),
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": SPACE,
    "upper": ((0x41, 0x5A),),
    "word": WORD,
    "xdigit": ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)),
}

_LAST_CASED = 0x1F000
"""No code point from here on has another case (Unicode 16)."""


def _canonical(code_point: int) -> int:
    """ECMAScript's Canonicalize: the form that letters are compared in when case is ignored."""
    upper = chr(code_point).upper()
    if len(upper) != 1 or (code_point >= 0x80 and ord(upper) < 0x80):
        return code_point
    return ord(upper)


@lru_cache(maxsize=1)
def _case_variants() -> dict[int, tuple[int, ...]]:
    """Canonical form to all code points that share it, where there is more than one."""
    variants: dict[int, list[int]] = {}
    for code_point in range(_LAST_CASED):
        if not 0xD800 <= code_point <= 0xDFFF:
            variants.setdefault(_canonical(code_point), []).append(code_point)
    return {canonical: tuple(members) for canonical, members in variants.items() if len(members) > 1}


@lru_cache(maxsize=256)
def ignoring_case(ranges: Ranges) -> Ranges:
    """The set with the other case of each of its letters."""
    ascii_letters = [
        ((low ^ 0x20, high ^ 0x20),)
        for letters in (((0x41, 0x5A),), ((0x61, 0x7A),))
        for low, high in intersection(ranges, letters)
    ]
    folded = union(ranges, *ascii_letters)
    if ranges and ranges[-1][1] >= 0x80:
        others: list[Ranges] = []
        for members in _case_variants().values():
            if any(_contains(ranges, member) for member in members):
                others.extend(((member, member),) for member in members)
        folded = union(folded, *others)
    return folded


def _contains(ranges: Ranges, code_point: int) -> bool:
    return any(low <= code_point <= high for low, high in ranges)


# ------------------------------------------------------------------------------------------------ trees


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set; with the empty set, no text at all."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Cat:
    """One after the other; with no items, the empty text."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """One of several, at least two."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`low` to `high` times; `high` None is without end."""

    item: Node
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Both:
    """Texts that all items accept, at least two."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Texts that the item does not accept."""

    item: Node


@dataclass(frozen=True, slots=True)
class Edge:
    """A condition on the characters around a position, each way to meet it as (before, after). Only while parsing."""

    ways: tuple[tuple[Side, Side], ...]
    position: int


@dataclass(frozen=True, slots=True)
class Look:
    """Look-around. Only while parsing."""

    ahead: bool
    negated: bool
    item: Node
    position: int


@dataclass(frozen=True, slots=True)
class Side:
    """What may stand beside a position: a character of a set, or the end of the text."""

    chars: Ranges
    end: bool


Node = Chars | Cat | Alt | Repeat | Both | Not | Edge | Look

EMPTY = Cat(())
NOTHING = Chars(())
ANYTHING = Repeat(Chars(ANY), 0, None)


def cat(*nodes: Node) -> Node:
    """Concatenation, flattened."""
    items: list[Node] = []
    for node in nodes:
        if node == NOTHING:
            return NOTHING
        for item in node.items if isinstance(node, Cat) else (node,):
            if not (item == ANYTHING and items and items[-1] == ANYTHING):
                items.append(item)
    return items[0] if len(items) == 1 else Cat(tuple(items))


def alt(*nodes: Node) -> Node:
    """Alternation, flattened, without duplicates; sets of characters become one."""
    items: dict[Node, None] = {}
    chars: list[Ranges] = []
    for node in nodes:
        for item in node.items if isinstance(node, Alt) else (node,):
            if isinstance(item, Chars):
                chars.append(item.ranges)
            else:
                items[item] = None
    if any(chars):
        items[Chars(union(*chars))] = None
    if ANYTHING in items:
        return ANYTHING
    if len(items) < 2:
        return next(iter(items), NOTHING)
    return Alt(tuple(items))


def both(*nodes: Node) -> Node:
    """Intersection, flattened, without duplicates."""
    items: dict[Node, None] = {}
    for node in nodes:
        for item in node.items if isinstance(node, Both) else (node,):
            if item == NOTHING:
                return NOTHING
            if item != ANYTHING:
                items[item] = None
    if len(items) < 2:
        return next(iter(items), ANYTHING)
    return Both(tuple(items))


def negation(node: Node) -> Node:
    """Everything else."""
    if isinstance(node, Not):
        return node.item
    if node == ANYTHING:
        return NOTHING
    return ANYTHING if node == NOTHING else Not(node)


def repeat(item: Node, low: int, high: int | None) -> Node:
    """Repetition, with the trivial ones done away with."""
    if high == 0 or item == EMPTY:
        return EMPTY
    if item == NOTHING:
        return EMPTY if low == 0 else NOTHING
    if low == 1 and high == 1:
        return item
    if isinstance(item, Repeat) and high is None and item.high is None and low <= 1 and item.low <= 1:
        return Repeat(item.item, min(low, item.low), None)
    return Repeat(item, low, high)


def nullable(node: Node) -> bool:
    """Whether the empty text is accepted."""
    match node:
        case Chars():
            return False
        case Cat(items) | Both(items):
            return all(nullable(item) for item in items)
        case Alt(items):
            return any(nullable(item) for item in items)
        case Repeat(item, low, _):
            return low == 0 or nullable(item)
        case Not(item):
            return not nullable(item)
    raise AssertionError(node)


def size_of(node: Node) -> int:
    """Number of nodes and of ranges in them: about what printing or reading the tree costs."""
    match node:
        case Chars(ranges):
            return len(ranges)
        case Cat(items) | Alt(items) | Both(items):
            return 1 + sum(size_of(item) for item in items)
        case Repeat(item, _, _) | Not(item):
            return 1 + size_of(item)
    raise AssertionError(node)


def characters_of(node: Node) -> Ranges:
    """The characters that occur in the expression."""
    match node:
        case Chars(ranges):
            return ranges
        case Cat(items) | Alt(items) | Both(items):
            return union(*(characters_of(item) for item in items))
        case Repeat(item, _, _) | Not(item):
            return characters_of(item)
    raise AssertionError(node)


def conjuncts(node: Node) -> int:
    """How many languages are intersected in the tree, wherever."""
    match node:
        case Cat(items) | Alt(items):
            return sum(conjuncts(item) for item in items)
        case Both(items):
            return sum(max(conjuncts(item), 1) for item in items)
        case Repeat(item, _, _) | Not(item):
            return conjuncts(item)
    return 0


# ------------------------------------------------------------------------------------------------ parsing


def parse_pattern(text: str, path: str) -> Node:
    """The whole outputs that satisfy a pattern as Braid and other callers send it; free of Edge and Look.

    Raises InvalidConstraintError for a broken pattern, UnsupportedConstraintError for what cannot be said exactly as a
    regular language, LimitExceededError for one too large; each with `path` and the position.
    """
    if len(text) > MAX_PATTERN_CHARACTERS:
        raise LimitExceededError(
            f"{path}: the pattern has {len(text)} characters; at most {MAX_PATTERN_CHARACTERS} are taken"
        )
    body, start, flags = _split_flags(text, path)
    tree = _Parser(body, start, text, path, flags).parse()
    language = _resolve(tree, text, path, left_open=True, right_open=True)
    if conjuncts(language) > MAX_CONJUNCTS:
        raise LimitExceededError(
            f"{path}: the pattern has over {MAX_CONJUNCTS} look-arounds that must hold together: {_shown(text)}; "
            "use fewer of them, or give several patterns"
        )
    return language


def parse_whole(regex: str) -> Node:
    """Read a regular expression that describes whole texts as it stands, such as that of a terminal."""
    tree = _Parser(regex, 0, regex, "a terminal", frozenset()).parse()
    return _resolve(tree, regex, "a terminal", left_open=False, right_open=False)


_IGNORED_FLAGS = frozenset("guy")
_FLAGS = frozenset("imsx")


def _split_flags(text: str, path: str) -> tuple[str, int, frozenset[str]]:
    """Take `|FLAGS:gi` and `/.../gi` off. Returns the pattern, where it begins in the text, and its flags."""
    body, marker, suffix = text.rpartition("|FLAGS:")
    if marker:
        unknown = sorted(set(suffix) - _FLAGS - _IGNORED_FLAGS)
        if unknown:
            raise InvalidConstraintError(
                f"{path}: unknown flag {unknown[0]!r} after |FLAGS: at character {len(body) + len(marker) + 1} of "
                f"{_shown(text)}; the flags are i m s x g u y"
            )
    else:
        body, suffix = text, ""
    flags = frozenset(suffix) & _FLAGS

    literal = re.fullmatch(r"/((?:[^\\/\[]|\\.|\[(?:[^\\\]]|\\.)*\])+)/([imsxguy]*)", body, re.DOTALL)
    if literal:
        inner, slash_flags = literal.groups()
        if slash_flags or inner.startswith("^") or re.search(r"(?<!\\)(?:\\\\)*\$\Z", inner):
            return inner, 1, flags | (frozenset(slash_flags) & _FLAGS)
    return body, 0, flags


def _shown(text: str) -> str:
    """The pattern as the caller wrote it; only what would break the line of a message is spelled by number."""
    shown = text if len(text) <= 80 else text[:77] + "..."
    return "'" + re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", _spelled, shown) + "'"


def _spelled(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


_WORD_SIDE = Side(WORD, end=False)
_NO_WORD_SIDE = Side(complement(WORD), end=True)
_ANY_SIDE = Side(ANY, end=True)
_END_SIDE = Side((), end=True)
_LINE_SIDE = Side(LINE_FEED, end=True)

_SIMPLE_ESCAPES = {"t": 0x09, "n": 0x0A, "r": 0x0D, "f": 0x0C, "v": 0x0B, "a": 0x07, "e": 0x1B}
_CLASS_ESCAPES: dict[str, Ranges] = {"d": DIGIT, "w": WORD, "s": SPACE}


class _Parser:
    """Recursive descent over one pattern. `offset` is where the pattern begins in the caller's text, for errors."""

    def __init__(self, body: str, offset: int, text: str, path: str, flags: frozenset[str]) -> None:
        self._body = body
        self._offset = offset
        self._text = text
        self._path = path
        self._at = 0
        self._depth = 0
        self._flags = flags

    def parse(self) -> Node:
        tree, _ = self._alternation()
        if self._at < len(self._body):
            self._invalid("unbalanced )", self._at)
        return tree

    # -- errors

    def _place(self, at: int) -> str:
        return f"at character {self._offset + at + 1} of {_shown(self._text)}"

    def _invalid(self, problem: str, at: int) -> NoReturn:
        raise InvalidConstraintError(f"{self._path}: {problem} {self._place(at)}")

    def _unsupported(self, what: str, at: int, remedy: str) -> NoReturn:
        raise UnsupportedConstraintError(f"{self._path}: {what} {self._place(at)} {remedy}")

    def _check_size(self, size: int, at: int) -> int:
        if size > MAX_PATTERN_SIZE:
            raise LimitExceededError(
                f"{self._path}: with its repetitions written out the pattern has over {MAX_PATTERN_SIZE} positions "
                f"{self._place(at)}; use smaller counts"
            )
        return size

    # -- structure; every function returns its tree and its size

    def _peek(self, text: str) -> bool:
        return self._body.startswith(text, self._at)

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
        layout = re.compile(r"[ \t\n\r\f\v]+|#[^\n]*").match(self._body, self._at)
        if layout:
            self._at = layout.end()
        return layout is not None

    def _quantified(self, atom: Node | None, size: int, start: int) -> tuple[Node, int]:
        counts = re.compile(r"\*|\+|\?|\{(\d+)(?:(,)(\d*))?\}|\{,(\d+)\}").match(self._body, self._at)
        if counts is None:
            return (EMPTY if atom is None else atom), size
        at = self._at
        if atom is None or isinstance(atom, (Edge, Look)):
            self._invalid(f"nothing to repeat before {counts.group()!r}", at)
        if counts.group(4) is not None:
            self._invalid(f"{counts.group()!r} reads differently everywhere (write {{0,{counts.group(4)}}})", at)
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
            self._invalid(f"the counts of {counts.group()!r} are the wrong way round", at)
        self._at = counts.end()
        if self._peek("?"):
            self._at += 1  # Lazy or greedy: the same texts match.
        elif self._peek("+"):
            self._unsupported("possessive quantifier", self._at, "cannot be enforced; use a plain one")
        if re.compile(r"[*+?]|\{\d+(,\d*)?\}").match(self._body, self._at):
            self._invalid("a quantifier follows a quantifier", self._at)
        size = self._check_size(max(size, 1) * max(low, high if high is not None else low, 1), start)
        return repeat(atom, low, high), size

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
                return Chars(ANY if "s" in self._flags else NOT_LINE_FEED), 1
            case "^":
                return Edge(((_LINE_SIDE if "m" in self._flags else _END_SIDE, _ANY_SIDE),), at), 0
            case "$":
                return Edge(((_ANY_SIDE, _LINE_SIDE if "m" in self._flags else _END_SIDE),), at), 0
            case "\\":
                return self._escape(at)
            case "*" | "+" | "?":
                self._invalid(f"nothing to repeat before {character!r}", at)
            case "{" if re.compile(r"\{(\d+(,\d*)?|,\d+)\}").match(self._body, at):
                self._invalid("nothing to repeat before a count in braces", at)
        if 0xD800 <= ord(character) <= 0xDFFF:
            self._invalid("a lone surrogate", at)
        return self._chars(((ord(character), ord(character)),)), 1

    @staticmethod
    def _weighed(ranges: Ranges) -> tuple[Chars, int]:
        """A set of characters, and its size: one with many ranges is as much work as many small ones."""
        return Chars(ranges), 1 + len(ranges) // 16

    def _chars(self, ranges: Ranges) -> Chars:
        return Chars(ignoring_case(ranges) if "i" in self._flags else ranges)

    def _group(self, at: int) -> tuple[Node | None, int]:
        look: tuple[bool, bool] | None = None
        outer_flags = self._flags
        if self._peek("?#"):
            end = self._body.find(")", self._at)
            if end < 0:
                self._invalid("the comment has no end that begins", at)
            self._at = end + 1
            return None, 0
        if self._peek("*"):
            self._unsupported("a verb such as (*FAIL)", at, "cannot be enforced")
        if self._peek("?"):
            opening = re.compile(
                r"\?(?::|(?P<look><?[=!])|P?<(?P<name>[A-Za-z_]\w*)>|'\w+'|(?P<on>[a-z]*)(?:-(?P<off>[a-z]+))?(?P<end>[:)]))"
            ).match(self._body, self._at)
            if opening is None:
                self._refuse_group(at)
            self._at = opening.end()
            if opening["look"]:
                look = ("<" not in opening["look"], "!" in opening["look"])
            elif opening["end"]:
                changed = frozenset((opening["on"] or "") + (opening["off"] or ""))
                unknown = sorted(changed - _FLAGS - _IGNORED_FLAGS)
                if unknown:
                    self._invalid(f"unknown flag {unknown[0]!r} in the group", at)
                self._flags = (self._flags | frozenset(opening["on"] or "")) - frozenset(opening["off"] or "")
                if opening["end"] == ")":
                    # It holds to the end of the group that it stands in, which puts back its own flags.
                    return None, 0
        self._depth += 1
        if self._depth > MAX_GROUP_DEPTH:
            raise LimitExceededError(f"{self._path}: groups are nested over {MAX_GROUP_DEPTH} deep {self._place(at)}")
        tree, size = self._alternation()
        self._depth -= 1
        self._flags = outer_flags
        if not self._peek(")"):
            self._invalid("missing ) for the group that begins", at)
        self._at += 1
        if look is not None:
            ahead, negated = look
            return Look(ahead, negated, tree, at), size
        return tree, size

    def _refuse_group(self, at: int) -> NoReturn:
        rest = self._body[self._at : self._at + 12]
        if rest.startswith("?>"):
            self._unsupported("atomic group", at, "cannot be enforced; use (?:...)")
        if re.match(r"\?(R|0|[+-]?\d|&|P>)", rest):
            self._unsupported("recursion", at, "is not regular; give a grammar instead")
        if rest.startswith("?P="):
            self._unsupported("backreference", at, "is not regular; write out the alternatives")
        if rest.startswith("?("):
            self._unsupported("conditional group", at, "cannot be enforced; write out the alternatives")
        if rest.startswith("?|"):
            self._unsupported("branch reset group", at, "cannot be enforced; use (?:...)")
        self._invalid(f"unknown group ({rest[:2]}", at)

    # -- escapes

    def _escape(self, at: int) -> tuple[Node, int]:
        if self._at >= len(self._body):
            self._invalid("a lone backslash ends the pattern", at)
        letter = self._body[self._at]
        match letter:
            case "b" | "B":
                if self._body.startswith("{", self._at + 1):
                    self._unsupported(f"\\{letter}{{...}}", at, f"is not understood; use \\{letter}")
                self._at += 1
                word, other = _WORD_SIDE, _NO_WORD_SIDE
                ways = ((word, other), (other, word)) if letter == "b" else ((word, word), (other, other))
                return Edge(ways, at), 0
            case "A":
                self._at += 1
                return Edge(((_END_SIDE, _ANY_SIDE),), at), 0
            case "z" | "Z":
                self._at += 1
                return Edge(((_ANY_SIDE, _END_SIDE),), at), 0
            case "k" | "g" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9":
                self._unsupported("backreference", at, "is not regular; write out the alternatives")
            case "G" | "K" | "X" | "R" | "C" | "Q" | "E":
                self._unsupported(f"\\{letter}", at, "cannot be enforced")
        return self._weighed(self._chars(self._char_escape(at)).ranges)

    def _char_escape(self, at: int) -> Ranges:
        """The set for an escape inside or outside a class; `self._at` stands after the backslash."""
        letter = self._body[self._at]
        self._at += 1
        if letter in _SIMPLE_ESCAPES:
            return ((_SIMPLE_ESCAPES[letter], _SIMPLE_ESCAPES[letter]),)
        if letter.lower() in _CLASS_ESCAPES:
            ranges = _CLASS_ESCAPES[letter.lower()]
            return ranges if letter.islower() else complement(ranges)
        if letter in "pP":
            return self._property(at, negated=letter == "P")
        if letter == "0":
            if re.compile(r"\d").match(self._body, self._at):
                self._invalid("an octal escape reads differently everywhere (write \\x..)", at)
            return ((0, 0),)
        if letter in "xuU":
            return self._code_point(letter, at)
        if letter == "c":
            control = self._body[self._at : self._at + 1]
            if not (control.isascii() and control.isalpha()):
                self._invalid("\\c needs a letter", at)
            self._at += 1
            return ((ord(control) & 0x1F, ord(control) & 0x1F),)
        if letter.isascii() and letter.isalnum():
            self._invalid(f"unknown escape \\{letter}", at)
        return ((ord(letter), ord(letter)),)

    def _code_point(self, letter: str, at: int) -> Ranges:
        digits = {"x": r"([0-9A-Fa-f]{2})", "u": r"([0-9A-Fa-f]{4})", "U": r"([0-9A-Fa-f]{8})"}[letter]
        found = re.compile(rf"\{{([0-9A-Fa-f]{{1,8}})\}}|{digits}").match(self._body, self._at)
        if found is None:
            self._invalid(f"\\{letter} needs hexadecimal digits", at)
        self._at = found.end()
        value = int(found[1] or found[2], 16)
        if 0xD800 <= value <= 0xDBFF:
            low = re.compile(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})").match(self._body, self._at)
            if low:
                self._at = low.end()
                value = 0x10000 + ((value - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
        if value > LAST_CODE_POINT or 0xD800 <= value <= 0xDFFF:
            self._invalid(f"U+{value:04X} is not a character", at)
        return ((value, value),)

    def _property(self, at: int, *, negated: bool) -> Ranges:
        found = re.compile(r"\{(\^?)([^{}]*)\}|([A-Z])").match(self._body, self._at)
        if found is None:
            self._invalid("\\p needs a property in braces", at)
        self._at = found.end()
        name = found[3] or found[2]
        ranges = ANY if name == "Any" else code_points_of(name)
        if ranges is None:
            self._unsupported(
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
            self._invalid("a ] right after the [ reads differently everywhere (write \\])", self._at)
        members: list[Ranges] = []
        while True:
            if self._at >= len(self._body):
                self._invalid("missing ] for the class that begins", at)
            if self._peek("]"):
                self._at += 1
                break
            member_at = self._at
            member = self._class_member()
            # A hyphen is a range only between two characters; beside \w or at an end it is itself.
            if self._peek("-") and not self._peek("-]") and _is_one(member):
                self._at += 1
                if self._at >= len(self._body):
                    self._invalid("missing ] for the class that begins", at)
                last = self._class_member()
                if _is_one(last):
                    if last[0][0] < member[0][0]:
                        self._invalid("the range is the wrong way round", member_at)
                    members.append(_without_surrogates([(member[0][0], last[0][0])]))
                    continue
                members.extend((of("-"), last))
            members.append(member)
        ranges = union(*members)
        if "i" in self._flags:
            ranges = ignoring_case(ranges)
        return complement(ranges) if negated else ranges

    def _class_member(self) -> Ranges:
        at = self._at
        posix = re.compile(r"\[:(\^?)([a-z]+):\]").match(self._body, at)
        if posix:
            named = _POSIX_CLASSES.get(posix[2])
            if named is None:
                self._invalid(f"unknown class [:{posix[2]}:]", at)
            self._at = posix.end()
            return complement(named) if posix[1] else named
        if self._peek("&&") or self._peek("--[") or self._peek("--\\"):
            self._unsupported("a class with an operation", at, "reads differently everywhere; use a look-ahead")
        character = self._body[at]
        self._at += 1
        if character != "\\":
            if 0xD800 <= ord(character) <= 0xDFFF:
                self._invalid("a lone surrogate", at)
            return ((ord(character), ord(character)),)
        if self._at >= len(self._body):
            self._invalid("a lone backslash ends the pattern", at)
        if self._peek("b"):
            self._at += 1
            return ((0x08, 0x08),)
        return self._char_escape(at)


def _is_one(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


# ------------------------------------------------------------------------------------------------ resolving assertions


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition at one position: on the text before it or on the text after it."""

    ahead: bool
    side: Side | None
    """Condition on the one character beside the position, or None: `language` must accept the whole text there."""
    language: Node
    position: int


_Step = Node | _Condition


def _has_assertions(node: Node) -> bool:
    match node:
        case Edge() | Look():
            return True
        case Cat(items) | Alt(items):
            return any(_has_assertions(item) for item in items)
        case Repeat(item, _, _):
            return _has_assertions(item)
    return False


class _Resolver:
    """Turns a tree with assertions into one without, exactly.

    The tree is taken apart into its ways through: sequences of assertion-free segments with conditions between them.
    A condition on one neighbouring character is moved into the segment that this character belongs to (a segment that
    can be empty is tried empty and not empty). What remains are look-arounds over several characters: those that look
    back are nested to the left, those that look ahead to the right, which is exact as long as none looks back over the
    place of one that looks ahead.
    """

    def __init__(self, text: str, path: str, *, left_open: bool, right_open: bool) -> None:
        self._text = text
        self._path = path
        self._left_open = left_open
        self._right_open = right_open
        self._paths = 0
        self._steps = 0

    def resolve(self, tree: Node) -> Node:
        ways = []
        for way in self._ways(tree):
            runs: list[list[Node]] = [[ANYTHING if self._left_open else EMPTY]]
            conditions: list[tuple[_Condition, ...]] = []
            for step in (*way, ANYTHING if self._right_open else EMPTY):
                if not isinstance(step, _Condition):
                    runs[-1].append(step)
                elif conditions and not runs[-1]:
                    conditions[-1] = (*conditions[-1], step)
                else:
                    conditions.append((step,))
                    runs.append([])
            segments = [cat(*run) for run in runs]
            ways.append(self._solve(segments, conditions))
        return alt(*ways)

    def _count(self) -> None:
        self._paths += 1
        if self._paths > MAX_PATHS:
            raise LimitExceededError(
                f"{self._path}: anchors, \\b and look-around make over {MAX_PATHS} cases of the pattern "
                f"{_shown(self._text)}; use fewer of them"
            )

    def _refuse(self, what: str, position: int) -> NoReturn:
        raise UnsupportedConstraintError(
            f"{self._path}: {what} at character {position + 1} of {_shown(self._text)} cannot be enforced exactly"
        )

    def _ways(self, node: Node) -> list[list[_Step]]:
        if not _has_assertions(node):
            return [[node]]
        match node:
            case Edge(ways, position):
                return [self._edge(before, after, position) for before, after in ways]
            case Look():
                return [[self._look(node)]]
            case Alt(items):
                found: list[list[_Step]] = []
                for item in items:
                    found.extend(self._ways(item))
                    self._count()
                return found
            case Cat(items):
                product: list[list[_Step]] = [[]]
                for has_assertions, run in groupby(items, _has_assertions):
                    for item_ways in map(self._ways, run if has_assertions else (cat(*run),)):
                        product = [[*way, *item_way] for way in product for item_way in item_ways]
                        if len(product) > MAX_PATHS:
                            self._paths = MAX_PATHS
                            self._count()
                return product
            case Repeat(item, low, 1):
                return ([[]] if low == 0 else []) + self._ways(item)
            case Repeat(item, _, _):
                self._refuse("a repeated group with an anchor, \\b or look-around", _position(item))
        raise AssertionError(node)

    @staticmethod
    def _edge(before: Side, after: Side, position: int) -> list[_Step]:
        return [
            _Condition(ahead, side, ANYTHING, position)
            for ahead, side in ((False, before), (True, after))
            if side != _ANY_SIDE
        ]

    def _look(self, look: Look) -> _Condition:
        if isinstance(look.item, Chars):
            side = Side(look.item.ranges, end=False)
            if look.negated:
                side = Side(complement(look.item.ranges), end=True)
            return _Condition(look.ahead, side, ANYTHING, look.position)
        language = _resolve(look.item, self._text, self._path, left_open=not look.ahead, right_open=look.ahead)
        return _Condition(look.ahead, None, negation(language) if look.negated else language, look.position)

    def _solve(self, segments: list[Node], conditions: list[tuple[_Condition, ...]]) -> Node:
        """Texts that are the segments in a row and meet the conditions; `conditions[i]` stands after `segments[i]`."""
        for place, there in enumerate(conditions):
            for condition in there:
                if condition.side is not None:
                    return self._solve_side(segments, conditions, place, condition)
        return self._solve_languages(segments, conditions)

    def _solve_side(
        self,
        segments: list[Node],
        conditions: list[tuple[_Condition, ...]],
        place: int,
        condition: _Condition,
    ) -> Node:
        side = condition.side
        if side is None:
            raise AssertionError(condition)
        rest = conditions.copy()
        rest[place] = tuple(other for other in rest[place] if other is not condition)
        beside = place + 1 if condition.ahead else place
        segment = segments[beside]
        solutions = []

        filled = self._restricted(segment, side.chars, last=not condition.ahead)
        if filled != NOTHING:
            self._count()
            solutions.append(self._solve([*segments[:beside], filled, *segments[beside + 1 :]], rest))

        if nullable(segment):
            self._count()
            edge = len(segments) - 1 if condition.ahead else 0
            if beside == edge:
                known = self._right_open if condition.ahead else self._left_open
                if not known:
                    self._refuse("an assertion that looks out of the look-around it stands in", condition.position)
                if side.end:
                    solutions.append(self._solve([*segments[:beside], EMPTY, *segments[beside + 1 :]], rest))
            else:
                # The segment is empty, so its two places are one, and the condition meets the next segment.
                first = min(place, place + 1 if condition.ahead else place - 1)
                joined = (*conditions[first], *conditions[first + 1])
                solutions.append(
                    self._solve(
                        [*segments[:beside], *segments[beside + 1 :]],
                        [*conditions[:first], joined, *conditions[first + 2 :]],
                    )
                )
        return alt(*solutions)

    def _restricted(self, node: Node, chars: Ranges, *, last: bool) -> Node:
        """Non-empty texts of an assertion-free tree whose last (or first) character is in the set."""

        def joined(rest: Node, item: Node) -> Node:
            return cat(rest, item) if last else cat(item, rest)

        match node:
            case Chars(ranges):
                return Chars(intersection(ranges, chars))
            case Cat(items):
                solutions = []
                ordered = list(items if last else reversed(items))
                while ordered:
                    self._steps += len(ordered)
                    if self._steps > MAX_RESOLVING_STEPS:
                        raise LimitExceededError(
                            f"{self._path}: the pattern {_shown(self._text)} is too large for its anchors, \\b and "
                            "look-around; make it smaller or leave them out"
                        )
                    item = ordered.pop()
                    rest = cat(*(ordered if last else reversed(ordered)))
                    solutions.append(joined(rest, self._restricted(item, chars, last=last)))
                    if not nullable(item):
                        break
                return alt(*solutions)
            case Alt(items):
                return alt(*(self._restricted(item, chars, last=last) for item in items))
            case Repeat(item, low, high):
                rest = repeat(item, max(low - 1, 0), None if high is None else high - 1)
                return joined(rest, self._restricted(item, chars, last=last))
        edge = cat(ANYTHING, Chars(chars)) if last else cat(Chars(chars), ANYTHING)
        return both(node, edge)

    def _solve_languages(self, segments: list[Node], conditions: list[tuple[_Condition, ...]]) -> Node:
        behind = [place for place, there in enumerate(conditions) if any(not c.ahead for c in there)]
        ahead = [place for place, there in enumerate(conditions) if any(c.ahead for c in there)]
        turn = max(behind, default=-1)
        if ahead and min(ahead) < turn:
            position = next(c.position for c in conditions[turn] if not c.ahead)
            self._refuse("look-behind over the place of a look-ahead", position)

        left: Node = EMPTY
        for place in range(turn + 1):
            before = cat(left, segments[place])
            left = both(before, *(c.language for c in conditions[place] if not c.ahead))
        right: Node = EMPTY
        for place in range(len(segments) - 1, turn, -1):
            after = cat(segments[place], right)
            wanted = [c.language for c in conditions[place - 1] if c.ahead] if place > 0 else []
            right = both(after, *wanted)
        return cat(left, right)


def _resolve(tree: Node, text: str, path: str, *, left_open: bool, right_open: bool) -> Node:
    return _Resolver(text, path, left_open=left_open, right_open=right_open).resolve(tree)


def _position(node: Node) -> int:
    """Where the first assertion of a tree stands."""
    match node:
        case Edge() | Look():
            return node.position
        case Cat(items) | Alt(items):
            return min(_position(item) for item in items if _has_assertions(item))
        case Repeat(item, _, _):
            return _position(item)
    raise AssertionError(node)


# ------------------------------------------------------------------------------------------------ printing


def to_terminal(node: Node) -> str:
    """The tree as the right-hand side of an llguidance terminal. The caller sees to it that it is not empty."""
    return _terminal(node, nested=False)


def _terminal(node: Node, *, nested: bool) -> str:
    if node == EMPTY:
        return '""'
    if is_plain(node):
        return f"/{_regex(node)}/"
    match node:
        case Cat(items):
            parts: list[str] = []
            run: list[Node] = []
            for item in (*items, None):
                if item is not None and is_plain(item):
                    run.append(item)
                    continue
                if run:
                    parts.append(_terminal(cat(*run), nested=True))
                    run = []
                if item is not None:
                    parts.append(_terminal(item, nested=True))
            text = " ".join(parts)
        case Alt(items):
            text = " | ".join(_terminal(item, nested=True) for item in items)
        case Both(items):
            text = " & ".join(_terminal(item, nested=True) for item in items)
        case Not(item):
            # A bare ~ would also accept bytes that are no UTF-8.
            text = f"/(?s:.*)/ & ~{_terminal(item, nested=True)}"
        case _:
            raise AssertionError(node)
    return f"({text})" if nested else text


def to_regex(node: Node) -> str:
    """The tree as a regular expression without slashes; for trees without Both and Not."""
    return _regex(node)


def is_plain(node: Node) -> bool:
    """Whether the tree is without Both and Not, so that it prints as one regular expression."""
    match node:
        case Cat(items) | Alt(items):
            return all(is_plain(item) for item in items)
        case Repeat(item, _, _):
            return is_plain(item)
        case Chars():
            return True
    return False


def _regex(node: Node) -> str:
    match node:
        case Chars(ranges):
            return _class_text(ranges)
        case Cat(items):
            return "".join(f"(?:{_regex(item)})" if isinstance(item, Alt) else _regex(item) for item in items)
        case Alt(items):
            return "|".join(_regex(item) for item in items)
        case Repeat(item, low, high):
            if item == Chars(ANY):
                return f"(?s:.{_count_text(low, high)})"
            inner = _regex(item) if isinstance(item, Chars) else f"(?:{_regex(item)})"
            return inner + _count_text(low, high)
    raise AssertionError(node)


def _count_text(low: int, high: int | None) -> str:
    match (low, high):
        case (0, None):
            return "*"
        case (1, None):
            return "+"
        case (0, 1):
            return "?"
        case (_, None):
            return f"{{{low},}}"
    return f"{{{low}}}" if low == high else f"{{{low},{high}}}"


def _class_text(ranges: Ranges) -> str:
    if ranges == ANY:
        return "(?s:.)"
    if ranges == NOT_LINE_FEED:
        return "."
    if not ranges:
        return r"[^\s\S]"
    if _is_one(ranges):
        return _char_text(ranges[0][0])
    others = complement(ranges)
    listed, sign = (others, "^") if len(others) < len(ranges) else (ranges, "")
    members = [
        _char_text(low) if low == high else f"{_char_text(low)}{'-' if high > low + 1 else ''}{_char_text(high)}"
        for low, high in listed
    ]
    return f"[{sign}{''.join(members)}]"


_NAMED_CHARACTERS = {0x09: r"\t", 0x0A: r"\n", 0x0D: r"\r"}


def _char_text(code_point: int) -> str:
    character = chr(code_point)
    if code_point in _NAMED_CHARACTERS:
        return _NAMED_CHARACTERS[code_point]
    if (character.isascii() and character.isalnum()) or character in " _\"'<>=,;:!@%`":
        return character
    if 0x20 < code_point < 0x7F:
        return "\\" + character
    # Other characters are spelt by number: no reader of the grammar can then take them for layout.
    return f"\\u{{{code_point:x}}}"
