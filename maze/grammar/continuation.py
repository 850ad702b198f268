"""What may come after the beginning of a text, and how it ends soon: the left quotient of the enforced grammar."""

from __future__ import annotations

from dataclasses import dataclass, replace

from maze.compiled import CompiledConstraints, EngineGrammar
from maze.errors import ContradictionError, LimitExceededError
from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg
from maze.grammar.cfg.packing import unpacked
from maze.grammar.cfg.quotient import CannotFollowError, left_quotient
from maze.grammar.cfg.recursion import with_repetition
from maze.grammar.cfg.short_endings import short_endings
from maze.grammar.cfg.shortest import ShortestTexts
from maze.grammar.continued_json import rest_of_json
from maze.grammar.llguidance import ENGINE_LIMITS, GuidanceError, check_grammar, is_bearable
from maze.outcome import ConstraintKind
from maze.threads import run_with_big_stack

MAX_CONTINUATION_STEPS = 1_000_000
"""Most steps that reading a text and finding what comes after it may take: a few seconds, for 300 KB of a text."""

__all__ = ["CannotFollowError", "Rest", "after", "rest_after"]

_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Rest:
    """What the enforced grammar leaves of its texts after their beginning. The methods are for any thread."""

    shortest: str
    """The shortest ending; empty if the beginning is a text of the grammar already."""
    _cfg: Cfg
    _begun: frozenset[str]
    """The rules that are parts of others."""
    _texts: ShortestTexts
    """Of the grammar."""
    _budget: Budget
    _work: Construction

    def grammar(self) -> EngineGrammar:
        """All of it. Raises LimitExceededError where engines could not work with it, and TimedOutError."""
        return run_with_big_stack(lambda: _written(self._cfg, self._budget))

    def grammar_of_short_endings(self, tokens: int) -> EngineGrammar:
        """That part of it which ends within about so many tokens. Raises as grammar()."""

        def find() -> EngineGrammar:
            try:
                return _written(short_endings(self._cfg, self._begun, tokens, self._texts, self._work), self._budget)
            except OverBudgetError:
                raise _too_much_work() from None

        return run_with_big_stack(find)


def rest_after(compiled: CompiledConstraints, text: str, budget: Budget) -> Rest | None:
    """What may come after `text`; None where nothing is enforced by a grammar.

    Raises CannotFollowError if no text of the enforced grammar begins so, LimitExceededError, and TimedOutError.
    """
    if not compiled.packed_grammar:
        return None

    def find() -> Rest:
        cfg = with_repetition(unpacked(compiled.packed_grammar))
        try:
            work = budget.construction(MAX_CONTINUATION_STEPS)
            try:
                rest = left_quotient(cfg, text, work)
            except CannotFollowError as error:
                if all(part.kind is not ConstraintKind.JSON_SCHEMA for part in compiled.parts):
                    raise
                try:
                    rest = rest_of_json(cfg, text, work)
                except CannotFollowError:
                    raise error from None
            texts = ShortestTexts(rest, work)
            shortest = texts.of(rest.start)
        except OverBudgetError:
            raise _too_much_work() from None
        if shortest is None:
            raise CannotFollowError(len(text))
        return Rest(shortest, rest, frozenset(rest.rules.keys() - cfg.rules.keys()), texts, budget, work)

    return run_with_big_stack(find)


def after(compiled: CompiledConstraints, text: str, budget: Budget | None = None) -> CompiledConstraints:
    """The same constraints, with the grammar of what comes after `text`; the parts stay about the whole.

    Raises ContradictionError if no text of the grammar begins so, LimitExceededError if that cannot be found out, and
    TimedOutError.
    """
    if text == compiled.continues:
        return compiled
    try:
        rest = rest_after(compiled, text, budget or Budget())
    except CannotFollowError as error:
        raise ContradictionError(
            f"no text that satisfies the constraints and is enforced begins with the text to continue: after "
            f"{text[: error.offset][-_SHOWN_CHARACTERS:]!r} it cannot go on with "
            f"{text[error.offset :][:_SHOWN_CHARACTERS]!r}; continue another text, or relax the constraints"
        ) from None
    if rest is None:
        return replace(compiled, continues=text)
    options = compiled.grammar.options if compiled.grammar else ()
    return replace(compiled, grammar=replace(rest.grammar(), options=options), continues=text)


def _written(cfg: Cfg, budget: Budget) -> EngineGrammar:
    grammar = cfg_to_lark(cfg, budget)
    try:
        check_grammar(grammar, budget, ENGINE_LIMITS)
    except GuidanceError as error:
        raise error.for_caller("what comes after the text to continue", LimitExceededError) from None
    if not is_bearable(grammar, budget):
        # Of a grammar that reads a text in many ways much can be left, and engines that give up go on without it.
        raise LimitExceededError(
            "what comes after the text to continue makes too large a grammar for an engine; continue a shorter one, or "
            "write the grammar so that it reads a text in one way only"
        )
    return grammar


def _too_much_work() -> LimitExceededError:
    return LimitExceededError(
        "what may come after the text to continue takes too much work to find out; continue a shorter one, or "
        "simplify the constraints"
    )
