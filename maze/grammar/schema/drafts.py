"""Which draft of JSON Schema a schema is written in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from maze.errors import UnsupportedConstraintError
from maze.grammar.schema.keywords import KNOWN_KEYWORDS, SINCE_DRAFT, UNTIL_DRAFT, Subschema
from maze.json_text import JsonValue, shown

_DRAFT_URIS = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}
_LATEST_DRAFT = 2020
_DRAFT_URI = re.compile(r"https?://json-schema[.-]org/(?:draft[-/]0?(4|6|7|2019|2020)(?:-09|-12)?/)?schema#?")
"""Takes the spellings that people use as well: https for http, a dot forgotten, no draft for the latest."""
_GUESSED_DRAFTS = (7, 4)
"""Tried in this order for a schema without `$schema` that is no valid 2020-12 schema."""
_SAYS_NOTHING_BESIDE_REF = frozenset(
    ("$comment", "$defs", "$id", "$schema", "default", "definitions", "description", "examples", "id", "title")
)


def draft_of(schema: JsonValue, path: str) -> int:
    """Number or year of the draft that `$schema` names; without it the latest. Raises UnsupportedConstraintError."""
    uri = schema.get("$schema") if isinstance(schema, dict) else None
    if uri is None:
        return _LATEST_DRAFT
    named = _DRAFT_URI.fullmatch(uri) if isinstance(uri, str) else None
    if named is None:
        raise UnsupportedConstraintError(
            f"{path} names the draft {shown(uri)} at #/$schema, which is not known; "
            "use draft-04, draft-06, draft-07, 2019-09 or 2020-12"
        )
    return int(named.group(1) or _LATEST_DRAFT)


def own_draft_of(resource: dict[str, JsonValue], around: int) -> int:
    """The draft of a resource inside a document; one whose `$schema` is not known is read as what is around it."""
    uri = resource.get("$schema")
    named = _DRAFT_URI.fullmatch(uri) if isinstance(uri, str) else None
    return around if named is None else int(named.group(1) or _LATEST_DRAFT)


def uri_of(draft: int) -> str:
    """What `$schema` is for a draft."""
    return _DRAFT_URIS[draft]


def name_of(draft: int) -> str:
    """What people call a draft: `draft-07`, `2019-09`."""
    return {2019: "2019-09", 2020: "2020-12"}.get(draft, f"draft-0{draft}")


def is_silent(keyword: str, draft: int) -> bool:
    """Whether a keyword that restricts in some drafts says nothing in this one."""
    return SINCE_DRAFT.get(keyword, 0) > draft or UNTIL_DRAFT.get(keyword, draft) < draft


def spell_uris(schema: JsonValue, parts: Sequence[Subschema], path: str) -> bool:
    """Spell `$schema` as the drafts do and percent-encode `<`, `>` and the like in references; whether that changed it.

    Raises UnsupportedConstraintError for an unknown draft.
    """
    changed = False
    exact_uri = _DRAFT_URIS[draft_of(schema, path)]
    if isinstance(schema, dict) and schema.get("$schema", exact_uri) != exact_uri:
        schema["$schema"] = exact_uri
        changed = True
    for part in parts:
        if isinstance(reference := part.schema.get("$ref"), str):
            part.schema["$ref"] = quote(reference, safe="%/#?:@!$&'()*+,;=~-._[]")
            changed |= part.schema["$ref"] != reference
    return changed


def guessed_drafts(schema: JsonValue, parts: Sequence[Subschema]) -> Iterator[str]:
    """URIs of older drafts that a schema may be meant for: it names none, and nothing in it falls silent there."""
    if not isinstance(schema, dict) or "$schema" in schema:
        return
    for draft in _GUESSED_DRAFTS:
        # A mistake in the value of one keyword must not silence others.
        if not any(_falls_silent(part.schema, draft) for part in parts):
            yield _DRAFT_URIS[draft]


def is_reference_only(schema: JsonValue, draft: int) -> bool:
    """Whether a schema says what it refers to, and nothing beside it."""
    if not isinstance(schema, dict) or "$ref" not in schema:
        return False
    return draft <= 7 or KNOWN_KEYWORDS.isdisjoint(schema.keys() - _SAYS_NOTHING_BESIDE_REF - {"$ref"})


def _falls_silent(schema: dict[str, JsonValue], draft: int) -> bool:
    """Whether something directly in a schema restricts by 2020-12 and says nothing in an older draft."""
    if any(SINCE_DRAFT.get(keyword, 0) > draft for keyword in schema):
        return True
    return draft <= 7 and "$ref" in schema and not schema.keys() <= _SAYS_NOTHING_BESIDE_REF | {"$ref"}
