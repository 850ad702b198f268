"""Lark text of callers: checked by llguidance, and its rules passed through unchanged but for the schemas in them.

Engines carry different versions of llguidance. What the oldest of them (1.0.1, in llama.cpp) does not know is refused
here, with its place, and not by the engine later: `~ n..m`, `%lark`, and hexadecimal escapes in texts. Special tokens
(`<name>`, `<[12]>`) are refused too: they depend on the model's vocabulary, and no finished text shows them. In place
of a `%json` stand the rules of its schema, which are the same in every engine.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NoReturn

from maze.errors import ContradictionError, InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import chain_is_longer
from maze.grammar.cfg.lark_writer import MAX_DEPTH, Names, rules_within
from maze.grammar.cfg.model import LoweredGrammar
from maze.grammar.llguidance import CAREFUL_LIMITS, ENGINE_LIMITS, OPTIONS, GuidanceError, Matcher, Outcome
from maze.grammar.pattern.tree import MAX_CONJUNCTS
from maze.grammar.schema.lower import lower_schema
from maze.types import EngineGrammar

MAX_LARK_CHARACTERS = 1_000_000
"""Longest Lark text."""

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|\#[^\n]*)
    |(?P<text>"(?:[^"\\\n]|\\.)*")
    |(?P<regex>/(?:[^/\\\n]|\\.)+/[imslux]*)
    |(?P<special><[^<>\s"/]*>)
    |(?P<times>~)\s*(?=\d)
    |(?P<json>%json|%lark|%llguidance)\b
    |(?P<directive>%\w+)
    |(?P<define>(?:^|(?<=\n))[ \t]*[?!]*(?P<defined>\w+)[^\S\n]*(?:\.-?\d+)?[^\S\n]*(?:\[[^\]\n]*\])?[^\S\n]*:)
    |(?P<name>\w+)
    |(?P<other>.|\n)""",
    re.VERBOSE,
)


def lower_lark(text: str, path: str, budget: Budget) -> LoweredGrammar:
    """Check Lark text with a rule `start`.

    Raises InvalidConstraintError with line and column in the caller's text, UnsupportedConstraintError for special
    tokens, LimitExceededError if it is too long or its rules refer to each other in too long a chain.
    """
    if len(text) > MAX_LARK_CHARACTERS:
        raise LimitExceededError(
            f"{path} has {len(text):,} characters of Lark text; the limit is {MAX_LARK_CHARACTERS:,}"
        )
    scanned = _scan(text, path, budget)
    references = scanned.references
    if "start" not in references:
        raise InvalidConstraintError(f"{path} was taken for Lark text, but has no rule start; Lark text begins there")
    if chain_is_longer(MAX_DEPTH, "start", references):
        raise LimitExceededError(
            f"{path}: the rules refer to each other in a chain of over {MAX_DEPTH:,}, the limit; make the chain shorter"
        )
    conjuncts = _most_conjuncts(references, scanned.conjunctions)
    if conjuncts > MAX_CONJUNCTS:
        raise LimitExceededError(
            f"{path}: a terminal is an intersection of over {MAX_CONJUNCTS} others, the limit; use fewer `&`"
        )
    rules = "".join((*scanned.pieces, *scanned.schemas))
    lines = rules.split("\n")
    blank = next(number for number, line in enumerate(lines) if line.strip())
    grammar = EngineGrammar("\n".join(lines[blank:]), tuple(sorted(scanned.options)))
    try:
        Matcher.within(budget, grammar, CAREFUL_LIMITS if conjuncts > 1 else ENGINE_LIMITS)
    except GuidanceError as error:
        if error.outcome in (Outcome.TOO_HARD, Outcome.FAILED):
            raise error.for_caller(path, InvalidConstraintError) from None
        # A schema that no text satisfies may be one alternative of many, but llguidance does not take it.
        raise InvalidConstraintError(_in_callers_terms(error, text, blank - 1, path)) from None
    return LoweredGrammar(None, lark=grammar, warnings=tuple(scanned.warnings))


