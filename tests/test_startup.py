"""How the library finds and starts its Python, and what it says when that fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest
from c_programs import HEADERS, LIBRARIES, ROOT, compile_program, run
from fault_server import Exchange, FaultServer

SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
PACKAGES_IN_ENVIRONMENT = SITE_PACKAGES.relative_to(Path(sys.prefix))


class Tree:
    """A copy of the source tree with its environment in another place; the dependencies are linked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = root / ".venv"
        self.packages = self.environment / PACKAGES_IN_ENVIRONMENT
        self.library = self.environment / "lib" / "libmaze.so.1"
        self.packages.mkdir(parents=True)
        shutil.copytree(ROOT / "maze", root / "maze", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(Path(sys.prefix) / "bin", self.environment / "bin", symlinks=True, ignore=_all_but_python)
        shutil.copy(Path(sys.prefix) / "pyvenv.cfg", self.environment)
        shutil.copy(LIBRARIES / self.library.name, self.library)
        for package in SITE_PACKAGES.iterdir():
            (self.packages / package.name).symlink_to(package)

    def call(self, special: str = "", **environment: str) -> str:
        """Make a call through the library of this tree: its status name and error."""
        done = run(compile_program("load", "-ldl"), str(self.library), special, environment=environment)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    def call_limited(self) -> str:
        """The same in a process that may have so much address space, and no more."""
        program = [str(compile_program("load", "-ldl")), str(self.library), ""]
        return subprocess.run(
            ["prlimit", "--as=8589934592", *program], capture_output=True, text=True, check=True
        ).stdout.strip()


def _all_but_python(_: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith("python") or name == "python-zig"]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "a moved tree")


