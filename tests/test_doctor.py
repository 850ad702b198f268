"""maze.doctor: what it finds well, what it finds wrong, and what it advises."""

from __future__ import annotations

import json
import socket
import tomllib
from pathlib import Path

import pytest
from conftest import Run

from maze import doctor, native_files
from maze._version import __version__
from maze.engine import bundled_model
from maze.errors import Status

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.usefixtures("as_in_a_new_shell")


@pytest.mark.usefixtures("embedded_backend")
def test_the_doctor_finds_a_working_installation_well(run: Run) -> None:
    code, out, _ = run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == 0, out
    assert checks["model"]["detail"].startswith(str(bundled_model()))
    assert checks["engine"]["verdict"] == "ok"
    assert __version__ in checks["python"]["detail"]
    assert "llguidance" in checks["packages"]["detail"]
    assert run("doctor")[0] == 0


def test_the_doctor_names_an_engine_that_cannot_be_reached(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("MODAL_ENDPOINT", f"http://127.0.0.1:{port}")
    code, out, _ = run("doctor")
    assert code == Status.CONFIGURATION
    assert f"problem  engine: http://127.0.0.1:{port}" in out
    assert "MODAL_ENDPOINT" in out


def test_the_doctor_looks_into_the_model_file(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"not a model")
    monkeypatch.setenv("MAZE_LOCAL_MODEL", str(model))
    code, out, _ = run("doctor")
    assert code == Status.CONFIGURATION
    assert f"problem  model: {model} is not a GGUF file" in out
    assert "set MAZE_LOCAL_MODEL" in out


def test_the_doctor_tells_a_library_of_another_version(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    if doctor._find_library() is None:
        pytest.skip("libmaze.so is not built")
    monkeypatch.setattr(doctor, "__version__", "9.9.9")
    _, out, _ = run("doctor")
    assert "problem  library" in out
    assert "this package is version 9.9.9" in out


def test_the_doctor_expects_the_abi_of_the_header() -> None:
    header = (ROOT / "include" / "maze.h").read_text()
    assert f"#define MAZE_ABI_VERSION {native_files.ABI_VERSION}\n" in header


def test_the_doctor_looks_for_the_packages_that_the_project_asks_for(run: Run) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {"packages": project["dependencies"]}
    wanted |= {f"packages [{extra}]": items for extra, items in project["optional-dependencies"].items()}
    checks = {check["name"]: check["detail"] for check in json.loads(run("doctor", "--json")[1])["checks"]}
    for check, requirements in wanted.items():
        for requirement in requirements:
            assert f"{requirement.partition('>')[0]} " in checks[check]


def test_the_packages_of_an_installation_are_those_of_its_metadata() -> None:
    metadata = [
        "cffi>=2.1.1",
        "llguidance<1.10,>=1.9.1",
        'xllamacpp>=2026; extra == "embedded"',
        "modal; extra == 'modal'",
    ]
    assert doctor.packages_by_extra(metadata) == {
        "": ["cffi", "llguidance"],
        "embedded": ["xllamacpp"],
        "modal": ["modal"],
    }
