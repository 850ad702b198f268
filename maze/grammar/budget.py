"""What a compilation may cost: steps, which are the same on every machine, and the time until its deadline.

A step is work of up to about a microsecond. All loops over what a caller sent spend steps. Native libraries cannot be
looked into: a call of theirs spends what it usually takes before it is begun, and the rest, by the clock, after it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from maze.errors import LimitExceededError, TimedOutError
from maze.threads import TakesLongError

MAX_COMPILATION_STEPS = 10_000_000
"""Most steps of one compilation: about 10 s."""
MAX_OPTIONAL_STEPS = 6_000_000
"""Steps of a compilation after which nothing more is begun that can be done without: what was not intersected by then
is checked."""
MAX_CONSTRUCTION_STEPS = 1_000_000
"""Most steps of one automaton or product; about a second."""
MAX_QUICK_STEPS = 30_000
"""Most steps of a compilation that need not get in line behind long ones."""

_LOOK_STEPS = 10_000
"""Steps between two looks at the clock."""


class OverBudgetError(Exception):
    """A construction needs more than its budget; the caller does without it, and the constraint is checked."""


class Budget:
    """What one compilation has spent, and by when it must have ended.

    Several calls can wait for one compilation: `ends_at`, a time of time.monotonic(), is the latest of their deadlines
    and may grow meanwhile.
    """

    __slots__ = ("_limit", "_unseen", "ends_at", "spent", "where")

    def __init__(self, ends_at: float = math.inf) -> None:
        self.ends_at = ends_at
        self.where = "the constraints"
        """Those that are being worked on, for errors."""
        self.spent = 0
        self._unseen = 0
        self._limit = MAX_COMPILATION_STEPS

    def begin(self, *, quick: bool) -> None:
        """Nothing is spent yet; a `quick` one has MAX_QUICK_STEPS before its TakesLongError. Raises TimedOutError."""
        self.spent = 0
        self._limit = MAX_QUICK_STEPS if quick else MAX_COMPILATION_STEPS
        self._look()

    def spend(self, steps: int) -> None:
        """Count steps of work that must be done.

        Raises LimitExceededError when the compilation has taken too many, TimedOutError when its deadline has passed.
        """
        self.spent += steps
        self._unseen += steps
        if self._unseen > _LOOK_STEPS:
            self._look()

    def _look(self) -> None:
        self._unseen = 0
        if self.spent > self._limit:
            if self._limit == MAX_QUICK_STEPS:
                raise TakesLongError
            raise LimitExceededError(
                f"{self.where}: compiling the constraints takes more than {MAX_COMPILATION_STEPS:,} steps of work, "
                "which is the limit; give fewer or simpler ones"
            )
        if time.monotonic() > self.ends_at:
            raise TimedOutError(f"compiling the constraints was not finished in time; it was at {self.where}")

    @property
    def has_optional_steps(self) -> bool:
        """Whether something that can be done without may still be begun."""
        return self.spent <= MAX_OPTIONAL_STEPS

    def construction(self, steps: int = MAX_CONSTRUCTION_STEPS) -> Construction:
        """The budget of something that can be done without. Raises OverBudgetError when there is none left."""
        if not self.has_optional_steps:
            raise OverBudgetError
        return Construction(self, steps)

    @contextmanager
    def native(self, steps: int) -> Iterator[None]:
        """Within, a native library is called, which usually takes so many steps. Raises as spend() does."""
        self.spend(steps)
        started = time.thread_time_ns()
        try:
            yield
        finally:
            self.spend(max(0, (time.thread_time_ns() - started) // 1_000 - steps))


class Construction:
    """Steps that are left for something that can be done without, and that count for the whole compilation."""

    __slots__ = ("_budget", "_left")

    def __init__(self, budget: Budget, steps: int) -> None:
        self._budget = budget
        self._left = min(steps, MAX_OPTIONAL_STEPS - budget.spent)

    def spend(self, steps: int) -> None:
        """Count steps. Raises OverBudgetError, TimedOutError."""
        self._left -= steps
        if self._left < 0:
            raise OverBudgetError
        self._budget.spend(steps)
