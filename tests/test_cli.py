"""The command `maze`: what it prints where, how it ends, and that it can be interrupted."""

from __future__ import annotations

import inspect
import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import cast

import httpx
import pytest
from conftest import Run
from fault_server import Exchange, FaultServer, answer, by_path
from scripted_backend import Gate, LoadingBackend, ScriptedBackend, reached
from service_runner import running_service
from typer.core import TyperGroup
from typer.main import get_command

from maze._version import __version__
from maze.cli import app
from maze.cli.exit_codes import EXIT_CODES, INTERRUPTED, MEANINGS, OUTPUT_LOST
from maze.cli.generating import generate
from maze.errors import Status
from maze.options import GenerationOptions
from maze.report import report_call
from maze.secret import Secret
from maze.service.settings import ServiceSettings

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.usefixtures("as_in_a_new_shell")

MAZE = [sys.executable, "-m", "maze"]
SCHEMA = '{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":9}},"required":["n"]}'


@pytest.fixture
def schema(tmp_path: Path) -> str:
    path = tmp_path / "schema.json"
    path.write_text(SCHEMA)
    return str(path)


@contextmanager
def process(
    *arguments: str, env: dict[str, str] | None = None, stdin: int | None = None, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*MAZE, *arguments], env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr) as child:
        try:
            yield child
        finally:
            child.kill()


# ------------------------------------------------------------------------------------------------ generating


@pytest.mark.usefixtures("embedded_backend")
def test_generated_text_alone_goes_to_stdout(run: Run, schema: str) -> None:
    code, out, err = run("generate", "Give n.", "--schema", schema, "--seed", "1", "--max-tokens", "60")
    assert (code, err) == (0, "")
    assert 0 <= json.loads(out)["n"] <= 9


@pytest.mark.usefixtures("embedded_backend")
def test_json_holds_everything_about_a_generation(run: Run) -> None:
    code, out, err = run("generate", "yes or no?", "--regex", "^(yes|no)$", "--json", "--seed", "7", "--stop", "END")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["code"] in ("yes", "no")
    assert (answer["status"], answer["success"], answer["error"]) == ("MAZE_OK", True, None)
    assert answer["validation"]["all_satisfied"] is True
    assert answer["provenance"]["parameters"]["seed"] == 7


