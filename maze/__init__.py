"""Ask a language model for code that provably obeys constraints.

Everything that the C API of libmaze does (include/maze.h), Python can do with the same names:

    import maze

    print(maze.generate("Name a colour.", maze.choice(["red", "blue"])).raise_for_status().code)
    print(maze.generate_as(list[int], "The first three primes."))

Programs that make many calls make an Orchestrator, or an AsyncOrchestrator. docs/python.md tells the rest.
"""

from typing import TYPE_CHECKING, Any

from maze._version import __version__
from maze.backends.base import Backend, Cancellation, Health
from maze.cache import CacheStats
from maze.config import MazeConfig, ModalConfig, Secret
from maze.constrain import choice, constrain
from maze.errors import (
    BadResponseError,
    CancelledError,
    ConfigurationError,
    ConstraintViolatedError,
    ContradictionError,
    EngineUnavailableError,
    ForkedError,
    InternalError,
    InvalidArgumentError,
    InvalidConstraintError,
    LimitExceededError,
    MazeError,
    OutOfMemoryError,
    RateLimitedError,
    RequestRejectedError,
    Status,
    TimedOutError,
    TruncatedError,
    UnauthorizedError,
    UnsupportedConstraintError,
)
from maze.one_orchestrator import generate, generate_as, validate
from maze.orchestrator import Orchestrator
from maze.report import report_of
from maze.stream import GenerationStream
from maze.types import (
    Attempt,
    CompiledConstraints,
    ConstraintIR,
    ConstraintKind,
    ConstraintOutcome,
    ConstraintPart,
    EngineGrammar,
    GenerationMetadata,
    GenerationOptions,
    GenerationResult,
    Handling,
    Intent,
    Message,
    OnUnenforceable,
    PromptForm,
    Provenance,
    Role,
    TokenLogprob,
    TokenMask,
    TokenMaskRules,
    ValidationResult,
    Violation,
    WhenCutOff,
)

if TYPE_CHECKING:
    from maze.asynchronous import AsyncGenerationStream, AsyncOrchestrator


def __getattr__(name: str) -> Any:  # noqa: ANN401 - what a module has
    """Import what needs asyncio, which no other host of libmaze does, for whoever asks for it."""
    if name in ("AsyncGenerationStream", "AsyncOrchestrator"):
        from maze import asynchronous

        return getattr(asynchronous, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "AsyncGenerationStream",
    "AsyncOrchestrator",
    "Attempt",
    "Backend",
    "BadResponseError",
    "CacheStats",
    "Cancellation",
    "CancelledError",
    "CompiledConstraints",
    "ConfigurationError",
    "ConstraintIR",
    "ConstraintKind",
    "ConstraintOutcome",
    "ConstraintPart",
    "ConstraintViolatedError",
    "ContradictionError",
    "EngineGrammar",
    "EngineUnavailableError",
    "ForkedError",
    "GenerationMetadata",
    "GenerationOptions",
    "GenerationResult",
    "GenerationStream",
    "Handling",
    "Health",
    "Intent",
    "InternalError",
    "InvalidArgumentError",
    "InvalidConstraintError",
    "LimitExceededError",
    "MazeConfig",
    "MazeError",
    "Message",
    "ModalConfig",
    "OnUnenforceable",
    "Orchestrator",
    "OutOfMemoryError",
    "PromptForm",
    "Provenance",
    "RateLimitedError",
    "RequestRejectedError",
    "Role",
    "Secret",
    "Status",
    "TimedOutError",
    "TokenLogprob",
    "TokenMask",
    "TokenMaskRules",
    "TruncatedError",
    "UnauthorizedError",
    "UnsupportedConstraintError",
    "ValidationResult",
    "Violation",
    "WhenCutOff",
    "__version__",
    "choice",
    "constrain",
    "generate",
    "generate_as",
    "report_of",
    "validate",
]
