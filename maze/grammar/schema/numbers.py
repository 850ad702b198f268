"""Numbers as texts: exact automata over decimals of any length.

A number is written plainly: no exponent, no leading zero, no minus before zero. A fraction may end in zeros, so that
with a text each of these languages has all other texts of the same value. Bounds leave it to ALL_NUMBERS, which they
are intersected with, to refuse minus zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from math import ceil, floor

from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.pattern.code_points import characters, contains
from maze.grammar.pattern.derivative import first_characters
from maze.grammar.pattern.machine import as_machine
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import (
    EMPTY,
    NOTHING,
    Chars,
    Machine,
    Node,
    alt,
    both,
    cat,
    conditions,
    is_plain,
    literal,
    negation,
    repeat,
)

MAX_DIGITS = 400
"""Most digits of a bound, a constant or a divisor that numbers are held against while decoding."""
MAX_REMAINDERS = 1_100
"""Most remainders of a division that numbers are followed through, by the digits after the point; about 0.2 s."""
MAX_LISTED_MULTIPLES = 500
"""Most multiples between two bounds that are listed where there are too many remainders."""

_DIGIT = Chars(((0x30, 0x39),))
_NOT_ZERO = Chars(((0x31, 0x39),))
_ZEROS = repeat(literal("0"), 0, None)
_DIGITS = repeat(_DIGIT, 0, None)
_FRACTION = repeat(cat(literal("."), repeat(_DIGIT, 1, None)), 0, 1)
_NO_FRACTION = repeat(cat(literal("."), repeat(literal("0"), 1, None)), 0, 1)
_WHOLE = parse_whole("0|[1-9][0-9]*")
_ZERO = cat(literal("0"), _NO_FRACTION)
_MAGNITUDE = cat(_WHOLE, _FRACTION)

ALL_NUMBERS = parse_whole(r"(0|[1-9][0-9]*)(\.[0-9]+)?|-(0\.0*[1-9][0-9]*|[1-9][0-9]*(\.[0-9]+)?)")
INTEGERS = parse_whole("0|-?[1-9][0-9]*")
"""Without a point: every integer can be written so."""
SHORTEST = alt(INTEGERS, parse_whole(r"-?(0|[1-9][0-9]*)\.[0-9]*[1-9]"))
"""Each number once."""
NOT_INTEGERS = parse_whole(r"-?(0|[1-9][0-9]*)\.[0-9]*[1-9][0-9]*")


def are_only_numbers(language: Node) -> bool:
    """Whether no text but of numbers is in a language made of bounds, constants and multiples; False if unsure."""
    return any(map(_has_only_numbers, conditions(language)))


def _has_only_numbers(language: Node) -> bool:
    if language in (INTEGERS, NOT_INTEGERS, SHORTEST) or isinstance(language, Machine):
        return True
    return is_plain(language) and not contains(first_characters(language), ord("-"))


def _digits(value: Decimal) -> tuple[str, str]:
    """The digits of a magnitude before and after the point, without zeros that say nothing."""
    whole, _, fraction = f"{value.copy_abs():f}".partition(".")
    return whole.lstrip("0") or "0", fraction.rstrip("0")


def _digits_between(low: int, high: int) -> Node:
    return Chars(((0x30 + low, 0x30 + high),)) if low <= high else NOTHING


def _any_digits(count: int) -> Node:
    return repeat(_DIGIT, count, count)


def _greater(digit: str) -> Node:
    return _digits_between(int(digit) + 1, 9)


def _smaller(digit: str) -> Node:
    return _digits_between(0, int(digit) - 1)


def _to_some_place(digits: str, there: Callable[[str], Node], behind: Callable[[int], Node]) -> Node:
    """The digits up to some place, then what comes in place of the digit there, then what comes for those behind it.

    Halved again and again, so that the expression for many digits is neither deep nor long.
    """
    if len(digits) == 1:
        return there(digits)
    half = len(digits) // 2
    left, right = digits[:half], digits[half:]
    return alt(
        cat(_to_some_place(left, there, behind), behind(len(right))),
        cat(literal(left), _to_some_place(right, there, behind)),
    )


def _more(digits: str) -> Node:
    """Whole numbers greater than one."""
    return alt(cat(_NOT_ZERO, repeat(_DIGIT, len(digits), None)), _to_some_place(digits, _greater, _any_digits))


def _fewer(digits: str) -> Node:
    """Whole numbers smaller than one."""
    if len(digits) == 1:
        return _smaller(digits)
    first, rest = digits[0], digits[1:]
    as_long = alt(
        cat(_digits_between(1, int(first) - 1), _any_digits(len(rest))),
        cat(literal(first), _to_some_place(rest, _smaller, _any_digits)),
    )
    return alt(literal("0"), cat(_NOT_ZERO, repeat(_DIGIT, 0, len(digits) - 2)), as_long)


def _fraction_above(digits: str) -> Node:
    """Fractions, with their point, that are greater than one."""
    longer = cat(literal(digits), _ZEROS, _NOT_ZERO, _DIGITS)
    if not digits:
        return cat(literal("."), longer)
    greater = _to_some_place(digits, lambda digit: cat(_greater(digit), _DIGITS), lambda _: EMPTY)
    return cat(literal("."), alt(greater, longer))


def _fraction_below(digits: str) -> Node:
    """Fractions, with their point or none at all, that are smaller than one, the last digit of which is not zero."""
    if not digits:
        return NOTHING
    smaller = _to_some_place(digits, lambda digit: cat(_smaller(digit), _DIGITS), lambda _: EMPTY)
    if len(digits) > 1:
        first, rest = digits[0], digits[1:]
        beginnings = cat(literal(first), _to_some_place(rest, lambda _: EMPTY, lambda _: EMPTY))
        smaller = alt(smaller, beginnings)
    return alt(EMPTY, cat(literal("."), smaller))


def _fraction_equal(digits: str) -> Node:
    return cat(literal("." + digits), _ZEROS) if digits else _NO_FRACTION


def _magnitude_above(value: Decimal) -> Node:
    whole, fraction = _digits(value)
    return alt(cat(_more(whole), _FRACTION), cat(literal(whole), _fraction_above(fraction)))


def _magnitude_below(value: Decimal) -> Node:
    whole, fraction = _digits(value)
    return alt(cat(_fewer(whole), _FRACTION), cat(literal(whole), _fraction_below(fraction)))


def _magnitude_equal(value: Decimal) -> Node:
    whole, fraction = _digits(value)
    return cat(literal(whole), _fraction_equal(fraction))


def _negative(magnitudes: Node) -> Node:
    return cat(literal("-"), magnitudes)


def equal_to(value: Decimal) -> Node:
    """The texts of one number."""
    return _magnitude_equal(value) if value >= 0 else _negative(_magnitude_equal(value))


def shortest(value: Decimal) -> Node:
    """The shortest text of one number."""
    whole, fraction = _digits(value)
    text = f"{whole}.{fraction}" if fraction else whole
    return literal(f"-{text}" if value < 0 else text)


def above(value: Decimal) -> Node:
    """The texts of the numbers greater than one."""
    if value >= 0:
        return _magnitude_above(value)
    return alt(_MAGNITUDE, _negative(_magnitude_below(value)))


def below(value: Decimal) -> Node:
    """The texts of the numbers smaller than one."""
    if value > 0:
        return alt(_magnitude_below(value), _negative(_MAGNITUDE))
    return _negative(_magnitude_above(value))


def at_least(value: Decimal) -> Node:
    """The texts of one number and of all greater ones."""
    return alt(above(value), equal_to(value))


def at_most(value: Decimal) -> Node:
    """The texts of one number and of all smaller ones."""
    return alt(below(value), equal_to(value))


def multiples_of(divisor: Decimal, budget: Budget) -> Node | None:
    """The texts of the numbers that a positive divisor divides; None if it has too many remainders or digits."""
    if not is_bearable(divisor):
        return None
    _, digits, power = divisor.as_tuple()  # normalize() would round it
    written = "".join(map(str, digits))
    modulus = int(written.rstrip("0"))
    power = int(power) + len(written) - len(written.rstrip("0"))
    places, zeros = max(0, -int(power)), max(0, int(power))
    if modulus * (places + 1) > MAX_REMAINDERS:
        return None
    try:
        construction = budget.construction()
        multiples = as_machine(_Division(modulus, places).machine(construction), construction)
    except OverBudgetError:
        return None
    if zeros:
        whole = both(INTEGERS, negation(literal("0")), multiples)
        return alt(_ZERO, cat(whole, repeat(literal("0"), zeros, zeros), _NO_FRACTION))
    return multiples


def multiples_between(divisor: Decimal, low: Decimal, high: Decimal, budget: Budget) -> Node | None:
    """The texts of the multiples of a positive divisor from one number to another; None if they are many or long."""
    if not all(map(is_bearable, (divisor, low, high))):
        return None
    first, last = ceil(Fraction(low) / Fraction(divisor)), floor(Fraction(high) / Fraction(divisor))
    if last - first >= MAX_LISTED_MULTIPLES:
        return None
    budget.spend(20 * max(0, last - first + 1))
    exactly = Context(prec=4 * MAX_DIGITS)
    return alt(*(equal_to(exactly.multiply(Decimal(each), divisor)) for each in range(first, last + 1)))


@dataclass(frozen=True, slots=True)
class _Read:
    """What a division has read."""

    kind: str
    """Where in the number: start, sign, zero, whole, point, fraction."""
    remainder: int = 0
    places: int = 0
    """Digits after the point."""
    is_minus_zero: bool = False
    """There is a minus and no digit but zeros."""


class _Division:
    """Long division as an automaton over all numbers."""

    def __init__(self, modulus: int, places: int) -> None:
        self._modulus = modulus
        self._places = places

    def machine(self, budget: Construction) -> Machine:
        numbers = {_Read("start"): 0}
        pending = [*numbers]
        edges = []
        accepting = set()
        for read in pending:
            budget.spend(30)
            if read.kind in ("zero", "whole", "fraction") and not read.is_minus_zero and not self._missing(read):
                accepting.add(numbers[read])
            by_target: dict[int, list[str]] = {}
            for character, following in self._steps(read):
                if following not in numbers:
                    numbers[following] = len(numbers)
                    pending.append(following)
                by_target.setdefault(numbers[following], []).append(character)
            edges.append(tuple((characters("".join(found)), target) for target, found in by_target.items()))
        return Machine(tuple(edges), frozenset(accepting))

    def _missing(self, read: _Read) -> int:
        """What the digits that are left must make up for, which is a number of so many digits if it can be."""
        return -read.remainder * int(10 ** (self._places - read.places)) % self._modulus

    def _steps(self, read: _Read) -> Iterator[tuple[str, _Read]]:
        if read.kind == "start":
            yield "-", _Read("sign")
        if read.kind in ("start", "sign"):
            yield "0", _Read("zero", is_minus_zero=read.kind == "sign")
            for digit in range(1, 10):
                yield str(digit), _Read("whole", digit % self._modulus)
            return
        if read.kind == "whole":
            for digit in range(10):
                yield str(digit), _Read("whole", (read.remainder * 10 + digit) % self._modulus)
        if read.kind in ("whole", "zero"):
            if self._missing(read) < 10**self._places:
                yield ".", _Read("point", read.remainder, 0, read.is_minus_zero)
        elif read.places == self._places:
            yield "0", replace(read, kind="fraction")
        else:
            for digit in range(10):
                remainder, places = (read.remainder * 10 + digit) % self._modulus, read.places + 1
                following = _Read("fraction", remainder, places, read.is_minus_zero and digit == 0)
                if self._missing(following) < 10 ** (self._places - places):
                    yield str(digit), following


def is_bearable(value: Decimal) -> bool:
    """Whether a bound is written with few enough digits."""
    digits = len(value.as_tuple().digits)
    return digits + abs(int(value.as_tuple().exponent)) <= MAX_DIGITS
