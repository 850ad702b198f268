"""Which `%forbid` and `%allow` a program of a whole language breaks, where it would be right without them."""

from __future__ import annotations

import re
from collections.abc import Callable

from maze.check.grammar_check import grammar_violation
from maze.compiled import EngineGrammar
from maze.errors import ContradictionError
from maze.grammar.budget import Budget
from maze.grammar.read.grammar_text import lower_grammar

_RESTRICTION = re.compile(r"^[ \t]*(%(?:forbid|allow)\b(?:[^\\\n]|\\(?!\n))*)$", re.MULTILINE)
_MOST = 8
"""Most that are tried one by one."""
_SHOWN = 60
"""Most characters of one that are shown."""


def broken_restrictions(
    text: bytes, offset: int, grammar: str, budget: Budget, in_time: Callable[[str], None]
) -> list[str]:
    """Those that a text breaks at its byte `offset`, as they are written; none where it is wrong without them as well.

    Raises as Budget.spend(), `in_time` and grammar_violation() do.
    """
    found = list(dict.fromkeys(_RESTRICTION.findall(grammar)))

    def is_broken_by(kept: list[str]) -> bool:
        left = _RESTRICTION.sub(lambda each: each[0] if each[1] in kept else "", grammar)
        try:
            written = lower_grammar(left, None, "the grammar", budget).written
        except ContradictionError:
            return True
        violation = (
            None if written is None else grammar_violation(text, EngineGrammar(written.rules), "the grammar", in_time)
        )
        return violation is not None and violation.offset <= offset

    if not found or is_broken_by([]):
        return []
    alone = [each for each in found if is_broken_by([each])] if 1 < len(found) <= _MOST else []
    return [each if len(each) <= _SHOWN else f"{each[:_SHOWN]}..." for each in map(str.strip, alone or found)]
