"""What Ananke's own settings say of an inference service, for where libmaze's do not: ANANKE_* and `.ananke.toml`.

A key goes to the service that it was set for and to no other. So one of Ananke's goes with Ananke's endpoint, or with
one of libmaze's where Ananke's settings name none; and a file, which may have come with somebody else's project, never
leads a key of libmaze's variables to its endpoint.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maze import ranges
from maze.errors import ConfigurationError

FILE = ".ananke.toml"
"""In the working directory, where Ananke reads it."""
MAX_FILE_BYTES = 2**20
"""As Ananke."""

VARIABLES = ("ANANKE_SGLANG_ENDPOINT", "ANANKE_MODAL_ENDPOINT", "ANANKE_MODAL_API_KEY", "ANANKE_MODEL")
_SECTIONS = ("sglang", "modal")
"""Of the file; Ananke prefers the first as well."""
_OWN_KEYS = ("api_key", "proxy_key", "proxy_secret")
"""Settings of libmaze that no endpoint of a file gets."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and what it came from."""

    value: str = field(repr=False)
    source: str
    """A variable, `config.<name>`, or a place in the file."""


@dataclass(frozen=True, slots=True)
class AnankeFile:
    """What FILE says of services, by section and name."""

    settings: Mapping[str, Mapping[str, Setting]]
    passed_over: str = ""
    """Why it was not read, where it is there; empty if it was."""


NO_FILE = AnankeFile({})


def with_ananke_settings(found: Mapping[str, Setting], environment: Mapping[str, str]) -> dict[str, Setting]:
    """What was `found` by libmaze's own names, and what Ananke's settings add to it; `timeout_ms` is theirs alone.

    An endpoint that is found and empty stands for the embedded engine, of which Ananke knows nothing. Raises
    ConfigurationError.
    """
    settings = dict(found)
    own_endpoint = settings.get("endpoint")
    variables = {name: Setting(value, name) for name in VARIABLES if (value := environment.get(name, "").strip())}
    if own_endpoint is not None:
        theirs = variables.get("ANANKE_MODAL_ENDPOINT")
        if own_endpoint.value and (theirs is None or _is_same(theirs, own_endpoint)):
            _add(settings, "api_key", variables.get("ANANKE_MODAL_API_KEY"))
            _add(settings, "model", variables.get("ANANKE_MODEL"))
        return settings

    file = read_file()
    for kind in _SECTIONS:
        variable, section = variables.get(f"ANANKE_{kind.upper()}_ENDPOINT"), file.settings.get(kind, {})
        endpoint = variable or section.get("endpoint")
        if endpoint is None:
            continue
        if variable is None:
            for name in _OWN_KEYS:
                settings.pop(name, None)
        settings["endpoint"] = endpoint
        if kind == "modal":
            _add(settings, "api_key", variables.get("ANANKE_MODAL_API_KEY"))
            _add(settings, "model", variables.get("ANANKE_MODEL"))
        if variable is None or "endpoint" not in section or _is_same(variable, section["endpoint"]):
            for name in ("api_key", "model", "timeout_ms"):
                _add(settings, name, section.get(name))
        break
    return settings


def _add(settings: dict[str, Setting], name: str, setting: Setting | None) -> None:
    if setting is not None:
        settings.setdefault(name, setting)


def _is_same(one: Setting, other: Setting) -> bool:
    return one.value.strip().rstrip("/") == other.value.strip().rstrip("/")


def read_file() -> AnankeFile:
    """FILE of the working directory, as far as it is about inference. Raises ConfigurationError for a broken one.

    One of another user is passed over: whoever can write into a folder could else have prompts sent to a service of
    his own.
    """
    try:
        # Not to wait for what is a pipe.
        descriptor = os.open(FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return NO_FILE
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror}); correct that, or remove it", field=FILE) from None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            return AnankeFile({}, "it is no file")
        if about.st_uid not in (0, os.geteuid()) or about.st_mode & stat.S_IWOTH:
            return AnankeFile({}, "others than this user can write it")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError(f"has over {MAX_FILE_BYTES} bytes", field=FILE)
    try:
        read = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise ConfigurationError("is not UTF-8", field=FILE) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # Nothing else of what it says, as there may be a key in the file.
        place = re.search(r"\(at [\w ,]+\)$", str(error))
        problem = f"is not TOML{f' {place[0]}' if place else ''}; correct it, or remove it"
        raise ConfigurationError(problem, field=FILE) from None
    return AnankeFile({section: _settings_of(section, read.get(section, {})) for section in _SECTIONS})


def _settings_of(section: str, table: object) -> dict[str, Setting]:
    if not isinstance(table, dict):
        raise ConfigurationError("is no table", field=f"{FILE} [{section}]")
    return {
        name: _setting(f"{FILE} [{section}] {name}", table[name], is_time=name == "timeout_ms")
        for name in ("endpoint", "api_key", "model", "timeout_ms")
        if table.get(name, "") != ""
    }


def _setting(source: str, value: Any, *, is_time: bool) -> Setting:  # noqa: ANN401 - any value of TOML
    if is_time:
        if problem := ranges.TIMEOUT_MS.problem(value):
            raise ConfigurationError(problem, field=source)
        return Setting(str(value), source)
    if not isinstance(value, str):
        raise ConfigurationError(f"is of type {type(value).__name__}; give text in quotes", field=source)
    return Setting(value, source)
