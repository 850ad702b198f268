"""What the command `maze` ends with, beside the numbers of Status."""

from __future__ import annotations

from maze.errors import Status

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
OUTPUT_LOST = 74
"""Exit code when the output cannot be written (a full disk, a closed stdout); sysexits.h calls it EX_IOERR."""
BROKEN_PIPE = 141
"""Exit code when the reader of our output has gone, as shells have it."""

EXIT_CODES = "Exit codes: {}; {} output cannot be written; {} interrupted; {} reader of the output gone. {}".format(
    "; ".join(f"{status} {status.name.lower().replace('_', ' ')}" for status in Status if status is not Status.FORKED),
    OUTPUT_LOST,
    INTERRUPTED,
    BROKEN_PIPE,
    "1 to 19 are the numbers of MazeStatus in include/maze.h.",
)
