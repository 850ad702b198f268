"""Configuration: the environment, defaults and limits. The only place that reads os.environ."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from maze import ranges
from maze.ananke_settings import VARIABLES as ANANKE_VARIABLES
from maze.ananke_settings import Setting, with_ananke_settings
from maze.errors import ConfigurationError
from maze.options import BraidGrammar, PromptForm
from maze.proxies import NO_PROXIES, PROXY_VARIABLES, Proxies, find_proxies
from maze.secret import NO_SECRET, Secret

DEFAULT_MAX_TOKENS = 2048
DEFAULT_TEMPERATURE = 0.7
DEFAULT_TIMEOUT_SECS = 300
DEFAULT_CACHE_SIZE_LIMIT = 1000
DEFAULT_TOP_P = 1.0
DEFAULT_TOP_K = 0
DEFAULT_MODAL_MODEL = "llama-3.1-8b-instruct"
"""Of the original Maze; sent to a Maze service only. Other services are asked for their model."""

DIALECTS = (
    *("maze", "vllm", "sglang", "llama.cpp", "openai", "anthropic"),
    *("ananke-sglang", "ananke-chat", "ananke-modal", "ananke-eval"),
)
LOG_LEVELS = ("off", "error", "warn", "info", "debug", "trace")

_Choice = TypeVar("_Choice", bound=StrEnum)
_VARIABLES = {
    "endpoint": "MODAL_ENDPOINT",
    "api_key": "MODAL_API_KEY",
    "model": "MODAL_MODEL",
    "proxy_key": "MODAL_KEY",
    "proxy_secret": "MODAL_SECRET",
    "dialect": "MAZE_DIALECT",
    "prompt_form": "MAZE_PROMPT",
    "braid_grammar": "MAZE_BRAID_GRAMMAR",
    "proxy": "MAZE_PROXY",
    "local_model": "MAZE_LOCAL_MODEL",
    "local_threads": "MAZE_LOCAL_THREADS",
    "log_filter": "MAZE_LOG",
}
"""The variable of each setting."""

ENVIRONMENT_VARIABLES = (*_VARIABLES.values(), *ANANKE_VARIABLES)
"""Every variable that a host of libmaze may set, but for MAZE_PYTHON, which the C part reads before Python runs.
The service has two of its own: MAZE_API_KEY and MAZE_ALLOW_HOST."""


_KEYS = (
    *("MODAL_API_KEY", "MODAL_KEY", "MODAL_SECRET", "ANANKE_MODAL_API_KEY", "MAZE_API_KEY", "MAZE_PROXY"),
    *PROXY_VARIABLES,
)


@dataclass(frozen=True, slots=True)
class ModalConfig:
    """How to reach an inference service: one on Modal, or any that speaks one of DIALECTS.

    Raises ConfigurationError naming the field that is wrong. It shows neither keys nor URLs: people put keys into them.
    """

    endpoints: tuple[str, ...]
    """Base URLs without a trailing slash, also as OpenAI-compatible services give them, with /v1; at least one."""
    api_key: Secret = NO_SECRET
    """Sent as a bearer token to the endpoints and nowhere else."""
    model: str | None = None
    """None: the default of the service."""
    dialect: str | None = None
    """None: ask the endpoint."""
    proxy_key: Secret = NO_SECRET
    """`Modal-Key` of Modal's proxy authentication (MODAL_KEY)."""
    proxy_secret: Secret = NO_SECRET
    """`Modal-Secret` of the same (MODAL_SECRET)."""
    proxies: Proxies = NO_PROXIES
    """The way out of a company's network (MAZE_PROXY)."""

    def __post_init__(self) -> None:
        _check_type("endpoints", self.endpoints, tuple, "a tuple of URLs")
        _check_endpoints(self.endpoints, "endpoints")
        _check_type("model", self.model, str | None, "text (str)")
        if self.model == "":
            raise ConfigurationError("is empty; give the name of a model, or None", field="model")
        if self.dialect is not None and self.dialect not in DIALECTS:
            raise ConfigurationError(f"is {self.dialect!r}; it must be one of {', '.join(DIALECTS)}", field="dialect")
        for name in ("api_key", "proxy_key", "proxy_secret"):
            _check_secret(name, getattr(self, name))
        _check_type("proxies", self.proxies, Proxies, "Proxies")


