"""Numbers as texts: exact automata over decimals of any length.

A number is written plainly: no exponent, no leading zero, no minus before zero. What follows the point may end in zeros,
so that every set of values here is a set of texts closed under writing a value with more zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache

from maze.grammar.pattern.code_points import characters
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import EMPTY, NOTHING, Chars, Machine, Node, alt, both, cat, literal, negation, repeat

MAX_DIGITS = 400
"""Most digits of a bound, a constant or a divisor that numbers are held against while decoding."""
MAX_REMAINDERS = 1_500
"""Most remainders of a division that numbers are followed through: states of an automaton."""

NUMBER = parse_whole(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
"""Including a minus before zero, which ALL_NUMBERS leaves out."""
_DIGIT = Chars(((0x30, 0x39),))
_NOT_ZERO = Chars(((0x31, 0x39),))
_ZEROS = repeat(literal("0"), 0, None)
_DIGITS = repeat(_DIGIT, 0, None)
_FRACTION = repeat(cat(literal("."), repeat(_DIGIT, 1, None)), 0, 1)
_NO_FRACTION = repeat(cat(literal("."), repeat(literal("0"), 1, None)), 0, 1)
_WHOLE = parse_whole("0|[1-9][0-9]*")
_ZERO = cat(literal("0"), _NO_FRACTION)
_POSITIVE = both(cat(_WHOLE, _FRACTION), negation(_ZERO))

ALL_NUMBERS = alt(
    parse_whole(r"(0|[1-9][0-9]*)(\.[0-9]+)?"), parse_whole(r"-(0\.0*[1-9][0-9]*|[1-9][0-9]*(\.[0-9]+)?)")
)
INTEGERS = parse_whole("0|-?[1-9][0-9]*")
"""Without a point: every integer can be written so."""


def _digits(value: Decimal) -> tuple[str, str]:
    """The digits of a magnitude before and after the point, without zeros that say nothing."""
    whole, _, fraction = f"{abs(value):f}".partition(".")
    return whole.lstrip("0") or "0", fraction.rstrip("0")


def _digits_between(low: int, high: int) -> Node:
    return Chars(((0x30 + low, 0x30 + high),)) if low <= high else NOTHING


def _more(digits: str) -> Node:
    """Whole numbers greater than one."""
    longer = cat(_NOT_ZERO, repeat(_DIGIT, len(digits), None))
    same_length: Node = NOTHING
    for place in range(len(digits) - 1, -1, -1):
        digit = int(digits[place])
        free = repeat(_DIGIT, len(digits) - 1 - place, len(digits) - 1 - place)
        same_length = alt(cat(_digits_between(digit + 1, 9), free), cat(literal(digits[place]), same_length))
    return alt(longer, same_length)


def _fewer(digits: str) -> Node:
    """Whole numbers smaller than one."""
    if digits == "0":
        return NOTHING
    shorter = alt(literal("0"), cat(_NOT_ZERO, repeat(_DIGIT, 0, len(digits) - 2))) if len(digits) > 1 else NOTHING
    same_length: Node = NOTHING
    for place in range(len(digits) - 1, -1, -1):
        digit = int(digits[place])
        first = 1 if place == 0 and len(digits) > 1 else 0
        free = repeat(_DIGIT, len(digits) - 1 - place, len(digits) - 1 - place)
        same_length = alt(cat(_digits_between(first, digit - 1), free), cat(literal(digits[place]), same_length))
    return alt(shorter, same_length)


def _fraction_above(digits: str) -> Node:
    """Fractions, with their point, that are greater than one."""
    more = NOTHING
    tail = cat(_ZEROS, _NOT_ZERO, _DIGITS)  # what makes equal digits greater
    result = tail
    for digit in reversed(digits):
        result = alt(cat(_digits_between(int(digit) + 1, 9), _DIGITS), cat(literal(digit), result))
    return alt(more, cat(literal("."), result))


def _fraction_below(digits: str) -> Node:
    """Fractions, with their point or none at all, that are smaller than one."""
    if not digits:
        return NOTHING
    result: Node = NOTHING
    for digit in reversed(digits):
        # To end here is to be smaller, as another digit follows that is not zero.
        result = alt(EMPTY, cat(_digits_between(0, int(digit) - 1), _DIGITS), cat(literal(digit), result))
    # A point needs a digit after it.
    return both(alt(EMPTY, cat(literal("."), result)), negation(literal(".")))


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


def above(value: Decimal) -> Node:
    """The texts of the numbers greater than one."""
    if value >= 0:
        return _magnitude_above(value)
    return alt(cat(_WHOLE, _FRACTION), _negative(both(_magnitude_below(value), negation(_ZERO))))


def below(value: Decimal) -> Node:
    """The texts of the numbers smaller than one."""
    if value > 0:
        return alt(_magnitude_below(value), _negative(_POSITIVE))
    return _negative(_magnitude_above(value))


def at_least(value: Decimal) -> Node:
    return alt(above(value), equal_to(value))


def at_most(value: Decimal) -> Node:
    return alt(below(value), equal_to(value))


@cache
def multiples_of(divisor: Decimal) -> Node | None:
    """The texts of the numbers that a positive divisor divides; None if it has too many remainders."""
    _, digits, exponent = divisor.normalize().as_tuple()
    places = max(0, -int(exponent))
    modulus = int("".join(map(str, digits))) * 10 ** max(0, int(exponent))
    if modulus == 1:
        return cat(repeat(literal("-"), 0, 1), _WHOLE, _with_places(places))
    if modulus * (places + 1) > MAX_REMAINDERS:
        return None
    return _Division(modulus, places).machine()


def _with_places(places: int) -> Node:
    """Fractions with a number of digits, and zeros behind them."""
    if places == 0:
        return _NO_FRACTION
    full = cat(repeat(_DIGIT, places, places), _ZEROS)
    return repeat(cat(literal("."), alt(repeat(_DIGIT, 1, places), full)), 0, 1)


class _Division:
    """Long division as an automaton: a state is what has been read, the remainder and the digits after the point."""

    def __init__(self, modulus: int, places: int) -> None:
        self._modulus = modulus
        self._places = places
        self._numbers: dict[tuple[str, int, int], int] = {}
        self._pending: list[tuple[str, int, int]] = []

    def _state(self, kind: str, remainder: int, places: int) -> int:
        key = (kind, remainder, places)
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers)
            self._pending.append(key)
        return self._numbers[key]

    def _divides(self, kind: str, remainder: int, places: int) -> bool:
        return kind in ("whole", "zero", "fraction") and remainder * 10 ** (self._places - places) % self._modulus == 0

    def machine(self) -> Machine:
        self._state("start", 0, 0)
        edges = []
        accepting = set()
        while self._pending:
            key = self._pending.pop(0)
            if self._divides(*key):
                accepting.add(self._numbers[key])
            by_target: dict[int, list[str]] = {}
            for character, target in self._steps(*key):
                by_target.setdefault(target, []).append(character)
            edges.append(tuple((characters("".join(read)), target) for target, read in by_target.items()))
        return Machine(tuple(edges), frozenset(accepting))

    def _steps(self, kind: str, remainder: int, places: int) -> Iterator[tuple[str, int]]:
        if kind == "start":
            yield "-", self._state("sign", 0, 0)
        if kind in ("start", "sign"):
            yield "0", self._state("zero", 0, 0)
            for digit in range(1, 10):
                yield str(digit), self._state("whole", digit % self._modulus, 0)
            return
        if kind == "whole":
            for digit in range(10):
                yield str(digit), self._state("whole", (remainder * 10 + digit) % self._modulus, 0)
        if kind in ("whole", "zero"):
            yield ".", self._state("point", remainder, 0)
            return
        if places == self._places:
            yield "0", self._state("fraction", remainder, places)
            return
        for digit in range(10):
            yield str(digit), self._state("fraction", (remainder * 10 + digit) % self._modulus, places + 1)


NOT_INTEGERS_SHORT = parse_whole(r"-?(0|[1-9][0-9]*)\.[0-9]*[1-9]")
NOT_INTEGERS = parse_whole(r"-?(0|[1-9][0-9]*)\.[0-9]*[1-9][0-9]*")


SHORTEST = alt(INTEGERS, NOT_INTEGERS_SHORT)
"""Every number in one spelling."""


def is_bearable(value: Decimal) -> bool:
    """Whether a bound is written with few enough digits."""
    digits = len(value.as_tuple().digits)
    return digits + abs(int(value.as_tuple().exponent)) <= MAX_DIGITS
