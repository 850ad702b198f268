"""The Maze service on Modal: `modal deploy maze/service/modal_app.py`. See docs/deploy.md.

Each container runs vLLM on one GPU, bound to its loopback, and the Maze service in front of it. Containers share
nothing but the volumes with weights and compiled kernels, so Modal may start and stop as many as it likes.

The MAZE_MODAL_* variables are read in one place, Deployment.from_environment(), when the app is deployed; containers
get the same values as environment.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields
from typing import Any, Self

import httpx
import modal
from starlette.applications import Starlette

from maze.config import MazeConfig, service_key_from_environment
from maze.config import environment as process_environment
from maze.constraining import choice
from maze.errors import ConfigurationError, EngineUnavailableError
from maze.options import GenerationOptions
from maze.orchestrator import Orchestrator
from maze.service.app import create_app
from maze.service.settings import UPSTREAM_CONCURRENCY, ServiceSettings

_log = logging.getLogger(__name__)

VLLM_VERSION = "0.32.0"
"""Pinned: Maze's facts about vLLM were measured with it."""
MAZE_REQUIREMENTS = (
    "cachetools>=8",
    "certifi>=2026",
    "h11>=0.16",
    "httpx>=0.28",
    "idna>=3.11",
    "jsonschema-rs>=0.60",
    "jsonschema-specifications>=2025.9",
    "llguidance>=1.9.1,<1.10",
    "orjson>=3.13",
    "prometheus-client>=0.26",
    "referencing>=0.37",
    "starlette>=1.10",
)
"""What the service needs of pyproject.toml's dependencies; a test holds the two together."""

WEIGHTS_PATH = "/cache/huggingface"
KERNELS_PATH = "/cache/vllm"
REQUEST_TIMEOUT_SECS = 300
INPUT_TIMEOUT_SECS = 600
"""Modal's limit for one request: above ours, so that ours is the one that ends it, with an answer."""
START_TIMEOUT_SECS = 30 * 60
"""For vLLM to be ready; the first start of a model downloads its weights."""
STOP_TIMEOUT_SECS = 20
POLL_SECS = 0.5
OTHER_INPUTS = 8
"""Requests for health, models and metrics that fit into a container besides generations."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What can be chosen about a deployment, each with its variable."""

    name: str = "maze"
    """MAZE_MODAL_NAME: of the app, and so part of its URL and of the names of its volumes."""
    model: str = "Qwen/Qwen2.5-Coder-7B-Instruct"
    """MAZE_MODAL_MODEL: as vLLM takes it."""
    revision: str = "main"
    """MAZE_MODAL_REVISION: of the weights; a commit for answers that can be had again."""
    gpu: str = "L40S"
    """MAZE_MODAL_GPU: kind, or kind:count for tensor parallelism."""
    region: str = ""
    """MAZE_MODAL_REGION: empty for any."""
    min_containers: int = 0
    """MAZE_MODAL_MIN_CONTAINERS: kept warm, and paid, without requests."""
    max_containers: int = 2
    """MAZE_MODAL_MAX_CONTAINERS: the limit of what it can cost."""
    scaledown_secs: int = 300
    """MAZE_MODAL_SCALEDOWN_SECS: how long a container without requests stays."""
    concurrency: int = UPSTREAM_CONCURRENCY
    """MAZE_MODAL_CONCURRENCY: generations at once in a container; Modal adds containers beyond it."""
    context_tokens: int = 16384
    """MAZE_MODAL_CONTEXT_TOKENS: of prompt and answer together."""
    snapshot: bool = False
    """MAZE_MODAL_SNAPSHOT, 0 or 1: start containers from a snapshot of memory and GPU (experimental at Modal)."""
    proxy_auth: bool = False
    """MAZE_MODAL_PROXY_AUTH, 0 or 1: ask for Modal's own token (MODAL_KEY, MODAL_SECRET) as well."""
    secret: str = "maze-service"  # noqa: S105 - the name of a secret
    """MAZE_MODAL_SECRET: name of the Modal secret that holds MAZE_API_KEY and, for gated models, HF_TOKEN."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the variables. Raises ConfigurationError naming the one that is wrong."""
        variables = process_environment() if environment is None else environment
        values: dict[str, Any] = {}
        for field in fields(cls):
            variable = _variable(field)
            text = variables.get(variable, "").strip()
            if text:
                values[field.name] = _parsed(text, variable, field.default)
        deployment = cls(**values)
        if deployment.min_containers > deployment.max_containers:
            problem = f"MAZE_MODAL_MIN_CONTAINERS is {deployment.min_containers}, more than MAZE_MODAL_MAX_CONTAINERS"
            raise ConfigurationError(f"{problem} ({deployment.max_containers})")
        return deployment

    def environment(self) -> dict[str, str]:
        """The variables from which from_environment() makes the same deployment, for the containers."""
        return {_variable(field): _as_text(getattr(self, field.name)) for field in fields(self)}

    @property
    def gpu_count(self) -> int:
        """GPUs of a container."""
        _, _, count = self.gpu.partition(":")
        return int(count) if count.isdecimal() else 1


