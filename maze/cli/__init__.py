"""The command `maze`, with a command within it for each thing to be done.

Text for people goes to stdout and stderr with colours on a terminal only; `--json` prints one JSON object to stdout.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.text import Text
from typer.core import TyperGroup, TyperOption
from typer.main import get_command

from maze._version import __version__
from maze.check.layout import laid_out
from maze.cli.config import config
from maze.cli.exit_codes import BROKEN_PIPE, EXIT_CODES, INTERRUPTED, OUTPUT_LOST
from maze.cli.generating import generate
from maze.cli.inputs import ConstraintInputs, Json, Language, read, shown, syntax_of, taking_constraints
from maze.cli.measuring import bench
from maze.cli.output import Output, failing, print_json, say_error, stderr, stdout, waiting, write
from maze.cli.serving import serve
from maze.errors import ConfigurationError, EngineUnavailableError, InvalidArgumentError, Status
from maze.orchestrator import Orchestrator
from maze.outcome import validation_error, what_is_wrong
from maze.report import grammar_text, report_call, report_models, report_of

app = typer.Typer(
    name="maze",
    help="Ask a language model for code that provably obeys constraints.",
    epilog=EXIT_CODES,
    rich_markup_mode=None,  # boxes leave no room for names in a narrow terminal
    pretty_exceptions_enable=False,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code (see EXIT_CODES)."""
    if (
        sys.stdin is None or sys.stdout is None or sys.stderr is None
    ):  # closed, and the next socket would take its place
        return OUTPUT_LOST
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # what the locale says is for people; generated code is UTF-8
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        code = _command().main(args=given or ["--help"], prog_name="maze", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        say_error(error.format_message())
        return int(Status.INVALID_ARGUMENT)
    except (BrokenPipeError, SystemExit) as ended:
        # typer turns the first into the second, and otherwise raises it when it has completed a word for a shell.
        if isinstance(ended, SystemExit) and not ended.code:
            return 0
        _drop_output()
        return BROKEN_PIPE
    except OSError as error:
        _drop_output()
        say_error(f"the output cannot be written: {error.strerror or error}")
        return OUTPUT_LOST
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a defect of ours, of which people get no traceback
        say_error(f"{_defect(error)}; please report it, with the command and this line")
        return int(Status.INTERNAL_ERROR)
    return code if isinstance(code, int) else 0


def _defect(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = type(error).__name__ + (f": {error}" if str(error) else "")
    return f"internal error: {what} ({Path(place.filename).name}:{place.lineno}, version {__version__})"


def _command() -> TyperGroup:
    group = cast("TyperGroup", get_command(app))
    for command in (group, *group.commands.values()):
        for parameter in command.get_params(typer.Context(command)):
            if not isinstance(parameter, TyperOption):
                continue
            if parameter.is_flag:
                parameter.metavar = ""  # what takes no value has no type to show
            if parameter.multiple:
                parameter.help = f"{parameter.help} Repeatable."
    return group


def _drop_output() -> None:
    """Keep Python from complaining once more when it flushes stdout at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"maze {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Ask a language model for code that provably obeys constraints."""


def _epilog(example: str) -> str:
    return f"Example: {example}\n\n{EXIT_CODES}"


app.command(epilog=_epilog('maze generate "A colour." --schema colour.json -o colour.txt'))(generate)


@app.command("compile", epilog=_epilog("maze compile --regex '^[a-z]+$'"))
@taking_constraints
def compile_(
    given: ConstraintInputs,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Compile constraints: the grammar goes to stdout, what is enforced and what is checked to stderr."""
    with failing(as_json), Orchestrator() as maze:
        compiled = maze.compile(given.some_constraints(), given.language, given.options())
    if as_json:
        print_json(report_of(compiled))
        return
    if (grammar_of_all := grammar_text(compiled)) is not None:
        with failing(as_json):
            write(grammar_of_all.rstrip("\n") + "\n", output)
    console = stderr()
    for part in compiled.parts:
        console.print(Text(f"{part.handling.value}: {part.path} ({part.name}) {part.reason}".rstrip(), "dim"))
    for warning in compiled.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))


@app.command(epilog=_epilog("maze validate main.zig --language zig --syntax"))
@taking_constraints
def validate(
    given: ConstraintInputs,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The text to check; - for stdin.")],
    as_json: Json = False,
) -> None:
    """Check a text against constraints, without an engine; exit code 5 if it breaks one."""
    with failing(as_json), Orchestrator() as maze:
        if [*map(str, (file, given.schema, given.grammar))].count("-") > 1:
            raise InvalidArgumentError("only one of text, --schema and --grammar can come from stdin")
        constraints = given.some_constraints()
        validation = maze.validate(read(file, "FILE"), constraints, given.language, given.options())
    failure = validation_error(validation)
    status = failure.status if failure else Status.OK
    if as_json:
        print_json(report_of(validation))
        raise typer.Exit(int(status))
    console = stdout()
    for outcome in validation.outcomes:
        verdict, style = {
            True: ("satisfied", "green"),
            False: ("violated", "red"),
            None: (outcome.handling.value, "yellow"),
        }[outcome.satisfied]
        console.print(Text(verdict, style) + Text(f" {outcome.path} ({outcome.name})", "default"))
        for each in outcome.violations:
            value = f", {each.pointer}" if each.pointer else ""
            place = f"  {shown(file)}:{each.line}:{each.column} (byte {each.offset}{value})"
            console.print(Text(f"{place}: {what_is_wrong(each)}", "default"))
    for warning in validation.warnings:
        stderr().print(Text(f"warning: {warning}", "yellow"))
    raise typer.Exit(int(status))


@app.command("format", epilog=_epilog("maze format main.py"))
def format_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The program to lay out; - for stdin.")],
    language: Language = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Print a program in the layout that --syntax allows, without its comments. Its name tells its language, too."""
    with failing(as_json):
        found = syntax_of(language or file.suffix.removeprefix("."), "format")
        text = laid_out(read(file, "FILE"), found)
    if as_json:
        print_json(report_call(Status.OK, text=text))
        return
    with failing(as_json):
        write(text, output)


@app.command(epilog=_epilog("maze health --json"))
def health(as_json: Json = False) -> None:
    """Ask the engine whether it is ready; exit code 9 if not."""
    with failing(as_json), Orchestrator() as maze, waiting("asking the engine", as_json):
        found = maze.health()
    status = Status.OK if found.ready else EngineUnavailableError.status
    if as_json:
        print_json(report_of(found))
    else:
        for endpoint in found.endpoints:
            ready = bool(endpoint.get("ready"))
            word = Text("ready", "green") if ready else Text("not ready", "red")
            engine = endpoint.get("dialect") or found.backend
            named = f"{engine} {endpoint.get('endpoint', '')}" if engine else endpoint.get("endpoint", "")
            stdout().print(word + Text(f" {named}: {endpoint.get('detail', '')}", "default"))
    raise typer.Exit(int(status))


@app.command(epilog=_epilog("maze models"))
def models(as_json: Json = False) -> None:
    """List the models that the engine offers."""
    with failing(as_json), Orchestrator() as maze, waiting("asking the engine", as_json):
        names = maze.models()
    report = report_models(names)
    if as_json:
        print_json(report)
    else:
        # Whoever runs the service chose the names; they are not to steer a terminal.
        shown = ("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name) for name in names)
        sys.stdout.write("".join(f"{name}\n" for name in shown))
        if report["models_cut"]:
            stderr().print(Text("warning: the service has more models than these", "yellow"))


@app.command(epilog=_epilog("maze doctor"))
def doctor(as_json: Json = False) -> None:
    """Look at what is installed, found, configured and reachable, with a fix for each problem; exit code 7 if any."""
    from maze.doctor import Check, Verdict, examine

    marks = {Verdict.OK: Text("ok     ", "green"), Verdict.NOTE: Text("note   ", "yellow")}
    console = stdout()
    checks: list[Check] = []
    with waiting("looking", as_json):
        for check in examine():
            checks.append(check)
            if not as_json:
                mark = marks.get(check.verdict, Text("problem", "bold red"))
                console.print(mark + Text(f"  {check.name}: {check.detail}", "default"))
                if check.fix:
                    console.print(Text(f"         {check.fix}", "cyan"))
    failed = any(check.verdict is Verdict.PROBLEM for check in checks)
    status = ConfigurationError.status if failed else Status.OK
    if as_json:
        print_json(report_call(status, "something is wrong, see checks" if failed else None, checks=checks))
    raise typer.Exit(int(status))


app.command(epilog=_epilog("maze serve --upstream http://127.0.0.1:8000"))(serve)
app.command(epilog=_epilog("maze bench --tokens 256"))(bench)
app.command(epilog=_epilog("cc program.c $(maze config --cflags --libs --rpath)"))(config)
