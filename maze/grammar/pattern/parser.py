r"""A caller's pattern to a tree of the exact set of whole outputs it asks for.

The parser is our own because every parser at hand means something else: `re._parser` is internal to CPython and knows
no positions once a tree is made, `interegular` has no Unicode classes and no budget, and llguidance silently changes
what it does not know (`a++`, `(?P<stop>..)`, `\0`).

What a pattern means:

- The output as a whole must match: `^...$` is the whole output; a side without its anchor may be preceded or followed
  by anything. `^a|b$` is "begins with a, or ends with b".
- `$` and `\Z` mean the very end, also if a line feed stands there. With the flag `m`, `^` and `$` also match at the
  ends of lines. `.` is anything but the ends of lines, which are LF, CR, U+2028 and U+2029 as in ECMAScript; with the
  flag `s` anything.
- `\d`, `\w`, `\s` and `\b` are ASCII, as in ECMAScript and in JSON Schema: `[0-9]`, `[A-Za-z0-9_]`,
  `[ \t\n\r\f\v]`. `[[:alpha:]]` and its like are ASCII too. `\p{L}`, `\p{Greek}`, `\p{Alphabetic}` and their like
  are general categories, scripts and properties of Unicode.
- The flag `i` ignores case as ECMAScript does: by simple upper case, and never between ASCII and other letters.
- The flags `i m s x` may come as `/pattern/flags`, as `pattern|FLAGS:flags`, or as `(?flags)` and `(?flags:...)`.
  `g`, `u` and `y` say how to search and mean nothing for a whole output.
- Slashes around a pattern are delimiters if flags follow, or if an anchor stands beside one (`/^a$/`); otherwise they
  are text, as in `/\*.*\*/`.
- Lazy quantifiers, groups and their names do not change which texts match. Look-around, `\b`, `\B` and anchors
  anywhere are resolved exactly. A backreference stands for each text of its group, if they are few and each match has
  one. `\Q..\E` quotes; `\R` is a line break and `\h` a blank, as in PCRE; `\v` is U+000B, as in ECMAScript.
- Atomic groups and possessive quantifiers are taken where what they take does not depend on the order in which a
  matcher tries. Other backreferences, recursion and conditions are refused with their position.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NoReturn

from maze.errors import InvalidConstraintError
from maze.grammar.budget import Budget
from maze.grammar.pattern.assertions import resolve
from maze.grammar.pattern.backreferences import without_references
from maze.grammar.pattern.backtracking import atomic, possessive
from maze.grammar.pattern.code_points import (
    ANY,
    LINE_TERMINATORS,
    characters,
    complement,
    single,
)
from maze.grammar.pattern.elements import ElementParser
from maze.grammar.pattern.source import Source
from maze.grammar.pattern.tree import (
    EMPTY,
    MAX_CONJUNCTS,
    Backreference,
    Boundary,
    Capture,
    Chars,
    Lookaround,
    Neighbour,
    Node,
    alt,
    cat,
    conjuncts,
    literal,
    repeat,
)

MAX_PATTERN_CHARACTERS = 65_536
"""Longest pattern; parsing one takes less than 0.2 s."""
MAX_PATTERN_SIZE = 5_000
"""Most positions of a pattern with its counted repetitions written out (`(a{10}){10}` has 100). Work in an engine grows
with it, faster than linearly: 20,000 times `a?` takes llguidance 4.5 s."""
MAX_GROUP_DEPTH = 100
"""Deepest nesting of groups."""


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
_LINE_END = Neighbour(LINE_TERMINATORS, end=True)

_LINE_BREAK = alt(
    literal("\r\n"),
    cat(literal("\r"), Lookaround(True, True, literal("\n"), 0)),
    Chars(characters("\n\v\f\x85\u2028\u2029")),
)
"""`\\R`, which does not stand for the first half of CR LF."""


class PatternParser(ElementParser):
    """Recursive descent over one pattern, which is `body` in its source."""

    lazily_repeated: Callable[[Node, int, int | None], Node] = staticmethod(repeat)
    """Lazy or greedy: the same texts match as a whole."""

    def __init__(self, body: str, source: Source, budget: Budget, flags: frozenset[str] = frozenset()) -> None:
        super().__init__(body, source, budget, flags)
        self._depth = 0
        self._groups = 0
        self._names: dict[str, int] = {}
        self._looks_back = 0
        """Look-behinds that it reads in."""
        self._last_lazy = -1
        """Where the last lazy quantifier stands, as far as has been read."""
        self._refers_back = re.search(r"\\[1-9kg]|\(\?P=", body) is not None

    def parse(self) -> Node:
        tree, _ = self._alternation()
        if self._at < len(self._body):
            self._source.invalid("unbalanced )", self._at, "write \\) for the character")
        return self._without_references(tree) if self._refers_back else tree

    def _without_references(self, tree: Node) -> Node:
        return without_references(tree, self._source, self._budget)

    def _check_size(self, size: int, at: int) -> int:
        if size > MAX_PATTERN_SIZE:
            self._source.too_large(
                f"with its repetitions written out the pattern has over {MAX_PATTERN_SIZE} positions "
                f"{self._source.place(at)}; use smaller counts"
            )
        return size

    # -- structure; every function returns its tree and its size

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
        while (quoted := self._is_quoted()) or (self._at < len(self._body) and self._body[self._at] not in "|)"):
            if "x" in self._flags and not quoted and self._skip_layout():
                continue
            start = self._at
            atom, size = self._atom()
            if "x" in self._flags:
                while not self._is_quoted() and self._skip_layout():
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
        if self._is_quoted():
            return (EMPTY if atom is None else atom), size
        counts = self._match(r"\*|\+|\?|\{(\d+)(?:(,)(\d*))?\}|\{,(\d+)\}")
        if counts is None:
            return (EMPTY if atom is None else atom), size
        at = self._at
        if atom is None or (isinstance(atom, Boundary | Lookaround) and not self._match(r"\((?!\?<?[=!])", start)):
            self._source.invalid(
                f"nothing to repeat before {counts.group()!r}", at, "put a backslash before it for the character"
            )
        if counts.group(4) is not None:
            self._source.invalid(
                f"{counts.group()!r} reads differently everywhere", at, f"write {{0,{counts.group(4)}}}"
            )
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
            self._source.invalid(
                f"the counts of {counts.group()!r} are the wrong way round", at, f"write {{{high},{low}}}"
            )
        self._at = counts.end()
        tree = repeat(atom, low, high)
        if self._peek("?"):
            tree = self.lazily_repeated(atom, low, high)
            self._last_lazy = self._at
            self._at += 1
        elif self._peek("+"):
            if not self.has_extensions:
                self._source.unsupported(
                    "possessive quantifier", self._at, "is not one of ECMAScript's; use a plain one"
                )
            tree = self._without_going_back(
                possessive(atom, low, high, self._budget), "a possessive quantifier", self._at, "a plain one"
            )
            size *= 2
            self._at += 1
        if self._match(r"[*+?]|\{\d+(,\d*)?\}"):
            self._source.invalid("a quantifier follows a quantifier", self._at, "put what is repeated twice in (?:...)")
        size = self._check_size(max(size, 1) * max(low, high if high is not None else low, 1), start)
        return tree, size

    def _atom(self) -> tuple[Node | None, int]:
        at = self._at
        character = self._body[at]
        self._at += 1
        match "" if self._at <= self._quoted_end else character:
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
                self._source.invalid(
                    f"nothing to repeat before {character!r}", at, f"write \\{character} for the character"
                )
            case "{" if self._match(r"\{(\d+(,\d*)?|,\d+)\}", at):
                self._source.invalid("nothing to repeat before a count in braces", at, "write \\{ for the character")
        if 0xD800 <= ord(character) <= 0xDFFF:
            self._source.invalid("a lone surrogate", at, "write both halves of the character")
        return self._chars(single(ord(character))), 1

    def _group(self, at: int) -> tuple[Node | None, int]:
        look: tuple[bool, bool] | None = None
        number: int | None = None
        is_atomic = False
        outer_flags = self._flags
        if self._peek("?#"):
            end = self._body.find(")", self._at)
            if end < 0:
                self._source.invalid("the comment has no end that begins", at, "end it with )")
            self._at = end + 1
            return None, 0
        if self._peek("*"):
            self._source.unsupported("a verb such as (*FAIL)", at, "cannot be enforced")
        if self._peek("?P="):
            self._at += 1
            return self._reference(at)
        if self._peek("?"):
            opening = self._match(
                r"\?(?::|(?P<atomic>>)|(?P<look><?[=!])|P?<(?P<name>[A-Za-z_]\w*)>|'(?P<quoted>[A-Za-z_]\w*)'|(?P<on>[a-z]*)(?:-(?P<off>[a-z]+))?(?P<end>[:)]))"
            )
            if opening is None:
                self._refuse_group(at)
            self._at = opening.end()
            is_atomic = opening["atomic"] is not None
            if name := opening["name"] or opening["quoted"]:
                number = self._names[name] = self._groups = self._groups + 1
            if opening["look"]:
                look = ("<" not in opening["look"], "!" in opening["look"])
            elif opening["end"]:
                changed = frozenset((opening["on"] or "") + (opening["off"] or ""))
                unknown = sorted(changed - _FLAGS - _IGNORED_FLAGS)
                if unknown:
                    self._source.invalid(
                        f"unknown flag {unknown[0]!r} in the group", at, "the flags are i, m, s, u and x"
                    )
                self._flags = (self._flags | frozenset(opening["on"] or "")) - frozenset(opening["off"] or "")
                if opening["end"] == ")":
                    # It holds to the end of the group that it stands in, which puts back its own flags.
                    return None, 0
        else:
            number = self._groups = self._groups + 1
        self._depth += 1
        if self._depth > MAX_GROUP_DEPTH:
            self._source.too_large(f"groups are nested over {MAX_GROUP_DEPTH} deep {self._source.place(at)}")
        looks_back = look is not None and not look[0]
        self._looks_back += looks_back
        tree, size = self._alternation()
        self._looks_back -= looks_back
        self._depth -= 1
        self._flags = outer_flags
        if not self._peek(")"):
            self._source.invalid("missing ) for the group that begins", at, "close it, or write \\( for the character")
        self._at += 1
        if look is not None:
            ahead, negated = look
            return Lookaround(ahead, negated, tree, at), size
        if is_atomic:
            taken = atomic(tree, self._budget, greedy=self._last_lazy < at)
            return self._without_going_back(taken, "an atomic group", at, "(?:...)"), self._check_size(2 * size, at)
        return (Capture(number, tree) if self._refers_back and number is not None else tree), size

    def _without_going_back(self, tree: Node | None, what: str, at: int, instead: str) -> Node:
        """The tree for something that is not gone back into, if there is one."""
        if self._looks_back:
            self._source.unsupported(what, at, f"reads differently everywhere in a look-behind; use {instead}")
        if tree is None:
            self._source.unsupported(what, at, f"takes what it tries first, which is not one text only; use {instead}")
        return tree

    def _refuse_group(self, at: int) -> NoReturn:
        rest = self._body[self._at : self._at + 12]
        if re.match(r"\?(R|0|[+-]?\d|&|P>)", rest):
            self._source.unsupported("recursion", at, "is not regular; give a grammar instead")
        if rest.startswith("?("):
            self._source.unsupported("conditional group", at, "cannot be enforced; write out the alternatives")
        if rest.startswith("?|"):
            self._source.unsupported("branch reset group", at, "cannot be enforced; use (?:...)")
        self._source.invalid(f"unknown group ({rest[:2]}", at, "write (?:...), or \\( for the character")

    # -- escapes

    def _escape(self, at: int) -> tuple[Node, int]:
        if self._at >= len(self._body):
            self._source.invalid("a lone backslash ends the pattern", at, "write \\\\ for the character")
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
                return self._reference(at)
            case "R":
                self._at += 1
                return self._without_going_back(_LINE_BREAK, "\\R", at, "[\\r\\n]"), 4
            case "G" | "K" | "X" | "C":
                self._source.unsupported(f"\\{letter}", at, "cannot be enforced")
        return self._weighed(self._chars(self._char_escape(at)).ranges)

    def _reference(self, at: int) -> tuple[Node, int]:
        """A backreference; `self._at` stands after what it begins with."""
        found = self._match(
            r"k(?:<(?P<name>\w+)>|'(?P<name2>\w+)'|\{(?P<name3>\w+)\})"
            r"|g?(?P<number>[1-9]\d{0,3})|g\{(?:(?P<number2>-?[1-9]\d{0,3})|(?P<name4>[A-Za-z_]\w*))\}"
            r"|P=(?P<name5>\w+)\)"
        )
        if found is None:
            self._source.unsupported("a reference to a group", at, "is not understood; write \\1 or \\k<name>")
        self._at = found.end()
        names = [found[group] for group in ("name", "name2", "name3", "name4", "name5") if found[group]]
        digits = found["number"] or found["number2"]
        number = self._names.get(names[0], 0) if names else int(digits)
        if number < 0:
            number += self._groups + 1
        if not 0 < number <= self._groups:
            what = "a backreference to a group that does not begin before it,"
            self._source.unsupported(what, at, "reads differently everywhere; write out what it stands for")
        return Backreference(number, "i" in self._flags, at), 1
