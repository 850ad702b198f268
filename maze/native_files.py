"""Where the native library lies, and what compilers need of it: in the package if a wheel brought it, or around."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

ABI_VERSION = 1
"""MAZE_ABI_VERSION of include/maze.h (a test holds the two together)."""
LIBRARY_NAME = f"libmaze.so.{ABI_VERSION}"
HEADER_NAME = "maze.h"

_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class NativeFiles:
    """Folders of the native library."""

    libraries: Path
    """Has libmaze.so.1, pkgconfig/ and cmake/."""
    headers: Path
    """Has maze.h."""

    @property
    def library(self) -> Path:
        """The library that programs load."""
        return self.libraries / LIBRARY_NAME

    @property
    def cmake(self) -> Path:
        """What Maze_DIR of CMake is to be."""
        return self.libraries / "cmake" / "Maze"


def find_native_files() -> NativeFiles | None:
    """Those of this package; None if it has none, as an editable installation or a machine without a wheel."""
    of_a_wheel = NativeFiles(_PACKAGE / "lib", _PACKAGE / "include")
    of_a_tree = NativeFiles(Path(sys.prefix) / "lib", _PACKAGE.parent / "include")
    for files in (of_a_wheel, of_a_tree):
        if files.library.is_file() and (files.headers / HEADER_NAME).is_file():
            return files
    return None
