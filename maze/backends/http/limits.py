"""How patient and how trusting the backend is."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Attempts, pauses, times and sizes."""

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
    calls_under_way: int = 256
    """More wait their turn. vLLM decodes about as many at once."""
    answer_bytes: int = 64 * 2**20
    """Most bytes that one answer may hold."""
