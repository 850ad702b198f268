"""The C boundary, from programs in C: hostile inputs, results, threads, and that all descriptions of the ABI agree."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cffi
import pytest
from c_programs import HEADERS, LIBRARIES, ROOT, SOURCES, WARNINGS, check_scenario, run, scenarios

sys.path.insert(0, str(ROOT))

import build_ffi
from maze import _version, config, ranges
from maze.errors import MazeError, Status
from maze.options import BraidGrammar, OnConflict, OnUnenforceable
from release.wheel import python_headers

HEADER = (HEADERS / "maze.h").read_text()
ZIG_INPUTS = (ROOT / "zig" / "src" / "inputs.zig").read_text()


@pytest.mark.parametrize("scenario", scenarios("inputs"))
def test_inputs(scenario: str) -> None:
    check_scenario("inputs", scenario)


@pytest.mark.parametrize("scenario", scenarios("structs"))
def test_structs(scenario: str) -> None:
    check_scenario("structs", scenario)


@pytest.mark.parametrize("scenario", scenarios("results"))
def test_results(scenario: str) -> None:
    check_scenario("results", scenario)


@pytest.mark.parametrize("scenario", scenarios("host"))
def test_host(scenario: str) -> None:
    check_scenario("host", scenario)


@pytest.mark.parametrize("scenario", scenarios("descriptors"))
def test_descriptors(scenario: str) -> None:
    check_scenario("descriptors", scenario)


@pytest.mark.parametrize("scenario", scenarios("endings"))
def test_endings(scenario: str) -> None:
    check_scenario("endings", scenario)


@pytest.mark.parametrize("scenario", scenarios("threads"))
def test_threads(scenario: str) -> None:
    check_scenario("threads", scenario)


@pytest.mark.parametrize("scenario", scenarios("hostile"))
def test_hostile(scenario: str) -> None:
    check_scenario("hostile", scenario)


@pytest.mark.parametrize("scenario", scenarios("scarce"))
def test_scarce(scenario: str) -> None:
    check_scenario("scarce", scenario)


@pytest.mark.parametrize("scenario", scenarios("engine"))
def test_engine(scenario: str) -> None:
    check_scenario("engine", scenario)


@pytest.mark.parametrize("scenario", scenarios("child"))
def test_the_process_of_the_engine(scenario: str) -> None:
    check_scenario("child", scenario)


@pytest.mark.parametrize("left_by", ["exception", "pthread_exit"])
@pytest.mark.parametrize("callback", ["log", "text"])
def test_a_callback_that_does_not_return_ends_the_process_with_the_reason(
    tmp_path: Path, callback: str, left_by: str
) -> None:
    program = tmp_path / "throws"
    linking = [f"-L{LIBRARIES}", "-lmaze", f"-Wl,-rpath,{LIBRARIES}"]
    command = ["g++", *WARNINGS, f"-I{HEADERS}", str(SOURCES / "throws.cpp"), "-o", str(program), "-pthread", *linking]
    subprocess.run(command, check=True)
    done = run(program, callback, left_by)
    assert (done.returncode, done.stdout) == (-signal.SIGABRT, "")
    assert done.stderr.startswith("libmaze: a callback was left by an exception or pthread_exit(), not by returning")


# ------------------------------------------------------------------------------------------------ what is exported


def declared_functions() -> set[str]:
    return set(re.findall(r"^MAZE_API [^;(]*?(\w+)\(", HEADER, re.MULTILINE))


def test_exactly_the_functions_of_the_header_are_exported() -> None:
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", LIBRARIES / "libmaze.so"], capture_output=True, text=True, check=True
    ).stdout
    exported = {line.split()[-1].partition("@")[0] for line in listed.splitlines() if line.split()[-2] != "A"}
    assert exported == declared_functions()
    assert "maze_generate" in exported


def test_the_soname_carries_the_abi_version() -> None:
    dynamic = subprocess.run(
        ["readelf", "-d", LIBRARIES / "libmaze.so"], capture_output=True, text=True, check=True
    ).stdout
    version = re.search(r"#define MAZE_ABI_VERSION (\d+)", HEADER)
    assert version is not None
    assert f"[libmaze.so.{version[1]}]" in dynamic
    assert "NODELETE" in dynamic


# ------------------------------------------------------------------------------------------------ layouts and values

BRAIDS_LAYOUTS = {
    "TokenMaskRulesFFI": (
        32,
        {"allowed_tokens": 0, "allowed_tokens_len": 8, "forbidden_tokens": 16, "forbidden_tokens_len": 24},
    ),
    "ConstraintIRFFI": (
        64,
        {
            "magic": 0,
            "json_schema": 8,
            "grammar": 16,
            "regex_patterns": 24,
            "regex_patterns_len": 32,
            "token_masks": 40,
            "priority": 48,
            "name": 56,
        },
    ),
    "IntentFFI": (32, {"raw_input": 0, "prompt": 8, "current_file": 16, "language": 24}),
    "GenerationResultFFI": (
        40,
        {"code": 0, "success": 8, "error": 16, "tokens_generated": 24, "generation_time_ms": 32},
    ),
}
"""The structs that Braid passes, as its compiled code lays them out: never to change within one MAZE_ABI_VERSION."""


@pytest.fixture(scope="module")
def ffi() -> Any:  # noqa: ANN401 - cffi's types exist only at run time
    """The header's declarations as cffi reads them."""
    declarations = re.search(r"/\* cdef begin \*/\n(.*?)/\* cdef end \*/", HEADER, re.DOTALL)
    assert declarations is not None
    ffi = cffi.FFI()
    ffi.cdef(declarations[1])
    return ffi


