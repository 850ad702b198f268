//! What the wrapper does with memory, errors and arguments. Needs no engine.

const std = @import("std");
const maze = @import("maze");
const package = @import("package");
const testing = std.testing;
const gpa = testing.allocator;

const colour_schema = "{\"enum\": [\"red\", \"green\"]}";

fn expectSuccess(result: maze.Result) !void {
    // Compared before it is checked, so that a failure shows its reason.
    try testing.expectEqualStrings("", result.message());
    try result.check();
}

fn validateColour(text: []const u8) !maze.Result {
    return maze.validate(gpa, text, .{ .list = &.{.{ .json_schema = colour_schema }} }, .{});
}

test "every declaration compiles" {
    testing.refAllDecls(maze);
    testing.refAllDecls(maze.Result);
    testing.refAllDecls(maze.Batch);
    testing.refAllDecls(maze.Constraints);
}

test "the package, the header and the library have one version" {
    try testing.expectEqualStrings(maze.c.MAZE_VERSION, package.version);
    try testing.expectEqualStrings(maze.c.MAZE_VERSION, maze.version());
    try testing.expectEqual(maze.c.MAZE_ABI_VERSION, maze.abiVersion());
}

test "every status has an error and a name that say the same" {
    inline for (comptime std.meta.fieldNames(maze.Status)) |field| {
        const status = @field(maze.Status, field);

        const upper = comptime name: {
            var buffer: [field.len]u8 = undefined;
            _ = std.ascii.upperString(&buffer, field);
            const constant = buffer;
            break :name "MAZE_" ++ constant;
        };
        try testing.expectEqualStrings(upper, maze.statusName(status));

        if (maze.checkStatus(status)) |_| {
            try testing.expectEqual(maze.Status.ok, status);
        } else |err| {
            // constraint_violated and ConstraintViolated are the same letters.
            var letters: [field.len]u8 = undefined;
            const count = std.mem.replace(u8, field, "_", "", &letters);
            try testing.expect(std.ascii.eqlIgnoreCase(letters[0 .. field.len - count], @errorName(err)));
        }
    }
}

test "a status of a newer library is an error, not a success" {
    const unknown: maze.Status = @as(packed struct { status: maze.Status }, @bitCast(@as(c_uint, 1000))).status;
    try testing.expectError(error.UnknownStatus, maze.checkStatus(unknown));
    try testing.expectEqualStrings("MAZE_UNKNOWN", maze.statusName(unknown));
}

test "constraints may be freed straight after the call, and the result stays readable until deinit" {
    const schema = try gpa.dupe(u8, colour_schema);
    const pattern = try gpa.dupe(u8, "e");
    const patterns = try gpa.dupe([]const u8, &.{pattern});
    const name = try gpa.dupe(u8, "colour");
    const constraints = try gpa.dupe(maze.Constraint, &.{
        .{ .json_schema = schema, .name = name },
        .{ .regex_patterns = patterns },
    });

    var result = try maze.compile(gpa, .{ .list = constraints }, .{});

    @memset(schema, 'x');
    @memset(pattern, 'x');
    @memset(name, 'x');
    gpa.free(constraints);
    gpa.free(name);
    gpa.free(patterns);
    gpa.free(pattern);
    gpa.free(schema);

    defer result.deinit();
    try expectSuccess(result);
    try testing.expect(std.mem.indexOf(u8, try result.code(), "green") != null);
    try testing.expect(std.mem.indexOf(u8, result.json(), "colour") != null);
}

test "deinit gives the result back to the library" {
    var result = try validateColour("\"red\"");
    const ffi = result.ffi;
    try testing.expectEqual(maze.Status.ok, maze.c.maze_result_status(ffi));
    result.deinit();
    // The library knows its live results, so it may be asked about others.
    try testing.expectEqual(maze.Status.invalid_argument, maze.c.maze_result_status(ffi));
}

