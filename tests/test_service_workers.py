"""maze.service: constraints of strangers are compiled and checked in processes that can be ended."""

from __future__ import annotations

import asyncio
import json
import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import pytest
from scripted_backend import ScriptedBackend
from service_runner import RunningService, metric, post, raw_request, running_service, wait_until
from worker_tasks import Break, Burn, EndBy, Grow, Tell

from maze.check.cut_off import Judgement
from maze.compiled import CompiledConstraints
from maze.errors import EngineUnavailableError, InvalidConstraintError, LimitExceededError
from maze.grammar import compile_constraints
from maze.outcome import ValidationResult
from maze.service import nursery as nursery_module
from maze.service import worker as worker_module
from maze.service import workers as workers_module
from maze.service.contract import MAX_MASK_TOKENS
from maze.service.nursery import Nursery, Worker
from maze.service.refusal import Refusal
from maze.service.settings import ServiceSettings
from maze.service.worker import CheckTask, Compiled, CompileTask
from maze.service.workers import MAX_HEAVY_WAITING, TRIED_AT_ONCE, WorkerDefect, Workers

_Result = TypeVar("_Result")

HEAVY = {
    "json_schema": {
        "type": "object",
        "properties": {f"field_{number}": {"type": "string", "maxLength": number} for number in range(500)},
    }
}
"""A second of work, and as honest as any."""


def with_workers(use: Callable[[Workers], Awaitable[_Result]]) -> _Result:
    async def run() -> _Result:
        workers = Workers()
        workers.start()
        try:
            return await use(workers)
        finally:
            workers.close()

    return asyncio.run(run())


def test_a_task_is_done_elsewhere_and_its_error_comes_back() -> None:
    async def use(workers: Workers) -> None:
        pid, _, _, _, _ = await workers.run(Tell(), "telling")
        assert pid != os.getpid()
        assert (await workers.run(Tell(), "telling"))[0] == pid  # a worker goes on to the next task
        with pytest.raises(InvalidConstraintError, match="regex_patterns"):
            await workers.run(CompileTask('{"regex_patterns": ["("]}', None), "compiling")

    with_workers(use)


def test_a_defect_in_a_task_is_told_with_its_traceback() -> None:
    async def use(workers: Workers) -> None:
        with pytest.raises(WorkerDefect, match=r"(?s)Traceback.*ZeroDivisionError: inside"):
            await workers.run(Break(), "breaking")

    with_workers(use)


def test_a_task_that_takes_too_much_memory_ends_alone() -> None:
    async def use(workers: Workers) -> None:
        with pytest.raises(LimitExceededError, match="memory"):
            await workers.run(Grow(), "growing")
        assert await workers.run(Burn(0), "burning") == 0

    with_workers(use)


def test_a_task_that_takes_too_long_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "MAX_HEAVY_SECS", 0.3)

    async def use(workers: Workers) -> None:
        started = monotonic()
        with pytest.raises(LimitExceededError, match=r"burning takes over 0\.3 s"):
            await workers.run(Burn(60), "burning")
        assert monotonic() - started < 10
        assert await workers.run(Burn(0), "burning") == 0

    with_workers(use)


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (signal.SIGSEGV, LimitExceededError, "SIGSEGV"),
        (signal.SIGABRT, LimitExceededError, "SIGABRT"),
        (signal.SIGKILL, EngineUnavailableError, "from outside"),
    ],
)
def test_a_worker_that_dies_costs_its_task_alone(number: int, kind: type[Exception], said: str) -> None:
    async def use(workers: Workers) -> None:
        beside = asyncio.create_task(workers.run(Burn(0.5), "burning"))
        with pytest.raises(kind, match=said):
            await workers.run(EndBy(number), "ending")
        assert await beside == 0.5
        assert await workers.run(Burn(0), "burning") == 0

    with_workers(use)


def test_a_worker_that_was_killed_while_it_had_nothing_to_do_costs_nothing() -> None:
    async def use(workers: Workers) -> None:
        pid = (await workers.run(Tell(), "telling"))[0]
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
        assert (await workers.run(Tell(), "telling"))[0] != pid

    with_workers(use)


def test_a_nursery_that_was_killed_is_replaced() -> None:
    async def use(workers: Workers) -> None:
        await workers.run(Burn(0), "burning")
        assert workers._nursery is not None
        nursery = workers._nursery._process.pid
        running = asyncio.create_task(workers.run(Burn(60), "burning"))
        await asyncio.sleep(0.1)
        os.kill(nursery, signal.SIGKILL)
        with pytest.raises(EngineUnavailableError):
            await running
        assert await workers.run(Burn(0), "burning") == 0

    with_workers(use)


def test_workers_are_closed_on_a_machine_that_does_not_get_round_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nursery_module, "_END_SECS", 0.0)

    async def use(workers: Workers) -> subprocess.Popen[bytes]:
        await workers.run(Burn(0), "burning")
        assert workers._nursery is not None
        return workers._nursery._process

    assert with_workers(use).wait(30) == -signal.SIGKILL


