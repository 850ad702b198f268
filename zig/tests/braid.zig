//! Constraints that Braid made, in its C layout and as its own structs. Needs no engine.

const std = @import("std");
const maze = @import("maze");
const testing = std.testing;
const gpa = testing.allocator;

const colour_schema = "{\"enum\": [\"red\", \"green\"]}";

/// Types of another module that look like ours, as those of Ananke's FFI file do.
const braid = struct {
    const TokenMaskRulesFFI = extern struct {
        allowed_tokens: ?[*]const u32,
        allowed_tokens_len: usize,
        forbidden_tokens: ?[*]const u32,
        forbidden_tokens_len: usize,
    };
    const ConstraintIRFFI = extern struct {
        magic: u64 = 0x414E4B455F464649,
        json_schema: ?[*:0]const u8 = null,
        grammar: ?[*:0]const u8 = null,
        regex_patterns: ?[*]const [*:0]const u8 = null,
        regex_patterns_len: usize = 0,
        token_masks: ?*const TokenMaskRulesFFI = null,
        priority: u32 = 0,
        name: ?[*:0]const u8 = null,
    };
};

/// Braid's own structs, as far as they say something about a text, and some that do not.
const native = struct {
    const ConstraintIR = struct {
        json_schema: ?JsonSchema = null,
        grammar: ?Grammar = null,
        regex_patterns: []const Regex = &.{},
        token_masks: ?TokenMaskRules = null,
        priority: u32 = 0,
        owns_grammar_strings: bool = false,
        hole_specs: []const HoleSpec = &.{},
        supports_refinement: bool = false,
        feasibility_score: f32 = 0.0,
    };
    const JsonSchema = struct {
        type: []const u8,
        properties: ?std.json.ObjectMap = null,
        required: []const []const u8 = &.{},
        additional_properties: bool = true,
    };
    const Grammar = struct { rules: []const GrammarRule, start_symbol: []const u8 };
    const GrammarRule = struct { lhs: []const u8, rhs: []const []const u8, is_optional: bool = false };
    const Regex = struct { pattern: []const u8, flags: []const u8 = "", is_static: bool = false };
    const TokenMaskRules = struct {
        allowed_tokens: ?[]const u32 = null,
        forbidden_tokens: ?[]const u32 = null,
        min_tokens: ?u32 = null,
        max_tokens: ?u32 = null,
        min_characters: ?usize = null,
        max_characters: ?usize = null,
    };
    const HoleSpec = struct { hole_id: u64 };
};

fn expectStatus(status: maze.Status, text: []const u8, constraints: maze.Constraints) !void {
    var result = try maze.validate(gpa, text, constraints, .{ .language = "python" });
    defer result.deinit();
    if (result.status() != status) std.debug.print("\n{s}\n", .{result.message()});
    try testing.expectEqual(status, result.status());
}

test "constraints that Braid made are taken unchanged, and its mark of a freed one is seen" {
    var irs = [_]braid.ConstraintIRFFI{
        .{ .json_schema = colour_schema },
        .{ .regex_patterns = &.{ "^\"", "e" }, .regex_patterns_len = 2, .priority = 7, .name = "letters" },
    };

    var satisfied = try maze.validate(gpa, "\"red\"", .braid(&irs), .{});
    defer satisfied.deinit();
    try testing.expectEqualStrings("", satisfied.message());
    try satisfied.check();

    var violated = try maze.validate(gpa, "\"blue\"", .braid(irs[0..1]), .{});
    defer violated.deinit();
    try testing.expectError(error.ConstraintViolated, violated.check());

    irs[1].magic = 0xDEADDEADDEADDEAD;
    var freed = try maze.validate(gpa, "\"red\"", .braid(&irs), .{});
    defer freed.deinit();
    try testing.expectError(error.InvalidArgument, freed.check());
    try testing.expect(std.mem.indexOf(u8, freed.message(), "constraints[1]") != null);
}

test "one constraint of Braid's, and several, are taken however they are pointed to" {
    var irs = [_]braid.ConstraintIRFFI{ .{ .json_schema = colour_schema }, .{ .regex_patterns = &.{"d"}, .regex_patterns_len = 1 } };
    const many: [*]const braid.ConstraintIRFFI = &irs;
    const from_c: [*c]braid.ConstraintIRFFI = &irs;
    const optional: ?*braid.ConstraintIRFFI = &irs[0];
    const pointers = [_]*braid.ConstraintIRFFI{ &irs[1], &irs[0] };
    const both = [_]maze.Constraints{
        .braid(&irs),
        .braid(irs[0..]),
        .braid(many[0..2]),
        .braid(.{ many, 2 }),
        .braid(.{ from_c, irs.len }),
        .braid(&pointers),
        .braid(@as([]const *const braid.ConstraintIRFFI, &pointers)),
    };
    for (both) |constraints| {
        try expectStatus(.ok, "\"red\"", constraints);
        try expectStatus(.constraint_violated, "\"green\"", constraints);
        try expectStatus(.constraint_violated, "\"dark\"", constraints);
    }
    for ([_]maze.Constraints{ .braid(&irs[0]), .braid(optional.?), .braid(.{ from_c, 1 }) }) |one| {
        try expectStatus(.ok, "\"green\"", one);
        try expectStatus(.constraint_violated, "\"dark\"", one);
    }
    const nothing: [*c]braid.ConstraintIRFFI = null;
    try expectStatus(.ok, "anything", .braid(.{ nothing, 0 }));
}

