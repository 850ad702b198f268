"""How what a call gives shows itself: as plain values, as JSON, and in a notebook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib import import_module
from typing import Any

_COLUMNS = ("path", "name", "handling", "satisfied", "expected", "reason")


def tokens_in_words(count: int | None) -> str:
    """`1 token`, `2 tokens`; `? tokens` where it is not known."""
    return "1 token" if count == 1 else f"{'?' if count is None else count} tokens"


class Shown:
    """What has a report (docs/report.md)."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The report, in plain values that json.dumps() takes."""
        # By name, as what writes reports stands above what has them; and who unpickles one has imported no more.
        report: dict[str, Any] = import_module("maze").report_of(self)
        return report

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(self.to_dict())

    def _repr_html_(self) -> str:
        """The report as IPython and Jupyter show it."""
        report = self.to_dict()
        success = report.get("success")
        head = f"<b>{escape(str(report.pop('status')))}</b>" + (" &#10003;" if success else "")
        code = report.pop("code", None) or report.pop("grammar", None)
        error = report.pop("error", None)
        shown = f"<pre>{escape(code)}</pre>" if code else ""
        told = f"<p>{escape(error)}</p>" if error else ""
        parts = _parts_table(report)
        rest = escape(json.dumps(report, indent=2, ensure_ascii=False))
        return f"<div>{head}{told}{shown}{parts}<details><summary>report</summary><pre>{rest}</pre></details></div>"


def _parts_table(report: Mapping[str, Any]) -> str:
    """What becomes, or became, of each part."""
    parts = (report.get("validation") or {}).get("outcomes") or report.get("constraints") or ()
    columns = [column for column in _COLUMNS if any(part.get(column) not in (None, "") for part in parts)]
    head = "".join(f"<th>{column}</th>" for column in columns)
    rows = "".join(f"<tr>{''.join(_cell(part.get(column)) for column in columns)}</tr>" for part in parts)
    return f"<table><tr>{head}</tr>{rows}</table>" if parts else ""


def _cell(value: object) -> str:
    return f"<td>{'' if value is None else escape(str(value))}</td>"