def test_a_worker_of_a_nursery_that_has_just_ended_can_be_ended() -> None:
    async def use(_: Workers) -> None:
        nursery = Nursery()
        worker = await Worker.begin(nursery)
        nursery._process.kill()
        nursery._process.wait()
        worker.kill()  # before the loop has seen it
        nursery.close()

    with_workers(use)


def test_workers_hold_no_file_key_or_session_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAZE_API_KEY", "a-secret")
    monkeypatch.setenv("MODAL_API_KEY", "a-secret")

    async def use(workers: Workers) -> None:
        with Path(__file__).open() as file:
            os.set_inheritable(file.fileno(), True)
            _, session, files, score, environment = await workers.run(Tell(), "telling")
        assert session != os.getsid(0)
        assert sorted(name.split(":")[0] for name in files) == ["/dev/null"] * 3 + ["socket"]
        assert score == "1000\n"
        assert "a-secret" not in environment.values()

    with_workers(use)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_all_processes_leave_workers_at_work(number: int) -> None:
    async def use(workers: Workers) -> None:
        pid = (await workers.run(Tell(), "telling"))[0]
        assert workers._nursery is not None
        for each in (pid, workers._nursery._process.pid):
            os.kill(each, number)
        assert (await workers.run(Tell(), "telling"))[0] == pid

    with_workers(use)


def test_quick_tasks_are_done_beside_any_number_of_heavy_ones() -> None:
    async def use(workers: Workers) -> None:
        heavy = [asyncio.create_task(workers.run(Burn(3), "burning")) for _ in range(60)]
        await asyncio.sleep(0.5)
        took = []
        for _ in range(10):
            started = monotonic()
            assert await workers.run(Burn(0.001), "burning") == 0.001
            took.append(monotonic() - started)
            await asyncio.sleep(0.1)
        for task in heavy:
            task.cancel()
        assert sorted(took)[5] < 2, took  # one after the other, the heavy ones take minutes

    with_workers(use)


