"""Patterns of schemas mean what ECMAScript says, in the grammar and in the check alike."""

from __future__ import annotations

import json
import lzma
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from maze.check.explanation import explain
from maze.errors import InvalidConstraintError, MazeError, UnsupportedConstraintError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.pattern.ecmascript import parse_ecmascript
from maze.grammar.pattern.recogniser import Recogniser
from maze.grammar.schema.exact_patterns import exact_pattern, with_exact_patterns
from maze.grammar.schema.validator import make_validator
from maze.json_text import JsonValue

CORPUS = Path(__file__).parent / "data/schemas/corpus.json.xz"


def recogniser(pattern: str) -> Recogniser:
    budget = Budget()
    return Recogniser(parse_ecmascript(pattern, "a pattern", budget), budget.construction())


MEANINGS = [
    (r"^.$", "a\x85\U0001f600", "\n\r\u2028\u2029"),
    (r"^\s$", " \t\v\xa0\ufeff\u2028\u3000\u1680", "\x85\u180e\u200b\x1ca"),
    (r"^\S$", "\x85\u200b", "\xa0\ufeff "),
    (r"^[^\s]$", "\x85", "\xa0\ufeff"),
    (r"^\d$", "05", "\u0660x"),
    (r"^[\D]$", "\u0660x", "5"),
    (r"^\w$", "a_9", "\xe9\u0660"),
    (r"^(?!x)\w$", "a", "\xe9x"),
    (r"^(?!x)[\w-]$", "a-", "\xe9"),
    (r"^(?!x)\s$", "\ufeff", "\x85"),
    (r"^\W$", "\xe9", "a"),
    (r"^\cA$", "\x01", "A"),
    (r"^\0$", "\0", "0"),
    (r"^[\b\0]$", "\b\0", "b0"),
    (r"^\x41$", "A", "x"),
    (r"^[\u0041-\u{43}]$", "ABC", "D"),
    (r"^\ud83d\ude00$", "\U0001f600", "a"),
    (r"^[\ud83d\ude00-\ud83d\ude02]$", "\U0001f601", "\U0001f603"),
    (r"^\u{1F600}$", "\U0001f600", "a"),
    (r"^[^]$", "\na", ""),
    (r"^[]|b$", "b", "a"),
    (r"^\/$", "/", "\\"),
    (r"^[\-\]\/]$", "-]/", "\\"),
    (r"^[[a]$", "[a", "b"),
    (r"^[a&&b]$", "a&b", "c"),
    (r"^[.]$", ".", "a"),
    (r"^}$", "}", "{"),
    (r"^\p{Lu}$", "A\u0394", "a"),
    (r"^\p{Script=Greek}$", "\u0394", "A"),
    (r"^\P{L}$", "1", "a"),
    (r"^(?<name>a)$", "a", "b"),
]  # fmt: skip
"""Patterns, and single characters that match and that do not."""


@pytest.mark.parametrize(("pattern", "matching", "others"), MEANINGS, ids=[each[0] for each in MEANINGS])
def test_a_pattern_means_what_ecmascript_says(pattern: str, matching: str, others: str) -> None:
    ours, check = recogniser(pattern), make_validator(json.dumps({"pattern": pattern}))
    for texts, matches in ((matching, True), (others, False)):
        for text in texts:
            assert ours.accepts(text) is matches, text
            assert check.is_valid(text) is matches, text


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("b", "abc", True),
        ("^a|c$", "axx", True),
        ("^a|c$", "xxc", True),
        ("^a|c$", "xax", False),
        ("(^|,)a(,|$)", "b,a", True),
        ("(^|,)a(,|$)", "ba", False),
        ("^(?:^a$|b)$", "b", True),
        ("a$", "a\n", False),
        ("/a/", "a", False),
        ("a|FLAGS:i", "A", False),
        (r"\ba\b", "\xe9a", True),
        (r"\ba\b", "_a", False),
        (r"a\B", "ab", True),
        (r"a\B", "a\xe9", False),
        ("^(?=.*[0-9])[a-z0-9]+$", "ab1", True),
        ("^(?=.*[0-9])[a-z0-9]+$", "abc", False),
        ("^(?!.*x).*$", "\rx", False),
        ("(?<=a)b", "ab", True),
        ("(?<!a)b", "ab", False),
        ("^[[:alpha:]]$", "a", False),
        ("^[[:alpha:]]$", ":]", True),
        ("", "anything", True),
        ("^[a-z]+-?[a-z]+$", "c", False),
        ("^(?!x)[a-z]+-?[a-z]+$", "c", False),
        (r"^(?!x)[a-z]+(\.[a-z]+)*[a-z]+$", "c", False),
        (r"^(?!x)(a|b)+c*(a|b)+[+\+]+$", "ab++", True),
        (r"^(?=^[a-z]+$).{3}$", "abc", True),
        (r"(?!^[.-])^[a-z.]+$", ".a", False),
        (r"(?!^[.-])^[a-z.]+$", "a.", True),
        (r"^\${.*}$", "${a}", True),
        (r"^([ab])c\1$", "aca", True),
        (r"^([ab])c\1$", "acb", False),
        (r"^(?:(?!-->).)*$", "a->", True),
        (r"^(?:(?!-->).)*$", "a-->", False),
        (r"^(?:\ba+\b-?)+$", "aa-a", True),
        (r"^(?:\ba+\b-?)+$", "aa--a", False),
    ],
)
def test_a_text_is_searched_for_a_pattern(pattern: str, text: str, matches: bool) -> None:
    assert recogniser(pattern).accepts(text) is matches
    assert make_validator(json.dumps({"pattern": pattern})).is_valid(text) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"(a*)\1", r"(?<n>a+)\k<n>", r"\1(a)", r"(a)\g1", r"\R", r"[\h]", "(?i)a", "(?i:a)", "(?P<n>a)", r"\Aa"),
        *(r"a\Z", r"\a", r"\e", "(?>a)", "a++"),
    ],
)
def test_what_is_not_regular_or_not_ecmascript_is_left_to_the_check(pattern: str) -> None:
    with pytest.raises((InvalidConstraintError, UnsupportedConstraintError), match="pattern at #"):
        parse_ecmascript(pattern, "pattern at #", Budget())


