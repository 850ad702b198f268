"""What Lark text consists of, as it is written: definitions and directives, and the expressions in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class QuotedText:
    """A text in quotes."""

    text: str
    ignores_case: bool
    place: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression between slashes."""

    body: str
    flags: frozenset[str]
    place: int = field(compare=False)
    """Where the body begins."""


@dataclass(frozen=True, slots=True)
class CharacterRange:
    """`"a".."z"`."""

    first: int
    last: int
    place: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """A rule, a terminal, or a parameter of a template; with arguments, a template."""

    name: str
    arguments: tuple[Expression, ...] | None
    place: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class OfLanguage:
    """A rule or a terminal of a whole language, by its full name."""

    name: str
    place: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Schema:
    """`%json`."""

    text: str
    place: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Substring:
    """`%regex` of some pieces: any run of them, also none."""

    pieces: tuple[str, ...]
    place: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    options: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Conjunction:
    """`&`: what all items describe."""

    items: tuple[Expression, ...]
    place: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Negation:
    """`~`: all but what the item describes."""

    item: Expression
    place: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Repetition:
    """`low` to `high` times; `high` None is without end."""

    item: Expression
    low: int
    high: int | None
    place: int = field(compare=False)


Expression: TypeAlias = (
    QuotedText
    | Regex
    | CharacterRange
    | Reference
    | OfLanguage
    | Schema
    | Substring
    | Sequence
    | Choice
    | Conjunction
    | Negation
    | Repetition
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A rule, a template or a terminal."""

    name: str
    place: int
    parameters: tuple[str, ...]
    attributes: Mapping[str, Expression | None]
    """What llguidance writes in brackets behind the name, as far as it says which texts there are."""
    body: Expression


@dataclass(frozen=True, slots=True)
class Override:
    """`%override`: in the place of one that was imported."""

    definition: Definition


@dataclass(frozen=True, slots=True)
class Extend:
    """`%extend`: one more way to be what was defined before."""

    definition: Definition


@dataclass(frozen=True, slots=True)
class Ignore:
    """`%ignore`: what may stand between any two terminals."""

    body: Expression


@dataclass(frozen=True, slots=True)
class Import:
    """`%import`."""

    grammar: str
    names: Mapping[str, str]
    """By the name in the other grammar: the one it gets here."""
    place: int


@dataclass(frozen=True, slots=True)
class Declare:
    """`%declare`: a terminal whose texts a program decides about."""

    name: str


@dataclass(frozen=True, slots=True)
class Option:
    """An option of llguidance, which `%llguidance {...}` switches on or off."""

    name: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class Restriction:
    """`%forbid` or `%allow`: which names or imports a text in an imported language may hold."""

    is_allowed: bool
    kind: str
    """Of what: `names`, `imports`, or the names of a role such as `function_names`."""
    texts: tuple[Expression, ...]
    place: int


Statement: TypeAlias = Definition | Override | Extend | Ignore | Import | Declare | Option | Restriction


def is_terminal(name: str) -> bool:
    """Whether a name is that of a terminal: those of rules are written small."""
    return name.lstrip("_")[:1].isupper()
