//! libmaze for Zig: ask a language model for code that provably obeys constraints.
//!
//! ```
//! var result = try maze.generate(gpa, .{ .raw_input = "Describe the function parse_date" }, .{
//!     .list = &.{.{ .json_schema = schema }},
//! }, .{ .max_tokens = 200 });
//! defer result.deinit();
//!
//! const code = result.code() catch |err| {
//!     log.err("{s}", .{result.message()});
//!     return err;
//! };
//! ```
//!
//! `generateAs` takes a Zig type for the schema, and gives a value of it.
//!
//! Ownership. Everything passed in is copied or borrowed during the call and may be freed when it returns. A `Result`
//! belongs to the library until `Result.deinit`; the texts it hands out live exactly as long. The allocator that a
//! function takes is used for NUL-terminated copies, which are gone when the function returns.
//!
//! Errors. A call that was made gives a `Result`, also when it failed, because a failure has a message and perhaps the
//! text that had arrived. `Result.code` and `Result.check` turn it into an error of `Error`, so code that breaks its
//! constraints cannot be taken for code that obeys them. A call that could not be made gives a `CallError`.
//!
//! Threads. Every function may be called from any thread at any time. Nothing has to be called before the first call,
//! which starts an embedded Python interpreter, nor at the end of the process.
//!
//! The declarations of include/maze.h are in `c`.

const std = @import("std");
const Allocator = std.mem.Allocator;

/// The declarations of include/maze.h, one to one.
pub const c = @import("c.zig");
const errors = @import("errors.zig");
const inputs = @import("inputs.zig");
const Copies = inputs.Copies;
const pointerOrNull = inputs.pointerOrNull;
const schema = @import("schema.zig");

/// A constraint as Braid makes it; see `Constraints.braid`.
pub const ConstraintIRFFI = c.ConstraintIRFFI;
/// The token masks of a `ConstraintIRFFI`.
pub const TokenMaskRulesFFI = c.TokenMaskRulesFFI;
/// What `Intent` becomes in C.
pub const IntentFFI = c.IntentFFI;
/// What a `Result` holds.
pub const GenerationResultFFI = c.GenerationResultFFI;

/// Severity of a log line. Only `trace` shows prompts and generated text.
pub const LogLevel = c.MazeLogLevel;

/// What became of a call: one value for each thing a caller can act on; `MazeStatus` of include/maze.h.
pub const Status = errors.Status;
/// Why a call was not made.
pub const CallError = errors.CallError;
/// What can go wrong in a call, one error for each `Status` but `ok`.
pub const Error = errors.Error;
/// Why there is no value of a type: an error of the call, or of `std.json`.
pub const ParseError = Error || std.json.ParseError(std.json.Scanner);
/// The error that a status stands for; nothing for `ok`.
pub const checkStatus = errors.checkStatus;

/// The JSON Schema of a Zig type: what satisfies it, `Result.parse` gives as that type.
pub const schemaOf = schema.schemaOf;

/// What is wanted.
pub const Intent = inputs.Intent;
/// Token ids of the engine's vocabulary.
pub const TokenMasks = inputs.TokenMasks;
/// A set of rules that the whole output obeys. Every part that is given holds.
pub const Constraint = inputs.Constraint;
/// The constraints of a call, all of which hold: written in Zig, or as Braid made them.
pub const Constraints = inputs.Constraints;
/// What to do with a constraint that can be neither enforced nor checked.
pub const Unenforceable = inputs.Unenforceable;
pub const Conflict = inputs.Conflict;
pub const BraidGrammar = inputs.BraidGrammar;
/// How the model is spoken to.
pub const PromptForm = inputs.PromptForm;
/// An earlier turn of a conversation.
pub const Message = inputs.Message;
/// What becomes of a constrained text that was cut off where it could have gone on.
pub const WhenCutOff = inputs.WhenCutOff;
/// Options of a generation; null leaves a value to the configuration.
pub const Options = inputs.Options;
/// Options of `compile` and `validate`.
pub const CheckOptions = inputs.CheckOptions;
/// Configuration of the process; null leaves a value to the environment, or to the default that is named.
pub const Config = inputs.Config;

