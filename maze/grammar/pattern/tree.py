"""Regular expressions as trees over sets of code points, in which nothing is left to the taste of an engine.

The functions that make nodes bring them into one form: sequences and alternatives are flat, one character is a Chars
and several are a Literal, what says nothing is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from maze.grammar.pattern.code_points import ANY, Ranges, characters, is_single, single, union

MAX_CONJUNCTS = 12
"""Most languages intersected in one expression. Whether any text is in all of 20 takes llguidance 6 s to find out; no
limit of its own stops it; of 12, less than 0.1 s."""


@dataclass(frozen=True, slots=True, eq=False)
class _Branching:
    """Compares trees without recursion, as two that are written alike may be deeper than Python's stack allows."""

    _hash: int = field(init=False, repr=False)
    """Kept: made anew each time, it would cost as much as the tree is large."""
    is_plain: bool = field(init=False, repr=False)
    """As is_plain() tells; kept for the same reason."""

    def __post_init__(self) -> None:
        below = children(self)
        object.__setattr__(self, "_hash", hash((type(self), _beside_children(self), below)))
        object.__setattr__(self, "is_plain", not isinstance(self, Both | Not) and all(map(is_plain, below)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        # Made anew in another process, in which texts have other hashes.
        names: tuple[str, ...] = self.__match_args__
        return type(self), tuple(getattr(self, name) for name in names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)) or self._hash != other._hash:
            return False
        pending: list[tuple[_Branching, _Branching]] = [(self, other)]
        while pending:
            left, right = pending.pop()
            if _beside_children(left) != _beside_children(right) or len(children(left)) != len(children(right)):
                return False
            for one, another in zip(children(left), children(right), strict=True):
                if one is another:
                    continue
                if not isinstance(one, _Branching):
                    if one != another:
                        return False
                elif not isinstance(another, type(one)) or one._hash != another._hash:
                    return False
                else:
                    pending.append((one, another))
        return True


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set; with the empty set, no text at all."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Literal:
    """Exactly this text: in a tree two characters or more, as a terminal of a grammar one or more."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Cat(_Branching):
    """One after the other; with no items, the empty text."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Alt(_Branching):
    """One of several, at least two."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repeat(_Branching):
    """`low` to `high` times; `high` None is without end."""

    item: Node
    low: int
    high: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Both(_Branching):
    """Texts that all items accept, at least two."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Not(_Branching):
    """Texts that the item does not accept."""

    item: Node


@dataclass(frozen=True, slots=True)
class Machine:
    """A finished automaton, for what is regular and yet no expression of bearable length. It starts in state 0."""

    edges: tuple[tuple[tuple[Ranges, int], ...], ...]
    """By state: sets of characters, no two of which meet, and the states that they lead to."""
    accepting: frozenset[int]


@dataclass(frozen=True, slots=True)
class Nonterminal:
    """What the rule of that name describes. Only in the rules of a grammar, where it is no regular expression."""

    name: str


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What may stand beside a position: a character of a set, or the end of the text."""

    chars: Ranges
    end: bool


@dataclass(frozen=True, slots=True)
class Boundary:
    """A condition on the characters around a position, each way to meet it as (before, after). Only while parsing."""

    ways: tuple[tuple[Neighbour, Neighbour], ...]
    position: int


@dataclass(frozen=True, slots=True, eq=False)
class Lookaround(_Branching):
    """A condition on the text before or after a position. Only while parsing."""

    ahead: bool
    negated: bool
    item: Node
    position: int


@dataclass(frozen=True, slots=True, eq=False)
class Capture(_Branching):
    """A group that is referred back to by its number. Only while parsing."""

    number: int
    item: Node


@dataclass(frozen=True, slots=True)
class Backreference:
    """The text that the group of that number matched last. Only while parsing."""

    number: int
    ignores_case: bool
    position: int


@dataclass(frozen=True, slots=True, eq=False)
class Lazy(_Branching):
    """A repetition that ends as soon as what stands behind it can follow. Only while parsing."""

    item: Node
    low: int
    high: int | None


Node = (
    Chars
    | Literal
    | Cat
    | Alt
    | Repeat
    | Both
    | Not
    | Machine
    | Nonterminal
    | Boundary
    | Lookaround
    | Capture
    | Backreference
    | Lazy
)


def children(node: object) -> tuple[Node, ...]:
    """The nodes right below a node."""
    match node:
        case Cat(items) | Alt(items) | Both(items):
            return items
        case Repeat(item, _, _) | Not(item) | Lookaround(_, _, item, _) | Capture(_, item) | Lazy(item, _, _):
            return (item,)
    return ()


def _beside_children(node: object) -> tuple[int | None, ...]:
    """What tells a node that branches from others of its type, but for its children themselves."""
    match node:
        case Repeat(_, low, high) | Lazy(_, low, high):
            return low, high
        case Lookaround(ahead, negated, _, position):
            return ahead, negated, position
        case Capture(number, _):
            return (number,)
    return ()


def is_plain(node: Node) -> bool:
    """Whether the tree is without Both and Not, so that it prints as one regular expression."""
    return node.is_plain if isinstance(node, _Branching) else not isinstance(node, Machine)


EMPTY = Cat(())
NOTHING = Chars(())
ANYTHING = Repeat(Chars(ANY), 0, None)


@lru_cache(maxsize=1024)
def _char(character: str) -> Chars:
    return Chars(single(ord(character)))


def literal(text: str) -> Node:
    """Exactly this text, which may be empty."""
    return Literal(text) if len(text) > 1 else _char(text) if text else EMPTY


def text_of(node: Node) -> str | None:
    """The one text of a tree that is a literal; None of any other and of the empty one."""
    if isinstance(node, Literal):
        return node.text
    return chr(node.ranges[0][0]) if isinstance(node, Chars) and is_single(node.ranges) else None


def cat(*nodes: Node) -> Node:
    """Concatenation, flattened, with neighbouring characters as one literal."""
    if len(nodes) == 1:
        return nodes[0]
    items: list[Node] = []
    pieces: list[str] = []
    for node in nodes:
        for item in node.items if isinstance(node, Cat) else (node,):
            match item:
                case Literal(text):
                    pieces.append(text)
                    continue
                case Chars(ranges):
                    if not ranges:
                        return NOTHING
                    if is_single(ranges):
                        pieces.append(chr(ranges[0][0]))
                        continue
                case Repeat() if items and not pieces and items[-1] == ANYTHING == item:
                    continue
            if pieces:
                items.append(literal("".join(pieces)))
                pieces.clear()
            items.append(item)
    if pieces:
        items.append(literal("".join(pieces)))
    return items[0] if len(items) == 1 else Cat(tuple(items))


def alt(*nodes: Node) -> Node:
    """Alternation, flattened, without duplicates; sets of characters become one."""
    items: dict[Node, None] = {}
    chars: list[Ranges] = []
    for node in nodes:
        for item in node.items if isinstance(node, Alt) else (node,):
            if isinstance(item, Chars):
                chars.append(item.ranges)
            else:
                items[item] = None
    if any(chars):
        items[Chars(union(*chars))] = None
    if ANYTHING in items:
        return ANYTHING
    if len(items) < 2:
        return next(iter(items), NOTHING)
    return Alt(tuple(items))


def both(*nodes: Node) -> Node:
    """Intersection, flattened, without duplicates."""
    items: dict[Node, None] = {}
    for node in nodes:
        for item in conditions(node):
            if item == NOTHING:
                return NOTHING
            if item != ANYTHING:
                items[item] = None
    if len(items) < 2:
        return next(iter(items), ANYTHING)
    return Both(tuple(items))


def conditions(node: Node) -> tuple[Node, ...]:
    """The languages that an intersection is made of; of any other tree just that one."""
    return node.items if isinstance(node, Both) else (node,)


def negation(node: Node) -> Node:
    """Everything else."""
    if isinstance(node, Not):
        return node.item
    if node == ANYTHING:
        return NOTHING
    return ANYTHING if node == NOTHING else Not(node)


def repeat(item: Node, low: int, high: int | None) -> Node:
    """Repetition, with the trivial ones done away with; nothing if it is to be more often than it may."""
    if high is not None and low > high:
        return NOTHING
    if high == 0 or item == EMPTY:
        return EMPTY
    if item == NOTHING:
        return EMPTY if low == 0 else NOTHING
    if low == 1 and high == 1:
        return item
    if isinstance(item, Repeat) and high is None and item.high is None and low <= 1 and item.low <= 1:
        return Repeat(item.item, min(low, item.low), None)
    return Repeat(item, low, high)


def nullable(node: Node) -> bool:
    """Whether the empty text is accepted."""
    match node:
        case Chars() | Literal():
            return False
        case Cat(items) | Both(items):
            return all(map(nullable, items))
        case Alt(items):
            return any(map(nullable, items))
        case Repeat(item, low, _):
            return low == 0 or nullable(item)
        case Not(item):
            return not nullable(item)
        case Machine(_, accepting):
            return 0 in accepting
    raise AssertionError(node)


def size_of(node: Node) -> int:
    """Number of nodes and of characters and ranges in them: about what printing or reading the tree costs."""
    if isinstance(node, Chars):
        return len(node.ranges)
    if isinstance(node, Machine):
        return sum(1 + sum(len(ranges) for ranges, _ in row) for row in node.edges)
    return 1 + (len(node.text) if isinstance(node, Literal) else sum(map(size_of, children(node))))


def positions_of(node: Node) -> int:
    """Characters and classes in the expression, with its repetitions written out."""
    match node:
        case Chars():
            return 1
        case Literal(text):
            return len(text)
        case Repeat(item, low, high) | Lazy(item, low, high):
            return positions_of(item) * max(low, high or 1)
        case Machine(edges, _):
            return sum(map(len, edges))
    return sum(map(positions_of, children(node)))


def greatest_length(
    node: Node, of_text: Callable[[str], float] = len, of_character: Callable[[Ranges], float] = lambda _: 1
) -> float:
    """No text of the expression has more characters, or other units; infinite where that is not plain."""

    def length(of: Node) -> float:
        return greatest_length(of, of_text, of_character)

    match node:
        case Chars(ranges):
            return of_character(ranges)
        case Literal(text):
            return of_text(text)
        case Cat(items):
            return sum(map(length, items))
        case Alt(items):
            return max(map(length, items))
        case Both(items):
            return min(map(length, items))
        case Repeat(item, _, high) if high is not None:
            return high * length(item)
    return math.inf


def characters_of(node: Node) -> Ranges:
    """The characters that occur in the expression."""
    if isinstance(node, Chars):
        return node.ranges
    if isinstance(node, Machine):
        return union(*(ranges for row in node.edges for ranges, _ in row))
    return characters(node.text) if isinstance(node, Literal) else union(*map(characters_of, children(node)))


def conjuncts(node: Node) -> int:
    """How many languages are intersected in the tree, wherever."""
    if isinstance(node, Both):
        return sum(max(conjuncts(item), 1) for item in node.items)
    return sum(map(conjuncts, children(node)))


def is_length(node: Node) -> bool:
    """Whether the tree bounds the number of characters of some kind, and says nothing else."""
    return isinstance(node, Repeat) and isinstance(node.item, Chars)


def height_of(node: Node) -> int:
    """Nodes one below the other."""
    height, level = 0, [node]
    while level:
        height += 1
        level = [child for each in level for child in children(each)]
    return height


def has_machine(node: Node) -> bool:
    """Whether a finished automaton is in the tree."""
    return isinstance(node, Machine) or any(map(has_machine, children(node)))
