"""Asks llguidance about finished grammars: whether an engine takes them, and whether any text satisfies them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import product
from string import ascii_lowercase, printable

from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

ENGINE_LIMITS = LLParserLimits(verbose_errors=False)
"""What llguidance allows itself inside an engine: 1,000,000 of fuel to set up and 200,000 for each step."""
OWN_LIMITS = LLParserLimits(initial_lexer_fuel=50_000_000, step_lexer_fuel=10_000_000, verbose_errors=False)
"""For questions of our own: at most about 1 s to set up and 0.7 s for each step."""

WALK_TOKENS = 40
"""Tokens of the walk that is_bearable() makes; what engines give up on, they mostly give up on at the first few."""


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


class _UsualVocabulary:
    """About as many tokens as a model has, over the same characters: the work for a mask grows with both."""

    def __init__(self) -> None:
        pairs = ("".join(pair) for pair in product(printable, repeat=2))
        words = (f"{space}{''.join(word)}" for space in ("", " ") for word in product(ascii_lowercase, repeat=3))
        self.tokens = [bytes([byte]) for byte in range(256)]
        self.tokens += [text.encode() for text in (*pairs, *words)]
        self.eos_token_id = len(self.tokens)
        self.tokens.append(b"<eos>")
        self.bos_token_id = None
        self.special_token_ids = [self.eos_token_id]

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


@cache
def _usual_tokenizer() -> LLTokenizer:
    return LLTokenizer(TokenizerWrapper(_UsualVocabulary()))


def is_bearable(grammar: str) -> bool:
    """Whether an engine with a vocabulary of usual size gets through a walk without running into its limits.

    Products and intersections can be small and yet too much work for each token: llguidance then ends the generation
    with "too many items" or "too many expressions constructed". The walk is the same each time. To be called on a big
    stack.
    """
    tokenizer = _usual_tokenizer()
    matcher = LLMatcher(tokenizer, grammar, log_level=0, limits=ENGINE_LIMITS)
    chance = random.Random(0)  # noqa: S311 - no secret, and the same walk each time is what is wanted
    for _ in range(WALK_TOKENS):
        if matcher.is_error() or matcher.is_stopped():
            break
        mask = int.from_bytes(matcher.compute_bitmask(), "little") & ((1 << tokenizer.eos_token) - 1)
        if not mask:
            break
        start = chance.randrange(mask.bit_length())
        following = mask >> start  # has at least its highest bit
        matcher.consume_token(start + (following & -following).bit_length() - 1)
    return not matcher.is_error()