def call_built_library(special: str = "", **environment: str) -> str:
    done = run(compile_program("load", "-ldl"), str(LIBRARIES / "libmaze.so"), special, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


# ------------------------------------------------------------------------------------------------ finding Python


def test_a_moved_tree_works(tree: Tree) -> None:
    assert tree.call() == "MAZE_OK"


def test_a_moved_tree_uses_its_own_package(tree: Tree) -> None:
    (tree.root / "maze" / "_version.py").write_text('__version__ = "9.9.9"\n')
    answer = tree.call()
    assert answer.startswith("MAZE_STARTUP_FAILED libmaze: the library is version ")
    assert "but the Python package maze is version 9.9.9; install both from the same source" in answer


def test_a_link_to_the_library_finds_the_environment_of_the_library(tmp_path: Path) -> None:
    link = tmp_path / "libmaze.so"
    link.symlink_to(LIBRARIES / "libmaze.so.1")
    done = run(compile_program("load", "-ldl"), str(link))
    assert done.stdout.strip() == "MAZE_OK"


def test_a_copy_of_the_library_elsewhere_says_what_to_do(tmp_path: Path) -> None:
    copy = shutil.copy(LIBRARIES / "libmaze.so.1", tmp_path)
    done = run(compile_program("load", "-ldl"), str(copy))
    assert "MAZE_STARTUP_FAILED libmaze: no Python environment (pyvenv.cfg) in the folders above" in done.stdout
    assert str(copy) in done.stdout
    assert "set MAZE_PYTHON" in done.stdout


def test_maze_python_names_the_environment_to_use(tmp_path: Path) -> None:
    copy = shutil.copy(LIBRARIES / "libmaze.so.1", tmp_path)
    done = run(compile_program("load", "-ldl"), str(copy), environment={"MAZE_PYTHON": sys.executable})
    assert done.stdout.strip() == "MAZE_OK"


@pytest.mark.parametrize("wrong", ["/nowhere/python3", "/etc/passwd", "x" * 5000])
def test_a_wrong_maze_python_is_named(wrong: str) -> None:
    answer = call_built_library(MAZE_PYTHON=wrong)
    assert answer.startswith(f"MAZE_CONFIGURATION libmaze: MAZE_PYTHON is '{wrong[:1024]}', which is not an executable")


def test_an_environment_without_python_is_named(tree: Tree) -> None:
    (tree.environment / "bin" / "python3").unlink()
    assert f"{tree.environment}/bin/python3 is missing or not executable; run `make`" in tree.call()


# ------------------------------------------------------------------------------------------------ what is missing


def test_a_missing_package_comes_back_as_text(tree: Tree) -> None:
    (tree.root / "maze").rename(tree.root / "elsewhere")
    answer = tree.call()
    assert answer.startswith("MAZE_STARTUP_FAILED libmaze: cannot import the Python package maze: ModuleNotFoundError")
    assert f"The Python environment is {tree.environment}; run `make`" in answer


@pytest.mark.parametrize("package", ["orjson", "llguidance", "cachetools"])
def test_a_missing_dependency_is_named(tree: Tree, package: str) -> None:
    (tree.packages / package).unlink()
    answer = tree.call()
    assert answer.startswith("MAZE_STARTUP_FAILED libmaze: cannot import ")
    assert f"No module named '{package}'" in answer


def test_missing_cffi_is_named(tree: Tree) -> None:
    for part in tree.packages.glob("_cffi_backend*.so"):
        part.unlink()
    assert "cannot import _cffi_backend of the package cffi: ModuleNotFoundError" in tree.call()


def test_a_package_that_cannot_be_imported_is_an_error_with_its_reason(tree: Tree) -> None:
    (tree.root / "maze" / "abi" / "entry.py").write_text("1 / 0\n")
    assert "cannot import the Python part of libmaze: ZeroDivisionError: division by zero." in tree.call()


UNMAPPED = "raise ImportError('libx.so: failed to map segment from shared object')"


@pytest.mark.parametrize(
    ("module", "failing"),
    [
        ("_version.py", "raise MemoryError"),
        ("abi/entry.py", "raise OSError(12, 'Cannot allocate memory')"),
        ("abi/entry.py", "raise ImportError('libx.so: cannot open shared object file: Too many open files')"),
        ("abi/entry.py", "try:\n    bytearray(1 << 62)\nexcept MemoryError:\n    import there_is_none"),
    ],
)
def test_what_is_short_during_a_start_is_no_broken_installation(tree: Tree, module: str, failing: str) -> None:
    (tree.root / "maze" / module).write_text(f"{failing}\n")
    answer = tree.call()
    assert answer.startswith("MAZE_OUT_OF_MEMORY libmaze: out of memory, threads or open files: cannot import the ")
    assert "raise what the process may have" in answer
    assert "run `make`" not in answer


def test_a_library_that_cannot_be_mapped_is_a_broken_installation_unless_memory_is_limited(tree: Tree) -> None:
    entry = tree.root / "maze" / "abi" / "entry.py"
    entry.write_text(f"{UNMAPPED}\n")
    assert tree.call().startswith("MAZE_STARTUP_FAILED ")
    assert tree.call_limited().startswith("MAZE_OUT_OF_MEMORY ")
    entry.write_text(UNMAPPED.replace("object'", "object: Operation not permitted'") + "\n")
    assert tree.call_limited().startswith("MAZE_STARTUP_FAILED ")


def test_a_repaired_installation_works_without_a_new_process(tree: Tree) -> None:
    package = tree.root / "maze"
    package.rename(tree.root / "elsewhere")
    program = compile_program("load", "-ldl")
    with subprocess.Popen(
        [program, tree.library, "repair"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith("MAZE_STARTUP_FAILED ")
        (tree.root / "elsewhere").rename(package)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("MAZE_OK")


# ------------------------------------------------------------------------------------------------ hostile surroundings


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHOME": "/nowhere"},
        {"PYTHONPATH": "{hostile}"},
        {"PYTHONSTARTUP": "{hostile}/maze.py", "PYTHONINSPECT": "1"},
        {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "PYTHONVERBOSE": "1"},
        {"HOME": "{hostile}", "PYTHONUSERBASE": "{hostile}"},
        {"VIRTUAL_ENV": "/nowhere", "PATH": "/nowhere"},
        {"LC_ALL": "de_DE.ISO-8859-1", "LANG": "xx"},
    ],
    ids=lambda environment: "+".join(environment),
)
def test_settings_for_other_pythons_change_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    for name in ("maze.py", "sitecustomize.py", "usercustomize.py", "json.py", "orjson.py"):
        (tmp_path / name).write_text("raise SystemExit('hostile')\n")
    user = tmp_path / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    user.mkdir(parents=True)
    (user / "usercustomize.py").write_text("raise SystemExit('hostile')\n")
    (user / "hostile.pth").write_text("import nowhere\n")
    values = {name: value.format(hostile=tmp_path) for name, value in environment.items()}
    assert call_built_library(**values) == "MAZE_OK"


def test_modules_in_the_working_directory_change_nothing(tmp_path: Path) -> None:
    for name in ("maze.py", "sitecustomize.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('hostile')\n")
    program = compile_program("load", "-ldl")
    done = subprocess.run([program, LIBRARIES / "libmaze.so"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("MAZE_OK", "")


# ------------------------------------------------------------------------------------------------ ways of loading


@pytest.mark.parametrize("special", ["local", "now"])
def test_dlopen_works_with_local_and_global_symbols(special: str) -> None:
    assert call_built_library(special) == "MAZE_OK"


def test_dlclose_is_harmless() -> None:
    assert call_built_library("close").split() == ["MAZE_OK", "MAZE_OK"]


IN_PYTHON = """
import ctypes, sys
loader = {"CDLL": ctypes.CDLL, "PyDLL": ctypes.PyDLL}[sys.argv[2]]
library = loader(sys.argv[1])
library.maze_compile_constraints.restype = ctypes.c_void_p
library.maze_status_name.restype = ctypes.c_char_p
library.maze_free_result.argtypes = library.maze_result_status.argtypes = [ctypes.c_void_p]
def call():
    result = library.maze_compile_constraints(None, ctypes.c_size_t(0), None, None)
    text = ctypes.cast(result + 16, ctypes.POINTER(ctypes.c_char_p))[0]
    print(library.maze_status_name(library.maze_result_status(result)).decode(), (text or b"").decode())
    library.maze_free_result(result)
"""


def run_in_python(python: str, loader: str, code: str) -> str:
    done = subprocess.run(
        [python, "-c", IN_PYTHON + code, str(LIBRARIES / "libmaze.so"), loader],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("loader", ["CDLL", "PyDLL"])
def test_a_running_python_of_the_same_version_can_use_it(loader: str) -> None:
    assert run_in_python(sys.executable, loader, "call()\ncall()").split() == ["MAZE_OK", "MAZE_OK"]


@pytest.mark.parametrize("loader", ["CDLL", "PyDLL"])
def test_eight_threads_of_a_python_host_may_start_it_at_once(loader: str) -> None:
    code = """
import threading
threads = [threading.Thread(target=call) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    assert run_in_python(sys.executable, loader, code).count("MAZE_OK") == 8


def test_small_stacks_of_a_python_host_work_under_its_interpreter_lock() -> None:
    code = """
import threading
threading.stack_size(128 * 1024)
threads = [threading.Thread(target=call) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    assert run_in_python(sys.executable, "PyDLL", code).count("MAZE_OK") == 4


def test_the_stdout_of_a_python_host_stays() -> None:
    code = """
before = sys.stdout, sys.getswitchinterval()
call()
print((sys.stdout, sys.getswitchinterval()) == before)
"""
    assert run_in_python(sys.executable, "CDLL", code).split() == ["MAZE_OK", "True"]


def test_calls_while_a_python_host_ends_are_refused() -> None:
    code = "import atexit\natexit.register(call)\ncall()"
    first, second = run_in_python(sys.executable, "CDLL", code).splitlines()
    assert first.strip() == "MAZE_OK"
    # atexit runs the other way round: libmaze, attached later, has ended before.
    assert second.startswith("MAZE_STARTUP_FAILED libmaze: the Python interpreter of this process has ended")


GENERATE_IN_PYTHON = """
class Intent(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ("raw_input", "prompt", "current_file", "language")]
intents = (Intent * 2)(Intent(b"one"), Intent(b"two"))
results = (ctypes.c_void_p * 2)()
no_constraints = None, ctypes.c_size_t(0)
library.maze_generate.restype = ctypes.c_void_p
try:
    if sys.argv[3] == "batch":
        library.maze_generate_batch(intents, ctypes.c_size_t(2), *no_constraints, None, results)
    else:
        library.maze_generate(intents, *no_constraints)
    print("no KeyboardInterrupt")
except KeyboardInterrupt:
    print("KeyboardInterrupt")
for result in filter(None, results):
    print(library.maze_status_name(library.maze_result_status(result)).decode())
call()
"""


@pytest.mark.parametrize("loader", ["CDLL", "PyDLL"])
@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("generate", ["KeyboardInterrupt", "MAZE_OK"]),
        # Only of a batch can the results be seen: KeyboardInterrupt comes before maze_generate's is assigned.
        ("batch", ["KeyboardInterrupt", "MAZE_CANCELLED", "MAZE_CANCELLED", "MAZE_OK"]),
    ],
)
def test_ctrl_c_ends_a_call_of_a_python_host_with_keyboard_interrupt(
    loader: str, function: str, said: list[str]
) -> None:
    arrived = threading.Semaphore(0)

    def stall(exchange: Exchange) -> None:
        arrived.release()
        exchange.stall()

    with FaultServer(stall) as server:
        command = [sys.executable, "-c", IN_PYTHON + GENERATE_IN_PYTHON, str(LIBRARIES / "libmaze.so"), loader]
        environment = {**os.environ, "MODAL_ENDPOINT": server.url, "MAZE_DIALECT": "maze"}
        with subprocess.Popen([*command, function], stdout=subprocess.PIPE, env=environment, text=True) as process:
            for _ in range(2 if function == "batch" else 1):
                assert arrived.acquire(timeout=60)
            process.send_signal(signal.SIGINT)
            stdout, _ = process.communicate(timeout=120)
    assert (process.returncode, stdout.split()) == (0, said)


def other_python() -> str | None:
    """A Python of another version on this machine."""
    versions = [f"python3.{minor}" for minor in range(8, 20) if minor != sys.version_info.minor]
    candidates = [*map(shutil.which, versions), *map(str, Path.home().glob(".pyenv/versions/3.*/bin/python3"))]
    for python in filter(None, candidates):
        done = subprocess.run(
            [python, "-c", "import ctypes, sys; print(sys.version_info.minor)"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and done.stdout.strip() not in ("", str(sys.version_info.minor)):
            return python
    return None


def test_a_running_python_of_another_version_gets_a_clear_error() -> None:
    python = other_python()
    if python is None:
        pytest.skip("no Python of another version on this machine")
    answer = run_in_python(python, "CDLL", "call()")
    assert answer.startswith("MAZE_STARTUP_FAILED libmaze: this process runs Python 3.")
    assert f"but libmaze was built for Python {sysconfig.get_python_version()}" in answer


# ------------------------------------------------------------------------------------------------ packaging


def test_pkg_config_describes_the_library(tmp_path: Path) -> None:
    if shutil.which("pkg-config") is None:
        pytest.skip("needs pkg-config")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(LIBRARIES / "pkgconfig")}
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "maze"], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert any(Path(flag[2:]).resolve() == HEADERS for flag in flags if flag.startswith("-I"))
    source = ROOT / "tests" / "c" / "results.c"
    program = tmp_path / "program"
    subprocess.run(["gcc", source, "-o", program, *flags, "-pthread", f"-Wl,-rpath,{LIBRARIES}"], check=True)
    assert run(program, "freeing_null_does_nothing").returncode == 0
