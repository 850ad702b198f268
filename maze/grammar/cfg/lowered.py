"""What becomes of the text of a grammar, and of what is built upon whole languages, whose rules are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from maze.grammar.budget import Budget
from maze.grammar.cfg.known_rules import NarrowedRules
from maze.grammar.cfg.lark_writer import cfg_to_lark_beside
from maze.grammar.cfg.model import Cfg, Pattern
from maze.grammar.cfg.packing import packed


@dataclass(frozen=True, slots=True)
class WrittenGrammar:
    """What the compiler makes of a grammar that nothing is multiplied with."""

    rules: str
    """As cfg_to_lark() writes them."""
    packed: bytes
    own: Cfg
    """The rules that are beside those of languages, to which they refer."""
    beside: tuple[NarrowedRules, ...]
    """The rules of languages."""


def written_beside(cfg: Cfg, own: Iterable[str], beside: tuple[NarrowedRules, ...], budget: Budget) -> WrittenGrammar:
    """What is made of a grammar of rules of its `own`, and of what is left of those beside them."""
    there = Cfg(cfg.start, {name: cfg.rules[name] for name in own if name in cfg.rules})
    return WrittenGrammar(cfg_to_lark_beside(cfg, beside, budget).rules, packed(there, beside), there, beside)


@dataclass(frozen=True, slots=True)
class LoweredGrammar:
    """What became of the text of a grammar."""

    cfg: Cfg
    """The grammar, to be enforced with others."""
    whole: Cfg | None = None
    """All texts, where `cfg` leaves some out that nobody should generate, such as endless white space."""
    read_whole: Cfg | None = None
    """Where an engine could not bear `cfg` alone: a grammar that it reads by its longest match, which leaves out more.

    It is no grammar to be worked on, as its texts are those of `cfg` that this way of reading finds.
    """
    warnings: tuple[str, ...] = ()
    """Each begins with the path of the constraint."""
    identifier_terminals: frozenset[Pattern] = frozenset()
    """The terminals of `cfg` that are names in the language; naming patterns apply to them."""
    options: tuple[str, ...] = ()
    """Options of llguidance that the caller has switched on."""
    is_of_languages: bool = False
    """Whether whole languages are in it, whose rules and terminals have names that say what they are."""
    is_of_braid: bool = False
    """Whether it is Braid's JSON, beside which stand patterns that Braid has found in a source."""
    asks_for: tuple[str, ...] | None = None
    """Of Braid's grammar of token classes, those that begin a construct and are asked for; None for other grammars."""
    written: WrittenGrammar | None = None
    """What is made of `cfg`, where that is known already."""

    @property
    def checked(self) -> Cfg:
        """What finished texts are checked against."""
        return self.whole or self.cfg
