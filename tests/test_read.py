from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from typing import TypeAlias

import pytest
from grammar_texts import accepts, random_text
from hypothesis import given, settings
from hypothesis import strategies as st

from maze.compiled import EngineGrammar
from maze.errors import ContradictionError, InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.cfg import lark_writer
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.languages import spacing
from maze.grammar.llguidance import engine_text
from maze.grammar.read import braid as braid_reader
from maze.grammar.read import gbnf, lark
from maze.grammar.read.grammar_text import lower_grammar

PATH = "constraints[3].grammar"
Rules: TypeAlias = Mapping[str, list[list[str]]]


def braid(start: str, rules: Rules) -> str:
    return json.dumps(
        {
            "start_symbol": start,
            "rules": [{"lhs": lhs, "rhs": rhs} for lhs, options in rules.items() for rhs in options],
        }
    )


def lark_of(text: str, language: str | None = None) -> EngineGrammar:
    cfg = lower_grammar(text, language, PATH, Budget()).cfg
    assert cfg is not None
    return cfg_to_lark(cfg, Budget())


def warnings_of(text: str, language: str | None = None) -> str:
    return "\n".join(lower_grammar(text, language, PATH, Budget()).warnings)


# ------------------------------------------------------------------------------------------------ an independent oracle


def derives(rules: Rules, start: str, text: str) -> bool:
    """Whether the grammar has the text, by collecting all spans that each rule covers until there are no more."""
    spans: set[tuple[str, int, int]] = set()
    while True:
        found = {
            (lhs, begin, end)
            for lhs, options in rules.items()
            for rhs in options
            for begin in range(len(text) + 1)
            for end in _ends(rules, rhs, text, begin, spans)
        }
        if found <= spans:
            return (start, 0, len(text)) in spans
        spans |= found


def _ends(rules: Rules, rhs: list[str], text: str, begin: int, spans: set[tuple[str, int, int]]) -> set[int]:
    ends = {begin}
    for symbol in rhs:
        if symbol in rules:
            ends = {last for name, first, last in spans if name == symbol and first in ends}
        else:
            ends = {end + len(symbol) for end in ends if text.startswith(symbol, end)}
    return ends


@st.composite
def small_grammars(draw: st.DrawFn) -> dict[str, list[list[str]]]:
    names = ["s", "t", "u"][: draw(st.integers(1, 3))]
    symbol = st.sampled_from([*names, "a", "b", "ab", "aba", "bc", "c", "abc", "aa"])
    return {name: draw(st.lists(st.lists(symbol, max_size=3), min_size=1, max_size=4)) for name in names}


@settings(max_examples=300)
@given(
    small_grammars(), st.lists(st.text("abc", max_size=7), min_size=8, max_size=8), st.randoms(use_true_random=False)
)
def test_llguidance_says_of_every_text_what_an_independent_oracle_says(
    rules: dict[str, list[list[str]]], texts: list[str], chance: random.Random
) -> None:
    try:
        lark = lark_of(braid("s", rules))
    except ContradictionError:
        assert not any(derives(rules, "s", text) for text in texts)
        return
    for _ in range(3):
        walked = random_text(lark, chance, 8)
        if walked is not None:
            assert derives(rules, "s", walked), (walked, lark)
    for text in texts:
        assert accepts(lark, text) == derives(rules, "s", text), (text, lark)


