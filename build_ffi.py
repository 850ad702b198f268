"""Build libmaze.so into the environment of the Python that runs this; `make` runs it with the one of .venv.

    build_ffi.py                               build
    build_ffi.py check [install | test]        only say what is missing on this machine for make, or that of it
    build_ffi.py install <prefix> <libraries>  with the Python of <libraries>/maze: lead to it from where programs look

cffi generates the part between C and Python. Its declarations come from include/maze.h and maze/abi/entry.h, so nothing
is written twice; all other C is in maze/abi.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from release.describe import describe

ROOT = Path(__file__).resolve().parent
HEADER = ROOT / "include" / "maze.h"
ABI = ROOT / "maze" / "abi"
"""C of libmaze.so.1, which links no Python. Below it, what of that differs between systems: posix/ is built, windows/
compiled by the tests alone; and python/, the part that is compiled for one version."""
BUILD = ROOT / "build" / "abi"

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wstrict-prototypes", "-Werror"]
COMPILE = ["-std=gnu11", "-O2", "-g", "-fPIC", "-pthread", "-fvisibility=hidden", "-fexceptions"]


class MissingError(Exception):
    """Something that the build needs is not on this machine; the message says how to get it."""


def between_marks(path: Path, mark: str) -> str:
    """The lines of a header between `/* <mark> begin */` and `/* <mark> end */`."""
    match = re.search(rf"/\* {mark} begin \*/\n(.*?)/\* {mark} end \*/", path.read_text(), re.DOTALL)
    if match is None:
        raise ValueError(f"{path} has no part between '{mark} begin' and '{mark} end'")
    return match[1]


def generate_bridge(folder: Path = BUILD) -> Path:
    """Let cffi write the C code that calls Python into `folder`."""
    import cffi  # here, because `check` runs before it is installed

    ffi = cffi.FFI()
    ffi.embedding_api("")  # makes it an embedding module; the exported functions are C, in calls.c
    ffi.cdef(between_marks(HEADER, "cdef"))
    entry = ABI / "entry.h"
    ffi.cdef(f'extern "Python+C" {{\n{between_marks(entry, "python")}\n}}\n{between_marks(entry, "c")}')
    ffi.embedding_init_code("")  # start.c attaches entry.py, where a failure can be reported
    ffi.set_source("_libmaze", '#include "bridge.h"', compiler_verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    generated = folder / "_libmaze.c"
    ffi.emit_c_code(str(generated))
    return generated


def find_compiler() -> list[str]:
    """$CC, the system's compiler, or the one that comes with Zig."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    if subprocess.run([sys.executable, "-m", "ziglang", "version"], capture_output=True, check=False).returncode == 0:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise MissingError("no C compiler: install gcc (Debian, Ubuntu, Fedora), or `pip install ziglang`, or set CC")


def find_headers() -> Path:
    """The folder with Python.h."""
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").is_file():
        version = sysconfig.get_python_version()
        raise MissingError(
            f"the headers of Python {version} are missing ({include / 'Python.h'}): "
            f"install python{version}-dev (Debian, Ubuntu) or python3-devel (Fedora)"
        )
    return include


def find_shared_python() -> Path:
    """The shared library of the Python that runs this."""
    version = sysconfig.get_python_version()
    names = [f"libpython{sysconfig.get_config_var('LDVERSION')}.so.1.0"]
    if ".so" in (installed_as := sysconfig.get_config_var("INSTSONAME") or ""):
        names.insert(0, installed_as)
    libraries = Path(sysconfig.get_config_var("LIBDIR"))
    folders = [libraries, libraries / (sysconfig.get_config_var("MULTIARCH") or ""), Path(sys.base_prefix) / "lib"]
    for folder in folders:
        for name in names:
            if (folder / name).is_file():
                return folder / name
    raise MissingError(
        f"the shared library of Python {version} ({names[0]}) is missing: install libpython{version} (Debian, Ubuntu) "
        "or python3-libs (Fedora); a pyenv Python must be built with PYTHON_CONFIGURE_OPTS=--enable-shared"
    )


