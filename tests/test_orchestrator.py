"""maze.orchestrator: compile, generate, validate, record; and nothing is lost on the way."""

from __future__ import annotations

import _thread
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from grammar_texts import slow_to_compile
from scripted_backend import ScriptedBackend

from maze.backends.base import FINISHED_LENGTH, Cancellation, Deadline, Request
from maze.batch import MAX_CONCURRENT_BATCH
from maze.config import MazeConfig
from maze.errors import EngineUnavailableError, InvalidArgumentError, InvalidConstraintError, Status, TimedOutError
from maze.options import ConstraintOptions, GenerationOptions, OnConflict, OnUnenforceable
from maze.orchestrator import Orchestrator
from maze.outcome import Handling
from maze.types import ConstraintIR, Intent

ROOT = Path(__file__).parent.parent
INTENT = Intent("write it")
DIGITS = ConstraintIR(regex_patterns=("^[0-9]+$",), name="digits")


def orchestrator(backend: ScriptedBackend) -> Orchestrator:
    return Orchestrator(MazeConfig(), backend=backend)


def test_the_deadline_of_a_call_holds_while_its_constraints_are_compiled() -> None:
    backend = ScriptedBackend(["1"])
    maze = orchestrator(backend)
    begun = time.monotonic()
    late = maze.generate(INTENT, slow_to_compile(), GenerationOptions(timeout_ms=400))
    took = time.monotonic() - begun
    assert late.status is Status.TIMED_OUT
    assert late.error is not None
    assert re.search(r"compiling the constraints was not finished within 400 ms; it was at constraints\[", late.error)
    assert took < 0.9
    assert backend.requests == []
    assert maze.cache_stats().entries == 0
    assert maze.generate(INTENT, [DIGITS], GenerationOptions(timeout_ms=30_000)).success


def test_a_call_with_a_later_deadline_gets_what_another_call_did_not_wait_for() -> None:
    maze = orchestrator(ScriptedBackend(["1"]))
    constraints = slow_to_compile()
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(maze.compile, constraints, deadline=Deadline(60_000))
        while maze.cache_stats().misses == 0:
            time.sleep(0.001)
        with pytest.raises(TimedOutError):
            maze.compile(constraints, deadline=Deadline(100))
        compiled = patient.result(60)
    assert not compiled.cache_hit
    assert maze.compile(constraints) == compiled
    assert maze.compile(constraints).cache_hit


def test_a_result_that_satisfies_its_constraints_succeeds_and_says_how_it_came_to_be() -> None:
    backend = ScriptedBackend(["12", "34"])
    result = orchestrator(backend).generate(
        Intent("a number", language="python", current_file="n.py"), [DIGITS], GenerationOptions(seed=7, max_tokens=9)
    )
    assert (result.code, result.success, result.status, result.error) == ("1234", True, Status.OK, None)
    assert result.validation is not None
    assert result.validation.all_satisfied
    (outcome,) = result.validation.outcomes
    assert (outcome.path, outcome.handling, outcome.satisfied) == (
        "constraints[0].regex_patterns[0]",
        Handling.ENFORCED,
        True,
    )
    provenance = result.provenance
    assert provenance is not None
    assert provenance.original_intent == "a number"
    assert provenance.code_digest == "sha256:" + hashlib.sha256(b"1234").hexdigest()
    assert provenance.constraints_applied == ("constraints[0].regex_patterns[0]",)
    assert (provenance.backend, provenance.model) == ("scripted", "a-model")
    assert provenance.parameters["seed"] == 7
    assert set(provenance.versions) == {"libmaze", "llguidance", "python"}
    assert provenance.engine == {"version": "1"}
    (request,) = backend.requests
    assert request.prompt.text == "a number\n\nLanguage: python\nFile: n.py"
    assert request.grammar is not None
    assert request.grammar.rules.startswith("start: ")
    assert (request.max_tokens, request.temperature, request.top_p) == (9, 0.7, 1.0)
    assert result.metadata.tokens_generated == 2
    assert result.metadata.cache_hit is False


def test_the_prompt_goes_before_the_raw_input() -> None:
    backend = ScriptedBackend(["x"])
    orchestrator(backend).generate(Intent("raw", prompt="made from it"))
    assert backend.requests[0].prompt.text == "made from it"


