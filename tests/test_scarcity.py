"""Errors of the system that say that something is short, and those that say anything else."""

from __future__ import annotations

import errno
import os
import queue

import pytest

from maze import scarcity
from maze.errors import Status
from maze.scarcity import shortage


def refused(number: int) -> OSError:
    return OSError(number, os.strerror(number), "a-file")


@pytest.mark.parametrize(
    ("error", "short", "remedy"),
    [
        (refused(errno.EMFILE), "Too many open files", "ulimit -n"),
        (refused(errno.ENFILE), "Too many open files in system", "fs.file-max"),
        (refused(errno.ENOMEM), "Cannot allocate memory", "ulimit -v"),
        (refused(errno.EAGAIN), "Resource temporarily unavailable", "ulimit -u"),
        (refused(errno.ENOSPC), "No space left on device: 'a-file'", "TMPDIR"),
        (refused(errno.EDQUOT), "quota", "TMPDIR"),
        (MemoryError(), "MemoryError", "ulimit -v"),
        (RuntimeError("can't start new thread"), "can't start new thread", "ulimit -u"),
        (RuntimeError("can't allocate lock"), "can't allocate lock", "ulimit -v"),
        (ImportError("libx.so: cannot open shared object file: Too many open files"), "libx.so", "ulimit -n"),
        (ImportError("libx.so: cannot create descriptor: Cannot allocate memory"), "libx.so", "ulimit -v"),
    ],
)
def test_what_is_short_is_named_with_what_to_raise(error: BaseException, short: str, remedy: str) -> None:
    found = shortage(error)
    assert found is not None
    assert found.status is Status.OUT_OF_MEMORY
    assert short in str(found)
    assert remedy in str(found)


def test_a_library_that_cannot_be_mapped_is_for_want_of_memory_only_where_that_is_limited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unmapped = "libx.so: failed to map segment from shared object"
    assert shortage(ImportError(unmapped)) is None
    monkeypatch.setattr(scarcity, "is_limited", lambda: True)
    assert "ulimit -v" in str(shortage(ImportError(unmapped)))
    assert shortage(ImportError(f"{unmapped}: Operation not permitted")) is None


@pytest.mark.parametrize(
    "error",
    [
        refused(errno.EACCES),
        refused(errno.ENOENT),
        OSError("no number"),
        RuntimeError("x"),
        ImportError("x"),
        queue.Empty(),
    ],
)
def test_other_errors_are_none_of_its_business(error: BaseException) -> None:
    assert shortage(error) is None
