"""Finished text and constraints: satisfied or violated, where and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a text breaks a part, in bytes, what stands there, and what would have been right."""

    offset: int
    found: str
    expected: str
    pointer: str | None = None
    """JSON pointer of the value in the text; None where the text is not read as JSON."""
    keyword: str | None = None
    """JSON pointer of the keyword in the constraint's schema; None where there is none."""
