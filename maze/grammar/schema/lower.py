"""JSON Schema -> llguidance.

Three readings of one schema meet here. `schema` is what the caller means, in plain JSON Schema. `check_schema` is its
text for jsonschema_rs, which decides about finished texts. `grammar_schema` is what llguidance gets to enforce while
decoding: where llguidance cannot enforce a keyword it is left out, the grammar accepts too much, and `reasons` says so;
the check closes the gap.

Every reference is resolved here and moved into `$defs`, so the grammar schema stands on its own: no `$id`, `$anchor`,
draft or annotation is left that an older llguidance could read differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maze.errors import LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.pattern.parser import MAX_CONJUNCTS
from maze.grammar.schema.definitions import with_references
from maze.grammar.schema.enforceable import enforceable
from maze.grammar.schema.pattern_count import most_patterns_on_one_value
from maze.grammar.schema.reading import in_its_draft, parse_schema, unknown_keywords
from maze.grammar.schema.trial import as_object, compile_failure, json_expression
from maze.json_text import JsonValue, dump
from maze.threads import run_with_big_stack


@dataclass(frozen=True, slots=True)
class LoweredSchema:
    """One schema, or several that all hold, ready to be enforced and checked."""

    paths: tuple[str, ...]
    """Where the caller finds the schemas that went into it: `constraints[0].json_schema`."""
    schema: JsonValue
    """Plain JSON Schema with the meaning that the caller gave it."""
    check_schema: str
    """The same as JSON text, for the check of finished texts."""
    grammar_schema: JsonValue
    """What llguidance enforces: accepts every text that satisfies `schema`, in the order of its properties, without
    white space."""
    vacuous: bool = False
    """It says nothing; only a schema in Braid's shape can be vacuous."""
    fully_enforced: bool = True
    """No text of the grammar breaks `schema`. If False the check has to decide."""
    reasons: tuple[str, ...] = ()
    """Why it is not fully enforced: keywords with their JSON pointers."""
    warnings: tuple[str, ...] = ()
    """What a caller should know though it is no error."""


def lower_schema(text: str, path: str, budget: Budget) -> LoweredSchema:
    """Read one schema, plain or in Braid's shape; `path` is what errors call it.

    Raises InvalidConstraintError for text that is not JSON or not a schema, UnsupportedConstraintError for what can be
    neither enforced nor checked (references that lead outside, an unknown `$schema`), ContradictionError for a schema
    that no text satisfies, LimitExceededError.
    """
    return run_with_big_stack(lambda: _lower(text, path, budget))


def combine_schemas(schemas: Sequence[LoweredSchema], budget: Budget) -> LoweredSchema:
    """One schema that holds where all of `schemas` hold; their order and duplicates change nothing.

    Raises ContradictionError naming the paths if no text can satisfy them together, UnsupportedConstraintError or
    LimitExceededError if llguidance cannot intersect them: each can then still be enforced alone.
    """
    return run_with_big_stack(lambda: _combine(schemas, budget))


def schema_to_lark(lowered: LoweredSchema) -> str:
    """The `%json` expression that stands for the schema in a Lark grammar: one line of ASCII."""
    return json_expression(lowered.grammar_schema)


def _lower(text: str, path: str, budget: Budget) -> LoweredSchema:
    budget.spend(100 + len(text) // 2)
    schema, check_schema, vacuous = parse_schema(text, path)
    if vacuous:
        return LoweredSchema((path,), schema, check_schema, True, vacuous=True)
    unknown = unknown_keywords(schema, path)
    check_schema, references, warnings = in_its_draft(schema, check_schema, path, budget)
    grammar_schema, reasons, more_warnings = enforceable(references, budget)
    return LoweredSchema(
        paths=(path,),
        schema=references.root.schema,
        check_schema=check_schema,
        grammar_schema=grammar_schema,
        fully_enforced=not reasons,
        reasons=reasons,
        warnings=warnings + more_warnings + unknown,
    )


def _combine(schemas: Sequence[LoweredSchema], budget: Budget) -> LoweredSchema:
    budget.spend(sum(10 + len(lowered.check_schema) // 8 for lowered in schemas))
    by_text = {
        dump(lowered.grammar_schema) + lowered.check_schema: lowered for lowered in schemas if not lowered.vacuous
    }
    paths = tuple(path for lowered in schemas for path in lowered.paths)
    distinct = [by_text[text] for text in sorted(by_text)]
    if not distinct:
        return LoweredSchema(paths, True, "true", True, vacuous=True)
    grammar_parts = {dump(lowered.grammar_schema): lowered.grammar_schema for lowered in distinct}
    if len(grammar_parts) == 1:
        grammar_schema = next(iter(grammar_parts.values()))
    else:
        definitions: dict[str, JsonValue] = {}
        branches = []
        for index, part in enumerate(grammar_parts.values()):
            branch = with_references(as_object(part), f"{index}.{{}}".format)
            own = branch.pop("$defs", {})
            definitions.update({f"{index}.{name}": schema for name, schema in own.items()})
            branches.append(branch)
        grammar_schema = {"allOf": branches, **({"$defs": definitions} if definitions else {})}
        if (most := most_patterns_on_one_value(grammar_schema, budget)) > MAX_CONJUNCTS:
            raise LimitExceededError(
                f"{' and '.join(paths)} have {most} patterns for one value; at most {MAX_CONJUNCTS} are intersected"
            )
        if failure := compile_failure(grammar_schema, budget):
            raise failure.for_caller(" and ".join(paths), UnsupportedConstraintError)
    return LoweredSchema(
        paths=paths,
        schema={"allOf": [lowered.schema for lowered in distinct]} if len(distinct) > 1 else distinct[0].schema,
        check_schema="",
        grammar_schema=grammar_schema,
        fully_enforced=all(lowered.fully_enforced for lowered in distinct),
        reasons=tuple(dict.fromkeys(reason for lowered in distinct for reason in lowered.reasons)),
        warnings=tuple(dict.fromkeys(warning for lowered in distinct for warning in lowered.warnings)),
    )