def patterns_in(value: JsonValue) -> Iterator[str]:
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            if isinstance(each.get("pattern"), str):
                yield each["pattern"]
            if isinstance(each.get("patternProperties"), dict):
                yield from each["patternProperties"]
            pending += each.values()
        elif isinstance(each, list):
            pending += each


def walk(language: Recogniser, chance: random.Random, pattern: str) -> str:
    """A text along the language as far as chance takes it, perhaps with a change."""
    text, state = "", language._start
    for _ in range(chance.randrange(20)):
        onward = [(each, after) for each in language._examples if (after := language._next(state, each)) is not None]
        if not onward:
            break
        character, state = chance.choice(onward)
        text += character
    if chance.random() < 0.6:
        place = chance.randrange(len(text) + 1)
        others = "\n\r\u2028\x85\xa0\ufeff\0 \xe9\u0660aAz09_-./" + re.sub(r"\W", "", pattern)
        text = text[:place] + chance.choice(("", chance.choice(others))) + text[place + chance.randrange(2) :]
    return text


def test_patterns_that_people_write_mean_the_same_to_the_check() -> None:
    schemas = json.loads(lzma.decompress(CORPUS.read_bytes()))
    patterns = sorted({pattern for each in schemas for pattern in patterns_in(json.loads(each["schema"]))})
    chance = random.Random(0)
    left = 0
    assert len(patterns) > 100
    for pattern in chance.sample(patterns, 250):
        try:
            ours = recogniser(pattern)
        except (MazeError, OverBudgetError):
            left += 1
            continue
        check = make_validator(json.dumps({"pattern": pattern}))
        for text in (walk(ours, chance, pattern) for _ in range(12)):
            assert ours.accepts(text) is check.is_valid(text), (pattern, text)
    assert left <= 3


def test_only_patterns_are_rewritten() -> None:
    exact = exact_pattern("a.b", backtracking=False)
    assert exact != "a.b"
    schema = {
        "properties": {"enum": {"pattern": "a.b"}, "pattern": {"const": {"pattern": "a.b"}}},
        "patternProperties": {"a.b": {"enum": [{"pattern": "a.b"}]}},
        "components": {"x": [{"pattern": "a.b"}]},
        "default": {"pattern": "a.b"},
    }
    assert json.loads(with_exact_patterns(json.dumps(schema))[0]) == {
        "properties": {"enum": {"pattern": exact}, "pattern": {"const": {"pattern": "a.b"}}},
        "patternProperties": {exact: {"enum": [{"pattern": "a.b"}]}},
        "components": {"x": [{"pattern": exact}]},
        "default": {"pattern": "a.b"},
    }


def test_a_broken_pattern_is_reported_as_it_was_written() -> None:
    with pytest.raises(ValueError, match=re.escape(r'"(a.b" is not a "regex"')):
        make_validator('{"pattern": "(a.b"}')


@pytest.mark.parametrize("schema", [{"pattern": r"^.\d$"}, {"propertyNames": {"pattern": r"^(?!x).\d+$"}}], ids=str)
def test_a_violation_names_the_pattern_as_it_was_written(schema: dict[str, JsonValue]) -> None:
    value = "ab" if "pattern" in schema else {"ab": 1}
    pattern = schema["pattern"] if "pattern" in schema else schema["propertyNames"]["pattern"]
    (broken,) = explain(json.dumps(schema), value)
    assert broken.expected.endswith(f"a text that matches {pattern}")