# ------------------------------------------------------------------------------------------------ reading Braid's JSON


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "taken for Braid's JSON grammar, but is not JSON"),
        ('{"start_symbol": "s"}', "rules is missing"),
        ('{"start_symbol": "s", "rules": [], "extra": 1}', "unknown member 'extra'"),
        ('{"start_symbol": "s", "rules": []}', "no rule has the start symbol 's'"),
        ('{"start_symbol": "", "rules": []}', r"start_symbol is missing, empty"),
        ('{"start_symbol": "s", "rules": [{"lhs": "s"}]}', r"rules\[0\] is not an object with just"),
        ('{"start_symbol": "s", "rules": [{"lhs": "s", "rhs": "x"}]}', r"rules\[0\].rhs \(rule 's'\) is no list"),
        (
            '{"start_symbol": "s", "rules": [{"lhs": "s", "rhs": [1]}]}',
            r"rules\[0\].rhs\[0\] is missing, empty or no str",
        ),
        (
            '{"start_symbol": "s", "rules": [{"lhs": "s", "rhs": ["a"]}], "rules": [{"lhs": "s", "rhs": ["b"]}]}',
            'has the name "rules" twice at byte 61 ',
        ),
        (
            '{"start_symbol": "s", "rules": [{"lhs": "s", "rhs": ["b"], "rhs": ["c"]}]}',
            'has the name "rhs" twice at byte 59 ',
        ),
        ('{"start_symbol": "s", "rules": ' + "[" * 2_000 + "]" * 2_000 + "}", "nested over 900 deep"),
        ('{"start_symbol": "s", "rules": [{"lhs": "s", "rhs": ["\ud800"]}]}', "half of a surrogate pair"),
        ('root ::= "\ud800"', "half of a surrogate pair"),
        ("hello", "none of the grammars that are known"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_says_where(text: str, problem: str) -> None:
    with pytest.raises(InvalidConstraintError, match=problem) as error:
        lower_grammar(text, None, PATH, Budget())
    assert PATH in str(error.value)


def test_an_all_capitals_symbol_that_is_no_token_class_is_an_error_that_names_it() -> None:
    with pytest.raises(InvalidConstraintError, match=r"'LPARENTHESIS' in rule 's' is neither .* ARROW, ASYNC, BOOLEAN"):
        lower_grammar(braid("s", {"s": [["LPARENTHESIS"]]}), "go", PATH, Budget())


@pytest.mark.parametrize("language", [None, "klingon", ""])
def test_token_classes_without_a_known_language_are_an_error_that_lists_the_languages(language: str | None) -> None:
    with pytest.raises(
        InvalidConstraintError, match=r"token class RETURN.* typescript, javascript, python, rust, go, "
    ):
        lower_grammar(braid("s", {"s": [["RETURN"]]}), language, PATH, Budget())


def test_a_grammar_of_literals_is_taken_to_the_letter_in_every_language() -> None:
    for language in (None, "go"):
        lark = lark_of(braid("s", {"s": [["return", "x"]]}), language)
        assert accepts(lark, "returnx")
        assert not accepts(lark, "return x")


def test_a_lower_case_symbol_that_looks_like_a_forgotten_rule_is_literal_text_with_a_warning() -> None:
    text = braid("s", {"s": [["param_lst"]]})
    assert accepts(lark_of(text), "param_lst")
    assert "'param_lst' in rule 's' is the lhs of no rule" in warnings_of(text)


def test_statement_is_read_as_alternatives_in_a_program_and_nowhere_else() -> None:
    rules: Rules = {"program": [["statement"]], "statement": [["x", "y"]], "x": [["a"]], "y": [["b"]]}
    text = braid("program", rules)
    assert accepts(lark_of(text), "a")
    assert accepts(lark_of(text), "b")
    assert not accepts(lark_of(text), "ab")
    assert "'statement' is read as 2 alternatives" in warnings_of(text)

    elsewhere = braid("statement", rules)
    assert accepts(lark_of(elsewhere), "ab")
    assert not accepts(lark_of(elsewhere), "a")
    two = braid("program", {**rules, "statement": [["x", "y"], ["x"]]})
    assert accepts(lark_of(two), "ab")
    with_text = braid("program", {**rules, "statement": [["x", ";"]]})
    assert accepts(lark_of(with_text), "a;")


def test_rules_that_nothing_leads_to_are_named_in_a_warning() -> None:
    assert "to rule 'unused'" in warnings_of(braid("s", {"s": [["a"]], "unused": [["b"]]}))


def test_rules_without_any_text_are_left_out_with_a_warning() -> None:
    text = braid("s", {"s": [["a"], ["never", "b"]], "never": [["x", "never"]]})
    assert "no text can be made from rule 'never'" in warnings_of(text)
    assert accepts(lark_of(text), "a")
    assert not accepts(lark_of(text), "x")


def test_a_grammar_without_any_text_is_a_contradiction_that_names_the_start() -> None:
    with pytest.raises(ContradictionError, match=r"start symbol 's'.*rule 't'"):
        lower_grammar(braid("s", {"s": [["t"]], "t": [["t", "a"]]}), None, PATH, Budget())


def test_circles_of_unit_rules_end() -> None:
    lark = lark_of(braid("a", {"a": [["b"], ["x"]], "b": [["c"]], "c": [["a"], ["y"]]}))
    assert accepts(lark, "x")
    assert accepts(lark, "y")


def test_names_that_are_no_lark_names_are_renamed_without_collisions() -> None:
    rules: Rules = {"start": [["a b", "a_b", "A-B", "7", "été"]], "a b": [["1"]], "a_b": [["2"]], "A-B": [["3"]]}
    lark = lark_of(braid("start", {**rules, "7": [["4"]], "été": [["5"]]}))
    assert accepts(lark, "12345")


def test_rules_named_like_the_gaps_stay_the_callers() -> None:
    lark = lark_of(braid("s", {"s": [["RETURN", "white space"]], "white space": [["IDENTIFIER"]]}), "c")
    assert accepts(lark, "return x")
    assert not accepts(lark, "return ")


def test_a_text_in_capitals_is_written_as_a_literal_which_the_error_shows() -> None:
    rhs: list[object] = ["BEGIN", "IDENTIFIER", "SEMICOLON"]
    grammar = {"start_symbol": "s", "rules": [{"lhs": "s", "rhs": rhs}]}
    with pytest.raises(InvalidConstraintError) as error:
        lower_grammar(json.dumps(grammar), "c", PATH, Budget())
    shown = re.search(r"write (\{.*?\}) for the text BEGIN", str(error.value))
    assert shown is not None
    rhs[0] = json.loads(shown[1])
    lark = lark_of(json.dumps(grammar), "c")
    assert accepts(lark, "BEGIN x;")
    assert not accepts(lark, "BEGINx;")
    assert not accepts(lark, "begin x;")


def test_a_literal_is_never_a_token_class_or_a_rule() -> None:
    grammar = {
        "start_symbol": "s",
        "rules": [{"lhs": "s", "rhs": [{"literal": "IF"}, {"literal": "s"}, "IF"]}, {"lhs": "t", "rhs": []}],
    }
    assert accepts(lark_of(json.dumps(grammar), "c"), "IF s if")
    grammar["rules"][0]["rhs"] = [{"literal": "SELECT "}, "name"]  # type: ignore[index]
    assert accepts(lark_of(json.dumps(grammar)), "SELECT name")
    for wrong in ({"literal": 1}, {"literal": ""}, {"text": "A"}, {"literal": "A", "more": 1}, 7):
        grammar["rules"][0]["rhs"] = [wrong]  # type: ignore[index]
        with pytest.raises(InvalidConstraintError, match=r"rules\[0\].rhs\[0\]"):
            lower_grammar(json.dumps(grammar), None, PATH, Budget())


def test_the_text_for_the_engine_holds_nothing_that_llguidance_1_0_1_does_not_know() -> None:
    lark = lark_of(braid("s", {"s": [["IDENTIFIER", "EQUALS", "STRING", "SEMICOLON"]]}), "typescript")
    assert engine_text(lark).startswith("%llguidance {}\n")
    assert "%ignore" not in lark.rules
    assert "~ " not in lark.rules.replace("& ~/", "")


# ------------------------------------------------------------------------------------------------ the hazards


def test_a_literal_that_begins_another_does_not_hide_what_follows_it() -> None:
    lark = lark_of(braid("s", {"s": [["a", "x"], ["ab", "y"]], "x": [["bc"]], "y": [["d"]]}))
    assert accepts(lark, "abc")
    assert accepts(lark, "abd")


@pytest.mark.parametrize(
    "rules",
    [
        {"s": [["i", "t"]], "t": [[",", "i", "t"], []], "i": [["a"], ["b"]]},
        {
            "s": [["i", "t"]],
            "t": [["c", "u"], []],
            "u": [["i", "t"], ["i", "i", "t"]],
            "i": [["a"], ["b"]],
            "c": [[","]],
        },
        {"s": [["s", ",", "i"], ["i"]], "i": [["a"], ["b"]]},
    ],
)
def test_a_list_of_5000_items_stays_within_the_limits_of_the_engine(rules: Rules) -> None:
    assert accepts(lark_of(braid("s", rules)), "a,b," * 2_500 + "a")


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"s": [["s", "s"], ["a"], []]}, "a" * 5_000),
        ({"s": [["s", "o", "s"], ["(", "s", ")"], ["a"]], "o": [["+"], ["-"]]}, "a+(a-a)-" * 700 + "a"),
        ({"s": [["a"], ["b"]], "b": [["s", "+", "s"], ["s", "-", "s"]]}, "a+a-" * 1_000 + "a"),
    ],
)
def test_an_ambiguous_grammar_reads_a_long_text(rules: Rules, text: str) -> None:
    lark = lark_of(braid("s", rules))
    assert accepts(lark, text)
    assert not accepts(lark, text + "!")


