"""Calls of the HTTP backend, as several test files make them."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

from maze.backends.base import Cancellation, Completion, Deadline, Prompt, Request
from maze.backends.http.backend import HttpBackend
from maze.backends.http.limits import Limits
from maze.backends.http.transport import SocketTransport
from maze.compiled import EngineGrammar
from maze.config import ModalConfig
from maze.options import PromptForm
from maze.proxies import NO_PROXIES, Proxies
from maze.secret import Secret

KEY = "sk-the-key-that-nobody-may-see"
LIMITS = Limits(first_backoff_secs=0.01, longest_backoff_secs=0.02, answer_bytes=2**20)
PATIENT_MS = 20_000
"""More than any of these calls needs, so that it shows if one waits for its deadline."""
SHORT_MS = 400
"""For calls whose deadline is the point."""
GRAMMAR = EngineGrammar("start: /.*/\n")

_backends: list[HttpBackend] = []


def close_backends() -> None:
    """Close what backend_for() made."""
    while _backends:
        _backends.pop().close()


def backend_for(
    *urls: str,
    limits: Limits = LIMITS,
    dialect: str | None = "maze",
    tls: ssl.SSLContext | None = None,
    uds: Path | None = None,
    is_proven: bool = True,
    proxies: Proxies = NO_PROXIES,
    **config: Any,  # noqa: ANN401 - fields of ModalConfig
) -> HttpBackend:
    backend = HttpBackend(
        ModalConfig(**{"endpoints": urls, "api_key": Secret(KEY), "dialect": dialect, "proxies": proxies, **config}),
        limits=limits,
        is_proven=is_proven,
        transport=SocketTransport(tls=tls, uds=str(uds) if uds else None, proxies=proxies),
    )
    _backends.append(backend)
    return backend


def ask(*, timeout_ms: float = PATIENT_MS, **changes: Any) -> Request:  # noqa: ANN401 - fields of Request
    """A request; a prompt that is a text is to be completed as it stands."""
    if isinstance(changes.get("prompt"), str):
        changes["prompt"] = Prompt(changes["prompt"], PromptForm.RAW)
    request = Request(
        prompt=Prompt("Say hello.", PromptForm.RAW),
        grammar=GRAMMAR,
        token_mask=None,
        max_tokens=16,
        temperature=0.0,
        top_p=1.0,
        top_k=0,
        seed=1,
        stop=(),
        model=None,
        request_id="a-request",
        deadline=Deadline(timeout_ms),
        cancellation=Cancellation(),
    )
    return replace(request, **changes)


def generate(backend: HttpBackend, request: Request) -> tuple[Completion, list[str]]:
    """The completion, and the pieces in which its text was handed out."""
    pieces: list[str] = []

    def take(piece: str) -> bool:
        pieces.append(piece)
        return True

    return backend.generate(request, take), pieces


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))
