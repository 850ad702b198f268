"""`constraint_spec`, which Ananke's command line sends with a chat: what of it is enforced, and what is told.

The grammar and the hole that is to be filled are enforced; signatures, bindings, imports and conditions are facts for
the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from maze.grammar.budget import Budget
from maze.grammar.languages.syntax import find_syntax, syntax_text
from maze.grammar.pattern.parser import parse_pattern
from maze.json_text import dump, parse
from maze.service.refusal import invalid, refuse_unknown

MAX_FACT_CHARACTERS = 500
"""Most that is told of one of them."""

_SETTINGS = ("version", "intensity", "cache_scope", "context_hash", "enabled_domains", "disabled_domains")
"""How Ananke's backend is to go about it, which says nothing of the text."""
_HARD = ("language", "json_schema", "ebnf", "regex", "fim")
_STARTS = {
    "expression": "expression",
    "statement": "statement",
    "function": "function",
    "module": "file",
}
"""Where a hole of that scale begins in the grammar of a language; one of scale `block` has none."""
_OF_FIM = ("prefix", "suffix", "language", "hole_scale")
_TOLD_OF_FIM = (
    *("mode", "intensity", "prefix_length", "suffix_length", "open_delimiters", "close_delimiters", "indent_level"),
    *("requires_complete_unit", "ends_mid_expression", "file_path", "cursor_line", "cursor_column"),
)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class SpecReader:
    """What was read of a specification. Raises Refusal for what is wrong in it."""

    def __init__(self, given: dict[str, Any]) -> None:
        refuse_unknown("field", given, (*_HARD, *_FACTS, *_SETTINGS), "constraint_spec.")
        self._given = given
        self.constraint: dict[str, Any] = {}
        """As `constraints` of the contract; empty if nothing is enforced."""
        self.around = ("", "")
        """What stands before and behind the hole, where the grammar is one of all together."""
        self.enforced: list[str] = []
        """The fields that are."""
        self.facts = facts_of(given)
        """For the model."""
        self.language = self._text("language")
        self._read_hard()
        told = [name for name in (*_FACTS, "language", "fim") if given.get(name) and name not in self.enforced]
        self.told = sorted(told)
        """The fields that are told to the model alone."""

    def _read_hard(self) -> None:
        grammar, regex, schema = self._text("ebnf"), self._text("regex"), self._given.get("json_schema")
        if grammar:
            self._enforce("ebnf", grammar=grammar)
        if regex:
            self._enforce("regex", regex_patterns=[whole_pattern(regex, "constraint_spec.regex")])
        if schema is not None:
            self._enforce("json_schema", json_schema=_schema(schema))
        if self._given.get("fim") is not None:
            self._read_hole(self._given["fim"], has_grammar=bool(grammar))

    def _enforce(self, name: str, **parts: Any) -> None:  # noqa: ANN401 - parts of a constraint
        self.constraint |= parts
        self.enforced.append(name)

    def _read_hole(self, fim: object, *, has_grammar: bool) -> None:
        """A grammar is of the whole file, of which the hole is the part between prefix and suffix.

        Without one, the hole is what its scale says, by the grammar of its language.
        """
        if not isinstance(fim, dict):
            raise invalid("constraint_spec.fim must be an object", "constraint_spec.fim")
        refuse_unknown("field", fim, (*_OF_FIM, *_TOLD_OF_FIM), "constraint_spec.fim.")
        prefix, suffix, language, scale = (self._text(name, fim, "fim.") or "" for name in _OF_FIM)
        scales = (*_STARTS, "block")
        if scale and scale not in scales:
            problem = f"constraint_spec.fim.hole_scale must be one of {', '.join(scales)}"
            raise invalid(problem, "constraint_spec.fim.hole_scale")
        self.language = self.language or language or None
        what = f"the {scale} " if scale else "the text "
        self.facts.append(
            f"Write {what}that is missing between these two parts of a file, and nothing else.\n"
            f"Before it:\n{prefix}\nBehind it:\n{suffix}"
        )
        if has_grammar:
            self.around = (prefix, suffix)
            patterns = self.constraint.get("regex_patterns", [])
            between = f"^{re.escape(prefix)}[\\s\\S]*{re.escape(suffix)}$"
            self._enforce("fim", regex_patterns=[*patterns, between] if prefix or suffix else patterns)
            return
        syntax = find_syntax(language or self.language or "")
        start = _STARTS.get(scale)
        if syntax is None or start is None or not _begins(syntax, start) or "json_schema" in self.constraint:
            return
        grammar = f"%language {syntax} {start}\n"
        bound = self._names_in_scope()
        if start == "expression" and self._given.get("scope_bindings") and bound:
            grammar += f"%allow names {' '.join(bound)}\n"
            self.enforced.append("scope_bindings")
        self._enforce("fim", grammar=grammar)

    def _names_in_scope(self) -> list[str]:
        """All that an expression may name, where the specification says what is bound."""
        found = []
        for field in ("scope_bindings", "type_bindings", "function_signatures", "class_definitions", "imports"):
            listed = self._given.get(field)
            for each in listed if isinstance(listed, list) else ():
                if isinstance(each, dict):
                    items = each.get("items")
                    named = (each.get("name"), each.get("alias"), *(items if isinstance(items, list) else ()))
                    found += [name for name in named if isinstance(name, str)]
                    if field == "imports" and not items and isinstance(each.get("module"), str):
                        found.append(each["module"].partition(".")[0])
        return [name for name in dict.fromkeys(found) if _NAME.fullmatch(name)]

    def _text(self, name: str, given: dict[str, Any] | None = None, path: str = "") -> str | None:
        value = (self._given if given is None else given).get(name)
        place = f"constraint_spec.{path}{name}"
        if value is not None and not isinstance(value, str):
            raise invalid(f"{place} must be a text", place)
        return value


