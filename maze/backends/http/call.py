"""What bounds a use of the network: the deadline and cancellation of a call, and how long a service may be silent."""

from __future__ import annotations

import math
import time

from maze.backends.base import Cancellation, Deadline

_LONGEST_WAIT_MS = 2e9
"""24 days: poll() takes no more."""


class Call:
    """One call, or one question about a service; goes into `httpx.Request.extensions["call"]`."""

    __slots__ = ("_silence_ends", "cancellation", "deadline", "silence_secs")

    def __init__(self, deadline: Deadline, cancellation: Cancellation) -> None:
        self.deadline = deadline
        self.cancellation = cancellation
        self.silence_secs = self._silence_ends = math.inf

    def allow_silence(self, secs: float) -> None:
        """Give the service so much time from now; what it sends in between that is of no use does not prolong it."""
        self.silence_secs = secs
        self._silence_ends = time.monotonic() + secs

    def wait_ms(self) -> float:
        """How long to wait for a socket now; 0 once the deadline or the time for silence has passed."""
        secs = min(self.deadline.at, self._silence_ends) - time.monotonic()
        return min(max(0.0, secs * 1000), _LONGEST_WAIT_MS)

    def raise_if_over(self, partial_text: str = "") -> None:
        """Raise if the call was cancelled or its deadline has passed."""
        self.cancellation.raise_if_cancelled(partial_text)
        if self.deadline.expired():
            raise self.deadline.error(partial_text)
