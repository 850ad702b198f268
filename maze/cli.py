"""The command `maze`: generate, compile, validate, serve, health, models, doctor.

Text for people goes to stdout and stderr with colours on a terminal only; `--json` prints one JSON object to stdout.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer
from rich.console import Console
from rich.status import Status as Spinner
from rich.text import Text
from typer.core import TyperGroup
from typer.main import get_group

from maze._version import __version__
from maze.check.validation import validation_error, what_is_wrong
from maze.config import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_TEMPERATURE,
    DEFAULT_TIMEOUT_SECS,
    config_from_environment,
    modal_config_from_environment,
    parse_endpoints,
    service_key_from_environment,
)
from maze.errors import (
    ConfigurationError,
    EngineUnavailableError,
    InvalidArgumentError,
    MazeError,
    Status,
)
from maze.exit_codes import BROKEN_PIPE, EXIT_CODES, INTERRUPTED, OUTPUT_LOST
from maze.grammar.llguidance import engine_text
from maze.orchestrator import Orchestrator
from maze.ranges import MAX_STOP_TEXTS
from maze.service.settings import ServiceSettings
from maze.types import OPTION_RANGES, ConstraintIR, GenerationOptions, Intent, OnUnenforceable

MAX_TIMEOUT_SECS = 4_000_000
"""46 days; GenerationOptions.timeout_ms has 32 bits."""

app = typer.Typer(
    name="maze",
    help="Ask a language model for code that provably obeys constraints.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
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
        code = _command().main(args=arguments, prog_name="maze", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        _say_error(error.format_message())
        return int(Status.INVALID_ARGUMENT)
    except (BrokenPipeError, SystemExit):
        # typer turns the first into the second, and raises it for nothing else here.
        _drop_output()
        return BROKEN_PIPE
    except OSError as error:
        _drop_output()
        _say_error(f"the output cannot be written: {error.strerror or error}")
        return OUTPUT_LOST
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _command() -> TyperGroup:
    group = get_group(app)
    for command in (group, *group.commands.values()):
        for parameter in command.get_params(typer.Context(command)):
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""  # what takes no value has no type to show
    return group


def _drop_output() -> None:
    """Keep Python from complaining once more when it flushes stdout at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


# ------------------------------------------------------------------------------------------------ options

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
Language = Annotated[str | None, typer.Option("--language", help="Programming language, such as python.")]
Report = Annotated[
    bool,
    typer.Option("--report", help="Go on without what can be neither enforced nor checked; exit code 3 all the same."),
]


def _constraints(schema: Path | None, grammar: Path | None, regexes: list[str] | None) -> list[ConstraintIR]:
    constraints = []
    if schema is not None:
        constraints.append(ConstraintIR(json_schema=_read(schema, "--schema"), name=f"--schema {_shown(schema)}"))
    if grammar is not None:
        constraints.append(ConstraintIR(grammar=_read(grammar, "--grammar"), name=f"--grammar {_shown(grammar)}"))
    if regexes:
        constraints.append(ConstraintIR(regex_patterns=tuple(regexes), name="--regex"))
    return constraints


def _read(path: Path, option: str) -> str:
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return content.decode()
    except OSError as error:
        raise InvalidArgumentError(f"{option}: {_shown(path)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{option}: {_shown(path)} is not UTF-8 at byte {error.start}") from None


def _shown(path: Path) -> str:
    """A path as text that can be printed: names of files may hold any bytes."""
    return str(path).encode(errors="backslashreplace").decode()


def _on_unenforceable(report: bool) -> OnUnenforceable:
    return OnUnenforceable.REPORT if report else OnUnenforceable.ERROR


# ------------------------------------------------------------------------------------------------ output


def _say_error(message: str) -> None:
    _stderr().print(Text("libmaze: ", "bold red") + Text(message))


def _stdout() -> Console:
    return Console(soft_wrap=True, highlight=False)


def _stderr() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)


def _print_json(value: object) -> None:
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


@contextmanager
def _failing(as_json: bool) -> Iterator[None]:
    """Turn a MazeError into its message and exit code."""
    try:
        yield
    except MazeError as error:
        _fail(error, as_json)


def _fail(error: MazeError, as_json: bool, **more: object) -> NoReturn:
    if as_json:
        _print_json({"status": f"MAZE_{error.status.name}", "error": str(error), **more})
    else:
        _say_error(str(error))
    raise typer.Exit(int(error.status))


@contextmanager
def _spinner(what: str, as_json: bool) -> Iterator[Spinner | None]:
    """Show on stderr that something goes on, if that is a terminal."""
    console = _stderr()
    if as_json or not console.is_terminal:
        yield None
        return
    with console.status(what) as spinner:
        yield spinner


# ------------------------------------------------------------------------------------------------ commands


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


