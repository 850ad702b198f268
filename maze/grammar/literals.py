"""Grammars over characters, made safe for a lexer that always takes the longest match.

With the terminals "a" and "ab" such a lexer reads `abc` as "ab" `c` and never as "a" `bc`. So a terminal is split where
another one ends inside it; then no terminal can be continued to another, and the longest match is the only one.
"""

from __future__ import annotations

from maze.grammar.symbols import Cfg, Literal, Production, Symbol

_MAX_ROUNDS = 16
"""Rounds of splitting before all is split into characters, which ends it."""


def split_literals(cfg: Cfg) -> Cfg:
    """The same language with terminals of which none is the beginning of another; `cfg` has only Literal terminals."""
    texts = {
        symbol.text
        for productions in cfg.rules.values()
        for production in productions
        for symbol in production
        if isinstance(symbol, Literal)
    }
    spelled = {text: tuple(map(Literal, pieces)) for text, pieces in _prefix_free(texts).items()}

    def respelled(production: Production) -> Production:
        symbols: list[Symbol] = []
        for symbol in production:
            if isinstance(symbol, Literal):
                symbols += spelled[symbol.text]
            else:
                symbols.append(symbol)
        return tuple(symbols)

    return Cfg(cfg.start, {name: tuple(map(respelled, productions)) for name, productions in cfg.rules.items()})


def _prefix_free(texts: set[str]) -> dict[str, list[str]]:
    """Each text as pieces, so that of all pieces of all texts none is the beginning of another."""
    splits: dict[str, list[str]] = {}
    pieces = set(texts)
    for _ in range(_MAX_ROUNDS):
        # In sorted order a text comes before all that begin with it.
        shortest = None
        unsplit = set()
        rests = set()
        for piece in sorted(pieces):
            if shortest is None or not piece.startswith(shortest):
                shortest = piece
                unsplit.add(piece)
                continue
            end = 0
            while piece.startswith(shortest, end):
                end += len(shortest)
            rest = piece[end:]
            splits[piece] = [shortest] * (end // len(shortest)) + ([rest] if rest else [])
            if rest:
                rests.add(rest)
        if unsplit == pieces:
            return {text: _expanded(text, splits) for text in texts}
        pieces = unsplit | rests
    return {text: list(text) for text in texts}


def _expanded(text: str, splits: dict[str, list[str]]) -> list[str]:
    found = []
    todo = [text]
    while todo:
        piece = todo.pop()
        if piece in splits:
            todo += reversed(splits[piece])
        else:
            found.append(piece)
    return found
