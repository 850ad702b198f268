"""What can go wrong, as one exception for each status. All are MazeError; what they mean stands at the Status."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, ClassVar, Self


class Status(IntEnum):
    """`MazeStatus` of include/maze.h, without its prefix and with its sentences."""

    meaning: str
    """What it means, and where something can be done, what."""

    def __new__(cls, number: int, meaning: str) -> Self:
        status = int.__new__(cls, number)
        status._value_ = number
        status.meaning = meaning
        return status

    OK = 0, "Done; the code satisfies every constraint."
    INVALID_ARGUMENT = 1, "An argument is wrong (null, magic, length, UTF-8, option): fix the call."
    INVALID_CONSTRAINT = 2, "A constraint cannot be read (broken JSON, bad regex, undefined symbol): fix it."
    UNSUPPORTED_CONSTRAINT = 3, "A constraint can be neither enforced nor checked: drop it, or set on_unenforceable."
    CONTRADICTION = 4, "No text can satisfy the constraints together: the error names them."
    CONSTRAINT_VIOLATED = 5, "The text does not satisfy a constraint: the validation says which, and where."
    TRUNCATED = 6, "The text was cut off before it was complete: raise max_tokens. The text is kept."
    CONFIGURATION = 7, "The configuration is wrong: the error names the variable or field."
    STARTUP_FAILED = 8, "Python or a package could not be started: the error says what is missing."
    ENGINE_UNAVAILABLE = 9, "The engine cannot be reached, is loading, or failed after all retries: try later."
    UNAUTHORIZED = 10, "The engine refused the key: check MODAL_API_KEY."
    RATE_LIMITED = 11, "The engine asks for fewer requests: wait."
    REQUEST_REJECTED = 12, "The engine refused the request itself: the error carries its reason."
    BAD_RESPONSE = 13, "The engine answered something that is not its protocol."
    TIMED_OUT = 14, "The deadline passed. Text that had arrived is kept."
    CANCELLED = 15, "The caller or a shutdown ended the call. Text that had arrived is kept."
    LIMIT_EXCEEDED = 16, "An input or the work it asks for is over a documented limit."
    OUT_OF_MEMORY = 17, "Memory ran out, or what a process may have of threads or open files."
    FORKED = 18, "The process forked after libmaze had started; exec first."
    INTERNAL_ERROR = 19, "A defect in libmaze: please report it."


class MazeError(Exception):
    """Base of every error that libmaze raises on purpose.

    The message says what was wrong, where, and what to do; it never holds a secret. Where a field is wrong, `field` is
    its name and `problem` the rest of the message. `partial_text` is what the engine had delivered before the failure,
    `tokens_generated`, `prompt_tokens`, `first_token_ms`, `model`, `reasoning` and `reasoning_tokens` are what was
    known of it, None where it was not, and `engine` is what else was.
    """

    status: ClassVar[Status] = Status.INTERNAL_ERROR

    def __init_subclass__(cls) -> None:
        cls.__doc__ = cls.status.meaning

    def __init__(self, message: str, *, field: str = "", partial_text: str = "") -> None:
        super().__init__(f"{field} {message}" if field else message)
        self.field = field
        self.problem = message
        self.partial_text = partial_text
        self.tokens_generated: int | None = None
        self.prompt_tokens: int | None = None
        self.first_token_ms: float | None = None
        self.model: str | None = None
        self.engine: dict[str, Any] = {}
        self.reasoning: str | None = None
        self.reasoning_tokens: int | None = None
        self.result: Any = None
        """The GenerationResult or ValidationResult whose raise_for_status() raised it."""

    def keeping(self, error: MazeError) -> Self:
        """Stand in for `error`: take over what that has of the generation."""
        self.partial_text = error.partial_text
        self.tokens_generated, self.prompt_tokens = error.tokens_generated, error.prompt_tokens
        self.first_token_ms = error.first_token_ms
        self.model, self.engine = error.model, error.engine
        self.reasoning, self.reasoning_tokens = error.reasoning, error.reasoning_tokens
        return self

    def naming(self, field: str) -> Self:
        """The same error with the name that the caller knows the field by: a struct field, a variable, `--option`."""
        return type(self)(self.problem, field=field, partial_text=self.partial_text)


class InvalidArgumentError(MazeError):
    status = Status.INVALID_ARGUMENT


class InvalidConstraintError(MazeError):
    status = Status.INVALID_CONSTRAINT


class UnsupportedConstraintError(MazeError):
    status = Status.UNSUPPORTED_CONSTRAINT


class ContradictionError(MazeError):
    status = Status.CONTRADICTION
    groups: tuple[tuple[str, ...], ...] = ()
    """The paths of the parts that exclude each other; those of one group mean the same. Empty where it is not known."""

    def between(self, *groups: Iterable[str]) -> Self:
        """The same error, knowing what excludes each other."""
        self.groups = tuple(map(tuple, groups))
        return self


class ConstraintViolatedError(MazeError):
    status = Status.CONSTRAINT_VIOLATED


class TruncatedError(MazeError):
    status = Status.TRUNCATED


class ConfigurationError(MazeError):
    status = Status.CONFIGURATION


class EngineUnavailableError(MazeError):
    status = Status.ENGINE_UNAVAILABLE


class UnauthorizedError(MazeError):
    status = Status.UNAUTHORIZED


class RateLimitedError(MazeError):
    status = Status.RATE_LIMITED


class RequestRejectedError(MazeError):
    status = Status.REQUEST_REJECTED


class BadResponseError(MazeError):
    status = Status.BAD_RESPONSE


class TimedOutError(MazeError):
    status = Status.TIMED_OUT


class CancelledError(MazeError):
    status = Status.CANCELLED


class LimitExceededError(MazeError):
    status = Status.LIMIT_EXCEEDED


class OutOfMemoryError(MazeError):
    status = Status.OUT_OF_MEMORY


class ForkedError(MazeError):
    status = Status.FORKED


class InternalError(MazeError):
    status = Status.INTERNAL_ERROR


def error_of(status: Status, message: str) -> MazeError:
    """The exception that stands for a status other than OK, and STARTUP_FAILED, with which no Python begins."""
    return next(error for error in MazeError.__subclasses__() if error.status is status)(message)
