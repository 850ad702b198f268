"""How much address space a call takes at its height, for each byte of its input: what maze.memory asks for.

`python -m benchmarks.memory` runs benchmarks/memory.c, each call in a process of its own after a small one of its kind.
Threads share one arena of glibc's, of which each new one would take 64 MiB. The answers come from a service here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from benchmarks.compile import ROOT

LIBRARIES = Path(sys.prefix) / "lib"
MIB = 2**20
ANSWER = 4 * MIB


class Kind(NamedTuple):
    """One call: its name, "validate", "compile" or "generate", the kind of its constraint, that and its text."""

    name: str
    call: str
    constraint_kind: str
    constraint: str
    text: str


def repeated(start: str, item: str, end: str, size: int) -> str:
    """`item`, in which # is replaced by its number, again and again with commas between."""
    count = size // (len(item) + 4)
    return start + ",".join(item.replace("#", str(number)) for number in range(count)) + end


def kinds() -> Iterator[Kind]:
    """What is measured."""
    anything = "{}"
    objects_only = '{"type": "object"}'
    yield Kind("prompt of ASCII", "generate", "none", "", "a" * (8 * MIB))
    yield Kind("prompt of control characters", "generate", "none", "", "\x01" * (8 * MIB))
    yield Kind("prompt with one emoji", "generate", "none", "", "\U0001f600" + "a" * (8 * MIB))
    yield Kind("answer of many events", "generate", "none", "", "many")
    yield Kind("answer in one event", "generate", "none", "", "one")
    yield Kind("text against a pattern", "validate", "pattern", "^a*$", "a" * MIB)
    yield Kind("text against a hard pattern", "validate", "pattern", r"^(\w|\d)*a\w{200}$", "ab" * (MIB // 16))
    for name, item in (("zeros", "0"), ("fractions", "0.1"), ("objects", "{}"), ("names", '{"n#":{}}')):
        yield Kind(f"JSON of {name}", "validate", "schema", anything, repeated("[", item, "]", 4 * MIB))
    yield Kind("JSON of objects, broken", "validate", "schema", objects_only, repeated("[", "{}", "]", 4 * MIB))
    for name, item in (("properties", '"p#":{"type":"string"}'), ("references", '"p#":{"$ref":"#/$defs/d"}')):
        schema = repeated('{"$defs":{"d":{}},"type":"object","properties":{', item, "}}", 48_000)
        yield Kind(f"schema of {name}", "compile", "schema", schema, "")
    yield Kind("schema of an enum", "compile", "schema", repeated('{"enum":[', '"v#"', "]}", 400_000), "")
    yield Kind(
        "schema of patterns", "compile", "schema", repeated('{"anyOf":[', '{"pattern":"^a#b"}', "]}", 48_000), ""
    )
    yield Kind("schema of constants", "compile", "schema", repeated('{"anyOf":[', '{"const":#}', "]}", 48_000), "")
    rules = "\n".join(f'r{number}: "a" r{number + 1}' for number in range(2_000))
    yield Kind("Lark grammar, a chain", "compile", "grammar", f'start: r0\n{rules}\nr2000: "b"\n', "")
    rules = "\n".join(f'r{number} ::= "a" | "b" | [c-e]' for number in range(2_000))
    uses = " ".join(f"r{number}" for number in range(2_000))
    yield Kind("GBNF grammar, many rules", "compile", "grammar", f"root ::= {uses}\n{rules}\n", "")
    yield Kind("pattern, long", "compile", "pattern", "^" + "[a-z]{1,20}x?" * 150 + "$", "")
    yield Kind("pattern, unanchored", "compile", "pattern", r"\w{1,100}x\d{5}", "")


class _Service(BaseHTTPRequestHandler):
    """Answers as the Maze service does."""

    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        prompt = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["prompt"]
        texts = {"many": ["hello "] * (ANSWER // 6), "one": ["x" * ANSWER]}.get(prompt, ["hi"])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for text in texts:
            self.wfile.write(b"data: %s\n\n" % json.dumps({"token": text, "done": False}).encode())
        done = {"token": "", "done": True, "finish_reason": "stop", "tokens_generated": len(texts), "model": "m"}
        self.wfile.write(b"data: %s\n\ndata: [DONE]\n\n" % json.dumps(done).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def service() -> Iterator[str]:
    """Run it; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def main() -> None:
    """Print the table."""
    print(f"{'':32}{'input bytes':>12}{'MiB':>9}{'per byte':>10}   outcome")
    with service() as url, tempfile.TemporaryDirectory() as name:
        program, constraint, text = Path(name, "memory"), Path(name, "constraint"), Path(name, "text")
        flags = [f"-I{ROOT / 'include'}", f"-L{LIBRARIES}", "-lmaze", f"-Wl,-rpath,{LIBRARIES}"]
        subprocess.run(["cc", "-O2", str(Path(__file__).with_suffix(".c")), "-o", str(program), *flags], check=True)
        environment = {**os.environ, "MODAL_ENDPOINT": url, "MAZE_DIALECT": "maze", "MALLOC_ARENA_MAX": "1"}
        for kind in kinds():
            constraint.write_text(kind.constraint)
            text.write_text(kind.text)
            command = [str(program), kind.call, kind.constraint_kind, str(constraint), str(text)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            taken, outcome = done.stdout.split(maxsplit=1)
            size = ANSWER if kind.text in ("many", "one") else max(len(kind.constraint), len(kind.text))
            figures = f"{size:12}{int(taken) / MIB:9.1f}{int(taken) / size:10.1f}"
            print(f"{kind.name:32}{figures}   {outcome.strip()[:60]}", flush=True)


if __name__ == "__main__":
    main()
