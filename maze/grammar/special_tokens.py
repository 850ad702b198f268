"""Whether a grammar may force text that a tokenizer takes for a special token.

Where a grammar leaves one text only, llguidance lets the engine tokenise it and forces these tokens, which makes
decoding faster. llama.cpp then takes `<|im_end|>` in it for the special token, and the grammar rejects that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from maze.types import EngineGrammar

_ESCAPE = re.compile(
    r"\\(?:[xu]\{(?P<braces>[0-9A-Fa-f]{1,6})\}|x(?P<x>[0-9A-Fa-f]{2})|u(?P<u>[0-9A-Fa-f]{4})|U(?P<U>[0-9A-Fa-f]{8})"
    r"|[pP]\{[^}]*\}|[^\W_]|(?P<itself>.))",
    re.DOTALL,
)
_GROUP_FLAGS = re.compile(r"\(\?[A-Za-z-]+[:)]")
_WORD = re.compile(r"\w+")
_PIECE = re.compile(r"\w+|\W")


def may_spell_special_token(grammar: EngineGrammar, special: Iterable[str]) -> bool:
    """Whether forced text of the grammar may hold one of these texts. True also where that is not sure.

    Any words of the grammar's text may stand in a row, and between any of its other characters, wherever they come
    from. Only classes of several characters are taken to force none, also where an intersection leaves one of them.
    """
    return _spells_one(grammar.rules, frozenset(special))


@lru_cache(maxsize=64)
def _spells_one(rules: str, special: frozenset[str]) -> bool:
    # A regular expression within JSON is escaped twice.
    plain = _ESCAPE.sub(_unescaped, _ESCAPE.sub(_unescaped, rules))
    plain = _GROUP_FLAGS.sub(" ", plain).casefold()
    words, characters = frozenset(_WORD.findall(plain)), frozenset(plain)
    # `%regex` takes any part of its texts.
    return any(_is_spelled(token.casefold(), words, characters, whole="%regex" not in rules) for token in special)


def _is_spelled(token: str, words: frozenset[str], characters: frozenset[str], *, whole: bool) -> bool:
    pieces = _PIECE.findall(token)
    if not all(piece in characters for piece in pieces if not _WORD.match(piece)):
        return False
    last = len(pieces) - 1
    return not whole or all(
        _is_made_of(words, piece, whole_begin=at > 0, whole_end=at < last)
        for at, piece in enumerate(pieces)
        if _WORD.match(piece)
    )


def _is_made_of(words: frozenset[str], text: str, *, whole_begin: bool, whole_end: bool) -> bool:
    """Whether words in a row make `text`; the first may begin before it, the last end after it, unless it is whole."""
    reached = [0]
    if not whole_begin:
        reached += [at for at in range(1, len(text) + 1) if any(word.endswith(text[:at]) for word in words)]
        if not whole_end and any(text in word for word in words):
            return True
    for at in reached:
        if at == len(text) or (not whole_end and any(word.startswith(text[at:]) for word in words)):
            return True
        following = (at + len(word) for word in words if text.startswith(word, at))
        reached += [further for further in following if further not in reached]
    return False


def _unescaped(escape: re.Match[str]) -> str:
    digits = escape["braces"] or escape["x"] or escape["u"] or escape["U"]
    if digits is None:
        return escape["itself"] or " "  # classes such as `\\s`, control characters
    return chr(min(int(digits, 16), 0x10FFFF))
