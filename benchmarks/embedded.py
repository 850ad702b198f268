"""What the embedded engine costs over its own library: tokens per second and first token, and calls beside a load.

`python -m benchmarks.embedded [ROUNDS] [THREADS]`. The library (xllamacpp) runs in a process of its own with the same
model, threads, settings, prompts and grammars, called directly and without HTTP; llguidance's forced tokens are on
there. Both take turns in each round, and the figures are medians of the ratios of the rounds. With `threads` in the
place of ROUNDS it measures how many threads are best instead, on this machine as it is and with one busy core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.compile import LIBRARIES, ROOT
from maze import ConstraintIR, GenerationOptions, Intent, MazeConfig, Orchestrator
from maze.engine import bundled_model
from maze.engine.embedded import BATCH_TOKENS, CONTEXT_TOKENS, SLOTS, default_threads
from maze.grammar import compile_constraints
from maze.grammar.llguidance import engine_text

TOKENS = 64
LOADS = 5
PROMPT = "Write a short record about a person."
TEMPLATED_PROMPT = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    f"<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n"
)
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 20, "maxLength": 60},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 5, "maxLength": 12}, "minItems": 6},
        "city": {"type": "string", "minLength": 10},
    },
    "required": ["name", "age", "tags", "city"],
    "additionalProperties": False,
}
KINDS: dict[str, list[ConstraintIR]] = {
    "unconstrained": [],
    "pattern": [ConstraintIR(regex_patterns=(r"^[a-z]{3,9}( [a-z]{2,9}){30,60}$",))],
    "schema": [ConstraintIR(json_schema=json.dumps(SCHEMA))],
}

DIRECT = """
import json, sys, time
import xllamacpp
settings = json.loads(sys.argv[1])
params = xllamacpp.CommonParams()
params.model.path = settings["model"]
params.n_parallel, params.n_ctx, params.n_batch = settings["slots"], settings["context"], settings["batch"]
for cpu in (params.cpuparams, params.cpuparams_batch):
    cpu.n_threads, cpu.poll = settings["threads"], 0
params.cache_ram_mib, params.warmup, params.verbosity, params.ui = 0, False, -1, False
params.hostnames, params.api_keys = [settings["socket"]], ["benchmark"]
server = xllamacpp.Server(params)
print(flush=True)
for line in sys.stdin:
    body = json.loads(line)
    times, counts = [], []
    def take(chunk):
        if any(choice["text"] for choice in chunk.get("choices", ())):
            times.append(time.perf_counter())
        if chunk.get("usage"):
            counts.append(chunk["usage"]["completion_tokens"])
    began = time.perf_counter()
    server.handle_completions(body, take)
    print(json.dumps([counts[-1], times[0] - began, times[-1] - times[0]]), flush=True)
