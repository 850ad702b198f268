"""References inside a JSON Schema: what they lead to, and whether following them ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

from referencing import Anchor, Registry, Resource, Specification
from referencing.exceptions import InvalidAnchor, NoSuchAnchor, NoSuchResource, PointerToNowhere, Unresolvable

from maze.errors import InvalidConstraintError, LimitExceededError, UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.schema.drafts import draft_of, own_draft_of
from maze.grammar.schema.keywords import DEFINITIONS, IN_PLACE, subschemas, walk
from maze.grammar.schema.metaschemas import metaschemas
from maze.json_text import JsonValue, shown

if TYPE_CHECKING:
    from referencing._core import Resolver  # has no public name

MAX_REFERENCE_CHAIN = 128
"""Most references that lead one to the next on one value; checking a value goes through them on the caller's stack."""
MAX_SCHEMA_CHAIN = 500
"""Most schemas one inside the other, references followed; the rules that are made of them are as deep."""
MAX_RESOURCE_WAYS = 20_000
"""Most ways through resources, of which jsonschema_rs follows each anew: 14,000 ways through 8 take it 2 s."""
MAX_WAYS = 10_000_000
"""Most times that one value may have to be looked at; jsonschema_rs looks at 20 million a second."""


@dataclass(frozen=True, slots=True)
class _Contents:
    """A part of a document as `referencing` steps through it, which would count -1 and letters of texts as indices.

    It is no mapping either, as `referencing` would read it in the draft of a `$schema` inside of it.
    """

    value: JsonValue
    around: int
    """The draft of what it is a part of."""

    def __getitem__(self, step: str) -> _Contents:
        if isinstance(self.value, dict):
            return _Contents(self.value[step], self.draft)
        if isinstance(self.value, list) and step.isdecimal():
            return _Contents(self.value[int(step)], self.draft)
        raise KeyError(step)

    @property
    def draft(self) -> int:
        """The draft that it is written in."""
        has_own = isinstance(self.value, dict) and _id_keyword(self.around) in self.value
        return own_draft_of(self.value, self.around) if has_own else self.around

    def identity(self) -> tuple[str, list[str]]:
        """The URI that a schema gives itself, empty if none, and its anchors."""
        schema = self.value
        if not isinstance(schema, dict) or (self.around <= 7 and isinstance(schema.get("$ref"), str)):
            return "", []
        own = schema.get(_id_keyword(self.around))
        uri, anchor = urldefrag(own) if isinstance(own, str) else ("", "")
        anchors = [anchor, schema.get("$anchor"), schema.get("$dynamicAnchor")]
        return "" if anchor else uri, [name for name in anchors if isinstance(name, str) and name]


def _id_keyword(draft: int) -> str:
    return "id" if draft == 4 else "$id"


def _anchors_in(specification: Specification[_Contents], contents: _Contents) -> Iterator[Anchor[_Contents]]:
    for name in contents.identity()[1]:
        yield Anchor(name, specification.create_resource(contents))  # type: ignore[call-arg]


_SPECIFICATION: Specification[_Contents] = Specification(  # type: ignore[call-arg]  # its stubs hide the fields
    name="JSON Schema",
    id_of=lambda part: part.identity()[0] or None,
    subresources_of=lambda part: [_Contents(child, part.draft) for _, child in subschemas(part.value)],
    anchors_in=_anchors_in,
    maybe_in_subresource=lambda resolver, subresource, **_: resolver.in_subresource(subresource),
)


def _metaschema(uri: str) -> Resource[_Contents]:
    schema = metaschemas().get(uri)
    if schema is None:
        raise NoSuchResource(ref=uri)  # type: ignore[call-arg]
    return _SPECIFICATION.create_resource(_Contents(schema, draft_of(schema, uri)))


@dataclass(frozen=True, slots=True)
class Scope:
    """The resources on the way to a place, each by its identity, as far as dynamic references depend on them."""

    outermost: tuple[tuple[str, int], ...] = ()
    """For each dynamic anchor, the first resource on the way that has it."""
    recursive: int | None = None
    """Of the resources with `$recursiveAnchor` that lead here without another between them, the first."""


