"""What can be known about a context-free grammar without a text: which rules are empty, unreachable, nullable.

Everything here works with work lists and ends in time proportional to the size of the grammar, whatever its depth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from maze.errors import ContradictionError
from maze.grammar.budget import Budget, Construction
from maze.grammar.cfg.model import Cfg, Nonterminal, Production, Terminal, references_of


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


class FirstFollow:
    """FIRST and FOLLOW: what the texts of a rule can begin with, and what can come after them.

    Both are sets of things the caller chooses, such as groups of characters, as bits: `beginnings` says with what each
    terminal begins, `end` is the bit for the end of the whole text.
    """

    def __init__(
        self, cfg: Cfg, beginnings: Mapping[Terminal, int], budget: Budget | Construction, *, end: int = 0
    ) -> None:
        budget.spend(3 * sum(1 + len(rhs) for productions in cfg.rules.values() for rhs in productions))
        self._cfg = cfg
        self._beginnings = beginnings
        self._empty = nullable(cfg.rules)
        self._first = dict.fromkeys(cfg.rules, 0)
        self._follow = dict.fromkeys(cfg.rules, 0)
        self._follow[cfg.start] = end
        begins: dict[str, set[str]] = {}
        ends: dict[str, set[str]] = {}
        for name, productions in cfg.rules.items():
            for production in productions:
                for symbol in production:
                    if not isinstance(symbol, Nonterminal):
                        self._first[name] |= beginnings[symbol]
                        break
                    begins.setdefault(symbol.name, set()).add(name)
                    if symbol.name not in self._empty:
                        break
        _spread(self._first, begins, budget)
        for name, productions in cfg.rules.items():
            for production in productions:
                at_end = True
                for symbol, following in zip(reversed(production), self._after_each(production, 0), strict=True):
                    if isinstance(symbol, Nonterminal):
                        self._follow[symbol.name] |= following
                        if at_end:
                            ends.setdefault(name, set()).add(symbol.name)
                    at_end = at_end and isinstance(symbol, Nonterminal) and symbol.name in self._empty
        _spread(self._follow, ends, budget)
        self.beginning = self._first[cfg.start] | (end if cfg.start in self._empty else 0)
        """What the whole text can begin with."""

    def following(self, name: str, production: Production) -> list[int]:
        """For each symbol of a production of the rule what can come right after it there."""
        return list(self._after_each(production, self._follow[name]))[::-1]

    def after_terminals(self) -> dict[Terminal, int]:
        """For each terminal what can come after it in a text of the grammar."""
        after: dict[Terminal, int] = {}
        for name, productions in self._cfg.rules.items():
            for production in productions:
                for symbol, following in zip(production, self.following(name, production), strict=True):
                    if not isinstance(symbol, Nonterminal):
                        after[symbol] = after.get(symbol, 0) | following
        return after

    def _after_each(self, production: Production, after: int) -> Iterator[int]:
        """What can come after each symbol, from the last to the first, if `after` can come after the production."""
        for symbol in reversed(production):
            yield after
            if not isinstance(symbol, Nonterminal):
                after = self._beginnings[symbol]
            elif symbol.name in self._empty:
                after |= self._first[symbol.name]
            else:
                after = self._first[symbol.name]


def _spread(sets: dict[str, int], to: Mapping[str, Collection[str]], budget: Budget | Construction) -> None:
    """Add each set to those that it goes `to`, until nothing is new."""
    todo = list(sets)
    while todo:
        name = todo.pop()
        others = to.get(name, ())
        budget.spend(1 + len(others) * (1 + sets[name].bit_length() // 1024))
        for other in others:
            if sets[other] | sets[name] != sets[other]:
                sets[other] |= sets[name]
                todo.append(other)


def pruned(cfg: Cfg, alive: Collection[str] | None = None) -> Cfg:
    """The same grammar without productions that describe no text, and without rules that cannot be reached.

    A start rule that describes no text is left with no productions. `alive` are the rules with a text, if known.
    """
    alive = productive(cfg.rules) if alive is None else alive
    rules = cfg.rules
    if len(alive) < len(rules):
        rules = {
            name: tuple(
                production
                for production in productions
                if all(not isinstance(symbol, Nonterminal) or symbol.name in alive for symbol in production)
            )
            for name, productions in rules.items()
            if name in alive or name == cfg.start
        }
    kept = reachable(cfg.start, {name: references_of(productions) for name, productions in rules.items()})
    return Cfg(cfg.start, {name: productions for name, productions in rules.items() if name in kept})


def reachable(start: str, references: Mapping[str, Iterable[str]]) -> set[str]:
    """The names that following the references from `start` leads to."""
    found = {start}
    todo = [start]
    while todo:
        for name in references[todo.pop()]:
            if name not in found:
                found.add(name)
                todo.append(name)
    return found


def circles(rules: Mapping[str, Sequence[Production]]) -> Iterator[list[str]]:
    """The rules, those that refer to each other together, behind those that they refer to (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_names: dict[str, None] = {}
    done: set[str] = set()

    def references(name: str) -> Iterator[str]:
        return iter(references_of(rules[name]))

    for root in rules:
        if root in order:
            continue
        order[root] = lowest[root] = len(order)
        open_names[root] = None
        stack = [(root, references(root))]
        while stack:
            name, others = stack[-1]
            for other in others:
                if other not in order:
                    order[other] = lowest[other] = len(order)
                    open_names[other] = None
                    stack.append((other, references(other)))
                    break
                if other not in done:
                    lowest[name] = min(lowest[name], order[other])
            else:
                stack.pop()
                if stack:
                    lowest[stack[-1][0]] = min(lowest[stack[-1][0]], lowest[name])
                if lowest[name] == order[name]:
                    circle = []
                    while name not in done:
                        member, _ = open_names.popitem()
                        done.add(member)
                        circle.append(member)
                    yield circle[::-1]


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


NAMES_IN_A_WARNING = 10


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
            f"productions needs something that {'has no text or ' if because else ''}never ends"
            f"{f', such as {listed(others)}' if others else ''}"
        ).between((path,))
    if empty:
        warnings.append(f"{path}: no text can be made from {listed(empty)}{because}; productions with it are left out")
    return pruned(cfg, alive), warnings


def unreachable_warnings(start: str, references: Mapping[str, Iterable[str]], path: str) -> list[str]:
    """A warning that names the rules to which nothing leads from `start`, if there are any."""
    found = reachable(start, references)
    unused = [name for name in references if name not in found]
    return [f"{path}: nothing leads from the start symbol {start!r} to {listed(unused)}"] if unused else []


def listed(names: Sequence[str]) -> str:
    """The names of rules for a message, the first of them if they are many."""
    shown = ", ".join(map(repr, names[:NAMES_IN_A_WARNING]))
    more = f" and {len(names) - NAMES_IN_A_WARNING:,} more" if len(names) > NAMES_IN_A_WARNING else ""
    return f"{'rules' if len(names) > 1 else 'rule'} {shown}{more}"
