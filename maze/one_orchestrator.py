"""Maze in one line: functions that use one Orchestrator, made from the environment by the first of them."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from inspect import signature
from typing import Concatenate, ParamSpec, TypeVar

from maze.orchestrator import Orchestrator

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")

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


def _of_one(method: Callable[Concatenate[Orchestrator, _Arguments], _Result]) -> Callable[_Arguments, _Result]:
    """The same method, of the one Orchestrator, as a function of this module."""

    def call(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        return method(_orchestrator(), *arguments, **named)

    call.__name__ = call.__qualname__ = method.__name__
    call.__doc__ = method.__doc__
    whole = signature(method)
    call.__signature__ = whole.replace(parameters=[*whole.parameters.values()][1:])  # type: ignore[attr-defined]
    return call


generate = _of_one(Orchestrator.generate)
generate_as = _of_one(Orchestrator.generate_as)
validate = _of_one(Orchestrator.validate)
