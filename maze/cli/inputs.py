"""What commands take in common: constraints, and where they are read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from maze.errors import InvalidArgumentError
from maze.grammar.languages.syntax import find_syntax, syntax_names
from maze.types import BraidGrammar, ConstraintIR, ConstraintOptions, OnConflict, OnUnenforceable

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
SchemaFile = Annotated[
    Path | None, typer.Option("--schema", metavar="FILE", help="JSON Schema that the text must satisfy; - for stdin.")
]
GrammarFile = Annotated[
    Path | None,
    typer.Option("--grammar", metavar="FILE", help="Grammar: Lark, GBNF, or Braid's JSON (needs --language)."),
]
Regexes = Annotated[
    list[str] | None,
    typer.Option("--regex", metavar="PATTERN", help="Pattern: ^...$ is the whole text, others are contained in it."),
]
Language = Annotated[
    str | None,
    typer.Option(
        "--language", metavar="NAME", help="Programming language, such as python.", autocompletion=syntax_names
    ),
]
Syntax = Annotated[
    bool, typer.Option("--syntax", help="The text must be a whole program in --language, which needs a grammar here.")
]
Name = Annotated[
    str, typer.Option("--name", metavar="TEXT", help="What reports call these constraints.", show_default=False)
]
Priority = Annotated[
    int, typer.Option("--priority", metavar="N", help="Of these constraints; higher ones are told first.")
]
Report = Annotated[
    bool,
    typer.Option("--report", help="Go on without what can be neither enforced nor checked; exit code 3 all the same."),
]

OnConflictChoice = Annotated[
    OnConflict,
    typer.Option(
        "--on-conflict", help="What to do where no text satisfies all constraints: report goes on, with exit code 4."
    ),
]
Ignored = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="PART",
        help="Leave a part out: constraints[0].grammar, or a kind such as grammar.",
    ),
]
BraidGrammarChoice = Annotated[
    BraidGrammar | None,
    typer.Option(
        "--braid-grammar",
        help="How Braid's token classes are taken: as they stand, or as a hint beside the language's own grammar.",
        show_default="MAZE_BRAID_GRAMMAR",
    ),
]


def constraints_of(
    schema: Path | None,
    grammar: Path | None,
    regexes: list[str] | None,
    language: str | None,
    *,
    syntax: bool,
    name: str = "",
    priority: int = 0,
) -> list[ConstraintIR]:
    """The constraints of a command, with `syntax` the grammar of the language among them.

    Raises InvalidArgumentError for a file that cannot be read, and for a language without a grammar.
    """
    constraints = []
    if syntax:
        constraints.append(ConstraintIR(grammar=f"%language {syntax_of(language, '--syntax')}", name="--syntax"))
    if schema is not None:
        constraints.append(ConstraintIR(json_schema=read(schema, "--schema"), name=f"--schema {shown(schema)}"))
    if grammar is not None:
        constraints.append(ConstraintIR(grammar=read(grammar, "--grammar"), name=f"--grammar {shown(grammar)}"))
    if regexes:
        constraints.append(ConstraintIR(regex_patterns=tuple(regexes), name="--regex"))
    with naming_options():
        return [replace(constraint, name=name or constraint.name, priority=priority) for constraint in constraints]


def refuse_none(constraints: list[ConstraintIR]) -> None:
    """Raise InvalidArgumentError where there is nothing to compile, or to check a text against."""
    if not constraints:
        raise InvalidArgumentError(
            "there is no constraint: give --schema, --grammar, --regex, or --language and --syntax"
        )


def syntax_of(language: str | None, needs_it: str) -> str:
    """The language that has a grammar here. Raises InvalidArgumentError, naming what needs it, if it has none."""
    found = find_syntax(language or "")
    if found is None:
        raise InvalidArgumentError(f"{needs_it} needs --language with one of {', '.join(syntax_names())}")
    return found


def read(path: Path, option: str) -> str:
    """The text of a file, or of stdin for `-`. Raises InvalidArgumentError naming the option."""
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return content.decode()
    except OSError as error:
        raise InvalidArgumentError(f"{option}: {shown(path)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{option}: {shown(path)} is not UTF-8 at byte {error.start}") from None


def shown(path: Path) -> str:
    """A path as text that can be printed: names of files may hold any bytes."""
    return str(path).encode(errors="backslashreplace").decode()


def constraint_options(
    on_conflict: OnConflict, ignore: list[str] | None, braid_grammar: BraidGrammar | None, *, report: bool
) -> ConstraintOptions:
    """How a command takes its constraints. Raises InvalidArgumentError for what is no part to be left out."""
    with naming_options():
        return ConstraintOptions(
            on_unenforceable=on_unenforceable(report),
            on_conflict=on_conflict,
            ignore=tuple(ignore or ()),
            braid_grammar=braid_grammar,
        )


def on_unenforceable(report: bool) -> OnUnenforceable:
    """What `--report` decides."""
    return OnUnenforceable.REPORT if report else OnUnenforceable.ERROR


@contextmanager
def naming_options() -> Iterator[None]:
    """Let an error name the option of the command in the place of the field."""
    try:
        yield
    except InvalidArgumentError as error:
        field, bracket, place = error.field.partition("[")
        raise error.naming(f"--{field.replace('_', '-')}{bracket}{place}") from None
