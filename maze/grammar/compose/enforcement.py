"""What of all constraints an engine enforces while decoding, and as which grammar; the rest is left to the check."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from maze.errors import LimitExceededError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg
from maze.grammar.cfg.product import Product
from maze.grammar.compose.groups import (
    GrammarGroup,
    Group,
    PatternGroup,
    SchemaGroup,
    grammar_of,
)
from maze.grammar.llguidance import CAREFUL_LIMITS, GuidanceError, check_grammar, is_bearable
from maze.grammar.pattern.bearable import is_bearable_for_llguidance
from maze.grammar.pattern.parser import MAX_CONJUNCTS
from maze.grammar.pattern.tree import Node, both, conjuncts
from maze.grammar.schema.lower import combine_schemas, only_types
from maze.types import EngineGrammar, Handling, JointCheck


def enforce(
    schemas: Collection[SchemaGroup],
    grammars: Collection[GrammarGroup],
    patterns: Collection[PatternGroup],
    budget: Budget,
) -> EngineGrammar | None:
    """The grammar of the group of the highest rank with all that can be intersected with it. Marks every group."""
    by_rank: list[Group] = sorted((*schemas, *grammars, *patterns), key=_rank)
    if not by_rank:
        return None
    for grammar in grammars:
        for naming in grammar.naming.values():
            naming.mark(Handling.CHECKED)
    first = by_rank[0]
    for group in by_rank[1:]:
        group.mark(Handling.CHECKED, f"it cannot be intersected with {first.path}, which is enforced")

    ranked_patterns = sorted(patterns, key=_rank)
    ranked_schemas = sorted(schemas, key=_rank)
    if isinstance(first, SchemaGroup):
        return _enforce_schemas(ranked_schemas, ranked_patterns, budget)
    if isinstance(first, GrammarGroup):
        return _enforce_grammar(first, ranked_patterns, budget)
    if ranked_schemas and _schemas_bear(ranked_schemas, ranked_patterns[:1], budget):
        return _enforce_schemas(ranked_schemas, ranked_patterns, budget)
    best_grammar = min(grammars, key=_rank, default=None)
    if best_grammar is not None and _product(best_grammar, ranked_patterns[:1], budget) is not None:
        return _enforce_grammar(best_grammar, ranked_patterns, budget)
    return _enforce_patterns(ranked_patterns, budget)


def joint_check_of(patterns: Collection[PatternGroup], budget: Budget) -> JointCheck | None:
    """All patterns that are about the whole output as one."""
    if len(patterns) < 2:
        return None
    language = _intersection(patterns)
    if not is_bearable_for_llguidance(language, budget):
        return None
    return JointCheck(grammar_of(language), tuple(grammar_of(group.language) for group in patterns))


def _rank(group: Group) -> tuple[int, int, str]:
    return group.rank


def _schemas_bear(groups: list[SchemaGroup], patterns: list[PatternGroup], budget: Budget) -> bool:
    """Whether all schemas can be enforced together with the patterns."""
    combined = combine_schemas([group.lowered for group in groups], budget)
    return _product_of(combined.cfg, patterns, budget) is not None


def _enforce_schemas(groups: list[SchemaGroup], patterns: list[PatternGroup], budget: Budget) -> EngineGrammar:
    """All schemas, with as many patterns, from the first on, as the budget of the product allows."""
    schemas = [group.lowered for group in groups]
    combined = combine_schemas(schemas, budget)
    chosen, lark = _most(patterns, lambda some: _product_of(combined.cfg, some, budget))
    if lark is None:
        try:
            lark = cfg_to_lark(combined.cfg, budget)
            check_grammar(lark, budget)
        except (LimitExceededError, GuidanceError):
            combined = only_types(schemas, budget)
            lark = cfg_to_lark(combined.cfg, budget)
    for group in groups:
        if combined.reasons:
            reasons = "; ".join(combined.reasons)
            group.mark(Handling.CHECKED, f"enforced while decoding but for what takes too much: {reasons}")
        else:
            group.mark(Handling.ENFORCED)
    for pattern in patterns:
        if pattern in chosen:
            pattern.mark(Handling.ENFORCED)
        else:
            reason = "its product with the schema is too much work for an engine, or has no text in the usual spelling"
            pattern.mark(Handling.CHECKED, f"{reason}; {groups[0].path} is enforced")
    return _usable(lark, [*groups, *chosen], budget)


def _enforce_patterns(groups: list[PatternGroup], budget: Budget) -> EngineGrammar | None:
    chosen, grammar = _most(groups, lambda some: _all_patterns(some, budget))
    for group in groups:
        if group in chosen:
            group.mark(Handling.ENFORCED)
        else:
            group.mark(Handling.CHECKED, "with it the patterns would be too much work for an engine")
    return grammar


def _enforce_grammar(grammar: GrammarGroup, patterns: list[PatternGroup], budget: Budget) -> EngineGrammar:
    """The grammar, with as many patterns, from the first on, as the budget of the product allows."""
    chosen, lark = _most(patterns, lambda some: _product(grammar, some, budget))
    grammar.mark(Handling.ENFORCED)
    for naming in grammar.naming.values():
        naming.mark(Handling.ENFORCED, f"it describes names, so it is applied to every name in {grammar.path}")
    for group in patterns:
        if group in chosen:
            group.mark(Handling.ENFORCED)
        else:
            reason = "its product with the grammar is too much work for an engine"
            group.mark(Handling.CHECKED, f"{reason}; {grammar.path} is enforced")
    lark = lark or cfg_to_lark(grammar.lowered.read_whole or grammar.cfg(budget), budget)
    return _usable(replace(lark, options=grammar.lowered.options), [grammar, *chosen], budget)


# ------------------------------------------------------------------------------------------------ intersections


def _most(
    groups: list[PatternGroup], attempt: Callable[[Sequence[PatternGroup]], EngineGrammar | None]
) -> tuple[list[PatternGroup], EngineGrammar | None]:
    """The longest run of `groups`, from the first on, that `attempt` makes something of, and what it makes."""
    made = attempt(groups) if groups else None
    if made is not None or not groups:
        return groups, made
    few, many = 0, len(groups)  # what is known to work, and not to work
    while many - few > 1:
        middle = (few + many) // 2
        grammar = attempt(groups[:middle])
        if grammar is None:
            many = middle
        else:
            few, made = middle, grammar
    return groups[:few], made


def _intersection(groups: Collection[PatternGroup]) -> Node:
    return both(*(group.language for group in sorted(groups, key=lambda group: group.text)))


def _all_patterns(groups: Sequence[PatternGroup], budget: Budget) -> EngineGrammar | None:
    """The grammar of the texts that match all patterns; None if it is too much for an engine."""
    language = _intersection(groups)
    if not budget.has_optional_steps or not is_bearable_for_llguidance(language, budget):
        return None
    grammar = grammar_of(language)
    return grammar if is_bearable(grammar, budget, CAREFUL_LIMITS) else None


def _product(grammar: GrammarGroup, groups: Sequence[PatternGroup], budget: Budget) -> EngineGrammar | None:
    """The grammar of the texts of `grammar` that match all patterns; None if it is over the budget."""
    if grammar.lowered.read_whole is not None:
        return None  # what an engine cannot bear alone becomes no less by a product
    return _written(groups, lambda language: grammar.product(language, budget), budget)


def _product_of(cfg: Cfg, groups: Sequence[PatternGroup], budget: Budget) -> EngineGrammar | None:
    return _written(groups, lambda language: Product(cfg, language, budget), budget)


def _written(
    groups: Sequence[PatternGroup], multiplied: Callable[[Node], Product | None], budget: Budget
) -> EngineGrammar | None:
    """What a grammar multiplied with all patterns is written as; None if that is over the budget."""
    language = _intersection(groups)
    if conjuncts(language) > MAX_CONJUNCTS:
        return None
    try:
        product = multiplied(language)
        cfg = None if product is None else product.grammar()
        lark = None if cfg is None else cfg_to_lark(cfg, budget)
    except (OverBudgetError, LimitExceededError):
        return None
    return lark if lark is not None and is_bearable(lark, budget) else None


def _usable(grammar: EngineGrammar, groups: Sequence[Group], budget: Budget) -> EngineGrammar:
    """`grammar`, if an engine will take it and some text begins to satisfy it."""
    try:
        check_grammar(grammar, budget)
    except GuidanceError as error:
        raise error.for_caller(", ".join(group.path for group in groups), LimitExceededError) from None
    return grammar
