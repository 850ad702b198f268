"""The wheel of a release: what it carries, that its bytes can be made again, that a fresh environment needs no more."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from c_programs import ROOT, SOURCES
from emulated_machine import EmulatedMachine, lacking_to_emulate

sys.path.insert(0, str(ROOT))

import build_ffi
from release import backend
from release.packing import pack
from release.wheel import PythonHeaders, build_native, build_wheel, python_headers

SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
README = (ROOT / "README.md").read_text()
HERE = {"x86_64": "x86_64", "aarch64": "aarch64"}.get(os.uname().machine, "")
MINOR = sys.version_info.minor
OTHER = {"x86_64": "aarch64", "aarch64": "x86_64"}.get(HERE, "")
COLOURS = {"red", "green", "blue"}
"""What the programs of the README may answer."""

pytestmark = pytest.mark.skipif(MINOR not in python_headers(), reason="needs the headers of this Python")


def headers() -> dict[int, PythonHeaders]:
    """For this Python alone: each takes seconds."""
    return {MINOR: python_headers()[MINOR]}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(HERE, headers(), tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel installed by pip; the dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("fresh") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", f"{folder}/bin/python"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", str(wheel)], check=True)
    packages = next(folder.glob("lib/python3*/site-packages"))
    (packages / "dependencies.pth").write_text(f"{SITE_PACKAGES}\n")
    return folder


def run_in(folder: Path, *command: str | Path, **variables: str) -> str:
    """Run a command far from the tree, with nothing in its environment that leads there."""
    environment = {"PATH": os.defpath, **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def config(environment: Path, *options: str) -> list[str]:
    return run_in(environment, environment / "bin" / "maze", "config", *options).splitlines()


def test_the_name_of_the_wheel_says_which_machines_can_use_it(wheel: Path) -> None:
    assert wheel.name == f"libmaze-{build_ffi.declared('MAZE_VERSION')}-py3-none-manylinux_2_31_{HERE}.whl"
    with zipfile.ZipFile(wheel) as files:
        (information,) = (name for name in files.namelist() if name.endswith(".dist-info/WHEEL"))
        text = files.read(information).decode()
    assert f"Tag: py3-none-manylinux_2_31_{HERE}\n" in text
    assert "Root-Is-Purelib: false\n" in text


def test_what_a_c_program_needs_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
    assert {
        "maze/lib/libmaze.so",
        "maze/lib/libmaze.so.1",
        f"maze/lib/_libmaze_3{MINOR}.so",
        "maze/lib/pkgconfig/maze.pc",
        "maze/lib/cmake/Maze/MazeConfig.cmake",
        "maze/lib/cmake/Maze/MazeConfigVersion.cmake",
        "maze/include/maze.h",
        "maze/py.typed",
    } <= names
    assert not [
        name for name in names if name.startswith(("maze/abi/python", "release", "tests")) or name.endswith(".c")
    ]
    assert {name.rpartition("/")[2] for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_nothing_in_the_wheel_needs_a_newer_c_library_than_it_says(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path)
    for library in (tmp_path / "maze" / "lib").glob("*.so*"):
        if library.name == "libmaze.so":
            continue
        symbols = subprocess.run(["objdump", "-T", library], capture_output=True, text=True, check=True).stdout
        versions = {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([\d.]+)", symbols)}
        assert versions
        assert max(versions) <= (2, 28), library
        assert str(ROOT).encode() not in library.read_bytes()


def test_the_same_sources_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    again = build_wheel(HERE, headers(), tmp_path)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()


def test_headers_that_lead_to_others_for_each_machine_do_as_well(wheel: Path, tmp_path: Path) -> None:
    """As Debian has them, and only for its own machine."""
    here = python_headers()[MINOR]
    shutil.copytree(here.folder, tmp_path / "include")
    (tmp_path / "include" / "pyconfig.h").write_text("#error this leads to a file that is not there\n")
    debians = {MINOR: PythonHeaders(tmp_path / "include", here.sizes)}
    build_native(HERE, debians, tmp_path / "maze", tmp_path / "objects")
    name = f"maze/lib/_libmaze_3{MINOR}.so"
    with zipfile.ZipFile(wheel) as files:
        assert files.read(name) == (tmp_path / name).read_bytes()


def test_the_record_of_the_wheel_names_all_its_files_with_their_digests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        (record,) = (name for name in files.namelist() if name.endswith("/RECORD"))
        listed = {line.split(",")[0]: line.split(",")[1:] for line in files.read(record).decode().splitlines()}
        assert set(listed) == set(files.namelist())
        for name, (digest, size) in listed.items():
            content = files.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert name == record or (digest, size) == (f"sha256={expected}", str(len(content)))


# ------------------------------------------------------------------------------------------------ a fresh environment


def readme_program(language: str, having: str = "main") -> str:
    (program,) = (text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if having in text)
    return str(program)


def test_the_c_program_of_the_readme_builds_and_runs_with_the_wheel_alone(environment: Path, tmp_path: Path) -> None:
    """By the command that the README shows for it."""
    (tmp_path / "colour.c").write_text(readme_program("c"))
    (command,) = re.findall(r"^cc colour\.c \$\(maze config.*$", README, re.MULTILINE)
    run_in(tmp_path, "sh", "-ec", f'PATH="{environment}/bin:$PATH"; {command}')
    assert json.loads(run_in(tmp_path, tmp_path / "colour")) in COLOURS


ZIG_CACHES = {"ZIG_GLOBAL_CACHE_DIR": f"{ROOT}/build/zig-cache", "ZIG_LOCAL_CACHE_DIR": f"{ROOT}/.zig-cache"}
"""What is compiled of Zig itself is the same everywhere."""


def test_the_zig_program_of_the_readme_builds_and_runs_with_the_wheel_alone(environment: Path, tmp_path: Path) -> None:
    """With the package fetched, as a project has it that depends on it, and the environment active."""
    package, project = tmp_path / "package", tmp_path / "project"
    package.mkdir()
    for name in re.findall(r'^        "(.*)",$', (ROOT / "build.zig.zon").read_text(), re.MULTILINE):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, package / name)
    ignored = shutil.ignore_patterns(".zig-cache", "zig-out", "zig-pkg")
    shutil.copytree(ROOT / "examples" / "zig", project, ignore=ignored)
    (project / "src" / "main.zig").write_text(readme_program("zig"))
    manifest = project / "build.zig.zon"
    manifest.write_text(manifest.read_text().replace('.maze = .{ .path = "../.." },', ""))
    zig = [sys.executable, "-m", "ziglang"]
    active = {"PATH": f"{environment}/bin:{os.defpath}", "PKG_CONFIG_LIBDIR": str(tmp_path), **ZIG_CACHES}
    run_in(project, *zig, "fetch", "--save=maze", str(package), **active)
    shutil.rmtree(package)
    assert json.loads(run_in(project, *zig, "build", "run", **active)) in COLOURS


def test_the_python_program_of_the_readme_runs_with_the_wheel_alone(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "colour.py").write_text(readme_program("python", "import maze"))
    assert run_in(tmp_path, environment / "bin" / "python", "colour.py") in COLOURS


def test_the_package_that_the_wheel_brought_is_the_one_that_is_used(environment: Path) -> None:
    shown = run_in(environment, environment / "bin" / "python", "-c", "import maze; print(maze.__file__)")
    assert shown.startswith(str(environment))
    assert config(environment, "--cmake-dir") == [f"{package_of(environment)}/lib/cmake/Maze"]
    named = dict(line.split(": ", 1) for line in config(environment))
    assert set(named) == {"cflags", "libs", "rpath", "cmake-dir", "zig-prefix"}


def package_of(environment: Path) -> Path:
    return next(environment.glob("lib/python3*/site-packages/maze"))


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="needs pkg-config")
def test_pkg_config_describes_what_the_wheel_brought(environment: Path, tmp_path: Path) -> None:
    lib = package_of(environment) / "lib"
    command = f"cc {SOURCES}/results.c -o program $(pkg-config --cflags --libs maze) -pthread -Wl,-rpath,{lib}"
    run_in(tmp_path, "sh", "-ec", f"export PKG_CONFIG_PATH={lib}/pkgconfig; {command}")
    run_in(tmp_path, tmp_path / "program", "freeing_null_does_nothing")


CMAKE = """
cmake_minimum_required(VERSION 3.16)
project(colour C)
find_package(Maze {version} REQUIRED)
add_executable(colour colour.c)
target_link_libraries(colour PRIVATE Maze::maze)
"""


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_cmake_finds_what_the_wheel_brought(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "colour.c").write_text(
        "#include <maze.h>\n#include <stdio.h>\nint main(void) { puts(maze_version()); }\n"
    )
    (folder,) = config(environment, "--cmake-dir")
    version = build_ffi.declared("MAZE_VERSION")

    def configure(wanted: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "CMakeLists.txt").write_text(CMAKE.format(version=wanted))
        command = ["cmake", "-S", str(tmp_path), "-B", f"{tmp_path}/build", f"-DMaze_DIR={folder}"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = configure(version)
    assert done.returncode == 0, done.stderr
    run_in(tmp_path, "cmake", "--build", tmp_path / "build")
    assert run_in(tmp_path, tmp_path / "build" / "colour") == version
    assert "MazeConfig.cmake, version: 0" in configure("99.0").stderr  # found, and not accepted


def test_the_doctor_finds_the_library_that_the_wheel_brought(environment: Path) -> None:
    done = subprocess.run(
        [f"{environment}/bin/maze", "doctor", "--json"], env={"PATH": os.defpath}, capture_output=True, check=False
    )
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["library"]["verdict"] == "ok"
    assert checks["library"]["detail"].startswith(f"{package_of(environment)}/lib/libmaze.so.1, ")


# ------------------------------------------------------------------------------------------------ other machines


@pytest.fixture(scope="module")
def other_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(OTHER, headers(), tmp_path_factory.mktemp("other"))


def test_the_library_is_built_for_the_other_machine_too(other_wheel: Path, tmp_path: Path) -> None:
    assert other_wheel.name.endswith(f"-py3-none-manylinux_2_31_{OTHER}.whl")
    machine = {"x86_64": "Advanced Micro Devices X86-64", "aarch64": "AArch64"}[OTHER]
    for name in ("libmaze.so.1", f"_libmaze_3{MINOR}.so"):
        with zipfile.ZipFile(other_wheel) as files:
            library = files.extract(f"maze/lib/{name}", tmp_path)
        shown = subprocess.run(["readelf", "--file-header", library], capture_output=True, text=True, check=True).stdout
        assert re.search(rf"Machine: +{machine}$", shown, re.MULTILINE)


@pytest.mark.skipif(bool(lacking_to_emulate(OTHER)), reason=f"to emulate {OTHER} needs {lacking_to_emulate(OTHER)}")
def test_what_was_built_for_the_other_machine_runs_there(other_wheel: Path, tmp_path: Path) -> None:
    """Emulated: on Debian's Python for it, with the locked dependencies in their wheels for it."""
    machine = EmulatedMachine(OTHER, MINOR, tmp_path)
    package = machine.install(other_wheel) / "maze"
    program = tmp_path / "inputs"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", f"{OTHER}-linux-gnu.2.31", "-pthread", "-lm"]
    linking = [f"-I{package}/include", f"-L{package}/lib", "-lmaze", f"-Wl,-rpath,{package}/lib"]
    subprocess.run([*compiler, f"{SOURCES}/inputs.c", *linking, "-o", program], env=os.environ | ZIG_CACHES, check=True)
    done = machine.run(program, "a_whole_language_is_a_grammar_and_says_what_it_expects")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # Not a program that succeeds whatever happens: without its part for Python it says so.
    (package / "lib" / f"_libmaze_3{MINOR}.so").unlink()
    done = machine.run(program, "a_whole_language_is_a_grammar_and_says_what_it_expects")
    assert done.returncode == 1
    assert f"whose part of libmaze (_libmaze_3{MINOR}.so) is not in" in done.stderr


