"""Renews libmaze.abi.xml from the built library; `make abi-baseline` runs it at a release. Review the difference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
BASELINE = HERE / "libmaze.abi.xml"
LIBRARY = Path(sys.prefix) / "lib" / "libmaze.so"


def main() -> None:
    """Describe the exported functions and their types, without a path of this machine."""
    described = subprocess.run(
        [
            "abidw",
            "--exported-interfaces-only",
            "--no-corpus-path",
            "--no-comp-dir-path",
            "--no-show-locs",
            "--no-elf-needed",
            "--type-id-style",
            "hash",  # numbers would change with every type before them
            str(LIBRARY.resolve()),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    BASELINE.write_text(described.replace(f"path='{ROOT}/", "path='"))


if __name__ == "__main__":
    main()
