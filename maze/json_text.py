"""Reads JSON text strictly (RFC 8259), knows where in the text each value stands, and writes what it has read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn, TypeAlias

from maze.json_problem import problem_of

JsonValue: TypeAlias = Any
"""A value as parse() makes it: dict, list, str, int, Decimal, bool or None."""

_WHITE_SPACE = " \t\n\r"
_PIECE = re.compile(r'[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^ \t\n\r\[\]{},:"]+)', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_INTEGER_DIGITS = 4000
"""Python refuses to convert longer ones; they become Decimal."""
_MAX_EXPONENT = 5000
"""Numbers with more places before or after the point than this are taken for one with this many."""


class JsonTextError(ValueError):
    """The text is not JSON; says what is wrong and at which byte."""

    def __init__(self, problem: str, text: str, offset: int, remedy: str = "") -> None:
        before = text[:offset]
        self.problem = problem
        self.offset = offset
        """Of the place in the text, in characters."""
        self.byte = len(before.encode(errors="surrogatepass"))
        self.line = before.count("\n") + 1
        self.column = offset - before.rfind("\n")
        instead = f"; {remedy}" if remedy else ""
        super().__init__(f"{problem} at byte {self.byte} (line {self.line}, column {self.column}){instead}")


class DuplicateNameError(JsonTextError):
    """An object has a name twice; the place is that of the second."""

    def __init__(self, name: str, text: str, offset: int) -> None:
        super().__init__(f"an object has the name {json.dumps(name)} twice", text, offset, "leave one out")
        self.name = name


class TooDeepError(ValueError):
    """The text is nested deeper than allowed, or than can be read: says "nested 600 deep"."""


class _DuplicateError(ValueError):
    """Some object has a name twice; which and where is not known yet."""


class _ConstantError(ValueError):
    """NaN, Infinity or -Infinity, which Python would read."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < _MAX_INTEGER_DIGITS else Decimal(digits)


def _fraction(digits: str) -> Decimal:
    mantissa, _, exponent = digits.lower().partition("e")
    if len(exponent) < len("5000"):
        return Decimal(digits)
    number = Decimal(mantissa)
    if not number:
        return number
    # Twelve digits of an exponent are more than any mantissa can outweigh.
    magnitude = int(exponent.lstrip("+-").lstrip("0")[:12] or "0")
    adjusted = number.adjusted() + (-magnitude if exponent[0] == "-" else magnitude)
    if abs(adjusted) <= _MAX_EXPONENT:
        return Decimal(digits)
    # Written out, 1e999999999 takes all memory. What stands for it lies as far beyond every bound of a schema.
    return Decimal("1.000000007").scaleb(_MAX_EXPONENT if adjusted > 0 else -_MAX_EXPONENT).copy_sign(number)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise _DuplicateError
    return unique


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def _decoder(pairs_hook: Callable[[list[tuple[str, Any]]], Any]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=pairs_hook, parse_float=_fraction, parse_int=_integer, parse_constant=_refuse_constant
    )


_UNIQUE = _decoder(_unique)
_FIRST_WINS = _decoder(_first_wins)
_LAST_WINS = _decoder(dict)
_ANY_VALUE = json.JSONDecoder(parse_float=str, parse_int=str)
"""Finds the end of a value that is known to be JSON."""


