"""The way to one endpoint: its URL, and the headers of its requests, keys among them.

Requests go to the origins of the configured endpoints and nowhere else, also where an answer redirects.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from maze._version import __version__
from maze.backends.dialects.base import MalformedError
from maze.backends.http.address import key_headers, read_address, version_headers
from maze.backends.http.limits import Call
from maze.config import ModalConfig
from maze.errors import ConfigurationError

_PUBLIC_HEADERS = {
    "User-Agent": f"libmaze/{__version__}",
    "Accept": "text/event-stream, application/json",
    "Accept-Encoding": "identity",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]
"""Scheme, host, port."""


class Route:
    """Makes the requests for one endpoint; what they have in common is made once."""

    def __init__(self, endpoint_url: str, config: ModalConfig) -> None:
        base = _url(endpoint_url)
        self.address = read_address(endpoint_url)
        self.has_version = True
        """Whether the paths of the service begin with /v1; set where it turns out that they do not."""
        dialect = config.dialect or self.address.dialect
        modal = {"Modal-Key": config.proxy_key.reveal(), "Modal-Secret": config.proxy_secret.reveal()}
        self._common = (
            _PUBLIC_HEADERS
            | key_headers(config.api_key, self.address, dialect)
            | version_headers(dialect)
            | {name: value for name, value in modal.items() if value}
        )
        self._headers = httpx.Headers(_host_header(base) | self._common)
        self._post_headers = httpx.Headers([*self._headers.raw, (b"Content-Type", b"application/json")])
        self._urls: dict[str, httpx.URL] = {}
        self._origins = {origin_of(_url(endpoint)) for endpoint in config.endpoints}
        """Of all endpoints, which are given the same keys."""

    def post(self, path: str, body: bytes, call: Call) -> httpx.Request:
        return _request("POST", self._at(path), self._post_headers, body, call)

    def get(self, path: str, call: Call) -> httpx.Request:
        return _request("GET", self._at(path), self._headers, b"", call)

    def get_redirected(self, url: httpx.URL, call: Call) -> httpx.Request:
        """A GET of what an answer redirected to, which may_lead_to() allows."""
        return _request("GET", url, httpx.Headers(_host_header(url) | self._common), b"", call)

    def get_page(self, path: str, page: str | Mapping[str, str], call: Call) -> httpx.Request:
        """A GET of a further page of the list at `path`: by a link, or with more in its query.

        Raises MalformedError for a link to another origin, which is not given the keys.
        """
        first = self._at(path)
        if not isinstance(page, str):
            return self.get_redirected(first.copy_merge_params(dict(page)), call)
        try:
            there = first.join(page)
            is_here = origin_of(there) == origin_of(first) and not there.userinfo
        except (httpx.InvalidURL, ValueError):
            is_here = False
        if not is_here:
            raise MalformedError("its next page is at another origin, which is not asked")
        return self.get_redirected(there, call)

    def may_lead_to(self, url: httpx.URL) -> bool:
        """Whether `url` is of the origin of a configured endpoint."""
        return origin_of(url) in self._origins

    def _at(self, path: str) -> httpx.URL:
        whole = self.address.url(path, versioned=self.has_version)
        url = self._urls.get(whole)
        if url is None:
            url = self._urls[whole] = httpx.URL(whole)
        return url


def origin_of(url: httpx.URL) -> Origin:
    """Where a request to `url` goes."""
    return url.scheme, url.raw_host.decode("ascii").lower(), url.port or _DEFAULT_PORTS[url.scheme]


def _url(endpoint_url: str) -> httpx.URL:
    try:
        return httpx.URL(endpoint_url)
    except (httpx.InvalidURL, ValueError) as error:  # ValueError: host names that IDNA does not allow
        raise ConfigurationError(
            f"an endpoint is not a URL that can be used: {error}; give one such as https://name--maze.modal.run"
        ) from None


def _request(method: str, url: httpx.URL, headers: httpx.Headers, body: bytes, call: Call) -> httpx.Request:
    # With `content=` httpx would make up headers for each request, which takes longer than sending it.
    return httpx.Request(method, url, headers=headers, stream=httpx.ByteStream(body), extensions={"call": call})


def _host_header(url: httpx.URL) -> dict[str, str]:
    return {"Host": url.netloc.decode("ascii")}
