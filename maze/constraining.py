"""Constraints from what Python people have at hand: types, schemas, compiled patterns, choices."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, TypeAlias, cast, get_origin

from maze.compiled import CompiledConstraints
from maze.errors import ConfigurationError, ConstraintViolatedError, InvalidArgumentError, MazeError
from maze.field_checks import check_text
from maze.result import GenerationResult
from maze.types import ConstraintIR

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Constrainable: TypeAlias = Any
"""What constrain() takes; type checkers have no name for "any type"."""

_TYPES_KEPT = 256
_ASCII_MATTERS = re.compile(r"(?<!\\)(?:\\\\)*\\[WDSBb]|\[\^[^\]]*\\[wds]|\(\?<?![^)]*\\[wds]")
"""What a text with letters beyond ASCII may satisfy here and not in Python: they are no letters here."""
_VALUES = ("default", "examples", "const", "enum")
"""Keywords of which the value is no schema."""
_INLINE_FLAGS = {re.IGNORECASE: "i", re.DOTALL: "s", re.VERBOSE: "x"}


def constrain(wanted: Constrainable, *, name: str = "", priority: int = 0) -> ConstraintIR:
    """The constraint that a text is `wanted`.

    - a type (int, list[User], Literal["a", "b"], an Enum, a dataclass, a TypedDict, a Pydantic model): JSON of it, as
      Pydantic reads it, without properties that it would pass over;
    - a dict: JSON that satisfies this JSON Schema;
    - a compiled pattern: a text in which its search() finds it; `^` and `$` make it the whole;
    - a ConstraintIR: itself.

    Raises InvalidArgumentError, with what to write instead, and ConfigurationError where Pydantic is missing.
    """
    match wanted:
        case ConstraintIR():
            return wanted
        case re.Pattern():
            return ConstraintIR(regex_patterns=(_pattern_text(wanted),), name=name, priority=priority)
        case Mapping():
            schema = _schema_text(wanted)
        case str() | bytes() | bool() | int() | float() | Sequence() | CompiledConstraints():
            raise InvalidArgumentError(_instead_of(wanted), field="constraint")
        case _:
            schema = _schema_of_type(wanted)
    return ConstraintIR(json_schema=schema, name=name, priority=priority)


def choice(texts: Sequence[str], *, name: str = "", priority: int = 0) -> ConstraintIR:
    """The constraint that a text is one of `texts`, as they are: Literal["a", "b"] means the same with quotes, in JSON.

    Raises InvalidArgumentError.
    """
    if isinstance(texts, str) or not isinstance(texts, Sequence) or not texts:
        raise InvalidArgumentError('must be a list of texts, at least one: choice(["yes", "no"])', field="texts")
    for number, text in enumerate(texts):
        check_text(f"texts[{number}]", text)
    listed = " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)
    return ConstraintIR(grammar=f"start: {listed}", name=name, priority=priority)


def constraints_of(given: object) -> tuple[ConstraintIR, ...]:
    """The constraints that a caller gave: one thing that constrain() takes, or several. Raises InvalidArgumentError."""
    is_one = isinstance(given, type | Mapping | str | bytes) or get_origin(given) is not None
    if is_one or not isinstance(given, Iterable):
        return (_named(given, "constraints"),)
    return tuple(_named(item, f"constraints[{number}]") for number, item in enumerate(given))


def _named(given: object, name: str) -> ConstraintIR:
    try:
        return constrain(given)
    except InvalidArgumentError as error:
        raise error.naming(name) from None


def value_of(kind: Constrainable, result: GenerationResult) -> Any:  # noqa: ANN401 - of type `kind`
    """The value of a type that a generation under constrain(kind) gave.

    Raises the MazeError of a result that is no success, and ConstraintViolatedError where a validator of the type
    refuses what its schema allows; both have the result inside.
    """
    code = result.raise_for_status().code
    try:
        return adapter_of(kind).validate_json(code)
    except ValueError as refused:  # Pydantic's ValidationError is one
        error = ConstraintViolatedError(
            f"the text satisfies the schema of {kind!r}, whose validators refuse it: {refused}"
        )
        error.partial_text, error.result = code, result
        raise error from refused


def _instead_of(wanted: object) -> str:
    match wanted:
        case str():
            return (
                "is text, which could be many things: write ConstraintIR(json_schema=...), ConstraintIR(grammar=...), "
                're.compile("...") or choice(["...", "..."])'
            )
        case CompiledConstraints():
            return "is compiled already; generate() and validate() take that alone, and nothing beside it"
        case Sequence() if not isinstance(wanted, bytes):
            return "is a list; give each thing of it, or choice([...]) for one of several texts"
        case _:
            given = type(wanted).__name__
            return f"is of type {given}; give a type, a JSON Schema (dict), a compiled pattern or choice([...])"


def _schema_text(schema: Mapping[Any, Any]) -> str:
    try:
        return json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"is a dict that is no JSON ({error}); give a JSON Schema", field="constraint"
        ) from None


def _pattern_text(pattern: re.Pattern[Any]) -> str:
    text = pattern.pattern
    if not isinstance(text, str):
        raise InvalidArgumentError("is a pattern of bytes; give one of text", field="constraint")
    if pattern.flags & re.MULTILINE:
        problem = "has re.MULTILINE, whose lines end elsewhere; write (?:^|\\n) and (?=\\n|$)"
        raise InvalidArgumentError(problem, field="constraint")
    if not pattern.flags & re.ASCII and (found := _ASCII_MATTERS.search(text)):
        problem = f"has {found[0]!r}, which knows ASCII alone here; compile it with re.ASCII"
        raise InvalidArgumentError(problem, field="constraint")
    flags = "".join(letter for flag, letter in _INLINE_FLAGS.items() if pattern.flags & flag)
    without = re.sub(r"^\(\?[aiLmsux]+\)", "", text)  # as the object tells them
    return f"(?{flags}:{without}\n)" if "x" in flags else f"(?{flags}:{without})" if flags else without


def _schema_of_type(kind: Constrainable) -> str:
    if isinstance(kind, FunctionType | BuiltinFunctionType | MethodType):
        raise InvalidArgumentError("is a function; give the type that it returns", field="constraint")
    try:
        schema = adapter_of(kind).json_schema()
    except MazeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a type of the caller's makes Pydantic raise
        problem = f"is {kind!r}, of which Pydantic makes no JSON Schema: {str(error).splitlines()[0]}"
        raise InvalidArgumentError(problem, field="constraint") from None
    return _schema_text(cast("dict[str, object]", _closed(schema)))


def _closed(schema: object) -> object:
    """The schema of objects that have no property beside those of their types, unless these say that they take any.

    Pydantic would pass over others, and a model that may write them does.
    """
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: value if name in _VALUES else _closed(value) for name, value in schema.items()}
    if closed.get("type") == "object" and isinstance(closed.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def adapter_of(kind: Constrainable) -> TypeAdapter[Any]:
    """What reads JSON of a type, kept where the type can be a key. Raises ConfigurationError without Pydantic."""
    try:
        return _kept_adapter(kind)
    except TypeError:
        return _new_adapter(kind)


def _new_adapter(kind: Constrainable) -> TypeAdapter[Any]:
    try:
        from pydantic import TypeAdapter
    except ImportError:
        raise ConfigurationError("a type as a constraint needs a package: install libmaze[pydantic]") from None
    return TypeAdapter(kind)


_kept_adapter = lru_cache(_TYPES_KEPT)(_new_adapter)
