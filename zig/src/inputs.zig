//! What goes into a call: intents, constraints, options and configuration in Zig, and their copies as C has them.

const std = @import("std");
const Allocator = std.mem.Allocator;
const braid_structs = @import("braid.zig");
const c = @import("c.zig");
const ConstraintIRFFI = c.ConstraintIRFFI;
const compat = @import("compat.zig");
const errors = @import("errors.zig");

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
    /// Laid out when the call is made; made by `braid` and `fromIR`.
    deferred: braid_structs.Deferred,

    /// An unconstrained request.
    pub const none: Constraints = .{ .list = &.{} };

    /// Constraints that Braid made for C, handed on without a copy. `irs` is a pointer to one `ConstraintIRFFI` of Braid's
    /// own (`&ir`, or what its functions give), a slice of them, a pointer and a length (`.{ irs, len }`), or a slice of
    /// pointers to them. The layout is compared with ours at compile time. Borrowed until the call with it returns.
    pub fn braid(irs: anytype) Constraints {
        const slice = braid_structs.sliceOf(irs);
        const Ir = std.meta.Elem(@TypeOf(slice));
        if (@typeInfo(Ir) == .pointer) return .{ .deferred = braid_structs.gathered(Ir, slice) };
        return .{ .ffi = braid_structs.inPlace(Ir, slice) };
    }

    /// Constraints as Braid's own `ConstraintIR`, without the way through C: `irs` is a pointer to one (`&ir`), or one of
    /// the other forms that `braid` takes. The fields are taken by name, and a missing one or one of another type fails
    /// the compilation: json_schema (with its properties, which Braid does not write for C), grammar, regex_patterns,
    /// token_masks and priority; those of other names say nothing about the text. Holes to fill (hole_specs) and numbers
    /// of tokens make a call end in `error.UnsupportedConstraint`. Borrowed until the call with it returns.
    pub fn fromIR(irs: anytype) Constraints {
        const slice = braid_structs.sliceOf(irs);
        return .{ .deferred = braid_structs.native(std.meta.Elem(@TypeOf(slice)), slice) };
    }
};

/// What to do with a constraint that can be neither enforced nor checked.
pub const Unenforceable = enum {
    /// Fail with `UnsupportedConstraint` before any request.
    fail,
    /// Go on without it. A text is still made, and given by `Result.text`, but is no success:
    /// error.UnsupportedConstraint, with the reason in the warnings.
    report,

    pub fn toFFI(unenforceable: Unenforceable) u32 {
        return compat.intOf(switch (unenforceable) {
            .fail => c.MazeUnenforceable.@"error",
            .report => c.MazeUnenforceable.report,
        });
    }
};

/// What to do with constraints that no text satisfies together.
pub const Conflict = enum {
    /// Fail with `Contradiction` before any request.
    fail,
    /// Go on with those of the highest priority. A text is still made, and given by `Result.text`, but is no success:
    /// error.Contradiction, with the reason in the warnings.
    report,

    pub fn toFFI(conflict: Conflict) u32 {
        return compat.intOf(switch (conflict) {
            .fail => c.MazeConflict.@"error",
            .report => c.MazeConflict.report,
        });
    }
};

/// How a grammar of Braid's token classes is taken, which lists what Braid has seen in a source.
pub const BraidGrammar = enum {
    /// As it is written: the code is one of its texts.
    as_grammar,
    /// As a hint: the grammar of the language itself is enforced in its place, where there is one, with patterns for
    /// names beside it on what the code declares. What it asks for is told to the model and reported.
    as_language,
    /// The same, and the code must have what it asks for.
    as_language_checked,

    pub fn toFFI(braid_grammar: ?BraidGrammar) u32 {
        return compat.intOf(switch (braid_grammar orelse return compat.intOf(c.MazeBraidGrammar.configured)) {
            .as_grammar => c.MazeBraidGrammar.as_grammar,
            .as_language => c.MazeBraidGrammar.as_language,
            .as_language_checked => c.MazeBraidGrammar.as_language_checked,
        });
    }
};

/// How the model is spoken to.
pub const PromptForm = enum {
    /// As it was trained: through its chat template where the engine has one, else raw.
    chat,
    /// The prompt is completed as it stands, without a template and without descriptions of constraints.
    raw,

    fn toFFI(prompt_form: ?PromptForm) u32 {
        return compat.intOf(switch (prompt_form orelse return compat.intOf(c.MazePromptForm.configured)) {
            .chat => c.MazePromptForm.chat,
            .raw => c.MazePromptForm.raw,
        });
    }
};

