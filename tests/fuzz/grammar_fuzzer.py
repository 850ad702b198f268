"""Atheris target: compiles the constraints of an input, writes a text that they allow, and checks texts against them.

Only MazeError may come out, and never InternalError. What the engine can be made to write satisfies what is enforced,
and what is found to satisfy a part satisfies it by an independent checker too, where there is one for its content.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["maze"]):
    import maze.check.validation
    from maze.grammar import compile_constraints
    from maze.options import ConstraintOptions

import jsonschema
import regex
from fuzz_case import SEPARATOR, decode
from fuzz_corpus import seeds
from llguidance import LLMatcher, LLTokenizer

from maze import CompiledConstraints, ConstraintIR, ConstraintKind, Handling, MazeError, Status
from maze.grammar.llguidance import engine_text

MAX_CALL_SECS = 12
"""Of processor time, so that a busy machine is no finding. A check gives itself 10 s, and ends a step later."""
MAX_STEPS = 150
"""Longest text that is written under a grammar, in bytes."""

_TOKENIZER = LLTokenizer("byte")
_CHECKABLE_PATTERN = re.compile(
    r"(?:[A-Za-z0-9 _,:;=<>@!#%&~'\"`|^$.*+?(){}\-]|\[\^?[A-Za-z0-9_]|\]|\\[dwsDWS.*+?()])*"
)
"""What every dialect of regular expressions reads alike."""
_READ_DIFFERENTLY = ("(?", "{,", "|FLAGS:", "++", "*+", "?+", "}+", "--", "&&", "||", "~~")
_CHECKABLE_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """type properties required items enum const anyOf oneOf allOf not if then else minimum maximum minLength
        maxLength minItems maxItems minProperties maxProperties additionalProperties uniqueItems""",
    )
)
"""Those with one meaning in every draft."""


_PIECE = re.compile(rb"\w+|\s+|.", re.DOTALL)
_RECORDS = [record for seed in seeds() for record in seed.split(SEPARATOR) if record]
_PIECES = sorted({piece for record in _RECORDS for piece in _PIECE.findall(record[1:])})


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change an input by its pieces, which keeps more of its meaning than bytes do; every third time, by bytes."""
    choose = random.Random(seed)
    if choose.random() < 1 / 3:
        changed: bytes = atheris.Mutate(data, max_size)
        return changed
    records = data.split(SEPARATOR)
    at = choose.randrange(len(records))
    if choose.random() < 0.2:
        records.insert(at, choose.choice(_RECORDS))
    pieces = _PIECE.findall(records[at])
    for _ in range(choose.randint(1, 3)):
        first, second = (choose.randrange(len(pieces) + 1) for _ in range(2))
        match choose.randrange(4):
            case 0:
                pieces[first : first + 1] = [choose.choice(_PIECES)]
            case 1:
                pieces.insert(first, choose.choice(_PIECES))
            case 2:
                del pieces[first : first + choose.randint(1, 4)]
            case _:
                pieces[first:first] = pieces[second : second + choose.randint(1, 12)]
    records[at : at + 1] = [b"".join(pieces)]
    return SEPARATOR.join(records)[:max_size]


def fuzz(data: bytes) -> None:
    """One input."""
    case = decode(data)
    try:
        with _limited_time():
            options = ConstraintOptions(on_unenforceable=case.on_unenforceable)
            compiled = compile_constraints(case.constraints, case.language, options)
    except MazeError as error:
        _check_error(error)
        return
    json.loads(compiled.report_json)
    _check_text(case.text, compiled, case.constraints)
    if compiled.grammar is not None:
        written = _write(engine_text(compiled.grammar), random.Random(case.text))
        if written is not None:
            _check_text(written, compiled, case.constraints, must_satisfy_enforced=True)


@contextmanager
def _limited_time() -> Iterator[None]:
    started = time.process_time()
    try:
        yield
    finally:
        assert time.process_time() - started < MAX_CALL_SECS


