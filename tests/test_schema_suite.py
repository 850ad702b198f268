"""The official suite: what a grammar of a schema writes and what it does not, for each test of each draft."""

from __future__ import annotations

import io
import json
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.schema_texts import can_write
from maze.errors import ContradictionError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.llguidance import GuidanceError, Matcher
from maze.grammar.schema.lower import LoweredSchema, lower_schema

SUITE = Path(__file__).parent / "data" / "json-schema-test-suite" / "tests.tar.xz"
DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
OTHERWISE = {
    f"{draft}/{name}"
    for draft in DRAFTS
    for name in (
        "format.json",  # we assert formats in every draft
        "optional/format/date-time.json",  # the values that docs/constraints.md names as missing
        "optional/format/email.json",
        "optional/format/hostname.json",
        "optional/format/idn-hostname.json",
        "optional/format/time.json",
        "optional/zeroTerminatedFloats.json",  # 1.0 is written 1, which is an integer
    )
}
"""Files whose right and wrong values are not ours, and why."""


@cache
def files() -> dict[str, Any]:
    """By name, such as `draft7/anyOf.json`: the cases of each file."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(SUITE.read_bytes())) as archive:
        for member in archive.getmembers():
            _, _, name = member.name.partition("tests/")
            content = archive.extractfile(member) if name.endswith(".json") else None
            if content is not None and name.split("/")[0] in DRAFTS:
                found[name] = json.load(content)
    return found


def lowered(name: str, case: Any) -> LoweredSchema | None:  # noqa: ANN401 - JSON
    """The schema of a case, in its draft; None if no text satisfies it or it leads to what nobody has."""
    schema = case["schema"]
    if isinstance(schema, dict):
        schema = {"$schema": DRAFTS[name.split("/")[0]], **schema}
    try:
        return lower_schema(json.dumps(schema), "s", Budget())
    except ContradictionError:
        if any(test["valid"] for test in case["tests"]):
            raise
    except UnsupportedConstraintError as error:
        if "which is not part of it" not in str(error) and "names the draft" not in str(error):
            raise
    return None


@pytest.mark.parametrize("name", sorted(files().keys() - OTHERWISE))
def test_the_official_suite_gets_nothing_wrong_through_and_can_write_all_that_is_right(name: str) -> None:
    for case in files()[name]:
        schema = lowered(name, case)
        if schema is None or schema.cfg is None:
            continue
        grammar = cfg_to_lark(schema.cfg, Budget())
        try:
            matcher = Matcher(grammar)
        except GuidanceError:
            assert case["description"] == "dynamic evalation inside nested refs"  # an engine gets its types only
            continue
        for test in case["tests"]:
            written = can_write(matcher, test["data"])
            assert written or not test["valid"], (case["description"], test["description"])
            assert not written or test["valid"] or schema.reasons, (case["description"], test["description"])


def test_only_these_kinds_of_the_suite_are_left_to_the_check() -> None:
    made = [lowered(name, case) for name, cases in files().items() if "/optional/" not in name for case in cases]
    reasons = {reason.split(" is checked on")[0] for schema in made if schema is not None for reason in schema.reasons}
    assert reasons == {
        "`uniqueItems`",
        "a multiple",
        "format idn-email",
        "format idn-hostname",
        "format regex",
        "that no name comes twice",
        "the number of properties",
    }
