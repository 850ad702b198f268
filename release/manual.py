"""Writes the manual page of the command `maze`, from what the command itself says of its options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperGroup, TyperOption
from typer.main import get_command

from maze._version import __version__
from maze.cli import app
from maze.cli.exit_codes import MEANINGS
from maze.config import ENVIRONMENT_VARIABLES


def write_manual(path: Path) -> None:
    """Write maze.1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(manual())


def manual() -> str:
    """The page, for man."""
    group = get_command(app)
    if not isinstance(group, TyperGroup):
        raise TypeError("the command has no commands")
    lines = [
        f'.TH MAZE 1 "" "libmaze {__version__}" "User Commands"',
        ".SH NAME",
        r"maze \- ask a language model for code that provably obeys constraints",
        ".SH SYNOPSIS",
        ".B maze",
        r"\fICOMMAND\fR [\fIOPTION\fR]... [\fIARGUMENT\fR]...",
        ".SH COMMANDS",
        *(line for name in group.commands for line in _command(group, name)),
        ".SH EXIT STATUS",
        *(line for code, meaning in MEANINGS.items() for line in (".TP", f"\\fB{code}\\fR", _text(meaning))),
        ".SH ENVIRONMENT",
        _text(", ".join(ENVIRONMENT_VARIABLES) + ": README.md of libmaze says what each means."),
        ".SH SEE ALSO",
        r"\fBmaze doctor\fR says what is wrong with an installation. The C interface is in \fImaze.h\fR.",
    ]
    return "\n".join(lines) + "\n"


def _command(group: TyperGroup, name: str) -> Iterator[str]:
    command = group.commands[name]
    context = typer.Context(command, info_name=name)
    yield f'.SS "maze {name}"'
    yield _text(command.help or "")
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is None:
            continue
        spelled, meaning = record
        yield ".TP"
        yield f"\\fB{_text(spelled)}\\fR" if isinstance(parameter, TyperOption) else f"\\fI{_text(spelled)}\\fR"
        yield _text(meaning)


def _text(text: str) -> str:
    """A text as roff has it: on one line, and nothing in it is a request."""
    plain = re.sub(r"\s+", " ", text).strip().replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}"