def _check_error(error: MazeError) -> None:
    if error.status is Status.INTERNAL_ERROR or not str(error).strip():
        raise error


def _check_text(
    text: bytes,
    compiled: CompiledConstraints,
    constraints: tuple[ConstraintIR, ...],
    *,
    must_satisfy_enforced: bool = False,
) -> None:
    try:
        with _limited_time():
            validation = maze.check.validation.validate(text, compiled)
    except MazeError as error:
        _check_error(error)
        return
    assert len(validation.outcomes) == len(compiled.parts)
    for outcome in validation.outcomes:
        if outcome.satisfied is False:
            assert outcome.offset is not None
            assert 0 <= outcome.offset <= len(text), outcome
            if must_satisfy_enforced:
                assert outcome.handling is not Handling.ENFORCED, (text, outcome)
        elif outcome.satisfied:
            _check_independently(text, outcome.kind, outcome.path, constraints)


def _check_independently(text: bytes, kind: ConstraintKind, path: str, constraints: tuple[ConstraintIR, ...]) -> None:
    constraint = constraints[int(path.removeprefix("constraints[").partition("]")[0])]
    try:
        shown = text.decode()
    except UnicodeDecodeError:
        return
    if kind is ConstraintKind.REGEX:
        pattern = constraint.regex_patterns[int(path.rpartition("[")[2].rstrip("]"))]
        if _is_checkable_pattern(pattern) and "\n" not in shown and not _names_identifiers(constraint):
            try:
                assert regex.search(pattern, shown, regex.ASCII, timeout=2), (pattern, shown)
            except (TimeoutError, regex.error):
                return
    elif kind is ConstraintKind.JSON_SCHEMA and constraint.json_schema is not None:
        value = json.loads(shown)
        schema = json.loads(constraint.json_schema)
        if _is_checkable_schema(schema):
            assert jsonschema.Draft202012Validator(schema).is_valid(value), (schema, value)


def _is_checkable_pattern(pattern: str) -> bool:
    return _CHECKABLE_PATTERN.fullmatch(pattern) is not None and not any(odd in pattern for odd in _READ_DIFFERENTLY)


def _names_identifiers(constraint: ConstraintIR) -> bool:
    """Beside a grammar, a pattern can be about its identifiers."""
    return constraint.grammar is not None


def _is_checkable_schema(schema: object) -> bool:
    """A plain schema of keywords with one meaning in every draft."""
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, dict) or not schema.keys() <= _CHECKABLE_KEYWORDS:
        return False
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError:
        return False
    below = [schema[key] for key in ("items", "not", "additionalProperties", "if", "then", "else") if key in schema]
    below += [item for key in ("anyOf", "oneOf", "allOf") for item in schema.get(key, ())]
    return all(map(_is_checkable_schema, [*below, *schema.get("properties", {}).values()]))


def _write(grammar: str, choose: random.Random) -> bytes | None:
    """A complete text that an engine could write under `grammar`, or None if chance did not lead to one."""
    matcher = LLMatcher(_TOKENIZER, grammar, log_level=0)
    text = bytearray()
    for _ in range(MAX_STEPS):
        if matcher.is_error() or matcher.is_stopped():
            break
        if matcher.is_accepting() and choose.random() < 0.2:
            break
        mask = matcher.compute_bitmask()
        allowed = [byte for byte in range(256) if mask[byte >> 3] >> (byte & 7) & 1]
        if not allowed:
            assert matcher.is_error() or matcher.is_accepting(), ("dead end", grammar, bytes(text))
            break
        byte = choose.choice(allowed)
        if not matcher.try_consume_tokens([byte]):
            assert matcher.is_error(), ("a byte of the mask is refused", grammar, bytes(text), byte)
            break
        text.append(byte)
    return bytes(text) if not matcher.is_error() and matcher.is_accepting() else None


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz, custom_mutator=mutate)
    atheris.Fuzz()
