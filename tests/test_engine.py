"""The embedded engine with the real model."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from damaged_models import ARRAY, INT32, Model, array
from http_calls import ask

from maze import ConstraintIR, GenerationOptions, Intent, MazeConfig, Orchestrator
from maze.backends.base import (
    FINISHED_LENGTH,
    FINISHED_STOP,
    Cancellation,
    Completion,
    Deadline,
    Prompt,
    Request,
    WrittenTokens,
)
from maze.compiled import EngineGrammar, TokenMask
from maze.engine import EmbeddedEngine, bundled_model
from maze.engine.embedded import CONTEXT_TOKENS, SLOTS
from maze.engine.gguf import special_tokens
from maze.errors import (
    CancelledError,
    ConfigurationError,
    ConstraintViolatedError,
    ContradictionError,
    EngineUnavailableError,
    MazeError,
    RequestRejectedError,
    TimedOutError,
    UnsupportedConstraintError,
)

DIGITS = EngineGrammar("start: /[0-9]{3}/\n")
STORY = "Tell a long story about the sea."
LONG_PROMPT = "word " * 3000
"""Takes tens of seconds on one core."""
DIGIT_IDS = {str(digit): 32 + digit for digit in range(10)}
"""Tokens of SmolLM2's vocabulary."""


def make_request(**changes: Any) -> Request:  # noqa: ANN401 - any field of Request
    """A request without constraints, with time for a busy machine."""
    prompt = Prompt(changes.pop("prompt", "Say hi."))
    return ask(**{"prompt": prompt, "grammar": None, "temperature": 0.7, "timeout_ms": 120_000, **changes})


def literal(text: str) -> EngineGrammar:
    """A grammar for exactly this text."""
    escaped = "".join(f"\\u{ord(c):04x}" if c < " " else f"\\{c}" if c in '"\\' else c for c in text)
    return EngineGrammar(f'start: "{escaped}"\n')


def ignore(_: str) -> bool:
    return True


class Pieces(list[str]):
    """Collects the pieces of a text until there are `most`."""

    def __init__(self, most: int = 10_000) -> None:
        super().__init__()
        self.most = most

    def take(self, text: str) -> bool:
        self.append(text)
        return len(self) < self.most


def run_python(program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + program, *arguments], capture_output=True, timeout=120, check=False
    )


PRELUDE = """
import ctypes, os, signal, sys, threading
from pathlib import Path
sys.path.insert(0, str(Path("tests").resolve()))
from maze.engine import embedded
from maze.backends.base import Deadline
from maze.engine import EmbeddedEngine
from test_engine import DIGITS, LONG_PROMPT, STORY, ignore, make_request
"""


@contextmanager
def running(backend: EmbeddedEngine, count: int, **changes: Any) -> Iterator[None]:  # noqa: ANN401
    """`count` calls that have begun to generate, and are cancelled at the end."""
    cancellation = Cancellation()
    begun = threading.Semaphore(0)

    def begin(_: str) -> bool:
        begun.release()
        return True

    def generate() -> None:
        request = make_request(
            **{"prompt": STORY, "max_tokens": 3000, "temperature": 1.5, "cancellation": cancellation, **changes}
        )
        with pytest.raises(CancelledError):
            backend.generate(request, begin)

    with ThreadPoolExecutor(count) as pool:
        calls = [pool.submit(generate) for _ in range(count)]
        try:
            for _ in calls:
                assert begun.acquire(timeout=60)
            yield
        finally:
            cancellation.cancel("the test is over")
        for call in calls:
            call.result()


# ----------------------------------------------------------------------------------------------------- generating


def test_a_grammar_is_obeyed_and_the_pieces_are_the_text(embedded_backend: EmbeddedEngine) -> None:
    pieces = Pieces()
    completion = embedded_backend.generate(make_request(grammar=DIGITS), pieces.take)
    assert len(completion.text) == 3
    assert completion.text.isdecimal()
    assert "".join(pieces) == completion.text
    assert completion.finish_reason == FINISHED_STOP


