"""The texts of a schema's grammar in other spellings than the usual one, which is the shortest of each value.

What stands beside a schema may want them: a grammar that writes a space behind each colon, or a pattern for lines. The
rules of schemas write a whole token in each terminal, but for numbers that are rules of single characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from maze.grammar.cfg.analysis import productive
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Terminal
from maze.grammar.pattern.code_points import characters
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import (
    ANYTHING,
    Alt,
    Both,
    Cat,
    Chars,
    Node,
    Not,
    Repeat,
    alt,
    both,
    cat,
    literal,
    repeat,
    text_of,
)
from maze.grammar.schema.object_rules import NAME
from maze.grammar.schema.value_rules import NUMBER

_SPACE_CHARACTER = Chars(characters(" \t\n\r"))
_SPACE = repeat(_SPACE_CHARACTER, 0, None)
_ODD_NUMBER = parse_whole(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+\-]?[0-9]+)?|[eE][+\-]?[0-9]+)|-0")
"""Numbers that are not in their usual spelling, and others."""
_CHARACTERS_OF_NUMBERS = characters("-.0123456789")
_ESCAPED = repeat(parse_whole(r'\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})'), 1, 2)
"""Any character written by escapes; outside the Basic Multilingual Plane it takes two."""
_OPEN, _CLOSE, _COMMA = Literal("{"), Literal("}"), Literal(",")
_MAX_PRODUCTIONS = 2_000
_MAX_NAMES_TRIED = 40
_MAX_NAMES_WANTED = 3
"""Each makes the automaton several times as large."""
_SPELLED_CHARACTER = re.compile(r"\\u[0-9a-f]{,4}|\\.|.", re.DOTALL)
_WHOLE_ESCAPE = 6
"""Characters of an escape by a number."""


def with_space(cfg: Cfg) -> Cfg:
    """A schema's grammar with space wherever JSON may have some, but right behind numbers that are rules."""
    return _spaced(cfg, lambda language: language)


def every_spelling(cfg: Cfg) -> Cfg | None:
    """A grammar that has every JSON text of the values of a schema's grammar, and others; None if that is not known."""
    if any(map(_is_in_number_rules, cfg.terminals())):
        return None
    return _spaced(_in_any_order(cfg), _widely_spelled)


def names_in_every_text(cfg: Cfg) -> Node:
    """The texts that hold, in some spelling, the first few of the names without which a schema's grammar has none."""
    named = [terminal for terminal in cfg.terminals() if isinstance(terminal, Literal) and terminal.text.endswith('":')]
    if sum(map(len, cfg.rules.values())) > _MAX_PRODUCTIONS:
        return ANYTHING
    wanted = [terminal for terminal in named[:_MAX_NAMES_TRIED] if cfg.start not in productive(_without(cfg, terminal))]
    return both(
        *(
            cat(ANYTHING, _string_widely_spelled(literal(terminal.text[:-1])), _SPACE, literal(":"), ANYTHING)
            for terminal in wanted[:_MAX_NAMES_WANTED]
        )
    )


def _without(cfg: Cfg, terminal: Terminal) -> dict[str, list[Production]]:
    return {
        name: [production for production in productions if terminal not in production]
        for name, productions in cfg.rules.items()
    }


def _in_any_order(cfg: Cfg) -> Cfg:
    """With the members of each object in any order and number."""
    rules = dict(cfg.rules)
    for name, productions in cfg.rules.items():
        rules[name] = tuple(_with_free_members(production, cfg, rules) for production in productions)
    return Cfg(cfg.start, rules)


def _with_free_members(production: Production, cfg: Cfg, rules: dict[str, tuple[Production, ...]]) -> Production:
    if production[:1] != (_OPEN,) or production[-1] != _CLOSE:
        return production
    members = _members(production[1:-1], cfg)
    if len(members) < 2:
        return production
    one, more = Nonterminal(f"{len(rules)} member"), Nonterminal(f"{len(rules)} members")
    rules[one.name] = tuple(members)
    rules[more.name] = ((), (_COMMA, one, more))
    some = Nonterminal(f"{len(rules)} object")
    rules[some.name] = ((), (one, more))
    return _OPEN, some, _CLOSE


def _members(inside: Production, cfg: Cfg) -> dict[Production, None]:
    """The names with their values that an object may have."""
    found: dict[Production, None] = {}
    pending = [inside]
    seen: set[str] = set()
    while pending:
        production = pending.pop()
        place = 0
        while place < len(production):
            symbol = production[place]
            width = 1
            if isinstance(symbol, Nonterminal):
                if symbol.name not in seen:
                    seen.add(symbol.name)
                    pending.extend(cfg.rules[symbol.name])
            elif symbol != _COMMA:
                width = 2  # a name with its colon, and a value
                found[production[place : place + width]] = None
            place += width
    return found


