"""What commands show: text for people, one JSON object for programs, and failures with their exit codes."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Annotated, NoReturn, Self

import typer
from rich.console import Console
from rich.progress import Progress as RichProgress
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from maze.errors import InvalidArgumentError, MazeError
from maze.report import Report, encode, report_of

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the text there, if it is a success, not to stdout."),
]


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


def write(text: str, file: Path | None) -> None:
    """Write a text to stdout, or to a file, which is then whole or as it was. Raises InvalidArgumentError."""
    if file is None:
        sys.stdout.write(text)
        return
    try:
        with NamedTemporaryFile("wb", dir=file.parent, prefix=f".{file.name}.", delete=False) as beside:
            try:
                beside.write(text.encode())
                beside.flush()
                Path(beside.name).chmod(_mode_of(file))
                Path(beside.name).replace(file)
            except BaseException:
                Path(beside.name).unlink()
                raise
    except OSError as error:
        problem = f"{str(file)!r} cannot be written: {error.strerror}"
        raise InvalidArgumentError(problem, field="-o") from None


class Progress:
    """Shows on stderr what is waited for and how long already, if that is a terminal."""

    def __init__(self, as_json: bool) -> None:
        console = stderr()
        self.is_shown = console.is_terminal and not as_json
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        self._progress = RichProgress(*columns, console=console, transient=True, disable=not self.is_shown)
        self._task: TaskID | None = None

    def wait_for(self, what: str) -> None:
        """Say what is waited for from now on."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=None)

    def stop(self) -> None:
        """Show no more."""
        self._progress.stop()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def waiting(what: str, as_json: bool) -> Iterator[Progress]:
    """Show what is waited for."""
    with Progress(as_json) as progress:
        progress.wait_for(what)
        yield progress


def _mode_of(file: Path) -> int:
    """The permissions that the file has, or a new one gets."""
    if file.exists():
        return stat.S_IMODE(file.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