def test_a_completion_tells_its_counts_times_and_origin(embedded_backend: EmbeddedEngine) -> None:
    completion = embedded_backend.generate(make_request(max_tokens=5, prompt=STORY), ignore)
    assert completion.finish_reason == FINISHED_LENGTH
    assert completion.tokens_generated == 5
    assert completion.prompt_tokens is not None
    assert completion.prompt_tokens > 10
    assert completion.first_token_ms is not None
    assert completion.model == bundled_model().stem
    assert completion.engine["model_file"] == bundled_model().name
    assert completion.engine["model_bytes"] == bundled_model().stat().st_size
    assert completion.engine["xllamacpp"]


@pytest.mark.parametrize(
    "text",
    [
        "  \n leading and trailing white space \n\n",
        "<think>not a thought</think>\n<tool_call>{}</tool_call>",
        "the model's own <|im_end|> mark",
        'quotes " and \\ and \t tabs',
        "日本語 héllo 👩‍👩‍👧 🏳️‍🌈",
    ],
)
def test_the_text_comes_as_the_model_wrote_it(embedded_backend: EmbeddedEngine, text: str) -> None:
    completion = embedded_backend.generate(make_request(grammar=literal(text), max_tokens=100), ignore)
    assert completion.text == text


def test_characters_made_of_several_tokens_come_whole(embedded_backend: EmbeddedEngine) -> None:
    pieces = Pieces()
    grammar = EngineGrammar("start: /[\\u{1F600}-\\u{1F640}]{4}/\n")
    completion = embedded_backend.generate(make_request(grammar=grammar), pieces.take)
    assert len(completion.text) == 4
    assert (completion.tokens_generated or 0) > 4
    assert all("\U0001f600" <= character <= "\U0001f640" for piece in pieces for character in piece)


@pytest.mark.parametrize(
    "grammar",
    [
        'start: %json {"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],'
        '"additionalProperties":false,"x-guidance":{"whitespace_flexible":false}}\n',
        "start: A\nA: /(?s:.*)b(?s:.*)/ & /[a-c]{2,5}/\n",
        "start: (IDENTIFIER /[ ]{1,2}/){1,3}\nIDENTIFIER: /[A-Za-z_]\\w*/ & ~/(class|new)/\n",
    ],
)
def test_the_forms_of_grammar_that_maze_compiles_to_are_enforced(
    embedded_backend: EmbeddedEngine, grammar: str
) -> None:
    import llguidance

    completion = embedded_backend.generate(
        make_request(grammar=EngineGrammar(grammar), max_tokens=60, temperature=1.5), ignore
    )
    tokenizer = llguidance.LLTokenizer("byte")
    matcher = llguidance.LLMatcher(tokenizer, "%llguidance {}\n" + grammar)
    text = completion.text.encode()
    assert matcher.try_consume_tokens(list(text)) == len(text)
    assert completion.finish_reason == FINISHED_LENGTH or matcher.is_accepting()


def test_equal_seeds_give_equal_texts_alone_and_in_company(embedded_backend: EmbeddedEngine) -> None:
    def generate(seed: int) -> str:
        return embedded_backend.generate(make_request(prompt=STORY, seed=seed, max_tokens=40), ignore).text

    seeds = [3, 4, 5, 2**32 - 1]
    alone = [generate(seed) for seed in seeds]
    with ThreadPoolExecutor(SLOTS) as pool:
        together = list(pool.map(generate, seeds))
    assert together == alone
    assert len(set(alone)) == len(seeds)


def test_a_model_goes_on_from_the_very_tokens_that_it_wrote(embedded_backend: EmbeddedEngine) -> None:
    grammar = EngineGrammar("start: /([A-Za-z]{1,12}, )+/\n")
    begun = embedded_backend.generate(make_request(grammar=grammar, max_tokens=40, temperature=1.3), ignore)
    assert begun.token_ids is not None
    assert (begun.finish_reason, len(begun.token_ids)) == (FINISHED_LENGTH, 40)
    written = WrittenTokens(begun.text, begun.token_ids)
    going_on = make_request(max_tokens=4, continue_from="I say: " + begun.text)
    read = embedded_backend.generate(going_on, ignore).engine["timings"]
    known = embedded_backend.generate(replace(going_on, written=written), ignore).engine["timings"]
    assert known["prompt_n"] + known["cache_n"] > read["prompt_n"] + read["cache_n"], "read, it is fewer tokens"