def test_thousands_of_words_become_one_terminal() -> None:
    lark = lark_of(braid("s", {"s": [["w", "!"]], "w": [[f"word{number}"] for number in range(5_000)]}))
    assert accepts(lark, "word4999!")
    assert not accepts(lark, "word5000!")


def test_thousands_of_words_do_not_hide_what_goes_on_like_them() -> None:
    words = [[f"word{number}"] for number in range(150)]
    lark = lark_of(braid("s", {"s": [["w", "0", "!"], ["w", "?"]], "w": words}))
    for text in ("word10!", "word1000!", "word10?", "word140!"):
        assert accepts(lark, text), text
    assert not accepts(lark, "word150?")
    beside = lark_of(braid("s", {"s": [["w", "!"], ["word", "1", "?"]], "w": words}))
    for text in ("word1!", "word1?", "word149!"):
        assert accepts(beside, text), text


def test_a_rule_that_is_empty_inside_another_is_never_offered() -> None:
    lark = lark_of(braid("s", {"s": [["x", "empty"], ["y"]], "empty": [["z", "empty"]]}))
    assert {random_text(lark, random.Random(seed), 10) for seed in range(20)} == {"y"}


def test_a_chain_of_100000_unit_rules_is_no_deeper_than_one() -> None:
    count = 100_000
    rules = {f"r{number}": [[f"r{number + 1}"]] for number in range(count - 1)}
    assert accepts(lark_of(braid("r0", {**rules, f"r{count - 1}": [["x"]]})), "x")


