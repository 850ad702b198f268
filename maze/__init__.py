"""Ask a language model for code that provably obeys constraints.

Everything that the C API of libmaze does (include/maze.h), Python can do with the same names:

    import maze

    print(maze.generate("Name a colour.", maze.choice(["red", "blue"])).raise_for_status().code)
    print(maze.generate_as(list[int], "The first three primes."))

Programs that make many calls make an Orchestrator, or an AsyncOrchestrator. docs/python.md tells the rest.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

from maze._version import __version__ as __version__


def _homes() -> dict[str, str]:
    """The module of every name, from what type checkers read."""
    tree = ast.parse(Path(__file__).with_suffix(".pyi").read_bytes())
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    return {alias.name: str(node.module) for node in imports for alias in node.names}


_HOME_OF = _homes()
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - what a module has
    """Import what is asked for: `maze doctor` runs where packages are missing, and asyncio is for few."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
