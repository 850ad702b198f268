"""A whole maze_generate over loopback against a server that answers at once, and where the time goes.

`python benchmarks/http_generate.py` needs the built library (make) and a C compiler. Targets and the figures of the
Rust original are printed beside ours; both machines have few cores, which the server shares.
"""

from __future__ import annotations

import http.client
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from maze import ConstraintIR, Intent, MazeConfig, Orchestrator
from maze.backends.base import Cancellation, Deadline, Prompt, Request
from maze.backends.http.backend import HttpBackend
from maze.compiled import EngineGrammar
from maze.config import ModalConfig

HERE = Path(__file__).parent
PREFIX = Path(sys.prefix)
TEXT = '{"name":"parse_date","returns":"str","lines":12}'
PATTERNS = [r'"name":\s*"[a-z_]+"', "parse_[a-z]+", r"\{.*\}", "str|int|bool"]
SCHEMA = orjson.dumps(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z]+(_[a-z]+)*$"},
            "returns": {"enum": ["int", "str", "bool"]},
            "lines": {"type": "integer", "minimum": 1, "maximum": 99},
            **{
                f"field_{number}": {"type": "string", "maxLength": 40, "description": f"The field number {number}."}
                for number in range(105)
            },
        },
        "required": ["name", "returns", "lines"],
        "additionalProperties": False,
    }
)
THREADS = (1, 8, 64)
CALLS = 6000

# ------------------------------------------------------------------------------------------------ the server


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _answer() -> bytes:
    summary = {
        "token": "",
        "done": True,
        "generated_text": TEXT,
        "tokens_generated": 16,
        "model": "a-model",
        "finish_reason": "stop",
        "constraint_satisfied": True,
        "stats": {"total_time_ms": 1},
    }
    events = [{"token": TEXT, "done": False}, summary]
    body = b"".join(_chunk(b"data: " + orjson.dumps(event) + b"\n\n") for event in events)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + body + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def serve() -> None:
    """Answer every request at once, in one thread and without looking at it, until standard input ends."""
    answer = _answer()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    poll.register(sys.stdin, select.EPOLLIN)
    length = re.compile(rb"content-length: ([0-9]+)", re.IGNORECASE)
    connections: dict[int, tuple[socket.socket, bytearray]] = {}
    while True:
        for number, _ in poll.poll():
            if number == sys.stdin.fileno():
                return
            if number == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = (connection, bytearray())
                poll.register(connection, select.EPOLLIN)
                continue
            connection, received = connections[number]
            data = connection.recv(262144)
            if not data:
                poll.unregister(connection)
                connection.close()
                del connections[number]
                continue
            received += data
            end = received.find(b"\r\n\r\n")
            if end >= 0 and (found := length.search(received, 0, end)) and len(received) >= end + 4 + int(found[1]):
                connection.sendall(answer)
                received.clear()


@contextmanager
def server() -> Iterator[int]:
    """Port of a server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


# ------------------------------------------------------------------------------------------------ measuring


def measure(call: Callable[[], object], threads: int) -> tuple[float, float, float]:
    """Median and 99th percentile in microseconds, and calls per second."""
    for _ in range(50):
        call()
    times: list[float] = []

    def work() -> None:
        for _ in range(CALLS // threads):
            before = time.perf_counter()
            call()
            times.append(time.perf_counter() - before)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = time.perf_counter() - began
    times.sort()
    return times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6, len(times) / took


def bare_post(port: int) -> Callable[[], object]:
    """A POST of http.client with the same body, one connection a thread: what there is to beat."""
    local = threading.local()
    body = b"x" * len(SCHEMA)

    def call() -> object:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", port)
        local.connection.request("POST", "/generate", body, {"Content-Type": "application/json"})
        return local.connection.getresponse().read()

    return call


def backend_alone(port: int) -> Callable[[], object]:
    """HttpBackend.generate, with a grammar of the size of the schema."""
    backend = HttpBackend(ModalConfig(endpoints=(f"http://127.0.0.1:{port}",), dialect="maze"))
    grammar = EngineGrammar("start: %json " + SCHEMA.decode())

    def call() -> object:
        limits = (Deadline(60_000), Cancellation())
        request = Request(Prompt("Plan."), grammar, None, 64, 0.0, 1.0, 0, 1, (), None, "id", *limits)
        return backend.generate(request, lambda _: True)

    return call


def orchestrator_alone(port: int) -> Callable[[], object]:
    """Orchestrator.generate with the constraints in its cache."""
    orchestrator = Orchestrator(MazeConfig(endpoint=f"http://127.0.0.1:{port}", dialect="maze"))
    constraints = (
        ConstraintIR(json_schema=SCHEMA.decode(), priority=1),
        ConstraintIR(regex_patterns=tuple(PATTERNS)),
    )
    intent = Intent("Plan a function that parses a date.", language="python")

    def call() -> object:
        result = orchestrator.generate(intent, constraints, constraints_key="mix")
        assert result.success, result.error
        return result

    return call


def whole_call(program: Path, port: int, threads: int, *files: Path) -> tuple[float, float, float]:
    """maze_generate in a C program."""
    environment = {**os.environ, "MODAL_ENDPOINT": f"http://127.0.0.1:{port}", "MAZE_DIALECT": "maze"}
    command = [str(program), str(threads), str(CALLS), *map(str, files)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    median, high, rate = map(float, done.stdout.split())
    return median, high, rate


def main() -> None:
    """Print the table."""
    print(f"A call over loopback; {CALLS} calls each, {os.cpu_count()} cores shared with the server; microseconds")
    print(
        f"The mix: a JSON Schema of {len(SCHEMA)} bytes, enforced, and {len(PATTERNS)} patterns, checked afterwards\n"
    )
    print(f"{'':42}{'threads':>8}{'median':>9}{'99 %':>9}{'calls/s':>9}   to reach [Rust original]")

    def row(name: str, threads: int, figures: tuple[float, float, float], target: str = "") -> None:
        print(f"{name:42}{threads:8}{figures[0]:9.0f}{figures[1]:9.0f}{figures[2]:9.0f}   {target}", flush=True)

    with server() as port, tempfile.TemporaryDirectory() as folder:
        program, schema, patterns = Path(folder, "http_generate"), Path(folder, "schema"), Path(folder, "patterns")
        schema.write_bytes(SCHEMA)
        patterns.write_text("\n".join(PATTERNS))
        library = PREFIX / "lib"
        command = ["cc", "-O2", str(HERE / "http_generate.c"), "-o", str(program), f"-I{HERE.parent / 'include'}"]
        subprocess.run([*command, f"-L{library}", "-lmaze", f"-Wl,-rpath,{library}", "-pthread"], check=True)

        for threads in THREADS:
            row("bare http.client POST", threads, measure(bare_post(port), threads))
        for threads, target in zip(THREADS, ("<= 300 us [84]", "", ""), strict=True):
            row("maze_generate, no constraints", threads, whole_call(program, port, threads), target)
        mix = f"maze_generate, mix of {(len(SCHEMA) + sum(map(len, PATTERNS))) / 1000:.1f} KB, cached"
        targets = ("<= 320 us [380], >= 3000/s [2429]", ">= 3000/s [1948]", ">= 3000/s [1286]")
        for threads, target in zip(THREADS, targets, strict=True):
            row(mix, threads, whole_call(program, port, threads, schema, patterns), target)
        print("\nwhere it goes, with the mix")
        for threads in THREADS:
            row("  HttpBackend.generate alone", threads, measure(backend_alone(port), threads))
            row("  Orchestrator.generate (+ check, provenance)", threads, measure(orchestrator_alone(port), threads))


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        main()
