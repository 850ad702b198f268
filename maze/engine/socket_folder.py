"""The folder of an engine's socket, and those of engines that were killed together with all that would have removed it.

That happens where the host is process 1: with it, the kernel ends every process of its container. So a folder is locked
as long as one of its processes lives, and who makes a new one removes those that nobody holds any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time

from maze.config import environment
from maze.errors import EngineUnavailableError
from maze.scarcity import shortage

SOCKET_NAME = "llama.sock"
_PREFIX = "maze-engine-"
_UNLOCKED_SECS = 60.0
"""Age from which on a folder without a lock is none that is being made."""
_LONGEST_PLACE = 64
"""With the names of folder and socket; the address of a socket has 108 bytes."""


def make_socket_folder() -> tuple[str, int]:
    """A folder of our own, and a descriptor that says that it is in use, as long as any process has it.

    Raises EngineUnavailableError and OutOfMemoryError.
    """
    # tempfile.gettempdir() would write a file, for which `ulimit -f` may end the host.
    failure: OSError | None = None
    for place in (environment().get("TMPDIR"), "/tmp", "/var/tmp"):  # noqa: S108 - the folder is of this user alone
        try:
            if place and len(os.fsencode(place := os.path.abspath(place))) < _LONGEST_PLACE:  # noqa: PTH100 - as it is
                _remove_left_behind(place)
                folder = tempfile.mkdtemp(prefix=_PREFIX, dir=place)
                break
        except OSError as error:
            failure = failure or error
    else:
        raise EngineUnavailableError(
            f"the embedded engine cannot make a folder for its socket ({failure.strerror if failure else 'nowhere'}); "
            "set TMPDIR to a folder that can be written to"
        )
    try:
        return folder, _locked(folder)
    except OSError as error:
        os.rmdir(folder)  # noqa: PTH106 - see above
        raise shortage(error) or EngineUnavailableError(f"the folder {folder} cannot be used: {error}") from None


def _locked(folder: str) -> int:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # a file system without locks, on which nothing is removed either
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return opened


def _remove_left_behind(place: str) -> None:
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                _remove_if_left_behind(entry.path)


def _remove_if_left_behind(folder: str) -> None:
    with contextlib.suppress(OSError):  # of somebody else, in use, or just removed
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            about = os.fstat(opened)
            if about.st_uid != os.geteuid() or time.time() - about.st_mtime < _UNLOCKED_SECS:
                return
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            names = os.listdir(opened)  # noqa: PTH208 - of what is locked
            if names == [SOCKET_NAME]:
                os.unlink(SOCKET_NAME, dir_fd=opened)
            os.rmdir(folder)  # noqa: PTH106 - see above
        finally:
            os.close(opened)
