"""maze.backends.http.model_pages: lists of models that come page by page."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fault_server import Exchange, FaultServer, Play, answer
from http_calls import KEY, backend_for

from maze import MazeConfig, Orchestrator
from maze.backends.base import Deadline, ModelNames
from maze.backends.http.model_pages import MAX_PAGES
from maze.cli import app
from maze.report import report_models

pytestmark = pytest.mark.usefixtures("backends_are_closed")


def page(*names: str, **more: object) -> dict[str, Any]:
    return {"data": [{"id": name, "type": "model"} for name in names], **more}


def by_query(name: str, pages: dict[str, Any]) -> Play:
    """Answers with the page that a parameter of the query names; an empty name is the first."""

    def play(exchange: Exchange) -> None:
        query = parse_qs(urlsplit(exchange.received.path).query)
        answer(200, pages[query.get(name, [""])[0]])(exchange)

    return play


def listed(play: Play, dialect: str = "openai") -> tuple[ModelNames, list[str]]:
    """The models, and what was asked for behind the detection."""
    with FaultServer(play) as server:
        names = backend_for(server.url, dialect=dialect).models(Deadline(20_000))
        return names, [request.path for request in server.requests]


@pytest.mark.parametrize(("dialect", "parameter"), [("anthropic", "after_id"), ("openai", "after")])
@pytest.mark.parametrize("last", [{"last_id": "b&c"}, {}])
def test_pages_are_asked_for_by_the_last_model_of_the_one_before(
    dialect: str, parameter: str, last: dict[str, str]
) -> None:
    pages = {
        "": page("a", "b&c", has_more=True, **last),
        "b&c": page("d", has_more=True),
        "d": page("e", has_more=False),
    }
    names, paths = listed(by_query(parameter, pages), dialect)
    assert (names, names.is_cut) == (("a", "b&c", "d", "e"), False)
    assert paths[-2:] == [f"/v1/models?{parameter}=b%26c", f"/v1/models?{parameter}=d"]


@pytest.mark.parametrize("link", ["/v1/models?page=2", "?page=2", "{url}/v1/models?page=2"])
def test_pages_are_asked_for_by_a_link_of_the_same_origin(link: str) -> None:
    def play(exchange: Exchange) -> None:
        if exchange.received.path == "/v1/models?page=2":
            assert KEY in str(exchange.received.headers)
            answer(200, page("b", next=None))(exchange)
        else:
            answer(200, page("a", next=link.format(url=f"http://{exchange.received.headers['host']}")))(exchange)

    assert listed(play)[0] == ("a", "b")


def test_pages_are_asked_for_by_the_token_of_the_next() -> None:
    names, _ = listed(by_query("pageToken", {"": page("a", nextPageToken="x y"), "x y": page("b", nextPageToken="")}))
    assert (names, names.is_cut) == (("a", "b"), False)


def test_a_link_to_another_origin_is_not_followed_and_the_list_is_called_cut(caplog: pytest.LogCaptureFixture) -> None:
    with FaultServer(answer(200, page("b"))) as other, caplog.at_level(logging.WARNING):
        for link in (f"{other.url}/v1/models?page=2", f"//127.0.0.1:{other.port}/v1/models", "http://[", "//x@/"):
            names, _ = listed(answer(200, page("a", next=link)))
            assert (names, names.is_cut) == (("a",), True)
        assert other.requests == []
    assert "its next page is at another origin, which is not asked" in caplog.text


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ({"": page("a", has_more=True), "a": page("a", has_more=True)}, "its next page has no other models"),
        ({"": page("a", has_more=True), "a": {"error": "no"}}, "no array 'data'"),
        ({"": page("a", has_more=True), "a": []}, "its next page has no other models"),
        ({"": page("a", next={"page": 2})}, "has more pages, and does not say where"),
        ({"": page(has_more=True)}, "has more pages, and does not say where"),
    ],
)
def test_a_list_whose_next_page_does_not_come_is_called_cut(
    pages: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    names, _ = listed(by_query("after", pages))
    assert (names, names.is_cut) == (("a",) if pages[""]["data"] else (), True)
    assert "has more models than are listed here: " in caplog.text
    assert reason in caplog.text


def test_a_page_that_is_refused_cuts_the_list() -> None:
    def play(exchange: Exchange) -> None:
        is_first = "?" not in exchange.received.path
        (answer(200, page("a", has_more=True)) if is_first else answer(400, {"error": "unknown parameter"}))(exchange)

    names, _ = listed(play)
    assert (names, names.is_cut) == (("a",), True)


def test_so_many_pages_are_asked_for_and_no_more() -> None:
    def play(exchange: Exchange) -> None:
        number = int(parse_qs(urlsplit(exchange.received.path).query).get("after", ["0"])[0])
        answer(200, page(str(number + 1), has_more=True))(exchange)

    names, paths = listed(play)
    assert (len(names), names.is_cut) == (MAX_PAGES, True)
    assert paths[-1].endswith(f"after={MAX_PAGES - 1}")


def test_a_list_that_is_cut_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MAZE_DIALECT", "openai")
    with FaultServer(answer(200, page("a", has_more=True))) as server:
        monkeypatch.setenv("MODAL_ENDPOINT", server.url)
        app(["models"], standalone_mode=False)
        told = capsys.readouterr()
        assert (told.out, told.err.strip()) == ("a\n", "warning: the service has more models than these")
        app(["models", "--json"], standalone_mode=False)
        report = json.loads(capsys.readouterr().out)
        assert (report["models"], report["models_cut"]) == (["a"], True)
        with Orchestrator(MazeConfig(endpoint=server.url, dialect="openai")) as maze:
            assert maze.models() == ("a",)
    assert report_models(("a",))["models_cut"] is False
