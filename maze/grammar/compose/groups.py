"""Parts of constraints on their way through the compiler; those that mean the same are one group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from maze.compiled import ConstraintPart, EngineGrammar
from maze.errors import ContradictionError, LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.cfg.model import Cfg, Pattern
from maze.grammar.naming import apply_naming
from maze.grammar.pattern.derivative import without_empty
from maze.grammar.pattern.printer import needs_parts, to_terminal
from maze.grammar.pattern.tree import EMPTY, NOTHING, Node, nullable
from maze.grammar.schema.lower import LoweredSchema
from maze.outcome import ConstraintKind, Handling

KIND_ORDER = (ConstraintKind.JSON_SCHEMA, ConstraintKind.GRAMMAR, ConstraintKind.REGEX)
"""Which kind is enforced first where priorities are equal: the one that says most about the structure of a text."""


@dataclass(slots=True)
class Part:
    """A ConstraintPart in the making, with the same fields, and a note."""

    path: str
    name: str
    kind: ConstraintKind
    priority: int
    handling: Handling = Handling.CHECKED
    reason: str = ""
    pattern: str = ""
    check_grammar: EngineGrammar | None = None
    check_schema: str | None = None
    names_in: EngineGrammar | None = None
    language_grammar: str | None = None
    construct: str = ""
    note: str = ""
    """What is to be said of how it is read, before why it is handled so."""

    def finished(self) -> ConstraintPart:
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "note"}
        return ConstraintPart(**given | {"reason": "; ".join(filter(None, (self.note, self.reason)))})


@dataclass(slots=True)
class Group:
    """Parts that mean the same. `text` is the canonical text of their meaning, the same in whatever order they came."""

    kind: ConstraintKind
    text: str
    parts: list[Part] = field(default_factory=list)

    @property
    def priority(self) -> int:
        return max(part.priority for part in self.parts)

    @property
    def rank(self) -> tuple[int, int, str]:
        """Smaller is enforced first."""
        return (-self.priority, KIND_ORDER.index(self.kind), self.text)

    @property
    def path(self) -> str:
        """The first of the parts, for errors and reasons."""
        return self.parts[0].path

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(part.path for part in self.parts)

    def mark(self, handling: Handling, reason: str = "") -> None:
        for part in self.parts:
            part.handling = handling
            part.reason = reason


@dataclass(slots=True)
class SchemaGroup(Group):
    """Schemas that are the same text once normalised."""

    lowered: LoweredSchema = field(kw_only=True)


@dataclass(slots=True)
class PatternGroup(Group):
    """Patterns with the same language, as far as that shows."""

    language: Node = field(kw_only=True)


@dataclass(slots=True)
class GrammarGroup(Group):
    """Grammars that are written the same for engines."""

    lowered: LoweredGrammar = field(kw_only=True)
    naming: dict[str, PatternGroup] = field(default_factory=dict)
    """Patterns that describe the names in this grammar, by their text."""
    describes_names: dict[str, bool] = field(default_factory=dict)
    """What was found out about patterns that may describe them, by their text."""

    _named: dict[tuple[Node, ...], LoweredGrammar] = field(default_factory=dict)
    """By the languages of its names."""

    def with_names(self, languages: Sequence[Node], paths: str, budget: Budget) -> LoweredGrammar:
        """The grammar with such names as are in all languages; raises as apply_naming()."""
        key = tuple(languages)
        if key not in self._named:
            self._named[key] = apply_naming(self.lowered, key, paths, budget)
        return self._named[key]

    def named(self, budget: Budget) -> LoweredGrammar:
        """The grammar with its names as the naming patterns want them."""
        if not self.naming:
            return self.lowered
        namings = [group for _, group in sorted(self.naming.items())]
        paths = ", ".join([self.path, *(group.path for group in namings)])
        try:
            return self.with_names([group.language for group in namings], paths, budget)
        except ContradictionError as conflict:
            raise conflict.between(self.paths, *(group.paths for group in namings)) from None

    @property
    def checked_by(self) -> EngineGrammar | None:
        """What finished texts and their names are checked by; None where that is more than one grammar."""
        groups: list[Group] = list(self.naming.values()) or [self]
        return groups[0].parts[0].check_grammar if len(groups) == 1 else None

    def leaves_no_names(self, budget: Budget) -> bool:
        """Whether the naming patterns together leave no name at all, so that only texts without names remain.

        Raises ContradictionError where there are none either.
        """
        return bool(self.naming) and not self.named(budget).identifier_terminals


def grammar_of(language: Node, budget: Budget) -> EngineGrammar:
    """The grammar whose texts are those of the language. Raises LimitExceededError."""
    if needs_parts(language):
        return cfg_to_lark(Cfg("output", {"output": ((Pattern("output", language),),)}), budget)
    return EngineGrammar(f"start: OUTPUT\nOUTPUT: {to_terminal(language)}\n")


def cfg_of(language: Node) -> Cfg:
    """The same as a value: its terminal, unlike the engine's, does not accept the empty text."""
    texts = without_empty(language)
    some = () if texts in (EMPTY, NOTHING) else ((Pattern("output", texts),),)
    return Cfg("output", {"output": (*some, ()) if nullable(language) else some})


def check_grammar_of(lowered: LoweredGrammar, path: str, budget: Budget) -> EngineGrammar:
    """The rules that finished texts are checked against; `path` is what a LimitExceededError calls the grammar."""
    if lowered.written is not None:
        budget.spend(len(lowered.written.rules))
        return EngineGrammar(lowered.written.rules, options=lowered.options)
    try:
        return replace(cfg_to_lark(lowered.checked, budget), options=lowered.options)
    except LimitExceededError as error:
        raise LimitExceededError(f"{path}: {error}") from None
