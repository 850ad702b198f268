"""Regular languages as rules of a grammar, for those that are no expression of bearable size."""

from __future__ import annotations

from maze.grammar.budget import Construction
from maze.grammar.cfg.model import Literal, Nonterminal, Pattern, Production
from maze.grammar.pattern.machine import as_machine
from maze.grammar.pattern.tree import Chars, Node, text_of


def as_rules(language: Node, name: str, budget: Construction) -> dict[str, tuple[Production, ...]]:
    """Rules that describe a language together, that of `name` all of it: one a state of its smallest automaton.

    A rule begins with single characters only. An engine's lexer takes the longest match, so what can stand at the same
    place beside them must not begin with any of these and be longer. Raises OverBudgetError. The language is not empty.
    """
    machine = as_machine(language, budget)
    names = [name, *(f"{name} [state {state}]" for state in range(1, len(machine.edges)))]
    rules: dict[str, tuple[Production, ...]] = {}
    for state, row in enumerate(machine.edges):
        productions: list[Production] = [()] if state in machine.accepting else []
        for ranges, target in row:
            text = text_of(Chars(ranges))
            terminal = Pattern("characters", Chars(ranges)) if text is None else Literal(text)
            # A state that the text must end in needs no rule of its own.
            ends = target in machine.accepting and not machine.edges[target]
            productions.append((terminal,) if ends else (terminal, Nonterminal(names[target])))
        rules[names[state]] = tuple(productions)
    return {each: productions for each, productions in rules.items() if productions != ((),) or each == name}
