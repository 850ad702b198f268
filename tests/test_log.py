"""maze.log: which lines go where, and none unless asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from maze.log import TRACE, configure_logging, set_sink


@pytest.fixture
def lines() -> Iterator[list[tuple[int, str, str]]]:
    received: list[tuple[int, str, str]] = []
    set_sink(lambda level, target, message: received.append((level, target, message)))
    yield received
    set_sink(None)
    configure_logging({})


def test_levels_arrive_as_the_numbers_of_the_header(lines: list[tuple[int, str, str]]) -> None:
    configure_logging({"maze": "trace"})
    logger = logging.getLogger("maze.a_room")
    for level in (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, TRACE):
        logger.log(level, "at %d", level)
    assert lines == [
        (1, "maze.a_room", "at 40"),
        (2, "maze.a_room", "at 30"),
        (3, "maze.a_room", "at 20"),
        (4, "maze.a_room", "at 10"),
        (5, "maze.a_room", "at 5"),
    ]


def test_a_part_may_have_a_level_of_its_own(lines: list[tuple[int, str, str]]) -> None:
    configure_logging({"": "error", "maze.loud_room": "debug"})
    logging.getLogger("maze.quiet_room").warning("not this")
    logging.getLogger("maze.loud_room").debug("but this")
    assert [message for _, _, message in lines] == ["but this"]


def test_nothing_is_written_without_a_filter(
    lines: list[tuple[int, str, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logging({})
    logging.getLogger("maze.a_room").debug("not this")
    assert lines == []
    assert capfd.readouterr() == ("", "")


def test_without_a_callback_lines_go_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging({"maze": "info"})
    logging.getLogger("maze.a_room").info("hello")
    configure_logging({})
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.endswith("INFO maze.a_room: hello\n")


def test_a_callback_that_fails_does_not_fail_the_call_that_logs(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(_level: int, _target: str, _message: str) -> None:
        raise RuntimeError

    set_sink(fail)
    configure_logging({"maze": "info"})
    logging.getLogger("maze.a_room").info("hello")
    set_sink(None)
    configure_logging({})
    assert capfd.readouterr() == ("", "")
