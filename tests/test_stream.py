"""maze.stream: a generation as an iterator, and what happens to one that nobody reads to its end."""

from __future__ import annotations

import time

import pytest
from scripted_backend import ScriptedBackend

from maze.backends.base import Request
from maze.config import MazeConfig
from maze.errors import Status
from maze.options import GenerationOptions
from maze.orchestrator import Orchestrator
from maze.types import ConstraintIR, Intent

INTENT = Intent("write it")
DIGITS = ConstraintIR(regex_patterns=("^[0-9]+$",), name="digits")


def orchestrator(backend: ScriptedBackend) -> Orchestrator:
    return Orchestrator(MazeConfig(), backend=backend)


def test_a_stream_gives_the_pieces_and_then_the_same_result() -> None:
    maze = orchestrator(ScriptedBackend(["1", "2"]))
    with maze.stream(INTENT, [DIGITS]) as stream:
        assert list(stream) == ["1", "2"]
        assert (stream.result.code, stream.result.success) == ("12", True)


def test_leaving_a_stream_early_cancels_the_generation() -> None:
    endless = ScriptedBackend(["1"] * 10_000)
    with orchestrator(endless).stream(INTENT) as stream:
        first = next(iter(stream))
    assert first == "1"
    assert stream.result.status is Status.CANCELLED
    assert len(stream.result.code) < 10_000


def _is_cancelled(request: Request) -> bool:
    for _ in range(200):
        if request.cancellation.cancelled:
            return True
        time.sleep(0.05)
    return False


def test_leaving_the_loop_over_a_stream_cancels_the_generation() -> None:
    endless = ScriptedBackend(["1"] * 10_000)
    stream = orchestrator(endless).stream(INTENT)
    for _ in stream:
        break
    assert stream.result.status is Status.CANCELLED


def test_a_stream_that_nobody_reads_or_refers_to_ends() -> None:
    endless = ScriptedBackend(["1"] * 10_000)
    maze = orchestrator(endless)
    maze.stream(INTENT)
    for _ in range(200):
        if endless.requests:
            break
        time.sleep(0.05)
    assert _is_cancelled(endless.requests[0])


def test_a_stream_that_is_not_read_ends_at_its_deadline() -> None:
    endless = ScriptedBackend(["1"] * 10_000)
    stream = orchestrator(endless).stream(INTENT, (), GenerationOptions(timeout_ms=300))
    time.sleep(0.5)
    assert stream.result.status is Status.TIMED_OUT


def test_a_fault_in_the_engine_reaches_the_reader_of_a_stream() -> None:
    def fail(_: Request) -> None:
        raise ZeroDivisionError

    with orchestrator(ScriptedBackend([fail])).stream(INTENT) as stream, pytest.raises(ZeroDivisionError):
        list(stream)
