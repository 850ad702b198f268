"""Where and why a JSON value breaks a schema: everything that is wrong with it, at a bounded cost.

jsonschema_rs decides fast, but its errors for nested alternatives hold those of every branch in every branch: two
alternatives that lead to themselves and a value nested 16 deep take 9 s, 20 deep all memory. So the schema is walked
here, beside the value, down to the keywords that are broken; whether a schema or a keyword is, jsonschema_rs decides.
What was found out about a schema and a value is kept, so that no two ways to them cost twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import jsonschema_rs

from maze.check.expectation import (
    expectation,
    found,
    of_excluded_name,
    of_matching_items,
    of_missing_name,
    of_several_alternatives,
    of_wrong_name,
)
from maze.check.format_assertion import ASSERTED_FORMATS
from maze.check.part_validators import PartValidators
from maze.grammar.schema.drafts import draft_of, is_silent
from maze.grammar.schema.references import Place, References
from maze.json_text import JsonValue, parse, pointer_step

MAX_FINDINGS = 1_000
"""Most things wrong with one text that are listed."""
_LOOKS = 1_000_000
"""How many values, counting those inside, may be held against schemas; and ten times those of the text."""
_MAX_DEPTH = 120
"""Most schemas one below the other on the way to what is broken; each takes about six calls of Python's."""

_Path = tuple[str | int, ...]
_LEAVES = frozenset((
    "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maxLength", "maxProperties",
    "maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern", "type", "uniqueItems",
))  # fmt: skip
"""Keywords without schemas in them, each of which can be decided alone."""
_TELLS_WITH = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}
"""Keywords of draft-04 that mean nothing alone, by those that they belong to."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A keyword that a part of the value breaks."""

    where: _Path
    keyword: str
    """JSON pointer of the keyword in the schema."""
    found: str
    expected: str


def explain(check_schema: str, value: JsonValue) -> list[Broken]:
    """What is wrong with a value that breaks a schema: at least one thing, at most MAX_FINDINGS + 1."""
    try:
        broken = _Walk(check_schema, value).all_broken()
    except (ValueError, RecursionError, jsonschema_rs.ReferencingError):  # of a part alone; the whole has been read
        broken = (Broken((), "#", found(value), "a value that satisfies the schema"),)
    return list(dict.fromkeys(broken))[: MAX_FINDINGS + 1]