def _deep(count: int) -> Rules:
    return {
        **{f"r{number}": [[f"r{number + 1}", f"r{number + 1}"], ["a"]] for number in range(count)},
        f"r{count}": [["b"]],
    }


def _wide(count: int) -> Rules:
    return {"s": [[f"k{number}", "!", "?"] for number in range(count)]}


@pytest.mark.parametrize(
    ("start", "rules", "limit"),
    [
        ("r", {f"r{number}" if number else "r": [["a"]] for number in range(braid_reader.MAX_RULES + 1)}, "100,000"),
        ("s", {"s": [["a"] * (braid_reader.MAX_RIGHT_HAND_SIDE + 1)]}, "10,000"),
        ("s", {"s": [["a"] * 10_000] * 101}, "1,000,000"),
        ("s", {"s": [["a" * (braid_reader.MAX_SYMBOL_CHARACTERS + 1)]]}, "10,000"),
        ("r0", _deep(lark_writer.MAX_DEPTH + 1), "500"),
        ("s", _wide(lark_writer.MAX_ALTERNATIVES + 1), "1,800"),
        ("s", {"s": [[f"r{n}" for n in range(20)]], **{f"r{n}": [["a", "b"] * 2_000] for n in range(20)}}, "60,000"),
    ],
)
def test_over_a_limit_is_an_error_with_the_limit(start: str, rules: Rules, limit: str) -> None:
    with pytest.raises(LimitExceededError, match=limit):
        lark_of(braid(start, rules))


def test_a_grammar_whose_white_space_takes_too_many_steps_is_over_a_limit() -> None:
    chance = random.Random(1)
    names = [f"r{number}" for number in range(20_000)]
    kinds = ("IDENTIFIER", "RETURN", "LPAREN", "SEMICOLON", *names)
    rules: dict[str, list[list[str]]] = {
        name: [[chance.choice(kinds[:4])], [chance.choice(kinds) for _ in range(3)], [chance.choice(kinds), name]]
        for name in names
    }
    with pytest.raises(LimitExceededError, match=f"{spacing.MAX_SPACING_STEPS:,} steps"):
        lower_grammar(braid("r0", {**rules, "r0": [[name] for name in names[1:]]}), "typescript", PATH, Budget())


