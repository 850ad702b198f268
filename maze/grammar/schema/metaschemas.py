"""The schemas of JSON Schema itself, one for each draft: a schema may refer to them though nothing is fetched."""

from __future__ import annotations

from functools import cache

from maze.json_text import JsonValue


@cache
def metaschemas() -> dict[str, JsonValue]:
    """By their URIs, those of draft-04 and later and of their vocabularies; they are not to be changed."""
    # Here, as it reads all of them, which few schemas need.
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    return {uri: REGISTRY.contents(uri) for uri in REGISTRY if "draft-03" not in uri}
