"""The address of a service as people have it: the forms that OpenAI-compatible products document, what they tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from maze.backends.dialects.ananke import AnankeChatDialect, AnankeModalDialect
from maze.backends.dialects.anthropic import API_VERSION, AnthropicDialect
from maze.backends.dialects.openai import OpenAiDialect
from maze.secret import Secret

_ENDPOINTS = ("/chat/completions", "/messages", "/completions")
"""Paths that people copy along with the address."""
_DEPLOYMENT = re.compile(r"(?P<root>.*/openai)/deployments/(?P<name>[^/]+)")
_ANTHROPIC_HOST = "api.anthropic.com"
_OPENAI_HOST = "api.openai.com"
_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".azure-api.net")
_ANANKE_HOSTS = {
    "-generate-api.modal.run": AnankeModalDialect.name,
    "-v1-chat-completions.modal.run": AnankeChatDialect.name,
}
"""How the hosts end that Modal gives to Ananke's functions."""
_TOKEN_OF_ENTRA = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*")
"""It is sent as a bearer token; keys of Azure are not."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the paths of a service lie."""

    root: str
    """Without /v1 at its end, which the paths of dialects begin with."""
    query: str = ""
    """For every request; with its question mark."""
    deployment: str | None = None
    """Of Azure: the model that is asked by its path, not by its name."""
    has_path: bool = False
    """Whether there is more than a host, so that /v1 may be left out below it."""
    dialect: str | None = None
    """What is spoken there, where the address tells."""

    def url(self, path: str, *, versioned: bool) -> str:
        """Where a path of a dialect lies; without its /v1 unless `versioned`."""
        if self.deployment is not None and path.endswith("/completions"):
            path = f"/deployments/{self.deployment}{path.removeprefix('/v1')}"
        elif not versioned or self.deployment is not None:
            path = path.removeprefix("/v1")
        return f"{self.root}{path}{self.query}"


def read_address(endpoint: str) -> Address:
    """What an endpoint of the configuration says."""
    base, mark, query = endpoint.partition("?")
    for ending in _ENDPOINTS:
        base = base.removesuffix(ending)
    host = (urlsplit(base).hostname or "").lower()
    query = mark + query
    if deployment := _DEPLOYMENT.fullmatch(base):
        name = unquote(deployment["name"])
        return Address(deployment["root"], query, name, has_path=True, dialect=OpenAiDialect.name)
    dialect = {_ANTHROPIC_HOST: AnthropicDialect.name, _OPENAI_HOST: OpenAiDialect.name}.get(host)
    dialect = next((name for ending, name in _ANANKE_HOSTS.items() if host.endswith(ending)), dialect)
    path = urlsplit(base).path
    if path.endswith(AnankeModalDialect.whole_path):
        dialect = AnankeModalDialect.name
    if path.endswith("/v1"):
        return Address(base.removesuffix("/v1").rstrip("/"), query, dialect=dialect)
    return Address(base, query, has_path=bool(path.strip("/")), dialect=dialect)


def key_headers(key: Secret, address: Address, dialect: str | None) -> dict[str, str]:
    """The headers that a service wants its key in."""
    if not key:
        return {}
    host = (urlsplit(address.root).hostname or "").lower()
    bearer = {"Authorization": f"Bearer {key.reveal()}"}
    if dialect == AnthropicDialect.name:
        # Others than Anthropic itself may want either.
        return {"x-api-key": key.reveal()} | ({} if host == _ANTHROPIC_HOST else bearer)
    if (address.deployment or host.endswith(_AZURE_HOSTS)) and not _TOKEN_OF_ENTRA.fullmatch(key.reveal()):
        return {"api-key": key.reveal()}
    return bearer


def version_headers(dialect: str | None) -> dict[str, str]:
    """What a service wants to know of the protocol that is spoken."""
    return {"anthropic-version": API_VERSION} if dialect == AnthropicDialect.name else {}
