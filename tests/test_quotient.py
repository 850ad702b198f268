from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cfg import GRAMMARS, LONGEST, WORDS, texts_of, words_of

from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.cfg.diagram import diagram_of
from maze.grammar.cfg.earley import CannotFollowError, recognise
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern
from maze.grammar.cfg.quotient import between, left_quotient, right_quotient
from maze.grammar.cfg.shortest import ShortestTexts, shortest_text
from maze.grammar.llguidance import Matcher
from maze.grammar.pattern.automaton import Alphabet, make_dfa
from maze.grammar.pattern.code_points import Ranges, contains
from maze.grammar.pattern.derivative import Derivatives, first_characters, without_empty
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.reversal import reversed_expression
from maze.grammar.pattern.tree import Chars, Machine, Node, Repeat, alt, both, cat, is_plain, literal, negation, repeat
from maze.grammar.read.grammar_text import lower_grammar
from maze.grammar.schema.lower import lower_schema
from maze.json_text import JsonValue
from maze.threads import run_with_big_stack


def work() -> Construction:
    return Budget().construction()


# ------------------------------------------------------------------------------------------------ expressions


def _ranges(characters: str) -> Ranges:
    return tuple((ord(character), ord(character)) for character in characters)


@st.composite
def _machines(draw: st.DrawFn) -> Node:
    size = draw(st.integers(1, 4))
    targets = st.one_of(st.none(), st.integers(0, size - 1))
    rows = [
        tuple((_ranges(character), target) for character in "abc" if (target := draw(targets)) is not None)
        for _ in range(size)
    ]
    return Machine(tuple(rows), frozenset(draw(st.sets(st.integers(0, size - 1)))))


