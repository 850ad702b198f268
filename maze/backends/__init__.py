"""Engines behind Maze; base.py says what each of them looks like from above."""

from __future__ import annotations

from maze.backends.base import Backend
from maze.config import ModalConfig


def connect(config: ModalConfig) -> Backend:
    """The backend for the services of `config`. Nothing is sent before it is used."""
    # Importing httpx takes 40 ms, which who uses the embedded engine should not pay.
    from maze.backends.http.backend import HttpBackend

    return HttpBackend(config)
