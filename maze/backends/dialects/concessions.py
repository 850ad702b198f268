"""What a service turned out not to take: learned from its refusals, and left out from then on."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping
from typing import Any

_NOT_TAKEN = re.compile(
    r"unsupported|not supported|n[o']t support|unrecognized|unrecognised|unknown|unexpected|not permitted|not allowed"
    r"|extra_forbidden|extra input|cannot both|deprecated|not available|not accept|not a valid|not defined|not recogni"
    r"|invalid (?:parameter|argument|field|property)",
    re.IGNORECASE,
)
"""Words of a refusal of a field as such, and not of its value."""
MAX_REFUSED_SCHEMAS = 256
"""How many schemas of one model are remembered as refused; once there are more, all are forgotten."""
SCHEMAS_UNTIL_NONE = 3
"""After so many refused schemas in a row none is tried any more."""


class Concessions:
    """What one model of a service does not take. Safe for use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left_out: frozenset[str] = frozenset()
        self._refused_kinds: frozenset[str] = frozenset()
        self._refused_schemas: set[tuple[str, str]] = set()
        """With the kind of format."""
        self._in_a_row: dict[str, int] = {}
        """How many schemas were refused since one was taken, by kind of format."""

    @property
    def left_out(self) -> frozenset[str]:
        """Fields that are not sent any more."""
        return self._left_out

    def takes(self, kind: str, schema: str) -> bool:
        """Whether a kind of format with that schema is still to be tried."""
        return kind not in self._refused_kinds and (kind, schema) not in self._refused_schemas

    def taken(self, kind: str) -> None:
        """The service took a schema in that kind of format."""
        if kind in self._in_a_row:
            with self._lock:
                self._in_a_row.pop(kind, None)

    def leave_out(self, sent: Mapping[str, Any], said: str, optional: Collection[str]) -> bool:
        """Leave out the fields that a refusal names; returns whether there are such that were sent."""
        if not _NOT_TAKEN.search(said):
            return False
        named = {name for name in optional if name in sent and re.search(rf"(?<![\w.]){name}(?!\w)", said)}
        with self._lock:
            self._left_out |= named
        return bool(named)

    def refuse_format(self, kind: str, schema: str) -> None:
        """The service took no such format: neither that schema, nor, if it is none, any of that kind."""
        with self._lock:
            if not schema:
                self._refused_kinds |= {kind}
                return
            if len(self._refused_schemas) >= MAX_REFUSED_SCHEMAS:
                self._refused_schemas = set()
            self._refused_schemas.add((kind, schema))
            self._in_a_row[kind] = self._in_a_row.get(kind, 0) + 1
            if self._in_a_row[kind] >= SCHEMAS_UNTIL_NONE:
                self._refused_kinds |= {kind}
