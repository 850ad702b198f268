"""C programs that call a service over HTTP: a storm of calls with faults, and services that fall silent."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from c_programs import TIMEOUT_SECS, check_scenario, compile_program, run, scenarios
from fault_server import (
    DONE,
    Exchange,
    FaultServer,
    Storm,
    answer,
    by_path,
    event,
    fine,
    reset,
    stall,
    stream,
    token,
    unfinished,
)
from service_runner import wait_until

THREADS = 64
CALLS = 10_000


def environment(server: FaultServer) -> dict[str, str]:
    return {"MODAL_ENDPOINT": server.url, "MAZE_DIALECT": "maze"}


# ------------------------------------------------------------------------------------------------ a storm


def test_ten_thousand_calls_of_64_threads_in_c_get_their_own_answers_or_clear_errors() -> None:
    """Each call asks for an echo of its prompt; one in twenty meets a fault."""
    storm = Storm(
        answer(503, b"", "Retry-After: 0"),
        stream(token("<"), DONE),
        unfinished(token("<"), then=reset),
        stream(token("<"), event({"error": {"message": "dead", "code": 400}}), DONE),
    )
    with FaultServer(storm) as server:
        done = run(compile_program("storm"), str(THREADS), str(CALLS), environment=environment(server))
        assert (done.returncode, done.stderr) == (0, "")
        requests = len(server.requests)
    succeeded, failed = map(int, done.stdout.split())
    assert requests >= CALLS
    assert storm.faulty > CALLS * 0.04
    assert succeeded > CALLS * 0.95
    assert failed > CALLS * 0.01


# ------------------------------------------------------------------------------------------------ silence


@contextmanager
def running(scenario: str, server: FaultServer) -> Iterator[subprocess.Popen[str]]:
    """A scenario of service.c, which must succeed without a word."""
    with subprocess.Popen(
        [compile_program("service"), scenario],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(server),
        text=True,
    ) as process:
        try:
            yield process
            said, _ = process.communicate(timeout=TIMEOUT_SECS)
            assert (process.returncode, said) == (0, "")
        finally:
            process.kill()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_shutdown_ends_calls_to_a_silent_service_within_a_second_and_the_next_call_starts_anew() -> None:
    with (
        FaultServer(unfinished(token("a"), then=stall)) as server,
        running("shutdown_ends_stalled_calls_and_the_next_starts_anew", server) as process,
    ):
        for count in (34, 68):  # a call, a stream, and as many of a batch as are under way at once
            wait_until(lambda: len(server.requests) >= count)  # noqa: B023 - called at once
            go_on(process)


def test_a_shutdown_ends_questions_to_a_silent_service_within_a_second() -> None:
    with (
        FaultServer(stall) as server,
        running("shutdown_ends_questions_to_a_silent_service", server) as process,
    ):
        wait_until(lambda: {request.path for request in server.requests} == {"/health", "/models"})
        go_on(process)


def test_a_stream_that_is_cancelled_in_c_frees_its_slot_at_once() -> None:
    left = threading.Event()

    def stall_and_tell(exchange: Exchange) -> None:
        exchange.stall()
        left.set()

    with (
        FaultServer(unfinished(token("a"), then=stall_and_tell)) as server,
        running("a_cancelled_stream_frees_its_slot_at_once", server) as process,
    ):
        # The program waits for us before it ends, so it was the cancellation that closed the connection.
        assert left.wait(30)
        go_on(process)


def test_a_failure_in_a_batch_in_c_touches_no_other() -> None:
    lock = threading.Lock()
    under_way = 0
    most = 0

    def judge(exchange: Exchange) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        good = exchange.received.json()["prompt"] == "good"
        play = fine("good") if good else answer(400, {"error": "this one is bad"})
        play(exchange)
        with lock:
            under_way -= 1

    with (
        FaultServer(judge) as server,
        running("a_failure_in_a_batch_touches_no_other", server),
    ):
        pass
    assert len(server.requests) == 60
    assert most <= 32


# ------------------------------------------------------------------------------------------------ as with the engine


@contextmanager
def good_service(certificate: Path | None) -> Iterator[dict[str, str]]:
    """A service that always answers the same; the environment to use it."""
    play = by_path(
        health=answer(200, {"status": "ok"}), models=answer(200, ["m"]), generate_stream=fine('"red"'), generate=fine()
    )
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    with FaultServer(play, tls=tls) as server:
        yield {**environment(server), "SSL_CERT_FILE": str(certificate)}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("program", "scenario"),
    [(program, scenario) for program in ("descriptors", "endings") for scenario in scenarios(program)],
)
def test_what_holds_with_the_embedded_engine_holds_with_a_service(
    program: str, scenario: str, scheme: str, certificate: Path
) -> None:
    with good_service(certificate if scheme == "https" else None) as variables:
        check_scenario(program, scenario, variables)


def test_every_scenario_is_run() -> None:
    source = Path(__file__).read_text()
    assert [scenario for scenario in scenarios("service") if f'"{scenario}"' not in source] == []
