"""What a compilation says of itself: its digest, its report, and labels in its errors."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from maze.compiled import ConstraintPart, EngineGrammar, TokenMask
from maze.grammar.compose.contradictions import MAX_NAMED_IN_CONFLICT
from maze.grammar.llguidance import engine_text
from maze.native_json import dumps
from maze.types import ConstraintIR

MAX_LABEL_CHARACTERS = 80
"""Most characters of a label that an error shows."""

_REPORTED_FIELDS = ("path", "name", "kind", "priority", "handling", "reason")


def with_labels(message: str, constraints: Sequence[ConstraintIR]) -> str:
    """The message with the labels of the constraints in it; they are no substitute for places, as two may be equal."""
    indices = dict.fromkeys(map(int, re.findall(r"\bconstraints\[(\d{1,9})\]", message)))
    labels = [
        f"constraints[{index}] is named '{constraints[index].name[:MAX_LABEL_CHARACTERS]}'"
        for index in indices
        if index < len(constraints) and constraints[index].name
    ]
    if not labels:
        return message
    return f"{message}{chr(10) if chr(10) in message else ' '}({', '.join(labels[:MAX_NAMED_IN_CONFLICT])})"


def _mask_object(mask: TokenMask | None) -> dict[str, list[int] | None] | None:
    if mask is None:
        return None
    return {
        "allowed": None if mask.allowed is None else sorted(mask.allowed),
        "forbidden": sorted(mask.forbidden),
    }


def digest_of(grammar: EngineGrammar | None, mask: TokenMask | None) -> str:
    """`sha256:<hex>`, the same for equal constraints."""
    text = None if grammar is None else engine_text(grammar)
    return "sha256:" + hashlib.sha256(dumps([text, _mask_object(mask)])).hexdigest()


def report_of(mask: TokenMask | None, parts: Iterable[ConstraintPart], warnings: tuple[str, ...], digest: str) -> bytes:
    """CompiledConstraints.report_json."""
    return dumps(
        {
            "status": "MAZE_OK",
            "success": True,
            "error": None,
            "token_mask": _mask_object(mask),
            "constraints": [{field: getattr(part, field) for field in _REPORTED_FIELDS} for part in parts],
            "warnings": warnings,
            "digest": digest,
        }
    )
