"""Recursion brought to where it can be written, drawn and read as repetition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from maze.grammar.cfg.model import Cfg, Nonterminal, Production, Symbol

_MAX_MERGED = 200
"""Most symbols that putting a rule into its one place may repeat."""


@dataclass(frozen=True, slots=True)
class Recursion:
    """A rule as repetition: items `before* others after*`, and if there is something `between`, that between items."""

    before: list[Production]
    others: list[Production]
    after: list[Production]
    between: list[Production]


def recursion_of(name: str, productions: tuple[Production, ...]) -> Recursion:
    """Take the recursion at the ends of the productions of a rule out of them.

    The texts of `a: z a | a d | a g a | b` are items `z* b d*` with `g` between them.
    """
    myself = Nonterminal(name)
    found = Recursion([], [], [], [])
    for production in productions:
        if production == (myself,):
            continue
        begins = bool(production) and production[0] == myself
        ends = len(production) > 1 and production[-1] == myself
        if begins and ends:
            found.between.append(production[1:-1])
        elif begins:
            found.after.append(production[1:])
        elif ends:
            found.before.append(production[:-1])
        else:
            found.others.append(production)
    return found


def with_direct_recursion(cfg: Cfg, begun_at: Collection[str] = ()) -> Cfg:
    """The same language, with rules replaced by their one production where that is no longer than the reference.

    Rules that others begin at stay, as the start does.

    That takes chains of rules, and the depth of recursion with them, out of the text, and brings recursion through a
    rule of its own (`expression: binary` and `binary: expression op expression`) to where it can be repetition.
    """
    roots = {cfg.start, *begun_at}
    uses = Counter(symbol.name for symbol in cfg.symbols() if isinstance(symbol, Nonterminal))
    single = {
        name: productions[0]
        for name, productions in cfg.rules.items()
        if name not in roots and len(productions) == 1 and (uses[name] == 1 or len(productions[0]) <= 1)
    }
    _without_cycles(single)

    def body(production: Production) -> Production:
        if not any(isinstance(symbol, Nonterminal) and symbol.name in single for symbol in production):
            return production
        flat: list[Symbol] = []
        todo: list[Symbol] = list(reversed(production))
        while todo:
            symbol = todo.pop()
            if isinstance(symbol, Nonterminal) and symbol.name in single:
                todo += reversed(single[symbol.name])
            else:
                flat.append(symbol)
        return tuple(flat)

    rules = {
        name: tuple(dict.fromkeys(map(body, productions)))
        for name, productions in cfg.rules.items()
        if name not in single
    }
    return Cfg(cfg.start, _merged(roots, rules))


def with_repetition(cfg: Cfg) -> Cfg:
    """The same language, with recursion at the ends of rules read in one way only, as it is written for engines.

    `e: e op e | x` reads `x op x op x` in two ways, and a longer text in so many that what is left of it grows with its
    square; `e: x rest` and `rest: "" | op x rest` read it in one.
    """
    cfg = with_direct_recursion(cfg)
    rules: dict[str, tuple[Production, ...]] = {}

    def part(name: str, productions: Iterable[Production], *, again: bool) -> Nonterminal:
        """A rule of its own; one that comes any number of times if it is to come `again`."""
        while name in rules or name in cfg.rules:
            name += "'"
        made = Nonterminal(name)
        rules[name] = ((), *((*each, made) for each in productions)) if again else tuple(productions)
        return made

    for name, productions in cfg.rules.items():
        recursion = recursion_of(name, productions)
        before = (part(f"{name} [before]", recursion.before, again=True),) if recursion.before else ()
        after = (part(f"{name} [after]", recursion.after, again=True),) if recursion.after else ()
        items = tuple((*before, *each, *after) for each in recursion.others)
        if recursion.between:
            item = part(f"{name} [item]", items, again=False)
            others = part(f"{name} [others]", [(*each, item) for each in recursion.between], again=True)
            items = ((item, others),)
        rules[name] = items
    return Cfg(cfg.start, rules)


def _merged(roots: Collection[str], rules: dict[str, tuple[Production, ...]]) -> dict[str, tuple[Production, ...]]:
    """The same language, with rules put into the one place that refers to them where that makes recursion direct.

    `t: "," u` and `u: i t | i i t` become `t: "," i t | "," i i t`, which can be written as repetition.
    """
    uses: Counter[str] = Counter()
    user: dict[str, str] = {}
    for name, productions in rules.items():
        used = [symbol.name for rhs in productions for symbol in rhs if isinstance(symbol, Nonterminal)]
        uses.update(used)
        user.update(dict.fromkeys(used, name))
    merged = dict(rules)
    into: dict[str, str] = {}
    for inner in rules:
        if uses[inner] != 1 or inner in roots:
            continue
        outer = user[inner]
        while outer in into:
            outer = into[outer]
        if outer == inner:
            continue
        options = merged[inner]
        place = next(rhs for rhs in merged[outer] if Nonterminal(inner) in rhs)
        at = place.index(Nonterminal(inner))
        ends = at == len(place) - 1 and any(rhs and rhs[-1] == Nonterminal(outer) for rhs in options)
        begins = at == 0 and any(rhs and rhs[0] == Nonterminal(outer) for rhs in options)
        if not (ends or begins) or len(place) * len(options) > _MAX_MERGED:
            continue
        for symbol in place:
            if isinstance(symbol, Nonterminal):
                uses[symbol.name] += len(options) - 1
        merged[outer] = tuple(
            dict.fromkeys(
                production
                for rhs in merged[outer]
                for production in (
                    [(*rhs[:at], *option, *rhs[at + 1 :]) for option in options] if rhs == place else [rhs]
                )
            )
        )
        del merged[inner]
        into[inner] = outer
    return merged


def _without_cycles(single: dict[str, Production]) -> None:
    """Take one rule out of `single` for each circle of references within it."""
    state: dict[str, int] = {}
    for root in list(single):
        if root in state:
            continue
        stack = [(root, iter(single[root]))]
        state[root] = 1
        while stack:
            name, symbols = stack[-1]
            for symbol in symbols:
                if not isinstance(symbol, Nonterminal) or symbol.name not in single:
                    continue
                if state.get(symbol.name) == 1:
                    del single[symbol.name]
                    state[symbol.name] = 2
                elif symbol.name not in state:
                    state[symbol.name] = 1
                    stack.append((symbol.name, iter(single[symbol.name])))
                    break
            else:
                state[name] = 2
                stack.pop()
