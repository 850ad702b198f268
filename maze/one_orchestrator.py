"""Maze in one line: functions that use one Orchestrator, made from the environment by the first of them."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any, TypeVar, overload

from maze.constraining import Constrainable
from maze.orchestrator import Constraints, Orchestrator
from maze.types import CompiledConstraints, GenerationOptions, GenerationResult, Intent, ValidationResult

_Kind = TypeVar("_Kind")

_lock = threading.Lock()
_made: dict[int, Orchestrator] = {}
"""By process: that of the parent is of no use to a forked child."""


def _orchestrator() -> Orchestrator:
    with _lock:
        maze = _made.get(os.getpid())
        if maze is None:
            maze = _made[os.getpid()] = Orchestrator()
            atexit.register(maze.close)
        return maze


os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.Lock()))


def generate(
    intent: Intent | str,
    constraints: Constraints | CompiledConstraints = (),
    options: GenerationOptions | None = None,
) -> GenerationResult:
    """As Orchestrator.generate()."""
    return _orchestrator().generate(intent, constraints, options)


@overload
def generate_as(
    kind: type[_Kind],
    intent: Intent | str,
    constraints: Constraints = (),
    options: GenerationOptions | None = None,
) -> _Kind: ...


@overload
def generate_as(
    kind: Constrainable,
    intent: Intent | str,
    constraints: Constraints = (),
    options: GenerationOptions | None = None,
) -> Any: ...  # noqa: ANN401 - such as of Literal["a", "b"]


def generate_as(
    kind: Constrainable,
    intent: Intent | str,
    constraints: Constraints = (),
    options: GenerationOptions | None = None,
) -> Any:
    """As Orchestrator.generate_as()."""
    return _orchestrator().generate_as(kind, intent, constraints, options)


def validate(text: str | bytes, constraints: Constraints, language: str | None = None) -> ValidationResult:
    """As Orchestrator.validate()."""
    return _orchestrator().validate(text, constraints, language)