def test_a_steered_text_is_not_computed_again(embedded_backend: EmbeddedEngine) -> None:
    words = ConstraintIR(regex_patterns=("^([A-Za-z]{1,12}, )+$",))
    with Orchestrator(MazeConfig(), backend=embedded_backend) as maze:
        result = maze.generate(Intent("Say words."), words, GenerationOptions(max_tokens=64, temperature=1.3, seed=3))
    assert result.metadata.steered_from is not None
    assert result.provenance is not None
    assert result.provenance.engine["timings"]["prompt_n"] == 1


def test_a_stop_text_ends_the_text_and_is_not_part_of_it(embedded_backend: EmbeddedEngine) -> None:
    grammar = literal("one two three")
    completion = embedded_backend.generate(make_request(grammar=grammar, stop=(" thr",)), ignore)
    assert completion.text == "one two"
    assert completion.finish_reason == FINISHED_STOP


def test_a_prompt_over_the_context_is_refused_with_the_numbers(embedded_backend: EmbeddedEngine) -> None:
    with pytest.raises(RequestRejectedError, match=rf"prompt is 9\d\d\d tokens long.* {CONTEXT_TOKENS} "):
        embedded_backend.generate(make_request(prompt="word " * 9000), ignore)


def test_an_answer_ends_with_the_context() -> None:
    program = """
embedded.CONTEXT_TOKENS = 256
completion = EmbeddedEngine().generate(make_request(prompt=STORY, max_tokens=3000, temperature=1.5), ignore)
print(completion.finish_reason, completion.prompt_tokens + completion.tokens_generated)
"""
    assert run_python(program).stdout == b"length 256\n"


def test_a_model_that_is_not_there_is_refused(embedded_backend: EmbeddedEngine) -> None:
    with pytest.raises(RequestRejectedError, match="'llama-3'"):
        embedded_backend.generate(make_request(model="llama-3"), ignore)
    assert embedded_backend.generate(make_request(model=bundled_model().stem, max_tokens=1), ignore).text


def test_the_special_tokens_of_a_model_are_read_from_its_file() -> None:
    special = special_tokens(bundled_model())
    assert {"<|im_start|>", "<|im_end|>", "<|endoftext|>", "<jupyter_code>"} <= set(special)
    assert len(special) == 17


def with_token_types(change: Callable[[int, int], int]) -> tuple[bytes, int]:
    """The bundled model's head with other types of its tokens, by number and type, and the length of its own head."""
    model = Model.read(bundled_model())
    name = "tokenizer.ggml.token_type"
    _, value = model.metadata[name]
    kinds = struct.unpack(f"<{len(value) // 4 - 3}i", value[12:])
    changed = [struct.pack("<i", change(number, kind)) for number, kind in enumerate(kinds)]
    return model.with_value(name, ARRAY, array(INT32, changed)).head(), len(model.head())


def test_tokens_that_are_special_by_their_name_are_found_without_their_type(tmp_path: Path) -> None:
    head, _ = with_token_types(lambda _number, _kind: 1)
    path = tmp_path / "model.gguf"
    path.write_bytes(head)
    assert {"<|im_start|>", "<|im_end|>", "<|endoftext|>"} <= set(special_tokens(path))


def test_a_model_may_have_tens_of_thousands_of_special_tokens(tmp_path: Path) -> None:
    head, own = with_token_types(lambda number, kind: 4 if 1000 < number < 40_000 else kind)
    path = tmp_path / "model.gguf"
    path.write_bytes(head + bundled_model().read_bytes()[own:])
    backend = EmbeddedEngine(path)
    assert backend.generate(make_request(grammar=DIGITS), ignore).text.isdecimal()
    backend.close()


# ---------------------------------------------------------------------------------------------------- token masks


def mask(allowed: str | None = None, forbidden: str = "") -> TokenMask:
    ids = None if allowed is None else frozenset(DIGIT_IDS[digit] for digit in allowed)
    return TokenMask(ids, frozenset(DIGIT_IDS[digit] for digit in forbidden))


