"""What several rooms' tests share."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from http_calls import close_backends
from reports import check_report

from maze.cli import main
from maze.config import ENVIRONMENT_VARIABLES
from maze.engine import EmbeddedEngine
from maze.log import configure_logging
from maze.orchestrator import Orchestrator
from maze.report import report_of

# A machine under load is no finding.
hypothesis.settings.register_profile("without a clock", deadline=None)
hypothesis.settings.load_profile("without a clock")


@pytest.fixture(scope="session", autouse=True)
def every_report_has_the_one_shape() -> Iterator[None]:
    """Hold what any Orchestrator of this process gives against the schema of reports."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("generate", "validate", "health", "compile"):
            patch.setattr(Orchestrator, name, _reporting(getattr(Orchestrator, name)))
        yield


def _reporting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def reported(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - of any method
        given = method(*arguments, **named)
        check_report(report_of(given[0] if isinstance(given, tuple) else given))
        return given

    return reported


def pytest_configure(config: pytest.Config) -> None:
    """Take SIGINT in the workers of pytest-xdist, which ignore it, as the programs that tests start then would too."""
    if hasattr(config, "workerinput"):
        signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture
def as_in_a_new_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in (*ENVIRONMENT_VARIABLES, "MAZE_API_KEY", "MAZE_ALLOW_HOST"):
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
        out, err = capfd.readouterr()
        if "--json" in arguments and out:
            check_report(json.loads(out))
        return code, out, err

    return run_now