@app.command(epilog=EXIT_CODES)
def generate(
    prompt: Annotated[str, typer.Argument(help="What to generate; - reads it from stdin.")],
    schema: SchemaFile = None,
    grammar: GrammarFile = None,
    regex: Regexes = None,
    language: Language = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Most tokens to generate.", show_default=str(DEFAULT_MAX_TOKENS))
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help=f"{OPTION_RANGES['temperature']}.".capitalize(), show_default=str(DEFAULT_TEMPERATURE)),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the sampler.", show_default="random")] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001, max=MAX_TIMEOUT_SECS, help="Seconds for everything.", show_default=str(DEFAULT_TIMEOUT_SECS)
        ),
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help=f"Text that ends the generation; up to {MAX_STOP_TEXTS} times.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model to ask for.")] = None,
    report: Report = False,
    as_json: Json = False,
) -> None:
    """Generate text under constraints that all hold; it appears as it comes."""
    with _failing(as_json):
        if prompt == "-":
            if "-" in (str(schema), str(grammar)):
                raise InvalidArgumentError("prompt and a constraint cannot both come from stdin")
            prompt = _read(Path("-"), "PROMPT")
        try:
            options = GenerationOptions(
                max_tokens=max_tokens,
                temperature=temperature,
                seed=seed,
                timeout_ms=None if timeout is None else round(timeout * 1000),
                stop=tuple(stop or ()),
                model=model,
                on_unenforceable=_on_unenforceable(report),
            )
        except InvalidArgumentError as error:
            raise error.naming(f"--{error.field.partition('[')[0].replace('_', '-')}") from None
        intent = Intent(prompt, language=language)
        constraints = _constraints(schema, grammar, regex)
        with Orchestrator() as maze, _spinner("waiting for the model", as_json) as spinner:

            def show(piece: str) -> bool:
                if spinner is not None:
                    spinner.stop()
                sys.stdout.write(piece)
                sys.stdout.flush()
                return True

            result = maze.generate(intent, constraints, options, on_text=None if as_json else show)
    if as_json:
        shown = ("success", "code", "error", "provenance", "validation", "metadata")
        _print_json({"status": f"MAZE_{result.status.name}", **{name: getattr(result, name) for name in shown}})
    else:
        if result.code and not result.code.endswith("\n"):
            sys.stdout.write("\n")
        for warning in result.validation.warnings if result.validation else ():
            _stderr().print(Text(f"warning: {warning}", "yellow"))
        if result.error is not None:
            _say_error(result.error)
    raise typer.Exit(int(result.status))


@app.command("compile", epilog=EXIT_CODES)
def compile_(
    schema: SchemaFile = None,
    grammar: GrammarFile = None,
    regex: Regexes = None,
    language: Language = None,
    report: Report = False,
    as_json: Json = False,
) -> None:
    """Compile constraints: the grammar goes to stdout, what is enforced and what is checked to stderr."""
    with _failing(as_json), Orchestrator() as maze:
        constraints = _constraints(schema, grammar, regex)
        compiled, _ = maze.compile(constraints, language, _on_unenforceable(report))
    grammar_text = None if compiled.grammar is None else engine_text(compiled.grammar)
    if as_json:
        _print_json({"grammar": grammar_text, **orjson.loads(compiled.report_json)})
        return
    if grammar_text is not None:
        sys.stdout.write(grammar_text.rstrip("\n") + "\n")
    console = _stderr()
    for part in compiled.parts:
        console.print(Text(f"{part.handling.value}: {part.path} ({part.name}) {part.reason}".rstrip(), "dim"))
    for warning in compiled.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))


@app.command(epilog=EXIT_CODES)
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The text to check; - for stdin.")],
    schema: SchemaFile = None,
    grammar: GrammarFile = None,
    regex: Regexes = None,
    language: Language = None,
    report: Report = False,
    as_json: Json = False,
) -> None:
    """Check a text against constraints, without an engine; exit code 5 if it breaks one."""
    with _failing(as_json), Orchestrator() as maze:
        if [str(file), str(schema), str(grammar)].count("-") > 1:
            raise InvalidArgumentError("only one of text, --schema and --grammar can come from stdin")
        constraints = _constraints(schema, grammar, regex)
        text = _read(file, "FILE")
        validation = maze.validate(text, constraints, language, _on_unenforceable(report))
    failure = validation_error(validation)
    status = failure.status if failure else Status.OK
    if as_json:
        error = {} if failure is None else {"error": str(failure)}
        _print_json({"status": f"MAZE_{status.name}", **error, "validation": validation})
        raise typer.Exit(int(status))
    console = _stdout()
    for outcome in validation.outcomes:
        verdict, style = {
            True: ("satisfied", "green"),
            False: ("violated", "red"),
            None: (outcome.handling.value, "yellow"),
        }[outcome.satisfied]
        console.print(Text(verdict, style) + Text(f" {outcome.path} ({outcome.name})", "default"))
        for each in outcome.violations:
            value = f", {each.pointer}" if each.pointer else ""
            place = f"  {_shown(file)}:{each.line}:{each.column} (byte {each.offset}{value})"
            console.print(Text(f"{place}: {what_is_wrong(each)}", "default"))
    for warning in validation.warnings:
        _stderr().print(Text(f"warning: {warning}", "yellow"))
    raise typer.Exit(int(status))