# ------------------------------------------------------------------------------------------------ GBNF

JSON_GBNF = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::=
  "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws   # escapes
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""


def test_the_json_grammar_of_llama_cpp_means_json() -> None:
    lark = lark_of(JSON_GBNF)
    for text in ("{}", '{"a": [1, 2,3.5e-1], "b\\n":null}\n   ', '{"é": {"\\u00e9": "/"}, "x": [[], -0]}'):
        assert accepts(lark, text), text
        json.loads(text)
    for text in ('{"a": [1, 2,3.5e], "b":null}', "[1]", '{"a": "\n"}', '{"a": 01}', '{"a": 1,}', '{"a"  : 1}'):
        assert not accepts(lark, text), text


GbnfNode: TypeAlias = tuple[object, ...]


def _leaves() -> st.SearchStrategy[GbnfNode]:
    return st.one_of(
        st.tuples(st.just("text"), st.sampled_from(["a", "b", "ab", "aba", "bc", "c", ""])),
        st.tuples(st.just("class"), st.sampled_from(["ab", "a", "bc", "abc"]), st.booleans()),
        st.tuples(st.just("rule"), st.sampled_from(["root", "x"])),
    )


def _inner(children: st.SearchStrategy[GbnfNode]) -> st.SearchStrategy[GbnfNode]:
    counts = st.sampled_from([(0, None), (1, None), (0, 1), (2, 2), (1, 3), (2, None), (0, 2), (0, 0)])
    return st.one_of(
        st.tuples(st.just("row"), st.lists(children, min_size=1, max_size=3)),
        st.tuples(st.just("choice"), st.lists(children, min_size=2, max_size=3)),
        st.tuples(st.just("times"), children, counts),
    )


def _written(node: GbnfNode) -> str:
    match node:
        case ("text", text):
            return f'"{text}"'
        case ("class", letters, negated):
            return f"[{'^' if negated else ''}{letters}]"
        case ("rule", name):
            return str(name)
        case ("row", list(items)):
            return f"({' '.join(map(_written, items))})"
        case ("choice", list(items)):
            return f"({' | '.join(map(_written, items))})"
        case ("times", tuple(item), (least, most)):
            inner = _written(item) if item[0] in ("text", "class", "rule", "times") else f"({_written(item)})"
            return f"{inner} {{ {least}, {'' if most is None else most} }}"
    raise AssertionError(node)


def _node_ends(node: GbnfNode, text: str, begin: int, spans: set[tuple[str, int, int]]) -> set[int]:
    match node:
        case ("text", str(literal)):
            return {begin + len(literal)} if text.startswith(literal, begin) else set()
        case ("class", str(letters), negated):
            return {begin + 1} if begin < len(text) and (text[begin] in letters) != negated else set()
        case ("rule", name):
            return {last for other, first, last in spans if other == name and first == begin}
        case ("row", list(items)):
            ends = {begin}
            for item in items:
                ends = {after for end in ends for after in _node_ends(item, text, end, spans)}
            return ends
        case ("choice", list(items)):
            return {end for item in items for end in _node_ends(item, text, begin, spans)}
        case ("times", tuple(item), (int(least), int() | None as most)):
            ends, result = {begin}, set[int]()
            for count in range((least + len(text) + 1 if most is None else most) + 1):
                if count >= least:
                    result |= ends
                ends = {after for end in ends for after in _node_ends(item, text, end, spans)}
            return result
    raise AssertionError(node)


def _gbnf_derives(rules: Mapping[str, GbnfNode], text: str) -> bool:
    spans: set[tuple[str, int, int]] = set()
    while True:
        found = {
            (name, begin, end)
            for name, node in rules.items()
            for begin in range(len(text) + 1)
            for end in _node_ends(node, text, begin, spans)
        }
        if found <= spans:
            return ("root", 0, len(text)) in spans
        spans |= found


