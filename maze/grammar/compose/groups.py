"""Parts of constraints on their way through the compiler; those that mean the same are one group."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from maze.compiled import ConstraintPart, EngineGrammar
from maze.errors import ContradictionError, LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import pruned
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg, LoweredGrammar, Pattern
from maze.grammar.naming import apply_naming, has_names
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

    _named: Cfg | None = None

    def cfg(self, budget: Budget) -> Cfg:
        """The grammar with its names as the naming patterns want them."""
        if not self.naming:
            return self.lowered.cfg
        if self._named is None:
            namings = [group for _, group in sorted(self.naming.items())]
            paths = ", ".join([self.path, *(group.path for group in namings)])
            named = pruned(apply_naming(self.lowered, [group.language for group in namings], paths, budget))
            if not named.rules[named.start]:
                message = f"no text has names as {paths} together want them; change or drop one of them"
                raise ContradictionError(message).between(self.paths, *(group.paths for group in namings))
            self._named = named
        return self._named

    @property
    def named_as_checked(self) -> EngineGrammar | None:
        """What the names are checked by, where that is also the grammar to decode with."""
        if len(self.naming) != 1 or self.lowered.read_whole is not None:
            return None
        return next(iter(self.naming.values())).parts[0].check_grammar

    @property
    def is_as_checked(self) -> bool:
        """Whether the grammar of finished texts is also the one to decode with."""
        lowered = self.lowered
        return lowered.checked is lowered.cfg and lowered.read_whole is None and not self.naming

    def leaves_no_names(self, budget: Budget) -> bool:
        """Whether the naming patterns together leave no name at all, so that only texts without names remain."""
        languages = [group.language for group in self.naming.values()]
        return bool(languages) and not has_names(self.lowered, languages, self.path, budget)


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
