"""Asks for memory before native code does, which ends the process where memory is refused.

Only where the host's process has a limit (RLIMIT_AS, RLIMIT_DATA) is there something to ask: whoever knows what the
process has left, maze.abi, is set as the ledger. What grows with its input beyond SMALL_BYTES is asked for where
native code is called, each with the factor that `python -m benchmarks.memory` measures; for what is small, and for
constant costs, a reserve is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from maze.errors import OutOfMemoryError

SMALL_BYTES = 256 * 1024
"""What the reserve that is kept for every call covers."""
THREAD_BYTES = (8 + 128) * 1024 * 1024
"""Address space of a thread: its stack, and what glibc maps, for a moment, when it first allocates."""


@dataclass(frozen=True)
class Ledger:
    """Knows what the process has left, and what is set aside of it."""

    is_limited: Callable[[], bool]
    """Whether the process may have only so much. Limits can be set at any time."""
    set_aside: Callable[[int], str | None]
    """Set so many bytes aside: None, or why that cannot be."""
    give_back: Callable[[int], None]


_ledger: Ledger | None = None
_ENOUGH = nullcontext()


def set_ledger(ledger: Ledger) -> None:
    """Let `ledger` decide from now on; without one there is always enough."""
    global _ledger
    _ledger = ledger


def is_limited() -> bool:
    """Whether it matters what is asked for: sizes that take work to find out need not be found out otherwise."""
    return _ledger is not None and _ledger.is_limited()


def memory_for(size: int) -> AbstractContextManager[None]:
    """Set `size` bytes aside for what is done within. Raises OutOfMemoryError if the process has not got them."""
    if size <= SMALL_BYTES or _ledger is None or not _ledger.is_limited():
        return _ENOUGH
    return _set_aside(_ledger, size)


@contextmanager
def _set_aside(ledger: Ledger, size: int) -> Iterator[None]:
    problem = ledger.set_aside(size)
    if problem is not None:
        raise OutOfMemoryError(problem)
    try:
        yield
    finally:
        ledger.give_back(size)
