"""What bounds the backend, and each of its uses of the network."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from maze.backends.base import Cancellation, Deadline

_LONGEST_WAIT_MS = 2e9
"""24 days: poll() takes no more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient and how trusting the backend is."""

    attempts: int = 3
    """Rounds over the endpoints before a call fails."""
    first_backoff_secs: float = 0.5
    """Pause after the first round; each further one doubles it."""
    longest_backoff_secs: float = 8.0
    first_text_secs: float = math.inf
    """From sending a request to the first byte of its answer, and from there to its first text: both are queueing and
    prompt processing, and on Modal a cold start, so by default only the deadline of the call ends them."""
    gap_secs: float = 60.0
    """Longest silence once text has begun: a stalled stream ends with an error."""
    last_events_secs: float = 5.0
    """How long what may come behind the end of a text (counts, [DONE]) is waited for, where it may be missing."""
    calls_under_way: int = 256
    """More wait their turn. vLLM decodes about as many at once."""
    answer_bytes: int = 64 * 2**20
    """Most bytes that one answer may hold."""


class Call:
    """The deadline of a call, its cancellation, and how long the service may be silent.

    Goes into `httpx.Request.extensions["call"]`.
    """

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
