//! The declarations of include/maze.h, one to one and under the same names.
//!
//! The header is the contract and documents every item; read it there. `zig build test` compares this file with it at
//! compile time: sizes, offsets, field types, constants, enum values and function signatures. Most programs want the
//! wrapper in maze.zig instead.

pub const MAZE_VERSION = "0.1.0";
pub const MAZE_ABI_VERSION = 1;
pub const MAZE_CONSTRAINT_MAGIC = 0x414E4B455F464649;
pub const MAZE_CONSTRAINT_FREED_MAGIC = 0xDEADDEADDEADDEAD;
pub const MAZE_MAX_ARRAY_LENGTH = 1_000_000;
pub const MAZE_MAX_TEXT_BYTES = 67_108_864;

/// Not exhaustive, because a newer library may know more of them.
pub const MazeStatus = enum(c_uint) {
    ok = 0,
    invalid_argument = 1,
    invalid_constraint = 2,
    unsupported_constraint = 3,
    contradiction = 4,
    constraint_violated = 5,
    truncated = 6,
    configuration = 7,
    startup_failed = 8,
    engine_unavailable = 9,
    unauthorized = 10,
    rate_limited = 11,
    request_rejected = 12,
    bad_response = 13,
    timed_out = 14,
    cancelled = 15,
    limit_exceeded = 16,
    out_of_memory = 17,
    forked = 18,
    internal_error = 19,
    _,
};

pub const TokenMaskRulesFFI = extern struct {
    allowed_tokens: ?[*]const u32 = null,
    allowed_tokens_len: usize = 0,
    forbidden_tokens: ?[*]const u32 = null,
    forbidden_tokens_len: usize = 0,
};

pub const ConstraintIRFFI = extern struct {
    magic: u64 = MAZE_CONSTRAINT_MAGIC,
    json_schema: ?[*:0]const u8 = null,
    grammar: ?[*:0]const u8 = null,
    regex_patterns: ?[*]const [*:0]const u8 = null,
    regex_patterns_len: usize = 0,
    token_masks: ?*const TokenMaskRulesFFI = null,
    priority: u32 = 0,
    name: ?[*:0]const u8 = null,
};

pub const IntentFFI = extern struct {
    raw_input: [*:0]const u8,
    prompt: ?[*:0]const u8 = null,
    current_file: ?[*:0]const u8 = null,
    language: ?[*:0]const u8 = null,
};

pub const GenerationResultFFI = extern struct {
    code: [*:0]const u8,
    success: bool,
    @"error": ?[*:0]const u8,
    tokens_generated: usize,
    generation_time_ms: u64,
};

pub const MazeUnenforceable = enum(c_uint) {
    @"error" = 0,
    report = 1,
};

pub const MazeConflict = enum(c_uint) {
    @"error" = 0,
    report = 1,
};

pub const MazeBraidGrammar = enum(c_uint) {
    configured = 0,
    as_grammar = 1,
    as_language = 2,
    as_language_checked = 3,
};

pub const MazePromptForm = enum(c_uint) {
    configured = 0,
    chat = 1,
    raw = 2,
};

pub const MazeRole = enum(c_uint) {
    user = 0,
    assistant = 1,
};

pub const MazeMessageFFI = extern struct {
    role: u32,
    text: [*:0]const u8,
};

pub const MazeWhenCutOff = enum(c_uint) {
    @"error" = 0,
    accept = 1,
    complete = 2,
};

/// The defaults of the fields are MAZE_OPTIONS_INIT.
pub const MazeOptionsFFI = extern struct {
    struct_size: usize = @sizeOf(MazeOptionsFFI),
    max_tokens: u32 = 0,
    timeout_ms: u32 = 0,
    temperature: f64 = -1,
    top_p: f64 = -1,
    top_k: u32 = 0,
    on_unenforceable: u32 = 0, // MazeUnenforceable.error
    seed: i64 = -1,
    model: ?[*:0]const u8 = null,
    stop: ?[*]const [*:0]const u8 = null,
    stop_len: usize = 0,
    system: ?[*:0]const u8 = null,
    messages: ?[*]const MazeMessageFFI = null,
    messages_len: usize = 0,
    continue_from: ?[*:0]const u8 = null,
    prompt_form: u32 = 0,
    describe_constraints: i32 = -1,
    reasoning_tokens: i32 = -1,
    max_attempts: u32 = 0,
    when_cut_off: u32 = 0,
    top_logprobs: i32 = -1,
    on_conflict: u32 = 0,
    braid_grammar: u32 = 0,
    ignore: ?[*]const [*:0]const u8 = null,
    ignore_len: usize = 0,
};