@app.command(epilog=EXIT_CODES)
def health(as_json: Json = False) -> None:
    """Ask the engine whether it is ready; exit code 9 if not."""
    with _failing(as_json), Orchestrator() as maze, _spinner("asking the engine", as_json):
        found = maze.health()
    status = Status.OK if found.ready else EngineUnavailableError.status
    if as_json:
        _print_json({"status": f"MAZE_{status.name}", **asdict(found)})
    else:
        for endpoint in found.endpoints:
            ready = bool(endpoint.get("ready"))
            word = Text("ready", "green") if ready else Text("not ready", "red")
            detail = f" {found.backend} {endpoint.get('endpoint', '')}: {endpoint.get('detail', '')}"
            _stdout().print(word + Text(detail, "default"))
    raise typer.Exit(int(status))


@app.command(epilog=EXIT_CODES)
def models(as_json: Json = False) -> None:
    """List the models that the engine offers."""
    with _failing(as_json), Orchestrator() as maze, _spinner("asking the engine", as_json):
        names = maze.models()
    if as_json:
        _print_json({"status": "MAZE_OK", "models": names})
    else:
        # Whoever runs the service chose the names; they are not to steer a terminal.
        shown = ("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name) for name in names)
        sys.stdout.write("".join(f"{name}\n" for name in shown))


@app.command(epilog=EXIT_CODES)
def doctor(as_json: Json = False) -> None:
    """Look at what is installed, found, configured and reachable, with a fix for each problem; exit code 7 if any."""
    from maze.doctor import Check, Verdict, examine

    marks = {Verdict.OK: Text("ok     ", "green"), Verdict.NOTE: Text("note   ", "yellow")}
    console = _stdout()
    checks: list[Check] = []
    with _spinner("looking", as_json):
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
        _print_json({"status": f"MAZE_{status.name}", "checks": checks})
    raise typer.Exit(int(status))


# ------------------------------------------------------------------------------------------------ serve


_SERVICE = ServiceSettings()


@app.command(epilog=EXIT_CODES)
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; one that others reach needs a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name in the Host header to answer to, beside this machine's own; repeatable, or MAZE_ALLOW_HOST with "
            "commas. Without it, a service with a key answers to all.",
        ),
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(
            help="URL of the engine to offer (vLLM, SGLang, llama.cpp, Maze), or several with commas between."
        ),
    ] = None,
    max_concurrent: Annotated[
        int | None, typer.Option(min=1, help="Generations at once.", show_default="4 embedded, 32 upstream")
    ] = None,
    max_queue: Annotated[
        int, typer.Option(min=0, help="Generations that may wait; more get 429.")
    ] = _SERVICE.max_queue,
    max_tokens: Annotated[int, typer.Option(min=1, help="The most one request may ask for.")] = _SERVICE.max_tokens,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds for one request, waiting included.")
    ] = _SERVICE.request_timeout_secs,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds for requests to end when the service stops.")
    ] = _SERVICE.stop_grace_secs,
    as_json: Json = False,
) -> None:
    """Offer the embedded engine, or an upstream, over HTTP.

    The key that clients must send comes from MAZE_API_KEY; the key for an upstream from MODAL_API_KEY, as for a client.
    MODAL_ENDPOINT is not looked at: a service that offers itself would go round in circles.
    """
    with _failing(as_json):
        try:
            from maze.service.server import allowed_hosts, require_key, run_service
        except ImportError as error:
            raise ConfigurationError(f"maze serve needs a package ({error}): install libmaze[service]") from None

        key = service_key_from_environment()
        require_key(key, host)
        allowed = allowed_hosts(allow_host or (), key, host)
        modal = None
        if upstream is not None:
            modal = modal_config_from_environment(parse_endpoints(upstream, "--upstream"))
        config = config_from_environment()
        # A service is watched through its log, so it has one unless the environment says otherwise.
        config = replace(config, modal=modal, log_filter=config.log_filter or "info")
        settings = ServiceSettings(
            api_key=key,
            allow_hosts=allowed,
            max_concurrent=max_concurrent or (4 if upstream is None else 32),
            max_queue=max_queue,
            max_tokens=max_tokens,
            request_timeout_secs=timeout,
            stop_grace_secs=grace,
        )

        def announce(url: str, backend: str | None) -> None:
            engine = "the embedded engine" if upstream is None else f"{backend or 'not reached yet'}: {upstream}"
            if as_json:
                _print_json({"status": "MAZE_OK", "url": url, "backend": backend, "pid": os.getpid()})
            else:
                _stderr().print(Text(f"Maze service at {url}, in front of {engine}; Ctrl-C stops"))

        stopped_by = run_service(host, port, config, settings, announce)
    raise typer.Exit(INTERRUPTED if stopped_by is signal.SIGINT else 0)
