"""Finds constraints that no text satisfies together, as far as that can be decided within the budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NoReturn, TypeVar

from maze.errors import ContradictionError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.compose.groups import Group, PatternGroup, SchemaGroup, grammar_of
from maze.grammar.compose.structures import GrammarStructure, Structure, have_nothing_in_common, products
from maze.grammar.llguidance import CAREFUL_LIMITS, GuidanceError, Outcome, check_grammar
from maze.grammar.pattern.automaton import is_empty
from maze.grammar.pattern.bearable import is_bearable_for_llguidance
from maze.grammar.pattern.questions import Questions
from maze.grammar.pattern.tree import NOTHING, Node, both, has_machine, is_plain
from maze.grammar.schema.json_shape import texts_of_type

MAX_TRIED_ALONE = 8
"""Most patterns that are held against a grammar one by one where all of them together are over the budget, and most
grammars that are held against each other so."""
MAX_NAMED_IN_CONFLICT = 20
"""Most parts that the error of a contradiction names."""
_T = TypeVar("_T")


def refuse_contradictions(
    structures: Sequence[Structure], patterns: Collection[PatternGroup], budget: Budget
) -> list[str]:
    """Raise ContradictionError where two or more parts exclude each other. Returns what callers should be warned of."""
    warnings = []
    for pattern in patterns:
        budget.where = pattern.path
        if _is_empty(pattern.language, budget):
            message = f"{pattern.path}: no text matches the pattern; change or drop it"
            raise ContradictionError(message).between(pattern.paths)
    regular = [_Regular(group, group.language) for group in patterns]
    regular += [
        _Regular(group, texts_of_type(group.lowered.schema))
        for structure in structures
        for group in structure.groups
        if isinstance(group, SchemaGroup)
    ]
    regular.sort(key=lambda each: each.group.rank)
    budget.where = shown_paths([each.group for each in regular])

    def have_nothing_in_common_by_type(some: Sequence[_Regular]) -> bool:
        return _is_empty(_language(some), budget)

    if have_nothing_in_common_by_type(regular):
        _refuse_together([each.group for each in _smallest_conflict(regular, have_nothing_in_common_by_type)])
    for structure in structures:
        if not isinstance(structure, GrammarStructure):
            continue
        grammar = structure.group
        budget.where = shown_paths([grammar, *(each.group for each in regular)])
        if grammar.leaves_no_names(budget):
            paths = ", ".join(sorted(naming.path for naming in grammar.naming.values()))
            warnings.append(f"{paths}: no name satisfies all; {grammar.path} is left with texts without names")
        if regular:
            _refuse_conflict_with_grammar(structure, regular)
    _refuse_conflict_of_structures(structures, patterns)
    return warnings


@dataclass(frozen=True, slots=True)
class _Regular:
    """A regular language that holds every text which satisfies a group."""

    group: Group
    language: Node


def _language(regular: Iterable[_Regular]) -> Node:
    return both(*(each.language for each in sorted(regular, key=lambda each: each.group.text)))


def _is_empty(language: Node, budget: Budget) -> bool:
    """Whether no text is in the language; False also where that is too much work to find out."""
    if is_plain(language):
        return language == NOTHING
    try:
        if Questions(budget).has_a_sample(language):
            return False
        return is_empty(language, budget)
    except OverBudgetError:
        if not budget.has_optional_steps or has_machine(language) or not is_bearable_for_llguidance(language, budget):
            return False
        try:
            check_grammar(grammar_of(language, budget), budget, CAREFUL_LIMITS)
        except GuidanceError as error:
            return error.outcome is Outcome.EMPTY
        return False


def _refuse_conflict_with_grammar(structure: GrammarStructure, regular: list[_Regular]) -> None:
    def conflicts(some: Sequence[_Regular]) -> bool:
        return structure.excludes(_language(some))

    if conflicts(regular):
        _refuse_together([structure.group, *(each.group for each in _smallest_conflict(regular, conflicts))])
    # All of them at once can be over a budget that one alone is not.
    for each in regular[:MAX_TRIED_ALONE] if len(regular) > 1 and structure.product(_language(regular)) is None else ():
        if conflicts([each]):
            _refuse_together([structure.group, each.group])


def _refuse_conflict_of_structures(structures: Sequence[Structure], patterns: Collection[PatternGroup]) -> None:
    beside = sorted(patterns, key=lambda group: group.rank)
    everything: list[Structure | PatternGroup] = [*structures, *beside]
    if not structures or len(everything) < 2 or next(products(structures, beside), None) is not None:
        return
    # All of them at once can be over a budget that some are not, and cannot be multiplied where two of them nest.
    some: list[Sequence[Structure | PatternGroup]] = [everything]
    some += [[each, *beside] for each in structures if beside and len(structures) > 1]
    some += combinations(structures[:MAX_TRIED_ALONE], 2)
    for conflicting in some:
        if _conflict(conflicting):
            needed = _smallest_conflict(conflicting, _conflict)
            _refuse_together([g for each in needed for g in (each.groups if isinstance(each, Structure) else [each])])


def _conflict(some: Sequence[Structure | PatternGroup]) -> bool:
    structures = [each for each in some if isinstance(each, Structure)]
    return bool(structures) and have_nothing_in_common(
        structures, [each for each in some if not isinstance(each, Structure)]
    )


def _smallest_conflict(everything: Sequence[_T], conflicts: Callable[[Sequence[_T]], bool]) -> Sequence[_T]:
    """Of what conflicts, some that still does."""
    needed = everything
    for each in everything[:MAX_NAMED_IN_CONFLICT]:
        without = [other for other in needed if other is not each]
        if without and conflicts(without):
            needed = without
    return needed


def _refuse_together(groups: Sequence[Group]) -> NoReturn:
    raise ContradictionError(
        f"{shown_paths(groups)} contradict each other: no text satisfies {'both' if len(groups) == 2 else 'all'}; "
        "change or drop one of them"
    ).between(*(group.paths for group in groups))


def shown_paths(groups: Sequence[Group]) -> str:
    """The paths of groups for an error text, the first of them if they are many."""
    shown = " and ".join(group.path for group in groups[:MAX_NAMED_IN_CONFLICT])
    more = f" and {len(groups) - MAX_NAMED_IN_CONFLICT} more" if len(groups) > MAX_NAMED_IN_CONFLICT else ""
    return f"{shown}{more}"
