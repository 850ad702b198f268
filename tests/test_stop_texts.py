"""Stop texts hold also where an engine ignores them, or leaves them in."""

from __future__ import annotations

import random
from typing import Any

import pytest
from fault_server import (
    DONE,
    STREAM_HEAD,
    Answer,
    Exchange,
    FaultServer,
    Play,
    answer,
    chunk,
    close,
    stall,
    stream,
    summary,
    token,
    unfinished,
)
from http_calls import ask, backend_for, generate
from test_dialects import USAGE, choice, llama, llama_end, models

from maze import ConstraintIR, GenerationOptions, Intent, MazeConfig, Orchestrator
from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP
from maze.backends.stop_texts import StopTexts
from maze.compiled import TokenMask
from maze.errors import BadResponseError, CancelledError, ConstraintViolatedError, EngineUnavailableError, Status
from maze.result import GenerationResult

pytestmark = pytest.mark.usefixtures("backends_are_closed")


# ------------------------------------------------------------------------------------------------ the cut


def cut(pieces: list[str], stop: tuple[str, ...]) -> tuple[str, bool]:
    stops = StopTexts(stop)
    text = "".join(map(stops.take, pieces)) + stops.rest()
    assert stops.rest() == ""
    return text, stops.found


def before_first(text: str, stop: tuple[str, ...]) -> tuple[str, bool]:
    found = [at for at in map(text.find, stop) if at >= 0]
    return text[: min(found, default=len(text))], bool(found)


def test_the_text_ends_before_the_first_stop_text_however_it_is_cut_into_pieces() -> None:
    chance = random.Random(17)
    for _ in range(20_000):
        text = "".join(chance.choices("ab€", k=chance.randrange(9)))
        stop = tuple("".join(chance.choices("ab€", k=chance.randrange(1, 5))) for _ in range(chance.randrange(1, 4)))
        pieces, rest = [], text
        while rest:
            size = chance.randrange(len(rest) + 1)
            pieces.append(rest[:size])
            rest = rest[size:]
        assert cut(pieces, stop) == before_first(text, stop), (pieces, stop)


def test_only_what_may_begin_a_stop_text_is_held_back() -> None:
    stops = StopTexts(("END", "\n\n"))
    assert [stops.take(piece) for piece in ("a", "bE", "N", "d", "\n", "c", "E", "END")] == [
        "a",
        "b",
        "",
        "ENd",
        "",
        "\nc",
        "",
        "E",
    ]
    assert stops.found
    assert stops.take("more") == ""
    assert stops.rest() == ""


def test_without_stop_texts_nothing_is_held_back() -> None:
    stops = StopTexts(())
    assert stops.take("abc") == "abc"
    assert (stops.rest(), stops.found) == ("", False)


# ------------------------------------------------------------------------------------------------ engines


def notices(left: list[bool]) -> Play:
    def play(exchange: Exchange) -> None:
        exchange.connection.settimeout(10)
        left.append(exchange.connection.recv(1) == b"")
        exchange.open = False

    return play


@pytest.mark.parametrize(
    ("dialect", "events"),
    [
        ("maze", [token("hel"), token("lo E"), token("N"), token("D and more")]),
        ("vllm", [choice("hel"), choice("lo E"), choice("N"), choice("D and more")]),
        ("sglang", [choice("hel"), choice("lo E"), choice("N"), choice("D and more")]),
        ("llama.cpp", [llama("hel"), llama("lo E"), llama("N"), llama("D and more")]),
    ],
)
def test_an_engine_that_ignores_stop_is_cut_off_and_left(dialect: str, events: list[bytes]) -> None:
    left: list[bool] = []
    play = unfinished(*events, then=notices(left))
    questions = () if dialect == "maze" else (models("x", n_vocab=100), answer(200, {"version": "1"}))
    with FaultServer(*questions, play) as server:
        completion, pieces = generate(backend_for(server.url, dialect=dialect), ask(stop=("XX", "END")))
    assert (completion.text, completion.finish_reason) == ("hello ", FINISHED_STOP)
    assert pieces == ["hel", "lo "]
    assert left == [True]
    assert 1 <= (completion.tokens_generated or 0) <= 4


