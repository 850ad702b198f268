"""What can be chosen about a service."""

from __future__ import annotations

from dataclasses import dataclass

from maze.secret import NO_SECRET, Secret

EMBEDDED_CONCURRENCY = 4
"""Generations at once that the embedded engine is asked for by default."""
UPSTREAM_CONCURRENCY = 32
"""The same of a service in front of an engine of its own, such as vLLM."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Limits and key of a service."""

    api_key: Secret = NO_SECRET
    """What clients must send as bearer token; empty: nothing is asked for."""
    allow_hosts: tuple[str, ...] = ()
    """Names, beside those of this machine itself, that a request may have in `Host`. Looked at where nothing is asked
    for, and where there are any."""
    max_concurrent: int = 8
    """Generations under way at once: what the engine can do well."""
    max_queue: int = 64
    """Generations that may wait for one of these; more get 429."""
    max_body_bytes: int = 8 * 2**20
    max_prompt_bytes: int = 2**20
    max_tokens: int = 8192
    """The most that one request may ask for."""
    request_timeout_secs: float = 300.0
    """For a whole generation, waiting in the queue included."""
    client_timeout_secs: float = 30.0
    """Longest wait for a client to send its body, or to take a piece of the answer."""
    stop_grace_secs: float = 20.0
    """How long generations may go on once the service stops; then they are cancelled."""
