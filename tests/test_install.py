"""`make install`, as a packager runs it, and what build_ffi.py says on machines where something is missing."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from c_programs import ROOT, SOURCES

sys.path.insert(0, str(ROOT))

import build_ffi

PREFIX = "/opt/maze"
OFFLINE = re.compile("NewConnectionError|No matching distribution|ConnectTimeout|name resolution")


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where DESTDIR put the prefix: a place other than the one it was told of."""
    destination = tmp_path_factory.mktemp("destination")
    command = ["make", "--no-print-directory", "install", f"PREFIX={PREFIX}", f"DESTDIR={destination}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    if done.returncode != 0 and OFFLINE.search(done.stdout + done.stderr):
        pytest.skip("needs the package index")
    assert done.returncode == 0, done.stdout + done.stderr
    yield destination / PREFIX[1:]
    shutil.rmtree(destination)  # 200 MB


def compile_with_pkg_config(prefix: Path, program: Path) -> None:
    environment = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "maze"], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert all(str(prefix) in flag for flag in flags if flag[:2] in ("-I", "-L"))
    source = SOURCES / "results.c"
    subprocess.run(["gcc", source, "-o", program, *flags, "-pthread", f"-Wl,-rpath,{prefix}/lib"], check=True)


def run_without_environment(program: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, "results_outlive_shutdown"], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="needs pkg-config")
def test_what_is_installed_works_without_the_source_tree_and_can_be_moved(staged: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    compile_with_pkg_config(staged, program)
    done = run_without_environment(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    moved = staged.with_name("moved")
    staged.rename(moved)
    try:
        assert run_without_environment(program).returncode == 127  # the loader no longer finds it: the tree has moved
        done = run_without_environment(program, LD_LIBRARY_PATH=str(moved / "lib"))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        compile_with_pkg_config(moved, program)
        assert run_without_environment(program).returncode == 0
        command = subprocess.run(
            [moved / "bin" / "maze", "--version"], env={}, capture_output=True, text=True, check=True
        )
        assert build_ffi.declared("MAZE_VERSION") in command.stdout
    finally:
        moved.rename(staged)


def test_the_manual_is_one_that_man_can_show(staged: Path) -> None:
    page = staged / "share" / "man" / "man1" / "maze.1"
    assert "maze generate" in page.read_text()
    if shutil.which("groff") is not None:
        command = ["groff", "-man", "-Tutf8", "-ww", "-z", str(page)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr == ""


def test_nothing_of_the_tools_of_development_is_installed(staged: Path) -> None:
    packages = {path.name.partition("-")[0] for path in staged.glob("lib/maze/lib/python3*/site-packages/*.dist-info")}
    assert packages.isdisjoint({"ziglang", "atheris", "pytest", "mypy", "tree_sitter", "setuptools", "pip"})
    assert {"libmaze", "llguidance", "xllamacpp"} <= packages


def test_what_was_installed_can_be_removed_without_a_trace(staged: Path, tmp_path: Path) -> None:
    """In another folder for libraries, as Debian has it."""
    copy = tmp_path / "opt" / "maze"
    shutil.copytree(staged, copy, symlinks=True, ignore=lambda _, names: {"site-packages"} & set(names))
    (copy / "lib").rename(copy / "lib64")
    (copy / "lib64" / "other.so").touch()
    where = [f"PREFIX={PREFIX}", f"DESTDIR={tmp_path}", f"LIBDIR={PREFIX}/lib64"]
    subprocess.run(["make", "--no-print-directory", "uninstall", *where], cwd=ROOT, check=True)
    assert [path.relative_to(copy) for path in copy.rglob("*") if not path.is_dir()] == [Path("lib64/other.so")]


def test_nothing_that_is_installed_names_the_folder_it_was_built_in(staged: Path) -> None:
    for path in [
        *staged.glob("lib/pkgconfig/*"),
        *staged.glob("lib/cmake/Maze/*"),
        *staged.glob("include/*"),
        staged / "bin" / "maze",
    ]:
        assert str(ROOT) not in path.read_text()
    packages = next(staged.glob("lib/maze/lib/python3*/site-packages"))
    assert (packages / "maze" / "abi" / "entry.py").is_file()
    assert not list(packages.glob("maze.pth"))


# ------------------------------------------------------------------------------------------------ what is missing


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/bin/false")  # a Python without ziglang
    with pytest.raises(build_ffi.MissingError, match=r"^no C compiler: install gcc \(.*\), or .* or set CC$"):
        build_ffi.find_compiler()


def check_on_a_machine_without(name: str, tmp_path: Path) -> str:
    """What `build_ffi.py check` says to a Python whose `sysconfig` points to where nothing is."""
    script = (
        "import runpy, sys, sysconfig\n"
        "path, config = sysconfig.get_path, sysconfig.get_config_var\n"
        f"sysconfig.get_path = lambda key, *rest: {str(tmp_path)!r} if key == {name!r} else path(key, *rest)\n"
        f"sysconfig.get_config_var = lambda key: {str(tmp_path)!r} if key == {name!r} else config(key)\n"
        f"sys.base_prefix = {str(tmp_path)!r}\n"
        "sys.argv = ['build_ffi.py', 'check']\n"
        f"runpy.run_path({str(ROOT / 'build_ffi.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_missing_headers_are_named_in_one_line(tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (line,) = check_on_a_machine_without("include", tmp_path).splitlines()
    assert line.startswith(f"build_ffi.py: the headers of Python {version} are missing ({tmp_path}/Python.h): install ")


def test_a_missing_libpython_is_named_in_one_line(tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (line,) = check_on_a_machine_without("LIBDIR", tmp_path).splitlines()
    assert line.startswith(f"build_ffi.py: the shared library of Python {version} (libpython{version}")
    assert "install libpython" in line


def test_all_that_is_missing_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    headers, python, environments, compiler, tools = build_ffi.missing(
        build_ffi.find_compiler, build_ffi.find_tools_of_tests
    )
    assert headers.startswith("the headers of Python ")
    assert python.startswith("the shared library of Python ")
    assert re.match(
        r"Python 3\.\d+ cannot make virtual environments: install python3\.\d+-venv or python3-venv", environments
    )
    assert compiler.startswith("no C compiler: ")
    assert tools.startswith("the tests need gcc, g++, readelf, objdump, nm, git, pkg-config: install g++, git and")
    assert len(build_ffi.missing()) == 3
    with pytest.raises(SystemExit) as ended:
        build_ffi.say_missing(["one", "two"])
    assert ended.value.code == "build_ffi.py: one\nbuild_ffi.py: two"


def test_nothing_is_missing_here() -> None:
    subprocess.run([sys.executable, ROOT / "build_ffi.py", "check", "test"], check=True)
