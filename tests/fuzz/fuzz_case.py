"""The inputs of both fuzzers: records parted by the byte 0x1E, whose first byte is a tag. boundary.c reads the same."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from maze import ConstraintIR, OnUnenforceable, TokenMaskRules

SEPARATOR = b"\x1e"
MAX_CONSTRAINTS = 8
MAX_PATTERNS = 8


@dataclass(frozen=True)
class Case:
    """What the tags `c s g r n p a f`, `l`, `o` and `t` say. The others are wrong pointers, which Python has not."""

    constraints: tuple[ConstraintIR, ...]
    language: str | None
    on_unenforceable: OnUnenforceable
    text: bytes


def encode(constraints: Sequence[ConstraintIR], language: str | None = None, text: bytes = b"") -> bytes:
    """An input of these constraints, without faults."""
    records = []
    for constraint in constraints:
        masks = constraint.token_masks or TokenMaskRules()
        records += [
            b"c",
            *_records("s", constraint.json_schema),
            *_records("g", constraint.grammar),
            *(record for pattern in constraint.regex_patterns for record in _records("r", pattern)),
            *_records("n", constraint.name or None),
            *([b"p" + constraint.priority.to_bytes(4, "little")] if constraint.priority else []),
            *([b"a" + array("I", masks.allowed).tobytes()] if masks.allowed else []),
            *([b"f" + array("I", masks.forbidden).tobytes()] if masks.forbidden else []),
        ]
    records += _records("l", language)
    return SEPARATOR.join([*records, b"t" + text])


def _records(tag: str, text: str | None) -> list[bytes]:
    return [] if text is None else [(tag + text).encode()]


def decode(data: bytes) -> Case:
    """What an input says, with bytes that are not UTF-8 replaced: texts in Python are text already."""
    constraints: list[ConstraintIR] = []
    language, on_unenforceable, text = None, OnUnenforceable.ERROR, b""
    fields: dict[str, object] = {}
    patterns: list[str] = []
    masks: dict[str, tuple[int, ...]] = {}

    def finish() -> None:
        if fields or patterns or masks:
            rules = TokenMaskRules(masks.get("a"), masks.get("f", ())) if masks else None
            constraints.append(ConstraintIR(**fields, regex_patterns=tuple(patterns), token_masks=rules))  # type: ignore[arg-type]
        fields.clear()
        patterns.clear()
        masks.clear()

    for record in filter(None, data.split(SEPARATOR)):
        tag, payload = chr(record[0]), record[1:]
        shown = payload.decode(errors="replace")
        match tag:
            case "c":
                finish()
            case "s":
                fields["json_schema"] = shown
            case "g":
                fields["grammar"] = shown
            case "n":
                fields["name"] = shown
            case "p":
                fields["priority"] = int.from_bytes(payload[:4], "little")
            case "r" if len(patterns) < MAX_PATTERNS:
                patterns.append(shown)
            case "a" | "f":
                masks[tag] = tuple(array("I", payload[: len(payload) // 4 * 4]))
            case "l":
                language = shown
            case "o":
                on_unenforceable = OnUnenforceable.REPORT if payload[:1] == b"\x01" else OnUnenforceable.ERROR
            case "t":
                text = payload
            case _:
                pass
    finish()
    return Case(tuple(constraints[:MAX_CONSTRAINTS]), language, on_unenforceable, text)
