"""What several rooms' tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from maze.backends.llama_cpp import LlamaCppBackend
from maze.cli import main
from maze.config import ENVIRONMENT_VARIABLES
from maze.log import configure_logging


@pytest.fixture(scope="session")
def embedded_backend() -> Iterator[LlamaCppBackend]:
    """The real model, loaded once for all tests."""
    backend = LlamaCppBackend(None)
    yield backend
    backend.close()


@pytest.fixture
def as_in_a_new_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in (*ENVIRONMENT_VARIABLES, "MAZE_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    yield
    configure_logging({})  # serve switches the log on


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process; gives exit code, stdout and stderr."""

    def run_now(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(arguments)
        return code, *capfd.readouterr()

    return run_now
