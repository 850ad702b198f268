"""Runs the fuzzers: `run_fuzzers.py <seconds> [boundary|grammar]...`; `make fuzz` gives each an hour.

Inputs that reach something new are kept in build/fuzz/<name>/corpus for the next run, findings in
build/fuzz/<name>/findings. A finding is a crash, a broken promise, a call that takes over 12 s, or memory that grows;
with one, the exit status is 1. Run a finding again, with MAZE_PYTHON=.venv/bin/python and ASAN_OPTIONS=detect_leaks=0:

    build/fuzz/boundary/fuzzer <file>
    PYTHONPATH=.:tests/fuzz .venv/bin/python tests/fuzz/grammar_fuzzer.py <file>

When it is fixed, put it into tests/fuzz/findings/<name>: every run begins with those.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "fuzz"
KNOWN_FINDINGS = HERE / "findings"
"""Inputs that were findings once; every run begins with them."""

FUZZERS = ("boundary", "grammar")
MAX_SECS_FOR_INPUT = 100
"""By the clock, to end what hangs; both fuzzers limit the processor time of a call to 12 s themselves."""
MAX_INPUT_BYTES = 8192
MAX_MEGABYTES = 3000
MAX_FINDINGS = 5
"""After so many, a fuzzer is stopped."""
GROWTH_FROM_SECS = 600
"""Shorter runs say nothing about growth: caches fill first."""
MAX_GROWTH = 1.1
"""Of the peak memory in the second half of a run, apart from what libFuzzer itself needs."""
MEGABYTES_FOR_KEPT = 16 / 1024
"""Of libFuzzer for each input that it keeps: the input, and 8 bytes for each feature that it reaches."""

_SANITIZERS = "-fsanitize=fuzzer-no-link,address"


class MissingToolError(Exception):
    """A tool of a fuzzer is not on this machine; the message says how to get it."""


@dataclass
class Figures:
    """What a run came to."""

    inputs: int = 0
    secs: float = 0.0
    kept: int = 0
    kept_at_half: int = 0
    megabytes_at_half: int = 0
    megabytes: int = 0
    findings: int = 0

    @property
    def grew(self) -> bool:
        explained = self.megabytes_at_half + MEGABYTES_FOR_KEPT * (self.kept - self.kept_at_half)
        return self.secs >= GROWTH_FROM_SECS and self.megabytes > MAX_GROWTH * explained


def find_clang() -> str:
    """A clang with libFuzzer."""
    names = ("clang", *(f"clang-{version}" for version in range(21, 13, -1)))
    for clang in filter(None, map(shutil.which, names)):
        probe = [clang, "-fsanitize=fuzzer,address", "-x", "c", "-", "-o", "/dev/null"]
        program = "int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n ? 0 : 0; }"
        if subprocess.run(probe, input=program.encode(), capture_output=True, check=False).returncode == 0:
            return clang
    raise MissingToolError("no clang with libFuzzer: install clang-14 and libclang-rt-14-dev (Debian), or clang")


def build_boundary_fuzzer(folder: Path) -> Path:
    """Compile the library's C sources and boundary.c into one program, with AddressSanitizer and coverage."""
    sys.path.insert(0, str(ROOT))
    import build_ffi

    clang = find_clang()
    folder.mkdir(parents=True, exist_ok=True)
    build_ffi.BUILD.mkdir(parents=True, exist_ok=True)
    python = build_ffi.find_shared_python()
    part = build_ffi.ABI / "python"
    folders = (build_ffi.HEADER.parent, build_ffi.ABI, part, build_ffi.find_headers())
    includes = [f"-I{headers}" for headers in folders]
    common = [clang, "-std=gnu11", "-O1", "-g", "-pthread", "-fno-omit-frame-pointer", "-w", *includes]
    objects = []
    library = [source for source in build_ffi.library_sources() if source.name != "load.c"]
    for source in [build_ffi.generate_bridge(), *library, *sorted(part.glob("*.c")), HERE / "linked_part.c"]:
        objects.append(str(folder / f"{source.parent.name}-{source.stem}.o"))
        subprocess.run([*common, _SANITIZERS, "-c", str(source), "-o", objects[-1]], check=True)
    program = folder / "fuzzer"
    target = [*common, "-fsanitize=fuzzer,address", str(HERE / "boundary.c"), *objects]
    subprocess.run([*target, str(python), f"-Wl,-rpath,{python.parent}", "-ldl", "-lm", "-o", str(program)], check=True)
    return program


