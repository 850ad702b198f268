//! What can go wrong: a status of the library as an error of Zig.

const std = @import("std");
const c = @import("c.zig");

/// What became of a call: one value for each thing a caller can act on; `MazeStatus` of include/maze.h.
pub const Status = c.MazeStatus;

/// Why a call was not made.
pub const CallError = std.mem.Allocator.Error || error{
    /// A text holds a NUL byte, which a C string cannot carry.
    NulByte,
    /// An IR of Braid's asks for what no constraint of libmaze says: holes to fill, or a number of tokens.
    UnsupportedConstraint,
};

/// What can go wrong in a call, one error for each `Status` but `ok`; the sentences are those of include/maze.h.
pub const Error = error{
    /// An argument is wrong (null, magic, length, UTF-8, option): fix the call.
    InvalidArgument,
    /// A constraint cannot be read (broken JSON, bad regex, undefined symbol): fix it.
    InvalidConstraint,
    /// A constraint can be neither enforced nor checked: drop it, or set on_unenforceable.
    UnsupportedConstraint,
    /// No text can satisfy the constraints together: the error names them.
    Contradiction,
    /// The text does not satisfy a constraint: the validation says which, and where.
    ConstraintViolated,
    /// The text was cut off before it was complete: raise max_tokens. The text is kept.
    Truncated,
    /// The configuration is wrong: the error names the variable or field.
    Configuration,
    /// Python or a package could not be started: the error says what is missing.
    StartupFailed,
    /// The engine cannot be reached, is loading, or failed after all retries: try later.
    EngineUnavailable,
    /// The engine refused the key: check MODAL_API_KEY.
    Unauthorized,
    /// The engine asks for fewer requests: wait.
    RateLimited,
    /// The engine refused the request itself: the error carries its reason.
    RequestRejected,
    /// The engine answered something that is not its protocol.
    BadResponse,
    /// The deadline passed. Text that had arrived is kept.
    TimedOut,
    /// The caller or a shutdown ended the call. Text that had arrived is kept.
    Cancelled,
    /// An input or the work it asks for is over a documented limit.
    LimitExceeded,
    /// Memory ran out, or what a process may have of threads or open files.
    OutOfMemory,
    /// The process forked after libmaze had started; exec first.
    Forked,
    /// A defect in libmaze: please report it.
    InternalError,
    /// A status of a newer library that this module does not know; the message tells more.
    UnknownStatus,
};

/// The error that a status stands for; nothing for `ok`.
pub fn checkStatus(status: Status) Error!void {
    return switch (status) {
        .ok => {},
        .invalid_argument => error.InvalidArgument,
        .invalid_constraint => error.InvalidConstraint,
        .unsupported_constraint => error.UnsupportedConstraint,
        .contradiction => error.Contradiction,
        .constraint_violated => error.ConstraintViolated,
        .truncated => error.Truncated,
        .configuration => error.Configuration,
        .startup_failed => error.StartupFailed,
        .engine_unavailable => error.EngineUnavailable,
        .unauthorized => error.Unauthorized,
        .rate_limited => error.RateLimited,
        .request_rejected => error.RequestRejected,
        .bad_response => error.BadResponse,
        .timed_out => error.TimedOut,
        .cancelled => error.Cancelled,
        .limit_exceeded => error.LimitExceeded,
        .out_of_memory => error.OutOfMemory,
        .forked => error.Forked,
        .internal_error => error.InternalError,
        // Not `else`: a status added to c.zig must be added here to compile.
        _ => error.UnknownStatus,
    };
}
