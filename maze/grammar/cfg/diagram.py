"""What a railroad diagram of a grammar is drawn from, as plain data."""

from __future__ import annotations

from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Production, Symbol
from maze.grammar.cfg.recursion import recursion_of, with_direct_recursion
from maze.grammar.pattern.printer import needs_parts, to_terminal
from maze.json_text import JsonValue


def diagram_of(cfg: Cfg) -> JsonValue:
    """The rules of a grammar as they are written for engines: `{"start": name, "rules": [{"name", "shape"}, ...]}`.

    The start rule comes first. A shape is one of:

    - `{"kind": "sequence", "items": [...]}`, which is the empty text if it has no items,
    - `{"kind": "choice", "items": [...]}`, `{"kind": "optional", "item": ...}`,
    - `{"kind": "repeat", "least": 0 or 1, "item": ..., "between": ...}`, where `between`, null if there is nothing,
      stands between two items,
    - `{"kind": "text", "text": ...}`, exactly this text,
    - `{"kind": "pattern", "name": ..., "pattern": ...}`, a text of a regular expression, which is null if it is too
      large to be shown,
    - `{"kind": "rule", "name": ...}`, what the rule of that name describes.
    """
    cfg = with_direct_recursion(cfg)
    names = [cfg.start, *(name for name in cfg.rules if name != cfg.start)]
    return {"start": cfg.start, "rules": [{"name": name, "shape": _rule(name, cfg.rules[name])} for name in names]}


def _rule(name: str, productions: tuple[Production, ...]) -> JsonValue:
    recursion = recursion_of(name, productions)
    item = _sequence(
        [
            *_repeat(recursion.before),
            *([] if recursion.others == [()] else [_choice(recursion.others)]),
            *_repeat(recursion.after),
        ]
    )
    if not recursion.between:
        return item
    return {"kind": "repeat", "least": 1, "item": item, "between": _choice(recursion.between)}


def _repeat(productions: list[Production]) -> list[JsonValue]:
    """The productions any number of times; nothing to draw if there are none."""
    if not productions:
        return []
    return [{"kind": "repeat", "least": 0, "item": _choice(productions), "between": None}]


def _choice(productions: list[Production]) -> JsonValue:
    ways = [_sequence([_symbol(symbol) for symbol in production]) for production in productions if production]
    if not ways and productions:
        return _sequence([])
    choice: JsonValue = ways[0] if len(ways) == 1 else {"kind": "choice", "items": ways}
    return choice if len(ways) == len(productions) else {"kind": "optional", "item": choice}


def _sequence(items: list[JsonValue]) -> JsonValue:
    return items[0] if len(items) == 1 else {"kind": "sequence", "items": items}


def _symbol(symbol: Symbol) -> JsonValue:
    if isinstance(symbol, Nonterminal):
        return {"kind": "rule", "name": symbol.name}
    if isinstance(symbol, Literal):
        return {"kind": "text", "text": symbol.text}
    shown = None if needs_parts(symbol.language) else to_terminal(symbol.language)
    return {"kind": "pattern", "name": symbol.name, "pattern": shown}
