"""GBNF, the grammars of llama.cpp, translated exactly or refused with the line and column."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from maze.errors import InvalidConstraintError, LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import unreachable_warnings, without_dead_rules
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.cfg.productions import to_cfg
from maze.grammar.pattern.code_points import ANY, LAST_CODE_POINT, complement, intersection, union
from maze.grammar.pattern.tree import Chars, Node, Nonterminal, alt, cat, literal, repeat

MAX_NESTING = 60
"""Deepest nesting of parentheses."""
MAX_REPETITION = 2_000
"""Largest number in `{n,m}`; llama.cpp has the same limit."""
MAX_RULES = 100_000
"""Most rules of one grammar."""

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "[": "[", "]": "]"}
_COUNTS = re.compile(r"\{\s*([0-9]+)\s*(?:(,)\s*([0-9]*)\s*)?\}")
_DEFINED = re.compile(r"[ \t]*::=")
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def lower_gbnf(text: str, path: str, budget: Budget) -> LoweredGrammar:
    """Lower GBNF text whose first rule to be used is `root`."""
    reader = _Reader(text, path, budget)
    rules = reader.read()
    if "root" not in rules:
        raise InvalidConstraintError(
            f"{path} was taken for GBNF, but has no rule root; name the rule that all texts begin with root"
        )
    for references in reader.references.values():
        for name, place in references.items():
            if name not in rules:
                reader.fail(place, f"the rule {name!r} is not defined; add '{name} ::= ...'")
    cfg, warnings = without_dead_rules(to_cfg("root", rules, budget), path, rules)
    return LoweredGrammar(cfg, warnings=(*warnings, *unreachable_warnings("root", reader.references, path)))


@dataclass(slots=True)
class _Reader:
    """A reader of GBNF by recursive descent; its depth is bounded by MAX_NESTING."""

    text: str
    path: str
    budget: Budget
    at: int = 0
    references: dict[str, dict[str, int]] = field(default_factory=dict)
    """By rule: the names of the rules that it refers to, each with the place where it first does."""
    rule: str = ""
    """The rule that is being read."""
    opened: list[int] = field(default_factory=list)
    """Where the parentheses stand that are open."""

    def fail(self, place: int, problem: str) -> NoReturn:
        line = self.text.count("\n", 0, place) + 1
        column = place - (self.text.rfind("\n", 0, place) + 1) + 1
        raise InvalidConstraintError(f"{self.path} was taken for GBNF: line {line}, column {column}: {problem}")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self, *, lines: bool) -> None:
        """Skip white space and comments, and line ends if `lines`."""
        while character := self.peek():
            if character == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif character in " \t" or (character in "\r\n" and lines):
                self.at += 1
            else:
                return

    def read(self) -> dict[str, Node]:
        rules: dict[str, Node] = {}
        self.skip(lines=True)
        while self.peek():
            place = self.at
            name = self.name()
            if not name:
                self.fail(place, "the name of a rule is expected; it has letters, digits, '-' and '_'")
            if name in rules:
                self.fail(place, f"the rule {name!r} is defined twice; join the two with '|'")
            if len(rules) == MAX_RULES:
                raise LimitExceededError(f"{self.path} has over {MAX_RULES:,} rules, which is the limit")
            self.skip(lines=False)
            if not self.text.startswith("::=", self.at):
                self.fail(self.at, f"'::=' is expected after the rule name {name!r}")
            self.at += 3
            self.skip(lines=True)
            self.rule = name
            self.references[name] = {}
            rules[name] = self.choice(depth=0)
            self.skip(lines=False)
            if self.peek() not in ("", "\r", "\n"):
                self.fail(self.at, f"{self.peek()!r} is not expected here; the rule should end with its line")
            self.skip(lines=True)
        return rules

    def name(self) -> str:
        begin = self.at
        while self.peek() and self.peek() in _NAME_CHARACTERS:
            self.at += 1
        return self.text[begin : self.at]

    def choice(self, depth: int) -> Node:
        if depth > MAX_NESTING:
            raise LimitExceededError(f"{self.path} nests parentheses over {MAX_NESTING} deep, which is the limit")
        options = [self.sequence(depth)]
        while self.bar(depth):
            self.at += 1
            self.skip(lines=True)
            options.append(self.sequence(depth))
        return alt(*options)

    def bar(self, depth: int) -> bool:
        """Whether another alternative follows; it may begin on a line of its own, as other readers of GBNF allow."""
        before = self.at
        self.skip(lines=True)
        if self.peek() == "|":
            return True
        if depth == 0:
            self.at = before
        return False

    def sequence(self, depth: int) -> Node:
        items: list[Node] = []
        while True:
            self.skip(lines=depth > 0)
            character = self.peek()
            if not character or character in "|)\r\n":
                break
            begin = self.at
            items.append(self.repeated(self.item(depth), depth))
            self.budget.spend(2 + (self.at - begin) // 4)
        return cat(*items)

    def item(self, depth: int) -> Node:
        place = self.at
        character = self.peek()
        if character == '"':
            return self.literal()
        if character == "[":
            return self.chars()
        if character == ".":
            self.at += 1
            return Chars(ANY)
        if character == "(":
            self.at += 1
            self.opened.append(place)
            inner = self.choice(depth + 1)
            self.skip(lines=True)
            if self.peek() != ")":
                self.fail(place, "this parenthesis is never closed; write '\"(\"' for the character")
            self.at += 1
            self.opened.pop()
            return inner
        if name := self.name():
            if self.opened and _DEFINED.match(self.text, self.at):
                self.fail(self.opened[-1], "this parenthesis is never closed; write '\"(\"' for the character")
            self.references[self.rule].setdefault(name, place)
            return Nonterminal(name)
        if character == "'":
            self.fail(place, 'a text stands between double quotes: "..."')
        if character in ("<", "!"):
            self.fail(place, "a token of the engine's vocabulary cannot be checked on a finished text; write its text")
        repeats = character in ("*", "+", "?", "{")
        problem = "has nothing before it to repeat" if repeats else "is not expected here"
        return self.fail(place, f"{character!r} {problem}; a character that is meant stands in double quotes")

    def repeated(self, item: Node, depth: int) -> Node:
        """The item with all repetitions after it, each of which repeats what stands before it."""
        while True:
            self.skip(lines=depth > 0)
            character = self.peek()
            if character == "{":
                item = self.counted(item)
            elif character and character in "*+?":
                self.at += 1
                item = repeat(item, 1 if character == "+" else 0, 1 if character == "?" else None)
            else:
                return item

    def counted(self, item: Node) -> Node:
        place = self.at
        counts = _COUNTS.match(self.text, place)
        if counts is None:
            self.fail(place, "a repetition is {n}, {n,} or {n,m}")
        end = counts.end() - 1
        numbers = [counts[1], counts[3]] if counts[2] else [counts[1]]
        digits = max(map(len, numbers))
        least = int(numbers[0]) if digits < 10 else MAX_REPETITION + 1
        most = least if len(numbers) == 1 else int(numbers[1]) if numbers[1] and digits < 10 else None
        if max(least, most or 0) > MAX_REPETITION:
            raise LimitExceededError(f"{self.path} repeats something over {MAX_REPETITION:,} times, which is the limit")
        if most is not None and most < least:
            self.fail(place, f"at least {least} and at most {most} times cannot be; write {{{most},{least}}}")
        self.at = end + 1
        return repeat(item, least, most)

    def literal(self) -> Node:
        place = self.at
        self.at += 1
        characters = []
        while self.peek() != '"':
            if self.peek() in ("", "\n"):
                self.fail(place, "this text is never closed; end it with a double quote on its line")
            characters.append(self.character())
        self.at += 1
        return literal("".join(characters))

    def chars(self) -> Node:
        place = self.at
        self.at += 1
        negated = self.peek() == "^"
        if negated:
            self.at += 1
        ranges: list[tuple[int, int]] = []
        while self.peek() != "]":
            if self.peek() in ("", "\n"):
                self.fail(place, "this class of characters is never closed; end it with ] on its line")
            begin = self.at
            first = last = ord(self.character())
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                last = ord(self.character())
            if last < first:
                self.fail(begin, "this range of characters ends before it begins; write the smaller character first")
            ranges.append((first, last))
        self.at += 1
        if not ranges:
            self.fail(place, "this class of characters is empty; leave it out")
        chars = union(tuple(ranges))
        return Chars(complement(chars) if negated else intersection(chars, ANY))

    def character(self) -> str:
        place = self.at
        character = self.peek()
        self.at += 1
        if character != "\\":
            return character
        kind = self.peek()
        self.at += 1
        if kind in _ESCAPES and kind:
            return _ESCAPES[kind]
        if kind not in _HEX_DIGITS:
            self.fail(place, f"the escape '\\{kind}' is not known; a backslash itself is written \\\\")
        digits = self.text[self.at : self.at + _HEX_DIGITS[kind]]
        if len(digits) < _HEX_DIGITS[kind] or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            self.fail(place, f"'\\{kind}' needs {_HEX_DIGITS[kind]} hexadecimal digits, such as \\x41")
        self.at += len(digits)
        code = int(digits, 16)
        if code > LAST_CODE_POINT or 0xD800 <= code <= 0xDFFF:
            self.fail(place, f"'\\{kind}{digits}' is no character; the last is U+10FFFF, without surrogates")
        return chr(code)
