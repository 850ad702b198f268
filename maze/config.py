"""Configuration: the environment, defaults and limits. The only place that reads os.environ."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from maze.errors import ConfigurationError

DEFAULT_MAX_TOKENS = 2048
DEFAULT_TEMPERATURE = 0.7
DEFAULT_TIMEOUT_SECS = 300
DEFAULT_CACHE_SIZE_LIMIT = 1000
DEFAULT_TOP_P = 1.0
DEFAULT_TOP_K = 0
DEFAULT_MODAL_MODEL = "llama-3.1-8b-instruct"
"""Of the original Maze; sent to a Maze service only. Other services are asked for their model."""

MAX_TEMPERATURE = 2.0
MAX_STOP_TEXTS = 4
"""vLLM refuses more."""
MAX_SEED = 2**32 - 1
MAX_LOCAL_THREADS = 512
"""GGML_MAX_N_THREADS of llama.cpp."""

DIALECTS = ("maze", "vllm", "sglang", "llama.cpp")
LOG_LEVELS = ("off", "error", "warn", "info", "debug", "trace")

ENVIRONMENT_VARIABLES = (
    "MODAL_ENDPOINT",
    "MODAL_API_KEY",
    "MODAL_MODEL",
    "MODAL_KEY",
    "MODAL_SECRET",
    "MAZE_DIALECT",
    "MAZE_LOCAL_MODEL",
    "MAZE_LOCAL_THREADS",
    "MAZE_LOG",
)
"""Every variable that a host of libmaze may set, but for MAZE_PYTHON, which the C part reads before Python runs.
The service has one of its own: MAZE_API_KEY."""


_KEYS = ("MODAL_API_KEY", "MODAL_KEY", "MODAL_SECRET", "MAZE_API_KEY")


class Secret:
    """A text that never shows itself: `reveal()` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(...)"


NO_SECRET = Secret("")


@dataclass(frozen=True, slots=True)
class ModalConfig:
    """How to reach an inference service: one on Modal, or any that speaks one of DIALECTS."""

    endpoints: tuple[str, ...]
    """Base URLs without a trailing slash; at least one."""
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


