"""The languages of numbers hold exactly the numbers they are made for, held against decimal arithmetic."""

from __future__ import annotations

import json
import operator
import random
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from functools import lru_cache

import pytest

from maze.grammar.budget import Budget
from maze.grammar.cfg.automaton_rules import as_rules
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Production
from maze.grammar.llguidance import ENGINE_LIMITS, Matcher, check_grammar
from maze.grammar.llguidance import is_bearable as engine_bears
from maze.grammar.pattern.machine import as_machine, plain_expression
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.recogniser import Recogniser
from maze.grammar.pattern.tree import Machine, Node, both
from maze.grammar.schema.lower import lower_schema
from maze.grammar.schema.numbers import (
    ALL_NUMBERS,
    INTEGERS,
    MAX_DIGITS,
    NOT_INTEGERS,
    above,
    at_least,
    at_most,
    below,
    equal_to,
    is_bearable,
    multiples_between,
    multiples_of,
)
from maze.grammar.schema.validator import make_validator

BOUNDS = [
    "0", "1", "-1", "9", "10", "-10", "99", "100", "0.5", "-0.5", "0.05", "9.99", "-9.99", "1.0", "100.00", "0.001",
    "2147483647", "-2147483648", "9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740993",
    "18446744073709551615", "123456789012345678", "0.1000000000000000055", "1e-8", "-1e-8", "1e21", "-1e21",
    "1" * 18, "9" * 60, "1" + "0" * 399, "-" + "7" * 400, "0." + "0" * 200 + "3",
]  # fmt: skip
DIVISORS = [
    "1", "2", "3", "5", "7", "10", "12", "15", "60", "100", "365", "1000", "1024", "0.1", "0.01", "0.05", "0.25", "0.3",
    "0.5", "2.5", "1e-8", "1e-300", "1e300", "12e20",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    with localcontext() as context:
        context.prec = 2_000
        context.Emax, context.Emin = 10**6, -(10**6)
        yield


def written(value: Decimal) -> str:
    """Plainly, and with the zeros that the value has behind its point."""
    return "0" if value == 0 else f"{value:f}"


def neighbours(value: Decimal) -> Iterator[str]:
    """A number, those that differ by one in one digit, and other ways to write them."""
    power = int(value.as_tuple().exponent)
    digits = len(value.as_tuple().digits)
    steps = {0, power, power - 1, power - 2, power + 1, power + digits - 1, power + digits, 1, -1, -17}
    for step in steps:
        for change in (-1, 0, 1):
            near = value + change * Decimal((0, (1,), step))
            for each in (near, -near):
                text = written(each)
                yield text
                yield f"{text}0" if "." in text else f"{text}.0"
    yield from ("0", "0.0", "0.1", "-0.1", "1", "-1")


def random_number(chance: random.Random) -> str:
    whole = str(chance.choice((0, chance.randrange(10), chance.randrange(10**4), chance.randrange(10**18))))
    fraction = "." + "".join(chance.choices("01259", k=chance.randint(1, 4))) if chance.random() < 0.6 else ""
    sign = "-" if chance.random() < 0.4 and (whole + fraction).strip("0.") else ""
    return sign + whole + fraction


@lru_cache(maxsize=256)
def recogniser(language: Node) -> Recogniser:
    return Recogniser(language, Budget().construction())


def accepts(language: Node, text: str) -> bool:
    return recogniser(language).accepts(text)


def holds(language: Node, text: str) -> bool:
    return accepts(both(ALL_NUMBERS, language), text)


COMPARISONS: list[tuple[Callable[[Decimal], Node], Callable[[Decimal, Decimal], bool]]] = [
    (above, operator.gt),
    (at_least, operator.ge),
    (below, operator.lt),
    (at_most, operator.le),
    (equal_to, operator.eq),
]


@pytest.mark.parametrize(("language", "holds_for"), COMPARISONS, ids=[each[0].__name__ for each in COMPARISONS])
@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound[:20])
def test_a_bound_divides_the_numbers_at_its_last_digit(
    bound: str, language: Callable[[Decimal], Node], holds_for: Callable[[Decimal, Decimal], bool]
) -> None:
    value = Decimal(bound)
    made = language(value)
    chance = random.Random(bound)
    for text in (*neighbours(value), *(random_number(chance) for _ in range(40))):
        assert holds(made, text) is holds_for(Decimal(text), value), text


