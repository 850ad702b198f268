"""The built library keeps the ABI that the last release had: tests/data/abi/libmaze.abi.xml, by abidiff of libabigail.

Functions and status codes may be added. Everything else that abidiff sees is a change: of its exit bits, 1 and 2 are
its own failures, 4 is a change of a function or type, 8 one that certainly breaks hosts. A struct that begins with
struct_size may grow at a release; that shows here as well, and is then taken over with `make abi-baseline`.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from c_programs import LIBRARIES, ROOT

BASELINE = ROOT / "tests" / "data" / "abi" / "libmaze.abi.xml"

pytestmark = [
    pytest.mark.skipif(shutil.which("abidiff") is None, reason="needs abidiff: install abigail-tools (Debian, Ubuntu)"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the description of the ABI was made on x86_64"),
]


def compare(baseline: Path) -> subprocess.CompletedProcess[str]:
    """Compare the built library to a description, taking added functions for granted."""
    library = (LIBRARIES / "libmaze.so").resolve()
    return subprocess.run(
        ["abidiff", "--no-added-syms", str(baseline), str(library)], capture_output=True, text=True, check=False
    )


def test_the_library_has_the_abi_of_the_last_release() -> None:
    done = compare(BASELINE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_library_with_more_functions_than_the_last_release_is_taken(tmp_path: Path) -> None:
    fewer = re.sub(r"<elf-symbol name='maze_version'[^>]*/>", "", BASELINE.read_text())
    fewer = re.sub(r"<function-decl name='maze_version'.*?</function-decl>", "", fewer, flags=re.DOTALL)
    done = compare(written(tmp_path, fewer))
    assert done.returncode == 0, done.stdout + done.stderr


CHANGES: dict[str, tuple[Callable[[str], str], str]] = {
    "a function that is gone": (lambda abi: abi.replace("maze_version", "maze_once"), "maze_once"),
    "a field that has moved": (
        lambda abi: re.sub(
            r"layout-offset-in-bits='256'(>\s*<var-decl name='generation_time_ms')",
            r"layout-offset-in-bits='320'\1",
            abi,
        ),
        "generation_time_ms",
    ),
    "a field of another type": (
        lambda abi: re.sub(r"(<var-decl name='priority' type-id=')\w+'", r"\1type-of-bool'", abi).replace(
            type_id(abi, "bool"), "type-of-bool"
        ),
        "priority",
    ),
    "a status of another value": (
        lambda abi: abi.replace("name='MAZE_FORKED' value='18'", "name='MAZE_FORKED' value='17'"),
        "MAZE_FORKED",
    ),
    "another name of the library": (lambda abi: abi.replace("libmaze.so.1", "libmaze.so.0"), "libmaze.so.0"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_that_hosts_would_notice_is_noticed(what: str, tmp_path: Path) -> None:
    change, name = CHANGES[what]
    changed = change(BASELINE.read_text())
    assert changed != BASELINE.read_text()
    done = compare(written(tmp_path, changed))
    assert done.returncode & ~0b1100 == 0, done.stderr
    assert done.returncode & 0b1100
    assert name in done.stdout


def test_the_description_holds_no_path_of_the_machine_it_was_made_on() -> None:
    assert not re.search(r"='/|comp-dir-path|/home/|/tmp/", BASELINE.read_text())


def written(folder: Path, description: str) -> Path:
    path = folder / "libmaze.abi.xml"
    path.write_text(description)
    return path


def type_id(abi: str, name: str) -> str:
    match = re.search(rf"<type-decl name='{name}' [^>]*id='(\w+)'", abi)
    assert match is not None
    return match[1]