@pytest.mark.parametrize("struct", BRAIDS_LAYOUTS)
def test_structs_are_laid_out_as_braid_lays_them_out(ffi: cffi.FFI, struct: str) -> None:
    size, offsets = BRAIDS_LAYOUTS[struct]
    assert ffi.sizeof(struct) == size
    fields: list[tuple[str, Any]] = ffi.typeof(struct).fields
    assert {name: field.offset for name, field in fields} == offsets


@pytest.mark.parametrize("struct", ["MazeOptionsFFI", "MazeConfigFFI", "MazeCacheStatsFFI"])
def test_a_struct_that_may_grow_has_no_padding_whose_bytes_could_be_taken_for_a_later_field(
    ffi: cffi.FFI, struct: str
) -> None:
    end = 0
    for name, field in ffi.typeof(struct).fields:
        assert field.offset == end, f"padding before {name}"
        end += ffi.sizeof(field.type)
    assert end == ffi.sizeof(struct)
    assert end % 8 == 0


def test_every_status_has_the_same_number_in_c_and_python(ffi: cffi.FFI) -> None:
    in_c = ffi.typeof("MazeStatus").relements
    assert in_c == {f"MAZE_{status.name}": status.value for status in Status}


def sentences_of_the_header() -> dict[str, str]:
    """What include/maze.h says that each status means."""
    statuses = HEADER[HEADER.index("typedef enum MazeStatus") : HEADER.index("} MazeStatus;")]
    return {name: sentence for sentence, name in re.findall(r"/\*\* (.+?) \*/\n +MAZE_(\w+) = ", statuses)}


def test_every_status_means_in_python_what_it_means_in_the_header() -> None:
    assert {status.name: status.meaning for status in Status} == sentences_of_the_header()
    for error in MazeError.__subclasses__():
        assert error.__doc__ == error.status.meaning


def test_every_status_means_in_zig_what_it_means_in_the_header() -> None:
    source = (ROOT / "zig" / "src" / "errors.zig").read_text()
    errors = source[source.index("pub const Error = error{") : source.index("\n};", source.index("pub const Error ="))]
    found = {name: sentence for sentence, name in re.findall(r"    /// (.+)\n    (\w+),", errors)}
    assert found.pop("UnknownStatus")
    in_zig = {re.sub("(?<!^)(?=[A-Z])", "_", name).upper(): sentence for name, sentence in found.items()}
    assert in_zig == {name: sentence for name, sentence in sentences_of_the_header().items() if name != "OK"}


def test_choices_for_the_unenforceable_are_the_same_in_c_and_python(ffi: cffi.FFI) -> None:
    in_c = ffi.typeof("MazeUnenforceable").relements
    assert in_c == {f"MAZE_UNENFORCEABLE_{choice.name}": number for number, choice in enumerate(OnUnenforceable)}


def test_choices_for_conflicts_and_for_the_grammars_of_braid_are_the_same_in_c_and_python(ffi: cffi.FFI) -> None:
    conflicts = ffi.typeof("MazeConflict").relements
    assert conflicts == {f"MAZE_CONFLICT_{choice.name}": number for number, choice in enumerate(OnConflict)}
    names = ["CONFIGURED", *(choice.name for choice in BraidGrammar)]
    grammars = ffi.typeof("MazeBraidGrammar").relements
    assert grammars == {f"MAZE_BRAID_GRAMMAR_{name}": number for number, name in enumerate(names)}


def test_versions_agree() -> None:
    assert f'#define MAZE_VERSION "{_version.__version__}"' in HEADER


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("max_tokens", f"0 for {config.DEFAULT_MAX_TOKENS}."),
        ("timeout_secs", f"0 for {config.DEFAULT_TIMEOUT_SECS}."),
        ("temperature", f"below 0 for {config.DEFAULT_TEMPERATURE}."),
        ("cache_size_limit", f"0 for {config.DEFAULT_CACHE_SIZE_LIMIT}."),
    ],
)
def test_the_header_and_zig_tell_the_defaults_of_the_configuration(field: str, sentence: str) -> None:
    struct = re.search(r"typedef struct MazeConfigFFI \{(.*?)\} MazeConfigFFI;", HEADER, re.DOTALL)
    assert struct is not None
    comment = re.search(rf"/\*\*([^/]*)\*/\s+\w+ {field};", struct[1])
    assert comment is not None
    assert sentence in comment[1]
    in_zig = sentence.replace("below 0 for", "null for").replace("0 for", "null for")
    assert re.search(rf"/// .*{re.escape(in_zig)}\n +{field}: ", ZIG_INPUTS)


