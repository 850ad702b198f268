"""What can go wrong, as one exception tree with one status each.

MazeError
├── InvalidArgumentError          the call is wrong
├── InvalidConstraintError        a constraint cannot be read
├── UnsupportedConstraintError    a constraint can be neither enforced nor checked
├── ContradictionError            no text can satisfy the constraints together
├── ConstraintViolatedError       the text does not satisfy a constraint
├── TruncatedError                the text was cut off before it was complete
├── ConfigurationError            a variable or field of the configuration is wrong
├── EngineUnavailableError        the engine cannot be reached or is not ready
├── UnauthorizedError             the engine refused the key
├── RateLimitedError              the engine asks for fewer requests
├── RequestRejectedError          the engine refused the request itself
├── BadResponseError              the engine did not speak its protocol
├── TimedOutError                 the deadline passed
├── CancelledError                the caller or a shutdown ended the call
├── LimitExceededError            over a documented limit
├── ForkedError                   the process is a forked child
└── InternalError                 a defect in libmaze
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Self


class Status(IntEnum):
    """`MazeStatus` of include/maze.h, without its prefix; the meaning of each is documented there."""

    OK = 0
    INVALID_ARGUMENT = 1
    INVALID_CONSTRAINT = 2
    UNSUPPORTED_CONSTRAINT = 3
    CONTRADICTION = 4
    CONSTRAINT_VIOLATED = 5
    TRUNCATED = 6
    CONFIGURATION = 7
    STARTUP_FAILED = 8
    ENGINE_UNAVAILABLE = 9
    UNAUTHORIZED = 10
    RATE_LIMITED = 11
    REQUEST_REJECTED = 12
    BAD_RESPONSE = 13
    TIMED_OUT = 14
    CANCELLED = 15
    LIMIT_EXCEEDED = 16
    OUT_OF_MEMORY = 17
    FORKED = 18
    INTERNAL_ERROR = 19


class MazeError(Exception):
    """Base of every error that libmaze raises on purpose.

    The message says what was wrong, where, and what to do; it never holds a secret. Where a field is wrong, `field` is
    its name and `problem` the rest of the message. `partial_text` is what the engine had delivered before the failure.
    """

    status: ClassVar[Status] = Status.INTERNAL_ERROR

    def __init__(self, message: str, *, field: str = "", partial_text: str = "") -> None:
        super().__init__(f"{field} {message}" if field else message)
        self.field = field
        self.problem = message
        self.partial_text = partial_text

    def naming(self, field: str) -> Self:
        """The same error with the name that the caller knows the field by: a struct field, a variable, `--option`."""
        return type(self)(self.problem, field=field, partial_text=self.partial_text)


class InvalidArgumentError(MazeError):
    """An argument of the call is wrong: a null pointer, a bad magic number, invalid UTF-8, an option out of range."""

    status = Status.INVALID_ARGUMENT


class InvalidConstraintError(MazeError):
    """A constraint cannot be read: broken JSON, a bad regular expression, an undefined symbol."""

    status = Status.INVALID_CONSTRAINT


class UnsupportedConstraintError(MazeError):
    """A constraint is understood but can be neither enforced nor checked."""

    status = Status.UNSUPPORTED_CONSTRAINT


class ContradictionError(MazeError):
    """No text can satisfy the constraints together; found before any request."""

    status = Status.CONTRADICTION


class ConstraintViolatedError(MazeError):
    """A finished text does not satisfy a constraint."""

    status = Status.CONSTRAINT_VIOLATED


class TruncatedError(MazeError):
    """The text was cut off by a length limit before it satisfied its constraints."""

    status = Status.TRUNCATED


class ConfigurationError(MazeError):
    """A variable of the environment or a field of the configuration is wrong."""

    status = Status.CONFIGURATION


class EngineUnavailableError(MazeError):
    """The engine cannot be reached, is still loading, or failed after all retries."""

    status = Status.ENGINE_UNAVAILABLE


class UnauthorizedError(MazeError):
    """The engine refused the key."""

    status = Status.UNAUTHORIZED


class RateLimitedError(MazeError):
    """The engine asks for fewer requests."""

    status = Status.RATE_LIMITED


class RequestRejectedError(MazeError):
    """The engine refused the request itself."""

    status = Status.REQUEST_REJECTED


class BadResponseError(MazeError):
    """The engine answered something that is not its protocol."""

    status = Status.BAD_RESPONSE


class TimedOutError(MazeError):
    """The deadline of the call passed."""

    status = Status.TIMED_OUT


class CancelledError(MazeError):
    """The caller or a shutdown ended the call."""

    status = Status.CANCELLED


class LimitExceededError(MazeError):
    """An input, or the work it asks for, is over a documented limit."""

    status = Status.LIMIT_EXCEEDED


class ForkedError(MazeError):
    """The process is a forked child of the one in which libmaze was set up."""

    status = Status.FORKED


class InternalError(MazeError):
    """A defect in libmaze."""

    status = Status.INTERNAL_ERROR
