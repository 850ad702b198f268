"""A quick call through the C ABI while other threads compile big constraints: how long it waits for the interpreter.

`python -m benchmarks.latency` runs benchmarks/latency.c. The quick call is maze_compile_constraints() of a cached
schema with its maze_free_result(), a millisecond after the one before; the others compile a schema of 100 KB and a
pattern, each time anew. The last columns are the seconds that as many of those compilations take in a row, and at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.compile import ROOT, schema

LIBRARIES = Path(sys.prefix) / "lib"
CALLS = 1500
OTHERS = (0, 1, 8)
TARGET_US = 10_000
"""Of the 99th percentile."""
BIG_SCHEMA_BYTES = 102400


def main() -> None:
    """Print the table."""
    print(f"a cached compilation beside others, in us; {CALLS} calls each, {os.cpu_count()} cores")
    print(
        f"{'threads that compile':22}{'median':>9}{'99 %':>9}{'target':>9}{'longest':>9}{'compiled meanwhile':>20}"
        f"{'in a row':>10}{'at once':>9}"
    )
    with tempfile.TemporaryDirectory() as name:
        program, big_schema = Path(name, "latency"), Path(name, "schema")
        big_schema.write_text(schema(BIG_SCHEMA_BYTES))
        flags = [f"-I{ROOT / 'include'}", f"-L{LIBRARIES}", "-lmaze", f"-Wl,-rpath,{LIBRARIES}", "-pthread"]
        subprocess.run(["cc", "-O2", str(Path(__file__).with_suffix(".c")), "-o", str(program), *flags], check=True)
        for others in OTHERS:
            command = [str(program), str(others), str(CALLS), str(big_schema)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode != 0:
                print(f"{others:<22} failed")
                continue
            median, high, longest, meanwhile, row, once = map(float, done.stdout.split())
            shown = f"{median:9.0f}{high:9.0f}{TARGET_US:9}{longest:9.0f}{meanwhile:20.0f}{row:10.2f}{once:9.2f}"
            print(f"{others:<22}{shown}", flush=True)


if __name__ == "__main__":
    main()