"""


def main() -> None:
    """Print the tables."""
    if sys.argv[1:2] == ["threads"]:
        measure_threads()
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else default_threads()
    print(f"embedded engine over its library used directly: {rounds} rounds of {TOKENS} tokens, {threads} threads")
    print(f"{'':16}{'tokens/s':>10}{'directly':>10}{'ratio':>8}{'first token later by':>24}")
    with direct(threads) as ask, Orchestrator(MazeConfig(local_threads=threads)) as maze:
        for kind in KINDS:
            ours, theirs = [], []
            for seed in range(rounds + 1):  # the first of each is not counted
                if seed % 2:
                    ours.append(through_maze(maze, kind, seed))
                theirs.append(ask(kind, seed))
                if not seed % 2:
                    ours.append(through_maze(maze, kind, seed))
            ours, theirs = ours[1:], theirs[1:]
            ratio = median(mine[0] / other[0] for mine, other in zip(ours, theirs, strict=True))
            later = median((mine[1] - other[1]) * 1000 for mine, other in zip(ours, theirs, strict=True))
            speeds = median(mine[0] for mine in ours), median(other[0] for other in theirs)
            print(f"{kind:16}{speeds[0]:10.1f}{speeds[1]:10.1f}{ratio:8.2f}{later:21.1f} ms", flush=True)
    times = calls_beside_loads()
    centiles = quantiles(times, n=100)
    print(f"a cached compilation while the model loads, {len(times)} calls in {LOADS} loads, in ms:")
    print(f"median {centiles[49] / 1000:.2f}, 99 % {centiles[98] / 1000:.2f}, longest {max(times) / 1000:.2f}")


def measure_threads() -> None:
    """Tokens per second by number of threads, alone and beside one busy process."""
    print(f"tokens per second of {os.cpu_count()} cores, medians of 5")
    print(f"{'threads':10}{'idle machine':>15}{'one core busy':>15}{'4 at once, idle':>18}")
    for threads in range(1, len(os.sched_getaffinity(0)) + 1):
        with Orchestrator(MazeConfig(local_threads=threads)) as maze:
            through_maze(maze, "pattern", 0)
            idle = median(through_maze(maze, "pattern", seed)[0] for seed in range(5))
            with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
                busy = median(through_maze(maze, "pattern", seed)[0] for seed in range(5))
                other.kill()
            began = time.perf_counter()
            results = maze.generate_batch(
                [Intent(PROMPT)] * 8, KINDS["pattern"], GenerationOptions(max_tokens=TOKENS, seed=1)
            )
            together = sum(result.metadata.tokens_generated or 0 for result in results) / (time.perf_counter() - began)
        print(f"{threads:<10}{idle:15.1f}{busy:15.1f}{together:18.1f}", flush=True)


def through_maze(maze: Orchestrator, kind: str, seed: int) -> tuple[float, float]:
    """Tokens per second after the first, and seconds to the first, of a generation with everything around it."""
    times: list[float] = []
    began = time.perf_counter()
    result = maze.generate(
        Intent(PROMPT),
        KINDS[kind],
        GenerationOptions(max_tokens=TOKENS, seed=seed, temperature=0.7),
        on_text=lambda _: times.append(time.perf_counter()),
    )
    tokens = result.metadata.tokens_generated or 0
    return (tokens - 1) / (times[-1] - times[0]), times[0] - began


@contextmanager
def direct(threads: int) -> Iterator[Any]:
    """Ask the library directly, as through_maze() asks libmaze."""
    compiled = {kind: compile_constraints(constraints).grammar for kind, constraints in KINDS.items()}
    grammars = {kind: engine_text(grammar) for kind, grammar in compiled.items() if grammar is not None}
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "model": str(bundled_model()),
            "slots": SLOTS,
            "context": SLOTS * CONTEXT_TOKENS,
            "batch": BATCH_TOKENS,
            "threads": threads,
            "socket": f"{folder}/direct.sock",
        }
        command = [sys.executable, "-c", DIRECT, json.dumps(settings)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as library:
            assert library.stdin is not None
            assert library.stdout is not None
            library.stdout.readline()

            def ask(kind: str, seed: int) -> tuple[float, float]:
                body: dict[str, Any] = {
                    "prompt": TEMPLATED_PROMPT,
                    "max_tokens": TOKENS,
                    "samplers": ["temperature", "top_k", "top_p"],
                    "temperature": 0.7,
                    "top_k": 0,
                    "top_p": 1.0,
                    "seed": seed,
                    "stream": True,
                    "stream_options": {"include_usage": True},
                }
                if kind in grammars:
                    body["grammar"] = grammars[kind]
                assert library.stdin is not None
                assert library.stdout is not None
                library.stdin.write(json.dumps(body) + "\n")
                library.stdin.flush()
                tokens, first, rest = json.loads(library.stdout.readline())
                return (tokens - 1) / rest, first

            try:
                yield ask
            finally:
                library.stdin.close()
                library.kill()


def calls_beside_loads() -> list[float]:
    """Microseconds of each call that benchmarks/embedded.c makes while the model loads."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "embedded")
        flags = [f"-I{ROOT / 'include'}", f"-L{LIBRARIES}", "-lmaze", f"-Wl,-rpath,{LIBRARIES}", "-pthread"]
        subprocess.run(["cc", "-O2", str(Path(__file__).with_suffix(".c")), "-o", str(program), *flags], check=True)
        times: list[float] = []
        for _ in range(LOADS):
            done = subprocess.run([str(program)], stdout=subprocess.PIPE, text=True, check=True)
            times += map(float, done.stdout.split())
    return times


if __name__ == "__main__":
    main()
