"""The HTTP proxies that a configuration names: the classes, and what MAZE_PROXY and the variables of others say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from maze.errors import ConfigurationError
from maze.secret import NO_SECRET, Secret

_PROXY_SETTINGS = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
PROXY_VARIABLES = (*_PROXY_SETTINGS, *map(str.upper, _PROXY_SETTINGS), "REQUEST_METHOD")
"""What other programs read, and libmaze where MAZE_PROXY says so; the last tells that it runs in a CGI program."""
PROXIES_OF_ENVIRONMENT = "environment"
"""The value of MAZE_PROXY that says so."""
_PROXY_FORM = f"give one such as http://user:password@proxy.example:3128, or {PROXIES_OF_ENVIRONMENT}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    port: int
    credentials: Secret = NO_SECRET
    """User name, colon and password; sent to the proxy and nowhere else."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """Through which proxy each endpoint is reached; None for none."""

    http: Proxy | None = None
    """For endpoints that begin with http://."""
    https: Proxy | None = None
    direct: tuple[str, ...] = ()
    """Hosts that are reached without, as in NO_PROXY: names with all below them, addresses, networks, or *."""


NO_PROXIES = Proxies()


def find_proxies(setting: str, environment: Mapping[str, str]) -> Proxies:
    """What MAZE_PROXY means: a URL for all endpoints, or to take those that other programs take.

    Raises ConfigurationError about `proxy`, or a variable of those.
    """
    if not setting:
        return NO_PROXIES
    if setting != PROXIES_OF_ENVIRONMENT:
        if not re.search(r"[.:/\[]", setting):
            # Or a misspelt keyword, Environment or off, would be the name of a host.
            problem = f"is one word, and not {PROXIES_OF_ENVIRONMENT!r}; {_PROXY_FORM}; leave it out for no proxy"
            raise ConfigurationError(problem, field="proxy")
        proxy = _parse(setting, "proxy")
        return Proxies(proxy, proxy)

    def found(setting: str) -> Proxy | None:
        for name in (setting, setting.upper(), "all_proxy", "ALL_PROXY"):
            # A web server hands a header named Proxy to its CGI programs as HTTP_PROXY.
            is_of_request = name == "HTTP_PROXY" and "REQUEST_METHOD" in environment
            if (value := environment.get(name, "").strip()) and not is_of_request:
                return _parse(value, name)
        return None

    listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    direct = tuple(filter(None, re.split(r"[,\s]+", listed)))
    return Proxies(found("http_proxy"), found("https_proxy"), direct)


def _parse(text: str, source: str) -> Proxy:
    """The proxy that a URL names. Raises ConfigurationError, which calls it `source` and does not show it."""
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        port = 80 if url.port is None else url.port
    except ValueError:
        raise ConfigurationError(f"is not a URL; {_PROXY_FORM}", field=source) from None
    user, password = unquote(url.username or ""), unquote(url.password or "")
    problem = None
    if url.scheme != "http":
        kind = f"is of type {url.scheme}" if url.scheme.isalnum() and len(url.scheme) < 8 else "is of another type"
        problem = f"{kind}, which is not supported: HTTP proxies are, with http:// before their name, for https too"
    elif not url.hostname or not port or any(c.isspace() or not c.isprintable() for c in f"{text}{user}{password}"):
        problem = "names no host and port, or holds white space or a control character"
    elif url.path.strip("/") or url.query or url.fragment:
        problem = "has something behind host and port (write / ? # @ : in a password as %2F %3F %23 %40 %3A)"
    if problem is not None or url.hostname is None:
        raise ConfigurationError(f"{problem}; {_PROXY_FORM}", field=source)
    return Proxy(url.hostname, port, Secret(f"{user}:{password}") if user or password else NO_SECRET)