@dataclass(slots=True)
class _Scanned:
    """What Lark text is made of."""

    references: dict[str, list[str]] = field(default_factory=dict)
    """The names of rules and terminals that each of them refers to."""
    conjunctions: Counter[str] = field(default_factory=Counter)
    """How often each has `&`."""
    options: set[str] = field(default_factory=set)
    """Those that the caller's headers switch on."""
    pieces: list[str] = field(default_factory=list)
    """The text without what its headers say, line for line."""
    schemas: list[str] = field(default_factory=list)
    """The rules of the schemas in the text."""
    ignores: bool = False
    """Whether some texts are skipped between terminals."""
    warnings: list[str] = field(default_factory=list)


def _scan(text: str, path: str, budget: Budget) -> _Scanned:
    """Read Lark text roughly. Refuses what engines may not know."""
    scanned = _Scanned()
    references, conjunctions = scanned.references, scanned.conjunctions
    name = ""
    current: list[str] = []
    names = Names(re.findall(r"\w+", text))
    at = written = missing_lines = 0
    is_first = True
    while found := _TOKEN.match(text, at):
        at = found.end()
        budget.spend(2)
        match found.lastgroup:
            case "special":
                _fail(
                    text,
                    path,
                    found.start(),
                    f"the special token {found[0]} cannot be checked on a finished text; write its text in quotes",
                    UnsupportedConstraintError,
                )
            case "times":
                _fail(text, path, found.start(), "write {n,m} and not ~ n..m, which not every engine knows")
            case "text" if escape := re.search(r"(?<!\\)(?:\\\\)*\\x", found[0]):
                place = found.start() + escape.end() - 2
                _fail(text, path, place, "write \\u00HH and not \\xHH, which not every engine knows")
            case "json" if found[0] == "%lark":
                _fail(text, path, found.start(), "%lark is not known to every engine; write its rules out")
            case "json" if found[0] == "%json":
                if (schema := _read_json(text, at, json.JSONDecoder())) is not None:
                    name_of_schema, rules = _rules_of_schema(
                        text, found.start(), schema, path, names, scanned.warnings, budget
                    )
                    scanned.pieces += text[written : found.start()], name_of_schema
                    scanned.schemas.append(rules)
                    missing_lines += text.count("\n", at, schema[2])
                    at = written = schema[2]
            case "directive" if found[0] == "%ignore":
                scanned.ignores = True
            case "other" if found[0] == "\n" and missing_lines:
                # What comes behind a schema keeps its line, for errors.
                scanned.pieces += text[written:at], "\n" * missing_lines
                written, missing_lines = at, 0
            case "json":
                at = _read_options(text, found.start(), at, path, scanned.options)
                before = text[written : found.start()]
                # Within the rules a header stays one, as what stands on its two sides must not become one rule.
                is_first = is_first and not before.strip()
                emptied = "" if is_first else "%llguidance {}"
                scanned.pieces += before, emptied, "\n" * text.count("\n", found.start(), at)
                written = at
            case "define":
                if limited := re.search(r"\[[^\]]*\bmax_tokens\b", found[0]):
                    _fail(
                        text,
                        path,
                        found.start() + limited.start(),
                        "max_tokens counts tokens of an engine, which no finished text shows; use a repetition such as "
                        "/.{0,80}/",
                        UnsupportedConstraintError,
                    )
                name = found["defined"]
                current = references.setdefault(name, [])
            case "name":
                current.append(found["name"])
            case "other" if found[0] == "&":
                conjunctions[name] += 1
    scanned.pieces.append(text[written:] + "\n" * (1 + missing_lines) if scanned.schemas else text[written:])
    if scanned.schemas and scanned.ignores:
        raise UnsupportedConstraintError(
            f"{path} has %ignore, which would hold within its %json too; write out where something may be skipped"
        )
    for name, others in references.items():
        references[name] = [other for other in dict.fromkeys(others) if other in references]
    return scanned


