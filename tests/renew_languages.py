"""Write the kept grammars of whole languages anew, beside their texts: `python tests/renew_languages.py`."""

from __future__ import annotations

from pathlib import Path

from maze.grammar.languages.syntax import syntax_names
from maze.grammar.read.lark.whole_languages import archive_of

SYNTAX = Path(__file__).parent.parent / "maze" / "grammar" / "languages" / "syntax"


def main() -> None:
    """Write them all; the file of a language that is as it was stays the same."""
    for name in syntax_names():
        (SYNTAX / f"{name}.zip").write_bytes(archive_of(name))


if __name__ == "__main__":
    main()
