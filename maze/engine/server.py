"""The engine itself, in its own process: llama.cpp's HTTP server of the package xllamacpp on a Unix socket.

It is a llama.cpp server in every respect. What is special is how it is started: with every setting given, and with a
message to the host when it can be used, which tells what the host must know of the model, or why it cannot be.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import resource
import select
import signal
import socket
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from maze.engine.gguf import special_tokens

PART_CHARACTERS = 32768
"""Of what the host must know of the model, in one message: ASCII, of which JSON may make two bytes each."""

PROMPT_MARK = "9f1c6b02"
"""Stands for the prompt while the chat template is applied."""

HTTP_THREADS_ASIDE = 4
"""Threads of the server beside one for each stream, and for each that was left and has not ended yet: so that it can be
asked for its health."""

FILES_ASIDE = 4
"""Files beside one for each connection: the model, the listening socket, and what is opened while it loads."""

THREADS_ASIDE = 8
"""Threads beside those that compute and those that serve connections."""

ADDRESS_SPACE_BYTES = 2**30
"""What the engine takes besides the model file: SmolLM2-135M with its contexts, threads and buffers 1,070 MB in all."""

ANSWER_SECS = 10
"""Longest wait for an answer of the own server to a question about the model: a chat template may never end."""

_PROBE_TEXT = "maze"
_PROBE_GRAMMAR = f'%llguidance {{}}\nstart: "{_PROBE_TEXT}"\n'
_PR_SET_PDEATHSIG = 1


class _UnusableError(Exception):
    """The engine cannot be used: why, and what to do. `kind` names the class of the error that the host raises."""

    kind = "EngineUnavailableError"


class _WrongModelError(_UnusableError):
    """So it will be until the model or the configuration is changed."""

    kind = "ConfigurationError"


def run(control: socket.socket, host: int, settings: dict[str, Any], supervisor: int) -> None:
    """Load the model, tell the host and serve until the process is killed. Called by maze.engine.supervisor.

    `control` and `host`, a pidfd, tell that the host is gone also where the supervisor is stopped.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        return  # it ended before that was set
    with suppress(OSError, ValueError):  # a sandbox
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the host chose its limit for its own files
    try:
        server, facts = _load(settings)
    except _UnusableError as error:
        control.send(json.dumps({"failure": error.kind, "message": str(error)}).encode())
        return
    said = json.dumps(facts)
    for at in range(0, len(said), PART_CHARACTERS):  # a model may have 100 KB of special tokens
        control.send(json.dumps({"part": said[at : at + PART_CHARACTERS]}).encode())
    control.send(json.dumps({"ready": True}).encode())
    watch = select.poll()
    watch.register(control, 0)  # its end alone; what is sent is for the supervisor
    watch.register(host, select.POLLIN)
    while server and not watch.poll():
        pass