def find_unwinder() -> Path:
    """The library of the system that unwinds stacks, which the compiler of Zig does not link to by itself."""
    try:
        ctypes.CDLL("libgcc_s.so.1")
    except OSError:
        text = "libgcc_s.so.1 is missing: install libgcc-s1 (Debian, Ubuntu) or libgcc (Fedora)"
        raise MissingError(text) from None
    mapped = Path("/proc/self/maps").read_text().splitlines()
    return next(Path(line.split(maxsplit=5)[-1]) for line in mapped if "libgcc_s.so" in line)


def run(command: list[str]) -> None:
    """Run a compiler, showing what it says only if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nbuild_ffi.py: this command failed: {shlex.join(command)}")


def declared(macro: str) -> str:
    """The value of a macro of include/maze.h, without quotes."""
    match = re.search(rf'^#define {macro} "?([^"\s]+)"?$', HEADER.read_text(), re.MULTILINE)
    if match is None:
        raise ValueError(f"{HEADER} does not define {macro}")
    return match[1]


def library_name() -> str:
    """The file name, which is also the SONAME."""
    return f"libmaze.so.{declared('MAZE_ABI_VERSION')}"


def python_part_name(minor: int = sys.version_info.minor) -> str:
    """File name of the part for Python 3.<minor>, which libmaze.so.1 finds beside itself."""
    return f"_libmaze_3{minor}.so"


def build(prefix: Path, folder: Path = BUILD) -> None:
    """Compile in `folder` and link into `prefix`/lib, for the Python that runs this; $CFLAGS are for both steps."""
    compiler, headers = find_compiler(), find_headers()
    find_shared_python()
    print("building libmaze.so ...", flush=True)
    compiler += [*COMPILE, *shlex.split(os.environ.get("CFLAGS", ""))]
    libraries = prefix / "lib"
    libraries.mkdir(parents=True, exist_ok=True)
    build_library(compiler, libraries, folder)
    build_python_part(compiler, libraries / python_part_name(), headers, find_unwinder(), folder / "python")
    link(libraries / "libmaze.so", library_name())
    write_descriptions(libraries, HEADER.parent, prefix)


def library_sources() -> list[Path]:
    """The C files of libmaze.so.1."""
    return sorted([*ABI.glob("*.c"), *ABI.glob("posix/*.c")])


def build_library(compiler: list[str], libraries: Path, folder: Path) -> None:
    """Compile in `folder` and link libmaze.so.1, which uses the C library alone, into `libraries`."""
    compiler = [*compiler, *WARNINGS, f"-I{HEADER.parent}", f"-I{ABI}"]
    objects = [compile_source(compiler, source, folder) for source in library_sources()]
    options = [f"-Wl,-soname,{library_name()}", "-Wl,-z,defs", f"-Wl,--version-script={ABI / 'libmaze.map'}"]
    link_library(compiler, libraries / library_name(), options, objects)


def build_python_part(compiler: list[str], library: Path, headers: Path, unwinder: Path, folder: Path) -> None:
    """Compile in `folder` and link the part of the Python that `headers` are of, whose symbols the process will have.

    `unwinder` is a libgcc_s to link to, for the cleanups of callback.c.
    """
    sources = ABI / "python"
    compiler = [*compiler, f"-I{HEADER.parent}", f"-I{ABI}", f"-I{sources}", f"-I{headers}"]
    objects = [compile_source([*compiler, *WARNINGS], source, folder) for source in sorted(sources.glob("*.c"))]
    objects.append(compile_source(compiler, generate_bridge(folder), folder))
    options = [f"-Wl,--version-script={sources / 'python_part.map'}"]
    # Zig takes what it is to link to only as needed for not needed at all.
    link_library(compiler, library, options, [*objects, "-Wl,--no-as-needed", str(unwinder), "-Wl,--as-needed"])


def complete_package(package: Path) -> None:
    """Add what compilers need to a Python package that has the library in lib/. No links: wheels have none."""
    (package / "include").mkdir()
    shutil.copyfile(HEADER, package / "include" / HEADER.name)
    link_script = package / "lib" / "libmaze.so"
    link_script.unlink(missing_ok=True)
    # For linkers alone. A copy, if a program opened it, would be a second libmaze beside that of others.
    link_script.write_text(f"/* GNU ld script */\nINPUT({library_name()})\n")
    write_descriptions(package / "lib", package / "include", package)


def compile_source(compile_command: list[str], source: Path, folder: Path) -> str:
    """Compile a source into `folder`; returns the object file."""
    folder.mkdir(parents=True, exist_ok=True)
    compiled = str(folder / f"{source.stem}.o")
    run([*compile_command, "-c", str(source), "-o", compiled])
    return compiled


def link_library(link_command: list[str], library: Path, options: list[str], objects: list[str]) -> None:
    """Link a shared library. Processes that have the old one mapped keep it."""
    fresh = library.with_name(f".{library.name}.new")
    # dlclose() must not unmap the code under a living Python.
    options = ["-shared", "-Wl,-z,nodelete", "-Wl,--as-needed", *options]
    run([*link_command, *options, *objects, "-ldl", "-lm", "-o", str(fresh)])
    fresh.replace(library)


def install(prefix: Path, libraries: Path) -> None:
    """Make the environment `libraries`/maze, which runs this and has libmaze in it, usable from where programs look."""
    packages = Path(sysconfig.get_path("purelib")) / "maze"
    # Links, so that the library finds the environment that it lies in.
    link(libraries / library_name(), os.path.relpath(packages / "lib" / library_name(), libraries))
    link(libraries / "libmaze.so", library_name())
    for folder in ("include", "bin"):
        (prefix / folder).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HEADER, prefix / "include" / HEADER.name)
    write_descriptions(libraries, prefix / "include", prefix)
    environment = os.path.relpath(Path(sys.prefix), prefix / "bin")
    command = prefix / "bin" / "maze"
    command.write_text(
        f"""#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/{environment}/bin/python3" -I -m maze "$@"
