"""No key gets into a log, an error, a result, a report or the output of a command, whatever the engine does with it.

Every dialect plays good and bad answers, some of which repeat the key, while everything is logged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest
from c_programs import compile_program
from c_programs import run as run_program
from fault_server import DONE, Answer, Exchange, FaultServer, Play, answer, close, event, fine, reset, stream, token
from http_calls import ask, backend_for, generate
from scripted_backend import ScriptedBackend
from service_runner import running_service

from maze import Intent, MazeConfig, Orchestrator
from maze.cli import main
from maze.config import DIALECTS
from maze.errors import MazeError
from maze.log import TRACE, configure_logging
from maze.options import GenerationOptions
from maze.secret import Secret
from maze.service.settings import ServiceSettings

SECRETS = {
    "MODAL_API_KEY": "sk-api-8Hq2vTz0",
    "MODAL_KEY": "wk-proxy-51LmPw9x",
    "MODAL_SECRET": "ws-proxy-7RbNc3Jd",
}
pytestmark = pytest.mark.usefixtures("backends_are_closed")

KEY_FIELDS = ("api_key", "proxy_key", "proxy_secret")


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(TRACE)
    configure_logging({"": "trace"})
    yield
    configure_logging({})


def assert_no_secret_in(shown: str) -> None:
    for variable, secret in SECRETS.items():
        # Not even a beginning long enough to recognise it by.
        assert secret[:8].lower() not in shown.lower(), f"{variable} in: {shown[:500]}"


def texts_of(error: BaseException | None) -> str:
    """All that hangs from an error."""
    shown = ""
    while error is not None:
        shown += f"{error} {error!r} {vars(error)!r} "
        error = error.__cause__ or error.__context__
    return shown


def _repeats_the_key(exchange: Exchange) -> str:
    given = exchange.received.headers
    return f"{given.get('authorization')} {given.get('modal-key')} {given.get('modal-secret')}"


def _by_path(generation: Callable[[Exchange], Play]) -> Play:
    """A service whose questions are answered well and whose generations are answered by `generation`."""

    def play(exchange: Exchange) -> None:
        path = exchange.received.path
        if path == "/v1/models":
            models = [{"id": name, "owned_by": "x"} for name in ("m", _repeats_the_key(exchange))]
            answer(200, {"data": models})(exchange)
        elif path == "/models":
            answer(200, ["m", _repeats_the_key(exchange)])(exchange)
        elif path in ("/health", "/ready"):
            answer(200, {"status": "ok", "seen": _repeats_the_key(exchange)})(exchange)
        elif path in ("/version", "/server_info", "/props"):
            said = _repeats_the_key(exchange)
            answer(200, {"version": said, "build_info": said})(exchange)
        else:
            generation(exchange)(exchange)

    return play


def _shapes(exchange: Exchange) -> list[Play]:
    said = _repeats_the_key(exchange)
    return [
        answer(401, {"error": {"message": f"bad key {said}"}}),
        answer(400, {"detail": said}),
        answer(500, said.encode(), content_type="text/plain"),
        answer(200, said.encode(), content_type=said),
        stream(event({"error": {"message": said, "code": 503}}), DONE),
        stream(b"data: " + said.encode() + b"\n\n"),
        stream(said.encode() + b": x\n\n"),
        Answer(b"HTTP/1.1 " + said.encode() + b"\r\n\r\n"),
        Answer(said.encode()),
        answer(303, b"", f"Location: http://{said.replace(' ', '')}:x/"),
        answer(307, b"", f"Location: /{said.replace(' ', '')}"),
        stream(token("a"), event({"token": "", "done": True, "finish_reason": said}), DONE),
        fine("a"),
        fine("a", model=said, stats={"said": said, said: 1, "deep": [said]}),
    ]


def _shape(number: int, exchange: Exchange) -> Play:
    return _shapes(exchange)[number]


GENERATIONS: dict[str, Callable[[Exchange], Play]] = {
    "reset": lambda _: reset,
    "close": lambda _: close,
    **{f"shape {number}": partial(_shape, number) for number in range(14)},
}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_key_is_shown_whatever_a_service_does(
    dialect: str, generation: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(_by_path(GENERATIONS[generation])) as server:
        config = MazeConfig(
            endpoint=server.url,
            api_key=Secret(SECRETS["MODAL_API_KEY"]),
            proxy_key=SECRETS["MODAL_KEY"],
            proxy_secret=SECRETS["MODAL_SECRET"],
            dialect=dialect,
            log_filter="trace",
        )
        with Orchestrator(config) as maze:
            result = maze.generate(Intent("x"), (), GenerationOptions(timeout_ms=1500))
            assert_no_secret_in(repr(result))
            assert_no_secret_in(repr(maze.health()))
            assert_no_secret_in(repr(maze.models()))
            assert_no_secret_in(repr(config) + repr(dataclasses.asdict(config)))
        backend = backend_for(
            server.url, dialect=dialect, **{field: getattr(config.modal, field) for field in KEY_FIELDS}
        )
        try:
            generate(backend, ask(timeout_ms=1500, grammar=None))
        except MazeError as error:
            assert_no_secret_in(texts_of(error))
        sent = [request.headers for request in server.requests]
    assert any(headers.get("authorization") == f"Bearer {SECRETS['MODAL_API_KEY']}" for headers in sent)
    assert caplog.records
    for record in caplog.records:
        assert_no_secret_in(f"{record.getMessage()} {record.args!r} {texts_of(record.exc_info and record.exc_info[1])}")
    assert_no_secret_in("".join(capfd.readouterr()))


def environment(server: FaultServer) -> dict[str, str]:
    return {**SECRETS, "MODAL_ENDPOINT": server.url, "MAZE_DIALECT": "maze", "MAZE_LOG": "trace"}


def _refuses(exchange: Exchange) -> Play:
    return _shapes(exchange)[0]


@pytest.mark.parametrize("generation", [_refuses, lambda _: fine("a")], ids=["refused", "answered"])
@pytest.mark.parametrize("command", [["generate", "x"], ["health"], ["models"], ["doctor"]], ids=lambda words: words[0])
def test_no_command_shows_a_key(
    command: list[str],
    generation: Callable[[Exchange], Play],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with FaultServer(_by_path(generation)) as server:
        for name, value in {
            **SECRETS,
            "MODAL_ENDPOINT": server.url,
            "MAZE_DIALECT": "maze",
            "MAZE_LOG": "trace",
        }.items():
            monkeypatch.setenv(name, value)
        main(command)
        main([*command, "--json"])
        assert server.requests
    out, err = capfd.readouterr()
    assert out
    assert_no_secret_in(out + err)


def test_no_c_program_shows_a_key() -> None:
    with FaultServer(_by_path(_refuses)) as server:
        done = run_program(compile_program("storm"), "1", "8", environment=environment(server))
        assert server.requests
    assert "MAZE_UNAUTHORIZED" in done.stderr
    assert_no_secret_in(done.stdout + done.stderr)


@pytest.mark.parametrize("given", ["x", SECRETS["MODAL_API_KEY"][:-1] + "x", SECRETS["MODAL_API_KEY"]])
def test_the_service_does_not_show_its_own_key(given: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise ValueError

    settings = ServiceSettings(api_key=Secret(SECRETS["MODAL_API_KEY"]), stop_grace_secs=0)
    with running_service(ScriptedBackend(["a", fail]), settings) as service:
        for path in ("/generate", "/generate/stream", "/models", "/metrics", "/nothing"):
            answered = httpx.post(
                service.url + path, json={"prompt": "x"}, headers={"Authorization": f"Bearer {given}"}
            )
            assert_no_secret_in(answered.text + repr(answered.headers))
    assert caplog.records
    for record in caplog.records:
        if record.name.startswith("maze"):
            assert_no_secret_in(f"{record.getMessage()} {record.args!r} {record.exc_text}")
    assert_no_secret_in(repr(settings))