def generate_masked(backend: EmbeddedEngine, token_mask: TokenMask, grammar: EngineGrammar | None) -> Completion:
    return backend.generate(make_request(token_mask=token_mask, grammar=grammar, temperature=2.0), ignore)


def test_only_allowed_tokens_appear(embedded_backend: EmbeddedEngine) -> None:
    assert set(generate_masked(embedded_backend, mask("123"), None).text) <= set("123")
    under_grammar = generate_masked(embedded_backend, mask("123"), DIGITS)
    assert set(under_grammar.text) <= set("123")
    assert under_grammar.finish_reason == FINISHED_STOP


def test_forbidden_tokens_never_appear(embedded_backend: EmbeddedEngine) -> None:
    assert set(generate_masked(embedded_backend, mask(forbidden="012345678"), DIGITS).text) == {"9"}
    assert generate_masked(embedded_backend, mask("12", forbidden="1"), DIGITS).text == "222"


def test_a_mask_that_leaves_nothing_under_the_grammar_fails_the_call(embedded_backend: EmbeddedEngine) -> None:
    grammar = EngineGrammar("start: /[a-z]/ /[0-9]{3}/\n")
    with pytest.raises(ConstraintViolatedError, match="no token satisfies both") as caught:
        generate_masked(embedded_backend, mask(forbidden="0123456789"), grammar)
    assert len(caught.value.partial_text) == 1


def test_a_mask_that_forbids_what_it_allows_is_a_contradiction(embedded_backend: EmbeddedEngine) -> None:
    with pytest.raises(ContradictionError):
        generate_masked(embedded_backend, mask("1", forbidden="1"), None)
    with pytest.raises(ContradictionError):
        generate_masked(embedded_backend, TokenMask(None, frozenset(range(49152))), None)


def test_ids_outside_the_vocabulary_are_named(embedded_backend: EmbeddedEngine) -> None:
    with pytest.raises(UnsupportedConstraintError, match=r"4000000000.*49152"):
        generate_masked(embedded_backend, TokenMask(None, frozenset({5, 4_000_000_000})), None)


def test_a_mask_that_cannot_be_confirmed_fails_the_call(embedded_backend: EmbeddedEngine) -> None:
    grammar = EngineGrammar("start: /[\\u{1F600}-\\u{1F640}]{2}/\n")
    with pytest.raises(UnsupportedConstraintError, match="cannot be confirmed"):
        generate_masked(embedded_backend, mask(forbidden="1"), grammar)


# ------------------------------------------------------------------------------------------------ ending a call


@pytest.mark.parametrize("prompt", [STORY, LONG_PROMPT], ids=["generating", "reading the prompt"])
def test_a_deadline_ends_the_call(embedded_backend: EmbeddedEngine, prompt: str) -> None:
    request = make_request(prompt=prompt, max_tokens=3000, temperature=1.5, deadline=Deadline(800))
    with pytest.raises(TimedOutError):
        embedded_backend.generate(request, ignore)
    assert embedded_backend.generate(make_request(grammar=DIGITS), ignore).text.isdecimal()


@pytest.mark.parametrize("prompt", [STORY, LONG_PROMPT], ids=["generating", "reading the prompt"])
def test_another_thread_can_cancel_a_call(embedded_backend: EmbeddedEngine, prompt: str) -> None:
    cancellation = Cancellation()
    request = make_request(prompt=prompt, max_tokens=3000, temperature=1.5, cancellation=cancellation)
    timer = threading.Timer(0.5, cancellation.cancel, ["enough of it"])
    timer.start()
    with pytest.raises(CancelledError, match="enough of it"):
        embedded_backend.generate(request, ignore)
    timer.join()


def test_the_callback_can_end_the_call_and_the_text_so_far_is_kept(embedded_backend: EmbeddedEngine) -> None:
    pieces = Pieces(most=3)
    with pytest.raises(CancelledError) as caught:
        embedded_backend.generate(make_request(prompt=STORY, max_tokens=500), pieces.take)
    assert len(pieces) == 3
    assert caught.value.partial_text == "".join(pieces)