@settings(max_examples=300)
@given(
    st.fixed_dictionaries({name: st.recursive(_leaves(), _inner, max_leaves=6) for name in ("root", "x")}),
    st.lists(st.text("abc", max_size=6), min_size=8, max_size=8),
    st.randoms(use_true_random=False),
)
def test_gbnf_is_translated_exactly(rules: dict[str, GbnfNode], texts: list[str], chance: random.Random) -> None:
    source = "".join(f"{name} ::= {_written(node)}\n" for name, node in rules.items())
    try:
        lark = lark_of(source)
    except ContradictionError:
        assert not any(_gbnf_derives(rules, text) for text in texts)
        return
    walked = random_text(lark, chance, 6)
    for text in texts if walked is None else [*texts, walked]:
        assert accepts(lark, text) == _gbnf_derives(rules, text), (source, text, lark)


def test_many_words_beside_a_class_of_characters_keep_their_meaning() -> None:
    words = " | ".join(f'"w{number}v"' for number in range(160))
    lark = lark_of(f"root ::= word [a-c] tail\nword ::= {words}\ntail ::= [x-z] tail | [q]")
    for text in ("w0vaq", "w159vcxyzq"):
        assert accepts(lark, text), text
    for text in ("w160vaq", "w0vq", "w0vdq"):
        assert not accepts(lark, text), text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('root ::= "a" foo', "line 1, column 14: the rule 'foo' is not defined"),
        ("root ::=\n  [a", "line 2, column 3: this class of characters is never closed"),
        ('root ::= "a\n', "line 1, column 10: this text is never closed"),
        ('root ::= "a" )', r"line 1, column 14: '\)' is not expected here"),
        ('root ::= ("a"', "line 1, column 10: this parenthesis is never closed"),
        ("root ::= [z-a]", "line 1, column 11: this range of characters ends before it begins"),
        ("root ::= []", "line 1, column 10: this class of characters is empty"),
        ('root ::= "\\q"', r"line 1, column 11: the escape '\\q' is not known"),
        ('root ::= "\\uD800"', "is no character"),
        ("root ::= <think>", "line 1, column 10: a token of the engine's vocabulary"),
        ('root ::= "a"{3,2}', "line 1, column 13: at least 3 and at most 2 times"),
        ("root ::= *", r"line 1, column 10: '\*' has nothing before it"),
        ('root ::= "a"\n  * "b"', "line 2, column 3: "),
        ('root ::= "a"{1 0}', r"line 1, column 13: a repetition is \{n\}"),
        ("root ::= 'a'", "line 1, column 10: a text stands between double quotes"),
        ('root ::= "x" ("a" | b\nb ::= "b"', "line 1, column 14: this parenthesis is never closed"),
        ('root ::= (("a" )\n\nb ::= "b"\nc ::= "c"', "line 1, column 10: this parenthesis is never closed"),
        ('root ::= "a"\nroot ::= "b"', "line 2, column 1: the rule 'root' is defined twice"),
        ('a ::= "x"', "has no rule root"),
    ],
)
def test_gbnf_that_cannot_be_translated_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(InvalidConstraintError, match=problem) as error:
        lower_grammar(text, None, PATH, Budget())
    assert "taken for GBNF" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "root ::= " + "(" * (gbnf.MAX_NESTING + 2) + '"a"' + ")" * (gbnf.MAX_NESTING + 2),
        f'root ::= "a"{{{gbnf.MAX_REPETITION + 1}}}',
        'root ::= "a"{99999999999999999999}',
        'root ::= "a"{1,99999999999999999999}',
    ],
)
def test_gbnf_over_a_limit_is_an_error(text: str) -> None:
    with pytest.raises(LimitExceededError, match="which is the limit"):
        lower_grammar(text, None, PATH, Budget())


def test_repetitions_of_gbnf_count_up_to_the_limit() -> None:
    lark = lark_of("root ::= [a]{3,2000}")
    assert accepts(lark, "a" * 2_000)
    assert not accepts(lark, "a" * 2_001)
    assert not accepts(lark, "aa")