def _load(settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Load a model and make sure that it obeys grammars; returns the server and what the host must know."""
    path = Path(settings["model"])
    _check_file(path)
    _check_address_space(path)
    _check_open_files(settings["slots"] + HTTP_THREADS_ASIDE + FILES_ASIDE)
    _check_threads(2 * settings["threads"] + settings["slots"] + HTTP_THREADS_ASIDE + THREADS_ASIDE)
    address = f"{settings['folder']}/llama.sock"
    _check_listening(address)
    try:
        import xllamacpp  # type: ignore[import-untyped]
    except ImportError as error:
        raise _WrongModelError(
            f"the embedded engine needs the package xllamacpp ({error}); "
            "install libmaze with its extra: pip install 'libmaze[embedded]', or set MODAL_ENDPOINT to a service"
        ) from None
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {path.stem}
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context_tokens"]
    params.n_batch = settings["batch_tokens"]
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = settings["threads"]
        cpu.poll = 0  # threads that spin take the time of the host's own
    params.cache_ram_mib = 0  # else finished prompts are kept, up to 8 GB
    params.warmup = False  # the probe does it
    params.verbosity = -1
    params.ui = False
    params.api_keys = [settings["key"]]
    params.n_threads_http = 2 * settings["slots"] + HTTP_THREADS_ASIDE
    params.hostnames = [address]
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise _WrongModelError(
            f"llama.cpp could not load the model {str(path)!r} ({error}): the file may be cut off or damaged, of a "
            "kind that this version does not know, or too large for the memory; fetch it again or choose another"
        ) from None

    def ask(method: str, route: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        return _ask(address, settings["key"], method, route, body, path)

    meta = ask("GET", "/v1/models")["data"][0]["meta"]
    messages = [{"role": "user", "content": PROMPT_MARK}]
    template = ask(
        "POST", "/apply-template", {"messages": messages, "chat_template_kwargs": {"enable_thinking": False}}
    )["prompt"]
    if PROMPT_MARK not in template:
        raise _WrongModelError(
            f"the chat template of the model {str(path)!r} leaves out the prompt; choose another model"
        )
    end_text = {"content": ask("GET", "/props")["eos_token"], "add_special": False, "parse_special": True}
    end_tokens = {*ask("POST", "/tokenize", end_text)["tokens"], _probe(server, path)}
    return server, {
        "vocabulary": meta["n_vocab"],
        "context": meta["n_ctx"],
        "end_tokens": sorted(end_tokens),
        "special_tokens": special_tokens(path),
        "provenance": {
            "xllamacpp": xllamacpp.__version__,
            "model_file": path.name,
            "model_bytes": path.stat().st_size,
            "model_parameters": meta["n_params"],
            "model_quantisation": meta["ftype"],
        },
    }


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise _WrongModelError(
            f"the model {str(path)!r} cannot be read ({error.strerror}); set MAZE_LOCAL_MODEL to a GGUF file"
        ) from None
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise _WrongModelError(
            f"the path of the model {str(path)!r} is not UTF-8, and llama.cpp takes no other; rename it"
        ) from None
    if magic != b"GGUF":
        raise _WrongModelError(
            f"the model {str(path)!r} is not a GGUF file (it does not begin with 'GGUF'); "
            "set MAZE_LOCAL_MODEL to a GGUF file"
        )


def _check_listening(address: str) -> None:
    """Try what the server has no words for."""
    try:
        with socket.socket(socket.AF_UNIX) as trial:
            trial.bind(address)
            trial.listen()
        Path(address).unlink()
    except OSError as error:
        raise _UnusableError(
            f"the embedded engine cannot listen at a Unix socket in {str(Path(address).parent)!r} ({error.strerror}); "
            "where a sandbox forbids that, set MODAL_ENDPOINT to a service"
        ) from None


def _check_open_files(needed: int) -> None:
    """Refuse what would end with the words of another failure, or with connections that are never answered."""
    opened: list[int] = []
    try:
        for _ in range(needed):
            opened.append(os.open("/", os.O_PATH | os.O_CLOEXEC))  # noqa: PERF401 - those opened so far are closed
    except OSError as error:
        raise _UnusableError(
            f"the embedded engine needs {needed} open files of its own and may have {len(opened)} ({error.strerror}); "
            "raise the hard limit RLIMIT_NOFILE (ulimit -Hn), or set MODAL_ENDPOINT to a service"
        ) from None
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _check_threads(needed: int) -> None:
    """As _check_open_files(): where llama.cpp cannot start a thread, it ends its process."""
    over = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(needed):
            thread = threading.Thread(target=over.wait)
            thread.start()
            started.append(thread)
    except (RuntimeError, MemoryError):
        raise _UnusableError(
            f"the embedded engine needs {needed} threads and may have {len(started)}; raise RLIMIT_NPROC (ulimit -u) "
            "or pids.max of its cgroup, or set MODAL_ENDPOINT to a service"
        ) from None
    finally:
        over.set()
        for thread in started:
            thread.join()


def _check_address_space(path: Path) -> None:
    """Refuse what cannot fit, with the reason: where its memory is refused, llama.cpp ends its process."""
    limit = resource.RLIM_INFINITY
    with suppress(OSError):  # a sandbox
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    needed = path.stat().st_size + ADDRESS_SPACE_BYTES
    if limit - in_use < needed:
        raise _UnusableError(
            f"the embedded engine needs about {needed >> 20} MiB of address space for {path.name}, and its process "
            f"may have {max(0, limit - in_use) >> 20} MiB more (ulimit -v); raise the limit, or set MODAL_ENDPOINT to "
            "a service"
        )


def _ask(address: str, key: str, method: str, route: str, body: dict[str, Any] | None, path: Path) -> Any:  # noqa: ANN401 - JSON
    connection = http.client.HTTPConnection("localhost")
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        with closing(connection), socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.settimeout(ANSWER_SECS)
            connection.sock.connect(address)
            connection.request(method, route, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
    except TimeoutError:
        raise _WrongModelError(
            f"llama.cpp gave no answer to {route} for the model {str(path)!r} within {ANSWER_SECS} s: its chat "
            "template or vocabulary may be damaged; fetch it again or choose another"
        ) from None
    if response.status != http.client.OK:
        raise _WrongModelError(
            f"llama.cpp answered {response.status} to {route} for the model {str(path)!r}: "
            f"{content[:300].decode(errors='replace')}; its chat template or vocabulary may be damaged: fetch it again "
            "or choose another"
        )
    return json.loads(content)


def _probe(server: Any, path: Path) -> int:  # noqa: ANN401 - xllamacpp has no types
    """Generate under a grammar that allows one text; return the token that ended it.

    llama.cpp ignores a grammar that it cannot use, so this shows that llguidance is compiled in and knows the model's
    tokenizer. It also spares the first real request both set-ups.
    """
    text, tokens = "", []
    chunks: list[dict[str, Any]] = []
    body = {"prompt": "maze", "max_tokens": 16, "stream": True, "logprobs": 1, "grammar": _PROBE_GRAMMAR}
    server.handle_completions(body, chunks.append)
    for choice in (choice for chunk in chunks for choice in chunk.get("choices", ())):
        text += choice["text"]
        tokens += [token["id"] for token in (choice["logprobs"] or {"content": ()})["content"]]
    if text != _PROBE_TEXT or not tokens:
        raise _WrongModelError(
            f"the model {str(path)!r} does not obey grammars in this build of xllamacpp (a probe gave {text!r} "
            f"in place of {_PROBE_TEXT!r}); choose another model, or install the version of xllamacpp that libmaze "
            "asks for"
        )
    return int(tokens[-1])
