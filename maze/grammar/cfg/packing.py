"""A grammar value as few bytes: what compiled constraints keep of it until a text has to be ended.

A grammar of 50 KB of rules is 400 KB of objects and 20 KB packed.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Sequence
from io import BytesIO

from maze.grammar.cfg.analysis import pruned
from maze.grammar.cfg.known_rules import NarrowedRules, Narrowing, changes_by, narrowed, patterns_of
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal
from maze.grammar.pattern.tree import Chars, Node, children

_LEVEL = 1
"""Of zlib: the higher ones take ten times as long for a tenth less."""


def packed(cfg: Cfg, beside: Sequence[NarrowedRules] = ()) -> bytes:
    """The grammar for unpacked(), in any process of this version: its rules, which may refer to those `beside`.

    Known rules that are beside others are packed already, and only what changes in them is added.
    """
    file = BytesIO()
    pickler = _Pickler(file)
    within = [node for each in beside for left in each.narrowing.values() for node in left or ()]
    expressions = _expressions_of([*(pattern.language for pattern in patterns_of(cfg.rules)), *within])
    pickler.dump(len(expressions))
    for expression in expressions:
        pickler.dump(expression)
        pickler.numbers[id(expression)] = len(pickler.numbers)
    pickler.dump((cfg, [(each.known.packed, each.narrowing) for each in beside]))
    return zlib.compress(file.getvalue(), _LEVEL)


def unpacked(data: bytes) -> Cfg:
    """The grammar again. `data` must come from packed()."""
    unpickler = _Unpickler(BytesIO(zlib.decompress(data)))
    for _ in range(unpickler.load()):
        unpickler.expressions.append(unpickler.load())
    cfg: Cfg
    beside: list[tuple[bytes, dict[str, Narrowing | None]]]
    cfg, beside = unpickler.load()
    if not beside:
        return cfg
    rules = dict(cfg.rules)
    for known, narrowing in beside:
        there = unpacked(known).rules
        rules.update(narrowed(there, changes_by(narrowing, patterns_of(there))))
    return pruned(Cfg(cfg.start, rules))


def _expressions_of(some: Iterable[Node]) -> list[Node]:
    """The expressions that have others in them, each object once and behind those in it, as it may be deep."""
    found: dict[int, Node] = {}
    todo = [(node, False) for node in some]
    while todo:
        node, is_expanded = todo.pop()
        if is_expanded:
            found[id(node)] = node
        elif id(node) not in found and (below := children(node)):
            todo.append((node, True))
            todo += [(child, False) for child in below]
    return list(found.values())


def _as_made(symbol: Chars | Literal | Nonterminal) -> tuple[type, tuple[object, ...]]:
    """What makes it anew: half the work of what dataclasses are read by otherwise."""
    return type(symbol), (getattr(symbol, symbol.__match_args__[0]),)


class _Pickler(pickle.Pickler):
    """Writes the expressions that it knows by their numbers."""

    dispatch_table = dict.fromkeys((Chars, Literal, Nonterminal), _as_made)

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.numbers: dict[int, int] = {}

    def persistent_id(self, value: object) -> int | None:
        return self.numbers.get(id(value))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.expressions: list[Node] = []

    def persistent_load(self, number: int) -> Node:
        return self.expressions[number]
