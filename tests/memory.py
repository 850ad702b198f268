"""Memory safety of the C part: `make test-memory`. Not part of `make test`, because it takes many minutes.

The same programs run under valgrind, with the library as it is built for use, and, with the library and the programs
built for them, under AddressSanitizer with LeakSanitizer and UndefinedBehaviorSanitizer, and under ThreadSanitizer.

Nothing is suppressed by a pattern. Invalid accesses and undefined behaviour count wherever they happen. Leaks count
where our own C, or the test program, is what asked for the memory: the interpreter, which is never finalised, and
extension modules keep theirs. (A suppression of libpython would hide leaks of ours as well: every result is made by C
that Python called.)
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from c_programs import ROOT, SOURCES, compile_program, run, scenarios

sys.path.insert(0, str(ROOT))

import build_ffi

OUR_SOURCES = {path.name for folder in (ROOT / "maze" / "abi", SOURCES) for path in folder.rglob("*.[ch]")}

TIMES_OUT = 900
pytestmark = pytest.mark.timeout(TIMES_OUT + 60)

FINDINGS = {
    "a_leak": ("Leak_DefinitelyLost", "Direct leak of"),
    "an_invalid_read": ("InvalidRead", "heap-buffer-overflow"),
    "a_use_after_free": ("InvalidRead", "heap-use-after-free"),
}
"""What valgrind and the sanitizers have to say about each scenario of planted.c."""
PLANTED_FOR_BOTH = [scenario for scenario in scenarios("planted") if scenario != "a_result_that_is_not_freed"]


def all_of(*programs: str, but: set[str]) -> list[tuple[str, str]]:
    return [(program, scenario) for program in programs for scenario in scenarios(program) if scenario not in but]


# ------------------------------------------------------------------------------------------------ valgrind

TOO_BIG_FOR_VALGRIND = {
    "a_text_without_an_end_is_read_no_further_than_its_limit",
    "a_hundred_thousand_constraints_are_taken",
    "many_results_can_live_at_once",
    "freed_results_cost_no_memory_beside_some_that_stay",
    "threads_that_free_twice_touch_no_results_of_others",
    "a_generation_with_older_options_uses_defaults",
}


def allocated_by_us(error: ET.Element) -> bool:
    """Whether the frame that called the allocator is in our sources."""
    frames = error.findall("./stack/frame")
    caller = next((frame for frame in frames if "vgpreload" not in frame.findtext("obj", "")), None)
    return caller is not None and caller.findtext("file") in OUR_SOURCES


def counts(error: ET.Element) -> bool:
    return allocated_by_us(error) if error.findtext("kind", "").startswith("Leak_") else True


def found_by_valgrind(program: str, scenario: str, folder: Path) -> list[str]:
    """Run a scenario, which must succeed, under valgrind: the findings that count."""
    report = folder / "report.xml"
    valgrind = [
        "valgrind",
        "-q",
        "--xml=yes",
        f"--xml-file={report}",
        "--leak-check=full",
        "--show-leak-kinds=definite",
    ]
    done = run(compile_program(program), scenario, command=valgrind, timeout_secs=TIMES_OUT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    errors = [error for error in ET.parse(report).getroot().findall("error") if counts(error)]
    return [ET.tostring(error, encoding="unicode") for error in errors]


needs_valgrind = pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")


@needs_valgrind
@pytest.mark.parametrize("scenario", PLANTED_FOR_BOTH)
def test_valgrind_finds_what_is_planted(scenario: str, tmp_path: Path) -> None:
    found = found_by_valgrind("planted", scenario, tmp_path)
    assert len(found) == 1
    assert f"<kind>{FINDINGS[scenario][0]}</kind>" in found[0]
    assert "<file>planted.c</file>" in found[0]


@needs_valgrind
@pytest.mark.parametrize(("program", "scenario"), all_of("results", "inputs", "structs", but=TOO_BIG_FOR_VALGRIND))
def test_no_invalid_access_and_no_leak(program: str, scenario: str, tmp_path: Path) -> None:
    assert found_by_valgrind(program, scenario, tmp_path) == []


# ------------------------------------------------------------------------------------------------ sanitizers

SANITIZED = ("-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-O1", "-g")

MEANINGLESS_WITH_SANITIZERS = {
    # They measure memory, and AddressSanitizer keeps what was freed.
    "short_lived_threads_leave_nothing_behind",
    "many_calls_leave_nothing_behind",
    "freed_results_cost_no_memory_beside_some_that_stay",
}


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix with the library built for the sanitizers; its Python is that of this environment."""
    probe = ["gcc", *SANITIZED, "-x", "c", "-", "-o", "/dev/null"]
    if subprocess.run(probe, input=b"int main(void) { return 0; }", capture_output=True, check=False).returncode != 0:
        pytest.skip("needs gcc with its sanitizers")
    prefix = tmp_path_factory.mktemp("sanitized")
    (prefix / "lib").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", "gcc")
        patch.setenv("CFLAGS", " ".join(SANITIZED))
        build_ffi.build(prefix, prefix / "objects")
    return prefix