@dataclass(frozen=True, slots=True)
class MazeConfig:
    """Everything that a Maze orchestrator can be told. Raises ConfigurationError naming the field that is wrong."""

    max_tokens: int = DEFAULT_MAX_TOKENS
    temperature: float = DEFAULT_TEMPERATURE
    enable_cache: bool = True
    cache_size_limit: int = DEFAULT_CACHE_SIZE_LIMIT
    """Compiled constraints kept."""
    timeout_secs: float = DEFAULT_TIMEOUT_SECS
    """For a whole call, retries included."""
    local_model: Path | None = None
    """GGUF file of the embedded engine; None: the one that came with libmaze."""
    local_threads: int | None = None
    """Threads that compute in the embedded engine; None: it chooses."""
    prompt_form: PromptForm = PromptForm.CHAT
    """How the model is spoken to where a call does not say."""
    braid_grammar: BraidGrammar = BraidGrammar.AS_GRAMMAR
    """How a grammar of Braid's token classes is taken where a call does not say."""
    max_attempts: int | None = None
    """Generations at most for one result where a call does not say; None: 3 where a part is only checked, else 1."""
    log_filter: str = ""
    """Such as "maze=debug" or "info"; empty: no log."""
    endpoint: str = field(default="", repr=False)
    """URL of the inference service, or several with commas between; empty: the embedded engine."""
    api_key: Secret | str = NO_SECRET
    """Key of the service, which becomes a Secret."""
    model: str | None = None
    """At the service; None: its default."""
    dialect: str | None = None
    """What the service speaks, one of DIALECTS; None: it is asked."""
    proxy_key: Secret | str = NO_SECRET
    proxy_secret: Secret | str = NO_SECRET
    proxies: Proxies = NO_PROXIES
    modal: ModalConfig | None = field(init=False, repr=False, compare=False)
    """How to reach the service, as these fields say; None: the embedded engine."""

    def __post_init__(self) -> None:
        for name, allowed in (
            ("max_tokens", ranges.MAX_TOKENS),
            ("temperature", ranges.TEMPERATURE),
            ("cache_size_limit", ranges.CACHE_SIZE_LIMIT),
            ("timeout_secs", ranges.TIMEOUT_SECS),
        ):
            if problem := allowed.problem(getattr(self, name)):
                raise ConfigurationError(problem, field=name)
        for name, allowed in (("local_threads", ranges.LOCAL_THREADS), ("max_attempts", ranges.MAX_ATTEMPTS)):
            if (number := getattr(self, name)) is not None and (problem := allowed.problem(number)):
                raise ConfigurationError(problem, field=name)
        _check_type("prompt_form", self.prompt_form, PromptForm, "one of PromptForm")
        _check_type("braid_grammar", self.braid_grammar, BraidGrammar, "one of BraidGrammar")
        _check_type("enable_cache", self.enable_cache, bool, "True or False")
        _check_type("endpoint", self.endpoint, str, "text (str)")
        for name in ("api_key", "proxy_key", "proxy_secret"):
            if isinstance(key := getattr(self, name), str):
                object.__setattr__(self, name, Secret(key.strip()))
        object.__setattr__(self, "modal", self._modal())
        _check_type("local_model", self.local_model, Path | None, "a pathlib.Path")
        _check_type("log_filter", self.log_filter, str, "text (str)")
        if self.local_model is not None and (reason := _why_no_file(self.local_model)):
            problem = f"names {str(self.local_model)!r}, which {reason}; give a GGUF file"
            raise ConfigurationError(problem, field="local_model")
        self.log_levels()

    def _modal(self) -> ModalConfig | None:
        if not self.endpoint.strip():
            for name in ("api_key", "model", "dialect", "proxy_key", "proxy_secret"):
                if getattr(self, name):
                    raise ConfigurationError("is given, but no endpoint that it is for", field=name)
            return None
        return ModalConfig(
            endpoints=parse_endpoints(self.endpoint, "endpoint"),
            api_key=cast("Secret", self.api_key),
            model=self.model,
            dialect=self.dialect,
            proxy_key=cast("Secret", self.proxy_key),
            proxy_secret=cast("Secret", self.proxy_secret),
            proxies=self.proxies,
        )

    def log_levels(self) -> dict[str, str]:
        """Level for each log target of the filter; the target "" stands for all."""
        levels: dict[str, str] = {}
        for item in filter(None, (item.strip() for item in self.log_filter.split(","))):
            target, _, level = item.rpartition("=")
            if level.lower() not in LOG_LEVELS or not re.fullmatch(r"[\w.]*", target):
                raise ConfigurationError(
                    f"has {item!r}; give a level ({', '.join(LOG_LEVELS)}) or target=level, such as maze=debug",
                    field="log_filter",
                )
            levels[target] = level.lower()
        return levels


