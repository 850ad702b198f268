"""Whether a grammar can write a value: in its own order of names, with numbers written plainly."""

from __future__ import annotations

from decimal import Decimal

from maze.grammar.llguidance import Matcher
from maze.grammar.schema.strings import quoted
from maze.json_text import JsonValue

MAX_TRIES = 3_000
"""Objects of many names are written in so many orders at most."""


def can_write(matcher: Matcher, value: JsonValue) -> bool:
    """Whether some order of names in `value` is a text of the grammar."""
    if matcher.copy().accepts(plain_text(value).encode()):
        return True
    behind = _Writer().write(matcher, value)
    return behind is not None and behind.can_end()


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
    def __init__(self) -> None:
        self._tries = 0

    def write(self, matcher: Matcher, value: JsonValue) -> Matcher | None:
        """The matcher behind the value; None if it cannot be written."""
        if isinstance(value, dict) and value:
            opened = _read(matcher, "{")
            return opened and self._members(opened, value, "")
        if isinstance(value, list) and value:
            behind: Matcher | None = matcher
            for index, item in enumerate(value):
                behind = behind and _read(behind, "," if index else "[")
                behind = behind and self.write(behind, item)
            return behind and _read(behind, "]")
        return _read(matcher, plain_text(value))

    def _members(self, matcher: Matcher, left: dict[str, JsonValue], comma: str) -> Matcher | None:
        """Names after which most others can still come are tried first."""
        self._tries += 1
        if self._tries > MAX_TRIES:
            return None
        if not left:
            return _read(matcher, "}")
        ways: list[tuple[int, str, Matcher]] = []
        for name in left:
            named = _read(matcher, f"{comma}{quoted(name)}:")
            behind = named and self.write(named, left[name])
            if behind is None:
                continue
            others = sum(_read(behind, f",{quoted(other)}:") is not None for other in left if other != name)
            ways.append((others, name, behind))
            if others == len(left) - 1:
                break
        for _, name, behind in sorted(ways, key=lambda way: -way[0]):
            rest = {other: item for other, item in left.items() if other != name}
            if (end := self._members(behind, rest, ",")) is not None:
                return end
        return None


def _read(matcher: Matcher, text: str) -> Matcher | None:
    copied = matcher.copy()
    return copied if copied.consume(text.encode()) == len(text.encode()) else None