test "a failure keeps its message, and its code cannot be had by mistake" {
    var result = try maze.compile(gpa, .{ .list = &.{.{ .json_schema = "{\"type\": " }} }, .{});
    defer result.deinit();

    try testing.expectError(error.InvalidConstraint, result.code());
    try testing.expectError(error.InvalidConstraint, result.check());
    try testing.expectEqual(maze.Status.invalid_constraint, result.status());
    try testing.expectEqualStrings("", result.text());
    try testing.expectStringStartsWith(result.message(), "libmaze: ");
    try testing.expect(std.mem.indexOf(u8, result.message(), "constraints[0]") != null);
}

test "a success has no message" {
    var result = try validateColour("\"red\"");
    defer result.deinit();
    try result.check();
    try testing.expectEqualStrings("", result.message());
}

test "a validated text may hold NUL bytes, and the report tells where it breaks a constraint" {
    const text = "abc\x00def";
    var contained = try maze.validate(gpa, text, .{ .list = &.{.{ .regex_patterns = &.{"def"} }} }, .{});
    defer contained.deinit();
    try expectSuccess(contained);

    var violated = try validateColour("\"rot\"");
    defer violated.deinit();
    try testing.expectError(error.ConstraintViolated, violated.check());

    const Outcome = struct { satisfied: ?bool, offset: ?u64 };
    const Report = struct { status: []const u8, validation: struct { outcomes: []const Outcome } };
    const report = try std.json.parseFromSlice(Report, gpa, violated.json(), .{ .ignore_unknown_fields = true });
    defer report.deinit();
    try testing.expectEqualStrings("MAZE_CONSTRAINT_VIOLATED", report.value.status);
    try testing.expectEqual(false, report.value.validation.outcomes[0].satisfied);
    try testing.expect(report.value.validation.outcomes[0].offset != null);
}

test "a NUL byte in a text that C would cut short is refused before the call" {
    const cut = "a\x00b";
    try testing.expectError(error.NulByte, maze.generate(gpa, .{ .raw_input = cut }, .none, .{}));
    try testing.expectError(error.NulByte, maze.generate(gpa, .{ .raw_input = "a" }, .none, .{ .stop = &.{cut} }));
    try testing.expectError(error.NulByte, maze.compile(gpa, .{ .list = &.{.{ .regex_patterns = &.{cut} }} }, .{}));
    try testing.expectError(error.NulByte, maze.compile(gpa, .none, .{ .language = cut }));
    try testing.expectError(error.NulByte, maze.init(gpa, .{ .endpoint = cut }));
}

test "running out of memory at any allocation leaks nothing" {
    const compileAll = struct {
        fn call(allocator: std.mem.Allocator) !void {
            var result = try maze.compile(allocator, .{ .list = &.{
                .{ .json_schema = colour_schema, .name = "colour" },
                .{ .regex_patterns = &.{ "e", "d" } },
            } }, .{ .language = "python" });
            result.deinit();
        }
    }.call;
    try testing.checkAllAllocationFailures(gpa, compileAll, .{});

    const batch = struct {
        fn call(allocator: std.mem.Allocator) !void {
            // An empty prompt is refused before the engine is asked.
            var results = try maze.generateBatch(allocator, &.{ .{ .raw_input = "" }, .{ .raw_input = " " } }, .none, .{});
            results.deinit(allocator);
        }
    }.call;
    try testing.checkAllAllocationFailures(gpa, batch, .{});
}

test "every option of a conversation, of attempts and of endings reaches the library" {
    const Case = struct { maze.Options, []const u8 };
    const cases = [_]Case{
        .{ .{ .system = "\xff" }, "options.system: invalid UTF-8" },
        .{ .{ .continue_from = "\xff" }, "options.continue_from: invalid UTF-8" },
        .{
            .{ .messages = &.{ .{ .role = .user, .text = "a" }, .{ .role = .assistant, .text = "\xff" } } },
            "options.messages[1].text: invalid UTF-8",
        },
        .{ .{ .max_attempts = 101 }, "options.max_attempts is 101" },
        .{ .{ .top_logprobs = 21 }, "options.top_logprobs is 21" },
    };
    for (cases) |case| {
        const options, const problem = case;
        var result = try maze.generate(gpa, .{ .raw_input = "x" }, .none, options);
        defer result.deinit();
        try testing.expectError(error.InvalidArgument, result.code());
        try testing.expect(std.mem.indexOf(u8, result.message(), problem) != null);
        try testing.expectEqualStrings("", result.finishReason());
    }
    try testing.expectError(error.NulByte, maze.generate(gpa, .{ .raw_input = "x" }, .none, .{
        .messages = &.{.{ .role = .user, .text = "a\x00b" }},
    }));
}

