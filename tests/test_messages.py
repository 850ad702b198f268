"""What is said of broken constraints: as a person has read it, with a place and a remedy, and as the page shows it."""

from __future__ import annotations

import pytest
from messages import PAGE, Broken, page_of, recorded


@pytest.mark.parametrize("broken", recorded(), ids=lambda broken: f"{broken.kind}: {broken.text[:40]}")
def test_a_broken_constraint_is_told_as_recorded(broken: Broken) -> None:
    assert broken.error
    assert broken.tried() == broken


def test_there_are_many_of_each_kind() -> None:
    kinds = [broken.kind for broken in recorded()]
    assert len(kinds) >= 60
    assert all(kinds.count(kind) >= 4 for kind in kinds)


def test_the_page_shows_what_is_recorded() -> None:
    assert PAGE.read_text() == page_of(recorded())
