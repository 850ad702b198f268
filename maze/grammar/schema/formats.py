"""Where a schema's `format` becomes a pattern: what llguidance enforces, and what is left to the check."""

from __future__ import annotations

import math

from maze.json_text import JsonValue

ENFORCED_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"),
)
"""Formats that llguidance 1.0.1 (llama.cpp), 1.7 (vLLM) and 1.9 all know; 1.0.1 lacks uri."""
CHECKED_FORMATS = {
    **dict.fromkeys(("uri", "regex"), 4),
    **dict.fromkeys(("uri-reference", "json-pointer", "uri-template"), 6),
    **dict.fromkeys(("idn-email", "idn-hostname", "iri", "iri-reference", "relative-json-pointer"), 7),
}
"""Further formats that jsonschema_rs asserts, and since which draft; by the standard any other says nothing."""

_NO_LEAP_SECOND = {"pattern": ":[0-5][0-9]:[0-5][0-9]"}
"""llguidance allows a leap second in every minute, the standard at the end of a day only."""


def enforced_format(name: str) -> tuple[dict[str, JsonValue], list[JsonValue]]:
    """The facets of a string that stand for the format in a grammar schema, and schemas that must hold beside them.

    llguidance has a pattern for each of ENFORCED_FORMATS; both are empty for any other.
    """
    if name not in ENFORCED_FORMATS:
        return {}, []
    return {"format": name}, [_NO_LEAP_SECOND] if name in ("time", "date-time") else []


def is_checked(name: str, draft: int) -> bool:
    """Whether the check of finished texts asserts a format that is not enforced; if not it says nothing."""
    return draft >= CHECKED_FORMATS.get(name, math.inf)
