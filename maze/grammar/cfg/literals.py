"""Grammars over characters, made safe for a lexer that always takes the longest match.

With the terminals "a" and "ab" such a lexer reads `abc` as "ab" `c` and never as "a" `bc`. So a terminal is split where
another one ends inside it; then no terminal can be continued to another, and the longest match is the only one.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from maze.grammar.cfg.analysis import following_masks
from maze.grammar.cfg.model import Cfg, Literal, Pattern, Production, Symbol, Terminal, escaped

_MANY = 100
"""Texts that one rule offers from which on they are made one terminal."""
_MAX_ROUNDS = 16
"""Rounds of splitting before all is split into characters, which ends it."""


def split_literals(cfg: Cfg) -> Cfg:
    """The same language, in which the longest match is always the right one; `cfg` has only Literal terminals.

    Where a rule offers many texts they become one terminal, if that can be told to be safe; engines cannot bear
    thousands of alternatives. Of the other terminals none is the beginning of another.
    """
    cfg = _with_choices(cfg)
    texts = _texts(cfg)
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


def _texts(cfg: Cfg) -> set[str]:
    return {
        symbol.text
        for productions in cfg.rules.values()
        for production in productions
        for symbol in production
        if isinstance(symbol, Literal)
    }


def _with_choices(cfg: Cfg) -> Cfg:
    """The grammar with one terminal for each rule's many texts, where nothing that follows could go on with them."""
    many = {
        name: choice
        for name, productions in cfg.rules.items()
        if len(choice := [rhs[0].text for rhs in productions if len(rhs) == 1 and isinstance(rhs[0], Literal)]) >= _MANY
    }
    if not many:
        return cfg
    chosen = {name: Pattern("one of many", ("|".join(map(escaped, choice)),)) for name, choice in many.items()}
    candidate = {
        name: ((chosen[name],), *(rhs for rhs in productions if len(rhs) != 1 or not isinstance(rhs[0], Literal)))
        if name in chosen
        else productions
        for name, productions in cfg.rules.items()
    }
    bits: dict[str, int] = {}
    masks: dict[Terminal, int] = {Literal(text): 1 << bits.setdefault(text[0], len(bits)) for text in _texts(cfg)}
    for name, choice in many.items():
        masks[chosen[name]] = reduce(or_, (masks[Literal(text)] for text in choice))
    after = following_masks(Cfg(cfg.start, candidate), masks)

    # A text that begins another, or is in two choices, makes both choices doubtful.
    owners: dict[str, set[str | None]] = {text: {None} for text in _texts(Cfg(cfg.start, candidate))}
    for name, choice in many.items():
        for text in choice:
            owners.setdefault(text, set()).add(name)
    doubtful: set[str | None] = {name for found in owners.values() if len(found) > 1 for name in found}
    shortest, group = None, set[str | None]()
    for text in sorted(owners):
        if shortest is None or not text.startswith(shortest):
            shortest, group = text, set(owners[text])
        elif not owners[text] <= group or len(group) > 1:
            group |= owners[text]
            doubtful |= group
    for name, choice in many.items():
        inside = reduce(
            or_, (1 << bits[character] for character in set().union(*(text[1:] for text in choice)) & set(bits)), 0
        )
        if inside & after.get(chosen[name], 0):
            doubtful.add(name)
    return Cfg(
        cfg.start,
        {name: cfg.rules[name] if name in doubtful else productions for name, productions in candidate.items()},
    )


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
