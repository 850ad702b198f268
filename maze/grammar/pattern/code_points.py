"""Sets of code points: the characters of a regular expression."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import lru_cache
from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Sorted, disjoint, not adjacent, both ends included; never a surrogate."""

LAST_CODE_POINT = 0x10FFFF
ANY: Ranges = ((0, 0xD7FF), (0xE000, LAST_CODE_POINT))
"""All characters: every code point but the surrogates, which are none."""


def union(*sets: Ranges) -> Ranges:
    """Every code point of one of the sets."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(item for ranges in sets for item in ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def intersection(left: Ranges, right: Ranges) -> Ranges:
    """Every code point of both sets."""
    both: list[tuple[int, int]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        low, high = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if low <= high:
            both.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(both)


def complement(ranges: Ranges) -> Ranges:
    """Every character that is not in the set."""
    gaps: list[tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= LAST_CODE_POINT:
        gaps.append((start, LAST_CODE_POINT))
    return intersection(tuple(gaps), ANY)


def single(code_point: int) -> Ranges:
    """The set of one character."""
    return ((code_point, code_point),)


def is_single(ranges: Ranges) -> bool:
    """Whether the set is of one character."""
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


def contains(ranges: Ranges, code_point: int) -> bool:
    """Whether the set has the code point."""
    return any(low <= code_point <= high for low, high in ranges)


def characters(text: str) -> Ranges:
    """The set of the characters of a text."""
    return union(*(single(ord(character)) for character in set(text)))


DIGIT: Ranges = ((0x30, 0x39),)
WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Ranges = ((0x09, 0x0D), (0x20, 0x20))
LINE_FEED: Ranges = ((0x0A, 0x0A),)
NOT_LINE_FEED = complement(LINE_FEED)
LINE_TERMINATORS = characters("\n\r\u2028\u2029")
"""Those of ECMAScript, which `.` is not."""
HORIZONTAL_SPACE = union(characters("\t \u00a0\u1680\u180e\u202f\u205f\u3000"), ((0x2000, 0x200A),))
"""`\\h` of PCRE, Perl and Java."""

POSIX_CLASSES: dict[str, Ranges] = {
    "alnum": ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)),
    "alpha": ((0x41, 0x5A), (0x61, 0x7A)),
    "ascii": ((0x00, 0x7F),),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0x00, 0x1F), (0x7F, 0x7F)),
    "digit": DIGIT,
    "graph": ((0x21, 0x7E),),
    "lower": ((0x61, 0x7A),),
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": SPACE,
    "upper": ((0x41, 0x5A),),
    "word": WORD,
    "xdigit": ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)),
}
"""What `[:name:]` stands for."""

_LAST_CASED = 0x1F000
"""No code point from here on has another case (Unicode 16)."""


def _canonical(code_point: int) -> int:
    """ECMAScript's Canonicalize: the form that letters are compared in when case is ignored."""
    upper = chr(code_point).upper()
    if len(upper) != 1 or (code_point >= 0x80 and ord(upper) < 0x80):
        return code_point
    return ord(upper)


@lru_cache(maxsize=1)
def _case_variants() -> tuple[list[int], list[tuple[int, ...]]]:
    """The letters with another case in their order, and for each all that are the same where case is ignored."""
    variants: dict[int, list[int]] = {}
    for code_point in range(_LAST_CASED):
        if not 0xD800 <= code_point <= 0xDFFF:
            variants.setdefault(_canonical(code_point), []).append(code_point)
    cased = {member: tuple(members) for members in variants.values() if len(members) > 1 for member in members}
    letters = sorted(cased)
    return letters, [cased[letter] for letter in letters]


@lru_cache(maxsize=256)
def ignoring_case(ranges: Ranges) -> Ranges:
    """The set with the other case of each of its letters."""
    ascii_letters = [
        ((low ^ 0x20, high ^ 0x20),)
        for letters in (((0x41, 0x5A),), ((0x61, 0x7A),))
        for low, high in intersection(ranges, letters)
    ]
    folded = union(ranges, *ascii_letters)
    if ranges and ranges[-1][1] >= 0x80:
        letters, variants = _case_variants()
        others = [
            single(member)
            for low, high in ranges
            for members in variants[bisect_left(letters, low) : bisect_right(letters, high)]
            for member in members
        ]
        folded = union(folded, *others)
    return folded