/// The defaults of the fields are MAZE_CONFIG_INIT.
pub const MazeConfigFFI = extern struct {
    struct_size: usize = @sizeOf(MazeConfigFFI),
    endpoint: ?[*:0]const u8 = null,
    api_key: ?[*:0]const u8 = null,
    model: ?[*:0]const u8 = null,
    local_model: ?[*:0]const u8 = null,
    dialect: ?[*:0]const u8 = null,
    log_filter: ?[*:0]const u8 = null,
    max_tokens: u32 = 0,
    timeout_secs: u32 = 0,
    temperature: f64 = -1,
    enable_cache: i32 = -1,
    cache_size_limit: u32 = 0,
    prompt_form: u32 = 0,
    max_attempts: u32 = 0,
};

pub const MazeCacheStatsFFI = extern struct {
    struct_size: usize = @sizeOf(MazeCacheStatsFFI),
    hits: u64 = 0,
    misses: u64 = 0,
    evictions: u64 = 0,
    entries: u64 = 0,
    bytes: u64 = 0,
};

/// Not exhaustive, because a newer library may know more of them.
pub const MazeLogLevel = enum(c_uint) {
    @"error" = 1,
    warn = 2,
    info = 3,
    debug = 4,
    trace = 5,
    _,
};

pub const MazeLogCallback = ?*const fn (
    level: MazeLogLevel,
    target: [*:0]const u8,
    message: [*:0]const u8,
    user_data: ?*anyopaque,
) callconv(.c) void;

pub const MazeTextCallback = ?*const fn (
    text: [*:0]const u8,
    text_len: usize,
    user_data: ?*anyopaque,
) callconv(.c) bool;

pub extern fn maze_version() [*:0]const u8;
pub extern fn maze_abi_version() u32;

pub extern fn maze_generate(
    intent: *const IntentFFI,
    constraints: ?[*]const ConstraintIRFFI,
    constraints_len: usize,
) *GenerationResultFFI;

pub extern fn maze_generate_with(
    intent: *const IntentFFI,
    constraints: ?[*]const ConstraintIRFFI,
    constraints_len: usize,
    options: ?*const MazeOptionsFFI,
) *GenerationResultFFI;

pub extern fn maze_generate_stream(
    intent: *const IntentFFI,
    constraints: ?[*]const ConstraintIRFFI,
    constraints_len: usize,
    options: ?*const MazeOptionsFFI,
    callback: MazeTextCallback,
    user_data: ?*anyopaque,
) *GenerationResultFFI;

pub extern fn maze_generate_batch(
    intents: ?[*]const IntentFFI,
    intents_len: usize,
    constraints: ?[*]const ConstraintIRFFI,
    constraints_len: usize,
    options: ?*const MazeOptionsFFI,
    results: ?[*]?*GenerationResultFFI,
) MazeStatus;

pub extern fn maze_compile_constraints(
    constraints: ?[*]const ConstraintIRFFI,
    constraints_len: usize,
    language: ?[*:0]const u8,
    options: ?*const MazeOptionsFFI,
) *GenerationResultFFI;

pub extern fn maze_validate(
    text: ?[*]const u8,
    text_len: usize,
    constraints: ?[*]const ConstraintIRFFI,
    constraints_len: usize,
    language: ?[*:0]const u8,
    options: ?*const MazeOptionsFFI,
) *GenerationResultFFI;

pub extern fn maze_result_status(result: ?*const GenerationResultFFI) MazeStatus;
pub extern fn maze_result_finish_reason(result: ?*const GenerationResultFFI) [*:0]const u8;
pub extern fn maze_result_json(result: ?*const GenerationResultFFI) [*:0]const u8;
pub extern fn maze_free_result(result: ?*GenerationResultFFI) void;
pub extern fn free_generation_result_ffi(result: ?*GenerationResultFFI) void;
pub extern fn free_constraint_ir_ffi(constraint: ?*ConstraintIRFFI) void;
pub extern fn maze_status_name(status: MazeStatus) [*:0]const u8;

pub extern fn maze_init(config: ?*const MazeConfigFFI) *GenerationResultFFI;
pub extern fn maze_shutdown() void;
pub extern fn maze_cache_stats(stats: ?*MazeCacheStatsFFI) MazeStatus;
pub extern fn maze_clear_cache() MazeStatus;
pub extern fn maze_health_check() *GenerationResultFFI;
pub extern fn maze_list_models() *GenerationResultFFI;
pub extern fn maze_set_log_callback(callback: MazeLogCallback, user_data: ?*anyopaque) void;
pub extern fn maze_options_init(options: ?*MazeOptionsFFI) void;
pub extern fn maze_config_init(config: ?*MazeConfigFFI) void;
