"""What the fields of that which goes in must be: each raises InvalidArgumentError that names the field."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from maze.errors import InvalidArgumentError

TEXT = "text (str)"


def check_type(field: str, value: object, wanted: type, description: str) -> None:
    """Raise InvalidArgumentError, with what to give, where `value` is not of the type that is wanted."""
    if not isinstance(value, wanted):
        raise InvalidArgumentError(f"is of type {type(value).__name__}; give {description}", field=field)


def check_member(field: str, value: object, wanted: type[Enum], *, or_none: bool = False) -> None:
    """Raise InvalidArgumentError, which names them all, where `value` is no member of an enumeration."""
    if not (isinstance(value, wanted) or (or_none and value is None)):
        members = ", ".join(f"{wanted.__name__}.{each.name}" for each in wanted)
        check_type(field, value, wanted, f"one of {wanted.__name__}{', or None' if or_none else ''}: {members}")


def check_text(field: str, value: object) -> None:
    """Raise InvalidArgumentError where `value` is no text, or one that UTF-8 cannot hold."""
    if isinstance(value, str) and value.isascii():
        return  # quickly
    check_type(field, value, str, TEXT)
    try:
        str(value).encode()
    except UnicodeEncodeError as error:
        problem = (
            f"holds half of a surrogate pair, U+{ord(error.object[error.start]):04X}, at character {error.start + 1}"
        )
        raise InvalidArgumentError(f"{problem}; write whole characters", field=field) from None


def check_texts(owner: object, *names: str) -> None:
    """Check fields that are text or None."""
    for name in names:
        if (value := getattr(owner, name)) is not None:
            check_text(name, value)


def take_tuple(owner: object, field: str, wanted: type, description: str) -> None:
    """Make the field of a frozen dataclass a tuple, and check the types of its items."""
    values = getattr(owner, field)
    if type(values) is not tuple and (isinstance(values, str | bytes) or not isinstance(values, Iterable)):
        raise InvalidArgumentError(f"is of type {type(values).__name__}; give a tuple", field=field)
    items = tuple(values)
    if items is not values:
        object.__setattr__(owner, field, items)
    if set(map(type, items)) <= {wanted}:  # quick for the many of a token mask; a subclass is looked at below
        return
    for number, item in enumerate(items):
        if not isinstance(item, wanted) or isinstance(item, bool):
            problem = f"is of type {type(item).__name__}; give {description}"
            raise InvalidArgumentError(problem, field=f"{field}[{number}]")
