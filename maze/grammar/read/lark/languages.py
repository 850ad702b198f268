"""What `%import language.NAME.START` and `%language NAME START` find, and what `%forbid` and `%allow` leave of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from maze.grammar.budget import Budget
from maze.grammar.languages.syntax import STARTS, find_syntax, syntax_names, syntax_text
from maze.grammar.read.lark.parser import statements_of
from maze.grammar.read.lark.parts import parts_of, with_names
from maze.grammar.read.lark.source import LarkSource
from maze.grammar.read.lark.syntax import (
    Choice,
    Conjunction,
    Definition,
    Expression,
    Extend,
    Import,
    Negation,
    Override,
    QuotedText,
    Reference,
    Regex,
    Restriction,
    Sequence,
    is_terminal,
)

_PREFIX = "language."
_NAME = re.compile(r"((?P<role>[A-Z]+)_)?NAME|NAME_[A-Z_]+")
"""A terminal for names, and their role as far as the grammar knows it, or behind it what else sets them apart."""
_IMPORT = re.compile(r"IMPORT(_[A-Z]+)?")
"""A terminal for what is imported: a dotted name, or a text in quotes or angle brackets."""
_ROLES = ("function", "type", "variable", "constant", "parameter")
_WITHOUT_CASE = ("sql",)
"""The languages in which names in capitals are the same names."""
_KINDS = ("names", "imports", *(f"{role}_names" for role in _ROLES))


def is_of_language(statement: Import) -> bool:
    """Whether what is imported is of a whole language."""
    return statement.grammar.startswith(_PREFIX)


def is_name_of_language(name: str) -> bool:
    """Whether a terminal that was imported is one for names, with a role or without."""
    own, _, language = name.partition(" of ")
    return language.startswith(_PREFIX) and _NAME.fullmatch(own) is not None


def imported_from_language(
    statement: Import, source: LarkSource, budget: Budget, known: Mapping[str, Definition]
) -> Iterator[Definition]:
    """The definitions that a statement asks for, and those that they need and that are not `known` already.

    The latter are called by their name and their language.
    """
    wanted = statement.grammar.removeprefix(_PREFIX)
    language = find_syntax(wanted)
    if language is None:
        source.fail(
            statement.place, f"there is no grammar of a language {wanted!r}; there are {', '.join(syntax_names())}"
        )
    there = _definitions(language)
    budget.spend(len(there))
    offered = [name for name in there if name in STARTS or _NAME.fullmatch(name)]
    for name in statement.names:
        if name not in offered:
            source.fail(statement.place, f"{language} has no {name!r}; it has {', '.join(offered)}")
    todo = list(statement.names)
    seen = set(todo)
    while todo:
        definition = there[todo.pop()]
        if definition.name not in known:
            yield replace(definition, place=statement.place)
        used = [part.name.partition(" of ")[0] for part in parts_of(definition.body) if isinstance(part, Reference)]
        todo += [each for each in dict.fromkeys(used) if each not in seen and each in there]
        seen.update(used)
    for name, alias in statement.names.items():
        yield Definition(alias, statement.place, (), {}, Reference(there[name].name, None, statement.place))


@cache
def _definitions(language: str) -> Mapping[str, Definition]:
    """By their names in the file; what they are called everywhere else says the language too."""
    there = _written_definitions(language)

    def named(definition: Definition) -> Definition:
        meanings: dict[str, Expression] = {
            name: Reference(f"{name} of {_PREFIX}{language}", None, 0)
            for name in there
            if name not in definition.parameters
        }
        return replace(
            definition,
            name=f"{definition.name} of {_PREFIX}{language}",
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


# ------------------------------------------------------------------------------------------------ names and imports


def restricted(
    restriction: Restriction, source: LarkSource, known: Mapping[str, Definition]
) -> Iterator[tuple[str, Definition]]:
    """The terminals of imported languages that a restriction is about, with the texts that it leaves."""
    if restriction.kind not in _KINDS:
        source.fail(
            restriction.place, f"{restriction.kind!r} is nothing that is restricted; these are {', '.join(_KINDS)}"
        )
    if not restriction.texts:
        source.fail(restriction.place, f"no {restriction.kind} are given")
    about = [name for name in known if _is_about(restriction.kind, name)]
    if not about:
        languages = dict.fromkeys(name.partition(f" of {_PREFIX}")[2] for name in known)
        of = ", ".join(filter(None, languages)) or "a text without %language or %import language.NAME.START"
        source.fail(restriction.place, f"the grammar of {of} knows no {restriction.kind.replace('_', ' ')}")

    def texts_in(language: str) -> Expression:
        found = restriction.texts
        if language in _WITHOUT_CASE:
            found = tuple(map(_in_any_case, found))
        texts: Expression = found[0] if len(found) == 1 else Choice(found)
        if restriction.kind == "imports":
            texts = _spelled_as_imports(texts, restriction)
        else:
            texts = _spelled_as_names(texts, restriction.place)
        if restriction.kind == "names":
            behind = Regex("( .*)?", frozenset("s"), restriction.place)  # what a name may stand before
            texts = Sequence((texts, behind))
        return texts if restriction.is_allowed else Negation(texts, restriction.place)

    for name in about:
        old = known[name]
        texts = texts_in(name.partition(f" of {_PREFIX}")[2])
        yield name, replace(old, body=Conjunction((old.body, texts), restriction.place))


def _is_about(kind: str, name: str) -> bool:
    own, _, language = name.partition(" of ")
    if not (language.startswith(_PREFIX) and is_terminal(own)):
        return False
    if kind == "imports":
        return _IMPORT.fullmatch(own) is not None
    found = _NAME.fullmatch(own)
    return found is not None and kind in ("names", f"{(found['role'] or '').lower()}_names")


def _in_any_case(text: Expression) -> Expression:
    match text:
        case QuotedText():
            return replace(text, ignores_case=True)
        case Regex(flags=flags):
            return replace(text, flags=flags | {"i"})
    return text


def _spelled_as_names(texts: Expression, place: int) -> Expression:
    """Names bare or in what a language quotes names by, and with the blank that belongs to those behind another."""
    blank = Regex(" ?", frozenset(), place)
    opening, closing = Regex('@?"|`', frozenset(), place), Regex('["`]', frozenset(), place)
    return Sequence((blank, Choice((texts, Sequence((opening, texts, closing))))))


def _spelled_as_imports(texts: Expression, restriction: Restriction) -> Expression:
    """What is imported, as a name with all that is within it, or between quotes or angle brackets.

    `node:` before what JavaScript imports names the same; what leads out of a path again (`a/../b`) is not within it.
    """
    path = r"(/[^\"'<>/.][^\"'<>/]*)*" if restriction.is_allowed else r"(/[^\"'<>]*)?"
    within, opening, closing = (
        Regex(body, frozenset(), restriction.place) for body in (r"(\.[^\"'<>]*)?", "[\"'<](node:)?", f"{path}[\"'>]")
    )
    return Choice((Sequence((texts, within)), Sequence((opening, texts, closing))))


# ------------------------------------------------------------------------------------------------ for the printer


def for_the_printer(language: str) -> Mapping[str, str]:
    """Regular expressions of Python for a language's `comment`s and for what is taken `whole`, such as strings.

    Where code stands in strings, `whole` ends with `${` before it, and `rest` is what goes on behind it.
    """
    found = {}
    for name, definition in _definitions(language).items():
        if name in ("_COMMENT", "_WHOLE", "_REST") and isinstance(definition.body, Regex):
            found[name.strip("_").lower()] = definition.body.body
    return found
