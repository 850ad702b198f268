"""Redirects: Modal answers a request that takes long with 303 and the URL of its result, again and again.

The way to a result stays on the origins of the configured endpoints: what another host says is not of the service.
"""

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

    def __init__(self, route: Route, request: httpx.Request, path: str, call: Call) -> None:
        """`path` is what was asked for below the URL of the service."""
        self.route = route
        self.request = request
        self.call = call
        self.redirects = 0
        self._path = path

    def is_redirect(self, status: int) -> bool:
        """Whether an answer of this status is followed. Only GETs are repeated elsewhere; 303 makes one of any."""
        return status == 303 or (status in _STATUSES and self.request.method == "GET")

    def follow(self, location: str) -> None:
        """Make the GET that a redirect asks for the next request. Raises MalformedError."""
        self.redirects += 1
        if self.redirects > MAX_REDIRECTS:
            raise MalformedError(f"it redirects more than {MAX_REDIRECTS} times")
        here = self.request.url
        there = self._joined(location)
        if there is None:
            raise MalformedError("it redirects to something that is no URL")
        if here.scheme == "https" and there.scheme != "https":
            raise MalformedError(
                f"it redirects from https to http, which is not followed: from {_shown_origin(here)} to {{}}",
                _shown_origin(there),
            )
        if not self.route.may_lead_to(there):
            raise MalformedError(
                f"it redirects from {_shown_origin(here)} to another origin, which is not followed; if the service is "
                "there, set MODAL_ENDPOINT to {}",
                self.shown_target(location) if there.path.endswith(self._path) else _shown_origin(there),
            )
        self.request = self.route.get_redirected(there, self.call)
        self.call.allow_silence(self.call.silence_secs)

    def shown_target(self, location: str) -> str:
        """Where a redirect leads, to be shown: the URL of the service, if it is to what was asked for there."""
        there = self._joined(location)
        return "" if there is None else _shown_origin(there) + there.path.removesuffix(self._path)

    def _joined(self, location: str) -> httpx.URL | None:
        """The URL that a redirect leads to; None if that is none that can be asked."""
        try:
            there = self.request.url.join(location)
            is_url = location and there.scheme in ("http", "https") and there.host and not there.userinfo
        except (httpx.InvalidURL, ValueError):  # ValueError: host names that IDNA does not allow, broken IPv6 addresses
            return None
        return there if is_url else None


def _shown_origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
