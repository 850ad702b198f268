"""Terminals of Lark text to the regular languages that they are, whatever lexer would read them."""

from __future__ import annotations

from maze.errors import LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.pattern.assertions import resolve
from maze.grammar.pattern.automaton import is_empty
from maze.grammar.pattern.code_points import ANY, ignoring_case, intersection, single
from maze.grammar.pattern.derivative import Derivatives
from maze.grammar.pattern.machine import plain_expression
from maze.grammar.pattern.questions import Questions
from maze.grammar.pattern.tree import (
    ANYTHING,
    EMPTY,
    MAX_CONJUNCTS,
    NOTHING,
    Chars,
    Node,
    alt,
    both,
    cat,
    conjuncts,
    is_plain,
    literal,
    negation,
    positions_of,
    repeat,
)
from maze.grammar.pattern.trial import has_text_by_trial
from maze.grammar.read.lark import imported
from maze.grammar.read.lark.definitions import Definitions
from maze.grammar.read.lark.laziness import MAX_WRITTEN_OUT, without_laziness
from maze.grammar.read.lark.parts import parts_of, shown_names
from maze.grammar.read.lark.regex import read_regex, regex_source
from maze.grammar.read.lark.syntax import (
    CharacterRange,
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
    Substring,
    is_terminal,
)

MAX_TERMINAL_POSITIONS = 5_000
"""Most characters and classes of one terminal with all that it refers to, repetitions written out."""

_Sized = tuple[Node, int]


