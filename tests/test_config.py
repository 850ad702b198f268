"""maze.config: the environment, defaults and what is wrong with a value."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from maze.config import ENVIRONMENT_VARIABLES, MazeConfig, ModalConfig, config_from_environment, read_config
from maze.errors import ConfigurationError
from maze.secret import Secret

HEADER = Path(__file__).parent.parent / "include" / "maze.h"
SOURCES = (Path(__file__).parent.parent / "maze").rglob("*.py")
SOURCES_IN_C = (Path(__file__).parent.parent / "maze" / "abi").rglob("*.[ch]")


def test_an_empty_environment_means_the_embedded_engine_and_the_documented_defaults() -> None:
    config = config_from_environment({})
    assert config == MazeConfig(
        max_tokens=2048,
        temperature=0.7,
        enable_cache=True,
        cache_size_limit=1000,
        timeout_secs=300,
        endpoint="",
        local_model=None,
        log_filter="",
    )


def test_an_empty_variable_counts_as_unset() -> None:
    assert config_from_environment(dict.fromkeys(ENVIRONMENT_VARIABLES, "")) == config_from_environment({})


def test_every_variable_of_the_service_arrives() -> None:
    config = config_from_environment(
        {
            "MODAL_ENDPOINT": " https://one.example/ , http://127.0.0.1:8000/base/",
            "MODAL_API_KEY": "key\n",
            "MODAL_MODEL": "a-model",
            "MODAL_KEY": "proxy",
            "MODAL_SECRET": "hidden",
            "MAZE_DIALECT": "vllm",
        }
    )
    assert config.modal == ModalConfig(
        endpoints=("https://one.example", "http://127.0.0.1:8000/base"),
        api_key=Secret("key"),
        model="a-model",
        dialect="vllm",
        proxy_key=Secret("proxy"),
        proxy_secret=Secret("hidden"),
    )


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("MODAL_ENDPOINT", ",", "names no URL"),
        ("MODAL_ENDPOINT", "example.com", "begins with http"),
        ("MODAL_ENDPOINT", "ftp://example.com", "begins with http"),
        ("MODAL_ENDPOINT", "http://", "names a host"),
        ("MODAL_ENDPOINT", "http://h:99999", "is not a URL"),
        ("MODAL_ENDPOINT", "http://h:0", "is not a URL"),
        ("MODAL_ENDPOINT", "http://[::1", "is not a URL"),
        ("MODAL_ENDPOINT", "http://h\r\nX-Header", "white space or a control character"),
        ("MODAL_ENDPOINT", "http://h\x7f", "white space or a control character"),
        ("MODAL_ENDPOINT", "https://user:word@example.com", "MODAL_API_KEY"),
        ("MODAL_ENDPOINT", "https://example.com?a=b", "query"),
        ("MODAL_ENDPOINT", "https://example.com?", "query"),
        ("MODAL_ENDPOINT", "https://example.com/#", "query"),
        ("MODAL_ENDPOINT", "https://good.example,bad", "URL 2 of MODAL_ENDPOINT"),
        ("MODAL_API_KEY", "two words", "header"),
        ("MODAL_API_KEY", "schlüssel", "header"),
        ("MODAL_SECRET", "a\r\nX-Other: b", "header"),
        ("MAZE_DIALECT", "grpc", "one of maze, vllm, sglang, llama.cpp"),
        ("MAZE_LOCAL_MODEL", "/nowhere/model.gguf", "is not a file"),
        ("MAZE_LOCAL_THREADS", "two", "is 'two'; it must be a whole number between 1 and 512"),
        ("MAZE_LOCAL_THREADS", "0", "is 0; it must be a whole number between 1 and 512"),
        ("MAZE_LOCAL_THREADS", "513", "is 513; it must be a whole number between 1 and 512"),
        ("MAZE_LOG", "maze=loud", "maze=debug"),
        ("MAZE_LOG", "what ever", "maze=debug"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_variable(variable: str, value: str, complaint: str) -> None:
    environment = {"MODAL_ENDPOINT": "https://example.com", variable: value}
    with pytest.raises(ConfigurationError, match=re.escape(complaint)) as caught:
        config_from_environment(environment)
    assert variable in str(caught.value)


@pytest.mark.parametrize("variable", ["MODAL_ENDPOINT", "MODAL_API_KEY", "MODAL_KEY", "MODAL_SECRET"])
def test_no_secret_appears_in_an_error_or_a_repr(variable: str) -> None:
    environment = {
        "MODAL_ENDPOINT": "https://example.com",
        "MODAL_API_KEY": "hunter2",
        variable: "https://u:hunter2@h x",
    }
    with pytest.raises(ConfigurationError) as caught:
        config_from_environment(environment)
    assert "hunter2" not in str(caught.value)
    good = config_from_environment({"MODAL_ENDPOINT": "https://example.com", "MODAL_API_KEY": "hunter2"})
    assert "hunter2" not in repr(good)
    assert good.modal is not None
    assert f"{good.modal.api_key}" == "Secret(...)"
    assert good.modal.api_key.reveal() == "hunter2"


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("max_tokens", 0, "is 0; it must be a whole number between 1 and"),
        ("max_tokens", True, "is of type bool; it must be a whole number"),
        ("temperature", 3, "is 3; it must be a number between 0 and 2"),
        ("temperature", -0.1, "is -0.1; it must be"),
        ("temperature", float("nan"), "is nan; it must be"),
        ("temperature", 2.1, "is 2.1; it must be"),
        ("cache_size_limit", 0, "is 0; it must be a whole number"),
        ("timeout_secs", 0, "is 0; it must be a number over 0"),
        ("timeout_secs", float("inf"), "is inf; it must be"),
        ("timeout_secs", "300", "is of type str; it must be a number"),
        ("enable_cache", 1, "is of type int; give True or False"),
        ("endpoint", ("http://x",), "is of type tuple; give text (str)"),
        ("endpoint", "http://u:p@y", "holds a user name or password"),
        ("api_key", "k", "is given, but no endpoint that it is for"),
        ("model", "m", "is given, but no endpoint that it is for"),
        ("dialect", "vllm", "is given, but no endpoint that it is for"),
        ("local_model", "model.gguf", "is of type str; give a pathlib.Path"),
        ("local_threads", 2.0, "is of type float; it must be a whole number between 1 and 512"),
        ("log_filter", None, "is of type NoneType; give text (str)"),
    ],
)
def test_a_wrong_field_is_an_error_that_names_it(field: str, value: object, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field} {re.escape(complaint)}"):
        MazeConfig(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"endpoints": "http://x"}, "endpoints is of type str; give a tuple of URLs"),
        ({"endpoints": ()}, "endpoints names no URL"),
        ({"endpoints": ("localhost:8000",)}, "endpoints is not a URL that begins with http"),
        ({"endpoints": ("http://x", "http://u:p@y")}, "URL 2 of endpoints holds a user name or password"),
        ({"endpoints": ("http://x/",)}, "endpoints ends in a slash; leave it out"),
        ({"endpoints": (None,)}, "endpoints is of type NoneType; give text"),
        ({"api_key": "key"}, "api_key is of type str; give a Secret"),
        ({"api_key": Secret("two words")}, "api_key holds characters that cannot be sent in a header"),
        ({"proxy_secret": Secret("a\r\nX: y")}, "proxy_secret holds characters"),
        ({"api_key": Secret(5)}, "api_key is of type int; give a Secret of text"),  # type: ignore[arg-type]
        ({"proxy_key": Secret(b"key")}, "proxy_key is of type bytes; give a Secret of text"),  # type: ignore[arg-type]
        ({"model": ""}, "model is empty; give the name of a model, or None"),
        ({"model": 1}, "model is of type int; give text"),
        ({"dialect": "grpc"}, "dialect is 'grpc'; it must be one of maze, vllm, sglang, llama.cpp"),
    ],
)
def test_a_service_that_cannot_be_reached_so_is_an_error_when_it_is_described(
    fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(complaint)}") as caught:
        ModalConfig(**{"endpoints": ("http://x",), **fields})
    assert "u:p" not in str(caught.value)
    assert "two words" not in str(caught.value)


def outcome(make: Callable[[], ModalConfig | None]) -> object:
    """What is made, or what is wrong."""
    try:
        return make()
    except ConfigurationError as error:
        return error.problem


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "http://h/v1",
        "HTTP://H:80/v1",
        "http://[::1]:80",
        "h:80",
        "//h",
        "ftp://h",
        "http://",
        "http:///x",
        "http://h:0",
        "http://h:99999",
        "http://h:x",
        "http://[::1",
        "http://u@h",
        "http://:p@h",
        "http://@h",
        "http://h?q",
        "http://h/v1?q=1",
        "http://h#f",
        "http://h h",
        "http://h/a b",
        "http://h\x00",
        "http://h\x7f",
        "http://h\u2028x",
        "http://h/%0d%0aX: y",
        "http://h/\ud800",
    ],
)
def test_a_url_is_judged_the_same_wherever_it_comes_from(url: str) -> None:
    from_environment = outcome(lambda: config_from_environment({"MODAL_ENDPOINT": url}).modal)
    assert outcome(lambda: ModalConfig(endpoints=(url,))) == from_environment
    assert outcome(lambda: read_config({"endpoint": url}, {}).modal) == from_environment


@pytest.mark.parametrize("key", ["k", "a,b", "~", "a b", "é", "€", "a\x00b", "a\r\nX: y", "\x7f"])
@pytest.mark.parametrize("field", ["api_key", "proxy_key", "proxy_secret"])
def test_a_key_is_judged_the_same_wherever_it_comes_from(field: str, key: str) -> None:
    variable = {"api_key": "MODAL_API_KEY", "proxy_key": "MODAL_KEY", "proxy_secret": "MODAL_SECRET"}[field]

    given: dict[str, Any] = {field: Secret(key)}
    environment = {"MODAL_ENDPOINT": "http://h", variable: key}
    assert outcome(lambda: ModalConfig(endpoints=("http://h",), **given)) == outcome(
        lambda: config_from_environment(environment).modal
    )


def test_a_configuration_says_what_cs_says_and_shows_no_key() -> None:
    config = MazeConfig(endpoint="http://one, http://two/", api_key="secret-key", model="m", dialect="vllm")
    assert config.modal == ModalConfig(
        ("http://one", "http://two"), api_key=Secret("secret-key"), model="m", dialect="vllm"
    )
    assert "secret-key" not in repr(config)
    assert replace(config, endpoint="http://three").modal == replace(config.modal, endpoints=("http://three",))
    in_c = re.search(r"typedef struct MazeConfigFFI \{(.*?)\} MazeConfigFFI;", HEADER.read_text(), re.DOTALL)
    assert in_c is not None
    names = re.findall(r"(\w+);$", in_c[1], re.MULTILINE)
    assert set(names) - {"struct_size"} <= {field.name for field in fields(MazeConfig)}


def test_what_a_program_gives_comes_before_the_environment_and_is_named_as_its_field() -> None:
    environment = {"MODAL_ENDPOINT": "http://from.environment", "MAZE_DIALECT": "vllm", "MAZE_LOG": "info"}
    config = read_config({"endpoint": "http://given", "log_filter": ""}, environment, max_tokens=9)
    assert config.modal == ModalConfig(endpoints=("http://given",), dialect="vllm")
    assert (config.log_filter, config.max_tokens) == ("", 9)
    assert read_config({"endpoint": ""}, environment).modal is None
    for given, numbers, named in [
        ({"endpoint": "http://x,nowhere"}, {}, "URL 2 of config.endpoint"),
        ({"dialect": "grpc"}, {}, "config.dialect"),
        ({"local_model": "/nowhere.gguf"}, {}, "config.local_model"),
        ({}, {"temperature": 3.0}, "config.temperature is 3.0;"),
    ]:
        with pytest.raises(ConfigurationError, match=f"^{re.escape(named)}"):
            read_config(given, environment, **numbers)


def test_the_log_filter_takes_levels_by_target() -> None:
    assert MazeConfig(log_filter="info, maze.backends=TRACE").log_levels() == {"": "info", "maze.backends": "trace"}


def reads_environment(source: str) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("environ", "environb", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        for node in ast.walk(ast.parse(source))
    )


def test_only_config_reads_the_environment() -> None:
    readers = {path.name for path in SOURCES if reads_environment(path.read_text())}
    assert readers == {"config.py"}


def test_one_function_in_c_reads_the_environment() -> None:
    readers = [path.name for path in SOURCES_IN_C for _ in re.findall(r"\bgetenv\(", path.read_text())]
    assert readers == ["interpreter.c"]


# ------------------------------------------------------------------------------------------------ Ananke's settings

ANANKE_FILE = """
[modal]
endpoint = "https://file--modal.example/"
api_key = "key-of-the-file"
model = "model-of-the-file"
timeout_ms = 1500