@pytest.mark.parametrize("divisor", DIVISORS)
def test_multiples_are_those_that_leave_no_remainder(divisor: str) -> None:
    value = Decimal(divisor)
    language = multiples_of(value, Budget())
    assert language is not None
    chance = random.Random(divisor)
    multiples = [
        value * chance.choice((0, 1, -1, 2, chance.randrange(10**6), -chance.randrange(10**18))) for _ in range(15)
    ]
    for text in (
        *(near for each in multiples for near in neighbours(each)),
        *(random_number(chance) for _ in range(40)),
    ):
        assert holds(language, text) is (Decimal(text) % value == 0), text


@pytest.mark.parametrize("divisor", ["123456789", "1e500", "1e-500", "0.000123457"])
def test_too_many_remainders_are_left_to_the_check(divisor: str) -> None:
    assert multiples_of(Decimal(divisor), Budget()) is None


@pytest.mark.parametrize("text", ["-0", "-0.0", "-0.00", "00", "01", "-01", "1.", ".5", "+1", "1e3", "", "-", "0.-1"])
def test_no_number_is_written_oddly(text: str) -> None:
    assert not accepts(ALL_NUMBERS, text)
    for divisor in ("1", "0.01", "7", "0.5", "60"):
        multiples = multiples_of(Decimal(divisor), Budget())
        assert multiples is not None
        assert not accepts(multiples, text), divisor


def test_a_number_is_an_integer_or_not() -> None:
    chance = random.Random(0)
    for text in (random_number(chance) for _ in range(2_000)):
        is_integer = Decimal(text) % 1 == 0
        assert accepts(NOT_INTEGERS, text) is not is_integer
        assert accepts(INTEGERS, text) is ("." not in text)


def test_a_bound_of_very_many_digits_is_left_to_the_check() -> None:
    assert is_bearable(Decimal("9" * MAX_DIGITS))
    assert not is_bearable(Decimal("9" * (MAX_DIGITS + 1)))
    assert not is_bearable(Decimal("1e400"))
    assert not is_bearable(Decimal("1e-400"))


@pytest.mark.parametrize(
    ("schema", "language"),
    [
        ({"minimum": 9007199254740993}, at_least(Decimal(9007199254740993))),
        ({"exclusiveMaximum": 0.1}, below(Decimal("0.1"))),
        ({"const": 123456789012345678}, equal_to(Decimal(123456789012345678))),
        ({"multipleOf": 0.01}, multiples_of(Decimal("0.01"), Budget())),
        ({"multipleOf": 2.5}, multiples_of(Decimal("2.5"), Budget())),
        ({"multipleOf": 7}, multiples_of(Decimal(7), Budget())),
    ],
    ids=str,
)
def test_the_check_agrees(schema: dict[str, float], language: Node) -> None:
    validator = make_validator(json.dumps(schema))
    (value,) = (Decimal(str(each)) for each in schema.values())
    for text in (*neighbours(value), *neighbours(value * 3)):
        number = Decimal(text)
        if number == int(number) or len(text) < 15:
            parsed = int(number) if number == int(number) else number
            assert validator.is_valid(parsed) is holds(language, text), text


def test_the_smallest_automaton_has_the_same_texts() -> None:
    language = both(ALL_NUMBERS, above(Decimal("-0.25")), at_most(Decimal("17.5")))
    machine = as_machine(language, Budget().construction())
    assert isinstance(machine, Machine)
    assert as_machine(machine, Budget().construction()) == machine
    plain = plain_expression(language, Budget())
    assert plain is not None
    chance = random.Random(3)
    for text in (
        *neighbours(Decimal("-0.25")),
        *neighbours(Decimal("17.5")),
        *(random_number(chance) for _ in range(500)),
    ):
        assert accepts(machine, text) is accepts(plain, text) is accepts(language, text)