def decode(text: bytes) -> str:
    """The characters of a JSON text. Raises JsonTextError for what is not UTF-8."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        before = text[: error.start].decode()
        raise JsonTextError("not UTF-8", before, len(before)) from None


def parse(text: str, max_depth: int | None = None) -> JsonValue:
    """The value that `text` holds; numbers with a fraction or exponent become Decimal.

    `max_depth` bounds how deep objects and arrays may be nested. Raises JsonTextError for what is not JSON and for lone
    surrogates, DuplicateNameError, TooDeepError.
    """
    return _decode(_UNIQUE, text, max_depth)


def readings(text: str, max_depth: int | None = None) -> list[JsonValue]:
    """Every value that the JSON parsers in use take `text` for.

    That is one, unless an object has a name twice: most parsers then take its last value, some the first. Raises
    JsonTextError and TooDeepError.
    """
    try:
        return [_decode(_UNIQUE, text, max_depth)]
    except DuplicateNameError:
        return [_decode(_LAST_WINS, text, max_depth), _decode(_FIRST_WINS, text, max_depth)]


def _decode(decoder: json.JSONDecoder, text: str, max_depth: int | None) -> JsonValue:
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        problem, remedy, place = problem_of(error)
        raise JsonTextError(problem, text, place, remedy) from None
    except _ConstantError as error:
        offset = next(offset for offset, piece in _pieces(text) if piece == str(error))
        raise JsonTextError(f"{error} is not JSON", text, offset, "write a number, null or a string") from None
    except _DuplicateError:
        raise _duplicate_name(text) from None
    except RecursionError:
        raise TooDeepError(f"nested over {max_depth or 900} deep") from None
    if _SURROGATE.search(text):
        _refuse_lone_surrogates(text)
    # The brackets are an upper bound that costs little.
    if (
        max_depth is not None
        and text.count("{") + text.count("[") > max_depth
        and (deep := depth_of(value)) > max_depth
    ):
        raise TooDeepError(f"nested {deep} deep")
    return value


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    for match in _PIECE.finditer(text):
        yield match.start(1), match.group(1)


def _duplicate_name(text: str) -> DuplicateNameError:
    """The error for the first name, in the order of the text, that its object has already."""
    names: list[set[str]] = []
    previous_offset, previous = 0, ""
    for offset, piece in _pieces(text):
        if piece in ("{", "["):
            names.append(set())
        elif piece in ("}", "]"):
            names.pop()
        elif piece == ":":
            name = json.loads(previous)
            if name in names[-1]:
                return DuplicateNameError(name, text, previous_offset)
            names[-1].add(name)
        previous_offset, previous = offset, piece
    raise AssertionError("no name stands twice")


def _refuse_lone_surrogates(text: str) -> None:
    for offset, piece in _pieces(text):
        if (
            piece[0] == '"'
            and "\\u" in piece
            and any("\ud800" <= character <= "\udfff" for character in json.loads(piece))
        ):
            raise JsonTextError("a string holds half of a surrogate pair", text, offset, "write both halves")


def depth_of(value: JsonValue) -> int:
    """How deep objects and arrays are nested in a value."""
    deepest = 0
    level = [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        deepest += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return deepest


class Child(NamedTuple):
    """A value directly in an object or array, as it stands in the text: `text[start:end]`."""

    name: str | int
    """Its name in the object, or its index in the array."""
    start: int
    end: int


def children(text: str, start: int = 0) -> Iterator[Child]:
    """The values directly in the object or array at `start`, in order; none in any other value.

    `text` must be JSON that parse() or readings() took; offsets count characters.
    """
    offset = _skip_white_space(text, start)
    opening = text[offset]
    if opening not in "[{":
        return
    index = 0
    offset = _skip_white_space(text, offset + 1)
    while text[offset] not in "]}":
        name: str | int = index
        if opening == "{":
            name, offset = _ANY_VALUE.raw_decode(text, offset)
            offset = _skip_white_space(text, _skip_white_space(text, offset) + 1)
        _, end = _ANY_VALUE.raw_decode(text, offset)
        yield Child(name, offset, end)
        index += 1
        offset = _skip_white_space(text, end)
        if text[offset] == ",":
            offset = _skip_white_space(text, offset + 1)


def offsets_of(text: str, paths: Iterable[Sequence[str | int]]) -> list[int]:
    """Where the value at each path begins in `text`, in characters; for the text see children().

    Of a name that an object has twice the last counts. A path that leads nowhere gives the deepest value on its way.
    """
    wanted = [tuple(path) for path in paths]
    ways: dict[str | int, Any] = {}
    for path in wanted:
        way = ways
        for step in path:
            way = way.setdefault(step, {})
    starts: dict[tuple[str | int, ...], int] = {(): _skip_white_space(text, 0)}
    pending: list[tuple[tuple[str | int, ...], dict[str | int, Any]]] = [((), ways)]
    while pending:
        path, way = pending.pop()
        if not way:
            continue
        starts |= {(*path, child.name): child.start for child in children(text, starts[path]) if child.name in way}
        pending += [((*path, step), further) for step, further in way.items() if (*path, step) in starts]
    return [next(starts[path[:end]] for end in range(len(path), -1, -1) if path[:end] in starts) for path in wanted]


def _skip_white_space(text: str, offset: int) -> int:
    while offset < len(text) and text[offset] in _WHITE_SPACE:
        offset += 1
    return offset


def is_double(number: int | Decimal) -> bool:
    """Whether a reader with 64-bit floats keeps the value of a number; by its text 0.1 is kept."""
    return Decimal(repr(float(Decimal(number)))) == number


class _InexactError(ValueError):
    """A number that no float stands for."""


def _double(number: Decimal) -> float:
    if not is_double(number):
        raise _InexactError
    return float(number)


def dump(value: JsonValue) -> str:
    """Compact JSON in ASCII, in the order of the keys and with the value of every number."""
    try:
        return json.dumps(value, separators=(",", ":"), default=_double)
    except _InexactError:
        return _dump_exactly(value)


def _dump_exactly(value: JsonValue) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_dump_exactly(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump_exactly, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def shown(value: JsonValue) -> str:
    """A value for an error text, cut where it is long."""
    try:
        text = json.dumps(value, default=_double)
    except _InexactError:
        text = _dump_exactly(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def escaped(step: str) -> str:
    """A step of a JSON pointer for an error text, as the pointer spells it, cut where it is long."""
    return pointer_step(step if len(step) <= 100 else f"{step[:100]}...")


def pointer_step(step: str | int) -> str:
    """A step of a JSON pointer as RFC 6901 spells it."""
    return str(step).replace("~", "~0").replace("/", "~1")


def pointer_of(path: Sequence[str | int]) -> str:
    """The JSON pointer of a value; empty for the whole text."""
    return "".join(f"/{pointer_step(step)}" for step in path)


def listed(pointers: Sequence[str]) -> str:
    """Pointers for an error text, the first few of them."""
    first = ", ".join(pointers[:3])
    return first if len(pointers) <= 3 else f"{first} and {len(pointers) - 3} more"