BUILD = "import sys; from release import backend; print(backend.build_{}(sys.argv[1]))"


def test_the_source_distribution_has_all_that_the_build_needs(tmp_path: Path) -> None:
    made = subprocess.run(
        [
            sys.executable,
            "-c",
            BUILD.format("sdist"),
            str(tmp_path),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    subprocess.run(["tar", "-xf", tmp_path / made.stdout.splitlines()[-1], "-C", tmp_path], check=True)
    (tree,) = (path for path in tmp_path.iterdir() if path.is_dir())
    built = subprocess.run(
        [
            sys.executable,
            "-c",
            BUILD.format("wheel"),
            str(tmp_path),
        ],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"},
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob(f"libmaze-*-cp3{MINOR}-none-linux_*.whl")
    with zipfile.ZipFile(wheel) as files:
        assert {
            "maze/lib/libmaze.so.1",
            f"maze/lib/_libmaze_3{MINOR}.so",
            "maze/grammar/languages/syntax/zig.lark",
        } <= set(files.namelist())


def test_packing_takes_nothing_from_the_time_or_the_order(tmp_path: Path) -> None:
    pure = backend.build_pure_wheel(tmp_path)
    added = tmp_path / "added"
    (added / "maze" / "lib").mkdir(parents=True)
    (added / "maze" / "lib" / "x.so").write_bytes(b"x")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = pack(pure, added, "py3-none-any", tmp_path / "one").read_bytes()
    os.utime(added / "maze" / "lib" / "x.so", (1e9, 1e9))
    assert pack(pure, added, "py3-none-any", tmp_path / "two").read_bytes() == one