def test_the_same_constraints_are_compiled_once() -> None:
    maze = orchestrator(ScriptedBackend(["1"]))
    assert [maze.generate(INTENT, [DIGITS]).metadata.cache_hit for _ in range(3)] == [False, True, True]


def test_what_is_compiled_under_options_is_there_for_all_who_take_constraints_so() -> None:
    reporting = ConstraintOptions(on_conflict=OnConflict.REPORT)
    with Orchestrator(backend=ScriptedBackend(["12"])) as maze:
        assert not maze.compile([DIGITS], None, reporting).cache_hit
        assert maze.compile([DIGITS], None, GenerationOptions(on_conflict=OnConflict.REPORT, seed=1)).cache_hit
        assert not maze.generate(INTENT, [DIGITS]).metadata.cache_hit
    with pytest.raises(InvalidArgumentError, match=r"^options is of type OnConflict; give ConstraintOptions, or None$"):
        Orchestrator().compile([DIGITS], None, OnConflict.REPORT)  # type: ignore[arg-type]


def test_a_text_that_breaks_its_constraints_is_no_success_however_the_engine_ended() -> None:
    result = orchestrator(ScriptedBackend(["12", "ab"])).generate(INTENT, [DIGITS])
    assert (result.code, result.success, result.status) == ("12ab", False, Status.CONSTRAINT_VIOLATED)
    assert result.error is not None
    assert "constraints[0].regex_patterns[0] (digits) is not satisfied at byte 2 (line 1, column 3)" in result.error
    assert result.validation is not None
    assert not result.validation.all_satisfied
    assert result.provenance is not None


def test_an_empty_answer_is_checked_like_any_other() -> None:
    assert orchestrator(ScriptedBackend([])).generate(INTENT, [DIGITS]).status is Status.CONSTRAINT_VIOLATED
    assert orchestrator(ScriptedBackend([])).generate(INTENT).success


def test_a_text_cut_off_before_it_satisfies_its_constraints_says_what_to_raise_and_is_kept() -> None:
    schema = ConstraintIR(json_schema='{"type":"array","items":{"type":"integer"}}')
    backend = ScriptedBackend(["[1,", "2"], FINISHED_LENGTH)
    result = orchestrator(backend).generate(INTENT, [schema], GenerationOptions(max_tokens=2))
    assert (result.code, result.status) == ("[1,2", Status.TRUNCATED)
    assert result.error is not None
    assert "cut off after 2 tokens" in result.error
    assert "raise max_tokens (it was 2)" in result.error


def test_a_text_cut_off_that_satisfies_its_constraints_as_it_stands_is_none_the_less_cut_off() -> None:
    result = orchestrator(ScriptedBackend(["12"], FINISHED_LENGTH)).generate(INTENT, [DIGITS])
    assert (result.status, result.code, result.metadata.cut) == (Status.TRUNCATED, "12", True)
    assert "it satisfies the constraints as it stands" in str(result.error)
    assert result.metadata.finish_reason == FINISHED_LENGTH


def test_text_that_arrived_before_a_failure_is_kept() -> None:
    def fail(_: Request) -> None:
        raise EngineUnavailableError("gone", partial_text="12")

    result = orchestrator(ScriptedBackend(["12", fail])).generate(INTENT, [DIGITS])
    assert (result.code, result.status, result.error) == ("12", Status.ENGINE_UNAVAILABLE, "gone")


def test_a_bad_constraint_never_reaches_the_engine() -> None:
    backend = ScriptedBackend(["x"])
    result = orchestrator(backend).generate(INTENT, [ConstraintIR(json_schema="{")])
    assert result.status is Status.INVALID_CONSTRAINT
    assert backend.requests == []
    with pytest.raises(InvalidConstraintError, match=r"constraints\[0\]\.json_schema"):
        orchestrator(backend).compile([ConstraintIR(json_schema="{")])


@pytest.mark.parametrize(
    ("intent", "named"), [(Intent(" "), "intent.raw_input"), (Intent("x", prompt=""), "intent.prompt")]
)
def test_an_empty_intent_is_named(intent: Intent, named: str) -> None:
    result = orchestrator(ScriptedBackend(["x"])).generate(intent)
    assert result.status is Status.INVALID_ARGUMENT
    assert named in str(result.error)


