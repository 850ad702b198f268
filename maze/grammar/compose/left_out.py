"""Which parts of constraints are left out: those that the caller ignores, and those that give way in a conflict."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from maze.errors import ContradictionError
from maze.grammar.compose.groups import KIND_ORDER, Part
from maze.outcome import ConstraintKind, Handling
from maze.types import ConstraintIR

_PATH = re.compile(r"constraints\[(\d+)\]\.(\w+)(?:\[(\d+)\])?")


class LeftOut:
    """What is left out of one array of constraints."""

    def __init__(self, constraints: Sequence[ConstraintIR], ignore: Iterable[str]) -> None:
        self._constraints = constraints
        self._ignore = dict.fromkeys(ignore, False)
        """Whether there is something for each."""
        self._conflicting: dict[str, str] = {}
        """By path, why."""

    def leaves(self, part: Part) -> bool:
        """Whether a part is left out, which then says so."""
        whole, _, where = part.path.partition(".")
        for name in (part.path, f"{whole}.{where.partition('[')[0]}", whole, part.kind):
            if name in self._ignore:
                self._ignore[name] = True
                part.handling = Handling.IGNORED
                part.reason = f"left out, as `ignore` has {name!r}"
                return True
        if part.path in self._conflicting:
            part.handling = Handling.CONFLICTING
            part.reason = self._conflicting[part.path]
            return True
        return False

    def give_way(self, conflict: ContradictionError) -> bool:
        """Leave out what has the lowest priority of parts that exclude each other; False where that is not known."""
        groups = [group for group in conflict.groups if not self._conflicting.keys() & group]
        if not groups or len(groups) < len(conflict.groups):
            return False
        for path in min(groups, key=self._rank):
            self._conflicting[path] = f"left out, as it gives way in a conflict: {conflict}"
        return True

    def _rank(self, group: Sequence[str]) -> tuple[int, int, tuple[int, int]]:
        """Smaller gives way first: what would be enforced last, and of equals what comes later."""
        places = [(int(found[1]), found[2], int(found[3] or 0)) for found in map(_PATH.match, group) if found]
        priority = max(self._constraints[index].priority for index, _, _ in places)
        first, kind, number = places[0]
        order = KIND_ORDER.index(ConstraintKind(kind)) if kind in KIND_ORDER else len(KIND_ORDER)
        return priority, -order, (-first, -number)

    def warnings(self, parts: Iterable[Part]) -> list[str]:
        """What the caller is told of it."""
        said = [f"{part.path}: {part.reason}" for part in parts if part.handling is Handling.CONFLICTING]
        if ignored := [part.path for part in parts if part.handling is Handling.IGNORED]:
            said.append(f"{', '.join(ignored)}: left out, as the caller has `ignore` say; no text is held to it")
        kinds = tuple(ConstraintKind)
        idle = [name for name, is_there in self._ignore.items() if not is_there and name not in kinds]
        if idle:
            said.append(f"`ignore` has {', '.join(map(repr, idle))}, which is no part of the constraints")
        return said