def _composed(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(parts, min_size=2, max_size=3)
    counts = st.tuples(st.integers(0, 3), st.integers(0, 3))
    return st.one_of(
        several.map(lambda items: cat(*items)),
        several.map(lambda items: alt(*items)),
        several.map(lambda items: both(*items)),
        parts.map(negation),
        st.tuples(parts, st.integers(0, 2)).map(lambda made: repeat(*made, None)),
        st.tuples(parts, counts).map(lambda made: repeat(made[0], made[1][0], sum(made[1]))),
    )


_EXPRESSIONS: st.SearchStrategy[Node] = st.recursive(
    st.one_of(st.sampled_from([literal(text) for text in ("", "a", "b", "ab", "cba")]), _machines())
    | st.sampled_from(["ab", "bc", "abc"]).map(lambda characters: Chars(_ranges(characters))),
    _composed,
    max_leaves=6,
)


@settings(max_examples=100)
@given(_EXPRESSIONS, st.sampled_from("abc"))
def test_a_derivative_has_the_texts_that_go_on_from_the_character(node: Node, character: str) -> None:
    wanted = {word[1:] for word in words_of(node) if word.startswith(character)}
    assert {word for word in words_of(Derivatives(work()).of(node, character)) if len(word) < LONGEST} == wanted


@settings(max_examples=100)
@given(_EXPRESSIONS)
def test_without_empty_takes_the_empty_text_alone(node: Node) -> None:
    assert words_of(without_empty(node)) == words_of(node) - {""}


@settings(max_examples=100)
@given(_EXPRESSIONS)
def test_a_reversed_expression_has_the_texts_backwards(node: Node) -> None:
    assert words_of(reversed_expression(node, work())) == {word[::-1] for word in words_of(node)}


@settings(max_examples=100)
@given(_EXPRESSIONS.filter(is_plain))
def test_the_first_characters_of_an_expression_are_those_of_its_texts(node: Node) -> None:
    alphabet = Alphabet([node, Chars(_ranges("abc"))], work())
    first = make_dfa(node, alphabet, work()).next[0]
    for character in "abc":
        assert contains(first_characters(node), ord(character)) is (first[alphabet.group_of(character)] >= 0)


def test_a_counted_repetition_stays_counted() -> None:
    assert Derivatives(work()).of(parse_whole("[a-z]{10,2000}"), "x") == parse_whole("[a-z]{9,1999}")
    assert isinstance(without_empty(parse_whole("[a-z]{0,2000}")), Repeat)


# ------------------------------------------------------------------------------------------------ quotients

_TEXTS = st.text("abc", max_size=3)


def cannot_follow(quotient: Callable[[Cfg, str, Construction], Cfg], cfg: Cfg, text: str) -> int | None:
    """The offset at which there is no quotient; None if there is one."""
    try:
        quotient(cfg, text, work())
    except CannotFollowError as error:
        return error.offset
    return None


def _of_at_most(length: int, texts: set[str]) -> set[str]:
    return {text for text in texts if len(text) <= length}


@settings(max_examples=100)
@given(GRAMMARS, _TEXTS)
def test_a_left_quotient_has_exactly_the_texts_that_go_on_from_the_prefix(cfg: Cfg, prefix: str) -> None:
    texts = texts_of(cfg)
    cannot = cannot_follow(left_quotient, cfg, prefix)
    if cannot is not None:
        assert not any(text.startswith(prefix[: cannot + 1]) for text in texts)
        assert cannot == 0 or cannot_follow(left_quotient, cfg, prefix[:cannot]) is None
        return
    found = texts_of(left_quotient(cfg, prefix, work()))
    wanted = {text.removeprefix(prefix) for text in texts if text.startswith(prefix)}
    assert _of_at_most(LONGEST - len(prefix), found) == wanted


@settings(max_examples=100)
@given(GRAMMARS, _TEXTS)
def test_a_right_quotient_has_exactly_the_texts_that_the_suffix_ends(cfg: Cfg, suffix: str) -> None:
    texts = texts_of(cfg)
    cannot = cannot_follow(right_quotient, cfg, suffix)
    if cannot is not None:
        assert not any(text.endswith(suffix[cannot:]) for text in texts)
        rest = suffix[cannot + 1 :]
        assert rest == "" or cannot_follow(right_quotient, cfg, rest) is None
        return
    found = texts_of(right_quotient(cfg, suffix, work()))
    wanted = {text.removesuffix(suffix) for text in texts if text.endswith(suffix)}
    assert _of_at_most(LONGEST - len(suffix), found) == wanted


@settings(max_examples=100)
@given(GRAMMARS, st.text("abc", max_size=2), st.text("abc", max_size=2))
def test_what_stands_between_two_texts_is_exactly_what_makes_a_text_of_the_grammar(
    cfg: Cfg, before: str, after: str
) -> None:
    rest = LONGEST - len(before + after)
    texts = texts_of(cfg)
    wanted = {word for word in WORDS if len(word) <= rest and before + word + after in texts}
    try:
        found = _of_at_most(rest, texts_of(between(cfg, before, after, work())))
    except CannotFollowError:
        found = set()
    assert found == wanted


@settings(max_examples=100)
@given(GRAMMARS, _TEXTS)
def test_the_next_characters_are_those_that_some_text_goes_on_with(cfg: Cfg, prefix: str) -> None:
    try:
        recogniser = recognise(cfg, prefix, work())
    except CannotFollowError:
        return
    assert recogniser.may_end is (prefix in texts_of(cfg))
    following = {character for character in "abc" if contains(recogniser.next_characters(), ord(character))}
    assert following == {
        character for character in "abc" if cannot_follow(left_quotient, cfg, prefix + character) is None
    }


@settings(max_examples=100)
@given(GRAMMARS)
def test_the_shortest_text_of_each_rule_is_the_shortest(cfg: Cfg) -> None:
    shortest = ShortestTexts(cfg, work())
    for name in cfg.rules:
        texts = texts_of(Cfg(name, cfg.rules))
        found = shortest.of(name)
        if texts:
            assert found in texts
            assert len(found) == min(map(len, texts))
        else:
            assert found is None or len(found) > LONGEST


def test_the_shortest_text_is_printable_where_there_is_a_choice() -> None:
    control = Pattern("CONTROL", parse_whole(r"[\x00-\x7f]"))
    two = Pattern("TWO", parse_whole(r"\x00|é"))
    cfg = Cfg("S", {"S": ((Literal("\n"), Nonterminal("A")), (control, two)), "A": ((Literal("\x01"),), (two,))})
    assert shortest_text(cfg, work()) == "aé"


def _times(count: int, node: Node) -> Node:
    return repeat(node, count, count)


def test_a_shortest_text_that_is_too_long_is_not_written_down() -> None:
    rules = {f"r{number}": ((Nonterminal(f"r{number + 1}"),) * 2,) for number in range(60)}
    with pytest.raises(OverBudgetError):
        shortest_text(Cfg("r0", {**rules, "r60": ((Literal("x"),),)}), work())
    with pytest.raises(OverBudgetError):
        shortest_text(
            Cfg("S", {"S": ((Pattern("P", _times(1_000, _times(1_000, _times(1_000, literal("x"))))),),)}), work()
        )


def test_a_quotient_of_a_quotient_keeps_its_rules_apart() -> None:
    cfg = Cfg("S", {"S": ((Literal("("), Nonterminal("S"), Literal(")")), (Pattern("N", parse_whole("[0-9]+")),))})
    whole = left_quotient(cfg, "((((12", work())
    in_steps = left_quotient(left_quotient(left_quotient(cfg, "((", work()), "((1", work()), "2", work())
    for quotient in (whole, in_steps):
        for ending, may_end in {"": False, "))))": True, "3))))": True}.items():
            assert recognise(quotient, ending, work()).may_end is may_end
    with pytest.raises(CannotFollowError) as raised:
        left_quotient(in_steps, "3)))))", work())
    assert raised.value.offset == 5


# ------------------------------------------------------------------------------------------------ as engines read them

_PROGRAMS = r"""
root ::= st+
st ::= id " = " e ";\n" | "if (" e ") {\n" st* "}\n"
e ::= t (" + " t)*
t ::= id | num | "(" e ")" | id "(" (e (", " e)*)? ")"
id ::= [a-z] [a-zA-Z0-9_]{0,9}
num ::= [0-9]+
"""
_GBNF = [
    _PROGRAMS,
    'root ::= "a" ("" | "b")*',
    "root ::= [^x]{3,40} | emoji+\nemoji ::= [😀-🙏]",
    'root ::= s\ns ::= "(" s ")" s | ""',
    'root ::= ("if" | "iffy" | [a-z]{2,8}) (" " [0-9]{1,3} ("," [0-9]{3})*)? "."',
]
_SCHEMAS: list[JsonValue] = [
    {
        "properties": {
            "id": {"type": "integer", "minimum": -5, "maximum": 123456},
            "ratio": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
            "when": {"type": "string", "format": "date-time"},
            "name": {"type": "string", "minLength": 2, "maxLength": 300},
            "code": {"type": "string", "pattern": "^[A-Z]{2,4}-[0-9]+$", "maxLength": 9},
            "kind": {"enum": ["a", "ab", "abc", 1, 12, None]},
        },
        "required": ["id", "name"],
        "type": "object",
        "additionalProperties": False,
    },
    {"type": "array", "items": {"$ref": "#"}, "maxItems": 7},
    {"type": "object", "additionalProperties": {"type": "string", "not": {"enum": ["x", "xyz"]}}, "minProperties": 1},
    {"anyOf": [{"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]}, {"type": "boolean"}]},
    {},
]


def _lowered(schema: JsonValue) -> Cfg:
    cfg = lower_schema(json.dumps(schema), "s", Budget()).cfg
    assert cfg is not None
    return cfg


def _braid(name: str, language: str) -> Cfg:
    sample = json.loads((Path(__file__).parent / "data" / "braid" / f"{name}.json").read_text())
    cfg = lower_grammar(sample["grammar"], language, "p", Budget()).cfg
    assert cfg is not None
    return cfg


def _gbnf(text: str) -> Cfg:
    cfg = lower_grammar(text, None, "p", Budget()).cfg
    assert cfg is not None
    return cfg


_REAL_GRAMMARS = [
    *(pytest.param(lambda text=text: _gbnf(text), id=f"gbnf-{number}") for number, text in enumerate(_GBNF)),
    *(
        pytest.param(lambda name=name, language=language: _braid(name, language), id=f"{name}-{language}")
        for name, language in (("e02_typescript", "typescript"), ("e01_python", "python"), ("e04_zig", "zig"))
    ),
    *(pytest.param(lambda schema=schema: _lowered(schema), id=f"schema-{n}") for n, schema in enumerate(_SCHEMAS)),
]


def _walk(matcher: Matcher, chance: random.Random, length: int) -> str:
    """A text that `matcher` is led through, of whole characters."""
    text = ""
    while len(text) < length:
        bytes_ = matcher.next_bytes()
        plain = [byte for byte in bytes_ if byte < 0x80]
        if not plain:
            break
        printable = [byte for byte in plain if byte >= 0x20]
        character = chr(chance.choice(printable if printable and chance.random() < 0.9 else plain))
        matcher.consume(character.encode())
        text += character
    return text


def _reads(matcher: Matcher, text: str) -> bool:
    return matcher.consume(text.encode()) == len(text.encode()) and matcher.can_end()


@pytest.mark.parametrize("make", _REAL_GRAMMARS)
def test_after_any_beginning_an_engine_sees_the_quotient_as_it_sees_the_whole_grammar(make: Callable[[], Cfg]) -> None:
    run_with_big_stack(lambda: _compare_on_walks(make()))


def _compare_on_walks(cfg: Cfg) -> None:
    begin = Matcher(cfg_to_lark(cfg, Budget()))
    chance = random.Random(1)
    for length in (1, 2, 5, 20, 90, 400):
        whole = begin.copy()
        prefix = _walk(whole, chance, length)
        quotient = left_quotient(cfg, prefix, work())
        rest = Matcher(cfg_to_lark(quotient, Budget()))

        ending = shortest_text(quotient, work())
        assert ending is not None
        for reader in (whole, rest):
            assert _reads(reader.copy(), ending), (prefix, ending)

        for _ in range(60):
            following = rest.next_bytes()
            assert (whole.next_bytes(), whole.can_end()) == (following, rest.can_end()), prefix
            if not following:
                break
            step = bytes([chance.choice(following)])
            assert whole.consume(step) == rest.consume(step) == 1


@pytest.mark.parametrize("make", _REAL_GRAMMARS)
def test_what_an_engine_fills_in_makes_a_text_of_the_grammar(make: Callable[[], Cfg]) -> None:
    run_with_big_stack(lambda: _fill_in(make()))


def _fill_in(cfg: Cfg) -> None:
    whole = Matcher(cfg_to_lark(cfg, Budget()))
    chance = random.Random(2)
    for length in (3, 30, 200):
        text = _walk(whole.copy(), chance, length)
        text += shortest_text(left_quotient(cfg, text, work()), work()) or ""
        begin = chance.randrange(len(text) + 1)
        end = chance.randrange(begin, len(text) + 1)
        rest = between(cfg, text[:begin], text[end:], work())
        matcher = Matcher(cfg_to_lark(rest, Budget()))
        assert _reads(matcher.copy(), text[begin:end]), (text[:begin], text[begin:end], text[end:])
        filled = _walk(matcher, chance, 40)
        filled += shortest_text(left_quotient(rest, filled, work()), work()) or ""
        assert _reads(whole.copy(), text[:begin] + filled + text[end:]), (text[:begin], filled, text[end:])


def test_a_long_right_recursion_is_read_in_time_in_proportion_to_its_length() -> None:
    item = Pattern("WORD", parse_whole("[a-z]+,"))
    cfg = Cfg("list", {"list": ((item,), (item, Nonterminal("list")))})
    left_quotient(cfg, "word," * 20_000, work())


def test_a_counted_terminal_is_left_with_its_count() -> None:
    cfg = _gbnf('root ::= "<" [a-z]{2,2000} ">"')
    quotient = left_quotient(cfg, "<" + "x" * 1_500, work())
    assert shortest_text(quotient, work()) == ">"
    assert recognise(quotient, "y" * 500 + ">", work()).may_end
    assert cannot_follow(left_quotient, quotient, "y" * 501) == 500


# ------------------------------------------------------------------------------------------------ diagrams


def test_a_diagram_shows_recursion_as_the_repetition_that_it_means() -> None:
    sign, digits = Literal("-"), Pattern("DIGITS", parse_whole("[0-9]+"))
    cfg = Cfg(
        "sum",
        {
            "product": ((sign, Nonterminal("product")), (digits,), (Literal("("), Nonterminal("sum"), Literal(")"))),
            "sum": ((Nonterminal("sum"), Literal("+"), Nonterminal("sum")), (Nonterminal("product"),)),
        },
    )
    number = {"kind": "pattern", "name": "DIGITS", "pattern": "/[0-9]+/"}

    def text(shown: str) -> JsonValue:
        return {"kind": "text", "text": shown}

    def reference(name: str) -> JsonValue:
        return {"kind": "rule", "name": name}

    assert diagram_of(cfg) == {
        "start": "sum",
        "rules": [
            {
                "name": "sum",
                "shape": {"kind": "repeat", "least": 1, "item": reference("product"), "between": text("+")},
            },
            {
                "name": "product",
                "shape": {
                    "kind": "sequence",
                    "items": [
                        {"kind": "repeat", "least": 0, "item": text("-"), "between": None},
                        {
                            "kind": "choice",
                            "items": [
                                number,
                                {"kind": "sequence", "items": [text("("), reference("sum"), text(")")]},
                            ],
                        },
                    ],
                },
            },
        ],
    }


def test_a_diagram_shows_what_may_be_left_out() -> None:
    cfg = Cfg("S", {"S": ((Nonterminal("A"), Literal("b"), Nonterminal("A")),), "A": ((), (Literal("a"),))})
    (_, optional) = diagram_of(cfg)["rules"]
    assert optional == {"name": "A", "shape": {"kind": "optional", "item": {"kind": "text", "text": "a"}}}
    assert diagram_of(Cfg("S", {"S": ((),)}))["rules"][0]["shape"] == {"kind": "sequence", "items": []}


@pytest.mark.parametrize("make", _REAL_GRAMMARS)
def test_a_diagram_of_any_grammar_is_json_whose_rules_are_all_there(make: Callable[[], Cfg]) -> None:
    diagram = run_with_big_stack(lambda: diagram_of(make()))
    assert json.loads(json.dumps(diagram)) == diagram
    names = {rule["name"] for rule in diagram["rules"]}
    todo = [rule["shape"] for rule in diagram["rules"]]
    while todo:
        shape = todo.pop()
        assert shape["kind"] != "rule" or shape["name"] in names
        todo += [*shape.get("items", ()), *filter(None, (shape.get("item"), shape.get("between")))]
