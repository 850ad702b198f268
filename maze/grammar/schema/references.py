"""References inside a JSON Schema: what they lead to, and whether following them ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

from referencing import Anchor, Registry, Resource, Specification
from referencing.exceptions import InvalidAnchor, NoSuchAnchor, PointerToNowhere, Unresolvable

from maze.errors import InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.schema.drafts import own_draft_of
from maze.grammar.schema.keywords import DEFINITIONS, IN_PLACE, subschemas, walk
from maze.json_text import JsonValue, shown

if TYPE_CHECKING:
    from referencing._core import Resolver  # has no public name

MAX_REFERENCE_CHAIN = 128
"""Most references that lead one to the next on one value; checking a value goes through them on the caller's stack."""
MAX_SCHEMA_CHAIN = 500
"""Most schemas one inside the other, references followed; the rules that are made of them are as deep."""
MAX_WAYS = 10_000_000
"""Most times that one value may have to be looked at; jsonschema_rs looks at 20 million a second."""


@dataclass(frozen=True, slots=True)
class _Contents:
    """A part of a document as `referencing` steps through it, which would count -1 and letters of texts as indices.

    It is no mapping either, as `referencing` would read it in the draft of a `$schema` inside of it.
    """

    value: JsonValue

    def __getitem__(self, step: str) -> _Contents:
        if isinstance(self.value, dict):
            return _Contents(self.value[step])
        if isinstance(self.value, list) and step.isdecimal():
            return _Contents(self.value[int(step)])
        raise KeyError(step)


@dataclass(frozen=True, slots=True)
class Place:
    """A schema inside the document, and what references in it are relative to."""

    schema: JsonValue
    resolver: Resolver[_Contents]
    draft: int


