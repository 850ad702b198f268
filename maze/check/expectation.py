"""What one keyword of JSON Schema expects of a value, and what there is instead, as a person says it."""

from __future__ import annotations

from collections.abc import Sequence

from maze.json_text import JsonValue, shown

END_OF_TEXT = "the end of the text"
_SHOWN = 8
"""Most of several things that are listed."""


def expectation(keyword: str, schema: dict[str, JsonValue], value: JsonValue) -> tuple[str, str]:
    """What is found and what is expected, of a value that breaks the keyword of the schema."""
    wanted = schema[keyword]
    match keyword:
        case "type":
            names = [wanted] if isinstance(wanted, str) else wanted
            return found(value), listed_as_choice([_TYPES.get(name, str(name)) for name in names])
        case "enum":
            return found(value), f"one of {listed_as_choice(list(map(shown, wanted)))}" if wanted else "no value at all"
        case "const":
            return found(value), shown(wanted)
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return found(value), _bound(keyword, schema)
        case "multipleOf":
            return found(value), f"a multiple of {shown(wanted)}"
        case "minLength" | "maxLength":
            return f"{shown(value)} ({_count(len(value), 'character')})", _at(keyword, wanted, "character")
        case "pattern":
            return found(value), f"a text that matches {wanted}"
        case "format":
            return found(value), f"a text of the format {wanted}"
        case "minItems" | "maxItems":
            return _count(len(value), "item"), _at(keyword, wanted, "item")
        case "minProperties" | "maxProperties":
            return _count(len(value), "property"), _at(keyword, wanted, "property")
        case "uniqueItems":
            return _equal_items(value), "items that all differ"
        case "unevaluatedItems" | "unevaluatedProperties":
            return found(value), f"that {keyword} is satisfied by what no other keyword looks at"
        case "not":
            return found(value), f"what does not satisfy {_schema(wanted)}, which not excludes"
        case "anyOf" | "oneOf":
            return found(value), f"what satisfies one of the {len(wanted)} alternatives of {keyword}"
    return found(value), f"what satisfies {keyword}"


def of_missing_name(name: str, because_of: str | None = None) -> tuple[str, str]:
    """What is found and expected where a name is required, maybe because another is there."""
    because = "which is required" if because_of is None else f"which is required beside {shown(because_of)}"
    return "no such name", f"the name {shown(name)}, {because}"


def of_excluded_name(name: str, allowed: Sequence[str]) -> tuple[str, str]:
    """What is found and expected where a name may not be there; `allowed` are those that are spoken of."""
    choice = f"one of the names {listed_as_choice(list(map(shown, allowed)))}" if allowed else "no name at all"
    return f"the name {shown(name)}", choice


def of_wrong_name(name: str, expected: str) -> tuple[str, str]:
    """What is found and expected where names have a schema."""
    return f"the name {shown(name)}", f"as a name {expected}"


def of_matching_items(number: int, least: int, most: int | None) -> tuple[str, str]:
    """What is found and expected where `number` items of an array satisfy `contains`."""
    wanted = f"at least {least}" if most is None else f"{least} to {most}"
    return f"{_count(number, 'item')} for which contains holds", wanted


def of_several_alternatives(numbers: Sequence[int]) -> tuple[str, str]:
    """What is found and expected where more than one alternative of a `oneOf` is satisfied."""
    satisfied = " and ".join(map(str, numbers[:_SHOWN]))
    return f"what satisfies the alternatives {satisfied} of oneOf", "what satisfies exactly one of them"


def found(value: JsonValue) -> str:
    """A value in a few words."""
    if isinstance(value, dict):
        return f"an object with {_count(len(value), 'property')}" if value else "an empty object"
    if isinstance(value, list):
        return f"an array of {_count(len(value), 'item')}" if value else "an empty array"
    return shown(value)


def listed_as_choice(items: Sequence[str]) -> str:
    """`a, b or c`, the first of them if they are many; one more is as short as to say that there is one."""
    if len(items) > _SHOWN + 1:
        return f"{', '.join(items[:_SHOWN])} or {len(items) - _SHOWN} others"
    return " or ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


_TYPES = {
    "null": "null",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "array": "an array",
    "object": "an object",
}


def _bound(keyword: str, schema: dict[str, JsonValue]) -> str:
    wanted = schema[keyword]
    side = "minimum" if keyword.lower().endswith("minimum") else "maximum"
    # draft-04 has true or false beside the bound
    strict = keyword != side or schema.get(f"exclusive{side.capitalize()}") is True
    words = {"minimum": ("at least", "more than"), "maximum": ("at most", "less than")}[side][strict]
    return f"{words} {shown(wanted)}"


def _at(keyword: str, number: JsonValue, thing: str) -> str:
    return f"at {'least' if keyword.startswith('min') else 'most'} {_count(number, thing)}"


def _count(number: JsonValue, thing: str) -> str:
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number} {thing if number == 1 else plural}"


def _schema(schema: JsonValue) -> str:
    return f"the schema {shown(schema)}"


def _equal_items(value: list[JsonValue]) -> str:
    seen: dict[object, int] = {}
    for index, item in enumerate(value):
        first = seen.setdefault(_identity(item), index)
        if first != index:
            return f"the items {first} and {index} are equal"
    return "two items are equal"


def _identity(value: JsonValue) -> object:
    """The same for values that JSON Schema takes for equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return "object", frozenset((name, _identity(item)) for name, item in value.items())
    if isinstance(value, list):
        return "array", tuple(map(_identity, value))
    return "word" if isinstance(value, bool) else "value", value
