"""Sets of code points by Unicode property: `L`, `Script=Greek`, `Alphabetic`.

Python's own data knows general categories only, and those of another version of Unicode with each Python. llguidance,
which decides about texts in the end, knows all properties that matter, so it is asked.
"""

from __future__ import annotations

import re

from maze.compiled import EngineGrammar
from maze.grammar.budget import Budget
from maze.grammar.llguidance import OWN_LIMITS, GuidanceError, Matcher
from maze.grammar.pattern.code_points import Ranges
from maze.store import BoundedStore

_KEPT_BYTES = 4 * 1024 * 1024
"""Memory for properties that are kept."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ ]*(=[A-Za-z][A-Za-z0-9_ ]*)?")


_known: BoundedStore[Ranges] = BoundedStore(_KEPT_BYTES)


def code_points_of(name: str, budget: Budget) -> Ranges | None:
    """The ranges of code points with a property, sorted and both ends included; None if there is no such property.

    Takes 1 ms for a script, 0.3 s for all letters, 1.2 s for all code points that are not assigned.
    """
    if not _NAME.fullmatch(name):
        return None
    known = _known.get(name)
    if known is not None:
        return known
    try:
        matcher = Matcher.within(budget, EngineGrammar(f"start: C\nC: /\\p{{{name}}}/\n"), OWN_LIMITS)
    except GuidanceError:
        return None
    ranges: list[tuple[int, int]] = []
    pending = [(matcher, b"")]
    while pending:
        # The first byte last: code points come in their order, which is the order of their UTF-8.
        at, before = pending.pop()
        budget.spend(100)
        deeper = []
        for byte in at.next_bytes():
            encoded = before + bytes((byte,))
            if len(encoded) < _length_of(encoded[0]):
                further = at.copy()
                further.consume(bytes((byte,)))
                deeper.append((further, encoded))
                continue
            code_point = ord(encoded.decode())
            if ranges and ranges[-1][1] == code_point - 1:
                ranges[-1] = (ranges[-1][0], code_point)
            else:
                ranges.append((code_point, code_point))
        pending.extend(reversed(deeper))
    found = tuple(ranges)
    _known.put(name, found, 200 + 150 * len(found))
    return found


def _length_of(first_byte: int) -> int:
    """Bytes of a character in UTF-8."""
    return 1 if first_byte < 0x80 else 2 if first_byte < 0xE0 else 3 if first_byte < 0xF0 else 4
