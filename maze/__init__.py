"""Ask a language model for code that provably obeys constraints.

Everything that the C API of libmaze does (include/maze.h), Python can do with the same names:

    from maze import ConstraintIR, Intent, Orchestrator

    with Orchestrator() as maze:
        result = maze.generate(Intent("Name a colour."), [ConstraintIR(json_schema='{"enum": ["red", "blue"]}')])
        print(result.code if result.success else result.error)
"""

from maze._version import __version__
from maze.backends.base import Backend, Cancellation, Health
from maze.cache import CacheStats
from maze.config import MazeConfig, ModalConfig, Secret
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
from maze.orchestrator import Orchestrator
from maze.report import report_of
from maze.stream import GenerationStream
from maze.types import (
    Attempt,
    BraidGrammar,
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
    OnConflict,
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

__all__ = [
    "Attempt",
    "Backend",
    "BadResponseError",
    "BraidGrammar",
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
    "OnConflict",
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
    "report_of",
]
