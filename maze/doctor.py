"""What `maze doctor` looks at: whether everything that libmaze needs is installed, found, configured and reachable."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.metadata
import importlib.util
import platform
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from maze._version import __version__
from maze.ananke_settings import FILE, read_file
from maze.config import ENVIRONMENT_VARIABLES, MazeConfig, config_from_environment, set_variables, settings_found
from maze.errors import MazeError
from maze.native_files import ABI_VERSION, LIBRARY_NAME, find_native_files

ENGINE_TIMEOUT_SECS = 20
_ENGINE_FIX = (
    f"look again, as a busy machine may need more than the {ENGINE_TIMEOUT_SECS} s that the engine has here "
    "(programs give it 300), or set MAZE_LOCAL_MODEL to a smaller model"
)
_GGUF_MAGIC = b"GGUF"

_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


class Verdict(StrEnum):
    """What a check found."""

    OK = "ok"
    NOTE = "note"
    """Something is missing that only some uses need."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at, and what to do about it where it is not right."""

    name: str
    verdict: Verdict
    detail: str
    fix: str = ""


def examine() -> Iterator[Check]:
    """Look at everything, one after the other; the last checks may take a while."""
    yield from examine_installation()
    try:
        config = config_from_environment()
    except MazeError as error:
        yield Check("configuration", Verdict.PROBLEM, str(error), "correct or unset what it names")
        return
    yield from _configuration(config)
    if config.modal is None:
        if importlib.util.find_spec("xllamacpp") is None:
            fix = "pip install '.[embedded]' in the source tree, or set MODAL_ENDPOINT"
            yield Check("embedded engine", Verdict.PROBLEM, "the package xllamacpp is not installed", fix)
            return
        model = _model(config)
        yield model
        if model.verdict is Verdict.PROBLEM:
            return
    yield from _engine(config)


def examine_installation() -> Iterator[Check]:
    """Look at what is installed, which takes nothing but Python."""
    yield _python()
    yield _library()
    yield from _packages()


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}, libmaze {__version__} at {Path(__file__).parent}"
    return Check("python", Verdict.OK, found)


def _library() -> Check:
    path = _find_library()
    if path is None:
        return Check(
            "library",
            Verdict.NOTE,
            f"{LIBRARY_NAME} was not found; C and Zig programs need it, Python does not",
            "install libmaze from a wheel, or run make in the source tree",
        )
    try:
        library = ctypes.CDLL(path)
        library.maze_version.restype = ctypes.c_char_p
        library.maze_abi_version.restype = ctypes.c_uint32
        version, abi_version = library.maze_version().decode(), library.maze_abi_version()
    except (OSError, AttributeError) as error:
        return Check("library", Verdict.PROBLEM, f"{path} cannot be loaded: {error}", "build it again: make clean all")
    found = f"{path}, version {version}, ABI {abi_version}"
    if (version, abi_version) != (__version__, ABI_VERSION):
        wanted = f"this package is version {__version__}, ABI {ABI_VERSION}"
        return Check("library", Verdict.PROBLEM, f"{found}; {wanted}", "build or install both again: make")
    return Check("library", Verdict.OK, found)


def _find_library() -> str | None:
    files = find_native_files()
    return str(files.library) if files else ctypes.util.find_library("maze")


def _packages() -> Iterator[Check]:
    for extra, packages in packages_by_extra(_requirements()).items():
        name = f"packages [{extra}]" if extra else "packages"
        versions = {package: _version_of(package) for package in packages}
        missing = [package for package, version in versions.items() if version is None]
        if not missing:
            yield Check(name, Verdict.OK, ", ".join(f"{package} {version}" for package, version in versions.items()))
        elif extra:
            fix = f"install libmaze[{extra}] if you need it"
            yield Check(name, Verdict.NOTE, f"missing: {', '.join(missing)}", fix)
        else:
            yield Check(name, Verdict.PROBLEM, f"missing: {', '.join(missing)}", "install libmaze again: make")


def _requirements() -> list[str]:
    """What pyproject.toml asks for: from itself in a source tree, else from what an installation keeps of it."""
    try:
        project = tomllib.loads(_PYPROJECT.read_text())["project"]
    except OSError:
        return importlib.metadata.requires("libmaze") or []
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(f"{item}; extra == '{extra}'" for extra in extras for item in extras[extra])]


def packages_by_extra(requirements: Iterable[str]) -> dict[str, list[str]]:
    """Names of the packages in requirements as package metadata has them, by extra; "" is for those always needed."""
    packages: dict[str, list[str]] = {"": []}
    for requirement in requirements:
        specifier, _, marker = requirement.partition(";")
        name, extra = re.match(r"[\w.-]+", specifier), re.search(r"extra == ['\"]([\w.-]+)", marker)
        if name is not None:
            packages.setdefault(extra[1] if extra else "", []).append(name[0])
    return packages


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _configuration(config: MazeConfig) -> Iterator[Check]:
    settings = settings_found({})
    sources = ", ".join(f"{name} from {setting.source}" for name, setting in settings.items())
    engine = "embedded" if config.modal is None else ", ".join(config.modal.endpoints)
    yield Check("configuration", Verdict.OK, f"{sources or 'nothing is set'}; engine: {engine}")
    used = {setting.source for setting in settings.values()}
    if unused := [name for name in set_variables(ENVIRONMENT_VARIABLES) if name not in used]:
        detail = f"set, and not used: {', '.join(unused)}"
        fix = (
            "a key goes to the service that it was set for alone, and one endpoint of several is taken: see the README"
        )
        yield Check("settings", Verdict.NOTE, detail, fix)
    if reason := read_file().passed_over:
        yield Check(FILE, Verdict.NOTE, f"it was passed over: {reason}", f"make it your own file: chmod o-w {FILE}")
    if config.modal is not None and not config.modal.api_key:
        yield Check("key", Verdict.NOTE, "no key is set", "set MODAL_API_KEY if the service asks for one")


def _model(config: MazeConfig) -> Check:
    from maze.engine import bundled_model

    try:
        path = config.local_model or bundled_model()
        with path.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except (MazeError, OSError) as error:
        return Check("model", Verdict.PROBLEM, str(error), "run make, or set MAZE_LOCAL_MODEL to a readable GGUF file")
    if magic != _GGUF_MAGIC:
        return Check("model", Verdict.PROBLEM, f"{path} is not a GGUF file", "set MAZE_LOCAL_MODEL to one")
    return Check("model", Verdict.OK, f"{path}, {path.stat().st_size / 1e6:.0f} MB")


def _engine(config: MazeConfig) -> Iterator[Check]:
    fix = "look at the log of the service, and at MODAL_ENDPOINT" if config.modal else _ENGINE_FIX
    from maze.orchestrator import Orchestrator

    try:
        with Orchestrator(replace(config, timeout_secs=ENGINE_TIMEOUT_SECS)) as maze:
            health = maze.health()
            for endpoint in health.endpoints:
                where, detail = str(endpoint.get("endpoint", health.backend)), str(endpoint.get("detail", ""))
                if not detail.startswith(where):
                    detail = f"{where}: {detail}"
                if endpoint.get("ready"):
                    yield Check("engine", Verdict.OK, detail)
                else:
                    yield Check("engine", Verdict.PROBLEM, detail, fix)
            if health.ready:
                yield Check("models", Verdict.OK, ", ".join(maze.models()))
    except MazeError as error:
        yield Check("engine", Verdict.PROBLEM, str(error), fix)
