"""Keys and other words of a service that are not shown as they are."""

from __future__ import annotations

import pytest
from fault_server import Answer, FaultServer, Play, answer, by_path, fine, stream, summary, token
from http_calls import KEY, ask, backend_for, generate

from maze.backends.base import Deadline
from maze.errors import MazeError

pytestmark = pytest.mark.usefixtures("backends_are_closed")


@pytest.mark.parametrize(
    "play",
    [
        Answer(f"HTTP/1.1 999 xxxxxxxxxxxxxxxxxxxx {KEY}\r\n\r\n".encode()),
        Answer(KEY.encode()),
        stream(f"data: {'x' * 50}{KEY}\n\n".encode()),
        stream(f"a{'x' * 40}{KEY}: b\n\n".encode()),
        stream(token("a"), summary(finish_reason=f"{'x' * 50}{KEY}")),
        answer(400, {"error": " " * 1985 + KEY}),
        answer(200, b"", content_type="x" * 50 + KEY),
    ],
)
def test_a_key_that_a_service_repeats_is_not_shown_even_where_its_text_is_cut(play: Play) -> None:
    with FaultServer(play) as server, pytest.raises(MazeError) as caught:
        generate(backend_for(server.url), ask())
    assert KEY[:8] not in str(caught.value)


def test_what_an_endpoint_says_of_its_health_cannot_steer_a_terminal_nor_show_the_key() -> None:
    said = answer(200, f"\x1b[31mok\x9b2J {KEY}".encode())
    with FaultServer(by_path(health=said, models=answer(200, ["m"]), generate_stream=answer(400, b""))) as server:
        [report] = backend_for(server.url).health(Deadline(10_000)).endpoints
    assert report["ready"]
    assert report["detail"].isprintable()
    assert KEY not in report["detail"]


def test_statistics_of_a_service_are_recorded_only_as_far_as_they_are_flat_and_short() -> None:
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    stats = {"ms": 7, "long": "x" * 1000, "deep": deep, "ok": True, **{f"n{number}": number for number in range(1000)}}
    with FaultServer(fine(stats=stats)) as server:
        told = generate(backend_for(server.url), ask())[0].engine["stats"]
    assert (told["ms"], told["long"], told["ok"]) == (7, "x" * 200, True)
    assert "deep" not in told
    assert len(told) <= 64
