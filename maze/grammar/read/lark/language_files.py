"""The files of whole languages: the definitions in them, and what the printer takes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from maze.grammar.budget import Budget
from maze.grammar.languages.syntax import syntax_text
from maze.grammar.read.lark.language_names import full_name
from maze.grammar.read.lark.parser import statements_of
from maze.grammar.read.lark.parts import with_names
from maze.grammar.read.lark.source import LarkSource
from maze.grammar.read.lark.syntax import (
    Choice,
    Definition,
    Expression,
    Extend,
    Import,
    Override,
    Reference,
    Regex,
)


@cache
def language_definitions(language: str) -> Mapping[str, Definition]:
    """By their names in the file; what they are called everywhere else says the language too."""
    there = _written_definitions(language)

    def named(definition: Definition) -> Definition:
        meanings: dict[str, Expression] = {
            name: Reference(full_name(name, language), None, 0) for name in there if name not in definition.parameters
        }
        return replace(
            definition,
            name=full_name(definition.name, language),
            body=with_names(definition.body, meanings),
        )

    return {name: named(definition) for name, definition in there.items()}


def _written_definitions(language: str) -> dict[str, Definition]:
    """As they are in the file; `%import language.NAME` there takes all of another, which it then changes."""
    there: dict[str, Definition] = {}
    for statement in statements_of(LarkSource(syntax_text(language), language), Budget()):
        match statement:
            case Import("language", names):
                for base in names:
                    there.update(_written_definitions(base))
            case (Definition() as definition) | Override(definition):
                there[definition.name] = definition
            case Extend(definition):
                old = there[definition.name]
                there[old.name] = replace(old, body=Choice((old.body, definition.body)))
    return there


def for_the_printer(language: str) -> Mapping[str, str]:
    """Regular expressions of Python for a language's `comment`s and for what is taken `whole`, such as strings.

    Where code stands in strings, `whole` ends with `${` before it, and `rest` is what goes on behind it. A `regex` is
    taken whole where a value may begin.
    """
    found = {}
    for name, definition in language_definitions(language).items():
        if name in ("_COMMENT", "_WHOLE", "_REST", "_REGEX") and isinstance(definition.body, Regex):
            found[name.strip("_").lower()] = definition.body.body
    return found
