"""What can be known about a context-free grammar without a text: which rules are empty, unreachable, nullable.

Everything here works with work lists and ends in time proportional to the size of the grammar, whatever its depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from maze.grammar.symbols import Cfg, Nonterminal, Production


def reachable(start: str, rules: Mapping[str, Sequence[Production]]) -> set[str]:
    """Names of the rules that `start` leads to, itself included."""
    found = {start}
    todo = [start]
    while todo:
        for production in rules[todo.pop()]:
            for symbol in production:
                if isinstance(symbol, Nonterminal) and symbol.name not in found:
                    found.add(symbol.name)
                    todo.append(symbol.name)
    return found


def productive(rules: Mapping[str, Iterable[Production]]) -> set[str]:
    """Names of the rules that describe at least one text."""
    return _grounded(rules, terminals_count=True)


def nullable(rules: Mapping[str, Iterable[Production]]) -> set[str]:
    """Names of the rules that describe the empty text, perhaps among others."""
    return _grounded(rules, terminals_count=False)


def _grounded(rules: Mapping[str, Iterable[Production]], *, terminals_count: bool) -> set[str]:
    """Names of the rules with a production all of whose symbols are grounded; terminals are if they count."""
    missing: list[int] = []
    heads: list[str] = []
    waiting: dict[str, list[int]] = {}
    found: set[str] = set()
    todo: list[str] = []
    for name, productions in rules.items():
        for production in productions:
            needs = [symbol.name for symbol in production if isinstance(symbol, Nonterminal)]
            if len(needs) < len(production) and not terminals_count:
                continue
            for needed in needs:
                waiting.setdefault(needed, []).append(len(missing))
            missing.append(len(needs))
            heads.append(name)
            if not needs and name not in found:
                found.add(name)
                todo.append(name)
    while todo:
        for index in waiting.get(todo.pop(), ()):
            missing[index] -= 1
            if missing[index] == 0 and heads[index] not in found:
                found.add(heads[index])
                todo.append(heads[index])
    return found


def pruned(cfg: Cfg) -> Cfg:
    """The same grammar without productions that describe no text, and without rules that cannot be reached.

    A start rule that describes no text is left with no productions.
    """
    alive = productive(cfg.rules)
    rules = {
        name: tuple(
            production
            for production in productions
            if all(not isinstance(symbol, Nonterminal) or symbol.name in alive for symbol in production)
        )
        for name, productions in cfg.rules.items()
        if name in alive or name == cfg.start
    }
    kept = reachable(cfg.start, rules)
    return Cfg(cfg.start, {name: productions for name, productions in rules.items() if name in kept})
