"""Texts for tests of schemas: random walks through a compiled grammar, and mutations of what they find."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from decimal import Decimal, DecimalException

from llguidance import LLMatcher, LLTokenizer

from maze.check.validation import validate
from maze.compiled import CompiledConstraints, ConstraintPart
from maze.errors import LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.llguidance import engine_text
from maze.grammar.schema.lower import CombinedSchemas, LoweredSchema
from maze.json_text import JsonValue, is_double
from maze.outcome import ConstraintKind, Handling
from maze.threads import run_with_big_stack

_TOKENIZER = LLTokenizer("byte")


def constraints_of(lowered: LoweredSchema) -> CompiledConstraints:
    """One part that is checked against the schema."""
    part = ConstraintPart(
        path="constraints[0].json_schema",
        name="",
        kind=ConstraintKind.JSON_SCHEMA,
        priority=0,
        handling=Handling.ENFORCED,
        check_schema=lowered.check_schema,
    )
    return CompiledConstraints(grammar=None, token_mask=None, parts=(part,))


def grammar_text(lowered: LoweredSchema | CombinedSchemas) -> str:
    """The grammar of a schema as engines read it."""
    assert lowered.cfg is not None
    return engine_text(cfg_to_lark(lowered.cfg, Budget()))


def checked_by_us(text: str, lowered: LoweredSchema) -> bool:
    return validate(text.encode(errors="surrogatepass"), constraints_of(lowered)).all_satisfied


def random_text(lowered: LoweredSchema, chance: random.Random, most_bytes: int) -> str | None:
    """A text that the grammar of a schema produces.

    None if the walk did not end within a few times `most_bytes`, or the grammar is too large for engines, which get
    one of types only then.
    """
    try:
        matcher = run_with_big_stack(lambda: LLMatcher(_TOKENIZER, grammar_text(lowered), log_level=0))
    except LimitExceededError:
        return None
    assert not matcher.is_error(), matcher.get_error()
    text = bytearray()
    while not matcher.is_stopped():
        mask = matcher.compute_bitmask()
        taken = [byte for byte in range(256) if mask[byte >> 3] >> (byte & 7) & 1]
        if not taken or (matcher.is_accepting() and chance.random() < 0.2):
            break
        # Quotes and brackets that close end strings, objects and arrays: without a push a walk never comes home.
        closing = [byte for byte in taken if byte in b'"]}']
        wish = 0.3 + len(text) / most_bytes
        plain = [byte for byte in taken if 0x20 <= byte < 0x7F and byte not in b"\\"] or taken
        byte = chance.choice(
            closing if closing and chance.random() < wish else plain if chance.random() < 0.8 else taken
        )
        assert matcher.consume_token(byte)
        text.append(byte)
        if len(text) > 5 * most_bytes:
            return None
    if not matcher.is_accepting():
        # A grammar whose texts cannot be finished from here would be a trap for a model.
        assert not matcher.is_error(), (matcher.get_error(), bytes(text))
        return None
    return text.decode()


def independent_value(text: str) -> JsonValue:
    """What Python makes of a JSON text; ValueError if it is none, OverflowError if no float stands for a number."""

    def number(digits: str) -> float:
        try:
            exact = Decimal(digits)
            if exact == exact.to_integral_value() and exact.adjusted() < 400:
                return int(exact)  # as a float 1e30 is no multiple of 5
        except DecimalException:  # its exponent is beyond what decimal counts with
            raise OverflowError(digits) from None
        if not is_double(exact):
            raise OverflowError(digits)
        return float(digits)

    return json.loads(text, parse_float=number)


def mutations(text: str, chance: random.Random, number: int) -> Iterator[str]:
    """Texts near `text`: most of them JSON still, many of them breaking the schema."""
    values = ("null", "true", "0", "-1", "1.5", '""', '"x"', "[]", "{}", "1e3", '{"x":1}', "[null]")
    for _ in range(number):
        place = chance.randrange(len(text) + 1)
        end = min(len(text), place + chance.randrange(1, 8))
        kind = chance.randrange(4)
        if kind == 0:
            yield text[:place] + text[end:]
        elif kind == 1:
            yield text[:place] + chance.choice(values) + text[end:]
        elif kind == 2:
            yield text.replace(chance.choice(text), chance.choice('0"x[]{},:'), 1)
        else:
            yield chance.choice(values)