def test_a_seed_is_always_sent_and_recorded() -> None:
    backend = ScriptedBackend(["x"])
    maze = orchestrator(backend)
    results = [maze.generate(INTENT) for _ in range(2)]
    seeds = [request.seed for request in backend.requests]
    assert seeds[0] != seeds[1]
    assert [r.provenance.parameters["seed"] for r in results if r.provenance] == seeds


def test_the_callback_gets_every_piece_and_may_cancel() -> None:
    pieces: list[str] = []

    def take_two(piece: str) -> bool:
        pieces.append(piece)
        return len(pieces) < 2

    result = orchestrator(ScriptedBackend(["1", "2", "3"])).generate(INTENT, on_text=take_two)
    assert pieces == ["1", "2"]
    assert (result.code, result.status) == ("12", Status.CANCELLED)


def test_a_deadline_ends_the_call_and_keeps_its_text() -> None:
    waited = threading.Event()

    def outwait(request: Request) -> None:
        waited.wait(request.deadline.remaining_secs() + 0.01)

    backend = ScriptedBackend(["1", outwait, "2"])
    result = orchestrator(backend).generate(INTENT, options=GenerationOptions(timeout_ms=20))
    assert (result.code, result.status) == ("1", Status.TIMED_OUT)
    assert TimedOutError.status is result.status


def test_close_cancels_calls_under_way_and_refuses_new_ones() -> None:
    started, go = threading.Event(), threading.Event()

    def wait(request: Request) -> None:
        request.cancellation.on_cancel(go.set)
        started.set()
        assert go.wait(10)

    backend = ScriptedBackend(["1", wait, "2"])
    maze = orchestrator(backend)
    results = []
    caller = threading.Thread(target=lambda: results.append(maze.generate(INTENT)))
    caller.start()
    assert started.wait(10)
    maze.close()
    caller.join(10)
    assert [(r.code, r.status) for r in results] == [("1", Status.CANCELLED)]
    assert backend.closed
    assert maze.generate(INTENT).status is Status.CANCELLED


def test_a_text_beside_a_constraint_that_was_only_reported_is_no_success_and_is_kept() -> None:
    constraints = [ConstraintIR(regex_patterns=("^[0-9]+$", r"(a*)\1"), name="twice")]
    options = GenerationOptions(on_unenforceable=OnUnenforceable.REPORT)
    result = orchestrator(ScriptedBackend(["12"])).generate(INTENT, constraints, options)
    assert (result.status, result.success, result.code) == (Status.UNSUPPORTED_CONSTRAINT, False, "12")
    assert result.error is not None
    assert "constraints[0].regex_patterns[1] (twice) was neither enforced nor checked" in result.error
    assert result.validation is not None
    assert any("regex_patterns[1]" in warning for warning in result.validation.warnings)


def test_a_text_that_is_no_unicode_is_an_error_and_kept() -> None:
    result = orchestrator(ScriptedBackend(["a\ud800"])).generate(INTENT)
    assert (result.status, result.code) == (Status.BAD_RESPONSE, "a\ud800")


def test_a_text_to_validate_that_is_no_unicode_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^text holds half of a surrogate pair, U\+D800, at character 2"):
        orchestrator(ScriptedBackend([])).validate("a\ud800", [DIGITS])


def test_a_receiver_of_text_that_returns_nothing_cancels_nothing() -> None:
    pieces: list[str] = []
    result = orchestrator(ScriptedBackend(["1", "2"])).generate(INTENT, on_text=pieces.append)
    assert (result.success, pieces) == (True, ["1", "2"])