/// The answer of a call. Its texts live until `deinit`, which must be called once.
pub const Result = struct {
    /// The library's own, to hand to C; never free it except through `deinit`.
    ffi: *GenerationResultFFI,

    /// Give the result back. Any thread, also after `shutdown`.
    pub fn deinit(result: *Result) void {
        c.maze_free_result(result.ffi);
        result.* = undefined;
    }

    /// What became of the call.
    pub fn status(result: Result) Status {
        return c.maze_result_status(result.ffi);
    }

    /// The error that the call ended with, if any.
    pub fn check(result: Result) Error!void {
        return checkStatus(result.status());
    }

    /// The generated code, which satisfies every constraint; otherwise the error that the call ended with. Of
    /// `compile`: the grammar text that an engine would get.
    pub fn code(result: Result) Error![:0]const u8 {
        try result.check();
        return result.text();
    }

    /// The generated code as a `T`, by `std.json`; otherwise the error that the call ended with. The code is one of `T` if
    /// `schemaOf(T)` was among the constraints. The value belongs to the caller, who gives it back by `deinit`; it outlives
    /// the result.
    pub fn parse(result: Result, comptime T: type, gpa: Allocator) ParseError!std.json.Parsed(T) {
        return std.json.parseFromSlice(T, gpa, try result.code(), .{
            .allocate = .alloc_always,
            // As in the check of a schema, and nearly everywhere else.
            .duplicate_field_behavior = .use_last,
        });
    }

    /// The text that arrived, whether or not it satisfies the constraints: to show or to repair, not to trust.
    pub fn text(result: Result) [:0]const u8 {
        return std.mem.span(result.ffi.code);
    }

    /// What went wrong and what to do about it, beginning with "libmaze: "; empty if nothing did.
    pub fn message(result: Result) [:0]const u8 {
        return std.mem.span(result.ffi.@"error" orelse return "");
    }

    /// The report of the call as one JSON object: docs/report.md.
    pub fn json(result: Result) [:0]const u8 {
        return std.mem.span(c.maze_result_json(result.ffi));
    }

    /// How the text ended: "stop", "length", "completed", "cancelled", ...; empty where it is not known or nothing was
    /// generated.
    pub fn finishReason(result: Result) [:0]const u8 {
        return std.mem.span(c.maze_result_finish_reason(result.ffi));
    }

    /// Number of tokens the engine generated.
    pub fn tokensGenerated(result: Result) usize {
        return result.ffi.tokens_generated;
    }

    /// Time from the call to its result, in milliseconds.
    pub fn timeMs(result: Result) u64 {
        return result.ffi.generation_time_ms;
    }
};

/// Generate code for an intent under constraints that all hold. `gpa` holds copies of the texts during the call.
pub fn generate(gpa: Allocator, intent: Intent, constraints: Constraints, options: Options) CallError!Result {
    var copies: Copies = .init(gpa);
    defer copies.deinit();

    const irs = try copies.constraints(constraints);
    return .{ .ffi = c.maze_generate_with(
        &try copies.intent(intent),
        pointerOrNull(irs),
        irs.len,
        &try copies.options(options),
    ) };
}

/// What `generateAs` gives. Belongs to the caller until `deinit`.
pub fn Generated(comptime T: type) type {
    return struct {
        /// The answer of the call, with its message and report.
        result: Result,
        /// The code as a `T`, or why there is none.
        parsed: ParseError!std.json.Parsed(T),

        /// Give result and value back. Any thread.
        pub fn deinit(generated: *@This()) void {
            if (generated.parsed) |parsed| parsed.deinit() else |_| {}
            generated.result.deinit();
            generated.* = undefined;
        }

        /// The value that the model gave, which satisfies every constraint; otherwise the error that the call ended with.
        /// It lives until `deinit`.
        pub fn value(generated: @This()) ParseError!T {
            return (try generated.parsed).value;
        }
    };
}

/// Generate a value of `T`: `generate` under `schemaOf(T)` and the constraints given, which all hold, and `Result.parse`.
/// `gpa` holds the value until `Generated.deinit`.
///
/// ```
/// const Plan = struct { name: []const u8, steps: []const []const u8, risk: enum { low, high } };
/// var plan = try maze.generateAs(Plan, gpa, .{ .raw_input = "Plan a release." }, .none, .{});
/// defer plan.deinit();
/// const steps = (try plan.value()).steps;
/// ```
pub fn generateAs(
    comptime T: type,
    gpa: Allocator,
    intent: Intent,
    constraints: Constraints,
    options: Options,
) CallError!Generated(T) {
    var copies: Copies = .init(gpa);
    defer copies.deinit();

    // Last, so that messages count the caller's constraints as the caller does.
    const given = try copies.constraints(constraints);
    const irs = try copies.arena.allocator().alloc(ConstraintIRFFI, given.len + 1);
    @memcpy(irs[0..given.len], given);
    irs[given.len] = .{ .json_schema = schemaOf(T), .name = comptime schema.plainName(T) ++ "" };
    const result: Result = .{ .ffi = c.maze_generate_with(
        &try copies.intent(intent),
        irs.ptr,
        irs.len,
        &try copies.options(options),
    ) };
    return .{ .result = result, .parsed = result.parse(T, gpa) };
}