def _why_no_file(path: Path) -> str | None:
    try:
        return None if path.is_file() else "is not a file"
    except OSError as error:  # such as a name that is too long
        return f"is not a file ({error.strerror})"


def _check_type(field: str, value: object, wanted: type | UnionType, description: str) -> None:
    if not isinstance(value, wanted):
        raise ConfigurationError(f"is of type {type(value).__name__}; give {description}", field=field)


def _check_secret(field: str, secret: Secret) -> None:
    """Check that a key can travel in an HTTP header."""
    _check_type(field, secret, Secret, "a Secret")
    _check_type(field, secret.reveal(), str, "a Secret of text (str)")
    if not all("!" <= character <= "~" for character in secret.reveal()):
        problem = "holds characters that cannot be sent in a header; copy the key again"
        raise ConfigurationError(problem, field=field)


def _check_endpoints(endpoints: tuple[str, ...], field: str) -> None:
    if not endpoints:
        raise ConfigurationError(
            "names no URL; give one such as https://name--maze.modal.run, or unset it", field=field
        )
    for number, endpoint in enumerate(endpoints, 1):
        named = field if len(endpoints) == 1 else f"URL {number} of {field}"
        _check_type(named, endpoint, str, "text (str)")
        problem = _problem_with_url(endpoint)
        if problem is not None:
            raise ConfigurationError(problem, field=named)


_WITH_API_VERSION = re.compile(r"[^?#]*\?api-version=[\w.-]+")
"""The one query that an address may have: Azure wants it with every request."""


def _problem_with_url(endpoint: str) -> str | None:
    try:
        url = urlsplit(endpoint)
        port_is_valid = url.port is None or url.port > 0
    except ValueError:
        return "is not a URL; give one such as https://name--maze.modal.run"
    if any(character.isspace() or not character.isprintable() for character in endpoint):
        return "holds white space or a control character; copy the URL again"
    if url.scheme not in ("http", "https") or not url.hostname or not port_is_valid:
        return "is not a URL that begins with http:// or https:// and names a host"
    if url.username is not None or url.password is not None:
        return "holds a user name or password; put the key into MODAL_API_KEY"
    if ("?" in endpoint or "#" in endpoint) and not _WITH_API_VERSION.fullmatch(endpoint):
        return "has a query or fragment; give the base URL alone"
    return "ends in a slash; leave it out" if endpoint.endswith("/") else None


# ------------------------------------------------------------------------------------------------ the environment


def environment() -> dict[str, str]:
    """The environment of this process as it is now."""
    return dict(os.environ)


def environment_of_child() -> dict[str, str]:
    """The environment of the embedded engine and of those who compile: ours, but for keys, which they do not need."""
    # Without the variable, ggml starts a debugger when it aborts.
    return {name: value for name, value in os.environ.items() if name not in _KEYS} | {"GGML_NO_BACKTRACE": "1"}


def parse_endpoints(text: str, source: str) -> tuple[str, ...]:
    """Split and check a list of endpoint URLs; `source` is what an error calls it."""
    endpoints = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    _check_endpoints(endpoints, source)
    return endpoints


def config_from_environment(environment: Mapping[str, str] | None = None) -> MazeConfig:
    """The configuration that the environment asks for; an empty variable counts as unset."""
    return read_config({}, environment)