@pytest.mark.parametrize(
    ("text", "accepted", "refused"),
    [
        ('root ::= item *\nitem ::= "k"', ["", "kkk"], ["x"]),
        ('root ::= "k"\t+ [a]  ? # why\n', ["k", "kka"], ["", "aa"]),
        ('root ::= ("k"\n  # each\n  +\n [a] {2 , 3 })', ["kaa", "kkaaa"], ["ka", "aa"]),
        ('root ::= "k"?*', ["", "kk"], ["a"]),
        ('root ::= "ab"{2}{1,2}', ["abab", "abababab"], ["ab", "ababab"]),
        ('root ::= ("a" | "b")+?', ["", "ab"], ["c"]),
        ('root ::= "\\x41\\u00e9\\U0001F600" .', ["A\u00e9\U0001f600\n"], ["A"]),
        ('root ::=\n\n  "a"\r\n\r\n# end', ["a"], [""]),
        ('root ::= a-b | a_c\na-b ::= "1"\na_c ::=', ["1", ""], ["2"]),
    ],
)
def test_gbnf_is_read_as_llama_cpp_reads_it(text: str, accepted: list[str], refused: list[str]) -> None:
    lark = lark_of(text)
    assert [each for each in accepted if not accepts(lark, each)] == []
    assert [each for each in refused if accepts(lark, each)] == []


@pytest.mark.parametrize(
    ("text", "accepted", "refused"),
    [
        (
            'root ::= (expr "=" ws term "\\n")+\nexpr ::= term ([-+*/] term)*\n'
            'term ::= ident | num | "(" ws expr ")" ws\nident ::= [a-z] [a-z0-9_]* ws\n'
            "num ::= [0-9]+ ws\nws ::= [ \\t\\n]*",
            ["42 = 42\n", "(a+(b -1))*2=c\n\nx=1\n"],
            ["", "42 = 42", "a+b)=c\n", "1=\n"],
        ),
        ('root ::= "a"{4}', ["aaaa"], ["aaa", "aaaaa"]),
        ('root ::= ("aa" | "bb"){2,3} "!"?', ["aabb", "bbbbbb!"], ["aa", "aabbaabb"]),
        ("root ::= [a-c]{0,2}[^a-c]", ["z", "abz"], ["abcz", "ab"]),
        ("root ::= [\u4e00-\u9fa5]+ [\U0001f300-\U0001f64f]?", ["\u4e2d\u6587", "\u4e2d\U0001f600"], ["a", ""]),
        ('root ::= "\\"" [^"\\\\]* "\\""', ['"a b"'], ['"a\\""', '"']),
        ('root ::= a\na ::= b | "(" a ")"\nb ::= "x" | a "y"', ["x", "(x)yy", "((x)y)"], ["y", "(x"]),
    ],
)
def test_grammars_of_the_kinds_that_llama_cpp_tries_itself_mean_the_same(
    text: str, accepted: list[str], refused: list[str]
) -> None:
    lark = lark_of(text)
    assert [each for each in accepted if not accepts(lark, each)] == []
    assert [each for each in refused if accepts(lark, each)] == []


@pytest.mark.parametrize("rules", [60, 75, 110, 149, 200])
@pytest.mark.parametrize("last", ['"c"', ""])
def test_long_chains_of_rules_compile(rules: int, last: str) -> None:
    chain = "".join(f'r{number} ::= "a" r{number + 1} | "b"\n' for number in range(rules))
    lark = lark_of(f"root ::= r0\n{chain}r{rules} ::= {last}\n")
    for text in ("b", "a" * 40 + "b", "a" * rules + last.strip('"').replace("[a-c]", "c")):
        assert accepts(lark, text), text
    for text in ("", "a", "bb", "a" * rules + "d"):
        assert not accepts(lark, text), text


def test_gbnf_warns_of_rules_that_nothing_leads_to_and_not_of_others() -> None:
    assert warnings_of(JSON_GBNF) == ""
    assert "to rule 'b'" in warnings_of('root ::= "a"\nb ::= "b"')


# ------------------------------------------------------------------------------------------------ Lark text


@pytest.mark.parametrize("text", ['start: "a" x\nx: /[0-9]+/', '%llguidance {}\nstart: "a" x\nx: /[0-9]+/'])
def test_lark_text_becomes_a_grammar_with_the_header_that_engines_need(text: str) -> None:
    rules = lark_of(text)
    assert engine_text(rules).startswith("%llguidance {}\nstart: ")
    assert accepts(rules, "a12")
    assert not accepts(rules, "a")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("start: x", r'line 1, column 8: unknown name: "x"\n  start: x\n         \^'),
        ('\n\nstart: "a"\nstart: "b"', "line 4, column 1: duplicate rule"),
        ("  \n%llguidance {}\nstart: X", 'line 3, column 8: unknown name: "X"'),
        ('%llguidance {}\ns: "a"', "has no rule start"),
        ('start: "a" ~ 3..2', "line 1, column 12: at least 3 and at most 2 times cannot be"),
        ('start: "a" "\\x4g"', r"line 1, column 13: '\\x' needs 2 hexadecimal digits"),
    ],
)
def test_errors_in_lark_text_speak_of_the_callers_lines(text: str, problem: str) -> None:
    with pytest.raises(InvalidConstraintError, match=problem) as error:
        lower_grammar(text, None, PATH, Budget())
    assert f"{PATH} was taken for Lark text" in str(error.value)