[claude]
enabled = false
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts .ananke.toml into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        path = tmp_path / ".ananke.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def test_anankes_variables_are_taken_where_libmazes_say_nothing() -> None:
    theirs = {
        "ANANKE_MODAL_ENDPOINT": "https://theirs.example",
        "ANANKE_MODAL_API_KEY": "their-key",
        "ANANKE_MODEL": "their-model",
    }
    config = config_from_environment(theirs)
    assert config.modal == ModalConfig(("https://theirs.example",), api_key=Secret("their-key"), model="their-model")
    ours = {"MODAL_API_KEY": "our-key", "MODAL_MODEL": "our-model", "MAZE_DIALECT": "ananke-modal"}
    assert config_from_environment(theirs | ours).modal == ModalConfig(
        ("https://theirs.example",), api_key=Secret("our-key"), model="our-model", dialect="ananke-modal"
    )
    assert config_from_environment({"ANANKE_MODAL_API_KEY": "their-key"}).modal is None


def test_anankes_file_is_taken_where_no_variable_names_an_endpoint(project: Callable[[str], Path]) -> None:
    project(ANANKE_FILE)
    config = config_from_environment({})
    assert config.timeout_secs == 1.5
    assert config.modal == ModalConfig(
        ("https://file--modal.example",), api_key=Secret("key-of-the-file"), model="model-of-the-file"
    )
    assert read_config({}, {}, timeout_secs=9).timeout_secs == 9
    assert read_config({"endpoint": ""}, {}) == MazeConfig()
    assert config_from_environment({"MODAL_ENDPOINT": "http://x"}) == MazeConfig(endpoint="http://x")