test "options and token masks reach the library" {
    var hot = try maze.generate(gpa, .{ .raw_input = "x" }, .none, .{ .temperature = 3 });
    defer hot.deinit();
    try testing.expectError(error.InvalidArgument, hot.code());
    try testing.expect(std.mem.indexOf(u8, hot.message(), "temperature") != null);

    var stops = try maze.generate(gpa, .{ .raw_input = "x" }, .none, .{ .stop = &.{ "a", "b", "c", "d", "e" } });
    defer stops.deinit();
    try testing.expectError(error.InvalidArgument, stops.code());
    try testing.expect(std.mem.indexOf(u8, stops.message(), "stop") != null);

    var both = try maze.compile(gpa, .{ .list = &.{.{
        .token_masks = .{ .allowed = &.{5}, .forbidden = &.{5} },
    }} }, .{});
    defer both.deinit();
    try testing.expectError(error.Contradiction, both.code());
}

test "each part that cannot be enforced is refused, or reported on request" {
    const constraints: maze.Constraints = .{ .list = &.{.{ .regex_patterns = &.{"(a*)\\1"} }} };

    var refused = try maze.compile(gpa, constraints, .{});
    defer refused.deinit();
    try testing.expectError(error.UnsupportedConstraint, refused.code());

    var reported = try maze.compile(gpa, constraints, .{ .on_unenforceable = .report });
    defer reported.deinit();
    _ = try reported.code();
    try testing.expect(std.mem.indexOf(u8, reported.json(), "unenforceable") != null);
}

test "the language decides what a grammar of Braid's means" {
    const constraints: maze.Constraints = .{ .list = &.{.{ .grammar =
        \\{"start_symbol": "s", "rules": [{"lhs": "s", "rhs": ["FUNCTION", "IDENTIFIER"]}]}
    }} };
    inline for (.{ .{ "python", "def f" }, .{ "zig", "fn f" } }) |case| {
        const language, const text = case;
        var result = try maze.validate(gpa, text, constraints, .{ .language = language });
        defer result.deinit();
        try expectSuccess(result);
    }
    var wrong = try maze.validate(gpa, "fn f", constraints, .{ .language = "python" });
    defer wrong.deinit();
    try testing.expectError(error.ConstraintViolated, wrong.check());
}

test "a whole language is a grammar, and what breaks it is told in its words" {
    const constraints: maze.Constraints = .{ .list = &.{.{ .grammar = "%language zig" }} };
    var right = try maze.validate(gpa, "const a = 1;\n", constraints, .{});
    defer right.deinit();
    try expectSuccess(right);

    var wrong = try maze.validate(gpa, "var = 1;\n", constraints, .{});
    defer wrong.deinit();
    try testing.expectError(error.ConstraintViolated, wrong.check());
    try testing.expect(std.mem.indexOf(u8, wrong.message(), "expected a variable name") != null);
}

test "the cache counts, and forgets when told to" {
    const constraints: maze.Constraints = .{ .list = &.{.{ .json_schema = "{\"const\": \"only in this test\"}" }} };
    const before = try maze.cacheStats();
    for (0..3) |_| {
        var result = try maze.compile(gpa, constraints, .{});
        result.deinit();
    }
    const after = try maze.cacheStats();
    try testing.expectEqual(before.misses + 1, after.misses);
    try testing.expectEqual(before.hits + 2, after.hits);
    try testing.expect(after.entries > 0 and after.bytes > 0);

    try maze.clearCache();
    try testing.expectEqual(0, (try maze.cacheStats()).entries);
}

