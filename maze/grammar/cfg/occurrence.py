"""The texts of a grammar in which a terminal or a rule occurs."""

from __future__ import annotations

from collections.abc import Callable

from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import pruned
from maze.grammar.cfg.model import Cfg, Nonterminal, Production, Symbol


def with_some(cfg: Cfg, counting: Callable[[Symbol], Symbol | None], budget: Budget) -> Cfg | None:
    """The texts of `cfg` with at least one of the symbols that count; None if there are none.

    `counting` gives of a symbol the one with those of its texts that count, None where none does. Each rule that may
    hold such a symbol gets a copy for those of its texts that do.
    """
    found: dict[Symbol, Symbol] = {}
    for symbol in dict.fromkeys(cfg.symbols()):
        if (counts := counting(symbol)) is not None:
            found[symbol] = counts
    users: dict[Symbol, dict[str, None]] = {}
    for name, productions in cfg.rules.items():
        budget.spend(sum(1 + len(production) for production in productions))
        for production in productions:
            for symbol in production:
                users.setdefault(symbol, {})[name] = None
    todo = list(found)
    while todo:
        for name in users.get(todo.pop(), ()):
            holder = Nonterminal(name)
            if holder not in found:
                found[holder] = Nonterminal(f"{name} [with it]")
                todo.append(holder)
    if Nonterminal(cfg.start) not in found:
        return None
    rules = dict(cfg.rules)
    for rule, copy in found.items():
        if isinstance(rule, Nonterminal) and isinstance(copy, Nonterminal) and copy != rule:
            rules[copy.name] = tuple(
                dict.fromkeys(made for production in cfg.rules[rule.name] for made in _with_one(production, found))
            )
    start = found[Nonterminal(cfg.start)]
    return pruned(Cfg(start.name, rules)) if isinstance(start, Nonterminal) else None


def _with_one(production: Production, found: dict[Symbol, Symbol]) -> list[Production]:
    return [
        (*production[:place], found[symbol], *production[place + 1 :])
        for place, symbol in enumerate(production)
        if symbol in found
    ]
