"""The service beside a hundred heavy compilations: how long health and quick calls take, and how it stops.

`python -m benchmarks.service_load` starts `maze serve` in front of an engine that answers at once. A hundred clients
send the schemas that take longest to compile, no two the same, each its next as soon as it has an answer, or when the
service says that it may come back. Others ask for health and make quick calls, some of them with constraints that were
not seen before. Then it is told to stop. The hundred, who would be on other machines, leave the processor to the rest.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from statistics import quantiles
from urllib.parse import urlsplit

from maze.backends.http.proof import PROOF_TEXT
from maze.grammar import compile_constraints
from maze.types import ConstraintIR

HEAVY_SECS = 2.6
HEAVY_CLIENTS = 100
LOAD_SECS = 30
STOP_SECS = 25
"""What the documentation gives the service to stop."""


class _Engine(BaseHTTPRequestHandler):
    """A llama.cpp server whose model answers {} to everything but to the proof that it obeys grammars, at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are written apart, which takes 40 ms with it

    def do_GET(self) -> None:
        owned = {"object": "list", "data": [{"id": "a-model", "owned_by": "llamacpp"}]}
        self._answer(json.dumps(owned if self.path.endswith("/models") else {"status": "ok"}).encode())

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/apply-template":
            self._answer(json.dumps({"prompt": request["messages"][-1]["content"]}).encode())
            return
        text = PROOF_TEXT if PROOF_TEXT in request["prompt"] else "{}"
        last = {"content": text, "stop": True, "stop_type": "eos", "tokens_predicted": 1, "tokens_evaluated": 1}
        self._answer(b"data: " + json.dumps(last).encode() + b"\n\n", "text/event-stream")

    def _answer(self, body: bytes, kind: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _heavy(number: int, objects: int) -> dict[str, object]:
    """A schema of so many objects, with patterns that may all hold for a name; `number` makes it another one."""
    return {"type": "object", "properties": {f"p{index}": _object(number, index) for index in range(objects)}}


def _object(number: int, index: int) -> dict[str, object]:
    named = {f"^[a-z]{{{least + 1},}}_{number}_{index}": {"maximum": least} for least in range(16)}
    return {"type": "object", "patternProperties": named}


def _objects_for(secs: float) -> int:
    for objects in count(1):
        started = time.process_time()
        compile_constraints([ConstraintIR(json_schema=json.dumps(_heavy(0, objects)))])
        took = time.process_time() - started
        if took >= 0.9 * secs:
            break
    print(f"a schema of {objects} objects takes {took:.1f} s of work alone")
    return objects


def _request(url: str, path: str, body: bytes | None = None) -> int:
    return _answer_to(url, path, body)[0]


def _answer_to(url: str, path: str, body: bytes | None = None) -> tuple[int, float]:
    """The status of the answer on a new connection, 0 if there is none, and how long to stay away, in seconds."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=120)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", path, body, headers)
        response = connection.getresponse()
        response.read()
    except OSError:
        return 0, 1.0
    else:
        return response.status, float(response.getheader("Retry-After") or 0)
    finally:
        connection.close()


def _generate(url: str, schema: object = None) -> int:
    return _request(url, "/generate", _body(schema))


def _body(schema: object) -> bytes:
    constraints = None if schema is None else {"json_schema": schema}
    return json.dumps({"prompt": "x", "constraints": constraints}).encode()


def _send_heavy(url: str, objects: int) -> None:
    """Send heavy requests from a hundred clients, and tell how many had which status: in a process of its own."""
    os.nice(19)
    statuses: Counter[int] = Counter()
    ends_at = time.monotonic() + LOAD_SECS
    plain = _body(_heavy(0, objects)).replace(b"}_0_", b"}_%d_")

    def send(client: int) -> None:
        for number in count(client, HEAVY_CLIENTS):
            if time.monotonic() > ends_at:
                return
            status, stay_away_secs = _answer_to(url, "/generate", plain.replace(b"}_%d_", b"}_%d_" % number))
            statuses[status] += 1
            time.sleep(stay_away_secs)

    threads = [threading.Thread(target=send, args=(client,)) for client in range(HEAVY_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"statuses of the heavy requests: {dict(statuses)}", flush=True)


def _measure(ends_at: float, call: Callable[[int], int], took: list[float], statuses: Counter[int]) -> None:
    for number in count():
        if time.monotonic() > ends_at:
            return
        started = time.monotonic()
        statuses[call(number)] += 1
        took.append(time.monotonic() - started)
        time.sleep(0.1)


def main() -> None:
    """Print the table."""
    objects = _objects_for(HEAVY_SECS)
    engine = ThreadingHTTPServer(("127.0.0.1", 0), _Engine)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    upstream = f"http://127.0.0.1:{engine.server_port}"
    command = [sys.executable, "-m", "maze", "serve", "--port", "0", "--json", "--upstream", upstream]
    environment = {**os.environ, "MAZE_LOG": "error", "MAZE_DIALECT": "llama.cpp"}
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as service:
        assert service.stdout is not None
        url = json.loads(service.stdout.readline())["url"]
        opened = time.monotonic()
        _generate(url, {"maxItems": 1})
        answered = time.monotonic()
        print(f"open after {opened - started:.2f} s, the first constraint answered {answered - opened:.2f} s later")
        calls: dict[str, Callable[[int], int]] = {
            "health": lambda _: _request(url, "/health"),
            "quick, no constraints": lambda _: _generate(url),
            "quick, compiled before": lambda _: _generate(url, {"maxItems": 1}),
            "quick, new": lambda number: _generate(url, {"maxProperties": number}),
        }
        took: dict[str, list[float]] = {name: [] for name in calls}
        statuses: dict[str, Counter[int]] = {name: Counter() for name in calls}
        again = [sys.executable, "-m", "benchmarks.service_load", url, str(objects)]
        with subprocess.Popen(again) as heavy:
            ends_at = time.monotonic() + LOAD_SECS
            threads = [
                threading.Thread(target=_measure, args=(ends_at, call, took[name], statuses[name]))
                for name, call in calls.items()
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            stopped = time.monotonic()
            service.send_signal(signal.SIGTERM)
            code = service.wait(60)
            print(f"stopped with {code} in {time.monotonic() - stopped:.1f} s, of {STOP_SECS} allowed")
            heavy.wait()
        print(f"{'in ms':24}{'median':>9}{'99 %':>9}{'longest':>9}  statuses")
        for name, secs in took.items():
            cuts = quantiles(secs, n=100)
            figures = f"{cuts[49] * 1e3:9.1f}{cuts[98] * 1e3:9.1f}{max(secs) * 1e3:9.1f}"
            print(f"{name:24}{figures}  {dict(statuses[name])}")
    engine.shutdown()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _send_heavy(sys.argv[1], int(sys.argv[2]))
    else:
        main()
