"""Reads JSON text strictly (RFC 8259) and knows where in the text each value stands."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NoReturn, TypeAlias

JsonValue: TypeAlias = Any
"""A value as parse() makes it: dict, list, str, int, Decimal, bool or None."""

_WHITE_SPACE = " \t\n\r"
_PIECE = re.compile(r'[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^ \t\n\r\[\]{},:"]+)', re.DOTALL)
_MAX_INTEGER_DIGITS = 4000
"""Python refuses to convert longer ones; they become Decimal."""


_MAX_EXPONENT = 5000
"""Numbers with more places before or after the point than this are taken for one with this many."""


class JsonTextError(ValueError):
    """The text is not JSON. `offset` counts characters."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class TooDeepError(ValueError):
    """The text is nested deeper than can be read."""


class DuplicateNameError(JsonTextError):
    """An object has a name twice."""


class _DuplicateError(ValueError):
    """An object has this name twice; where is not known yet."""


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
        counts = Counter(name for name, _ in pairs)
        raise _DuplicateError(counts.most_common(1)[0][0])
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


def parse(text: str) -> JsonValue:
    """The value that `text` holds; numbers with a fraction or exponent become Decimal.

    Raises JsonTextError for what is not JSON and for lone surrogates, DuplicateNameError, TooDeepError.
    """
    return _decode(_UNIQUE, text)


def readings(text: str) -> list[JsonValue]:
    """Every value that the JSON parsers in use take `text` for.

    That is one, unless an object has a name twice: most parsers then take its last value, some the first. Raises
    JsonTextError and TooDeepError.
    """
    try:
        return [_decode(_UNIQUE, text)]
    except DuplicateNameError:
        return [_decode(_LAST_WINS, text), _decode(_FIRST_WINS, text)]


def _decode(decoder: json.JSONDecoder, text: str) -> JsonValue:
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise JsonTextError(error.msg.removesuffix(" at"), error.pos) from None
    except _ConstantError as error:
        raise JsonTextError(f"{error} is not JSON", _offset_of_piece(text, str(error))) from None
    except _DuplicateError as error:
        raise DuplicateNameError(
            f"an object has the name {json.dumps(str(error))} twice", _offset_of_duplicate(text)
        ) from None
    except RecursionError:
        raise TooDeepError("nested too deep") from None
    if "\\u" in text:
        _refuse_lone_surrogates(text)
    return value


def _pieces(text: str, start: int = 0) -> Iterator[tuple[int, str]]:
    for match in _PIECE.finditer(text, start):
        yield match.start(1), match.group(1)


def _offset_of_piece(text: str, wanted: str) -> int:
    return next((offset for offset, piece in _pieces(text) if piece == wanted), 0)


def _offset_of_duplicate(text: str) -> int:
    names: list[set[str] | None] = []
    previous_offset, previous = 0, ""
    for offset, piece in _pieces(text):
        if piece == "{":
            names.append(set())
        elif piece == "[":
            names.append(None)
        elif piece in ("}", "]"):
            names.pop()
        elif piece == ":" and names and (seen := names[-1]) is not None:
            name = json.loads(previous)
            if name in seen:
                return previous_offset
            seen.add(name)
        previous_offset, previous = offset, piece
    return 0


def _refuse_lone_surrogates(text: str) -> None:
    for offset, piece in _pieces(text):
        if (
            piece[0] == '"'
            and "\\u" in piece
            and any("\ud800" <= character <= "\udfff" for character in json.loads(piece))
        ):
            raise JsonTextError("a string holds half of a surrogate pair", offset)


def depth(value: JsonValue) -> int:
    """How deep objects and arrays are nested in `value`; 0 for a scalar."""
    deepest = 0
    level = [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        deepest += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return deepest


def offset_of(text: str, path: Sequence[str | int]) -> int:
    """Where the value at `path` begins in `text`, which must be JSON, in characters.

    Of a name that an object has twice the last counts. A path that leads nowhere gives the deepest value on its way.
    """
    start = _skip_white_space(text, 0)
    for step in path:
        found = None
        for name, value_start in _children(text, start):
            if name == step:
                found = value_start
        if found is None:
            return start
        start = found
    return start


def _skip_white_space(text: str, offset: int) -> int:
    while offset < len(text) and text[offset] in _WHITE_SPACE:
        offset += 1
    return offset


def _children(text: str, start: int) -> Iterator[tuple[str | int, int]]:
    """Name or index, and offset, of each value in the object or array at `start`."""
    is_object = text[start] == "{"
    before_a_value = (":",) if is_object else ("[", ",")
    nesting = 0
    name: str | int = 0
    previous = ""
    for offset, piece in _pieces(text, start):
        if nesting == 1 and previous in before_a_value and piece != "]":
            yield name, offset
        if piece in ("[", "{"):
            nesting += 1
        elif piece in ("]", "}"):
            nesting -= 1
        elif nesting == 1 and is_object and previous in ("{", ","):
            name = json.loads(piece)
        elif nesting == 1 and isinstance(name, int) and piece == ",":
            name += 1
        if nesting == 0:
            return
        previous = piece
