"""Logging: the loggers are the standard library's, one per module; this decides which lines go where.

Nothing is written until a filter asks for it (MAZE_LOG or MazeConfig.log_filter). Prompts and generated text appear at
TRACE only; keys never.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping

TRACE = 5
"""Below DEBUG: the only level that shows prompts and generated text."""

logging.addLevelName(TRACE, "TRACE")

_PYTHON_LEVELS = {
    "off": logging.CRITICAL + 1,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}

_ROOT = logging.getLogger("maze")
_ROOT.addHandler(logging.NullHandler())  # without any handler, Python writes warnings to stderr

Sink = Callable[[int, str, str], None]
"""Receives (MazeLogLevel of include/maze.h, logger name, message)."""


def _maze_level(python_level: int) -> int:
    """MazeLogLevel of a level of the standard library: 1 error ... 5 trace."""
    if python_level >= logging.ERROR:
        return 1
    if python_level >= logging.WARNING:
        return 2
    if python_level >= logging.INFO:
        return 3
    return 4 if python_level >= logging.DEBUG else 5


class _SinkHandler(logging.Handler):
    """Hands lines to the host's callback, or to stderr where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.sink: Sink | None = None
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def createLock(self) -> None:  # noqa: N802 - the name is the standard library's
        """Do without a lock: a callback of the host may take long or log itself, and must not hold back others."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.sink is not None:
                self.sink(_maze_level(record.levelno), record.name, record.getMessage())
            elif sys.stderr is not None:
                sys.stderr.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - a failing log must not fail the call that logs
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's
        """Stay silent: the default prints a traceback to the host's stderr."""


_HANDLER = _SinkHandler()
_levelled_targets: list[str] = []


def configure_logging(levels: Mapping[str, str]) -> None:
    """Log what `levels` asks for (MazeConfig.log_levels()), and nothing else.

    The level of target "" or "maze" holds for all of libmaze, that of a longer name for that part. Without any, the
    loggers stay as they are: a Python program that configures `logging` itself keeps its say.
    """
    for target in _levelled_targets:
        logging.getLogger(target).setLevel(logging.NOTSET)
    _levelled_targets.clear()
    if not levels:
        _ROOT.removeHandler(_HANDLER)
        _ROOT.propagate = True
        return
    wanted = {"maze": levels.get("", "off"), **{target: level for target, level in levels.items() if target}}
    for target, level in wanted.items():
        logging.getLogger(target).setLevel(_PYTHON_LEVELS[level])
        _levelled_targets.append(target)
    _ROOT.addHandler(_HANDLER)
    _ROOT.propagate = False


def set_sink(sink: Sink | None) -> None:
    """Send lines to `sink`, from whatever thread logs them; None for stderr."""
    _HANDLER.sink = sink
