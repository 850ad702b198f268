from __future__ import annotations

import itertools
import json
import re
from functools import lru_cache
from pathlib import Path

import pytest
from grammar_texts import accepts
from hypothesis import given, settings
from hypothesis import strategies as st

from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Symbol
from maze.grammar.cfg.product import MAX_PRODUCTIONS, Product
from maze.grammar.cfg.quotient import left_quotient
from maze.grammar.cfg.recursion import with_repetition
from maze.grammar.cfg.regular import regular_language
from maze.grammar.pattern.code_points import characters, contains
from maze.grammar.pattern.derivative import without_empty
from maze.grammar.pattern.parser import parse_pattern, parse_whole
from maze.grammar.pattern.tree import Alt, Both, Cat, Chars, Machine, Node, Not, Repeat, both, literal, negation, repeat
from maze.grammar.read.grammar_text import lower_grammar

_BRAID = Path(__file__).parent / "data" / "braid"
LONGEST = 5


def ends(node: Node, text: str, begin: int) -> set[int]:
    """Where texts of the expression that begin at a place can end, found by trying all of them."""
    match node:
        case Chars(ranges):
            here = {ord(character) for character in text[begin : begin + 1]}
            return {begin + 1 for low, high in ranges for code in here if low <= code <= high}
        case Literal(wanted):
            return {begin + len(wanted)} if text.startswith(wanted, begin) else set()
        case Cat(items):
            reached = {begin}
            for item in items:
                reached = {end for start in reached for end in ends(item, text, start)}
            return reached
        case Alt(items):
            return set().union(*(ends(item, text, begin) for item in items))
        case Both(items):
            return set.intersection(*(ends(item, text, begin) for item in items))
        case Not(item):
            return set(range(begin, len(text) + 1)) - ends(item, text, begin)
        case Repeat(item, low, high):
            reached, found = {begin}, set[int]()
            for count in range((low + len(text) + 1 if high is None else high) + 1):
                found |= reached if count >= low else set()
                reached = {end for start in reached for end in ends(item, text, start)}
            return found
        case Machine(edges, accepting):
            state, found = 0, {begin} if 0 in accepting else set()
            for end, character in enumerate(text[begin:], begin + 1):
                state = next((target for ranges, target in edges[state] if contains(ranges, ord(character))), -1)
                if state < 0:
                    break
                found |= {end} if state in accepting else set()
            return found
    raise AssertionError(node)


WORDS = ["".join(word) for size in range(LONGEST + 1) for word in itertools.product("abc", repeat=size)]


@lru_cache(maxsize=1024)
def words_of(node: Node) -> set[str]:
    """The texts over a, b and c of up to LONGEST characters that an expression accepts, found by trying all of them."""
    return {word for word in WORDS if len(word) in ends(node, word, 0)}


def texts_of(cfg: Cfg) -> set[str]:
    """Every text of a grammar over a, b and c of up to LONGEST characters, by iteration to the fixed point."""
    known: dict[str, set[str]] = {name: set() for name in cfg.rules}

    def texts(symbol: Symbol) -> set[str]:
        if isinstance(symbol, Nonterminal):
            return known[symbol.name]
        return {symbol.text} if isinstance(symbol, Literal) else words_of(symbol.language)

    grown = True
    while grown:
        grown = False
        for name, productions in cfg.rules.items():
            for production in productions:
                found = {""}
                for symbol in production:
                    found = {a + b for a in found for b in texts(symbol) if len(a) + len(b) <= LONGEST}
                grown = grown or not found <= known[name]
                known[name] |= found
    return known[cfg.start]


