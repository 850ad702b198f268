"""What commands show: text for people, one JSON object for programs, and failures with their exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.status import Status as Spinner
from rich.text import Text

from maze.errors import MazeError
from maze.report import Report, encode, report_of


def say_error(message: str) -> None:
    """Say on stderr what went wrong."""
    stderr().print(Text("libmaze: ", "bold red") + Text(message))


def stdout() -> Console:
    """Where results go."""
    return Console(soft_wrap=True, highlight=False)


def stderr() -> Console:
    """Where everything else goes."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(report: Report) -> None:
    """Print the one object of `--json`."""
    sys.stdout.write(encode(report).decode() + "\n")
    sys.stdout.flush()


@contextmanager
def failing(as_json: bool) -> Iterator[None]:
    """Turn a MazeError into its message and exit code."""
    try:
        yield
    except MazeError as error:
        _fail(error, as_json)


def _fail(error: MazeError, as_json: bool) -> NoReturn:
    if as_json:
        print_json(report_of(error))
    else:
        say_error(str(error))
    raise typer.Exit(int(error.status))


@contextmanager
def waiting(what: str, as_json: bool) -> Iterator[Spinner | None]:
    """Show on stderr that something goes on, if that is a terminal."""
    console = stderr()
    if as_json or not console.is_terminal:
        yield None
        return
    with console.status(what) as spinner:
        yield spinner
