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
pub const Status = c.MazeStatus;

/// Why a call was not made.
pub const CallError = Allocator.Error || error{
    /// A text holds a NUL byte, which a C string cannot carry.
    NulByte,
};

/// What can go wrong in a call, one error for each `Status` but `ok`.
pub const Error = error{
    /// An argument is wrong (magic, length, UTF-8, option): fix the call.
    InvalidArgument,
    /// A constraint cannot be read (broken JSON, bad regex, undefined symbol): fix the constraint.
    InvalidConstraint,
    /// A constraint can be neither enforced nor checked: drop it, or set `on_unenforceable`.
    UnsupportedConstraint,
    /// No text can satisfy the constraints together: the message names them.
    Contradiction,
    /// The text does not satisfy a constraint: generate again, or look at the validation in `Result.json`.
    ConstraintViolated,
    /// The text was cut off before it was complete: raise `max_tokens`. `Result.text` has it.
    Truncated,
    /// The configuration is wrong: the message names the variable or field.
    Configuration,
    /// Python or a package could not be started: the message says what is missing.
    StartupFailed,
    /// The engine cannot be reached, is loading, or failed after all retries: try later.
    EngineUnavailable,
    /// The engine refused the key: check MODAL_API_KEY.
    Unauthorized,
    /// The engine asks for fewer requests: wait.
    RateLimited,
    /// The engine refused the request itself: the message carries its reason.
    RequestRejected,
    /// The engine answered something that is not its protocol.
    BadResponse,
    /// The deadline passed. `Result.text` has what had arrived.
    TimedOut,
    /// The caller or `shutdown` ended the call. `Result.text` has what had arrived.
    Cancelled,
    /// An input, or the work it asks for, is over a documented limit.
    LimitExceeded,
    /// Memory ran out.
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

/// What is wanted.
pub const Intent = struct {
    /// What the user said.
    raw_input: []const u8,
    /// The prompt made from it; null for `raw_input` itself.
    prompt: ?[]const u8 = null,
    /// Path of the file the code is for, told to the model and never opened.
    current_file: ?[]const u8 = null,
    /// Programming language of the code: typescript, javascript, python, rust, go, java, c, cpp, csharp, kotlin, zig,
    /// php, ruby or swift. A grammar in Braid's shape needs it.
    language: ?[]const u8 = null,
};

/// Token ids of the engine's vocabulary.
pub const TokenMasks = struct {
    /// Only these ids may appear; empty for no such rule.
    allowed: []const u32 = &.{},
    /// These ids never appear.
    forbidden: []const u32 = &.{},
};

/// A set of rules that the whole output obeys. Every part that is given holds.
pub const Constraint = struct {
    /// JSON Schema as JSON text, plain or in Braid's shape (`"schema_type"`).
    json_schema: ?[]const u8 = null,
    /// Grammar: Lark (`start:`), GBNF (`root ::=`) or Braid's JSON (`"start_symbol"`).
    grammar: ?[]const u8 = null,
    /// Regular expressions; `^...$` describes the whole output, others something it contains.
    regex_patterns: []const []const u8 = &.{},
    /// Token ids that may or must not appear.
    token_masks: ?TokenMasks = null,
    /// Of constraints that cannot be enforced together, the highest is enforced, the others checked.
    priority: u32 = 0,
    /// A label for error messages.
    name: ?[]const u8 = null,
};

/// The constraints of a call, all of which hold: written in Zig, or as Braid made them.
pub const Constraints = union(enum) {
    /// Written in Zig: `.{ .list = &.{ .{ .json_schema = schema }, ... } }`.
    list: []const Constraint,
    /// In the layout of include/maze.h; borrowed during the call. For Braid's own type there is `braid`.
    ffi: []const ConstraintIRFFI,

    /// An unconstrained request.
    pub const none: Constraints = .{ .list = &.{} };

    /// Constraints that Braid made, handed on without a copy. `irs` is a slice of (or a pointer to an array of) Braid's
    /// own `ConstraintIRFFI`; its layout is compared with ours at compile time.
    pub fn braid(irs: anytype) Constraints {
        const Braid = std.meta.Elem(@TypeOf(irs));
        comptime assertLayout(Braid);
        const slice: []const Braid = irs;
        return .{ .ffi = @ptrCast(slice) };
    }

    fn assertLayout(comptime Braid: type) void {
        const ours = @typeInfo(ConstraintIRFFI).@"struct";
        const theirs = @typeInfo(Braid).@"struct";
        if (theirs.layout != .@"extern" or theirs.field_names.len != ours.field_names.len or
            @sizeOf(Braid) != @sizeOf(ConstraintIRFFI))
            @compileError(@typeName(Braid) ++ " is not laid out as ConstraintIRFFI of include/maze.h");
        for (ours.field_names, ours.field_types) |name, Field| {
            if (!@hasField(Braid, name) or @offsetOf(Braid, name) != @offsetOf(ConstraintIRFFI, name) or
                @sizeOf(@FieldType(Braid, name)) != @sizeOf(Field))
                @compileError(@typeName(Braid) ++ "." ++ name ++ " is not as in ConstraintIRFFI of include/maze.h");
        }
    }
};

/// What to do with a constraint that can be neither enforced nor checked.
pub const Unenforceable = enum {
    /// Fail with `UnsupportedConstraint` before any request.
    fail,
    /// Go on without it. A text is still made, and given by `Result.text`, but is no success:
    /// error.UnsupportedConstraint, with the reason in the warnings.
    report,

    fn toFFI(unenforceable: Unenforceable) u32 {
        return @backingInt(switch (unenforceable) {
            .fail => c.MazeUnenforceable.@"error",
            .report => c.MazeUnenforceable.report,
        });
    }
};

/// Options of a generation; null leaves a value to the configuration.
pub const Options = struct {
    /// Most tokens to generate, at least 1.
    max_tokens: ?u32 = null,
    /// Time for the whole call with all retries, in milliseconds, at least 1.
    timeout_ms: ?u32 = null,
    /// Sampling temperature from 0 (always the likeliest token) to 2.
    temperature: ?f64 = null,
    /// Nucleus sampling: share of the probability mass to sample from, over 0 to 1; null for 1.
    top_p: ?f64 = null,
    /// Sample from the `top_k` likeliest tokens; null for all.
    top_k: ?u32 = null,
    /// Seed of the sampler; null for a random one.
    seed: ?u32 = null,
    /// Model to use.
    model: ?[]const u8 = null,
    /// Texts that end the generation and are not part of the code; at most 4.
    stop: []const []const u8 = &.{},
    /// What to do with a constraint that can be neither enforced nor checked.
    on_unenforceable: Unenforceable = .fail,
};

/// Options of `compile` and `validate`.
pub const CheckOptions = struct {
    /// As `Intent.language`.
    language: ?[]const u8 = null,
    /// What to do with a constraint that can be neither enforced nor checked.
    on_unenforceable: Unenforceable = .fail,
};

/// Configuration of the process; null leaves a value to the environment, or to the default that is named.
pub const Config = struct {
    /// URL of the inference service, or several with commas between; null for MODAL_ENDPOINT, "" for the embedded
    /// engine.
    endpoint: ?[]const u8 = null,
    /// Key of the service; null for MODAL_API_KEY. Appears in no log, error or result.
    api_key: ?[]const u8 = null,
    /// Model name at the service; null for MODAL_MODEL.
    model: ?[]const u8 = null,
    /// Path of a GGUF file for the embedded engine; null for MAZE_LOCAL_MODEL.
    local_model: ?[]const u8 = null,
    /// What the service speaks: maze, vllm, sglang or llama.cpp; null for MAZE_DIALECT, "" to ask it.
    dialect: ?[]const u8 = null,
    /// Log filter such as "maze=debug"; null for MAZE_LOG, "" for none.
    log_filter: ?[]const u8 = null,
    /// Most tokens to generate where a call does not say; null for 2048.
    max_tokens: ?u32 = null,
    /// Time for a whole call where it does not say, in seconds; null for 300.
    timeout_secs: ?u32 = null,
    /// Sampling temperature where a call does not say; null for 0.7.
    temperature: ?f64 = null,
    /// Keep compiled constraints; null for yes.
    enable_cache: ?bool = null,
    /// Compiled constraints kept; null for 1000.
    cache_size_limit: ?u32 = null,
};

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

    /// The text that arrived, whether or not it satisfies the constraints: to show or to repair, not to trust.
    pub fn text(result: Result) [:0]const u8 {
        return std.mem.span(result.ffi.code);
    }

    /// What went wrong and what to do about it, beginning with "libmaze: "; empty if nothing did.
    pub fn message(result: Result) [:0]const u8 {
        return std.mem.span(result.ffi.@"error" orelse return "");
    }

    /// Provenance, validation and metadata, or the report of the call, as one JSON object.
    pub fn json(result: Result) [:0]const u8 {
        return std.mem.span(c.maze_result_json(result.ffi));
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
        &.{ .on_unenforceable = options.on_unenforceable.toFFI() },
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
        &.{ .on_unenforceable = options.on_unenforceable.toFFI() },
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

/// Ask the engine whether it is ready; loads the embedded engine. `Result.json` holds its report, by endpoint.
pub fn healthCheck() Result {
    return .{ .ffi = c.maze_health_check() };
}

/// Names of the models that can be asked for: `Result.json` is `{"models": ["...", ...]}`.
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

/// NUL-terminated copies of what goes into one call.
const Copies = struct {
    arena: std.heap.ArenaAllocator,

    fn init(gpa: Allocator) Copies {
        return .{ .arena = .init(gpa) };
    }

    fn deinit(copies: *Copies) void {
        copies.arena.deinit();
    }

    fn text(copies: *Copies, bytes: []const u8) CallError![*:0]const u8 {
        if (std.mem.findScalar(u8, bytes, 0) != null) return error.NulByte;
        return try copies.arena.allocator().dupeSentinel(u8, bytes, 0);
    }

    fn optionalText(copies: *Copies, bytes: ?[]const u8) CallError!?[*:0]const u8 {
        return try copies.text(bytes orelse return null);
    }

    fn texts(copies: *Copies, list: []const []const u8) CallError![]const [*:0]const u8 {
        const pointers = try copies.arena.allocator().alloc([*:0]const u8, list.len);
        for (pointers, list) |*pointer, bytes| pointer.* = try copies.text(bytes);
        return pointers;
    }

    fn intent(copies: *Copies, from: Intent) CallError!IntentFFI {
        return .{
            .raw_input = try copies.text(from.raw_input),
            .prompt = try copies.optionalText(from.prompt),
            .current_file = try copies.optionalText(from.current_file),
            .language = try copies.optionalText(from.language),
        };
    }

    fn constraints(copies: *Copies, from: Constraints) CallError![]const ConstraintIRFFI {
        const list = switch (from) {
            .ffi => |irs| return irs,
            .list => |list| list,
        };
        const irs = try copies.arena.allocator().alloc(ConstraintIRFFI, list.len);
        for (irs, list) |*ir, constraint| ir.* = .{
            .json_schema = try copies.optionalText(constraint.json_schema),
            .grammar = try copies.optionalText(constraint.grammar),
            .regex_patterns = pointerOrNull(try copies.texts(constraint.regex_patterns)),
            .regex_patterns_len = constraint.regex_patterns.len,
            .token_masks = if (constraint.token_masks) |masks| try copies.tokenMasks(masks) else null,
            .priority = constraint.priority,
            .name = try copies.optionalText(constraint.name),
        };
        return irs;
    }

    fn tokenMasks(copies: *Copies, from: TokenMasks) CallError!*const TokenMaskRulesFFI {
        const rules = try copies.arena.allocator().create(TokenMaskRulesFFI);
        rules.* = .{
            .allowed_tokens = pointerOrNull(from.allowed),
            .allowed_tokens_len = from.allowed.len,
            .forbidden_tokens = pointerOrNull(from.forbidden),
            .forbidden_tokens_len = from.forbidden.len,
        };
        return rules;
    }

    fn options(copies: *Copies, from: Options) CallError!c.MazeOptionsFFI {
        const unset: c.MazeOptionsFFI = .{};
        return .{
            .max_tokens = from.max_tokens orelse unset.max_tokens,
            .timeout_ms = from.timeout_ms orelse unset.timeout_ms,
            .temperature = from.temperature orelse unset.temperature,
            .top_p = from.top_p orelse unset.top_p,
            .top_k = from.top_k orelse unset.top_k,
            .on_unenforceable = from.on_unenforceable.toFFI(),
            .seed = from.seed orelse unset.seed,
            .model = try copies.optionalText(from.model),
            .stop = pointerOrNull(try copies.texts(from.stop)),
            .stop_len = from.stop.len,
        };
    }

    fn config(copies: *Copies, from: Config) CallError!c.MazeConfigFFI {
        const unset: c.MazeConfigFFI = .{};
        return .{
            .endpoint = try copies.optionalText(from.endpoint),
            .api_key = try copies.optionalText(from.api_key),
            .model = try copies.optionalText(from.model),
            .local_model = try copies.optionalText(from.local_model),
            .dialect = try copies.optionalText(from.dialect),
            .log_filter = try copies.optionalText(from.log_filter),
            .max_tokens = from.max_tokens orelse unset.max_tokens,
            .timeout_secs = from.timeout_secs orelse unset.timeout_secs,
            .temperature = from.temperature orelse unset.temperature,
            .enable_cache = if (from.enable_cache) |enable| @intFromBool(enable) else unset.enable_cache,
            .cache_size_limit = from.cache_size_limit orelse unset.cache_size_limit,
        };
    }
};

/// The pointer of a slice for C, which gets no address where there is nothing to read.
fn pointerOrNull(slice: anytype) ?[*]const std.meta.Elem(@TypeOf(slice)) {
    return if (slice.len == 0) null else slice.ptr;
}
