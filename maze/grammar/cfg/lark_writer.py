"""A context-free grammar to Lark text for llguidance 1.0.1 and later."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence

from maze.compiled import EngineGrammar
from maze.errors import LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import chain_is_longer, pruned
from maze.grammar.cfg.known_rules import NarrowedRules, Rules, WrittenRules, narrowed, patterns_of
from maze.grammar.cfg.model import (
    Cfg,
    Literal,
    Nonterminal,
    Pattern,
    Production,
    Symbol,
    Terminal,
    one_of,
    references_of,
)
from maze.grammar.cfg.recursion import recursion_of, with_direct_recursion
from maze.grammar.pattern.printer import to_terminal
from maze.grammar.pattern.tree import Node, Not

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


def cfg_to_lark_beside(cfg: Cfg, beside: Sequence[NarrowedRules], budget: Budget) -> EngineGrammar:
    """The same for a grammar some of whose rules are known: of these only what changes is written anew."""
    known = {name for each in beside for name in each.known.rules}
    own = {name: productions for name, productions in cfg.rules.items() if name not in known}
    budget.spend(8 * sum(1 + len(rhs) for productions in own.values() for rhs in productions))
    names = Names(("start", *(name for each in beside for name in each.known.written.taken)))
    writer = _Writer(with_direct_recursion(Cfg(cfg.start, own)), "start", names, budget)
    used = cfg.terminals()
    for each in beside:
        writer.write_known(each, used)
    return EngineGrammar(writer.write())


def written_rules(rules: Rules, begin: str, begun_at: Sequence[str], budget: Budget) -> WrittenRules:
    """Rules that others refer to as texts, whose names have a beginning. Raises as cfg_to_lark()."""
    names = Names((), f"{begin} ")
    writer = _Writer(with_direct_recursion(Cfg("", rules), begun_at), "", names, budget)
    return writer.write_each(patterns_of(rules), begun_at)


def rules_within(cfg: Cfg, start: str, names: Names, budget: Budget) -> str:
    """Lark rules for a text that has others beside them, and has the names that are taken: `start` is all of them.

    Raises as cfg_to_lark().
    """
    budget.spend(8 * sum(1 + len(rhs) for productions in cfg.rules.values() for rhs in productions))
    return _Writer(with_direct_recursion(cfg), start, names, budget).write()


class Names:
    """Valid Lark names, one for each thing, that still remind of the caller's; all have the same beginning."""

    def __init__(self, taken: Iterable[str], begin: str = "") -> None:
        self._begin = begin
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    @property
    def taken(self) -> tuple[str, ...]:
        """All that were given or taken from the beginning."""
        return tuple(sorted(self._taken))

    def new(self, wanted: str, *, upper: bool) -> str:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", self._begin + wanted).strip("_")[:40] or "x"
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
        self._conditions: dict[Node, str] = {}
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

    def write_each(self, patterns: Iterable[Pattern], begun_at: Sequence[str]) -> WrittenRules:
        """The rules as texts for write_known(), and their patterns."""
        terminals = []
        for pattern in patterns:
            before = len(self._terminals)
            terminals.append((self._symbol(pattern), "".join(self._terminals[before:])))
        rules = {}
        for name, productions in self._cfg.rules.items():
            before, number = len(self._terminals), len(self._rules)
            self._write_rule(name, productions)
            rules[name] = "".join((*self._rules[number:], *self._terminals[before:]))
        own = {name: self._rule_names[name] for name in rules}
        references = {name: references_of(productions) for name, productions in self._cfg.rules.items()}
        return WrittenRules(begun_at, own, rules, references, terminals, self._names.taken, self._nodes, self._written)

    def write_known(self, narrowing: NarrowedRules, used: Container[Terminal]) -> None:
        """What is left of some known rules, before write(): the others may refer to them."""
        known, written = narrowing.known, narrowing.known.written
        changes = narrowing.changes()
        self._rule_names.update(written.rule_names)
        self._nodes += written.nodes
        self._written += written.symbols
        self._write_terminals(narrowing, changes, used)
        everything = (production for productions in self._cfg.rules.values() for production in productions)
        begun_at = [name for name in references_of(everything) if name in written.rules]
        references: Mapping[str, Sequence[str]] = written.references
        anew: Rules = {}
        if None in changes.values():
            direct = with_direct_recursion(Cfg("", known.rules), written.begun_at).rules
            begin = {"": tuple((Nonterminal(name),) for name in begun_at)}
            left = pruned(Cfg("", begin | narrowed(direct, changes))).rules
            references = {name: references_of(productions) for name, productions in left.items()}
            anew = {name: rest for name, rest in left.items() if name and len(rest) < len(direct[name])}
        found = dict.fromkeys(begun_at)
        todo = list(found)
        while todo:
            name = todo.pop()
            self._references[self._rule_names[name]] = [self._rule_names[each] for each in references[name]]
            todo += [each for each in references[name] if each not in found]
            found.update(dict.fromkeys(references[name]))
        for name in written.rules:
            if name in anew:
                self._write_rule(name, anew[name])
            elif name in found:
                self._rules.append(written.rules[name])

    def _write_terminals(
        self, narrowing: NarrowedRules, changes: Mapping[Symbol, Pattern | None], used: Container[Terminal]
    ) -> None:
        """Those of some known rules that are `used`."""
        known = narrowing.known
        for old, (name, text) in zip(known.patterns, known.written.terminals, strict=True):
            new = changes.get(old, old)
            if new is None or new not in used:
                continue
            self._terminal_names[new] = name
            self._budget.spend(len(text))
            left = narrowing.narrowing.get(old.name)
            if left is None:
                self._terminals.append(text)
                continue
            whole = self._names.new(f"{name} whole", upper=True)
            self._terminals.append(re.sub(rf"^{name}:", f"{whole}:", text, count=1, flags=re.MULTILINE))
            self._define(name, " & ".join([whole, *map(self._condition, left)]))

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
        self._references[own] = [self._rule_names[name] for name in references_of(productions)]

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

    def _condition(self, node: Node) -> str:
        """What all texts of some terminals must be, as a terminal of its own."""
        if node not in self._conditions:
            sign, language = ("~", node.item) if isinstance(node, Not) else ("", node)
            body = to_terminal(language, self._define_part)
            self._conditions[node] = sign + self._define(self._names.new("condition", upper=True), body)
        return self._conditions[node]

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