def found_by_sanitizers(program: str, scenario: str, prefix: Path, folder: Path) -> list[str]:
    """Run a scenario, which must succeed, with the sanitizers: the findings that count."""
    flags = (*SANITIZED, f"-L{prefix / 'lib'}", "-lmaze", f"-Wl,-rpath,{prefix / 'lib'}")
    report = folder / "report"
    done = run(
        compile_program(program, *flags),
        scenario,
        environment={
            "MAZE_PYTHON": sys.executable,
            # The exit code of the program says whether it succeeded; what was found stands in the report.
            "ASAN_OPTIONS": f"log_path={report}:exitcode=0:detect_leaks=1:halt_on_error=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
        timeout_secs=TIMES_OUT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = "\n".join(path.read_text(errors="replace") for path in folder.glob("report*"))
    blocks = re.split(r"\n\s*\n|(?=^==\d+==ERROR)", text, flags=re.MULTILINE)
    return [block for block in blocks if sanitizers_count(block)]


def sanitizers_count(block: str) -> bool:
    """Whether a part of a report is a finding: a leak of memory that we asked for, or any other error."""
    if re.search(r"(Direct|Indirect) leak of", block):
        caller = re.search(r"^\s*#1 0x\w+ in \S+ (\S+?):\d+", block, re.MULTILINE)
        return caller is not None and Path(caller[1]).name in OUR_SOURCES
    if "ERROR: LeakSanitizer: detected memory leaks" in block:
        return False
    # LeakSanitizer of gcc 12 sometimes faults itself where it looks at the threads that are left at exit.
    if "LeakSanitizer has encountered a fatal error" in block:
        return False
    return "ERROR: " in block or "runtime error: " in block


@pytest.mark.parametrize("scenario", PLANTED_FOR_BOTH)
def test_the_sanitizers_find_what_is_planted(scenario: str, sanitized: Path, tmp_path: Path) -> None:
    found = found_by_sanitizers("planted", scenario, sanitized, tmp_path)
    assert len(found) == 1
    assert FINDINGS[scenario][1] in found[0]
    assert "planted.c" in found[0]


def test_the_sanitizers_find_results_that_are_not_freed(sanitized: Path, tmp_path: Path) -> None:
    """For valgrind they are reachable, as their structs lie in mappings, which it takes for roots."""
    found = found_by_sanitizers("planted", "a_result_that_is_not_freed", sanitized, tmp_path)
    assert found
    assert all("Direct leak of" in leak and "results.c" in leak for leak in found)


@pytest.mark.parametrize(
    ("program", "scenario"),
    all_of("results", "inputs", "structs", "host", "threads", "hostile", "engine", but=MEANINGLESS_WITH_SANITIZERS),
)
def test_the_sanitizers_find_nothing(program: str, scenario: str, sanitized: Path, tmp_path: Path) -> None:
    assert found_by_sanitizers(program, scenario, sanitized, tmp_path) == []


# ------------------------------------------------------------------------------------------------ races

RACING = ("-fsanitize=thread", "-fno-omit-frame-pointer", "-O1", "-g")

MEANINGLESS_WITH_THREAD_SANITIZER = {
    # They measure memory.
    "short_lived_threads_leave_nothing_behind",
    "many_calls_leave_nothing_behind",
    # ThreadSanitizer delays signals, and with them cancellations at any instruction, until the thread calls the system.
    "threads_that_are_cancelled_at_any_instruction_leave_no_lock_behind",
    # The host and CPython's start call setlocale(), under a lock of the C library that is not seen.
    "locale_and_folder_may_change_meanwhile",
}


def build_for_races(prefix: Path) -> Path:
    """A prefix with the library built for ThreadSanitizer.

    The interpreter is not: its locks are seen, because it calls the pthread functions that the sanitizer watches; what
    it does itself is not looked at.
    """
    probe = ["gcc", *RACING, "-x", "c", "-", "-o", "/dev/null"]
    if subprocess.run(probe, input=b"int main(void) { return 0; }", capture_output=True, check=False).returncode != 0:
        pytest.skip("needs gcc with ThreadSanitizer")
    (prefix / "lib").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", "gcc")
        patch.setenv("CFLAGS", " ".join(RACING))
        build_ffi.build(prefix, prefix / "objects")
    return prefix


@pytest.fixture(scope="session")
def racing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_for_races(tmp_path_factory.mktemp("racing") / "prefix")


def races(program: str, scenario: str, prefix: Path, folder: Path) -> list[str]:
    """Run a scenario, which must succeed, with ThreadSanitizer: what it reports."""
    flags = (*RACING, f"-L{prefix / 'lib'}", "-lmaze", f"-Wl,-rpath,{prefix / 'lib'}")
    report = folder / "report"
    # Threads that still run at exit() are no leak.
    options = f"log_path={report}:exitcode=0:report_thread_leaks=0"
    done = run(
        compile_program(program, *flags),
        scenario,
        environment={"MAZE_PYTHON": sys.executable, "TSAN_OPTIONS": options},
        timeout_secs=TIMES_OUT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return [path.read_text(errors="replace") for path in folder.glob("report*")]


def test_a_planted_race_is_found(tmp_path: Path) -> None:
    """In a copy of the library whose log callback is kept without its lock."""
    copy = tmp_path / "abi"
    shutil.copytree(build_ffi.ABI, copy)
    source = (copy / "log.c").read_text()
    without = re.sub(r"pthread_mutex_(un)?lock\(&log_lock\);", ";", source)
    assert without != source
    (copy / "log.c").write_text(without)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_ffi, "ABI", copy)
        prefix = build_for_races(tmp_path / "prefix")
    found = races("threads", "sixty_four_threads_use_all_functions", prefix, tmp_path)
    assert any("WARNING: ThreadSanitizer: data race" in report and "log.c" in report for report in found)


@pytest.mark.parametrize(
    ("program", "scenario"), all_of("threads", "host", "hostile", but=MEANINGLESS_WITH_THREAD_SANITIZER)
)
def test_there_is_no_race(program: str, scenario: str, racing: Path, tmp_path: Path) -> None:
    assert races(program, scenario, racing, tmp_path) == []
