"""Reads the parts of all constraints, each into what it means, and brings those that mean the same together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from maze.errors import LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.product import Product
from maze.grammar.compose.groups import GrammarGroup, Part, PatternGroup, SchemaGroup, check_grammar_of, grammar_of
from maze.grammar.llguidance import engine_text
from maze.grammar.naming import apply_naming, describes_names, may_describe_names
from maze.grammar.pattern.parser import parse_pattern
from maze.grammar.pattern.tree import Node
from maze.grammar.read.grammar_text import lower_grammar
from maze.grammar.schema.lower import lower_schema
from maze.grammar.token_mask import MaskPart, is_vacuous
from maze.types import ConstraintIR, ConstraintKind, Handling, OnUnenforceable

MAX_PARTS = 10_000
"""Most schemas, grammars, patterns and masks of one array together."""
MAX_PATTERN_CHARACTERS_TOGETHER = 1_000_000
"""Most characters of all different patterns of one array; reading as many takes about 3 s."""
MAX_NAMING_PATTERNS = 32
"""Most different patterns beside one grammar that may describe its names."""
MAX_SHOWN_PATTERN = 60
"""Most characters of a pattern that an error shows."""

_Meaning = TypeVar("_Meaning")


class Reading:
    """The parts of one array of constraints, and the groups that they make."""

    def __init__(
        self,
        constraints: Sequence[ConstraintIR],
        language: str | None,
        on_unenforceable: OnUnenforceable,
        budget: Budget,
    ) -> None:
        """Raises InvalidConstraintError, UnsupportedConstraintError unless that is to be reported, and more."""
        self._language = language
        self._budget = budget
        self._on_unenforceable = on_unenforceable
        self.parts: list[Part] = []
        self.warnings: dict[str, None] = {}
        self.schemas: dict[str, SchemaGroup] = {}
        self.grammars: dict[str, GrammarGroup] = {}
        self.patterns: dict[str, PatternGroup] = {}
        self.masks: list[MaskPart] = []
        self._languages: dict[str, Node] = {}
        """What patterns that were read mean, by their text: Braid repeats them."""
        budget.spend(_check_amount(constraints) // 4)
        for index, constraint in enumerate(constraints):
            self._read(index, constraint)

    def _read(self, index: int, constraint: ConstraintIR) -> None:
        def part(kind: ConstraintKind, where: str) -> Part:
            made = Part(f"constraints[{index}].{where}", constraint.name, kind, constraint.priority)
            self.parts.append(made)
            self._budget.where = made.path
            self._budget.spend(20)
            return made

        grammar: GrammarGroup | None = None
        if constraint.json_schema is not None:
            self._read_schema(part(ConstraintKind.JSON_SCHEMA, "json_schema"), constraint.json_schema)
        if constraint.grammar is not None:
            grammar = self._read_grammar(part(ConstraintKind.GRAMMAR, "grammar"), constraint.grammar)
        for number, text in enumerate(constraint.regex_patterns):
            self._read_pattern(part(ConstraintKind.REGEX, f"regex_patterns[{number}]"), text, grammar)
        if constraint.token_masks is not None:
            mask_part = part(ConstraintKind.TOKEN_MASK, "token_masks")
            if is_vacuous(constraint.token_masks):
                mask_part.handling = Handling.VACUOUS
                mask_part.reason = "it names no token"
            else:
                mask_part.handling = Handling.ENFORCED
                self.masks.append(MaskPart(constraint.token_masks, mask_part.path))

    def _lowered(self, part: Part, lower: Callable[[], _Meaning]) -> _Meaning | None:
        """What `lower` makes of the part; None if it can be neither enforced nor checked and that is to be reported."""
        try:
            return lower()
        except UnsupportedConstraintError as error:
            if self._on_unenforceable is OnUnenforceable.ERROR:
                raise
            part.handling = Handling.UNENFORCEABLE
            part.reason = str(error)
            self.warnings[f"{error}; it is neither enforced nor checked"] = None
            return None

    def _read_schema(self, part: Part, text: str) -> None:
        lowered = self._lowered(part, lambda: lower_schema(text, part.path, self._budget))
        if lowered is None:
            return
        self.warnings.update(dict.fromkeys(lowered.warnings))
        if lowered.vacuous:
            part.handling = Handling.VACUOUS
            part.reason = "every object satisfies it: Braid adds it to whatever it extracts, and it says nothing"
            return
        part.check_schema = lowered.check_schema
        canonical = lowered.check_schema
        self.schemas.setdefault(
            canonical, SchemaGroup(ConstraintKind.JSON_SCHEMA, canonical, lowered=lowered)
        ).parts.append(part)

    def _read_grammar(self, part: Part, text: str) -> GrammarGroup | None:
        lowered = self._lowered(part, lambda: lower_grammar(text, self._language, part.path, self._budget))
        if lowered is None:
            return None
        self.warnings.update(dict.fromkeys(lowered.warnings))
        part.check_grammar = check_grammar_of(lowered, part.path, self._budget)
        part.language_grammar = text if lowered.is_of_languages else None
        canonical = engine_text(part.check_grammar)
        group = self.grammars.setdefault(canonical, GrammarGroup(ConstraintKind.GRAMMAR, canonical, lowered=lowered))
        group.parts.append(part)
        return group

    def _read_pattern(self, part: Part, text: str, grammar: GrammarGroup | None) -> None:
        part.pattern = text if len(text) <= MAX_SHOWN_PATTERN else f"{text[:MAX_SHOWN_PATTERN]}..."
        language = self._languages.get(text) or self._lowered(
            part, lambda: parse_pattern(text, part.path, self._budget)
        )
        if language is None:
            return
        self._languages[text] = language
        try:
            check_grammar = grammar_of(language, self._budget)
        except LimitExceededError as error:
            raise LimitExceededError(f"{part.path}: {error}; make the pattern simpler") from None
        canonical = engine_text(check_grammar)
        new = PatternGroup(ConstraintKind.REGEX, canonical, language=language)
        if grammar is not None and self._describes_names(grammar, language, canonical, part.path):
            part.names_in = grammar.parts[0].check_grammar
            if canonical in grammar.naming:
                part.check_grammar = grammar.naming[canonical].parts[0].check_grammar
            else:
                named = self._lowered(part, lambda: apply_naming(grammar.lowered, [language], part.path, self._budget))
                if named is None:
                    return
                part.check_grammar = cfg_to_lark(named, self._budget)
            grammar.naming.setdefault(canonical, new).parts.append(part)
            return
        if grammar is not None and grammar.lowered.is_of_braid and self._is_for_values(grammar, language, text):
            part.handling = Handling.VACUOUS
            part.reason = (
                f"it describes whole values, as Braid finds them in a source, and no text of {grammar.path} is one: "
                "it says nothing of programs"
            )
            self.warnings[f"{part.path}: {part.reason}"] = None
            return
        part.check_grammar = check_grammar
        self.patterns.setdefault(canonical, new).parts.append(part)

    def _is_for_values(self, grammar: GrammarGroup, language: Node, text: str) -> bool:
        """Whether it describes a whole text, and none of the grammar that Braid has sent with it."""
        if not (text.startswith("^") and text.endswith("$")):
            return False
        try:
            return Product(grammar.lowered.cfg, language, self._budget).is_empty
        except OverBudgetError:
            return False

    def _describes_names(self, grammar: GrammarGroup, language: Node, canonical: str, path: str) -> bool:
        if canonical not in grammar.describes_names and may_describe_names(grammar.lowered, language):
            if len(grammar.describes_names) == MAX_NAMING_PATTERNS:
                raise LimitExceededError(
                    f"{path}: over {MAX_NAMING_PATTERNS} different patterns may describe the names in {grammar.path}; "
                    "give fewer"
                )
            grammar.describes_names[canonical] = describes_names(grammar.lowered, language, self._budget)
        return grammar.describes_names.get(canonical, False)


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