@pytest.mark.parametrize("token", ["<think>", "<[12]>", "<[^1-5]>", "<|end|>"])
def test_special_tokens_in_lark_text_are_refused_as_no_text_shows_them(token: str) -> None:
    with pytest.raises(UnsupportedConstraintError, match="line 2, column 8: the special token"):
        lower_grammar(f'// <comment>\nstart: {token} "<text>" /<regex>/', None, PATH, Budget())
    lower_grammar('// <comment>\nstart: "<text>" /<regex>/ %json {"const": "<[1]>"}', None, PATH, Budget())


def test_a_chain_of_lark_rules_that_would_overflow_a_stack_is_refused() -> None:
    chain = "".join(f'r{number}: "a" r{number + 1}\n' for number in range(100_000))[:900_000].rsplit("\n", 1)[0]
    with pytest.raises(LimitExceededError, match="chain of over 500"):
        lower_grammar(f"start: r0\n{chain}\n", None, PATH, Budget())
    with pytest.raises(LimitExceededError, match=f"{lark.MAX_LARK_CHARACTERS:,}"):
        lower_grammar('start: "' + "a" * lark.MAX_LARK_CHARACTERS + '"', None, PATH, Budget())


def test_a_length_in_tokens_of_an_engine_is_refused_with_its_place() -> None:
    with pytest.raises(UnsupportedConstraintError, match="line 2, column 15: max_tokens"):
        lower_grammar("start: name\nname[capture, max_tokens=3]: /[a-z]+/\n", None, "g", Budget())


@pytest.mark.parametrize(
    "text",
    [
        "start: T\nT: " + " & ".join(f"/(?s:.*)a{n}.*b{n}(?s:.*)/" for n in range(40)),
        "start: x\nx: T\nT: A0\n"
        + "\n".join(f"A{n}: A{n + 1} & /(?s:.*)a{n}.*b{n}(?s:.*)/" for n in range(40))
        + "\nA40: /(?s:.*)/",
        "start: %json " + json.dumps({"properties": {f"p{n}": {} for n in range(10_000)}}),
        "start: %json " + json.dumps({"patternProperties": {f"^p{n}": {} for n in range(300)}}),
        "start: %json " + '{"items":' * 70 + "{}" + "}" * 70,
    ],
)
def test_lark_text_that_llguidance_would_work_on_for_hours_is_refused(text: str) -> None:
    with pytest.raises(LimitExceededError):
        lower_grammar(text, None, "g", Budget())


def test_many_small_intersections_are_no_large_one() -> None:
    terminals = "\n".join(f"T{n}: /[a-z]+/ & ~/x{n}/" for n in range(40))
    lower_grammar("start: " + " ".join(f"T{n}" for n in range(40)) + "\n" + terminals, None, "g", Budget())


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ('{"type":"string","format":"regex"}', "format regex"),
        ('{"type":"array","uniqueItems":true}', "uniqueItems"),
        ('{"schema_type":"string"}', "Braid's shape"),
        ('{"allOf":[' + ",".join(f'{{"type":"string","pattern":"a{n}.*b{n}"}}' for n in range(40)) + "]}", "over 12"),
    ],
)
def test_a_schema_in_lark_text_that_is_not_enforced_to_the_letter_is_refused(schema: str, message: str) -> None:
    with pytest.raises(UnsupportedConstraintError, match=message) as raised:
        lower_grammar(f"start: x\nx: %json {schema}\n", None, "g", Budget())
    assert "g (the schema on line 2)" in str(raised.value)


def test_a_schema_in_lark_text_warns_as_one_alone_does() -> None:
    lowered = lower_grammar('start: %json {"type":"object","propertys":{}}', None, "g", Budget())
    assert "#/propertys" in lowered.warnings[0]
