"""What several rooms' tests share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_calls import close_backends

from maze.engine import EmbeddedEngine


@pytest.fixture(scope="session")
def embedded_backend() -> Iterator[EmbeddedEngine]:
    """The real model, loaded once for all tests."""
    backend = EmbeddedEngine(None)
    yield backend
    backend.close()


@pytest.fixture
def backends_are_closed() -> Iterator[None]:
    """Close what http_calls.backend_for() made."""
    yield
    close_backends()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    command = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=libmaze-test",
    ]
    extra = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", str(path)]
    subprocess.run(["openssl", *command, *extra], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.key").read_bytes())
    return path