@pytest.mark.usefixtures("embedded_backend")
def test_a_text_cut_off_is_shown_and_ends_with_its_own_code(run: Run) -> None:
    code, out, err = run("generate", "digits", "--regex", "^[0-9]{200}$", "--max-tokens", "5")
    assert code == Status.TRUNCATED
    assert re.fullmatch(r"[0-9]+\n", out)
    assert err.startswith("libmaze: the text was cut off after 5 tokens")
    assert "raise max_tokens" in err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["generate", "x", "--regex", "("], Status.INVALID_CONSTRAINT, "regex_patterns[0]"),
        (["generate", "x", "--regex", "^a$", "--regex", "^b$"], Status.CONTRADICTION, "regex_patterns"),
        (["generate", "x", "--schema", "/nowhere"], Status.INVALID_ARGUMENT, "/nowhere cannot be read"),
        (["generate", "x", "--temperature", "9"], Status.INVALID_ARGUMENT, "temperature"),
        (["generate", ""], Status.INVALID_ARGUMENT, "empty"),
        (["generate", "x", "--max-attempts", "0"], Status.INVALID_ARGUMENT, "--max-attempts is 0; it must be"),
        (["generate", "x", "--top-logprobs", "21"], Status.INVALID_ARGUMENT, "--top-logprobs is 21"),
        (["generate", "x", "--reasoning-tokens", "-1"], Status.INVALID_ARGUMENT, "--reasoning-tokens is -1"),
        (["generate", "x", "--messages", "/nowhere"], Status.INVALID_ARGUMENT, "/nowhere cannot be read"),
        (["generate", "-", "--messages", "-"], Status.INVALID_ARGUMENT, "only one of prompt, --schema"),
        (["validate", "/nowhere", "--regex", "a"], Status.INVALID_ARGUMENT, "/nowhere cannot be read"),
        (["compile", "--regex", "("], Status.INVALID_CONSTRAINT, "regex_patterns[0]"),
        (["serve", "--host", "0.0.0.0"], Status.CONFIGURATION, "MAZE_API_KEY"),
        (["serve", "--host", ""], Status.CONFIGURATION, "MAZE_API_KEY"),
        (["serve", "--upstream", "nonsense"], Status.CONFIGURATION, "--upstream is not a URL"),
    ],
)
def test_each_failure_ends_with_the_code_of_its_status(
    arguments: list[str], status: Status, said: str, run: Run
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (status, "")
    assert err.startswith("libmaze: ")
    assert said in err
    code, out, err = run(*arguments, "--json")
    assert (code, err) == (status, "")
    answer = json.loads(out)
    assert answer["status"] == f"MAZE_{status.name}"
    assert said in answer["error"]


@pytest.mark.parametrize("arguments", [["nonsense"], ["generate"], ["generate", "x", "--max-tokens", "many"]])
def test_a_wrong_option_ends_with_the_code_for_wrong_arguments(arguments: list[str], run: Run) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (Status.INVALID_ARGUMENT, "")
    assert err.startswith("libmaze: ")


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ("[", "--messages is no JSON: "),
        ("[" * 100_000, "--messages is no JSON: "),
        ("{}", "--messages must be an array of objects"),
        ('[{"role": "user", "text": "a"}, {"role": "system", "text": "b"}]', "--messages[1].role must be one of user"),
    ],
)
def test_wrong_messages_are_told_with_their_place(messages: str, said: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "messages.json").write_text(messages)
    code, out, err = run("generate", "x", "--messages", str(tmp_path / "messages.json"))
    assert (code, out) == (Status.INVALID_ARGUMENT, "")
    assert said in err


def test_every_option_of_a_generation_is_an_option_of_the_command() -> None:
    parameters = set(inspect.signature(generate).parameters)
    missing = {field.name for field in fields(GenerationOptions)} - parameters
    assert missing == {"timeout_ms", "on_unenforceable"}  # --timeout has seconds, and there is --report


@pytest.mark.usefixtures("embedded_backend")
def test_a_text_that_may_take_attempts_is_shown_when_it_is_done(run: Run) -> None:
    code, out, err = run("generate", "yes or no?", "--regex", "^(yes|no)$", "--max-attempts", "2", "--seed", "1")
    assert (code, err) == (0, "")
    assert out in ("yes\n", "no\n")


def test_a_wrong_variable_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODAL_ENDPOINT", "ftp://x")
    for command in (["generate", "x"], ["compile"], ["health"], ["models"], ["doctor"]):
        code, out, err = run(*command)
        assert code == Status.CONFIGURATION
        assert "MODAL_ENDPOINT" in out + err


def test_text_appears_as_it_comes_and_goes_through_a_pipe_without_colours() -> None:
    gate = Gate()
    with running_service(ScriptedBackend(["first ", gate, "second"])) as service:
        environment = {**os.environ, "MODAL_ENDPOINT": service.url}
        with process("generate", "x", env=environment) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            assert child.stdout.read(6) == b"first "
            gate.opened.set()
            assert (child.stdout.read(), child.stderr.read(), child.wait(30)) == (b"second\n", b"", 0)


def test_ctrl_c_cancels_the_generation_and_ends_with_130() -> None:
    gate = Gate()
    with running_service(ScriptedBackend(["first ", gate])) as service:
        with process("generate", "x", env={**os.environ, "MODAL_ENDPOINT": service.url}) as child:
            assert child.stdout is not None
            assert child.stdout.read(6) == b"first "
            child.send_signal(signal.SIGINT)
            assert child.communicate(timeout=30) == (b"", b"")
        assert child.returncode == INTERRUPTED
        assert reached(gate.cancelled)


