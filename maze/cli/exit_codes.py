"""What the command `maze` ends with, beside the numbers of Status."""

from __future__ import annotations

from maze.errors import Status

INTERRUPTED = 130
"""As shells have it."""
OUTPUT_LOST = 74
"""sysexits.h calls it EX_IOERR."""
BROKEN_PIPE = 141
"""As shells have it."""

MEANINGS = {
    **{status.value: status.meaning for status in Status},
    INTERRUPTED: "Ctrl-C; the generation is cancelled.",
    OUTPUT_LOST: "The output cannot be written: a full disk, a closed stdout.",
    BROKEN_PIPE: "The reader of the output has gone.",
}
"""What each code means, in the words of docs/cli.md."""

EXIT_CODES = "Exit codes: {}; {} output cannot be written; {} interrupted; {} reader of the output gone. {}".format(
    "; ".join(f"{status} {status.name.lower().replace('_', ' ')}" for status in Status if status is not Status.FORKED),
    OUTPUT_LOST,
    INTERRUPTED,
    BROKEN_PIPE,
    "1 to 19 are the numbers of MazeStatus in include/maze.h.",
)
