"""What is left of a grammar once its texts are given in part: from the beginning, to the end, or both.

The functions are to be called on a big stack, as expressions may be deep. That no terminal of a grammar accepts nothing
is taken for granted, as everywhere.
"""

from __future__ import annotations

from maze.grammar.budget import Construction
from maze.grammar.cfg.analysis import reachable
from maze.grammar.cfg.earley import CannotFollowError, Chart, Goal, recognise
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Symbol, Terminal, references_of
from maze.grammar.pattern.reversal import reversed_expression

__all__ = ["CannotFollowError", "between", "left_quotient", "rest_of", "right_quotient"]


def left_quotient(cfg: Cfg, prefix: str, budget: Construction) -> Cfg:
    """The texts that make a text of the grammar when they come after `prefix`; safe for a longest-match lexer.

    Raises CannotFollowError if there are none, and OverBudgetError.
    """
    return rest_of(recognise(cfg, prefix, budget))


def right_quotient(cfg: Cfg, suffix: str, budget: Construction) -> Cfg:
    """The texts that make a text of the grammar when `suffix` comes after them; safe for a longest-match lexer.

    Raises CannotFollowError if there are none, its offset that of the last character that is not before the rest of
    `suffix` in any text, and OverBudgetError.
    """
    try:
        return _reversed(left_quotient(_reversed(cfg, budget), suffix[::-1], budget), budget)
    except CannotFollowError as error:
        raise CannotFollowError(len(suffix) - 1 - error.offset) from None


def between(cfg: Cfg, prefix: str, suffix: str, budget: Construction) -> Cfg:
    """The texts that make a text of the grammar when they stand between `prefix` and `suffix`.

    Raises as left_quotient() and right_quotient(): for `suffix` if none of the texts that begin with `prefix` ends so.
    """
    return right_quotient(left_quotient(cfg, prefix, budget), suffix, budget)


def rest_of(chart: Chart) -> Cfg:
    """What may come after the text that has been read: what is left of the rules that it has begun, and all rules."""
    tables = chart.tables
    if chart.offset == 0:
        return tables.cfg
    start: Goal = (tables.start, 0)
    rests: dict[Goal, dict[Production, None]] = {start: {}}
    todo = [start]

    def add(goal: Goal, production: Production) -> None:
        goal = chart.outermost(goal)
        if goal not in rests:
            rests[goal] = {}
            todo.append(goal)
        rests[goal][production] = None

    # A rest that may be empty is one way to go on already, so that it is not skipped as well.
    inside, may_end = chart.finish(chart.arrived, skip_empty=False)
    if may_end:
        rests[start][()] = None
    for slot, began in inside:
        add((tables.rule[slot], began), tables.rest(slot))
    for (slot, began, state), states in chart.begun.items():
        if (terminal := states.rest(state)) is not None:
            add((tables.rule[slot], began), (terminal, *tables.rest(slot + 1)))
    names = _RestNames(tables.names)
    while todo:
        goal = todo.pop()
        for slot, began in chart.waiters(goal):
            add((tables.rule[slot], began), (Nonterminal(names[goal]), *tables.rest(slot)))
    begun = {names[goal]: tuple(productions) for goal, productions in rests.items()}
    rules = {**_without_units(names[start], begun), **tables.cfg.rules}
    kept = reachable(names[start], _References(rules))
    return Cfg(names[start], {name: productions for name, productions in rules.items() if name in kept})


class _References(dict[str, list[str]]):
    """By rule: the rules in its productions, worked out for those that are asked for."""

    def __init__(self, rules: dict[str, tuple[Production, ...]]) -> None:
        self._rules = rules

    def __missing__(self, name: str) -> list[str]:
        return references_of(self._rules[name])


class _RestNames(dict[Goal, str]):
    """Names for the rests of rules: the rule's, and in brackets where it began."""

    def __init__(self, taken: list[str]) -> None:
        self._rules = taken
        self._taken = set(taken)

    def __missing__(self, goal: Goal) -> str:
        rule, began = goal
        name = f"{self._rules[rule]}[{began}:]"
        while name in self._taken:
            name += "'"
        self._taken.add(name)
        self[goal] = name
        return name


def _without_units(start: str, rules: dict[str, tuple[Production, ...]]) -> dict[str, tuple[Production, ...]]:
    """The rules of rests without those that are just another symbol."""
    units = {
        name: productions[0][0]
        for name, productions in rules.items()
        if name != start and len(productions) == 1 and len(productions[0]) == 1
    }

    def meant(symbol: Symbol) -> Symbol:
        while isinstance(symbol, Nonterminal) and symbol.name in units:
            symbol = units[symbol.name]
        return symbol

    return {
        name: tuple(dict.fromkeys(tuple(map(meant, production)) for production in productions))
        for name, productions in rules.items()
        if name not in units
    }


def _reversed(cfg: Cfg, budget: Construction) -> Cfg:
    """The texts of the grammar, each written backwards."""
    terminals: dict[Terminal, Terminal] = {
        terminal: Literal(terminal.text[::-1])
        if isinstance(terminal, Literal)
        else Pattern(terminal.name, reversed_expression(terminal.language, budget))
        for terminal in cfg.terminals()
    }
    return Cfg(
        cfg.start,
        {
            name: tuple(
                tuple(
                    symbol if isinstance(symbol, Nonterminal) else terminals[symbol] for symbol in reversed(production)
                )
                for production in productions
            )
            for name, productions in cfg.rules.items()
        },
    )
