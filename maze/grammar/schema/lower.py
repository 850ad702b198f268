"""JSON Schema -> a grammar of our own.

Two readings of one schema meet here. `check_schema` is its text for jsonschema_rs, which decides about finished texts.
`cfg` is the grammar of the JSON texts that satisfy it, names in the schema's order. Where it takes too much to say
something exactly the grammar is wider, and `reasons` says so; the check closes the gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maze.errors import ContradictionError, InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.lark_writer import MAX_DEPTH, MAX_NODES, cfg_to_lark
from maze.grammar.cfg.model import Cfg
from maze.grammar.schema.conditions import NEVER, Condition, Kind
from maze.grammar.schema.keywords import walk
from maze.grammar.schema.meaning import CheckNote, Meanings
from maze.grammar.schema.reading import (
    check_sizes,
    in_its_draft,
    is_vacuous,
    parse_schema,
    silent_keywords,
    unknown_keywords,
)
from maze.grammar.schema.references import References
from maze.grammar.schema.satisfiable import Satisfiable
from maze.grammar.schema.value_rules import ValueRules, rules_of
from maze.json_text import JsonValue, escaped, listed, shown
from maze.threads import run_with_big_stack

_MAX_TRIED = 16
"""Most keywords of a schema that are each tried whether they are to blame for that it has no value."""


@dataclass(frozen=True, slots=True)
class LoweredSchema:
    """One schema, ready to be enforced and checked."""

    path: str
    """Where the caller finds it: `constraints[0].json_schema`."""
    schema: JsonValue
    """Plain JSON Schema with the meaning that the caller gave it."""
    check_schema: str
    """The same as JSON text, for the check of finished texts."""
    references: References | None
    """What its references lead to; None if it is vacuous."""
    cfg: Cfg | None
    """The grammar; None if it is vacuous."""
    reasons: tuple[str, ...] = ()
    """What the grammar leaves to the check: keywords with their JSON pointers."""
    warnings: tuple[str, ...] = ()
    """What a caller should know though it is no error."""
    is_of_braid: bool = False
    """Whether it came in Braid's shape."""

    @property
    def vacuous(self) -> bool:
        """Whether it says nothing; only a schema in Braid's shape can be vacuous."""
        return self.cfg is None

    @property
    def fully_enforced(self) -> bool:
        """Whether no text of the grammar breaks the schema. If not the check has to decide."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class CombinedSchemas:
    """The grammar of the texts that satisfy several schemas."""

    cfg: Cfg
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def lower_schema(text: str, path: str, budget: Budget) -> LoweredSchema:
    """Read one schema, plain or in Braid's shape; `path` is what errors call it.

    Raises InvalidConstraintError for text that is not JSON or not a schema, UnsupportedConstraintError for what can be
    neither enforced nor checked (references that lead outside, an unknown `$schema`), ContradictionError for a schema
    that no text satisfies, LimitExceededError.
    """
    return run_with_big_stack(lambda: _lower(text, path, budget))


def combine_schemas(schemas: Sequence[LoweredSchema], budget: Budget) -> CombinedSchemas:
    """One grammar of the values that satisfy all of `schemas`; their order and duplicates change nothing.

    Raises ContradictionError naming the paths if no value satisfies them together.
    """
    return run_with_big_stack(lambda: _combine(schemas, budget))


def only_types(schemas: Sequence[LoweredSchema], budget: Budget) -> CombinedSchemas:
    """A grammar of all values of the types that the schemas allow, where an engine could not work with more."""

    def make() -> CombinedSchemas:
        meanings = Meanings(budget)
        documents = [lowered.references for lowered in schemas if lowered.references is not None]
        condition = meanings.conditions.every(map(meanings.of_document, documents))
        satisfiable = Satisfiable(meanings)
        kinds = [kind for kind in Kind if satisfiable.of_kind(condition, kind) != NEVER]
        made = rules_of(meanings.conditions.is_kind(*kinds), meanings, MAX_NODES)
        return CombinedSchemas(made.cfg, ("all but its type is checked on the finished text only",))

    return run_with_big_stack(make)


def _lower(text: str, path: str, budget: Budget) -> LoweredSchema:
    budget.spend(100 + len(text) // 2)
    schema, check_schema, is_of_braid = parse_schema(text, path)
    if is_of_braid and is_vacuous(schema):
        return LoweredSchema(path, schema, check_schema, None, None, is_of_braid=True)
    parts = list(walk(schema))
    unknown = unknown_keywords(schema, parts, path)
    check_schema, references, warnings = in_its_draft(schema, parts, check_schema, path, budget)
    check_sizes(parts, path)
    combined = _of_documents([references], path, budget)
    if combined is None:
        message = f"{path}: no text satisfies this; {_conflict_in(references, budget)}"
        raise ContradictionError(message).between((path,))
    return LoweredSchema(
        path,
        references.root.schema,
        check_schema,
        references,
        combined.cfg,
        combined.reasons,
        warnings + combined.warnings + silent_keywords(references, parts, path) + unknown,
        is_of_braid,
    )


def _combine(schemas: Sequence[LoweredSchema], budget: Budget) -> CombinedSchemas:
    by_text = {lowered.check_schema: lowered for lowered in schemas}
    distinct = [by_text[text] for text in sorted(by_text)]
    if len(distinct) == 1 and distinct[0].cfg is not None:
        return CombinedSchemas(distinct[0].cfg, distinct[0].reasons)
    documents = [lowered.references for lowered in distinct if lowered.references is not None]
    paths = " and ".join(lowered.path for lowered in schemas)
    combined = _of_documents(documents, paths, budget)
    if combined is None:
        message = f"{paths}: no text satisfies this; change or drop one of them"
        raise ContradictionError(message).between(*((lowered.path,) for lowered in schemas))
    return combined


def _of_documents(documents: Sequence[References], paths: str, budget: Budget) -> CombinedSchemas | None:
    """One grammar of the values that satisfy all; None if there are none."""
    meanings = Meanings(budget)
    condition = meanings.conditions.every(map(meanings.of_document, documents))
    made = _writable(condition, meanings)
    if not made.cfg.rules[made.cfg.start]:
        return None
    formats = listed([shown(name) for name in meanings.unknown_formats])
    warning = f"{paths} has formats that its draft does not know and that say nothing: {formats}"
    reasons = _reasons([meanings.notes[note] for note in made.notes])
    return CombinedSchemas(made.cfg, reasons, (warning,) if meanings.unknown_formats else ())


def _conflict_in(references: References, budget: Budget) -> str:
    """Which keywords of a schema that no value satisfies are to blame: without any of them some would."""
    schema = references.root.schema
    to_blame: list[str] = []
    for keyword in schema if isinstance(schema, dict) and len(schema) <= _MAX_TRIED else ():
        rest = {other: value for other, value in schema.items() if other != keyword}
        try:
            if (
                _of_documents([References(rest, references.draft, references.path)], references.path, budget)
                is not None
            ):
                to_blame.append(f"#/{escaped(keyword)}")
        except (InvalidConstraintError, UnsupportedConstraintError, OverBudgetError):  # as references lead nowhere then
            continue
    if len(to_blame) > 1:
        return f"{' and '.join(to_blame)} exclude each other: change or drop one of them"
    return f"{to_blame[0]} leaves nothing: change or drop it" if to_blame else "change or drop what excludes the rest"


def _writable(condition: Condition, meanings: Meanings) -> ValueRules:
    """Rules that can be written for an engine: if those of the whole cannot, those of what is less deep."""
    most = MAX_NODES
    made = rules_of(condition, meanings, most)
    while most and len(made.cfg.rules) > MAX_DEPTH and not _can_be_written(made.cfg, meanings.budget):
        most //= 8
        made = rules_of(condition, meanings, most)
    return made


def _can_be_written(cfg: Cfg, budget: Budget) -> bool:
    try:
        cfg_to_lark(cfg, budget)
    except LimitExceededError:
        return False
    return True


def _reasons(notes: Sequence[CheckNote]) -> tuple[str, ...]:
    pointers: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        pointers.setdefault((note.keyword, note.what), []).append(note.pointer)
    return tuple(
        f"{what} is checked on the finished text only: {keyword} at {listed(where)}"
        for (keyword, what), where in pointers.items()
    )
