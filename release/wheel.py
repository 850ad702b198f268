"""Builds what is uploaded for a release into dist/: a wheel for each kind of machine, and the source distribution.

    python -m release.wheel [x86_64] [aarch64]

The compiler of Zig builds for machines other than this one too, and for an older C library. A wheel serves every Python
that this machine has headers of; the same sources, Zig and headers give the same bytes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import build_ffi
from release import backend
from release.packing import pack

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"

MACHINES = ("x86_64", "aarch64")
BUILT_FOR_GLIBC = "2.28"
TAG = "py3-none-manylinux_2_31_{machine}"
"""The C library that llguidance's wheels need, without which nothing runs."""
OLDEST_MINOR = 11

UNWINDER = "void _Unwind_Resume(void) {}\nint __gcc_personality_v0(void) { return 0; }\n"
"""What is used of libgcc_s.so.1, for a library of that name to link to: those of other machines are not here."""


@dataclass(frozen=True, slots=True)
class PythonHeaders:
    """Those of one Python, which do for all machines: all 64-bit Linux has the same sizes."""

    folder: Path
    """Has Python.h."""
    sizes: Path
    """Its pyconfig.h, which is elsewhere on Debian; that in the folder only leads to another for each machine."""

    def copy(self, folder: Path) -> Path:
        """Put both into one new folder."""
        shutil.copytree(self.folder, folder)
        shutil.copyfile(self.sizes, folder / "pyconfig.h")
        return folder


def python_headers() -> dict[int, PythonHeaders]:
    """By minor version, of the Pythons on PATH and of pyenv's."""
    candidates = [sys.executable, *(f"python3.{minor}" for minor in range(OLDEST_MINOR, 30))]
    candidates += map(str, sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"), reverse=True))
    found: dict[int, PythonHeaders] = {}
    for python in candidates:
        for minor, headers in _headers_of(python):
            if minor >= OLDEST_MINOR and (headers.folder / "Python.h").is_file() and headers.sizes.is_file():
                found.setdefault(minor, headers)
    return dict(sorted(found.items()))


def _headers_of(python: str) -> Iterator[tuple[int, PythonHeaders]]:
    ask = "import sys, sysconfig as s; print(sys.version_info[1], s.get_config_var('MULTIARCH'), s.get_path('include'))"
    try:
        answer = subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return
    minor, machine, place = answer.strip().split(maxsplit=2)
    folder = Path(place)
    of_machine = folder.parent / machine / folder.name / "pyconfig.h"
    yield int(minor), PythonHeaders(folder, of_machine if of_machine.is_file() else folder / "pyconfig.h")


def cross_compiler(machine: str) -> list[str]:
    """The command that compiles for a machine, without a trace of this one."""
    return [
        *(sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-gnu.{BUILT_FOR_GLIBC}"),
        *(flag for flag in build_ffi.COMPILE if flag != "-g"),
        *("-g0", "-Wl,-s", f"-ffile-prefix-map={ROOT}=."),
    ]


def build_native(machine: str, headers: dict[int, PythonHeaders], package: Path, folder: Path) -> None:
    """Put the library, its parts for Python and all that compilers need into `package`/lib and /include."""
    compiler = [*cross_compiler(machine), f"-ffile-prefix-map={folder}=."]
    folder.mkdir(parents=True)
    (folder / "unwinder.c").write_text(UNWINDER)
    unwinder = folder / "libgcc_s.so.1"
    name = f"-Wl,-soname,{unwinder.name}"
    build_ffi.run([*compiler, "-w", "-shared", name, str(folder / "unwinder.c"), "-o", str(unwinder)])
    libraries = package / "lib"
    libraries.mkdir(parents=True)
    build_ffi.build_library(compiler, libraries, folder / "library")
    for minor, found in headers.items():
        part = libraries / build_ffi.python_part_name(minor)
        include = found.copy(folder / f"headers-{minor}")
        build_ffi.build_python_part(compiler, part, include, unwinder, folder / str(minor))
    build_ffi.complete_package(package)


def build_wheel(machine: str, headers: dict[int, PythonHeaders], destination: Path) -> Path:
    """Build the wheel for a machine; returns its path."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pure = backend.build_pure_wheel(folder)
        build_native(machine, headers, folder / "native" / "maze", folder / "objects")
        return pack(pure, folder / "native", TAG.format(machine=machine), destination)


def main(machines: Iterable[str] = MACHINES) -> None:
    """Build all."""
    headers = python_headers()
    DIST.mkdir(exist_ok=True)
    for machine in machines:
        wheel = build_wheel(machine, headers, DIST)
        sys.stdout.write(f"{wheel.relative_to(ROOT)}, for Python {', '.join(f'3.{minor}' for minor in headers)}\n")
    sys.stdout.write(f"dist/{backend.build_sdist(str(DIST))}\n")


if __name__ == "__main__":
    main(sys.argv[1:] or MACHINES)
