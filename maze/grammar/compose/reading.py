"""Reads the parts of all constraints, each into what it means, and brings those that mean the same together."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from maze.compiled import EngineGrammar
from maze.errors import (
    ContradictionError,
    InvalidConstraintError,
    LimitExceededError,
    UnsupportedConstraintError,
)
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.cfg.model import Cfg
from maze.grammar.cfg.product import Product
from maze.grammar.compose.as_language import Construct, constructs, text_of_language
from maze.grammar.compose.groups import GrammarGroup, Part, PatternGroup, SchemaGroup, check_grammar_of, grammar_of
from maze.grammar.compose.left_out import LeftOut
from maze.grammar.llguidance import engine_text
from maze.grammar.naming import describes_names, has_names, may_describe_names
from maze.grammar.pattern.parser import parse_pattern
from maze.grammar.pattern.questions import Questions
from maze.grammar.pattern.tree import Node, alt, negation, nullable
from maze.grammar.read.grammar_text import lower_grammar
from maze.grammar.schema.json_shape import texts_of_type
from maze.grammar.schema.lower import LoweredSchema, lower_schema
from maze.grammar.token_mask import MaskPart, is_vacuous, with_possible_ids
from maze.options import BraidGrammar, ConstraintOptions, OnUnenforceable
from maze.outcome import ConstraintKind, Handling
from maze.types import ConstraintIR, TokenMaskRules

MAX_PARTS = 10_000
"""Most schemas, grammars, patterns and masks of one array together."""
MAX_PATTERN_CHARACTERS_TOGETHER = 1_000_000
"""Most characters of all different patterns of one array; reading as many takes about 3 s."""
MAX_NAMING_PATTERNS = 32
"""Most different patterns beside one grammar that may describe its names."""
MAX_SHOWN_PATTERN = 60
"""Most characters of a pattern that an error shows."""

_WHOLE_TEXT = re.compile(r"/?(?:\(\?[a-z]+\))?(?:\^|\\A).*(?:\$|\\[zZ])(?:/[a-z]*)?(?:\|FLAGS:[a-z]*)?", re.DOTALL)
"""A pattern that is anchored at both ends, with its flags wherever they stand."""
_PROSE = re.compile(r"[A-Za-z]+(?: [A-Za-z]+){2,}[.!]?")
_Meaning = TypeVar("_Meaning")


@dataclass(frozen=True, slots=True)
class _Beside:
    """The grammar that the patterns and the schema of the same IR stand beside."""

    path: str
    group: GrammarGroup | None
    """None where the grammar is left out: what stands beside it is about the same things all the same."""
    of_braid: LoweredGrammar | None
    """As it is written, if it is Braid's, whose patterns and schemas are what it has found in a source."""


