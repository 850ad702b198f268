"""A context-free grammar to Lark text for llguidance 1.0.1 and later."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable

from maze.errors import LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import chain_is_longer
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Production, Symbol, Terminal, one_of
from maze.grammar.pattern.printer import to_terminal
from maze.types import EngineGrammar

MAX_DEPTH = 500
"""Longest chain of references between rules. llguidance (1.0.1, 1.7 and 1.9 alike) recurses over them when it compiles:
on a stack of 8 MB, which a llama.cpp server has, 1,700 to 2,700 overflow it."""
MAX_NODES = 60_000
"""Most rules, alternatives and literal texts together; llguidance panics at 65,525 symbols of its own."""
MAX_WRITTEN_SYMBOLS = 400_000
"""Most symbols on all right-hand sides as written; llguidance refuses 500,000."""
MAX_ALTERNATIVES = 1_800
"""Most alternatives of one rule after folding; llguidance fails while decoding over 2,000 items at one place."""

_MAX_MERGED = 200
"""Most symbols that putting a rule into its one place may repeat."""
_FOLD_FROM = 8
"""Alternatives of one literal each that are folded into one terminal from this number on."""


def cfg_to_lark(cfg: Cfg, budget: Budget) -> EngineGrammar:
    """The Lark rules that accept exactly the texts of a grammar.

    Raises LimitExceededError where llguidance could not work with them.
    """
    budget.spend(8 * sum(1 + len(rhs) for productions in cfg.rules.values() for rhs in productions))
    return EngineGrammar(_Writer(_inlined(cfg), budget).write())


# ------------------------------------------------------------------------------------------------ shape


def _inlined(cfg: Cfg) -> Cfg:
    """The same language, with rules replaced by their one production where that is no longer than the reference.

    That takes chains of rules, and the depth of recursion with them, out of the text, and brings recursion through a
    rule of its own (`expression: binary` and `binary: expression op expression`) to where it can be repetition.
    """
    uses = Counter(symbol.name for symbol in cfg.symbols() if isinstance(symbol, Nonterminal))
    single = {
        name: productions[0]
        for name, productions in cfg.rules.items()
        if name != cfg.start and len(productions) == 1 and (uses[name] == 1 or len(productions[0]) <= 1)
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
    return Cfg(cfg.start, _with_direct_recursion(cfg.start, rules))


def _with_direct_recursion(start: str, rules: dict[str, tuple[Production, ...]]) -> dict[str, tuple[Production, ...]]:
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
        if uses[inner] != 1 or inner == start:
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


# ------------------------------------------------------------------------------------------------ text


class _Names:
    """Valid Lark names, one for each thing, that still remind of the caller's."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self._taken = set(reserved)
        self._next: dict[str, int] = {}

    def new(self, wanted: str, *, upper: bool) -> str:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", wanted).strip("_")[:40] or "x"
        plain = f"x_{plain}" if plain[0].isdigit() else plain
        plain = plain.upper() if upper else plain.lower()
        name = plain
        while name in self._taken:
            self._next[plain] = number = self._next.get(plain, 1) + 1
            name = f"{plain}_{number}"
        self._taken.add(name)
        return name


