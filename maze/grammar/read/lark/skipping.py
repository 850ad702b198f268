"""What `%ignore` allows between terminals: any number of texts in a finished text, few and short ones while decoding.

Left to itself a small model runs in white space until its tokens are used up.
"""

from __future__ import annotations

from collections.abc import Sequence

from maze.grammar.cfg.model import Nonterminal
from maze.grammar.pattern.code_points import ANY
from maze.grammar.pattern.tree import (
    EMPTY,
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
    positions_of,
    repeat,
)
from maze.grammar.read.lark.rules import TokenRules, mapped

MAX_SKIPPED_CHARACTERS = 100
"""Most characters, about, of one text that `%ignore` allows, while decoding; those that must be there count double."""
MAX_SKIPPED_IN_A_ROW = 4
"""Most texts that `%ignore` allows in a row while decoding."""

_INSIDE = "start [between what is skipped]"


def rules_of_texts(tokens: TokenRules, skipped: Node) -> dict[str, Node]:
    """The rules over characters, with what may be skipped behind each terminal and before the first."""
    made: dict[str, Node] = {}

    def of_token(character: int) -> Node:
        token = tokens.token_of(character)
        return cat(token.language, skipped)

    def of_nonterminal(node: Nonterminal) -> Node:
        if node.name == "start" and skipped != EMPTY:
            return Nonterminal(_INSIDE)
        return cat(node, skipped) if node.name in tokens.schemas else node

    for name, tree in tokens.rules.items():
        made[name] = mapped(tree, of_token, of_nonterminal)
    if skipped != EMPTY:
        made[_INSIDE] = made["start"]
        made["start"] = cat(skipped, Nonterminal(_INSIDE))
    return made


def without_end(ignored: Sequence[Node]) -> Node:
    """Any number of ignored texts. Of a run of characters each is one, so that there is one way only to read it."""
    single = [
        each.item if isinstance(each, Repeat) and (each.low, each.high) == (1, None) else each for each in ignored
    ]
    return repeat(alt(*single), 0, None) if ignored else EMPTY


def bounded(ignored: Sequence[Node]) -> list[Node]:
    """The ignored texts that are not long."""
    single = [language for language in ignored if isinstance(language, Chars)]
    others = [_bounded(language, MAX_SKIPPED_CHARACTERS) for language in ignored if not isinstance(language, Chars)]
    return [*([repeat(alt(*single), 1, MAX_SKIPPED_CHARACTERS)] if single else []), *others]


def _bounded(node: Node, room: int) -> Node:
    match node:
        case Cat(items):
            return cat(*(_bounded(item, room) for item in items))
        case Alt(items):
            return alt(*(_bounded(item, room) for item in items))
        case Repeat(item, low, None) if isinstance(item, Chars):
            return repeat(item, low, max(low, room))
        case Repeat(item, low, high):
            inner = _bounded(item, max(room // 8, 2))
            if high is None:
                high = max(low, room // positions_of(inner), 2)
            return repeat(inner, low, high)
        case Both() | Not():
            return both(node, repeat(Chars(ANY), 0, room))
    return node