def whole_pattern(pattern: str, place: str) -> str:
    """A pattern of the whole text, as llguidance and vLLM read each. Raises InvalidConstraintError.

    It has to be one by itself: `a)|(b` would be another in brackets. Flags are of the pattern alone, as `m` would let
    the ends be those of any line.
    """
    parse_pattern(pattern, place, Budget())
    flags = _FLAGS.match(pattern)
    return f"^(?{flags[1]}:{pattern[flags.end() :]})$" if flags else f"^(?:{pattern})$"


_FLAGS = re.compile(r"\(\?([a-z]+)\)")


def _begins(syntax: str, start: str) -> bool:
    return re.search(rf"^{start}:", syntax_text(syntax), re.MULTILINE) is not None


def _schema(value: object) -> Any:  # noqa: ANN401 - any JSON
    place = "constraint_spec.json_schema"
    if isinstance(value, str):
        try:
            value = parse(value)
        except ValueError as error:
            raise invalid(f"{place} is not JSON: {error}", place) from None
    if not isinstance(value, (dict, bool)):
        raise invalid(f"{place} must be a JSON Schema", place)
    return value


# ------------------------------------------------------------------------------------------------ facts


def facts_of(given: dict[str, Any]) -> list[str]:
    """What is known of where the code will stand, a paragraph for each field. Raises Refusal."""
    told = []
    for name, (heading, line) in _FACTS.items():
        value = given.get(name)
        if not value:
            continue
        items = value if isinstance(value, list) else _conditions(value) if name == "semantic_constraints" else [value]
        lines = [f"- {line(each)}"[:MAX_FACT_CHARACTERS] for each in items]
        told.append("\n".join([f"{heading}:", *lines]))
    return told


def _conditions(value: object) -> list[object]:
    """Of `{"preconditions": [...], ...}` each with its kind."""
    if not isinstance(value, dict):
        return [value]
    kinds = [
        (kind, each) for kind, listed in value.items() for each in (listed if isinstance(listed, list) else [listed])
    ]
    return [f"{kind.removesuffix('s')}: {_shown(each)}" for kind, each in kinds]


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON
    return value if isinstance(value, str) else dump(value)


def _rest(value: dict[str, Any], *known: str) -> str:
    """The fields that a line does not show otherwise, and that say something."""
    left = {name: each for name, each in value.items() if name not in known and each not in (None, False, "", [], {})}
    return f" {dump(left)}" if left else ""


def _named(value: Any, kind: str = "type_expr") -> str:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return _shown(value)
    type_name = value.get(kind)
    shown = f": {type_name}" if isinstance(type_name, str) else ""
    return f"{value['name']}{shown}{_rest(value, 'name', *([kind] if shown else []))}"


def _signature(value: Any) -> str:  # noqa: ANN401 - any JSON
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("name"), str)
        or not isinstance(value.get("params"), list)
    ):
        return _named(value, "return_type")
    of_type = [("type" if isinstance(each, dict) and "type" in each else "type_expr") for each in value["params"]]
    params = ", ".join(_named(each, kind) for each, kind in zip(value["params"], of_type, strict=True))
    returned = value.get("return_type")
    shown = f" -> {returned}" if isinstance(returned, str) else ""
    kind = "async " if value.get("is_async") is True else ""
    known = ("name", "params", "is_async", *(["return_type"] if shown else []))
    return f"{kind}{value['name']}({params}){shown}{_rest(value, *known)}"


def _class(value: Any) -> str:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return _shown(value)
    fields, methods = value.get("fields"), value.get("methods")
    members = [_named(each, "type") for each in fields] if isinstance(fields, list) else []
    members += map(_shown, methods) if isinstance(methods, list) else []
    return f"{value['name']} {{ {'; '.join(members)} }}{_rest(value, 'name', 'fields', 'methods')}"


def _import(value: Any) -> str:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict) or not isinstance(value.get("module"), str):
        return _shown(value)
    return f"{value['module']}{_rest(value, 'module')}"


_FACTS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "function_signatures": ("Functions in scope", _signature),
    "type_bindings": ("Names in scope and their types", _named),
    "class_definitions": ("Classes in scope", _class),
    "imports": ("Imports", _import),
    "scope_bindings": ("Names that resolve here", _named),
    "control_flow": ("Control flow around it", _shown),
    "semantic_constraints": ("Conditions", _shown),
    "call_graph": ("Calls", _shown),
    "expected_type": ("Type of the value", _shown),
}
"""The fields that are facts: what stands above them, and how each item is told."""
