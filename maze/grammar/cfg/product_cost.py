"""What a product would cost at the least, told from afar: whether it is worth beginning."""

from __future__ import annotations

from maze.grammar.cfg.analysis import circles
from maze.grammar.cfg.model import Cfg, Nonterminal, Pattern
from maze.grammar.pattern.code_points import contains
from maze.grammar.pattern.tree import Chars, Machine, Node, Not, Repeat, children, positions_of

_MANY = 0x30
"""So many of the printable ASCII characters in a set are taken to be in the way of any text."""
_LONG = 20
"""A terminal is taken to be of any length that repeats something so often."""


def least_steps(cfg: Cfg, language: Node) -> int:
    """Steps that the product of a grammar with a language takes at the least, about; 0 where that is not known.

    A language that counts characters, as `^.{1,2000}$` does, has a state for each number. Where two terminals of any
    length can come one after the other, the second begins in all of these states and ends in all that come later, and
    so does what is between and behind them.
    """
    counted = _counted(language)
    if counted < 2 or _parts_of_any_length(cfg) < 2:
        return 0
    return counted * counted * sum(1 + len(rhs) for productions in cfg.rules.values() for rhs in productions) // 2


def _parts_of_any_length(cfg: Cfg) -> int:
    """How many parts of a text may be of any length, one beside the other; 2 for more."""
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
            parts.update(dict.fromkeys(circle, min(2, max(map(most, circle)))))
        else:
            parts[circle[0]] = min(2, most(circle[0]))
    return parts[cfg.start]


def _is_of_any_length(language: Node) -> bool:
    pending = [language]
    while pending:
        node = pending.pop()
        if isinstance(node, Not | Machine) or (isinstance(node, Repeat) and (node.high is None or node.high > _LONG)):
            return True
        pending += children(node)
    return False


def _counted(language: Node) -> int:
    """The number of almost any characters up to which a language counts, so far as that is one repetition."""
    most = 0
    pending = [language]
    while pending:
        node = pending.pop()
        if isinstance(node, Repeat) and _takes_almost_anything(node.item):
            most = max(most, positions_of(node.item) * max(node.low, node.high or 0))
        pending += children(node)
    return most


def _takes_almost_anything(node: Node) -> bool:
    return any(
        isinstance(part, Chars) and sum(contains(part.ranges, code) for code in range(0x20, 0x7F)) >= _MANY
        for part in (node, *children(node))
    )