_A = characters("a")
_EVEN = Machine((((_A, 1),), ((_A, 0), (characters("c"), 2)), ()), frozenset((0, 2)))
"""An even number of letters `a`, or an odd one and `c`; the empty text too, which a terminal does without."""
_NAMES = ("S", "A", "B", "C[0,1]")
_SYMBOLS: st.SearchStrategy[Symbol] = st.one_of(
    st.sampled_from([Nonterminal(name) for name in _NAMES]),
    st.sampled_from(
        [
            Literal("a"),
            Literal("b"),
            Literal("ab"),
            Literal("c"),
            Pattern("P", both(parse_whole("[ab]+"), negation(literal("ab")))),
            Pattern("Q", parse_whole("c?a{1,2}|b")),
            Pattern("EVEN", without_empty(_EVEN)),
            Pattern("COUNTED", parse_whole("(ab?){2,3}")),
            Pattern("DEAD END", both(parse_whole("abc|cab?"), parse_whole("a[ac]|cab?"))),
        ]
    ),
)
GRAMMARS = st.fixed_dictionaries(
    {name: st.lists(st.lists(_SYMBOLS, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple) for name in _NAMES}
).map(lambda rules: Cfg("S", rules))
_REGEXES = st.sampled_from(
    [
        "^a.*$",
        "ab",
        "^[ab]*$",
        "c",
        "^.{0,3}$",
        "a.?b",
        "b$",
        "(?<!a)b",
        "^(aa)*$",
        "^(?!.*cc)",
        "^(.{2})*$",
        "^$",
        "(ab|ba)c?",
    ]
)


@settings(max_examples=300)
@given(GRAMMARS, _REGEXES)
def test_the_product_has_exactly_the_texts_of_both(cfg: Cfg, regex: str) -> None:
    language = parse_pattern(regex, "p", Budget())
    found = Product(cfg, language, Budget())
    product = found.grammar()
    assert found.is_empty is (product is None)
    assert (texts_of(product) if product else set()) == {text for text in texts_of(cfg) if re.search(regex, text)}


def _product(cfg: Cfg, regex: str) -> Cfg | None:
    budget = Budget()
    return Product(cfg, parse_pattern(regex, "p", budget), budget).grammar()


def _typescript() -> Cfg:
    sample = json.loads((_BRAID / "e02_typescript.json").read_text())
    cfg = lower_grammar(sample["grammar"], "typescript", "p", Budget()).cfg
    assert cfg is not None
    return cfg


@pytest.mark.parametrize(
    ("regex", "accepted", "refused"),
    [
        ("foo", ["foo;", "x = a + foo;", 'f("foo");'], ["fo;", "x = fo + o;"]),
        (r"async\s+function", ["async function f() { x; }"], ["function f() { x; }"]),
        (r"^(?!.*eval)[\s\S]*$", ["x = 1;"], ["evaluate(x);", "x = evaluate;"]),
        (r"\bx\b", ["y = x;", "x;"], ["xx;", "y = x1;"]),
        (r"^function", ["function f() { x; }"], ["x;", " function f() { x; }"]),
    ],
)
def test_a_program_grammar_with_a_pattern_accepts_the_right_programs(
    regex: str, accepted: list[str], refused: list[str]
) -> None:
    cfg = _typescript()
    product = _product(cfg, regex)
    assert product is not None
    lark, alone = cfg_to_lark(product, Budget()), cfg_to_lark(cfg, Budget())
    assert [text for text in accepted + refused if not accepts(alone, text)] == []
    assert [text for text in accepted if not accepts(lark, text)] == []
    assert [text for text in refused if accepts(lark, text)] == []


def test_a_product_without_texts_is_none() -> None:
    assert _product(_typescript(), "^@") is None


@pytest.mark.parametrize("regex", ["^(?s:.){0,1500}$", "a.{300}b", "(a|b)*a(a|b){20}c"])
def test_a_product_over_the_budget_is_given_up_and_not_made(regex: str) -> None:
    with pytest.raises(OverBudgetError):
        _product(_typescript(), regex)


def test_a_long_production_does_not_multiply() -> None:
    letters = Pattern("L", parse_whole("[ab]"))
    cfg = Cfg("S", {"S": ((letters,) * 300,)})
    product = _product(cfg, "aa")
    assert product is not None
    assert sum(map(len, product.rules.values())) < min(MAX_PRODUCTIONS, 3_000)
    lark = cfg_to_lark(product, Budget())
    assert accepts(lark, "ab" * 149 + "aa")
    assert not accepts(lark, "ab" * 150)


def test_every_character_comes_through_the_text_for_the_engine() -> None:
    odd = "".join(map(chr, (0, 1, 9, 10, 13, 27, 127, 0x85, 0xA0, 0xAD, 0x2028, 0xFEFF, 0xE000, 0x10FFFF)))
    odd += "/\\^$.|?*+(){}[]-&~#é\"'<>@%"
    assert accepts(cfg_to_lark(Cfg("s", {"s": ((Literal(odd),),)}), Budget()), odd)
    assert accepts(cfg_to_lark(Cfg("s", {"s": ((Pattern("p", literal(odd)),),)}), Budget()), odd)
    assert accepts(
        cfg_to_lark(Cfg("s", {"s": ((Pattern("p", repeat(Chars(characters(odd)), 1, None)),),)}), Budget()), odd
    )


def test_a_pattern_holds_all_its_conditions() -> None:
    name = both(parse_whole("[a-z]+"), parse_whole(".*x.*"), negation(parse_whole("ax|bx")))
    lark = cfg_to_lark(Cfg("s", {"s": ((Pattern("name", name), Literal("!")),)}), Budget())
    assert accepts(lark, "axe!")
    assert not accepts(lark, "ax!")
    assert not accepts(lark, "abc!")


def test_a_grammar_made_by_hand_may_refer_to_itself_at_both_ends() -> None:
    expression = Nonterminal("e")
    cfg = Cfg(
        "e",
        {
            "e": (
                (expression, Literal("+"), expression),
                (expression, Literal("!")),
                (Literal("-"), expression),
                (Literal("x"),),
            )
        },
    )
    lark = cfg_to_lark(cfg, Budget())
    for text in ("x", "--x!!", "-x!+-x", "x+x+-x!"):
        assert accepts(lark, text), text
    for text in ("", "x-", "!x", "x+", "x+!x"):
        assert not accepts(lark, text), text


@settings(max_examples=150)
@given(GRAMMARS)
def test_a_grammar_of_a_regular_language_has_just_that_language(cfg: Cfg) -> None:
    language = regular_language(cfg, Budget().construction())
    if language is not None:
        assert words_of(language) == texts_of(cfg)


@pytest.mark.parametrize(
    ("grammar", "is_regular"),
    [
        ('root ::= a\na ::= "a" b | ""\nb ::= "b" a | "c" b', True),
        ('root ::= b "b"\nb ::= b "a" | root "c" | "a"', True),
        ('root ::= item ("," item)*\nitem ::= "-" item | [0-9]+', True),
        ('root ::= root "a" root | "b" root | root "c" | "d"', True),
        ('root ::= "(" root ")" | "x"', False),
        ('root ::= "a" b | "x"\nb ::= root "c" | "d"', False),
    ],
)
def test_recursion_at_one_end_is_regular_and_in_the_middle_is_not(grammar: str, is_regular: bool) -> None:
    cfg = lower_grammar(grammar, None, "p", Budget()).cfg
    assert cfg is not None
    assert (regular_language(cfg, Budget().construction()) is not None) is is_regular


@settings(max_examples=100)
@given(GRAMMARS)
def test_a_grammar_with_repetition_for_recursion_has_the_same_texts(cfg: Cfg) -> None:
    assert texts_of(with_repetition(cfg)) == texts_of(cfg)


@pytest.mark.parametrize("text", ["e: e OP e | X", "e: e e | X", "e: X e | e OP e | e OP | X", "e: s | X\ns: e OP e"])
def test_a_grammar_with_repetition_for_recursion_reads_a_text_in_one_way(text: str) -> None:
    cfg = lower_grammar(f'start: e\n{text}\nX: "x"\nOP: "+"\n', None, "p", Budget()).cfg
    assert cfg is not None

    def rules_left(of: Cfg, length: int) -> int:
        sum_ = "x" + ("x" if text == "e: e e | X" else "+x") * length
        return len(left_quotient(of, sum_, Budget().construction()).rules)

    assert rules_left(cfg, 40) > rules_left(cfg, 4)
    assert rules_left(with_repetition(cfg), 40) == rules_left(with_repetition(cfg), 4)
