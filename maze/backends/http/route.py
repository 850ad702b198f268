"""The way to one endpoint: its URL, and the headers of its requests. Keys are sent to its origin and nowhere else."""

from __future__ import annotations

import httpx

from maze._version import __version__
from maze.backends.http.limits import Call
from maze.config import ModalConfig
from maze.errors import ConfigurationError

_PUBLIC_HEADERS = {
    "User-Agent": f"libmaze/{__version__}",
    "Accept": "text/event-stream, application/json",
    "Accept-Encoding": "identity",
}


class Route:
    """Makes the requests for one endpoint; what they have in common is made once."""

    def __init__(self, endpoint_url: str, config: ModalConfig) -> None:
        try:
            self._base = httpx.URL(endpoint_url)
        except (httpx.InvalidURL, ValueError) as error:  # ValueError: host names that IDNA does not allow
            raise ConfigurationError(
                f"an endpoint is not a URL that can be used: {error}; give one such as https://name--maze.modal.run"
            ) from None
        private = {
            "Authorization": config.api_key and f"Bearer {config.api_key.reveal()}",
            "Modal-Key": config.proxy_key.reveal(),
            "Modal-Secret": config.proxy_secret.reveal(),
        }
        given = {name: value for name, value in private.items() if value}
        self._headers = httpx.Headers(_host_header(self._base) | _PUBLIC_HEADERS | given)
        self._post_headers = httpx.Headers([*self._headers.raw, (b"Content-Type", b"application/json")])
        self._urls: dict[str, httpx.URL] = {}

    def post(self, path: str, body: bytes, call: Call) -> httpx.Request:
        return _request("POST", self._url(path), self._post_headers, body, call)

    def get(self, path: str, call: Call) -> httpx.Request:
        return _request("GET", self._url(path), self._headers, b"", call)

    def get_redirected(self, url: httpx.URL, call: Call, *, with_keys: bool) -> httpx.Request:
        """A GET of what an answer redirected to."""
        headers = self._headers if with_keys else httpx.Headers(_host_header(url) | _PUBLIC_HEADERS)
        return _request("GET", url, headers, b"", call)

    def is_own_origin(self, url: httpx.URL) -> bool:
        return _origin(url) == _origin(self._base)

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(str(self._base).rstrip("/") + path)
        return url


def _request(method: str, url: httpx.URL, headers: httpx.Headers, body: bytes, call: Call) -> httpx.Request:
    # With `content=` httpx would make up headers for each request, which takes longer than sending it.
    return httpx.Request(method, url, headers=headers, stream=httpx.ByteStream(body), extensions={"call": call})


def _host_header(url: httpx.URL) -> dict[str, str]:
    return {"Host": url.netloc.decode("ascii")}


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port  # httpx drops default ports
