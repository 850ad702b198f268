"""llguidance, for the rest of libmaze: whether engines take a grammar, and which texts satisfy it.

No other module imports it. Its errors are read here and nowhere else.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from itertools import product
from string import ascii_letters, ascii_lowercase, digits, printable

from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper, get_version

from maze.compiled import EngineGrammar
from maze.errors import ContradictionError, LimitExceededError, MazeError
from maze.grammar.budget import Budget
from maze.memory import memory_for

_log = logging.getLogger(__name__)

VERSION = get_version()
"""Of llguidance."""
ENGINE_LIMITS = LLParserLimits(verbose_errors=False)
"""What llguidance allows itself inside an engine: 1,000,000 of fuel to set up and 200,000 for each step."""
CAREFUL_LIMITS = LLParserLimits(initial_lexer_fuel=250_000, step_lexer_fuel=50_000, verbose_errors=False)
"""For intersections: with 1,000,000 to set up, one step of them, which no fuel interrupts, takes 17 s for 12 languages.
A step with the vocabulary of a real model took up to 3.3 times what it takes with that of is_bearable()."""
OWN_LIMITS = LLParserLimits(
    initial_lexer_fuel=50_000_000, step_lexer_fuel=10_000_000, max_items_in_row=20_000, verbose_errors=False
)
"""For questions of our own: at most about 1 s to set up and 0.7 s for each step."""

OPTIONS = ("allow_initial_skip", "allow_invalid_utf8", "no_forcing")
"""Options of a grammar that every engine obeys; llguidance 1.0.1 does not know the first, and then allows less."""

_WALK_STEPS = 100
"""What a token of a walk usually takes."""
MATCHER_FACTOR = 512
"""Bytes that a matcher takes for each byte of its rules; chains of rules take 464."""
LEXER_BYTES = 224 * 1024 * 1024
"""What reading can take until llguidance ends it with "too many expressions constructed"; 206 MiB were seen."""

WALK_TOKENS = 40
"""Tokens of the walk that is_bearable() makes; what engines give up on, they mostly give up on at the first few."""


def engine_text(grammar: EngineGrammar, *, forced_tokens: bool = True) -> str:
    """The grammar as engines read it: Lark text that begins with `%llguidance`.

    Without `forced_tokens` the model chooses every token, also where the grammar leaves one text only.
    """
    if forced_tokens and not grammar.options:
        return f"%llguidance {{}}\n{grammar.rules}"  # a call with cached constraints takes 8 us
    switched_on = sorted({*grammar.options, *(() if forced_tokens else ("no_forcing",))})
    options = ",".join(f'"{option}":true' for option in switched_on)
    return f"%llguidance {{{options}}}\n{grammar.rules}"


# ------------------------------------------------------------------------------------------------ errors


class Outcome(Enum):
    """What an error of llguidance means."""

    EMPTY = "no text satisfies the grammar"
    TOO_HARD = "llguidance ran out of the work it allows itself"
    REFUSED = "llguidance does not take the grammar"
    FAILED = "llguidance broke down, which says nothing about the grammar"


class GuidanceError(Exception):
    """llguidance gave up."""

    def __init__(self, outcome: Outcome, message: str, place: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message
        """Its own words, the first line of them."""
        self.place = place
        """Line and column in the text for engines, from 1."""

    def for_caller(self, what: str, refused: type[MazeError]) -> MazeError:
        """The error for the constraints that are called `what`; of type `refused` if llguidance does not take them.

        Its own words are about rules that nobody but this package has written, so that only a log shows them.
        """
        _log.debug("llguidance about %s: %s", what, self.message)
        match self.outcome:
            case Outcome.EMPTY:
                return ContradictionError(f"{what}: no text satisfies this; change or drop what excludes the rest")
            case Outcome.TOO_HARD:
                return LimitExceededError(f"{what} makes too large a grammar for an engine; make it simpler")
            case Outcome.FAILED:
                return LimitExceededError(
                    f"{what}: this could not be decided, as llguidance broke down on it; write it differently"
                )
            case Outcome.REFUSED:
                return refused(f"{what} cannot be enforced, as llguidance does not take it; write it differently")


_NO_TOKEN = "NoExtensionBias"  # noqa: S105 - what llguidance calls a mask without any token
_PLACE = re.compile(r"(?:at )?(\d+)\((\d+)\): ")
_IN_SCHEMA = "failed to compile JSON schema: "
_UNSATISFIABLE = "Unsatisfiable schema: "
_BREAKDOWNS = ("panic: ", "Internal error", "internal error")
_TOO_HARD = re.compile(
    r"initial lexer configuration \(grammar\) too big|grammar size \(number of symbols\) too big|schema too large"
    r"|lark grammar too deeply nested"
    r"|fuel exhausted|lexer precomputation failed|lexer error: |parser error: |Parser Error: Current row has "
)


def _error_of(problem: str) -> GuidanceError:
    """What llguidance 1.9 says. The rest of a message can be a caller's text, so only beginnings are looked at."""
    place = _PLACE.match(problem)
    message = problem[place.end() if place else 0 :].split("\n", 1)[0].removeprefix(_IN_SCHEMA).strip()
    if message == _NO_TOKEN or message.startswith(_UNSATISFIABLE):
        outcome = Outcome.EMPTY
    elif message.startswith(_BREAKDOWNS):
        outcome = Outcome.FAILED
    elif _TOO_HARD.match(message):
        outcome = Outcome.TOO_HARD
    else:
        outcome = Outcome.REFUSED
    return GuidanceError(outcome, message, (int(place[1]), int(place[2])) if place else None)


