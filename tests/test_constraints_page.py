"""docs/constraints.md says what the code does."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

from grammar_texts import LANGUAGES

import maze.check
import maze.grammar
from maze.config import DEFAULT_CACHE_SIZE_LIMIT
from maze.grammar.languages import spacing
from maze.grammar.languages.language import TOKEN_CLASSES
from maze.grammar.schema.format_languages import KNOWN_FORMATS
from maze.grammar.schema.keywords import SINCE_DRAFT, UNTIL_DRAFT
from maze.threads import STACK_BYTES

PAGE = (Path(__file__).parent.parent / "docs" / "constraints.md").read_text()
ROOMS = {
    **{each.name: f"maze.grammar.{each.name}" for each in pkgutil.iter_modules(maze.grammar.__path__)},
    "check": "maze.check",
    "cache": "maze.cache",
    "threads": "maze.threads",
}
"""What the page calls the packages and modules that have limits."""


def modules_of(room: str) -> list[ModuleType]:
    module = importlib.import_module(room)
    inner = pkgutil.walk_packages(getattr(module, "__path__", ()), f"{room}.")
    return [module, *(importlib.import_module(each.name) for each in inner)]


def stated_limits() -> dict[str, float]:
    rows = re.findall(r"^\|[^|]*\| ([\d,*]+)( MiB)? \| `(\w+\.\w+)` \|$", PAGE, re.MULTILINE)
    assert len({constant for _, _, constant in rows}) == len(rows)
    return {
        constant: (2**53 if number == "2**53" else float(number.replace(",", ""))) * (2**20 if unit else 1)
        for number, unit, constant in rows
    }


def test_every_limit_is_stated_and_is_that_of_the_code() -> None:
    constants: dict[str, float] = {}
    for name, room in ROOMS.items():
        for module in modules_of(room):
            source = Path(str(module.__file__)).read_text()
            for constant in re.findall(r"^((?:DEFAULT_)?MAX_\w+)(?:: \w+)? =", source, re.MULTILINE):
                value = getattr(module, constant)
                assert constants.setdefault(f"{name}.{constant}", value) == value
    assert len(constants) > 40
    assert stated_limits() == constants


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    assert f"(`cache_size_limit`, {DEFAULT_CACHE_SIZE_LIMIT})" in PAGE
    assert f"{STACK_BYTES >> 20} MiB of address space" in PAGE
    spaces = Path(spacing.__file__).read_text()
    assert "{1,40}" in spaces
    assert "){1,3}" in spaces
    assert ", 0, 120)" in spaces


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
    assert {*TOKEN_CLASSES, *KNOWN_FORMATS} - words == set()
    assert {*SINCE_DRAFT, *UNTIL_DRAFT} - words == set()
