"""The soak: `make soak`, 20 minutes of a mixed load whose every result is judged, in one C program (tests/c/soak.c).

Its HTTP calls go to a server that does with each prompt what the prompt says: it echoes it, or meets it with a fault.
Prints calls, faults, memory, descriptors and threads at start, middle and end, and ends with an error for a result that
is wrong or late, or for growth beyond the bounds in soak.c.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count

from c_programs import compile_program
from fault_server import STREAM_HEAD, Answer, Exchange, FaultServer, Play, answer, close, fine, reset, stall, token
from fault_server import unfinished as unfinished_stream

_FAULTS: dict[str, Play] = {
    "reset": reset,
    "close": close,
    "cut": unfinished_stream(token("par"), then=reset),
    "500": answer(500, b""),
    "429": answer(429, b"", "Retry-After: 0"),
    "400": answer(400, {"error": "no"}),
    "html": answer(200, b"<html>", content_type="text/html"),
    "stall": Answer(STREAM_HEAD, stall),
}
WRONG_EACH = 100
"""Of so many answers one is wrong where that is planted."""


def soak(secs: float, planted: str = "") -> subprocess.CompletedProcess[str]:
    """Run it. `planted` is a fault that it must find: "wrong" answers, or leaked "descriptors"."""
    answered = count(1)

    def play(exchange: Exchange) -> None:
        path = exchange.received.path
        if path in ("/health", "/models"):
            answer(200, {"status": "ok"} if path == "/health" else ["a-model"])(exchange)
            return
        prompt = exchange.received.json()["prompt"]
        _, _, fault = prompt.partition(" fault=")
        if planted == "wrong" and next(answered) % WRONG_EACH == 0:
            fine("something else")(exchange)
        else:
            _FAULTS.get(fault, fine(prompt))(exchange)

    with FaultServer(play) as server:
        environment = {"MODAL_ENDPOINT": server.url, "MAZE_DIALECT": "maze", "MAZE_LOG": "maze=debug"}
        return subprocess.run(
            [compile_program("soak"), f"{secs:g}", planted],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
            timeout=secs + 300,
            check=False,
        )


if __name__ == "__main__":
    done = soak(float(sys.argv[1]))
    sys.stdout.write(done.stdout)
    sys.exit(done.returncode)