@dataclass(frozen=True, slots=True)
class Place:
    """A schema, what references in it are relative to, and the way on which it was reached."""

    schema: JsonValue
    resolver: Resolver[_Contents]
    draft: int
    resource: int
    """The identity of the root of the resource that it is in."""
    scope: Scope

    @property
    def key(self) -> tuple[int, Scope]:
        """The same for places where the same is meant."""
        return id(self.schema), self.scope


class References:
    """Finds what the references of one document lead to: to itself, or to the schemas of JSON Schema's drafts."""

    def __init__(self, root: JsonValue, draft: int, path: str) -> None:
        self.draft = draft
        """That of the root."""
        self.path = path
        self._targets: dict[tuple[int, Scope], Place] = {}
        self._without_circle: set[tuple[int, Scope]] = set()
        self._resources: dict[int, Resolver[_Contents]] = {}
        """By the identity of their roots, those that were entered."""
        self._anchors: dict[int, tuple[str, ...]] = {}
        """The dynamic anchors of each."""
        resource = _SPECIFICATION.create_resource(_Contents(root, draft))
        documents: Registry[_Contents] = Registry(retrieve=_metaschema)  # type: ignore[call-arg]
        registry = documents.with_resource("", resource)
        parts = list(walk(root))
        self._has_references = any(_reference_in(part.schema) is not None for part in parts)
        if self._has_references or any("$id" in part.schema or "id" in part.schema for part in parts):
            registry = registry.crawl()
        resolver = registry.resolver().in_subresource(resource)
        self.root = self._entered(_Contents(root, draft), resolver, Scope())

    def _entered(self, contents: _Contents, resolver: Resolver[_Contents], scope: Scope) -> Place:
        """A place in the resource that the resolver is relative to, come to from `scope`."""
        root = resolver.lookup("#").contents.value
        number = id(root)
        if isinstance(root, dict):
            scope = self._within(number, root, resolver, scope)
        return Place(contents.value, resolver, contents.draft, number, scope)

    def _within(self, number: int, root: dict[str, JsonValue], resolver: Resolver[_Contents], scope: Scope) -> Scope:
        if number not in self._resources:
            self._resources[number] = resolver
            self._anchors[number] = tuple(_dynamic_anchors(root))
        known = dict(scope.outermost)
        new = [(name, number) for name in self._anchors[number] if name not in known]
        recursive = (scope.recursive or number) if root.get("$recursiveAnchor") is True else None
        return Scope((*scope.outermost, *new), recursive) if new or recursive != scope.recursive else scope

    def target(self, place: Place) -> Place:
        """What the `$ref` of a schema leads to.

        Raises UnsupportedConstraintError for another document, InvalidConstraintError for what this one does not have.
        """
        if place.key not in self._targets:
            self._targets[place.key] = self.lookup(place, place.schema["$ref"])
        return self._targets[place.key]

    def lookup(self, place: Place, reference: str) -> Place:
        """What a reference leads to from a place. Raises as target()."""
        return self._lookup(place.resolver, reference, place.scope)

    def _lookup(self, resolver: Resolver[_Contents], reference: str, scope: Scope) -> Place:
        try:
            found = resolver.lookup(reference)
        except (PointerToNowhere, NoSuchAnchor, InvalidAnchor):
            raise InvalidConstraintError(
                f"{self.path} refers to {shown(reference)}, which is not there; put it there, or correct the reference"
            ) from None
        except Unresolvable:
            raise UnsupportedConstraintError(
                f"{self.path} refers to {shown(reference)}, which is not part of it; nothing is fetched: "
                "put the schema under $defs and refer to it there"
            ) from None
        return self._entered(found.contents, found.resolver, scope)

    def draft_at(self, schema: JsonValue) -> int:
        """The draft that a schema inside the document is written in."""
        return self._drafts.get(id(schema), self.draft)

    @cached_property
    def _drafts(self) -> dict[int, int]:
        """By identity, where there is more than one draft in the document: those of all schemas."""
        if not any("$schema" in part.schema for part in walk(self.root.schema) if part.around is not None):
            return {}
        return {id(place.schema): place.draft for place in self._places}

    def dynamic_target(self, place: Place) -> Place:
        """What the `$dynamicRef` or `$recursiveRef` of a schema leads to on the way on which it was reached."""
        if "$recursiveRef" in place.schema:
            target = self.lookup(place, place.schema["$recursiveRef"])
            is_dynamic = isinstance(target.schema, dict) and target.schema.get("$recursiveAnchor") is True
            resource, reference = place.scope.recursive, "#"
        else:
            target = self.lookup(place, place.schema["$dynamicRef"])
            name = urldefrag(place.schema["$dynamicRef"])[1]
            is_dynamic = isinstance(target.schema, dict) and target.schema.get("$dynamicAnchor") == name
            resource, reference = dict(place.scope.outermost).get(name), f"#{name}"
        if resource is None or not is_dynamic:
            return target
        return self._lookup(self._resources[resource], reference, place.scope)

    def inside(self, child: JsonValue, place: Place) -> Place:
        """A direct part of the schema at `place`."""
        if not isinstance(child, dict) or _id_keyword(place.draft) not in child:
            return Place(child, place.resolver, place.draft, place.resource, place.scope)
        contents = _Contents(child, place.draft)
        resolver = place.resolver.in_subresource(_SPECIFICATION.create_resource(contents))
        return self._entered(contents, resolver, place.scope)

    def check(self, budget: Budget) -> None:
        """Raise for a reference that leads nowhere, a circle that says nothing, and for too many ways through."""
        if not self._has_references:
            return
        self._refuse_names_of_two(budget)
        referring = [place for place in self._places if isinstance(_reference_in(place.schema), str)]
        for place in referring:
            budget.spend(20)
            if isinstance(place.schema.get("$ref"), str):
                self.target(place)
        for place in referring:
            if place.schema is not self.root.schema:
                self._refuse_circles(place, budget)
        self._refuse_circles(self.root, budget)
        self._refuse_many_ways(budget)

    @cached_property
    def _places(self) -> list[Place]:
        places = [self.root] if isinstance(self.root.schema, dict) else []
        for place in places:
            places.extend(self.inside(child, place) for _, child in subschemas(place.schema))
        return places

    def _refuse_names_of_two(self, budget: Budget) -> None:
        """Two schemas of one name, unless they are equal: which one a reference means would be anybody's guess."""
        for place in self._places:
            budget.spend(1)
            uri, anchors = _Contents(place.schema, place.draft).identity()
            for reference in (*(["#"] if uri else []), *(f"#{name}" for name in anchors)):
                try:
                    named = place.resolver.lookup(reference).contents.value
                except Unresolvable:
                    continue  # no name that a reference could lead to
                if named is not place.schema and named != place.schema:
                    two = (named, place.schema)
                    of_them = (part for part in walk(self.root.schema) if any(part.schema is each for each in two))
                    raise InvalidConstraintError(
                        f"{self.path} gives the name {shown(reference[1:] or uri)} to two schemas, at "
                        f"{' and at '.join(part.pointer for part in of_them)}; give each a name of its own"
                    )

    def _refuse_circles(self, start: Place, budget: Budget) -> None:
        for place, children, returns in _walk(start, self._in_place, self._without_circle):
            budget.spend(2)
            if returns:
                raise InvalidConstraintError(
                    f"{self.path} has a reference that leads back to itself and says nothing on the way; refer to it "
                    "from within properties, items or the like: "
                    f"{shown(_reference_in(place.schema) or _reference_in(children[0].schema))}"
                )

    def _refuse_many_ways(self, budget: Budget) -> None:
        """Bound depth and work: jsonschema_rs remembers verdicts for circles but not for ways that meet again."""
        ways: dict[tuple[int, Scope], int] = {}
        chains: dict[tuple[int, Scope], int] = {}
        depths: dict[tuple[int, Scope], int] = {}
        entered: dict[int, set[int]] = {}
        parts: dict[tuple[int, Scope], tuple[list[Place], list[tuple[str, Place]]]] = {}

        def children_of(place: Place) -> list[Place]:
            in_place, below = parts[place.key] = self._in_place(place), list(self._below(place))
            return [*in_place, *(child for _, child in below)]

        for place, children, returns in _walk(self.root, children_of, set()):
            budget.spend(2)
            entered.setdefault(place.resource, set()).update(each.resource for each in children)
            if returns:
                continue
            in_place, parts_of_value = parts[place.key]
            depths[place.key] = depth = 1 + max((depths.get(each.key, 0) for each in children), default=0)
            if depth > MAX_SCHEMA_CHAIN:
                raise LimitExceededError(
                    f"{self.path} has over {MAX_SCHEMA_CHAIN} schemas one inside the other, references followed; "
                    f"{MAX_SCHEMA_CHAIN} are allowed"
                )
            chain = max((chains.get(child.key, 0) for child in in_place), default=0)
            chains[place.key] = chain = chain + ("$ref" in place.schema)
            if chain > MAX_REFERENCE_CHAIN:
                raise LimitExceededError(
                    f"{self.path} has a chain of {chain} references, each leading to the next; "
                    f"{MAX_REFERENCE_CHAIN} are allowed"
                )
            here = 1 + sum(ways.get(child.key, 0) for child in in_place)
            below: dict[str, int] = {}
            for label, child in parts_of_value:
                below[label] = below.get(label, 0) + ways.get(child.key, 0)
            everywhere = below.pop("*", 0)
            ways[place.key] = here + everywhere + max(below.values(), default=0)
            if ways[place.key] > MAX_WAYS:
                raise LimitExceededError(
                    f"{self.path} offers over {MAX_WAYS} ways through its references and alternatives to one value; "
                    f"{MAX_WAYS} are allowed"
                )
        if _has_more_ways(entered, self.root.resource, MAX_RESOURCE_WAYS):
            raise LimitExceededError(
                f"{self.path} offers over {MAX_RESOURCE_WAYS:,} ways through its parts with their own identifiers; "
                f"{MAX_RESOURCE_WAYS:,} are allowed"
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
        keyword = {2019: "$recursiveRef", 2020: "$dynamicRef"}.get(place.draft)
        if isinstance(schema.get(keyword), str) and isinstance((dynamic := self.dynamic_target(place)).schema, dict):
            found.append(dynamic)
        found += [self.inside(child, place) for (keyword, *_), child in subschemas(schema) if keyword in IN_PLACE]
        return found

    def _below(self, place: Place) -> Iterator[tuple[str, Place]]:
        """Schemas that apply to a part of the value, with the name of the part; `*` for any name and for every item."""
        if "$ref" in place.schema and place.draft <= 7:
            return
        for (keyword, *step), child in subschemas(place.schema):
            if keyword not in IN_PLACE and keyword not in DEFINITIONS:
                yield f".{step[0]}" if keyword == "properties" else "*", self.inside(child, place)


def _dynamic_anchors(root: dict[str, JsonValue]) -> Iterator[str]:
    """Those of a resource, without those of the resources in it."""
    pending: list[JsonValue] = [root]
    while pending:
        schema = pending.pop()
        if isinstance(name := schema.get("$dynamicAnchor"), str):
            yield name
        pending += (child for _, child in subschemas(schema) if not isinstance(child.get("$id"), str))


def _has_more_ways(following: dict[int, set[int]], start: int, limit: int) -> bool:
    """Whether there are more ways from `start` than `limit` on which nothing comes twice."""
    count = 0
    way = [start]
    pending = [iter(following.get(start, ()))]
    while pending and count <= limit:
        step = next(pending[-1], None)
        if step is None:
            pending.pop()
            way.pop()
        elif step not in way:
            count += 1
            way.append(step)
            pending.append(iter(following.get(step, ())))
    return count > limit


def _reference_in(schema: dict[str, JsonValue]) -> JsonValue:
    return next((schema[keyword] for keyword in ("$ref", "$dynamicRef", "$recursiveRef") if keyword in schema), None)


def _walk(
    start: Place, children_of: Callable[[Place], list[Place]], done: set[tuple[int, Scope]]
) -> Iterator[tuple[Place, list[Place], bool]]:
    """Every schema reachable from `start` and not in `done`, after its children, with its children.

    The last value tells that a child leads back to a schema under way. Not recursive: chains may be of any length.
    """
    if start.key in done or not isinstance(start.schema, dict):
        return
    under_way = [(start, children_of(start), 0)]
    on_way = {start.key}
    while under_way:
        place, children, position = under_way.pop()
        if position == len(children):
            on_way.discard(place.key)
            done.add(place.key)
            yield place, children, False
            continue
        under_way.append((place, children, position + 1))
        child = children[position]
        if child.key in on_way:
            yield place, [child], True
        elif child.key not in done:
            on_way.add(child.key)
            under_way.append((child, children_of(child), 0))