def test_a_large_automaton_is_no_plain_expression() -> None:
    multiples = multiples_of(Decimal(365), Budget())
    assert multiples is not None
    assert plain_expression(multiples, Budget()) is None


@pytest.mark.parametrize("divisor", ["7", "60", "365", "1024", "2.5", "0.01"])
def test_rules_of_an_automaton_have_its_texts_and_engines_bear_them(divisor: str) -> None:
    language = multiples_of(Decimal(divisor), Budget())
    assert language is not None
    number = Nonterminal("number")
    list_of_two: Production = (Literal("["), number, Literal(","), number, Literal("]"))
    rules = cfg_to_lark(
        Cfg("start", {"start": (list_of_two,), **as_rules(language, "number", Budget().construction())}), Budget()
    )
    check_grammar(rules, Budget(), ENGINE_LIMITS)
    assert engine_bears(rules, Budget())
    matcher = Matcher(rules)
    chance = random.Random(divisor)
    for _ in range(40):
        multiple = Decimal(divisor) * chance.randrange(-(10**9), 10**9)
        for text in (written(multiple), written(multiple + 1), random_number(chance)):
            assert matcher.accepts(f"[{text},0]".encode()) is (Decimal(text) % Decimal(divisor) == 0), text


def test_a_language_of_one_text_is_one_rule_a_character() -> None:
    assert as_rules(parse_whole("ab"), "n", Budget().construction()) == {
        "n": ((Literal("a"), Nonterminal("n [state 1]")),),
        "n [state 1]": ((Literal("b"),),),
    }
    assert as_rules(parse_whole("a?"), "n", Budget().construction()) == {"n": ((), (Literal("a"),))}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ('{"const":777777777777777777777777777777}', "7" * 30, "7" * 28 + "80"),
        ('{"maximum":77777777777777777777777777777}', "7" * 29, "7" * 28 + "8"),
        ('{"exclusiveMaximum":0.777777777777777777777777777777}', "0." + "7" * 29 + "6", "0." + "7" * 30),
        ('{"minimum":' + "9" * 400 + "}", "9" * 400, "9" * 399 + "8"),
    ],
)
def test_numbers_of_many_digits_are_not_rounded(schema: str, right: str, wrong: str) -> None:
    lowered = lower_schema(schema, "s", Budget())
    matcher = Matcher(cfg_to_lark(lowered.cfg or pytest.fail("no grammar"), Budget()))
    assert lowered.fully_enforced
    assert matcher.copy().accepts(right.encode())
    assert not matcher.copy().accepts(wrong.encode())


@pytest.mark.parametrize(("divisor", "low", "high"), [("3601", "0", "100000"), ("12.345", "-99.5", "500")])
def test_few_multiples_between_bounds_are_offered_though_there_are_too_many_remainders(
    divisor: str, low: str, high: str
) -> None:
    assert multiples_of(Decimal(divisor), Budget()) is None
    language = multiples_between(Decimal(divisor), Decimal(low), Decimal(high), Budget())
    assert language is not None
    for times in range(-60, 60):
        for multiple in (Decimal(divisor) * times, Decimal(divisor) * times + 1):
            right = Decimal(low) <= multiple <= Decimal(high) and multiple % Decimal(divisor) == 0
            assert holds(language, written(multiple)) is right, multiple
    schema = {"multipleOf": 3601, "minimum": 0, "maximum": 100000, "type": "integer"}
    assert not lower_schema(json.dumps(schema), "it", Budget()).reasons
    for unbounded in ({"maximum": 100000}, {"minimum": 0, "maximum": 10**9}):
        assert lower_schema(json.dumps({"multipleOf": 3601, **unbounded}), "it", Budget()).reasons