def test_a_forked_child_is_refused_and_leaves_the_parent_alone() -> None:
    """In a program of its own, because the child of a test would go on with the other tests."""
    program = """
import os, sys, warnings
sys.path[:0] = ["tests"]
warnings.simplefilter("ignore")
from fault_server import Exchange, FaultServer, fine
from maze import Intent, MazeConfig, Orchestrator
def echo(exchange: Exchange) -> None:
    fine(exchange.received.json()["prompt"])(exchange)
with FaultServer(echo) as server, Orchestrator(
    MazeConfig(endpoint=server.url, dialect="maze")
) as maze:
    assert maze.generate(Intent("before")).code == "before"
    child = os.fork()
    if child == 0:
        result = maze.generate(Intent("child"))
        maze.close()
        print(result.status.name, result.error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print([maze.generate(Intent(f"parent {n}")).code for n in range(3)], server.connections, flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    child, parent = done.stdout.splitlines()
    assert child.startswith("FORKED this process was forked")
    assert parent == "['parent 0', 'parent 1', 'parent 2'] 1"


def test_a_time_beyond_all_locks_is_taken() -> None:
    assert orchestrator(ScriptedBackend(["1"])).generate(INTENT, (), GenerationOptions(timeout_ms=2**32 - 1)).success
    deadline = Deadline(1e20)
    assert threading.Event().wait(min(deadline.remaining_secs(), 0.01)) is False
    assert deadline.remaining_secs() <= threading.TIMEOUT_MAX


def test_a_batch_gives_every_intent_its_own_result() -> None:
    def refuse_odd(request: Request) -> None:
        if int(request.prompt.text) % 2:
            raise EngineUnavailableError(f"not {request.prompt.text}")

    count = MAX_CONCURRENT_BATCH + 5
    backend = ScriptedBackend([refuse_odd, "1"])
    results = orchestrator(backend).generate_batch([Intent(str(number)) for number in range(count)], [DIGITS])
    assert [result.success for result in results] == [number % 2 == 0 for number in range(count)]
    assert results[3].error == "not 3"
    assert orchestrator(backend).generate_batch([]) == []


def test_a_single_text_is_no_batch() -> None:
    with (
        orchestrator(ScriptedBackend([])) as maze,
        pytest.raises(InvalidArgumentError, match="intents is of type str; give a list of them"),
    ):
        maze.generate_batch("Write a poem.")


def test_ctrl_c_ends_a_batch_and_signals_are_left_to_the_host() -> None:
    masks: list[set[signal.Signals | int]] = []

    def interrupt(request: Request) -> None:
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        cancelled = threading.Event()
        request.cancellation.on_cancel(cancelled.set)
        if len(masks) == 2:
            _thread.interrupt_main()
        assert cancelled.wait(30)
        request.raise_if_over()

    with pytest.raises(KeyboardInterrupt):
        orchestrator(ScriptedBackend([interrupt])).generate_batch([INTENT, INTENT])
    assert all(signal.SIGINT in mask for mask in masks)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


INTERRUPTED_BATCH = """
import os, signal, threading
from scripted_backend import ScriptedBackend
from maze import Intent, MazeConfig, Orchestrator
from maze.batch import MAX_CONCURRENT_BATCH

under_way, ended, cancelled = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

def wait(request):
    gone = threading.Event()
    request.cancellation.on_cancel(lambda: (cancelled.set(), gone.set(), press_ctrl_c()))
    under_way.release()
    gone.wait()
    ended.release()

def press_ctrl_c():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

def interrupt():
    for _ in range(MAX_CONCURRENT_BATCH):
        under_way.acquire()
    press_ctrl_c()
    # Python does not see a signal that comes just before it waits for a lock, until it wakes.
    while not cancelled.wait(1):
        press_ctrl_c()

def watch():
    for _ in range(MAX_CONCURRENT_BATCH):
        ended.acquire()
    os.write(1, b"all ended")
    os._exit(0)

for task in (interrupt, watch):
    threading.Thread(target=task, daemon=True).start()
try:
    Orchestrator(MazeConfig(), backend=ScriptedBackend([wait])).generate_batch([Intent("x")] * MAX_CONCURRENT_BATCH)
finally:
    threading.Event().wait()  # the later interrupts may come at any point; `watch` decides
