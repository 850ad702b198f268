"""Broken constraints and what is said of them: `python tests/messages.py` writes both anew, to be read by a person.

`tests/data/messages/broken.jsonl` has the constraints with their messages, `docs/errors.md` shows them to users.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from maze.errors import MazeError
from maze.grammar import compile_constraints
from maze.types import ConstraintIR

ROOT = Path(__file__).parent.parent
BROKEN = ROOT / "tests" / "data" / "messages" / "broken.jsonl"
PAGE = ROOT / "docs" / "errors.md"

_HEADINGS = {
    "json_schema": "Schemas",
    "gbnf": "Grammars: GBNF",
    "lark": "Grammars: Lark",
    "braid": "Grammars: Braid's JSON",
    "regex_patterns": "Patterns",
}
_BEGINNING = """# What is said of broken constraints

Each error names the constraint, the place in it, what is wrong there, and what to write instead. These are the
commonest, as they are raised for one constraint, `constraints[0]`, which is left out here; `python tests/messages.py`
writes the page.
"""


class Broken(NamedTuple):
    """A constraint that cannot be used, and what is said of it."""

    kind: str
    text: str
    error: str
    message: str

    def tried(self) -> Broken:
        """With what is said of it now."""
        return self._replace(**dict(zip(("error", "message"), said_of(self.kind, self.text), strict=True)))


def said_of(kind: str, text: str) -> tuple[str, str]:
    """The name of the error and its message."""
    match kind:
        case "json_schema":
            constraint = ConstraintIR(json_schema=text)
        case "regex_patterns":
            constraint = ConstraintIR(regex_patterns=(text,))
        case _:
            constraint = ConstraintIR(grammar=text)
    try:
        compile_constraints([constraint])
    except MazeError as error:
        return type(error).__name__, str(error)
    return "", ""


def recorded() -> list[Broken]:
    return [Broken(**json.loads(line)) for line in BROKEN.read_text().splitlines()]


def page_of(broken: list[Broken]) -> str:
    """The page in Markdown."""
    lines = [_BEGINNING]
    for kind, heading in _HEADINGS.items():
        lines += [f"## {heading}", "", "| Text | Message |", "|---|---|"]
        lines += [f"| {_cell(each.text)} | {_cell(_without_place(each))} |" for each in broken if each.kind == kind]
        lines.append("")
    return "\n".join(lines)


def _without_place(broken: Broken) -> str:
    field = {"json_schema": "json_schema", "regex_patterns": "regex_patterns[0]"}.get(broken.kind, "grammar")
    return broken.message.removeprefix(f"constraints[0].{field}").removeprefix(":").strip()


def _cell(text: str) -> str:
    shown = text.replace("|", "\\|")
    ticks = "``" if "`" in shown else "`"
    return "<br>".join(f"{ticks}{line}{ticks}" for line in shown.split("\n") if line.strip()) or "(nothing)"


def main() -> None:
    """Write both files anew."""
    found = [each.tried() for each in recorded()]
    BROKEN.write_text("".join(json.dumps(each._asdict(), ensure_ascii=False) + "\n" for each in found))
    PAGE.write_text(page_of(found))


if __name__ == "__main__":
    main()
