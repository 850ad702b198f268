"""What results cost: time, memory and address space, for those that are freed and for those that stay.

`python -m benchmarks.results [results]` runs benchmarks/results.c; 1000000000 takes some minutes for each row.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.compile import ROOT

LIBRARIES = Path(sys.prefix) / "lib"
RESULTS = 20_000_000
KEPT = (0, 1, 1_000, 100_000)


def main() -> None:
    """Print the table."""
    results = int(sys.argv[1]) if sys.argv[1:] else RESULTS
    print(f"{results} results made and freed one by one, but for those that are kept; growth in KiB")
    print(f"{'kept':>9}{'ns each':>9}{'resident':>10}{'page tables':>13}{'address space':>15}{'mappings':>10}")
    with tempfile.TemporaryDirectory() as name:
        program = Path(name, "results")
        flags = [f"-I{ROOT / 'include'}", f"-L{LIBRARIES}", "-lmaze", f"-Wl,-rpath,{LIBRARIES}"]
        subprocess.run(["cc", "-O2", str(Path(__file__).with_suffix(".c")), "-o", str(program), *flags], check=True)
        for kept in KEPT:
            done = subprocess.run(
                [str(program), str(results), str(kept)], stdout=subprocess.PIPE, text=True, check=True
            )
            nanoseconds, resident, tables, space, mappings = done.stdout.split()
            print(f"{kept:9}{nanoseconds:>9}{resident:>10}{tables:>13}{space:>15}{mappings:>10}", flush=True)


if __name__ == "__main__":
    main()