@contextmanager
def _panics_caught() -> Iterator[None]:
    """A panic that llguidance does not catch itself comes as a BaseException, of a class that cannot be imported."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise GuidanceError(Outcome.FAILED, f"panic: {error}".split("\n", 1)[0]) from None


# ------------------------------------------------------------------------------------------------ reading texts


@cache
def _byte_tokenizer() -> LLTokenizer:
    return LLTokenizer("byte")


class Matcher:
    """Reads a text against a grammar, byte by byte. A GuidanceError of it says nothing about the text."""

    __slots__ = ("_matcher",)

    def __init__(self, grammar: EngineGrammar, limits: LLParserLimits = OWN_LIMITS) -> None:
        """To be called on a big stack. Raises GuidanceError."""
        with memory_for(MATCHER_FACTOR * len(grammar.rules)), _panics_caught():
            self._matcher = LLMatcher(_byte_tokenizer(), engine_text(grammar), log_level=0, limits=limits)
        self._raise_if_broken()

    @classmethod
    def within(cls, budget: Budget, grammar: EngineGrammar, limits: LLParserLimits) -> Matcher:
        """One that is made while compiling. To be called on a big stack. Raises GuidanceError."""
        with budget.native(_steps_of(grammar)):
            return cls(grammar, limits)

    def copy(self) -> Matcher:
        """Another at the same place. Copies share a lexer: when it breaks down for one, it does for all."""
        copied = Matcher.__new__(Matcher)
        with _panics_caught():
            copied._matcher = self._matcher.deep_copy()
        return copied

    def accepts(self, text: bytes) -> bool:
        """Whether all of `text` can follow here, and be the end. False also where llguidance broke down."""
        end = _byte_tokenizer().eos_token
        with memory_for(LEXER_BYTES):
            return bool(self._matcher.validate_tokens([*text, end]) == len(text) + 1)

    def consume(self, text: bytes) -> int:
        """Read as much of `text` as can follow. If that is not all, next_bytes() tells whether it is a verdict."""
        with memory_for(LEXER_BYTES):
            return int(self._matcher.try_consume_tokens(list(text)))

    def take_back(self, count: int) -> None:
        """Be where the matcher was before the last `count` bytes; a copy of a long text would cost its length."""
        if count:
            self._matcher.rollback(count)
            self._raise_if_broken()

    def can_end(self) -> bool:
        """Whether the text may end here."""
        accepting = bool(self._matcher.is_accepting())
        self._raise_if_broken()
        return accepting

    def next_bytes(self) -> list[int]:
        """The bytes that can follow here; none where the text must end. Raises GuidanceError also where none can."""
        self._raise_if_broken()
        with memory_for(LEXER_BYTES):
            mask = self._matcher.compute_bitmask()
        self._raise_if_broken()
        return [byte for byte in range(256) if mask[byte >> 3] >> (byte & 7) & 1]

    def _raise_if_broken(self) -> None:
        if self._matcher.is_error():
            raise _error_of(self._matcher.get_error())


def _steps_of(grammar: EngineGrammar) -> int:
    """What llguidance usually takes to read a grammar: 400 KB of rules take it 0.2 s."""
    return 300 + len(grammar.rules) // 2


def check_grammar(grammar: EngineGrammar, budget: Budget, limits: LLParserLimits = ENGINE_LIMITS) -> None:
    """Raise GuidanceError if llguidance does not take the grammar or no text begins to satisfy it.

    An empty terminal shows only in the first mask. To be called on a big stack.
    """
    with budget.native(_steps_of(grammar)):
        Matcher(grammar, limits).next_bytes()


# ------------------------------------------------------------------------------------------------ work of an engine


_LONG_TOKENS = 1_000


def _long_tokens() -> Iterator[str]:
    """The same ones each time."""
    chance = random.Random(0)  # noqa: S311 - no secret
    for number in range(_LONG_TOKENS):
        match number % 6:
            case 0 | 1:
                letters, most = ascii_lowercase, 14
            case 2:
                letters, most = ascii_letters, 14
            case 3:
                letters, most = ascii_letters + digits + "_./(", 14
            case 4:
                letters, most = printable, 8
            case _:
                letters, most = "\xe9\xfc\xf1\u0416\u03b1\u4e2d\u6587\U0001f600", 5
        text = "".join(chance.choices(letters, k=chance.randint(3, most)))
        yield f" {text}" if number % 2 else text


class _UsualVocabulary:
    """About as many tokens as a model has, over the same characters: the work for a mask grows with both.

    So it does with the ways through a text that long tokens take, and those of a model are words, names and numbers.
    """

    def __init__(self) -> None:
        pairs = ("".join(pair) for pair in product(printable, repeat=2))
        words = (f"{space}{''.join(word)}" for space in ("", " ") for word in product(ascii_lowercase, repeat=3))
        self.tokens = [bytes([byte]) for byte in range(256)]
        self.tokens += [text.encode() for text in (*pairs, *words, *_long_tokens())]
        self.eos_token_id = len(self.tokens)
        self.tokens.append(b"<eos>")
        self.bos_token_id = None
        self.special_token_ids = [self.eos_token_id]

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


@cache
def _usual_tokenizer() -> LLTokenizer:
    return LLTokenizer(TokenizerWrapper(_UsualVocabulary()))


def is_bearable(
    grammar: EngineGrammar, budget: Budget, limits: LLParserLimits = ENGINE_LIMITS, tokens: int = WALK_TOKENS
) -> bool:
    """Whether an engine with a vocabulary of usual size gets through a walk without running into its limits.

    Products and intersections can be small and yet too much work for each token: llguidance then ends the generation
    with "too many items" or "too many expressions constructed". The walk is the same each time. To be called on a big
    stack.
    """
    with memory_for(LEXER_BYTES + MATCHER_FACTOR * len(grammar.rules)):
        tokenizer = _usual_tokenizer()
        with budget.native(_steps_of(grammar)):
            matcher = LLMatcher(tokenizer, engine_text(grammar), log_level=0, limits=limits)
        chance = random.Random(0)  # noqa: S311 - no secret, and the same walk each time is what is wanted
        for _ in range(tokens):
            if matcher.is_error() or matcher.is_stopped() or not _walk_on(matcher, tokenizer, chance, budget):
                break
        return not matcher.is_error()


def _walk_on(matcher: LLMatcher, tokenizer: LLTokenizer, chance: random.Random, budget: Budget) -> bool:
    """Take a token that may come next; whether there is one."""
    with budget.native(_WALK_STEPS):
        mask = int.from_bytes(matcher.compute_bitmask(), "little") & ((1 << tokenizer.eos_token) - 1)
        if not mask:
            return False
        start = chance.randrange(mask.bit_length())
        following = mask >> start  # has at least its highest bit
        matcher.consume_token(start + (following & -following).bit_length() - 1)
        return True