def test_the_header_and_zig_tell_the_limits_of_the_options() -> None:
    assert f"from 0 (always the likeliest token) to {ranges.TEMPERATURE.highest};" in HEADER
    assert f"from 0 to {ranges.SEED.highest};" in HEADER
    assert f"at most {ranges.MAX_STOP_TEXTS}, each of 1 to {ranges.MAX_STOP_TEXT_BYTES} bytes. */" in HEADER
    assert f"from 0 (always the likeliest token) to {ranges.TEMPERATURE.highest}." in ZIG_INPUTS
    assert f"at most {ranges.MAX_STOP_TEXTS}, each of 1 to {ranges.MAX_STOP_TEXT_BYTES} bytes." in ZIG_INPUTS


# ------------------------------------------------------------------------------------------------ the header alone


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("standard", ["c99", "c11", "c23", "c++11", "c++20"])
def test_the_header_compiles_without_a_warning(tmp_path: Path, compiler: str, standard: str) -> None:
    in_cpp = standard.startswith("c++")
    if standard == "c23":
        standard = "c2x"
    source = tmp_path / ("include.cpp" if in_cpp else "include.c")
    source.write_text(
        "#include <maze.h>\n#include <maze.h>\n"
        "MazeOptionsFFI options = MAZE_OPTIONS_INIT;\nMazeConfigFFI config = MAZE_CONFIG_INIT;\n"
    )
    commands = {
        "gcc": ["g++" if in_cpp else "gcc"],
        "zig": [sys.executable, "-m", "ziglang", "c++" if in_cpp else "cc"],
    }
    subprocess.run(
        [
            *commands[compiler],
            f"-std={standard}",
            *WARNINGS,
            f"-I{HEADERS}",
            "-c",
            source,
            "-o",
            tmp_path / "include.o",
        ],
        check=True,
    )


# ------------------------------------------------------------------------------------------------ other systems

FOLDERS_OF_SYSTEMS = {"aarch64-macos": "posix", "x86_64-windows-gnu": "windows"}
ABI = build_ffi.ABI
OF_ONE_SYSTEM = {"dlfcn.h", "fcntl.h", "link.h", "sys/mman.h", "sys/resource.h", "sys/stat.h", "unistd.h", "windows.h"}


def compile_for(target: str, folder: Path, sources: list[Path], *flags: str) -> None:
    """Compile with the headers of that system's C library, which come with Zig, and without a warning."""
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-std=gnu11", "-O2", "-g0", "-fexceptions"]
    compiler += ["-fvisibility=hidden", *build_ffi.WARNINGS, f"-I{HEADERS}", f"-I{ABI}", *flags]
    caches = {"ZIG_GLOBAL_CACHE_DIR": f"{ROOT}/build/zig-cache", "ZIG_LOCAL_CACHE_DIR": str(folder / "cache")}
    for source in sources:
        command = [*compiler, "-c", str(source), "-o", f"{folder}/{source.stem}.o"]
        done = subprocess.run(command, env=os.environ | caches, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (folder / f"{source.stem}.o").stat().st_size > 0


@pytest.mark.parametrize("target", FOLDERS_OF_SYSTEMS)
def test_the_library_compiles_for_systems_that_it_is_not_built_for(target: str, tmp_path: Path) -> None:
    system = sorted(ABI.glob(f"{FOLDERS_OF_SYSTEMS[target]}/*.c"))
    compile_for(target, tmp_path, [*sorted(ABI.glob("*.c")), *system, ABI / "python" / "callback.c"])


def test_the_part_for_python_compiles_for_macos(tmp_path: Path) -> None:
    """With the headers of this Python: those of one for Windows say other sizes of types, and pip has none."""
    headers = python_headers()[sys.version_info[1]].copy(tmp_path / "headers")
    flags = [f"-I{ABI}/python", f"-I{headers}"]
    compile_for("aarch64-macos", tmp_path, sorted((ABI / "python").glob("*.c")), *flags)
    compile_for("aarch64-macos", tmp_path, [build_ffi.generate_bridge(tmp_path)], *flags, "-w")  # cffi's


def test_what_differs_between_systems_is_in_one_file_of_each_behind_one_header() -> None:
    posix, windows = ({path.stem for path in ABI.glob(f"{folder}/*.c")} for folder in ("posix", "windows"))
    assert posix == windows
    for source in [*ABI.glob("*.c"), *ABI.glob("*.h")]:
        assert OF_ONE_SYSTEM.isdisjoint(re.findall("^#include <(.+)>", source.read_text(), re.MULTILINE)), source