class References:
    """Finds what the references of one document lead to. Only the document itself is looked at."""

    def __init__(self, root: JsonValue, draft: int, path: str) -> None:
        self.draft = draft
        """That of the root."""
        self.path = path
        self._id_keyword = "id" if draft == 4 else "$id"
        self._targets: dict[int, Place] = {}
        self._without_circle: set[int] = set()
        self._specification: Specification[_Contents] = Specification(  # type: ignore[call-arg]  # its stubs hide the fields
            name=f"draft {draft}",
            id_of=lambda part: self._identity(part.value)[0] or None,
            subresources_of=lambda part: [_Contents(child) for _, child in subschemas(part.value)],
            anchors_in=self._anchors_in,
            maybe_in_subresource=lambda resolver, subresource, **_: resolver.in_subresource(subresource),
        )
        resource = self._resource(root)
        registry: Registry[_Contents] = Registry().with_resource("", resource)
        self._has_references = any(_reference_in(part.schema) is not None for part in walk(root))
        if self._has_references:
            registry = registry.crawl()
        self.root = Place(root, registry.resolver().in_subresource(resource), draft)

    def _resource(self, schema: JsonValue) -> Resource[_Contents]:
        return self._specification.create_resource(_Contents(schema))

    def _identity(self, schema: JsonValue) -> tuple[str, list[str]]:
        """The URI that a schema gives itself, empty if none, and its anchors."""
        if not isinstance(schema, dict) or (self.draft <= 7 and isinstance(schema.get("$ref"), str)):
            return "", []
        own = schema.get(self._id_keyword)
        uri, anchor = urldefrag(own) if isinstance(own, str) else ("", "")
        anchors = [anchor, schema.get("$anchor"), schema.get("$dynamicAnchor")]
        return "" if anchor else uri, [name for name in anchors if isinstance(name, str) and name]

    def _anchors_in(self, specification: Specification[_Contents], contents: _Contents) -> Iterator[Anchor[_Contents]]:
        for name in self._identity(contents.value)[1]:
            yield Anchor(name, specification.create_resource(contents))  # type: ignore[call-arg]

    def target(self, place: Place) -> Place:
        """What the `$ref` of a schema leads to.

        Raises UnsupportedConstraintError for another document, InvalidConstraintError for what this one does not have.
        """
        if id(place.schema) not in self._targets:
            self._targets[id(place.schema)] = self.lookup(place, place.schema["$ref"])
        return self._targets[id(place.schema)]

    def lookup(self, place: Place, reference: str) -> Place:
        """What a reference leads to from a place. Raises as target()."""
        try:
            found = place.resolver.lookup(reference)
        except (PointerToNowhere, NoSuchAnchor, InvalidAnchor):
            raise InvalidConstraintError(f"{self.path} refers to {shown(reference)}, which is not there") from None
        except Unresolvable:
            raise UnsupportedConstraintError(
                f"{self.path} refers to {shown(reference)}, which is not part of it; nothing is fetched: "
                "put the schema under $defs and refer to it there"
            ) from None
        schema = found.contents.value
        return Place(schema, found.resolver, self.draft_at(schema))

    def draft_at(self, schema: JsonValue) -> int:
        """The draft that a schema inside the document is written in."""
        return self._drafts.get(id(schema), self.draft)

    @cached_property
    def _drafts(self) -> dict[int, int]:
        """By identity, where there is more than one draft in the document: those of all schemas."""
        if not any("$schema" in part.schema for part in walk(self.root.schema) if part.around is not None):
            return {}
        return {id(place.schema): place.draft for place in self._places}

    def dynamic_target(self, place: Place) -> Place | None:
        """What a `$dynamicRef` or `$recursiveRef` leads to, where that is the same whatever the way to it was."""
        if "$recursiveRef" in place.schema:
            reference, anchors = place.schema["$recursiveRef"], self._recursive_anchors
        else:
            reference = place.schema["$dynamicRef"]
            anchors = self._dynamic_anchors.get(urldefrag(reference)[1], 0)
        return self.lookup(place, reference) if anchors <= 1 else None

    @cached_property
    def _dynamic_anchors(self) -> Counter[str]:
        names = (part.schema.get("$dynamicAnchor") for part in walk(self.root.schema))
        return Counter(name for name in names if isinstance(name, str))

    @cached_property
    def _recursive_anchors(self) -> int:
        return sum(part.schema.get("$recursiveAnchor") is True for part in walk(self.root.schema))

    def inside(self, child: JsonValue, place: Place) -> Place:
        """A direct part of the schema at `place`."""
        if not isinstance(child, dict) or self._id_keyword not in child:
            return Place(child, place.resolver, place.draft)
        resolver = place.resolver.in_subresource(self._resource(child))
        return Place(child, resolver, own_draft_of(child, place.draft))

    def check(self, budget: Budget) -> None:
        """Raise for a reference that leads nowhere, a circle that says nothing, and for too many ways through."""
        if not self._has_references:
            return
        referring = [place for place in self._places if isinstance(_reference_in(place.schema), str)]
        for place in referring:
            budget.spend(20)
            if isinstance(place.schema.get("$ref"), str):
                self.target(place)
        for place in referring:
            if place.schema is not self.root.schema:
                self._refuse_circles(place)
        self._refuse_circles(self.root)
        self._refuse_many_ways(budget)

    @cached_property
    def _places(self) -> list[Place]:
        places = [self.root] if isinstance(self.root.schema, dict) else []
        for place in places:
            places.extend(self.inside(child, place) for _, child in subschemas(place.schema))
        return places

    def _refuse_circles(self, start: Place) -> None:
        for place, children, returns in _walk(start, self._in_place, self._without_circle):
            if returns:
                raise InvalidConstraintError(
                    f"{self.path} has a reference that leads back to itself and says nothing on the way: "
                    f"{shown(_reference_in(place.schema) or _reference_in(children[0].schema))}"
                )

    def _refuse_many_ways(self, budget: Budget) -> None:
        """Bound depth and work: jsonschema_rs remembers verdicts for circles but not for ways that meet again."""
        ways: dict[int, int] = {}
        chains: dict[int, int] = {}
        depths: dict[int, int] = {}
        parts: dict[int, tuple[list[Place], list[tuple[str, Place]]]] = {}

        def children_of(place: Place) -> list[Place]:
            in_place, below = parts[id(place.schema)] = self._in_place(place), list(self._below(place))
            return [*in_place, *(child for _, child in below)]

        for place, children, returns in _walk(self.root, children_of, set()):
            budget.spend(2)
            if returns:
                continue
            in_place, parts_of_value = parts[id(place.schema)]
            depths[id(place.schema)] = depth = 1 + max((depths.get(id(each.schema), 0) for each in children), default=0)
            if depth > MAX_SCHEMA_CHAIN:
                raise LimitExceededError(
                    f"{self.path} has over {MAX_SCHEMA_CHAIN} schemas one inside the other, references followed; "
                    f"{MAX_SCHEMA_CHAIN} are allowed"
                )
            chain = max((chains.get(id(child.schema), 0) for child in in_place), default=0)
            chains[id(place.schema)] = chain = chain + ("$ref" in place.schema)
            if chain > MAX_REFERENCE_CHAIN:
                raise LimitExceededError(
                    f"{self.path} has a chain of {chain} references, each leading to the next; "
                    f"{MAX_REFERENCE_CHAIN} are allowed"
                )
            here = 1 + sum(ways.get(id(child.schema), 0) for child in in_place)
            below: dict[str, int] = {}
            for label, child in parts_of_value:
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
            target = self.target(place)
            if isinstance(target.schema, dict):
                found.append(target)
            if place.draft <= 7:
                return found
        if (dynamic := self._dynamic(place)) is not None and isinstance(dynamic.schema, dict):
            found.append(dynamic)
        found += [self.inside(child, place) for (keyword, *_), child in subschemas(schema) if keyword in IN_PLACE]
        return found

    def _dynamic(self, place: Place) -> Place | None:
        keyword = {2019: "$recursiveRef", 2020: "$dynamicRef"}.get(place.draft)
        return self.dynamic_target(place) if isinstance(place.schema.get(keyword), str) else None

    def _below(self, place: Place) -> Iterator[tuple[str, Place]]:
        """Schemas that apply to a part of the value, with the name of the part; `*` for any name and for every item."""
        if "$ref" in place.schema and place.draft <= 7:
            return
        for (keyword, *step), child in subschemas(place.schema):
            if keyword not in IN_PLACE and keyword not in DEFINITIONS:
                yield f".{step[0]}" if keyword == "properties" else "*", self.inside(child, place)


def _reference_in(schema: dict[str, JsonValue]) -> JsonValue:
    return next((schema[keyword] for keyword in ("$ref", "$dynamicRef", "$recursiveRef") if keyword in schema), None)


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
