"""Values at the boundaries of a schema: what lies on them, and one digit, character, item or name beside them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from decimal import Decimal

from benchmarks.schema_texts import plain_text
from maze.json_text import JsonValue

MOST = 14
"""Values that are tried at each place of a schema; more are drawn from."""
_KINDS: tuple[JsonValue, ...] = (None, True, False, 0, 1.5, "", "a", [], {}, [0], {"a": 0})
_CHARACTERS = ("a", "0", "é", "\U0001f600", "\n", '"', "\\", "\x7f", "\x00", "/", " ", "\u2028", "\ud7ff", "\ue000")
_INTEGERS = (2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63, 10**18 + 1)
_FORMATS: dict[str, tuple[str, ...]] = {
    "date": ("2024-02-29", "2023-02-29", "2000-02-29", "1900-02-29", "2100-02-29", "0000-02-29", "2024-02-30",
             "2024-04-31", "2024-12-31", "2024-13-01", "2024-00-10", "2024-1-01", "2024-06-30", "2024-06-31"),
    "date-time": ("2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2024-12-31T23:59:59.999+23:59",
                  "2024-12-31T24:00:00Z", "2024-12-31T23:60:00Z", "2024-12-31T23:59:59+24:00", "2024-12-31T23:59:60Z",
                  "2024-12-31 00:00:00Z", "2024-12-31T00:00:00"),
    "time": ("23:59:59Z", "24:00:00Z", "00:00:00+00:00", "00:60:00Z", "00:00:00", "12:00:00.5-23:59", "12:00:00.Z"),
    "duration": ("P1Y", "P", "PT", "PT1S", "P1W", "P1W1D", "P1Y2M3DT4H5M6S", "P1YT", "PT1H6S"),
    "email": ("a@b", "a" * 64 + "@b.c", "a" * 65 + "@b.c", "@b", "a@", ".a@b", "a..b@c", '"a b"@c', "a b@c"),
    "hostname": ("a", "a" * 63, "a" * 64, ".".join(["a" * 63] * 3 + ["b" * 61]), ".".join(["a" * 63] * 3 + ["b" * 62]),
                 "ab--cd", "-a", "a-", "a..b", "a.", "1"),
    "ipv4": ("0.0.0.0", "255.255.255.255", "256.0.0.0", "1.2.3", "01.2.3.4", "1.2.3.4.5"),
    "ipv6": ("::", "::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:8:9", "::ffff:1.2.3.4", "::256.0.0.1",
             ":::", "12345::"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "ABCDEFab-0123-4567-89ab-cdef01234567",
             "00000000-0000-0000-0000-00000000000", "g0000000-0000-0000-0000-000000000000"),
    "uri": ("a:", "http://a/b?c#d", "//a", "a", "http://[::1]/", "http://[::g]/", "a:b c", "a:%41", "a:%4"),
    "json-pointer": ("", "/", "/a~0b~1", "/~", "/~2", "a"),
}  # fmt: skip


def probes(schema: JsonValue, chance: random.Random) -> list[JsonValue]:
    """Values near what a schema allows; decimals as Decimal."""
    found: list[JsonValue] = list(_KINDS[chance.randrange(4) :: 4])
    if isinstance(schema, dict):
        for parts in (_numbers(schema), _strings(schema, chance), _arrays(schema, chance), _objects(schema, chance)):
            found += _some(list(parts), chance)
        found += _nested(schema, chance)
    unique = {plain_text(value): value for value in found}
    return list(unique.values())


def _some(values: list[JsonValue], chance: random.Random, most: int = MOST) -> list[JsonValue]:
    return values if len(values) <= most else chance.sample(values, most)


def _nested(schema: dict[str, JsonValue], chance: random.Random) -> Iterator[JsonValue]:
    if "const" in schema:
        yield schema["const"]
    values = schema.get("enum")
    if isinstance(values, list):
        yield from _some(values, chance)
    for keyword in ("allOf", "anyOf", "oneOf", "not", "if", "then", "else"):
        inner = schema.get(keyword)
        for each in inner if isinstance(inner, list) else [inner] if inner is not None else []:
            yield from _some(probes(each, chance), chance)
    shared: dict[str, JsonValue] = {}
    # What holds together is at its boundaries together.
    for each in (schema, *(part for part in _parts(schema.get("allOf")))):
        shared |= each if isinstance(each, dict) else {}
    if shared != schema:
        yield from _some(probes({name: value for name, value in shared.items() if name != "allOf"}, chance), chance)


def _parts(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _numbers(schema: dict[str, JsonValue]) -> Iterator[JsonValue]:
    keywords = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "const")
    bounds = [Decimal(repr(schema[each])) for each in keywords if type(schema.get(each)) in (int, float)]
    if not bounds and schema.get("type") not in ("integer", "number"):
        return
    yield from _INTEGERS if len(bounds) < 2 else ()
    for bound in bounds:
        last = int(bound.as_tuple().exponent)
        first = last + len(bound.as_tuple().digits) - 1
        for power in {last - 1, last, last + 1, 0, first, first + 1}:
            for digit in (-9, -1, 0, 1, 5):
                number = bound + digit * Decimal((0, (1,), power))
                for each in (number, -number, bound * digit):
                    yield _value(each)


def _value(number: Decimal) -> JsonValue:
    return int(number) if number == number.to_integral_value() else number


def _strings(schema: dict[str, JsonValue], chance: random.Random) -> Iterator[JsonValue]:
    lengths = [each for keyword in ("minLength", "maxLength") if isinstance(each := schema.get(keyword), int)]
    if not lengths and not schema.keys() & {"pattern", "format"} and schema.get("type") != "string":
        return
    yield from _FORMATS.get(str(schema.get("format")), ())
    yield from _CHARACTERS
    for length in {near for each in lengths for near in (each - 1, each, each + 1) if near >= 0}:
        for character in ("a", "é", "\U0001f600", "\n", '"'):
            yield character * length
        yield "".join(chance.choices(_CHARACTERS, k=length))
    if "pattern" in schema:
        yield from ("".join(chance.choices("ab0x-.\n\r\u2028é", k=chance.randrange(7))) for _ in range(8))


def _arrays(schema: dict[str, JsonValue], chance: random.Random) -> Iterator[JsonValue]:
    keywords = {"items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems", "unevaluatedItems"}
    if not schema.keys() & keywords:
        return
    places = [_some(probes(each, chance), chance, 4) for each in _parts(schema.get("prefixItems"))]
    others = probes(schema.get("items", True), chance) + probes(schema.get("contains", True), chance)
    counts = {len(places), len(places) + 1, max(0, len(places) - 1)}
    for keyword in ("minItems", "maxItems", "minContains", "maxContains"):
        if isinstance(bound := schema.get(keyword), int):
            counts |= {bound, bound + 1, max(0, bound - 1)}
    for count in sorted(counts):
        for _ in range(4):
            made = [chance.choice((places[at : at + 1] or [others])[0]) for at in range(count)]
            yield made
            yield [*made, *made[:1]]
            yield made[:1] * count


def _objects(schema: dict[str, JsonValue], chance: random.Random) -> Iterator[JsonValue]:
    properties = schema.get("properties")
    known = dict(properties) if isinstance(properties, dict) else {}
    names = {*known, "zz", *(str(each) for each in _parts(schema.get("required")))}
    for keyword in ("dependentRequired", "dependentSchemas"):
        if isinstance(inner := schema.get(keyword), dict):
            names |= inner.keys()
    others: list[JsonValue] = probes(schema.get("additionalProperties", True), chance)
    if isinstance(patterns := schema.get("patternProperties"), dict):
        for each in patterns.values():
            others += probes(each, chance)
        names |= {"x", "xa", "ab", "b1"}
    if not (len(names) > 1 or schema.keys() & {"minProperties", "maxProperties", "propertyNames"}):
        return
    some = {name: _some(probes(known[name], chance), chance) if name in known else others for name in names}
    ordered = sorted(names)
    for count in range(min(4, len(ordered)) + 1):
        for chosen in itertools.islice(itertools.combinations(ordered, count), 8):
            yield {name: chance.choice(some[name]) for name in chosen}
    for bound in ("minProperties", "maxProperties"):
        if isinstance(most := schema.get(bound), int):
            for count in (most - 1, most, most + 1):
                yield {f"n{number}": chance.choice(others) for number in range(max(0, count))}


def respelled(text: str, chance: random.Random) -> Iterator[str]:
    """Other spellings of a JSON text, and what is none: escapes, numbers, white space, a name that comes twice."""
    letters = [at for at, character in enumerate(text) if character.isalnum() and _is_quoted(text, at)]
    if letters:
        at = chance.choice(letters)
        code = text[at].encode("utf-16-be").hex()
        yield text[:at] + "".join(f"\\u{code[i : i + 4]}" for i in range(0, len(code), 4)) + text[at + 1 :]
        yield text[:at] + "\\ud800" + text[at:]
    digits = [at for at, character in enumerate(text) if character.isdigit() and not _is_quoted(text, at)]
    if digits:
        at = chance.choice(digits)
        yield text[:at] + "0" + text[at:] if at == 0 or text[at - 1] not in "0123456789." else text + " "
        yield text[:at] + text[at:].replace(text[at], f"{text[at]}e0", 1)
    if text.startswith("{") and len(text) > 2:
        yield text[:-1] + "," + text[1:]
    yield f" {text}"
    yield text.replace("/", "\\/")


def _is_quoted(text: str, at: int) -> bool:
    before = text[:at].replace("\\\\", "").replace('\\"', "")
    return before.count('"') % 2 == 1 and text[at - 1] != "\\" and "\\u" not in text[max(0, at - 5) : at]
