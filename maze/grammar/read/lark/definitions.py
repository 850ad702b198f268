"""What each name of Lark text stands for, and what may be skipped."""

from __future__ import annotations

from dataclasses import dataclass, field

from maze.errors import LimitExceededError
from maze.grammar.pattern.tree import Node
from maze.grammar.read.lark.parts import parts_of
from maze.grammar.read.lark.source import LarkSource
from maze.grammar.read.lark.syntax import Definition, Expression, Reference, Restriction, is_terminal

MAX_RULES = 100_000
"""Most rules and terminals of one Lark text."""


@dataclass(slots=True)
class Definitions:
    """All that Lark text says."""

    source: LarkSource
    by_name: dict[str, Definition] = field(default_factory=dict)
    ignored: list[Expression] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)
    """Terminals whose texts a program would decide about."""
    options: set[str] = field(default_factory=set)
    """Options of llguidance that are switched on."""
    languages: dict[str, set[str]] = field(default_factory=dict)
    """The whole languages that rules or terminals were imported of, with the full names of these."""
    restrictions: list[Restriction] = field(default_factory=list)
    texts_in_languages: dict[str, Node] = field(default_factory=dict)
    """What the restrictions leave of terminals of languages, by their full names."""

    def references(self) -> dict[str, list[str]]:
        """The rules that each rule refers to."""
        rules = {name: each for name, each in self.by_name.items() if not is_terminal(name)}
        return {
            name: [part.name for part in parts_of(each.body) if isinstance(part, Reference) and part.name in rules]
            for name, each in rules.items()
        }

    def define(self, definition: Definition) -> None:
        """Add a definition. Refuses a name that is taken, and too many of them."""
        if definition.name in self.by_name:
            self.source.fail(
                definition.place,
                f"duplicate rule or terminal {definition.name!r}: join the two with '|', or use %override or %extend",
            )
        if len(self.by_name) == MAX_RULES:
            raise LimitExceededError(f"{self.source.path} has over {MAX_RULES:,} rules, which is the limit")
        self.by_name[definition.name] = definition