@pytest.mark.parametrize("command", ["health", "models"])
def test_ctrl_c_ends_a_wait_for_a_silent_service(command: str) -> None:
    asked = threading.Event()

    def stall_when_asked(exchange: Exchange) -> None:
        asked.set()
        exchange.stall()

    with FaultServer(stall_when_asked) as server:
        environment = {**os.environ, "MODAL_ENDPOINT": server.url, "MAZE_DIALECT": "maze"}
        with process(command, env=environment) as child:
            assert asked.wait(30)
            child.send_signal(signal.SIGINT)
            assert child.communicate(timeout=30) == (b"", b"")
    assert child.returncode == INTERRUPTED


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    pieces = ["x" * 1000] * 200
    with (
        running_service(ScriptedBackend(pieces)) as service,
        process("generate", "x", env={**os.environ, "MODAL_ENDPOINT": service.url}) as child,
    ):
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(1)
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(30) == 141


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_a_full_disk_is_told_with_a_code_of_its_own(as_json: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*MAZE, "compile", "--regex", "^a$", *as_json], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == OUTPUT_LOST
    assert done.stderr == "libmaze: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_stream_that_the_shell_closed_is_no_traceback(closed: str) -> None:
    command = f"exec {shlex.join(MAZE)} compile --regex '^a$' {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (OUTPUT_LOST, "", "")


def test_generated_text_is_utf_8_whatever_the_locale_says() -> None:
    with running_service(ScriptedBackend(["na\u00efve ", "\U0001f600"])) as service:
        environment = {**os.environ, "MODAL_ENDPOINT": service.url, "PYTHONIOENCODING": "latin-1"}
        done = subprocess.run([*MAZE, "generate", "x"], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "na\u00efve \U0001f600\n".encode(), b"")


def test_names_of_files_may_hold_any_bytes(run: Run, tmp_path: Path) -> None:
    schema = tmp_path / os.fsdecode(b"sch\xffma")
    schema.write_text(SCHEMA)
    text = tmp_path / os.fsdecode(b"t\xffxt")
    text.write_text("{}")
    code, out, _ = run("validate", str(text), "--schema", str(schema), "--json")
    assert code == Status.CONSTRAINT_VIOLATED
    assert json.loads(out)["validation"]["outcomes"][0]["name"].endswith("sch\\udcffma")
    assert "t\\udcffxt:1:1" in run("validate", str(text), "--schema", str(schema))[1]
    code, out, _ = run("validate", str(tmp_path / os.fsdecode(b"\xff")), "--schema", str(schema), "--json")
    assert code == Status.INVALID_ARGUMENT
    assert json.loads(out)["error"].endswith("\\udcff cannot be read: No such file or directory")


@pytest.mark.parametrize("timeout", ["nan", "inf", "-inf", "0", "-1", "1e300"])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(timeout: str, run: Run) -> None:
    code, out, err = run("generate", "x", f"--timeout={timeout}")
    assert (code, out) == (Status.INVALID_ARGUMENT, "")
    assert err.startswith("libmaze: Invalid value for '--timeout'")


def test_a_terminal_gets_colours_and_a_spinner_that_goes_when_text_comes() -> None:
    gate = Gate()
    with running_service(ScriptedBackend([gate, "text"])) as service:
        controller, terminal = pty.openpty()
        environment = {**os.environ, "MODAL_ENDPOINT": service.url, "TERM": "xterm"}
        with process("generate", "x", env=environment, stderr=terminal) as child:
            os.close(terminal)
            shown = b""
            while b"waiting for the model" not in shown:
                shown += os.read(controller, 1000)
            gate.opened.set()
            assert child.stdout is not None
            assert child.stdout.read() == b"text\n"
            assert child.wait(30) == 0
            assert b"\x1b[" in shown
        os.close(controller)


# ------------------------------------------------------------------------------------------------ without an engine