"""
    )
    command.chmod(0o755)
    from release.manual import write_manual  # here, because it needs what was installed

    write_manual(prefix / "share" / "man" / "man1" / "maze.1")


def link(path: Path, target: str) -> None:
    """Make or renew a symbolic link."""
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def write_descriptions(libraries: Path, headers: Path, prefix: Path) -> None:
    """Tell pkg-config and CMake of the library in `libraries` and the header in `headers`."""
    describe(libraries, headers, prefix, declared("MAZE_VERSION"), library_name())


def find_environments() -> None:
    """Whether this Python can make virtual environments."""
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = sysconfig.get_python_version()
        raise MissingError(
            f"Python {version} cannot make virtual environments: install python{version}-venv or python3-venv "
            "(Debian, Ubuntu)"
        )


def find_tools_of_tests() -> None:
    """What the tests run besides Python and Zig."""
    wanted = ("gcc", "g++", "readelf", "objdump", "nm", "git", "pkg-config")
    lacking = ", ".join(tool for tool in wanted if shutil.which(tool) is None)
    if lacking:
        packages = "g++, git and pkg-config (Debian, Ubuntu; gcc-c++ for g++ on Fedora)"
        raise MissingError(f"the tests need {lacking}: install {packages}")


def missing(*also: Callable[[], object]) -> list[str]:
    """All that this machine lacks of what every build needs, and of what `also` finds."""
    lacking = []
    for find in (find_headers, find_shared_python, find_environments, find_unwinder, *also):
        try:
            find()
        except MissingError as error:
            lacking.append(str(error))
    return lacking


def say_missing(lacking: list[str]) -> None:
    """End with a line for each thing that is missing, if there is one."""
    if lacking:
        raise SystemExit("\n".join(f"build_ffi.py: {text}" for text in lacking))


def main() -> None:
    """Do what the command line asks for, or say what is missing, in a line each."""
    try:
        match sys.argv[1:]:
            case []:
                build(Path(sys.prefix))
            case ["check"]:
                say_missing(missing())
            case ["check", "install"]:
                say_missing(missing(find_compiler))  # as Zig's is not going to be installed
            case ["check", "test"]:
                say_missing(missing(find_tools_of_tests))
            case ["install", prefix, libraries]:
                install(Path(prefix), Path(libraries))
            case _:
                raise SystemExit(__doc__)
    except MissingError as error:
        say_missing([str(error)])


if __name__ == "__main__":
    main()
