"""Whether a request was meant for this service, or a page in somebody's browser was made to send it.

A browser sends what any page asks it to send to a server on its own machine. It says for which host, and mostly from
which page: neither can be chosen by the page. A name that resolves to this machine for a while (DNS rebinding) shows
in `Host`. Where a key is asked for, pages do not know it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import Scope

from maze.service.refusal import Refusal, invalid

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_FOREIGN_SITES = ("cross-site", "same-site")
"""Of `Sec-Fetch-Site`; another port of this machine is the same site."""


def canonical(name: str) -> str:
    """The one spelling of a name or address of a host."""
    name = name.lower().removesuffix(".")
    return str(ipaddress.ip_address(name)) if is_address(name) else name


def is_address(name: str) -> bool:
    """Whether it is an address, and no name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def host_name(text: str) -> str | None:
    """The name or address in a `Host` header, in its one spelling; None if there is none."""
    match = _HOST.fullmatch(text)
    return canonical(match[1].strip("[]")) if match else None


def take_whole_address(scope: Scope) -> None:
    """Take a request to a whole address, as to a proxy, for what it means; a server must accept it (RFC 9112, 3.2.2).

    Its host is that of the address; one in `Host` must not be foreign either. Raises Refusal for what is no address.
    """
    match = _ABSOLUTE.fullmatch(scope.get("raw_path") or b"")
    if match is None:
        return
    authority, path = match[1], match[2] or b"/"
    if not authority or b"@" in authority:
        raise invalid("the address of the request has no host, or the name of a user")
    scope["raw_path"], scope["path"] = path, unquote(path.decode("ascii"))
    scope["headers"] = [(b"host", authority), *scope["headers"]]


def refuse_foreign(headers: Headers, hosts: Collection[str]) -> None:
    """Raise Refusal for a host that is neither this machine itself nor in `hosts`.

    Without a `Host`, which browsers always send, there is nothing to hold against it.
    """
    for text in headers.getlist("host"):
        name = host_name(text)
        if name is None or not (name in hosts or _is_this_machine(name)):
            shown = text[:100].encode("ascii", "replace").decode()
            raise _refusal(f"it does not answer to the host {shown!r}; name it with --allow-host")


def refuse_pages(headers: Headers) -> None:
    """Raise Refusal for a request that a page from elsewhere had a browser send."""
    host = headers.get("host", "")
    for origin in headers.getlist("origin"):
        if origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
            raise _refusal("it does not answer to pages of another origin")
    if headers.get("sec-fetch-site", "").lower() in _FOREIGN_SITES:
        raise _refusal("it does not answer to pages of another site")


def _refusal(problem: str) -> Refusal:
    return Refusal(403, "forbidden", f"this service is for this machine: {problem}")


def _is_this_machine(name: str) -> bool:
    return name == "localhost" or (is_address(name) and ipaddress.ip_address(name).is_loopback)