def test_compile_prints_the_grammar_and_tells_what_becomes_of_each_part(run: Run, schema: str) -> None:
    code, out, err = run("compile", "--schema", schema, "--regex", "^.*$")
    assert code == 0
    assert out.startswith("%llguidance")
    assert "enforced: constraints[0].json_schema (--schema" in err
    assert "constraints[1].regex_patterns[0] (--regex)" in err
    code, out, err = run("compile", "--schema", schema, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["grammar"].startswith("%llguidance")
    assert json.loads(out)["constraints"][0]["handling"] == "enforced"


def test_validate_tells_where_a_text_breaks_its_constraints(run: Run, schema: str, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text('{"n": 1}')
    bad.write_text("abc\nd1")
    code, out, err = run("validate", str(good), "--schema", schema)
    assert (code, err) == (0, "")
    assert out.startswith("satisfied constraints[0].json_schema")
    code, out, err = run("validate", str(bad), "--regex", r"^[a-z\n]+$")
    assert (code, err) == (Status.CONSTRAINT_VIOLATED, "")
    assert out.startswith(
        f"violated constraints[0].regex_patterns[0] (--regex)\n  {bad}:2:2 (byte 5): found '1', expected "
    )
    code, out, _ = run("validate", str(bad), "--schema", schema, "--json")
    answer = json.loads(out)
    assert (code, answer["status"]) == (Status.CONSTRAINT_VIOLATED, "MAZE_CONSTRAINT_VIOLATED")
    assert answer["validation"]["outcomes"][0]["satisfied"] is False


def test_text_and_constraints_can_come_from_stdin_but_not_both(schema: str, run: Run) -> None:
    with process("validate", "-", "--schema", schema, stdin=subprocess.PIPE) as child:
        child.communicate(b'{"n": 1}', timeout=60)
        assert child.returncode == 0
    assert run("validate", "-", "--schema", "-")[0] == Status.INVALID_ARGUMENT


# ------------------------------------------------------------------------------------------------ asking the engine


def test_names_of_models_cannot_steer_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAZE_DIALECT", "maze")
    with FaultServer(answer(200, ["a\x1b[2J", "\u0437"])) as server:
        monkeypatch.setenv("MODAL_ENDPOINT", server.url)
        assert run("models")[:2] == (0, "a\ufffd[2J\n\u0437\n")


def test_health_names_each_engine_as_its_users_know_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = answer(200, {"data": [{"id": "m"}]})
    with FaultServer(by_path(v1_models=answer(401, b""))) as unknown, FaultServer(by_path(v1_models=listed)) as known:
        for server, named in ((unknown, f"not ready {unknown.url}: "), (known, f"not ready openai {known.url}: ")):
            monkeypatch.setenv("MODAL_ENDPOINT", server.url)
            assert run("health")[1].startswith(named)
        monkeypatch.setenv("MODAL_ENDPOINT", unknown.url)
        assert json.loads(run("health", "--json")[1])["backend"] is None


def test_health_and_models_ask_the_service(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LoadingBackend(["x"])
    with running_service(backend) as service:
        monkeypatch.setenv("MODAL_ENDPOINT", service.url)
        code, out, _ = run("health")
        assert code == Status.ENGINE_UNAVAILABLE
        assert "not ready" in out
    backend.ready = True
    with running_service(backend) as service:
        monkeypatch.setenv("MODAL_ENDPOINT", service.url)
        assert run("health")[0] == 0
        code, out, _ = run("health", "--json")
        assert (code, json.loads(out)["ready"]) == (0, True)
        assert run("models")[:2] == (0, "a-model\n")
        assert json.loads(run("models", "--json")[1]) == report_call(Status.OK, models=["a-model"], models_cut=False)


def test_a_refused_key_has_its_own_code_and_is_shown_nowhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_service(
        ScriptedBackend(["x"]), ServiceSettings(api_key=Secret("right"), stop_grace_secs=0)
    ) as service:
        monkeypatch.setenv("MODAL_ENDPOINT", service.url)
        monkeypatch.setenv("MODAL_API_KEY", "wrong-key-1234")
        code, out, err = run("generate", "x")
        assert code == Status.UNAUTHORIZED
        assert "wrong-key-1234" not in out + err + run("doctor")[1] + run("doctor", "--json")[1]
        monkeypatch.setenv("MODAL_API_KEY", "right")
        assert run("generate", "x")[:2] == (0, "x\n")


# ------------------------------------------------------------------------------------------------ serve


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with process("serve", "--port", "0", "--json", *arguments, env={**os.environ, **environment}) as child:
        assert child.stdout is not None
        yield json.loads(child.stdout.readline())["url"], child


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, INTERRUPTED)])
def test_serve_offers_the_embedded_engine_and_stops_gracefully(ending: signal.Signals, code: int) -> None:
    body = {"prompt": "yes or no?", "constraints": {"regex_patterns": ["^(yes|no)$"]}, "max_tokens": 8}
    with serving(MAZE_API_KEY="k") as (url, child):
        assert httpx.post(url + "/generate", json=body, timeout=60).status_code == 401
        headers = {"Authorization": "Bearer k"}
        answer = httpx.post(url + "/generate", json=body, headers=headers, timeout=60).json()
        assert answer["generated_text"] in ("yes", "no")
        assert answer["constraint_satisfied"] is True
        child.send_signal(ending)
        _, err = child.communicate(timeout=30)
        assert child.returncode == code, err.decode()
        assert b"Traceback" not in err
        assert b"POST /generate 200" in err
        assert b"yes or no" not in err


