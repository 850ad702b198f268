"""What constraints demand, in a few lines for the model: one that knows the form fills it with better content.

A line each, the one that tells most first, as a model with a small context is told the first ones alone. Grammars are
not written out, as models read no grammars.
"""

from __future__ import annotations

from collections.abc import Sequence

from maze.compiled import ConstraintPart
from maze.grammar.compose.reading import MAX_SHOWN_PATTERN
from maze.native_json import dumps, loads
from maze.outcome import ConstraintKind, Handling
from maze.types import ConstraintIR

MAX_TOLD_SCHEMA_CHARACTERS = 1_500
"""Longest schema, written compactly, that a model is told; longer ones find no room among its tokens."""
MAX_READ_SCHEMA_CHARACTERS = 20_000
"""Longest that is looked at for that: the rest of it may be descriptions and white space."""
MAX_TOLD_PATTERNS = 8
"""Most patterns that a model is told."""

_TOLD_CONSTRUCTS = (Handling.TOLD, Handling.CHECKED)
_UNTOLD = frozenset({"$schema", "$id", "$comment", "title", "examples", "default"})
"""Keywords that say nothing of the form."""
_VALUES = frozenset({"enum", "const"})
_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


def demands_of(
    constraints: Sequence[ConstraintIR], parts: Sequence[ConstraintPart], language: str | None
) -> tuple[str, ...]:
    """The lines for the parts of some constraints that are enforced or checked."""
    schemas = {f"constraints[{index}].json_schema": each.json_schema for index, each in enumerate(constraints)}
    lines: dict[ConstraintKind | str, dict[str, None]] = {}
    wanted = dict.fromkeys(part.construct for part in parts if part.construct and part.handling in _TOLD_CONSTRUCTS)
    for part in parts:
        if part.construct or part.handling not in (Handling.ENFORCED, Handling.CHECKED):
            continue
        match part.kind:
            case ConstraintKind.JSON_SCHEMA:
                told = _compact(schemas[part.path] or "")
                line = f"Answer with JSON alone, of this JSON Schema: {told}" if told else "Answer with JSON alone."
                lines.setdefault(part.kind, {})[line] = None
            case ConstraintKind.GRAMMAR if language:
                line = f"Answer with {language} alone, without explanations or Markdown."
                lines.setdefault(part.kind, {})[line] = None
            case ConstraintKind.REGEX if len(part.pattern) <= MAX_SHOWN_PATTERN and part.pattern.isprintable():
                what = "The answer" if part.names_in is None else "Each name in it"
                line = f"{what} must match the regular expression {part.pattern}"
                of_patterns = lines.setdefault(part.kind, {})
                if len(of_patterns) < MAX_TOLD_PATTERNS:
                    of_patterns[line] = None
    order = (ConstraintKind.JSON_SCHEMA, ConstraintKind.GRAMMAR, ConstraintKind.REGEX)
    if wanted:
        lines.setdefault(ConstraintKind.GRAMMAR, {})[f"The code has {', '.join(wanted)} in it."] = None
    return tuple(line for kind in order for line in lines.get(kind, ()))


def _compact(schema: str) -> str:
    """The schema without what does not tell the form; empty where it is too long to be told."""
    if len(schema) > MAX_READ_SCHEMA_CHARACTERS:
        return ""
    try:
        text = dumps(_told(loads(schema.encode()))).decode()
    except (ValueError, TypeError):  # numbers and nesting that orjson does not take
        return ""
    return text if len(text) <= MAX_TOLD_SCHEMA_CHARACTERS else ""


def _told(schema: object) -> object:
    if isinstance(schema, list):
        return [_told(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told: dict[str, object] = {}
    for name, value in schema.items():
        if name in _NAMED_SCHEMAS and isinstance(value, dict):
            told[name] = {called: _told(each) for called, each in value.items()}
        elif name not in _UNTOLD:
            told[name] = value if name in _VALUES else _told(value)
    return told