def _variable(field: Field[Any]) -> str:
    return f"MAZE_MODAL_{field.name.upper()}"


def _parsed(text: str, variable: str, default: object) -> object:
    if isinstance(default, bool):
        if text not in ("0", "1"):
            raise ConfigurationError(f"{variable} is {text!r}; it must be 0 or 1")
        return text == "1"
    if isinstance(default, int):
        least = 0 if variable == "MAZE_MODAL_MIN_CONTAINERS" else 1
        if not text.isdecimal() or int(text) < least:
            raise ConfigurationError(f"{variable} is {text!r}; it must be a whole number of at least {least}")
        return int(text)
    return text


def _as_text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


# ------------------------------------------------------------------------------------------------ vLLM


class VllmProcess:
    """vLLM as a child process on the loopback."""

    def __init__(self, deployment: Deployment, on_death: Callable[[], None]) -> None:
        """`on_death` is called from a thread when vLLM ends without stop()."""
        self._on_death = on_death
        self._stopping = False
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # Found through PATH: its environment is not that of Maze, whose llguidance is newer than vLLM's.
        executable = shutil.which("vllm")
        if executable is None:
            raise ConfigurationError("vllm is not on PATH; the image of maze/service/modal_app.py installs it")
        self._process = subprocess.Popen(  # noqa: S603 - the arguments are our own
            [executable, *vllm_arguments(deployment, self.port)], env=_vllm_environment(deployment)
        )
        threading.Thread(target=self._watch, name="maze-vllm", daemon=True).start()

    def _watch(self) -> None:
        exit_code = self._process.wait()
        if not self._stopping:
            _log.error("vLLM ended with exit code %d", exit_code)
            self._on_death()

    def wait_until_ready(self, timeout_secs: float = START_TIMEOUT_SECS) -> None:
        """Wait until vLLM answers. Raises EngineUnavailableError if it ends or takes too long."""
        ends_at = time.monotonic() + timeout_secs
        while time.monotonic() < ends_at:
            if self._process.poll() is not None:
                code = self._process.returncode
                raise EngineUnavailableError(f"vLLM ended with exit code {code} while starting; its log tells why")
            try:
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            time.sleep(POLL_SECS)
        raise EngineUnavailableError(f"vLLM was not ready within {timeout_secs:.0f} seconds")

    def sleep(self) -> None:
        """Move the weights from the GPU into memory, for a snapshot."""
        httpx.post(f"{self.url}/sleep", params={"level": 1}, timeout=INPUT_TIMEOUT_SECS).raise_for_status()

    def wake_up(self) -> None:
        """Move the weights back."""
        httpx.post(f"{self.url}/wake_up", timeout=INPUT_TIMEOUT_SECS).raise_for_status()

    def stop(self) -> None:
        """End vLLM, by force if it does not end by itself: stopped vLLMs are known to hang."""
        self._stopping = True
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_SECS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def vllm_arguments(deployment: Deployment, port: int) -> list[str]:
    """How vLLM must be started. The guidance backend is what enforces Maze's grammars; others refuse or ignore them."""
    return [
        "serve",
        deployment.model,
        f"--revision={deployment.revision}",
        "--host=127.0.0.1",
        f"--port={port}",
        f"--structured-outputs-config={json.dumps({'backend': 'guidance'})}",
        f"--max-model-len={deployment.context_tokens}",
        f"--max-num-seqs={deployment.concurrency}",
        f"--tensor-parallel-size={deployment.gpu_count}",
        *(["--enable-sleep-mode"] if deployment.snapshot else []),
    ]


