"""Event streams, however they are cut into pieces."""

from __future__ import annotations

import pytest
from fault_server import DONE, Answer, FaultServer, fine, slowly, stream, summary, token
from http_calls import ask, backend_for, generate

pytestmark = pytest.mark.usefixtures("backends_are_closed")


def test_bytes_that_trickle_in_make_a_good_answer() -> None:
    with FaultServer(slowly(fine("hé€🙂").data, pause_secs=0)) as server:
        completion, pieces = generate(backend_for(server.url), ask())
    assert completion.text == "hé€🙂"
    assert pieces == ["h", "é", "€", "🙂"]


@pytest.mark.parametrize("cut", range(1, 60, 3))
def test_a_character_that_is_split_between_chunks_stays_whole(cut: int) -> None:
    data = token("a€🙂") + summary() + DONE
    with FaultServer(stream(data[:cut], data[cut : cut + 2], data[cut + 2 :])) as server:
        completion, pieces = generate(backend_for(server.url), ask())
    assert pieces == ["a€🙂"]
    assert completion.text == "a€🙂"


def test_lines_may_end_as_in_windows_and_data_may_follow_its_colon() -> None:
    data = (token("a") + summary() + DONE).replace(b"\n", b"\r\n").replace(b"data: ", b"data:")
    with FaultServer(stream(b"event: x\r\nid: 5\r\n: a comment\r\n", data)) as server:
        assert generate(backend_for(server.url), ask())[0].text == "a"


def test_the_type_of_an_answer_may_be_written_in_capitals() -> None:
    play = Answer(fine().data.replace(b"text/event-stream", b"Text/Event-Stream; Charset=UTF-8"))
    with FaultServer(play) as server:
        assert generate(backend_for(server.url), ask())[0].text == "hello"
