"""What may come after a text that an answer begins with: the left quotient of the enforced grammar by it."""

from __future__ import annotations

import re
from dataclasses import replace

from maze.errors import ContradictionError, LimitExceededError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg
from maze.grammar.cfg.quotient import CannotFollowError, left_quotient
from maze.grammar.llguidance import ENGINE_LIMITS, GuidanceError, check_grammar, engine_text
from maze.grammar.read.grammar_text import lower_grammar
from maze.threads import run_with_big_stack
from maze.types import CompiledConstraints, ConstraintKind, EngineGrammar

_STRING_OR_SPACE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[ \t\n\r]+', re.DOTALL)
_SHOWN_CHARACTERS = 40


def after(compiled: CompiledConstraints, text: str, budget: Budget | None = None) -> CompiledConstraints:
    """The same constraints, with the grammar of what comes after `text`; the parts stay about the whole.

    Raises ContradictionError if no text of the grammar begins so, LimitExceededError if that cannot be found out, and
    TimedOutError.
    """
    if compiled.grammar is None or text == compiled.continues:
        return replace(compiled, continues=text)
    if not text.startswith(compiled.continues):
        raise ContradictionError(f"what is to be continued does not begin with {compiled.continues!r}")
    grammar = compiled.grammar
    left = text[len(compiled.continues) :]
    try:
        try:
            grammar = grammar_after(grammar, left, budget)
        except CannotFollowError:
            # Schemas are enforced in the usual spelling, without space between the values.
            spaceless = _without_space(left)
            if spaceless == left or not any(part.kind is ConstraintKind.JSON_SCHEMA for part in compiled.parts):
                raise
            grammar = grammar_after(grammar, spaceless, budget)
    except CannotFollowError as error:
        raise ContradictionError(
            f"no text that satisfies the constraints and is enforced begins with the text to continue: after "
            f"{left[: error.offset][-_SHOWN_CHARACTERS:]!r} it cannot go on with "
            f"{left[error.offset :][:_SHOWN_CHARACTERS]!r}; continue another text, or relax the constraints"
        ) from None
    return replace(compiled, grammar=grammar, continues=text)


def grammar_after(grammar: EngineGrammar, text: str, budget: Budget | None = None) -> EngineGrammar:
    """The grammar of what comes after `text` in the texts of a grammar. Raises as rest_after()."""
    allowed = budget or Budget()

    def work() -> EngineGrammar:
        rest = cfg_to_lark(_rest_after(grammar, text, allowed), allowed)
        check_grammar(rest, allowed, ENGINE_LIMITS)
        return replace(rest, options=grammar.options)

    try:
        return run_with_big_stack(work)
    except GuidanceError as error:
        raise error.for_caller("what comes after the text to continue", LimitExceededError) from None


def rest_after(grammar: EngineGrammar, text: str, budget: Budget | None = None) -> Cfg:
    """What comes after `text` in the texts of a grammar, to be worked on.

    Raises CannotFollowError if no text of the grammar begins so, LimitExceededError, and TimedOutError.
    """
    allowed = budget or Budget()
    return run_with_big_stack(lambda: _rest_after(grammar, text, allowed))


def _rest_after(grammar: EngineGrammar, text: str, budget: Budget) -> Cfg:
    lowered = lower_grammar(engine_text(grammar), None, "the enforced grammar", budget)
    try:
        try:
            return left_quotient(lowered.cfg, text, budget.construction())
        except CannotFollowError:
            if lowered.whole is None:
                raise
            return left_quotient(lowered.whole, text, budget.construction())
    except OverBudgetError:
        raise LimitExceededError(
            "what may come after the text to continue takes too much work to find out; continue a shorter one, or "
            "simplify the constraints"
        ) from None


def _without_space(json: str) -> str:
    """The beginning of a JSON text without the space between its values."""
    return _STRING_OR_SPACE.sub(lambda found: found[0] if found[0].startswith('"') else "", json)