/// `generate` that hands the text to `onText` as it arrives, in whole UTF-8 characters, on this thread or one that
/// stands in for it while this one waits. A piece is valid during the callback, which returns false to cancel: the
/// result then ends in `error.Cancelled`. Text is handed out before it is complete, so before it can be checked in
/// full: trust it when `Result.code` gives it.
pub fn generateStream(
    gpa: Allocator,
    intent: Intent,
    constraints: Constraints,
    options: Options,
    context: anytype,
    comptime onText: fn (context: @TypeOf(context), text: []const u8) bool,
) CallError!Result {
    const Context = @TypeOf(context);
    const callback = struct {
        fn call(text: [*:0]const u8, text_len: usize, user_data: ?*anyopaque) callconv(.c) bool {
            const context_pointer: *const Context = @ptrCast(@alignCast(user_data.?));
            return onText(context_pointer.*, text[0..text_len]);
        }
    }.call;
    var context_on_stack = context;

    var copies: Copies = .init(gpa);
    defer copies.deinit();

    const irs = try copies.constraints(constraints);
    return .{ .ffi = c.maze_generate_stream(
        &try copies.intent(intent),
        pointerOrNull(irs),
        irs.len,
        &try copies.options(options),
        callback,
        @ptrCast(&context_on_stack),
    ) };
}

/// The results of `generateBatch`, one for each intent, in order.
pub const Batch = struct {
    /// Freed together by `deinit`.
    results: []Result,

    /// Give all results back; `gpa` is the allocator that `generateBatch` got.
    pub fn deinit(batch: *Batch, gpa: Allocator) void {
        for (batch.results) |*result| result.deinit();
        gpa.free(batch.results);
        batch.* = undefined;
    }

    /// The error of the first result that failed, if any.
    pub fn check(batch: Batch) Error!void {
        for (batch.results) |result| try result.check();
    }
};

/// Generate for several intents at once under the same constraints. One failure does not touch the others. `gpa` holds
/// `Batch.results`. `error.LimitExceeded` for more than `c.MAZE_MAX_ARRAY_LENGTH` intents.
pub fn generateBatch(
    gpa: Allocator,
    intents: []const Intent,
    constraints: Constraints,
    options: Options,
) (CallError || error{LimitExceeded})!Batch {
    // The library would write no results, as it cannot know how much memory there is.
    if (intents.len > c.MAZE_MAX_ARRAY_LENGTH) return error.LimitExceeded;

    var copies: Copies = .init(gpa);
    defer copies.deinit();
    const arena = copies.arena.allocator();

    const intent_ffis = try arena.alloc(IntentFFI, intents.len);
    for (intent_ffis, intents) |*intent_ffi, intent| intent_ffi.* = try copies.intent(intent);
    const irs = try copies.constraints(constraints);
    const options_ffi = try copies.options(options);
    const result_ffis = try arena.alloc(?*GenerationResultFFI, intents.len);
    const results = try gpa.alloc(Result, intents.len);

    // Each result tells its own status, so that of the batch adds nothing.
    _ = c.maze_generate_batch(
        intent_ffis.ptr,
        intent_ffis.len,
        pointerOrNull(irs),
        irs.len,
        &options_ffi,
        result_ffis.ptr,
    );
    for (results, result_ffis) |*result, result_ffi| result.* = .{ .ffi = result_ffi.? };
    return .{ .results = results };
}

/// Compile constraints without generating; needs no engine. `Result.code` is the grammar text that an engine would get
/// (empty if nothing is to be enforced); `Result.json` lists what is enforced, checked and vacuous, and the warnings.
pub fn compile(gpa: Allocator, constraints: Constraints, options: CheckOptions) CallError!Result {
    var copies: Copies = .init(gpa);
    defer copies.deinit();

    const irs = try copies.constraints(constraints);
    return .{ .ffi = c.maze_compile_constraints(
        pointerOrNull(irs),
        irs.len,
        try copies.optionalText(options.language),
        &try copies.checkOptions(options),
    ) };
}

