"""What commands take in common: constraints, how they are taken, and where they are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from maze.errors import InvalidArgumentError
from maze.grammar.languages.syntax import find_syntax, syntax_names
from maze.options import BraidGrammar, ConstraintOptions, OnConflict, OnUnenforceable
from maze.types import ConstraintIR

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Language = Annotated[
    str | None,
    typer.Option(
        "--language", metavar="NAME", help="Programming language, such as python.", autocompletion=syntax_names
    ),
]
_Arguments = ParamSpec("_Arguments")


@dataclass(frozen=True, slots=True)
class ConstraintInputs:
    """The options of a command that takes constraints."""

    schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON Schema that the text must satisfy; - for stdin.")
    ] = None
    grammar: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Grammar: Lark, GBNF, or Braid's JSON (needs --language).")
    ] = None
    regex: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Pattern: ^...$ is the whole text, others are contained in it."),
    ] = None
    language: Language = None
    syntax: Annotated[
        bool,
        typer.Option("--syntax", help="The text must be a whole program in --language, which needs a grammar here."),
    ] = False
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="What reports call these constraints.", show_default=False)
    ] = ""
    priority: Annotated[int, typer.Option(metavar="N", help="Of these constraints; higher ones are told first.")] = 0
    on_conflict: Annotated[
        OnConflict,
        typer.Option(help="What to do where no text satisfies all constraints: report goes on, with exit code 4."),
    ] = OnConflict.ERROR
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="Leave a part out: constraints[0].grammar, or a kind such as grammar."),
    ] = None
    braid_grammar: Annotated[
        BraidGrammar | None,
        typer.Option(
            help="How Braid's token classes are taken: as they stand, or as a hint beside the language's own grammar.",
            show_default="MAZE_BRAID_GRAMMAR",
        ),
    ] = None
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Go on without what can be neither enforced nor checked; exit code 3 all the same."
        ),
    ] = False

    def constraints(self) -> list[ConstraintIR]:
        """The constraints, with `--syntax` the grammar of the language among them.

        Raises InvalidArgumentError for a file that cannot be read, and for a language without a grammar.
        """
        constraints = []
        if self.syntax:
            law = f"%language {syntax_of(self.language, '--syntax')}"
            constraints.append(ConstraintIR(grammar=law, name="--syntax"))
        if self.schema is not None:
            schema = read(self.schema, "--schema")
            constraints.append(ConstraintIR(json_schema=schema, name=f"--schema {shown(self.schema)}"))
        if self.grammar is not None:
            grammar = read(self.grammar, "--grammar")
            constraints.append(ConstraintIR(grammar=grammar, name=f"--grammar {shown(self.grammar)}"))
        if self.regex:
            constraints.append(ConstraintIR(regex_patterns=tuple(self.regex), name="--regex"))
        with naming_options():
            return [replace(each, name=self.name or each.name, priority=self.priority) for each in constraints]

    def some_constraints(self) -> list[ConstraintIR]:
        """The same, where there is nothing to do without. Raises InvalidArgumentError then as well."""
        if constraints := self.constraints():
            return constraints
        raise InvalidArgumentError(
            "there is no constraint: give --schema, --grammar, --regex, or --language and --syntax"
        )

    def how_taken(self) -> dict[str, Any]:
        """The fields of ConstraintOptions."""
        return {
            "on_unenforceable": OnUnenforceable.REPORT if self.report else OnUnenforceable.ERROR,
            "on_conflict": self.on_conflict,
            "ignore": tuple(self.ignore or ()),
            "braid_grammar": self.braid_grammar,
        }

    def options(self) -> ConstraintOptions:
        """How the constraints are taken. Raises InvalidArgumentError for what is no part to be left out."""
        with naming_options():
            return ConstraintOptions(**self.how_taken())


def taking_constraints(command: Callable[Concatenate[ConstraintInputs, _Arguments], None]) -> Callable[..., None]:
    """The command as typer is to see it: its first parameter is an option for each field of ConstraintInputs."""
    options = signature(ConstraintInputs, eval_str=True).parameters.values()
    others = [*signature(command, eval_str=True).parameters.values()][1:]

    @wraps(command)
    def call(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> None:
        inputs: dict[str, Any] = {each.name: named.pop(each.name) for each in options}
        command(ConstraintInputs(**inputs), *arguments, **named)

    parameters = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in (*options, *others)]
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    return call


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


@contextmanager
def naming_options() -> Iterator[None]:
    """Let an error name the option of the command in the place of the field."""
    try:
        yield
    except InvalidArgumentError as error:
        field, bracket, place = error.field.partition("[")
        raise error.naming(f"--{field.replace('_', '-')}{bracket}{place}") from None
