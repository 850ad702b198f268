"""OpenAI-compatible servers of others, with the real model: llama-cpp-python's, a LiteLLM gateway before it, dasLLAMA.

By hand (`make test-servers`), as together they take over a gigabyte, and the first may have to be compiled (10
minutes): they are installed into build/servers, once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from llama_server import model_path

from maze import ConstraintIR, Intent, MazeConfig, Orchestrator
from maze.options import GenerationOptions, PromptForm
from maze.outcome import Handling
from maze.result import GenerationResult

pytestmark = pytest.mark.timeout(3600)

FOLDER = Path(__file__).parent.parent / "build" / "servers"
SCHEMA = '{"type":"object","properties":{"name":{"type":"string","maxLength":20},"age":{"enum":[20,40]}},"required":["name","age"],"additionalProperties":false}'  # noqa: E501
KEY = "sk-of-a-test"
LLAMA_CPP_PYTHON = "llama-cpp-python[server]==0.3.36"


def _installed(name: str, requirement: str) -> Path:
    """The bin folder of a virtual environment with the requirement."""
    folder = FOLDER / name
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", requirement], check=True)
        (folder / "done").touch()
    return folder / "bin"


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _server(port: int, *command: str | Path, **environment: str) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    with (
        (FOLDER / "log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": "/usr/bin:/bin", **environment}) as process,
    ):
        try:
            for _ in range(600):
                assert process.poll() is None, f"it ended; see {FOLDER / 'log'}"
                asked = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {KEY}"})
                try:
                    urllib.request.urlopen(asked, timeout=1).close()
                except OSError:
                    time.sleep(0.5)
                else:
                    yield url
                    return
            raise AssertionError(f"it did not start; see {FOLDER / 'log'}")
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def llama_cpp_python() -> Iterator[str]:
    port = _free_port()
    options = ["--model", str(model_path()), "--port", str(port), "--host", "127.0.0.1", "--n_ctx", "2048"]
    python = _installed("llama-cpp-python", LLAMA_CPP_PYTHON) / "python"
    with _server(port, python, "-m", "llama_cpp.server", *options, "--n_threads", "1", "--api_key", KEY) as url:
        yield url


@pytest.fixture(scope="module")
def litellm(llama_cpp_python: str) -> Iterator[str]:
    port = _free_port()
    params = {"model": "openai/x", "api_base": f"{llama_cpp_python}/v1", "api_key": KEY}
    config = FOLDER / "litellm.json"
    bin_folder = _installed("litellm", "litellm[proxy]==1.105.7")
    config.write_text(json.dumps({"model_list": [{"model_name": "small", "litellm_params": params}]}))
    options: list[str | Path] = ["--config", config, "--port", str(port), "--host", "127.0.0.1"]
    settings = {
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "true",  # it looks for prices on the network otherwise
    }
    with _server(port, bin_folder / "litellm", *options, **settings) as url:
        yield url


_IN_8_BITS = """
import ctypes, sys, llama_cpp
asked = llama_cpp.llama_model_quantize_default_params()
asked.ftype, asked.allow_requantize, asked.nthread = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, True, 1
sys.exit(llama_cpp.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(asked)))
"""


@pytest.fixture(scope="module")
def dasllama() -> Iterator[str]:
    """An engine of its own, which does not read the 4 bits of the model as they are."""
    program = _installed("dasllama", "dasllama==0.6.6") / "dasllama-server"
    python = _installed("llama-cpp-python", LLAMA_CPP_PYTHON) / "python"
    model = FOLDER / "model-8-bits.gguf"
    if not model.exists():
        begun = model.with_suffix(".begun")
        with (FOLDER / "log").open("ab") as log:
            subprocess.run([python, "-c", _IN_8_BITS, model_path(), begun], check=True, stdout=log, stderr=log)
        begun.rename(model)
    port = _free_port()
    options: list[str | Path] = ["--model", model, "--port", str(port), "--host", "127.0.0.1", "--ctx", "2048"]
    at_home = ["--threads", "1", "--gpu", "off", "--models-dir", str(FOLDER)]
    with _server(port, program, *options, *at_home, HOME=str(FOLDER)) as url:
        yield url


Generate = Callable[..., GenerationResult]
FORMS_TAKEN = {
    "llama_cpp_python": "json_object with a schema",
    "litellm": "json_object with a schema",
    "dasllama": "json_schema",
}
"""What each of them is asked for where a schema is among the constraints."""


@pytest.fixture(params=FORMS_TAKEN, scope="module")
def generate(request: pytest.FixtureRequest) -> Iterator[Generate]:
    """Asks a server of which nothing but the address is known."""
    endpoint = f"{request.getfixturevalue(request.param)}/v1"
    with Orchestrator(MazeConfig(endpoint=endpoint, api_key=KEY)) as maze:
        assert maze.health().endpoints[0]["dialect"] == "openai"

        def run(*constraints: ConstraintIR, **options: Any) -> GenerationResult:  # noqa: ANN401 - GenerationOptions
            return maze.generate(
                Intent("Describe a person."), constraints, GenerationOptions(**{"max_tokens": 48, "seed": 1, **options})
            )

        yield run


def test_a_schema_is_stepped_down_to_what_the_server_takes(generate: Generate, request: pytest.FixtureRequest) -> None:
    result = generate(ConstraintIR(json_schema=SCHEMA))
    assert result.success, result.error
    assert result.provenance is not None
    assert result.provenance.engine["response_format"] == FORMS_TAKEN[request.node.callspec.params["generate"]]
    assert result.validation is not None
    assert result.validation.outcomes[0].handling is Handling.CHECKED


def test_what_it_does_not_enforce_is_no_success(generate: Generate) -> None:
    result = generate(ConstraintIR(regex_patterns=("^[0-9]{40}$",)))
    assert not result.success


@pytest.mark.parametrize("form", list(PromptForm))
def test_free_texts_and_their_log_probabilities_come(
    generate: Generate, form: PromptForm, request: pytest.FixtureRequest
) -> None:
    result = generate(prompt_form=form)
    assert result.code, result.error
    logprobs = generate(prompt_form=form, top_logprobs=2).metadata.logprobs
    if request.node.callspec.params["generate"] == "dasllama":
        assert logprobs is None, "it leaves them out, and says so in its log"
    else:
        assert form is PromptForm.RAW or logprobs, "which completions need not tell"


def test_a_stop_text_ends_it_and_a_text_is_gone_on_from(generate: Generate) -> None:
    assert "e" not in generate(stop=("e",)).code
    assert generate(continue_from="The person is ").code.startswith("The person is ")