class Reading:
    """The parts of one array of constraints, and the groups that they make."""

    def __init__(
        self,
        constraints: Sequence[ConstraintIR],
        left_out: LeftOut,
        language: str | None,
        options: ConstraintOptions,
        budget: Budget,
    ) -> None:
        """Raises InvalidConstraintError, UnsupportedConstraintError unless that is to be reported, and more."""
        self._left_out = left_out
        self._language = language
        self._budget = budget
        self._options = options
        self.parts: list[Part] = []
        self.warnings: dict[str, None] = {}
        self.schemas: dict[str, SchemaGroup] = {}
        self.grammars: dict[str, GrammarGroup] = {}
        self.patterns: dict[str, PatternGroup] = {}
        self.masks: list[MaskPart] = []
        self._languages: dict[str, Node] = {}
        """What patterns that were read mean, by their text: Braid repeats them."""
        self._contrary: dict[tuple[str, Node], bool] = {}
        """Whether a grammar of Braid's has none of the texts of something beside it."""
        budget.spend(_check_amount(constraints) // 4)
        for index, constraint in enumerate(constraints):
            self._read(index, constraint)

    def _part(self, kind: ConstraintKind, path: str, of: ConstraintIR) -> Part:
        made = Part(path, of.name, kind, of.priority)
        self.parts.append(made)
        self._budget.where = path
        self._budget.spend(20)
        return made

    def _read(self, index: int, constraint: ConstraintIR) -> None:
        def part(kind: ConstraintKind, where: str) -> Part:
            return self._part(kind, f"constraints[{index}].{where}", constraint)

        beside: _Beside | None = None
        schema: tuple[Part, LoweredSchema] | None = None
        if constraint.json_schema is not None:
            schema = self._read_schema(part(ConstraintKind.JSON_SCHEMA, "json_schema"), constraint.json_schema)
        if constraint.grammar is not None:
            beside = self._read_grammar(part(ConstraintKind.GRAMMAR, "grammar"), constraint)
        if schema is not None:
            self._take_schema(*schema, beside)
        of_names: list[tuple[Part, Node, str]] = []
        for number, text in enumerate(constraint.regex_patterns):
            self._read_pattern(part(ConstraintKind.REGEX, f"regex_patterns[{number}]"), text, beside, of_names)
        if beside is not None:
            self._take_names(of_names, beside)
        if constraint.token_masks is not None:
            self._read_masks(part(ConstraintKind.TOKEN_MASK, "token_masks"), constraint.token_masks)

    def _lowered(self, part: Part, lower: Callable[[], _Meaning]) -> _Meaning | None:
        """What `lower` makes of the part; None if it can be neither enforced nor checked and that is to be reported."""
        try:
            return lower()
        except UnsupportedConstraintError as error:
            if self._options.on_unenforceable is OnUnenforceable.ERROR:
                raise
            part.handling = Handling.UNENFORCEABLE
            part.reason = str(error)
            self.warnings[f"{error}; it is neither enforced nor checked"] = None
            return None

    def _say_nothing(self, part: Part, reason: str) -> None:
        part.handling = Handling.VACUOUS
        part.reason = reason
        self.warnings[f"{part.path}: {reason}"] = None

    # ------------------------------------------------------------------------------------------ schemas and masks

    def _read_schema(self, part: Part, text: str) -> tuple[Part, LoweredSchema] | None:
        if self._left_out.leaves(part):
            return None
        lowered = self._lowered(part, lambda: lower_schema(text, part.path, self._budget))
        if lowered is None:
            return None
        self.warnings.update(dict.fromkeys(lowered.warnings))
        if lowered.vacuous:
            part.handling = Handling.VACUOUS
            part.reason = "every object satisfies it: Braid adds it to whatever it extracts, and it says nothing"
            return None
        return part, lowered

    def _take_schema(self, part: Part, lowered: LoweredSchema, beside: _Beside | None) -> None:
        if lowered.is_of_braid and self._has_none_of(beside, texts_of_type(lowered.schema)):
            self._say_nothing(
                part,
                "it describes values in the code, as Braid finds them in words such as 'list', and no text of the "
                "grammar beside it is one: it says nothing of programs",
            )
            return
        part.check_schema = lowered.check_schema
        canonical = lowered.check_schema
        self.schemas.setdefault(
            canonical, SchemaGroup(ConstraintKind.JSON_SCHEMA, canonical, lowered=lowered)
        ).parts.append(part)

    def _read_masks(self, part: Part, rules: TokenMaskRules) -> None:
        if self._left_out.leaves(part):
            return
        if is_vacuous(rules):
            part.handling = Handling.VACUOUS
            part.reason = "it names no token"
            return
        mask = MaskPart(rules, part.path)
        if self._lowered(part, lambda: with_possible_ids(mask)) is not None:
            part.handling = Handling.ENFORCED
            self.masks.append(mask)

    # ------------------------------------------------------------------------------------------ grammars

    def _read_grammar(self, part: Part, constraint: ConstraintIR) -> _Beside | None:
        text = constraint.grammar or ""
        if self._left_out.leaves(part):
            return _Beside(part.path, None, self._read_for_its_sake(text))
        lowered = self._lowered(part, lambda: lower_grammar(text, self._language, part.path, self._budget))
        if lowered is None:
            return None
        of_braid = lowered if lowered.is_of_braid else None
        if lowered.asks_for is not None and self._options.braid_grammar not in (None, BraidGrammar.AS_GRAMMAR):
            law = text_of_language(self._language)
            if law is None:
                self.warnings[
                    f"{part.path}: there is no grammar of {self._language} to stand in its place, so it is enforced as "
                    "it is written; leave it out with `ignore` if it is a hint"
                ] = None
            else:
                part.note = f"read as {law}, as braid_grammar says"
                self.warnings[
                    f"{part.path}: the grammar of the language ({law}) stands in its place, as braid_grammar says"
                ] = None
                text, lowered = law, lower_grammar(law, None, part.path, self._budget)
        self.warnings.update(dict.fromkeys(lowered.warnings))
        part.check_grammar = check_grammar_of(lowered, part.path, self._budget)
        part.language_grammar = text if lowered.is_of_languages else None
        canonical = engine_text(part.check_grammar)
        group = self.grammars.setdefault(canonical, GrammarGroup(ConstraintKind.GRAMMAR, canonical, lowered=lowered))
        group.parts.append(part)
        if of_braid is not None and lowered is not of_braid:
            self._read_constructs(part, constraint, of_braid, lowered.cfg)
        return _Beside(part.path, group, of_braid)

    def _read_for_its_sake(self, text: str) -> LoweredGrammar | None:
        """A grammar that is left out, if it is Braid's: what stands beside it is read as Braid means it."""
        try:
            lowered = lower_grammar(text, self._language, "it", self._budget)
        except (InvalidConstraintError, UnsupportedConstraintError, ContradictionError):
            return None
        return lowered if lowered.is_of_braid else None

    def _read_constructs(self, grammar: Part, constraint: ConstraintIR, of_braid: LoweredGrammar, law: Cfg) -> None:
        checked = self._options.braid_grammar is BraidGrammar.AS_LANGUAGE_CHECKED
        for construct in constructs(of_braid, self._language, law if checked else None, self._budget):
            part = self._part(ConstraintKind.GRAMMAR, f"{grammar.path} ({construct.words})", constraint)
            part.construct = construct.words
            part.note = f"{grammar.path} asks for it, as Braid has seen it in a source"
            part.handling = Handling.TOLD
            if checked:
                part.handling = Handling.CHECKED
                part.names_in = grammar.check_grammar
                part.check_grammar = self._lowered(part, partial(_check_of, construct, part.path))

    # ------------------------------------------------------------------------------------------ patterns

    def _read_pattern(
        self, part: Part, text: str, beside: _Beside | None, of_names: list[tuple[Part, Node, str]]
    ) -> None:
        part.pattern = text if len(text) <= MAX_SHOWN_PATTERN else f"{text[:MAX_SHOWN_PATTERN]}..."
        if self._left_out.leaves(part):
            return
        language = self._languages.get(text) or self._lowered(
            part, lambda: parse_pattern(text, part.path, self._budget)
        )
        if language is None:
            return
        self._languages[text] = language
        if self._is_anything(language):
            self._say_nothing(part, "every text satisfies it")
            return
        try:
            check_grammar = grammar_of(language, self._budget)
        except LimitExceededError as error:
            raise LimitExceededError(f"{part.path}: {error}; make the pattern simpler") from None
        canonical = engine_text(check_grammar)
        if beside is not None and self._describes_names(beside, language, canonical, part.path):
            of_names.append((part, language, canonical))
            return
        if _WHOLE_TEXT.fullmatch(text) and self._has_none_of(beside, language):
            self._say_nothing(
                part,
                "it describes whole values, as Braid finds them in a source, and no text of the grammar beside it is "
                "one: it says nothing of programs",
            )
            return
        if beside is not None and beside.of_braid is not None and _PROSE.fullmatch(text):
            self.warnings[
                f"{part.path}: it reads like prose; as a pattern it asks for these very words in the text"
            ] = None
        part.check_grammar = check_grammar
        new = PatternGroup(ConstraintKind.REGEX, canonical, language=language)
        self.patterns.setdefault(canonical, new).parts.append(part)

    def _is_anything(self, language: Node) -> bool:
        """Whether every text is in a language, as far as that can be found out."""
        return nullable(language) and Questions(self._budget).is_nothing(negation(language)) is True

    def _has_none_of(self, beside: _Beside | None, language: Node) -> bool:
        """Whether beside stands a grammar of Braid's that has no text in a language."""
        if beside is None or beside.of_braid is None:
            return False
        key = beside.path, language
        if key not in self._contrary:
            try:
                self._contrary[key] = Product(beside.of_braid.cfg, language, self._budget).is_empty
            except OverBudgetError:
                self._contrary[key] = False
        return self._contrary[key]

    def _take_names(self, of_names: list[tuple[Part, Node, str]], beside: _Beside) -> None:
        """Patterns that describe the names in one grammar."""
        grammar = beside.group
        if grammar is None:
            for part, _, _ in of_names:
                self._lowered(part, partial(_refuse_names, part.path, beside.path))
            return
        if beside.of_braid is not None and len({canonical for _, _, canonical in of_names}) > 1:
            of_names = self._names_of_either(of_names, grammar)
        for part, language, canonical in of_names:
            part.names_in = grammar.parts[0].check_grammar
            if canonical in grammar.naming:
                part.check_grammar = grammar.naming[canonical].parts[0].check_grammar
            else:
                try:
                    named = self._lowered(part, partial(grammar.with_names, [language], part.path, self._budget))
                except ContradictionError:
                    named = grammar.lowered  # refuse_contradictions() knows of all that exclude each other
                if named is None:
                    continue
                part.check_grammar = check_grammar_of(named, part.path, self._budget)
            new = PatternGroup(ConstraintKind.REGEX, canonical, language=language)
            grammar.naming.setdefault(canonical, new).parts.append(part)

    def _names_of_either(
        self, of_names: list[tuple[Part, Node, str]], grammar: GrammarGroup
    ) -> list[tuple[Part, Node, str]]:
        """The same, or where no name is in all of Braid's patterns, as one: each is about some of the names only."""
        languages = {canonical: language for _, language, canonical in of_names}
        distinct = [languages[canonical] for canonical in sorted(languages)]
        try:
            if has_names(grammar.lowered, distinct, grammar.path, self._budget):
                return of_names
        except UnsupportedConstraintError:
            return of_names
        either = alt(*distinct)
        canonical = engine_text(grammar_of(either, self._budget))
        paths = ", ".join(part.path for part, _, _ in of_names)
        note = "no name satisfies all naming patterns of its constraint, so each name must satisfy one of them"
        self.warnings[f"{paths}: {note}"] = None
        for part, _, _ in of_names:
            part.note = note
        return [(part, either, canonical) for part, _, _ in of_names]

    def _describes_names(self, beside: _Beside, language: Node, canonical: str, path: str) -> bool:
        lowered = beside.of_braid if beside.group is None else beside.group.lowered
        if lowered is None:
            return False
        known = {} if beside.group is None else beside.group.describes_names
        if canonical not in known and may_describe_names(lowered, language):
            if len(known) == MAX_NAMING_PATTERNS:
                raise LimitExceededError(
                    f"{path}: over {MAX_NAMING_PATTERNS} different patterns may describe the names in {beside.path}; "
                    "give fewer"
                )
            known[canonical] = describes_names(lowered, language, self._budget)
        return known.get(canonical, False)


def _check_of(construct: Construct, path: str) -> EngineGrammar:
    if construct.check_grammar is None:
        raise UnsupportedConstraintError(
            f"{path}: the grammar of the language knows no {construct.words}; set braid_grammar to as_language"
        )
    return construct.check_grammar


def _refuse_names(path: str, grammar: str) -> None:
    raise UnsupportedConstraintError(
        f"{path} describes the names in {grammar}, which is left out: without a grammar no name is found; leave the "
        "pattern out with `ignore` as well"
    )


def _check_amount(constraints: Sequence[ConstraintIR]) -> int:
    """The characters of all constraints. Raises LimitExceededError for too many parts or patterns."""
    number = sum(
        len(constraint.regex_patterns)
        + (constraint.json_schema is not None)
        + (constraint.grammar is not None)
        + (constraint.token_masks is not None)
        for constraint in constraints
    )
    characters = sum(len(pattern) for pattern in {text for each in constraints for text in each.regex_patterns})
    if characters > MAX_PATTERN_CHARACTERS_TOGETHER:
        raise LimitExceededError(
            f"the regex_patterns of all constraints have {characters} characters; at most "
            f"{MAX_PATTERN_CHARACTERS_TOGETHER} are taken"
        )
    if number > MAX_PARTS:
        raise LimitExceededError(
            f"the constraints have {number} parts (schemas, grammars, patterns, masks); at most {MAX_PARTS} are taken"
        )
    return characters + sum(len(each.json_schema or "") + len(each.grammar or "") for each in constraints)