test "a schema of Braid's own is enforced with its properties" {
    const parsed = try std.json.parseFromSlice(std.json.Value, gpa,
        \\{"name": {"type": "string", "pattern": "^[a-z\"]+$"}, "age": {"type": "integer"}}
    , .{});
    defer parsed.deinit();
    const ir: native.ConstraintIR = .{ .priority = 3, .json_schema = .{
        .type = "object",
        .properties = parsed.value.object,
        .required = &.{"name"},
        .additional_properties = false,
    } };
    const constraints: maze.Constraints = .fromIR(&ir);
    try expectStatus(.ok, "{\"name\": \"a\\\"b\", \"age\": 3}", constraints);
    try expectStatus(.constraint_violated, "{\"age\": 3}", constraints);
    try expectStatus(.constraint_violated, "{\"name\": \"A\"}", constraints);
    try expectStatus(.constraint_violated, "{\"name\": \"a\", \"more\": 1}", constraints);
}

test "a grammar, patterns with flags and lengths of Braid's own hold, and so does an optional rule" {
    const rules = [_]native.GrammarRule{
        .{ .lhs = "s", .rhs = &.{ "FUNCTION", "IDENTIFIER", "t" } },
        .{ .lhs = "t", .rhs = &.{ "EQUALS", "NUMBER" }, .is_optional = true },
    };
    const ir: native.ConstraintIR = .{
        .grammar = .{ .start_symbol = "s", .rules = &rules },
        .regex_patterns = &.{.{ .pattern = "^DEF", .flags = "i" }},
        .token_masks = .{ .max_characters = 9 },
    };
    try expectStatus(.ok, "def f", .fromIR(&ir));
    try expectStatus(.ok, "def f = 1", .fromIR(&ir));
    try expectStatus(.constraint_violated, "def f = ", .fromIR(&ir));
    try expectStatus(.constraint_violated, "def f = 12", .fromIR(&ir));

    const irs = [_]*const native.ConstraintIR{ &ir, &.{ .regex_patterns = &.{.{ .pattern = "g" }} } };
    try expectStatus(.constraint_violated, "def f", .fromIR(&irs));
    try expectStatus(.ok, "def g", .fromIR(irs[0..]));
    try expectStatus(.constraint_violated, "def gg", .fromIR(&[_]native.ConstraintIR{
        ir, .{ .token_masks = .{ .min_characters = 2, .max_characters = 5 } },
    }));
}

test "token masks of Braid's own reach the library" {
    const ir: native.ConstraintIR = .{ .token_masks = .{ .allowed_tokens = &.{5}, .forbidden_tokens = &.{5} } };
    var result = try maze.compile(gpa, .fromIR(&ir), .{});
    defer result.deinit();
    try testing.expectError(error.Contradiction, result.check());
}

test "what only Braid can see to is no silent success" {
    const hole: native.ConstraintIR = .{ .hole_specs = &.{.{ .hole_id = 1 }} };
    try testing.expectError(error.UnsupportedConstraint, maze.compile(gpa, .fromIR(&hole), .{}));
    const tokens: native.ConstraintIR = .{ .token_masks = .{ .max_tokens = 5 } };
    try testing.expectError(error.UnsupportedConstraint, maze.compile(gpa, .fromIR(&tokens), .{}));
    const cut: native.ConstraintIR = .{ .regex_patterns = &.{.{ .pattern = "a\x00b" }} };
    try testing.expectError(error.NulByte, maze.compile(gpa, .fromIR(&cut), .{}));
}

test "running out of memory while a constraint of Braid's is written down leaks nothing" {
    try testing.checkAllAllocationFailures(gpa, struct {
        fn call(allocator: std.mem.Allocator) !void {
            const ir: native.ConstraintIR = .{
                .json_schema = .{ .type = "object" },
                .grammar = .{ .start_symbol = "s", .rules = &.{.{ .lhs = "s", .rhs = &.{"NUMBER"}, .is_optional = true }} },
                .regex_patterns = &.{.{ .pattern = "1", .flags = "i" }},
                .token_masks = .{ .max_characters = 9 },
            };
            var result = try maze.compile(allocator, .fromIR(&ir), .{ .language = "python" });
            result.deinit();
        }
    }.call, .{});
}
