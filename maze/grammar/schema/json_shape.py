"""What JSON texts of a schema look like from afar: enough to see that no program or pattern can be one."""

from __future__ import annotations

from functools import cache

from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import Node, alt
from maze.json_text import JsonValue

_SPACE = r"[ \t\n\r]*"
_TEXTS = {
    "null": "null",
    "boolean": "true|false",
    "number": r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+\-]?[0-9]+)?",
    "string": r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"',
    "array": r"\[(?s:.*)\]",
    "object": r"\{(?s:.*)\}",
}
_TYPE_NAMES = {type(None): "null", bool: "boolean", str: "string", list: "array", dict: "object"}
_ALL_TYPES = frozenset(_TEXTS)


def texts_of_type(schema: JsonValue) -> Node:
    """A regular language that holds every JSON text that satisfies the schema, and many others."""
    return alt(*(_texts(name) for name in sorted(_types(schema))))


@cache
def _texts(name: str) -> Node:
    return parse_whole(f"{_SPACE}(?:{_TEXTS[name]}){_SPACE}")


def _types(schema: JsonValue) -> frozenset[str]:
    """Types that a value of the schema may have; all of them where only a closer look would tell."""
    if not isinstance(schema, dict):
        return _ALL_TYPES
    types = _ALL_TYPES
    if "type" in schema:
        named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        types &= frozenset("number" if name == "integer" else name for name in named)
    if "const" in schema:
        types &= {_type_of(schema["const"])}
    if isinstance(schema.get("enum"), list):
        types &= frozenset(map(_type_of, schema["enum"]))
    for branch in schema.get("allOf") or ():
        types &= _types(branch)
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            types &= frozenset().union(*map(_types, schema[keyword]))
    return types


def _type_of(value: JsonValue) -> str:
    return _TYPE_NAMES.get(type(value), "number")
