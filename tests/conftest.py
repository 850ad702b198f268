"""What several rooms' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from maze.backends.llama_cpp import LlamaCppBackend


@pytest.fixture(scope="session")
def embedded_backend() -> Iterator[LlamaCppBackend]:
    """The real model, loaded once for all tests."""
    backend = LlamaCppBackend(None)
    yield backend
    backend.close()
