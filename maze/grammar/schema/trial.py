"""Whether llguidance, with the limits that engines use, takes a grammar schema, and what its refusal means."""

from __future__ import annotations

from llguidance import LLMatcher, LLTokenizer

from maze.errors import ContradictionError, LimitExceededError, MazeError, UnsupportedConstraintError
from maze.json_text import JsonValue, dump

_tokenizer = LLTokenizer("byte")


def json_expression(grammar_schema: JsonValue, *, coerce_one_of: bool = True) -> str:
    """The `%json` expression that stands for a grammar schema in a Lark grammar: one line of ASCII."""
    guidance = {"whitespace_flexible": False, "coerce_one_of": coerce_one_of}
    return "%json " + dump({**as_object(grammar_schema), "x-guidance": guidance})


def as_object(schema: JsonValue) -> dict[str, JsonValue]:
    """A grammar schema that may be true or false, as an object."""
    if isinstance(schema, dict):
        return dict(schema)
    return {} if schema else {"enum": []}


def compile_failure(grammar_schema: JsonValue, *, coerce_one_of: bool = True) -> str:
    """What llguidance, with the limits that engines use, says against a grammar schema; empty if nothing."""
    expression = json_expression(grammar_schema, coerce_one_of=coerce_one_of)
    matcher = LLMatcher(_tokenizer, f"%llguidance {{}}\nstart: {expression}\n", log_level=0)
    if not matcher.is_error():
        matcher.compute_bitmask()  # only this finds out that no text at all is possible, or that the lexer is too big
    return matcher.get_error() if matcher.is_error() else ""


def means_contradiction(failure: str) -> bool:
    """Whether the failure says that no text satisfies the schema."""
    return "Unsatisfiable schema" in failure


def message_of(failure: str) -> str:
    """The failure without the words around it."""
    return failure.split("failed to compile JSON schema: ")[-1].split("\n")[0]


def error_of(failure: str, path: str) -> MazeError:
    """The failure as an error about the schema at `path`."""
    message = message_of(failure)
    if means_contradiction(failure):
        return ContradictionError(f"{path}: no text satisfies the schema: {message}")
    if any(piece in failure for piece in ("too large", "too big", "fuel", "panic", "TooComplex")):
        return LimitExceededError(f"{path} makes too large a grammar ({message}); make the schema smaller")
    return UnsupportedConstraintError(f"{path} cannot be enforced: {message}")