def test_serve_offers_an_upstream() -> None:
    with (
        running_service(ScriptedBackend(["te", "xt"]), ServiceSettings(api_key=Secret("up"), stop_grace_secs=0)) as up,
        serving("--upstream", up.url, MODAL_API_KEY="up", MODAL_ENDPOINT="") as (url, _),
    ):
        assert httpx.get(url + "/models").json() == ["a-model"]
        assert httpx.post(url + "/generate", json={"prompt": "x"}, timeout=60).json()["generated_text"] == "text"


def test_a_port_that_is_taken_is_named(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code, _, err = run("serve", "--port", str(port))
    assert code == Status.INVALID_ARGUMENT
    assert f"cannot listen on 127.0.0.1 port {port}" in err


# ------------------------------------------------------------------------------------------------ documentation


def test_the_exit_codes_in_help_and_documentation_are_those_of_the_header() -> None:
    numbers = {str(status.value) for status in Status}
    documented = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE)
    assert set(documented) == numbers | {"74", "130", "141"}
    told = re.findall(r"(?<=[ ;])(\d+) [a-z]", EXIT_CODES.partition(". 1 to")[0])
    assert set(told) == numbers - {str(Status.FORKED.value)} | {"74", "130", "141"}


def test_the_exit_codes_in_the_documentation_mean_what_they_mean_everywhere() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    documented = dict(re.findall(r"^\| (\d+) \| (.*) \|$", page, re.MULTILINE))
    assert {str(code): meaning for code, meaning in MEANINGS.items()} == documented


COMMANDS = cast("TyperGroup", get_command(app)).commands


def test_every_command_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert [name for name in COMMANDS if f"`maze {name}" not in page] == []


def test_help_of_every_command_tells_its_exit_codes(run: Run) -> None:
    for command in COMMANDS.keys() - {"config"}:  # which prints words for a compiler, and takes no --json
        code, out, _ = run(command, "--help")
        assert code == 0
        assert f"Example: maze {command}" in " ".join(out.split())
        assert "130 interrupted" in " ".join(out.split())
        assert "--json" in out
        assert "<bool>" not in out
    assert "<bool>" not in run("--help")[1]


