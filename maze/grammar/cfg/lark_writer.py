"""A context-free grammar to Lark text for llguidance 1.0.1 and later."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from maze.errors import LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import chain_is_longer
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Production, Symbol, Terminal, one_of
from maze.grammar.cfg.recursion import recursion_of, with_direct_recursion
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
MAX_TERMINAL_PARTS = 5_000
"""Most terminals that automata and deep expressions are written as; llguidance takes 0.1 s for them."""

_FOLD_FROM = 8
"""Alternatives of one literal each that are folded into one terminal from this number on."""


def cfg_to_lark(cfg: Cfg, budget: Budget) -> EngineGrammar:
    """The Lark rules that accept exactly the texts of a grammar.

    Raises LimitExceededError where llguidance could not work with them.
    """
    return EngineGrammar(rules_within(cfg, "start", Names(("start",)), budget))


def rules_within(cfg: Cfg, start: str, names: Names, budget: Budget) -> str:
    """Lark rules for a text that has others beside them, and has the names that are taken: `start` is all of them.

    Raises as cfg_to_lark().
    """
    budget.spend(8 * sum(1 + len(rhs) for productions in cfg.rules.values() for rhs in productions))
    return _Writer(with_direct_recursion(cfg), start, names, budget).write()


class Names:
    """Valid Lark names, one for each thing, that still remind of the caller's."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
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

    def __init__(self, cfg: Cfg, start: str, names: Names, budget: Budget) -> None:
        self._cfg = cfg
        self._start = start
        self._budget = budget
        self._rule_names = {name: names.new(name, upper=False) for name in cfg.rules}
        self._names = names
        self._terminal_names: dict[Terminal, str] = {}
        self._terminals: list[str] = []
        self._rules: list[str] = []
        self._references: dict[str, list[str]] = {}
        self._nodes = 0
        self._written = 0
        self._part_depths: dict[str, int] = {}
        """By part of a terminal: how many parts refer to each other in a chain."""

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
        return f"{self._start}: {start}\n" + "".join(self._rules) + "".join(self._terminals)

    def _write_rule(self, name: str, productions: tuple[Production, ...]) -> None:
        """One rule; recursion at the ends of its productions becomes repetition, which engines read in one step."""
        recursion = recursion_of(name, productions)
        before, others, after, between = recursion.before, recursion.others, recursion.after, recursion.between
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
            self._define(name, to_terminal(symbol.language, self._define_part))
        return self._terminal_names[symbol]

    def _define(self, name: str, body: str) -> str:
        self._terminals.append(f"{name}: {body}\n")
        self._budget.spend(len(self._terminals[-1]))
        return name

    def _define_part(self, body: str) -> str:
        """A terminal that is part of others."""
        depth = 1 + max((self._part_depths.get(word, 0) for word in re.findall(r"\w+", body)), default=0)
        for number, limit, what in (
            (len(self._part_depths), MAX_TERMINAL_PARTS, "parts"),
            (depth, MAX_DEPTH, "parts that refer to each other in a chain"),
        ):
            if number > limit:
                raise LimitExceededError(
                    f"a pattern in the grammar has over {limit:,} {what}, as written for the engine, which is the "
                    "limit; make it simpler"
                )
        name = self._names.new("part", upper=True)
        self._part_depths[name] = depth
        return self._define(name, body)


def _folded(productions: list[Production]) -> list[Production]:
    """The same alternatives, those of one literal each as one terminal if they are many."""
    if len(productions) < _FOLD_FROM:
        return list(dict.fromkeys(productions))
    single = [rhs[0] for rhs in productions if len(rhs) == 1 and isinstance(rhs[0], Literal)]
    if len(single) < _FOLD_FROM:
        return list(dict.fromkeys(productions))
    folded = one_of(symbol.text for symbol in single if isinstance(symbol, Literal))
    rest = [rhs for rhs in productions if not (len(rhs) == 1 and isinstance(rhs[0], Literal))]
    return [(folded,), *dict.fromkeys(rest)]


def _quoted(text: str) -> str:
    """A text as a Lark string; llguidance refuses some characters unless they are escaped."""
    if text.isprintable():
        return _IN_QUOTES(text)
    return "".join(['"', *(json.dumps(c, ensure_ascii=not c.isprintable())[1:-1] for c in text), '"'])


_IN_QUOTES = json.JSONEncoder(ensure_ascii=False).encode
