"""Rules of Lark text as trees over tokens: each terminal that stands in a rule is one character of its own.

What may be skipped stands between tokens and not within them, so the tokens must be known as such for a while.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from maze.errors import ContradictionError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.cfg.model import Nonterminal, Production
from maze.grammar.pattern.code_points import single
from maze.grammar.pattern.derivative import without_empty
from maze.grammar.pattern.tree import (
    EMPTY,
    NOTHING,
    Alt,
    Cat,
    Chars,
    Literal,
    Node,
    Repeat,
    alt,
    cat,
    nullable,
    repeat,
)
from maze.grammar.read.lark.definitions import Definitions
from maze.grammar.read.lark.expressions import MAX_NESTING
from maze.grammar.read.lark.language_names import is_restricted
from maze.grammar.read.lark.parts import is_deeper, parts_of, with_names
from maze.grammar.read.lark.syntax import (
    Choice,
    Conjunction,
    Definition,
    Expression,
    Negation,
    OfLanguage,
    QuotedText,
    Reference,
    Regex,
    Repetition,
    Schema,
    Sequence,
    is_terminal,
)
from maze.grammar.read.lark.terminals import Terminals
from maze.grammar.schema.lower import lower_schema

MAX_TEMPLATES = 2_000
"""Most uses of templates with different arguments in one Lark text."""

_FIRST_TOKEN = 0x10000
"""The character of the first token."""


@dataclass(frozen=True, slots=True)
class RuleToken:
    """A terminal where it stands in a rule."""

    name: str
    """As it is written, for names of rules."""
    language: Node
    """Its texts; the empty one is none of them."""


@dataclass(slots=True)
class TokenRules:
    """The rules that `start` leads to."""

    rules: dict[str, Node] = field(default_factory=dict)
    """Their characters are tokens."""
    tokens: list[RuleToken] = field(default_factory=list)
    without_texts: list[str] = field(default_factory=list)
    """The terminals that have no text at all, as they are written."""
    ignored: list[Node] = field(default_factory=list)
    """What may be skipped between tokens; the empty text is not among it."""
    schemas: dict[str, Mapping[str, tuple[Production, ...]]] = field(default_factory=dict)
    """Rules over characters of each schema, by the name of the one that is all of it, which stands in `rules`."""

    of_languages: dict[str, None] = field(default_factory=dict)
    """The rules of whole languages that stand in `rules`, which are known."""

    def token_of(self, character: int) -> RuleToken:
        """The token that a character of the rules stands for."""
        return self.tokens[character - _FIRST_TOKEN]


def token_rules(definitions: Definitions, budget: Budget, warnings: list[str]) -> TokenRules:
    """Translate what the rule `start` leads to. Raises what LarkSource.fail() raises."""
    return _Translator(definitions, budget, warnings).translated()


def mapped(node: Node, of_token: Callable[[int], Node], of_nonterminal: Callable[[Nonterminal], Node]) -> Node:
    """A tree over tokens with something in the place of each token and nonterminal."""
    match node:
        case Chars(ranges):
            return alt(*(of_token(each) for low, high in ranges for each in range(low, high + 1)))
        case Literal(text):
            return cat(*(of_token(ord(each)) for each in text))
        case Cat(items):
            return cat(*(mapped(item, of_token, of_nonterminal) for item in items))
        case Alt(items):
            return alt(*(mapped(item, of_token, of_nonterminal) for item in items))
        case Repeat(item, low, high):
            return repeat(mapped(item, of_token, of_nonterminal), low, high)
        case Nonterminal():
            return of_nonterminal(node)
    raise AssertionError(node)


class _Translator:
    def __init__(self, definitions: Definitions, budget: Budget, warnings: list[str]) -> None:
        self._definitions = definitions
        self._source = definitions.source
        self._budget = budget
        self._warnings = warnings
        self._terminals = Terminals(definitions, budget)
        self._made = TokenRules()
        self._numbers: dict[tuple[str, Node], int] = {}
        """Of tokens by their texts; what may be restricted is a token of its own also with the same ones as another."""
        self._todo: list[tuple[str, Definition]] = []
        self._known: set[str] = set()
        self._templates: dict[tuple[str, tuple[Expression, ...]], str] = {}

    def translated(self) -> TokenRules:
        self._rule("start", self._definitions.by_name["start"])
        while self._todo:
            name, definition = self._todo.pop()
            self._made.rules[name] = self._body(definition)
        for expression in self._definitions.ignored:
            language = without_empty(self._terminals.language(expression, _place(expression)))
            if language not in (EMPTY, NOTHING):
                self._made.ignored.append(language)
        return self._made

    def _rule(self, name: str, definition: Definition) -> Nonterminal:
        if name not in self._known:
            self._known.add(name)
            self._todo.append((name, definition))
        return Nonterminal(name)

    def _body(self, definition: Definition) -> Node:
        if not definition.attributes:
            return self._tree(definition.body)
        body = definition.body
        if suffix := definition.attributes.get("suffix"):
            body = Sequence((body, suffix))
        for part in parts_of(body):
            if isinstance(part, Schema) or (isinstance(part, Reference) and not is_terminal(part.name)):
                self._source.fail(
                    part.place,
                    "a rule with [lazy] or [suffix=...] is made of terminals only; write those rules as terminals, in "
                    "capitals",
                    UnsupportedConstraintError,
                )
        language = self._terminals.language(body, definition.place)
        return self._token(definition.name, self._terminals.shortest(language, definition.place))

    # -- expressions

    def _tree(self, expression: Expression) -> Node:
        self._budget.spend(3)
        match expression:
            case Sequence(items):
                return cat(*map(self._tree, items))
            case Choice(options):
                return alt(*map(self._tree, options))
            case Repetition(item, low, high, _):
                return repeat(self._tree(item), low, high)
            case Reference(name, _, _) if not is_terminal(name):
                return self._reference(expression)
            case Schema():
                return self._schema(expression)
            case OfLanguage(name, place) if name in self._definitions.texts_in_languages:
                return self._token(name, self._terminals.language(expression, place))
            case OfLanguage(name, _):
                self._made.of_languages.setdefault(name)
                return Nonterminal(name)
            case Conjunction(_, place) | Negation(_, place):
                for part in parts_of(expression):
                    if isinstance(part, Schema) or (isinstance(part, Reference) and not is_terminal(part.name)):
                        self._source.fail(
                            part.place,
                            "'&' and '~' stand between terminals, not between rules; write this as a terminal, in "
                            "capitals",
                        )
                return self._token("terminal", self._terminals.language(expression, place))
            case Reference(name, arguments, place):
                if arguments is not None:
                    self._source.fail(place, f"the terminal {name!r} takes no arguments")
                definition = self._terminals.definition(expression)
                if isinstance(definition.body, OfLanguage | Reference) and not is_restricted(name):
                    name = definition.body.name if is_restricted(definition.body.name) else name
                return self._token(name, self._terminals.language(expression, definition.place))
        written = expression.text if isinstance(expression, QuotedText) else "characters"
        if isinstance(expression, Regex):
            written = f"/{expression.body}/"
        return self._token(written, self._terminals.language(expression, expression.place))

    def _token(self, name: str, language: Node) -> Node:
        if language == NOTHING:
            self._made.without_texts.append(name)
        if language in (EMPTY, NOTHING):
            return language
        may_be_empty = nullable(language)
        language = without_empty(language)
        key = (name if is_restricted(name) else "", language)
        if key not in self._numbers:
            self._numbers[key] = _FIRST_TOKEN + len(self._made.tokens)
            self._made.tokens.append(RuleToken(name, language))
        token = Chars(single(self._numbers[key]))
        return repeat(token, 0, 1) if may_be_empty else token

    def _reference(self, reference: Reference) -> Node:
        definition = self._terminals.definition(reference)
        given = reference.arguments or ()
        if len(given) != len(definition.parameters):
            wanted = len(definition.parameters)
            self._source.fail(
                reference.place,
                f"{reference.name!r} takes {wanted or 'no'} argument{'' if wanted == 1 else 's'}, and not {len(given)}",
            )
        if not given:
            return self._rule(definition.name, definition)
        key = (definition.name, given)
        self._budget.spend(10 * len(given))
        if key not in self._templates:
            if len(self._templates) == MAX_TEMPLATES or is_deeper(given, 2 * MAX_NESTING):
                self._source.fail(
                    reference.place,
                    f"templates are used with over {MAX_TEMPLATES:,} different arguments, or with one nested over "
                    f"{2 * MAX_NESTING} deep, which is the limit; one that uses itself with ever new ones never ends",
                    LimitExceededError,
                )
            self._templates[key] = f"{definition.name} [use {len(self._templates) + 1}]"
        meanings = dict(zip(definition.parameters, given, strict=True))
        return self._rule(
            self._templates[key],
            Definition(
                definition.name, definition.place, (), definition.attributes, with_names(definition.body, meanings)
            ),
        )

    def _schema(self, schema: Schema) -> Node:
        """The rules of the schema of a `%json`. It must be one that is enforced to the letter, as nothing checks it."""
        where = f"{self._source.path} (the schema on line {self._source.line(schema.place)})"
        try:
            lowered = lower_schema(schema.text, where, self._budget)
        except ContradictionError:
            # There may be other alternatives.
            self._source.fail(schema.place, "no value satisfies the schema; leave it out")
        value = json.loads(schema.text)
        if isinstance(value, dict) and ("schema_type" in value or "additional_properties" in value):
            raise UnsupportedConstraintError(f"{where} is in Braid's shape; write `type` and `additionalProperties`")
        if lowered.cfg is None or not lowered.fully_enforced:
            raise UnsupportedConstraintError(
                f"{where} cannot be enforced within Lark text: {'; '.join(lowered.reasons)}; give it as json_schema"
            )
        self._warnings.extend(lowered.warnings)
        prefix = f"json {len(self._made.schemas) + 1}: "

        def renamed(production: Production) -> Production:
            return tuple(
                Nonterminal(prefix + each.name) if isinstance(each, Nonterminal) else each for each in production
            )

        name = prefix + lowered.cfg.start
        self._made.schemas[name] = {
            prefix + rule: tuple(map(renamed, productions)) for rule, productions in lowered.cfg.rules.items()
        }
        return Nonterminal(name)


def _place(expression: Expression) -> int:
    """Where an expression stands, as near as is known."""
    return next((part.place for part in parts_of(expression) if not isinstance(part, Sequence | Choice)), 0)
