"""maze.doctor: what it finds well, what it finds wrong, and what it advises."""

from __future__ import annotations

import json
import socket
import tomllib
from pathlib import Path

import pytest
from conftest import Run
from fault_server import refused_port

from maze import doctor
from maze._version import __version__
from maze.engine import bundled_model
from maze.errors import Status

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.usefixtures("as_in_a_new_shell")


def test_the_doctor_tells_of_a_file_that_is_passed_over(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".ananke.toml").write_text('[modal]\nendpoint = "http://h"\n')
    (tmp_path / ".ananke.toml").chmod(0o666)
    monkeypatch.setenv("MAZE_LOCAL_MODEL", str(tmp_path / ".ananke.toml"))
    _, out, _ = run("doctor")
    assert "note     .ananke.toml: it was passed over: others than this user can write it" in out
    assert "engine: embedded" in out


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
    assert f"#define MAZE_ABI_VERSION {doctor.ABI_VERSION}\n" in header


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


def test_the_doctor_says_what_each_value_came_from_and_shows_no_key(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".ananke.toml"
    with refused_port() as port:
        file.write_text(f'[modal]\nendpoint = "http://127.0.0.1:{port}"\napi_key = "hunter2"\nmodel = "m"\n')
        file.chmod(0o600)
        monkeypatch.setenv("MODAL_API_KEY", "hunter3")
        monkeypatch.setenv("MAZE_DIALECT", "ananke-modal")
        _, out, err = run("doctor", "--json")
        checks = {check["name"]: check for check in json.loads(out)["checks"]}
        found = checks["configuration"]["detail"]
        assert "endpoint from .ananke.toml [modal] endpoint" in found
        assert "api_key from .ananke.toml [modal] api_key" in found
        assert "model from .ananke.toml [modal] model" in found
        assert "dialect from MAZE_DIALECT" in found
        assert checks["settings"]["detail"] == "set, and not used: MODAL_API_KEY"
        assert "hunter" not in out + err

        monkeypatch.setenv("ANANKE_MODAL_ENDPOINT", f"http://127.0.0.1:{port}/elsewhere")
        monkeypatch.setenv("ANANKE_MODAL_API_KEY", "hunter4")
        monkeypatch.delenv("MODAL_API_KEY")
        _, out, err = run("doctor")
        assert "endpoint from ANANKE_MODAL_ENDPOINT" in out
        assert "api_key from ANANKE_MODAL_API_KEY" in out
        assert "model from" not in out
        assert "hunter" not in out + err

    for name in ("ANANKE_MODAL_ENDPOINT", "ANANKE_MODAL_API_KEY"):
        monkeypatch.delenv(name)
    file.write_text('[modal]\nendpoint = "http://h"\napi_key = "hunter5')
    _, out, err = run("doctor")
    assert "problem  configuration: .ananke.toml is not TOML" in out
    assert "hunter" not in out + err
