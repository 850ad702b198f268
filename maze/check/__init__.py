"""Finished text and constraints: satisfied or violated, where and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Where a text breaks a part, in bytes, and what would have been right there."""

    offset: int
    expected: str
