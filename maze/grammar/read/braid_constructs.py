"""What a grammar of Braid's token classes asks for, and what it takes from the language."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce

from maze.grammar.cfg.model import Literal, Terminal
from maze.grammar.languages.language import Language

CONSTRUCTS = ("FUNCTION", "CLASS", "ASYNC", "TRY", "IF", "SWITCH", "FOR", "WHILE", "RETURN")
"""The token classes that begin a construct of the language."""
MAX_RULES_ASKED = 1_000
"""Most rules of a grammar that is asked what it asks for; Braid's have 30 to 60."""

_MEMBERS = (".", "->", "::")
_IMPORTS = ("import", "include", "using", "use", "require", "from", "package")
_ANNOTATED = ("typescript", "kotlin", "swift", "python", "rust", "zig")
_VALUE_OF_LAST_EXPRESSION = ("ruby",)


def asked_for(start: str, rules: Mapping[str, Sequence[Sequence[str | Literal]]], tokens: Language) -> tuple[str, ...]:
    """Those of CONSTRUCTS that a text in the language has if it uses every alternative of the rule `statement`.

    Braid writes an alternative there for each construct that it has seen. A grammar without that rule asks for what all
    its texts have.
    """
    if len(rules) > MAX_RULES_ASKED:
        return ()
    every = frozenset(CONSTRUCTS)
    needed = dict.fromkeys(rules, every)

    def needed_by(production: Sequence[str | Literal]) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        for symbol in production:
            if isinstance(symbol, Literal):
                continue
            if symbol in rules:
                found |= needed[symbol]
            elif symbol in tokens.tokens and tokens.tokens[symbol] is None:
                return every  # there is no such text
            elif symbol in every:
                found |= {symbol}
        return found

    changed = True
    while changed:
        changed = False
        for name, productions in rules.items():
            now = reduce(frozenset.intersection, map(needed_by, productions), every)
            changed = changed or now != needed[name]
            needed[name] = now
    alternatives = map(needed_by, rules["statement"]) if "statement" in rules else [needed[start]]
    asked = frozenset().union(*(each for each in alternatives if each != every))
    return tuple(name for name in CONSTRUCTS if name in asked and tokens.tokens[name] is not None)


def losses(classes: Collection[str], used: Collection[Terminal], tokens: Language) -> tuple[str, ...]:
    """What programs in the language have, and texts of a grammar for programs with these terminals cannot have."""
    texts = {terminal.text for terminal in used if isinstance(terminal, Literal)}

    def has(*some: str) -> bool:
        return any(each in text for each in some for text in texts)

    def has_token(*names: str) -> bool:
        return any(tokens.tokens[name] in used for name in names) or all(tokens.tokens[name] is None for name in names)

    lost = {
        "functions cannot return a value": "FUNCTION" in classes
        and not has_token("RETURN")
        and tokens.name not in _VALUE_OF_LAST_EXPRESSION,
        "no member access": tokens.identifier in used and not has(*_MEMBERS),
        "no indexing": not has("["),
        "no conditions": not has_token("IF"),
        "no loops": not has_token("FOR", "WHILE"),
        "no imports": not has(*_IMPORTS),
        "no type annotations": tokens.name in _ANNOTATED and not has(":"),
    }
    return tuple(what for what, is_lost in lost.items() if is_lost)