def _vllm_environment(deployment: Deployment) -> dict[str, str]:
    # The key of the service is none of vLLM's business.
    environment = process_environment()
    environment.pop("MAZE_API_KEY", None)
    if deployment.snapshot:
        # What /sleep and /wake_up need, and threads that a snapshot could not hold.
        environment |= {"VLLM_SERVER_DEV_MODE": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    return environment


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def warm_up(maze: Orchestrator) -> None:
    """Generate a constrained text, so that the first request finds kernels and tokenizer ready.

    Raises EngineUnavailableError where that fails, as it does where the engine does not obey grammars, which the
    backend has it prove: a service of such an engine must not open.
    """
    options = GenerationOptions(max_tokens=16, timeout_ms=INPUT_TIMEOUT_SECS * 1000)
    result = maze.generate("Answer with yes.", choice(["yes"]), options)
    if not result.success:
        raise EngineUnavailableError(f"the engine failed its first generation: {result.error}")


# ------------------------------------------------------------------------------------------------ the app

deployment = Deployment.from_environment()

image = (
    modal.Image.from_registry("nvidia/cuda:12.9.1-devel-ubuntu22.04", add_python="3.12")
    .entrypoint([])
    .uv_pip_install(*MAZE_REQUIREMENTS)
    # An environment of its own: vLLM pins an older llguidance than Maze needs.
    .run_commands(
        "python -m venv /opt/vllm",
        f"/opt/vllm/bin/pip install vllm=={VLLM_VERSION}",
        "ln -s /opt/vllm/bin/vllm /usr/local/bin/vllm",
    )
    .env({"HF_HOME": WEIGHTS_PATH, "VLLM_CACHE_ROOT": KERNELS_PATH, **deployment.environment()})
    .add_local_python_source("maze")
)

app = modal.App(deployment.name)


@app.cls(
    image=image,
    gpu=deployment.gpu,
    region=deployment.region or None,
    min_containers=deployment.min_containers,
    max_containers=deployment.max_containers,
    scaledown_window=deployment.scaledown_secs,
    timeout=INPUT_TIMEOUT_SECS,
    startup_timeout=START_TIMEOUT_SECS,
    volumes={
        WEIGHTS_PATH: modal.Volume.from_name(f"{deployment.name}-weights", create_if_missing=True),
        KERNELS_PATH: modal.Volume.from_name(f"{deployment.name}-kernels", create_if_missing=True),
    },
    secrets=[modal.Secret.from_name(deployment.secret, required_keys=["MAZE_API_KEY"])],
    enable_memory_snapshot=deployment.snapshot,
    experimental_options={"enable_gpu_snapshot": True} if deployment.snapshot else {},
)
@modal.concurrent(max_inputs=2 * deployment.concurrency + OTHER_INPUTS, target_inputs=deployment.concurrency)
class Maze:
    """One container. Modal sends it requests when its enter methods have returned: when vLLM is warm."""

    @modal.enter(snap=deployment.snapshot)
    def start(self) -> None:
        """Start vLLM and wait until it has generated something under a grammar."""
        self.deployment = Deployment.from_environment()
        # A container without its engine is of no use; when it ends, Modal starts another.
        self.vllm = VllmProcess(self.deployment, on_death=lambda: os._exit(1))
        self.maze = Orchestrator(MazeConfig(endpoint=self.vllm.url, dialect="vllm", log_filter="info"))
        self.vllm.wait_until_ready()
        warm_up(self.maze)
        if self.deployment.snapshot:
            self.vllm.sleep()

    @modal.enter(snap=False)
    def restore(self) -> None:
        """Wake vLLM up where the container was started from a snapshot."""
        if self.deployment.snapshot:
            self.vllm.wake_up()
            self.vllm.wait_until_ready()

    @modal.asgi_app(requires_proxy_auth=deployment.proxy_auth)
    def web(self) -> Starlette:
        """The Maze service in front of vLLM."""
        key = service_key_from_environment()
        if not key:
            raise ConfigurationError(f"MAZE_API_KEY is missing from the Modal secret {self.deployment.secret!r}")
        return create_app(
            self.maze,
            ServiceSettings(
                api_key=key,
                max_concurrent=self.deployment.concurrency,
                max_queue=self.deployment.concurrency,
                max_tokens=self.deployment.context_tokens,
                request_timeout_secs=REQUEST_TIMEOUT_SECS,
            ),
        )

    @modal.exit()
    def stop(self) -> None:
        """Let the engine go."""
        self.maze.close()
        self.vllm.stop()
