"""docs/constraints.md says what the code does."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import maze.check
import maze.grammar
from maze.config import DEFAULT_CACHE_SIZE_LIMIT
from maze.grammar.languages.tokens import LANGUAGES, TOKEN_CLASSES
from maze.grammar.schema.enforceable import CHECKED_KEYWORDS
from maze.grammar.schema.formats import ENFORCED_FORMATS
from maze.threads import STACK_BYTES

PAGE = (Path(__file__).parent.parent / "docs" / "constraints.md").read_text()
MODULES = {
    name: importlib.import_module(module)
    for name, module in (
        *((each.name, f"maze.grammar.{each.name}") for each in pkgutil.iter_modules(maze.grammar.__path__)),
        *((each.name, f"maze.check.{each.name}") for each in pkgutil.iter_modules(maze.check.__path__)),
        ("cache", "maze.cache"),
    )
}


def stated_limits() -> dict[str, float]:
    rows = re.findall(r"^\|[^|]*\| ([\d,*]+)( MiB)? \| `(\w+\.\w+)` \|$", PAGE, re.MULTILINE)
    assert len({constant for _, _, constant in rows}) == len(rows)
    return {
        constant: (2**53 if number == "2**53" else float(number.replace(",", ""))) * (2**20 if unit else 1)
        for number, unit, constant in rows
    }


def test_every_limit_is_stated_and_is_that_of_the_code() -> None:
    constants = {
        f"{name}.{constant}": getattr(module, constant)
        for name, module in MODULES.items()
        for constant in re.findall(
            r"^((?:DEFAULT_)?MAX_\w+)(?:: \w+)? =", Path(str(module.__file__)).read_text(), re.MULTILINE
        )
    }
    assert len(constants) > 40
    assert stated_limits() == constants


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    assert f"(`cache_size_limit`, {DEFAULT_CACHE_SIZE_LIMIT})" in PAGE
    assert f"{STACK_BYTES >> 20} MiB of address space" in PAGE
    spaces = Path(str(MODULES["spacing"].__file__)).read_text()
    assert "{1,40}" in spaces
    assert "){1,3}" in spaces
    assert "{{0,120}}" in spaces


def test_the_table_of_languages_lists_the_token_classes_that_each_lacks() -> None:
    rows = re.findall(r"^\| ([a-z, ]+) \|([A-Z ]*)\|[^|]*\|$", PAGE.partition("| language |")[2], re.MULTILINE)
    stated = {name: set(lacking.split()) for names, lacking in rows for name in names.split(", ")}
    lacking = {
        language.name: {name for name, token in language.tokens.items() if token is None}
        for language in LANGUAGES.values()
    }
    assert {name: stated.get(name) for name in lacking} == lacking


def test_every_token_class_keyword_and_format_is_on_the_page() -> None:
    words = set(re.findall(r"[\w$-]+", PAGE))
    assert {*TOKEN_CLASSES, *ENFORCED_FORMATS} - words == set()
    assert set(CHECKED_KEYWORDS) - {"$recursiveRef"} - words == set()
