"""Through an HTTP proxy: which endpoints go through it, the tunnel for https, and what is written to it for http."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterator

import httpx

from maze._version import __version__
from maze.backends.http.connection import Connection
from maze.backends.http.limits import Call
from maze.backends.http.route import Origin
from maze.proxies import Proxies, Proxy

MAX_TUNNEL_HEAD_BYTES = 65536
"""Longest answer of a proxy to the wish for a tunnel."""


class RefusedByProxyError(httpx.ProxyError):
    """The proxy opened no tunnel; `status` is its answer, None if it made no sense."""

    def __init__(self, problem: str, status: int | None = None) -> None:
        super().__init__(problem)
        self.status = status


def proxy_for(proxies: Proxies, origin: Origin) -> Proxy | None:
    """The proxy through which an origin is reached; None where it is reached without."""
    scheme, host, port = origin
    proxy = proxies.https if scheme == "https" else proxies.http
    if proxy is None or any(_covers(pattern, host, port) for pattern in proxies.direct):
        return None
    return proxy


def _covers(pattern: str, host: str, port: int) -> bool:
    """Whether an item of NO_PROXY is about a host: a name and all below it, an address, a network, with a port or not.

    Nothing else is looked at: no name is looked up for it, and a local host is not taken for one by itself.
    """
    if pattern == "*":
        return True
    host = host.strip("[]").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    try:
        network = ipaddress.ip_network(pattern.strip("[]"), strict=False)
    except ValueError:
        pass
    else:
        return address is not None and address in network
    name, colon, wanted_port = pattern.rpartition(":")
    if colon and wanted_port.isascii() and wanted_port.isdigit():
        return int(wanted_port) == port and _covers(name, host, port)
    name = pattern.lower().removeprefix("*").strip(".")
    return address is None and bool(name) and (host == name or host.endswith(f".{name}"))


def shown(proxy: Proxy) -> str:
    """The proxy as errors call it, without its credentials."""
    return f"{_bracketed(proxy.host)}:{proxy.port}"


def secrets_of(proxies: Proxies) -> Iterator[str]:
    """What nobody may see of the credentials, in all forms in which they are sent."""
    for proxy in filter(None, (proxies.http, proxies.https)):
        if proxy.credentials:
            user, _, password = proxy.credentials.reveal().partition(":")
            yield from (_encoded(proxy), password or user)


def through_proxy(request: httpx.Request, proxy: Proxy) -> httpx.Request:
    """A request for http:// as a proxy wants it: with the whole URL, and with what the proxy is to know.

    It is alone on its connection: proxies were seen to hand on whatever comes after the first, with the password.
    """
    own = [("Connection", "close"), *_headers(proxy)]
    headers = [*request.headers.raw, *((name.encode(), value.encode()) for name, value in own)]
    extensions = {**request.extensions, "target": str(request.url).encode("ascii")}
    return httpx.Request(request.method, request.url, headers=headers, stream=request.stream, extensions=extensions)


def open_tunnel(connection: Connection, proxy: Proxy, host: str, port: int, call: Call) -> None:
    """Have the proxy connect to an endpoint. Raises RefusedByProxyError, or another error of httpx."""
    target = f"{_bracketed(host)}:{port}"
    fields = [("Host", target), ("User-Agent", f"libmaze/{__version__}"), *_headers(proxy)]
    lines = [f"CONNECT {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    connection.send("\r\n".join(lines).encode("ascii"), call)
    arrived = b""
    while b"\r\n\r\n" not in arrived:
        if len(arrived) > MAX_TUNNEL_HEAD_BYTES:
            raise RefusedByProxyError(f"the proxy {shown(proxy)} does not come to an end of its answer")
        more = connection.receive(call)
        if not more:
            raise RefusedByProxyError(f"the proxy {shown(proxy)} closed the connection instead of opening a tunnel")
        arrived += more
        if not (arrived.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(arrived)):
            raise RefusedByProxyError(f"{shown(proxy)} is no HTTP proxy: its answer is not HTTP")
    status = arrived.partition(b" ")[2][:3]
    if not status.isdigit():
        raise RefusedByProxyError(f"{shown(proxy)} is no HTTP proxy: its answer is not HTTP")
    if not 200 <= int(status) < 300:
        raise RefusedByProxyError(f"the proxy {shown(proxy)} refused the way to {target}", int(status))


def _headers(proxy: Proxy) -> list[tuple[str, str]]:
    return [("Proxy-Authorization", f"Basic {_encoded(proxy)}")] if proxy.credentials else []


def _encoded(proxy: Proxy) -> str:
    return base64.b64encode(proxy.credentials.reveal().encode()).decode("ascii")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