@pytest.mark.parametrize(
    ("dialect", "play"),
    [
        ("maze", stream(token("hello "), token("END"), summary(generated_text="hello END"), DONE)),
        ("maze", answer(200, {"generated_text": "hello END", "tokens_generated": 3, "finish_reason": "stop"})),
        ("maze", answer(200, {"generated_text": "hello END and", "tokens_generated": 3, "finish_reason": "length"})),
        ("vllm", stream(choice("hello "), choice("END", finish_reason="stop", stop_reason="END"), USAGE, DONE)),
        ("sglang", stream(choice("hello END", finish_reason="stop", matched_stop="END"), USAGE, DONE)),
        ("llama.cpp", stream(llama("hello END"), llama_end(stop_type="word"))),
        ("llama.cpp", stream(llama("hello END and"), llama_end(stop_type="limit"))),
    ],
)
def test_a_stop_text_that_an_engine_leaves_in_is_taken_out(dialect: str, play: Play) -> None:
    questions = () if dialect == "maze" else (models("x", n_vocab=100), answer(200, {"version": "1"}))
    with FaultServer(*questions, play) as server:
        completion, pieces = generate(backend_for(server.url, dialect=dialect), ask(stop=("END",)))
    assert (completion.text, completion.finish_reason) == ("hello ", FINISHED_STOP)
    assert "".join(pieces) == "hello "


def test_what_was_held_back_comes_before_the_end_when_nothing_follows() -> None:
    with FaultServer(stream(token("a E"), token("N"), summary(finish_reason="length"), DONE)) as server:
        completion, pieces = generate(backend_for(server.url), ask(stop=("END",)))
    assert (completion.text, completion.finish_reason) == ("a EN", FINISHED_LENGTH)
    assert pieces == ["a ", "EN"]


def test_a_stop_text_at_the_very_beginning_leaves_an_empty_text() -> None:
    with FaultServer(stream(token("EN"), token("D"), token("x"), summary(), DONE)) as server:
        completion, pieces = generate(backend_for(server.url), ask(stop=("END",)))
    assert (completion.text, pieces) == ("", [])


def test_text_that_was_held_back_is_kept_when_the_engine_fails() -> None:
    with (
        FaultServer(Answer(STREAM_HEAD + chunk(token("a E")) + chunk(token("N")), close)) as server,
        pytest.raises(EngineUnavailableError) as caught,
    ):
        generate(backend_for(server.url), ask(stop=("END",)))
    assert caught.value.partial_text == "a EN"


def test_a_receiver_may_still_cancel() -> None:
    with (
        FaultServer(unfinished(token("a E"), then=stall)) as server,
        pytest.raises(CancelledError, match="the caller ended") as caught,
    ):
        backend_for(server.url).generate(ask(stop=("END",)), lambda _: False)
    assert caught.value.partial_text == "a E"


# ------------------------------------------------------------------------------------------------ beside constraints


def test_a_mask_is_confirmed_by_the_end_of_the_answer_also_where_the_text_was_cut() -> None:
    mask = TokenMask(allowed=frozenset({5, 6}), forbidden=frozenset())

    def answered(*events: bytes) -> Any:  # noqa: ANN401 - a completion
        play = stream(*events, choice("", finish_reason="stop", token_ids=[2]), USAGE, DONE)
        with FaultServer(models("x", n_vocab=100), answer(200, {"version": "1"}), play) as server:
            request = ask(stop=("END",), grammar=None, token_mask=mask)
            return generate(backend_for(server.url, dialect="vllm"), request)[0]

    completion = answered(choice("a END", token_ids=[5]), choice(" b", token_ids=[6]))
    assert (completion.text, completion.finish_reason, completion.tokens_generated) == ("a ", FINISHED_STOP, 3)
    with pytest.raises(BadResponseError, match="token 7"):
        answered(choice("a END", token_ids=[7]), choice(" b", token_ids=[6]))


def test_a_service_must_say_of_a_cut_text_too_that_it_enforced_a_mask() -> None:
    mask = TokenMask(allowed=frozenset({5, 6}), forbidden=frozenset())
    for satisfied, error in ((None, BadResponseError), (False, ConstraintViolatedError)):
        play = stream(token("a END"), summary(constraint_satisfied=satisfied), DONE)
        with FaultServer(play) as server, pytest.raises(error):
            generate(backend_for(server.url), ask(stop=("END",), token_mask=mask))


def test_the_text_before_a_stop_text_is_what_is_checked() -> None:
    def result(*patterns: str) -> GenerationResult:
        with FaultServer(stream(token("12EN"), token("D34"), summary(), DONE)) as server:
            config = MazeConfig(endpoint=server.url, dialect="maze")
            with Orchestrator(config) as maze:
                constraints = [ConstraintIR(regex_patterns=patterns)]
                return maze.generate(Intent("x"), constraints, GenerationOptions(stop=("END",)))

    fine = result("^[0-9]+$")
    assert (fine.status, fine.code, fine.metadata.finish_reason) == (Status.OK, "12", FINISHED_STOP)
    needed = result("^[0-9]+END[0-9]+$")
    assert (needed.status, needed.code) == (Status.CONSTRAINT_VIOLATED, "12")
    assert "a stop text may have ended it early" in str(needed.error)
    ignored = result("^[a-z]+$")
    assert (ignored.status, ignored.code) == (Status.CONSTRAINT_VIOLATED, "12")
    assert "the engine did not enforce it" in str(ignored.error)
