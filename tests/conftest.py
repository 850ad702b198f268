"""What several rooms' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from maze.engine import EmbeddedEngine


@pytest.fixture(scope="session")
def embedded_backend() -> Iterator[EmbeddedEngine]:
    """The real model, loaded once for all tests."""
    backend = EmbeddedEngine(None)
    yield backend
    backend.close()
