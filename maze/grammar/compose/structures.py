"""Schemas and grammars, which say how a text is built, and the products of them with each other and with patterns.

One of them, whose rules may refer to themselves, is multiplied with the regular languages of all others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from enum import IntEnum
from functools import cached_property
from itertools import islice

from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.model import Cfg
from maze.grammar.cfg.product import Product
from maze.grammar.cfg.regular import regular_language
from maze.grammar.compose.groups import GrammarGroup, Group, PatternGroup, SchemaGroup
from maze.grammar.pattern.tree import ANYTHING, Node, both
from maze.grammar.schema.lower import CombinedSchemas, combine_schemas
from maze.grammar.schema.spellings import every_spelling, names_in_every_text, with_space


class Spelling(IntEnum):
    """Of the values of a schema. A grammar says itself how it is written."""

    USUAL = 0
    SPACED = 1
    """Space wherever it is allowed."""
    ANY = 2
    """All there are and more, which is for proofs that there is no text."""


class Structure(ABC):
    """All schemas of a call together, or one grammar. What is found out about it is kept."""

    def __init__(self, groups: Sequence[Group], budget: Budget) -> None:
        self.groups = sorted(groups, key=lambda group: group.rank)
        self._budget = budget
        self._cfgs: dict[Spelling, Cfg | None] = {}
        self._languages: dict[Spelling, Node | None] = {}
        self._products: dict[tuple[Spelling, Node], Product | None] = {}

    @property
    def rank(self) -> tuple[int, int, str]:
        """Smaller is enforced first."""
        return self.groups[0].rank

    @property
    def path(self) -> str:
        """For reasons and errors."""
        return self.groups[0].path

    @abstractmethod
    def _make_cfg(self, spelling: Spelling) -> Cfg | None: ...

    def _own(self, spelling: Spelling) -> Spelling:
        """What stands for a spelling here."""
        return spelling

    def _always(self, _spelling: Spelling) -> Node:
        """What all its texts in a spelling are known to be, beside what the grammar of the spelling says."""
        return ANYTHING

    def cfg(self, spelling: Spelling = Spelling.USUAL) -> Cfg | None:
        """Its grammar; None if none is known."""
        spelling = self._own(spelling)
        if spelling not in self._cfgs:
            self._cfgs[spelling] = self._make_cfg(spelling)
        return self._cfgs[spelling]

    def language(self, spelling: Spelling = Spelling.USUAL) -> Node | None:
        """Its texts as a regular language; None if that is too large or, as far as that shows, there is none."""
        spelling = self._own(spelling)
        if spelling not in self._languages:
            cfg = self.cfg(spelling)
            try:
                found = None if cfg is None else regular_language(cfg, self._budget.construction())
            except OverBudgetError:
                found = None
            self._languages[spelling] = None if found is None else both(found, self._always(spelling))
        return self._languages[spelling]

    def product(self, language: Node, spelling: Spelling = Spelling.USUAL) -> Product | None:
        """What it has in common with a language; None if that is too much work to find out."""
        spelling = self._own(spelling)
        key = (spelling, language)
        if key not in self._products:
            cfg = self.cfg(spelling)
            language = both(language, self._always(spelling))
            try:
                self._products[key] = None if cfg is None else Product(cfg, language, self._budget)
            except OverBudgetError:
                self._products[key] = None
        return self._products[key]

    def excludes(self, language: Node) -> bool:
        """Whether it is certain that none of its texts, in whatever spelling, is in a language."""
        found = (self.product(language, spelling) for spelling in (Spelling.USUAL, Spelling.ANY))
        return all(product is not None and product.is_empty for product in found)


class SchemaStructure(Structure):
    """All schemas of a call, which hold together."""

    def __init__(self, groups: Collection[SchemaGroup], budget: Budget) -> None:
        super().__init__(list(groups), budget)
        self.schemas = [group.lowered for group in sorted(groups, key=lambda group: group.rank)]

    @cached_property
    def combined(self) -> CombinedSchemas:
        """Their grammar. Raises ContradictionError."""
        return combine_schemas(self.schemas, self._budget)

    def _make_cfg(self, spelling: Spelling) -> Cfg | None:
        match spelling:
            case Spelling.USUAL:
                return self.combined.cfg
            case Spelling.SPACED:
                return with_space(self.combined.cfg)
            case Spelling.ANY:
                return every_spelling(self.combined.cfg)

    def _always(self, spelling: Spelling) -> Node:
        return names_in_every_text(self.combined.cfg) if spelling is Spelling.ANY else ANYTHING


class GrammarStructure(Structure):
    """One grammar."""

    def __init__(self, group: GrammarGroup, budget: Budget) -> None:
        super().__init__([group], budget)
        self.group = group

    @property
    def options(self) -> tuple[str, ...]:
        """Of llguidance, that its caller has switched on."""
        return self.group.lowered.options

    @property
    def is_read_whole(self) -> bool:
        """Whether an engine can bear it only as a grammar that is not to be worked on."""
        return self.group.lowered.read_whole is not None

    def _make_cfg(self, spelling: Spelling) -> Cfg | None:
        whole = self.group.lowered.whole
        return self.group.named(self._budget).cfg if spelling is Spelling.USUAL or whole is None else whole

    def _own(self, spelling: Spelling) -> Spelling:
        """All texts where that which should be generated has not what is wanted."""
        return Spelling.USUAL if spelling is Spelling.USUAL or self.group.lowered.whole is None else Spelling.ANY


def structures_of(
    schemas: Collection[SchemaGroup], grammars: Collection[GrammarGroup], budget: Budget
) -> list[Structure]:
    """Those of a call, from the one that is enforced first on."""
    found: list[Structure] = [GrammarStructure(group, budget) for group in grammars]
    if schemas:
        found.append(SchemaStructure(schemas, budget))
    return sorted(found, key=lambda structure: structure.rank)


def products(structures: Sequence[Structure], patterns: Collection[PatternGroup]) -> Iterator[Product]:
    """The products of all, in the most usual spelling in which they have a text in common; none if none has."""
    for spelling in (Spelling.USUAL, Spelling.SPACED):
        is_empty = False
        for product in _in_spelling(spelling, structures, patterns):
            is_empty = product is not None and product.is_empty
            if is_empty:
                break
            if product is not None:
                yield product
        if not is_empty:
            return


def have_nothing_in_common(structures: Sequence[Structure], patterns: Collection[PatternGroup]) -> bool:
    """Whether it is certain that no text satisfies all."""

    def is_empty(spelling: Spelling) -> bool:
        known = (product for product in _in_spelling(spelling, structures, patterns) if product is not None)
        return any(product.is_empty for product in islice(known, 1))

    return is_empty(Spelling.USUAL) and is_empty(Spelling.ANY)


def _in_spelling(
    spelling: Spelling, structures: Sequence[Structure], patterns: Collection[PatternGroup]
) -> Iterator[Product | None]:
    """The ways to multiply all, each by another structure that need be no regular language; None for too much work."""
    of_patterns = [group.language for group in sorted(patterns, key=lambda group: group.text)]
    for spine in structures:
        others = [structure.language(spelling) for structure in structures if structure is not spine]
        known = [language for language in others if language is not None]
        if len(known) == len(others):
            yield spine.product(both(*of_patterns, *known), spelling)
