"""Event streams, however they are cut into pieces."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from fault_server import DONE, Answer, FaultServer, answer, close, fine, head, slowly, stream, summary, token
from http_calls import ask, backend_for, generate
from test_dialects import llama, llama_end, models

from maze.backends.dialects.base import MalformedError
from maze.backends.http.sse import ServerSentEvent, events
from maze.errors import EngineUnavailableError

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


def read(*pieces: bytes) -> list[tuple[bytes, bool]]:
    return [(sent.data, sent.is_error) for sent in events(pieces)]


def data_of(stream: bytes) -> list[bytes]:
    """The data of each event, and the same however the stream is cut into pieces."""
    whole = [sent.data for sent in events([stream])]
    chance = random.Random(9)
    for _ in range(20):
        cuts = sorted(chance.sample(range(len(stream) + 1), min(4, len(stream) + 1)))
        pieces = [stream[start:end] for start, end in pairwise([0, *cuts, *cuts[-1:], len(stream)])]
        assert [sent.data for sent in events(pieces)] == whole, pieces
    assert [sent.data for sent in events(bytes([byte]) for byte in stream)] == whole
    return whole


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\rdata: c\r\r\n", [b"a", b"b", b"c"]),
        (b"data: a\rdata: b\n\r\n", [b"a\nb"]),
        (BOM + b"data: a\n\n", [b"a"]),
        (BOM + b"\ndata: a\n\n", [b"a"]),
        (b"data: a\n\n" + BOM + b"x: y\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\n" + BOM + b"data: b\n\n", [b"a"]),
        (BOM + BOM + b"data: a\ndata: b\n\n", [b"b"]),
        (b": a comment\n:\ndata: a\n:\ndata: b\n\n", [b"a\nb"]),
        (b"data:a\n\ndata:  b\n\ndata: c:d\n\n", [b"a", b" b", b"c:d"]),
        (b"id: 7\nevent: token\nretry: 10\ndata: a\n\n", [b"a"]),
        (b"id\nretry\nevent\ndata: a\n\n", [b"a"]),
        (b"unknown: field\ndata: a\n\n", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data\n\ndata:\n\nevent: ping\n\ndata: a\n\n", [b"a"]),
        (b"data: a\ndata\ndata: b\n\n", [b"a\n\nb"]),
        (b"data: [DONE]", [b"[DONE]"]),
        (b"data: [DONE]\n", [b"[DONE]"]),
        (b"data: [DONE]\r", [b"[DONE]"]),
        (b'data: a\n\ndata: {"a":\ndata: 1}', [b"a", b'{"a":\n1}']),
        (b"", []),
        (b"\n", []),
        (BOM, []),
    ],
)
def test_a_stream_is_read_as_the_standard_says(stream: bytes, data: list[bytes]) -> None:
    assert data_of(stream) == data


@pytest.mark.parametrize("stream", [b"data: [DON", b"data", b"data: a\n", b'data: {"a"', b"hello", b"data: a\ndata: b"])
def test_an_event_that_was_cut_off_is_an_error(stream: bytes) -> None:
    with pytest.raises(MalformedError, match="cut off within an event"):
        data_of(stream)


def test_an_event_counts_as_soon_as_it_is_complete_and_a_late_line_feed_is_no_other_end() -> None:
    taken = iter([b"data: a\r\n\r", b"", b"\ndata: b\r\n\r\n"])
    read_now = events(taken)
    assert next(read_now).data == b"a"
    assert next(taken) == b""
    assert [sent.data for sent in read_now] == [b"b"]


def test_errors_are_told_from_other_events() -> None:
    assert read(b"event: error\ndata: a\n\ndata: b\n\n") == [(b"a", True), (b"b", False)]
    assert read(b"error: {}\n\n") == [(b"{}", True)]
    assert read(b"event: error\ndata: no JSON") == [(b"no JSON", True)]
    assert read(b"event: error\nevent: token\ndata: a\n\n") == [(b"a", False)]
    assert ServerSentEvent(b"", is_error=False).data == b""


@pytest.mark.parametrize(
    "error",
    [
        b"event: error\n\n",
        b"event: error\ndata\n\n",
        b"event: error\ndata:\n\n",
        b"event:error",
        b"error:\n\n",
        b"event: error\ndata: null\n\n",
        b"event: error\ndata: {}\n\n",
        b"event: error\ndata: 0\n\n",
    ],
)
def test_an_error_that_says_nothing_is_an_error_of_the_service(error: bytes) -> None:
    for play in (stream(token("a"), error), stream(token("a"), error + b"\n\n", summary(), DONE)):
        with FaultServer(play) as server, pytest.raises(EngineUnavailableError, match=r"failed \(500\)") as caught:
            generate(backend_for(server.url), ask())
        assert caught.value.partial_text == "a"


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("start", [b"", BOM])
def test_lines_may_end_in_any_of_three_ways_and_a_byte_order_mark_may_come_first(start: bytes, ending: bytes) -> None:
    data = start + (token("a") + token("b") + summary() + DONE).replace(b"\n", ending)
    for play in (stream(data), stream(*(bytes([byte]) for byte in data))):
        with FaultServer(play) as server:
            assert generate(backend_for(server.url), ask())[0].text == "ab"


@pytest.mark.parametrize("last", [b"data: [DONE]", b"data: [DONE]\n", b"data:[DONE]\r\n", b"data: [DONE] \n\n"])
def test_a_last_done_needs_no_blank_line(last: bytes) -> None:
    data = token("a") + summary() + last
    open_ended = Answer(head(200, "Content-Type: text/event-stream", "Connection: close") + data, close)
    for play in (stream(data), open_ended):
        with FaultServer(play) as server:
            assert generate(backend_for(server.url), ask())[0].text == "a"


def test_a_last_object_needs_no_blank_line() -> None:
    play = stream(llama("hey"), llama_end().rstrip(b"\n"))
    with FaultServer(models("x", n_vocab=9), answer(200, {}), play) as server:
        assert generate(backend_for(server.url, dialect="llama.cpp"), ask())[0].text == "hey"


def test_an_answer_that_is_one_object_may_begin_with_a_byte_order_mark() -> None:
    body = BOM + b'{"generated_text": "a", "finish_reason": "stop", "constraint_satisfied": true}'
    with FaultServer(answer(200, body)) as server:
        assert generate(backend_for(server.url), ask())[0].text == "a"