class _Walk:
    """One value beside one schema."""

    def __init__(self, schema: str, value: JsonValue) -> None:
        root = parse(schema)
        self._value = value
        self._references = References(root, draft_of(root, "the schema"), "the schema")
        self._validators = PartValidators(schema, root, ASSERTED_FORMATS)
        self._sizes: dict[int, int] = {}
        """Of objects and arrays of the value, by identity: how many values they hold, themselves included."""
        self._left = _LOOKS + 10 * self._size(value)
        self._held: dict[tuple[int, _Path], bool] = {}
        self._broken: dict[tuple[int, _Path], tuple[Broken, ...]] = {}

    def all_broken(self) -> tuple[Broken, ...]:
        if self._references.root.schema is False:
            return (Broken((), "#", found(self._value), "no value at all, as the schema is false"),)
        return self._of(self._references.root, (), self._value, "#", 0)

    # ------------------------------------------------------------------------------------------- decisions

    def _size(self, value: JsonValue) -> int:
        """How many values there are in a value."""
        pending, order = [value], []
        while pending:
            each = pending.pop()
            if isinstance(each, dict | list) and id(each) not in self._sizes:
                order.append(each)
                self._sizes[id(each)] = 1
                pending += each.values() if isinstance(each, dict) else each
        for each in reversed(order):
            inside = each.values() if isinstance(each, dict) else each
            self._sizes[id(each)] += sum(self._sizes.get(id(item), 1) for item in inside)
        return self._sizes.get(id(value), 1)

    def _can_look(self, value: JsonValue) -> bool:
        self._left -= 1 + self._sizes.get(id(value), 1)
        return self._left > 0

    def _holds(self, place: Place, path: _Path, value: JsonValue) -> bool:
        """Whether a value satisfies a schema; true also where nothing can be found out any more."""
        if isinstance(place.schema, bool):
            return place.schema
        key = (id(place.schema), path)
        if key not in self._held:
            if not self._can_look(value):
                return True
            self._held[key] = self._validators.holds(place.schema, place.draft, value)
        return self._held[key]

    def _part_holds(self, child: JsonValue, place: Place, path: _Path, value: JsonValue) -> bool:
        """The same for a schema that stands directly inside of the one at `place`."""
        return self._holds(self._references.inside(child, place), path, value)

    def _keyword_holds(self, keywords: dict[str, JsonValue], place: Place, value: JsonValue) -> bool:
        return not self._can_look(value) or self._validators.keywords_hold(keywords, place.draft, value)

    # ------------------------------------------------------------------------------------------- the walk

    def _look(
        self, child: JsonValue, place: Place, path: _Path, value: JsonValue, keyword: str, depth: int
    ) -> tuple[Broken, ...]:
        """What breaks a schema that stands directly inside of the one at `place`."""
        return self._look_at(self._references.inside(child, place), path, value, keyword, depth)

    def _look_at(self, place: Place, path: _Path, value: JsonValue, keyword: str, depth: int) -> tuple[Broken, ...]:
        """What breaks the schema at `place`, to which `keyword` leads."""
        if self._holds(place, path, value):
            return ()
        if place.schema is False:
            return (Broken(path, keyword, found(value), "nothing there"),)
        return self._of(place, path, value, keyword, depth)

    def _of(self, place: Place, path: _Path, value: JsonValue, keyword: str, depth: int) -> tuple[Broken, ...]:
        """What is wrong with a value that breaks the schema at `place`, to which `keyword` leads."""
        key = (id(place.schema), path)
        if key not in self._broken:
            self._broken[key] = ()
            some = (
                () if depth > _MAX_DEPTH else tuple(islice(self._in(place, path, value, depth + 1), MAX_FINDINGS + 1))
            )
            pointer = self._validators.pointer(place.schema) or keyword
            # What is left is decided by schemas that see what others have looked at.
            self._broken[key] = tuple(some) or (Broken(path, *self._of_whole(place, value, pointer)),)
        return self._broken[key]

    def _of_whole(self, place: Place, value: JsonValue, pointer: str) -> tuple[str, str, str]:
        for keyword in ("unevaluatedProperties", "unevaluatedItems"):
            if keyword in place.schema and not is_silent(keyword, place.draft):
                return f"{pointer}/{keyword}", *expectation(keyword, place.schema, value)
        return pointer, found(value), "a value that satisfies the schema there"

    def _in(self, place: Place, path: _Path, value: JsonValue, depth: int) -> Iterator[Broken]:
        schema = place.schema
        pointer = self._validators.pointer(schema) or "#"
        if isinstance(schema.get("$ref"), str):
            yield from self._of_target("$ref", self._references.target(place), place, path, value, pointer, depth)
        if "$ref" in schema and place.draft <= 7:
            return
        dynamic = {2019: "$recursiveRef", 2020: "$dynamicRef"}.get(place.draft, "")
        if isinstance(schema.get(dynamic), str):
            target = self._references.dynamic_target(place)
            yield from self._of_target(dynamic, target, place, path, value, pointer, depth)
        for keyword in schema:
            if not is_silent(keyword, place.draft):
                yield from self._of_keyword(keyword, place, path, value, f"{pointer}/{keyword}", depth)

    def _of_target(
        self, keyword: str, target: Place, place: Place, path: _Path, value: JsonValue, pointer: str, depth: int
    ) -> tuple[Broken, ...]:
        keyword_pointer = f"{pointer}/{keyword}"
        if not isinstance(target.schema, dict) or self._validators.pointer(target.schema) is not None:
            return self._look_at(target, path, value, keyword_pointer, depth)
        # One of the schemas of JSON Schema itself.
        if self._keyword_holds({"$ref": place.schema[keyword]}, place, value):
            return ()
        return (Broken(path, keyword_pointer, found(value), f"what satisfies {place.schema[keyword]}"),)

    def _of_keyword(
        self, keyword: str, place: Place, path: _Path, value: JsonValue, pointer: str, depth: int
    ) -> Iterable[Broken]:
        schema = place.schema
        wanted = schema[keyword]
        if keyword in _LEAVES:
            return self._of_leaf(keyword, place, path, value, pointer)
        match keyword:
            case "allOf":
                return (
                    each
                    for index, child in enumerate(wanted)
                    for each in self._look(child, place, path, value, f"{pointer}/{index}", depth)
                )
            case "anyOf" | "oneOf":
                return self._of_alternatives(keyword, place, path, value, pointer, depth)
            case "not":
                if self._part_holds(wanted, place, path, value) and self._left > 0:
                    return (Broken(path, pointer, *expectation(keyword, schema, value)),)
            case "if":
                branch = "then" if self._part_holds(wanted, place, path, value) else "else"
                if branch in schema:
                    at = f"{pointer.removesuffix('if')}{branch}"
                    return self._look(schema[branch], place, path, value, at, depth)
        if isinstance(value, dict):
            return self._of_object(keyword, place, path, value, pointer, depth)
        if isinstance(value, list):
            return self._of_array(keyword, place, path, value, pointer, depth)
        return ()

    def _of_leaf(self, keyword: str, place: Place, path: _Path, value: JsonValue, pointer: str) -> Iterator[Broken]:
        schema = place.schema
        together = {keyword: schema[keyword]}
        if isinstance(schema[keyword], bool) and keyword in _TELLS_WITH.values():
            return
        if isinstance(strict := schema.get(beside := _TELLS_WITH.get(keyword, "")), bool):
            together[beside] = strict
        if not self._keyword_holds(together, place, value):
            yield Broken(path, pointer, *expectation(keyword, schema, value))

    def _of_alternatives(
        self, keyword: str, place: Place, path: _Path, value: JsonValue, pointer: str, depth: int
    ) -> Iterable[Broken]:
        children = place.schema[keyword]
        satisfied = [index for index, child in enumerate(children) if self._part_holds(child, place, path, value)]
        if self._left <= 0 or len(satisfied) == 1 or (satisfied and keyword == "anyOf"):
            return ()
        if satisfied:
            return (Broken(path, pointer, *of_several_alternatives(satisfied)),)
        ways = [
            self._look(child, place, path, value, f"{pointer}/{index}", depth) for index, child in enumerate(children)
        ]
        meant = _meant(ways, path)
        if meant is not None:
            return meant
        return (Broken(path, pointer, *expectation(keyword, place.schema, value)),)

    def _of_object(
        self, keyword: str, place: Place, path: _Path, value: dict[str, JsonValue], pointer: str, depth: int
    ) -> Iterator[Broken]:
        schema = place.schema
        wanted = schema[keyword]
        match keyword:
            case "required":
                for name in wanted:
                    if name not in value:
                        yield Broken(path, pointer, *of_missing_name(name))
            case "properties":
                for name, child in wanted.items():
                    if name in value:
                        at = f"{pointer}/{pointer_step(name)}"
                        yield from self._look(child, place, (*path, name), value[name], at, depth)
            case "patternProperties":
                for pattern, child in wanted.items():
                    at = f"{pointer}/{pointer_step(pattern)}"
                    for name in value:
                        if self._keyword_holds({"pattern": pattern}, place, name):
                            yield from self._look(child, place, (*path, name), value[name], at, depth)
            case "additionalProperties":
                known = schema.get("properties", {})
                patterns = schema.get("patternProperties", {})
                for name in value:
                    if name in known or any(self._keyword_holds({"pattern": each}, place, name) for each in patterns):
                        continue
                    if wanted is False:
                        yield Broken((*path, name), pointer, *of_excluded_name(name, list(known)))
                    else:
                        yield from self._look(wanted, place, (*path, name), value[name], pointer, depth)
            case "propertyNames":
                for name in value:
                    if not self._part_holds(wanted, place, (*path, name, "name"), name):
                        ways = self._look(wanted, place, (*path, name, "name"), name, pointer, depth)
                        yield Broken((*path, name), ways[0].keyword, *of_wrong_name(name, ways[0].expected))
            case "dependencies" | "dependentRequired" | "dependentSchemas":
                for name, child in wanted.items():
                    if name in value:
                        at = f"{pointer}/{pointer_step(name)}"
                        if isinstance(child, dict | bool):
                            yield from self._look(child, place, path, value, at, depth)
                        for other in [child] if isinstance(child, str) else child if isinstance(child, list) else ():
                            if other not in value:
                                yield Broken(path, at, *of_missing_name(other, name))

    def _of_array(
        self, keyword: str, place: Place, path: _Path, value: list[JsonValue], pointer: str, depth: int
    ) -> Iterator[Broken]:
        schema = place.schema
        wanted = schema[keyword]
        prefix = schema.get("prefixItems" if place.draft >= 2020 else "items", ())
        positional = len(prefix) if isinstance(prefix, list) else 0
        if keyword == "prefixItems" or (keyword == "items" and isinstance(wanted, list)):
            for index, (child, item) in enumerate(zip(wanted, value, strict=False)):
                yield from self._look(child, place, (*path, index), item, f"{pointer}/{index}", depth)
        elif keyword == "items" or (keyword == "additionalItems" and positional):
            for index, item in enumerate(value[positional:], positional):
                yield from self._look(wanted, place, (*path, index), item, pointer, depth)
        elif keyword == "contains":
            matching = sum(self._part_holds(wanted, place, (*path, index), item) for index, item in enumerate(value))
            least, most = 1, None
            if place.draft >= 2019:
                least, most = schema.get("minContains", 1), schema.get("maxContains")
            if self._left > 0 and (matching < least or (most is not None and matching > most)):
                yield Broken(path, pointer, *of_matching_items(matching, least, most))


def _meant(ways: list[tuple[Broken, ...]], path: _Path) -> tuple[Broken, ...] | None:
    """Of what is wrong by each of several alternatives, that by the one that was meant; None if that does not show.

    It is the only one that is right but for something deeper, or the only such one whose constants are met.
    """
    deeper = [way for way in ways if all(len(each.where) > len(path) for each in way)]
    told_apart = [way for way in deeper if not any(_is_discriminator(each, path) for each in way)]
    for some in (deeper, told_apart):
        if some and len({frozenset(each.where for each in way) for way in some}) == 1:
            return some[0]
    return None


def _is_discriminator(broken: Broken, path: _Path) -> bool:
    return len(broken.where) == len(path) + 1 and broken.keyword.endswith(("/const", "/enum"))