def read_config(
    given: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
    **numbers: Any,  # noqa: ANN401 - fields of MazeConfig
) -> MazeConfig:
    """The configuration of a program: what it has `given`, and for the rest the environment.

    `given` has texts by their name in MazeConfigFFI. An error names what it is about as `config.<name>`, as the
    variable, or as the place in Ananke's file.
    """
    values = os.environ if environment is None else environment
    settings = settings_found(given, values)
    sources = {name: setting.source for name, setting in settings.items()}
    sources |= {name: f"config.{name}" for name in numbers}
    if "timeout_ms" in settings and "timeout_secs" not in numbers:
        numbers["timeout_secs"] = int(settings["timeout_ms"].value) / 1000
    with _naming(_VARIABLES | sources):
        local_model = _text(settings, "local_model")
        return MazeConfig(
            **_of_service(settings, values),
            local_model=Path(local_model) if local_model else None,
            local_threads=_whole_number(_text(settings, "local_threads"), "local_threads"),
            log_filter=_text(settings, "log_filter"),
            prompt_form=_chosen(PromptForm.CHAT, _text(settings, "prompt_form"), "prompt_form"),
            braid_grammar=_chosen(BraidGrammar.AS_GRAMMAR, _text(settings, "braid_grammar"), "braid_grammar"),
            **numbers,
        )


def settings_found(given: Mapping[str, str], environment: Mapping[str, str] | None = None) -> dict[str, Setting]:
    """What is set, and by what: by the program, the environment, or Ananke's settings. Raises ConfigurationError."""
    values = os.environ if environment is None else environment
    found = {
        name: Setting(value, variable)
        for name, variable in _VARIABLES.items()
        if (value := values.get(variable, "")).strip()
    }
    found |= {name: Setting(value, f"config.{name}") for name, value in given.items()}
    return with_ananke_settings(found, values)


def _text(settings: Mapping[str, Setting], name: str) -> str:
    return settings[name].value if name in settings else ""


def _of_service(settings: Mapping[str, Setting], environment: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a MazeConfig that are about a service, if there is one."""
    endpoint = _text(settings, "endpoint")
    if not endpoint.strip():
        return {}
    return {
        "endpoint": endpoint,
        "api_key": _text(settings, "api_key"),
        "model": _text(settings, "model") or None,
        "dialect": _text(settings, "dialect") or None,
        "proxy_key": _text(settings, "proxy_key"),
        "proxy_secret": _text(settings, "proxy_secret"),
        "proxies": find_proxies(_text(settings, "proxy").strip(), environment),
    }


def _whole_number(text: str, field: str) -> int | None:
    text = text.strip()
    if not re.fullmatch(r"[0-9]{0,9}", text):
        raise ConfigurationError(f"is {text[:60]!r}; it must be {ranges.LOCAL_THREADS}", field=field)
    return int(text) if text else None


def _chosen(default: _Choice, text: str, field: str) -> _Choice:
    try:
        return type(default)(text or default)
    except ValueError:
        problem = f"is {text[:60]!r}; it must be one of {', '.join(type(default))}"
        raise ConfigurationError(problem, field=field) from None


@contextmanager
def _naming(sources: Mapping[str, str]) -> Iterator[None]:
    """Let an error name not the field, but what it came from."""
    try:
        yield
    except ConfigurationError as error:
        raise error.naming(re.sub(r"\w+$", lambda name: sources.get(name[0], name[0]), error.field)) from None


def service_key_from_environment(environment: Mapping[str, str] | None = None) -> Secret:
    """The key that `maze serve` and the Modal app ask their clients for (MAZE_API_KEY); empty for none."""
    values = os.environ if environment is None else environment
    key = Secret(values.get("MAZE_API_KEY", "").strip())
    _check_secret("MAZE_API_KEY", key)
    return key


def allowed_hosts_from_environment(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The names that `maze serve` answers to beside those of its machine (MAZE_ALLOW_HOST, with commas between)."""
    values = os.environ if environment is None else environment
    return tuple(name.strip() for name in values.get("MAZE_ALLOW_HOST", "").split(",") if name.strip())


def set_variables(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the variables `names` that are set to something; their values are not told, some are keys."""
    return tuple(name for name in names if os.environ.get(name, "").strip())


def tells_traces_of_content() -> bool:
    """Whether spans may hold prompts and code: the switch of OpenTelemetry's conventions for generative AI."""
    switch = os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").strip().lower()
    return switch in ("true", "span_only", "span_and_event")
