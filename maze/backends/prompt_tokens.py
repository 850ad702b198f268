"""How many tokens a text takes at most in about any vocabulary, for what must be bounded before a model is asked."""

from __future__ import annotations

import re

_PIECE = re.compile(r"(?P<word> ?[A-Za-z]+)|(?P<space>[ \t]+)|(?P<other>.)", re.DOTALL)
_WORD_CHARACTERS = 3
"""Of a word in one token, at least; words of a language mostly are one token each."""


def most_tokens(text: str) -> int:
    """An upper bound of the tokens of a text; of usual text it is about twice as many as there are."""
    total = 0
    for piece in _PIECE.finditer(text):
        if piece["word"]:
            total += -(-len(piece["word"].lstrip()) // _WORD_CHARACTERS)
        elif piece["space"]:
            total += 1
        else:
            total += len(piece["other"].encode(errors="replace"))
    return total
