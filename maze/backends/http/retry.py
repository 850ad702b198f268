"""Trying again: what is worth it, where, and after what pause (Retry-After, or one that grows)."""

from __future__ import annotations

import email.utils
import logging
import math
import random
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import TypeVar

import httpx

from maze.backends.endpoints import Endpoint, Endpoints
from maze.backends.http.limits import Call, Limits
from maze.errors import MazeError

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class Again(Enum):
    """Whether another attempt can help."""

    NEVER = auto()
    ELSEWHERE = auto()
    """At another endpoint."""
    ONCE = auto()
    """A plain 500: one more time, as it may have been a hiccup, but not two."""
    YES = auto()


class FailedAttempt(Exception):  # noqa: N818 - it is the outcome of an attempt; the error is what it carries
    """An attempt that failed: the error, and what can be done about it."""

    def __init__(
        self,
        error: MazeError,
        again: Again = Again.NEVER,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        blames_endpoint: bool = False,
        said: str = "",
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.again = again
        self.status = status
        """The HTTP status of the answer, or of the error in it; None of what failed otherwise, or behind a text."""
        self.retry_after = retry_after
        """Seconds that the service asked to wait."""
        self.blames_endpoint = blames_endpoint
        """Whether the endpoint should rest."""
        self.said = said
        """What the service said to that, without keys."""


def error_in(caught: FailedAttempt | MazeError) -> MazeError:
    """The error that is told in the end."""
    return caught.error if isinstance(caught, FailedAttempt) else caught


def retry(attempt: Callable[[Endpoint], _Result], endpoints: Endpoints, limits: Limits, call: Call) -> _Result:
    """Attempt it at one endpoint after the other, in rounds with pauses between them."""
    rounds = 0
    attempts = 0
    once_more = True
    tried: set[Endpoint] = set()
    """In this round."""
    given_up: set[Endpoint] = set()
    endpoint = endpoints.choose()
    while True:
        assert endpoint is not None  # noqa: S101 - choose() without `tried` always finds one
        attempts += 1
        try:
            result = attempt(endpoint)
        except FailedAttempt as caught:
            failure = caught
        else:
            endpoints.succeeded(endpoint)
            return result

        if failure.blames_endpoint:
            endpoints.failed(endpoint, failure.retry_after)
        tried.add(endpoint)
        failed_at = endpoint.url
        if failure.again is Again.NEVER or (failure.again is Again.ONCE and not once_more):
            break
        if failure.again is Again.ELSEWHERE:
            given_up.add(endpoint)
        once_more = once_more and failure.again is not Again.ONCE
        endpoint = endpoints.choose(tried)
        if endpoint is not None:
            _log.warning("%s; going on at %s", failure, endpoint.url)
            continue
        rounds += 1
        if len(given_up) == len(endpoints.all) or rounds >= limits.attempts:
            break
        pause = pause_secs(limits, rounds, failure.retry_after)
        if pause >= call.deadline.remaining_secs():
            break
        _log.warning("%s; trying again in %.2f s", failure, pause)
        call.cancellation.wait(pause)
        call.cancellation.raise_if_cancelled()
        tried.clear()
        endpoint = endpoints.choose(given_up=given_up)
    _log.debug("giving up on %s after %d attempts", failed_at, attempts)
    if attempts == 1:
        raise failure.error
    error = failure.error
    raise type(error)(f"{error} (after {attempts} attempts)").keeping(error)


def pause_secs(limits: Limits, failures: int, retry_after: float | None) -> float:
    """How long to wait after so many failures in a row: as the service asks, else longer each time."""
    if retry_after is not None:
        return retry_after
    longest = min(limits.longest_backoff_secs, limits.first_backoff_secs * 2.0 ** (failures - 1))
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads retries; nothing is to be kept secret


def retry_after_secs(headers: httpx.Headers) -> float | None:
    """Seconds that the service asks to wait; None if it does not, or not in a way that can be read."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            secs = float(value) * unit
        except ValueError:
            continue
        return secs if 0 <= secs < math.inf else None
    try:
        at = email.utils.parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
    except (ValueError, OverflowError):  # no date, or one beyond the year 9999 in the local time zone
        return None
    return max(0.0, at - time.time())
