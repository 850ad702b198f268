"""Who judges the programs of each language, where real ones are found, and who formats them otherwise.

A language is one entry. Judges and formatters take many texts at once, as some are programs that start slowly.
"""

from __future__ import annotations

import ast
import json
import random
import re
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import tree_sitter_c
from tree_sitter import Language, Parser

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
    if not (BUILD / "npm" / "node_modules" / re.sub(r"(?<=.)@.*", "", package)).exists():
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


# ------------------------------------------------------------------------------------------------ Zig

_ZIG = Path(sysconfig.get_path("purelib")) / "ziglang"
_ZIG_FUNCTION = re.compile(
    r"^( *)((?:pub |export |inline |noinline )*fn .*(?:\n\1[^}\n].*|\n)*\n\1\}) *$", re.MULTILINE
)
"""As `zig fmt` prints it, with more than one line."""
_ZIG_COMPLAINT = re.compile(r"(\d+)\.zig:\d+:\d+: error: (.*)")


def _zig_fmt(texts: Sequence[str], *options: str) -> tuple[Verdicts, list[str]]:
    """What `zig fmt` complains of in each text, and what it makes of them, by one process."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.zig") for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text, encoding="utf-8")
        ended = subprocess.run([_ZIG / "zig", "fmt", *options, folder], capture_output=True, text=True, check=False)
        complaints = {int(number): what for number, what in reversed(_ZIG_COMPLAINT.findall(ended.stderr))}
        if ended.stderr and not complaints:
            raise RuntimeError(ended.stderr)
        return [complaints.get(number) for number in range(len(texts))], [path.read_text("utf-8") for path in paths]


def _zig_judge(texts: Sequence[str]) -> Verdicts:
    return _zig_fmt(texts, "--check")[0]


def _zig_formatted(texts: Sequence[str]) -> list[str | None]:
    return [None if what else text for what, text in zip(*_zig_fmt(texts), strict=True)]


def _zig_files() -> Iterator[str]:
    return (text for text in sources((_ZIG / "lib" / "std", "**/*.zig")) if len(text) < 60_000)


def _zig_functions() -> Iterator[str]:
    """Those of all files in one order that tells nothing, without the indentation they have there."""
    found = [dedent(each[0]) for text in _zig_files() for each in _ZIG_FUNCTION.finditer(text)]
    random.Random(3).shuffle(found)
    return iter(found)


# ------------------------------------------------------------------------------------------------ C

_DIRECTIVE = re.compile(r"^[ \t]*#", re.MULTILINE)


_TYPE_OF_ARGUMENT = re.compile(r"(va_arg\([*\w.>-]+, )[^()]+\)")
"""The judge knows no type but a name or `int` as an argument."""


_COMPLEX = re.compile(r"\b(float|double) complex\b")
"""The judge knows no complex numbers."""


_NORETURN = re.compile(r"\bnoreturn\b")
"""A name, until a header makes it a macro; the judge takes it as a word of the language."""


@cache
def _c_parser() -> Parser:
    return Parser(Language(tree_sitter_c.language()))


def _c_judge(texts: Sequence[str]) -> Verdicts:
    verdicts: Verdicts = []
    for text in texts:
        known = _NORETURN.sub("no_return", _COMPLEX.sub(r"\1", _TYPE_OF_ARGUMENT.sub(r"\1int)", text)))
        node = _c_parser().parse(known.encode()).root_node
        while error := next((each for each in node.children if each.has_error), None):
            node = error
        broken = node.has_error or node.is_missing
        verdicts.append(f"{node.type}: {(node.text or b'').decode()[:60]!r}" if broken else None)
    return verdicts


def _c_files() -> Iterator[str]:
    """Of libc's and of the run time of C on Windows."""
    libc = _ZIG / "lib" / "libc"
    return (text for text in sources((libc / "musl", "src/**/*.c"), (libc / "mingw", "**/*.c")) if len(text) < 60_000)


def _c_functions() -> Iterator[str]:
    """Those that the judge parses and that no directive of the preprocessor cuts."""
    for text in _c_files():
        for node in _c_parser().parse(text.encode()).root_node.children:
            function = (node.text or b"").decode()
            if node.type == "function_definition" and not node.has_error and not _DIRECTIVE.search(function):
                yield function


def _clang_format(texts: Sequence[str]) -> list[str | None]:
    command = [pip_tool("clang-format") / "clang_format" / "data" / "bin" / "clang-format", "--style=LLVM"]
    return [each.stdout if each.returncode == 0 else None for each in run_for_each([*map(str, command)], texts)]


ENTRIES: tuple[Entry, ...] = (
    Entry("c", _c_judge, _c_files, _c_functions, _clang_format),
    Entry("json", _json_judge, _json_files, _json_values),
    Entry("python", _python_judge, _python_files, _python_functions, _black),
    Entry("zig", _zig_judge, _zig_files, _zig_functions, _zig_formatted),
)