def _spaced(cfg: Cfg, respelled: Callable[[Node], Node]) -> Cfg:
    """With each token respelled and followed by space. A lexer that takes the longest match reads that right."""
    terminals: dict[Terminal, Terminal] = {}
    for terminal in cfg.terminals():
        language = literal(terminal.text) if isinstance(terminal, Literal) else terminal.language
        if _is_in_number_rules(terminal):
            terminals[terminal] = terminal
        elif (name := _without_colon(terminal, language)) is not None:
            spelled_name = respelled(name)
            terminals[terminal] = Pattern("name", cat(spelled_name, _SPACE, literal(":"), _SPACE))
        else:
            called = "token" if isinstance(terminal, Literal) else terminal.name
            terminals[terminal] = Pattern(called, cat(respelled(language), _SPACE))
    start = f"{cfg.start} behind space"
    rules = {
        name: tuple(
            tuple(symbol if isinstance(symbol, Nonterminal) else terminals[symbol] for symbol in production)
            for production in productions
        )
        for name, productions in cfg.rules.items()
    }
    first = Nonterminal(cfg.start)
    space = Pattern("space", repeat(_SPACE_CHARACTER, 1, None))
    return Cfg(start, {start: ((first,), (space, first)), **rules})


def _without_colon(terminal: Terminal, language: Node) -> Node | None:
    """The names that a terminal has with their colon; None if it is for something else."""
    text = text_of(language)
    if text is not None:
        return literal(text[:-1]) if text.endswith('":') else None
    if not (isinstance(terminal, Pattern) and terminal.name == NAME and isinstance(language, Cat)):
        return None
    *items, last = language.items
    end = text_of(last) or ""
    return cat(*items, literal(end.removesuffix(":")))


def _is_in_number_rules(terminal: Terminal) -> bool:
    if isinstance(terminal, Pattern) and terminal.name == NUMBER:
        return False
    language = literal(terminal.text) if isinstance(terminal, Literal) else terminal.language
    return isinstance(language, Chars) and all(
        any(low <= first and last <= high for low, high in _CHARACTERS_OF_NUMBERS) for first, last in language.ranges
    )


def _widely_spelled(token: Node) -> Node:
    """A language that holds every spelling of a token."""
    text = text_of(token)
    if text is not None and not text.startswith('"'):
        return alt(token, _ODD_NUMBER) if text[-1].isdigit() else token
    if text is not None or (isinstance(token, Cat) and _begins_with_quote(token.items[0])):
        return _string_widely_spelled(token)
    return alt(token, _ODD_NUMBER)


def _begins_with_quote(node: Node) -> bool:
    text = text_of(node)
    return text is not None and text.startswith('"')


def _string_widely_spelled(node: Node) -> Node:
    match node:
        case Literal(text):
            return cat(*map(_character_widely_spelled, _SPELLED_CHARACTER.findall(text)))
        case Chars():
            only = text_of(node)
            return alt(node, _ESCAPED) if only is None else _character_widely_spelled(only)
        case Cat(items):
            return _sequence_widely_spelled(items)
        case Alt(items):
            return alt(*map(_string_widely_spelled, items))
        case Repeat(item, low, high):
            return repeat(_string_widely_spelled(item), low, high)
        case Both(items):
            return both(*(_string_widely_spelled(item) for item in items if not isinstance(item, Not)))
    return ANYTHING


def _sequence_widely_spelled(items: Sequence[Node]) -> Node:
    """Where escapes differ in their last character, that is the next item."""
    found: list[Node] = []
    inside_escape = False
    for item in items:
        if inside_escape:
            inside_escape = False
            continue
        if isinstance(item, Chars | Literal) and (text := text_of(item)) is not None:
            last = _SPELLED_CHARACTER.findall(text)[-1]
            inside_escape = last == "\\" or (last.startswith("\\u") and len(last) < _WHOLE_ESCAPE)
            if inside_escape:
                found += [_string_widely_spelled(literal(text.removesuffix(last))), _ESCAPED]
                continue
        found.append(_string_widely_spelled(item))
    return cat(*found)


def _character_widely_spelled(spelling: str) -> Node:
    """Every spelling of a character that is written so; a quotation mark that is written as one ends the string."""
    if spelling == '"':
        return literal(spelling)
    if len(spelling) == 1 and ord(spelling) > 0xFFFF:
        return alt(literal(spelling), _ESCAPED)
    character = spelling if len(spelling) == 1 else str(json.loads(f'"{spelling}"'))
    digits = [alt(literal(digit), literal(digit.upper())) for digit in f"{ord(character):04x}"]
    other = [literal("\\/")] if spelling == "/" else []
    return alt(literal(spelling), cat(literal("\\u"), *digits), *other)
