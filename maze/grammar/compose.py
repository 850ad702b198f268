"""An array of constraints to one grammar and one mask: all of them hold, on the whole output.

What can be intersected exactly is enforced together. Of what cannot (a schema beside a grammar, two grammars, too large
a product) the constraint of highest priority is enforced while decoding and the others are checked on the finished
text. The order of the array and duplicates in it change neither the grammar nor the mask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import orjson

from maze.errors import ContradictionError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.big_stack import run_with_big_stack
from maze.grammar.probe import OWN_LIMITS, Verdict, probe
from maze.grammar.regex import Node, Pattern, both, parse_pattern, to_terminal
from maze.grammar.schema import LoweredSchema, combine_schemas, lower_schema, schema_to_lark
from maze.grammar.token_mask import MaskPart, combine_masks, is_vacuous
from maze.types import (
    CompiledConstraints,
    ConstraintIR,
    ConstraintKind,
    ConstraintPart,
    Handling,
    OnUnenforceable,
    TokenMask,
)

MAX_PARTS = 10_000
"""Most schemas, grammars, patterns and masks of one array together."""

_HEADER = "%llguidance {}\n"


def compile_constraints(
    constraints: Sequence[ConstraintIR],
    language: str | None = None,
    on_unenforceable: OnUnenforceable = OnUnenforceable.ERROR,
) -> CompiledConstraints:
    """Compile an array of constraints for an output in `language`.

    Raises InvalidConstraintError, UnsupportedConstraintError (unless `on_unenforceable` is REPORT), ContradictionError,
    LimitExceededError; each names the constraint by its place in the array.
    """
    started = perf_counter()
    compilation = _Compilation(language, on_unenforceable)
    compiled = run_with_big_stack(lambda: compilation.run(constraints)) if constraints else compilation.run(())
    object.__setattr__(compiled, "compile_time_ms", (perf_counter() - started) * 1000)
    return compiled


@dataclass(slots=True)
class _Part:
    """One part on its way through the compiler."""

    path: str
    name: str
    kind: ConstraintKind
    priority: int
    handling: Handling = Handling.CHECKED
    reason: str = ""
    check_grammar: str | None = None
    check_schema: str | None = None

    def finished(self) -> ConstraintPart:
        return ConstraintPart(
            path=self.path,
            name=self.name,
            kind=self.kind,
            priority=self.priority,
            handling=self.handling,
            reason=self.reason,
            check_grammar=self.check_grammar,
            check_schema=self.check_schema,
        )


_Meaning = TypeVar("_Meaning")


class _Compilation:
    """One call of compile_constraints()."""

    def __init__(self, language: str | None, on_unenforceable: OnUnenforceable) -> None:
        self._language = language
        self._on_unenforceable = on_unenforceable
        self._parts: list[_Part] = []
        self._warnings: dict[str, None] = {}
        self._schemas: list[tuple[_Part, LoweredSchema]] = []
        self._patterns: list[tuple[_Part, Pattern]] = []
        self._masks: list[MaskPart] = []

    def run(self, constraints: Sequence[ConstraintIR]) -> CompiledConstraints:
        _check_number_of_parts(constraints)
        for index, constraint in enumerate(constraints):
            self._read(index, constraint)
        mask = combine_masks(self._masks)
        grammar = self._compose()
        digest = _digest(grammar, mask)
        parts = tuple(part.finished() for part in self._parts)
        warnings = tuple(self._warnings)
        return CompiledConstraints(
            grammar=grammar,
            token_mask=mask,
            parts=parts,
            warnings=warnings,
            digest=digest,
            report_json=_report(grammar, mask, parts, warnings, digest),
        )

    # -------------------------------------------------------------------------------------------- reading

    def _read(self, index: int, constraint: ConstraintIR) -> None:
        def part(kind: ConstraintKind, where: str) -> _Part:
            return _Part(f"constraints[{index}].{where}", constraint.name, kind, constraint.priority)

        if constraint.json_schema is not None:
            self._read_schema(part(ConstraintKind.JSON_SCHEMA, "json_schema"), constraint.json_schema)
        for number, text in enumerate(constraint.regex_patterns):
            self._read_pattern(part(ConstraintKind.REGEX, f"regex_patterns[{number}]"), text)
        if constraint.token_masks is not None:
            mask_part = part(ConstraintKind.TOKEN_MASK, "token_masks")
            self._parts.append(mask_part)
            if is_vacuous(constraint.token_masks):
                mask_part.handling = Handling.VACUOUS
                mask_part.reason = "it allows and forbids nothing in particular"
            else:
                mask_part.handling = Handling.ENFORCED
                self._masks.append(MaskPart(constraint.token_masks, mask_part.path))

    def _lowered(self, part: _Part, lower: Callable[[], _Meaning]) -> _Meaning | None:
        """What `lower` makes of the part; None if it can be neither enforced nor checked and that is to be reported."""
        self._parts.append(part)
        try:
            return lower()
        except UnsupportedConstraintError as error:
            if self._on_unenforceable is OnUnenforceable.ERROR:
                raise
            part.handling = Handling.UNENFORCEABLE
            part.reason = str(error)
            return None

    def _read_schema(self, part: _Part, text: str) -> None:
        lowered = self._lowered(part, lambda: lower_schema(text, part.path))
        if lowered is None:
            return
        self._warnings.update(dict.fromkeys(lowered.warnings))
        if lowered.vacuous:
            part.handling = Handling.VACUOUS
            part.reason = "; ".join(lowered.reasons) or "it allows every object, which says nothing about code"
            return
        part.check_schema = lowered.check_schema
        self._schemas.append((part, lowered))

    def _read_pattern(self, part: _Part, text: str) -> None:
        pattern = self._lowered(part, lambda: parse_pattern(text, part.path))
        if pattern is None:
            return
        part.check_grammar = _grammar_of(pattern.language)
        self._patterns.append((part, pattern))

    # -------------------------------------------------------------------------------------------- composing

    def _compose(self) -> str | None:
        if self._schemas:
            combined = combine_schemas([lowered for _, lowered in self._schemas])
            grammar = f"{_HEADER}start: {schema_to_lark(combined)}\n"
            for part, _ in self._schemas:
                part.handling = Handling.ENFORCED
        elif self._patterns:
            language = both(*(pattern.language for _, pattern in self._patterns))
            grammar = _grammar_of(language)
            for part, _ in self._patterns:
                part.handling = Handling.ENFORCED
        else:
            return None
        finding = probe(grammar)
        if finding.verdict is Verdict.TOO_HARD:
            finding = probe(grammar, OWN_LIMITS)
        if finding.verdict is Verdict.EMPTY:
            paths = ", ".join(part.path for part in self._parts if part.handling is Handling.ENFORCED)
            raise ContradictionError(f"no text satisfies {paths} together; change or drop one of them")
        if finding.verdict is not Verdict.USABLE:
            raise LimitExceededError(f"llguidance does not take the grammar of the constraints: {finding.message}")
        return grammar


def _check_number_of_parts(constraints: Sequence[ConstraintIR]) -> None:
    number = sum(
        len(constraint.regex_patterns)
        + (constraint.json_schema is not None)
        + (constraint.grammar is not None)
        + (constraint.token_masks is not None)
        for constraint in constraints
    )
    if number > MAX_PARTS:
        raise LimitExceededError(
            f"the constraints have {number} parts (schemas, grammars, patterns, masks); at most {MAX_PARTS} are taken"
        )


def _grammar_of(language: Node) -> str:
    return f"{_HEADER}start: OUTPUT\nOUTPUT: {to_terminal(language)}\n"


def _mask_object(mask: TokenMask | None) -> dict[str, list[int] | None] | None:
    if mask is None:
        return None
    return {
        "allowed": None if mask.allowed is None else sorted(mask.allowed),
        "forbidden": sorted(mask.forbidden),
    }


def _digest(grammar: str | None, mask: TokenMask | None) -> str:
    return "sha256:" + hashlib.sha256(orjson.dumps([grammar, _mask_object(mask)])).hexdigest()


def _report(
    grammar: str | None,
    mask: TokenMask | None,
    parts: Iterable[ConstraintPart],
    warnings: tuple[str, ...],
    digest: str,
) -> bytes:
    return orjson.dumps(
        {
            "grammar": grammar,
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