def command_of(name: str, folder: Path) -> list[str]:
    """The command that runs a fuzzer, which is built in `folder`. Raises MissingToolError."""
    if name == "boundary":
        return [str(build_boundary_fuzzer(folder))]
    if importlib.util.find_spec("atheris") is None:
        raise MissingToolError("the Python package atheris is missing: pip install atheris")
    return [sys.executable, str(HERE / "grammar_fuzzer.py")]


def environment() -> dict[str, str]:
    """Of a fuzzer: leaks are found by its memory limit, because the interpreter never frees all it has."""
    return {
        **os.environ,
        "MAZE_PYTHON": sys.executable,
        # A larger quarantine, and the stacks of all allocations, which are kept for ever, would pass for growth.
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=16:malloc_context_size=1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
    }


def prepare(name: str, folder: Path) -> list[str]:
    """Write the seeds into `folder`; returns the folders and options for libFuzzer."""
    from fuzz_corpus import faults, seeds, write

    for part in ("corpus", "findings"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    write(folder / "seeds", seeds() + (faults() if name == "boundary" else []))
    return [
        *(str(part) for part in (folder / "corpus", folder / "seeds", KNOWN_FINDINGS / name) if part.is_dir()),
        f"-dict={HERE / 'words.dict'}",
        f"-artifact_prefix={folder / 'findings'}/",
        f"-timeout={MAX_SECS_FOR_INPUT}",
        f"-rss_limit_mb={MAX_MEGABYTES}",
        f"-max_len={MAX_INPUT_BYTES}",
        "-len_control=0",
        "-print_final_stats=1",
        "-reload=0",
        "-detect_leaks=0",
    ]


def fuzz(name: str, secs: int, folder: Path) -> Figures:
    """Run one fuzzer for so long, going on after a finding. Keeps all it makes, and its log, in `folder`."""
    command = [*command_of(name, folder), *prepare(name, folder)]
    figures = Figures()
    started = time.monotonic()
    while figures.findings < MAX_FINDINGS and (left := secs - int(time.monotonic() - started)) > 0:
        log, executed = folder / "log", 0
        with (
            subprocess.Popen(
                [*command, f"-max_total_time={left}"],
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ) as run,
            log.open("a") as lines,
        ):
            for line in run.stderr or ():
                lines.write(line)
                if match := re.match(r"#(\d+)\s.*corp: (\d+)/.*rss: (\d+)Mb", line):
                    executed, figures.kept, figures.megabytes = (int(group) for group in match.groups())
                    if time.monotonic() - started < secs / 2:
                        figures.megabytes_at_half, figures.kept_at_half = figures.megabytes, figures.kept
                elif match := re.match(r"stat::number_of_executed_units:\s*(\d+)", line):
                    executed = int(match[1])
        figures.inputs += executed
        if run.returncode != 0:
            figures.findings += 1
            print(f"fuzzing: a finding of {name}: see the end of {log}", flush=True)
    figures.secs = time.monotonic() - started
    return figures


def main() -> int:
    """Run the fuzzers that are named, or all."""
    secs, *names = sys.argv[1:]
    failed = False
    for name in names or FUZZERS:
        print(f"fuzzing: {name} for {secs} s ...", flush=True)
        try:
            figures = fuzz(name, int(secs), BUILD / name)
        except MissingToolError as missing:
            print(f"fuzzing: {name} cannot run: {missing}", file=sys.stderr)
            failed = True
            continue
        grew = ", which is growth" if figures.grew else ""
        print(
            f"fuzzing: {name}: {figures.inputs} inputs in {figures.secs:.0f} s, {figures.kept} kept, "
            f"{figures.megabytes} MB at most ({figures.megabytes_at_half} MB at half time{grew}), "
            f"{figures.findings} findings",
            flush=True,
        )
        failed = failed or figures.findings > 0 or figures.grew
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
