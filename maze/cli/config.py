"""`maze config`: what compilers, linkers and CMake are to be told."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from maze.cli.output import failing
from maze.errors import ConfigurationError
from maze.native_files import find_native_files


def config(
    cflags: Annotated[bool, typer.Option("--cflags", help="Where the header is, for the compiler.")] = False,
    libs: Annotated[bool, typer.Option("--libs", help="Where the library is, for the linker.")] = False,
    rpath: Annotated[
        bool, typer.Option("--rpath", help="Where the program is to find the library when it runs, for the linker.")
    ] = False,
    cmake_dir: Annotated[
        bool, typer.Option("--cmake-dir", help="The folder for Maze_DIR of CMake's find_package(Maze).")
    ] = False,
    zig_prefix: Annotated[
        bool, typer.Option("--zig-prefix", help="The folder for maze-prefix of the Zig package.")
    ] = False,
) -> None:
    """Print what a C program is built with: cc program.c $(maze config --cflags --libs --rpath).

    All of it, with names, if nothing is chosen.
    """
    with failing(as_json=False):
        files = find_native_files()
        if files is None:
            raise ConfigurationError(
                "there is no native library beside this package; install libmaze from a wheel, or run make in its tree"
            )
    values = {
        "cflags": [f"-I{files.headers}"],
        "libs": [f"-L{files.libraries}", "-lmaze"],
        "rpath": [f"-Wl,-rpath,{files.libraries}"],
        "cmake-dir": [str(files.cmake)],
        "zig-prefix": [str(files.libraries.parent)],
    }
    choices = (cflags, libs, rpath, cmake_dir, zig_prefix)
    wanted = [name for name, chosen in zip(values, choices, strict=True) if chosen]
    if wanted:
        sys.stdout.write(shlex.join(word for name in wanted for word in values[name]) + "\n")
    else:
        sys.stdout.write("".join(f"{name}: {shlex.join(words)}\n" for name, words in values.items()))
