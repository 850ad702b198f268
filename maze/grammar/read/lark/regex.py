"""Regular expressions between slashes, as Lark reads them: those of Python, with the names of Unicode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from maze.grammar.budget import Budget
from maze.grammar.pattern.code_points import ANY, NOT_LINE_FEED, SPACE, Ranges, single, union
from maze.grammar.pattern.parser import PatternParser
from maze.grammar.pattern.source import Source
from maze.grammar.pattern.tree import Lazy, Node, positions_of
from maze.grammar.pattern.unicode_property import code_points_of
from maze.grammar.read.lark.source import LarkSource, RegexSource
from maze.grammar.read.lark.syntax import Regex

_WHITE_SPACE: Ranges = union(
    SPACE,
    ((0x1C, 0x1F), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    ((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
)


def read_regex(regex: Regex, source: LarkSource, budget: Budget) -> tuple[Node, int]:
    """The tree of an expression, with its assertions and lazy quantifiers, and its size in positions."""
    budget.spend(20 + 3 * len(regex.body))
    within = RegexSource(regex.body, source.path, 0, source, regex.place)
    tree = _RegexParser(regex.body, within, budget, regex.flags & frozenset("imsx")).parse()
    return tree, positions_of(tree)


def regex_source(source: LarkSource, place: int) -> Source:
    """Where errors about an expression point that is put together of several: to its definition."""
    return RegexSource("", source.path, 0, source, place)


class _RegexParser(PatternParser):
    def __init__(self, body: str, source: Source, budget: Budget, flags: frozenset[str]) -> None:
        super().__init__(body, source, budget, flags)
        self.class_escapes = _Escapes(budget)
        self.lazily_repeated = Lazy

    def _dot(self) -> Ranges:
        return ANY if "s" in self._flags else NOT_LINE_FEED


class _Escapes(Mapping[str, Ranges]):
    r"""`\d`, `\w` and `\s` of all of Unicode, looked up when they are met."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def __contains__(self, letter: object) -> bool:
        return letter in ("d", "w", "s")

    def __getitem__(self, letter: str) -> Ranges:
        match letter:
            case "s":
                return _WHITE_SPACE
            case "d":
                return code_points_of("Nd", self._budget) or ()
            case "w":
                letters, numbers = code_points_of("L", self._budget), code_points_of("N", self._budget)
                return union(letters or (), numbers or (), single(ord("_")))
        raise KeyError(letter)

    def __iter__(self) -> Iterator[str]:
        return iter("dws")

    def __len__(self) -> int:
        return 3