def test_what_the_callback_raises_reaches_the_caller(embedded_backend: EmbeddedEngine) -> None:
    class HostError(Exception):
        pass

    def fail(_: str) -> bool:
        raise HostError

    with pytest.raises(HostError):
        embedded_backend.generate(make_request(prompt=STORY, max_tokens=500), fail)


def test_more_calls_than_slots_wait_their_turn(embedded_backend: EmbeddedEngine) -> None:
    with ThreadPoolExecutor(SLOTS * 3) as pool:
        calls = [pool.submit(embedded_backend.generate, make_request(grammar=DIGITS), ignore) for _ in range(SLOTS * 3)]
        assert all(call.result().text.isdecimal() for call in calls)


def test_a_call_that_waits_for_a_slot_keeps_its_deadline(embedded_backend: EmbeddedEngine) -> None:
    with running(embedded_backend, SLOTS), pytest.raises(TimedOutError):
        embedded_backend.generate(make_request(deadline=Deadline(2)), ignore)


# ------------------------------------------------------------------------------------------- loading and closing


def test_health_tells_what_is_loaded(embedded_backend: EmbeddedEngine) -> None:
    health = embedded_backend.health(Deadline(60_000))
    assert health.ready
    assert health.endpoints[0] | {"detail": ""} == {
        "endpoint": "embedded",
        "ready": True,
        "detail": "",
        "model": "SmolLM2-135M-Instruct.Q4_1",
        "vocabulary": 49152,
        "context": CONTEXT_TOKENS,
    }
    assert embedded_backend.models(Deadline(1)) == ("SmolLM2-135M-Instruct.Q4_1",)


def test_backends_share_one_model_and_the_last_to_close_frees_it() -> None:
    program = """
import logging
loads = []
class Count(logging.Handler):
    def emit(self, record): loads.append(record.getMessage())
logging.getLogger("maze").addHandler(Count())
logging.getLogger("maze").setLevel(logging.INFO)

backends = [EmbeddedEngine() for _ in range(64)]
threads = [threading.Thread(target=b.generate, args=(make_request(grammar=DIGITS), ignore)) for b in backends]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(loads), len(embedded._engines))
[backend.close() for backend in backends[1:]]
print(len(embedded._engines))
backends[0].close()
print(len(embedded._engines))
backends[0].close()
print(backends[0].generate(make_request(grammar=DIGITS), ignore).text.isdecimal(), len(loads))
"""
    assert run_python(program).stdout.decode().splitlines() == ["1 1", "1", "0", "True 2"]


def test_closing_ends_calls_under_way() -> None:
    program = """
from maze.errors import CancelledError
backend = EmbeddedEngine()
begun = threading.Event()
def generate():
    try:
        backend.generate(make_request(prompt=STORY, max_tokens=3000, temperature=1.5), lambda _: begun.set() is None)
    except CancelledError as error:
        print(error)
thread = threading.Thread(target=generate)
thread.start()
begun.wait()
backend.close()
thread.join()
"""
    assert b"closed" in run_python(program).stdout


def missing(path: Path) -> None:
    del path


def folder(path: Path) -> None:
    path.mkdir()


