"""Whether llguidance, with the limits that engines use, takes a grammar schema."""

from __future__ import annotations

from maze.grammar.budget import Budget
from maze.grammar.llguidance import GuidanceError, check_grammar
from maze.json_text import JsonValue, dump
from maze.types import EngineGrammar


def json_expression(grammar_schema: JsonValue, *, coerce_one_of: bool = True) -> str:
    """The `%json` expression that stands for a grammar schema in a Lark grammar: one line of ASCII."""
    guidance = {"whitespace_flexible": False, "coerce_one_of": coerce_one_of}
    return "%json " + dump({**as_object(grammar_schema), "x-guidance": guidance})


def as_object(schema: JsonValue) -> dict[str, JsonValue]:
    """A grammar schema that may be true or false, as an object."""
    if isinstance(schema, dict):
        return dict(schema)
    return {} if schema else {"enum": []}


def compile_failure(grammar_schema: JsonValue, budget: Budget, *, coerce_one_of: bool = True) -> GuidanceError | None:
    """What llguidance says against a grammar schema."""
    grammar = EngineGrammar(f"start: {json_expression(grammar_schema, coerce_one_of=coerce_one_of)}\n")
    try:
        check_grammar(grammar, budget)
    except GuidanceError as error:
        return error
    return None