class Terminals:
    """What terminals mean; each is worked out once."""

    def __init__(self, definitions: Definitions, budget: Budget) -> None:
        self._definitions = definitions
        self._source = definitions.source
        self._budget = budget
        self._trees: dict[str, _Sized] = {}
        """With their assertions and lazy quantifiers, which may look into what they are put together with."""
        self._languages: dict[Expression, Node] = {}
        self._derivatives = Derivatives(Budget().construction())

    def language(self, expression: Expression, place: int) -> Node:
        """The texts of an expression of terminals, as a plain expression if there is one of bearable size.

        `place` is where errors about the whole point.
        """
        if expression not in self._languages:
            self._read_needed(expression)
            self._languages[expression] = self._resolved(self._tree(expression, place)[0], place)
        return self._languages[expression]

    def shortest(self, language: Node, place: int) -> Node:
        """The texts of a language that begin with no other of its texts, which is what a lazy rule takes."""
        return self._plain(both(language, negation(cat(language, Chars(ANY), ANYTHING))), place)

    def _read_needed(self, expression: Expression) -> None:
        """Read the terminals that an expression refers to, those that others need before these."""
        under_way: dict[str, int] = {}
        pending = [part for part in parts_of(expression) if isinstance(part, Reference)]
        while pending:
            part = pending.pop()
            if part.name in self._trees:
                continue
            definition = self._definition(part)
            if part.name not in under_way:
                under_way[part.name] = part.place
                pending.append(part)
                needed = [each for each in parts_of(definition.body) if isinstance(each, Reference)]
                for each in needed:
                    if each.name in under_way and each.name not in self._trees:
                        self._source.fail(
                            each.place,
                            f"circular reference: the terminal {each.name!r} is part of itself; only rules, which are "
                            "written small, can be",
                        )
                pending += needed
                continue
            self._trees[part.name] = self._tree(definition.body, definition.place)

    def _definition(self, name: Reference) -> Definition:
        if not is_terminal(name.name):
            self._source.fail(
                name.place, f"the rule {name.name!r} cannot be part of a terminal; write it as a terminal, in capitals"
            )
        return self.definition(name)

    def definition(self, name: Reference) -> Definition:
        """What a name stands for. Refuses one that stands for nothing here."""
        found = self._definitions.by_name.get(name.name)
        if found is not None:
            return found
        if name.name in self._definitions.declared:
            self._source.fail(
                name.place,
                f"{name.name} is left to a program by %declare, as the indentation of Python is, and a grammar cannot "
                "say that; write its texts as a terminal, or leave out what needs it",
                UnsupportedConstraintError,
            )
        known = shown_names(each for each in self._definitions.by_name if is_terminal(each) == is_terminal(name.name))
        kind = "terminals" if is_terminal(name.name) else "rules"
        hint = f"The {kind} are {known}." if known else f"There are no {kind}."
        if is_terminal(name.name) and name.name in imported.NAMES_OF_COMMON:
            hint += f" Write '%import common.{name.name}' for the one that comes with Lark."
        return self._source.fail(name.place, f'unknown name: "{name.name}"', hint=hint)

    def _tree(self, expression: Expression, place: int) -> _Sized:
        self._budget.spend(2)
        match expression:
            case QuotedText(text, ignores_case, _):
                if ignores_case:
                    return cat(*(Chars(ignoring_case(single(ord(character)))) for character in text)), len(text)
                return literal(text), len(text)
            case Regex():
                return self._checked(read_regex(expression, self._source, self._budget), place)
            case CharacterRange(first, last, _):
                return Chars(intersection(((first, last),), ANY)), 1
            case Reference(name, _, _):
                return self._trees[name]
            case OfLanguage(name, where):
                texts = self._definitions.texts_in_languages.get(name)
                if texts is None:
                    self._source.fail(where, "a rule cannot be part of a terminal; import it under a small name")
                return texts, positions_of(texts)
            case Substring(pieces, _):
                return self._checked(_any_run(pieces), place)
            case Sequence(items):
                parts = [self._tree(item, place) for item in items]
                return self._checked((cat(*(tree for tree, _ in parts)), sum(size for _, size in parts)), place)
            case Choice(options):
                parts = [self._tree(option, place) for option in options]
                return self._checked((alt(*(tree for tree, _ in parts)), sum(size for _, size in parts)), place)
            case Repetition(item, low, high, _):
                tree, size = self._tree(item, place)
                if high is None and low > 1:
                    written = cat(repeat(tree, low - 1, low - 1), repeat(tree, 1, None))
                else:
                    written = repeat(tree, low, high)
                return self._checked((written, size * max(low, high or 1)), place)
            case Conjunction(items, where):
                parts = [self._tree(item, place) for item in items]
                together = both(*(self._without_assertions(tree, where) for tree, _ in parts))
                return self._checked((together, sum(size for _, size in parts)), place)
            case Negation(item, where):
                tree, size = self._tree(item, place)
                return negation(self._without_assertions(tree, where)), size
            case Schema(_, where):
                return self._source.fail(where, "%json is a rule, and cannot be part of a terminal")

    def _checked(self, sized: _Sized, place: int) -> _Sized:
        if sized[1] > MAX_TERMINAL_POSITIONS:
            self._source.fail(
                place,
                f"with its repetitions written out the terminal has over {MAX_TERMINAL_POSITIONS:,} positions, which "
                "is the limit; use smaller counts, or a rule",
                LimitExceededError,
            )
        return sized

    def _resolved(self, tree: Node, place: int) -> Node:
        return self._plain(self._without_assertions(tree, place), place)

    def _without_assertions(self, tree: Node, place: int) -> Node:
        decided = without_laziness(
            tree,
            lambda: self._source.fail(
                place,
                f"a group with lazy quantifiers is repeated over {MAX_WRITTEN_OUT} times, which is the limit",
                LimitExceededError,
            ),
        )
        # A terminal is a text of its own: an assertion that looks out of it sees the end of the text.
        source = regex_source(self._source, place)
        return resolve(decided, source, self._budget, left_open=False, right_open=False)

    def _plain(self, language: Node, place: int) -> Node:
        if self._definitions.languages:
            # Their terminals stay whole, so that an engine can take the intersections; only that one is empty matters.
            return NOTHING if is_without_texts(language, self._derivatives) else language
        plain = plain_expression(language, self._budget)
        if plain is not None:
            return plain
        if conjuncts(language) > MAX_CONJUNCTS:
            self._source.fail(
                place,
                f"a terminal is an intersection of over {MAX_CONJUNCTS} others, the limit; use fewer `&`",
                LimitExceededError,
            )
        return language


def _any_run(pieces: tuple[str, ...]) -> _Sized:
    """The texts of any run of the pieces, also of none."""
    rest: Node = EMPTY
    starts = []
    for piece in reversed(pieces):
        rest = repeat(cat(literal(piece), rest), 0, 1)
        starts.append(rest)
    size = sum(map(len, pieces)) * (len(pieces) + 1) // 2
    return alt(EMPTY, *starts), size


def is_without_texts(language: Node, derivatives: Derivatives) -> bool:
    """Whether a terminal of a language, as it was written or restricted, has no text."""
    if is_plain(language):
        return language == NOTHING  # the functions that make nodes leave out what has no text
    found = has_text_by_trial(language, derivatives)
    if found is None:
        nothing = Questions(Budget()).is_nothing(language)
        return is_empty(language, Budget()) if nothing is None else nothing
    return not found
