"""Backreferences to groups of finitely many texts: an alternative for each of these texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import NoReturn

from maze.grammar.budget import Budget
from maze.grammar.pattern.code_points import ANY, ignoring_case, single
from maze.grammar.pattern.source import Source
from maze.grammar.pattern.tree import (
    Alt,
    Backreference,
    Boundary,
    Capture,
    Cat,
    Chars,
    Literal,
    Lookaround,
    Node,
    Repeat,
    alt,
    cat,
    children,
    literal,
    repeat,
    size_of,
)

MAX_REFERRED_TEXTS = 128
"""Most texts of a group that is referred back to."""
MAX_EXPANDED_SIZE = 20_000
"""Largest pattern with an alternative for each text of its groups, as size_of() counts."""

_REMEDY = "is not regular; write out the alternatives"


def without_references(tree: Node, source: Source, budget: Budget) -> Node:
    """The tree with an alternative for each text of each group that is referred back to, and without captures.

    Raises UnsupportedConstraintError for a reference to a group that has more texts or may not have matched,
    LimitExceededError.
    """
    return _Expansion(source, budget).expanded(tree)


def with_any_texts(tree: Node) -> Node | None:
    """The tree with whatever a group may match in place of each reference to it, and without captures.

    It describes all texts of the tree, and others; None where it would describe fewer, as beside a look-around.
    """
    if any(isinstance(each, Lookaround) for each in _parts(tree)):
        return None
    groups = {each.number: each.item for each in _parts(tree) if isinstance(each, Capture)}
    size = size_of(tree)
    written: list[int] = []

    def widened(node: Node) -> Node:
        if not isinstance(node, Backreference):
            return _bare(node)
        group = groups.get(node.number)
        plain = group is not None and not any(isinstance(each, Backreference | Boundary) for each in _parts(group))
        if group is None or not plain or node.ignores_case:
            return _ANY_TEXT
        written.append(size_of(group))
        # A group that has not matched is referred to as the empty text.
        return repeat(_mapped(group, _bare), 0, 1)

    found = _mapped(tree, widened)
    return found if size + sum(written) <= MAX_EXPANDED_SIZE else None


_ANY_TEXT = repeat(Chars(ANY), 0, None)


class _Expansion:
    def __init__(self, source: Source, budget: Budget) -> None:
        self._source = source
        self._budget = budget
        self._size = 0

    def expanded(self, tree: Node) -> Node:
        references = _references(tree)
        referred = {each.number for each in references}
        return self._expanded(_mapped(tree, lambda node: _bare(node) if _number(node) not in referred else node))

    def _expanded(self, tree: Node) -> Node:
        """Expands the smallest parts of a tree that hold a group and all references to it."""
        references = _references(tree)
        if not references:
            return _mapped(tree, _bare)
        size = size_of(tree)
        self._budget.spend(5 * size)
        self._size += size
        if self._size > MAX_EXPANDED_SIZE:
            self._source.too_large(
                f"the pattern {self._source.shown} is too large with its backreferences written out; use fewer of them"
            )
        captures = _captures(tree)
        for reference in references:
            if reference.number not in captures:
                self._refuse(reference, "to a group that may not have matched")
        match tree:
            case Cat(items):
                for reference in references:
                    if not any(_holds_all(item, reference.number, references) for item in items):
                        return self._alternatives(tree, reference)
                return cat(*map(self._expanded, items))
            case Alt(items):
                return alt(*map(self._expanded, items))
            case Repeat(item, low, high):
                return repeat(self._expanded(item), low, high)
            case Lookaround(False, _, _, _):
                self._refuse(references[0], "in a look-behind, which engines read in both directions")
            case Lookaround(ahead, negated, item, position):
                return Lookaround(ahead, negated, self._expanded(item), position)
            case Capture(_, item):
                return self._expanded(item)
        raise AssertionError(tree)

    def _alternatives(self, tree: Cat, reference: Backreference) -> Node:
        """One for each text of a group in a sequence that references in later items refer to."""
        number = reference.number
        home = next(place for place, item in enumerate(tree.items) if number in _captures(item))
        capture = _taking_part(tree.items[home], number)
        too_early = any(each.number == number for item in tree.items[: home + 1] for each in _references(item))
        if capture is None or too_early:
            self._refuse(reference, "to a group that may not have matched, or several times")
        for inner in _references(tree):
            if inner.number in _captures(capture.item):
                return self._alternatives(tree, inner)
        texts = _texts(capture.item)
        if texts is None:
            self._refuse(reference, f"to a group with over {MAX_REFERRED_TEXTS} texts")
        self._budget.spend(len(texts) * size_of(tree))

        def with_text(node: Node, text: str) -> Node:
            if _number(node) != number:
                return node
            if isinstance(node, Backreference) and node.ignores_case:
                return cat(*(Chars(ignoring_case(single(ord(character)))) for character in text))
            return literal(text)

        return alt(*(self._expanded(_mapped(tree, partial(with_text, text=text))) for text in texts))

    def _refuse(self, reference: Backreference, what: str) -> NoReturn:
        self._source.unsupported(f"a backreference {what},", reference.position, _REMEDY)


def _number(node: Node) -> int | None:
    return node.number if isinstance(node, Capture | Backreference) else None


def _bare(node: Node) -> Node:
    return node.item if isinstance(node, Capture) else node


def _parts(tree: Node) -> Iterator[Node]:
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def _references(tree: Node) -> list[Backreference]:
    return [each for each in _parts(tree) if isinstance(each, Backreference)]


def _captures(tree: Node) -> set[int]:
    return {each.number for each in _parts(tree) if isinstance(each, Capture)}


def _holds_all(item: Node, number: int, references: list[Backreference]) -> bool:
    """Whether a group and all of the references to it are in an item."""
    inside = sum(each.number == number for each in _references(item))
    return number in _captures(item) and inside == sum(each.number == number for each in references)


def _taking_part(tree: Node, number: int) -> Capture | None:
    """The group, if each match of the tree has exactly one of it."""
    match tree:
        case Capture(own, item):
            return tree if own == number else _taking_part(item, number)
        case Cat(items):
            return next((found for item in items if (found := _taking_part(item, number))), None)
    return None


def _mapped(tree: Node, change: Callable[[Node], Node]) -> Node:
    """The tree with each of its nodes changed, from the leaves on."""
    match tree:
        case Cat(items):
            return cat(*(_mapped(item, change) for item in items))
        case Alt(items):
            return alt(*(_mapped(item, change) for item in items))
        case Repeat(item, low, high):
            return repeat(_mapped(item, change), low, high)
        case Lookaround(ahead, negated, item, position):
            return Lookaround(ahead, negated, _mapped(item, change), position)
        case Capture(number, item):
            return change(Capture(number, _mapped(item, change)))
    return change(tree)


def _texts(tree: Node) -> list[str] | None:
    """The texts of a group; None if they are too many, or assertions decide about them."""
    found: dict[str, None]
    match tree:
        case Chars(ranges):
            if sum(high - low + 1 for low, high in ranges) > MAX_REFERRED_TEXTS:
                return None
            return [chr(point) for low, high in ranges for point in range(low, high + 1)]
        case Literal(text):
            return [text]
        case Capture(_, item):
            return _texts(item)
        case Alt(items):
            choices = [_texts(item) for item in items]
            found = dict.fromkeys(text for texts in choices for text in texts or ())
            return None if None in choices or len(found) > MAX_REFERRED_TEXTS else list(found)
        case Cat(items):
            found = {"": None}
            for item in items:
                texts = _texts(item)
                if texts is None or len(found) * len(texts) > MAX_REFERRED_TEXTS:
                    return None
                found = dict.fromkeys(before + text for before, text in product(found, texts))
            return list(found)
        case Repeat(item, low, high) if high is not None and high <= MAX_REFERRED_TEXTS:
            return _texts(alt(*(cat(*[item] * count) for count in range(low, high + 1))))
    return None
