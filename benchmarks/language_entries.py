"""Who judges the programs of each language, where real ones are found, and who formats them otherwise.

A language is one entry. Judges and formatters take many texts at once, as some are programs that start slowly.
"""

from __future__ import annotations

import ast
import json
import random
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BUILD = Path(__file__).parent.parent / "build" / "language-tools"
"""Where tools that come from npm and PyPI are installed on demand."""

Verdicts = list[str | None]
"""For each text what is wrong with it; None where it parses."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the benchmark needs of a language."""

    name: str
    judge: Callable[[Sequence[str]], Verdicts]
    files: Callable[[], Iterator[str]]
    """Real programs, in an order that tells nothing."""
    functions: Callable[[], Iterator[str]]
    """Real functions, each as it stands in its file; for languages without functions, what is of about their size."""
    formatted: Callable[[Sequence[str]], list[str | None]] | None = None
    """What the language's own formatter makes of texts; None for those that it refuses."""
    excluded: tuple[str, ...] = ()
    """Regular expressions of judges' complaints that need scope or context; each is named in docs/languages.md."""
    wrapped_function: tuple[str, str] = ("", "")
    """What makes a function a text that the judge takes."""


def sources(*patterns: tuple[Path, str], seed: int = 3) -> Iterator[str]:
    """The texts of files that are UTF-8, in a shuffled order."""
    paths = sorted({path for root, pattern in patterns for path in root.glob(pattern) if path.is_file()})
    random.Random(seed).shuffle(paths)
    for path in paths:
        try:
            yield path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def run_for_each(command: Sequence[str], texts: Sequence[str]) -> list[subprocess.CompletedProcess[str]]:
    """Run a program once for each text, which it reads from its standard input."""
    return [
        subprocess.run(command, input=text, capture_output=True, text=True, check=False, encoding="utf-8")
        for text in texts
    ]


@cache
def pip_tool(package: str) -> Path:
    """A folder with a package that is not among those of the project, installed when it is first needed."""
    target = BUILD / package
    if not target.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", target, package], check=True)
    return target


@cache
def npm_tool(package: str) -> Path:
    """A folder below which `node_modules` has a package of npm, installed when it is first needed."""
    if not (BUILD / "npm" / "node_modules" / package).exists():
        (BUILD / "npm").mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", BUILD / "npm", package], check=True)
    return BUILD / "npm"


# ------------------------------------------------------------------------------------------------ Python

_STDLIB = Path(sysconfig.get_paths()["stdlib"])


def _python_judge(texts: Sequence[str]) -> Verdicts:
    verdicts: Verdicts = []
    for text in texts:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(text)
        except (SyntaxError, ValueError) as error:
            verdicts.append(str(error))
        else:
            verdicts.append(None)
    return verdicts


def _python_files() -> Iterator[str]:
    return sources((_STDLIB, "*.py"), (_STDLIB / "asyncio", "*.py"), (_STDLIB / "email", "*.py"))


def _python_functions() -> Iterator[str]:
    for text in _python_files():
        lines = text.splitlines(keepends=True)
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                yield "".join(lines[first - 1 : node.end_lineno])


def _black(texts: Sequence[str]) -> list[str | None]:
    command = [sys.executable, "-m", "black", "-q", "-"]
    environment = {"PYTHONPATH": str(pip_tool("black"))}
    found = [
        subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment)
        for text in texts
    ]
    return [each.stdout if each.returncode == 0 else None for each in found]


# ------------------------------------------------------------------------------------------------ JSON


def _json_judge(texts: Sequence[str]) -> Verdicts:
    verdicts: Verdicts = []
    for text in texts:
        try:
            json.loads(text)
        except ValueError as error:
            verdicts.append(str(error))
        else:
            verdicts.append(None)
    return verdicts


def _json_files() -> Iterator[str]:
    return sources((Path(sys.prefix), "lib/**/*.json"), (Path("/usr/lib/node_modules"), "**/*.json"))


def _json_values() -> Iterator[str]:
    """The values in the objects of files."""
    for text in _json_files():
        value = json.loads(text)
        for each in value.values() if isinstance(value, dict) else ():
            yield json.dumps(each, ensure_ascii=False, indent=2)


ENTRIES: tuple[Entry, ...] = (
    Entry("json", _json_judge, _json_files, _json_values),
    Entry("python", _python_judge, _python_files, _python_functions, _black),
)
