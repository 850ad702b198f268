"""A grammar value as few bytes: what compiled constraints keep of it until a text has to be ended.

A grammar of 50 KB of rules is 400 KB of objects and 20 KB packed.
"""

from __future__ import annotations

import pickle
import zlib
from io import BytesIO

from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern
from maze.grammar.pattern.tree import Chars, Node, children

_LEVEL = 1
"""Of zlib: the higher ones take ten times as long for a tenth less."""


def packed(cfg: Cfg) -> bytes:
    """The grammar for unpacked(), in any process of this version."""
    file = BytesIO()
    pickler = _Pickler(file)
    expressions = _expressions_of(cfg)
    pickler.dump(len(expressions))
    for expression in expressions:
        pickler.dump(expression)
        pickler.numbers[id(expression)] = len(pickler.numbers)
    pickler.dump(cfg)
    return zlib.compress(file.getvalue(), _LEVEL)


def unpacked(data: bytes) -> Cfg:
    """The grammar again. `data` must come from packed()."""
    unpickler = _Unpickler(BytesIO(zlib.decompress(data)))
    for _ in range(unpickler.load()):
        unpickler.expressions.append(unpickler.load())
    cfg: Cfg = unpickler.load()
    return cfg


def _expressions_of(cfg: Cfg) -> list[Node]:
    """The expressions that have others in them, each object once and behind those in it, as it may be deep."""
    found: dict[int, Node] = {}
    todo = [(terminal.language, False) for terminal in cfg.terminals() if isinstance(terminal, Pattern)]
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