class _Writer:
    """Writes one grammar: rules as they come, direct recursion as repetition, patterns as named terminals."""

    def __init__(self, cfg: Cfg, budget: Budget) -> None:
        self._cfg = cfg
        self._budget = budget
        names = _Names(("start",))
        self._rule_names = {name: names.new(name, upper=False) for name in cfg.rules}
        self._names = names
        self._terminal_names: dict[Terminal, str] = {}
        self._terminals: list[str] = []
        self._rules: list[str] = []
        self._references: dict[str, list[str]] = {}
        self._nodes = 0
        self._written = 0

    def write(self) -> str:
        for name, productions in self._cfg.rules.items():
            self._write_rule(name, productions)
        start = self._rule_names[self._cfg.start]
        # An engine goes through the references depth first, in this order.
        if chain_is_longer(MAX_DEPTH, start, self._references):
            raise LimitExceededError(
                f"the rules of the grammar refer to each other in a chain of over {MAX_DEPTH:,}, which is the limit; "
                "make the chain shorter"
            )
        return f"start: {start}\n" + "".join(self._rules) + "".join(self._terminals)

    def _write_rule(self, name: str, productions: tuple[Production, ...]) -> None:
        """One rule. Every recursion at the ends of its productions becomes repetition, which engines read in one step.

        The texts of `a: z a | a d | a g a | b` are items `z* b d*` with `g` between them.
        """
        myself = Nonterminal(name)
        before: list[Production] = []
        after: list[Production] = []
        between: list[Production] = []
        others: list[Production] = []
        for production in productions:
            if production == (myself,):
                continue
            begins = bool(production) and production[0] == myself
            ends = len(production) > 1 and production[-1] == myself
            if begins and ends:
                between.append(production[1:-1])
            elif begins:
                after.append(production[1:])
            elif ends:
                before.append(production[:-1])
            else:
                others.append(production)
        self._count(name, productions)
        own = self._rule_names[name]
        item = " ".join(
            part
            for part in (
                self._alternatives(before) + "*" if before else "",
                self._alternatives(others, bare=not (before or after))
                if others != [()] or not (before or after)
                else "",
                self._alternatives(after) + "*" if after else "",
            )
            if part
        )
        if between:
            item_name = self._names.new(f"{name} item", upper=False)
            self._add_rule(item_name, item, [*before, *others, *after])
            reference = Nonterminal(item_name)
            self._rule_names[item_name] = item_name
            item = f"{item_name} {self._alternatives([(*separator, reference) for separator in between])}*"
            self._add_rule(own, item, [(reference,), *between])
        else:
            self._add_rule(own, item, [*before, *others, *after])

    def _count(self, name: str, productions: tuple[Production, ...]) -> None:
        """Keep account of what llguidance will make of a rule, and refuse what would be too much for it."""
        alternatives = _folded(list(productions))
        self._nodes += (
            2 + len(alternatives) + sum(isinstance(symbol, Literal) for rhs in alternatives for symbol in rhs)
        )
        self._written += sum(map(len, alternatives))
        for number, limit, what in (
            (len(alternatives), MAX_ALTERNATIVES, f"alternatives in the rule {name!r}"),
            (self._nodes, MAX_NODES, "rules, alternatives and literal texts, as written for the engine"),
            (self._written, MAX_WRITTEN_SYMBOLS, "symbols on all right-hand sides, as written for the engine"),
        ):
            if number > limit:
                raise LimitExceededError(
                    f"the grammar has over {limit:,} {what}, which is the limit; give a smaller grammar"
                )

    def _add_rule(self, own: str, body: str, productions: Iterable[Production]) -> None:
        self._rules.append(f"{own}: {body}\n")
        self._references[own] = list(
            dict.fromkeys(
                self._rule_names[symbol.name]
                for production in productions
                for symbol in production
                if isinstance(symbol, Nonterminal)
            )
        )

    def _alternatives(self, productions: list[Production], *, bare: bool = False) -> str:
        """The productions as one expression; `bare` leaves out parentheses that nothing follows or precedes."""
        texts = [" ".join(map(self._symbol, production)) for production in _folded(productions) if production]
        optional = len(texts) < len(set(productions)) and () in productions
        if not texts:
            return '""'
        if bare and not optional:
            return "\n  | ".join(texts)
        return f"({' | '.join(texts)})" + ("?" if optional else "")

    def _symbol(self, symbol: Symbol) -> str:
        if isinstance(symbol, Nonterminal):
            return self._rule_names[symbol.name]
        if isinstance(symbol, Literal):
            return _quoted(symbol.text)
        if symbol not in self._terminal_names:
            name = self._names.new(symbol.name, upper=True)
            self._terminal_names[symbol] = name
            self._terminals.append(f"{name}: {to_terminal(symbol.language)}\n")
            self._budget.spend(len(self._terminals[-1]))
        return self._terminal_names[symbol]


def _folded(productions: list[Production]) -> list[Production]:
    """The same alternatives, those of one literal each as one terminal if they are many."""
    single = [rhs[0] for rhs in productions if len(rhs) == 1 and isinstance(rhs[0], Literal)]
    if len(single) < _FOLD_FROM:
        return list(dict.fromkeys(productions))
    folded = one_of(symbol.text for symbol in single if isinstance(symbol, Literal))
    rest = [rhs for rhs in productions if not (len(rhs) == 1 and isinstance(rhs[0], Literal))]
    return [(folded,), *dict.fromkeys(rest)]


def _quoted(text: str) -> str:
    """A text as a Lark string; llguidance refuses some characters unless they are escaped."""
    if text.isprintable():
        return json.dumps(text, ensure_ascii=False)
    return "".join(['"', *(json.dumps(c, ensure_ascii=not c.isprintable())[1:-1] for c in text), '"'])