/// Check a text, which may hold NUL bytes, against constraints without generating; needs no engine. `Result.check`
/// gives `error.ConstraintViolated` if one is not satisfied; `Result.json` holds the validation, with offset, line and
/// what was expected for each.
pub fn validate(gpa: Allocator, text: []const u8, constraints: Constraints, options: CheckOptions) CallError!Result {
    var copies: Copies = .init(gpa);
    defer copies.deinit();

    const irs = try copies.constraints(constraints);
    return .{ .ffi = c.maze_validate(
        pointerOrNull(text),
        text.len,
        pointerOrNull(irs),
        irs.len,
        try copies.optionalText(options.language),
        &try copies.checkOptions(options),
    ) };
}

/// Configure the process; optional. Fails if libmaze is configured already, by an earlier `init` or by a call that read
/// the environment: then call `shutdown` first. `Result.check` tells whether the configuration is in force.
pub fn init(gpa: Allocator, config: Config) CallError!Result {
    var copies: Copies = .init(gpa);
    defer copies.deinit();

    return .{ .ffi = c.maze_init(&try copies.config(config)) };
}

/// End every call under way with `error.Cancelled`, drop the engine, the cache and the configuration. Results stay
/// valid. The next call starts anew. Does nothing if nothing was started.
pub fn shutdown() void {
    c.maze_shutdown();
}

/// Ask the engine whether it is ready; starts the embedded engine. `Result.json` holds its report, by endpoint.
pub fn healthCheck() Result {
    return .{ .ffi = c.maze_health_check() };
}

/// Names of the models that can be asked for: `Result.json` has `"models": ["...", ...]`.
pub fn listModels() Result {
    return .{ .ffi = c.maze_list_models() };
}

/// Counters of the cache of compiled constraints since the start or `init`.
pub const CacheStats = struct {
    /// Calls that found their constraints compiled.
    hits: u64,
    /// Calls that had to compile them.
    misses: u64,
    /// Entries dropped to make room.
    evictions: u64,
    /// Entries held now.
    entries: u64,
    /// Memory they hold, in bytes (estimated).
    bytes: u64,
};

/// Read the counters of the cache.
pub fn cacheStats() Error!CacheStats {
    var stats: c.MazeCacheStatsFFI = .{};
    try checkStatus(c.maze_cache_stats(&stats));
    return .{
        .hits = stats.hits,
        .misses = stats.misses,
        .evictions = stats.evictions,
        .entries = stats.entries,
        .bytes = stats.bytes,
    };
}

/// Drop all compiled constraints. The counters go on.
pub fn clearCache() Error!void {
    try checkStatus(c.maze_clear_cache());
}

/// Version of the library that is loaded. Starts nothing.
pub fn version() [:0]const u8 {
    return std.mem.span(c.maze_version());
}

/// ABI version of the library that is loaded. Starts nothing.
pub fn abiVersion() u32 {
    return c.maze_abi_version();
}

/// Name of a status in C, such as "MAZE_TIMED_OUT". Starts nothing.
pub fn statusName(status: Status) [:0]const u8 {
    return std.mem.span(c.maze_status_name(status));
}

/// Send log lines to `onLog` in place of stderr, at the level of MAZE_LOG or `Config.log_filter`. It is called from any
/// thread and possibly from several at once; its texts are valid during the callback. `context` is a pointer that stays
/// valid until another callback is set or `clearLogCallback` returns, or `{}` for none.
pub fn setLogCallback(
    context: anytype,
    comptime onLog: fn (context: @TypeOf(context), level: LogLevel, target: []const u8, text: []const u8) void,
) void {
    const Context = @TypeOf(context);
    const callback = struct {
        fn call(level: LogLevel, target: [*:0]const u8, text: [*:0]const u8, user_data: ?*anyopaque) callconv(.c) void {
            const context_again: Context = if (Context == void) {} else @ptrCast(@alignCast(user_data.?));
            onLog(context_again, level, std.mem.span(target), std.mem.span(text));
        }
    }.call;
    c.maze_set_log_callback(callback, if (Context == void) null else @ptrCast(@constCast(context)));
}

/// Take the log callback away; log lines go to stderr again. When this returns, it is not running and will not be called
/// again (except when called from within that callback itself).
pub fn clearLogCallback() void {
    c.maze_set_log_callback(null, null);
}
