"""References inside a JSON Schema: what they lead to, and whether following them ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote, urldefrag, urljoin

from maze.errors import InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.json_text import JsonValue

MAX_WAYS = 10_000_000
"""Most times that one value may have to be looked at; jsonschema_rs looks at 20 million a second."""

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


def with_exact_uris(schema: JsonValue, path: str) -> JsonValue:
    """The schema with `$schema` spelled as the drafts do, and references with `<`, `>` and the like percent-encoded."""
    draft = draft_of(schema, path)
    if isinstance(schema, dict) and "$schema" in schema:
        schema = {**schema, "$schema": _DRAFT_URIS[draft]}
    for place in References(schema, draft, path).referring:
        place.schema["$ref"] = quote(place.schema["$ref"], safe="%/#?:@!$&'()*+,;=~-._[]")
    return schema


_ONE_SCHEMA = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LIST_OF_SCHEMAS = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_MAP_OF_SCHEMAS = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
)
_IN_PLACE = frozenset({"allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if", "not", "oneOf", "then"})
"""Keywords whose schemas apply to the same value, so that a circle of them never ends."""


def subschemas(schema: dict[str, JsonValue]) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    """The way (its keyword, and a name or number if there are several) to every schema object directly inside."""
    for keyword, value in schema.items():
        if keyword in _ONE_SCHEMA and isinstance(value, dict):
            yield (keyword,), value
        elif keyword in _LIST_OF_SCHEMAS and isinstance(value, list):
            yield from (((keyword, str(index)), item) for index, item in enumerate(value) if isinstance(item, dict))
        elif keyword in _MAP_OF_SCHEMAS and isinstance(value, dict):
            yield from (((keyword, name), item) for name, item in value.items() if isinstance(item, dict))


@dataclass(frozen=True, slots=True)
class Place:
    """A schema inside the document, and the URI that references in it are relative to."""

    schema: JsonValue
    base: str


class References:
    """Finds what the references of one document lead to. Only the document itself is looked at."""

    def __init__(self, root: JsonValue, draft: int, path: str) -> None:
        self.draft = draft
        self.path = path
        self._resources: dict[str, JsonValue] = {"": root}
        self._anchors: dict[tuple[str, str], JsonValue] = {}
        self._bases: dict[int, str] = {}
        self.referring: list[Place] = []
        pending = [(root, "")]
        while pending:
            schema, base = pending.pop()
            if not isinstance(schema, dict):
                continue
            base = self._register(schema, base)
            pending.extend((child, base) for _, child in subschemas(schema))
        self.root = Place(root, self._bases.get(id(root), ""))
        self._without_circle: set[int] = set()

    def _register(self, schema: dict[str, JsonValue], base: str) -> str:
        refers = isinstance(schema.get("$ref"), str)
        if refers and self.draft <= 7:
            self.referring.append(Place(schema, base))
            return base
        own_id = schema.get("id" if self.draft == 4 else "$id")
        if isinstance(own_id, str):
            base_with_id, fragment = urldefrag(_joined(base, own_id))
            if fragment:
                self._anchors[base_with_id, fragment] = schema
            else:
                base = base_with_id
                self._resources.setdefault(base, schema)
                self._bases[id(schema)] = base
        if refers:
            self.referring.append(Place(schema, base))
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(schema.get(keyword), str):
                self._anchors[base, schema[keyword]] = schema
        return base

    def resolve(self, reference: str, base: str) -> Place:
        """What a reference leads to.

        Raises UnsupportedConstraintError for another document, InvalidConstraintError for what this one does not have.
        """
        uri, fragment = urldefrag(_joined(base, reference))
        if uri not in self._resources:
            raise UnsupportedConstraintError(
                f"{self.path} refers to {shown(reference)}, which is not part of it; nothing is fetched: "
                "put the schema under $defs and refer to it there"
            )
        fragment = unquote(fragment)
        target, base = self._resources[uri], uri
        if fragment and not fragment.startswith("/"):
            if (uri, fragment) not in self._anchors:
                raise self._dangling(reference)
            return Place(self._anchors[uri, fragment], base)
        for step in fragment.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and step in target:
                target = target[step]
            elif isinstance(target, list) and step.isdecimal() and int(step) < len(target):
                target = target[int(step)]
            else:
                raise self._dangling(reference)
            base = self._bases.get(id(target), base)
        return Place(target, base)

    def _dangling(self, reference: str) -> InvalidConstraintError:
        return InvalidConstraintError(f"{self.path} refers to {shown(reference)}, which is not there")

    def check(self) -> None:
        """Raise for a reference that leads nowhere, a circle that says nothing, and for too many ways through."""
        for place in self.referring:
            self.resolve(place.schema["$ref"], place.base)
        for place in self.referring:
            if place.schema is not self.root.schema:
                self._refuse_circles(place)
        self._refuse_circles(self.root)
        self._refuse_many_ways()

    def _refuse_circles(self, start: Place) -> None:
        for place, children, returns in _walk(start, self._in_place, self._without_circle):
            if returns:
                raise InvalidConstraintError(
                    f"{self.path} has a reference that leads back to itself and says nothing on the way: "
                    f"{shown(place.schema.get('$ref', children[0].schema.get('$ref')))}"
                )

    def _refuse_many_ways(self) -> None:
        """Bound the work of jsonschema_rs, which remembers verdicts for circles but not for ways that meet again."""
        ways: dict[int, int] = {}
        for place, _, _ in _walk(self.root, lambda place: [*self._in_place(place), *self._below(place)], set()):
            here = 1 + sum(ways.get(id(child.schema), 0) for child in self._in_place(place))
            below: dict[str, int] = {}
            for label, child in self._labelled(place):
                below[label] = below.get(label, 0) + ways.get(id(child.schema), 0)
            everywhere = below.pop("*", 0)
            ways[id(place.schema)] = here + everywhere + max(below.values(), default=0)
            if ways[id(place.schema)] > MAX_WAYS:
                raise LimitExceededError(
                    f"{self.path} offers over {MAX_WAYS} ways through its references and alternatives to one value; "
                    f"{MAX_WAYS} are allowed"
                )

    def _in_place(self, place: Place) -> list[Place]:
        """Schemas that apply to the same value."""
        schema = place.schema
        found = []
        if isinstance(schema.get("$ref"), str):
            target = self.resolve(schema["$ref"], place.base)
            if isinstance(target.schema, dict):
                found.append(target)
            if self.draft <= 7:
                return found
        found += [self.inside(child, place.base) for (keyword, *_), child in subschemas(schema) if keyword in _IN_PLACE]
        return found

    def _below(self, place: Place) -> list[Place]:
        """Schemas that apply to a part of the value."""
        return [child for _, child in self._labelled(place)]

    def _labelled(self, place: Place) -> Iterator[tuple[str, Place]]:
        """The same with the name of the part; `*` for any name and for every item."""
        schema = place.schema
        if "$ref" in schema and self.draft <= 7:
            return
        # What has a wrong type is told where the schema is held against its draft, after this.
        properties = schema.get("properties")
        for name, child in properties.items() if isinstance(properties, dict) else ():
            if isinstance(child, dict):
                yield f".{name}", self.inside(child, place.base)
        for (keyword, *_), child in subschemas(schema):
            if keyword not in _IN_PLACE and keyword not in ("properties", "$defs", "definitions"):
                yield "*", self.inside(child, place.base)

    def inside(self, child: JsonValue, base: str) -> Place:
        """A direct part of a schema whose base is `base`."""
        return Place(child, self._bases.get(id(child), base))


def _joined(base: str, reference: str) -> str:
    if base.startswith("urn:"):  # urljoin knows no references relative to a URN
        return base + reference if reference.startswith("#") or not reference else reference
    return urljoin(base, reference)


def _walk(
    start: Place, children_of: Callable[[Place], list[Place]], done: set[int]
) -> Iterator[tuple[Place, list[Place], bool]]:
    """Every schema reachable from `start` and not in `done`, after its children, with its children.

    The last value tells that a child leads back to a schema under way. Not recursive: chains may be of any length.
    """
    if id(start.schema) in done or not isinstance(start.schema, dict):
        return
    under_way = [(start, children_of(start), 0)]
    on_way = {id(start.schema)}
    while under_way:
        place, children, position = under_way.pop()
        if position == len(children):
            on_way.discard(id(place.schema))
            done.add(id(place.schema))
            yield place, children, False
            continue
        under_way.append((place, children, position + 1))
        child = children[position]
        if id(child.schema) in on_way:
            yield place, [child], True
        elif id(child.schema) not in done:
            on_way.add(id(child.schema))
            under_way.append((child, children_of(child), 0))


def shown(value: JsonValue) -> str:
    """A value for an error text, cut where it is long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 100 else f"{text[:100]}..."