def test_sglang_comes_before_modal_as_in_ananke(project: Callable[[str], Path]) -> None:
    project(ANANKE_FILE + '[sglang]\nendpoint = "http://localhost:30000/v1/chat/completions"\n')
    modal = config_from_environment({"ANANKE_MODAL_API_KEY": "for-modal"}).modal
    assert modal == ModalConfig(("http://localhost:30000/v1/chat/completions",))
    modal = config_from_environment({"ANANKE_SGLANG_ENDPOINT": "http://s", "ANANKE_MODAL_ENDPOINT": "http://m"}).modal
    assert modal == ModalConfig(("http://s",))


@pytest.mark.parametrize(
    ("file", "environment", "endpoint", "key"),
    [
        (ANANKE_FILE, {"MODAL_API_KEY": "ours", "MODAL_KEY": "k", "MODAL_SECRET": "s"}, "file", "key-of-the-file"),
        ('[modal]\nendpoint = "https://file--modal.example"', {"MODAL_API_KEY": "ours"}, "file", ""),
        ('[modal]\nendpoint = "https://file--modal.example"', {"ANANKE_MODAL_API_KEY": "theirs"}, "file", "theirs"),
        (ANANKE_FILE, {"MODAL_ENDPOINT": "https://our.example"}, "our", ""),
        (ANANKE_FILE, {"ANANKE_MODAL_ENDPOINT": "https://their.example"}, "their", ""),
        ('[modal]\napi_key = "key"', {"ANANKE_MODAL_ENDPOINT": "https://their.example"}, "their", "key"),
        (
            "",
            {
                "MODAL_ENDPOINT": "https://our.example",
                "ANANKE_MODAL_ENDPOINT": "https://their.example",
                "ANANKE_MODAL_API_KEY": "theirs",
            },
            "our",
            "",
        ),
        ("", {"MODAL_ENDPOINT": "https://our.example", "ANANKE_MODAL_API_KEY": "theirs"}, "our", "theirs"),
        ("", {"ANANKE_SGLANG_ENDPOINT": "https://their.example", "ANANKE_MODAL_API_KEY": "theirs"}, "their", ""),
    ],
)
def test_a_key_goes_to_the_service_that_it_was_set_for_and_to_no_other(
    file: str, environment: dict[str, str], endpoint: str, key: str, project: Callable[[str], Path]
) -> None:
    project(file)
    modal = config_from_environment(environment).modal
    assert modal is not None
    assert modal.endpoints[0].startswith(f"https://{endpoint}")
    assert modal.api_key == Secret(key)
    assert not modal.proxy_key
    assert not modal.proxy_secret


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[modal\n", ".ananke.toml is not TOML (at line 1, column 7); correct it"),
        ('[modal]\napi_key = "hunter2\n', ".ananke.toml is not TOML (at line 2"),
        ("modal = 3", ".ananke.toml [modal] is no table"),
        ("[modal]\nendpoint = 3", ".ananke.toml [modal] endpoint is of type int; give text in quotes"),
        (
            '[modal]\nendpoint = "https://<WORKSPACE>--x y"',
            ".ananke.toml [modal] endpoint holds white space",
        ),
        ('[modal]\nendpoint = "http://m"\napi_key = "hunter2 x"', ".ananke.toml [modal] api_key holds characters"),
        ('[sglang]\nendpoint = "http://s"\ntimeout_ms = "3"', ".ananke.toml [sglang] timeout_ms is of type str"),
        ('[sglang]\nendpoint = "http://s"\ntimeout_ms = 0', ".ananke.toml [sglang] timeout_ms is 0; it must be"),
        ("#" * 2**20 + "\n#", ".ananke.toml has over 1048576 bytes"),
        ("a = " + "[" * 100_000, ".ananke.toml is not TOML"),
    ],
)
def test_what_is_wrong_in_anankes_file_is_named_by_its_place(
    text: str, complaint: str, project: Callable[[str], Path]
) -> None:
    project(text)
    with pytest.raises(ConfigurationError) as caught:
        config_from_environment({})
    assert str(caught.value).startswith(complaint)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_others_can_write_is_passed_over(project: Callable[[str], Path]) -> None:
    path = project(ANANKE_FILE)
    path.chmod(0o646)
    assert config_from_environment({}) == MazeConfig()
    path.unlink()
    path.mkdir()
    assert config_from_environment({}) == MazeConfig()
    path.rmdir()
    os.mkfifo(path)
    assert config_from_environment({}) == MazeConfig()
