"""What can be known about a context-free grammar without a text: which rules are empty, unreachable, nullable.

Everything here works with work lists and ends in time proportional to the size of the grammar, whatever its depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from maze.errors import ContradictionError
from maze.grammar.cfg.model import Cfg, Nonterminal, Production, Terminal


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


def edge_masks(
    rules: Mapping[str, Sequence[Production]], masks: Mapping[Terminal, int], empty: set[str], *, backwards: bool
) -> dict[str, int]:
    """For each rule the terminals with which its texts begin, or end if `backwards`, as the union of their masks."""
    found = dict.fromkeys(rules, 0)
    users: dict[str, set[str]] = {}
    for name, productions in rules.items():
        for production in productions:
            for symbol in reversed(production) if backwards else production:
                if not isinstance(symbol, Nonterminal):
                    found[name] |= masks[symbol]
                    break
                users.setdefault(symbol.name, set()).add(name)
                if symbol.name not in empty:
                    break
    todo = list(rules)
    while todo:
        name = todo.pop()
        for user in users.get(name, ()):
            if found[user] | found[name] != found[user]:
                found[user] |= found[name]
                todo.append(user)
    return found


def following_masks(cfg: Cfg, masks: Mapping[Terminal, int]) -> dict[Terminal, int]:
    """For each terminal what can come after it in a text of the grammar; `masks` say with what each terminal begins."""
    empty = nullable(cfg.rules)
    firsts = edge_masks(cfg.rules, masks, empty, backwards=False)
    after: dict[Terminal | Nonterminal, int] = {}
    ends: dict[str, set[Terminal | Nonterminal]] = {}
    for name, productions in cfg.rules.items():
        for production in productions:
            ahead = 0
            at_end = True
            for symbol in reversed(production):
                after[symbol] = after.get(symbol, 0) | ahead
                if at_end:
                    ends.setdefault(name, set()).add(symbol)
                if not isinstance(symbol, Nonterminal):
                    ahead, at_end = masks[symbol], False
                elif symbol.name in empty:
                    ahead |= firsts[symbol.name]
                else:
                    ahead, at_end = firsts[symbol.name], False
    todo = list(cfg.rules)
    while todo:
        name = todo.pop()
        beyond = after.get(Nonterminal(name), 0)
        for symbol in ends.get(name, ()):
            if after.get(symbol, 0) | beyond != after.get(symbol, 0):
                after[symbol] = after.get(symbol, 0) | beyond
                if isinstance(symbol, Nonterminal):
                    todo.append(symbol.name)
    return {symbol: mask for symbol, mask in after.items() if not isinstance(symbol, Nonterminal)}


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
    kept = {cfg.start}
    todo = [cfg.start]
    while todo:
        for production in rules[todo.pop()]:
            for symbol in production:
                if isinstance(symbol, Nonterminal) and symbol.name not in kept:
                    kept.add(symbol.name)
                    todo.append(symbol.name)
    return Cfg(cfg.start, {name: productions for name, productions in rules.items() if name in kept})


def chain_is_longer(limit: int, start: str, references: Mapping[str, Iterable[str]]) -> bool:
    """Whether going through the references depth first, each rule once, gets deeper than `limit`."""
    seen = {start}
    stack = [iter(references[start])]
    while stack:
        following = next((name for name in stack[-1] if name not in seen), None)
        if following is None:
            stack.pop()
            continue
        if len(stack) == limit:
            return True
        seen.add(following)
        stack.append(iter(references[following]))
    return False


_NAMES_IN_A_WARNING = 10


def without_dead_rules(cfg: Cfg, path: str, written: Iterable[str], because: str = "") -> tuple[Cfg, list[str]]:
    """The grammar without what describes no text, and warnings that name it.

    `written` are the names of the rules that the caller wrote; `because` is added where rules describe no text. Raises
    ContradictionError if the grammar describes no text at all.
    """
    warnings = []
    alive = productive(cfg.rules)
    empty = [name for name in written if name in cfg.rules and name not in alive]
    if cfg.start not in alive:
        others = [name for name in empty if name != cfg.start]
        raise ContradictionError(
            f"{path}: no text at all can be made from the start symbol {cfg.start!r}{because}; every way through its "
            f"productions needs something that never ends{f', such as {listed(others)}' if others else ''}"
        )
    if empty:
        warnings.append(f"{path}: no text can be made from {listed(empty)}{because}; productions with it are left out")
    return pruned(cfg), warnings


def unreachable_warnings(start: str, references: Mapping[str, Iterable[str]], path: str) -> list[str]:
    """A warning that names the rules to which nothing leads from `start`, if there are any."""
    found = {start}
    todo = [start]
    while todo:
        for name in references[todo.pop()]:
            if name not in found:
                found.add(name)
                todo.append(name)
    unused = [name for name in references if name not in found]
    return [f"{path}: nothing leads from the start symbol {start!r} to {listed(unused)}"] if unused else []


def listed(names: Sequence[str]) -> str:
    """The names of rules for a message, the first of them if they are many."""
    shown = ", ".join(map(repr, names[:_NAMES_IN_A_WARNING]))
    more = f" and {len(names) - _NAMES_IN_A_WARNING:,} more" if len(names) > _NAMES_IN_A_WARNING else ""
    return f"{'rules' if len(names) > 1 else 'rule'} {shown}{more}"
