"""What constraints become when they are compiled: grammars and masks for engines, and parts for the check."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from maze.outcome import ConstraintKind, Handling
from maze.shown import Shown


@dataclass(frozen=True, slots=True)
class EngineGrammar:
    """A grammar for llguidance: what an engine is to enforce while decoding, and what a text is checked against.

    maze.grammar.llguidance.engine_text() writes it for an engine.
    """

    rules: str
    """Lark text with a rule `start`, without the header that engines want."""
    options: tuple[str, ...] = ()
    """llguidance's options that are switched on, sorted; each is off by default."""


@dataclass(frozen=True, slots=True)
class ConstraintPart:
    """One part (schema, grammar, single pattern, mask) of one ConstraintIR, and what the compiler made of it."""

    path: str
    """Where the caller finds it: `constraints[2].regex_patterns[1]`."""
    name: str
    """Label of the ConstraintIR."""
    kind: ConstraintKind
    priority: int
    handling: Handling
    reason: str = ""
    """Why it is handled that way, where that is not plain."""
    check_grammar: EngineGrammar | None = None
    """Accepts exactly the texts that satisfy this part, for the check."""
    check_schema: str | None = None
    """JSON Schema text (plain, normalised) that a finished JSON text must satisfy, for the check."""
    pattern: str = ""
    """Of a regular expression, the caller's text, cut where it is long, to name it by."""
    names_in: EngineGrammar | None = None
    """Of a regular expression for the names in a grammar, that grammar: where a text breaks it, there are no names."""
    language_grammar: str | None = field(default=None, compare=False)
    """Of a grammar with whole languages, its text: what it expects at a place is told in their words."""
    construct: str = ""
    """Of what a grammar of Braid asks for beside the language, what that is, in words."""

    @property
    def says_something(self) -> bool:
        """Whether a text has to satisfy it."""
        return self.handling not in (Handling.VACUOUS, Handling.IGNORED, Handling.TOLD)


@dataclass(frozen=True, slots=True)
class TokenMask:
    """The token masks of all constraints together. `allowed=None`: every token not forbidden."""

    allowed: frozenset[int] | None
    forbidden: frozenset[int]


@dataclass(frozen=True, slots=True)
class JointCheck:
    """A cheaper way to the same verdict where several parts are satisfied, as most finished texts' are."""

    grammar: EngineGrammar
    """Accepts exactly the texts that all of `check_grammars` accept."""
    check_grammars: tuple[EngineGrammar, ...]


@dataclass(frozen=True, slots=True, repr=False)
class CompiledConstraints(Shown):
    """What an array of ConstraintIR became."""

    grammar: EngineGrammar | None
    """None where nothing is enforced by a grammar. Of what comes after `continues`."""
    token_mask: TokenMask | None
    """Mask to enforce beside the grammar, or None."""
    parts: tuple[ConstraintPart, ...]
    """Every part in the caller's order."""
    joint_check: JointCheck | None = None
    most_characters: int | None = None
    """What patterns that are only checked allow a text to have at most, so that it is ended before; None for no end."""
    continues: str = ""
    """The text that `grammar` goes on from; the parts are about the whole."""
    warnings: tuple[str, ...] = ()
    digest: str = ""
    """`sha256:<hex>` of grammar and mask, the same for equal constraints."""
    packed_grammar: bytes = field(default=b"", compare=False, repr=False)
    """`grammar` as a value to work with, for maze.grammar.continuation; empty where there is none."""
    demands: tuple[str, ...] = ()
    """What they demand, for the model, a line each; see maze.grammar.compose.demands."""
    report_json: bytes = b"{}"
    """What maze_result_json() shows of a compilation beside its grammar, made once so that a hit costs no encoding."""
    compile_time_ms: float = field(default=0.0, compare=False)
    """How long compiling took."""
    cache_hit: bool = field(default=False, compare=False)
    """Whether the call that gives them found them compiled."""

    @property
    def says_something(self) -> bool:
        """Whether there is anything that a text has to satisfy."""
        return bool(self.grammar or self.token_mask) or any(part.says_something for part in self.parts)

    def __repr__(self) -> str:
        handled = Counter(part.handling.value for part in self.parts)
        parts = ", ".join(f"{count} {handling}" for handling, count in handled.items()) or "no parts"
        rules = f"grammar of {len(self.grammar.rules)} characters" if self.grammar else "no grammar"
        return f"<{type(self).__name__}: {parts}; {rules}>"
