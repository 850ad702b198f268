"""The command `maze`, and `python -m maze`: where packages are missing it says which, and what to do."""

from __future__ import annotations

import sys

from maze.errors import Status


def main() -> int:
    """Run the command; returns its exit code."""
    try:
        from maze.cli import main as command
    except ImportError as error:
        return _tell_what_is_missing(error)
    return command()


def _tell_what_is_missing(error: ImportError) -> int:
    from maze.doctor import examine_installation

    sys.stderr.write(f"libmaze: cannot start: {error}\n")
    for check in examine_installation():
        sys.stderr.write(f"{check.verdict.value:7}  {check.name}: {check.detail}\n")
        if check.fix:
            sys.stderr.write(f"         {check.fix}\n")
    return int(Status.STARTUP_FAILED)


if __name__ == "__main__":
    sys.exit(main())