test "a configuration is checked, taken once, and given up by shutdown" {
    maze.shutdown();
    defer maze.shutdown();

    var wrong = try maze.init(gpa, .{ .temperature = 3 });
    defer wrong.deinit();
    try testing.expectError(error.Configuration, wrong.check());
    try testing.expect(std.mem.indexOf(u8, wrong.message(), "temperature") != null);

    var first = try maze.init(gpa, .{ .endpoint = "", .max_tokens = 7, .enable_cache = false });
    defer first.deinit();
    try expectSuccess(first);

    var second = try maze.init(gpa, .{});
    defer second.deinit();
    try testing.expectError(error.Configuration, second.check());

    // The cache is off, as configured.
    for (0..2) |_| {
        var result = try maze.compile(gpa, .{ .list = &.{.{ .json_schema = colour_schema }} }, .{});
        result.deinit();
    }
    try testing.expectEqual(0, (try maze.cacheStats()).hits);
}

test "results outlive a shutdown" {
    var result = try validateColour("\"red\"");
    defer result.deinit();
    maze.shutdown();
    try expectSuccess(result);
    try testing.expect(result.json().len > 2);
}

test "log lines go to the callback that was set last, with its context" {
    const Lines = struct {
        count: std.atomic.Value(u32) = .init(0),
        wrong: std.atomic.Value(u32) = .init(0),

        fn take(lines: *@This(), level: maze.LogLevel, target: []const u8, text: []const u8) void {
            _ = lines.count.fetchAdd(1, .monotonic);
            // Prompts and generated text are for the level below.
            if (level == .trace or !std.mem.startsWith(u8, target, "maze") or text.len == 0)
                _ = lines.wrong.fetchAdd(1, .monotonic);
        }

        /// Make a call that fails without an engine, and is logged.
        fn expectMore(lines: *@This()) !void {
            const count = lines.count.load(.monotonic);
            var failed = try maze.generate(gpa, .{ .raw_input = "" }, .none, .{});
            failed.deinit();
            try testing.expect(lines.count.load(.monotonic) > count);
            try testing.expectEqual(0, lines.wrong.load(.monotonic));
        }
    };
    maze.shutdown();
    // Last, after libmaze has forgotten the filter: without a callback the lines would go to stderr.
    defer maze.clearLogCallback();
    defer maze.shutdown();

    var first: Lines = .{};
    maze.setLogCallback(&first, Lines.take);
    var started = try maze.init(gpa, .{ .log_filter = "maze=debug" });
    defer started.deinit();
    try expectSuccess(started);
    try first.expectMore();

    var second: Lines = .{};
    maze.setLogCallback(&second, Lines.take);
    const count = first.count.load(.monotonic);
    try second.expectMore();
    try testing.expectEqual(count, first.count.load(.monotonic));
}

test "many threads may call at once, each getting its own answer" {
    const Worker = struct {
        fn run(number: usize, failures: *std.atomic.Value(u32)) void {
            check(number) catch {
                _ = failures.fetchAdd(1, .monotonic);
            };
        }

        fn check(number: usize) !void {
            for (0..20) |round| {
                var buffer: [64]u8 = undefined;
                const schema = try std.fmt.bufPrint(&buffer, "{{\"const\": {d}}}", .{number * 1000 + round});
                const own = schema["{\"const\": ".len .. schema.len - 1];
                const constraints: maze.Constraints = .{ .list = &.{.{ .json_schema = schema }} };

                var right = try maze.validate(gpa, own, constraints, .{});
                defer right.deinit();
                try expectSuccess(right);

                var wrong = try maze.validate(gpa, "-1", constraints, .{});
                defer wrong.deinit();
                try testing.expectEqual(maze.Status.constraint_violated, wrong.status());
            }
        }
    };
    var failures: std.atomic.Value(u32) = .init(0);
    var threads: [8]std.Thread = undefined;
    for (&threads, 0..) |*thread, number| thread.* = try .spawn(.{}, Worker.run, .{ number, &failures });
    for (threads) |thread| thread.join();
    try testing.expectEqual(0, failures.load(.monotonic));
}
