"""What becomes of constraints that the engine is not known to enforce: they are only checked, and it is told why."""

from __future__ import annotations

from dataclasses import replace

from maze.compiled import CompiledConstraints
from maze.outcome import Handling


def only_checked(compiled: CompiledConstraints, reason: str) -> CompiledConstraints:
    """The same constraints for a text of an engine that is not known to enforce them, for that `reason`."""
    enforced = [part.path for part in compiled.parts if part.handling is Handling.ENFORCED]
    parts = tuple(
        replace(part, handling=Handling.CHECKED, reason=reason) if part.handling is Handling.ENFORCED else part
        for part in compiled.parts
    )
    warning = f"{', '.join(enforced)}: only checked, not enforced: {reason}"
    warnings = (*compiled.warnings, warning) if enforced else compiled.warnings
    return replace(compiled, grammar=None, parts=parts, warnings=warnings)
