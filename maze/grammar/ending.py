"""How a text that has been begun can be brought to an end, by the grammar that its engine enforced."""

from __future__ import annotations

from maze.errors import LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg
from maze.grammar.cfg.packing import unpacked
from maze.grammar.cfg.quotient import CannotFollowError, left_quotient
from maze.grammar.cfg.short_endings import short_endings
from maze.grammar.cfg.shortest import shortest_text
from maze.grammar.llguidance import GuidanceError, check_grammar
from maze.threads import run_with_big_stack
from maze.types import CompiledConstraints, EngineGrammar

__all__ = ["CannotFollowError", "grammar_of_short_endings", "shortest_ending"]

MAX_ENDING_STEPS = 3_000_000
"""Most steps that reading a text and finding its end may take: 3 s, and some 100 KB of text."""


def shortest_ending(compiled: CompiledConstraints, text: str, ends_at: float) -> str | None:
    """The shortest text behind `text` that makes one of the enforced grammar; empty if it is one already.

    None where nothing is enforced by a grammar. Raises CannotFollowError if no text of the grammar begins so,
    OverBudgetError, and TimedOutError at `ends_at`, a time of time.monotonic().
    """
    if not compiled.packed_grammar:
        return None

    def find() -> str | None:
        work = Budget(ends_at).construction(MAX_ENDING_STEPS)
        return shortest_text(left_quotient(unpacked(compiled.packed_grammar), text, work), work)

    return run_with_big_stack(find)


def grammar_of_short_endings(
    compiled: CompiledConstraints, text: str, tokens: int, ends_at: float
) -> EngineGrammar | None:
    """What a model may write behind `text` that makes a text of the enforced grammar in about so many tokens.

    None where nothing is enforced by a grammar, or engines could not work with it. Raises as shortest_ending().
    """
    if not compiled.packed_grammar:
        return None

    def find() -> EngineGrammar | None:
        budget = Budget(ends_at)
        work = budget.construction(MAX_ENDING_STEPS)
        cfg = unpacked(compiled.packed_grammar)
        rest = left_quotient(cfg, text, work)
        endings = short_endings(rest, frozenset(rest.rules.keys() - cfg.rules.keys()), tokens, work)
        return _written(endings, budget)

    return run_with_big_stack(find)


def _written(cfg: Cfg, budget: Budget) -> EngineGrammar | None:
    try:
        grammar = cfg_to_lark(cfg, budget)
        check_grammar(grammar, budget)
    except (GuidanceError, LimitExceededError):
        return None
    return grammar