def _read_options(text: str, place: int, at: int, path: str, switched_on: set[str]) -> int:
    """Read the JSON of a header, which holds over those before it; returns the place after it."""
    pairs, _, end = _read_json(text, at, json.JSONDecoder(object_pairs_hook=tuple)) or (None, at, at)
    if not isinstance(pairs, tuple) or len(dict(pairs)) < len(pairs):
        _fail(text, path, place, "after %llguidance stands a JSON object with each name once, such as {}")
    for option, value in pairs:
        if option not in OPTIONS:
            known = ", ".join(OPTIONS)
            _fail(text, path, place, f"{option!r} is no option that every engine knows; these are {known}")
        if type(value) is not bool:
            _fail(text, path, place, f"the option {option!r} is true or false")
        (switched_on.add if value else switched_on.discard)(option)
    return end


def _most_conjuncts(references: dict[str, list[str]], conjunctions: Counter[str]) -> int:
    """The most languages that one terminal intersects; nothing stops llguidance if they are many.

    Only what `start` leads to is looked at, whose chains are known to be short.
    """
    most: dict[str, int] = {}
    under_way: set[str] = set()
    pending = ["start"]
    while pending:
        name = pending.pop()
        if name in most:
            continue
        if name not in under_way:
            under_way.add(name)
            pending.append(name)  # again, after those that it refers to
            pending += (other for other in references[name] if other not in under_way)
            continue
        # llguidance refuses terminals that refer to themselves
        used = [most.get(other, 0) for other in references[name]]
        most[name] = conjunctions[name] + (sum(used) if name.isupper() else max(used, default=0))
    return most["start"] + 1


def _rules_of_schema(
    text: str, place: int, found: tuple[Any, int, int], path: str, names: Names, warnings: list[str], budget: Budget
) -> tuple[str, str]:
    """A name for the schema of the `%json` at `place`, and its rules.

    It must be one that is enforced to the letter, as nothing checks it.
    """
    schema, begin, end = found
    where = f"{path} (the schema on line {text.count(chr(10), 0, begin) + 1})"
    try:
        lowered = lower_schema(text[begin:end], where, budget)
    except ContradictionError:
        _fail(text, path, place, "no value satisfies the schema; leave it out")  # there may be other alternatives
    if isinstance(schema, dict) and ("schema_type" in schema or "additional_properties" in schema):
        raise UnsupportedConstraintError(f"{where} is in Braid's shape; write `type` and `additionalProperties`")
    if lowered.cfg is None or not lowered.fully_enforced:
        raise UnsupportedConstraintError(
            f"{where} cannot be enforced within Lark text: {'; '.join(lowered.reasons)}; give it as json_schema"
        )
    warnings.extend(lowered.warnings)
    name = names.new("json", upper=False)
    try:
        return name, rules_within(lowered.cfg, name, names, budget)
    except LimitExceededError as error:
        raise LimitExceededError(f"{where}: {error}") from None


def _read_json(text: str, at: int, decoder: json.JSONDecoder) -> tuple[Any, int, int] | None:
    """A JSON value, where it begins and ends; None if there is none."""
    begin = at
    while text[begin : begin + 1].isspace():
        begin += 1
    try:
        value, end = decoder.raw_decode(text, begin)
    except (ValueError, RecursionError):
        return None
    return value, begin, end


def _fail(
    text: str,
    path: str,
    place: int,
    problem: str,
    error: type[InvalidConstraintError | UnsupportedConstraintError] = InvalidConstraintError,
) -> NoReturn:
    line = text.count("\n", 0, place) + 1
    column = place - (text.rfind("\n", 0, place) + 1) + 1
    raise error(f"{path} was taken for Lark text: line {line}, column {column}: {problem}")


def _in_callers_terms(error: GuidanceError, text: str, further_lines: int, path: str) -> str:
    """The message of llguidance with the line of the caller's text, and that line with a caret."""
    if error.place is None:
        return f"{path} was taken for Lark text: {error.message}"
    line, column = error.place[0] + further_lines, error.place[1]
    lines = text.split("\n")
    message = f"{path} was taken for Lark text: line {line}, column {column}: {error.message}"
    if 1 <= line <= len(lines):
        shown = lines[line - 1][:200]
        message += f"\n  {shown}\n  {' ' * min(column - 1, len(shown))}^"
    return message
