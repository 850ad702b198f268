"""What a product would cost at the least, told from afar: whether it is worth beginning."""

from __future__ import annotations

from collections import Counter

from maze.grammar.budget import MAX_CONSTRUCTION_STEPS
from maze.grammar.cfg.analysis import circles
from maze.grammar.cfg.model import Cfg, Nonterminal, Pattern
from maze.grammar.pattern.automaton import DEAD, Alphabet, Dfa
from maze.grammar.pattern.code_points import contains
from maze.grammar.pattern.tree import Chars, Machine, Node, Not, Repeat, children, positions_of

_MANY = 0x30
"""So many of the printable ASCII characters in a set are taken to be in the way of any text."""
_LONG = 20
"""A terminal is taken to be of any length that repeats something so often."""
_SEVERAL = 2


def is_too_much(cfg: Cfg, counted: int) -> bool:
    """Whether the product of a grammar with a language that counts so far takes more steps than a construction has.

    A language that counts characters, as `^.{1,2000}$` does, has a state for each number. Where two terminals of any
    length can come one after the other, the second begins in all of these states and ends in all that come later, and
    so does what is between and behind them.
    """
    if counted < _LONG or _parts_of_any_length(cfg) < _SEVERAL:
        return False
    symbols = sum(1 + len(rhs) for productions in cfg.rules.values() for rhs in productions)
    return counted * counted * symbols // 2 > MAX_CONSTRUCTION_STEPS


def counted_by_expression(language: Node) -> int:
    """The number of almost any characters up to which a language counts, so far as that is one repetition."""
    most = 0
    pending = [language]
    while pending:
        node = pending.pop()
        if isinstance(node, Repeat) and _takes_almost_anything(node.item):
            most = max(most, positions_of(node.item) * max(node.low, node.high or 0))
        pending += children(node)
    return most


def counted_by_automaton(dfa: Dfa, alphabet: Alphabet) -> int:
    """The same of a finished automaton: how many states it is in behind some text and a usual character.

    One that looks for texts is mostly back in one state then.
    """
    usual = Counter(alphabet.group_of(chr(code)) for code in range(0x20, 0x7F))
    ((group, _),) = usual.most_common(1)
    return len({row[group] for row in dfa.next} - {DEAD})


def _takes_almost_anything(node: Node) -> bool:
    return any(
        isinstance(part, Chars) and sum(contains(part.ranges, code) for code in range(0x20, 0x7F)) >= _MANY
        for part in (node, *children(node))
    )


def _parts_of_any_length(cfg: Cfg) -> int:
    """How many parts of a text may be of any length, one beside the other; more than two count as two."""
    parts: dict[str, int] = {}
    terminals = {
        terminal: int(isinstance(terminal, Pattern) and _is_of_any_length(terminal.language))
        for terminal in cfg.terminals()
    }

    def most(name: str) -> int:
        return max(
            (
                sum(
                    parts.get(symbol.name, 0) if isinstance(symbol, Nonterminal) else terminals[symbol]
                    for symbol in production
                )
                for production in cfg.rules[name]
            ),
            default=0,
        )

    for circle in circles(cfg.rules):
        if len(circle) > 1 or any(Nonterminal(circle[0]) in production for production in cfg.rules[circle[0]]):
            parts.update(dict.fromkeys(circle, 1))
            parts.update(dict.fromkeys(circle, min(_SEVERAL, max(map(most, circle)))))
        else:
            parts[circle[0]] = min(_SEVERAL, most(circle[0]))
    return parts[cfg.start]


def _is_of_any_length(language: Node) -> bool:
    pending = [language]
    while pending:
        node = pending.pop()
        if isinstance(node, Not | Machine) or (isinstance(node, Repeat) and (node.high is None or node.high > _LONG)):
            return True
        pending += children(node)
    return False