/// An earlier turn of a conversation.
pub const Message = struct {
    /// Who said it.
    role: enum { user, assistant },
    /// What was said.
    text: []const u8,
};

/// What becomes of a constrained text that `max_tokens` or the context cut off where it could have gone on.
pub const WhenCutOff = enum {
    /// It is `error.Truncated`, satisfied or not.
    fail,
    /// It is a success if it satisfies its constraints as it stands.
    accept,
    /// The shortest legal ending is appended; a stream gets it as well. Not under token masks.
    complete,

    fn toFFI(when_cut_off: WhenCutOff) u32 {
        return compat.intOf(switch (when_cut_off) {
            .fail => c.MazeWhenCutOff.@"error",
            .accept => c.MazeWhenCutOff.accept,
            .complete => c.MazeWhenCutOff.complete,
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
    /// Texts that end the generation and are not part of the code; at most 4, each of 1 to 1024 bytes.
    stop: []const []const u8 = &.{},
    /// What to do with a constraint that can be neither enforced nor checked.
    on_unenforceable: Unenforceable = .fail,
    /// System prompt.
    system: ?[]const u8 = null,
    /// Earlier turns, oldest first; the intent is the user's turn after them.
    messages: []const Message = &.{},
    /// The code begins with this text, which counts for the constraints, and the model goes on from it: the way to go on
    /// from a text that was cut off.
    continue_from: ?[]const u8 = null,
    /// How the model is spoken to.
    prompt_form: ?PromptForm = null,
    /// Tell the model what the constraints are.
    describe_constraints: ?bool = null,
    /// Most tokens that the model may think before it answers, 0 for no thinking. Thoughts are outside the constraints
    /// and no part of the code: `Result.json` has them in metadata.reasoning. At most 2147483647.
    reasoning_tokens: ?u31 = null,
    /// Most generations for one result, 1 to 100: a text that breaks what is only checked is followed by another, with
    /// the next seed and in the same time. `Result.json` lists all.
    max_attempts: ?u32 = null,
    /// What becomes of a text that was cut off.
    when_cut_off: WhenCutOff = .fail,
    /// Log-probability of each token, and of so many of the likeliest in its place, 0 to 20, in metadata.logprobs of
    /// `Result.json`; null for no log-probabilities.
    top_logprobs: ?u31 = null,
    /// What to do with constraints that no text satisfies together.
    on_conflict: Conflict = .fail,
    /// How a grammar of Braid's token classes is taken.
    braid_grammar: ?BraidGrammar = null,
    /// Parts of the constraints that are left out: paths such as "constraints[0].grammar", or kinds such as "grammar".
    /// `Result.json` lists them as "ignored", and in the warnings; success is about the others.
    ignore: []const []const u8 = &.{},
};

/// Options of `compile` and `validate`.
pub const CheckOptions = struct {
    /// As `Intent.language`.
    language: ?[]const u8 = null,
    /// What to do with a constraint that can be neither enforced nor checked.
    on_unenforceable: Unenforceable = .fail,
    /// What to do with constraints that no text satisfies together.
    on_conflict: Conflict = .fail,
    /// How a grammar of Braid's token classes is taken.
    braid_grammar: ?BraidGrammar = null,
    /// Parts of the constraints that are left out: paths such as "constraints[0].grammar", or kinds such as "grammar".
    /// `Result.json` lists them as "ignored", and in the warnings; success is about the others.
    ignore: []const []const u8 = &.{},
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
    /// What the service speaks: maze, vllm, sglang, llama.cpp, openai or anthropic; null for MAZE_DIALECT, "" to ask it.
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
    /// How the model is spoken to; null for MAZE_PROMPT, which is "chat" or "raw".
    prompt_form: ?PromptForm = null,
    /// Most generations for one result where a call does not say, 1 to 100; null for 3 where a part is only checked, else
    /// for 1.
    max_attempts: ?u32 = null,
};

/// NUL-terminated copies of what goes into one call.
pub const Copies = struct {
    arena: std.heap.ArenaAllocator,

    pub fn init(gpa: Allocator) Copies {
        return .{ .arena = .init(gpa) };
    }

    pub fn deinit(copies: *Copies) void {
        copies.arena.deinit();
    }

    pub fn text(copies: *Copies, bytes: []const u8) errors.CallError![*:0]const u8 {
        if (std.mem.indexOfScalar(u8, bytes, 0) != null) return error.NulByte;
        return try std.mem.joinZ(copies.arena.allocator(), "", &.{bytes});
    }

    pub fn optionalText(copies: *Copies, bytes: ?[]const u8) errors.CallError!?[*:0]const u8 {
        return try copies.text(bytes orelse return null);
    }

    pub fn texts(copies: *Copies, list: []const []const u8) errors.CallError![]const [*:0]const u8 {
        const pointers = try copies.arena.allocator().alloc([*:0]const u8, list.len);
        for (pointers, list) |*pointer, bytes| pointer.* = try copies.text(bytes);
        return pointers;
    }

    pub fn intent(copies: *Copies, from: Intent) errors.CallError!c.IntentFFI {
        return .{
            .raw_input = try copies.text(from.raw_input),
            .prompt = try copies.optionalText(from.prompt),
            .current_file = try copies.optionalText(from.current_file),
            .language = try copies.optionalText(from.language),
        };
    }

    pub fn constraints(copies: *Copies, from: Constraints) errors.CallError![]const ConstraintIRFFI {
        const list = switch (from) {
            .ffi => |irs| return irs,
            .deferred => |deferred| return deferred.lay_out(deferred, copies.arena.allocator()),
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

    fn tokenMasks(copies: *Copies, from: TokenMasks) errors.CallError!*const c.TokenMaskRulesFFI {
        const rules = try copies.arena.allocator().create(c.TokenMaskRulesFFI);
        rules.* = .{
            .allowed_tokens = pointerOrNull(from.allowed),
            .allowed_tokens_len = from.allowed.len,
            .forbidden_tokens = pointerOrNull(from.forbidden),
            .forbidden_tokens_len = from.forbidden.len,
        };
        return rules;
    }

    fn messages(copies: *Copies, list: []const Message) errors.CallError![]const c.MazeMessageFFI {
        const ffis = try copies.arena.allocator().alloc(c.MazeMessageFFI, list.len);
        for (ffis, list) |*ffi, message| ffi.* = .{
            .role = compat.intOf(switch (message.role) {
                .user => c.MazeRole.user,
                .assistant => c.MazeRole.assistant,
            }),
            .text = try copies.text(message.text),
        };
        return ffis;
    }

    pub fn options(copies: *Copies, from: Options) errors.CallError!c.MazeOptionsFFI {
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
            .system = try copies.optionalText(from.system),
            .messages = pointerOrNull(try copies.messages(from.messages)),
            .messages_len = from.messages.len,
            .continue_from = try copies.optionalText(from.continue_from),
            .prompt_form = PromptForm.toFFI(from.prompt_form),
            .describe_constraints = if (from.describe_constraints) |tell| @intFromBool(tell) else unset.describe_constraints,
            .reasoning_tokens = from.reasoning_tokens orelse unset.reasoning_tokens,
            .max_attempts = from.max_attempts orelse unset.max_attempts,
            .when_cut_off = from.when_cut_off.toFFI(),
            .top_logprobs = from.top_logprobs orelse unset.top_logprobs,
            .on_conflict = from.on_conflict.toFFI(),
            .braid_grammar = BraidGrammar.toFFI(from.braid_grammar),
            .ignore = pointerOrNull(try copies.texts(from.ignore)),
            .ignore_len = from.ignore.len,
        };
    }

    /// Of `compile` and `validate`.
    pub fn checkOptions(copies: *Copies, from: CheckOptions) errors.CallError!c.MazeOptionsFFI {
        return copies.options(.{
            .on_unenforceable = from.on_unenforceable,
            .on_conflict = from.on_conflict,
            .braid_grammar = from.braid_grammar,
            .ignore = from.ignore,
        });
    }

    pub fn config(copies: *Copies, from: Config) errors.CallError!c.MazeConfigFFI {
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
            .prompt_form = PromptForm.toFFI(from.prompt_form),
            .max_attempts = from.max_attempts orelse unset.max_attempts,
        };
    }
};

/// The pointer of a slice for C, which gets no address where there is nothing to read.
pub fn pointerOrNull(slice: anytype) ?[*]const std.meta.Elem(@TypeOf(slice)) {
    return if (slice.len == 0) null else slice.ptr;
}
