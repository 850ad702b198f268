"""Describes library and header to pkg-config and CMake, by places relative to the description: all can be moved."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def describe(libraries: Path, headers: Path, prefix: Path, version: str, soname: str) -> None:
    """Write maze.pc and the CMake package into `libraries`, for the header in `headers`; `prefix` is above both."""
    _write(
        libraries / "pkgconfig" / "maze.pc",
        lambda place: (
            f"""prefix={place("pcfiledir", prefix)}
libdir={_below("prefix", prefix, libraries)}
includedir={_below("prefix", prefix, headers)}

Name: maze
Description: Ask a language model for code that provably obeys constraints
Version: {version}
Libs: -L${{libdir}} -lmaze
Cflags: -I${{includedir}}
"""
        ),
    )
    _write(
        libraries / "cmake" / "Maze" / "MazeConfig.cmake",
        lambda place: (
            f"""# find_package(Maze) makes the target Maze::maze.
if(NOT TARGET Maze::maze)
  add_library(Maze::maze SHARED IMPORTED)
  set_target_properties(Maze::maze PROPERTIES
    IMPORTED_LOCATION "{place("CMAKE_CURRENT_LIST_DIR", libraries / soname)}"
    IMPORTED_SONAME "{soname}"
    INTERFACE_INCLUDE_DIRECTORIES "{place("CMAKE_CURRENT_LIST_DIR", headers)}")
endif()
"""
        ),
    )
    major, minor, *_ = version.split(".")
    compatible = f"{major}.{minor}" if major == "0" else major
    _write(
        libraries / "cmake" / "Maze" / "MazeConfigVersion.cmake",
        lambda _: (
            f"""# What was asked for is there if it is no newer than this, of the same series.
set(PACKAGE_VERSION "{version}")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION OR
   NOT "${{PACKAGE_FIND_VERSION}}." MATCHES "^({compatible.replace(".", "[.]")}[.]|{major}[.]$|[.]$)")
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
"""
        ),
    )


def _write(path: Path, text: Callable[[Callable[[str, Path], str]], str]) -> None:
    """Write what `text` makes with a function that says where a path is, seen from the folder of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(lambda variable, to: _below(variable, path.parent, to)))


def _below(variable: str, folder: Path, path: Path) -> str:
    return f"${{{variable}}}/{os.path.relpath(path, folder)}"
