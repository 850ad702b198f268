"""What the process is short of where the system refuses something, and what to raise."""

from __future__ import annotations

import errno
import os
import resource

from maze.errors import OutOfMemoryError
from maze.memory import is_limited

_MEMORY = "ask for less at once, or raise what the process may have of memory (ulimit -v, memory.max of its cgroup)"
_THREADS = (
    "raise what the process may have of threads and processes (ulimit -u, pids.max of its cgroup), or of memory for "
    "their stacks (ulimit -v)"
)
_REMEDIES = {
    errno.ENFILE: "the whole system has no more; raise fs.file-max",
    errno.ENOMEM: _MEMORY,
    errno.EAGAIN: _THREADS,  # of what reaches us, only the start of a process says so
    errno.ENOSPC: "make room on the disk, or set TMPDIR to another",
    errno.EDQUOT: "make room within the quota, or set TMPDIR to another disk",
}
_WORDS_OF_PYTHON = {"can't start new thread": _THREADS, "can't allocate lock": _MEMORY}
"""Where Python has no class of error for it."""


def shortage(error: BaseException) -> OutOfMemoryError | None:
    """What was short, and what to raise, if that is what `error` is about; None for any other error."""
    remedy = _remedy(error)
    if remedy is None:
        return None
    return OutOfMemoryError(f"out of memory, threads or open files: {str(error) or type(error).__name__}; {remedy}")


def _remedy(error: BaseException) -> str | None:
    match error:
        case OSError(errno=errno.EMFILE):
            return _more_open_files()
        case OSError(errno=number):
            return _REMEDIES.get(number) if isinstance(number, int) else None
        case MemoryError():
            return _MEMORY
        case RuntimeError():
            return _WORDS_OF_PYTHON.get(str(error))
        case ImportError() if os.strerror(errno.EMFILE) in str(error):  # of a library that it could not open
            return _more_open_files()
        case ImportError() if os.strerror(errno.ENOMEM) in str(error) or _is_refused_memory(str(error)):
            return _MEMORY
        case _:
            return None


def _is_refused_memory(said: str) -> bool:
    """Whether the dynamic linker says so, which names no reason then; the file may also be one not to be executed."""
    return is_limited() and "failed to map segment" in said and os.strerror(errno.EPERM) not in said


def _more_open_files() -> str:
    try:
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError:  # a sandbox
        return "close some, or raise RLIMIT_NOFILE (ulimit -n)"
    return f"close some, or raise RLIMIT_NOFILE (ulimit -n), which is {allowed}"
