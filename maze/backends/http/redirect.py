"""Redirects: Modal answers a request that takes long with 303 and the URL of its result, again and again."""

from __future__ import annotations

import httpx

from maze.backends.dialects.base import MalformedError
from maze.backends.http.limits import Call
from maze.backends.http.route import Route

MAX_REDIRECTS = 20
"""Modal's limit on the chain of results."""

_STATUSES = frozenset({301, 302, 303, 307, 308})


class RedirectedRequest:
    """A request on its way to its answer: at first as it was made, after a redirect a GET of the result."""

    def __init__(self, route: Route, request: httpx.Request, call: Call) -> None:
        self.route = route
        self.request = request
        self.call = call
        self.redirects = 0
        self._with_keys = True
        """Whether every URL so far was of the endpoint's origin; keys go nowhere else, nor back from there."""

    def is_redirect(self, status: int) -> bool:
        """Whether an answer of this status is followed. Only GETs are repeated elsewhere; 303 makes one of any."""
        return status == 303 or (status in _STATUSES and self.request.method == "GET")

    def follow(self, location: str) -> None:
        """Make the GET that a redirect asks for the next request. Raises MalformedError."""
        self.redirects += 1
        if self.redirects > MAX_REDIRECTS:
            raise MalformedError(f"it redirects more than {MAX_REDIRECTS} times")
        here = self.request.url
        try:
            there = here.join(location)
            is_url = bool(location and there.scheme in ("http", "https") and there.host and not there.userinfo)
        except (httpx.InvalidURL, ValueError):  # ValueError: host names that IDNA does not allow, broken IPv6 addresses
            is_url = False
        if not is_url:
            raise MalformedError("it redirects to something that is no URL")
        if here.scheme == "https" and there.scheme != "https":
            raise MalformedError("it redirects from https to http, which is not followed")
        self._with_keys = self._with_keys and self.route.is_own_origin(there)
        self.request = self.route.get_redirected(there, self.call, with_keys=self._with_keys)
        self.call.allow_silence(self.call.silence_secs)