"""


def test_a_batch_that_is_interrupted_more_than_once_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_BATCH],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "all ended" in done.stdout, done.stderr


def test_constraints_behind_a_key_are_decoded_only_once() -> None:
    calls = 0

    def decode() -> list[ConstraintIR]:
        nonlocal calls
        calls += 1
        return [DIGITS]

    maze = orchestrator(ScriptedBackend(["1"]))
    hits = [maze.compile(decode, constraints_key=b"raw").cache_hit for _ in range(3)]
    assert (hits, calls) == ([False, True, True], 1)
    assert maze.cache_stats().hits == 2
    maze.clear_cache()
    assert maze.compile(decode, constraints_key=b"raw").cache_hit is False


@pytest.mark.parametrize("text", ["12", b"12"])
def test_a_text_is_checked_without_an_engine(text: str | bytes) -> None:
    maze = orchestrator(ScriptedBackend([]))
    assert maze.validate(text, [DIGITS]).all_satisfied
    assert not maze.validate("1x", [DIGITS]).all_satisfied


def test_health_and_models_are_the_engines() -> None:
    maze = orchestrator(ScriptedBackend([]))
    assert maze.health().ready
    assert maze.models() == ("a-model",)


@pytest.mark.parametrize("ask", [Orchestrator.health, Orchestrator.models])
def test_nothing_is_asked_of_a_closed_engine(ask: Callable[[Orchestrator], object]) -> None:
    maze = orchestrator(ScriptedBackend([]))
    maze.close()
    with pytest.raises(Exception, match="closed"):
        ask(maze)


def test_a_text_that_cannot_be_checked_is_no_success_and_is_kept_with_what_is_known_of_it() -> None:
    deep = "[" * 600 + "]" * 600
    result = orchestrator(ScriptedBackend([deep])).generate(INTENT, [ConstraintIR(json_schema='{"type":"array"}')])
    assert (result.code, result.success, result.status) == (deep, False, Status.LIMIT_EXCEEDED)
    assert (result.validation, result.metadata.finish_reason) == (None, "stop")
    assert result.provenance is not None
    assert result.provenance.model == "a-model"


def test_the_reason_of_a_cancellation_counts_and_not_how_it_woke_the_engine() -> None:
    cancellation = Cancellation()

    def break_off(_: Request) -> None:
        cancellation.cancel("cancelled: enough")
        raise EngineUnavailableError("the socket is closed", partial_text="12")

    result = orchestrator(ScriptedBackend(["12", break_off])).generate(INTENT, cancellation=cancellation)
    assert (result.code, result.status, result.error) == ("12", Status.CANCELLED, "cancelled: enough")


def test_a_call_that_began_earlier_brings_its_deadline_and_its_id() -> None:
    backend = ScriptedBackend(["1"])
    deadline = Deadline(1e6)
    result = orchestrator(backend).generate(
        INTENT, (), GenerationOptions(timeout_ms=1), deadline=deadline, request_id="r-1"
    )
    assert (backend.requests[0].deadline, backend.requests[0].request_id) == (deadline, "r-1")
    assert result.provenance is not None
    assert result.provenance.parameters["request_id"] == "r-1"
    over = orchestrator(ScriptedBackend(["1"])).generate(INTENT, deadline=Deadline(0))
    assert over.status is Status.TIMED_OUT


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((5,), r"^intent is of type int; give a text, or an Intent"),
        ((Intent("hi"), "start: x"), r"^constraints is text, which could be many things: write ConstraintIR\("),
        ((Intent("hi"), [3]), r"^constraints\[0\] is of type int; give a type, a JSON Schema \(dict\)"),
        ((Intent("hi"), (), {"seed": 1}), r"^options is of type dict; give GenerationOptions, or None"),
    ],
)
def test_an_argument_of_another_type_is_named(arguments: tuple[Any, ...], problem: str) -> None:
    with Orchestrator(backend=ScriptedBackend("hi")) as maze:
        result = maze.generate(*arguments)
    assert result.status is Status.INVALID_ARGUMENT
    assert re.search(problem, result.error or "")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((5, int), "text is of type int; give text (str), or bytes"),
        (("5", int, ConstraintOptions()), "language is of type ConstraintOptions; give text (str)"),
        (("5", int, None, {}), "options is of type dict; give ConstraintOptions, or None"),
    ],
)
def test_an_argument_of_a_validation_of_another_type_is_named(arguments: tuple[Any, ...], problem: str) -> None:
    with Orchestrator(backend=ScriptedBackend([])) as maze, pytest.raises(InvalidArgumentError) as caught:
        maze.validate(*arguments)
    assert str(caught.value) == problem


def test_options_of_another_type_are_the_result_of_a_stream() -> None:
    with Orchestrator(backend=ScriptedBackend("hi")) as maze:
        result = maze.stream("hi", (), {"seed": 1}).result  # type: ignore[arg-type]
    assert result.error == "options is of type dict; give GenerationOptions, or None"


def test_constraints_that_are_compiled_are_taken_where_they_stand_alone() -> None:
    with Orchestrator(backend=ScriptedBackend(["12"])) as maze:
        compiled = maze.compile([DIGITS])
        assert maze.validate("12", compiled)
        assert not maze.validate("x", compiled)
        assert maze.generate(INTENT, compiled).success
        with pytest.raises(InvalidArgumentError, match=r"^constraints\[0\] is compiled already; generate\(\) and"):
            maze.validate("12", [compiled])
