"""What is known of each programming language: one file a language, all of one shape."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from maze.grammar.languages.language import Language

NAMES = (
    "typescript",
    "javascript",
    "python",
    "rust",
    "go",
    "java",
    "c",
    "cpp",
    "csharp",
    "kotlin",
    "zig",
    "php",
    "ruby",
    "swift",
)
"""The languages that Clew knows, by its names for them; each is the LANGUAGE of the module of its name."""

ALIASES: Mapping[str, str] = {
    "c#": "csharp",
    "c++": "cpp",
    "cs": "csharp",
    "golang": "go",
    "js": "javascript",
    "kt": "kotlin",
    "py": "python",
    "python3": "python",
    "rb": "ruby",
    "rs": "rust",
    "ts": "typescript",
}
"""Other names that callers use."""


def find_language(name: str | None) -> Language | None:
    """The language of that name or alias, in upper or lower case; None if there is none."""
    key = (name or "").strip().lower()
    key = ALIASES.get(key, key)
    return _language(key) if key in NAMES else None


@cache
def _language(name: str) -> Language:
    language: Language = import_module(f"{__name__}.{name}").LANGUAGE  # as needed: few programs are in all languages
    return language
