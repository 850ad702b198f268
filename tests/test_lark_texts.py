"""The texts of Lark grammars against a reader of the tests, which tries every way to cut a text into terminals."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from grammar_texts import accepts, random_text

from maze.errors import ContradictionError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.read.grammar_text import lower_grammar

Expression = tuple[Any, ...]
"""The name of an operator and what it is applied to."""
Predicate = Callable[[str], bool]

TERMINALS = ("[ab]+", "[a-c]", "a?b", "(ab)*c", "[^a]", "a{1,2}", "b.c", "a*", "[bc]{2,}", "(?!ab)[ab]{2}", "ab$")
LAZY = ("a.*?b", "'[ab']*?'", "b[ac]+?c", "a.??c", "c[ab]{1,2}?b")
IGNORED = (None, None, " ", " +", " |c", "b b", "#[^b]*")


@dataclass
class Grammar:
    """A random grammar: its text, and what a reader needs of it."""

    rules: dict[str, Expression] = field(default_factory=dict)
    terminals: dict[str, Predicate] = field(default_factory=dict)
    ignored: Predicate | None = None
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def of_regex(pattern: str) -> Predicate:
    """Whether a search with the pattern takes all of a text, in whatever order it tries alternatives."""
    compiled = re.compile(pattern)
    if pattern in LAZY:
        return lambda text: (found := compiled.match(text)) is not None and found.end() == len(text)
    return lambda text: compiled.fullmatch(text) is not None


def random_grammar(chance: random.Random) -> Grammar:
    made = Grammar()
    names = ["start", "x", "y"]
    for name in ("A", "B"):
        pattern = chance.choice(TERMINALS if chance.random() < 0.7 else LAZY)
        made.terminals[name] = of_regex(pattern)
        made.lines.append(f"{name}: /{pattern}/")

    def expression(depth: int) -> tuple[Expression, str]:
        kind = chance.choice(("term", "text", "rule", "seq", "alt", "repeat", "range")[: 7 if depth < 3 else 3])
        match kind:
            case "term":
                name = chance.choice("AB")
                return ("is", made.terminals[name]), name
            case "text":
                text = "".join(chance.choice("abc") for _ in range(chance.randrange(1, 3)))
                if chance.random() < 0.2:
                    return ("is", lambda found: found.lower() == text), f'"{text}"i'
                return ("is", lambda found: found == text), f'"{text}"'
            case "rule":
                name = chance.choice(names[1:] if depth < 2 else names)
                return ("rule", name), name
            case "range":
                return ("is", lambda found: found in ("a", "b")), '"a".."b"'
        parts = [expression(depth + 1) for _ in range(chance.randrange(1, 4))]
        if kind == "repeat":
            (inner, written), (low, high, sign) = parts[0], chance.choice(REPETITIONS)
            return ("repeat", inner, low, high), f"({written}){sign}"
        joint = " " if kind == "seq" else " | "
        return (kind, *(part for part, _ in parts)), "(" + joint.join(written for _, written in parts) + ")"

    for name in names:
        made.rules[name], written = expression(0)
        made.lines.append(f"{chance.choice(('', '?', '!')) if name != 'start' else ''}{name}: {written}")
    if (ignored := chance.choice(IGNORED)) is not None:
        made.ignored = of_regex(ignored)
        made.lines.append(f"%ignore /{ignored}/")
    return made


REPETITIONS = (
    (0, None, "*"),
    (1, None, "+"),
    (0, 1, "?"),
    (2, 2, " ~ 2"),
    (1, 2, " ~ 1..2"),
    (0, 2, "{,2}"),
    (2, None, "{2,}"),
)


def derives(grammar: Grammar, text: str) -> bool:
    """Whether the grammar has the text, by all that each rule can be at each place, until nothing new is found."""
    size = len(text)
    known: dict[tuple[str, int], frozenset[int]] = {}

    def skip(ends: set[int]) -> set[int]:
        todo = list(ends)
        while todo and grammar.ignored is not None:
            begin = todo.pop()
            for end in range(begin + 1, size + 1):
                if end not in ends and grammar.ignored(text[begin:end]):
                    ends.add(end)
                    todo.append(end)
        return ends

    def ends_of(part: Expression, begin: int) -> set[int]:
        match part:
            case ("is", predicate):
                return skip({end for end in range(begin, size + 1) if predicate(text[begin:end])})
            case ("rule", name):
                return set(known.get((name, begin), ()))
            case ("alt", *options):
                return set().union(*(ends_of(option, begin) for option in options))
            case ("seq", *items):
                ends = {begin}
                for item in items:
                    ends = set().union(*(ends_of(item, end) for end in ends))
                return ends
            case ("repeat", item, low, high):
                found: set[int] = set()
                ends = {begin}
                for count in range(size + 3 if high is None else high + 1):
                    if count >= low:
                        found |= ends
                    ends = set().union(*(ends_of(item, end) for end in ends))
                return found
        raise AssertionError(part)

    while True:
        before = dict(known)
        for name, body in grammar.rules.items():
            for begin in range(size + 1):
                known[name, begin] = frozenset(ends_of(body, begin))
        if known == before:
            return any(size in known["start", begin] for begin in skip({0}))


def lowered(text: str) -> LoweredGrammar:
    return lower_grammar(text, None, "g", Budget())


@pytest.mark.parametrize("seed", range(12))
def test_a_grammar_has_the_texts_that_any_way_to_cut_them_into_terminals_gives(seed: int) -> None:
    chance = random.Random(seed)
    short = ["".join(each) for size in range(4) for each in itertools.product("abc ", repeat=size)]
    for _ in range(10):
        grammar = random_grammar(chance)
        texts = [
            *chance.sample(short, 60),
            *("".join(chance.choices("aabbc' #", k=chance.randrange(4, 7))) for _ in range(40)),
        ]
        expected = [derives(grammar, text) for text in texts]
        try:
            found = lowered(grammar.text)
        except ContradictionError:
            assert not any(expected), grammar.text
            continue
        check = cfg_to_lark(found.checked, Budget())
        enforced = cfg_to_lark(found.read_whole or found.cfg, Budget())
        for text, is_one in zip(texts, expected, strict=True):
            assert accepts(check, text) == is_one, (text, grammar.text)
            # Of what is skipped, decoding offers a few only; all of these texts are short.
            assert accepts(enforced, text) == is_one or found.read_whole is not None, (text, grammar.text)
            assert is_one or not accepts(enforced, text), (text, grammar.text)


@pytest.mark.parametrize("seed", range(10))
def test_no_walk_through_a_grammar_whose_terminals_are_read_whole_is_left_without_a_way(seed: int) -> None:
    chance = random.Random(seed)
    words = chance.sample(
        ["if", "in", "int", "do", "done", "not", "or", "i", "=", "==", "+", "++", "(", ")", ".", ".."], 8
    )
    patterns = chance.sample(
        ["[a-z]+", "[a-z_][a-z0-9_]*", "[0-9]+(\\.[0-9]+)?", "'[^']*'", "in +do", "[a-z]+ ?![a-z]*"], 3
    )
    atoms = [*(f'"{word}"' for word in words), *(f"/{pattern}/" for pattern in patterns), "x", "y"]
    rules = [
        f"{name}: " + " | ".join(" ".join(chance.choices(atoms, k=chance.randrange(1, 4))) for _ in range(4)) + ' | "i"'
        for name in ("start", "x", "y")
    ]
    text = "\n".join([*rules, chance.choice(["%ignore / +/", "%ignore /[ \\n]+|#[^\\n]*/", ""])]) + "\n"
    found = lowered(text)
    check = cfg_to_lark(found.checked, Budget())
    rules_of_engine = cfg_to_lark(found.read_whole or found.cfg, Budget())
    ended = [walked for _ in range(15) if (walked := random_text(rules_of_engine, chance, 60)) is not None]
    for walked in ended:
        assert accepts(check, walked), (walked, text)


KEYWORDS = """
start: statement+
?statement: "if" expression "then" statement+ "end" | NAME "=" expression ";" -> assign
expression: expression ("+" | "-" | "++") term | term
term: NAME | NUMBER | STRING | "not" term | "(" expression ")" | NAME "(" [expression ("," expression)*] ")"
NAME: /[a-z_]\\w*/i
NUMBER.2: /[0-9]+(\\.[0-9]+)?/
STRING: /'.*?'/
%ignore /\\s+/
%ignore /--[^\\n]*/
"""


def test_beside_names_keywords_are_read_both_ways_in_the_check_and_apart_while_decoding() -> None:
    found = lowered(KEYWORDS)
    assert found.read_whole is not None
    check, enforced = cfg_to_lark(found.checked, Budget()), cfg_to_lark(found.read_whole, Budget())
    for text in (
        "if a then b = 1 ; end",
        "if not x then if y then z=f(1,'a''b'+2); end end",
        "a = 'it -- is' ++ b -- then\n ;",
    ):
        assert accepts(check, text) == ("''" not in text), text
        assert accepts(enforced, text) == ("''" not in text), text
    assert accepts(check, "ifathenb=1;end")
    assert accepts(check, "a" + " " * 5_000 + "= 1;")
    for text in ("ifathenb=1;end", "a" + " " * 5_000 + "= 1;"):
        assert not accepts(enforced, text), text


@pytest.mark.parametrize(
    ("terminal", "has", "has_not"),
    [
        ("/'.*?'/", ["''", "'q'"], ["'q'r'", "'", "'q'r"]),
        (r"/\/\*(.|\n)*?\*\//", ["/**/", "/* a\n */"], ["/*/", "/* */ */"]),
        ('"<" /.*?/ ">"', ["<>", "<a>"], ["<a>b>"]),
        ("/a+?/", ["a"], ["aa", ""]),
        ("/ab??c/", ["ac", "abc"], ["ab"]),
        ("/[ab]{1,2}?b/", ["ab", "bb", "aab"], ["abb", "b"]),
        ("/x$/", ["x"], ["x\n"]),
        (r"/\bif\b/", ["if"], ["iff"]),
        ("/[?](?![a-z])/", ["?"], ["?a"]),
        ("/É/i", ["É", "é"], ["e"]),
        ("/a . b # text\n/x", ["axb"], ["a . b", "a\nb"]),
        ("/a.b/s", ["a\nb"], ["ab"]),
        (r"/\w\d\s/", ["é٣\u2003", "a1 "], ["-1 "]),
        (r"/./", ["\r", "\u2028"], ["\n"]),
        ('"\\x41\\u00e9\\U0001F600\\t\\"\\\\"', ['Aé😀\t"\\'], ["A"]),
        ('"\\d"', ["\\d"], ["1"]),
        ('"0".."9" "a".."f"', ["0a"], ["a0"]),
        ('("a" | "b") ~ 2..3', ["ab", "bba"], ["a", "abab"]),
        ('["+" | "-"] "1"', ["1", "-1"], ["+-1"]),
        ('/[a-z]+/ & ~"if" & ~/.*x.*/', ["of", "iff"], ["if", "fix"]),
        ('~("a" | "b") & /[a-c]/', ["c"], ["a", "b"]),
        ('%regex {"substring_words": "foo bar."}', ["foo", "foo bar.", " bar", ""], ["fo", "foo."]),
        ('%regex {"substring_chunks": ["ab", "c"]}', ["ab", "abc", "c"], ["a", "bc"]),
    ],
)
def test_what_a_terminal_is(terminal: str, has: list[str], has_not: list[str]) -> None:
    check = cfg_to_lark(lowered(f"start: T\nT: {terminal}\n").checked, Budget())
    assert [text for text in has if not accepts(check, text)] == []
    assert [text for text in has_not if accepts(check, text)] == []


@pytest.mark.parametrize(
    ("name", "has", "has_not"),
    [
        ("ESCAPED_STRING", ['""', '"a\\"b"', '"\\\\"'], ['"\\"', '"a"b"', '"\n"']),
        ("SIGNED_NUMBER", ["1", "-1.5e+3", ".5", "1."], [".", "1e", "--1"]),
        ("CNAME", ["_a1"], ["1a", ""]),
        ("C_COMMENT", ["/* a\n**/"], ["/* */ */", "/*/"]),
        ("WS", [" \t\n\r\f"], ["\v"]),
        ("NEWLINE", ["\n\r\n"], ["\r"]),
        ("SQL_COMMENT", ["-- a"], ["-- a\n"]),
    ],
)
def test_the_terminals_of_common_are_those_of_lark(name: str, has: list[str], has_not: list[str]) -> None:
    check = cfg_to_lark(lowered(f"start: T\n%import common.{name} -> T\n").checked, Budget())
    assert [text for text in has if not accepts(check, text)] == []
    assert [text for text in has_not if accepts(check, text)] == []


@pytest.mark.parametrize(
    ("text", "has", "has_not"),
    [
        ('start: list{NUM, ","}\nlist{x, sep}: x (sep x)*\nNUM: /[0-9]/\n', ["1", "1,2"], ["1,", ""]),
        ('start: twice{pair{"a"}}\ntwice{x}: x x\npair{x}: "(" x ")"\n', ["(a)(a)"], ["(a)"]),
        ('start: both{a, b}\nboth{x, y}: x{y}\na{z}: z z\nb: "b"\n', ["bb"], ["b"]),
        ('start: "a"\n%extend start: "b"\n', ["a", "b"], ["ab"]),
        ('start: WORD\n%import common.WORD\n%override WORD: "w"\n', ["w"], ["word"]),
        ('start: word[lazy] "!"\n'.replace("[lazy]", "") + "word[lazy]: /[a-z]+/\n", ["a!"], ["ab!"]),
        ('start: x\nx[suffix="</x>", capture="y", temperature=0.5]: /.*/\n', ["</x>", "a</x>"], ["</x></x>", "a"]),
        ('start.2: "a" -> x\n  | "b" -> y\n', ["a", "b"], []),
        ('start:\n  | "b"\n', ["", "b"], ["bb"]),
        ('start: (\n  "a"\n  | "b"\n)\n', ["a", "b"], []),
        ('start: %json {"type": "integer"} ";" name\nname: %json {"enum": ["x"]}\n', ['-12;"x"'], ["1.5;", "12"]),
        ('start: A B\nA: B "a"\nB: "b" | C\nC: /c/\n', ["bac", "cab"], ["ab"]),
        (
            'start: string "." number\n%import python (string, number)\n',
            ["'''a''b'''.0x1f", 'rb"\\"".1_0j'],
            ["'''a.1"],
        ),
    ],
)
def test_how_rules_are_written(text: str, has: list[str], has_not: list[str]) -> None:
    check = cfg_to_lark(lowered(text).checked, Budget())
    assert [each for each in has if not accepts(check, each)] == []
    assert [each for each in has_not if accepts(check, each)] == []