@dataclass(frozen=True, slots=True)
class MazeConfig:
    """Everything that a Maze orchestrator can be told; values are checked when it is made."""

    max_tokens: int = DEFAULT_MAX_TOKENS
    temperature: float = DEFAULT_TEMPERATURE
    enable_cache: bool = True
    cache_size_limit: int = DEFAULT_CACHE_SIZE_LIMIT
    """Compiled constraints kept."""
    timeout_secs: float = DEFAULT_TIMEOUT_SECS
    """For a whole call, retries included."""
    modal: ModalConfig | None = None
    """None: the embedded engine."""
    local_model: Path | None = None
    """GGUF file of the embedded engine; None: the one that came with libmaze."""
    local_threads: int | None = None
    """Threads that compute in the embedded engine; None: see maze.engine.embedded.default_threads()."""
    log_filter: str = ""
    """Such as "maze=debug" or "info"; empty: no log."""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """What to call each field in an error: the variable or struct field that it came from."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise self._wrong("max_tokens", f"is {self.max_tokens}; it must be at least 1")
        if not (math.isfinite(self.temperature) and 0 <= self.temperature <= MAX_TEMPERATURE):
            raise self._wrong("temperature", f"is {self.temperature}; it must lie between 0 and {MAX_TEMPERATURE:g}")
        if self.cache_size_limit < 1:
            raise self._wrong("cache_size_limit", f"is {self.cache_size_limit}; it must be at least 1")
        if not (math.isfinite(self.timeout_secs) and self.timeout_secs > 0):
            raise self._wrong("timeout_secs", f"is {self.timeout_secs}; it must be over 0")
        if self.local_model is not None and not self.local_model.is_file():
            raise self._wrong("local_model", f"names {str(self.local_model)!r}, which is not a file; give a GGUF file")
        if self.local_threads is not None and not 1 <= self.local_threads <= MAX_LOCAL_THREADS:
            raise self._wrong(
                "local_threads", f"is {self.local_threads}; it must lie between 1 and {MAX_LOCAL_THREADS}"
            )
        self.log_levels()

    def _wrong(self, field_name: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self.sources.get(field_name, field_name)} {problem}")

    def log_levels(self) -> dict[str, str]:
        """Level for each log target of the filter; the target "" stands for all."""
        levels: dict[str, str] = {}
        for item in filter(None, (item.strip() for item in self.log_filter.split(","))):
            target, _, level = item.rpartition("=")
            if level.lower() not in LOG_LEVELS or not re.fullmatch(r"[\w.]*", target):
                raise self._wrong(
                    "log_filter",
                    f"has {item!r}; give a level ({', '.join(LOG_LEVELS)}) or target=level, such as maze=debug",
                )
            levels[target] = level.lower()
        return levels


def parse_endpoints(text: str, source: str) -> tuple[str, ...]:
    """Split and check a list of endpoint URLs; `source` is what an error calls it."""
    endpoints = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    if not endpoints:
        raise ConfigurationError(f"{source} names no URL; give one such as https://name--maze.modal.run, or unset it")
    for number, endpoint in enumerate(endpoints, 1):
        # The text is not repeated: people put keys into URLs.
        where = source if len(endpoints) == 1 else f"URL {number} of {source}"
        try:
            url = urlsplit(endpoint)
            port_is_valid = url.port is None or url.port > 0
        except ValueError:
            raise ConfigurationError(f"{where} is not a URL; give one such as https://name--maze.modal.run") from None
        if any(character.isspace() or not character.isprintable() for character in endpoint):
            raise ConfigurationError(f"{where} holds white space or a control character; copy the URL again")
        if url.scheme not in ("http", "https") or not url.hostname or not port_is_valid:
            raise ConfigurationError(f"{where} is not a URL that begins with http:// or https:// and names a host")
        if url.username is not None or url.password is not None:
            raise ConfigurationError(f"{where} holds a user name or password; put the key into MODAL_API_KEY")
        if "?" in endpoint or "#" in endpoint:
            raise ConfigurationError(f"{where} has a query or fragment; give the base URL alone")
    return endpoints


def checked_secret(text: str, source: str) -> Secret:
    """Check that a key can travel in an HTTP header; the error never shows it."""
    text = text.strip()
    if not all("!" <= character <= "~" for character in text):
        raise ConfigurationError(f"{source} holds characters that cannot be sent in a header; copy the key again")
    return Secret(text)


def checked_dialect(text: str, source: str) -> str | None:
    """Check the name of a dialect; empty is None: ask the endpoint."""
    if text and text not in DIALECTS:
        raise ConfigurationError(f"{source} is {text!r}; it must be one of {', '.join(DIALECTS)}")
    return text or None


def checked_threads(text: str) -> int | None:
    """Read MAZE_LOCAL_THREADS; empty is None. MazeConfig checks the range."""
    text = text.strip()
    if text and not re.fullmatch(r"[0-9]{1,9}", text):
        raise ConfigurationError(f"MAZE_LOCAL_THREADS is {text[:60]!r}; give a number of threads, such as 4")
    return int(text) if text else None


def config_from_environment(environment: Mapping[str, str] | None = None) -> MazeConfig:
    """The configuration that the environment asks for; an empty variable counts as unset."""
    values = os.environ if environment is None else environment

    modal = None
    if values.get("MODAL_ENDPOINT", "").strip():
        modal = modal_config_from_environment(parse_endpoints(values["MODAL_ENDPOINT"], "MODAL_ENDPOINT"), values)
    local_model = values.get("MAZE_LOCAL_MODEL")
    return MazeConfig(
        modal=modal,
        local_model=Path(local_model) if local_model else None,
        local_threads=checked_threads(values.get("MAZE_LOCAL_THREADS", "")),
        log_filter=values.get("MAZE_LOG", ""),
        sources={"local_model": "MAZE_LOCAL_MODEL", "local_threads": "MAZE_LOCAL_THREADS", "log_filter": "MAZE_LOG"},
    )


def modal_config_from_environment(
    endpoints: tuple[str, ...], environment: Mapping[str, str] | None = None
) -> ModalConfig:
    """How to reach `endpoints`, with the keys, model and dialect that the environment has for a service."""
    values = os.environ if environment is None else environment
    return ModalConfig(
        endpoints=endpoints,
        api_key=checked_secret(values.get("MODAL_API_KEY", ""), "MODAL_API_KEY"),
        model=values.get("MODAL_MODEL") or None,
        dialect=checked_dialect(values.get("MAZE_DIALECT", ""), "MAZE_DIALECT"),
        proxy_key=checked_secret(values.get("MODAL_KEY", ""), "MODAL_KEY"),
        proxy_secret=checked_secret(values.get("MODAL_SECRET", ""), "MODAL_SECRET"),
    )


def environment_of_engine() -> dict[str, str]:
    """The environment of the embedded engine's process: ours, but for keys, which it does not need."""
    kept = {name: value for name, value in os.environ.items() if name not in _KEYS}
    # else ggml starts a debugger when it aborts
    return kept | {"GGML_NO_BACKTRACE": "1"}


def service_key_from_environment(environment: Mapping[str, str] | None = None) -> Secret:
    """The key that `maze serve` and the Modal app ask their clients for (MAZE_API_KEY); empty for none."""
    values = os.environ if environment is None else environment
    return checked_secret(values.get("MAZE_API_KEY", ""), "MAZE_API_KEY")


def set_variables(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the variables `names` that are set to something; their values are not told, some are keys."""
    return tuple(name for name in names if os.environ.get(name, "").strip())