def test_too_many_heavy_tasks_are_refused_and_told_when_to_come_again() -> None:
    async def use(workers: Workers) -> None:
        heavy_at_once = workers._heavy._places
        tasks = [
            asyncio.create_task(workers.run(Burn(60), "burning"))
            for _ in range(heavy_at_once + MAX_HEAVY_WAITING + TRIED_AT_ONCE)
        ]
        done, _ = await asyncio.wait(tasks, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        refusal = next(iter(done)).exception()
        assert isinstance(refusal, Refusal)
        assert (refusal.http_status, refusal.code) == (429, "rate_limited")
        assert 1 <= int(refusal.headers["Retry-After"]) <= 60
        for task in tasks:
            task.cancel()

    with_workers(use)


def test_what_nobody_waits_for_any_more_is_ended() -> None:
    async def use(workers: Workers) -> None:
        tasks = [asyncio.create_task(workers.run(Burn(60), "burning")) for _ in range(workers._heavy._places)]
        while workers._heavy.taken == 0:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert (workers._heavy.taken, workers._trials.taken) == (0, 0)

    with_workers(use)


# ------------------------------------------------------------------------------------------------ through HTTP


@pytest.fixture
def service() -> Iterator[RunningService]:
    with running_service(ScriptedBackend(["{}"])) as running:
        yield running


def test_requests_for_the_same_constraints_wait_for_one_compilation(service: RunningService) -> None:
    with ThreadPoolExecutor(8) as clients:
        answers = [
            answer.json()
            for answer in clients.map(lambda _: post(service, {"prompt": "p", "constraints": HEAVY}), range(8))
        ]
    times = [answer["stats"]["compile_time_ms"] for answer in answers]
    assert len([each for each in times if each > 0]) == 1, times
    assert {answer["constraint_satisfied"] for answer in answers} == {True}


def test_the_next_request_for_the_same_constraints_finds_them_compiled(service: RunningService) -> None:
    body = {"prompt": "p", "constraints": {"regex_patterns": ["^..$"]}}
    first, second = (post(service, body).json() for _ in range(2))
    assert first["stats"]["compile_time_ms"] > 0 == second["stats"]["compile_time_ms"]
    assert first["constraint_satisfied"] is second["constraint_satisfied"] is True
    assert first["stats"]["total_time_ms"] >= first["stats"]["compile_time_ms"]


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
def test_large_bodies_are_read_in_other_processes_and_small_ones_at_once(
    service: RunningService, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def nothing_is_read(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(worker_module, "read_request", nothing_is_read)
    large = {"prompt": "p", "constraints": {"json_schema": {"description": "d" * 20_000}}, "request_id": "r-large"}
    answer = post(service, large, path)
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (200, "r-large")
    refused = post(service, {**large, "temperature": -1}, path)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "temperature")
    assert post(service, {"prompt": "p"}, path).status_code == 500


def test_a_client_that_leaves_while_its_body_is_read_is_not_waited_for(service: RunningService) -> None:
    ids = list(range(250_000))
    with raw_request(service, "/generate", {"prompt": "p", "constraints": {"token_mask": {"forbidden": ids}}}):
        wait_until(lambda: metric(service, "maze_compilations_running") == 1)
    wait_until(lambda: metric(service, 'maze_requests_total{route="/generate",status="499"}') == 1)
    wait_until(lambda: metric(service, "maze_compilations_running") == 0)


@pytest.mark.parametrize("rule", ["allowed", "forbidden"])
def test_masks_that_no_vocabulary_has_are_refused(service: RunningService, rule: str) -> None:
    mask = {rule: list(range(MAX_MASK_TOKENS + 1))}
    answer = post(service, {"prompt": "p", "constraints": {"token_mask": mask}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "limit_exceeded")
    assert answer.json()["error"]["param"] == f"constraints.token_mask.{rule}"


def test_what_the_service_keeps_of_constraints_and_checks_has_none_of_their_parts() -> None:
    patterns = json.dumps({"regex_patterns": [f"^[ab]{{1,{number}}}" for number in range(1, 300)]})

    async def use(workers: Workers) -> None:
        compiled: Compiled = await workers.run(CompileTask(patterns, None), "compiling")
        assert len(pickle.dumps(compiled.for_engine)) < 2000 < len(compiled.whole)
        task = CheckTask(b"b", compiled.whole, math.inf, False)
        assert (await workers.run(task, "checking")).validation == ValidationResult(True)
        compiled = await workers.run(CompileTask(json.dumps({"regex_patterns": ["a", "b", "c"]}), None), "compiling")
        judgement: Judgement = await workers.run(CheckTask(b"b", compiled.whole, math.inf, False), "checking")
        violated = [outcome.path for outcome in judgement.validation.outcomes]
        assert violated == [f"constraints[0].regex_patterns[{number}]" for number in (0, 2)], "as b has a b in it"

    with_workers(use)


@pytest.mark.parametrize(("patterns", "says"), [([".*", "a"], True), ([".*"], False)])
def test_the_service_keeps_whether_constraints_say_anything(
    patterns: list[str], says: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unenforced(*given: Any) -> CompiledConstraints:  # noqa: ANN401 - what compile_constraints() takes
        return replace(compile_constraints(*given), grammar=None)

    monkeypatch.setattr(worker_module, "compile_constraints", unenforced)
    compiled = CompileTask(json.dumps({"regex_patterns": patterns}), None).run()
    assert compiled.for_engine.says_something is pickle.loads(compiled.whole).says_something is says


def test_compilations_of_a_client_that_leaves_are_ended(service: RunningService) -> None:
    with raw_request(service, "/generate", {"prompt": "p", "constraints": HEAVY}):
        wait_until(lambda: metric(service, "maze_compilations_running") == 1)
    wait_until(lambda: metric(service, "maze_compilations_running") == 0)
    wait_until(lambda: metric(service, 'maze_requests_total{route="/generate",status="499"}') == 1)


def test_a_compilation_that_is_over_its_limit_is_an_error_of_the_request(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "TRIAL_CPU_SECS", 0.01)
    monkeypatch.setattr(workers_module, "MAX_HEAVY_SECS", 0.02)
    response = post(service, {"prompt": "p", "constraints": HEAVY})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["retryable"]) == (400, "limit_exceeded", False)
    assert "takes over 0.02 s" in error["message"]
    assert error["param"] == "constraints"


def test_a_service_that_stops_does_not_wait_for_compilations_longer_than_it_may() -> None:
    very_heavy = {"json_schema": {"properties": {f"p{number}": {"maxLength": number} for number in range(1900)}}}
    settings = ServiceSettings(stop_grace_secs=0.2)
    with running_service(ScriptedBackend(["{}"]), settings) as service, ThreadPoolExecutor(4) as clients:
        answers = [
            clients.submit(post, service, {"prompt": "p", "constraints": very_heavy, "context": {"language": language}})
            for language in ("a", "b", "c", "d")
        ]
        wait_until(lambda: metric(service, "maze_compilations_running") > 0)
        started = monotonic()
        service.server.stop()
        told = [answer.result() for answer in answers]
        service.thread.join(30)
        assert monotonic() - started < 10
    refused = [answer for answer in told if answer.status_code == 503]
    assert refused
    assert all("stopping" in answer.json()["error"]["message"] for answer in refused)


PARENT = """
import asyncio, os, sys
from maze.service.workers import Workers
sys.path.insert(0, {tests!r})
from worker_tasks import Burn, Tell
async def main():
    workers = Workers()
    workers.start()
    pid = (await workers.run(Tell(), "telling"))[0]
    asyncio.create_task(workers.run(Burn(600), "burning"))
    await asyncio.sleep(0.5)
    print(pid, workers._nursery._process.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_workers_end_with_a_service_that_is_killed_while_they_work() -> None:
    program = PARENT.format(tests=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        parent.kill()
    wait_until(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
