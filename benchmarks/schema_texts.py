"""Whether a grammar can write a value: in its own order of names, with numbers written plainly."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

from maze.grammar.llguidance import Matcher
from maze.grammar.schema.strings import quoted
from maze.json_text import JsonValue

MAX_TRIES = 3_000
"""Objects of many names are written in so many orders at most."""


def can_write(matcher: Matcher, value: JsonValue) -> bool:
    """Whether some order of names in `value` is a text of the grammar."""
    if matcher.copy().accepts(plain_text(value).encode()):
        return True
    # One way for each value inside is mostly enough, and soon tried.
    return any(behind.can_end() for ways in (1, None) for behind in _Writer(ways_inside=ways).ends(matcher, value))


def plain_text(value: JsonValue) -> str:
    """A value as grammars write it, names in its own order; decimals may be Decimal."""
    match value:
        case dict():
            return "{" + ",".join(f"{quoted(name)}:{plain_text(item)}" for name, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(plain_text, value)) + "]"
        case str():
            return quoted(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
    number = Decimal(str(value))
    text = f"{number:f}" if number else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


class _Writer:
    def __init__(self, ways_inside: int | None) -> None:
        self._tries = 0
        self._ways_inside = ways_inside
        """Of a value inside of others, how many are tried; None for all."""

    def ends(self, matcher: Matcher, value: JsonValue) -> Iterator[Matcher]:
        """The matcher behind the value, for each way to write it, likely ones first."""
        if isinstance(value, dict) and value:
            if opened := _read(matcher, "{"):
                yield from self._members(opened, value, "")
        elif isinstance(value, list) and value:
            yield from self._items(matcher, value, 0)
        elif behind := _read(matcher, plain_text(value)):
            yield behind

    def _items(self, matcher: Matcher, items: list[JsonValue], index: int) -> Iterator[Matcher]:
        if index == len(items):
            if closed := _read(matcher, "]"):
                yield closed
        elif opened := _read(matcher, "," if index else "["):
            for behind in islice(self.ends(opened, items[index]), self._ways_inside):
                yield from self._items(behind, items, index + 1)

    def _members(self, matcher: Matcher, left: dict[str, JsonValue], comma: str) -> Iterator[Matcher]:
        """Names after which most others can still come are tried first."""
        self._tries += 1
        if self._tries > MAX_TRIES:
            return
        if not left:
            if closed := _read(matcher, "}"):
                yield closed
            return
        ways: list[tuple[int, str, Matcher]] = []
        for name in left:
            named = _read(matcher, f"{comma}{quoted(name)}:")
            for behind in islice(self.ends(named, left[name]), self._ways_inside) if named else ():
                others = sum(_read(behind, f",{quoted(other)}:") is not None for other in left if other != name)
                if others == len(left) - 1:
                    yield from self._members(behind, _without(left, name), ",")
                else:
                    ways.append((others, name, behind))
        for _, name, behind in sorted(ways, key=lambda way: -way[0]):
            yield from self._members(behind, _without(left, name), ",")


def _without(members: dict[str, JsonValue], name: str) -> dict[str, JsonValue]:
    return {other: item for other, item in members.items() if other != name}


def _read(matcher: Matcher, text: str) -> Matcher | None:
    copied = matcher.copy()
    return copied if copied.consume(text.encode()) == len(text.encode()) else None
