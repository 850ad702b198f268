"""What of all constraints an engine enforces while decoding, and as which grammar; the rest is left to the check."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from maze.compiled import EngineGrammar, JointCheck
from maze.errors import InternalError, LimitExceededError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.lowered import WrittenGrammar
from maze.grammar.cfg.model import Cfg
from maze.grammar.cfg.packing import packed
from maze.grammar.compose.groups import Group, PatternGroup, cfg_of, grammar_of
from maze.grammar.compose.report import digest_of
from maze.grammar.compose.structures import GrammarStructure, SchemaStructure, Structure, products
from maze.grammar.languages.syntax import taken_grammars
from maze.grammar.llguidance import (
    CAREFUL_LIMITS,
    VERSION,
    GuidanceError,
    check_grammar,
    is_bearable,
)
from maze.grammar.pattern.bearable import is_bearable_for_llguidance
from maze.grammar.pattern.machine import without_complements
from maze.grammar.pattern.tree import MAX_CONJUNCTS, Node, both, conjuncts, greatest_length
from maze.grammar.schema.lower import only_types
from maze.outcome import Handling

_Item = TypeVar("_Item", PatternGroup, "Structure | PatternGroup")


@dataclass(frozen=True, slots=True)
class Enforced:
    """A grammar, as engines get it and as a value to work with."""

    grammar: EngineGrammar
    cfg: Cfg
    written: WrittenGrammar | None = None
    """What was known of `cfg` before."""

    @property
    def packed(self) -> bytes:
        """The value for unpacked()."""
        return packed(self.cfg) if self.written is None else self.written.packed


def enforce(structures: Sequence[Structure], patterns: Collection[PatternGroup], budget: Budget) -> Enforced | None:
    """The grammar of what is of the highest rank with all that can be intersected with it. Marks every group."""
    ranked = sorted(patterns, key=_rank)
    for structure in structures:
        if isinstance(structure, GrammarStructure):
            for naming in structure.group.naming.values():
                naming.mark(Handling.CHECKED)
    base = _base(structures, ranked, budget)
    if base is not None:
        return _enforce(base, structures, ranked, budget)
    for structure in structures:
        for group in structure.groups:
            group.mark(Handling.CHECKED, f"it cannot be intersected with {ranked[0].path}, which is enforced")
    return _enforce_patterns(ranked, budget) if ranked else None


def _base(structures: Sequence[Structure], patterns: list[PatternGroup], budget: Budget) -> Structure | None:
    """What is enforced in any case, if that is not the pattern of the highest rank alone."""
    if not structures or not patterns or structures[0].rank < patterns[0].rank:
        return structures[0] if structures else None
    return next((each for each in structures if _product([each], patterns[:1], budget) is not None), None)


def joint_check_of(patterns: Collection[PatternGroup], budget: Budget) -> JointCheck | None:
    """All patterns that are about the whole output as one."""
    if len(patterns) < 2:
        return None
    language = _intersection(patterns)
    if not is_bearable_for_llguidance(language, budget):
        return None
    try:
        return JointCheck(grammar_of(language, budget), tuple(grammar_of(group.language, budget) for group in patterns))
    except LimitExceededError:
        return None


def most_characters_of(patterns: Collection[PatternGroup]) -> int | None:
    """What those that are only checked allow a text to have at most; None if they allow any length."""
    checked = [group for group in patterns if group.parts[0].handling is Handling.CHECKED]
    most = min((greatest_length(group.language) for group in checked), default=math.inf)
    return None if math.isinf(most) else int(most)


def _rank(item: Group | Structure) -> tuple[int, int, str]:
    return item.rank


def _enforce(
    base: Structure, structures: Sequence[Structure], patterns: list[PatternGroup], budget: Budget
) -> Enforced:
    """`base`, with as many others, from the first on, as can be multiplied with it and each other within the budget."""
    enforced = [base]
    reasons: dict[Structure, str] = {}
    candidates: list[Structure | PatternGroup] = list(patterns)
    for structure in structures:
        if structure is not base:
            reason = _obstacle([*enforced, structure])
            if reason is None:
                enforced.append(structure)
                candidates.append(structure)
            else:
                reasons[structure] = reason
    candidates.sort(key=_rank)
    chosen: list[Structure | PatternGroup] = []
    made: Enforced | None = None

    def attempt(some: Sequence[Structure | PatternGroup]) -> Enforced | None:
        found = [each for each in some if isinstance(each, Structure)]
        return _product([base, *found], [each for each in some if not isinstance(each, Structure)], budget)

    while candidates:
        chosen, made = _most(candidates, attempt)
        # A pattern is left out with all that come after it, which are patterns mostly; a structure alone.
        left_out = candidates[len(chosen)] if len(chosen) < len(candidates) else None
        if not isinstance(left_out, Structure):
            break
        candidates.remove(left_out)
    for structure in structures:
        if structure is not base and structure not in chosen:
            reason = reasons.get(structure) or f"its product with {base.path} is {_TOO_MUCH}; {base.path} is enforced"
            for group in structure.groups:
                group.mark(Handling.CHECKED, reason)
    for pattern in patterns:
        if pattern in chosen:
            pattern.mark(Handling.ENFORCED)
        else:
            pattern.mark(Handling.CHECKED, _reason_of_pattern(base))
    together = [base, *(each for each in chosen if isinstance(each, Structure))]
    enforced_together = _with_options(made or _alone(base, budget), together)
    for structure in together:
        _mark_enforced(structure)
    if made is None and isinstance(base, SchemaStructure):
        return enforced_together  # which has been tried already
    groups = [group for structure in together for group in structure.groups]
    _refuse_unusable(
        enforced_together.grammar, [*groups, *(each for each in chosen if not isinstance(each, Structure))], budget
    )
    return enforced_together


_TOO_MUCH = "too much work for an engine, or has no text in the usual spelling"


def _obstacle(structures: Sequence[Structure]) -> str | None:
    """Why the last of some structures cannot be multiplied with the others, which can be; None if it can."""
    nested = [each for each in structures if each.language() is None]
    if len(nested) < 2:
        return None
    return (
        f"it cannot be intersected with {nested[0].path}: both nest to any depth, or are too large for an automaton, "
        f"and only one such constraint can be enforced; {nested[0].path} is, as its priority is not lower"
    )


def _reason_of_pattern(base: Structure) -> str:
    if isinstance(base, GrammarStructure):
        return f"its product with the grammar is too much work for an engine; {base.path} is enforced"
    return f"its product with the schema is {_TOO_MUCH}; {base.path} is enforced"


def _alone(base: Structure, budget: Budget) -> Enforced:
    """The grammar of one structure without anything beside it."""
    if isinstance(base, GrammarStructure):
        named = base.group.named(budget)
        if (checked := base.group.checked_by) is not None and named.checked is named.cfg and named.read_whole is None:
            return Enforced(checked, named.cfg, named.written)
        if named.written is not None:
            return Enforced(EngineGrammar(named.written.rules), named.cfg, named.written)
        return Enforced(cfg_to_lark(named.read_whole or named.cfg, budget), named.cfg)
    if not isinstance(base, SchemaStructure):
        raise InternalError(f"{base.path} is neither a schema nor a grammar")
    try:
        lark = cfg_to_lark(base.combined.cfg, budget)
        check_grammar(lark, budget)
    except (LimitExceededError, GuidanceError):
        base.combined = only_types(base.schemas, budget)
        lark = cfg_to_lark(base.combined.cfg, budget)
    return Enforced(lark, base.combined.cfg)


def _with_options(enforced: Enforced, structures: Sequence[Structure]) -> Enforced:
    """With what the callers of the grammars have switched on."""
    options = {
        each for structure in structures if isinstance(structure, GrammarStructure) for each in structure.options
    }
    return replace(enforced, grammar=replace(enforced.grammar, options=tuple(sorted(options))))


def _mark_enforced(structure: Structure) -> None:
    for group in structure.groups:
        if isinstance(structure, SchemaStructure) and structure.combined.reasons:
            reasons = "; ".join(structure.combined.reasons)
            group.mark(Handling.CHECKED, f"enforced while decoding but for what takes too much: {reasons}")
        else:
            group.mark(Handling.ENFORCED)
    if isinstance(structure, GrammarStructure):
        for naming in structure.group.naming.values():
            naming.mark(Handling.ENFORCED, f"it describes names, so it is applied to every name in {structure.path}")


def _enforce_patterns(groups: list[PatternGroup], budget: Budget) -> Enforced | None:
    chosen, enforced = _most(groups, lambda some: _all_patterns(some, budget))
    for group in groups:
        if group in chosen:
            group.mark(Handling.ENFORCED)
        else:
            group.mark(Handling.CHECKED, "with it the patterns would be too much work for an engine")
    return enforced


# ------------------------------------------------------------------------------------------------ intersections


def _most(
    items: list[_Item], attempt: Callable[[Sequence[_Item]], Enforced | None]
) -> tuple[list[_Item], Enforced | None]:
    """The longest run of `items`, from the first on, that `attempt` makes something of, and what it makes."""
    made = attempt(items) if items else None
    if made is not None or not items:
        return items, made
    few, many = 0, len(items)  # what is known to work, and not to work
    while many - few > 1:
        middle = (few + many) // 2
        found = attempt(items[:middle])
        if found is None:
            many = middle
        else:
            few, made = middle, found
    return items[:few], made


def _intersection(groups: Collection[PatternGroup]) -> Node:
    return both(*(group.language for group in sorted(groups, key=lambda group: group.text)))


def _all_patterns(groups: Sequence[PatternGroup], budget: Budget) -> Enforced | None:
    """The grammar of the texts that match all patterns; None if it is too much for an engine."""
    language = _intersection(groups)
    if not budget.has_optional_steps or not is_bearable_for_llguidance(language, budget):
        return None
    try:
        language = without_complements(language, budget)
        grammar = grammar_of(language, budget)
    except LimitExceededError:
        return None
    return Enforced(grammar, cfg_of(language)) if is_bearable(grammar, budget, CAREFUL_LIMITS) else None


def _product(structures: Sequence[Structure], patterns: Sequence[PatternGroup], budget: Budget) -> Enforced | None:
    """What all have in common; None if that is over the budget, or no spelling of a schema's values is in it."""
    if conjuncts(_intersection(patterns)) > MAX_CONJUNCTS:
        return None
    if any(isinstance(each, GrammarStructure) and each.is_read_whole for each in structures):
        return None  # what an engine cannot bear alone becomes no less by a product
    for product in products(structures, patterns):
        try:
            cfg = product.grammar()
            made = None if cfg is None else Enforced(cfg_to_lark(cfg, budget), cfg)
        except (OverBudgetError, LimitExceededError):
            continue
        if made is not None and is_bearable(made.grammar, budget):
            return made
    return None


def _refuse_unusable(grammar: EngineGrammar, groups: Sequence[Group], budget: Budget) -> None:
    """Raise if an engine does not take a grammar, or no text begins to satisfy it."""
    if digest_of(grammar, None) in taken_grammars(VERSION):
        return  # finding it out again is half of what compiling a whole language takes
    try:
        check_grammar(grammar, budget)
    except GuidanceError as error:
        raise error.for_caller(", ".join(group.path for group in groups), LimitExceededError) from None
