# What `import maze` offers: the package reads this file, and imports each name when it is asked for.

from maze._version import __version__
from maze.asynchronous import AsyncGenerationStream, AsyncOrchestrator
from maze.backends.base import Backend, Cancellation, Health
from maze.cache import CacheStats
from maze.compiled import CompiledConstraints, ConstraintPart, EngineGrammar, TokenMask
from maze.config import MazeConfig
from maze.constraining import choice, constrain
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
from maze.options import (
    BraidGrammar,
    ConstraintOptions,
    GenerationOptions,
    Message,
    OnConflict,
    OnUnenforceable,
    PromptForm,
    Role,
    WhenCutOff,
)
from maze.orchestrator import Orchestrator
from maze.outcome import ConstraintKind, ConstraintOutcome, Handling, ValidationResult, Violation
from maze.report import report_of
from maze.result import Attempt, GenerationMetadata, GenerationResult, Provenance, TokenLogprob
from maze.secret import Secret
from maze.stream import GenerationStream
from maze.types import ConstraintIR, Intent, TokenMaskRules

__all__ = [
    "AsyncGenerationStream",
    "AsyncOrchestrator",
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
    "ConstraintOptions",
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
    "choice",
    "constrain",
    "generate",
    "generate_as",
    "report_of",
    "validate",
]