def cut_off(size: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with bundled_model().open("rb") as model:
            path.write_bytes(model.read(size))

    return write


def text_file(path: Path) -> None:
    path.write_text("not a model")


def noise(path: Path) -> None:
    path.write_bytes(b"GGUF\x03\0\0\0" + bytes(range(256)) * 100)


@pytest.mark.parametrize(
    "make", [missing, folder, text_file, noise, cut_off(0), cut_off(4), cut_off(100_000), cut_off(50_000_000)]
)
def test_a_file_that_is_no_model_is_an_error_that_names_it(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    make(path)
    backend = EmbeddedEngine(path)
    for _ in range(2):
        with pytest.raises((ConfigurationError, EngineUnavailableError)) as caught:
            backend.generate(make_request(), ignore)
        assert repr(str(path)) in str(caught.value)
    health = backend.health(Deadline(60_000))
    assert not health.ready
    assert str(path) in health.endpoints[0]["detail"]
    backend.close()


def test_a_model_that_appears_later_is_loaded_then(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    backend = EmbeddedEngine(path)
    assert not backend.health(Deadline(60_000)).ready
    shutil.copy(bundled_model(), path)
    assert backend.health(Deadline(60_000)).ready
    backend.close()


def test_a_path_that_is_not_utf_8_is_named_as_the_reason(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/m\xff.gguf"))
    path.write_bytes(b"GGUF")
    backend = EmbeddedEngine(path)
    assert "not UTF-8" in backend.health(Deadline(60_000)).endpoints[0]["detail"]
    backend.close()


def test_without_a_model_the_error_says_where_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"run make.*MAZE_LOCAL_MODEL"):
        EmbeddedEngine().models(Deadline(1))


def test_without_xllamacpp_the_error_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ModuleNotFoundError(\"No module named 'xllamacpp'\")")
    program = f"""
sys.path.insert(0, {str(tmp_path)!r})
print(EmbeddedEngine().health(Deadline(60_000)).endpoints[0]["detail"])
"""
    assert b"libmaze[embedded]" in run_python(program).stdout


# --------------------------------------------------------------------------------------------- being a good guest

IN_EVERY_STATE = """
state, leave = sys.argv[1:]
backend = EmbeddedEngine()
if state != "loading":
    backend.health(Deadline(60_000))
begun = threading.Semaphore(0)
def generate(prompt):
    begun.release()
    backend.generate(make_request(prompt=prompt, max_tokens=3000, temperature=1.5), lambda _: begun.release() is None)
threading.excepthook = lambda _: None
calls = {"idle": 0, "loading": 1, "reading": 1, "generating": 1, "queueing": 6}[state]
for _ in range(calls):
    threading.Thread(target=generate, args=(LONG_PROMPT if state == "reading" else STORY,), daemon=True).start()
for _ in range(calls):
    begun.acquire()
if state in ("generating", "queueing"):
    begun.acquire()
if leave == "finalise":
    sys.exit(3)
ctypes.CDLL(None).exit(3)
"""


@pytest.mark.parametrize("leave", ["finalise", "exit() of a host that never finalises Python"])
@pytest.mark.parametrize("state", ["idle", "loading", "reading", "generating", "queueing"])
def test_the_process_ends_cleanly_in_every_state(state: str, leave: str) -> None:
    ended = run_python(IN_EVERY_STATE, state, leave)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"", b"")


def test_the_host_is_left_as_it_was() -> None:
    program = """
libc = ctypes.CDLL(None)
libc.setlocale.restype = ctypes.c_char_p
terminate = ctypes.CDLL("libstdc++.so.6")._ZSt13get_terminatev
terminate.restype = ctypes.c_void_p
def handler(number):
    action = ctypes.create_string_buffer(256)
    libc.sigaction(number, None, action)
    return action.raw[:16], action.raw[136:140]  # handler and the first signals of the mask, flags
def environment():
    variables = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
    found = []
    while variables[len(found)]:
        found.append(variables[len(found)])
    return found
def host():
    return {
        "signal handlers": [handler(number) for number in range(1, 65)],
        "signal mask": Path("/proc/self/status").read_text().split("SigBlk:")[1].split()[0],
        "environment": environment(),
        "locale": libc.setlocale(6, None),
        "working directory": os.getcwd(),
        "files": sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if int(n) < 3),
        "terminate handler": terminate(),
    }
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
before = host()
backend = EmbeddedEngine()
backend.generate(make_request(grammar=DIGITS), ignore)
def unblocked(thread):
    status = Path(f"/proc/self/task/{thread}/status").read_text()
    return not int(status.split("SigBlk:")[1].split()[0], 16) >> (15 - 1) & 1
print([thread for thread in os.listdir("/proc/self/task") if unblocked(thread)] == [str(os.getpid())])
backend.close()
after = host()
print([what for what in before if before[what] != after[what]])
print([link for link in map(os.path.realpath, Path("/proc/self/fd").iterdir()) if "socket" in link])
"""
    ended = run_python(program)
    assert (ended.stdout.decode().splitlines(), ended.stderr) == (["True", "[]", "[]"], b"")


def test_a_forked_child_starts_an_engine_of_its_own() -> None:
    program = """
backend = EmbeddedEngine()
backend.health(Deadline(60_000))
child = os.fork()
if child == 0:
    print(backend.generate(make_request(grammar=DIGITS), ignore).text.isdecimal(), flush=True)
    backend.close()
    sys.exit(4)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(backend.generate(make_request(grammar=DIGITS), ignore).text.isdecimal())
"""
    assert run_python(program).stdout.decode().splitlines() == ["True", "4", "True"]


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with room for the address of a socket, which tmp_path leaves none for in workers of pytest-xdist."""
    with tempfile.TemporaryDirectory(prefix="maze-test-") as folder:
        yield Path(folder)


def gone(condition: Callable[[], object]) -> bool:
    """Whether something is so within a second, as it is promised of what the engine leaves behind."""
    ends = time.monotonic() + 1
    while condition() and time.monotonic() < ends:
        time.sleep(0.01)
    return not condition()


def test_nothing_is_left_in_the_temporary_folder(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(short_path))
    assert run_python("print(EmbeddedEngine().health(Deadline(60_000)).ready)").stdout == b"True\n"
    assert gone(lambda: list(short_path.iterdir()))


def test_a_folder_that_was_left_behind_where_all_was_killed_is_removed_by_the_next_and_no_other(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(short_path))
    left, foreign, fresh = (
        short_path / name for name in ("maze-engine-left", "maze-engine-foreign", "maze-engine-new")
    )
    for folder in (left, foreign, fresh):
        folder.mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "llama.sock"))
    (foreign / "file").touch()
    program = "engine = EmbeddedEngine(); print(engine.health(Deadline(60_000)).ready, flush=True); input()"
    command = [sys.executable, "-c", PRELUDE + program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        (of_other,) = set(short_path.iterdir()) - {left, foreign, fresh}
        for folder in (left, foreign, of_other):
            os.utime(folder, (0, 0))
        assert run_python("print(EmbeddedEngine().health(Deadline(60_000)).ready)").stdout == b"True\n"
        assert gone(lambda: set(short_path.iterdir()) - {foreign, fresh, of_other})
        assert (of_other / "llama.sock").exists()
        other.communicate(b"\n")
    assert len(list(foreign.iterdir())) == 2


@pytest.mark.parametrize(
    "oddity",
    [
        "sys.path.insert(0, ''); os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')",
        "sys.path += [b'/bytes', Path('/path'), 'relative', '/no/such.zip']",
        "os.environ['TMPDIR'] = '.'",
        "os.environ['TMPDIR'] = '/no/such/folder'",
    ],
)
def test_an_odd_environment_does_not_keep_it_from_starting(oddity: str, tmp_path: Path) -> None:
    program = f"os.chdir({str(tmp_path)!r})\n{oddity}\nprint(EmbeddedEngine().health(Deadline(60_000)).ready)"
    done = run_python(program)
    assert (done.stdout, done.stderr) == (b"True\n", b"")


def test_calls_with_short_deadlines_do_not_end_one_that_is_busy(embedded_backend: EmbeddedEngine) -> None:
    with running(embedded_backend, SLOTS):
        for _ in range(200):
            with pytest.raises(TimedOutError):
                embedded_backend.generate(make_request(deadline=Deadline(2)), ignore)


@pytest.mark.parametrize("most", [2**31, 2**32 - 1])
def test_more_tokens_may_be_asked_for_than_llama_cpp_counts(embedded_backend: EmbeddedEngine, most: int) -> None:
    request = make_request(grammar=EngineGrammar('start: "yes"\n'), max_tokens=most)
    assert embedded_backend.generate(request, ignore).text == "yes"


def test_a_model_that_is_not_there_is_named_in_short(embedded_backend: EmbeddedEngine) -> None:
    with pytest.raises(RequestRejectedError, match="not 'mmm") as caught:
        embedded_backend.generate(make_request(model="m" * 1_000_000), ignore)
    assert len(str(caught.value)) < 500


def test_errors_are_of_libmaze_and_begin_anew(embedded_backend: EmbeddedEngine) -> None:
    request = make_request(prompt="word " * 9000)
    errors = []
    for _ in range(2):
        with pytest.raises(MazeError) as caught:
            embedded_backend.generate(request, ignore)
        errors.append(caught.value)
    assert errors[0] is not errors[1]
