"""An array of constraints to one grammar and one mask: all of them hold, on the whole output.

What can be intersected exactly is enforced together. Of what cannot (two that nest to any depth, Lark text, too large a
product) the constraint of highest priority is enforced while decoding and the others are checked on the finished text.
The order of the array and duplicates in it change neither the grammar nor the mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from maze.compiled import CompiledConstraints
from maze.errors import ContradictionError, MazeError
from maze.grammar.budget import Budget
from maze.grammar.compose.contradictions import refuse_contradictions
from maze.grammar.compose.demands import demands_of
from maze.grammar.compose.enforcement import enforce, joint_check_of, most_characters_of
from maze.grammar.compose.left_out import LeftOut
from maze.grammar.compose.reading import Reading
from maze.grammar.compose.report import digest_of, report_of, with_labels
from maze.grammar.compose.structures import structures_of
from maze.grammar.token_mask import combine_masks
from maze.options import ConstraintOptions, OnConflict
from maze.threads import run_with_big_stack
from maze.types import ConstraintIR

_DEFAULT_OPTIONS = ConstraintOptions()


def compile_constraints(
    constraints: Sequence[ConstraintIR],
    language: str | None = None,
    options: ConstraintOptions = _DEFAULT_OPTIONS,
    budget: Budget | None = None,
) -> CompiledConstraints:
    """Compile an array of constraints for an output in `language`, within a budget that may have a deadline.

    Raises InvalidConstraintError, UnsupportedConstraintError (unless `on_unenforceable` is REPORT), ContradictionError
    (unless `on_conflict` is), LimitExceededError, TimedOutError; each names the constraint by its place in the array,
    and by its label where it has one.
    """
    started = perf_counter()
    allowed = budget or Budget()
    try:
        if not constraints:
            compiled = _compile((), language, options, allowed)
        else:
            compiled = run_with_big_stack(lambda: _compile(constraints, language, options, allowed))
    except MazeError as error:
        raise type(error)(with_labels(str(error), constraints)) from None
    return replace(compiled, compile_time_ms=(perf_counter() - started) * 1000)


def _compile(
    constraints: Sequence[ConstraintIR], language: str | None, options: ConstraintOptions, budget: Budget
) -> CompiledConstraints:
    left_out = LeftOut(constraints, options.ignore)
    while True:
        try:
            return _compile_rest(constraints, left_out, language, options, budget)
        except ContradictionError as conflict:
            if options.on_conflict is OnConflict.ERROR or not left_out.give_way(conflict):
                raise


def _compile_rest(
    constraints: Sequence[ConstraintIR],
    left_out: LeftOut,
    language: str | None,
    options: ConstraintOptions,
    budget: Budget,
) -> CompiledConstraints:
    read = Reading(constraints, left_out, language, options, budget)
    structures = structures_of(read.schemas.values(), read.grammars.values(), budget)
    patterns = read.patterns.values()
    mask = combine_masks(read.masks)
    found = refuse_contradictions(structures, patterns, budget)
    enforced = enforce(structures, patterns, budget)
    grammar = enforced.grammar if enforced else None
    digest = digest_of(grammar, mask)
    parts = tuple(part.finished() for part in read.parts)
    warnings = tuple(dict.fromkeys((*left_out.warnings(read.parts), *read.warnings, *found)))
    return CompiledConstraints(
        grammar=grammar,
        token_mask=mask,
        parts=parts,
        joint_check=joint_check_of(patterns, budget),
        most_characters=most_characters_of(patterns),
        warnings=warnings,
        digest=digest,
        demands=demands_of(constraints, parts, language),
        packed_grammar=enforced.packed if enforced else b"",
        report_json=report_of(mask, parts, warnings, digest),
    )
