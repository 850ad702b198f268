"""An array of constraints to one grammar and one mask: all of them hold, on the whole output.

What can be intersected exactly is enforced together. Of what cannot (a schema beside a grammar, two grammars, too large
a product) the constraint of highest priority is enforced while decoding and the others are checked on the finished
text. The order of the array and duplicates in it change neither the grammar nor the mask.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import NoReturn, TypeVar

import orjson

from maze.errors import ContradictionError, InternalError, LimitExceededError, MazeError, UnsupportedConstraintError
from maze.grammar.cfg.analysis import pruned
from maze.grammar.cfg.model import Cfg, LoweredGrammar
from maze.grammar.cfg.product import intersect_grammar, overlaps
from maze.grammar.llguidance import (
    OWN_LIMITS,
    GuidanceError,
    Outcome,
    check_grammar,
    engine_text,
    is_bearable,
)
from maze.grammar.naming import apply_naming, describes_names, has_names, may_describe_names
from maze.grammar.pattern.automaton import OverBudgetError, is_empty
from maze.grammar.pattern.regex import (
    MAX_CONJUNCTS,
    NOTHING,
    Node,
    both,
    conjuncts,
    is_plain,
    parse_pattern,
    to_terminal,
)
from maze.grammar.read.grammar_text import cfg_to_lark, lower_grammar
from maze.grammar.schema.json_shape import texts_of_type
from maze.grammar.schema.lower import LoweredSchema, combine_schemas, lower_schema, schema_to_lark
from maze.grammar.token_mask import MaskPart, combine_masks, is_vacuous
from maze.threads import run_with_big_stack
from maze.types import (
    CompiledConstraints,
    ConstraintIR,
    ConstraintKind,
    ConstraintPart,
    EngineGrammar,
    Handling,
    JointCheck,
    OnUnenforceable,
    TokenMask,
)

MAX_PARTS = 10_000
"""Most schemas, grammars, patterns and masks of one array together."""
MAX_PATTERN_CHARACTERS_TOGETHER = 1_000_000
"""Most characters of all different patterns of one array; reading as many takes about 3 s."""
MAX_SCHEMA_ATTEMPTS = 16
"""Most schemas that are tried together one after the other where all of them at once are too much."""

MAX_NAMING_PATTERNS = 32
"""Most different patterns beside one grammar that may describe its names."""
MAX_TRIED_ALONE = 8
"""Most patterns that are held against a grammar one by one where all of them together are over the budget."""
MAX_SHOWN_PATTERN = 60
"""Most characters of a pattern that an error shows."""
MAX_NAMED_IN_CONFLICT = 20
"""Most parts that the error of a contradiction names."""

MAX_LABEL_CHARACTERS = 80
"""Most characters of a label that an error shows."""

_KIND_ORDER = (ConstraintKind.JSON_SCHEMA, ConstraintKind.GRAMMAR, ConstraintKind.REGEX)
"""Which kind is enforced first where priorities are equal: the one that says most about the structure of a text."""


def compile_constraints(
    constraints: Sequence[ConstraintIR],
    language: str | None = None,
    on_unenforceable: OnUnenforceable = OnUnenforceable.ERROR,
) -> CompiledConstraints:
    """Compile an array of constraints for an output in `language`.

    Raises InvalidConstraintError, UnsupportedConstraintError (unless `on_unenforceable` is REPORT), ContradictionError,
    LimitExceededError; each names the constraint by its place in the array, and by its label where it has one.
    """
    started = perf_counter()
    compilation = _Compilation(language, on_unenforceable)
    try:
        compiled = run_with_big_stack(lambda: compilation.run(constraints)) if constraints else compilation.run(())
    except MazeError as error:
        raise type(error)(_with_labels(str(error), constraints)) from None
    return replace(compiled, compile_time_ms=(perf_counter() - started) * 1000)


@dataclass(slots=True)
class _Part:
    """One part on its way through the compiler."""

    path: str
    name: str
    kind: ConstraintKind
    priority: int
    handling: Handling = Handling.CHECKED
    reason: str = ""
    pattern: str = ""
    check_grammar: EngineGrammar | None = None
    check_schema: str | None = None

    def finished(self) -> ConstraintPart:
        return ConstraintPart(
            path=self.path,
            name=self.name,
            kind=self.kind,
            priority=self.priority,
            handling=self.handling,
            reason=self.reason,
            pattern=self.pattern,
            check_grammar=self.check_grammar,
            check_schema=self.check_schema,
        )


_Meaning = TypeVar("_Meaning")


@dataclass(slots=True)
class _Group:
    """Parts that mean the same. `text` is the canonical text of their meaning, the same in whatever order they came."""

    kind: ConstraintKind
    text: str
    parts: list[_Part] = field(default_factory=list)

    @property
    def priority(self) -> int:
        return max(part.priority for part in self.parts)

    @property
    def rank(self) -> tuple[int, int, str]:
        """Smaller is enforced first."""
        return (-self.priority, _KIND_ORDER.index(self.kind), self.text)

    @property
    def path(self) -> str:
        """The first of the parts, for errors and reasons."""
        return self.parts[0].path

    def mark(self, handling: Handling, reason: str = "") -> None:
        for part in self.parts:
            part.handling = handling
            part.reason = reason


@dataclass(slots=True)
class _SchemaGroup(_Group):
    lowered: LoweredSchema = field(kw_only=True)


@dataclass(slots=True)
class _PatternGroup(_Group):
    language: Node = field(kw_only=True)


@dataclass(slots=True)
class _GrammarGroup(_Group):
    lowered: LoweredGrammar = field(kw_only=True)
    naming: dict[str, _PatternGroup] = field(default_factory=dict)
    """Patterns that describe the names in this grammar, by their text."""
    describes_names: dict[str, bool] = field(default_factory=dict)
    """What was found out about patterns that may describe them, by their text."""

    @property
    def cfg(self) -> Cfg | None:
        """The grammar with its names as the naming patterns want them; None for Lark text, which is not taken apart."""
        if self.lowered.cfg is None or not self.naming:
            return self.lowered.cfg
        namings = [group for _, group in sorted(self.naming.items())]
        paths = ", ".join([self.path, *(group.path for group in namings)])
        named = pruned(apply_naming(self.lowered, [group.language for group in namings], paths))
        if not named.rules[named.start]:
            raise ContradictionError(f"no text has names as {paths} together want them; change or drop one of them")
        return named

    @property
    def leaves_no_names(self) -> bool:
        """Whether the naming patterns together leave no name at all, so that only texts without names remain."""
        languages = [group.language for group in self.naming.values()]
        return bool(languages) and not has_names(self.lowered, languages, self.path)


class _Compilation:
    """One call of compile_constraints()."""

    def __init__(self, language: str | None, on_unenforceable: OnUnenforceable) -> None:
        self._language = language
        self._on_unenforceable = on_unenforceable
        self._parts: list[_Part] = []
        self._warnings: dict[str, None] = {}
        self._schemas: dict[str, _SchemaGroup] = {}
        self._grammars: dict[str, _GrammarGroup] = {}
        self._patterns: dict[str, _PatternGroup] = {}
        self._masks: list[MaskPart] = []
        self._languages: dict[str, Node] = {}
        """What patterns that were read mean, by their text: Braid repeats them."""

    def run(self, constraints: Sequence[ConstraintIR]) -> CompiledConstraints:
        _check_amount(constraints)
        for index, constraint in enumerate(constraints):
            self._read(index, constraint)
        mask = combine_masks(self._masks)
        self._refuse_contradictions()
        grammar = self._compose()
        digest = _digest(grammar, mask)
        parts = tuple(part.finished() for part in self._parts)
        warnings = tuple(self._warnings)
        return CompiledConstraints(
            grammar=grammar,
            token_mask=mask,
            parts=parts,
            joint_check=self._joint_check(),
            warnings=warnings,
            digest=digest,
            report_json=_report(mask, parts, warnings, digest),
        )

    # -------------------------------------------------------------------------------------------- reading

    def _read(self, index: int, constraint: ConstraintIR) -> None:
        def part(kind: ConstraintKind, where: str) -> _Part:
            made = _Part(f"constraints[{index}].{where}", constraint.name, kind, constraint.priority)
            self._parts.append(made)
            return made

        grammar: _GrammarGroup | None = None
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
                self._masks.append(MaskPart(constraint.token_masks, mask_part.path))

    def _lowered(self, part: _Part, lower: Callable[[], _Meaning]) -> _Meaning | None:
        """What `lower` makes of the part; None if it can be neither enforced nor checked and that is to be reported."""
        try:
            return lower()
        except UnsupportedConstraintError as error:
            if self._on_unenforceable is OnUnenforceable.ERROR:
                raise
            part.handling = Handling.UNENFORCEABLE
            part.reason = str(error)
            self._warnings[f"{error}; it is neither enforced nor checked"] = None
            return None

    def _read_schema(self, part: _Part, text: str) -> None:
        lowered = self._lowered(part, lambda: lower_schema(text, part.path))
        if lowered is None:
            return
        self._warnings.update(dict.fromkeys(lowered.warnings))
        if lowered.vacuous:
            part.handling = Handling.VACUOUS
            part.reason = "every object satisfies it: Braid adds it to whatever it extracts, and it says nothing"
            return
        part.check_schema = lowered.check_schema
        canonical = lowered.check_schema
        self._schemas.setdefault(
            canonical, _SchemaGroup(ConstraintKind.JSON_SCHEMA, canonical, lowered=lowered)
        ).parts.append(part)

    def _read_grammar(self, part: _Part, text: str) -> _GrammarGroup | None:
        lowered = self._lowered(part, lambda: lower_grammar(text, self._language, part.path))
        if lowered is None:
            return None
        self._warnings.update(dict.fromkeys(lowered.warnings))
        part.check_grammar = _lark_of(lowered, part.path)
        canonical = engine_text(part.check_grammar)
        group = self._grammars.setdefault(canonical, _GrammarGroup(ConstraintKind.GRAMMAR, canonical, lowered=lowered))
        group.parts.append(part)
        return group

    def _read_pattern(self, part: _Part, text: str, grammar: _GrammarGroup | None) -> None:
        part.pattern = text if len(text) <= MAX_SHOWN_PATTERN else f"{text[:MAX_SHOWN_PATTERN]}..."
        language = self._languages.get(text) or self._lowered(part, lambda: parse_pattern(text, part.path))
        if language is None:
            return
        self._languages[text] = language
        canonical = to_terminal(language)
        new = _PatternGroup(ConstraintKind.REGEX, canonical, language=language)
        if grammar is not None and self._describes_names(grammar, language, canonical, part.path):
            if canonical in grammar.naming:
                part.check_grammar = grammar.naming[canonical].parts[0].check_grammar
            else:
                named = self._lowered(part, lambda: apply_naming(grammar.lowered, [language], part.path))
                if named is None:
                    return
                part.check_grammar = cfg_to_lark(named)
            grammar.naming.setdefault(canonical, new).parts.append(part)
            return
        part.check_grammar = _grammar_of(language)
        self._patterns.setdefault(canonical, new).parts.append(part)

    @staticmethod
    def _describes_names(grammar: _GrammarGroup, language: Node, canonical: str, path: str) -> bool:
        if canonical not in grammar.describes_names and may_describe_names(grammar.lowered, language):
            if len(grammar.describes_names) == MAX_NAMING_PATTERNS:
                raise LimitExceededError(
                    f"{path}: over {MAX_NAMING_PATTERNS} different patterns may describe the names in {grammar.path}; "
                    "give fewer"
                )
            grammar.describes_names[canonical] = describes_names(grammar.lowered, language)
        return grammar.describes_names.get(canonical, False)

    # -------------------------------------------------------------------------------------------- contradictions

    def _refuse_contradictions(self) -> None:
        """Find two or more parts that no text satisfies together, as far as that can be decided within the budget."""
        for pattern in self._patterns.values():
            if _is_empty(pattern.language):
                raise ContradictionError(f"{pattern.path}: no text matches the pattern; change or drop it")
        regular = [_Regular(group, group.language) for group in self._patterns.values()]
        regular += [_Regular(group, texts_of_type(group.lowered.schema)) for group in self._schemas.values()]
        regular.sort(key=lambda each: each.group.rank)
        if _is_empty(_language(regular)):
            _refuse_together(_smallest_conflict(regular, lambda some: _is_empty(_language(some))))
        for grammar in sorted(self._grammars.values(), key=lambda group: group.rank):
            cfg = grammar.cfg
            if grammar.leaves_no_names:
                paths = ", ".join(sorted(naming.path for naming in grammar.naming.values()))
                self._warnings[f"{paths}: no name satisfies all; {grammar.path} is left with texts without names"] = (
                    None
                )
            if cfg is not None and regular:
                _refuse_conflict_with_grammar(grammar, cfg, regular)

    # -------------------------------------------------------------------------------------------- composing

    def _compose(self) -> EngineGrammar | None:
        """Enforce the constraint of the highest rank with everything that can be intersected with it."""
        groups = sorted(
            [*self._schemas.values(), *self._grammars.values(), *self._patterns.values()], key=lambda group: group.rank
        )
        if not groups:
            return None
        for grammar in self._grammars.values():
            for naming in grammar.naming.values():
                naming.mark(Handling.CHECKED)
        first = groups[0]
        for group in groups[1:]:
            group.mark(Handling.CHECKED, f"it cannot be intersected with {first.path}, which is enforced")

        patterns = [group for group in groups if isinstance(group, _PatternGroup)]
        grammars = [group for group in groups if isinstance(group, _GrammarGroup)]
        if isinstance(first, _SchemaGroup):
            return self._enforce_schemas([group for group in groups if isinstance(group, _SchemaGroup)])
        if isinstance(first, _GrammarGroup):
            return self._enforce_grammar(first, patterns)
        cfg = grammars[0].cfg if grammars else None
        if cfg is not None and _text_of_product(cfg, patterns[:1]) is not None:
            return self._enforce_grammar(grammars[0], patterns)
        return self._enforce_patterns(patterns)

    def _enforce_schemas(self, groups: list[_SchemaGroup]) -> EngineGrammar:
        chosen, combined = _combined(groups)
        for group in groups:
            if group not in chosen:
                group.mark(Handling.CHECKED, f"llguidance cannot intersect it with {chosen[0].path}, which is enforced")
            elif combined.fully_enforced:
                group.mark(Handling.ENFORCED)
            else:
                reasons = "; ".join(combined.reasons)
                group.mark(
                    Handling.CHECKED, f"enforced while decoding but for what llguidance cannot express: {reasons}"
                )
        return _usable(EngineGrammar(f"start: {schema_to_lark(combined)}\n"), chosen)

    def _enforce_patterns(self, groups: list[_PatternGroup]) -> EngineGrammar | None:
        chosen, grammar = _most(groups, _text_of_patterns)
        for group in groups:
            if group in chosen:
                group.mark(Handling.ENFORCED)
            else:
                group.mark(Handling.CHECKED, "with it the patterns would be too much work for an engine")
        return grammar

    def _enforce_grammar(self, grammar: _GrammarGroup, patterns: list[_PatternGroup]) -> EngineGrammar:
        """The grammar, with as many patterns, from the first on, as the budget of the product allows."""
        cfg = grammar.cfg
        chosen: list[_PatternGroup] = []
        lark = None
        if cfg is None:
            reason = "the grammar is Lark text, which is not intersected with patterns"
        else:
            reason = "its product with the grammar is too much work for an engine"
            chosen, lark = _most(patterns, lambda some: _text_of_product(cfg, some))
        grammar.mark(Handling.ENFORCED)
        for naming in grammar.naming.values():
            naming.mark(Handling.ENFORCED, f"it describes names, so it is applied to every name in {grammar.path}")
        for group in patterns:
            if group in chosen:
                group.mark(Handling.ENFORCED)
            else:
                group.mark(Handling.CHECKED, f"{reason}; {grammar.path} is enforced")
        if lark is None:
            lark = _lark_of(grammar.lowered, grammar.path) if cfg is None else cfg_to_lark(cfg)
        return _usable(lark, [grammar, *chosen])

    def _joint_check(self) -> JointCheck | None:
        """All patterns that are about the whole output as one."""
        groups = list(self._patterns.values())
        if len(groups) < 2:
            return None
        language = _intersection(groups)
        if conjuncts(language) > MAX_CONJUNCTS:
            return None
        return JointCheck(_grammar_of(language), tuple(_grammar_of(group.language) for group in groups))


# ------------------------------------------------------------------------------------------------ intersections


def _most(
    groups: list[_PatternGroup], attempt: Callable[[Sequence[_PatternGroup]], EngineGrammar | None]
) -> tuple[list[_PatternGroup], EngineGrammar | None]:
    """The longest run of `groups`, from the first on, that `attempt` makes something of, and what it makes."""
    made = attempt(groups) if groups else None
    if made is not None or not groups:
        return groups, made
    few, many = 0, len(groups)  # what is known to work, and not to work
    while many - few > 1:
        middle = (few + many) // 2
        grammar = attempt(groups[:middle])
        if grammar is None:
            many = middle
        else:
            few, made = middle, grammar
    return groups[:few], made


def _intersection(groups: Sequence[_PatternGroup]) -> Node:
    return both(*(group.language for group in sorted(groups, key=lambda group: group.text)))


def _text_of_patterns(groups: Sequence[_PatternGroup]) -> EngineGrammar | None:
    """The grammar of the texts that match all patterns; None if it is too much for an engine."""
    language = _intersection(groups)
    if conjuncts(language) > MAX_CONJUNCTS:
        return None
    grammar = _grammar_of(language)
    return grammar if is_bearable(grammar) else None


def _text_of_product(cfg: Cfg, groups: Sequence[_PatternGroup]) -> EngineGrammar | None:
    """The grammar of the texts of `cfg` that match all patterns; None if it is over the budget."""
    language = _intersection(groups)
    if conjuncts(language) > MAX_CONJUNCTS:
        return None
    try:
        product = intersect_grammar(cfg, language)
        lark = None if product is None else cfg_to_lark(product)
    except (OverBudgetError, LimitExceededError):
        return None
    return lark if lark is not None and is_bearable(lark) else None


def _grammar_of(language: Node) -> EngineGrammar:
    return EngineGrammar(f"start: OUTPUT\nOUTPUT: {to_terminal(language)}\n")


def _lark_of(lowered: LoweredGrammar, path: str) -> EngineGrammar:
    if lowered.cfg is None:
        if lowered.lark is None:
            raise InternalError(f"{path}: the grammar was read as nothing at all")
        return lowered.lark
    try:
        return cfg_to_lark(lowered.cfg)
    except LimitExceededError as error:
        raise LimitExceededError(f"{path}: {error}") from None


def _combined(groups: list[_SchemaGroup]) -> tuple[list[_SchemaGroup], LoweredSchema]:
    """The schemas that llguidance can intersect, from the first on, as one."""
    try:
        return groups, combine_schemas([group.lowered for group in groups])
    except (LimitExceededError, UnsupportedConstraintError):
        chosen, combined = groups[:1], combine_schemas([groups[0].lowered])
    for group in groups[1:MAX_SCHEMA_ATTEMPTS]:
        try:
            combined = combine_schemas([each.lowered for each in (*chosen, group)])
        except (LimitExceededError, UnsupportedConstraintError):
            continue
        chosen = [*chosen, group]
    return chosen, combined


def _usable(grammar: EngineGrammar, groups: Sequence[_Group]) -> EngineGrammar:
    """`grammar`, if an engine will take it and some text begins to satisfy it."""
    try:
        check_grammar(grammar)
    except GuidanceError as error:
        raise error.for_caller(", ".join(group.path for group in groups), LimitExceededError) from None
    return grammar


# ------------------------------------------------------------------------------------------------ contradictions


@dataclass(frozen=True, slots=True)
class _Regular:
    """A regular language that holds every text which satisfies a group."""

    group: _Group
    language: Node


def _language(regular: Iterable[_Regular]) -> Node:
    return both(*(each.language for each in sorted(regular, key=lambda each: each.group.text)))


def _is_empty(language: Node) -> bool:
    """Whether no text is in the language; False also where that is too much work to find out."""
    if is_plain(language):
        return language == NOTHING
    try:
        return is_empty(language)
    except OverBudgetError:
        if conjuncts(language) > MAX_CONJUNCTS:
            return False
        try:
            check_grammar(_grammar_of(language), OWN_LIMITS)
        except GuidanceError as error:
            return error.outcome is Outcome.EMPTY
        return False


def _refuse_conflict_with_grammar(grammar: _GrammarGroup, cfg: Cfg, regular: list[_Regular]) -> None:
    def conflicts(some: Sequence[_Regular]) -> bool:
        try:
            return not overlaps(cfg, _language(some))
        except OverBudgetError:
            return False

    if conflicts(regular):
        _refuse_together([grammar, *_smallest_conflict(regular, conflicts)])
    for each in regular[:MAX_TRIED_ALONE]:
        # All of them at once can be over a budget that one alone is not.
        if len(regular) > 1 and conflicts([each]):
            _refuse_together([grammar, each.group])


def _smallest_conflict(regular: list[_Regular], conflicts: Callable[[Sequence[_Regular]], bool]) -> list[_Group]:
    """Of languages that conflict, the groups of some that still do."""
    needed = regular
    for each in regular[:MAX_NAMED_IN_CONFLICT]:
        without = [other for other in needed if other is not each]
        if without and conflicts(without):
            needed = without
    return [each.group for each in needed]


def _refuse_together(groups: Sequence[_Group]) -> NoReturn:
    shown = " and ".join(group.path for group in groups[:MAX_NAMED_IN_CONFLICT])
    more = f" and {len(groups) - MAX_NAMED_IN_CONFLICT} more" if len(groups) > MAX_NAMED_IN_CONFLICT else ""
    raise ContradictionError(
        f"{shown}{more} contradict each other: no text satisfies {'both' if len(groups) == 2 else 'all'}; "
        "change or drop one of them"
    )


# ------------------------------------------------------------------------------------------------ results


def _with_labels(message: str, constraints: Sequence[ConstraintIR]) -> str:
    """The message with the labels of the constraints in it; they are no substitute for places, as two may be equal."""
    indices = dict.fromkeys(map(int, re.findall(r"\bconstraints\[(\d{1,9})\]", message)))
    labels = [
        f"constraints[{index}] is named '{constraints[index].name[:MAX_LABEL_CHARACTERS]}'"
        for index in indices
        if index < len(constraints) and constraints[index].name
    ]
    if not labels:
        return message
    return f"{message}{chr(10) if chr(10) in message else ' '}({', '.join(labels[:MAX_NAMED_IN_CONFLICT])})"


def _check_amount(constraints: Sequence[ConstraintIR]) -> None:
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


def _mask_object(mask: TokenMask | None) -> dict[str, list[int] | None] | None:
    if mask is None:
        return None
    return {
        "allowed": None if mask.allowed is None else sorted(mask.allowed),
        "forbidden": sorted(mask.forbidden),
    }


def _digest(grammar: EngineGrammar | None, mask: TokenMask | None) -> str:
    text = None if grammar is None else engine_text(grammar)
    return "sha256:" + hashlib.sha256(orjson.dumps([text, _mask_object(mask)])).hexdigest()


def _report(
    mask: TokenMask | None,
    parts: Iterable[ConstraintPart],
    warnings: tuple[str, ...],
    digest: str,
) -> bytes:
    return orjson.dumps(
        {
            "token_mask": _mask_object(mask),
            "constraints": [
                {
                    "path": part.path,
                    "name": part.name,
                    "kind": part.kind.value,
                    "priority": part.priority,
                    "handling": part.handling.value,
                    "reason": part.reason,
                }
                for part in parts
            ],
            "warnings": list(warnings),
            "digest": digest,
        }
    )
