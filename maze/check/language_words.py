"""What a place in a program expects, in the words of its language: an expression, a name, a sign, a line break."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import TypeAlias

from maze.check.expectation import END_OF_TEXT, listed_as_choice
from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.cfg.earley import Chart, Tables
from maze.grammar.cfg.model import Cfg, Literal, Terminal
from maze.grammar.languages.syntax import find_syntax
from maze.grammar.pattern.code_points import Ranges, ignoring_case, single
from maze.grammar.pattern.questions import listed_texts
from maze.grammar.pattern.shortest import shortest_of
from maze.grammar.pattern.tree import Chars, Node, Not, Repeat, both, cat, literal, text_of
from maze.grammar.read.grammar_text import lower_grammar
from maze.grammar.read.lark.language_files import for_the_printer
from maze.grammar.read.lark.language_names import own_name
from maze.threads import run_with_big_stack

MAX_WORDING_STEPS = 600_000
"""Most steps to find the words for what a place expects: two seconds, for about 30 KB of a program. Beyond, its
characters are told."""
_MAX_TEXTS = 4
"""Most texts of a terminal that are told all."""
_STARTS = {"statement": "a statement", "expression": "an expression", "type": "a type"}
"""The rules of languages that are told by their names, the widest first."""
A_BLANK = "a blank"
A_TEXT_WITHOUT_COMMENTS = "none, as the grammar has no comments (maze format leaves them out)"
_VALUE = "a value"
_NOUNS = {
    "import": "imported name",
    "text": "string",
    "arithmetic": "arithmetic operator",
    "null test": "test for NULL",
    "function": "function name",
    "multiline": "text of several lines",
    "import from": "imported name",
    "insert": "'INSERT INTO'",
    "drop": "'DROP TABLE', 'DROP INDEX', 'DROP VIEW' or 'DROP TRIGGER'",
    "before": "'BEFORE', 'AFTER' or 'INSTEAD OF'",
    "commit": "'COMMIT', 'END' or 'ROLLBACK'",
    "direction": "'ASC' or 'DESC'",
    "nulls": "'NULLS FIRST' or 'NULLS LAST'",
    "frame": "'ROWS', 'RANGE' or 'GROUPS'",
    "maintenance": "'ANALYZE' or 'REINDEX'",
    "table options": "'WITHOUT ROWID' or 'STRICT'",
    "action": "'ON DELETE' or 'ON UPDATE'",
    "conflict": "'ON CONFLICT'",
    "steps": "'BEGIN'",
    "as query": "'AS'",
    "each row": "'FOR EACH ROW'",
    "first when": "'WHEN'",
    "or else": "'OR'",
    "builtin name": "function name",
    "outer": "'global' or 'nonlocal'",
    "leave to": "'break :' or 'continue :'",
    "leave with": "'break' or 'continue' with a value",
    "reading": "'@import(', '@cInclude(' or '@embedFile('",
    "builtin": "builtin function",
    "assembly": "'__asm__'",
    "pointing": "qualifier",
    "separator": "';' or ','",
    "optionality": "'?'",
    **dict.fromkeys(("bits", "hexadecimal", "signed"), "number"),
    **dict.fromkeys(("sign", "stepped", "word"), "prefix operator"),
    **dict.fromkeys(("test operator", "field operator"), "operator"),
    **dict.fromkeys(("bytes", "bytes next"), "bytes literal"),
    **dict.fromkeys(("singles", "doubles"), "quote"),
    "hexfraction": "fraction",
    "format more": "format",
    "mapped modifier": "modifier",
    "define": "#define",
    "inlining": "function specifier",
    "linkage": "storage class",
    "stars": "pointer sign",
    "pointer": "pointer sign",
    "template head": "template",
    "reserved": "reserved word",
    "comparison": "comparison operator",
    "basic": "basic type",
    "primitive": "primitive type",
    "prefix": "prefix operator",
    "storage": "storage class",
    **dict.fromkeys(("f double inside", "f single inside", "text next", "f empty"), "string"),
    **{
        f"f {form}{kind}{more}": "string"
        for form in ("", "raw ", "long ")
        for kind in ("single", "double")
        for more in ("", " next", " text")
    },
    **dict.fromkeys(("template head", "template middle", "template tail"), "template"),
    **dict.fromkeys(("regex", "uregex"), "regular expression"),
    **dict.fromkeys(("logical", "boolean"), "logical operator"),
    **dict.fromkeys(("assignment", "assign operator", "change"), "assignment operator"),
}
"""For the names of terminals in the files of languages that are not what a person calls them."""
_LANGUAGES = re.compile(r"%language[ \t]+(\w+)|%import[ \t]+language\.(\w+)")
_LONGEST_SIGN = 16
_BLANK = 0x20
_WORD_OR_SIGN = re.compile(rb"\w{1,100}|([^\w\s])\1*")
_OF_WORDS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_BLANKS = Repeat(Chars(((0x09, 0x0A), (0x20, 0x20))), 0, None)
_CLOSING = frozenset(")]},;:")
_CLOSERS = (")", "]", "}", ">")
_LIST_END = cat(Repeat(Chars(((0x2C, 0x2C), (0x3B, 0x3B))), 0, 1), _BLANKS)


Following: TypeAlias = Callable[[bytes], Collection[int]]
"""The bytes with which the beginning of a text may go on."""


def expected_after(
    beginning: bytes, grammar: str, following: Following, budget: Budget, *, may_end: bool
) -> str | None:
    """What may come after the beginning of a text of a grammar with whole languages, or whether it `may_end` there.

    None where finding the words takes too much work. Raises as Budget.spend() and `following` do.
    """
    text = beginning.decode(errors="ignore")
    try:
        words = run_with_big_stack(lambda: _Place(text, grammar, following, budget, may_end=may_end).words())
    except OverBudgetError:
        return None
    return listed_as_choice(words) if words else None


def begins_with_a_comment(text: bytes, offset: int, grammar: str) -> bool:
    """Whether a comment of a language in the grammar begins at a place, behind blanks, or with the sign before it."""
    places = [text[at:].decode(errors="replace").lstrip(" \t") for at in {offset, max(offset - 1, 0)}]
    languages = {find_syntax("".join(each)) for each in _LANGUAGES.findall(grammar)}
    comments = [for_the_printer(each).get("comment") for each in languages if each]
    return any(re.match(comment, place) for comment in comments if comment for place in places)


def lacks_a_blank(beginning: bytes, rest: bytes, following: Following) -> bool:
    """Whether the word or sign that `rest` begins with would be right behind a blank, which is then all to be told."""
    token = _WORD_OR_SIGN.match(rest)
    if token is None or _BLANK not in following(beginning):
        return False
    parted = beginning + bytes((_BLANK,))
    # Two blanks stand side by side in strings and the like only; a word is whole where another sign may follow.
    return _BLANK not in following(parted) and any(byte not in _OF_WORDS for byte in following(parted + token[0]))


class _Place:
    """The end of the beginning of a text."""

    def __init__(self, text: str, grammar: str, following: Following, budget: Budget, *, may_end: bool) -> None:
        self._following = following
        self._may_end = may_end
        work = budget.construction(MAX_WORDING_STEPS)
        self._tables = Tables(_cfg(grammar), work)
        self._chart = Chart(self._tables, work)
        self._text = ""
        self._read(text.rstrip())
        self._blanks = text[len(self._text) :]

    def words(self) -> list[str]:
        """What may come, each once."""
        before = self._new()
        closing: dict[Terminal, None] = {
            each: None for each in before if isinstance(each, Literal) and each.text[0] in _CLOSING
        }
        self._read(self._blanks)
        if self._chart.offset < len(self._text):
            return []
        new, begun = self._new(), self._begun()
        if self._blanks and not new and begun.keys() <= before.keys():
            # Blanks belong to what comes behind them.
            return self._shown(before, ended=self._may_end)
        # Where a blank before something optional was read, what would have closed is not told by what is behind blanks.
        if self._blanks == " ":
            new |= closing
        words = self._shown([*new, *(each for each in begun if isinstance(each, Literal))], ended=self._may_end)
        words += _collected(_more_of(each) for each in begun if not isinstance(each, Literal))
        if _LINE_BREAK in words:
            self._read("\n")
            if indentation := _indentation_of(self._new()):
                words[words.index(_LINE_BREAK)] = f"{_LINE_BREAK} and {indentation}"
        elif begun and not new:
            self._read(" ")
            if behind := self._shown(self._new(), ended=False):
                return [f"{A_BLANK} and then {listed_as_choice(behind)}"]
        return words

    def _read(self, more: str) -> None:
        self._chart.read(more)
        self._text += more

    def _new(self) -> dict[Terminal, None]:
        return self._possible(self._chart.new_terminals())

    def _begun(self) -> dict[Terminal, None]:
        return self._possible(self._chart.unfinished_terminals())

    def _possible(self, found: Iterable[tuple[Terminal, Ranges]]) -> dict[Terminal, None]:
        """Those that may go on as it is read by the longest match."""
        some = list(found)
        following = self._following(self._text.encode()) if some else ()
        return {each: None for each, characters in some if _begins_with(characters, following)}

    def _shown(self, found: Iterable[Terminal], *, ended: bool) -> list[str]:
        """The words for terminals: first the rules that most of them begin, then the others."""
        left = dict.fromkeys(found)
        all_found = frozenset(left)
        words = [END_OF_TEXT] if ended else []
        for start, word in _STARTS.items():
            for rule, name in enumerate(self._tables.names):
                if not name.startswith(f"{start} of language.") or name.endswith("]"):
                    continue
                prediction = self._tables.prediction(frozenset((rule,)))
                firsts = frozenset(self._tables.terminal(slot) for slot, _ in prediction.terminals())
                if all(map(_is_name, firsts)):
                    continue
                fits = firsts <= all_found if start == "statement" else 2 * len(firsts & all_found) > len(firsts)
                if fits and firsts & left.keys():
                    words.append(_VALUE if name == "expression of language.json" else word)
                    left = {each: None for each in left if each not in firsts and not _is_name(each)}
        ends = _ENDS.union(word_of(each) for each in left if isinstance(each, Literal) and each.text == ":")
        words += sorted(_collected(map(word_of, left)), key=lambda each: (each not in ends, each.startswith("'")))
        return words


@lru_cache(maxsize=8)
def _cfg(grammar: str) -> Cfg:
    return lower_grammar(grammar, None, "the grammar", Budget()).checked


def _begins_with(characters: Ranges, following: Collection[int]) -> bool:
    """Whether one of some characters begins with one of these bytes, as far as that is seen from the first."""
    return any(low <= byte <= high or (byte >= 0x80 and high >= 0x80) for byte in following for low, high in characters)


def _collected(words: Iterable[str]) -> list[str]:
    """Each once, and names of a role only where there are no others."""
    found = dict.fromkeys(part for word in words for part in _alternatives(word))
    return [each for each in found if each.endswith("a name") or not (each.endswith(" name") and _NAMES & found.keys())]


def _alternatives(word: str) -> list[str]:
    """The texts of a word that lists some."""
    return _QUOTED.findall(word) if _CHOICE.fullmatch(word) else [word]


def _more_of(terminal: Terminal) -> str:
    word = word_of(terminal)
    return word if word.startswith("'") else f"more of {word}"


def _indentation_of(found: Iterable[Terminal]) -> str | None:
    """What must stand behind a line break, if that is nothing but blanks."""
    blanks = [each.text if isinstance(each, Literal) else "" for each in found]
    if not blanks or any(not each or each.strip(" ") for each in blanks):
        return None
    return _indentation(blanks)


def _indentation(blanks: Iterable[str]) -> str:
    return f"indentation of {listed_as_choice([str(size) for size in sorted({len(each) for each in blanks})])} blanks"


_QUOTED = re.compile(r"'[^']+'")
_CHOICE = re.compile(r"'[^']+'(, '[^']+')* or '[^']+'")
_IN_QUOTES = cat(Chars(((0x22, 0x22), (0x27, 0x27))), Repeat(Chars(((0, 0x10FFFF),)), 0, None))
_NAMES = frozenset(("a name", "more of a name"))
_LINE_BREAK = "a line break"
_ENDS = frozenset(("')'", "']'", "'}'", "';'", _LINE_BREAK))
"""What is forgotten most often comes first."""


def _is_name(terminal: Terminal) -> bool:
    return not isinstance(terminal, Literal) and re.match(r"([A-Z]+_)?NAME[A-Z_]* of ", terminal.name) is not None


@lru_cache(maxsize=4096)
def word_of(terminal: Terminal) -> str:
    """What a person calls a terminal."""
    if isinstance(terminal, Literal):
        return _shown_text(terminal.text)
    if re.match("NAME_[A-Z_]+ of ", terminal.name):
        return "a name"
    texts = None if _is_name(terminal) else listed_texts(terminal.language)
    if texts is not None and len(alike := dict.fromkeys(map(_shown_text, texts))) <= _MAX_TEXTS:
        return listed_as_choice(list(alike))
    own = re.sub(r"(?<=_NAME)_[A-Z_]+", "", terminal.name.partition(" of ")[0])
    name = own.lower().replace("_", " ")
    try:
        work = Budget().construction()
        example = shortest_of(terminal.language, work) or ""
        if not example.strip():
            return _shown_text(example)
        any_case = cat(*(Chars(ignoring_case(single(ord(each)))) for each in example.strip()))
        is_named = re.fullmatch(r"[A-Z][A-Z_0-9]*", own) is not None
        if name == example.strip().lower() or (not is_named and _is_all_but_blanks(any_case, terminal, work)):
            capitals = cat(_BLANKS, literal(example.strip().upper()), _BLANKS)
            if shortest_of(both(terminal.language, capitals), work) is not None:
                return _quoted(example.strip().upper())
        if name == example.strip().lower():
            return _quoted(name)
        if own == "IMPORT" and shortest_of(both(terminal.language, Not(_IN_QUOTES)), work) is None:
            return "a string"
        if len(example) < _LONGEST_SIGN and _is_all_but_blanks(literal(example.strip()), terminal, work):
            return _quoted(example.strip())
    except OverBudgetError:
        example = ""
    if not re.fullmatch(r"[A-Z][A-Z_0-9]*", own):
        return f"a text such as {_quoted(example.strip())}" if example else "other text"
    if own_name(terminal.name) is None:
        return terminal.name  # the caller's own
    name = _NOUNS.get(name, name)
    if name.startswith("'"):
        return name
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _is_all_but_blanks(texts: Node, terminal: Terminal, work: Construction) -> bool:
    """Whether a terminal has no other texts than these with blanks around, or what ends a list before them."""
    if isinstance(terminal, Literal):
        return True
    padded = cat(_LIST_END if text_of(texts) in _CLOSERS else _BLANKS, texts, _BLANKS)
    return shortest_of(both(terminal.language, Not(padded)), work) is None


def _quoted(text: str) -> str:
    return f"'{text}'"


def _shown_text(text: str) -> str:
    if text.strip():
        return _quoted(text.strip())
    if "\n" not in text:
        return _indentation([text]) if len(text) > 1 else A_BLANK
    _, _, blanks = text.rpartition("\n")
    return f"{_LINE_BREAK} and {_indentation([blanks])}" if blanks else _LINE_BREAK