def test_help_names_every_option_in_a_narrow_terminal_and_tells_defaults(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = run("generate", "--help")[1]
    options = re.findall(r"^  (?:-o, )?(--[a-z-]+)", out, re.MULTILINE)
    named = {f"--{name.replace('_', '-')}" for name in inspect.signature(generate).parameters}
    spelled = {"--max-attempts": "--attempts", "--as-json": "--json"}
    assert {spelled.get(name, name) for name in named - {"--prompt"}} | {"--help"} == set(options)
    assert "[default: (2048)]" in " ".join(out.split())
    assert out.count("Repeatable.") == 3


def test_the_command_alone_shows_its_help(run: Run) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out.startswith("Usage: maze [OPTIONS] COMMAND")
    assert "--install-completion" in out


@pytest.mark.parametrize(
    ("words", "completed"),
    [("maze gen", "generate"), ("maze validate --language z", "zig"), ("maze generate --when-cut-off c", "complete")],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_options_and_values(words: str, completed: str, shell: str) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_TYPER_COMPLETE_ARGS": words}
    if shell == "fish":
        asked["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    done = subprocess.run(
        MAZE, env={**os.environ, "_MAZE_COMPLETE": f"complete_{shell}", **asked}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert completed.encode() in done.stdout


@pytest.mark.parametrize("command", [["compile"], ["validate", "-"]])
def test_without_a_constraint_there_is_nothing_to_compile_or_validate(command: list[str], run: Run) -> None:
    code, out, err = run(*command)
    assert (code, out) == (Status.INVALID_ARGUMENT, "")
    assert "there is no constraint: give --schema, --grammar, --regex" in err


@pytest.mark.usefixtures("embedded_backend")
def test_a_text_goes_to_a_file_if_it_is_a_success(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("before")
    file.chmod(0o640)
    code, out, err = run("generate", "x", "--regex", "^(?:yes|no) .*$", "--max-tokens", "1", "-o", str(file))
    assert (code, file.read_text()) == (Status.TRUNCATED, "before")
    assert out.startswith(("y", "n"))
    code, out, err = run("generate", "x", "--regex", "^(?:yes|no)$", "-o", str(file))
    assert (code, out, err) == (0, "", "")
    assert file.read_text() in ("yes", "no")
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["text"]
    code, out, err = run("compile", "--regex", "a", "-o", str(tmp_path / "nowhere" / "x"))
    assert (code, out) == (Status.INVALID_ARGUMENT, "")
    assert "cannot be written: No such file or directory" in err


def test_constraints_have_the_name_and_priority_that_are_given(run: Run) -> None:
    out = run("compile", "--regex", "a", "--name", "an a", "--priority", "7", "--json")[1]
    (part,) = json.loads(out)["constraints"]
    assert (part["name"], part["priority"]) == ("an a", 7)
    code, _, err = run("compile", "--regex", "a", "--priority", "99999999999")
    assert code == Status.INVALID_ARGUMENT
    assert "--priority is 99999999999" in err


def test_a_defect_is_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("maze.cli.Orchestrator", break_down)
    code, out, err = run("models")
    assert (code, out) == (Status.INTERNAL_ERROR, "")
    assert re.search(
        r"internal error: ZeroDivisionError: by nothing \(test_cli.py:\d+, version .*\); please report", err
    )


@pytest.mark.usefixtures("embedded_backend")
def test_bench_measures_the_engine(run: Run) -> None:
    code, out, _ = run("bench", "--tokens", "4")
    assert code == 0
    assert out.splitlines()[1].split()[:2] == ["free", "4"]
    measured = json.loads(run("bench", "--tokens", "4", "--json")[1])["measured"]
    assert measured["JSON Schema"]["tokens_per_second"] > 0
    assert measured["JSON Schema"]["compile_ms"] > 0


@pytest.mark.parametrize("missing", ["typer", "llguidance", "orjson"])
def test_where_a_package_is_missing_the_command_says_which_and_what_to_do(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from maze.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, "doctor"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (Status.STARTUP_FAILED, "")
    assert f"cannot start: import of {missing} halted" in done.stderr
    assert re.search("^ok +python: ", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr


def test_the_version_is_that_of_the_library() -> None:
    done = subprocess.run([*MAZE, "--version"], capture_output=True, check=True, text=True)
    assert done.stdout == f"maze {__version__}\n"


def test_a_program_is_laid_out_in_the_language_that_its_name_tells(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "main.py"
    program.write_text("x=1  # one\n")
    assert run("format", str(program)) == (Status.OK, "x = 1\n", "")
    nameless = program.rename(tmp_path / "main")
    code, _, err = run("format", str(nameless))
    assert (code, "format needs --language with one of c, javascript" in err) == (Status.INVALID_ARGUMENT, True)
    assert run("format", str(nameless), "--language", "python")[1] == "x = 1\n"
