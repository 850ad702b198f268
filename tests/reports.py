"""Holds reports against docs/report.schema.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "report.schema.json").read_text())
_VALIDATOR = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)


def check_report(report: dict[str, Any]) -> None:
    """Fail with the first place where a report is not of the one shape."""
    if _VALIDATOR.is_valid(report):
        return
    error = next(iter(_VALIDATOR.iter_errors(report)))
    shown = json.dumps(report)
    raise AssertionError(f"a report is not as docs/report.schema.json says: {error}\n{shown[:4000]}")
