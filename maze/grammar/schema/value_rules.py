"""Conditions on a JSON value to rules: a grammar whose texts are the JSON texts of the values that satisfy them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from maze.grammar.budget import OverBudgetError
from maze.grammar.cfg.analysis import pruned
from maze.grammar.cfg.automaton_rules import as_rules
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Symbol
from maze.grammar.llguidance import CAREFUL_LIMITS, is_bearable
from maze.grammar.pattern.automaton import without_intersections
from maze.grammar.pattern.bearable import is_bearable_for_llguidance
from maze.grammar.pattern.machine import plain_expression, without_complements
from maze.grammar.pattern.tree import MAX_CONJUNCTS, Alt, Node, both, conjuncts, has_machine, is_length, is_plain
from maze.grammar.pattern.tree import conditions as parts_of
from maze.grammar.schema import arrays
from maze.grammar.schema.conditions import (
    ALWAYS,
    NEVER,
    Condition,
    Every,
    Item,
    Kind,
    Matching,
    OneOf,
    Size,
    Some,
    TooManyError,
)
from maze.grammar.schema.emptiness import has_no_text
from maze.grammar.schema.finite_values import FiniteValues
from maze.grammar.schema.meaning import Meanings
from maze.grammar.schema.object_rules import ObjectRules
from maze.grammar.schema.rules import RulesOfValues
from maze.grammar.schema.satisfiable import WORDS, Satisfiable, Term
from maze.grammar.schema.strings import quoted_language

MAX_DIFFERENT = 16
"""Most items of an array of which it is looked whether what they must be tells them apart."""
NUMBER = "number"
"""The name of a terminal that is a whole number; what is a rule is called otherwise."""
_FIRST_TOKENS = 3
"""Most of what an engine has to work out about a string it does behind its quote."""


@dataclass(frozen=True, slots=True)
class ValueRules:
    """What became of a condition."""

    cfg: Cfg
    """Its start rule has no production if no value satisfies the condition."""
    notes: tuple[int, ...]
    """The numbers of the notes about what the grammar leaves to the check."""


def rules_of(condition: Condition, meanings: Meanings, most_nodes: int) -> ValueRules:
    """The grammar of the values that satisfy a condition; wider where the notes say so.

    Once the rules have `most_nodes` alternatives and literal texts, of values deeper inside only the type is kept.
    """
    return _Writing(meanings, most_nodes).run(condition)


def _nodes(productions: Sequence[Production]) -> int:
    """About what the writer counts as so many."""
    return 2 + sum(1 + sum(isinstance(symbol, Literal) for symbol in production) for production in productions)


class _Writing:
    def __init__(self, meanings: Meanings, most_nodes: int) -> None:
        self._most_nodes = most_nodes
        self._nodes = 0
        self._meanings = meanings
        self._conditions = meanings.conditions
        self._budget = meanings.budget
        self._satisfiable = Satisfiable(meanings)
        self._of_kind = self._satisfiable.of_kind
        self._finite = FiniteValues(meanings, self._satisfiable)
        self._written = RulesOfValues(self._value)
        self._rules = self._written.by_name
        self._values: dict[Condition, Nonterminal] = {}
        self._pending: deque[Condition] = deque()
        self._notes: dict[str, set[int]] = {}
        """By the name of the rule of a value."""
        self._exact: dict[tuple[Condition, Kind], tuple[Production, ...]] = {}
        """Of the values of a kind, where nothing is left to the check."""
        self._numbers: dict[Node, Nonterminal] = {}
        self._has_numbers_in_rules = False
        self._tried: dict[Node, bool] = {}

    def run(self, condition: Condition) -> ValueRules:
        start = self._value(condition)
        while self._pending:
            pending = self._pending.popleft()
            name = self._values[pending].name
            notes = self._notes[name] = set()
            self._budget.spend(20)
            rules = len(self._rules)
            self._rules[name] = self._productions(pending, notes)
            self._nodes += sum(map(_nodes, islice(self._rules.values(), rules, None)))
        if self._has_numbers_in_rules:
            try:
                self._put_numbers_in_rules()
            except OverBudgetError:
                self._take_any_numbers()
                what = "all but its type, of every number,"
                self._notes[start.name].add(self._meanings.note_on(condition, what))
        cfg = pruned(Cfg(start.name, self._rules))
        return ValueRules(cfg, tuple(sorted(set().union(*(self._notes.get(name, ()) for name in cfg.rules)))))

    def _value(self, condition: Condition) -> Nonterminal:
        condition = self._meanings.resolved(condition)
        if condition not in self._values:
            self._values[condition] = self._written.name_one()
            self._pending.append(condition)
        return self._values[condition]

    def _productions(self, condition: Condition, notes: set[int]) -> tuple[Production, ...]:
        return tuple(
            production
            for kind in Kind
            if (of_kind := self._of_kind(condition, kind)) != NEVER
            for production in self._productions_of_kind(of_kind, kind, notes, condition)
        )

    def _productions_of_kind(
        self, condition: Condition, kind: Kind, notes: set[int], whole: Condition
    ) -> tuple[Production, ...]:
        """Exactly those of the condition or, where that takes too much, of a wider one, with a note.

        `whole` is what the condition of the kind is a part of.
        """
        if (condition, kind) in self._exact:
            return self._exact[condition, kind]
        if kind in (Kind.ARRAY, Kind.OBJECT) and self._nodes >= self._most_nodes and condition != ALWAYS:
            return self._any_of_kind(kind, notes, whole)
        tried = set()
        for widenings in _LADDER:
            noted: set[int] = set()
            wider = condition
            for widen in widenings:
                wider = widen(self, wider, noted, whole)
            if wider in tried:
                continue
            tried.add(wider)
            for write in (self._exact_productions, self._alternatives_apart):
                found = set(noted)
                self._conditions.begin_attempt()
                values, rules = len(self._pending), len(self._rules)
                try:
                    productions = write(wider, kind, found, whole)
                except (TooManyError, OverBudgetError):
                    self._forget_all_but(values, rules)
                    continue
                notes |= found
                if not found:
                    self._exact[condition, kind] = productions
                return productions
        return self._any_of_kind(kind, notes, whole)

    def _forget_all_but(self, values: int, rules: int) -> None:
        """Take back what an attempt has begun beyond so many pending values and rules."""
        while len(self._pending) > values:
            del self._values[self._pending.pop()]
        while len(self._rules) > rules:
            self._rules.popitem()

    def _any_of_kind(self, kind: Kind, notes: set[int], whole: Condition) -> tuple[Production, ...]:
        notes.add(self._meanings.note_on(whole, f"all but its type, of an {kind.value},"))
        if (ALWAYS, kind) not in self._exact:
            self._exact[ALWAYS, kind] = self._exact_productions(ALWAYS, kind, set(), ALWAYS)
        return self._exact[ALWAYS, kind]

    def _without_exclusions(self, condition: Condition, notes: set[int], whole: Condition) -> Condition:
        """The condition without that at most one of several holds."""
        formula = self._conditions[condition]
        match formula:
            case Every(conditions):
                return self._conditions.every(self._without_exclusions(each, notes, whole) for each in conditions)
            case Some(conditions):
                return self._conditions.some(self._without_exclusions(each, notes, whole) for each in conditions)
            case OneOf(conditions, note):
                notes.add(note)
                return self._conditions.some(self._without_exclusions(each, notes, whole) for each in conditions)
        return condition

    def _without_counts(self, condition: Condition, notes: set[int], whole: Condition) -> Condition:
        """The condition without what takes a state for each item or property that is counted."""
        formula = self._conditions[condition]
        match formula:
            case Every(conditions):
                return self._conditions.every(self._without_counts(each, notes, whole) for each in conditions)
            case Some(conditions):
                return self._conditions.some(self._without_counts(each, notes, whole) for each in conditions)
            case Size(Kind.OBJECT) | Matching() | Item(some=True):
                notes.add(self._meanings.note_on(whole, "what is counted"))
                return ALWAYS
            case Item(first) if first >= arrays.MAX_PREFIX:
                notes.add(self._meanings.note_on(whole, f"what the items after {arrays.MAX_PREFIX:,} must be"))
                return ALWAYS
        return condition

    def _without_alternatives(self, condition: Condition, notes: set[int], whole: Condition) -> Condition:
        """What holds whichever alternative does."""
        formula = self._conditions[condition]
        parts = formula.conditions if isinstance(formula, Every) else (condition,)
        left = [part for part in parts if not isinstance(self._conditions[part], Some | OneOf)]
        if len(left) < len(parts):
            notes.add(self._meanings.note_on(whole, "what depends on alternatives"))
        return self._conditions.every(left)

    def _exact_productions(
        self, condition: Condition, kind: Kind, notes: set[int], whole: Condition
    ) -> tuple[Production, ...]:
        if kind in WORDS:
            return ((Literal(WORDS[kind]),),)
        if kind in (Kind.NUMBER, Kind.STRING):
            language, wider = self._satisfiable.language(condition, kind)
            notes.update(wider)
            if not self._is_bearable(language, kind):
                try:
                    language = without_intersections(language, self._budget)
                except OverBudgetError:
                    many = conjuncts(language) > MAX_CONJUNCTS
                    number = f"over {MAX_CONJUNCTS}" if many else "some large"
                    what = f"what is one of {number} patterns for one value"
                    notes.add(self._meanings.note_on(whole, what))
                    language = self._bearable_part(language, kind)
            if has_no_text(language, self._meanings.questions, self._budget):
                return ()
            return ((self._number(language) if kind is Kind.NUMBER else self._string(language),),)
        if kind is Kind.ARRAY:
            return self._arrays(self._satisfiable.terms(condition, kind), notes)
        objects = self._satisfiable.objects(condition)
        productions = ObjectRules(objects, self._written).productions()
        notes |= objects.notes
        if objects.repetition_matters:
            notes.add(self._meanings.note_on(whole, "that no name comes twice"))
        return productions

    def _alternatives_apart(
        self, condition: Condition, kind: Kind, notes: set[int], whole: Condition
    ) -> tuple[Production, ...]:
        """Each of the alternatives for itself, of objects: what they share is written as often, but nothing else is."""
        if kind is not Kind.OBJECT:
            raise TooManyError
        return tuple(
            production
            for each in self._satisfiable.alternatives(condition, kind)
            for production in self._exact_productions(each, kind, notes, whole)
        )

    def _bearable_part(self, language: Node, kind: Kind) -> Node:
        """What can be enforced of an intersection that cannot be as a whole."""
        kept, _ = self._satisfiable.language(ALWAYS, kind)
        parts = parts_of(language)
        for part in parts if len(parts) <= MAX_CONJUNCTS else ():
            if self._budget.has_optional_steps and self._is_bearable(both(kept, part), kind):
                kept = both(kept, part)
        return kept

    def _is_bearable(self, language: Node, kind: Kind) -> bool:
        """Whether an engine can be given a language. Formats are large, but known to be no trouble to llguidance."""
        if is_plain(language):
            return True
        if conjuncts(language) > MAX_CONJUNCTS:
            return False
        if isinstance(language, Alt):
            return all(self._is_bearable(item, kind) for item in language.items)
        foreign = [item for item in parts_of(language) if item not in self._meanings.parts_of_formats]
        if not is_bearable_for_llguidance(both(*foreign), self._budget):
            return False
        return kind is Kind.NUMBER or self._gets_through(language)

    def _gets_through(self, language: Node) -> bool:
        """Whether an engine does not give up on the first tokens of a string, and lets the model write anything."""
        patterns = [part for part in parts_of(language) if not is_length(part)]
        if len(patterns) < 2 and all(map(is_plain, patterns)):
            return True
        if language not in self._tried:
            grammar = cfg_to_lark(Cfg("string", {"string": ((self._string(language),),)}), self._budget)
            self._tried[language] = is_bearable(grammar, self._budget, CAREFUL_LIMITS, _FIRST_TOKENS)
        return self._tried[language]

    def _string(self, language: Node) -> Symbol:
        return Pattern("string", quoted_language(without_complements(language, self._budget)))

    def _number(self, language: Node) -> Symbol:
        """A terminal or, where it would be too large an expression, rules with one state each."""
        expression = plain_expression(language, self._budget) if has_machine(language) else language
        if expression is not None:
            return Pattern(NUMBER, expression)
        self._has_numbers_in_rules = True
        return self._number_in_rules(language)

    def _number_in_rules(self, language: Node) -> Nonterminal:
        if language not in self._numbers:
            number = self._numbers[language] = self._written.name_one()
            self._rules.update(as_rules(language, number.name, self._budget.construction()))
        return self._numbers[language]

    def _put_numbers_in_rules(self) -> None:
        """Write all numbers so: beside a rule that begins with a character, a terminal would take more of the text."""
        for name, productions in list(self._rules.items()):
            self._rules[name] = tuple(
                tuple(
                    self._number_in_rules(symbol.language)
                    if isinstance(symbol, Pattern) and symbol.name == NUMBER
                    else symbol
                    for symbol in production
                )
                for production in productions
            )

    def _take_any_numbers(self) -> None:
        """Write no number as rules, and all the same."""
        ((any_number,),) = self._exact_productions(ALWAYS, Kind.NUMBER, set(), ALWAYS)
        in_rules = set(self._numbers.values())
        for name, productions in list(self._rules.items()):
            self._rules[name] = tuple(
                tuple(
                    any_number
                    if symbol in in_rules or (isinstance(symbol, Pattern) and symbol.name == NUMBER)
                    else symbol
                    for symbol in production
                )
                for production in productions
            )

    def _arrays(self, terms: Sequence[Term], notes: set[int]) -> tuple[Production, ...]:
        productions: list[Production] = []
        for term in terms:
            shape = arrays.shape_of(term, self._conditions)
            if shape is not None:
                notes |= shape.notes
                distinct = None
                if shape.unique is not None and (shape.high is None or shape.high > 1):
                    distinct = self._finite.distinct(shape)
                    if distinct is None and not self._differ(shape):
                        notes.add(shape.unique.note)
                rules = arrays.ArrayRules(shape, distinct, self._conditions, self._written)
                productions.extend(rules.productions())
        return tuple(productions)

    def _differ(self, shape: arrays.Shape) -> bool:
        """Whether no value can stand at two places of an array."""
        if shape.high is None or shape.high > MAX_DIFFERENT:
            return False
        places = [*shape.prefix, *[shape.rest] * (shape.high - len(shape.prefix))]
        return all(
            self._satisfiable.exclude_each_other(left, right)
            for index, left in enumerate(places)
            for right in places[:index]
        )


_LADDER = (
    (),
    (_Writing._without_exclusions,),
    (_Writing._without_counts,),
    (_Writing._without_exclusions, _Writing._without_counts),
    (_Writing._without_alternatives,),
    (_Writing._without_alternatives, _Writing._without_counts),
)
"""Ways to make a condition wider, that which loses least first."""
