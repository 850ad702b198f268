"""Asks llguidance about finished grammars: whether an engine takes them, and whether any text satisfies them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

ENGINE_LIMITS = LLParserLimits(verbose_errors=False)
"""What llguidance allows itself inside an engine: 1,000,000 of fuel to set up and 200,000 for each step."""
OWN_LIMITS = LLParserLimits(initial_lexer_fuel=50_000_000, step_lexer_fuel=10_000_000, verbose_errors=False)
"""For questions of our own: at most about 1 s to set up and 0.7 s for each step."""


class Verdict(Enum):
    """What became of a grammar."""

    USABLE = "usable"
    """Some text begins to satisfy it."""
    EMPTY = "empty"
    """No text satisfies it."""
    TOO_HARD = "too hard"
    """llguidance ran out of the work it allows itself."""
    INVALID = "invalid"
    """llguidance cannot read it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What probing a grammar found."""

    verdict: Verdict
    message: str = ""
    """llguidance's own words, on one line."""


@cache
def _byte_tokenizer() -> LLTokenizer:
    return LLTokenizer("byte")


def probe(grammar: str, limits: LLParserLimits = ENGINE_LIMITS) -> Finding:
    """Put `grammar` through its first step. To be called on a big stack."""
    problem = LLMatcher.validate_grammar(grammar, limits=limits)
    if problem:
        return _finding(problem, Verdict.INVALID)
    matcher = LLMatcher(_byte_tokenizer(), grammar, log_level=0, limits=limits)
    if not matcher.is_error():
        matcher.compute_bitmask()
    if matcher.is_error():
        # An empty terminal is not seen when the matcher is made, only in its first mask ("NoExtensionBias").
        return _finding(matcher.get_error(), Verdict.EMPTY)
    return Finding(Verdict.USABLE)


def _finding(problem: str, otherwise: Verdict) -> Finding:
    message = " ".join(line.strip() for line in problem.replace("<non-verbose/>", "").splitlines()).strip()
    lowered = problem.lower()
    if "fuel" in lowered or "too many" in lowered or "too large" in lowered or "too big" in lowered:
        return Finding(Verdict.TOO_HARD, message)
    return Finding(otherwise, message)
