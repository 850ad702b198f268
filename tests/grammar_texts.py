"""What tests of compiled grammars share: asking llguidance about a text, and walking at random through a grammar."""

from __future__ import annotations

import random
from pathlib import Path

from llguidance import LLMatcher, LLTokenizer

from maze.compiled import EngineGrammar
from maze.grammar.languages import NAMES, find_language
from maze.grammar.llguidance import OWN_LIMITS, engine_text
from maze.threads import run_with_big_stack
from maze.types import ConstraintIR

LANGUAGES = {name: language for name in NAMES if (language := find_language(name)) is not None}
JSON_GBNF = (Path(__file__).parent / "data" / "grammars" / "json.gbnf").read_text()
"""The grammar that llama.cpp comes with."""
_TOKENIZER = LLTokenizer("byte")


def _matcher(grammar: EngineGrammar | str) -> LLMatcher:
    text = grammar if isinstance(grammar, str) else engine_text(grammar)
    matcher = run_with_big_stack(lambda: LLMatcher(_TOKENIZER, text, log_level=0, limits=OWN_LIMITS))
    assert not matcher.is_error(), matcher.get_error()
    return matcher


def slow_to_compile(patterns: int = 80) -> list[ConstraintIR]:
    """Constraints that take seconds."""
    texts = (rf"(a?b?c?){{30}}x{number}\b(d?e?f?){{30}}\b" for number in range(patterns))
    return [ConstraintIR(regex_patterns=tuple(texts))]


def accepts(grammar: EngineGrammar | str, text: str) -> bool:
    """Whether `text` as a whole satisfies the grammar."""
    matcher = _matcher(grammar)
    data = text.encode()
    complete = matcher.try_consume_tokens(list(data)) == len(data) and matcher.is_accepting()
    matcher.compute_bitmask()  # A matcher that ran out of fuel shows it only here.
    assert not (matcher.is_error() and "fuel" in matcher.get_error()), matcher.get_error()
    return complete


def random_text(grammar: EngineGrammar | str, chance: random.Random, most_bytes: int) -> str | None:
    """A text that the grammar produces, by a random walk; None if the walk did not end within `most_bytes`."""
    matcher = _matcher(grammar)
    text = bytearray()
    while not matcher.is_stopped():
        mask = matcher.compute_bitmask()
        assert not matcher.is_error(), (matcher.get_error(), bytes(text))
        taken = [byte for byte in range(256) if mask[byte >> 3] >> (byte & 7) & 1]
        if matcher.is_accepting() and (not taken or chance.random() < 0.2):
            break
        assert taken, bytes(text)
        if len(text) == most_bytes:
            return None
        plain = [byte for byte in taken if 0x20 <= byte < 0x7F] or taken
        byte = chance.choice(plain if chance.random() < 0.9 else taken)
        assert matcher.consume_token(byte)
        text.append(byte)
    return text.decode()
