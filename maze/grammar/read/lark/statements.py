"""The statements of Lark text brought together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from maze.grammar.budget import Budget
from maze.grammar.read.lark.definitions import Definitions
from maze.grammar.read.lark.imported import GRAMMARS
from maze.grammar.read.lark.language_names import PREFIX
from maze.grammar.read.lark.languages import import_from_language, is_of_language
from maze.grammar.read.lark.parser import statements_of
from maze.grammar.read.lark.parts import parts_of, with_names
from maze.grammar.read.lark.source import LarkSource
from maze.grammar.read.lark.syntax import (
    Choice,
    Declare,
    Definition,
    Extend,
    Ignore,
    Import,
    Option,
    Override,
    Reference,
    Restriction,
)


def definitions_of(source: LarkSource, budget: Budget) -> Definitions:
    """Read Lark text. Raises what LarkSource.fail() raises."""
    found = Definitions(source)
    changes: list[Override | Extend] = []
    for statement in statements_of(source, budget):
        match statement:
            case Definition():
                found.define(statement)
            case Import() if is_of_language(statement):
                import_from_language(statement, found)
            case Import():
                for definition in _imported(statement, source, budget):
                    found.define(definition)
            case Restriction():
                found.restrictions.append(statement)
            case Override() | Extend():
                changes.append(statement)
            case Ignore(body):
                found.ignored.append(body)
            case Declare(name):
                found.declared.add(name)
            case Option(name, is_on):
                (found.options.add if is_on else found.options.discard)(name)
    for change in changes:
        new = change.definition
        old = found.by_name.get(new.name)
        if old is None:
            word = "%override" if isinstance(change, Override) else "%extend"
            source.fail(new.place, f"{word} takes a name that is defined, and {new.name!r} is not")
        if isinstance(change, Extend):
            if old.parameters != new.parameters:
                source.fail(new.place, f"{new.name!r} was defined with other parameters")
            new = replace(old, body=Choice((new.body, old.body)))
        found.by_name[new.name] = new
    return found


# ------------------------------------------------------------------------------------------------ import


def _imported(statement: Import, source: LarkSource, budget: Budget) -> Iterator[Definition]:
    """The definitions that a statement asks for and those that they need, the latter under names nobody can write."""
    if statement.grammar == PREFIX.removesuffix("."):
        language = next(iter(statement.names))
        source.fail(statement.place, f"which rule? Such as %import language.{language}.file -> {language}")
    if statement.grammar not in GRAMMARS:
        source.fail(
            statement.place,
            f"the grammar {statement.grammar!r} cannot be read here, only {', '.join(GRAMMARS)} and language.NAME; "
            "write what is imported into this one",
        )
    there = definitions_of(LarkSource(GRAMMARS[statement.grammar], statement.grammar), budget).by_name
    for name in statement.names:
        if name not in there:
            known = ", ".join(each for each in there if not each.startswith("_"))
            source.fail(statement.place, f"{statement.grammar} has no {name!r}; it has {known}")
    names = {name: f"{name} of {statement.grammar} for {'_'.join(statement.names.values())}" for name in there}
    names.update(statement.names)
    todo = list(statement.names)
    seen = set(todo)
    while todo:
        definition = there[todo.pop()]
        used = [part.name for part in parts_of(definition.body) if isinstance(part, Reference)]
        yield replace(
            definition,
            name=names[definition.name],
            place=statement.place,
            body=with_names(definition.body, {each: Reference(names[each], None, statement.place) for each in used}),
        )
        todo += [each for each in dict.fromkeys(used) if each not in seen]
        seen.update(used)
