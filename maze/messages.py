"""Earlier turns of a conversation, from JSON: `[{"role": "user", "text": "..."}, ...]`."""

from __future__ import annotations

from maze.errors import InvalidArgumentError
from maze.options import Message, Role

_FIELDS = ("role", "text")


def messages_of(value: object) -> tuple[Message, ...]:
    """The messages that a JSON value holds. Raises InvalidArgumentError naming the one that is wrong."""
    if not isinstance(value, list):
        raise InvalidArgumentError("must be an array of objects", field="messages")
    return tuple(_message(item, f"messages[{number}]") for number, item in enumerate(value))


def _message(value: object, path: str) -> Message:
    if not isinstance(value, dict):
        raise InvalidArgumentError("must be an object with role and text", field=path)
    for name in value:
        if name not in _FIELDS:
            problem = f"is unknown; a message has {' and '.join(_FIELDS)}"
            raise InvalidArgumentError(problem, field=f"{path}.{name[:100]}")
    role, text = value.get("role"), value.get("text")
    if not isinstance(role, str) or role not in tuple(Role):
        raise InvalidArgumentError(f"must be one of {', '.join(Role)}", field=f"{path}.role")
    if not isinstance(text, str):
        raise InvalidArgumentError("must be a text", field=f"{path}.text")
    return Message(Role(role), text)
