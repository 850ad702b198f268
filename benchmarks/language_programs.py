"""The languages whose judges come from npm, and SQL, which SQLite judges: entries as those of language_entries."""

from __future__ import annotations

import ast
import json
import random
import re
import sqlite3
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from benchmarks.language_entries import Entry, Verdicts, npm_tool, pip_tool, sources

_SCRIPT = Path(__file__).with_suffix(".js")
_MOST_CHARACTERS = 60_000
"""Longest file that is looked at."""


def _answers(command: str, texts: Sequence[str]) -> list[object]:
    """What language_programs.js says of each text."""
    npm_tool("typescript@5.9")
    ended = subprocess.run(
        ["node", "--no-warnings", "--experimental-vm-modules", _SCRIPT, command],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        cwd=npm_tool("prettier"),
    )
    answers: list[object] = json.loads(ended.stdout)
    return answers


def _texts_or_none(command: str, texts: Sequence[str]) -> list[str | None]:
    return [None if each is None else str(each) for each in _answers(command, texts)]


def _files(packages: Sequence[str], pattern: str, without: str) -> Iterator[str]:
    """Files of packages of npm in an order that tells nothing."""
    roots = [npm_tool(package) / "node_modules" / package for package in packages]
    found = sources(*((root, pattern) for root in roots))
    return (text for text in found if 200 < len(text) < _MOST_CHARACTERS and not re.search(without, text))


def _functions(files: Iterator[str]) -> Iterator[str]:
    """At most 20 of a file, by packs of files, as each pack is a process."""
    while pack := [text for text, _ in zip(files, range(200), strict=False)]:
        for functions in _answers("functions", pack):
            if isinstance(functions, list):
                yield from functions[:20]


_JAVASCRIPT = ("lodash", "eslint", "axios", "ajv", "postcss", "express", "vite", "react-dom", "rollup", "vue")
_TYPESCRIPT = ("rxjs", "zod", "immer", "redux", "@reduxjs/toolkit", "mobx", "@tanstack/query-core", "ajv", "effect")
_SCOPE = (
    "has already been declared",
    "must be declared in an enclosing class",
    "is not defined in module",
    "Duplicate (export|capture group|__proto__|parameter name)",
    "Delete of an unqualified",
    "Label '.*' has already",
    "Unexpected eval or arguments",
    "Illegal ('use strict'|return)",
    "'arguments' is not allowed in class field",
)


def _javascript_files() -> Iterator[str]:
    return _files(_JAVASCRIPT, "**/*.js", r"\A.{2000}")


def _typescript_files() -> Iterator[str]:
    return _files(_TYPESCRIPT, "**/src/**/*.ts", r"\A// declarations only")


# ------------------------------------------------------------------------------------------------ SQL

_QUERY = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|REPLACE|VALUES)\s", re.IGNORECASE)
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")
"""What SQLite takes no text with."""
_EXPLAIN = re.compile(r"\AEXPLAIN (QUERY PLAN )?", re.IGNORECASE)


def _sql_judge(texts: Sequence[str]) -> Verdicts:
    """What SQLite says of the first statement that it cannot read (each begins a line), missing tables aside."""
    verdicts: Verdicts = []
    for text in texts:
        verdict, command = None, ""
        for line in [*text.splitlines(keepends=True), ";"]:
            command += line
            if not sqlite3.complete_statement(command):
                continue
            command, begun = "", _EXPLAIN.sub("", command.strip())
            try:
                if begun != ";":
                    sqlite3.connect(":memory:").execute(f"EXPLAIN {begun}")
            except sqlite3.Error as error:
                if re.search("syntax error|incomplete|unrecognized|one statement", str(error)):
                    verdict = verdict or str(error)
        verdicts.append(verdict or ("what was begun has no end" if command.strip("; \n") else None))
    return verdicts


def _sql_statements() -> Iterator[str]:
    """Texts in the sources of Python's sqlite3, with its tests, and of packages for SQLite, that SQLite reads."""
    roots = [Path(sysconfig.get_paths()["stdlib"]), pip_tool("sqlite-utils"), pip_tool("datasette"), pip_tool("Django")]
    patterns = ("sqlite3/*.py", "test/test_sqlite3/*.py")
    files = chain(
        sources(*((roots[0], each) for each in patterns)), sources(*((each, "**/*.py") for each in roots[1:]))
    )
    found = dict.fromkeys(
        node.value.strip().rstrip(";")
        for text in files
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if _QUERY.match(node.value) and not _NO_TEXT.search(node.value)
    )
    statements = [
        each for each, verdict in zip(found, _sql_judge([f"{each};" for each in found]), strict=True) if not verdict
    ]
    random.Random(3).shuffle(statements)
    return (f"{each};\n" for each in statements)


def _sql_files() -> Iterator[str]:
    """Ten statements each, as statements of SQL are seldom in files of their own."""
    statements = list(_sql_statements())
    return ("".join(statements[at : at + 10]) for at in range(0, len(statements), 10))


PROGRAMS: tuple[Entry, ...] = (
    Entry(
        "javascript",
        partial(_texts_or_none, "javascript"),
        _javascript_files,
        lambda: _functions(_javascript_files()),
        partial(_texts_or_none, "prettier_javascript"),
        _SCOPE,
    ),
    Entry("sql", _sql_judge, _sql_files, _sql_statements),
    Entry(
        "typescript",
        partial(_texts_or_none, "typescript"),
        _typescript_files,
        lambda: _functions(_typescript_files()),
        partial(_texts_or_none, "prettier_typescript"),
    ),
)
